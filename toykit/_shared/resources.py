"""Paths of the files that come with the code: notebooks and `data/` of a checkout, or their copies in an installed wheel."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def shipped(*parts: str) -> Path:
    """Return the path of a file or folder that the project ships.

    Parameters
    ----------
    *parts : str
        Parts of its path in the repository, e.g. "data", "scribbles".

    Returns
    -------
    Path
        Its path in the checkout or in the installed package.

    Raises
    ------
    FileNotFoundError
        If neither contains it.
    """
    for root in (PACKAGE / "share", PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{Path(*parts)} is neither in the package nor beside it; install toykit from a checkout: pip install -e ."
    )


def data_root() -> Path:
    """Return the root of the datasets.

    Returns
    -------
    Path
        The environment variable TOYKIT_DATA, or the project's own `data/` where that is not set.
    """
    return Path(os.environ["TOYKIT_DATA"]) if os.environ.get("TOYKIT_DATA") else shipped("data")


def cache_root() -> Path:
    """Return the folder of files that can be computed again.

    Returns
    -------
    Path
        `toykit` in the user's cache folder, XDG_CACHE_HOME or ~/.cache.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toykit"

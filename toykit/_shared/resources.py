"""Where the files beside the code are: the notebooks and `data/` of a checkout, or their copies in an installed wheel."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def shipped(*parts: str) -> Path:
    """Path of something the project ships, e.g. shipped("data", "scribbles") or shipped("notebooks").

    Raises: FileNotFoundError if neither the checkout nor the installed package has it.
    """
    for root in (PACKAGE / "share", PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{Path(*parts)} is neither in the package nor beside it; install toykit from a checkout: pip install -e ."
    )


def data_root() -> Path:
    """Root of the datasets: the environment variable TOYKIT_DATA, or else the project's own `data/`."""
    return Path(os.environ["TOYKIT_DATA"]) if os.environ.get("TOYKIT_DATA") else shipped("data")


def cache_root() -> Path:
    """Where what can be made again is kept: `toykit` in the user's cache folder, XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toykit"

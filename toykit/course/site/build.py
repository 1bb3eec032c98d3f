"""Build the site: put its sources together in a temporary folder, run Sphinx on them, and move the result into place.

The sources lie as in the repository, so that relative links work on the pages, too. A link to a file that is no page, such as a
module, downloads the file from the site.
"""

import shutil
import tempfile
from pathlib import Path

from toykit._shared.resources import PACKAGE
from toykit.course.site.gallery import write_gallery
from toykit.course.site.notebooks import copy_notebooks

SITE = Path(__file__).parent
#: Files of the repository that are pages.
TEXTS = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "data/README.md",
    "data/reference/README.md",
    "data/results/README.md",
    "notebooks/README.md",
    "notebooks/LECTURERS.md",
)
#: A file by which a folder is known to be a site of this command.
MARK = ".toykit-site"


def build(output: Path, executed: Path | None = None) -> None:
    """Build the site.

    Parameters
    ----------
    output : Path
        Folder of the site. It may hold an earlier site, which is replaced once the new one is complete.
    executed : Path, optional
        Folder of `toykit run`: show its notebooks, and its metrics.json in the gallery. Default: the notebooks as stored.

    Raises
    ------
    ValueError
        If toykit does not lie in a checkout, `output` holds something else, or `executed` holds no notebook.
    RuntimeError
        If Sphinx fails or warns; it has printed the reason on standard error.
    """
    from sphinx.cmd.build import build_main

    check_output(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as temporary:
        sources, pages = Path(temporary) / "sources", Path(temporary) / "pages"
        collect(sources, executed)
        arguments = ["-b", "html", "-q", "-W", "--keep-going", "-c", str(SITE), "-d", str(Path(temporary) / "doctrees")]
        if build_main([*arguments, str(sources), str(pages)]):
            raise RuntimeError("the site was not built: see the warnings above")
        (pages / ".buildinfo").unlink(missing_ok=True)
        (pages / MARK).touch()
        if output.exists():
            shutil.rmtree(output)
        pages.rename(output)


def check_output(output: Path) -> None:
    """Check that a folder may be replaced by a site.

    Parameters
    ----------
    output : Path
        The folder.

    Raises
    ------
    ValueError
        If it contains something else than an earlier site, or is a link.
    """
    if output.is_symlink():
        raise ValueError(f"{output}: is a link; give the folder that it leads to")
    if output.exists() and any(output.iterdir()) and (not (output / MARK).is_file() or (output / ".git").exists()):
        raise ValueError(
            f"{output}: contains files that are no site; expected an empty folder, a new one or one that toykit site wrote"
        )


def collect(sources: Path, executed: Path | None = None) -> None:
    """Put the sources of all pages into one folder, as they lie in the repository.

    Parameters
    ----------
    sources : Path
        The folder, which is made.
    executed : Path, optional
        See `build`.

    Raises
    ------
    ValueError
        If toykit does not lie in a checkout, or `executed` holds no notebook.
    """
    root = PACKAGE.parent
    missing = [name for name in TEXTS if not (root / name).is_file()]
    if missing:
        raise ValueError(
            f"{root}: no checkout of toykit ({missing[0]} is missing); clone it and pip install -e '.[site]'"
        )
    shutil.copytree(SITE / "pages", sources)
    shutil.copytree(PACKAGE, sources / "toykit", ignore=shutil.ignore_patterns("__pycache__", "share", "site"))
    for name in ("pictures", "reference", "results", "scribbles"):
        shutil.copytree(root / "data" / name, sources / "data" / name)
    (sources / "notebooks").mkdir()
    for name in (*TEXTS, "LICENSE", "CITATION.cff"):
        shutil.copyfile(root / name, sources / name)
    notebooks = copy_notebooks(sources / "notebooks", executed)
    write_gallery(sources / "gallery.md", notebooks, executed)

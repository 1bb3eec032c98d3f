"""Notebooks as sources of pages: pictures are described, and take the place of a script for the same output."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toykit.course.notebooks import find, read
from toykit.course.runner import METRICS

if TYPE_CHECKING:
    from nbformat import NotebookNode

PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


def copy_notebooks(folder: Path, executed: Path | None = None) -> dict[str, "NotebookNode"]:
    """Write the course's notebooks as sources of pages.

    Parameters
    ----------
    folder : Path
        Where to write them.
    executed : Path, optional
        Folder of executed notebooks, which replace the stored ones of the same names.

    Returns
    -------
    dict
        The notebooks as they were read, by the stem of their file names, in their order.

    Raises
    ------
    ValueError
        If `executed` holds none of the course's notebooks.
    """
    import nbformat

    paths = find()
    if executed is not None:
        paths = [executed / path.name if (executed / path.name).is_file() else path for path in paths]
        if all(path.parent != executed for path in paths):
            raise ValueError(f"{executed}: contains no notebook of the course; expected the folder of `toykit run`")
    notebooks = {}
    for path in paths:
        notebooks[path.stem] = read(path)
        nbformat.write(prepared(notebooks[path.stem]), folder / path.name)
    return notebooks


def prepared(notebook: "NotebookNode") -> "NotebookNode":
    """Copy a notebook; describe its pictures by their heading and the sentence below them; a picture replaces a script.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook with its outputs.

    Returns
    -------
    NotebookNode
        The copy.
    """
    import copy

    notebook = copy.deepcopy(notebook)
    heading, number = "", 0
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)
            heading = plain(headings[-1]) if headings else heading
        for out in cell.get("outputs", []):
            data = out.get("data", {})
            pictured = any(kind in data for kind in PICTURES)
            if pictured and re.search(r"<(script|svg)\b", data.get("text/html", ""), re.IGNORECASE):
                del data["text/html"]
            data.pop(METRICS, None)
            if "metadata" in out:
                out.metadata = {}  # it may contain file names and frames
            if pictured:
                number += 1
                parts = (f"Figure {number}", heading, first_sentence(notebook.cells[position + 1 :]))
                cell.metadata["mystnb"] = {"image": {"alt": ": ".join(filter(None, parts))}}
    return notebook


def first_sentence(cells: Sequence["NotebookNode"]) -> str:
    """Return the first sentence below a figure.

    Parameters
    ----------
    cells : sequence of NotebookNode
        The cells below it.

    Returns
    -------
    str
        The sentence; "" if a new section or code follows the figure.
    """
    if not cells or cells[0].cell_type != "markdown" or cells[0].source.startswith(("#", "<")):
        return ""
    return re.split(r"(?<=[.:?]) ", plain(cells[0].source.split("\n\n")[0]))[0]


def plain(markdown: str) -> str:
    """Remove links and marks from Markdown.

    Parameters
    ----------
    markdown : str
        The text.

    Returns
    -------
    str
        The text in one line.
    """
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", re.sub(r"\s+", " ", markdown))
    return re.sub(r"[*`$\\]", "", text)

"""The gallery: for each notebook its first picture, its question, its numbers and, if it was run, how the run ended."""

import base64
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toykit.course.runner import METRICS
from toykit.course.site.notebooks import plain

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: Width of a picture in pixels.
WIDTH = 420


def write_gallery(page: Path, notebooks: dict[str, "NotebookNode"], executed: Path | None = None) -> None:
    """Write the gallery's page and its pictures.

    Parameters
    ----------
    page : Path
        The page, in Markdown; its pictures are written to a folder of the same name.
    notebooks : dict
        The notebooks by the stem of their file names.
    executed : Path, optional
        Folder of `toykit run`, whose metrics.json states how each run ended.
    """
    folder = page.with_suffix("")
    folder.mkdir()
    runs = _runs(executed / "metrics.json") if executed else {}
    parts = ["# Gallery", _summary(runs)]
    for name, notebook in notebooks.items():
        title, entries = first_cell(notebook, name)
        parts.append(f"## {title}")
        picture = first_picture(notebook)
        if picture:
            (folder / f"{name}.jpg").write_bytes(picture)
            parts.append(f"![A figure of {plain(title)}]({folder.name}/{name}.jpg)")
        parts.append(f"{entries.get('Question', '')} [Open the notebook](notebooks/{name}.ipynb).")
        if "In the paper" in entries:
            parts.append(f"In the paper: {entries['In the paper']}")
        numbers = headline_numbers(notebook)
        if numbers:
            parts.append("Numbers: " + ", ".join(f"{key} {value}" for key, value in numbers.items()) + ".")
        if name in runs:
            parts.append(_outcome(runs[name]))
        elif executed:
            parts.append("Not part of the last run: as it is in the folder, or as stored.")
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def first_cell(notebook: "NotebookNode", name: str) -> tuple[str, dict[str, str]]:
    """Read title and entries of a notebook's first cell.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook.
    name : str
        Stem of its file name.

    Returns
    -------
    str
        The title, as Markdown; `name` if it has none.
    dict
        The entries, such as "Question", as Markdown.
    """
    source = next((cell.source for cell in notebook.cells if cell.source.startswith("# ")), "")
    heading = re.match(r"# (.+)", source)
    entries = re.findall(r"\*\*([A-Z][\w ]+?)[.:]?\*\*:?(.*?)(?= \*\*[A-Z]|$)", re.sub(r"\s+", " ", source))
    return heading[1] if heading else name, {key: text.strip() for key, text in entries}


def first_picture(notebook: "NotebookNode") -> bytes:
    """Return a small version of a notebook's first picture.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook with its outputs.

    Returns
    -------
    bytes
        A JPEG; empty if the notebook has no picture.
    """
    from PIL import Image

    for cell in notebook.cells:
        for out in cell.get("outputs", []):
            data = out.get("data", {})
            encoded = data.get("image/png") or data.get("image/jpeg")
            if encoded:
                image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
                image.thumbnail((2 * WIDTH, 4 * WIDTH))
                file = io.BytesIO()
                image.save(file, "JPEG", quality=85)
                return file.getvalue()
    return b""


def headline_numbers(notebook: "NotebookNode") -> dict[str, str]:
    """Return the numbers that a notebook recorded (`toykit.course.runner.record`).

    Parameters
    ----------
    notebook : NotebookNode
        The notebook with its outputs.

    Returns
    -------
    dict
        The numbers by name, formatted.
    """
    outputs = (out for cell in notebook.cells for out in cell.get("outputs", []))
    numbers = {key: value for out in outputs for key, value in out.get("data", {}).get(METRICS, {}).items()}
    return {key: "nan" if value is None else f"{value:.4g}" for key, value in numbers.items()}


def _runs(path: Path) -> dict[str, Any]:
    """Return how the notebooks of `toykit run` ended, or raise ValueError."""
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["notebooks"]
        return {name: {"status": run["status"], "seconds": float(run["seconds"]), **run} for name, run in runs.items()}
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise ValueError(
            f"{path}: expected the metrics.json that `toykit run` writes, and it is not ({type(error).__name__}: {error})"
        ) from error


def _summary(runs: dict[str, Any]) -> str:
    """Return the gallery's first sentence."""
    if not runs:
        return "A figure of each notebook, and the numbers that it records, from the outputs stored in the notebooks."
    failed = sum(run["status"] == "failed" for run in runs.values())
    minutes = sum(run["seconds"] for run in runs.values()) / 60
    return f"The course as it ran. Notebooks: {len(runs)}, failed: {failed}. Together {minutes:.1f} minutes."


def _outcome(run: dict[str, Any]) -> str:
    """Return how a run ended, and the first line of its error."""
    if run["status"] != "failed":
        return f"Run: {run['status']}, {run['seconds']:.0f} seconds."
    message = (run.get("error", "").splitlines() or ["no message"])[0].replace("`", "'")
    return f"Run: **failed** after {run['seconds']:.0f} seconds: `{message}`"

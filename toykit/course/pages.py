"""Static pages of executed notebooks: they open from a disk and load nothing from the network.

Parts of a notebook's own HTML that a browser would fetch or run are removed (`static_html`), and each page's policy forbids
them to the browser as well. `exporter` converts the cells.
"""

import base64
import html
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from toykit.course.exporter import PICTURES, TEMPLATES, address, exporter_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: Content security policy: only pictures and styles within the page.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
#: Tag of the cells that papermill adds to a failed notebook.
ADDED = "papermill-error-cell-tag"
#: Id of the added cell right above the error.
STOPPED = "papermill-error-cell"


@dataclass(frozen=True)
class Chapter:
    """The entries of a notebook's first cell, as Markdown; "" for an entry that it lacks.

    Parameters
    ----------
    name : str
        Stem of the notebook's file name.
    title : str
        Its heading.
    question : str
        "Question".
    paper : str
        "In the paper": figures, equations, tables.
    afterwards : str
        "Afterwards you can": the goals.
    needs : str
        "You need": the prerequisites.
    run_time : str
        "Run time".
    """

    name: str
    title: str
    question: str
    paper: str
    afterwards: str
    needs: str
    run_time: str


class Outcome(Protocol):
    """How a run ended, see `toykit.course.runner.Result`."""

    status: str
    seconds: float
    error: str
    too_large: list[str]


def chapter(notebook: "NotebookNode", name: str) -> Chapter:
    """Read the entries of a notebook's first cell.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook.
    name : str
        Stem of its file name.

    Returns
    -------
    Chapter
        The entries.
    """
    first = next((cell for cell in notebook.cells if ADDED not in cell.metadata.get("tags", [])), None)
    source = first.source if first and first.cell_type == "markdown" else ""
    heading = re.match(r"# (.+?)(?= \*\*|$)", source, re.MULTILINE)
    text = re.sub(r"\s+", " ", source)

    def after(promise: str) -> str:
        entry = re.search(rf"\*\*{promise}[.:]?\*\*:?(.*?)(?= \*\*[A-Z]|$)", text)
        return entry[1].strip() if entry else ""

    return Chapter(
        name,
        heading[1] if heading else name,
        *(after(promise) for promise in ("Question", "In the paper", "Afterwards you can", "You need", "Run time")),
    )


def page(notebook: "NotebookNode", name: str, chapters: Iterable[Chapter] = (), error: str = "") -> str:
    """Convert one executed notebook to a page. Outputs that need a script are replaced by the picture or text beside them.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook with its outputs.
    name : str
        Stem of its file name.
    chapters : iterable of Chapter, optional
        Pages that it may link to, in their order. With them it gets links to the previous page, the next and the index.
    error : str, optional
        Why its run stopped; shown at the top if no cell shows it (the kernel died).

    Returns
    -------
    str
        HTML that loads nothing.
    """
    chapters = list(chapters)
    names = [c.name for c in chapters]
    exporter = exporter_of(frozenset(names))
    body, resources = exporter.from_notebook_node(_static(notebook))
    navigation = _navigation(chapters, names.index(name)) if name in names else ""
    if error and f'id="{STOPPED}"' not in body:
        body = (
            f'<p class="failed" id="{STOPPED}"><strong>failed</strong>: <code>{html.escape(error)}</code></p>\n{body}'
        )
    body = f"{navigation}\n<main>\n{body}\n</main>\n{navigation}"
    return _document(chapter(notebook, name).title, body, *resources["inlining"]["css"])


def index(entries: Iterable[tuple[Chapter, "NotebookNode | None", Outcome]]) -> str:
    """Make the gallery's first page: a card for each notebook, with the outcome of its run.

    Parameters
    ----------
    entries : iterable of tuple
        (chapter, executed notebook or None if there is none, outcome).

    Returns
    -------
    str
        HTML that loads nothing.
    """
    entries = list(entries)
    exporter = exporter_of(frozenset(c.name for c, notebook, _ in entries if notebook))
    cards = [_card(c, notebook, result, exporter.inline) for c, notebook, result in entries]
    failed = sum(result.status == "failed" for _, _, result in entries)
    body = (
        "<main>\n<h1>From a few scribbles to soft labels for every pixel</h1>\n"
        "<p>The course of toykit, as it ran: soft self-labelling and Potts relaxations for weakly-supervised segmentation, "
        "after Zhang &amp; Boykov (CVPR 2025). The pages need no network.</p>\n"
        f'<p class="small">Notebooks: {len(entries)}, failed: {failed}. Together '
        f"{_minutes(sum(result.seconds for _, _, result in entries))}.</p>\n{chr(10).join(cards)}\n</main>"
    )
    return _document("toykit: the course", body)


def _card(c: Chapter, notebook: "NotebookNode | None", result: Outcome, render: Callable[[str], str]) -> str:
    """Return the card of one notebook."""
    picture = thumbnail(notebook) if notebook else ""
    image = f'<img src="{picture}" alt="A figure of {html.escape(_plain(c.title))}">' if picture else "<div></div>"
    title = f'<a href="{address(c.name)}">{render(c.title)}</a>' if notebook else render(c.title)
    lines = [f"<h2>{title}</h2>", f"<p>{render(c.question)}</p>"]
    lines += [f'<p class="small">In the paper: {render(c.paper)}</p>'] if c.paper else []
    lines += [f'<p class="small">{_state(result, address(c.name) if notebook else "")}</p>']
    return f'<article class="card {result.status}">{image}<div>{"".join(lines)}</div></article>'


def _state(result: Outcome, target: str) -> str:
    """Describe the outcome of a run; for a failed run the error, linked to its cell on the page `target`, if there is one."""
    time = _minutes(result.seconds)
    if result.status != "failed":
        notes = [f"{name} is large" for name in result.too_large]
        return html.escape(", ".join([f"ok, {time}", *notes]))
    error = f"<code>{html.escape((result.error.splitlines() or ['no message'])[0])}</code>"
    error = f'<a href="{target}#{STOPPED}">{error}</a>' if target else error
    return f"<strong>failed</strong> after {time}: {error}"


def _document(title: str, body: str, *styles: str) -> str:
    """Return a whole page around a body."""
    style = "\n".join([*styles, (TEMPLATES / "page" / "style.css").read_text(encoding="utf-8")])
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def thumbnail(notebook: "NotebookNode", width: int = 420) -> str:
    """Return a small version of a notebook's first picture.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook with its outputs.
    width : int, default 420
        Width of the result in pixels.

    Returns
    -------
    str
        The picture as a data address; "" if the notebook has none.
    """
    from PIL import Image

    for cell in notebook.cells:
        for out in cell.get("outputs", []):
            for kind in PICTURES:
                if kind in out.get("data", {}):
                    image = Image.open(io.BytesIO(base64.b64decode(out.data[kind]))).convert("RGB")
                    image.thumbnail((width, 2 * width))
                    file = io.BytesIO()
                    image.save(file, "JPEG", quality=85)
                    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return ""


def _minutes(seconds: float) -> str:
    """Format a time in seconds or minutes."""
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.1f} minutes"


def _navigation(chapters: list[Chapter], here: int) -> str:
    """Return the links to the previous page, the index and the next page."""

    def link(position: int, relation: str, text: str) -> str:
        if not 0 <= position < len(chapters):
            return "<span></span>"
        target = chapters[position]
        return f'<a href="{address(target.name)}" rel="{relation}">{html.escape(text.format(target.title))}</a>'

    links = [link(here - 1, "prev", "← {}"), '<a href="index.html">All notebooks</a>', link(here + 1, "next", "{} →")]
    return f'<nav aria-label="Notebooks">{"".join(links)}</nav>'


def _static(notebook: "NotebookNode") -> "NotebookNode":
    """Copy a notebook, with pictures instead of HTML that draws; describe each by its heading and the sentence below it."""
    import copy

    notebook = copy.deepcopy(notebook)
    heading, number = "", 0
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)
            heading = _plain(headings[-1]) if headings else heading
        for out in cell.get("outputs", []):
            data = out.get("data", {})
            if len(data) > 1 and re.search(r"<(script|svg)\b", data.get("text/html", ""), re.IGNORECASE):
                del data["text/html"]
            out.metadata = {}  # it may contain file names and frames
            for kind in ("image/svg+xml", *PICTURES):
                if kind in data:
                    number += 1
                    parts = (f"Figure {number}", heading, _first_sentence(notebook.cells[position + 1 :]))
                    out.metadata[kind] = {"alt": ": ".join(filter(None, parts))}
    return notebook


def _first_sentence(cells: Sequence["NotebookNode"]) -> str:
    """Return the first sentence below a figure; "" if a new section or code follows the figure."""
    if not cells or cells[0].cell_type != "markdown" or cells[0].source.startswith(("#", "<")):
        return ""
    return re.split(r"(?<=[.:?]) ", _plain(cells[0].source.split("\n\n")[0]))[0]


def _plain(markdown: str) -> str:
    """Remove links and marks from Markdown."""
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", re.sub(r"\s+", " ", markdown))
    return re.sub(r"[*`$\\]", "", text)

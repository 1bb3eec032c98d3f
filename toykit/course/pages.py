"""Static pages of executed notebooks: they read from a disk, and nothing in them asks the network.

What a notebook's own HTML would fetch or run is taken out (`static_html`), and each page's policy has the browser refuse
it as well. Mathematics, of Markdown and of LaTeX outputs, becomes MathML at export, through latex2mathml: today's browsers
draw it themselves, so that a page needs neither MathJax (a script of megabytes) nor a picture for each formula; text
readers read it, and it grows with the text. Links between notebooks become links between pages; what lies in the
repository alone keeps its name.
"""

import base64
import html
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote

from toykit.course.static_html import clean, line

TEMPLATES = Path(__file__).parent / "templates"
PICTURES = ("image/png", "image/jpeg")
#: What a page shows of an output: the first of these that it has.
SHOWN = ("text/html", "text/markdown", "image/svg+xml", "text/latex", *PICTURES, "text/plain")
#: For the browser: pictures and styles within the page, nothing else.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
#: Of the cells that papermill adds to a notebook that failed: their tag, and where the one above the error stands.
ADDED = "papermill-error-cell-tag"
STOPPED = "papermill-error-cell"


@dataclass(frozen=True)
class Chapter:
    """What a notebook's first cell promises, as Markdown."""

    name: str  # its file's stem
    title: str
    question: str
    paper: str  # "In the paper": figures, equations, tables
    afterwards: str  # "Afterwards you can"
    needs: str  # "You need"
    run_time: str


def chapter(notebook, name: str) -> Chapter:
    """The first cell of a notebook (an nbformat node), taken apart; what it does not say is ""."""
    first = next((cell for cell in notebook.cells if ADDED not in cell.metadata.get("tags", [])), None)
    source = first.source if first and first.cell_type == "markdown" else ""
    heading = re.match(r"# (.+?)(?= \*\*|$)", source, re.MULTILINE)
    text = re.sub(r"\s+", " ", source)

    def after(promise: str) -> str:
        found = re.search(rf"\*\*{promise}[.:]?\*\*:?(.*?)(?= \*\*[A-Z]|$)", text)
        return found[1].strip() if found else ""

    return Chapter(
        name,
        heading[1] if heading else name,
        *(after(promise) for promise in ("Question", "In the paper", "Afterwards you can", "You need", "Run time")),
    )


def page(notebook, name: str, chapters: Iterable[Chapter] = (), error: str = "") -> str:
    """One notebook (an nbformat node with its outputs) as a page: HTML that loads nothing.

    chapters: the pages that it may link to, in their order; with them it gets links to the one before, the one after and
        the index. Of outputs that need a script only the picture or text beside them is shown.
    error: why its run stopped, to be said on top if no cell says it (the kernel died).
    """
    chapters = list(chapters)
    names = [c.name for c in chapters]
    exporter = _exporter(frozenset(names))
    body, resources = exporter.from_notebook_node(_static(notebook))
    navigation = _navigation(chapters, names.index(name)) if name in names else ""
    if error and f'id="{STOPPED}"' not in body:
        body = (
            f'<p class="failed" id="{STOPPED}"><strong>failed</strong>: <code>{html.escape(error)}</code></p>\n{body}'
        )
    body = f"{navigation}\n<main>\n{body}\n</main>\n{navigation}"
    return _document(chapter(notebook, name).title, body, *resources["inlining"]["css"])


def index(entries: Iterable[tuple[Chapter, object, object]]) -> str:
    """The gallery's first page: a card for each notebook, with how its run ended.

    entries: (chapter, executed notebook or None if there is none, `toykit.course.runner.Result`).
    """
    entries = list(entries)
    exporter = _exporter(frozenset(c.name for c, notebook, _ in entries if notebook))
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


def _card(c: Chapter, notebook, result, render) -> str:
    picture = thumbnail(notebook) if notebook else ""
    image = f'<img src="{picture}" alt="A figure of {html.escape(_plain(c.title))}">' if picture else "<div></div>"
    title = f'<a href="{_address(c.name)}">{render(c.title)}</a>' if notebook else render(c.title)
    lines = [f"<h2>{title}</h2>", f"<p>{render(c.question)}</p>"]
    lines += [f'<p class="small">In the paper: {render(c.paper)}</p>'] if c.paper else []
    lines += [f'<p class="small">{_state(result, _address(c.name) if notebook else "")}</p>']
    return f'<article class="card {result.status}">{image}<div>{"".join(lines)}</div></article>'


def _state(result, address: str) -> str:
    """How a run ended, in words; of one that failed the error, linked to the cell that raised it."""
    time = _minutes(result.seconds)
    if result.status != "failed":
        notes = [f"{name} is large" for name in result.too_large]
        return html.escape(", ".join([f"ok, {time}", *notes]))
    error = f"<code>{html.escape((result.error.splitlines() or ['no message'])[0])}</code>"
    error = f'<a href="{address}#{STOPPED}">{error}</a>' if address else error
    return f"<strong>failed</strong> after {time}: {error}"


def _document(title: str, body: str, *styles: str) -> str:
    """A whole page around a body."""
    style = "\n".join([*styles, (TEMPLATES / "page" / "style.css").read_text(encoding="utf-8")])
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def thumbnail(notebook, width: int = 420) -> str:
    """The notebook's first picture, `width` pixels wide, as a data address; "" if it has none."""
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


def _address(name: str) -> str:
    """Of the page of a notebook's name, as an attribute takes it."""
    return quote(f"{name}.html")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.1f} minutes"


def _navigation(chapters: list[Chapter], here: int) -> str:
    def link(position: int, relation: str, text: str) -> str:
        if not 0 <= position < len(chapters):
            return "<span></span>"
        target = chapters[position]
        return f'<a href="{_address(target.name)}" rel="{relation}">{html.escape(text.format(target.title))}</a>'

    links = [link(here - 1, "prev", "← {}"), '<a href="index.html">All notebooks</a>', link(here + 1, "next", "{} →")]
    return f'<nav aria-label="Notebooks">{"".join(links)}</nav>'


def _static(notebook):
    """A copy for a page: pictures rather than HTML that draws, each described by the heading above and the words below."""
    import copy

    notebook = copy.deepcopy(notebook)
    heading, number = "", 0
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            found = re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)
            heading = _plain(found[-1]) if found else heading
        for out in cell.get("outputs", []):
            data = out.get("data", {})
            if len(data) > 1 and re.search(r"<(script|svg)\b", data.get("text/html", ""), re.IGNORECASE):
                del data["text/html"]
            out.metadata = {}  # it may name files and frames
            for kind in ("image/svg+xml", *PICTURES):
                if kind in data:
                    number += 1
                    told = (f"Figure {number}", heading, _first_sentence(notebook.cells[position + 1 :]))
                    out.metadata[kind] = {"alt": ": ".join(filter(None, told))}
    return notebook


def _first_sentence(cells: list) -> str:
    """The first sentence right below a figure, if text and not a new section follows it."""
    if not cells or cells[0].cell_type != "markdown" or cells[0].source.startswith(("#", "<")):
        return ""
    return re.split(r"(?<=[.:?]) ", _plain(cells[0].source.split("\n\n")[0]))[0]


def _plain(markdown: str) -> str:
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", re.sub(r"\s+", " ", markdown))
    return re.sub(r"[*`$\\]", "", text)


def _mathml(tex: str, display: str) -> str:
    """A formula as MathML; its source where that cannot be read: a page should not fail on a missing brace."""
    from latex2mathml.converter import convert

    try:
        return convert(tex, display=display)
    except Exception:  # latex2mathml's errors have no base of their own
        return f"<code>{html.escape(tex)}</code>"


@cache
def _exporter(names: frozenset[str]):
    """The exporter of pages among which those called `names` are linked. (Made here: nbconvert is imported when used.)"""
    from nbconvert.exporters.html import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    from traitlets.config import Config

    class Renderer(IPythonRenderer):
        def inline_math(self, body):
            return _mathml(body, "inline")

        def block_math(self, body):
            return _mathml(body.strip(), "block")

        def latex_environment(self, name, body):
            return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

        def link(self, text, url, title=None):
            if re.match(r"https?://|#|mailto:", url):
                return super().link(text, url, title)
            target, _, anchor = url.partition("#")
            stem = Path(unquote(target)).stem
            if target.endswith(".ipynb") and stem in names:
                return super().link(text, _address(stem) + (f"#{anchor}" if anchor else ""), title)
            return text  # lies in the repository: its name is all that a page can give

        def image(self, text, url, title=None):
            if url.startswith("data:") or url.removeprefix("attachment:") in self.attachments:
                return super().image(text, url, title)
            return self.link(text, url, title)  # a page fetches nothing

    class PageExporter(HTMLExporter):
        def __init__(self):
            config = Config(NbConvertBase={"display_data_priority": list(SHOWN)})
            super().__init__(config, template_name="page", extra_template_basedirs=[str(TEMPLATES)])
            self.sanitize_html = True

        def render(self, source, attachments=None):
            renderer = Renderer(escape=False, exclude_anchor_links=False, attachments=attachments)
            return clean(MarkdownWithMath(renderer=renderer).render(source))

        def markdown2html(self, context, source):
            return self.render(source, context.get("cell", {}).get("attachments"))

        markdown2html.__dict__.update(HTMLExporter.markdown2html.__dict__)  # jinja's mark: it passes the context

        def default_filters(self):
            yield from super().default_filters()
            yield "clean_html", clean  # nbconvert's own knows neither formulas nor pictures

        def inline(self, source):
            return line(self.render(source))

    return PageExporter()

"""The exporter from notebooks to static HTML, on top of nbconvert.

Mathematics, in Markdown and in LaTeX outputs, becomes MathML at export, through latex2mathml. Browsers draw MathML themselves,
so a page needs neither MathJax (a script of megabytes) nor a picture per formula; screen readers read it, and it scales with
the text. Links between notebooks become links between pages; links to other files of the repository become text.
"""

import html
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote

from toykit.course.static_html import clean, line

TEMPLATES = Path(__file__).parent / "templates"
PICTURES = ("image/png", "image/jpeg")
#: Forms of an output in order of preference: a page shows the first that the output has.
SHOWN = ("text/html", "text/markdown", "image/svg+xml", "text/latex", *PICTURES, "text/plain")


def address(name: str) -> str:
    """Return the address of a notebook's page, quoted for an attribute.

    Parameters
    ----------
    name : str
        Stem of the notebook's file name.

    Returns
    -------
    str
        The address, relative to the other pages.
    """
    return quote(f"{name}.html")


def _mathml(tex: str, display: str) -> str:
    """Return a formula as MathML, or its source if it cannot be parsed: a missing brace should not stop a page."""
    from latex2mathml.converter import convert

    try:
        return convert(tex, display=display)
    except Exception:  # latex2mathml's errors have no common base class
        return f"<code>{html.escape(tex)}</code>"


@cache
def exporter_of(names: frozenset[str]):
    """Return the exporter for a set of pages. Its classes are made here, so that nbconvert is imported only when used.

    Parameters
    ----------
    names : frozenset of str
        Names of the notebooks that have a page; links to others become text.

    Returns
    -------
    HTMLExporter
        nbconvert's exporter, with a method `inline(source)` that renders a line of Markdown.
    """
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
                return super().link(text, address(stem) + (f"#{anchor}" if anchor else ""), title)
            return text  # a file of the repository, which the page cannot reach

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

        markdown2html.__dict__.update(
            HTMLExporter.markdown2html.__dict__
        )  # jinja's mark, so that it passes the context

        def default_filters(self):
            yield from super().default_filters()
            yield "clean_html", clean  # nbconvert's own removes formulas and pictures

        def inline(self, source):
            return line(self.render(source))

    return PageExporter()

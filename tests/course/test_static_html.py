"""Cleaned HTML: whatever a notebook holds, wherever it holds it, a page fetches nothing, runs nothing and stays whole."""

import re
from html.parser import HTMLParser

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from latex2mathml.converter import convert

from toykit.course import pages
from toykit.course.notebooks import find, read
from toykit.course.runner import Result
from toykit.course.static_html import BLOCKS, DROPPED, FORMULAS, PHRASES, clean, line

ALL = BLOCKS | PHRASES | FORMULAS
VOID = {"br", "hr", "img", "input", "meta", "wbr", "col"}
E = "https://evil.example/x"
HOSTILE = [
    f'<img src="{E}.png" alt="a plot">',
    f'<IMG SRC="{E}.png" srcset="{E} 2x" onerror="evil()">',
    f'<script src="{E}.js"></script>',
    "<script>evil()</script>",
    f'<iframe src="{E}">in a frame</iframe>',
    f'<link rel="stylesheet" href="{E}.css">',
    f'<style>@import "{E}"; p {{ background: url({E}) }}</style>',
    f'<p style="background: url({E}); color: red">red</p>',
    f'<p style="--a: url({E}); cursor: url({E}), auto">plain</p>',
    f'<div onclick="evil()" background="{E}" data-evil="{E}">clicked</div>',
    '<a href="javascript:evil()">run</a>',
    '<a href="data:text/html,evil">data</a>',
    f'<video src="{E}" poster="{E}" autoplay></video>',
    f'<audio src="{E}"></audio><embed src="{E}"><object data="{E}"></object>',
    f'<svg><image href="{E}"/><script>evil()</script></svg>',
    f'<math><mtext><img src="{E}"></mtext><annotation-xml encoding="text/html"><script>evil()</script></math>',
    f'<form action="{E}"><input type="image" src="{E}"><button>go</button></form>',
    f'<meta http-equiv="refresh" content="0;url={E}"><base href="{E}">',
    f'<input type="image" src="{E}">',
    "<!-- left open ",
    "<div><table><tr><td>left open",
    "</div></div></main></body>",
    "<textarea>",
    "<plaintext>",
    "&lt;script&gt;",
    '<img src="data:image/png;base64,AAAA" alt="mine">',
]


class Page(HTMLParser):
    """A page's tags and attributes, its text, and whether each element ends where it should."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text, self.balanced = [], [], "", True
        self.feed(text)
        self.close()
        self.balanced = self.balanced and not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            self.balanced = self.balanced and bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def assert_still(text, extra=()):
    """Nothing is fetched, nothing is run, every element ends."""
    page = Page(text)
    assert page.balanced, text
    for tag, attributes in page.tags:
        assert tag in ALL | set(extra), tag
        assert not any(name.startswith(("on", "data-")) for name in attributes), attributes
        for name, value in attributes.items():
            if (tag, name) == ("a", "href"):
                assert not re.match(r"\s*(javascript|data):", value), value
            elif (tag, name) == ("img", "src"):
                assert value.startswith("data:image/"), value
            else:
                assert "evil" not in (value or ""), (tag, name, value)
                assert name not in ("href", "src", "srcset", "action", "poster", "background"), (tag, name)
    return page


@given(st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=5), st.integers(0, 60))
def test_fragments_fetch_nothing_and_close_what_they_open(pieces, cut):
    text = "".join(pieces)
    assert_still(clean(text[: len(text) - cut]))
    assert {tag for tag, _ in assert_still(line(text[: len(text) - cut])).tags} <= PHRASES | FORMULAS


WHOLE = {"html", "head", "meta", "title", "style", "body", "main", "nav", "article"}


@pytest.mark.parametrize("place", ["markdown", "raw", "text/html", "text/markdown", "text/latex", "text/plain"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_pages_are_still_whatever_a_cell_holds(place, hostile):
    cells = [nbformat.v4.new_markdown_cell("# A title")]
    if "/" in place:
        out = nbformat.v4.new_output("display_data", data={place: hostile}, metadata={place: {"isolated": True}})
        cells.append(nbformat.v4.new_code_cell("pass", outputs=[out]))
    elif place == "raw":
        cells.append(nbformat.v4.new_raw_cell(hostile, metadata={"raw_mimetype": "text/html"}))
    else:
        cells.append(nbformat.v4.new_markdown_cell(hostile))
    cells.append(nbformat.v4.new_markdown_cell("The end."))
    page = assert_still(pages.page(nbformat.v4.new_notebook(cells=cells), "a"), WHOLE)
    assert page.text.rstrip().endswith("The end.")
    assert place == "text/plain" or "evil()" not in page.text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_index_is_still(hostile):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(f"# A {hostile}\n\n**Question.** {hostile}")]
    )
    result = Result("a", "failed", 1.0, error=hostile)
    assert_still(pages.index([(pages.chapter(notebook, "a"), notebook, result)]), WHOLE)


def test_names_in_the_metadata_are_not_fetched():
    data = {"image/png": "AAAA", "text/html": "<b>bold</b>"}
    for kind in data:
        metadata = {"filenames": {kind: f"{E}.png"}, kind: {"isolated": True, "alt": '"><script>'}}
        out = nbformat.v4.new_output("display_data", data={kind: data[kind]}, metadata=metadata)
        code = nbformat.v4.new_code_cell("pass", outputs=[out], metadata={"tags": ['"><script>run()</script>']})
        assert_still(pages.page(nbformat.v4.new_notebook(cells=[code]), "a"), WHOLE)


def test_what_the_course_uses_stays():
    kept = [
        '<details open=""><summary>Solution</summary><p>x</p></details>',
        '<table><tbody><tr><th style="text-align:right">a</th><td colspan="2">1</td></tr></tbody></table>',
        '<a href="01_moves.html#end">next</a> <a href="https://example.org">web</a> <a href="#here" class="anchor-link">¶</a>',
        '<h2 id="here">A <code>b</code> <em>c</em></h2>',
        '<img src="data:image/png;base64,AAAA" alt="a figure" width="20">',
        '<input type="checkbox" disabled="" checked="">',
        '<div class="highlight"><pre><span class="k">import</span> x  # a &lt; b\n</pre></div>',
    ]
    for text in kept:
        assert clean(text) == text
    assert clean('<img src="x.png" alt="a plot">') == '<img alt="a plot">'
    assert line("<p>Is <em>a</em> <table><tr><td>b</td></tr></table></p>\n") == "Is <em>a</em> b"
    assert clean("<style>p { color: red }</style>text<script>run()</script>") == "text"


FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)
SOURCES = [c.source for path in find() for c in read(path).cells if c.cell_type == "markdown"]


def test_formulas_stay():
    """Cleaning changes no element, attribute or letter of the course's formulas, nor of the rarer constructs below."""
    formulas = {a.strip() or b for source in SOURCES for a, b in FORMULA.findall(source)}
    assert len(formulas) > 50
    rare = [
        r"\left[\begin{matrix}1 & 2\\3 & 4\end{matrix}\right]",
        r"\sqrt[3]{x}",
        r"\color{red}{a}",
        r"\underbrace{x}_n",
    ]
    rare += [
        r"\overline{x}\vec{y}\phantom{z}",
        r"\mathbb{R}^{n \times m}",
        r"\begin{align}a&=b\end{align}",
        r"\binom{n}{k}",
    ]
    for tex in [*formulas, *rare]:
        drawn = convert(tex, display="block")
        before, after = Page(drawn), Page(clean(drawn))
        assert after.tags == before.tags, tex
        assert after.text == before.text, tex


def test_lists_do_not_overlap():
    assert len(ALL | DROPPED) == sum(map(len, (BLOCKS, PHRASES, FORMULAS, DROPPED)))

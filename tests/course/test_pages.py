"""The gallery: pages that load nothing, whose links arrive, whose mathematics is drawn, and an index of them all."""

import base64
import itertools
import re
from html.parser import HTMLParser
from io import BytesIO

import nbformat
import pytest
from PIL import Image

from toykit.course import pages
from toykit.course.notebooks import find, read
from toykit.course.runner import Result, run

COURSE = [(path.stem, read(path)) for path in find()]
LOADING = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "object": "data",
    "embed": "src",
}


class Tags(HTMLParser):
    """All tags of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def loaded(text):
    """What a browser would fetch for a page; data addresses are in it already."""
    addresses = [attributes.get(LOADING[tag]) for tag, attributes in Tags(text).tags if tag in LOADING]
    addresses += re.findall(
        r"url\(['\"]?([^)]*)|@import\s+([^;]+)", "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    )
    return [address for address in addresses if not (isinstance(address, str) and address.startswith("data:"))]


@pytest.fixture(scope="module")
def site():
    """The gallery of the stored notebooks: file name -> text."""
    chapters = [pages.chapter(notebook, name) for name, notebook in COURSE]
    texts = {f"{name}.html": pages.page(notebook, name, chapters) for name, notebook in COURSE}
    entries = [(c, notebook, Result(name, "ok", 100.0)) for c, (name, notebook) in zip(chapters, COURSE, strict=True)]
    return texts | {"index.html": pages.index(entries)}


def test_nothing_is_loaded_and_nothing_is_scripted(site):
    for name, text in site.items():
        assert loaded(text) == [], name
        assert not any(tag == "script" for tag, _ in Tags(text).tags), name


def test_links_arrive(site):
    for name, text in site.items():
        tags = Tags(text).tags
        targets = [attributes["href"] for tag, attributes in tags if tag == "a" and "href" in attributes]
        assert targets
        for target in targets:
            file, _, anchor = target.partition("#")
            if target.startswith(("http://", "https://")):
                continue
            assert not file or file in site, f"{name}: {target}"
            if anchor and not file:
                assert any(attributes.get("id") == anchor for _, attributes in tags), f"{name}: {target}"


def test_small_and_every_picture_described(site):
    assert sum(len(text.encode()) for text in site.values()) < 15e6
    for name, text in site.items():
        assert all(attributes.get("alt") for tag, attributes in Tags(text).tags if tag == "img"), name


def test_mathematics_is_drawn_by_the_browser(site):
    assert sum(text.count("<math") for text in site.values()) > 50
    for (name, _), text in zip(COURSE, list(site.values())[:-1], strict=True):
        prose = re.sub(r"<(pre|code|style)\b.*?</\1>", "", text, flags=re.DOTALL)
        assert "$" not in re.sub(r'"[^"]*"', "", prose), name
        assert "\\" not in "".join(re.findall(r"<math.*?</math>", prose, re.DOTALL)), name


def test_a_formula_that_cannot_be_read_stays_as_it_is():
    text = pages.page(example(FIRST, "Now $a_b_c < 1$ and\n\n$$\\left( x$$\n\nand $x^2$."), "09_ab")
    assert "<code>a_b_c &lt; 1</code>" in text
    assert "<code>\\left( x</code>" in text
    assert "<msup>" in text


def test_pages_follow_each_other_and_the_index_lists_all(site):
    names = [name for name, _ in COURSE]
    for before, after in itertools.pairwise(names):
        assert f'href="{after}.html" rel="next"' in site[f"{before}.html"]
        assert f'href="{before}.html" rel="prev"' in site[f"{after}.html"]
    listed = re.findall(r'<h2><a href="(\w+)\.html">', site["index.html"])
    assert listed == names
    assert site["index.html"].count('<img src="data:image/jpeg;base64,') == len(names)
    assert site["index.html"].count("ok, 1.7 minutes") == len(names)
    assert f"Notebooks: {len(names)}, failed: 0. Together {len(names) / 0.6:.1f} minutes." in site["index.html"]
    assert all(site[f"{name}.html"].count('href="index.html"') == 2 for name in names)


def test_an_output_ends_where_the_next_cell_begins():
    """A block left open would take all that follows into itself."""
    out = nbformat.v4.new_output("display_data", data={"text/plain": "seen"})
    text = pages.page(example(FIRST, "After it.", outputs=[out, out]), "09_ab")
    before = text[text.index("<main>") : text.index("After it.")]
    assert before.count("<div") - before.count("</div>") == 3  # cell, inner cell, text


def test_lines_that_a_kernel_sent_apart_are_one_block():
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=line) for line in ("one\n", "two\n")]
    assert "one\ntwo" in pages.page(example(FIRST, outputs=outputs), "09_ab")


def test_odd_notebooks_have_titles():
    def title(*markdown):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in markdown])
        return pages.chapter(notebook, "name").title

    assert title("# A title\n\nand a paragraph.\n\n# Another") == "A title"
    assert title("Words.\n\n## Section\n\n# Late") == "name"
    assert title("# A title **Question.** What?") == "A title"
    code = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("# a comment\npass")])
    assert pages.chapter(code, "name").title == "name"


def test_pages_of_any_name_are_linked():
    chapters = [pages.Chapter(n, n, "", "", "", "", "") for n in ("a b", 'c#"d')]
    text = pages.page(example("# a\n\n[own](a%20b.ipynb#end), [other](<c%23%22d.ipynb>)"), "a b", chapters)
    assert '<a href="a%20b.html#end">own</a>, <a href="c%23%22d.html">other</a>' in text
    assert '<a href="c%23%22d.html" rel="next">' in text
    entries = [(c, nbformat.v4.new_notebook(), Result(c.name, "ok", 1.0)) for c in chapters]
    assert re.findall(r'<h2><a href="(.*?)">', pages.index(entries)) == ["a%20b.html", "c%23%22d.html"]


def test_no_picture_is_fetched_and_no_script_is_left():
    outputs = [
        nbformat.v4.new_output("display_data", data={kind: "run()", "text/plain": "in words"})
        for kind in ("application/javascript", "application/vnd.plotly.v1+json")
    ]
    text = pages.page(example(FIRST, "![a plot](https://example.org/a.png) ![here](b.png)", outputs=outputs), "09_ab")
    assert loaded(text) == []
    assert "run()" not in text
    assert text.count("in words") == 2
    assert '<a href="https://example.org/a.png">a plot</a> here' in text


def test_attachments_are_shown_and_missing_ones_named():
    notebook = example(FIRST, "![mine](attachment:a.png) ![gone](attachment:b.png)")
    notebook.cells[-1].attachments = {"a.png": {"image/png": picture()}}
    text = pages.page(notebook, "09_ab")
    assert ("img", {"src": f"data:image/png;base64,{picture()}", "alt": "mine"}) in Tags(text).tags
    assert "/> gone</p>" in text


@pytest.mark.parametrize("tex", ["$\\displaystyle x^{2}$", "$$x^{2}$$", "\\begin{equation}x^{2}\\end{equation}"])
def test_latex_outputs_are_drawn(tex):
    out = nbformat.v4.new_output("display_data", data={"text/latex": tex, "text/plain": "x**2"})
    text = pages.page(example(FIRST.replace("$", ""), outputs=[out]), "09_ab")
    assert "<msup><mi>x</mi><mrow><mn>2</mn></mrow></msup>" in text
    assert "$" not in text
    assert "\\begin" not in text
    assert "x**2" not in text


def test_svg_is_a_picture_with_a_description():
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><script>run()</script></svg>'
    html = nbformat.v4.new_output("display_data", data={"text/html": drawing, "text/plain": "in words"})
    svg = nbformat.v4.new_output("display_data", data={"image/svg+xml": drawing, "text/plain": "a drawing"})
    text = pages.page(example(FIRST, "A line.", outputs=[html, svg]), "09_ab")
    address = f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"
    assert ("img", {"src": address, "alt": "Figure 1: 09 · A & B: A line."}) in Tags(text).tags
    assert "in words" in text
    assert "a drawing" not in text


def test_the_index_says_how_each_run_ended():
    chapters = [pages.chapter(example(f"# {n}\n\n**In the paper:** Fig. {n}."), f"n{n}") for n in range(4)]
    results = [
        Result("n0", "ok", 45.0),
        Result("n1", "failed", 130.0, error="cell 3: ValueError: a < b\nmore"),
        Result("n2", "failed", 2.0, error="RuntimeError: no kernel"),
        Result("n3", "large", 3.0, too_large=["n3.html"]),
    ]
    notebooks = [example("# 0"), example("# 1"), None, example("# 3")]
    text = pages.index(zip(chapters, notebooks, results, strict=True))
    assert "Notebooks: 4, failed: 2. Together 3.0 minutes." in text
    cards = text.split("<article")[1:]
    assert "ok, 45 seconds</p>" in cards[0]
    error = '<a href="n1.html#papermill-error-cell"><code>cell 3: ValueError: a &lt; b</code></a></p>'
    assert f"<strong>failed</strong> after 2.2 minutes: {error}" in cards[1]
    assert "<strong>failed</strong> after 2 seconds: <code>RuntimeError: no kernel</code></p>" in cards[2]
    assert "<a " not in cards[2]  # there is no page of it
    assert "ok, 3 seconds, n3.html is large</p>" in cards[3]
    assert all(f"In the paper: Fig. {n}." in card for n, card in enumerate(cards))


def picture(width=20):
    file = BytesIO()
    Image.new("RGB", (width, 10), (200, 30, 30)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def example(*markdown, outputs=()):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in markdown])
    notebook.cells.insert(1, nbformat.v4.new_code_cell("pass", outputs=list(outputs)))
    return notebook


FIRST = """# 09 · A & B

**Question.** Is $a < b$?

**In the paper:** Fig. 9.

**Afterwards you can** add.

**You need** [00](00_a.ipynb). **Run time** on two cores: long."""


def test_the_first_cell_is_taken_apart():
    c = pages.chapter(example(FIRST), "09_ab")
    assert (c.name, c.title, c.question, c.paper) == ("09_ab", "09 · A & B", "Is $a < b$?", "Fig. 9.")
    assert (c.afterwards, c.needs, c.run_time) == ("add.", "[00](00_a.ipynb).", "on two cores: long.")
    bare = pages.chapter(nbformat.v4.new_notebook(), "bare")
    assert (bare.title, bare.question) == ("bare", "")
    assert "number" in pages.page(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("number")]), "bare")


def test_tagged_code_is_folded_and_its_output_is_not():
    cells = [
        nbformat.v4.new_code_cell("import os", metadata={"tags": ["hide-input"]}),
        nbformat.v4.new_code_cell("1 + 1"),
    ]
    cells[0].outputs = [nbformat.v4.new_output("stream", name="stdout", text="shown")]
    text = pages.page(nbformat.v4.new_notebook(cells=cells), "n", [])
    folded = re.findall(r'<details class="folded">(.*?)</details>', text, re.DOTALL)
    assert len(folded) == 1
    assert "import" in folded[0]
    assert "shown" not in folded[0]
    assert "shown" in text


def test_links_become_pages_or_plain_names():
    text = (
        "[next](01_b.ipynb#end), [gone](02_c.ipynb), [code](../toykit/energy/energy.py), [paper](https://example.org)"
    )
    notebook = example(FIRST, text)
    linked = pages.page(notebook, "00_a", [pages.Chapter(n, n, "", "", "", "", "") for n in ("00_a", "01_b")])
    assert '<a href="01_b.html#end">next</a>, gone, code, <a href="https://example.org">paper</a>' in linked
    assert '<a href="00_a.html">00</a>' in linked
    alone = pages.page(notebook, "00_a")
    assert "next, gone, code" in alone
    assert "<nav" not in alone


def test_pictures_are_described_by_what_stands_around_them():
    out = nbformat.v4.new_output("display_data", data={"image/png": picture(), "text/html": "<script>draw()</script>"})
    notebook = example(FIRST, "The **edge** is $\\sigma$ sharp. More.", outputs=[out])
    text = pages.page(notebook, "09_ab")
    assert 'alt="Figure 1: 09 · A &amp; B: The edge is sigma sharp."' in text
    assert "draw()" not in text
    assert notebook.cells[1].outputs[0].data["text/html"]  # the notebook itself is left as it was


def test_thumbnails_are_narrow():
    out = nbformat.v4.new_output("display_data", data={"image/png": picture(900)})
    address = pages.thumbnail(example(FIRST, outputs=[out]), width=100)
    image = Image.open(BytesIO(base64.b64decode(address.partition(",")[2])))
    assert image.size[0] == 100
    assert pages.thumbnail(example(FIRST)) == ""


def test_a_page_says_once_why_its_run_stopped():
    died = pages.page(example(FIRST), "09_ab", error="DeadKernelError: <died>")
    assert "<strong>failed</strong>: <code>DeadKernelError: &lt;died&gt;</code>" in died
    assert died.count('id="papermill-error-cell"') == 1
    told = '<span id="papermill-error-cell">stopped here:</span>'
    text = pages.page(example(FIRST, told), "09_ab", error="cell 3: ValueError")
    assert text.count('id="papermill-error-cell"') == 1
    assert "cell 3" not in text
    assert "failed" not in re.sub(r"<style>.*</style>", "", pages.page(example(FIRST), "09_ab"), flags=re.DOTALL)


def test_a_run_writes_linked_pages_and_an_index(tmp_path):
    paths = []
    for name, first in (("00_a", "# 00 · A\n\n[01](01_b.ipynb)"), ("01_b", "# 01 · B")):
        notebook = example(first)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook.cells[1].source = "print('ran')" if name == "00_a" else "[][7]"
        paths.append(tmp_path / f"{name}.ipynb")
        nbformat.write(notebook, paths[-1])
    run(paths[:1], [{}], tmp_path / "alone", progress=False)
    assert sorted(p.name for p in (tmp_path / "alone").iterdir()) == ["00_a.html", "00_a.ipynb", "metrics.json"]
    results = run(paths, [{}, {}], tmp_path / "site", progress=False, linked=True)
    assert [r.status for r in results] == ["ok", "failed"]
    page = (tmp_path / "site" / "00_a.html").read_text()
    assert "ran" in page
    assert '<a href="01_b.html">01</a>' in page
    index = (tmp_path / "site" / "index.html").read_text()
    assert index.index("00 · A") < index.index("01 · B")
    address, anchor = re.search(r'<a href="(01_b.html)#(.*?)"><code>cell 1: IndexError', index).groups()
    failed = (tmp_path / "site" / address).read_text()
    assert "<title>01 · B</title>" in failed  # not papermill's message above it
    assert any(attributes.get("id") == anchor for _, attributes in Tags(failed).tags)

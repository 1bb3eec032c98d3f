"""The gallery's pages in a browser, from the disk and without a network, on a screen and on a telephone."""

import base64
import io

import nbformat
import pytest
from PIL import Image

from toykit.course import pages
from toykit.course.notebooks import find, read
from toykit.course.runner import Result

COURSE = [path.stem for path in find()]
WIDTHS = {"screen": 1280, "telephone": 390}

#: Text that is too small or too pale to read: [letters, size, contrast]. The page's own colours only, no pictures.
FAINT = """() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor
    if (c !== 'rgba(0, 0, 0, 0)') return c } return 'rgb(255, 255, 255)' }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = []
  for (let node; node = walker.nextNode();) {
    const text = node.data.trim(), e = node.parentElement, style = getComputedStyle(e)
    if (!text || !e.checkVisibility({ visibilityProperty: true }) || e.closest('math, sub, sup, style')) continue
    const [a, b] = [light(style.color), light(behind(e))].sort((x, y) => x - y)
    const contrast = (b + 0.05) / (a + 0.05), size = parseFloat(style.fontSize)
    if (size < 12 || contrast < 4.5) found.push([text.slice(0, 40), size, contrast]) }
  return found }"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The gallery of the stored notebooks, on the disk; 00 as if it had failed."""
    folder = tmp_path_factory.mktemp("site")
    notebooks = [read(path) for path in find()]
    chapters = [pages.chapter(notebook, name) for notebook, name in zip(notebooks, COURSE, strict=True)]
    for notebook, name in zip(notebooks, COURSE, strict=True):
        (folder / f"{name}.html").write_text(pages.page(notebook, name, chapters), encoding="utf-8")
    results = [Result(name, "ok", 30.0) for name in COURSE]
    results[0] = Result(COURSE[0], "failed", 30.0, error=f"cell 3: ValueError: {'a_long_name_' * 9}")
    index = pages.index(zip(chapters, notebooks, results, strict=True))
    (folder / "index.html").write_text(index, encoding="utf-8")
    return folder


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["index", *COURSE])
def test_pages_fit_and_are_legible(page, site, screenshots, name, width):
    page.context.set_offline(True)
    page.set_viewport_size({"width": WIDTHS[width], "height": 900})
    page.goto((site / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0 && i.alt)")
    assert page.evaluate("[...document.querySelectorAll('main math')].filter(m => m.checkVisibility())"
                         ".every(m => m.getBoundingClientRect().height > 5)")  # fmt: skip
    assert page.evaluate(FAINT) == []
    for summary in page.locator("summary").all():
        summary.click()  # solutions: closed at first, readable without a script
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]
    assert page.evaluate(FAINT) == []
    page.screenshot(path=screenshots / f"gallery_{name}_{width}.png", full_page=True)


def test_a_reader_walks_from_the_index_to_the_end(page, site):
    page.context.set_offline(True)
    page.goto((site / "index.html").as_uri())
    page.locator("h2 a").first.click()
    for name in COURSE[1:]:
        page.locator('a[rel="next"]').first.click()
        page.wait_for_url(f"**/{name}.html")
    assert page.locator('a[rel="next"]').count() == 0


FETCHING = """# A title

<img src="https://evil.example/a.png" alt="a plot"><img src="x" onerror="document.title = 'ran'">
<script>document.title = 'ran'</script><link rel="stylesheet" href="https://evil.example/a.css">
<iframe src="https://evil.example"></iframe><p style="background: url(https://evil.example/b.png)">end</p>
<svg><image href="https://evil.example/c.png" onload="document.title = 'ran'"/></svg>"""


def write(notebook, path, **changes):
    text = pages.page(notebook, "a")
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def test_nothing_is_asked_for_even_without_the_policy(page, tmp_path):
    """The sanitiser alone: with the policy out of the way, the `page` fixture would see a request."""
    cells = [nbformat.v4.new_markdown_cell(FETCHING)]
    for kind in ("text/html", "text/markdown", "text/latex", "image/svg+xml"):
        out = nbformat.v4.new_output("display_data", data={kind: FETCHING})
        cells.append(nbformat.v4.new_code_cell("pass", outputs=[out]))
    address = write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.html", policy=(pages.POLICY, ""))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    assert page.title() == "A title"
    assert page.get_by_text("a plot", exact=True).count() == 0  # an image's alt text, not a text of its own
    assert page.get_by_alt_text("a plot").count() >= 3


def test_the_policy_alone_refuses_too(visit, tmp_path):
    """As if something had slipped through: the browser blocks it, and shows the pictures that lie in the page."""
    page, wrong = visit()
    blocked = set()
    page.on("requestfailed", lambda request: blocked.add(f"request: {request.url} {request.failure}"))
    file = io.BytesIO()
    Image.new("RGB", (7, 5)).save(file, "PNG")
    picture = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    cell = nbformat.v4.new_markdown_cell(f'# A title\n\n<img src="{picture}" alt="mine">\n\nhere')
    page.goto(write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.html", slipped=("here", FETCHING)))
    page.wait_for_load_state("networkidle")
    assert page.title() == "A title"
    assert page.evaluate("document.images[0].naturalWidth") == 7
    page.context.close()
    asked = {message for message in wrong if message.startswith("request: ")}
    assert asked  # reported by the browser, but not sent
    assert {f"{request} csp" for request in asked} <= blocked
    assert all("Content Security Policy" in message for message in set(wrong) - asked), wrong

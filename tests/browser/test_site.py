"""The site: built without a warning by its one command, whole, small, and in a browser from the disk without a network."""

import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from conftest import PATIENCE, ROOT

from toykit.course.notebooks import find

pytest.importorskip("myst_nb", reason="the site extra is not installed")

WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")
#: Pages of each kind, which are also photographed.
SHOWN = ("index", "gallery", "notebooks/03_cross_entropy", "howto/weights", "api/solvers")
#: Attributes that a browser fetches on its own.
LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("object", "data"), ("embed", "src")}

#: Text that is too small or too pale to read: [letters, size, contrast]. The page's own colours only, no pictures.
FAINT = """() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number)
  const light = c => { const [r, g, b] = c.map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const known = new Map()
  const behind = e => { if (!e) return [255, 255, 255]
    if (!known.has(e)) { const [r, g, b, a = 1] = parts(getComputedStyle(e).backgroundColor)
      const under = a < 1 ? behind(e.parentElement) : [0, 0, 0]
      known.set(e, [r, g, b].map((v, i) => a * v + (1 - a) * under[i])) }
    return known.get(e) }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = []
  for (let node; node = walker.nextNode();) {
    const text = node.data.trim(), e = node.parentElement
    if (!text || !e.checkVisibility({ visibilityProperty: true }) || e.closest('math, sub, sup, style, script, svg')) continue
    const style = getComputedStyle(e), [a, b] = [light(parts(style.color)), light(behind(e))].sort((x, y) => x - y)
    const contrast = (b + 0.05) / (a + 0.05), size = parseFloat(style.fontSize)
    if (size < 11 || contrast < 4.5) found.push([text.slice(0, 40), e.className, size, contrast]) }
  return found.slice(0, 5) }"""
#: Pictures that are missing or have no description; formulas that are not drawn.
BROKEN = """() => [
  ...[...document.images].filter(i => i.checkVisibility() && !(i.complete && i.naturalWidth && i.alt)).map(i => i.src),
  ...[...document.querySelectorAll('article math')].filter(m => m.checkVisibility() && m.getBoundingClientRect().height < 5)
    .map(m => m.textContent)]"""


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its anchors."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)
        self.anchors = {attributes["id"] for _, attributes in self.tags if "id" in attributes}

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site: the command fails on any warning."""
    folder = tmp_path_factory.mktemp("site") / "pages"
    command = [sys.executable, "-m", "toykit", "site", "-o", str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """All pages: path -> tags."""
    return {path: Tags(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_the_site_is_whole_and_small(site, pages):
    for name in ["index", "gallery", "search", *(f"notebooks/{path.stem}" for path in find())]:
        assert site / f"{name}.html" in pages
    for name in ("solver", "photos", "data_set", "network", "weights"):
        assert site / "howto" / f"{name}.html" in pages
    assert "toykit.solvers.solve" in pages[site / "api" / "solvers.html"].anchors
    links = [attributes.get("href") for _, attributes in pages[site / "api" / "self_labeling.html"].tags]
    assert "solvers.html#toykit.solvers.solve" in links  # the docstring names `toykit.solve`
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 30e6


def test_links_lead_somewhere_and_nothing_is_fetched_from_elsewhere(site, pages):
    for path, page in pages.items():
        for tag, attributes in page.tags:
            for name, value in attributes.items():
                loaded = (tag, name) in LOADED or (tag == "link" and name == "href")
                if value is None or not (loaded or (tag, name) == ("a", "href")):
                    continue
                if value.startswith("data:") or (not loaded and re.match(r"https?://|mailto:", value)):
                    continue
                file, _, anchor = unquote(value.partition("?")[0] if loaded else value).partition("#")
                target = (path.parent / file).resolve() if file else path
                assert target.is_file(), f"{path}: {value}"
                if anchor and target in pages:
                    assert anchor in pages[target].anchors, f"{path}: {value}"
    for path in site.rglob("*.css"):
        assert not re.search(
            r"url\(['\"]?(https?:)?//|@import\s+(url\()?['\"]?http", path.read_text(encoding="utf-8")
        ), path


def test_formulas_are_mathml_and_tagged_code_is_folded(site):
    texts = [(site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8") for path in find()]
    assert sum(text.count("<math") for text in texts) > 50
    for text in texts:
        assert "\\" not in "".join(re.findall(r"<math.*?</math>", text, re.DOTALL))
        assert "$" not in re.sub(r"<(pre|code|script|style)\b.*?</\1>|\"[^\"]*\"", "", text, flags=re.DOTALL)
        folded = re.findall(r'<details class="[^"]*above-input">(.*?)</details>', text, re.DOTALL)
        assert any("import" in re.sub("<.*?>", "", part) for part in folded)


def test_pages_fit_and_are_legible_in_both_schemes(page, site, pages, screenshots):
    """No error and no request on any page (the fixture `page` sees them), at both widths, light and dark.

    `SHOWN` have all four combinations; the other pages share their styles and have each width and each scheme once.
    """
    page.context.set_offline(True)
    for path in pages:
        page.goto(path.as_uri())
        name = path.relative_to(site).with_suffix("").as_posix()
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            for scheme in SCHEMES if name in SHOWN else [SCHEMES[WIDTHS.index(width)]]:
                page.emulate_media(color_scheme=scheme)
                assert page.evaluate(FAINT) == [], f"{name}, {width} pixels, {scheme}"
                if name in SHOWN:
                    page.screenshot(path=screenshots / f"site_{name.replace('/', '_')}_{width}_{scheme}.png")
        assert page.evaluate(BROKEN) == [], name


def focus(page, selector, presses=60):
    """Press Tab until an element has the focus and shows it."""
    for _ in range(presses):
        page.keyboard.press("Tab")
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
    pytest.fail(f"{presses} times Tab did not reach {selector}")


def until(page, condition):
    """Wait until a condition holds; Playwright's own wait evaluates text on the page, which the pages' policy forbids."""
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(100)


def test_the_keyboard_reaches_search_results_and_colours(page, site):
    page.context.set_offline(True)
    page.goto((site / "index.html").as_uri())
    focus(page, "input.sidebar-search")
    page.keyboard.type("collision divergence")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.wait_for()
    focus(page, "#search-results a", 100)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"(?<!search)\.html"))
    focus(page, ".theme-toggle", 100)
    before = page.evaluate("document.body.dataset.theme")
    page.keyboard.press("Enter")
    assert page.evaluate("document.body.dataset.theme") != before


def test_on_a_narrow_screen_the_drawer_opens_for_the_keyboard(page, site):
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto((site / "index.html").as_uri())
    focus(page, ".sidebar-tree a")
    until(page, "document.activeElement.getBoundingClientRect().left >= 0")
    focus(page, "article a")
    until(page, "document.querySelector('.sidebar-drawer').getBoundingClientRect().right <= 0")


def test_the_policy_refuses_what_an_output_may_contain(visit, site, pages):
    """As if a notebook's output named a picture elsewhere: the browser reports the request and does not send it."""
    policy = ("http-equiv", "Content-Security-Policy")
    assert all(any(policy in attributes.items() for _, attributes in page.tags) for page in pages.values())
    page, wrong = visit()
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.failure))
    page.goto((site / "index.html").as_uri())
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=https://evil.example/a.png>')")
    page.wait_for_load_state("networkidle")
    page.context.close()
    assert failed == ["csp"]
    assert any("Content Security Policy" in message for message in wrong)


def test_a_reader_walks_through_the_course(page, site):
    page.context.set_offline(True)
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto((site / "notebooks" / "README.html").as_uri())
    for path in find():
        page.locator("a.next-page").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{path.stem}.html")


def test_explorers_run_on_the_pages_and_follow_the_colour_scheme(page, site):
    page.context.set_offline(True)
    page.emulate_media(color_scheme="dark")
    paper = "getComputedStyle(document.querySelector('.toykit-live')).backgroundColor"
    for name in ("01_moves", "02_relaxations", "03_cross_entropy"):
        page.goto((site / "notebooks" / f"{name}.html").as_uri())
        page.locator(".toykit-live .controls").wait_for()
        assert page.locator(".toykit-live > img").count() == 0  # the picture is for pages without scripts
    dark = page.evaluate(paper)
    page.evaluate("document.body.dataset.theme = 'light'")
    assert page.evaluate(paper) != dark

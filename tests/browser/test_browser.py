"""In a browser: each explorer's controls on the dashboard, and explorers and painter in JupyterLab."""

import time
from xml.etree import ElementTree

import nbformat
import pytest
from conftest import PATIENCE, ROOT
from painter_page import Painter
from PIL import Image

from toykit.explore.dashboard import TABS

#: What a person sees of figures: plotly's lines, texts, markers and images, Matplotlib's pictures, read-outs.
SHOWN = """(panel) => {
    const all = (query, see) => Array.from(panel.querySelectorAll(query), see).join('|');
    return [all('.js-plotly-plot path', (p) => p.getAttribute('d') + p.getAttribute('transform') + p.getAttribute('style')),
        all('.js-plotly-plot image', (i) => i.getAttribute('href')), all('.js-plotly-plot text', (t) => t.textContent),
        all('img', (i) => i.src),
        all('.widget-html-content', (h) => h.textContent)].join('#');
}"""
#: Drop-down choices that a tab's sliders need, or that show something else: label, option.
CHOICES = {
    "Pseudo-labels (Fig. 4)": [("relaxation", "BL"), ("cross-entropy", "RCE")],
    "Neighbourhoods (Fig. 6)": [("neighbourhood", "sparse non-local")],
}
#: A tab's button of a situation.
SITUATIONS = {"Pseudo-labels (Fig. 4)": "lambda = 0", "Neighbourhoods (Fig. 6)": "only adjacent pixels"}
#: Scroll a panel's last control to the window's middle: the picture's top and bottom, the control's bottom, the window's end.
LAST_CONTROL = """(panel) => {
    const picture = panel.querySelector('.toykit-live figure') ?? panel.querySelector('.main');
    const control = [...panel.querySelectorAll('.controls > *')].at(-1);
    control.scrollIntoView({ block: 'center' });
    const [a, b] = [picture, control].map((e) => e.getBoundingClientRect());
    panel.scrollIntoView();
    return [a.top, a.bottom, b.bottom, innerHeight];
}"""


def see(panel, before=None):
    """What a panel shows, once it shows something other than before, and twice the same.

    The panel is looked up anew each time: JupyterLab may put another view of a widget in the place of its first.
    """
    last, end = None, time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end:
        now = panel.evaluate(SHOWN)
        if len(now) > 20 and now == last and now != before:
            return now
        last = now
        panel.page.wait_for_timeout(200)
    return pytest.fail(
        f"after {PATIENCE / 1000:g} s the panel {'has not changed' if last == before else 'is not at rest'}"
    )


def press(slider):
    """Move a slider a step by key; from its top, where another test may have left it, down.

    A view that is being replaced may lose a key: so again, until the slider has moved.
    """
    before, top = (slider.get_attribute(name) for name in ("aria-valuenow", "aria-valuemax"))
    end = time.monotonic() + PATIENCE / 1000
    while slider.get_attribute("aria-valuenow") == before:
        assert time.monotonic() < end, f"the slider does not move from {before}"
        slider.focus()
        slider.press("ArrowRight" if float(before) < float(top) else "ArrowLeft")
        slider.page.wait_for_timeout(200)


def name_of(control):
    """What a screen reader calls a control."""
    return control.evaluate("(c) => c.getAttribute('aria-label') || c.labels[0].textContent")


@pytest.mark.parametrize("title", CHOICES)
def test_each_control_of_each_explorer_changes_its_figure(dashboard, screenshots, title):
    dashboard.get_by_role("tab", name=title).click()
    panel = dashboard.locator(".widget-tab-contents > .lm-Widget").filter(visible=True).first
    panel.get_by_role("slider").first.wait_for()
    if "Neighbourhoods" in title:  # plotly's own: the figure is not blank
        panel.locator(".heatmaplayer image").first.wait_for(state="attached")
    panel.get_by_role("button", name="reset", exact=True).click()  # another test's state may disable a slider
    seen = see(panel)
    dashboard.screenshot(path=screenshots / f"dashboard_{title.split()[0].lower()}.png")
    for control in [*panel.get_by_role("slider").all(), *panel.get_by_role("combobox").all()]:
        assert panel.get_by_label(name_of(control), exact=True).count() == 1
    for slider in panel.get_by_role("slider").all():
        press(slider)
        seen = see(panel, seen)
    for label, option in CHOICES[title]:
        chosen = {"index": option} if isinstance(option, int) else {"label": option}
        panel.get_by_role("combobox", name=label).select_option(**chosen)
        seen = see(panel, seen)
    for words in (SITUATIONS[title], "reset"):
        panel.get_by_role("button", name=words, exact=True).click()
        seen = see(panel, seen)
    with Image.open(saved(dashboard, "PNG")) as file:
        picture = file.convert("L")
    assert picture.width > 2 * panel.locator(".main").bounding_box()["width"] * 0.9
    assert len(picture.resize((200, 100)).getcolors()) > 50


@pytest.mark.parametrize("title", [tab.title for tab in TABS])
def test_the_dashboard_uses_the_width_of_a_wide_page_and_fits_a_narrow_one(dashboard, screenshots, title):
    dashboard.get_by_role("tab", name=title).click()
    panel = dashboard.locator(".widget-tab-contents > .lm-Widget").filter(visible=True).first
    first = "canvas" if title == "Painter" else ".main :is(.js-plotly-plot, img, svg)"
    panel.locator(first).first.wait_for()
    plots = """(panel) => Array.from(panel.querySelectorAll('.js-plotly-plot'))
        .every((p) => p.querySelector('.main-svg')?.width.baseVal.value === p.closest('.main').clientWidth)"""
    for width, height in ((390, 844), (1440, 900), (1920, 1080)):
        dashboard.set_viewport_size({"width": width, "height": height})
        dashboard.wait_for_function(plots, arg=panel.element_handle())
        for scheme in ("dark", "light"):
            dashboard.emulate_media(color_scheme=scheme)
            name = f"dashboard_{title.split()[0].lower()}_{width}_{scheme}.png"
            dashboard.screenshot(path=screenshots / name, full_page=True)
        beyond = panel.evaluate(
            """(panel) => Array.from(panel.querySelectorAll('.controls *, .main, canvas, img'))
                .filter((e) => e.getBoundingClientRect().right > window.innerWidth).map((e) => e.className)"""
        )
        assert beyond == []
        if width == 390:
            top, bottom, control, window = panel.evaluate(LAST_CONTROL)
            assert -1 <= top < bottom < control <= window + 1  # the picture stays in view above the controls
        edges = panel.locator(".controls").evaluate("(c) => c.getBoundingClientRect().right")
        assert edges > width - 50


def saved(page, kind):
    """The file that the bar saves."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"save picture ({kind})").click()
    return waiting.value.path()


def follow(page, link):
    """Open a link in the page, and wait until it is open."""
    page.evaluate("(link) => { location.hash = link; }", link)
    page.wait_for_function("() => new Promise((done) => setTimeout(() => done(true), 400))")


def test_a_link_opens_a_tab_with_a_state_and_what_does_not_fit_is_ignored(opened, dashboard):
    assert opened[2] == ["Cross-entropies (Fig. 3) - toykit", "0.25", "0.5"]  # as the page was loaded
    state = "p=0.5,0.5,0&q=0,0.25,0.75&relaxation=BL&move=none&time=0"
    dashboard.evaluate("(link) => { location.hash = link; }", f"tab=simplex&{state}")
    q = dashboard.get_by_role("slider", name="label q")
    reads = "(words) => document.querySelector('[aria-label=\"label q\"]')?.getAttribute('aria-valuetext') === words"
    dashboard.wait_for_function(reads, arg="A 0.00, B 0.25, C 0.75")
    assert dashboard.get_by_label("colour: P(p, .) of").input_value() == "BL"
    q.press("b")
    dashboard.wait_for_function("() => location.hash.includes('q=0,1,0')")
    here = dashboard.url
    for link in (
        "tab=simplex&p=9,9,9&q=%3Cb%3E&relaxation=__proto__&time=x",
        "section-2",
        "tab=nowhere&q=0,0,1",
        "%E0%A4%A",
    ):
        follow(dashboard, link)
        assert dashboard.title() == "Simplex (Fig. 1) - toykit"
        assert q.get_attribute("aria-valuetext") == "A 0.00, B 1.00, C 0.00"
    dashboard.evaluate("(link) => { location.hash = link; }", here.partition("#")[2].replace("q=0,1,0", "q=0,0,1"))
    dashboard.wait_for_function(reads, arg="A 0.00, B 0.00, C 1.00")


def test_links_keep_the_states_of_explorers_with_a_kernel(dashboard):
    given = "neighbourhood=nearest,+8&colour_bandwidth=20&pixel_x=3&pixel_y=999"
    dashboard.evaluate("(link) => { location.hash = link; }", f"tab=neighbourhoods&{given}")
    panel = dashboard.locator(".widget-tab-contents > .lm-Widget").filter(visible=True).first
    panel.get_by_text("pixel (3, ").wait_for()
    dashboard.wait_for_function(
        "() => /neighbourhood=nearest.*8&colour_bandwidth=20&spatial_bandwidth=30&pixel_x=3&pixel_y=33$/.test(location.hash)"
    )
    dashboard.evaluate(
        "(link) => { location.hash = link; }", "tab=painter&relaxation=BL&eta=9&lam=2&view=hard&photo=coffee"
    )
    dashboard.wait_for_function("() => /photo=coffee&relaxation=BL.*eta=0.3&lam=2&.*view=hard/.test(location.hash)")
    painter = dashboard.locator(".toykit-painter")
    assert painter.get_by_label("relaxation").input_value() == "BL"
    assert painter.locator("input[value=hard]").is_checked()
    painter.get_by_role("button", name="reset").click()
    dashboard.wait_for_function("() => /relaxation=CD.*lam=6/.test(location.hash)")


def test_the_bar_does_what_it_says(dashboard):
    dashboard.get_by_role("tab", name="Simplex (Fig. 1)").click()
    panel = dashboard.locator(".widget-tab-contents > .lm-Widget").filter(visible=True).first
    panel.locator(".toykit-live .controls").wait_for()
    press_bar = dashboard.locator(".toykit-bar")
    look = """() => [getComputedStyle(document.querySelector('.toykit-live')).backgroundColor,
        getComputedStyle(document.querySelector('.toykit-live')).fontSize, Boolean(document.fullscreenElement)]"""
    before, changed = dashboard.evaluate(look), {"dark": 0, "large type": 1, "full screen": 2}
    for words, part in changed.items():
        press_bar.get_by_role("button", name=words).click()
        dashboard.wait_for_function(f"(before) => ({look})()[{part}] !== before", arg=before[part])
        # the browser tells the bar of the full screen later than it tells us
        press_bar.get_by_role("button", name=words, pressed=True).wait_for()
    dashboard.wait_for_function("() => /type=large.*scheme=dark|scheme=dark.*type=large/.test(location.hash)")
    for words in changed:
        press_bar.get_by_role("button", name=words).click()
    dashboard.wait_for_function(f"(before) => String(({look})()) === String(before)", arg=before)
    panel.get_by_text("Notes for the lecturer").click()
    assert panel.locator("li").first.is_visible()
    panel.get_by_text("Notes for the lecturer").click()
    drawing = ElementTree.parse(saved(dashboard, "SVG"))
    assert {"BL", "CD", "C", "p"} <= {element.text for element in drawing.iter() if element.text}
    targets = [v for e in drawing.iter() for name, v in e.attrib.items() if name.endswith("href")]
    assert len(targets) == 1  # the colours of the triangle, inside the file
    assert targets[0].startswith("data:image/png")
    assert len(Image.open(saved(dashboard, "PNG")).convert("RGB").resize((300, 150)).getcolors(1 << 20)) > 200


#: The share of an image's pixels that are not white.
INK = """(image) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    let ink = 0;
    for (let i = 0; i < data.length; i += 4) ink += Math.min(data[i], data[i + 1], data[i + 2]) < 240;
    return ink / (data.length / 4);
}"""


def test_quick_changes_leave_a_whole_picture(dashboard):
    dashboard.get_by_role("tab", name="Pseudo-labels (Fig. 4)").click()
    panel = dashboard.locator(".widget-tab-contents > .lm-Widget").filter(visible=True).first
    panel.get_by_role("slider").first.wait_for()
    seen = see(panel)
    for slider in panel.get_by_role("slider").all()[:2] * 3:
        press(slider)
    panel.get_by_role("combobox", name="relaxation").select_option(label="NQ")
    see(panel, seen)
    assert panel.locator("img").last.evaluate(INK) > 0.3


def run_all(page, address, folder, name, notebook):
    """Open a copy without outputs, run all its cells; no cell may fail."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, folder / name)
    page.goto(f"{address}/lab/tree/{name}?reset")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context?.isReady")
    page.evaluate(
        """async () => {
            const app = window.jupyterapp;
            await app.restored;
            const { context } = app.shell.currentWidget;
            await context.ready;
            await context.sessionContext.ready;
            await app.commands.execute('notebook:run-all-cells');
        }"""
    )
    errors = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.context.model.toJSON().cells
            .flatMap((cell) => cell.outputs || []).filter((o) => o.output_type === 'error').map((o) => o.evalue)"""
    )
    assert errors == []


def test_an_explorer_in_a_cell_needs_no_kernel(page, lab, screenshots):
    notebook = nbformat.read(ROOT / "notebooks" / "01_moves.ipynb", as_version=4)
    run_all(page, *lab, "01_moves.ipynb", notebook)
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.shutdown()")
    widget = page.locator(".toykit-live")
    widget.scroll_into_view_if_needed()
    values = widget.locator("[data-value]").all_text_contents()
    press(widget.get_by_role("slider", name="label q"))
    assert widget.locator("[data-value]").all_text_contents() != values
    page.screenshot(path=screenshots / "lab_moves.png")


def test_the_painter_in_a_cell(page, lab, screenshots):
    source = 'from toykit import explore\n\nexplore.painter("coffee")'
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    run_all(page, *lab, "painter.ipynb", notebook)
    painter = Painter(page)
    seeds, picture = painter.seeds(), painter.picture()
    painter.root.get_by_role("radio", name="table").check()
    painter.after(lambda: painter.drag((0.1, 0.1), (0.3, 0.15)))
    assert painter.seeds() > seeds
    assert painter.picture() != picture
    painter.canvas("pen").focus()
    painter.after(lambda: page.keyboard.press("u"))  # Lab's own keys keep out
    assert painter.seeds() == seeds
    page.screenshot(path=screenshots / "lab_painter.png")

"""In a browser: all that a visitor can do with the dashboard's painter, each explorer's controls, and both in JupyterLab."""

import io
import time

import nbformat
import numpy as np
import pytest
from conftest import PATIENCE, ROOT
from painter_page import Painter
from PIL import Image

from toykit.datasets import photo
from toykit.explore.dashboard import TABS
from toykit.potts import RELAXATIONS
from toykit.supervision import read_scribbles


@pytest.fixture
def painter(dashboard):
    dashboard.get_by_role("tab", name="Painter").click()
    painter = Painter(dashboard)
    painter.reset()
    return painter


def png(size, color=(200, 90, 40)):
    file = io.BytesIO()
    picture = Image.new("RGB", size, color)
    picture.paste((30, 60, 160), (0, 0, size[0] // 2, size[1]))
    picture.save(file, format="PNG")
    return file.getvalue()


def test_paint_undo_erase_clear(painter, screenshots):
    seeds, picture = painter.seeds(), painter.picture()
    painter.page.screenshot(path=screenshots / "dashboard_painter.png")
    painter.root.get_by_role("radio", name="eye").check()
    painter.after(lambda: painter.drag((0.2, 0.7), (0.3, 0.75), (0.3, 0.9)))
    painted, changed = painter.seeds(), painter.picture()
    assert painted > seeds
    assert changed != picture
    painter.slider("brush size").fill("20")
    painter.root.get_by_role("radio", name="erase").check()
    painter.after(lambda: painter.drag((0.2, 0.7), (0.3, 0.75)))
    assert painter.seeds() < painted
    painter.page.screenshot(path=screenshots / "dashboard_erased.png")
    for expected in (painted, seeds):
        painter.after(painter.button("Undo").click)
        assert painter.seeds() == expected
    assert painter.picture() == picture  # not a trace of what was undone
    painter.after(painter.button("Clear").click)
    assert painter.seeds() == 0
    assert "paint a stroke" in painter.message()
    assert painter.button("Clear").is_disabled()
    assert painter.button("Export labels (NPZ)").is_disabled()


def test_a_stroke_that_ends_outside_the_canvas_counts(painter):
    seeds = painter.seeds()
    painter.after(lambda: painter.drag((0.5, 0.9), (0.5, 1.3)))
    assert painter.seeds() > seeds


def test_the_keyboard_paints(painter):
    seeds = painter.seeds()
    painter.canvas("pen").focus()
    keys = painter.page.keyboard
    for key in (*["ArrowDown"] * 5, "Space", *["ArrowLeft"] * 8):
        keys.press(key)
    painter.after(lambda: keys.press("Space"))
    assert painter.seeds() > seeds
    keys.press("Space")
    keys.press("ArrowUp")
    keys.press("Escape")
    painter.after(lambda: keys.press("u"))
    assert painter.seeds() == seeds


def test_each_control_changes_the_picture(painter, screenshots):
    root, seen = painter.root, [painter.picture()]

    def see(act):
        painter.after(act)
        seen.append(painter.picture())

    for name, value in (("eta", "1.5"), ("lambda", "1"), ("bandwidth", "30")):
        see(lambda n=name, v=value: painter.slider(n).fill(v))
    for name, value in (("relaxation", "BL"), ("cross-entropy", "RCE")):
        see(lambda n=name, v=value: painter.list(n).select_option(v))
    for value in ("gradient", "closed_form", "graph_cut"):
        see(lambda v=value: painter.list("solver").select_option(v))
    assert painter.list("relaxation").is_disabled()
    assert root.get_by_role("radio", name="entropy").is_disabled()
    painter.after(lambda: painter.list("solver").select_option("fast"))
    for name in ("entropy", "hard mask", "seeds on photo"):
        see(root.get_by_role("radio", name=name).check)
        painter.page.screenshot(path=screenshots / f"dashboard_{name.replace(' ', '_')}.png")
    assert len(set(seen)) == len(seen)


def test_own_photo_with_errors_in_words(painter, screenshots):
    painter.upload("Upload a photo", "broken.png", b"no picture", "image/png")
    assert "broken.png: cannot be read as a picture" in painter.message()
    painter.upload("Upload a photo", "mine.png", png((640, 480)), "image/png")
    assert painter.canvas("result").evaluate("(c) => [c.width, c.height]") == [320, 240]
    assert painter.seeds() == 0
    painter.root.get_by_label("new class").fill("sky")
    painter.after(painter.button("Add class").click)
    painter.root.get_by_role("radio", name="background").check()
    painter.after(lambda: painter.drag((0.2, 0.2), (0.2, 0.8)))
    painter.root.get_by_role("radio", name="sky").check()
    painter.after(lambda: painter.drag((0.8, 0.2), (0.8, 0.8)))
    middle = "(c) => Array.from(c.getContext('2d').getImageData(%d, 120, 1, 1).data)"
    left, right = (painter.canvas("result").evaluate(middle % x) for x in (100, 220))
    assert max(left[:3]) - min(left[:3]) < 10 < 140 < min(left[:3])  # the background's light grey
    assert right[2] > right[1] + 30 > right[0] + 60  # the third class' blue
    painter.page.screenshot(path=screenshots / "dashboard_own_photo.png")
    painter.upload("Load scribbles", "wrong.png", png((9, 9)), "image/png")
    assert "wrong.png" in painter.message()
    painter.page.screenshot(path=screenshots / "dashboard_error.png")


def test_save_load_export(painter, tmp_path):
    seeds = painter.seeds()
    content, name = painter.download("Save strokes (JSON)")
    (tmp_path / name).write_bytes(content)
    assert read_scribbles(tmp_path / name).size == (320, 213)
    content, name = painter.download("Save seeds (PNG)")
    ids = np.array(Image.open(io.BytesIO(content)))
    assert (ids < 255).sum() == seeds
    painter.after(painter.button("Clear").click)
    painter.upload("Load scribbles", name, content, "image/png")
    assert painter.seeds() == seeds
    assert painter.button("Save strokes (JSON)").is_disabled()
    content, name = painter.download("Export labels (NPZ)")
    labels = np.load(io.BytesIO(content))["labels"]
    assert name == "chelsea_labels.npz"
    assert labels.shape == (4, 213, 320)
    assert np.allclose(labels.sum(0), 1, atol=1e-5)
    content, name = painter.download("Export picture (PNG)")
    assert Image.open(io.BytesIO(content)).size == (320, 213)
    assert name in painter.message()


STROKES = 30
WATCH = """() => {
    const root = document.querySelector('.toykit-painter'), pen = root.querySelector('[data-part=pen]');
    window.times = [];
    let up = 0;
    pen.addEventListener('pointerup', () => { up = performance.now(); }, true);
    new MutationObserver(() => { if (up) { window.times.push(performance.now() - up); up = 0; } })
        .observe(root, { attributes: true, attributeFilter: ['data-sequence'] });
}"""


def test_stroke_to_picture(painter, capsys):
    """From the end of a stroke to the changed picture, a preview: printed, not asserted.

    320 x 240 pixels, five classes, the fast solver.
    """
    page = painter.page
    file = io.BytesIO()
    Image.fromarray(photo("astronaut", 320).image[:240]).save(file, format="PNG")
    painter.upload("Upload a photo", "astronaut.png", file.getvalue(), "image/png")
    for name in ("c", "d", "e"):
        painter.root.get_by_label("new class").fill(name)
        painter.after(painter.button("Add class").click)
    classes = painter.root.get_by_role("group", name="class", exact=True).get_by_role("radio")
    assert classes.count() == 5
    for k in range(5):
        classes.nth(k).check()
        painter.after(lambda k=k: painter.drag((0.1 + 0.2 * k, 0.1), (0.1 + 0.2 * k, 0.3)))
    page.evaluate(WATCH)
    generator, changed = np.random.default_rng(0), 0
    for k in range(STROKES):
        classes.nth(k % 5).check()
        x, y = generator.uniform(0.1, 0.8, 2)
        before = painter.picture()
        painter.after(lambda x=x, y=y: painter.drag((x, y), (x + 0.1, y + 0.05)))
        changed += painter.picture() != before
    times = page.evaluate("window.times")
    assert len(times) == STROKES
    assert changed == STROKES
    with capsys.disabled():
        print(
            f"\nstroke to picture: median {np.median(times):.0f} ms, 95% {np.quantile(times, 0.95):.0f} ms of {STROKES}"
        )


#: What a person sees of figures: plotly's lines, texts, markers and images, Matplotlib's pictures, read-outs.
SHOWN = """(panel) => {
    const all = (query, see) => Array.from(panel.querySelectorAll(query), see).join('|');
    return [all('.js-plotly-plot path', (p) => p.getAttribute('d') + p.getAttribute('transform') + p.getAttribute('style')),
        all('.js-plotly-plot image', (i) => i.getAttribute('href')), all('.js-plotly-plot text', (t) => t.textContent),
        all('.js-plotly-plot', (p) => JSON.stringify(p.layout.scene?.camera?.eye)), all('img', (i) => i.src),
        all('.widget-html-content', (h) => h.textContent)].join('#');
}"""
#: Drop-down choices that a tab's sliders need, or that show something else: label, option.
CHOICES = {
    "Simplex (Fig. 1)": [("colour: P(p, .) of", "BL"), ("move of Fig. 1", 1)],
    "Potentials (Fig. 2)": [("relaxation", "BL")],
    "Cross-entropies (Fig. 3)": [],
    "Pseudo-labels (Fig. 4)": [("relaxation", "BL"), ("cross-entropy", "RCE")],
    "Neighbourhoods (Fig. 6)": [("neighbourhood", "sparse non-local")],
}
#: Words of a figure that stay when its numbers move.
WORDS = {"Simplex (Fig. 1)": ("p", "q", *RELAXATIONS)}


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


@pytest.mark.parametrize("title", [title for title, _ in TABS[1:]])
def test_each_control_of_each_explorer_changes_its_figure(dashboard, screenshots, title):
    dashboard.get_by_role("tab", name=title).click()
    panel = dashboard.locator(".widget-tab-contents > .lm-Widget").filter(visible=True).first
    panel.get_by_role("slider").first.wait_for()
    seen = see(panel)
    dashboard.screenshot(path=screenshots / f"dashboard_{title.split()[0].lower()}.png")
    for control in [*panel.get_by_role("slider").all(), *panel.get_by_role("combobox").all()]:
        assert panel.get_by_label(name_of(control), exact=True).count() == 1
    for word in WORDS.get(title, ()):
        assert panel.locator(".js-plotly-plot text").get_by_text(word, exact=True).count()
    sliders, later = panel.get_by_role("slider").all(), []
    if title.startswith("Simplex"):  # time passes only along a move
        later = [sliders.pop()]
    for slider in sliders:
        press(slider)
        seen = see(panel, seen)
    for label, option in CHOICES[title]:
        chosen = {"index": option} if isinstance(option, int) else {"label": option}
        panel.get_by_role("combobox", name=label).select_option(**chosen)
        seen = see(panel, seen)
    for slider in later:
        press(slider)
        seen = see(panel, seen)


def test_a_click_and_the_play_button_move_the_points(dashboard):
    dashboard.get_by_role("tab", name="Simplex (Fig. 1)").click()
    panel = dashboard.locator(".widget-tab-contents > .lm-Widget").filter(visible=True).first
    share = panel.get_by_role("slider", name="p: share of C")
    share.wait_for()
    panel.get_by_role("combobox", name="a click places").select_option(label="p")
    seen, share_before = see(panel), share.get_attribute("aria-valuenow")
    box = panel.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    dashboard.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"], steps=3)
    panel.locator(".js-plotly-plot .hovertext").wait_for()
    dashboard.mouse.down()
    dashboard.mouse.up()
    seen = see(panel, seen)
    assert share.get_attribute("aria-valuenow") != share_before
    panel.get_by_role("combobox", name="move of Fig. 1").select_option(label="b")
    seen = see(panel, seen)
    button = panel.get_by_role("button", name="play or pause")
    button.focus()
    button.press("Enter")
    moment = panel.get_by_role("slider", name="time along the move")
    dashboard.wait_for_function(
        "(slider) => slider.getAttribute('aria-valuenow') === '1.0'", arg=moment.element_handle()
    )
    see(panel, seen)


@pytest.mark.parametrize("title", [title for title, _ in TABS])
def test_the_dashboard_uses_the_width_of_a_wide_page_and_fits_a_narrow_one(dashboard, screenshots, title):
    dashboard.get_by_role("tab", name=title).click()
    panel = dashboard.locator(".widget-tab-contents > .lm-Widget").filter(visible=True).first
    first = "canvas" if title == "Painter" else ".main :is(.js-plotly-plot, img)"
    panel.locator(first).first.wait_for()
    plots = """(panel) => Array.from(panel.querySelectorAll('.js-plotly-plot'))
        .every((p) => p.querySelector('.main-svg')?.width.baseVal.value === p.closest('.main').clientWidth)"""
    for width, height in ((390, 844), (1280, 900)):
        dashboard.set_viewport_size({"width": width, "height": height})
        dashboard.wait_for_function(plots, arg=panel.element_handle())
        dashboard.screenshot(path=screenshots / f"dashboard_{title.split()[0].lower()}_{width}.png", full_page=True)
        beyond = panel.evaluate(
            """(panel) => Array.from(panel.querySelectorAll('.controls *, .main, canvas, img'))
                .filter((e) => e.getBoundingClientRect().right > window.innerWidth).map((e) => e.className)"""
        )
        assert beyond == []
        edges = panel.locator(".controls").evaluate("(c) => c.getBoundingClientRect().right")
        assert edges > width - 50


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


def test_a_notebooks_slider_moves_its_figure(page, lab, screenshots):
    notebook = nbformat.read(ROOT / "notebooks" / "01_moves.ipynb", as_version=4)
    run_all(page, *lab, "01_moves.ipynb", notebook)
    widget = page.locator(".toykit-explorer")
    widget.scroll_into_view_if_needed()
    before = see(widget)
    press(widget.get_by_role("slider").first)
    see(widget, before)
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

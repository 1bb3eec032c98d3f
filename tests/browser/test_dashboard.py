"""The dashboard in a browser: everything a visitor can do with the painter, and each explorer's sliders."""

import io

import numpy as np
import pytest
from painter_page import Painter
from PIL import Image

from toykit.explore.dashboard import TABS
from toykit.supervision import read_scribbles


@pytest.fixture
def painter(page, dashboard):
    page.goto(dashboard)
    return Painter(page)


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
    painter.root.get_by_role("slider", name="brush size").fill("20")
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
    for name, value in (("eta", "1.5"), ("lambda", "1"), ("bandwidth", "30")):
        painter.after(lambda n=name, v=value: root.get_by_role("slider", name=n).fill(v))
        seen.append(painter.picture())
    for name, value in (
        ("relaxation", "BL"),
        ("cross-entropy", "RCE"),
        ("solver", "closed_form"),
        ("solver", "graph_cut"),
    ):
        painter.after(lambda n=name, v=value: root.get_by_label(n, exact=True).select_option(v))
        seen.append(painter.picture())
    assert root.get_by_label("relaxation", exact=True).is_disabled()
    assert root.get_by_role("radio", name="entropy").is_disabled()
    painter.after(lambda: root.get_by_label("solver", exact=True).select_option("fast"))
    for name in ("entropy", "hard mask", "seeds on photo"):
        painter.after(lambda n=name: root.get_by_role("radio", name=n).check())
        painter.page.screenshot(path=screenshots / f"dashboard_{name.replace(' ', '_')}.png")
        seen.append(painter.picture())
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
    assert np.abs(np.array(left) - [0, 0, 0, 255]).max() < 40  # background's black
    assert np.abs(np.array(right) - [0, 128, 0, 255]).max() < 40  # the third class' green
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


@pytest.mark.parametrize("title", [title for title, _ in TABS[1:]])
def test_each_slider_of_each_explorer_changes_its_figure(page, dashboard, screenshots, title):
    page.goto(dashboard)
    page.get_by_role("tab", name=title).click()
    panel = page.locator(
        ".lm-TabPanel-stackedPanel > :not(.lm-mod-hidden), .widget-tab-contents > :not(.lm-mod-hidden)"
    ).last
    panel.locator("img, svg.main-svg, canvas").first.wait_for()
    for slider in panel.get_by_role("slider").all():
        before = panel.locator("img").first.get_attribute("src")
        slider.focus()
        slider.press("ArrowRight")
        page.wait_for_function(
            "([panel, before]) => { const i = panel.querySelector('img'); return i && i.src !== before; }",
            arg=[panel.element_handle(), before],
        )
    page.screenshot(path=screenshots / f"dashboard_{title.split()[0].lower()}.png")

"""In a browser: all that a visitor can do with the painter on the dashboard."""

import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from painter_page import Painter
from PIL import Image

from toykit.cli import main
from toykit.supervision import read_scribbles, read_seeds


@pytest.fixture
def painter(dashboard):
    dashboard.get_by_role("tab", name="Painter").click()
    painter = Painter(dashboard)
    painter.reset()
    return painter


def png(size, kind="PNG"):
    file = io.BytesIO()
    picture = Image.new("RGB", size, (200, 90, 40))
    picture.paste((30, 60, 160), (0, 0, size[0] // 2, size[1]))
    picture.save(file, format=kind)
    return file.getvalue()


def test_paint_undo_erase_clear(painter, screenshots):
    seeds, picture = painter.seeds(), painter.picture()
    painter.choose("eye")
    painter.after(lambda: painter.drag((0.2, 0.7), (0.3, 0.75), (0.3, 0.9)))
    painted, changed = painter.seeds(), painter.picture()
    assert painted > seeds
    assert changed != picture
    painter.tool("erase")
    painter.after(lambda: painter.drag((0.2, 0.7), (0.3, 0.75)))
    erased = painter.seeds()
    assert erased < painted
    for expected in (painted, seeds):
        painter.after(painter.button("Undo").click)
        assert painter.seeds() == expected
    assert painter.picture() == picture  # not a trace of what was undone
    for expected in (painted, erased):
        painter.after(painter.button("Redo").click)
        assert painter.seeds() == expected
    painter.page.screenshot(path=screenshots / "painter_erased.png")
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
    painter.page.mouse.move(0, 0)
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


def test_the_keys_do_what_the_list_says(painter, screenshots):
    root, keys, seeds = painter.root, painter.page.keyboard, painter.seeds()
    painter.canvas("pen").focus()
    painter.page.mouse.move(*painter.places((0.5, 0.5))[0])
    for key, name in (("3", "eye"), ("1", "background")):
        keys.press(key)
        assert root.get_by_role("radio", name=name, exact=True).is_checked()
    for key, name in (("e", "erase"), ("e", "paint"), ("p", "polygon"), ("f", "fill"), ("b", "paint")):
        keys.press(key)
        assert root.get_by_role("radio", name=name, exact=True).is_checked(), key
    size = int(painter.slider("brush size").input_value())
    keys.press("]")
    assert int(painter.slider("brush size").input_value()) == size + 1
    keys.press("[")
    assert int(painter.slider("brush size").input_value()) == size
    wide = painter.canvas("photo").bounding_box()["width"]
    keys.press("+")
    assert painter.canvas("photo").bounding_box()["width"] == pytest.approx(1.25 * wide)
    keys.press("0")
    assert painter.canvas("photo").bounding_box()["width"] == pytest.approx(wide)
    keys.press("h")
    assert painter.slider("labels").input_value() == "0"
    assert painter.canvas("result").evaluate("(c) => getComputedStyle(c).opacity") == "0"
    keys.press("h")
    keys.press("s")
    photo, labels = (painter.canvas(part).bounding_box() for part in ("photo", "result"))
    assert labels["x"] >= photo["x"] + photo["width"] - 1  # side by side
    painter.page.screenshot(path=screenshots / "painter_side_by_side.png")
    keys.press("s")
    painter.after(lambda: painter.drag((0.2, 0.7), (0.3, 0.75)))
    painted = painter.seeds()
    assert painted > seeds
    painter.press("Control+z")
    assert painter.seeds() == seeds
    painter.press("Control+Shift+Z")
    assert painter.seeds() == painted
    keys.press("?")
    dialog = root.get_by_role("dialog")
    assert "undo" in dialog.text_content()
    painter.page.screenshot(path=screenshots / "painter_keys.png")
    dialog.get_by_role("button", name="Close").click()


def test_wheel_and_space_move_the_photo_and_strokes_stay_where_they_are_painted(painter):
    page, keys = painter.page, painter.page.keyboard
    painter.after(painter.button("Clear").click)
    (x, y), *_ = painter.places((0.25, 0.25))
    page.mouse.move(x, y)
    wide = painter.canvas("photo").bounding_box()["width"]
    page.mouse.wheel(0, -800)
    page.wait_for_function(
        "(wide) => document.querySelector('[data-part=photo]').getBoundingClientRect().width > 2 * wide", arg=wide
    )
    assert painter.places((0.25, 0.25))[0] == pytest.approx((x, y), abs=2)  # about the pointer
    page.mouse.move(x, y)
    keys.down("Space")
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=3)
    page.mouse.up()
    keys.up("Space")
    assert painter.places((0.25, 0.25))[0] == pytest.approx((x + 60, y + 30), abs=2)
    assert painter.seeds() == 0
    painter.after(lambda: painter.drag((0.25, 0.25), (0.26, 0.25)))
    content, _ = painter.download("Save strokes (JSON)")
    assert json.loads(content)["strokes"][0]["points"][0] == pytest.approx(
        (0.25 * 451 - 0.5, 0.25 * 300 - 0.5), abs=0.5
    )
    painter.button("Fit").click()


def test_polygon_fill_and_classes(painter, screenshots):
    painter.upload("Upload a photo", "plain.png", png((120, 80)), "image/png")
    painter.root.get_by_label("new class").fill("  sky  blue ")
    painter.after(painter.button("Add class").click)
    assert painter.root.get_by_role("radio", name="sky blue", exact=True).is_checked()  # a new class is selected
    painter.tool("polygon")
    painter.click((0.1, 0.1), (0.4, 0.1), (0.4, 0.5))
    painter.press("Enter")
    polygon = painter.seeds()
    assert 36 * 32 / 2 * 0.8 < polygon < 36 * 32 / 2 * 1.2
    painter.choose("object")
    painter.tool("paint")
    painter.after(lambda: painter.drag((0.6, 0.3), (0.9, 0.3), (0.9, 0.8), (0.6, 0.8), (0.6, 0.3)))
    ring = painter.seeds()
    painter.choose("background")
    painter.tool("fill")
    painter.after(lambda: painter.click((0.75, 0.5)))
    assert painter.seeds() > ring + 500
    painter.page.screenshot(path=screenshots / "painter_polygon_fill.png")
    painter.after(lambda: painter.click((0.5, 0.9)))
    assert "nothing encloses" in painter.message()
    painter.button("rename sky blue").click()
    painter.page.keyboard.type("sea")
    painter.after(lambda: painter.page.keyboard.press("Enter"))
    painter.after(lambda: painter.root.get_by_label("colour of sea").fill("#ff0000"))
    pixel = "(c) => Array.from(c.getContext('2d').getImageData(40, 20, 1, 1).data)"
    assert painter.canvas("seeds").evaluate(pixel) == [255, 0, 0, 255]
    painter.button("delete sea").click()
    painter.after(lambda: painter.root.get_by_role("dialog").get_by_role("button", name="Delete").click())
    assert painter.root.get_by_role("radio", name="sea").count() == 0
    assert painter.canvas("seeds").evaluate(pixel)[3] == 0


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
    for words, value in (("lambda = 0", "0"), ("reset", "6")):
        painter.after(painter.button(words).click)
        assert painter.slider("lambda").input_value() == value
        assert painter.list("relaxation").input_value() == "CD"
    for name in ("entropy", "hard mask", "strokes only"):
        see(root.get_by_role("radio", name=name).check)
        painter.page.screenshot(path=screenshots / f"painter_{name.replace(' ', '_')}.png")
    assert len(set(seen)) == len(seen)


def test_a_question_before_strokes_are_lost(painter):
    painter.after(lambda: painter.drag((0.2, 0.7), (0.3, 0.75)))
    seeds = painter.seeds()
    painter.open("coffee", "Stay")
    assert painter.list("photo").input_value() == "chelsea"
    assert painter.seeds() == seeds
    with painter.page.expect_event("dialog") as asked:
        painter.page.evaluate("() => { setTimeout(() => location.reload(), 0); }")
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    assert painter.seeds() == seeds
    with painter.page.expect_download() as saved:
        painter.after(lambda: painter.open("coffee", "Save and go on"))
    assert saved.value.suggested_filename == "chelsea_scribbles.json"
    painter.after(lambda: painter.open("chelsea"))
    painter.after(painter.button("Restore them").click)
    assert painter.seeds() == seeds


def test_errors_in_words(painter, screenshots):
    painter.upload("Upload a photo", "broken.png", b"no picture", "image/png")
    assert "broken.png: cannot be read as a picture" in painter.message()
    painter.upload("Load scribbles", "wrong.png", png((9, 9)), "image/png")
    assert "wrong.png" in painter.message()
    painter.page.screenshot(path=screenshots / "painter_error.png")


def test_a_round_trip_through_segment(painter, tmp_path):
    """Paint, erase, save; `segment` takes both files for the photo, and finds the labels that the painter exports."""
    (tmp_path / "mine.png").write_bytes(png((500, 340)))
    painter.upload("Upload a photo", "mine.png", png((500, 340)), "image/png")
    assert painter.canvas("photo").evaluate("(c) => [c.width, c.height]") == [500, 340]
    assert painter.canvas("result").evaluate("(c) => [c.width, c.height]") == [320, 218]
    assert painter.seeds() == 0
    painter.choose("background")
    painter.after(lambda: painter.drag((0.2, 0.2), (0.2, 0.8)))
    painter.choose("object")
    painter.after(lambda: painter.drag((0.8, 0.2), (0.8, 0.8)))
    painter.tool("erase")
    painter.after(lambda: painter.drag((0.75, 0.5), (0.85, 0.5)))
    assert "Preview solved at 320 x 218 of 500 x 340 pixels" in painter.message()
    middle = "(c) => Array.from(c.getContext('2d').getImageData(%d, 109, 1, 1).data)"
    left, right = (painter.canvas("result").evaluate(middle % x) for x in (100, 220))
    assert max(left[:3]) - min(left[:3]) < 10  # the background's light grey
    assert right[0] > right[1] > right[2]  # orange
    for button in ("Save strokes (JSON)", "Save seeds (PNG)"):
        content, name = painter.download(button)
        (tmp_path / name).write_bytes(content)
    seeds = [read_seeds(tmp_path / f"mine_scribbles.{kind}", (500, 340)) for kind in ("json", "png")]
    assert (seeds[0][0] == seeds[1][0]).all()
    assert seeds[0][1] == seeds[1][1] == ("background", "object")
    assert (seeds[0][0] < 255).sum() == painter.seeds()
    assert read_scribbles(tmp_path / "mine_scribbles.json").strokes[2].label is None
    content, name = painter.download("Export labels (NPZ)")
    exported = np.load(io.BytesIO(content))["labels"]
    options = ["--refine", "0", "--bandwidth", "9", "--connectivity", "4", "--tolerance", "1e-3"]
    for kind in ("json", "png"):
        result = CliRunner().invoke(main, ["segment", str(tmp_path / "mine.png"), str(tmp_path / f"mine_scribbles.{kind}"),
                                           "-o", str(tmp_path / kind), *options])  # fmt: skip
        assert result.exit_code == 0, result.output
        labels = np.load(tmp_path / kind / "mine_labels.npz")["labels"]
        assert labels.shape == exported.shape
        assert abs(labels - exported).max() < 1e-3
    painter.after(painter.button("Clear").click)
    painter.upload("Load scribbles", "mine_scribbles.png", (tmp_path / "mine_scribbles.png").read_bytes(), "image/png")
    assert painter.seeds() == (seeds[0][0] < 255).sum()
    content, name = painter.download("Export picture (PNG)")
    assert Image.open(io.BytesIO(content)).size == (500, 340)
    assert name in painter.message()


def test_a_photo_of_24_megapixels_keeps_its_size(painter, tmp_path):
    """In pieces, because a message may have at most 10 MB."""
    noise = np.random.default_rng(0).integers(0, 90, (500, 750, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    noise[:, 3000:, 0] += 150
    file = tmp_path / "large.png"
    Image.fromarray(noise).save(file, compress_level=0)
    assert file.stat().st_size > 70e6
    painter.upload("Upload a photo", "large.png", file, "image/png")
    painter.choose("background")
    painter.after(lambda: painter.drag((0.2, 0.2), (0.2, 0.8)))
    painter.choose("object")
    painter.after(lambda: painter.drag((0.8, 0.2), (0.8, 0.8)))
    assert "of 6000 x 4000 pixels" in painter.message()
    content, _ = painter.download("Save seeds (PNG)")
    seeds = np.array(Image.open(io.BytesIO(content)))
    assert seeds.shape == (4000, 6000)
    assert (seeds[2000, 1100:1300] == 0).any()
    assert (seeds[2000, 4700:4900] == 1).any()


def test_fingers_paint_on_the_canvas_and_scroll_elsewhere(painter):
    assert painter.canvas("pen").evaluate("(c) => getComputedStyle(c).touchAction") == "none"
    elsewhere = "(c) => getComputedStyle(c).touchAction"
    assert painter.root.locator(".controls").evaluate(elsewhere) == "auto"
    seeds, wide = painter.seeds(), painter.canvas("photo").bounding_box()["width"]
    (x, y), (a, b) = painter.places((0.3, 0.3), (0.5, 0.4))
    client = painter.page.context.new_cdp_session(painter.page)

    def touch(kind, *places):
        points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(places)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (x, y))
    touch("touchMove", (a, b))
    painter.after(lambda: touch("touchEnd"))
    assert painter.seeds() > seeds
    seeds = painter.seeds()
    touch("touchStart", (x, y))
    touch("touchStart", (x, y), (a, b))
    touch("touchMove", (x - 40, y - 20), (a + 40, b + 20))
    touch("touchEnd")
    assert painter.canvas("photo").bounding_box()["width"] > 1.2 * wide  # two fingers zoom
    assert painter.seeds() == seeds
    painter.button("Fit").click()

"""Explorers that run in the page: formulas against the package, and drags, keys and controls, from the disk and offline."""

import math
from itertools import product

import pytest
import torch
from PIL import Image

from toykit import explore
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.experiments.moves import potentials_of
from toykit.experiments.potentials import descent_field
from toykit.experiments.uncertainty import label_gradient, prediction_gradient
from toykit.explore.live import FOLDER, script, style
from toykit.potts import RELAXATIONS

#: Import a module's text, and call one of its functions, or the entries of one of its tables, on pairs of distributions.
CALL = """async ([code, kind, names, pairs]) => {
    const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    const one = (name) => kind === "potential" ? (p, q) => module.potential(name, p, q) : module[kind][name];
    return names.map((name) => pairs.map(([p, q]) => one(name)(p, q)));
}"""


def pairs(classes):
    """Return pairs of distributions: vertices, faces, the centre, points beside them, and random ones."""
    corners = torch.eye(classes, dtype=torch.float64)
    middle = torch.full((1, classes), 1 / classes, dtype=torch.float64)
    halves = (corners + corners.roll(1, 0)) / 2
    near = 0.999999 * corners + 0.000001 * middle
    drawn = torch.distributions.Dirichlet(torch.ones(classes, dtype=torch.float64)).sample((6,))
    points = torch.cat([corners, middle, halves, near, drawn])
    return [(p, q) for p, q in product(points, points)]


@pytest.mark.parametrize(
    ("kind", "terms"), [("RELAXATIONS", RELAXATIONS), ("CROSS_ENTROPIES", CROSS_ENTROPIES), ("potential", None)]
)
@pytest.mark.parametrize("classes", [2, 3])
def test_each_formula_equals_the_packages_also_at_vertices(page, kind, terms, classes):
    torch.manual_seed(0)
    p, q = (torch.stack(side) for side in zip(*pairs(classes), strict=True))
    expected = potentials_of(p, q) if terms is None else {name: term(p, q) for name, term in terms.items()}
    code = (FOLDER / "formulas.js").read_text(encoding="utf-8")
    got = page.evaluate(CALL, [code, kind, list(expected), torch.stack([p, q], 1).tolist()])
    assert len(expected) == (4 if kind == "CROSS_ENTROPIES" else 6)
    for values, (name, ours) in zip(got, expected.items(), strict=True):
        assert values == pytest.approx(ours.tolist(), abs=1e-6), name
        assert (terms is None and name in ("CCE", "CD", "LQ")) == any(math.isinf(value) for value in values)


def test_the_scripts_are_small():
    assert len((script() + style()).encode()) < 60_000


@pytest.fixture
def opened(page, tmp_path):
    """opened(widget, ...): the page with a widget's stored output, from the disk, offline."""

    def open_(widget, width=1280, dark=False):
        page.context.set_offline(True)
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.set_viewport_size({"width": width, "height": 900})
        output = widget._repr_mimebundle_()["text/html"]
        head = '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><body>'
        (tmp_path / "page.html").write_text(head + output, encoding="utf-8")
        page.goto((tmp_path / "page.html").as_uri())
        page.locator(".toykit-live .controls").first.wait_for(timeout=15_000)
        return page.locator(".toykit-live")

    return open_


def shown(root):
    """Return the texts of the bars, by relaxation."""
    return {t.get_attribute("data-value"): t.text_content() for t in root.locator("[data-value]").all()}


def shares(root, name):
    """Return the shares of A, B and C of a label, as a screen reader reads them."""
    text = root.get_by_role("slider", name=f"label {name}").get_attribute("aria-valuetext")
    return [float(part.split()[1]) for part in text.split(", ")]


def settle(page):
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_drags_keys_and_controls_of_the_simplex(opened, page):
    root = opened(explore.simplex_explorer())
    settle(page)
    values = potentials_of(*(torch.tensor([y], dtype=torch.float64) for y in ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6))))
    assert shown(root) == {name: f"{float(value):.3f}" for name, value in values.items()}
    colors = "(canvas) => canvas.toDataURL()"
    painted = root.locator("canvas").evaluate(colors)
    for name, target in (("p", "A"), ("q", "C")):  # each to a corner by the mouse, further than the corner
        handle, corner = (
            root.get_by_role("slider", name=f"label {name}"),
            root.locator("text.corner", has_text=target),
        )
        start, end = handle.locator(".knob").bounding_box(), corner.bounding_box()
        page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
        page.mouse.down()
        page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=4)
        page.mouse.up()
        settle(page)
        assert max(shares(root, name)) > 0.93
        page.mouse.move(5, 5)  # after the release, the point stays
    assert root.locator("canvas").evaluate(colors) != painted
    handle = root.get_by_role("slider", name="label q")
    for key, expected in (
        ("b", [0, 1, 0]),
        ("m", [0.33, 0.33, 0.33]),
        ("ArrowRight", [0.32, 0.34, 0.33]),
        ("A", [1, 0, 0]),
    ):
        handle.press(key)
        settle(page)
        assert shares(root, "q") == pytest.approx(expected, abs=0.011)
    root.get_by_role("slider", name="label p").press("a")
    settle(page)
    boxes = [root.get_by_role("slider", name=f"label {n}").locator(".knob").bounding_box() for n in "pq"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"] + 6  # equal labels stand side by side
    before = root.locator("canvas").evaluate(colors)
    root.get_by_label("colour: P(p, .) of").select_option("Q")
    settle(page)
    assert root.locator("canvas").evaluate(colors) != before
    root.get_by_label("move of Fig. 1").select_option("b")
    root.get_by_label("time along the move").fill("0.5")
    settle(page)
    assert (shares(root, "q"), shown(root)["Q"], shown(root)["CD"]) == ([0, 0.5, 0.5], "0.750", "infinite")
    root.get_by_label("time along the move").fill("0.97")
    root.get_by_role("button", name="play").click()
    page.wait_for_function("() => document.querySelector('input[type=range]').value === '1'")
    root.get_by_role("button", name="unsure together").click()
    settle(page)
    assert (shares(root, "p"), shares(root, "q"), shown(root)["BL"]) == ([0.5, 0.5, 0], [0.5, 0.5, 0], "0.500")
    root.get_by_role("button", name="reset").click()
    settle(page)
    assert (shares(root, "p"), shares(root, "q")) == ([0.7, 0.2, 0.1], [0.1, 0.3, 0.6])


def drag_by(page, element, dx, dy):
    box = element.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()
    settle(page)


def test_cross_entropies_follow_handles_and_sliders_and_show_the_packages_numbers(opened, page):
    root = opened(explore.cross_entropy_explorer(0.6, 0.8))
    settle(page)
    losses = {
        "CE": 0.6 * math.log(1.25) + 0.4 * math.log(5),
        "RCE": 0.8 * math.log(1 / 0.6) + 0.2 * math.log(2.5),
        "CCE": math.log(1 / 0.56),
        "Q": 0.08,
    }
    answers = {"CE": (0.6, 1), "RCE": (1, 0.8), "CCE": (1, 1), "Q": (0.6, 0.8)}
    rows = [row.locator("td").all_text_contents() for row in root.locator("tr").all()[1:]]
    for name, value, to_sigma, best_sigma, to_y, best_y in rows:
        assert float(value) == pytest.approx(losses[name], abs=6e-4)
        assert float(to_sigma) == pytest.approx(prediction_gradient(name, 0.6, 0.8), abs=6e-4)
        assert float(to_y) == pytest.approx(label_gradient(name, 0.6, 0.8), abs=6e-4)
        assert best_sigma == ("mimics it" if answers[name][0] == 0.6 else "goes to 1")
        assert best_y == ("mimics it" if answers[name][1] == 0.8 else "goes to 1")
    lines = "(root) => [...root.querySelectorAll('[data-line]')].map((path) => path.getAttribute('d'))"
    for knob, label in (("prediction", "prediction sigma = (x, 1 - x): x"), ("label", "label y = (x, 1 - x): x")):
        before, value = root.evaluate(lines), float(root.get_by_label(label).input_value())
        drag_by(page, root.locator(f"[data-knob={knob}] .grip"), -60, 0)
        assert float(root.get_by_label(label).input_value()) < value - 0.05
        assert root.evaluate(lines) != before
    dragged = root.get_by_label("label y = (x, 1 - x): x").input_value()
    settle(page)
    rows = {row.locator("td").first.text_content(): row for row in root.locator("tr").all()[1:]}
    assert rows["CE"].locator("td").nth(3).text_content() == "mimics it"
    assert rows["RCE"].locator("td").nth(5).text_content() == "mimics it"
    assert root.locator("output").first.text_content() == f"{float(dragged):g}"
    root.get_by_label("label y = (x, 1 - x): x").fill("0.5")
    settle(page)
    assert root.get_by_text("anything goes").count() == 2
    root.get_by_label("label y = (x, 1 - x): x").fill("1")
    settle(page)
    assert root.get_by_text("(a corner)").count() == 4


def test_potentials_follow_drags_and_controls(opened, page):
    root = opened(explore.potential_explorer("Q", limit=2, n=11))
    settle(page)
    _, along_i, along_j = descent_field("Q", 2.0)
    longest = float(torch.hypot(along_i, along_j).max())
    assert root.get_by_text(f"longest arrow: |dP/dl| = {longest:.2f}").count() == 1
    see = (
        "(root) => [root.querySelector('.surface').toDataURL(),"
        + """
        ...[...root.querySelectorAll('[data-line]')].map((path) => path.getAttribute('d'))]"""
    )
    before = root.evaluate(see)
    drag_by(page, root.locator(".surface"), 50, 20)
    assert float(root.get_by_label("turn the surface, degrees").input_value()) != 230  # in step with the drag
    after = root.evaluate(see)
    assert (after[0] != before[0], after[1:]) == (True, before[1:])
    drag_by(page, root.locator("[data-knob=cut] .grip"), 0, -40)
    assert float(root.get_by_label("l_j of the cut").input_value()) > -1.9
    last = root.evaluate(see)
    assert last[1] != after[1]
    root.get_by_label("relaxation").select_option("CD")
    settle(page)
    assert all(old != new for old, new in zip(last, root.evaluate(see), strict=True))


def test_a_finger_drags_a_point_and_the_page_stays(opened, page):
    root = opened(explore.simplex_explorer(), 390)
    box = root.get_by_role("slider", name="label q").locator(".knob").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert page.evaluate("document.documentElement.scrollHeight - innerHeight") > 100  # else it could not scroll
    before = shares(root, "q")[2]
    touch = page.context.new_cdp_session(page)
    for kind, at in (
        ("touchStart", (x, y)),
        ("touchMove", (x, y - 30)),
        ("touchMove", (x, y - 60)),
        ("touchEnd", None),
    ):
        points = [{"x": at[0], "y": at[1]}] if at else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    settle(page)
    assert shares(root, "q")[2] > before + 0.1
    assert page.evaluate("scrollY") == 0


EXPLORERS = {
    "simplex": explore.simplex_explorer,
    "potentials": explore.potential_explorer,
    "cross_entropies": explore.cross_entropy_explorer,
}


@pytest.mark.parametrize("name", EXPLORERS)
def test_explorers_fit_a_screen_and_a_phone_light_and_dark(opened, page, screenshots, name):
    for width, dark in product((1920, 1440, 390), (False, True)):
        root = opened(EXPLORERS[name](), width, dark)
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        clipped = """(root) => [...root.querySelectorAll('*')].map((e) => e.getBoundingClientRect())
            .filter((r) => r.width && (r.right > innerWidth + 0.5 || r.left < -0.5)).length"""
        assert root.evaluate(clipped) == 0
        pictures, controls = root.locator("figure").first.bounding_box(), root.locator(".controls").bounding_box()
        assert pictures["y"] < controls["y"]
        page.screenshot(path=screenshots / f"live_{name}_{width}_{'dark' if dark else 'light'}.png", full_page=True)


def test_a_picture_stands_in_where_no_script_runs(chromium, tmp_path):
    output = explore.simplex_explorer()._repr_mimebundle_()["text/html"]
    (tmp_path / "page.html").write_text(output, encoding="utf-8")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert page.locator(".toykit-live img").bounding_box()["width"] > 300
    assert page.locator(".toykit-live canvas").count() == 0
    page.screenshot(path=tmp_path / "page.png")
    assert len(Image.open(tmp_path / "page.png").convert("L").getcolors()) > 50
    context.close()

"""Explorers, without a browser: each control has an effect, and the values agree with formulas by hand."""

import io
import math
import re
import threading

import numpy as np
import pytest
from PIL import Image

from toykit import datasets, explore
from toykit.explore.panels import NARROW, Panel, Panels
from toykit.plots import class_tints


def images(widget):
    """Return an explorer's images as arrays, by their titles."""
    shown = {}
    for box in widget.children[0].children[0].children:
        title, image = box.children
        assert title.value.startswith("<h4>")
        shown[title.value[4:-5]] = np.asarray(Image.open(io.BytesIO(bytes(image.value))))
    return shown


def test_pseudo_labels():
    sample = datasets.photo("chelsea", 32)
    widget = explore.pseudo_labels(sample)
    given, _, text = parts(widget)
    assert list(images(widget)) == ["seeds", "soft labels", "their entropy", "hard mask"]
    assert all(shown.shape[:2] == sample.image.shape[:2] for shown in images(widget).values())
    assert set(map(tuple, images(widget)["hard mask"].reshape(-1, 3))) <= {
        tuple(color) for color in (class_tints(len(sample.classes)) * 255).round().astype(int)
    }
    assert all(f"<span>{name}</span>" in text.value for name in sample.classes)
    changes = {"relaxation": "BL", "cross-entropy": "Q", "eta": 1.5, "lambda": 1.0, "bandwidth": 30.0}
    assert set(given) == set(changes)
    for name, value in changes.items():
        before = images(widget)
        given[name].value = value
        now = images(widget)
        assert (now["seeds"] == before["seeds"]).all()
        assert (now["soft labels"] != before["soft labels"]).any(), name


def test_changes_from_several_threads_end_in_the_picture_of_the_last_values():
    widget = explore.pseudo_labels(datasets.photo("chelsea", 24))
    lam = parts(widget)[0]["lambda"]
    threads = [threading.Thread(target=setattr, args=(lam, "value", x)) for x in (0.0, 20.0, 3.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lam.value = 9.0
    last = images(widget)["soft labels"]
    lam.value = 0.0
    assert (images(widget)["soft labels"] != last).any()
    lam.value = 9.0
    assert (images(widget)["soft labels"] == last).all()


def parts(widget, *path):
    """Return an explorer's controls by their labels, its figure and its text."""
    controls, figure, text = {}, None, None
    stack = [widget]
    while stack:
        part = stack.pop()
        if type(part).__name__ == "FigureWidget":
            figure = part
        elif "text" in getattr(part, "_dom_classes", ()):
            text = part  # the stack reverses the order: the last one is the text that changes, above the caption
        elif type(part).__name__ in ("HTML", "Image", "Frame"):
            pass
        elif hasattr(part, "children"):
            stack.extend(part.children)
        else:
            assert part.description not in controls
            controls[part.description] = part
    return controls, figure, text


def snapshot(figure, text=None):
    """Return everything that an explorer shows, for comparison."""
    return figure.to_json(), text and text.value


def click(figure, trace, index, x=0.0, y=0.0):
    """Send the message that plotly's page sends when a reader clicks a point of a trace."""
    figure._js2py_pointsCallback = {
        "event_type": "plotly_click",
        "points": {"trace_indexes": [trace], "point_indexes": [index], "xs": [x], "ys": [y]},
        "device_state": {"alt": False, "ctrl": False, "meta": False, "shift": False, "button": 0, "buttons": 1},
        "selector": None,
    }
    figure._js2py_pointsCallback = None


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (explore.potential_explorer, {"relaxation": "Q", "l_j of the cut": 1.0, "turn the surface, degrees": 90}),
        (
            explore.cross_entropy_explorer,
            {"label y = (x, 1 - x): x": 0.5, "prediction sigma = (x, 1 - x): x": 0.3},
        ),
    ],
    ids=("potential", "cross_entropy"),
)  # fmt: skip
def test_every_control_is_labelled_in_full_and_changes_what_is_shown(make, changes):
    controls_, figure, text = parts(make())
    assert set(controls_) == set(changes)
    for name, value in changes.items():
        control = controls_[name]
        if hasattr(control, "continuous_update"):
            assert not control.continuous_update
        assert control.style.description_width == "initial"
        before = snapshot(figure, text)
        control.value = value
        assert snapshot(figure, text) != before, name


def by_hand(p, q):
    """Compute the six relaxations of Tables 1 and 2 in plain Python."""
    s, a, b = (sum(x * y for x, y in zip(*pair, strict=True)) for pair in ((p, q), (p, p), (q, q)))
    inner = {"BL": s, "Q": 1 - (a + b) / 2 + s, "NQ": s / math.sqrt(a * b)}
    logs = {"CCE": "BL", "LQ": "Q", "CD": "NQ"}
    values = {name: 1 - x for name, x in inner.items()}
    return values | {log: -math.log(inner[of]) if inner[of] > 0 else math.inf for log, of in logs.items()}


def test_points_outside_the_triangle_are_refused():
    for point in ((0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.5, 0.5)):
        with pytest.raises(ValueError, match="q: expected three numbers >= 0 that sum to 1"):
            explore.simplex_explorer(q=point)


def binary_by_hand(name, l_i, l_j):
    x, y = (1 / (1 + math.exp(-2 * logit)) for logit in (l_i, l_j))
    return by_hand((x, 1 - x), (y, 1 - y))[name]


@pytest.mark.parametrize("name", ["BL", "CD"])
def test_the_potential_explorer_shows_surface_cut_and_field(name):
    controls_, figure, text = parts(explore.potential_explorer("Q", limit=2.0, n=11))
    controls_["relaxation"].value = name
    controls_["l_j of the cut"].value = 0.5
    surface, on_surface, curve, pull, arrows, line = figure.data
    assert surface.z.shape == (11, 11)
    assert surface.z[2, 9] == pytest.approx(binary_by_hand(name, surface.x[9], surface.y[2]))
    h = 1e-6
    for k in (5, 40, 100):
        l_i = curve.x[k]
        assert curve.y[k] == on_surface.z[k] == pytest.approx(binary_by_hand(name, l_i, 0.5))
        slope = (binary_by_hand(name, l_i + h, 0.5) - binary_by_hand(name, l_i - h, 0.5)) / (2 * h)
        assert pull.y[k] == pytest.approx(-slope, abs=1e-7)
    assert list(line.y) == [0.5, 0.5]
    assert set(on_surface.y) == {0.5}
    # an arrow starts at a grid point, goes downhill, and is as long as the gradient
    lengths = []
    for at in (3 * 33, 3 * 15):
        (x0, x1), (y0, y1) = arrows.x[at : at + 2], arrows.y[at : at + 2]
        assert arrows.x[at + 2] is None
        gradient = [
            (binary_by_hand(name, x0 + h, y0) - binary_by_hand(name, x0 - h, y0)) / (2 * h),
            (binary_by_hand(name, x0, y0 + h) - binary_by_hand(name, x0, y0 - h)) / (2 * h),
        ]
        lengths.append((x1 - x0) / -gradient[0])
        assert (y1 - y0) / -gradient[1] == pytest.approx(lengths[-1])
    assert lengths[0] == pytest.approx(lengths[1])
    assert lengths[0] > 0
    tails, heads = (np.array([arrows.x[k::3], arrows.y[k::3]], float) for k in (0, 1))
    longest = np.linalg.norm(heads - tails, axis=0).max()
    assert longest == pytest.approx(0.5)  # the grid's step
    assert float(text.value.split("=")[1]) == pytest.approx(longest / lengths[0], abs=0.006)


def test_the_surface_turns_by_a_slider():
    controls_, figure, _ = parts(explore.potential_explorer(n=5))
    controls_["turn the surface, degrees"].value = 90
    eye = figure.layout.scene.camera.eye
    assert (eye.x, eye.y) == pytest.approx((0, math.hypot(eye.x, eye.y)))


def cross_entropies_by_hand(y, x):
    """Compute CE, RCE, CCE and Q of (y, 1 - y) and (x, 1 - x)."""
    return {
        "CE": -y * math.log(x) - (1 - y) * math.log(1 - x),
        "RCE": -x * math.log(y) - (1 - x) * math.log(1 - y),
        "CCE": -math.log(x * y + (1 - x) * (1 - y)),
        "Q": 2 * (x - y) ** 2,
    }


def test_the_cross_entropy_explorer_shows_curves_answers_and_gradients():
    controls_, figure, text = parts(explore.cross_entropy_explorer())
    y, sigma = 0.6, 0.8
    controls_["label y = (x, 1 - x): x"].value = y
    controls_["prediction sigma = (x, 1 - x): x"].value = sigma
    answers = {"CE": (y, 1), "RCE": (1, sigma), "CCE": (1, 1), "Q": (y, sigma)}
    rows = dict(re.findall(r"<tr><td[^>]*>(\w+)</td>(.*?)</tr>", text.value))
    now, h = cross_entropies_by_hand(y, sigma), 1e-6
    for number, (name, best) in enumerate(answers.items()):
        for side, here in enumerate((sigma, y)):
            curve, marks = figure.data[8 * side + 2 * number : 8 * side + 2 * number + 2]
            assert curve.name == marks.name == name
            for k in (20, 150):
                pair = (y, curve.x[k]) if side == 0 else (curve.x[k], sigma)
                assert curve.y[k] == pytest.approx(cross_entropies_by_hand(*pair)[name])
            assert list(marks.x) == pytest.approx([here, best[side]])
            assert marks.y[0] == pytest.approx(now[name])
            assert marks.y[1] == pytest.approx(curve.y.min(), abs=0.03)
        loss, to_sigma, best_sigma, to_y, best_y = re.findall(r"<td[^>]*>([^<]*)</td>", rows[name])
        assert float(loss) == pytest.approx(now[name], abs=6e-4)
        slopes = [  # dH/dl = dH/dx x (1 - x)
            (cross_entropies_by_hand(y, sigma + h)[name] - cross_entropies_by_hand(y, sigma - h)[name]) / (2 * h),
            (cross_entropies_by_hand(y + h, sigma)[name] - cross_entropies_by_hand(y - h, sigma)[name]) / (2 * h),
        ]
        assert float(to_sigma) == pytest.approx(slopes[0] * sigma * (1 - sigma), abs=6e-4)
        assert float(to_y) == pytest.approx(slopes[1] * y * (1 - y), abs=6e-4)
        assert best_sigma == ("mimics it" if name in ("CE", "Q") else "goes to 1")
        assert best_y == ("mimics it" if name in ("RCE", "Q") else "goes to 1")


def test_the_cross_entropy_explorer_at_its_ends():
    controls_, figure, text = parts(explore.cross_entropy_explorer())
    label = controls_["label y = (x, 1 - x): x"]
    label.value = 0.5
    assert text.value.count("anything goes") == 2  # RCE and CCE learn nothing from an unknown label
    assert figure.data[3].x[1] is None
    label.value = 1.0
    assert text.value.count("(a corner)") == 4
    assert all(np.isfinite(trace.y.astype(float)).all() for trace in figure.data if trace.mode == "lines")


def test_the_neighborhood_explorer_shows_affinities_and_follows_clicks_and_keys():
    sample = datasets.photo("coffee", 24)
    photo = sample.image.astype(float)
    controls_, figure, text = parts(explore.neighborhood_explorer(sample))
    whole, close = figure.data[2:4]

    def weight(a, b, color, space=math.inf):  # of pixels (x, y), by the formula
        colors = ((photo[a[1], a[0]] - photo[b[1], b[0]]) ** 2).sum()
        return math.exp(-colors / (2 * color**2) - ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (2 * space**2))

    controls_["colour bandwidth (0..255)"].value = 40
    controls_["spatial bandwidth (pixels), dense only"].value = 10
    controls_["pixel: x"].value, controls_["pixel: y"].value = 3, 7
    assert whole.z[9, 5] == close.z[9, 5] == pytest.approx(weight((3, 7), (5, 9), 40, 10), rel=1e-4)
    assert whole.z[7, 3] == 0
    total = float(re.search(r"sum of all weights: ([\d.]+)", text.value)[1])
    everywhere = [weight((3, 7), (x, y), 40, 10) for y in range(photo.shape[0]) for x in range(photo.shape[1])]
    assert total == pytest.approx(sum(everywhere) - 1, abs=0.01)

    click(figure, 1, [4, 10], x=10, y=4)
    assert (controls_["pixel: x"].value, controls_["pixel: y"].value) == (10, 4)
    assert [list(cross.x) + list(cross.y) for cross in figure.data[4:]] == [
        [10, 4]
    ] * 4  # white on black, in two panels
    assert list(figure.layout.xaxis3.range) == [3.5, 16.5]
    assert list(figure.layout.yaxis3.range) == [10.5, -2.5]
    controls_["neighbourhood"].value = "nearest, 4"
    assert controls_["spatial bandwidth (pixels), dense only"].disabled
    around = {(9, 4), (11, 4), (10, 3), (10, 5)}
    assert {(x, y) for y, x in zip(*np.nonzero(whole.z), strict=True)} == around
    assert whole.z[3, 10] == pytest.approx(weight((10, 4), (10, 3), 40), rel=1e-4)
    click(figure, 2, [0, 0], x=0, y=0)
    assert (whole.z > 0).sum() == 2


def test_every_control_of_the_neighborhood_explorer_has_an_effect():
    controls_, figure, text = parts(explore.neighborhood_explorer(datasets.photo("coffee", 24)))
    changes = {
        "colour bandwidth (0..255)": 40.0,
        "spatial bandwidth (pixels), dense only": 5.0,
        "pixel: x": 3,
        "pixel: y": 7,
        "neighbourhood": "sparse non-local",
    }
    assert set(controls_) == set(changes)
    for name, value in changes.items():
        before = snapshot(figure, text)
        controls_[name].value = value
        assert snapshot(figure, text) != before, name
    shown = {}
    for kind in ("nearest, 4", "nearest, 8", "sparse non-local", "dense"):
        controls_["neighbourhood"].value = kind
        shown[kind] = int((figure.data[2].z > 0).sum())
    assert shown["nearest, 4"] < shown["nearest, 8"] < shown["dense"]
    assert shown["nearest, 4"] < shown["sparse non-local"] < shown["dense"]


def boxes(figure):
    """Return the domain of each panel: (left, right, bottom, top) as shares of the figure."""
    layout = figure.layout
    axes = [key[5:] for key in layout.to_plotly_json() if key.startswith("xaxis")]
    domains = [(layout[f"xaxis{k}"].domain, layout[f"yaxis{k}"].domain) for k in axes]
    domains += [(layout.scene.domain.x, layout.scene.domain.y)] if layout.scene.domain.x else []
    return [(*x, *y) for x, y in domains]


@pytest.mark.parametrize(
    "make",
    [
        explore.potential_explorer,
        explore.cross_entropy_explorer,
        lambda: explore.neighborhood_explorer(datasets.photo("coffee", 24)),
    ],
    ids=("potential", "cross_entropy", "neighborhood"),
)
def test_panels_stand_side_by_side_in_a_wide_page_and_stacked_in_a_narrow_one(make):
    widget = make()
    frame, figure = widget.children[-1], parts(widget)[1]
    assert all(note.text in frame.label for note in figure.layout.annotations[: len(boxes(figure))])
    for width in (1200, 930, NARROW, 340):
        frame.width = width
        domains = boxes(figure)
        for k, (left, right, bottom, top) in enumerate(domains):
            assert 0 <= left < right <= 1
            assert 0 <= bottom < top <= 1
            assert (right - left) * width > 100
            for other in domains[:k]:  # no two overlap
                assert right <= other[0] or other[1] <= left or top <= other[2] or other[3] <= bottom
        stacked = all(right - left > 0.8 for left, right, *_ in domains)
        assert stacked == (width < NARROW)


def test_a_panel_leaves_room_for_its_axes_in_pixels():
    panels = Panels(
        [Panel("one", (0, 0.5, 0, 1), 200, around=(40, 20, 30)), Panel("two", (0.5, 1, 0, 1), 300)], height=400
    )
    panels.arrange(1000)
    assert boxes(panels.figure)[0] == pytest.approx((0.04, 0.48, 30 / 400, 1 - 26 / 400))
    panels.arrange(400)
    assert (panels.figure.layout.width, panels.figure.layout.height) == (400, 500)
    assert boxes(panels.figure)[0] == pytest.approx((0.1, 0.95, 1 - 170 / 500, 1 - 26 / 500))
    assert [note.y for note in panels.figure.layout.annotations] == pytest.approx([1, 1 - 200 / 500])

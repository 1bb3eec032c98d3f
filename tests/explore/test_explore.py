"""Explorers, without a browser: each control has an effect, and the values agree with formulas by hand."""

import io
import math
import re
import threading

import numpy as np
import pytest
from PIL import Image

from toykit import datasets, explore
from toykit._shared.palette import LINE_COLORS
from toykit.explore import neighborhoods, photos
from toykit.explore.dashboard import TABS
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
        elif type(part).__name__ in ("HTML", "Image", "Frame", "Button"):
            pass
        elif hasattr(part, "children"):
            stack.extend(part.children)
        else:
            assert part.description not in controls
            controls[part.description] = part
    return controls, figure, text


def press(widget, words):
    """Click the button with these words."""
    (button,) = (one for one in widget.children[1].children[-1].children if one.description == words)
    button.click()


def test_a_situation_sets_its_controls_and_draws_once_and_reset_restores_the_first_ones(monkeypatch):
    widget = explore.pseudo_labels(datasets.photo("chelsea", 24))
    given, first, calls = parts(widget)[0], images(widget), []
    solve = photos.solve
    monkeypatch.setattr(photos, "solve", lambda *a, **k: calls.append(a) or solve(*a, **k))
    for words, values in photos.SITUATIONS.items():
        given["eta"].value = 0.5
        calls.clear()
        press(widget, words)
        assert {name: given[name].value for name in values} == values
        assert (given["eta"].value, len(calls)) == (0.5, 1)
    press(widget, "reset")
    assert (given["eta"].value, len(calls)) == (0.3, 2)
    assert all((now == images(widget)[name]).all() for name, now in first.items())


@pytest.mark.parametrize(
    ("make", "photo_name", "state", "kept"),
    [
        (
            explore.pseudo_labels,
            "chelsea",
            {"relaxation": "BL", "cross_entropy": "CE", "eta": "0.5", "lambda": "2", "bandwidth": "20"},
            "CD",
        ),
        (
            explore.neighborhood_explorer,
            "coffee",
            {
                "neighbourhood": "nearest, 8",
                "colour_bandwidth": "20",
                "spatial_bandwidth": "8",
                "pixel_x": "3",
                "pixel_y": "2",
            },
            "dense",
        ),
    ],
)
def test_a_link_s_state_sets_the_controls_and_what_does_not_fit_is_left_out(make, photo_name, state, kept):
    widget = make(datasets.photo(photo_name, 24))
    frame = widget.children[-1]
    first = dict(frame.state)
    assert first.keys() == state.keys()
    assert frame.kind in {tab.name for tab in TABS}
    assert kept in first.values()
    for given in (
        state,
        dict.fromkeys(state, "nan") | {"no": "thing"},
        dict.fromkeys(state, "-9"),
        dict.fromkeys(state, 7),
        {},
    ):
        frame._handle_custom_msg({"state": given}, [])  # as the page sends it
        assert frame.state == state
    press(widget, "reset")
    assert frame.state == first


def test_situations_of_the_neighborhood_explorer_leave_the_pixel(monkeypatch):
    widget = explore.neighborhood_explorer(datasets.photo("coffee", 24))
    given, figure, _ = parts(widget)
    given["pixel: x"].value, seen = 3, []
    for words, values in neighborhoods.SITUATIONS.items():
        press(widget, words)
        assert {name: given[name].value for name in values} == values
        assert given["pixel: x"].value == 3
        seen.append(figure.data[2].z.sum())
    assert len(set(seen)) == len(seen)


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


def test_points_outside_the_triangle_are_refused():
    for point in ((0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.5, 0.5)):
        with pytest.raises(ValueError, match="q: expected three numbers >= 0 that sum to 1"):
            explore.simplex_explorer(q=point)


def test_other_arguments_out_of_range_are_refused():
    for make, value, message in (
        (explore.simplex_explorer, {"relaxation": "TV"}, "relaxation: expected one of BL"),
        (explore.potential_explorer, {"relaxation": "TV"}, "relaxation: expected one of BL"),
        (explore.potential_explorer, {"limit": float("nan")}, "limit: expected"),
        (explore.potential_explorer, {"n": 1}, "n: expected"),
        (explore.simplex_explorer, {"p": (float("nan"), 0, 1)}, "p: expected three numbers"),
        (explore.cross_entropy_explorer, {"label": 1.5}, "label: expected a number in"),
        (explore.cross_entropy_explorer, {"prediction": 0.0}, "prediction: expected a number in"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**value)


def test_an_explorer_in_the_page_starts_with_its_arguments_and_the_lines_of_the_palette():
    widget = explore.simplex_explorer((1, 0, 0), (0, 1, 0), "NQ")
    assert (widget.start["p"], widget.start["q"], widget.start["relaxation"]) == ([1, 0, 0], [0, 1, 0], "NQ")
    relaxations = {name: line["color"] for name, line in widget.start["lines"].items()}
    assert list(relaxations.values()) == list(LINE_COLORS[:6])
    assert not set(widget.start["handles"]) & set(relaxations.values())
    widget = explore.potential_explorer("Q", limit=1.5, n=11)
    assert (widget.start["relaxation"], widget.start["limit"], widget.start["n"]) == ("Q", 1.5, 11)
    lines = explore.cross_entropy_explorer(0.6, 0.8).start["lines"]
    assert all(lines[name]["color"] == relaxations[name] for name in ("CCE", "Q"))  # a name looks the same everywhere
    assert not {lines[name]["color"] for name in ("CE", "RCE")} & set(relaxations.values())
    assert lines["CE"]["color"] == "currentColor"  # black would not be seen in the dark
    assert len({line["dash"] for line in lines.values()}) == 4


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
    return [(*x, *y) for x, y in domains]


def test_panels_stand_side_by_side_in_a_wide_page_and_in_two_rows_in_a_narrow_one():
    widget = explore.neighborhood_explorer(datasets.photo("coffee", 24))
    frame, figure = widget.children[-1], parts(widget)[1]
    assert all(note.text in frame.label for note in figure.layout.annotations[: len(boxes(figure))])
    for width in (1200, 930, NARROW, 340):
        frame.width = width
        domains = boxes(figure)
        for k, (left, right, bottom, top) in enumerate(domains):
            assert 0 <= left < right <= 1
            assert 0 <= bottom < top <= 1
            assert (right - left) * width > 100
            assert (top - bottom) * figure.layout.height > 90
            for other in domains[:k]:  # no two overlap
                assert right <= other[0] or other[1] <= left or top <= other[2] or other[3] <= bottom
        rows = {top for *_, top in domains}
        assert len(rows) == (2 if width < NARROW else 1)


def test_a_page_that_loads_plotly_late_starts_from_the_figure_as_it_is():
    widget = explore.neighborhood_explorer(datasets.photo("coffee", 24))
    frame, figure = widget.children[-1], parts(widget)[1]
    state = figure.get_state()
    assert len(state["_widget_data"]) == len(figure.data) == 8
    assert np.array_equal(state["_widget_data"][2]["z"], figure.data[2].z)
    assert state["_widget_layout"]["xaxis3"]["range"] == list(figure.layout.xaxis3.range)
    frame.width = 340
    assert figure.get_state()["_widget_layout"]["width"] == 340


def test_a_panel_leaves_room_for_its_axes_in_pixels():
    panels = Panels(
        [
            Panel("one", (0, 0.5, 0, 1), (0, 1, 0, 0.4), around=(40, 20, 30)),
            Panel("two", (0.5, 1, 0, 1), (0, 1, 0.4, 1)),
        ],
        heights=(400, 500),
    )
    panels.arrange(1000)
    assert boxes(panels.figure)[0] == pytest.approx((0.04, 0.48, 30 / 400, 1 - 26 / 400))
    panels.arrange(400)
    assert (panels.figure.layout.width, panels.figure.layout.height) == (400, 500)
    assert boxes(panels.figure)[0] == pytest.approx((0.1, 0.95, 1 - 170 / 500, 1 - 26 / 500))
    assert [note.y for note in panels.figure.layout.annotations] == pytest.approx([1, 1 - 200 / 500])

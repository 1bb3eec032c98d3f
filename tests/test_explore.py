"""Explorers: each control changes what is drawn (the drawing itself is tested in test_plots)."""

import matplotlib as mpl
import pytest

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from toykit import datasets, explore
from toykit.explore import controls
from toykit.potts import RELAXATIONS


@pytest.fixture
def drawn(monkeypatch):
    """Every figure that an explorer draws, as pixels; controls are reached by their labels."""
    figures = []

    def wire(draw, given):
        def redraw(*_):
            figure = draw(**{name: control.value for name, control in given.items()})
            figure.canvas.draw()
            figures.append(np.asarray(figure.canvas.buffer_rgba()).copy())
            plt.close(figure)

        for control in given.values():
            control.observe(redraw, "value")
        redraw()
        return given

    for module in ("moves", "uncertainty", "photos"):
        monkeypatch.setattr(f"toykit.explore.{module}.figure_with_controls", wire)
    return figures


def different(a, b):
    return a.shape != b.shape or (a != b).any()


def test_moves(drawn):
    given = explore.play_move()
    for name, value in (("time", 0.8), ("move", "b")):
        given[name].value = value
        assert different(drawn[-1], drawn[-2]), name


def test_cross_entropies(drawn):
    given = explore.cross_entropies()
    given["label"].value = 0.5
    assert different(drawn[-1], drawn[-2])


def test_pseudo_labels(drawn):
    given = explore.pseudo_labels(datasets.photo("chelsea", 32))
    assert [c.description for c in given.values()] == ["relaxation", "cross-entropy", "eta", "lambda", "bandwidth"]
    changes = {"relaxation": "BL", "cross_entropy": "Q", "eta": 1.5, "lam": 1.0, "bandwidth": 30.0}
    for name, value in changes.items():
        given[name].value = value
        assert different(drawn[-1], drawn[-2]), name


def test_the_widget_holds_controls_above_the_figure():
    widget = controls.figure_with_controls(lambda x: plt.figure(), {"x": controls.slider("x", 0.5, 0, 1, 0.1)})
    box, output = widget.children
    assert box.children[0].description == "x"
    assert type(output).__name__ == "Output"


def test_the_surface_turns_through_all_six():
    figure = explore.potential_surface("NQ", limit=2.0, n=11)
    assert [trace.name for trace in figure.data] == list(RELAXATIONS)
    assert [bool(trace.visible) for trace in figure.data] == [name == "NQ" for name in RELAXATIONS]
    assert figure.data[0].z.shape == (11, 11)
    assert figure.data[0].x.max() == 2
    (menu,) = figure.layout.updatemenus
    assert menu.active == list(RELAXATIONS).index("NQ")
    assert [button.label for button in menu.buttons] == list(RELAXATIONS)
    assert list(menu.buttons[5].args[0]["visible"]) == [name == "CD" for name in RELAXATIONS]

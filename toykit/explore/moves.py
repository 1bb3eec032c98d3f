"""Fig. 1 with a slider: play a move and watch labels and potentials."""

from toykit.experiments.moves import MOVES
from toykit.explore.controls import choice, figure_with_controls, slider
from toykit.plots.simplex import move_figure


def play_move(move: str = "a", time: float = 0.5):
    """A widget with a choice of the move, "a" or "b", and a slider for the time along it in [0, 1]."""
    return figure_with_controls(
        lambda move, time: move_figure(move, time),
        {"move": choice("move", MOVES, move), "time": slider("time", time, 0, 1, 0.05)},
    )

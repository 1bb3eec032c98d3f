"""Draw training runs: loss and mIoU of several methods against steps."""

from collections.abc import Callable

import numpy as np

from toykit._shared.palette import LINE_STYLES, neutral


def training_curves(histories: dict[str, list[list[dict]]]):
    """Draw loss and validation mIoU against steps: per method the mean over its runs, in a band from lowest to highest.

    A thin vertical line marks the start of phase two.

    Parameters
    ----------
    histories : dict of str to list of list of dict
        Method -> the `history` of each of its runs (see `toykit.training.RunResult`), all with the same steps.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.3))
    for number, (method, runs) in enumerate(histories.items()):
        for axis, key in ((left, "loss"), (right, "val_miou")):
            _band(axis, runs, lambda row, key=key: row[key], number, method)
    for axis in (left, right):
        phase_one = [row["step"] for row in next(iter(histories.values()))[0] if row["phase"] == "seeds"]
        if phase_one:
            axis.axvline(phase_one[-1], color="0.6", linewidth=1, linestyle=":")
    left.set(xlabel="step", ylabel="training loss, mean of the epoch", ylim=(0, None))
    right.set(xlabel="step", ylabel="mIoU on the validation set", ylim=(0, 1))
    handles, labels = left.get_legend_handles_labels()
    right.legend(handles, labels, loc="lower right")
    return figure


def _band(axis, runs: list[list[dict]], value: Callable[[dict], float | None], number: int, label: str) -> None:
    """Draw one method's mean and range into an axis; nothing if a run has no value."""
    points = [[(row["step"], value(row)) for row in history if value(row) is not None] for history in runs]
    if not all(points):
        return
    steps = [step for step, _ in points[0]]
    values = np.array([[y for _, y in run] for run in points])
    color = neutral(number)
    axis.plot(steps, values.mean(0), color=color, linestyle=LINE_STYLES[number], label=label)
    if len(runs) > 1:
        axis.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)

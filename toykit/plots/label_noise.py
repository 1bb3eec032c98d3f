"""Draw accuracy against label noise (Fig. 3 d), and images of a classification set by class."""

import numpy as np

from toykit._shared.palette import CROSS_ENTROPY_LINES, LINE_COLORS, LINE_STYLES
from toykit.datasets.natural_scenes import Scenes
from toykit.experiments.label_noise import Cell, interval

#: A loss looks the same in every figure.
MARKERS = {"CE": "o", "RCE": "s", "CCE": "^", "Q": "D"}


def noise_curves(cells: list[Cell], confidence: float = 0.95, chance: float = 1 / 6):
    """Draw test accuracy against the share of wrong labels: the mean over the seeds with its t interval.

    Parameters
    ----------
    cells : list of toykit.experiments.label_noise.Cell
        Results; a loss and noise level with one seed is drawn without an interval.
    confidence : float, default 0.95
        The confidence level of the intervals.
    chance : float, default 1/6
        The accuracy of guessing, drawn as a thin line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.6, 3.6))
    losses = list(dict.fromkeys(cell.loss for cell in cells))
    levels = sorted({cell.noise for cell in cells})
    gap = min([0.2, *np.diff(levels)])
    for number, loss in enumerate(losses):
        own = {level: [c.accuracy for c in cells if (c.loss, c.noise) == (loss, level)] for level in levels}
        points = [(level, *interval(values, confidence)) for level, values in own.items() if values]
        x, mean, half = np.array(points).T
        line = CROSS_ENTROPY_LINES[loss]
        axis.errorbar(
            x + (number - (len(losses) - 1) / 2) * 0.06 * gap,  # shifted, so that no bar hides another
            mean, half, color=LINE_COLORS[line], linestyle=LINE_STYLES[line],
            marker=MARKERS[loss], capsize=3, label=loss,
        )  # fmt: skip
    axis.axhline(chance, color="0.5", linewidth=1)
    axis.annotate("chance", (1, chance), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                  fontsize=8, color="0.35", ha="right")  # fmt: skip
    axis.set(xlabel=r"share of wrong labels $\eta$", ylabel="accuracy on clean test images", xticks=levels)
    axis.set_ylim(0, 1)
    axis.legend()
    return figure


def scene_gallery(scenes: Scenes, rows: int = 3):
    """Draw the first images of each class, one column per class.

    Parameters
    ----------
    scenes : toykit.datasets.natural_scenes.Scenes
        Images and labels.
    rows : int, default 3
        Images per class.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, len(scenes.classes), figsize=(1.25 * len(scenes.classes), 1.25 * rows),
                                squeeze=False)  # fmt: skip
    for k, name in enumerate(scenes.classes):
        own = scenes.images[scenes.labels == k][:rows]
        axes[0, k].set_title(name)
        for axis, image in zip(axes[:, k], own, strict=False):
            axis.imshow(image.movedim(0, -1).numpy())
        for axis in axes[:, k]:
            axis.set_axis_off()
    return figure

"""Draw published and measured results: rows of dots, and mIoU against the length of the scribbles (Table 3)."""

from collections.abc import Sequence

from toykit._shared.palette import LINE_COLORS, LINE_STYLES
from toykit.experiments.results import Rows
from toykit.experiments.variants import title as in_words
from toykit.potts import RELAXATIONS

MARKERS = ("o", "s", "^", "D", "v", "P")


def length_curves(rows: Rows):
    """Draw Table 3: mIoU against the length of the scribbles, and its difference to BL; one line per relaxation.

    Parameters
    ----------
    rows : list of dict
        Rows with `relaxation`, `scribble_length_ratio` and `miou`, as from `toykit.experiments.results.published`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.5))
    curves: dict[str, dict[float, float]] = {}
    for row in rows:
        curves.setdefault(row["relaxation"], {})[row["scribble_length_ratio"]] = row["miou"]
    for name, curve in curves.items():
        number = list(RELAXATIONS).index(name)  # a relaxation has the same line in all figures
        for axis, base in zip(axes, (dict.fromkeys(curve, 0.0), curves["BL"]), strict=True):
            axis.plot(
                list(curve), [curve[x] - base[x] for x in curve], color=LINE_COLORS[number], label=name,
                linestyle=LINE_STYLES[number], marker=MARKERS[number], markersize=4.5, linewidth=1.4,
            )  # fmt: skip
    axes[0].set(xlabel="length of the scribbles (0: one click)", ylabel="mIoU, percent")
    axes[1].set(xlabel="length of the scribbles (0: one click)", ylabel="mIoU above BL's, points")
    axes[0].legend(ncols=2, loc="lower right")
    return figure


def dot_rows(groups: dict[str, Sequence[float]], title: str, label: str = "mIoU, percent", axis=None, color: int = 0):
    """Draw one row per group: values as dots, with the number at the right; of several values their mean, also as a line.

    Parameters
    ----------
    groups : dict of str to sequence of float
        Name -> values; the first group is on top. A variant's name is written in words
        (`toykit.experiments.variants.title`).
    title : str
        The title of the axis.
    label : str, default "mIoU, percent"
        The label of the x axis.
    axis : matplotlib.axes.Axes, optional
        The axis to draw into; by default a new figure's.
    color : int, default 0
        Index into `LINE_COLORS`, which also chooses the marker: one for published numbers, another for measured ones.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import matplotlib.pyplot as plt

    if axis is None:
        _, axis = plt.subplots(figsize=(6.5, 0.6 + 0.32 * max(2, len(groups))), layout="constrained")
    for row, values in enumerate(groups.values()):
        mean = sum(values) / len(values)
        number = f"{mean:.1f}" if len(values) == 1 else f"mean {mean:.1f}"
        axis.plot(
            values,
            [row] * len(values),
            MARKERS[color % len(MARKERS)],
            color=LINE_COLORS[color],
            markersize=6,
            alpha=0.8,
        )
        if len(values) > 1:
            axis.plot([mean, mean], [row - 0.3, row + 0.3], color="0.15", linewidth=1.8)
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axis.annotate(number, (1, row), (6, 0), **place, va="center", fontsize=9)  # beside the axis: no dot lies there
    axis.set_yticks(range(len(groups)), [in_words(name) for name in groups])
    axis.set(title=title, xlabel=label, ylim=(len(groups) - 0.4, -0.6))
    axis.margins(x=0.08)
    axis.grid(axis="y", color="0.9")
    axis.set_axisbelow(True)
    return axis

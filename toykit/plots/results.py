"""Results, published and measured: values in rows of dots, and mIoU by the length of the scribbles (Table 3)."""

from collections.abc import Sequence

from toykit._shared.palette import LINE_COLORS, LINE_STYLES
from toykit.experiments.results import Rows

MARKERS = ("o", "s", "^", "D", "v", "P")


def length_curves(rows: Rows):
    """Table 3: mIoU by the length of the scribbles, a line a relaxation; beside it the difference to BL. A figure."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.5))
    curves: dict[str, dict[float, float]] = {}
    for row in rows:
        curves.setdefault(row["relaxation"], {})[row["scribble_length_ratio"]] = row["miou"]
    for number, (name, curve) in enumerate(curves.items()):
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
    """A row a group: its values as dots, their mean as an upright line with the number beside it. Returns the axis.

    groups: name -> values, the first on top. color: of LINE_COLORS; one for published numbers, another for measured ones.
    """
    import matplotlib.pyplot as plt

    if axis is None:
        _, axis = plt.subplots(figsize=(6.5, 0.6 + 0.32 * max(2, len(groups))))
    for row, values in enumerate(groups.values()):
        mean = sum(values) / len(values)
        axis.plot(values, [row] * len(values), MARKERS[color], color=LINE_COLORS[color], markersize=6, alpha=0.8)
        if len(values) > 1:
            axis.plot([mean, mean], [row - 0.3, row + 0.3], color="0.15", linewidth=1.8)
        axis.annotate(f"{mean:.1f}", (max(values), row), (8, 0), textcoords="offset points", va="center", fontsize=9)
    axis.set_yticks(range(len(groups)), list(groups))
    axis.set(title=title, xlabel=label, ylim=(len(groups) - 0.4, -0.6))
    axis.margins(x=0.14)
    axis.grid(axis="y", color="0.9")
    axis.set_axisbelow(True)
    return axis

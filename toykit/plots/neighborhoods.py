"""Draw neighbourhoods: the affinities of a pixel, and the cut of segments of equal volume and different shape."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from toykit._shared.palette import LINE_COLORS, LINE_STYLES, neutral

#: At most this many neighbours are marked by a ring each, because a single pixel is easily overlooked.
MOST_RINGS = 60


def affinity_panels(image: np.ndarray, pixel: tuple[int, int], maps: Mapping[str, Tensor], window: int = 10):
    """Draw one pixel's affinities in the whole photo and enlarged around the pixel.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        The photo.
    pixel : tuple of int
        (row, column), marked by a cross.
    maps : mapping of str to Tensor, shape (H, W)
        Title -> affinities in [0, 1], drawn from white (0) to black (1). Up to `MOST_RINGS` neighbours get a ring each.
    window : int, default 10
        Rows and columns shown on each side of the pixel in the second row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    row, column = pixel
    figure, axes = plt.subplots(2, 1 + len(maps), figsize=(1.5 * (1 + len(maps)), 3.15), squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(True)
        axis.spines[:].set_color("0.7")
    for (upper, lower), (title, weights) in zip(axes.T, {"photo": image, **maps}.items(), strict=True):
        for axis in (upper, lower):
            axis.imshow(np.asarray(weights), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
            axis.plot(column, row, "+", color=LINE_COLORS[1], markersize=9, markeredgewidth=2)
        if title != "photo":
            rows, columns = (weights > 0.01).nonzero(as_tuple=True)
            title = f"{title}\n{_count(len(rows))} of $w > 0.01$"
            if len(rows) <= MOST_RINGS:
                sizes = 12 + 40 * weights[rows, columns]
                for axis in (upper, lower):
                    axis.scatter(columns, rows, s=sizes, facecolors="none", edgecolors=LINE_COLORS[0], linewidths=1)
        upper.set_title(title, fontsize=9)
        lower.set(xlim=(column - window - 0.5, column + window + 0.5), ylim=(row + window + 0.5, row - window - 0.5))
    axes[0, 0].set_ylabel("whole photo", fontsize=9)
    axes[1, 0].set_ylabel(f"{2 * window + 1} x {2 * window + 1} pixels", fontsize=9)
    return figure


def shape_curves(volumes: Sequence[float], shares: Mapping[str, Mapping[str, Tensor]]):
    """Draw the cut of segments against their volume: one panel per neighbourhood, one line per shape.

    Parameters
    ----------
    volumes : sequence of float
        Volumes v of the segments, as shares of the pixels.
    shares : mapping of str to mapping of str to Tensor, shape (V,)
        Title -> shape -> cuts, see `toykit.experiments.neighborhoods.cut_shares`.

    Returns
    -------
    matplotlib.figure.Figure

    Notes
    -----
    The thick grey line is the volume potential 2 v (1 - v).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(shares), figsize=(9, 2.7), sharey=True, squeeze=False, layout="constrained")
    v = torch.as_tensor(volumes)
    for axis, (title, curves) in zip(axes[0], shares.items(), strict=True):
        axis.plot(v, 2 * v * (1 - v), color="0.8", linewidth=6, label="$2 v (1 - v)$")
        for number, (shape, curve) in enumerate(curves.items()):
            axis.plot(v, curve, color=neutral(number), linestyle=LINE_STYLES[number], label=shape)
        axis.set(title=title, xlabel="volume v", xlim=(0, 0.5), ylim=(0, 0.6), xticks=[0, 0.25, 0.5])
    axes[0, 0].set_ylabel("share of the weight that is cut")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def discount_curves(bandwidths: Sequence[float], ratios: Mapping[str, Tensor | Sequence[float]], unit: str):
    """Draw a disk's cut divided by that of scattered pixels, against the spatial bandwidth.

    Parameters
    ----------
    bandwidths : sequence of float
        Spatial bandwidths.
    ratios : mapping of str to sequence of float
        Label -> one value per bandwidth.
    unit : str
        The unit of the bandwidths, for the axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7.5, 2.6))
    axis.axhline(1, color="0.7", linewidth=1)
    for number, (label, ratio) in enumerate(ratios.items()):
        axis.plot(
            bandwidths,
            ratio,
            color=neutral(number),
            linestyle=LINE_STYLES[number],
            marker="o",
            label=label,
        )
    axis.set(xscale="log", xlabel=f"spatial bandwidth, {unit}", ylabel="disk's cut / scattered cut", ylim=(0, 1.2))
    axis.set_xticks(list(bandwidths), [f"{b:g}" for b in bandwidths], minor=False)
    axis.minorticks_off()
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _count(n: int) -> str:
    """Write a number with spaces between thousands."""
    return f"{n:,}".replace(",", " ")

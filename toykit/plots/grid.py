"""Grids of pictures as a figure, with the classes' names in a legend and on their seeds."""

import numpy as np

from toykit._shared.palette import color_codes
from toykit.plots.tints import class_tints

#: Room between two names, in pixels of the figure: that of their outlines.
HALO = 3
#: Greatest height of a picture in inches: one that is many times as high as wide is drawn narrower than its column.
HIGHEST = 20.0
#: A legend of `panels` takes at most this many rows and columns.
LEGEND_ROWS, LEGEND_COLUMNS = 4, 6


def panels(
    pictures: dict,
    columns: int | None = None,
    width: float = 9.5,
    legend: tuple[str, ...] | dict[int, str] = (),
    named: dict[str, np.ndarray] | None = None,
    colors: np.ndarray | None = None,
):
    """Draw a grid of pictures with titles.

    Parameters
    ----------
    pictures : dict of str to ndarray
        Title -> colours (H, W, 3), or values (H, W) drawn from white (0) to black (1).
    columns : int, optional
        Pictures per row; by default all are in one row.
    width : float, default 9.5
        Width of the figure in inches.
    legend : tuple of str, or dict from int to str, default ()
        Class names by id, shown below in their colours; a dict names some of the ids only. If they do not fit into
        `LEGEND_ROWS` rows, the legend lists the classes that occur in the pictures, and its last entry states how many more
        there are.
    named : dict of str to ndarray of int, optional
        Title -> class ids (H, W), such as seeds. The class names are also written on that picture, because with many
        classes the colours repeat.
    colors : ndarray of float, shape (K, 3), optional
        The classes' colours in the legend. Default: `class_tints`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `named` is given without `legend`, or contains a title that is not in `pictures`.
    """
    import matplotlib.pyplot as plt

    if named and not (legend and set(named) <= set(pictures)):
        raise ValueError(
            f"named: expected a legend and titles among {list(pictures)}, got {list(named)}, legend {legend}"
        )
    columns = min(len(pictures), columns or len(pictures))
    rows = -(-len(pictures) // columns)
    tallest = max(np.shape(p)[0] / np.shape(p)[1] for p in pictures.values())
    height = rows * (min(width / columns * tallest, HIGHEST) + 0.3)
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, picture) in zip(axes.flat, pictures.items(), strict=False):
        if np.ndim(picture) == 2:  # the border of a white picture would be invisible
            axis.set_axis_on()
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(visible=True, color="0.7", linewidth=0.8)
        axis.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(title)
    names = legend if isinstance(legend, dict) else dict(enumerate(legend))
    if names:
        colors = class_tints(max(names) + 1) if colors is None else colors
        _add_legend(figure, names, colors, _occurring(pictures, named or {}, names, colors))
    if named:
        figure.draw_without_rendering()  # the layout determines the room for a name
        for axis, title in zip(axes.flat, pictures, strict=False):
            if title in named:
                _write_names(axis, named[title], names)
    return figure


def _add_legend(figure, names: dict[int, str], colors: np.ndarray, occurring: list[int]) -> None:
    """Add a legend below the pictures, at most as wide as the figure if possible.

    The figure grows by the height of the legend, so that the pictures keep their size. `occurring` lists the class ids to show
    if not all names fit, the most frequent first.
    """
    from matplotlib.patches import Patch

    patches = {k: Patch(facecolor=colors[k], edgecolor="0.5", label=name) for k, name in names.items()}
    columns = min(LEGEND_COLUMNS, len(names))
    while True:
        handles, places = list(patches.values()), columns * LEGEND_ROWS
        if len(names) > places:
            listed = sorted((occurring or list(names))[: places - 1])
            more = Patch(facecolor="none", edgecolor="none", label=f"... and {len(names) - len(listed)} more")
            handles = [*(patches[k] for k in listed), more]
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), handlelength=1, frameon=False
        )
        size = legend.get_window_extent()
        if columns == 1 or size.width <= figure.bbox.width:
            break
        legend.remove()
        columns -= 1
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + size.height / figure.dpi + 0.07)


def _occurring(pictures: dict, named: dict[str, np.ndarray], names: dict[int, str], colors: np.ndarray) -> list[int]:
    """Return the class ids in `named` and, unless colours repeat, those whose colour occurs; the most frequent first."""
    listed = np.array(list(names))
    codes_of = color_codes(colors[listed])
    counts = np.zeros(len(listed), int)
    for ids in named.values():
        counts += np.bincount(ids.astype(int).ravel(), minlength=256)[listed]
    distinct = len(set(codes_of)) == len(codes_of)
    for picture in pictures.values():
        if distinct and np.ndim(picture) == 3:
            codes, numbers = np.unique(color_codes(np.asarray(picture)), return_counts=True)
            counts += np.array([numbers[codes == code].sum() for code in codes_of])
    order = np.argsort(-counts, kind="stable")
    return listed[order[: int((counts > 0).sum())]].tolist()


def _write_names(axis, ids: np.ndarray, names: dict[int, str], tries: int = 40) -> None:
    """Write each class's name over one of its pixels, if it fits there without covering other names.

    Its middle is on no other class. Of the places that fit, it takes the one where it hides the fewest pixels of others.
    """
    from matplotlib.patheffects import withStroke
    from scipy.ndimage import distance_transform_edt

    picture, placed = axis.get_window_extent(), []
    corner = np.array(ids.shape[::-1]) - 1
    for k, name in names.items():
        rows, columns = (ids == k).nonzero()
        if not len(rows):
            continue
        top, left = rows.min(), columns.min()
        inside = np.pad(ids[top : rows.max() + 1, left : columns.max() + 1] == k, 1)
        depth = np.asarray(distance_transform_edt(inside))[rows - top + 1, columns - left + 1]
        some = np.argsort(-depth, kind="stable")[:: max(1, len(rows) // tries)]
        text = axis.text(0, 0, name, color="black", fontsize=8, ha="center", va="center", clip_on=True,
                         path_effects=[withStroke(linewidth=2.5, foreground="white")])  # fmt: skip
        box = text.get_window_extent()
        half = np.array([box.width, box.height]) / 2
        best: tuple[int, np.ndarray, np.ndarray] | None = None
        for row, column in zip(rows[some], columns[some], strict=True):
            place = axis.transData.transform((column, row))
            place = np.maximum(picture.min + half, np.minimum(picture.max - half, place))  # moved into the picture
            corners = axis.transData.inverted().transform([place, place - half, place + half])
            (x, y), *ends = np.clip(corners.round().astype(int), 0, corner)
            whole = (2 * half <= picture.size).all() and (ids[y, x] == k or ids[y, x] not in names)
            if whole and all((abs(place - other) >= half + reach + HALO).any() for other, reach in placed):
                (x0, y0), (x1, y1) = np.min(ends, 0), np.max(ends, 0)
                under = ids[y0 : y1 + 1, x0 : x1 + 1]
                hidden = int((np.isin(under, list(names)) & (under != k)).sum())
                if best is None or hidden < best[0]:
                    best = hidden, place, corners[0]
        if best is None:
            text.remove()
        else:
            text.set_position(best[2])
            placed.append((best[1], half))

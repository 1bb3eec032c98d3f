"""Pictures of photos, seeds and soft labels (Fig. 4): arrays of colours, and rows of them as a figure."""

import numpy as np
import torch
from torch import Tensor

from toykit._shared.palette import voc_palette
from toykit.cross_entropy import entropy

#: A legend of `panels` takes at most this many rows and columns.
LEGEND_ROWS, LEGEND_COLUMNS = 4, 6


def soft_colors(labels: Tensor) -> np.ndarray:
    """Fig. 4's picture of soft labels: each pixel the convex combination of its classes' colours, by its label.

    labels: (K, H, W), or (1, K, H, W). Returns float (H, W, 3) in 0..1.
    """
    labels = _single(labels)
    colors = torch.from_numpy(voc_palette(labels.shape[0]))
    return torch.einsum("khw,kc->hwc", labels.detach().double().cpu(), colors).clamp(0, 1).numpy()


def hard_colors(labels: Tensor) -> np.ndarray:
    """Picture of each pixel's most likely class, float (H, W, 3); labels as in `soft_colors`."""
    labels = _single(labels)
    return voc_palette(labels.shape[0])[labels.argmax(0).cpu().numpy()]


def entropy_map(labels: Tensor) -> np.ndarray:
    """Shannon entropy of each pixel's label as a share of its maximum ln K: (H, W) in 0..1, 0 = certain."""
    labels = _single(labels).detach().cpu()
    return (entropy(labels[None])[0] / np.log(labels.shape[0])).clamp(0, 1).numpy()


def overlay_seeds(image: np.ndarray, seeds: np.ndarray, num_classes: int, fade: float = 0.55) -> np.ndarray:
    """The photo, faded towards white, with the seeds in their classes' colours and a thin white rim around them.

    image: uint8 (H, W, 3); seeds: (H, W) of class ids, 254, 255; fade: share of white in [0, 1].
    Returns float (H, W, 3) in 0..1.
    """
    seeded = seeds < num_classes
    picture = (1 - fade) * image / 255 + fade
    rim = seeded.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            rim |= np.roll(seeded, shift, axis)
    picture[rim] = 1
    picture[seeded] = voc_palette(num_classes)[seeds[seeded]]
    return picture


def panels(
    pictures: dict,
    columns: int | None = None,
    width: float = 9.5,
    legend: tuple[str, ...] = (),
    named: dict[str, np.ndarray] | None = None,
):
    """A grid of pictures with titles; returns the figure.

    pictures: title -> (H, W, 3) colours, or (H, W) shown from white (0) to black (1). columns: default all in one row.
    legend: class names, shown below in their colours. Where they do not fit into `LEGEND_ROWS` rows, it lists the classes
    that occur in the pictures, and its last entry states how many more there are. named: title -> (H, W) of class ids, such
    as seeds: the names are written on that picture, too, since not every reader tells VOC's green from its olive.
    Raises: ValueError for `named` without `legend`, or with a title that no picture has.
    """
    import matplotlib.pyplot as plt

    if named and not (legend and set(named) <= set(pictures)):
        raise ValueError(
            f"named: expected a legend and titles among {list(pictures)}, got {list(named)}, legend {legend}"
        )
    columns = min(len(pictures), columns or len(pictures))
    rows = -(-len(pictures) // columns)
    tallest = max(np.shape(p)[0] / np.shape(p)[1] for p in pictures.values())
    height = rows * (width / columns * tallest + 0.3)
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, picture) in zip(axes.flat, pictures.items(), strict=False):
        if np.ndim(picture) == 2:  # white on white would not show where it ends
            axis.set_axis_on()
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(visible=True, color="0.7", linewidth=0.8)
        axis.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(title)
    if legend:
        _add_legend(figure, legend, _occurring(pictures, named or {}, len(legend)))
    if named:
        figure.draw_without_rendering()  # the layout decides how much room a name has
        for axis, title in zip(axes.flat, pictures, strict=False):
            if title in named:
                _write_names(axis, named[title], legend)
    return figure


def _add_legend(figure, names: tuple[str, ...], occurring: list[int]) -> None:
    """A legend below the pictures, as wide as the figure, which grows by its height, so that the pictures keep their size.

    occurring: the class ids to show where not all names fit, the most frequent first.
    """
    from matplotlib.patches import Patch

    patches = [
        Patch(facecolor=c, edgecolor="0.5", label=n) for c, n in zip(voc_palette(len(names)), names, strict=True)
    ]
    for columns in range(min(LEGEND_COLUMNS, len(names)), 0, -1):
        handles, places = patches, columns * LEGEND_ROWS
        if len(names) > places:
            listed = sorted((occurring or list(range(len(names))))[: places - 1])
            more = Patch(facecolor="none", edgecolor="none", label=f"... and {len(names) - len(listed)} more")
            handles = [*(patches[k] for k in listed), more]
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), handlelength=1, frameon=False
        )
        size = legend.get_window_extent()
        if size.width <= figure.bbox.width:
            break
        if columns > 1:
            legend.remove()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + size.height / figure.dpi + 0.07)


def _occurring(pictures: dict, named: dict[str, np.ndarray], num_classes: int) -> list[int]:
    """The class ids in `named`, or whose own colour is in a picture, the most frequent first."""
    colors = _color_codes(voc_palette(num_classes))
    counts = np.zeros(num_classes, int)
    for ids in named.values():
        counts += np.bincount(ids[ids < num_classes].astype(int).ravel(), minlength=num_classes)
    for picture in pictures.values():
        if np.ndim(picture) == 3:
            found, number = np.unique(_color_codes(np.asarray(picture)), return_counts=True)
            counts += np.array([number[found == color].sum() for color in colors])
    order = np.argsort(-counts, kind="stable")
    return order[: int((counts > 0).sum())].tolist()


def _color_codes(colors: np.ndarray) -> np.ndarray:
    """One integer for each colour (..., 3), given in 0..1 or as bytes."""
    values = colors.astype(int) if colors.dtype.kind in "iu" else (colors * 255).round().astype(int)
    return values @ (1 << 16, 1 << 8, 1)


def _write_names(axis, ids: np.ndarray, names: tuple[str, ...], tries: int = 40) -> None:
    """Each class' name over one of its pixels, if it can be whole there, clear of other names and not amid another class."""
    from matplotlib.patheffects import withStroke
    from scipy.ndimage import distance_transform_edt

    picture, placed = axis.get_window_extent(), []
    for k, name in enumerate(names):
        if not (ids == k).any():
            continue
        depth = distance_transform_edt(np.pad(ids == k, 1))[1:-1, 1:-1]
        deepest = np.argsort(-depth, axis=None, kind="stable")[: int((ids == k).sum())]
        some = deepest[:: max(1, len(deepest) // tries)]
        text = axis.text(0, 0, name, color="black", fontsize=8, ha="center", va="center", clip_on=True,
                         path_effects=[withStroke(linewidth=2.5, foreground="white")])  # fmt: skip
        box = text.get_window_extent()
        half = np.array([box.width, box.height]) / 2
        for row, column in zip(*np.unravel_index(some, ids.shape), strict=True):
            place = axis.transData.transform((column, row))
            place = np.maximum(picture.min + half, np.minimum(picture.max - half, place))  # moved inside
            x, y = axis.transData.inverted().transform(place)
            below = ids[min(max(round(y), 0), ids.shape[0] - 1), min(max(round(x), 0), ids.shape[1] - 1)]
            whole = (2 * half <= picture.size).all() and (below == k or below >= len(names))
            if whole and all((abs(place - other) >= half + reach).any() for other, reach in placed):
                text.set_position((x, y))
                placed.append((place, half))
                break
        else:
            text.remove()


def _single(labels: Tensor) -> Tensor:
    if labels.ndim == 4 and labels.shape[0] == 1:
        labels = labels[0]
    if labels.ndim != 3:
        raise ValueError(f"labels: expected (K, H, W) or (1, K, H, W), got shape {tuple(labels.shape)}")
    return labels

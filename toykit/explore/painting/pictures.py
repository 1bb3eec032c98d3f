"""Draw a painting: layers for the page, which lays them over the photo, and whole pictures for export."""

import io

import numpy as np
from torch import Tensor

from toykit.conventions import UNLABELLED
from toykit.datasets.sample import Sample, fit_within, resize_image
from toykit.explore.painting.paint import Painting
from toykit.plots.images import entropy_map, hard_colors, overlay_seeds
from toykit.plots.label_picture import certainty, class_shades, label_picture, shaded_classes
from toykit.plots.tints import background_class, class_tints
from toykit.supervision.seed_maps import scale_ids

#: The views of the labels: key -> name.
VIEWS = {"soft": "soft labels", "entropy": "entropy", "hard": "hard mask", "seeds": "strokes only"}
#: Longest side of the photo on the page, in pixels: browsers on phones refuse larger canvases.
LONGEST_SHOWN = 4000
#: Largest part of the strokes in pixels that goes to the page as it is: quicker than a file, which the page would decode.
MOST_RAW = 100_000
#: Strokes get two rims, an inner white and an outer black one, each of this share of the longer side, at least one pixel.
RIM = 1 / 1200


def picture(sample: Sample, labels: Tensor, view: str, tints: np.ndarray) -> np.ndarray:
    """Draw a view of labels as one picture.

    Parameters
    ----------
    sample : Sample
        The photo and its seeds.
    labels : Tensor, shape (1, K, H, W)
        The labels at the photo's size.
    view : str
        A key of `VIEWS`. Entropy is drawn from white (certain) to black.
    tints : ndarray, shape (K, 3)
        The classes' colours in [0, 1].

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
    """
    if view == "seeds":
        colors = overlay_seeds(sample.image, sample.seeds, len(sample.classes), colors=tints)
    elif view == "hard":
        colors = hard_colors(labels, tints)
    elif view == "entropy":
        colors = 1 - np.repeat(entropy_map(labels)[..., None], 3, axis=2)
    else:
        colors = label_picture(sample.image, labels, tints)
    return (colors * 255 + 0.5).astype(np.uint8)


def label_layer(labels: Tensor | None, view: str, tints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Draw a view of labels as a layer over the photo.

    Over the photo in grey, and with an opacity of `toykit.plots.label_picture.OPACITY`, "soft" is `label_picture`.

    Parameters
    ----------
    labels : Tensor, shape (1, K, H, W), or None
        The labels.
    view : str
        A key of `VIEWS`.
    tints : ndarray, shape (K, 3)
        The classes' colours in [0, 1].
    size : (int, int)
        Width and height of the layer without labels.

    Returns
    -------
    ndarray of uint8, shape (H, W, 4)
        RGBA; transparent without labels, and in the view "seeds".
    """
    if labels is None or view == "seeds":
        shape = size[::-1] if labels is None else labels.shape[2:]
        return np.zeros((*shape, 4), np.uint8)
    if view == "entropy":
        layer = np.full((*labels.shape[2:], 4), 255, np.uint8)
        layer[..., :3] = ((1 - entropy_map(labels)) * 255 + 0.5).astype(np.uint8)[..., None]
        return layer
    if view == "hard":
        return hard_colors(labels, _opaque(tints))
    lead = certainty(labels)
    layer = np.take(_opaque(class_shades(tints)), shaded_classes(labels, lead), axis=0)
    layer[..., 3] = lead * 255 + 0.5
    return layer


def _opaque(colors: np.ndarray) -> np.ndarray:
    """Return RGB in [0, 1] as RGBA in bytes: a stroke waits for the layer."""
    return (np.hstack([colors, np.ones((len(colors), 1))]) * 255 + 0.5).astype(np.uint8)


def tints(painting: Painting) -> np.ndarray:
    """Return the classes' colours (K, 3) in [0, 1], those that the user chose among them; "background" is light grey."""
    names = painting.classes
    colors = class_tints(len(names), background_class(names))
    for name, color in painting.colors.items():
        colors[names.index(name)] = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return colors


def small_seeds(seeds: np.ndarray, size: tuple[int, int], num_classes: int) -> np.ndarray:
    """Reduce a map of seeds: a pixel of the smaller map with a seed below it is one, of the class with most seeds there.

    Parameters
    ----------
    seeds : ndarray of uint8, shape (H, W)
        Class ids; others count as unlabelled.
    size : (int, int)
        Width and height of the result, at most those of `seeds`.
    num_classes : int
        K.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        Among equally many seeds, the lowest id. 255 = unlabelled.
    """
    (height, width), (columns, rows) = seeds.shape, size
    if (width, height) == (columns, rows):
        return seeds
    places = np.flatnonzero(seeds < num_classes)  # faster than rows and columns
    y, x = np.divmod(places, width)
    cells = (y * rows // height) * columns + x * columns // width
    votes = np.bincount(cells * num_classes + seeds.ravel()[places], minlength=rows * columns * num_classes)
    small = np.full(rows * columns, UNLABELLED, np.uint8)
    small[cells] = 0
    painted = np.flatnonzero(small == 0)
    small[painted] = votes.reshape(-1, num_classes)[painted].argmax(1)
    return small.reshape(rows, columns)


def photo_file(image: np.ndarray) -> bytes:
    """Return the photo for the page, as a JPEG of at most `LONGEST_SHOWN` pixels."""
    from PIL import Image

    file = io.BytesIO()
    shown = resize_image(image, shown_size(image))
    Image.fromarray(shown).save(file, format="JPEG", quality=95, subsampling=0)
    return file.getvalue()


def shown_size(image: np.ndarray) -> tuple[int, int]:
    """Return width and height of a photo on the page."""
    return fit_within(image.shape[1::-1], LONGEST_SHOWN)


class LabelsLayer:
    """A view of the labels as the page shows it. Each update is only the rectangle that changed."""

    def __init__(self):
        self.shown: np.ndarray | None = None

    def forget(self) -> None:
        """Make the next update a whole picture."""
        self.shown = None

    def update(self, layer: np.ndarray) -> tuple[tuple[int, int, int, int], bytes] | None:
        """Return the changed rectangle, or None if nothing changed.

        Parameters
        ----------
        layer : ndarray of uint8, shape (H, W, 4)
            See `label_layer`.

        Returns
        -------
        place : (int, int, int, int)
            Left, top, width and height of the rectangle.
        pixels : bytes
            Its RGBA.
        """
        before, self.shown = self.shown, layer
        part = changed_part(None if before is None else before.view(np.uint32)[..., 0], layer.view(np.uint32)[..., 0])
        if part is None:
            return None
        (top, bottom), (left, right) = part
        return (left, top, right - left, bottom - top), layer[top:bottom, left:right].tobytes()


class SeedsLayer:
    """The strokes as the page shows them: opaque, with rims. Each update is only the rectangle that changed."""

    def __init__(self):
        self.shown: tuple[np.ndarray, bytes] | None = None

    def forget(self) -> None:
        """Make the next update a whole picture."""
        self.shown = None

    def update(self, painting: Painting) -> tuple[tuple[int, ...], bytes] | None:
        """Return the changed rectangle, or None if nothing changed.

        Parameters
        ----------
        painting : Painting
            Its marks are drawn at the size of `shown_size`.

        Returns
        -------
        place : (int, int) or (int, int, int, int)
            Left and top of the rectangle, for a small one also width and height.
        content : bytes
            Its pixels, transparent where there is no stroke: RGBA of a small one, else an indexed PNG.
        """
        size, colors = shown_size(painting.image), (tints(painting) * 255).round().astype(np.uint8).tobytes()
        ids = painting.seeds if painting.size == size else scale_ids(painting.seeds, size)
        before, self.shown = self.shown, (ids, colors)
        rim = max(1, round(RIM * max(size)))
        part = changed_part(None if before is None or before[1] != colors else before[0], ids)
        if part is None:
            return None
        (top, bottom), (left, right) = ((max(0, first - 2 * rim), last + 2 * rim) for first, last in part)
        # a stroke just outside of the rectangle has rims in it
        x, y = max(0, left - 2 * rim), max(0, top - 2 * rim)
        layer = _with_rims(ids[y : bottom + 2 * rim, x : right + 2 * rim], rim)
        layer = layer[top - y : min(bottom, size[1]) - y, left - x : min(right, size[0]) - x]
        if layer.size <= MOST_RAW:
            return (left, top, *layer.shape[::-1]), _palette(colors)[layer].tobytes()
        return (left, top), _indexed_file(layer, _palette(colors))


def changed_part(before: np.ndarray | None, now: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the rows and the columns, each as (first, past the last), in which two maps differ; None if in none.

    Maps of different shapes, and a map before which there was none, differ everywhere.
    """
    if before is None or before.shape != now.shape:
        return (0, now.shape[0]), (0, now.shape[1])
    changed = before != now
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)


#: Ids of the layer's pixels: none, the outer rim, the inner one, and then the classes.
_EMPTY, _OUTER, _INNER, _FIRST = 0, 1, 2, 3


def _with_rims(ids: np.ndarray, rim: int) -> np.ndarray:
    """Return the layer's ids for a map of class ids."""
    from scipy.ndimage import binary_dilation

    seeded = ids != UNLABELLED
    inner: np.ndarray = binary_dilation(seeded, iterations=rim)
    layer = np.where(binary_dilation(inner, iterations=rim), np.uint8(_OUTER), np.uint8(_EMPTY))
    np.copyto(layer, np.uint8(_INNER), where=inner)
    # colours repeat after 21 classes anyway, so the last ones of 254 may share theirs
    np.copyto(layer, _FIRST + ids % np.uint8(256 - _FIRST), where=seeded)
    return layer


def _palette(colors: bytes) -> np.ndarray:
    """Return RGBA (256, 4) of the layer's ids, for the classes' RGB."""
    palette = np.zeros((256, 4), np.uint8)
    palette[_OUTER], palette[_INNER], palette[_FIRST:, 3] = (0, 0, 0, 190), (255, 255, 255, 230), 255
    rgb = np.frombuffer(colors, np.uint8).reshape(-1, 3)[: 256 - _FIRST]
    palette[_FIRST : _FIRST + len(rgb), :3] = rgb
    return palette


def _indexed_file(layer: np.ndarray, palette: np.ndarray) -> bytes:
    """Return the layer as a PNG."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(layer), mode="P")
    picture.putpalette(palette[:, :3].tobytes())
    file = io.BytesIO()
    picture.save(file, format="PNG", transparency=palette[:, 3].tobytes(), compress_level=1)
    return file.getvalue()

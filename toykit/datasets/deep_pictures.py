"""Pictures with more than 8 bits per channel, which Pillow cuts to 8: read whole, and scaled by the bits that they use.

Cameras and microscopes store 10, 12 or 14 bits in files of 16. Dropping the lower 8 of 16 bits would leave 16 grey levels of a
photo with 12. So the largest value of a photo decides: 255 stands for the largest number of 8, 10, 12, 14 or 16 bits that is
not below it.
"""

from pathlib import Path

import numpy as np

#: The TIFF tag of the number of bits per channel.
_BITS_PER_SAMPLE = 258
#: The TIFF tag of the orientation, as in EXIF.
_ORIENTATION = 274
#: The TIFF tag of the channels besides grey or RGB: 0 not said, 1 transparency that colours are multiplied by, 2 transparency.
_EXTRA_SAMPLES = 338
#: The numbers of bits that a channel may use.
BITS = (8, 10, 12, 14, 16)


def is_deep(file) -> bool:
    """Return whether an opened picture of Pillow has more than 8 bits per channel."""
    if file.format == "TIFF":  # also one with channels that Pillow drops or takes for transparency
        extra = file.tag_v2.get(_EXTRA_SAMPLES, ())
        return max(file.tag_v2.get(_BITS_PER_SAMPLE, (1,))) > 8 or tuple(np.atleast_1d(extra)) not in ((), (2,))
    raw = [str(tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3]) for tile in file.tile]
    return file.mode == "I" or file.mode.startswith("I;16") or any(";16" in mode for mode in raw)


def read_deep(path: str | Path, file) -> tuple[np.ndarray, bool]:
    """Read all bits of an opened picture of Pillow, turned upright.

    Parameters
    ----------
    path : str or Path
    file : PIL.Image.Image
        The same file, opened.

    Returns
    -------
    values : ndarray of integers, shape (H, W, C)
    transparent : bool
        Whether the last channel is transparency.

    Raises
    ------
    ValueError, OSError
        If it cannot be read.
    """
    if file.format == "TIFF":
        return read_tiff(path)
    values = np.array(file)[..., None]
    if file.format == "PNG" and not file.mode.startswith("I"):
        try:
            from imagecodecs import png_decode
        except ImportError as error:
            raise ValueError(
                f"its 16 bits per channel need imagecodecs ({error}): pip install imagecodecs, or save it with 8 bits"
            ) from error
        try:
            values = png_decode(Path(path).read_bytes())
        except RuntimeError as error:
            raise ValueError(f"its 16 bits per channel cannot be decoded: {error}") from error
        values = values.reshape(*values.shape[:2], -1)
    return turn_upright(values, file.getexif().get(_ORIENTATION, 1)), values.shape[2] in (2, 4)


def read_tiff(path: str | Path, most_pixels: int | None = None) -> tuple[np.ndarray, bool]:
    """Read a TIFF file of one picture, turned upright.

    Parameters
    ----------
    path : str or Path
    most_pixels : int, optional
        Default: as many as Pillow opens.

    Returns
    -------
    values : ndarray of integers, shape (H, W, C)
    transparent : bool
        Whether the last channel is transparency.

    Raises
    ------
    ValueError, OSError
        If it holds something else, or too many pixels; states what.
    """
    import tifffile
    from PIL import Image

    with tifffile.TiffFile(path) as file:
        pages = len(file.pages)
        page = file.pages.first
        if pages > 1:
            raise ValueError(f"it holds {pages} pictures; save the one that is meant by itself")
        most = most_pixels or 2 * (Image.MAX_IMAGE_PIXELS or page.size)
        if page.imagewidth * page.imagelength > most:
            raise ValueError(
                f"it has {page.imagewidth} x {page.imagelength} pixels; expected at most {most} altogether"
            )
        if page.dtype is None or page.dtype.kind not in "ui":
            raise ValueError(
                f"its values of type {page.dtype} have no fixed range; save it with 8 or 16 bits per channel"
            )
        if page.axes not in ("YX", "YXS", "SYX") or page.photometric > 2:
            raise ValueError(
                f"axes {page.axes} and colours {page.photometric!s} are not supported; save it as grey or RGB"
            )
        extra = tuple(int(kind) for kind in page.extrasamples or ())
        if page.samplesperpixel != (3 if page.photometric == 2 else 1) + len(extra) or extra not in ((), (1,), (2,)):
            raise ValueError(
                f"it has {page.samplesperpixel} channels, of which {len(extra)} are neither colours nor said to be transparency"
                "; save it as grey or RGB (the library's tk.solve takes any number of channels)"
            )
        orientation = int(page.tags.valueof(_ORIENTATION, default=1))
        values = page.asarray()
        if page.photometric == 0:  # white is zero
            values = np.iinfo(values.dtype).max - values
    values = np.moveaxis(values, 0, 2) if page.axes == "SYX" else values.reshape(*values.shape[:2], -1)
    if extra == (1,):
        top = _largest(values)
        alpha = values[..., -1:] / top
        colors = np.divide(values[..., :-1], alpha, out=np.zeros(values[..., :-1].shape), where=alpha > 0)
        values = np.concatenate([colors.clip(0, top).astype(values.dtype), values[..., -1:]], 2)
    return turn_upright(values, orientation), bool(extra)


def to_rgb(values: np.ndarray, transparent: bool) -> np.ndarray:
    """Scale whole numbers to 8 bits, and convert grey values and transparency to RGB.

    Parameters
    ----------
    values : ndarray of integers, shape (H, W, C)
        Grey values or RGB, and perhaps transparency.
    transparent : bool
        Whether the last channel is transparency. Transparent parts are drawn on white.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8

    Raises
    ------
    ValueError
        For another number of channels, and for values outside 0..65535.
    """
    channels = values.shape[2] - transparent
    if channels not in (1, 3):
        raise ValueError(
            f"it has {channels} channels of colours; a photo has grey values or RGB (the library's tk.solve takes any number "
            "of channels)"
        )
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(
            f"its values {values.min()}..{values.max()} have no fixed range; save it with 8 or 16 bits per channel"
        )
    colors = values[..., :channels].astype(np.float64)
    top = _largest(colors)
    colors /= top
    if transparent:
        alpha = values[..., -1:]
        alpha = alpha / max(top, _largest(alpha))
        colors = colors * alpha + (1 - alpha)
    return np.broadcast_to((255 * colors).round().astype(np.uint8), (*values.shape[:2], 3)).copy()


def _largest(values: np.ndarray) -> float:
    """Return the largest number of the bits that values use."""
    return 2.0 ** next((bits for bits in BITS if values.max() < 2**bits), 32) - 1


def turn_upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror a picture (H, W, C) as its EXIF orientation, 1 to 8, demands."""
    values = values.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else values
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values

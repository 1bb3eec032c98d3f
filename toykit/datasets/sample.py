"""One sample type for all sets: a photo, its seeds, its class names and, where known, its full mask."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit._shared.png import verify_png
from toykit.conventions import UNLABELLED
from toykit.datasets.deep_pictures import is_deep, read_deep, read_tiff, to_rgb
from toykit.supervision.spec import PRESENT


@dataclass(frozen=True)
class Sample:
    """A photo with its seeds, its class names and, where known, its mask.

    Parameters
    ----------
    name : str
        Name for tables and figures.
    image : ndarray, shape (H, W, 3), uint8
        RGB.
    seeds : ndarray, shape (H, W), uint8
        Class id, 254 (padding) or 255 (unlabelled).
    classes : tuple of str
        Class names by id.
    mask : ndarray, shape (H, W), uint8, optional
        Class id or 255 (void). None where there is no ground truth.
    """

    name: str
    image: np.ndarray
    seeds: np.ndarray
    classes: tuple[str, ...]
    mask: np.ndarray | None = None

    def tensors(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """Return the sample as the batch of one that solvers take.

        Parameters
        ----------
        dtype : torch.dtype, default float32
            That of the image. As uint8 a large photo takes a quarter of the memory.

        Returns
        -------
        image : Tensor, shape (1, 3, H, W), dtype
            RGB in 0..255.
        seeds : Tensor, shape (1, H, W), int64
        """
        image = torch.from_numpy(np.ascontiguousarray(self.image)).permute(2, 0, 1)[None].to(dtype)
        return image, torch.from_numpy(self.seeds.astype(np.int64))[None]

    def present(self, kind: str = "seeds") -> np.ndarray:
        """Return the classes that labels may take.

        Parameters
        ----------
        kind : str, default "seeds"
            "seeds": the classes with a seed, or all classes if there is no seed. "all": all classes.

        Returns
        -------
        ndarray, shape (K,), bool

        Raises
        ------
        ValueError
            For another kind.
        """
        check_choice("present", kind, PRESENT)
        num_classes = len(self.classes)
        seeded = np.bincount(self.seeds[self.seeds < num_classes], minlength=num_classes) > 0  # few pixels are seeds
        return seeded if kind == "seeds" and seeded.any() else np.ones_like(seeded)

    def seeded_share(self) -> float:
        """Return the share of pixels that have a label, in [0, 1]."""
        return float((self.seeds < len(self.classes)).mean())

    def accuracy(self, labels: Tensor) -> float:
        """Compute the accuracy of labels on the unlabelled pixels, without void ones.

        Parameters
        ----------
        labels : Tensor, shape (1, K, H, W)

        Returns
        -------
        float
            Share of these pixels whose most likely class is the mask's, in [0, 1].

        Raises
        ------
        ValueError
            If the sample has no mask.
        """
        if self.mask is None:
            raise ValueError(f"{self.name}: no ground truth to compare with")
        judged = (self.seeds == UNLABELLED) & (self.mask != UNLABELLED)
        return float((labels.argmax(1)[0].cpu().numpy() == self.mask)[judged].mean())


#: The EXIF tag of the orientation, and the TIFF tags of the stored size.
_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 256, 257
#: What decoders raise for damaged files, besides ValueError and OSError.
_DAMAGE = (ArithmeticError, AttributeError, LookupError, MemoryError, SyntaxError, TypeError, struct.error, zlib.error)
#: Formats that hold several pictures as animations or pages; a JPEG's further pictures are thumbnails of the same photo.
_PAGED = ("TIFF", "GIF", "WEBP", "PNG", "APNG")


def read_image(path: str | Path, most_pixels: int | None = None) -> np.ndarray:
    """Read a picture file, turned upright according to its EXIF orientation.

    Parameters
    ----------
    path : str or Path
    most_pixels : int, optional
        Pictures of more pixels are refused before they are decoded: a file of some kB may hold gigabytes. Default: Pillow's
        limit, 179 million.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8
        RGB. Grey values are repeated, CMYK is converted, transparent parts are drawn on white. With 10 to 16 bits per channel,
        255 stands for the largest number of the bits that the photo uses, see `toykit.datasets.deep_pictures`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a readable picture, is too large, has another number of channels, several pages or floating numbers, or
        is a PostScript program; names the file.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        try:
            # Pillow 13 maps a turned TIFF that it opens by its path to the wrong shape
            kinds = None
            if most_pixels is not None:  # Pillow decodes an ICO when it opens it, before its size is known
                Image.init()
                kinds = [kind for kind in Image.OPEN if kind != "ICO"]
            with open(path, "rb") as opened, Image.open(opened, formats=kinds) as file:
                if file.format == "EPS":  # Pillow would run it with Ghostscript
                    raise ValueError("PostScript is a program, not a picture; save it as PNG")
                if most_pixels is not None and file.width * file.height > most_pixels:
                    raise ValueError(
                        f"it has {file.width} x {file.height} pixels; expected at most {most_pixels} altogether"
                    )
                pages = getattr(file, "n_frames", 1)
                if pages > 1 and file.format in _PAGED:
                    raise ValueError(f"it holds {pages} pictures; save the one that is meant by itself")
                if file.format == "PNG":
                    verify_png(path)
                if is_deep(file):
                    return to_rgb(*read_deep(path, file))
                if file.mode == "F":
                    raise ValueError("its mode F has no fixed range; save it with 8 or 16 bits per channel")
                picture = ImageOps.exif_transpose(file)
                if picture.has_transparency_data:
                    picture = picture.convert("RGBA")
                    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
                return np.array(picture.convert("RGB"))
        except UnidentifiedImageError:
            with open(path, "rb") as file:
                if file.read(4) not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
                    raise
            return to_rgb(*read_tiff(path, most_pixels))  # Pillow reads only some kinds of TIFF
    except FileNotFoundError:
        raise
    except (Image.DecompressionBombError, OSError, ValueError, *_DAMAGE) as error:
        raise ValueError(f"{path}: cannot be read as a picture ({error})") from error


def picture_size(path: str | Path) -> tuple[int, int]:
    """Return the width and height of the picture that `read_image` reads; mostly from the file's header.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    (int, int)

    Raises
    ------
    FileNotFoundError, ValueError
        See `read_image`.
    """
    from PIL import Image
    from PIL.TiffImagePlugin import TiffImageFile

    try:
        with Image.open(path) as file:
            turned = file.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            width, height = file.size
            if isinstance(file, TiffImageFile):  # some versions of Pillow give the size after turning
                width, height = file.tag_v2[_WIDTH], file.tag_v2[_HEIGHT]
            return (height, width) if turned else (width, height)
    except FileNotFoundError:
        raise
    except (Image.DecompressionBombError, OSError, ValueError, *_DAMAGE):
        height, width, _ = read_image(path).shape
        return width, height


def fit_within(size: tuple[int, int], long_side: int | None) -> tuple[int, int]:
    """Scale a size so that its longer side is `long_side`; never enlarge.

    Parameters
    ----------
    size : (int, int)
        Width and height.
    long_side : int or None
        Longer side in pixels; None keeps the size.

    Returns
    -------
    (int, int)
        Width and height, at least 1.
    """
    if long_side is None or max(size) <= long_side:
        return size
    width, height = (max(1, round(side * long_side / max(size))) for side in size)
    return width, height


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image by averaging areas.

    Parameters
    ----------
    image : ndarray, shape (H, W, 3), uint8
    size : (int, int)
        Width and height of the result.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8
    """
    from PIL import Image

    if image.shape[1::-1] == tuple(size):
        return image
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BOX))

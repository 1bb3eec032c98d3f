"""One sample type for all sets: a photo, its seeds, the names of its classes and, where known, its full mask."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.conventions import UNLABELLED
from toykit.supervision.spec import PRESENT


@dataclass(frozen=True)
class Sample:
    """A photo and what is known of it.

    name: for tables and figures. image: uint8 (H, W, 3), RGB. seeds: uint8 (H, W), class id, 254 or 255.
    classes: a name for each id. mask: uint8 (H, W) like seeds, 255 = void, or None where no ground truth exists.
    """

    name: str
    image: np.ndarray
    seeds: np.ndarray
    classes: tuple[str, ...]
    mask: np.ndarray | None = None

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The batch of one that the solvers take: image float32 (1, 3, H, W) in 0..255, seeds int64 (1, H, W)."""
        image = torch.from_numpy(np.ascontiguousarray(self.image)).permute(2, 0, 1)[None].float()
        return image, torch.from_numpy(self.seeds.astype(np.int64))[None]

    def present(self, kind: str = "seeds") -> np.ndarray:
        """The classes that labels may take, bool (K,): those with a seed ("seeds"; all, where there is no seed), or "all"."""
        check_choice("present", kind, PRESENT)
        seeded = np.bincount(self.seeds.ravel(), minlength=len(self.classes))[: len(self.classes)] > 0
        return seeded if kind == "seeds" and seeded.any() else np.ones_like(seeded)

    def seeded_share(self) -> float:
        """The share of pixels that carry a label, in [0, 1]."""
        return float((self.seeds < len(self.classes)).mean())

    def accuracy(self, labels: Tensor) -> float:
        """Share of unlabelled pixels, void ones aside, whose most likely class in labels (1, K, H, W) is the mask's.

        Raises: ValueError if the sample has no mask.
        """
        if self.mask is None:
            raise ValueError(f"{self.name}: no ground truth to compare with")
        judged = (self.seeds == UNLABELLED) & (self.mask != UNLABELLED)
        return float((labels.argmax(1)[0].cpu().numpy() == self.mask)[judged].mean())


def read_image(path: str | Path) -> np.ndarray:
    """A picture file as uint8 RGB (H, W, 3), turned upright as its EXIF says.

    Raises: FileNotFoundError; ValueError, naming the file, if it is no readable picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith("I;16"):  # converting would clip 16 bits to white
                return np.repeat((np.array(picture) // 257).astype(np.uint8)[..., None], 3, axis=2)
            if picture.mode in ("I", "F"):
                raise ValueError(f"its mode {picture.mode} has no fixed range; save it with 8 bits a channel")
            return np.array(picture.convert("RGB"))
    except FileNotFoundError:
        raise
    except (Image.DecompressionBombError, SyntaxError, OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a picture ({error})") from error


def fit_within(size: tuple[int, int], long_side: int | None) -> tuple[int, int]:
    """(width, height) scaled so that the longer is `long_side`; unchanged if that is None or would enlarge."""
    if long_side is None or max(size) <= long_side:
        return size
    return tuple(max(1, round(s * long_side / max(size))) for s in size)


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3) at `size` (width, height), area-averaged."""
    from PIL import Image

    if image.shape[1::-1] == tuple(size):
        return image
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BOX))

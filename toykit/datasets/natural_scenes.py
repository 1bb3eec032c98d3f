"""Natural Scenes, the classification set of Fig. 3(d), and generated texture scenes that replace it where it is missing.

Layout of the real set, `natural_scenes/` under TOYKIT_DATA: seg_train/CLASS/*.jpg and seg_test/CLASS/*.jpg, six classes,
150 x 150 pixels (a few photos are shorter).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_whole
from toykit._shared.resources import data_root
from toykit._shared.torchvision import torchvision
from toykit.datasets.sample import read_image
from toykit.datasets.textures import grey_texture, part

SPLITS = ("train", "test")
#: Classes of the generated scenes: the function of skimage.data that has the texture, the side of a crop in pixels, and the
#: typical colour; a single scene may deviate far from it.
TEXTURES = {
    "brick": ("brick", 220, (160, 105, 85)),
    "grass": ("grass", 130, (90, 130, 75)),
    "gravel": ("gravel", 180, (125, 125, 120)),
    "tissue": ("immunohistochemistry", 150, (165, 130, 165)),
    "print": ("page", 90, (185, 180, 165)),
    "stars": ("hubble_deep_field", 200, (60, 60, 90)),
}


@dataclass(frozen=True)
class Scenes:
    """Images of one size with one class each.

    Parameters
    ----------
    images : Tensor, shape (N, 3, side, side), uint8
        RGB.
    labels : Tensor, shape (N,), int64
        Class ids in 0..K-1.
    classes : tuple of str
        Names of the K classes.
    source : str
        "photos" or "generated".
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    source: str


def scenes(
    split: str, side: int = 64, per_class: int | None = None, seed: int = 0, source: str | None = None
) -> Scenes:
    """Load a split of Natural Scenes, or generate scenes where the set is missing.

    Parameters
    ----------
    split : str
        "train" or "test".
    side : int, default 64
        Height and width of the images in pixels, at least 8; photos of another shape are stretched.
    per_class : int, optional
        Number of images per class, chosen by `seed`. Default: all photos, or 200 generated images.
    seed : int, default 0
        Seed of the choice and of the generated images.
    source : str, optional
        "photos" or "generated". Default: photos where TOYKIT_DATA has them.

    Returns
    -------
    Scenes

    Raises
    ------
    ValueError
        For an invalid argument, if there are fewer photos than `per_class`, and for an unreadable photo; names the file.
    FileNotFoundError
        If `source` is "photos" and there are none.
    ImportError
        Without torchvision.
    """
    check_choice("split", split, SPLITS)
    check_whole("side", side, 8)
    if per_class is not None:
        check_whole("per_class", per_class)
    folder = data_root() / "natural_scenes" / f"seg_{split}"
    if source is None:
        source = "photos" if folder.is_dir() else "generated"
    check_choice("source", source, ("photos", "generated"))
    if source == "photos":
        return _photos(folder, side, per_class, seed)
    return _generated(split, side, 200 if per_class is None else per_class, seed)


def _photos(folder: Path, side: int, per_class: int | None, seed: int) -> Scenes:
    """Read the photos of a split, `per_class` of each class in a random choice, resized to side x side pixels."""
    from PIL import Image
    from tqdm import tqdm

    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; expected photos of Natural Scenes, CLASS/*.jpg. Set TOYKIT_DATA to the folder that "
            "contains natural_scenes, or ask for the source generated"
        )
    listed = torchvision().datasets.ImageFolder(folder)
    labels = torch.tensor(listed.targets)
    if per_class is not None:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        chosen = []
        for k, name in enumerate(listed.classes):
            own = order[labels[order] == k]
            if len(own) < per_class:
                raise ValueError(f"{folder / name}: {len(own)} photos, but per_class = {per_class}; ask for fewer")
            chosen.append(own[:per_class])
        chosen = torch.cat(chosen).sort().values
    else:
        chosen = torch.arange(len(labels))
    images = torch.empty(len(chosen), 3, side, side, dtype=torch.uint8)
    for image, number in zip(images, tqdm(chosen.tolist(), desc=f"reading {folder.name}", disable=None), strict=True):
        picture = Image.fromarray(read_image(listed.imgs[number][0]))
        image.copy_(torch.from_numpy(np.array(picture.resize((side, side), Image.Resampling.BOX))).movedim(-1, 0))
    return Scenes(images, labels[chosen], tuple(listed.classes), "photos")


def _generated(split: str, side: int, per_class: int, seed: int) -> Scenes:
    """Generate crops of textures, rotated, scaled, tinted and lit at random; the splits share no part of a texture."""
    from PIL import Image
    from skimage import util

    rng = np.random.default_rng([seed, SPLITS.index(split)])
    images = np.empty((len(TEXTURES), per_class, side, side, 3), np.uint8)
    for own, (name, size, color) in zip(images, TEXTURES.values(), strict=True):
        texture = part(util.img_as_ubyte(grey_texture(name)), training=split == "train")
        for image in own:
            crop = min(round(size * rng.uniform(0.7, 1.4)), *texture.shape)
            top, left = (rng.integers(n - crop + 1) for n in texture.shape)
            patch = Image.fromarray(texture[top : top + crop, left : left + crop])
            patch = np.array(patch.rotate(90 * int(rng.integers(4))).resize((side, side), Image.Resampling.BOX), float)
            # normalised, so that no class is brighter than another
            patch = (patch - patch.mean()) / (patch.std() + 1) * rng.uniform(15, 45)
            light = rng.uniform(-0.5, 0.5, 2) @ np.mgrid[-1 : 1 : 1j * side, -1 : 1 : 1j * side].reshape(2, -1)
            tint = np.array(color) + rng.normal(0, 30) + rng.normal(0, 15, 3)
            shaded = (patch[..., None] + tint) * (1 + light.reshape(side, side, 1))
            image[:] = (shaded + rng.normal(0, 8, shaded.shape)).clip(0, 255)
    labels = torch.arange(len(TEXTURES)).repeat_interleave(per_class)
    return Scenes(
        torch.from_numpy(images.reshape(-1, side, side, 3)).movedim(-1, 1), labels, tuple(TEXTURES), "generated"
    )

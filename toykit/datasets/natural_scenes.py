"""Natural Scenes, the classification set of Fig. 3(d), and generated texture scenes that stand in for it.

Layout of the real set, `natural_scenes/` under TOYKIT_DATA: seg_train/CLASS/*.jpg and seg_test/CLASS/*.jpg, six classes,
150 x 150 pixels (a few are shorter).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit._shared.resources import data_root
from toykit._shared.torchvision import torchvision
from toykit.datasets.sample import read_image
from toykit.datasets.textures import grey_texture, part

SPLITS = ("train", "test")
#: The generated scenes' classes: the function of skimage.data that has the texture, the crop's side in pixels there, and
#: the typical colour, which a single scene may miss by a lot.
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

    images: uint8 (N, 3, side, side), RGB. labels: int64 (N,), 0..K-1. classes: the K names. source: "photos" or
    "generated".
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    source: str


def scenes(
    split: str, side: int = 64, per_class: int | None = None, seed: int = 0, source: str | None = None
) -> Scenes:
    """A split of Natural Scenes, or as many generated scenes where the set is missing.

    split: "train" or "test". side: the images' height and width; photos of another shape are stretched. per_class: how
    many of each class, chosen by `seed` (default: all photos, or 200 generated ones). source: "photos" or "generated"
    (default: photos where TOYKIT_DATA has them).
    Raises: ValueError for a bad argument, for fewer photos than asked for, and, naming the file, for one that cannot be
    read; FileNotFoundError if photos are asked for and are not there; ImportError without torchvision.
    """
    check_choice("split", split, SPLITS)
    for name, value, least in (("side", side, 8), ("per_class", per_class, 1)):
        if value is not None and (not isinstance(value, int) or value < least):
            raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    folder = data_root() / "natural_scenes" / f"seg_{split}"
    if source is None:
        source = "photos" if folder.is_dir() else "generated"
    if source == "photos":
        return _photos(folder, side, per_class, seed)
    if source == "generated":
        return _generated(split, side, 200 if per_class is None else per_class, seed)
    raise ValueError(f'source: expected "photos" or "generated", got {source!r}')


def _photos(folder, side: int, per_class: int | None, seed: int) -> Scenes:
    from PIL import Image
    from tqdm import tqdm

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
    """Crops of scikit-image's textures, turned, scaled, tinted and lit at random; the splits share no part of a texture."""
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
            patch = np.array(patch.rotate(90 * rng.integers(4)).resize((side, side), Image.Resampling.BOX), float)
            patch = (
                (patch - patch.mean()) / (patch.std() + 1) * rng.uniform(15, 45)
            )  # no class is brighter than another
            light = rng.uniform(-0.5, 0.5, 2) @ np.mgrid[-1 : 1 : 1j * side, -1 : 1 : 1j * side].reshape(2, -1)
            tint = np.array(color) + rng.normal(0, 30) + rng.normal(0, 15, 3)
            shaded = (patch[..., None] + tint) * (1 + light.reshape(side, side, 1))
            image[:] = (shaded + rng.normal(0, 8, shaded.shape)).clip(0, 255)
    labels = torch.arange(len(TEXTURES)).repeat_interleave(per_class)
    return Scenes(
        torch.from_numpy(images.reshape(-1, side, side, 3)).movedim(-1, 1), labels, tuple(TEXTURES), "generated"
    )

"""The toy set, ours: textured shapes on textured backgrounds in VOC's layout, generated in seconds and always available.

The textures are real ones, from scikit-image's wheel. Like real grass or brick, each class has a texture and a typical colour.
Every shape has its own tint about that colour, and its own contrast, scale, rotation and shading. So does the background,
which is cut from photos. Most pixels can be classified by their colour, the others by their texture. Training and validation
images use different parts of the textures. The scribbles are simulated.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from toykit._shared.arguments import check_whole
from toykit._shared.files import write_atomically, write_text
from toykit._shared.resources import cache_root
from toykit.datasets import voc
from toykit.datasets.segmentation_set import SegmentationSet
from toykit.datasets.textures import grey_texture, part
from toykit.supervision import Supervision, simulate, write_scribbles, write_seeds
from toykit.supervision.spec import random_generator

#: Generator version, part of the cache folder's name.
VERSION = 3
CLASSES = ("background", "brick", "grass", "gravel", "tissue", "print")
#: For each class after the background: the function of skimage.data that has its texture, and the factor of scaling it down.
TEXTURES = {"brick": 3.5, "grass": 2.0, "gravel": 2.5, "immunohistochemistry": 2.0, "page": 1.8}
BACKGROUNDS = {"coffee": 2.0, "astronaut": 2.0, "chelsea": 2.0, "rocket": 2.0}
#: Typical colour of each class, in 0..255. A surface deviates from it by up to BRIGHTNESS in all channels together, and by up
#: to HUE in each channel.
COLORS = ((75, 100, 140), (165, 85, 60), (85, 135, 50), (120, 115, 105), (170, 105, 165), (205, 195, 165))
BRIGHTNESS, HUE = 22, 15
COUNTS = {"train": 240, "val": 80}


def find(root: Path, split: str, supervision: Supervision) -> SegmentationSet:
    """List the files of the set, see `toykit.datasets.voc.find`.

    Parameters
    ----------
    root : Path
        The folder.
    split : str
        "train" or "val".
    supervision : Supervision
        Where the seeds come from.

    Returns
    -------
    SegmentationSet
    """
    return voc.find(root, split, supervision, "toy", CLASSES)


def cached() -> Path:
    """Return the folder of the full set in the user's cache; generate it first if it is missing. Safe with several processes.

    Returns
    -------
    Path
    """
    root = cache_root() / f"toy-{VERSION}"
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}."))
    try:
        make(temporary)
        temporary.chmod(0o755)
        temporary.rename(root)
    except OSError:
        if not root.is_dir():  # otherwise another process was faster
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return root


def make(
    root: str | Path,
    train: int = COUNTS["train"],
    val: int = COUNTS["val"],
    size: int = 96,
    seed: int = 0,
    progress: Callable[[], object] = lambda: None,
) -> None:
    """Generate the set: images with masks, lists and simulated scribbles (PNG and JSON).

    Parameters
    ----------
    root : str or Path
        The folder to write; must be empty or missing.
    train, val : int, default 240 and 80
        Number of images of each split, at least 1.
    size : int, default 96
        Side of the images in pixels, at least 32.
    seed : int, default 0
        Seed of the generator.
    progress : callable, optional
        Called after each image.

    Raises
    ------
    ValueError
        For a count or size below its minimum, and for a folder that is not empty.
    """
    from PIL import Image

    root = Path(root)
    check_whole("train", train)
    check_whole("val", val)
    check_whole("size", size, 32)
    if root.exists() and any(root.iterdir()):
        raise ValueError(f"{root}: is not empty; give a new folder")
    sources = [_grey(name, shrink) for name, shrink in (TEXTURES | BACKGROUNDS).items()]
    for split, count in (("train", train), ("val", val)):
        parts = [_part(source, split) for source in sources]
        names = [f"{split}_{number:04d}" for number in range(count)]
        for number, name in enumerate(names):
            image, mask = scene(parts, size, number, random_generator(seed, name))
            scribbles = simulate(mask, CLASSES, name, seed)
            picture = Image.fromarray(image)
            write_atomically(
                root / "JPEGImages" / f"{name}.jpg",
                lambda file, picture=picture: picture.save(file, format="JPEG", quality=95, subsampling=0),
            )
            write_seeds(root / "SegmentationClassAug" / f"{name}.png", mask)
            write_seeds(root / "pascal_2012_scribble" / f"{name}.png", scribbles.draw())
            write_scribbles(root / "scribbles" / f"{name}.json", scribbles)
            progress()
        listed = root / "ImageSets" / "SegmentationAug" / f"{voc.LISTS[split]}.txt"
        write_text(listed, "".join(f"{name}\n" for name in names))


def scene(
    parts: list[np.ndarray], size: int, number: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Generate one image and its mask.

    Parameters
    ----------
    parts : list of ndarray
        The grey textures: first those of the classes, then those of the backgrounds.
    size : int
        Side of the image in pixels.
    number : int
        Number of the image; classes take turns by it.
    generator : numpy.random.Generator

    Returns
    -------
    image : ndarray, shape (size, size, 3), uint8
    mask : ndarray, shape (size, size), uint8
    """
    objects = len(TEXTURES)
    mask = np.zeros((size, size), np.uint8)
    image = _surface(parts[generator.integers(objects, len(parts))], COLORS[0], size, generator)
    for turn in range(generator.integers(2, 5)):
        label = (2 * number + turn) % objects + 1
        inside = _shape(size, generator)
        mask[inside] = label
        image[inside] = _surface(parts[label - 1], COLORS[label], size, generator)[inside]
    return np.clip(image + 3 * generator.standard_normal(image.shape), 0, 255).astype(np.uint8), mask


def _grey(name: str, shrink: float) -> np.ndarray:
    """Load a texture in grey, scaled down: float32 (H, W)."""
    from skimage import transform

    return transform.rescale(grey_texture(name), 1 / shrink, anti_aliasing=True).astype(np.float32)


def _part(source: np.ndarray, split: str) -> np.ndarray:
    """Return the split's part of a texture, with zero mean and unit variance."""
    own = part(source, training=split == "train")
    return (own - own.mean()) / own.std()


def _surface(texture: np.ndarray, color: tuple[int, int, int], size: int, generator: np.random.Generator) -> np.ndarray:
    """Draw a texture about a colour, randomly scaled, rotated, tinted and shaded: float (size, size, 3)."""
    from scipy import ndimage

    angle, zoom = generator.uniform(0, 2 * np.pi), np.exp(generator.uniform(-0.3, 0.3))
    matrix = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = generator.uniform(0, texture.shape)
    grid = np.stack(np.meshgrid(*2 * [np.arange(size) - size / 2], indexing="ij"))
    places = np.tensordot(matrix, grid, 1) + centre[:, None, None]
    grey = ndimage.map_coordinates(texture, places, order=1, mode="mirror")
    direction = generator.uniform(-1, 1, 2)
    shade = 1 + 0.3 * np.tensordot(direction, grid / size, 1)
    tint = np.array(color) + generator.uniform(-BRIGHTNESS, BRIGHTNESS) + generator.uniform(-HUE, HUE, 3)
    return (tint + generator.uniform(7, 14) * grey[..., None]) * shade[..., None]


def _shape(size: int, generator: np.random.Generator) -> np.ndarray:
    """Draw a blob, r(t) = r0 (1 + sum of a few waves) about a random centre, stretched and rotated: bool (size, size)."""
    centre, radius = generator.uniform(0.15, 0.85, 2) * size, generator.uniform(0.16, 0.3) * size
    y, x = np.mgrid[:size, :size] - centre[:, None, None]
    turn, stretch = generator.uniform(0, np.pi), generator.uniform(1, 1.6)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    angle = np.arctan2(across * stretch, along)
    waves = sum(
        generator.uniform(-0.3, 0.3) / k * np.cos(k * angle + generator.uniform(0, 2 * np.pi)) for k in (2, 3, 4, 5)
    )
    return np.hypot(along, across * stretch) < radius * np.sqrt(stretch) * (1 + waves)

"""Images with seeds: photos that come with the project, and sets under TOYKIT_DATA (paper, sections 3 and 3.5)."""

from toykit.datasets.checks import check
from toykit.datasets.grabcut import grabcut_seeds
from toykit.datasets.loading import KINDS, load
from toykit.datasets.natural_scenes import Scenes, scenes
from toykit.datasets.photos import PHOTOS, photo, photos
from toykit.datasets.sample import Sample, read_image
from toykit.datasets.segmentation_set import SegmentationSet
from toykit.datasets.transforms import augment

__all__ = [
    "KINDS",
    "PHOTOS",
    "Sample",
    "Scenes",
    "SegmentationSet",
    "augment",
    "check",
    "grabcut_seeds",
    "load",
    "photo",
    "photos",
    "read_image",
    "scenes",
]

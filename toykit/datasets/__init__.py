"""Images with seeds: photos that come with the project, and sets found under TOYKIT_DATA."""

from toykit.datasets.grabcut import grabcut_seeds
from toykit.datasets.natural_scenes import Scenes, scenes
from toykit.datasets.photos import PHOTOS, photo, photos
from toykit.datasets.sample import Sample, read_image

__all__ = ["PHOTOS", "Sample", "Scenes", "grabcut_seeds", "photo", "photos", "read_image", "scenes"]

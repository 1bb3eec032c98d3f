"""Annotations of other tools as seeds: Labelme's and COCO's JSON, CVAT's XML and masks. Called by `toykit data convert`."""

from toykit.datasets.annotations.convert import convert

__all__ = ["convert"]

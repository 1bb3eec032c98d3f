"""Label photos from their scribbles without a network: eq. (8)'s sub-problem, for one photo or for folders of them."""

from toykit.segment.folder import Pairs, find_pairs, segment_folder
from toykit.segment.labelling import FILES, Segmentation, class_shares, hard_mask, occurring_classes, segment
from toykit.segment.reading import read_logits, read_sample

__all__ = [
    "FILES",
    "Pairs",
    "Segmentation",
    "class_shares",
    "find_pairs",
    "hard_mask",
    "occurring_classes",
    "read_logits",
    "read_sample",
    "segment",
    "segment_folder",
]

"""Which supervision a set is read with: one small value that a configuration can hold."""

import hashlib
from dataclasses import dataclass

import numpy as np

from toykit._shared.arguments import check_choice

KINDS = ("scribbles", "simulated", "clicks", "blocks", "full")
PRESENT = ("all", "seeds")


@dataclass(frozen=True)
class Supervision:
    """The kind of seeds and its options.

    kind: "scribbles", the files that come with the set, an annotator's (but the toy set's, which are simulated);
        "simulated", scribbles generated from the full mask (no human drew them); "clicks", one or more points an object;
        "blocks", the mask inside some squares (our generator); "full", the mask itself.
    ratio: share of each stroke's length in [0, 1] (scribbles, simulated); 0 is one click a stroke.
    width: of the pen in pixels, at least 1 (scribbles from XML, simulated, clicks).
    share: of the pixels inside of blocks, in (0, 1].
    seed: of the generators (simulated, blocks); together with an image's id it decides what they draw.
    present: the classes that pseudo-labels may take in a photo: "all", or "seeds", those that the whole photo has seeds of
        (a crop may lack a seed of a class that it shows; a photo without seeds may show any).
    """

    kind: str = "scribbles"
    ratio: float = 1.0
    width: int = 3
    share: float = 0.5
    seed: int = 0
    present: str = "all"

    def __post_init__(self) -> None:
        check_choice("supervision kind", self.kind, KINDS)
        check_choice("supervision present", self.present, PRESENT)
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"supervision ratio: expected a share of the length in [0, 1], got {self.ratio}")
        if not self.width >= 1:
            raise ValueError(f"supervision width: expected at least 1 pixel, got {self.width}")
        if not 0 < self.share <= 1:
            raise ValueError(f"supervision share: expected a share of the pixels in (0, 1], got {self.share}")


def random_generator(seed: int, name: str) -> np.random.Generator:
    """The generator that belongs to an image: the same in every process, whatever was read before."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))

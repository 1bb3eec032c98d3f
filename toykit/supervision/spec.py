"""The supervision that a set is read with: one small value that a configuration can hold (paper, sections 1.1 and 3.5)."""

import hashlib
from dataclasses import dataclass

import numpy as np

from toykit._shared.arguments import check_choice, check_number, check_whole
from toykit.conventions import PADDING, UNLABELLED

KINDS = ("scribbles", "simulated", "clicks", "blocks", "full")
PRESENT = ("all", "seeds")


@dataclass(frozen=True)
class Supervision:
    """The kind of seeds and its options.

    Parameters
    ----------
    kind : str, default "scribbles"
        "scribbles": the files that come with the set, drawn by an annotator (except the toy set's, which are simulated).
        "simulated": scribbles generated from the full mask; no human drew them.
        "clicks": one or more points per object.
        "blocks": the mask inside some squares (our generator).
        "full": the mask itself.
    ratio : float, default 1.0
        Share of each stroke's length, in [0, 1] ("scribbles", "simulated"). 0 is one click per stroke.
    width : int, default 3
        Width of the pen in pixels, at least 1 (scribbles from XML, "simulated", "clicks").
    share : float, default 0.5
        Share of the pixels inside blocks, in (0, 1] ("blocks").
    seed : int, default 0
        Seed of the generators ("simulated", "blocks"); together with an image's id it determines what they draw.
    present : str, default "all"
        The classes that pseudo-labels may take in a photo: "all", or "seeds", those that the whole photo has seeds of. A
        crop may lack a seed of a class that it shows. A photo without seeds may show any class.
    unlabelled : int, default 255
        The id that means "no label" in the drawn maps of a user's folder, besides 255 ("scribbles").

    Raises
    ------
    ValueError
        For an option outside these choices and ranges.
    """

    kind: str = "scribbles"
    ratio: float = 1.0
    width: int = 3
    share: float = 0.5
    seed: int = 0
    present: str = "all"
    unlabelled: int = UNLABELLED

    def __post_init__(self) -> None:
        check_choice("supervision kind", self.kind, KINDS)
        check_choice("supervision present", self.present, PRESENT)
        check_number("supervision ratio", self.ratio, "[0, 1]")
        check_number("supervision width", self.width, "[1, inf)")
        check_number("supervision share", self.share, "(0, 1]")
        check_unlabelled(self.unlabelled)

    @property
    def annotated(self) -> bool:
        """Whether an annotator gives the seeds; otherwise they are made from the full mask."""
        return self.kind in ("scribbles", "clicks")


def check_unlabelled(value: object) -> None:
    """Raise ValueError unless a value may be the id of unlabelled pixels.

    Parameters
    ----------
    value : object
        Expected: a whole number in 0..255 other than 254.

    Raises
    ------
    ValueError
        For any other value.
    """
    check_whole("unlabelled", value, 0)
    if value == PADDING or value > UNLABELLED:  # pyright: ignore[reportOperatorIssue] # a whole number by now
        raise ValueError(f"unlabelled: expected an id in 0..253, or {UNLABELLED}; got {value} ({PADDING} is padding)")


def random_generator(seed: int, name: str) -> np.random.Generator:
    """Return the random generator of one image: the same in every process, whatever was read before.

    Parameters
    ----------
    seed : int
        The run's seed.
    name : str
        The image's id.

    Returns
    -------
    numpy.random.Generator
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))

"""What an annotator gives instead of full masks: scribbles, clicks, blocks (paper, sections 1.1 and 3.5)."""

from toykit.supervision.blocks import blocks
from toykit.supervision.clicks import read_clicks
from toykit.supervision.findings import SeedWarning
from toykit.supervision.indexed_png import read_indexed_png, write_seeds
from toykit.supervision.scribblesup import read_scribblesup
from toykit.supervision.seed_maps import read_seeds
from toykit.supervision.simulate import simulate
from toykit.supervision.spec import KINDS, Supervision
from toykit.supervision.strokes import Scribbles, Stroke, read_scribbles, write_scribbles

__all__ = [
    "KINDS",
    "Scribbles",
    "SeedWarning",
    "Stroke",
    "Supervision",
    "blocks",
    "read_clicks",
    "read_indexed_png",
    "read_scribbles",
    "read_scribblesup",
    "read_seeds",
    "simulate",
    "write_scribbles",
    "write_seeds",
]

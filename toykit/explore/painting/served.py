"""The painter as a page of its own: `toykit paint` serves `paint.ipynb`, which calls `served_painter` in its kernel."""

import json
import os
from pathlib import Path

from toykit.explore.painting import painter

NOTEBOOK = Path(__file__).parent / "page" / "paint.ipynb"
#: The variable through which a kernel receives the arguments.
VARIABLE = "TOYKIT_PAINT"


def offer(name: str | Path, long_side: int, unlabelled: int) -> None:
    """Set the arguments of `toykit.explore.painter` for kernels that this process starts."""
    os.environ[VARIABLE] = json.dumps(
        {"name": str(Path(name).absolute()), "long_side": long_side, "unlabelled": unlabelled}
    )


def served_painter():
    """Return the painter with the arguments of `offer`."""
    return painter(**json.loads(os.environ[VARIABLE]))

"""Simulated seeds kept on disk: finding a photo's strokes takes longer than its share of a training step.

A file's name is a hash of the mask, of all that decides the strokes, and of the generator's own source, so that none is ever
out of date. They lie in the folder `seeds` of `toykit._shared.resources.cache_root`, about 1 kB per photo; where that folder cannot be
written, the seeds are found anew.
"""

import contextlib
import hashlib
import zlib
from functools import cache
from pathlib import Path

import numpy as np

from toykit._shared.files import write_atomically
from toykit._shared.resources import cache_root
from toykit.supervision.simulate import simulate
from toykit.supervision.spec import Supervision


def simulated_seeds(mask: np.ndarray, classes: tuple[str, ...], name: str, choice: Supervision) -> bytes:
    """The seeds of `toykit.supervision.simulate`, uint8 (H, W), shortened to choice.ratio, compressed by zlib."""
    decides = repr((mask.shape, classes, name, choice.seed, choice.width, choice.ratio)).encode()
    key = hashlib.blake2b(_source() + decides + np.ascontiguousarray(mask).tobytes(), digest_size=20).hexdigest()
    path = cache_root() / "seeds" / key[:2] / key
    with contextlib.suppress(OSError, zlib.error):
        stored = path.read_bytes()
        if len(zlib.decompress(stored)) == mask.size:
            return stored
    drawn = simulate(mask, classes, name, choice.seed, choice.width).shorten(choice.ratio).draw()
    compressed = zlib.compress(drawn.tobytes())
    with contextlib.suppress(OSError):
        write_atomically(path, lambda file: file.write(compressed))
    return compressed


@cache
def _source() -> bytes:
    """A digest of the code that draws."""
    files = (Path(__file__).with_name(name).read_bytes() for name in ("simulate.py", "strokes.py", "spec.py"))
    return hashlib.blake2b(b"".join(files), digest_size=20).digest()

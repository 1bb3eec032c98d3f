"""A cache of simulated seeds on disk: drawing a photo's strokes takes longer than its share of a training step.

A file's name is a hash of the mask, of everything that determines the strokes, and of the generator's own source, so no file
is ever out of date. The files lie in the folder `seeds` of `toykit._shared.resources.cache_root`, about 1 kB per photo. Where
that folder cannot be written, the seeds are drawn again each time.
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


def simulated_seeds(mask: np.ndarray, classes: tuple[str, ...], name: str, supervision: Supervision) -> bytes:
    """Return the simulated seeds of one image, from the cache where they are.

    Parameters
    ----------
    mask : ndarray, shape (H, W), uint8
        The full mask.
    classes : tuple of str
        Class names by id.
    name : str
        The image's id.
    supervision : Supervision
        Its `seed`, `width` and `ratio` are used.

    Returns
    -------
    bytes
        The seeds, uint8 (H, W), compressed by zlib: `toykit.supervision.simulate`, shortened to `supervision.ratio`.
    """
    decides = repr((mask.shape, classes, name, supervision.seed, supervision.width, supervision.ratio)).encode()
    key = hashlib.blake2b(_source() + decides + np.ascontiguousarray(mask).tobytes(), digest_size=20).hexdigest()
    path = cache_root() / "seeds" / key[:2] / key
    with contextlib.suppress(OSError, zlib.error):
        stored = path.read_bytes()
        if len(zlib.decompress(stored)) == mask.size:
            return stored
    scribbles = simulate(mask, classes, name, supervision.seed, supervision.width)
    compressed = zlib.compress(scribbles.shorten(supervision.ratio).draw().tobytes())
    with contextlib.suppress(OSError):
        write_atomically(path, lambda file: file.write(compressed))
    return compressed


@cache
def _source() -> bytes:
    """Return a digest of the source files that draw."""
    files = (
        Path(__file__).with_name(name).read_bytes() for name in ("simulate.py", "strokes.py", "rasterize.py", "spec.py")
    )
    return hashlib.blake2b(b"".join(files), digest_size=20).digest()

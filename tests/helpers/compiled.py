"""Compile numba's loops once, before the workers start: `python compiled.py float32`.

Two workers, the notebooks' kernels and the commands that tests start would else compile the same loops, each for itself, for
minutes. The result is kept in numba's cache on disk.
"""

import sys

import torch

from toykit import Energy, NearestNeighbors, SparseNonLocal, random_walker, solve


def compile_loops(dtype: torch.dtype) -> None:
    """Solve one tiny problem with each loop of the numba kernel."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 6, 7, generator=generator, dtype=dtype)
    image = torch.rand(1, 3, 6, 7, generator=generator, dtype=dtype) * 200
    seeds = torch.full((1, 6, 7), 255)
    seeds[0, 0, 0], seeds[0, -1, -1] = 0, 1
    for neighborhood in (NearestNeighbors(), SparseNonLocal()):
        solve(logits, image, seeds, Energy(neighborhood=neighborhood), tolerance=0.5)
    random_walker(logits, image, seeds, backend="sor")


if __name__ == "__main__":
    compile_loops(getattr(torch, sys.argv[1]))

"""Compile numba's loops once, before the workers start: `python compiled.py float32`.

Two workers, the notebooks' kernels and the commands that tests start would else compile the same loops, each for itself, for
minutes. The result is kept in numba's cache on disk.
"""

import sys

import torch
from problems import make_problem

from toykit import Dense, Energy, NearestNeighbors, SparseNonLocal, random_walker, solve


def compile_loops(dtype: torch.dtype) -> None:
    """Solve one tiny problem with each loop of the numba kernel; filter it with the dense neighbourhood's."""
    problem = make_problem(dtype=dtype)
    for neighborhood in (NearestNeighbors(), SparseNonLocal()):
        solve(*problem, Energy(neighborhood=neighborhood), tolerance=0.5)
    random_walker(*problem, backend="sor")
    logits, image, _ = problem
    Dense().edges(image).filter(logits)


if __name__ == "__main__":
    compile_loops(getattr(torch, sys.argv[1]))

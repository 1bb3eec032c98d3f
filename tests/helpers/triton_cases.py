"""Compare the Triton kernel with the torch kernel: `TRITON_INTERPRET=1 python triton_cases.py` prints the differences as JSON.

Triton reads the variable when it is imported, so the tests run this file in a process of its own. On a GPU they import it.
"""

import json
from itertools import product

import torch
from problems import make_problem

from toykit import UNLABELLED, Energy, NearestNeighbors, solve
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS
from toykit.solvers.block_descent import torch_kernel, triton_kernel
from toykit.solvers.block_descent.listed import OMEGA
from toykit.solvers.layouts.four_colour_grid import pack

PAIRS = [f"{c}-{r}" for c, r in product(CROSS_ENTROPIES, RELAXATIONS)]
SIZES = [(1, 1), (1, 5), (4, 6)]
CLASSES = [2, 21, 150]


def call_without_patching():
    """Make the interpreter several times faster.

    It replaces Triton's operations by its own anew at each call of a function; once for each file of functions is enough.
    """
    from triton.runtime import interpreter

    patched = set()

    def call(function, *args, **kwargs):
        if id(function.fn.__globals__) not in patched:
            interpreter._patch_lang(function.fn)
            patched.add(id(function.fn.__globals__))
        return function.rewrite()(*args, **kwargs)

    interpreter.InterpretedFunction.__call__ = call


def compare(pair, problem, device, connectivity=4, start=None, frozen=()):
    """Return the largest differences after one sweep of both kernels: energy before it, change, and labels."""
    cross_entropy, relaxation = pair.split("-")
    if relaxation == "LQ":  # singular between two different seeds: the way out of there is decided by rounding
        problem = *problem[:2], problem[2].where(problem[2] > 253, UNLABELLED)
    energy = Energy(cross_entropy, relaxation, neighborhood=NearestNeighbors(9.0, connectivity))
    problem = energy.subproblem(*(x.to(device) for x in problem))
    first = problem.sigma if start is None else start.to(problem.sigma)
    ours, theirs = (pack(problem, problem.fix_seeds(first)) for _ in range(2))
    rows = {}
    for x in (ours, theirs):
        for image in frozen:
            x.free[image] = 0
        if start is None:
            torch_kernel.sweep(x, cross_entropy, relaxation, 0.3, OMEGA)
    energies = [k.energy(x, cross_entropy, relaxation, 0.3) for k, x in ((triton_kernel, ours), (torch_kernel, theirs))]
    before = ours.labels.clone()
    changes = [
        k.sweep(x, cross_entropy, relaxation, 0.3, OMEGA) for k, x in ((triton_kernel, ours), (torch_kernel, theirs))
    ]
    rows["energy"] = float(((energies[0] - energies[1]) / energies[1].abs().clamp_min(1)).abs().max())
    rows["change"] = float((changes[0] - changes[1]).abs().max())
    rows["labels"] = float((ours.labels - theirs.labels).abs().max())
    rows["moved"] = (ours.labels - before).abs().flatten(1).amax(1).tolist()
    rows["changes"] = changes[0].tolist()
    return rows


def two_of_all(classes, height, width):
    """Return labels on two of some classes; the others wake up in the sweep."""
    first = torch.zeros(1, classes, height, width)
    first[:, 0, :, :2] = first[:, 1, :, 2:] = 1
    return first


def cases(device):
    """Return all comparisons by name."""
    found = {}
    for n, pair in enumerate(PAIRS):
        problem = make_problem(batch=1, height=5, width=7, classes=5, padding=True, seed=n)
        found[pair] = compare(pair, problem, device, connectivity=8 if n == 5 else 4)
    for height, width in SIZES:
        problem = make_problem(batch=1, height=height, width=width, classes=3, seed=4)
        found[f"{height} x {width}"] = compare("CCE-CD", problem, device, connectivity=8)
    for classes in CLASSES:
        problem = make_problem(batch=1, height=3, width=4, classes=classes, dtype=torch.float32, padding=True)
        start = two_of_all(classes, 3, 4)
        found[f"{classes} classes"] = compare("CCE-Q", problem, device, start=start)
    found["frozen"] = compare("Q-Q", make_problem(batch=2, height=4, width=3), device, frozen=[0])
    problem = [x.to(device) for x in make_problem(batch=1, height=4, width=5, dtype=torch.float32)]
    ends = [solve(*problem, kernel=kernel, max_steps=2, on_failure="ignore") for kernel in ("triton", "torch")]
    found["solve"] = {"energies": (ends[0].energies / ends[1].energies - 1).abs().max().item()}
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    call_without_patching()
    print(json.dumps(cases(torch.device("cpu"))))

"""The fast solver's sweep and energy in fused loops for the CPU (numba); the same arithmetic as `torch_kernel`.

`grid` and `edge_list` hold the loops of the two layouts. Both call `step`, which is made of the gradient (`forms`: the
relaxations), the `proximal` step and the `line_search`; `unary` holds the cross-entropies, `rows` the innermost loops,
`class_sums` those over classes in vector registers (`lanes`), and `room` the memory for a row's intermediate results. Numba
compiles at the first call, which takes some seconds, and keeps the result on disk (`toykit._shared.compiled`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from toykit._shared.threads import share
from toykit.solvers.block_descent.numba_kernel import edge_list, grid
from toykit.solvers.block_descent.numba_kernel.edge_list import TILE, BlockArrays
from toykit.solvers.block_descent.numba_kernel.forms import RELAXATIONS
from toykit.solvers.block_descent.numba_kernel.grid import GridArrays
from toykit.solvers.block_descent.numba_kernel.step import StepOptions, Terms
from toykit.solvers.block_descent.numba_kernel.unary import CROSS_ENTROPIES
from toykit.solvers.block_descent.proximal import NEWTON_STEPS, PROJECTION_STEPS
from toykit.solvers.block_descent.torch_kernel import SECANT_STEPS
from toykit.solvers.layouts.edge_list import EdgeListProblem
from toykit.solvers.layouts.four_colour_grid import FourColourGrid


def sweep(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float, omega: float) -> Tensor:
    """Update all of x.labels in place; see `toykit.solvers.block_descent.torch_kernel.sweep`."""
    number, terms = x.labels.numpy().dtype.type, _terms(x, cross_entropy, relaxation, eta)
    rounding = number(torch.finfo(x.labels.dtype).eps)
    options = StepOptions(number(omega), rounding, PROJECTION_STEPS, NEWTON_STEPS, SECANT_STEPS)
    if isinstance(x, EdgeListProblem):
        return _sum_over_tiles(x, edge_list.sweep, terms, options)
    change = np.zeros((len(x.labels), x.free.shape[3], 2, x.images))
    arrays = _surveyed(x)
    for row in range(2):
        share(grid.sweep, change.shape[0] * change.shape[1], arrays, terms, options, row, change, work=x.labels.numel())
    increment_version(x.labels)  # for other views of these labels
    _note(x, arrays)
    return torch.from_numpy(change.sum((1, 2)).reshape(-1))


def energy(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float) -> Tensor:
    """Return the energy per image; see `toykit.solvers.block_descent.torch_kernel.energy`."""
    terms = _terms(x, cross_entropy, relaxation, eta)
    if isinstance(x, EdgeListProblem):
        return _sum_over_tiles(x, edge_list.energy, terms)
    value = np.zeros((len(x.labels), 2, 2, x.free.shape[3], x.images))
    share(grid.energy, value[..., 0].size, _surveyed(x), terms, value, work=x.labels.numel())
    return torch.from_numpy(value.sum((1, 2, 3)).reshape(-1))


def _terms(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float) -> Terms:
    """Return the energy's numbers, eta in the arrays' type."""
    number = x.labels.numpy().dtype.type
    return Terms(RELAXATIONS.index(relaxation), CROSS_ENTROPIES.index(cross_entropy), number(eta))


def _surveyed(x: FourColourGrid) -> GridArrays:
    """Return the grid as arrays that share its memory, with the impurities and held classes of its labels.

    Sweeps keep these two up to date. They are read off the labels again where other labels, or changed ones, are met: torch
    counts the changes of a tensor and of its views.
    """
    labels, target, weights, free = (tensor.numpy() for tensor in (x.labels, x.target, x.weights, x.free))
    noted, changes, impurity, held = x.notes.get("survey", (None, None, None, None))
    known = noted is x.labels and not x.labels.is_inference() and changes == x.labels._version
    if not known:
        impurity, held = np.empty_like(labels[..., 0, :]), np.empty(labels.shape[:-1], np.bool_)
    arrays = GridArrays(labels, target, weights, free, np.array(x.offsets), impurity, held)
    if not known:
        share(grid.survey, impurity[..., 0].size, arrays, work=labels.size)
        _note(x, arrays)
    return arrays


def _note(x: FourColourGrid, arrays: GridArrays) -> None:
    """Note the survey of the labels as they are now. Tensors made in inference mode have no count of changes."""
    if not x.labels.is_inference():
        x.notes["survey"] = x.labels, x.labels._version, arrays.impurity, arrays.held


def _sum_over_tiles(x: EdgeListProblem, loop: Callable[..., None], *arguments: Any) -> Tensor:
    """Share a loop over the tiles of each block in turn; return the sum (1,) of the numbers, one for each tile."""
    labels, target, free = x.labels[0, :, :, 0], x.target[0, :, :, 0].numpy(), x.free[0, :, 0].numpy()
    impurity, total = (labels * (1 - labels)).sum(1).numpy(), 0.0
    for arrays in x.rows:
        pixels, starts, neighbors, weights = (tensor.numpy() for tensor in arrays)
        numbers = np.zeros(-(-len(pixels) // TILE))
        block = BlockArrays(labels.numpy(), target, free, impurity, pixels, starts, neighbors, weights)
        share(loop, len(numbers), block, *arguments, numbers, work=len(neighbors) * labels.shape[1])
        total += numbers.sum()
    return torch.tensor([total], dtype=torch.float64)

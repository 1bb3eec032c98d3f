"""The fast solver's sweep and energy in fused loops for the CPU (numba); the same arithmetic as `torch_kernel`.

`grid` and `edge_list` hold the parallel loops of the two layouts. Both call `step`, which is made of the gradient (`forms`: the
relaxations), the `proximal` step and the `line_search`; `unary` holds the cross-entropies, `rows` the innermost loops. Numba
compiles at the first call, which takes some seconds, and keeps the result on disk (`toykit._shared.compiled`).
"""

import numpy as np
import torch
from torch import Tensor

from toykit._shared.threads import torch_threads
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
        return _sum_over_tiles(x, lambda block, change: edge_list.sweep(block, terms, options, change))
    change = np.zeros((len(x.labels), x.free.shape[3], 2, x.images))
    with torch_threads():
        grid.sweep(_grid_arrays(x), terms, options, change)
    return torch.from_numpy(change.sum((1, 2)).reshape(-1))


def energy(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float) -> Tensor:
    """Return the energy per image; see `toykit.solvers.block_descent.torch_kernel.energy`."""
    terms = _terms(x, cross_entropy, relaxation, eta)
    if isinstance(x, EdgeListProblem):
        return _sum_over_tiles(x, lambda block, value: edge_list.energy(block, terms, value))
    value = np.zeros((len(x.labels), 2, 2, x.free.shape[3], x.images))
    with torch_threads():
        grid.energy(_grid_arrays(x), terms, value)
    return torch.from_numpy(value.sum((1, 2, 3)).reshape(-1))


def _terms(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float) -> Terms:
    """Return the energy's numbers, eta in the arrays' type."""
    number = x.labels.numpy().dtype.type
    return Terms(RELAXATIONS.index(relaxation), CROSS_ENTROPIES.index(cross_entropy), number(eta))


def _grid_arrays(x: FourColourGrid) -> GridArrays:
    """Return the grid as arrays that share its memory."""
    labels, target, weights, free = (tensor.numpy() for tensor in (x.labels, x.target, x.weights, x.free))
    impurity, held = np.empty_like(labels[..., 0, :]), np.empty(labels.shape[:-1], np.bool_)
    return GridArrays(labels, target, weights, free, np.array(x.offsets), impurity, held)


def _sum_over_tiles(x: EdgeListProblem, loop) -> Tensor:
    """Call loop(block, numbers) for each block in turn; return the sum (1,) of the numbers, one for each tile."""
    labels, target, free = x.labels[0, :, :, 0], x.target[0, :, :, 0].numpy(), x.free[0, :, 0].numpy()
    impurity, total = (labels * (1 - labels)).sum(1).numpy(), 0.0
    with torch_threads():
        for arrays in x.rows:
            pixels, starts, neighbors, weights = (tensor.numpy() for tensor in arrays)
            numbers = np.zeros(-(-len(pixels) // TILE))
            loop(BlockArrays(labels.numpy(), target, free, impurity, pixels, starts, neighbors, weights), numbers)
            total += numbers.sum()
    return torch.tensor([total], dtype=torch.float64)

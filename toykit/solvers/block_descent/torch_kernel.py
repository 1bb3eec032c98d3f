"""The fast solver's sweep in plain torch: CPU and GPU, eager or through `torch.compile`.

The blocks (quarters of the grid, or parts of a list of edges: see `toykit.solvers.layouts.blocks`) are updated in turn. All
free pixels of a block move at once, with the other blocks held fixed:

1. gradient of the pairwise terms from the scalar forms, and the majoriser's curvature M = sum_j w_ij |dP/ds|;
2. over-relaxed proximal step: minimise unary + <gradient, y> + M / (2 omega) ||y - p||^2 over the simplex;
3. line search from p to that point: the whole step if the energy does not rise, else the best of three secant points if that
   lowers it, else no step. Along the segment the energy of a pixel is a function of a few products, so that no pass over the
   classes is needed.

No step can raise the energy beyond rounding, whatever the relaxation and the input.
"""

import torch
from torch import Tensor

from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.simplex import smallest_probability
from toykit.solvers.block_descent import scalar_forms
from toykit.solvers.block_descent.proximal import project, prox_collision, prox_reverse
from toykit.solvers.layouts.blocks import Block
from toykit.solvers.layouts.edge_list import EdgeListProblem
from toykit.solvers.layouts.four_colour_grid import FourColourGrid

#: Secant points of the line search.
SECANT_STEPS = 3


def energy(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float) -> Tensor:
    """Return the energy per image (B,), summed in float64, without the constant of the edges between seeds.

    Parameters
    ----------
    x : FourColourGrid or EdgeListProblem
        The sub-problem, labels included.
    cross_entropy, relaxation : str
        Abbreviations of the terms; x.target must have been prepared for this cross-entropy.
    eta : float
        Weight of the unary; the pairwise weight is part of x.weights.
    """
    total = x.labels.new_zeros(len(x.labels), dtype=torch.float64)
    for block in x.blocks():
        p = block.labels
        edges = scalar_forms.value(
            relaxation, block.products(p), block.spread(_impurity(p)), block.neighbors_impurity()
        )
        value = eta * _unary(cross_entropy, p, block.target) * block.free
        value = value + block.total(block.weights * edges) / 2  # each undirected edge is met from both its ends
        total += value.double().flatten(1).sum(1)
    return total


def sweep(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float, omega: float) -> Tensor:
    """Update all blocks of x.labels in place; return the change of the energy (B,), float64, never above rounding.

    Parameters
    ----------
    x, cross_entropy, relaxation, eta
        As in `energy`.
    omega : float
        Over-relaxation: factor of the step length.
    """
    change = x.labels.new_zeros(len(x.labels), dtype=torch.float64)
    for block in x.blocks():
        change += _update(block, cross_entropy, relaxation, eta, omega)
    return change


def _update(block: Block, cross_entropy: str, relaxation: str, eta: float, omega: float) -> Tensor:
    """Update one block in place; return the change of the energy (B,)."""
    p, target, w = block.labels, block.target, block.weights
    i, j, products = _impurity(p), block.neighbors_impurity(), block.products(p)
    spread_i = block.spread(i)

    slope, slope_a = scalar_forms.slopes(relaxation, products, spread_i, j)
    gradient, curvature, own = block.pull(w * slope), -block.total(w * slope), block.total(w * slope_a)
    gradient += 2 * own[:, :, None] * p
    if cross_entropy == "CE":
        gradient -= eta * target
        curvature += eta
    elif cross_entropy == "Q":
        gradient += 2 * eta * (p - target)
        curvature += 2 * eta
    curvature = (curvature / omega).clamp_min(1e-3 * eta + 1e-12)
    point = p - gradient / curvature[:, :, None]
    if cross_entropy == "CCE":
        goal = prox_collision(point, target, eta / curvature)
    elif cross_entropy == "RCE":
        goal = prox_reverse(point, target, eta / curvature)
    else:
        goal = project(point)
    step = goal - p

    # the energy along the segment follows from the products at its two ends and its length
    goals, goal_impurity, square = block.products(goal), _impurity(goal), step.square().sum(2)
    before = _unary(cross_entropy, p, target)
    start = scalar_forms.value(relaxation, products, spread_i, j)

    def at(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the label at p + t step, and its impurity and products at the edges."""
        label = (1 - t)[:, :, None] * p + t[:, :, None] * goal
        impurity = (1 - t) * i + t * goal_impurity + t * (1 - t) * square
        along = block.spread(t)
        return label, block.spread(impurity), (1 - along) * products + along * goals

    def rise(t: Tensor) -> Tensor:
        """Return the change of the energy there."""
        label, impurity, between = at(t)
        unary = eta * (_unary(cross_entropy, label, target) - before)
        return unary + block.total(w * (scalar_forms.value(relaxation, between, impurity, j) - start))

    def slope_along(t: Tensor) -> Tensor:
        """Return the derivative of `rise`."""
        label, impurity, between = at(t)
        turn = i - goal_impurity - (1 - 2 * t) * square  # of a = p.p
        by_s, by_a = scalar_forms.slopes(relaxation, between, impurity, j)
        unary = eta * _unary_slope(cross_entropy, label, step, target)
        return unary + block.total(w * (by_s * (goals - products) + by_a * block.spread(turn)))

    low, high = torch.zeros_like(i), torch.ones_like(i)
    best, lowest = torch.ones_like(i), rise(high)
    # a rise within rounding does not count
    whole = lowest <= torch.finfo(p.dtype).eps * (eta + block.total(w))
    best, lowest = best.where(whole, 0), lowest.where(whole, 0)
    slope_low, slope_high = slope_along(low), slope_along(high)
    for _ in range(SECANT_STEPS):
        ratio = (slope_low / (slope_low - slope_high)).nan_to_num(0.5, 0.5, 0.5).clamp(0.05, 0.95)
        t = low + (high - low) * ratio
        value, slope = rise(t), slope_along(t)
        better = (value < lowest) & ~whole
        best, lowest = t.where(better, best), value.where(better, lowest)
        climbing = slope > 0
        high, slope_high = t.where(climbing, high), slope.where(climbing, slope_high)
        low, slope_low = low.where(climbing, t), slope_low.where(climbing, slope)
    movable = block.free > 0
    block.move(torch.where(movable[:, :, None], at(best)[0], p))
    return lowest.where(movable, 0).double().flatten(1).sum(1)


def _impurity(p: Tensor) -> Tensor:
    """Return sum_k p^k (1 - p^k)."""
    return (p * (1 - p)).sum(2)


def _unary(cross_entropy: str, p: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of each pixel."""
    if cross_entropy == "CE":  # the target is ln sigma already
        return -(p * target).sum(2)
    return CROSS_ENTROPIES[cross_entropy](p, target, 2)


def _unary_slope(cross_entropy: str, label: Tensor, step: Tensor, target: Tensor) -> Tensor:
    """Return the derivative of `_unary` at a label along a step."""
    floor = smallest_probability(label.dtype)
    if cross_entropy == "CE":
        return -(step * target).sum(2)
    if cross_entropy == "RCE":
        return -(target * step / label.clamp_min(floor)).sum(2)
    if cross_entropy == "CCE":
        return -(step * target).sum(2) / (label * target).sum(2).clamp_min(floor)
    return 2 * ((label - target) * step).sum(2)

"""The two moves of Fig. 1: local minima that gradient descent may meet between three classes A, B and C.

(a) Inside an object: both pixels go from A to B together.          Potts costs nothing along the way.
(b) At a boundary: one pixel stays A, the other goes from C to B.   Potts costs 1 along the way.
"""

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.potts import RELAXATIONS
from toykit.simplex import TRIANGLE, from_triangle, triangle_grid

CLASS_NAMES = ("A", "B", "C")


def move_a(t: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (T, 3) of both pixels at times t (T,) in [0, 1]: y_i = y_j = (1 - t, t, 0)."""
    y = torch.stack([1 - t, t, torch.zeros_like(t)], 1)
    return y, y


def move_b(t: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (T, 3) of both pixels at times t (T,) in [0, 1]: y_i = (1, 0, 0), y_j = (0, t, 1 - t)."""
    zero, one = torch.zeros_like(t), torch.ones_like(t)
    return torch.stack([one, zero, zero], 1), torch.stack([zero, t, 1 - t], 1)


MOVES = {"a": move_a, "b": move_b}


def potentials_along(move: str, steps: int = 101) -> tuple[Tensor, dict[str, Tensor]]:
    """Times (T,) and, for each relaxation, its potential (T,) along move "a" or "b", float64.

    On move (b) the supports are disjoint, so CCE and CD are infinite throughout, and LQ is at both ends; they are
    reported as such here, while the functions in `toykit.potts` keep them finite.
    Raises: ValueError for another move or fewer than two steps.
    """
    check_choice("move", move, MOVES)
    if steps < 2:
        raise ValueError(f"steps: expected at least 2, got {steps}")
    t = torch.linspace(0, 1, steps, dtype=torch.float64)
    return t, potentials_of(*MOVES[move](t))


def potentials_of(p: Tensor, q: Tensor) -> dict[str, Tensor]:
    """The six relaxations of pairs p, q (T, K): name -> (T,), infinite where the formulas are."""
    disjoint = (p * q).sum(1) == 0
    far = (p - q).square().sum(1) == 2
    infinite = {"CCE": disjoint, "CD": disjoint, "LQ": far}
    values = {name: relaxation(p, q) for name, relaxation in RELAXATIONS.items()}
    return {name: v.masked_fill(infinite[name], torch.inf) if name in infinite else v for name, v in values.items()}


def landscape(relaxation: str, p: Tensor, n: int = 24) -> tuple[Tensor, Tensor]:
    """What each label would cost beside p (3,): points q (M, 3) of `triangle_grid(n)` and P(p, q) (M,), infinite at times.

    Raises: ValueError for another relaxation.
    """
    check_choice("relaxation", relaxation, RELAXATIONS)
    q = triangle_grid(n)
    return q, potentials_of(p.double().expand_as(q), q)[relaxation]


def landscape_sheet(relaxation: str, p: Tensor, n: int = 80) -> tuple[Tensor, Tensor, Tensor]:
    """P(p, .) on a rectangle around the drawn triangle: x (n + 1,), y (n + 1,), and values (n + 1, n + 1) with rows y.

    A point outside has the value of the label that is left when its negative coordinates are dropped: the sheet goes on
    over the edge, so that a drawing of it can be cut there exactly.
    Raises: ValueError for another relaxation.
    """
    check_choice("relaxation", relaxation, RELAXATIONS)
    x, y = (torch.linspace(0, high, n + 1, dtype=torch.float64) for high in (1, TRIANGLE[2][1]))
    q = from_triangle(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)).clamp_min(0).reshape(-1, 3)
    values = potentials_of(p.double().expand_as(q), q / q.sum(1, keepdim=True))[relaxation]
    return x, y, values.reshape(n + 1, n + 1)


def with_coordinate(p: Tensor, k: int, value: float) -> Tensor:
    """The label (K,) whose k-th coordinate is `value` in [0, 1], the others in p's ratios (equal, where p has none).

    A point that a slider moves in this way runs along a line through the corner k.
    Raises: ValueError for a value outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise ValueError(f"value: expected a probability in [0, 1], got {value!r}")
    others = p.clone()
    others[k] = 0
    if others.sum() <= 0:
        others = torch.ones_like(p)
        others[k] = 0
    moved = (1 - value) * others / others.sum()
    moved[k] = value
    return moved

"""The two moves of Fig. 1: local minima that gradient descent may meet between three classes A, B and C.

(a) Inside an object: both pixels change from A to B together.          The Potts model costs 0 along the way.
(b) At a boundary: one pixel stays A, the other changes from C to B.    The Potts model costs 1 along the way.
"""

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_whole
from toykit.potts import RELAXATIONS
from toykit.simplex import triangle_grid

CLASS_NAMES = ("A", "B", "C")


def move_a(t: Tensor) -> tuple[Tensor, Tensor]:
    """Return the labels of both pixels along move (a): y_i = y_j = (1 - t, t, 0).

    Parameters
    ----------
    t : Tensor, shape (T,)
        Times in [0, 1].

    Returns
    -------
    y_i, y_j : Tensor, shape (T, 3)
    """
    y = torch.stack([1 - t, t, torch.zeros_like(t)], 1)
    return y, y


def move_b(t: Tensor) -> tuple[Tensor, Tensor]:
    """Return the labels of both pixels along move (b): y_i = (1, 0, 0), y_j = (0, t, 1 - t).

    Parameters
    ----------
    t : Tensor, shape (T,)
        Times in [0, 1].

    Returns
    -------
    y_i, y_j : Tensor, shape (T, 3)
    """
    zero, one = torch.zeros_like(t), torch.ones_like(t)
    return torch.stack([one, zero, zero], 1), torch.stack([zero, t, 1 - t], 1)


MOVES = {"a": move_a, "b": move_b}


def potentials_along(move: str, steps: int = 101) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the potential of each relaxation along a move.

    Parameters
    ----------
    move : str
        "a" or "b".
    steps : int, default 101
        Number of times T, at least 2.

    Returns
    -------
    t : Tensor, shape (T,), float64
        Times from 0 to 1.
    potentials : dict from str to Tensor, shape (T,), float64
        By relaxation.

    Raises
    ------
    ValueError
        For another move or fewer than two steps.

    Notes
    -----
    On move (b) the supports are disjoint, so CCE and CD are infinite throughout, and LQ is infinite at both ends. Here these
    values are infinite, while the functions in `toykit.potts` keep them finite.
    """
    check_choice("move", move, MOVES)
    check_whole("steps", steps, 2)
    t = torch.linspace(0, 1, steps, dtype=torch.float64)
    return t, potentials_of(*MOVES[move](t))


def potentials_of(p: Tensor, q: Tensor) -> dict[str, Tensor]:
    """Compute the six relaxations of pairs, infinite where the formulas are.

    Parameters
    ----------
    p, q : Tensor, shape (T, K)
        Distributions.

    Returns
    -------
    dict from str to Tensor, shape (T,)
        By relaxation.
    """
    disjoint = (p * q).sum(1) == 0
    far = (p - q).square().sum(1) == 2
    infinite = {"CCE": disjoint, "CD": disjoint, "LQ": far}
    values = {name: relaxation(p, q) for name, relaxation in RELAXATIONS.items()}
    return {name: v.masked_fill(infinite[name], torch.inf) if name in infinite else v for name, v in values.items()}


def landscape(relaxation: str, p: Tensor, n: int = 24) -> tuple[Tensor, Tensor]:
    """Compute the potential of every label beside a given one.

    Parameters
    ----------
    relaxation : str
        A key of `toykit.potts.RELAXATIONS`.
    p : Tensor, shape (3,)
        The given label.
    n : int, default 24
        Intervals per side of the grid, see `toykit.simplex.triangle_grid`.

    Returns
    -------
    q : Tensor, shape (M, 3), float64
        The points of the grid.
    potential : Tensor, shape (M,), float64
        P(p, q), infinite where the formula is.

    Raises
    ------
    ValueError
        For another relaxation.
    """
    check_choice("relaxation", relaxation, RELAXATIONS)
    q = triangle_grid(n)
    return q, potentials_of(p.double().expand_as(q), q)[relaxation]

"""Quality of rounded soft labels (ours; terms of Table 1): the Potts energy of hard labels by graph cut, and of rounded ones.

The pseudo-labels of each relaxation, from the fast solver, and those of BL, from the paper's solver (Adam, 200 steps), are
rounded in two ways: to the most likely class, and greedily (`toykit.solvers.round_greedily`). All are compared by one energy,
that of BL at hard labels. With two classes the graph cut is its optimum.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from toykit.datasets.sample import Sample
from toykit.energy import Energy, Subproblem
from toykit.neighborhoods import NearestNeighbors, Neighborhood
from toykit.potts import RELAXATIONS
from toykit.seed_model import seed_logits
from toykit.solvers import round_greedily, solve
from toykit.solvers.hard_labels.potts_model import harden

#: Ways to round soft labels: f(problem of BL, labels) -> one-hot labels.
ROUNDINGS: dict[str, Callable[[Subproblem, Tensor], Tensor]] = {
    "argmax": lambda problem, y: harden(problem, y.argmax(1)),
    "greedy": round_greedily,
}


#: Method, relaxation and rounding, see `Row`.
Way = tuple[str, str, str | None]


@dataclass(frozen=True)
class Row:
    """Results of one way to obtain hard labels, over N samples.

    Parameters
    ----------
    method : str
        Method of `toykit.solve`.
    relaxation : str
        The relaxation that was solved.
    rounding : str or None
        A key of `ROUNDINGS`; None for a method whose labels are hard.
    energies : Tensor, shape (N,), float64
        BL's energy of the hard labels.
    excess : Tensor, shape (N,), float64
        energy / energy of the graph cut - 1.
    accuracy : Tensor, shape (N,), float64
        Share of the unlabelled pixels whose class is that of the ground truth; NaN without ground truth.
    """

    method: str
    relaxation: str
    rounding: str | None
    energies: Tensor
    excess: Tensor
    accuracy: Tensor


def compare(
    samples: Sequence[Sample],
    cross_entropy: str = "CE",
    *,
    eta: float = 0.3,
    lam: float = 6.0,
    neighborhood: Neighborhood | None = None,
) -> list[Row]:
    """Compare ways to obtain hard labels, in float64, on the predictions of `toykit.seed_model.seed_logits`.

    Parameters
    ----------
    samples : sequence of Sample
    cross_entropy : str, default "CE"
        A key of `toykit.cross_entropy.CROSS_ENTROPIES`.
    eta : float, default 0.3
        Weight of the unary term.
    lam : float, default 6.0
        Weight of the Potts term.
    neighborhood : NearestNeighbors, optional
        Default: `NearestNeighbors()`.

    Returns
    -------
    list of Row
        One per way; the graph cut first.
    """
    neighborhood = NearestNeighbors() if neighborhood is None else neighborhood
    scores: dict[Way, list[tuple[float, float]]] = {}
    for sample in samples:
        image, seeds = sample.tensors()
        logits = seed_logits(image, seeds, len(sample.classes)).double()
        problem = Energy(cross_entropy, "BL", eta, lam, neighborhood).subproblem(logits, image, seeds)
        for key, hard in _ways(problem):
            accuracy = float("nan") if sample.mask is None else sample.accuracy(hard)
            scores.setdefault(key, []).append((problem.value(hard).item(), accuracy))
    columns = {key: torch.tensor(values, dtype=torch.float64).T for key, values in scores.items()}
    best = columns["graph_cut", "BL", None][0]
    return [Row(*key, energies, energies / best - 1, accuracy) for key, (energies, accuracy) in columns.items()]


def _ways(problem: Subproblem) -> Iterator[tuple[Way, Tensor]]:
    """Yield each way and its hard labels."""
    terms = problem.energy

    def labels(relaxation: str, method: str) -> Tensor:
        energy = Energy(terms.cross_entropy, relaxation, terms.eta, terms.lam, terms.neighborhood)
        # 200 steps are the paper's budget, converged or not
        return solve(problem.logits, problem.image, problem.seeds, energy, method, on_failure="ignore").labels

    for method in ("graph_cut", "mean_field"):
        yield (method, "BL", None), labels("BL", method)
    for method, relaxation in [("gradient", "BL"), *(("fast", name) for name in RELAXATIONS)]:
        soft = labels(relaxation, method)
        for rounding, round_labels in ROUNDINGS.items():
            yield (method, relaxation, rounding), round_labels(problem, soft)


def format_roundings(rows: Sequence[Row]) -> str:
    """Format the rows as text: mean and largest excess over the graph cut's energy, and mean accuracy.

    Parameters
    ----------
    rows : sequence of Row

    Returns
    -------
    str
    """
    lines = [f"{'method':12}{'solved':8}{'rounded':10}{'mean excess':>12}{'largest':>10}{'accuracy':>10}"]
    for row in rows:
        excess, largest, accuracy = float(row.excess.mean()), float(row.excess.max()), float(row.accuracy.nanmean())
        rounding = row.rounding or "-"
        lines.append(f"{row.method:12}{row.relaxation:8}{rounding:10}{excess:12.2%}{largest:10.2%}{accuracy:10.2%}")
    return "\n".join(lines)

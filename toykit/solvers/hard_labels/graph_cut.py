"""Hard pseudo-labels: alpha-expansion on the Potts model of `toykit.solvers.hard_labels.potts_model` (Boykov, Veksler & Zabih
2001).

In an expansion move, each pixel either keeps its label or takes label alpha; the best of these 2^N choices is one minimum cut.
Moves over all labels in turn, until none lowers the energy, end within twice the optimum (of the part that depends on the
labels, with weights >= 0). Two labels need one cut, which gives the optimum.

The cut of a move. Let x_i = 1 where pixel i takes alpha, and f_i its current label. An edge costs A = w [f_i != f_j] if both
keep their labels, B = w [f_i != alpha] if only j moves, C = w [alpha != f_j] if only i moves, and nothing if both move. Then

    cost(x_i, x_j) = A + (C - A) x_i - C x_j + (B + C - A) (1 - x_i) x_j,

two terminal capacities and one arc i -> j, whose capacity is never negative because [.] is a metric. The first construction put
a node on each edge between different labels; this one (Kolmogorov & Zabih 2004) is the same function without these nodes. Seeds
are not nodes: an edge to a seed is part of its other end's cost, so no capacity is infinite.

PyMaxflow computes the cuts on the CPU, one image after another.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_whole
from toykit.energy import Subproblem
from toykit.solvers.hard_labels.potts_model import LABELS, allowed_labels, harden, vertex_costs, with_potts
from toykit.solvers.solution import Solution


@dataclass(frozen=True)
class GraphCutOptions:
    """Options of the solver "graph_cut".

    Parameters
    ----------
    max_cycles : int, default 20
        Largest number of cycles; one cycle tries an expansion of each label.
    labels : {"all", "seeded"}, default "all"
        The labels that a pixel may take: all, or only those that have seeds in the image (all, where the image has no seeds).

    Raises
    ------
    ValueError
        For an option out of range.
    ImportError
        If PyMaxflow is not installed.
    """

    max_cycles: int = 20
    labels: str = "all"

    def __post_init__(self):
        check_whole("max_cycles", self.max_cycles)
        check_choice("labels", self.labels, LABELS)
        if importlib.util.find_spec("maxflow") is None:
            raise ImportError(
                "method=\"graph_cut\" needs PyMaxflow, whose licence is the GPL: pip install 'toykit[graphcut]', or take "
                'method="mean_field"'
            )


def alpha_expansion(
    problem: Subproblem, options: GraphCutOptions, *, callback: Callable[..., object] | None = None
) -> Solution:
    """Minimise the Potts model over hard labels: one-hot, with the seeds fixed. Deterministic.

    Parameters
    ----------
    problem : Subproblem
    options : GraphCutOptions
    callback : callable, optional
        Called as callback(step, labels, energies) at the start (step 0) and after each cycle, for one image after another, with
        labels (1, K, H, W) and energies (1,). The image's cycles end if it returns True.

    Returns
    -------
    Solution
        `energies` are those of BL, see `toykit.solvers.hard_labels.potts_model`, the first one at each pixel's cheapest label;
        they never rise. An image has converged if a whole cycle found no improvement, or after the only cut of two labels. Its
        residual is the last cycle's relative decrease of the energy.

    Raises
    ------
    ValueError
        If the neighbourhood does not list its edges.
    """
    if not problem.edges.listed:
        raise ValueError(
            f"a graph cut needs a list of edges, which {type(problem.energy.neighborhood).__name__} does not have; take "
            'method="mean_field", or NearestNeighbors'
        )
    problem = with_potts(problem)
    costs, allowed = vertex_costs(problem), allowed_labels(problem, options.labels)
    i, j, weights = problem.edges.index_pairs(*problem.seeds.shape[1:])
    classes, traces, residual, done = [], [], [], []
    for b in range(len(costs)):
        model = _Model(costs[b], problem.seeds[b], problem.is_seed[b], problem.unlabelled[b],
                       i.expand_as(weights)[b], j.expand_as(weights)[b], problem.energy.lam * weights[b],
                       allowed[b])  # fmt: skip
        trace, finished = [model.energy()], len(model.labels) == 1 or not len(model.free)
        while (
            not _notify(callback, problem[b : b + 1], model, trace)
            and not finished
            and len(trace) <= options.max_cycles
        ):
            trace.append(model.cycle())
            finished = len(model.labels) == 2 or trace[-1] == trace[-2]
        classes.append(model.classes())
        traces.append(trace)
        residual.append(0.0 if finished else (trace[-2] - trace[-1]) / trace[-2] if len(trace) > 1 else float("inf"))
        done.append(finished)

    steps = max(map(len, traces)) - 1
    energies = problem.sigma.new_tensor([t + t[-1:] * (steps + 1 - len(t)) for t in traces]).T
    hard = harden(problem, torch.stack(classes).to(problem.seeds.device))
    message = f"graph cut, {steps} cycles: "
    if all(done):
        message += "converged (no expansion of a label lowers the energy)"
    else:
        message += f"{done.count(False)} of {len(done)} images had not converged; take a larger max_cycles"
    return Solution(hard, energies, steps, problem.sigma.new_tensor(residual), all(done), message)


def _notify(callback: Callable[..., object] | None, problem: Subproblem, model: "_Model", trace: list[float]) -> bool:
    """Call the callback; return whether it stops the cycles."""
    if callback is None:
        return False
    hard = harden(problem, model.classes()[None].to(problem.seeds.device))
    return callback(len(trace) - 1, hard, problem.sigma.new_tensor(trace[-1:])) is True


class _Model:
    """The Potts model of one image in numpy: free pixels 0..n-1 with costs (n, K), edges (ends, weights) among them."""

    def __init__(self, costs: Tensor, seeds: Tensor, is_seed: Tensor, free: Tensor, i: Tensor, j: Tensor,
                 weights: Tensor, allowed: Tensor):  # fmt: skip
        first, second, w = (x.detach().cpu().numpy() for x in (i, j, weights.double()))
        first, second, w = first[w > 0], second[w > 0], w[w > 0]
        self.seeds = seeds.flatten().cpu().numpy()
        known, movable = is_seed.flatten().cpu().numpy(), free.flatten().cpu().numpy()
        self.shape, self.free, self.labels = seeds.shape, np.flatnonzero(movable), np.flatnonzero(allowed.cpu().numpy())
        self.costs = costs.detach().flatten(1).T.double().cpu().numpy()[self.free]
        number = np.cumsum(movable) - 1
        inner, fixed = movable[first] & movable[second], known[first] & known[second]
        self.i, self.j, self.w = number[first[inner]], number[second[inner]], w[inner]
        self.constant = w[fixed & (self.seeds[first] != self.seeds[second])].sum()
        for one, other in ((first, second), (second, first)):
            # an edge to a seed costs its other end w, unless that end takes the seed's label
            edge = movable[one] & known[other]
            ends, classes, cost = number[one[edge]], self.seeds[other[edge]], w[edge]
            self.costs += np.bincount(ends, cost, len(self.free))[:, None]
            np.add.at(self.costs, (ends, classes), -cost)
        self.now = self.labels[self.costs[:, self.labels].argmin(1)]

    def energy(self, classes: np.ndarray | None = None) -> float:
        """Compute the energy of the free pixels' classes (n,), by default the current ones."""
        f = self.now if classes is None else classes
        unary = self.costs[np.arange(len(f)), f].sum()
        return float(self.constant + unary + self.w[f[self.i] != f[self.j]].sum())

    def classes(self) -> Tensor:
        """Return the current classes of all pixels, int64 (H, W); 0 on padding."""
        whole = np.where(self.seeds < self.costs.shape[1], self.seeds, 0)
        whole[self.free] = self.now
        return torch.from_numpy(whole.reshape(self.shape))

    def cycle(self) -> float:
        """Expand each label once; keep each move that lowers the energy, and return the energy."""
        if len(self.labels) == 2:  # from one label everywhere, an expansion of the other reaches every labelling
            return self._accept(self.expand(np.full_like(self.now, self.labels[0]), int(self.labels[1])))
        energy = self.energy()
        for alpha in self.labels:
            energy = self._accept(self.expand(self.now, int(alpha)))
        return energy

    def expand(self, f: np.ndarray, alpha: int) -> np.ndarray:
        """Return the best labelling among those where each pixel keeps its class f or takes alpha: one minimum cut."""
        import maxflow

        fi, fj = f[self.i], f[self.j]
        a, b, c = self.w * (fi != fj), self.w * (fi != alpha), self.w * (fj != alpha)
        move = self.costs[:, alpha] - self.costs[np.arange(len(f)), f]
        move += np.bincount(self.i, c - a, len(f)) - np.bincount(self.j, c, len(f))
        capacity = b + c - a
        arcs = capacity > 0
        graph = maxflow.GraphFloat(len(f), int(arcs.sum()))
        nodes = graph.add_nodes(len(f))
        graph.add_grid_tedges(nodes, np.maximum(move, 0), np.maximum(-move, 0))
        graph.add_edges(self.i[arcs], self.j[arcs], capacity[arcs], np.zeros(int(arcs.sum())))
        graph.maxflow()
        return np.where(graph.get_grid_segments(nodes), alpha, f)

    def _accept(self, proposal: np.ndarray) -> float:
        """Take a labelling if its energy is lower; return the lower energy."""
        before, after = self.energy(), self.energy(proposal)
        if after < before:
            self.now = proposal
        return min(before, after)

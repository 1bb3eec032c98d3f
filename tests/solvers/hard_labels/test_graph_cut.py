"""Alpha-expansion against brute force over all labellings of tiny grids, and what every solver owes."""

import itertools

import pytest
import torch
from helpers.oracles import all_labellings, energies_by_hand
from helpers.problems import tiny
from hypothesis import given
from hypothesis import strategies as st

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors, SparseNonLocal, solve
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS
from toykit.solvers.hard_labels.potts_model import allowed_labels, harden, vertex_costs

pytest.importorskip("maxflow")


@given(seed=st.integers(0, 10**6), lam=st.sampled_from([0, 0.3, 1, 5]), connectivity=st.sampled_from([4, 8]))
def test_two_labels_are_cut_exactly(seed, lam, connectivity):
    problem = tiny(seed, 2, 3, 3)
    energy = Energy("CE", "BL", 0.7, lam, NearestNeighbors(connectivity=connectivity))
    solution = solve(*problem, energy, "graph_cut")
    best = float(energies_by_hand(all_labellings(problem[2], 2), *problem, energy, connectivity).min())
    assert solution.energies[-1].item() == pytest.approx(best, rel=1e-9, abs=1e-12)
    classes = solution.labels[0].argmax(0).where(problem[2][0] != PADDING, 0).view(1, -1)
    assert float(energies_by_hand(classes, *problem, energy, connectivity)) == pytest.approx(best, rel=1e-9, abs=1e-12)
    assert solution.steps <= 1
    assert solution.converged


@given(seed=st.integers(0, 10**6), lam=st.sampled_from([0.3, 1, 5]), connectivity=st.sampled_from([4, 8]))
def test_three_labels_end_where_no_expansion_helps_within_twice_the_optimum(seed, lam, connectivity):
    problem = tiny(seed, 3, 2, 4)
    energy = Energy("CE", "BL", 0.7, lam, NearestNeighbors(connectivity=connectivity))
    solution = solve(*problem, energy, "graph_cut")
    assert solution.converged
    assert (solution.energies.diff(dim=0) <= 0).all()
    last, free = solution.energies[-1].item(), problem[2].flatten() == UNLABELLED
    best = float(energies_by_hand(all_labellings(problem[2], 3), *problem, energy, connectivity).min())
    assert best - 1e-9 <= last <= 2 * best + 1e-9
    classes = solution.labels[0].argmax(0).flatten()
    subsets = torch.tensor(list(itertools.product([False, True], repeat=8))) & free
    for alpha in range(3):  # each subset of the free pixels moves to alpha
        moved = energies_by_hand(torch.where(subsets, alpha, classes), *problem, energy, connectivity)
        assert (moved >= last - 1e-9).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cross_entropy", CROSS_ENTROPIES)
def test_what_every_solver_owes(cross_entropy, dtype, make_problem, check_solution):
    problem, energy = make_problem(dtype=dtype, classes=4, padding=True), Energy(cross_entropy, "BL", 1.0, 0.5)
    solution = solve(*problem, energy, "graph_cut")
    check_solution(solution, energy, *problem, tolerance=1e-6 if dtype == torch.float64 else 1e-5)
    inside = (problem[2] != PADDING)[:, None]
    assert ((solution.labels == 0) | (solution.labels == 1) | ~inside).all()
    assert solution.labels.dtype == dtype
    assert (solution.energies.diff(dim=0) <= 0).all()
    if cross_entropy != "RCE":  # whose costs are so large at vertices that no neighbour outweighs them here
        assert solution.energies[-1].sum() < solution.energies[0].sum()


def test_all_relaxations_are_one_potts_model(make_problem):
    problem = make_problem(classes=3)
    solutions = [solve(*problem, Energy("CE", name), "graph_cut") for name in RELAXATIONS]
    for other in solutions[1:]:
        assert torch.equal(other.labels, solutions[0].labels)
        assert torch.equal(other.energies, solutions[0].energies)


def test_a_batch_is_its_images_one_by_one(make_problem):
    problem, energy = make_problem(batch=3, classes=4), Energy("CE", "BL", 1.0, 0.5)
    together = solve(*problem, energy, "graph_cut")
    for b in range(3):
        alone = solve(*(x[b : b + 1] for x in problem), energy, "graph_cut")
        assert torch.equal(alone.labels[0], together.labels[b])
        assert alone.energies[-1] == together.energies[-1, b]


@pytest.mark.parametrize(
    "changed",
    [
        {"eta": 0.1},
        {"lam": 0.1},
        {"cross_entropy": "Q"},
        {"neighborhood": NearestNeighbors(3.0)},
        {"neighborhood": NearestNeighbors(connectivity=8)},
    ],
)
def test_each_term_matters(changed, make_problem):
    problem, usual = make_problem(classes=4), {"cross_entropy": "CE", "relaxation": "BL", "eta": 1.0, "lam": 1.0}
    one, other = (solve(*problem, Energy(**terms), "graph_cut") for terms in (usual, usual | changed))
    assert not torch.equal(one.labels, other.labels)


def test_only_seeded_labels(make_problem):
    logits, image, seeds = make_problem(classes=5)
    seeds[0] = torch.where((seeds[0] == 1) | (seeds[0] == 3), seeds[0], UNLABELLED)
    seeds[1] = UNLABELLED
    energy = Energy("CE", "BL", 1.0, 0.1)
    every, seeded = (solve(logits, image, seeds, energy, "graph_cut", labels=name) for name in ("all", "seeded"))
    assert set(every.labels[0].argmax(0).unique().tolist()) == {0, 1, 2, 3, 4}
    assert set(seeded.labels[0].argmax(0).unique().tolist()) == {1, 3}
    assert torch.equal(seeded.labels[1], every.labels[1])  # no seeds: nothing to go by
    assert seeded.energies[-1, 0] > every.energies[-1, 0]
    seeds[0] = torch.where(seeds[0] == 1, seeds[0], UNLABELLED)
    alone = solve(logits, image, seeds, energy, "graph_cut", labels="seeded")
    assert alone.labels[0].argmax(0).unique().tolist() == [1]
    assert alone.converged


def test_no_free_pixel_and_no_edge(make_problem):
    logits, image, seeds = make_problem(batch=1)
    full = solve(logits, image, seeds.where(seeds != UNLABELLED, 0), Energy(), "graph_cut")
    assert full.steps == 0
    assert full.converged
    alone = solve(logits, image, torch.full_like(seeds, UNLABELLED), Energy("CE", lam=0), "graph_cut")
    assert torch.equal(alone.labels.argmax(1), logits.argmax(1))


def test_callback_sees_each_cycle_and_may_stop(make_problem):
    problem, energy, seen = make_problem(batch=1, classes=4), Energy("CE", "BL", 1.0, 0.5), []
    solution = solve(*problem, energy, "graph_cut", callback=lambda *story: seen.append(story))
    assert [step for step, _, _ in seen] == list(range(solution.steps + 1))
    assert torch.equal(torch.stack([e for _, _, e in seen]), solution.energies)
    for _, labels, energies in seen:
        assert torch.allclose(energy(labels, *problem), energies)
    with pytest.warns(match="1 of 1 images had not converged; take a larger max_cycles"):
        stopped = solve(*problem, energy, "graph_cut", callback=lambda step, *_: step == 1)
    assert stopped.steps == 1
    with pytest.warns(match="larger max_cycles"):
        short = solve(*problem, energy, "graph_cut", max_cycles=1)
    assert torch.equal(short.labels, stopped.labels)
    assert 0 < short.residual.item() < 1


def test_what_is_wrong_is_refused(make_problem, monkeypatch):
    problem = make_problem()
    for options, message in (
        ({"max_cycles": 0}, "max_cycles"),
        ({"labels": "some"}, "labels: expected one of all, seeded"),
    ):
        with pytest.raises(ValueError, match=message):
            solve(*problem, method="graph_cut", **options)
    with pytest.raises(TypeError, match="it has max_cycles, labels"):
        solve(*problem, method="graph_cut", steps=3)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'toykit\[graphcut\]'"):
        solve(*problem, method="graph_cut")


@pytest.mark.parametrize("cross_entropy", CROSS_ENTROPIES)
def test_costs_at_vertices(cross_entropy, make_problem):
    """The unary at any hard labelling is a sum of vertex costs."""
    logits, image, seeds = make_problem(classes=4, padding=True)
    problem = Energy(cross_entropy, "BL", eta=0.7).subproblem(logits, image, seeds)
    classes = torch.randint(0, 4, seeds.shape, generator=torch.Generator().manual_seed(1))
    labels, costs = harden(problem, classes), vertex_costs(problem)
    assert torch.allclose(costs.gather(1, classes[:, None]).flatten(1).sum(1), 0.7 * problem.unary(labels))
    assert torch.equal(costs.abs().sum(1) > 0, problem.unlabelled)
    assert allowed_labels(problem, "all").all()


def test_on_sparse_non_local_edges_two_labels_are_cut_exactly(make_problem):
    logits, image, seeds = make_problem(batch=2, classes=2, height=3, width=4)
    energy = Energy("CE", "BL", neighborhood=SparseNonLocal(30.0, far=2))
    solution = solve(logits, image, seeds, energy, "graph_cut")
    problem = energy.subproblem(logits, image, seeds)
    best = torch.full((2,), torch.inf, dtype=torch.float64)
    for bits in itertools.product((0, 1), repeat=12):
        classes = torch.tensor(bits).view(1, 3, 4).expand(2, 3, 4)
        best = torch.minimum(best, problem.value(harden(problem, classes)))
    assert torch.allclose(solution.energies[-1], best)

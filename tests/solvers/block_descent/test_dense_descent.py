"""The fast solver on dense neighbourhoods: the bounds that it stands on, a dense linear solve, and what it owes anywhere."""

import pytest
import torch

from toykit import PADDING, UNLABELLED, ConvergenceWarning, Dense, Energy, SelfLabelingLoss, random_walker, solve
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.simplex import one_hot
from toykit.solvers.block_descent.dense import DenseDescent

every_energy = pytest.mark.parametrize(
    ("cross_entropy", "relaxation"), [(c, r) for c in CROSS_ENTROPIES for r in ("BL", "Q")]
)


@pytest.mark.parametrize(
    "neighborhood", [Dense(25.0, 4.0), Dense(25.0, 4.0, exact=True), Dense(25.0, 4.0, downscale=2)]
)
def test_the_filter_and_one_is_positive(neighborhood, make_problem):
    """W + I has no negative eigenvalue, nor has what the steps' bound D + I leaves of D - W."""
    _, image, _ = make_problem(batch=1)
    edges = neighborhood.edges(image)
    units = torch.eye(42, dtype=torch.float64).view(1, 42, 6, 7)
    matrix = edges.filter(units).flatten(2)[0]
    assert torch.allclose(matrix, matrix.T, atol=1e-12)
    assert torch.linalg.eigvalsh(matrix + torch.eye(42)).min() > -1e-10


@every_energy
def test_below_the_papers_solver_and_never_up(cross_entropy, relaxation, make_problem, check_fast):
    problem = make_problem(batch=2, height=7, width=8, padding=True, seed=3)
    for lam in (0.02, 6.0):
        check_fast(Energy(cross_entropy, relaxation, lam=lam, neighborhood=Dense(20.0, 6.0, exact=True)), *problem)


@pytest.mark.parametrize("exact", [True, False])
def test_the_convex_energy_by_a_dense_solve(exact, make_problem):
    logits, image, seeds = make_problem(batch=1, height=5, width=6, padding=True)
    energy = Energy("Q", "Q", 0.3, 0.5, Dense(25.0, 5.0, exact=exact))
    labels = solve(logits, image, seeds, energy, tolerance=1e-14, max_steps=500).labels
    units = torch.eye(30, dtype=torch.float64).view(1, 30, 5, 6)
    matrix = 0.5 * energy.neighborhood.edges(image, seeds == PADDING).laplacian(units).flatten(2)[0]
    free, known = (seeds[0].flatten() == UNLABELLED), (seeds[0].flatten() < PADDING)
    y = one_hot(seeds.where(seeds < PADDING, 0), 3, dtype=torch.float64).flatten(2)[0].T
    right = 0.6 * logits.softmax(1).flatten(2)[0].T[free] - matrix[free][:, known] @ y[known]
    expected = torch.linalg.solve(matrix[free][:, free] + 0.6 * torch.eye(int(free.sum())), right)
    assert torch.allclose(labels.flatten(2)[0].T[free], expected, atol=1e-5)
    walker = random_walker(logits, image, seeds, 0.3, 0.5, energy.neighborhood, backend="cg")
    assert torch.allclose(labels, walker.labels, atol=1e-5)


@every_energy
@pytest.mark.parametrize("kind", ["overconfident", "constant", "one class", "no seeds", "no pairs"])
def test_unkind_inputs(kind, cross_entropy, relaxation, make_problem):
    logits, image, seeds = make_problem(height=7, width=8, classes=9, dtype=torch.float32)
    if kind == "overconfident":
        logits = logits * 1e3
    elif kind == "constant":
        image = torch.full_like(image, 128)
    elif kind == "one class":
        logits[:, 0] += 1e4
    elif kind == "no seeds":
        seeds = torch.full_like(seeds, UNLABELLED)
    energy = Energy(
        cross_entropy, relaxation, lam=0.0 if kind == "no pairs" else 6.0, neighborhood=Dense(exact=kind != "constant")
    )
    solution = solve(logits, image, seeds, energy, tolerance=0.01)
    assert solution.labels.isfinite().all()
    assert (solution.labels >= 0).all()
    assert torch.allclose(solution.labels.sum(1), torch.ones(()), atol=1e-4)
    assert (solution.energies.diff(dim=0) <= 0).all()
    assert (energy(solution.labels, logits, image, seeds) <= solution.energies[0] * (1 + 1e-4) + 1e-3).all()


def test_each_image_is_solved_as_alone(make_problem):
    problem, energy = make_problem(batch=3), Energy("CCE", "Q", neighborhood=Dense(20.0, exact=True))
    together = solve(*problem, energy)
    for b in range(3):
        alone = solve(*(x[b : b + 1] for x in problem), energy)
        assert torch.equal(alone.labels[0], together.labels[b])
        assert torch.equal(alone.energies[-1, 0], together.energies[-1, b])


def test_one_filtering_a_step(make_problem, monkeypatch):
    energy = Energy("CCE", "BL", neighborhood=Dense(20.0, exact=True))
    calls, laplacian = [], type(energy.neighborhood.edges(make_problem()[1])).laplacian
    problem = energy.subproblem(*make_problem(batch=1))
    descent = DenseDescent(problem, problem.fix_seeds(problem.sigma), 0.0, lambda *_: False)
    monkeypatch.setattr(type(problem.edges), "laplacian", lambda *args: calls.append(1) or laplacian(*args))
    descent.descend(1e-6, 100)
    assert len(calls) == len(descent.trace) - 1 > 3


def test_few_classes(make_problem, check_solution):
    logits, image, seeds = make_problem(height=8, width=9, classes=8)
    seeds = seeds.where((seeds < 3) | (seeds == UNLABELLED), UNLABELLED)
    logits[:, 5:] -= 12  # likely nowhere
    energy = Energy("CCE", "Q", neighborhood=Dense(20.0, 5.0, exact=True))
    limited = solve(logits, image, seeds, energy, active_classes=0.01, tolerance=1e-7)
    check_solution(limited, energy, logits, image, seeds)
    assert "at most 5 of 8 classes" in limited.message
    everything = solve(logits, image, seeds, energy, tolerance=1e-7)
    assert torch.allclose(limited.energies[-1], everything.energies[-1], rtol=1e-3)


@pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")
def test_callback_sees_each_step_and_can_stop(make_problem, check_solution):
    problem, energy, seen = make_problem(batch=1), Energy("CE", "Q", neighborhood=Dense(20.0, exact=True)), []
    solution = solve(*problem, energy, callback=lambda *story: seen.append(story))
    assert [step for step, *_ in seen] == list(range(solution.steps + 1))
    for _, labels, energies in seen:
        assert torch.allclose(energy(labels, *problem), energies)
    stopped = solve(*problem, energy, callback=lambda step, *_: step == 1)
    assert stopped.steps == 1
    check_solution(stopped, energy, *problem)
    assert solve(*problem, energy, callback=lambda *_: True).steps == 0


def test_options_matter(make_problem):
    problem, energy = make_problem(), Energy("CCE", "Q", neighborhood=Dense(20.0, exact=True))
    loose, tight = (solve(*problem, energy, tolerance=tolerance) for tolerance in (0.1, 1e-8))
    assert loose.steps < tight.steps
    with pytest.warns(ConvergenceWarning, match="take a larger max_steps"):
        assert solve(*problem, energy, max_steps=2).steps == 2
    with pytest.raises(ValueError, match="needs a list of edges"):
        solve(*problem, energy, kernel="numba")


def test_as_a_networks_loss(make_problem):
    logits, image, seeds = make_problem()
    logits.requires_grad_()
    SelfLabelingLoss(Energy("CCE", "BL", neighborhood=Dense()))(logits, image, seeds).backward()
    assert logits.grad.isfinite().all()

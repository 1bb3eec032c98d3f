"""The closed form's iterative backends against the factorisation, and what "auto" chooses."""

import importlib.util

import pytest
import torch

from toykit import (
    PADDING,
    UNLABELLED,
    ConvergenceError,
    ConvergenceWarning,
    Dense,
    Energy,
    NearestNeighbors,
    SparseNonLocal,
    random_walker,
)
from toykit.solvers.random_walker import solver

needs_apxchol = pytest.mark.skipif(importlib.util.find_spec("apxchol") is None, reason="apxchol is not installed")
BACKENDS = [pytest.param("approximate_cholesky", marks=needs_apxchol), "sor", "cg"]
CHOLESKY = {"backend": "approximate_cholesky"}
every_backend = pytest.mark.parametrize("backend", BACKENDS)


def residual_by_hand(labels, problem, eta, lam, neighborhood):
    """The largest |b - A y| / |b| over the classes, from the energy's own Laplacian: the gradient at free pixels."""
    sub = Energy("Q", "Q", eta, lam, neighborhood).subproblem(*problem).double()
    free = sub.unlabelled[:, None]
    left = (2 * eta * (sub.sigma - labels) - lam * sub.edges.laplacian(labels)) * free
    right = (2 * eta * sub.sigma - lam * sub.edges.laplacian(sub.fix_seeds(sub.sigma) * ~free)) * free
    norm, goal = (x.square().sum((2, 3)).sqrt() for x in (left, right))
    return (norm / goal.where(goal > 0, 1)).amax(1)


@every_backend
@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("eta", [0.3, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_labels_and_residual(backend, connectivity, eta, dtype, make_problem):
    """Many classes, some of them without a seed; padding; the reported residual is that of the labels."""
    logits, image, seeds = make_problem(classes=11, height=17, width=14, padding=True, dtype=dtype)
    problem = logits, image / 4, seeds.where(seeds != 7, UNLABELLED)
    neighborhood = NearestNeighbors(connectivity=connectivity)
    exact = random_walker(*problem, eta, 6.0, neighborhood)
    solutions = [random_walker(*problem, eta, 6.0, neighborhood, backend=backend, tolerance=t) for t in (1e-3, 1e-9)]
    for solution, tolerance in zip(solutions, (1e-3, 1e-9), strict=True):
        assert solution.converged
        assert (solution.residual <= tolerance).all()
        left = residual_by_hand(solution.labels, problem, eta, 6.0, neighborhood)
        assert torch.allclose(
            left, solution.residual, rtol=0.5, atol=1e-12
        )  # some report it before rounding is removed
    assert (solutions[0].residual > solutions[1].residual).all()
    assert solutions[0].steps < solutions[1].steps
    assert torch.allclose(solutions[1].labels, exact.labels, rtol=0, atol=1e-7)
    assert (solutions[1].labels >= 0).all()
    assert torch.allclose(solutions[1].labels.sum(1), torch.ones(()).double(), rtol=0, atol=1e-12)
    if eta == 0:
        assert solutions[1].labels[:, 7][problem[2] != PADDING].max() <= (
            0 if backend == "approximate_cholesky" else 1e-9
        )


@needs_apxchol
def test_regions_that_the_residual_does_not_see(monkeypatch):
    """Steep edges everywhere: labels agree with the factorisation's also where small affinities alone decide."""
    g = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 24, 21, generator=g, dtype=torch.float64) * 140
    seeds = torch.full((1, 24, 21), UNLABELLED)
    seeds[0, 2, 3:15], seeds[0, 12:20, 4], seeds[0, 20, 10:19] = 0, 1, 2
    problem = torch.zeros(1, 3, 24, 21, dtype=torch.float64), image, seeds
    exact = random_walker(*problem, 0.0, 1.0)
    solution = random_walker(*problem, 0.0, 1.0, **CHOLESKY, tolerance=1e-8)
    assert solution.converged
    assert torch.allclose(solution.labels, exact.labels, rtol=0, atol=1e-4)
    iterated = random_walker(*problem, 0.0, 1.0, backend="cg", on_failure="ignore")
    assert not (iterated.labels - exact.labels).abs().max() < 0.1  # those of plain conjugate gradients do not
    # steeper still, a class has no affinity above rounding to its seeds: reported, and "auto" factorises
    steep = NearestNeighbors(4.0)
    with pytest.warns(ConvergenceWarning, match=r"closed form \(approximate_cholesky\)"):
        random_walker(*problem, 0.0, 1.0, steep, **CHOLESKY, tolerance=1e-8)
    monkeypatch.setattr(solver, "SMALL", 1)
    solution = random_walker(*problem, 0.0, 1.0, steep, backend="auto")
    assert "(approximate_cholesky, then direct for 1 of 1 images)" in solution.message
    assert torch.equal(solution.labels, random_walker(*problem, 0.0, 1.0, steep).labels)


@needs_apxchol
def test_pixels_that_no_seed_reaches(make_problem):
    logits, image, seeds = make_problem(batch=1, height=4, width=6)
    seeds[:] = UNLABELLED
    seeds[0, 0, 0] = 1
    seeds[0, :, 3] = PADDING
    for lam, lost in ((6.0, 8), (0.0, 19)):
        with pytest.raises(ValueError, match=rf"no seed reaches {lost} unlabelled pixels .*use eta > 0"):
            random_walker(logits, image, seeds, 0.0, lam, **CHOLESKY)
    for lam in (6.0, 0.0):
        exact, solution = (random_walker(logits, image, seeds, 0.1, lam, **b) for b in ({}, CHOLESKY))
        assert torch.allclose(solution.labels, exact.labels, atol=1e-8)


@needs_apxchol
def test_zero_affinities(make_problem):
    """A bandwidth at which every affinity is zero in float64: predictions, or an error without them."""
    logits, image, seeds = make_problem(batch=1)
    neighborhood = NearestNeighbors(1e-4)
    solution = random_walker(logits, image, seeds, 0.3, neighborhood=neighborhood, **CHOLESKY)
    free = (seeds == UNLABELLED)[:, None].expand_as(logits)
    assert torch.allclose(solution.labels[free], logits.softmax(1)[free], atol=1e-9)
    with pytest.raises(ValueError, match="no seed reaches"):
        random_walker(logits, image, seeds, 0.0, neighborhood=neighborhood, **CHOLESKY)


@every_backend
@pytest.mark.parametrize("eta", [0.3, 0.0])
def test_one_class_and_no_free_pixel(backend, eta, make_problem):
    logits, image, seeds = make_problem(batch=1)
    seeds[seeds != UNLABELLED] = 1
    only = torch.tensor([[False, True, False]])
    labels = random_walker(logits, image, seeds, eta, present=only, backend=backend).labels
    assert torch.allclose(labels, only.view(1, 3, 1, 1).expand_as(labels).double())
    labels = random_walker(logits, image, torch.full_like(seeds, 1), eta, backend=backend).labels
    assert torch.equal(labels, only.view(1, 3, 1, 1).expand_as(labels).double())


@needs_apxchol
@pytest.mark.parametrize("classes", [2, 9])
def test_one_factor_serves_one_class_less(classes, make_problem, monkeypatch):
    import apxchol

    counts = {"factors": 0, "solves": 0}

    class Counted:
        def __init__(self, matrix, **options):
            counts["factors"] += 1
            self.solver = apxchol.Solver(matrix, **options)

        def solve(self, *arguments, **options):
            counts["solves"] += 1
            return self.solver.solve(*arguments, **options)

    monkeypatch.setattr(apxchol, "factorize", Counted)
    assert random_walker(*make_problem(classes=classes, height=9), **CHOLESKY).converged
    assert counts == {"factors": 2, "solves": 2 * (classes - 1)}  # two images


@needs_apxchol
def test_listed_edges_and_present_classes(make_problem):
    problem = make_problem(batch=1, classes=5, height=9, width=10)
    problem[2][problem[2] == 4] = UNLABELLED
    present = torch.tensor([[True, True, True, True, False]])
    arguments = {"eta": 0.1, "neighborhood": SparseNonLocal(30.0), "present": present}
    exact, solution = (random_walker(*problem, **arguments, **b) for b in ({}, CHOLESKY))
    assert torch.allclose(exact.labels, solution.labels, atol=1e-7)
    assert (solution.labels[:, 4] == 0).all()


@every_backend
def test_the_same_call_gives_the_same_labels(backend, make_problem):
    problem = make_problem(classes=7, height=20)
    first, second = (random_walker(*problem, backend=backend).labels for _ in range(2))
    assert torch.equal(first, second)


def test_over_relaxation_does_not_depend_on_threads(make_problem):
    problem = make_problem(classes=10, height=20)
    alone = random_walker(*problem, backend="sor").labels
    torch.set_num_threads(2)
    assert torch.equal(random_walker(*problem, backend="sor").labels, alone)
    assert torch.get_num_threads() == 2


@every_backend
def test_a_residual_out_of_reach_is_reported(backend, make_problem):
    problem = make_problem(batch=1)
    with pytest.warns(ConvergenceWarning, match=rf"closed form \({backend}\): relative residual .* above 1e-30"):
        solution = random_walker(*problem, backend=backend, tolerance=1e-30)
    assert not solution.converged
    with pytest.raises(ConvergenceError, match='or backend="direct"'):
        random_walker(*problem, backend=backend, tolerance=1e-30, on_failure="raise")


@pytest.mark.parametrize(
    ("eta", "neighborhood", "missing", "expected"),
    [
        (0.3, NearestNeighbors(), (), "sor"),
        (0.3, NearestNeighbors(), ("numba",), "approximate_cholesky"),
        (0.001, NearestNeighbors(), (), "approximate_cholesky"),
        (0.0, NearestNeighbors(), (), "approximate_cholesky"),
        (0.0, NearestNeighbors(), ("apxchol",), "direct"),
        (0.3, SparseNonLocal(), (), "approximate_cholesky"),
        (0.3, Dense(25.0, 5.0), (), "cg"),
    ],
)
def test_what_auto_chooses(eta, neighborhood, missing, expected, make_problem, monkeypatch):
    monkeypatch.setattr(solver, "_installed", lambda library: library not in missing)
    problem = Energy("Q", "Q", eta, 6.0, neighborhood).subproblem(*make_problem(batch=1))
    assert solver.choose_backend(problem) == ("cg" if expected == "cg" else "direct")  # few pixels
    monkeypatch.setattr(solver, "SMALL", 1)
    assert solver.choose_backend(problem) == expected


def test_auto_factorises_what_does_not_converge(make_problem, monkeypatch):
    from toykit.solvers.random_walker import over_relaxation

    problem, iterate = make_problem(), over_relaxation.solve_by_over_relaxation
    monkeypatch.setattr(solver, "SMALL", 1)

    def stop_early(*arguments):
        labels, residual, steps = iterate(*arguments)
        return labels * torch.tensor([1.0, 0.5]).view(2, 1, 1, 1), residual.where(torch.tensor([True, False]), 1), steps

    monkeypatch.setattr(over_relaxation, "solve_by_over_relaxation", stop_early)
    solution = random_walker(*problem, backend="auto")
    assert solution.converged
    assert "closed form (sor, then direct for 1 of 2 images)" in solution.message
    assert torch.allclose(solution.labels, random_walker(*problem).labels, atol=1e-8)


def test_a_missing_library_is_named(monkeypatch, make_problem):
    monkeypatch.setattr(solver, "_installed", lambda library: False)
    with pytest.raises(ImportError, match='backend="approximate_cholesky" needs apxchol: pip install apxchol'):
        random_walker(*make_problem(), **CHOLESKY)

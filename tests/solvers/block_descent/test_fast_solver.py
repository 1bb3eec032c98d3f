"""The fast solver: its parts against brute force, its kernels against each other, its promises on kind and unkind inputs."""

import functools
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from toykit import (
    UNLABELLED,
    ConvergenceWarning,
    Energy,
    NearestNeighbors,
    SelfLabelingLoss,
    SparseNonLocal,
    datasets,
    random_walker,
    soft_jaccard,
    solve,
)
from toykit._shared.compiled import digest
from toykit._shared.threads import in_threads
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS
from toykit.seed_model import seed_logits
from toykit.solvers.block_descent import listed, numba_kernel, scalar_forms, torch_kernel
from toykit.solvers.block_descent import solver as fast
from toykit.solvers.block_descent.descent import set_seeds
from toykit.solvers.block_descent.listed import OMEGA
from toykit.solvers.block_descent.numba_kernel import edge_list, forms, grid
from toykit.solvers.block_descent.numba_kernel.sources import SOURCES
from toykit.solvers.layouts.four_colour_grid import FourColourGrid, pack

KERNELS = {"torch": torch_kernel.sweep, "numba": numba_kernel.sweep}
every_energy = pytest.mark.parametrize(
    ("cross_entropy", "relaxation"), [(c, r) for c in CROSS_ENTROPIES for r in RELAXATIONS]
)


def start(problem):
    return pack(problem, problem.fix_seeds(problem.sigma))


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_scalar_forms_are_the_relaxations(relaxation, generator):
    p, q = (torch.rand(50, 5, generator=generator, dtype=torch.float64) + 0.01 for _ in range(2))
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    s, i, j = (p * q).sum(1), (p * (1 - p)).sum(1), (q * (1 - q)).sum(1)
    assert torch.allclose(scalar_forms.value(relaxation, s, i, j), RELAXATIONS[relaxation](p, q), rtol=1e-12)
    other = p.roll(1, 0)
    new_s, new_i = (other * q).sum(1), (other * (1 - other)).sum(1)
    difference = scalar_forms.FORMS[relaxation].difference(s, new_s, i, new_i, j, 1.0, 0.5)
    expected = RELAXATIONS[relaxation](other, q) - RELAXATIONS[relaxation](p, q)
    assert torch.allclose(difference, expected, rtol=1e-10, atol=1e-13)
    by_s, by_a = scalar_forms.slopes(relaxation, s, i, j)
    variable = p.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(RELAXATIONS[relaxation](variable, q).sum(), variable)
    mine = by_s[:, None] * q + 2 * by_a[:, None] * p
    # equal along the simplex, where a step sums to zero
    tangent = (gradient - mine) - (gradient - mine).mean(1, keepdim=True)
    assert tangent.abs().max() < 1e-10


def test_every_relaxation_has_a_scalar_form():
    assert set(scalar_forms.FORMS) == set(RELAXATIONS)


@pytest.mark.parametrize("loop", [grid.sweep, grid.energy, edge_list.sweep, edge_list.energy])
def test_a_changed_source_compiles_the_loops_again(loop):
    """Each loop closes over a digest of all sources that are compiled into it: see tests/_shared/test_compiled.py."""
    (cell,) = loop.py_func.__closure__
    assert cell.cell_contents == digest(SOURCES)
    for module in (grid, edge_list, forms, scalar_forms):
        assert Path(module.__file__) in SOURCES


@pytest.mark.parametrize("size", [(6, 7), (5, 4), (1, 1), (1, 5), (2, 1)])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_quarters_hold_the_problem(size, connectivity, make_problem):
    height, width = size
    energy = Energy("CCE", "CD", neighborhood=NearestNeighbors(40, connectivity))
    problem = energy.subproblem(*make_problem(height=height, width=width, classes=4))
    x = start(problem)
    whole = x.unpack()
    assert torch.equal(whole, problem.fix_seeds(problem.sigma))
    for row in (0, 1):
        for column in (0, 1):
            for offset in x.offsets:
                neighbor = x.neighbor(row, column, offset)
                for i in range(neighbor.shape[1]):
                    for j in range(neighbor.shape[3]):
                        r, c = 2 * i + row + offset[0], 2 * j + column + offset[1]
                        inside = 0 <= r < height and 0 <= c < width
                        expected = whole[:, :, r, c] if inside else torch.zeros_like(whole[:, :, 0, 0])
                        assert torch.equal(neighbor[:, i, :, j], expected)
    expected = problem.value(whole) - problem.constant()
    assert torch.allclose(torch_kernel.energy(x, "CCE", "CD", 0.3), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("side_by_side", [False, True])
def test_labels_of_some_images_are_replaced(side_by_side, make_problem):
    problem = Energy().subproblem(*make_problem(batch=3, height=5, width=7, padding=True))
    x = start(problem)
    x = x.side_by_side() if side_by_side else x
    before, images = x.unpack(), torch.tensor([True, False, True])
    x.restore(before.flip(0, 1), images)
    assert torch.equal(x.unpack(), torch.where(images[:, None, None, None], before.flip(0, 1), before))
    assert torch.allclose(x.labels.sum(), x.unpack().sum())  # the border stays zero
    x.unpack()[:] = 0.5
    assert torch.equal(x.unpack()[1], before[1])  # it is a copy


def test_seeds_are_set_in_place(make_problem, generator):
    problem = Energy().subproblem(*make_problem(height=6, width=5, padding=True))
    labels = torch.rand(problem.sigma.shape, generator=generator, dtype=torch.float64)
    expected = problem.fix_seeds(labels)
    assert not torch.equal(labels, expected)
    assert set_seeds(problem, labels) is labels
    assert torch.equal(labels, expected)


def test_progress_is_called_as_often_as_a_callback(make_problem):
    problem, calls, steps = make_problem(batch=1, height=6, width=7), [], []
    solution = solve(*problem, progress=lambda: calls.append(None), callback=lambda step, *_: steps.append(step))
    assert len(calls) == len(steps) == solution.steps + 1
    assert torch.equal(solve(*problem, progress=lambda: True).labels, solution.labels)  # it cannot stop the solver
    with pytest.raises(TypeError, match="progress: expected a callable or None, got int"):
        solve(*problem, progress=3)


@every_energy
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_sweep_lowers_the_energy_by_what_it_says(cross_entropy, relaxation, kernel, make_problem):
    energy = Energy(cross_entropy, relaxation, neighborhood=NearestNeighbors(30, 8))
    x = start(energy.subproblem(*make_problem(height=9, width=8, padding=True)))
    before = torch_kernel.energy(x, cross_entropy, relaxation, energy.eta)
    for _ in range(4):
        change = KERNELS[kernel](x, cross_entropy, relaxation, energy.eta, OMEGA)
        after = torch_kernel.energy(x, cross_entropy, relaxation, energy.eta)
        assert (change <= 0).all()
        assert torch.allclose(after - before, change, rtol=1e-7, atol=1e-9)
        before = after


@every_energy
@pytest.mark.parametrize("width", [12, 37])  # rows of 6 and 19 pixels, fewer and more than a vector's
def test_both_kernels_agree(width, cross_entropy, relaxation, make_problem):
    logits, image, seeds = make_problem(height=9, width=width, classes=5, padding=True)
    if relaxation == "LQ":  # singular between two different seeds: the way out of there is decided by rounding
        seeds = seeds.where(seeds > 5, UNLABELLED)
    problem = Energy(cross_entropy, relaxation).subproblem(logits, image, seeds)
    labels = []
    for sweep in KERNELS.values():
        x = start(problem)
        for _ in range(3):
            sweep(x, cross_entropy, relaxation, 0.3, OMEGA)
        labels.append(x.unpack())
    assert torch.allclose(*labels, rtol=0, atol=1e-5)


def test_the_torch_kernel_solves_as_the_numba_kernel(make_problem):
    problem = make_problem(height=12, width=13, dtype=torch.float32)
    one, other = (solve(*problem, kernel=kernel) for kernel in KERNELS)
    assert torch.allclose(one.energies[-1], other.energies[-1], rtol=1e-4)
    assert (soft_jaccard(one.labels, other.labels) > 0.999).all()


@every_energy
@pytest.mark.parametrize("connectivity", [4, 8])
def test_below_the_paper_solver_and_never_up(cross_entropy, relaxation, connectivity, make_problem, check_fast):
    problem = make_problem(batch=8, height=14, width=13, padding=True, seed=3)
    energy = Energy(cross_entropy, relaxation, neighborhood=NearestNeighbors(9, connectivity))
    check_fast(energy, *problem)


def adversary(kind, problem, generator):
    logits, image, seeds = problem
    if kind == "overconfident":
        logits = logits * 10
    elif kind == "random":
        logits = torch.randn(logits.shape, generator=generator) * 30
    elif kind == "contradictory":
        seeds = torch.randint(0, logits.shape[1], seeds.shape, generator=generator)
        seeds[:, ::2] = UNLABELLED
    elif kind == "constant":
        image = torch.full_like(image, 128)
    elif kind == "checkerboard":
        pattern = torch.arange(image.shape[-1]) + torch.arange(image.shape[-2])[:, None]
        image = (pattern % 2 * 255.0).expand_as(image)
    elif kind == "huge":
        logits = logits * 1e4
    elif kind == "no seeds":
        seeds = torch.full_like(seeds, UNLABELLED)
    return logits, image, seeds


@every_energy
@pytest.mark.parametrize(
    "kind", ["overconfident", "random", "contradictory", "constant", "checkerboard", "huge", "no seeds"]
)
def test_unkind_inputs(kind, cross_entropy, relaxation, make_problem, generator):
    problem = adversary(kind, make_problem(height=10, width=10, classes=6, dtype=torch.float32), generator)
    energy = Energy(cross_entropy, relaxation)
    solution = solve(*problem, energy, max_steps=60, tolerance=0.01)
    labels = solution.labels
    assert labels.isfinite().all()
    assert (labels >= 0).all()
    assert torch.allclose(labels.sum(1), torch.ones(()), atol=1e-4)
    assert (energy(labels, *problem) <= solution.energies[0] * (1 + 1e-3) + 1e-3).all()


@every_energy
@pytest.mark.parametrize("kind", ["overconfident", "random", "contradictory", "checkerboard", "huge", "no seeds"])
def test_no_sweep_raises_the_energy_of_unkind_inputs(kind, cross_entropy, relaxation, make_problem, generator):
    """Each sweep, measured by the energy itself: the trace of a solution is the lowest energy so far and cannot rise."""
    problem = adversary(kind, make_problem(height=9, width=8, classes=4), generator)
    problem = [x.double() if x.dtype.is_floating_point else x for x in problem]
    x = start(Energy(cross_entropy, relaxation).subproblem(*problem))
    before = torch_kernel.energy(x, cross_entropy, relaxation, 0.3)
    for _ in range(4):
        numba_kernel.sweep(x, cross_entropy, relaxation, 0.3, OMEGA)
        after = torch_kernel.energy(x, cross_entropy, relaxation, 0.3)
        assert (after <= before + 1e-9 * before.abs() + 1e-12).all()  # beyond rounding, also where it is 0
        before = after


def test_soft_jaccard_with_the_closed_form(make_problem):
    problem = make_problem(height=30, width=31, classes=4)
    exact = random_walker(*problem)
    solution = solve(*problem, Energy("Q", "Q"), tolerance=1e-9)
    assert (soft_jaccard(solution.labels, exact.labels) > 0.9999).all()
    assert (solution.energies[-1] >= exact.energies[0] * (1 - 1e-12)).all()


def test_each_image_is_solved_as_alone_and_twice_the_same(make_problem):
    problem = make_problem(batch=3, height=8, width=9)
    together = solve(*problem)
    for b in range(3):
        alone = solve(*(x[b : b + 1] for x in problem))
        assert torch.equal(alone.labels[0], together.labels[b])
        assert torch.equal(alone.energies[-1, 0], together.energies[-1, b])
    assert torch.equal(solve(*problem).labels, together.labels)


def test_options_matter(make_problem):
    problem = make_problem(height=12, width=12)
    loose, tight = solve(*problem, tolerance=0.05), solve(*problem, tolerance=1e-7)
    assert loose.steps < tight.steps
    assert (tight.energies[-1] < loose.energies[-1]).all()
    with pytest.warns(ConvergenceWarning, match="take a larger max_steps or tolerance"):
        short = solve(*problem, tolerance=1e-7, max_steps=3)
    assert short.steps == 3
    assert not short.converged


@pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")
def test_callback_sees_each_sweep_and_can_stop(make_problem):
    problem, seen = make_problem(batch=1), []
    solution = solve(*problem, Energy("Q", "Q"), callback=lambda *story: seen.append(story))
    assert [story[0] for story in seen] == list(range(solution.steps + 1))
    assert torch.allclose(seen[-1][1], solution.labels)
    stopped = solve(*problem, Energy("Q", "Q"), callback=lambda step, *_: step == 2)
    assert stopped.steps == 2
    assert "stopped by the callback" in stopped.message
    assert solve(*problem, callback=lambda *_: True).steps == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": -1}, r"tolerance: expected a number in \[0, 1\), got -1"),
        ({"tolerance": float("nan")}, "tolerance: expected"),
        ({"max_steps": 0}, "max_steps: expected a whole number, at least 1; got 0"),
        ({"max_steps": 2.5}, "max_steps: expected a whole number"),
        ({"active_classes": 2}, r"active_classes: expected a number in \[0, 1\], got 2"),
        ({"kernel": "cuda"}, "kernel: expected one of auto, torch, compile, numba, triton; got 'cuda'"),
    ],
)
def test_bad_options(options, message, make_problem):
    for run in (functools.partial(solve, *make_problem()), SelfLabelingLoss):
        with pytest.raises(ValueError, match=message):
            run(**options)


@pytest.mark.parametrize("backend", ["sor", "cg", "amg"])
@pytest.mark.parametrize("eta", [0.3, 0.0])
def test_other_backends_of_the_random_walker(backend, eta, make_problem):
    logits, image, seeds = make_problem(height=20, width=17, classes=4, padding=True)
    image = image / 8  # an even photo: eta = 0 is solvable by iteration too
    exact = random_walker(logits, image, seeds, eta)
    walker = random_walker(logits, image, seeds, eta, backend=backend, tolerance=1e-8)
    assert walker.converged
    assert (walker.residual <= 1e-8).all()
    assert torch.allclose(walker.labels, exact.labels, atol=1e-6)
    rough = random_walker(logits, image, seeds, eta, backend=backend, tolerance=1e-2)
    assert (rough.residual > walker.residual).all()


def test_wrong_backend(make_problem):
    with pytest.raises(
        ValueError, match="backend: expected one of direct, sor, cg, approximate_cholesky, amg, auto; got 'lu'"
    ):
        random_walker(*make_problem(), backend="lu")
    with pytest.raises(ValueError, match="tolerance: expected"):
        random_walker(*make_problem(), tolerance=0)


@pytest.mark.parametrize("backend", ["direct", "sor", "cg", "amg"])
def test_a_pixel_that_nothing_determines_is_an_error_from_each_backend(backend, make_problem):
    logits, image, seeds = make_problem()
    seeds[1] = UNLABELLED
    with pytest.raises(ValueError, match="no seed reaches 42 unlabelled pixels"):
        random_walker(logits, image, seeds, eta=0.0, backend=backend)


@every_energy
def test_only_the_ratio_of_the_weights_matters(cross_entropy, relaxation, make_problem):
    problem = make_problem(height=8, width=9, dtype=torch.float32)
    expected = solve(*problem, Energy(cross_entropy, relaxation, 0.3, 6.0))
    for factor in (2.0**-100, 2.0**90):
        solution = solve(*problem, Energy(cross_entropy, relaxation, 0.3 * factor, 6.0 * factor))
        assert torch.equal(solution.labels, expected.labels)
        assert torch.allclose(solution.energies / factor, expected.energies, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")
@pytest.mark.parametrize("active_classes", [0.0, 0.05])
def test_callback_sees_the_warm_up_whole_labels_and_whole_energies(active_classes, make_problem, check_solution):
    problem, energy, seen = make_problem(batch=1, classes=6), Energy("CCE", "CD"), []

    def callback(step, labels, energies):
        seen.append((step, float(energies)))
        assert labels.shape == problem[0].shape
        if step == 0:
            assert torch.allclose(energies, energy(labels, *problem))

    solution = solve(*problem, energy, callback=callback, active_classes=active_classes)
    assert [step for step, _ in seen] == list(range(solution.steps + 1))
    assert all(later <= sooner for (_, sooner), (_, later) in itertools.pairwise(seen))
    for stop in range(solution.steps):
        stopped = solve(
            *problem, energy, callback=lambda step, *_, last=stop: step == last, active_classes=active_classes
        )
        assert stopped.steps == stop
        check_solution(stopped, energy, *problem)
        assert "inf" not in stopped.message


@pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")
@pytest.mark.parametrize(("relaxation", "gain"), [("CCE", 0.03), ("CD", 0.002)])
def test_less_of_the_unary_on_the_way_ends_lower(relaxation, gain, monkeypatch):
    """On average over photos, on far edges."""

    def ends():
        energies = []
        for sample in datasets.photos(64)[:4]:
            image, seeds = sample.tensors()
            logits = seed_logits(image, seeds, len(sample.classes))
            energy = Energy("CCE", relaxation, neighborhood=SparseNonLocal())
            energies.append(float(solve(logits, image, seeds, energy).energies[-1]))
        return torch.tensor(energies)

    lower = ends()
    monkeypatch.setitem(listed.UNARY_SHARE, relaxation, 1.0)
    assert (lower / ends()).mean() < 1 - gain


@pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")
@pytest.mark.parametrize("max_steps", [1, 2, 5, 12, 13, 23, 24, 40])
def test_max_steps_bounds_all_sweeps_also_after_a_restart(max_steps, make_problem, monkeypatch):
    """Where the unary is strong the sweeps on Q lead up; then there is less left for the second try, never more."""
    swept, restarts = [], []
    sweep, restore = numba_kernel.sweep, FourColourGrid.restore
    monkeypatch.setattr(numba_kernel, "sweep", lambda *args: swept.append(args[2]) or sweep(*args))
    monkeypatch.setattr(FourColourGrid, "restore", lambda *args: restarts.append(bool(args[2].any())) or restore(*args))
    problem = make_problem(batch=1, height=7, width=7, classes=4, dtype=torch.float32)
    solution = solve(*problem, Energy("CE", "CD", eta=30.0), max_steps=max_steps, tolerance=0.3)
    assert len(swept) == solution.steps <= max_steps
    assert any(restarts) == (max_steps >= 2 * listed.WARM_UP)
    assert (solution.energies[-1] <= solution.energies[0]).all()
    if solution.energies[-1] == solution.energies[0]:  # nothing was left for the second try
        assert not solution.converged


@pytest.mark.parametrize("relaxation", ["Q", "BL", "CD"])
@pytest.mark.parametrize("kernel", list(KERNELS))
def test_an_energy_is_computed_once_for_the_same_labels(kernel, relaxation, make_problem, monkeypatch):
    asked, own = [], listed.ListedDescent.energy

    def energy(self):
        asked.append(self.known is None)
        found, self.known = own(self), None
        fresh, self.known = own(self), found
        assert torch.equal(found, fresh)
        return found

    monkeypatch.setattr(listed.ListedDescent, "energy", energy)
    inputs = make_problem(batch=2, height=33, width=34, classes=4, dtype=torch.float32)
    for terms in (Energy("CE", relaxation, eta=30.0), Energy("CCE", relaxation)):
        for levels in (0, 2):
            solve(*inputs, terms, kernel=kernel, levels=levels, tolerance=1e-3)
    assert any(asked)
    assert all(asked) == (relaxation == "Q")  # whose sweeps are the only ones


@pytest.mark.parametrize("in_rows", [False, True])
def test_one_image_of_a_batch_starts_again(in_rows, make_problem, monkeypatch):
    """All images at once, as on a GPU, or side by side, with no early end of the sweeps on Q: each ends as alone."""
    monkeypatch.setattr(listed, "WARM_UP_TOLERANCE", -1.0)
    energy = Energy("CE", "CD", eta=30.0)
    problem = energy.subproblem(*make_problem(batch=3, height=7, width=7, classes=4, dtype=torch.float32))
    start, kernels = problem.fix_seeds(problem.sigma), fast.kernel_of("numba", torch.device("cpu"))

    def run(images):
        descent = listed.ListedDescent(kernels, in_rows, problem[images], start[images], 0.0, lambda *_: False, True)
        descent.descend(1e-4, 100)
        return descent.labels(), descent.trace[-1]

    labels, energies = run(slice(0, 3))
    for b in range(3):
        alone, value = run(slice(b, b + 1))
        assert torch.allclose(alone[0], labels[b], atol=1e-3)
        assert torch.allclose(value[0], energies[b], rtol=1e-5)


@pytest.mark.parametrize("cross_entropy", CROSS_ENTROPIES)
@pytest.mark.parametrize("relaxation", ["BL", "Q", "NQ", "CCE", "CD"])  # LQ is singular between two vertices
@pytest.mark.parametrize("connectivity", [4, 8])
def test_classes_that_nobody_holds_wake_up(cross_entropy, relaxation, connectivity, make_problem):
    """From labels on two of forty classes, the numba kernel, which skips classes, does what the torch kernel does."""
    logits, image, seeds = make_problem(height=9, width=11, classes=40, padding=True)
    seeds = seeds.where(seeds > 39, UNLABELLED)
    energy = Energy(cross_entropy, relaxation, neighborhood=NearestNeighbors(9, connectivity))
    problem = energy.subproblem(3 * logits, image, seeds)
    first = torch.zeros_like(problem.sigma)
    first[:, 0, :, :6] = first[:, 1, :, 6:] = 1
    labels = []
    for sweep in KERNELS.values():
        x = pack(problem, problem.fix_seeds(first))
        change = sweep(x, cross_entropy, relaxation, 0.3, OMEGA)
        assert (change < 0).all()
        labels.append(x.unpack())
    assert torch.allclose(*labels, rtol=0, atol=1e-6)
    assert (labels[0][:, 2:].amax((0, 2, 3)) > 0).sum() > 5


@pytest.mark.parametrize("cross_entropy", CROSS_ENTROPIES)
def test_active_classes(cross_entropy, make_problem, check_solution):
    logits, image, seeds = make_problem(height=10, width=11, classes=8)
    seeds = seeds.where((seeds < 3) | (seeds == UNLABELLED), UNLABELLED)
    logits[:, 5:] -= 12  # likely nowhere
    energy = Energy(cross_entropy, "Q")
    everything = solve(logits, image, seeds, energy, tolerance=1e-8)
    solution = solve(logits, image, seeds, energy, tolerance=1e-8, active_classes=0.01)
    check_solution(solution, energy, logits, image, seeds)
    assert "at most 5 of 8 classes" in solution.message
    assert (solution.labels[:, 5:].where((seeds == UNLABELLED)[:, None], 0) == 0).all()
    assert (solution.energies[-1] >= everything.energies[-1] * (1 - 1e-5)).all()
    if cross_entropy != "RCE":  # infinite without a class that is predicted at all
        assert torch.allclose(solution.energies[-1], everything.energies[-1], rtol=1e-2)
    same = solve(logits, image, seeds, energy, tolerance=1e-8, active_classes=1e-300)
    assert torch.allclose(same.labels, everything.labels, atol=1e-6)


@pytest.mark.parametrize("neighborhood", [NearestNeighbors(), SparseNonLocal()])
def test_the_number_of_threads_changes_nothing(make_problem, neighborhood, monkeypatch):
    grid = isinstance(neighborhood, NearestNeighbors)
    height, width = (70, 70) if grid else (40, 48)  # enough numbers for three threads
    problem, labels, used = make_problem(batch=1, classes=21, height=height, width=width), [], []
    submit = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *a: (used.append(threads), submit(*a))[1])
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        labels.append(solve(*problem, Energy("CCE", "CD", neighborhood=neighborhood), tolerance=0.01).labels)
    assert all((labels[0] == other).all() for other in labels[1:])
    assert set(used) == {2, 3}


@pytest.mark.parametrize(
    ("neighborhood", "options"),
    [
        (NearestNeighbors(), {}),
        (NearestNeighbors(connectivity=8), {"levels": 2}),
        (NearestNeighbors(), {"active_classes": 0.05}),
        (NearestNeighbors(), {"side_by_side": True}),
        (SparseNonLocal(), {}),
    ],
)
@pytest.mark.parametrize(("cross_entropy", "relaxation"), [("CCE", "CD"), ("Q", "Q"), ("CE", "BL")])
def test_images_in_threads_end_as_one_after_another(
    neighborhood, options, cross_entropy, relaxation, make_problem, monkeypatch
):
    monkeypatch.setattr(fast, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(fast, "LONG_ROW", 40)  # two images side by side
    energy = Energy(cross_entropy, relaxation, eta=0.1, lam=5.0, neighborhood=neighborhood)
    problem, solutions, parts = make_problem(batch=5, classes=5, height=18, width=20, padding=True), [], []
    problem[0][3] *= 1e-3  # undecided: takes other sweeps, perhaps from coarser grids
    monkeypatch.setattr(
        fast, "in_threads", lambda function, some: (parts.append(len(some)), in_threads(function, some))[1]
    )
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        solutions.append(solve(*problem, energy, on_failure="ignore", **options))
    assert parts == [1, 2, 3, 3 if "side_by_side" in options else 5]
    first = solutions[0]
    for other in solutions[1:]:
        assert (other.labels == first.labels).all()
        assert (other.energies == first.energies).all()
        assert (other.residual == first.residual).all()
        assert (other.steps, other.converged, other.message) == (first.steps, first.converged, first.message)


@pytest.mark.parametrize("option", ["callback", "progress"])
def test_a_callback_meets_one_image_after_another(option, make_problem, monkeypatch):
    monkeypatch.setattr(fast, "WORTH_A_THREAD", 1)
    torch.set_num_threads(2)
    names = set()
    solve(*make_problem(batch=4), **{option: lambda *_: names.add(threading.current_thread().name) and None})
    assert names == {threading.current_thread().name}


def test_memory_bounds_the_images_in_threads(make_problem, monkeypatch):
    problem, parts = make_problem(batch=4, classes=3, height=10, width=10), []
    monkeypatch.setattr(fast, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(
        fast, "in_threads", lambda function, some: (parts.append(len(some)), in_threads(function, some))[1]
    )
    torch.set_num_threads(4)
    for numbers in (299, 300, 900, 10_000):
        monkeypatch.setattr(fast, "IN_FLIGHT", numbers)
        solve(*problem)
    assert parts == [1, 1, 3, 4]


def test_a_start_near_the_end_saves_sweeps(make_problem, check_solution):
    problem, energy = make_problem(height=12, width=14), Energy("CCE", "CD")
    cold = solve(*problem, energy)
    warm = solve(*problem, energy, start=0.95 * cold.labels + 0.05 / cold.labels.shape[1])
    check_solution(warm, energy, *problem)
    assert warm.converged
    assert warm.steps < cold.steps
    assert (warm.energies[-1] < 1.001 * cold.energies[-1]).all()
    with pytest.raises(ValueError, match="start: expected"):
        solve(*problem, energy, start=cold.labels[:, :, 1:])
    with pytest.raises(TypeError, match="start: expected labels"):
        solve(*problem, energy, start="last")
    for wrong in (2 * cold.labels, -cold.labels, cold.labels / 0):
        with pytest.raises(ValueError, match="start: expected labels >= 0 that sum to 1"):
            solve(*problem, energy, start=wrong)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("cross_entropy", "relaxation"), [("CCE", "CD"), ("Q", "Q"), ("RCE", "NQ"), ("CE", "LQ")])
def test_side_by_side_each_image_ends_as_alone(cross_entropy, relaxation, connectivity, make_problem, monkeypatch):
    """Rows of several images, of odd sizes: no image sees another, and one that is done keeps its labels."""
    monkeypatch.setattr(fast, "LONG_ROW", 23)  # three images of seven columns: groups of three and one
    energy = Energy(cross_entropy, relaxation, lam=20.0, neighborhood=NearestNeighbors(connectivity=connectivity))
    problem = make_problem(batch=4, height=5, width=7, classes=3, padding=True)
    problem[1][2] = 100.0  # an image without edges in its photo, which takes another number of sweeps
    together = solve(*problem, energy, side_by_side=True, tolerance=1e-8)
    alone = solve(*problem, energy, tolerance=1e-8)
    assert (together.labels - alone.labels).abs().max() < 1e-4
    assert torch.allclose(together.energies[-1], alone.energies[-1], rtol=1e-7)
    assert (together.residual <= 1e-8).all()
    assert (together.energies.diff(dim=0) <= 0).all()


def test_side_by_side_is_for_few_classes_and_not_with_a_callback(make_problem, monkeypatch):
    rows = []
    pack_in_rows = FourColourGrid.side_by_side
    monkeypatch.setattr(FourColourGrid, "side_by_side", lambda x: rows.append(len(x.labels)) or pack_in_rows(x))
    few, many = make_problem(batch=3, classes=3), make_problem(batch=3, classes=fast.FEW_CLASSES + 1)
    solve(*few, Energy("Q", "Q"))
    solve(*few, Energy("Q", "Q"), side_by_side=True, kernel="torch")
    solve(*few, Energy("Q", "Q"), side_by_side=True, callback=lambda *_: None)
    solve(*many, Energy("Q", "Q"), side_by_side=True)
    assert not rows
    solve(*few, Energy("Q", "Q"), side_by_side=True)
    assert rows == [3]
    with pytest.raises(TypeError, match="side_by_side"):
        solve(*few, Energy("Q", "Q"), side_by_side=1)

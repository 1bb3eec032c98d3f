"""Labels limited to the classes that a photo shows: the same as the problem without the others, for every solver."""

import threading

import pytest
import torch

import toykit.solvers.present
from toykit import PADDING, UNLABELLED, Dense, Energy, SelfLabelingLoss, SparseNonLocal, random_walker, solve
from toykit._shared.threads import in_threads
from toykit.solvers import SOLVERS, ConvergenceWarning

CLASSES = 5
#: Each image's classes: two images share theirs, in different places of the batch.
PRESENT = ((0, 2, 3), (1, 4), (0, 2, 3), (2,), (0, 1, 2, 3, 4))
CASES = [
    ("fast", Energy("CCE", "CD")),
    ("fast", Energy("Q", "Q")),
    ("fast", Energy("RCE", "NQ")),
    ("fast", Energy("CE", "LQ", neighborhood=SparseNonLocal(30.0))),
    ("fast", Energy("CCE", "Q", lam=0.1, neighborhood=Dense(30.0, 5.0))),
    ("gradient", Energy("CCE", "CD")),
    ("closed_form", Energy("Q", "Q")),
    ("graph_cut", Energy("CE", "BL")),
    ("mean_field", Energy("CE", "BL")),
]


def problem_of(make_problem, dtype=torch.float64):
    logits, image, seeds = make_problem(
        batch=len(PRESENT), classes=CLASSES, height=8, width=9, padding=True, dtype=dtype
    )
    present = torch.zeros(len(PRESENT), CLASSES, dtype=torch.bool)
    for b, classes in enumerate(PRESENT):
        present[b, list(classes)] = True
        allowed = torch.isin(seeds[b], torch.tensor([*classes, PADDING]))
        seeds[b] = seeds[b].where(allowed, UNLABELLED)
    return logits, image, seeds, present


def reduced(logits, image, seeds, b):
    """Image b without its absent classes, by hand."""
    classes = list(PRESENT[b])
    number = torch.arange(256)
    number[classes] = torch.arange(len(classes))
    return logits[b : b + 1, classes], image[b : b + 1], number[seeds[b : b + 1]]


@pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")
@pytest.mark.parametrize(("method", "energy"), CASES, ids=lambda x: x if isinstance(x, str) else x.relaxation)
def test_every_solver_solves_the_problem_without_the_absent_classes(make_problem, method, energy):
    logits, image, seeds, present = problem_of(make_problem)
    solution = solve(logits, image, seeds, energy, method, present=present)
    assert (solution.labels.movedim(1, -1)[~present[:, None, None].expand(-1, 8, 9, -1)] == 0).all()
    for b, classes in enumerate(PRESENT):
        own = solution.labels[b : b + 1, list(classes)]
        if len(classes) == 1:
            assert (own == 1).all()
            continue
        alone = solve(*reduced(logits, image, seeds, b), energy, method)
        assert torch.equal(own, alone.labels)
    whole = energy.subproblem(logits, image, seeds, present)
    assert torch.allclose(solution.energies[-1], whole.value(solution.labels), rtol=1e-9)
    if energy.cross_entropy != "RCE":  # it is infinite at absent classes
        assert torch.allclose(solution.energies[-1], energy(solution.labels, logits, image, seeds), rtol=1e-9)
    assert solution.energies.shape == (solution.steps + 1, len(PRESENT))
    assert solution.residual.shape == (len(PRESENT),)


@pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")
@pytest.mark.parametrize(("method", "energy"), CASES, ids=lambda x: x if isinstance(x, str) else x.relaxation)
def test_groups_in_threads_end_as_one_after_another(make_problem, method, energy, monkeypatch):
    parts, solutions = [], []
    count = lambda function, some: (parts.append(len(some)), in_threads(function, some))[1]  # noqa: E731
    monkeypatch.setattr(toykit.solvers.present, "in_threads", count)
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        *inputs, present = problem_of(make_problem)
        solutions.append(solve(*inputs, energy, method, present=present))
    assert parts == [4, 4, 4]  # one class, two, three, five
    for other in solutions[1:]:
        assert torch.equal(other.labels, solutions[0].labels)
        assert torch.equal(other.energies, solutions[0].energies)
        assert (other.steps, other.message) == (solutions[0].steps, solutions[0].message)
    seen = []
    if method != "closed_form":
        solve(
            *inputs,
            energy,
            method,
            present=present,
            callback=lambda *_: seen.append(threading.current_thread()) and None,
        )
        assert set(seen) == {threading.current_thread()}
        assert len(parts) == 3
    monkeypatch.setattr(toykit.solvers.present, "SMALL", 0)
    solve(*inputs, energy, method, present=present)
    assert len(parts) == 3


def test_every_solver_is_among_the_cases():
    assert {method for method, _ in CASES} == set(SOLVERS)


def test_all_present_is_no_limit(make_problem):
    logits, image, seeds, _ = problem_of(make_problem)
    everything = torch.ones(len(PRESENT), CLASSES, dtype=torch.bool)
    assert torch.equal(
        solve(logits, image, seeds, present=everything).labels, solve(logits, image, seeds, present=None).labels
    )


def test_fewer_classes_do_not_end_below_all_of_them(make_problem):
    """Energies are those of the whole problem, and a smaller set of labels has no lower minimum (exact solver)."""
    logits, image, seeds, present = problem_of(make_problem)
    limited, free = (random_walker(logits, image, seeds, present=p).energies[-1] for p in (present, None))
    assert (limited[:4] > free[:4]).all()
    assert limited[4] == pytest.approx(free[4].item())


@pytest.mark.parametrize("backend", ["cg", "amg", "sor"])
def test_iterative_backends_of_the_closed_form(make_problem, backend):
    logits, image, seeds, present = problem_of(make_problem)
    exact, iterated = (random_walker(logits, image, seeds, present=present, backend=b) for b in ("direct", backend))
    assert torch.allclose(exact.labels, iterated.labels, atol=1e-6)
    assert iterated.energies.shape == (1, len(PRESENT))


def test_rce_takes_no_number_of_the_logarithms_floor(make_problem):
    """At absent classes RCE is infinite; the loss there must not depend on what stands for infinity in a number format."""
    logits, image, seeds, present = problem_of(make_problem)
    energy = Energy("RCE", "Q", lam=0.1)
    losses = [
        SelfLabelingLoss(energy, tolerance=1e-6)(x, i, seeds, present).item()
        for x, i in ((logits, image), (logits.float(), image.float()))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0] < 30


def test_the_callback_sees_all_classes_and_may_stop(make_problem):
    logits, image, seeds, present = problem_of(make_problem)
    seen = []
    solve(logits, image, seeds, present=present, callback=lambda step, y, e: seen.append(y))
    assert {y.shape[1] for y in seen} == {CLASSES}
    shown = {tuple((y[b] > 0).flatten(1).any(1).nonzero()[:, 0].tolist()) for y in seen for b in range(len(y))}
    assert shown == set(PRESENT)
    with pytest.warns(ConvergenceWarning):
        stopped = solve(logits, image, seeds, present=present, callback=lambda step, *_: step == 2)
    assert stopped.steps == 2


def test_a_start_loses_its_absent_classes(make_problem):
    logits, image, seeds, present = problem_of(make_problem)
    start = torch.rand(logits.shape, generator=torch.Generator().manual_seed(1), dtype=logits.dtype)
    start = start / start.sum(1, keepdim=True)
    start[1, [0, 2, 3]], start[1, [1, 4]] = 1 / 3, 0  # nothing on the classes that are present there
    solution = solve(logits, image, seeds, present=present, start=start, max_steps=300)
    assert solution.converged
    assert (solution.labels.sum(1) - 1).abs().max() < 1e-12
    with pytest.raises(ValueError, match="start: expected"):
        solve(logits, image, seeds, present=present, start=start[:, :3])


def test_float32_keeps_the_whole_energy(make_problem):
    logits, image, seeds, present = problem_of(make_problem, torch.float32)
    for method, energy in (("fast", Energy("CCE", "Q")), ("closed_form", Energy("Q", "Q"))):
        solution = solve(logits, image, seeds, energy, method, present=present)
        value = energy(solution.labels.double(), logits.double(), image.double(), seeds)
        assert solution.energies[-1].double() == pytest.approx(value, rel=1e-4)


def test_confident_predictions_of_absent_classes_leave_finite_labels(make_problem):
    logits, image, seeds, present = problem_of(make_problem, torch.float32)
    logits = logits.where(present[:, :, None, None], 1e4)
    for method, options in (("fast", {"max_steps": 500}), ("gradient", {"tolerance": 1.0})):
        solution = solve(logits, image, seeds, method=method, present=present, **options)
        assert solution.labels.isfinite().all()
        assert (solution.labels.sum(1) - 1).abs().max() < 1e-4


def test_bad_classes_are_refused_before_any_work(make_problem):
    logits, image, seeds, present = problem_of(make_problem)
    one_wrong = present.clone()
    one_wrong[0] = torch.tensor([False, False, True, False, False])
    for wrong, error, match in (
        (present.float(), TypeError, "present: expected bool"),
        (present.tolist(), TypeError, "present: expected a torch.Tensor"),
        (present[:, :3], ValueError, r"present: expected shape \(5, 5\)"),
        (present[:2], ValueError, r"present: expected shape \(5, 5\)"),
        (torch.zeros_like(present), ValueError, "at least one class per image, got none for image 0"),
        (one_wrong, ValueError, r"present: image 0 has seeds of classes \[3\], which are marked as absent there"),
    ):
        with pytest.raises(error, match=match):
            solve(logits, image, seeds, present=wrong)
        with pytest.raises(error, match=match):
            SelfLabelingLoss()(logits, image, seeds, wrong)


def test_absent_classes_are_pushed_down_by_the_loss(make_problem):
    """The network's own predictions are not conditioned: CCE takes probability from classes that the photo does not show."""
    logits, image, seeds, present = problem_of(make_problem)
    logits.requires_grad_()
    seeds = torch.where(seeds == PADDING, PADDING, UNLABELLED)
    SelfLabelingLoss()(logits, image, seeds, present).backward()
    inside = (seeds != PADDING)[:, None].expand_as(logits)
    absent = ~present[:, :, None, None].expand_as(logits)
    assert (logits.grad[absent & inside] > 0).all()

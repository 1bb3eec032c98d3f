"""The paper's solver: against a hand-written loop, and everything a caller may do to it."""

import functools
import math
import warnings

import pytest
import torch
from helpers.oracles import edges_by_hand

from toykit import PADDING, UNLABELLED, ConvergenceWarning, Energy, NearestNeighbors, SelfLabelingLoss
from toykit import solve as solve_by
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS

# most tests take few steps on purpose
solve = functools.partial(solve_by, method="gradient")
pytestmark = pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
@pytest.mark.parametrize("cross_entropy", CROSS_ENTROPIES)
def test_energy_decreases(cross_entropy, relaxation, optimizer, make_problem, check_solution):
    problem, energy = make_problem(padding=True), Energy(cross_entropy, relaxation)
    solution = solve(*problem, energy, optimizer=optimizer, steps=30)
    check_solution(solution, energy, *problem)
    assert solution.steps == 30
    assert (solution.energies[-1] < 0.999 * solution.energies[0]).all()


def recipe(logits, image, seeds, optimizer, steps, lr):
    """Section A for H_CE and P_BL of one image, as the paper describes it, in plain tensors; labels and the trace."""
    classes, n = logits.shape[0], seeds.numel()
    ground_truth = seeds.flatten().tolist()
    sigma = logits.flatten(1).softmax(0)
    edges = edges_by_hand(image, connectivity=4)
    variables = sigma.log().requires_grad_()
    descent = torch.optim.Adam([variables], lr=lr) if optimizer == "adam" else None
    trace = []
    for step in range(steps + 1):
        y = variables.softmax(0)
        columns = [
            y[:, i] if s == UNLABELLED else torch.eye(classes, dtype=y.dtype)[s] for i, s in enumerate(ground_truth)
        ]
        unary = sum(-columns[i] @ sigma[:, i].log() for i in range(n) if ground_truth[i] == UNLABELLED)
        pairwise = sum(w * (1 - columns[i] @ columns[j]) for (i, j), w in edges.items())
        energy = 0.3 * unary + 6 * pairwise
        trace.append(energy.item())
        if step == steps:
            return torch.stack([c.detach() for c in columns], 1).view_as(logits), trace
        (gradient,) = torch.autograd.grad(energy, variables)
        if optimizer == "adam":
            variables.grad = gradient
            descent.step()
        else:
            with torch.no_grad():
                variables -= lr * gradient
    raise AssertionError


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_equals_the_papers_recipe(optimizer, make_problem):
    logits, image, seeds = make_problem(batch=1, height=3, width=4)
    labels, trace = recipe(logits[0], image[0], seeds[0], optimizer, steps=25, lr=0.05)
    solution = solve(logits, image, seeds, Energy("CE", "BL"), optimizer=optimizer, steps=25, lr=0.05)
    assert torch.allclose(solution.labels[0], labels, rtol=0, atol=1e-10)
    assert solution.energies[:, 0].tolist() == pytest.approx(trace, rel=1e-11)


def test_defaults_are_adam_for_200_steps(make_problem):
    problem = make_problem(batch=1)
    assert torch.equal(solve(*problem).labels, solve(*problem, optimizer="adam", lr=0.075, steps=200).labels)
    assert torch.equal(solve(*problem, steps=3).labels, solve_by(*problem, Energy(), "gradient", steps=3).labels)


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_a_batch_is_its_images_one_by_one(optimizer, make_problem):
    problem = make_problem(batch=3, padding=True)
    together = solve(*problem, optimizer=optimizer, steps=40)
    for b in range(3):
        alone = solve(*(x[b : b + 1] for x in problem), optimizer=optimizer, steps=40)
        assert torch.allclose(alone.labels[0], together.labels[b], rtol=0, atol=1e-12)
        assert torch.allclose(alone.energies[:, 0], together.energies[:, b], rtol=1e-12)


@pytest.mark.parametrize("changed", [{"lr": 0.3}, {"steps": 20}, {"optimizer": "gd"}, {"tolerance": 3.0}])
def test_each_option_matters(changed, make_problem):
    problem = make_problem()
    usual, other = solve(*problem, steps=12), solve(*problem, **{"steps": 12, **changed})
    if "tolerance" in changed:
        assert (usual.converged, other.converged) == (False, True)
        assert torch.equal(usual.labels, other.labels)
    else:
        assert not torch.allclose(usual.labels, other.labels, atol=1e-3)


def test_callback_sees_every_step_and_may_stop(make_problem):
    problem, energy, seen = make_problem(), Energy(), []
    solution = solve(*problem, energy, steps=7, callback=lambda *story: seen.append(story))
    assert [step for step, _, _ in seen] == list(range(8))
    assert torch.equal(torch.stack([e for _, _, e in seen]), solution.energies)
    assert torch.equal(seen[-1][1], solution.labels)
    for _, labels, energies in seen:
        assert not labels.requires_grad
        assert torch.allclose(energy(labels, *problem), energies)
    stopped = solve(*problem, energy, steps=7, callback=lambda step, labels, energies: step == 3)
    assert stopped.steps == 3
    assert torch.equal(stopped.labels, seen[3][1])
    # only True stops: a callback may return whatever its plot returns
    assert solve(*problem, energy, steps=7, callback=lambda *story: "shown").steps == 7


def test_stopping_before_the_first_step_is_not_convergence(make_problem):
    solution = solve(*make_problem(), callback=lambda *story: True)
    assert solution.steps == 0
    assert not solution.converged


def test_the_warning_names_the_remedy(make_problem):
    problem = make_problem()
    with pytest.warns(
        ConvergenceWarning, match=r"gd, lr 0.075, 5 steps: 2 of 2 .* take optimizer='adam' or more steps"
    ):
        solution = solve(*problem, optimizer="gd", steps=5)
    assert not solution.converged
    assert (solution.residual > 1e-3).all()
    with pytest.warns(ConvergenceWarning, match=r"adam, lr 1000, 5 steps: the energy .* above its start; lower lr"):
        solution = solve(*problem, lr=1000, steps=5)
    assert not solution.converged
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = solve(*problem, Energy("CE", "Q"), steps=400)
    assert solution.converged
    assert (solution.residual.abs() < 1e-3).all()
    assert "converged (the energy changed by less than 0.1%" in solution.message


def test_an_energy_that_falls_to_zero_has_converged():
    """One seed, one free pixel, no unary: the optimum is zero and plain descent reaches it to the last bit."""
    logits, image = torch.zeros(1, 2, 1, 2, dtype=torch.float64), torch.full((1, 3, 1, 2), 9.0)
    seeds = torch.tensor([[[0, UNLABELLED]]])
    solution = solve(logits, image, seeds, Energy("CE", "CCE", eta=0, lam=100), optimizer="gd", lr=1, steps=3)
    assert solution.energies[-1, 0] <= 1e-13 * solution.energies[0, 0]
    assert solution.residual.isfinite().all()
    long = solve(logits, image, seeds, Energy("CE", "CCE", eta=0, lam=100), optimizer="gd", lr=1, steps=30)
    assert long.converged


def test_residual_is_the_share_of_the_last_ten_steps(make_problem):
    """Of the energy less what neighbouring seeds contribute: a constant, which here is the energy of the seeds alone."""
    logits, image, seeds = make_problem()
    solution = solve(logits, image, seeds, steps=30)
    seeds_alone = seeds.where(seeds != UNLABELLED, PADDING)
    constant = Energy()(solution.labels, logits, image, seeds_alone)
    assert (constant > 0).any()
    expected = (solution.energies[-11] - solution.energies[-1]) / (solution.energies[-1] - constant)
    assert torch.allclose(solution.residual, expected)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimizer": "lbfgs"}, ValueError, "optimizer: expected one of gd, adam; got 'lbfgs'"),
        ({"lr": 0}, ValueError, "lr: .* in .0, 1e6.*, got 0"),
        ({"lr": math.nan}, ValueError, "lr: .* got nan"),
        ({"lr": math.inf}, ValueError, "lr: .* got inf"),
        ({"lr": "fast"}, (TypeError, ValueError), "lr: .* got 'fast'"),
        ({"steps": 0}, ValueError, "steps: expected a whole number, at least 1; got 0"),
        ({"steps": 2.0}, ValueError, "steps: .* got 2.0"),
        ({"steps": True}, ValueError, "steps: .* got True"),
        ({"tolerance": 0}, ValueError, r"tolerance: expected a number in \(0, inf\], got 0"),
        ({"tolerance": math.nan}, ValueError, "tolerance: .* got nan"),
        ({"step": 5}, TypeError, "method 'gradient' has no option step; it has optimizer, lr, steps, tolerance"),
        ({"method": "newton"}, ValueError, "method: expected one of fast, .*mean_field; got 'newton'"),
        (
            {"method": "closed_form", "lr": 1.0},
            TypeError,
            "method 'closed_form' has no option lr; it has backend, tolerance",
        ),
        ({"energy": "CD"}, TypeError, "energy: expected a toykit.Energy, got str"),
    ],
)
def test_options_are_checked(options, error, message, make_problem):
    with pytest.raises(error, match=message):
        solve_by(*make_problem(), **{"method": "gradient", **options})


def test_bad_inputs_are_refused_before_any_work(make_problem):
    logits, image, seeds = make_problem()
    with pytest.raises(ValueError, match=r"seeds: expected a class in 0..2"):
        solve(logits, image, seeds.where(seeds > 2, 3), callback=lambda *story: pytest.fail("worked"))
    with pytest.raises(TypeError, match=r"logits: expected a torch.Tensor"):
        solve(logits.numpy(), image, seeds)


def test_surroundings_do_not_matter(make_problem):
    problem = make_problem(dtype=torch.float32)
    usual = solve(*problem, steps=5)
    with torch.no_grad():
        assert torch.equal(solve(*problem, steps=5).labels, usual.labels)
    with torch.inference_mode():
        inside = solve(*(x.clone() for x in problem), steps=5)  # clones made here are inference tensors
        assert torch.equal(inside.labels, usual.labels)
    weights = torch.ones_like(inside.labels, requires_grad=True)
    (inside.labels * weights).sum().backward()  # an ordinary tensor: autograd may save it
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = solve(*problem, steps=5)
    assert mixed.labels.dtype == torch.float32
    assert torch.equal(mixed.labels, usual.labels)
    assert torch.equal(solve(*problem, steps=5).labels, usual.labels)  # deterministic


def test_autocast_is_off_inside(make_problem, monkeypatch):
    seen, quadratic = [], RELAXATIONS["Q"]
    probe = lambda p, q: seen.append(torch.is_autocast_enabled("cpu")) or quadratic(p, q)  # noqa: E731
    monkeypatch.setitem(RELAXATIONS, "Q", probe)
    problem, energy = make_problem(), Energy(relaxation="Q")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        solve(*problem, energy, steps=1)
        SelfLabelingLoss(energy, "gradient", steps=1)(*problem)
    assert seen
    assert not any(seen)


def test_inputs_are_left_alone(make_problem):
    logits, image, seeds = make_problem()
    before = [x.clone() for x in (logits, image, seeds)]
    logits.requires_grad_()
    solution = solve(logits, image, seeds, steps=3)
    assert not solution.labels.requires_grad
    assert not solution.energies.requires_grad
    assert logits.grad is None
    assert all(torch.equal(a, b) for a, b in zip(before, (logits, image, seeds), strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(dtype, make_problem, check_solution):
    logits, image, seeds = make_problem()
    solution = solve(logits.to(dtype), image, seeds, steps=3)
    assert solution.labels.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    check_solution(solution, Energy(), logits.to(dtype), image, seeds, tolerance=1e-4)


@pytest.mark.parametrize("size", [30.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_extreme_logits(relaxation, optimizer, dtype, size, make_problem, check_solution):
    """Confident and partly wrong predictions, a third of them mixed: nothing explodes and the energy falls."""
    logits, image, seeds = make_problem(dtype=dtype)
    logits = torch.where(logits.abs() > 1, logits.sign() * size, logits)
    energy = Energy("CCE", relaxation)
    solution = solve(logits, image, seeds, energy, optimizer=optimizer, steps=20)
    check_solution(solution, energy, logits, image, seeds, tolerance=1e-5)
    assert (solution.energies[-1] <= solution.energies[0] * (1 + 1e-6)).all()


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_confident_smooth_predictions_with_contradicting_seeds(relaxation, optimizer, generator):
    """What a trained network gives: 21 classes, logits up to 80, smooth, and seeds that disagree. float32."""
    coarse = torch.randn(1, 21, 4, 4, generator=generator) * 32
    logits = torch.nn.functional.interpolate(coarse, (12, 12), mode="bilinear")
    image = torch.rand(1, 3, 12, 12, generator=generator) * 20
    seeds = torch.full((1, 12, 12), UNLABELLED)
    seeds[0, ::4, ::4] = torch.randint(0, 21, (3, 3), generator=generator)
    energies = solve(logits, image, seeds, Energy("CCE", relaxation), optimizer=optimizer, steps=60).energies[:, 0]
    assert energies[-1] < 0.95 * energies[0]
    assert energies.max() <= energies[0]


@pytest.mark.parametrize("fill", [UNLABELLED, PADDING, 1])
def test_images_of_one_kind(fill, make_problem, check_solution):
    logits, image, _ = make_problem()
    seeds = torch.full((2, 6, 7), fill)
    solution = solve(logits, image, seeds, steps=5)
    check_solution(solution, Energy(), logits, image, seeds)
    assert solution.converged or fill == UNLABELLED  # nothing to do is done


def test_lam_pulls_labels_together_and_eta_keeps_them(make_problem):
    logits, image, seeds = make_problem(batch=1)
    smooth = solve(logits, image, seeds, Energy("CE", "Q", eta=0.0, lam=6.0), steps=150).labels
    kept = solve(logits, image, seeds, Energy("RCE", "Q", eta=1.0, lam=0.0), steps=150).labels
    free = (seeds == UNLABELLED)[:, None]
    roughness = {
        name: NearestNeighbors().edges(image).potts(y, RELAXATIONS["Q"])
        for name, y in (("smooth", smooth), ("kept", kept))
    }
    assert roughness["smooth"] < 0.5 * roughness["kept"]
    assert torch.allclose(kept.where(free, 0), logits.softmax(1).where(free, 0), atol=1e-3)  # RCE's minimum: y = sigma

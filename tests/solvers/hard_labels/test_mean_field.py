"""Mean field against a pixel-by-pixel reference and exact marginals; monotone; what every solver owes."""

import pytest
import torch
from helpers.oracles import all_labellings, energies_by_hand
from helpers.problems import tiny
from hypothesis import given
from hypothesis import strategies as st

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors, solve
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.solvers.hard_labels.mean_field import MeanField

pytestmark = pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")


def free_energy_by_hand(problem, q):
    """F of one image: its definition, with the pairs as a list."""
    i, j, w = problem.edges.index_pairs(*q.shape[2:])
    flat, sigma = q[0].flatten(1).T, problem.sigma[0].flatten(1).T
    total = problem.energy.lam * sum(
        w[0, e] * (1 - flat[a] @ flat[b]) for e, (a, b) in enumerate(zip(i, j, strict=True))
    )
    for n in problem.unlabelled.flatten().nonzero()[:, 0]:
        total += problem.energy.eta * (-flat[n] @ sigma[n].log()) + (flat[n] * flat[n].log()).sum()
    return total.item()


@given(
    seed=st.integers(0, 10**6),
    lam=st.sampled_from([0.0, 1.0, 8.0]),
    eta=st.sampled_from([0.0, 0.3, 3.0]),
    connectivity=st.sampled_from([4, 8]),
)
def test_the_free_energy_never_rises(seed, lam, eta, connectivity):
    energy = Energy("CE", "BL", eta, lam, NearestNeighbors(connectivity=connectivity))
    problem = energy.subproblem(*tiny(seed, 3, 4, 4))
    descent = MeanField(problem)
    trace = [descent.free_energy().item()]
    assert trace[0] == pytest.approx(free_energy_by_hand(problem, descent.q), rel=1e-9, abs=1e-9)
    for _ in range(15):
        descent.step()
        trace.append(descent.free_energy().item())
        assert trace[-1] <= trace[-2] + 1e-9 * abs(trace[-2]) + 1e-12
    assert torch.allclose(descent.q.sum(1), torch.ones(1, 4, 4, dtype=torch.float64))


def test_damping_ends_a_swap_without_end():
    """Two free neighbours that disagree take each other's label again and again with full steps; here they settle."""
    logits = torch.tensor([[[[1.0, -1.1]], [[-1.0, 1.0]]]], dtype=torch.float64)
    image, seeds = torch.full((1, 3, 1, 2), 9.0), torch.full((1, 1, 2), UNLABELLED)
    problem = Energy("CE", "BL", 1.0, 6.0).subproblem(logits, image, seeds)
    q, swaps = problem.sigma, 0
    for _ in range(20):
        u = (6 * q.flip(3) + problem.sigma.log()).softmax(1)
        swaps += int((u.argmax(1) != q.argmax(1)).all())
        q = u
    assert swaps == 20
    descent = MeanField(problem)
    for _ in range(60):
        descent.step()
    assert descent.residual.item() < 1e-6
    assert descent.q[0].argmax(0).unique().tolist() == [1]


def test_a_step_is_the_textbooks(make_problem):
    """Where full steps lower F, the first is softmax(lam W q - c), pixel by pixel."""
    problem = Energy("CE", "BL", 1.0, 0.2).subproblem(*make_problem(batch=1, classes=3, height=3, width=4))
    descent = MeanField(problem)
    start = descent.q.clone()
    descent.step()
    i, j, w = problem.edges.index_pairs(3, 4)
    for n in range(12):
        row, column = divmod(n, 4)
        if problem.unlabelled[0, row, column]:
            ends = [*zip(i, j, w[0], strict=True), *zip(j, i, w[0], strict=True)]
            message = sum(weight * start[0].flatten(1)[:, b] for a, b, weight in ends if a == n)
            expected = (0.2 * message + problem.sigma[0, :, row, column].log()).softmax(0)
            assert torch.allclose(descent.q[0, :, row, column], expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_weakly_coupled_marginals_are_nearly_exact(seed):
    logits, image, seeds = tiny(seed, 3, 2, 3)
    energy = Energy("CE", "BL", 1.0, 0.1)
    labellings = all_labellings(seeds, 3)
    weights = (-energies_by_hand(labellings, logits, image, seeds, energy)).softmax(0)
    exact = torch.einsum("m,mnk->kn", weights, torch.nn.functional.one_hot(labellings, 3).double()).view(3, 2, 3)
    descent = MeanField(energy.subproblem(logits, image, seeds))
    for _ in range(30):
        descent.step()
    free = seeds[0] == UNLABELLED
    assert (descent.q[0] - exact).abs()[:, free].max() < 0.01


@pytest.mark.parametrize("cross_entropy", CROSS_ENTROPIES)
def test_what_every_solver_owes(cross_entropy, make_problem, check_solution):
    problem, energy = make_problem(classes=4, padding=True), Energy(cross_entropy, "BL", 1.0, 0.5)
    solution = solve(*problem, energy, "mean_field")
    check_solution(solution, energy, *problem)
    assert solution.steps == 10
    inside = (problem[2] != PADDING)[:, None]
    assert ((solution.labels == 0) | (solution.labels == 1) | ~inside).all()


def test_never_below_the_graph_cut_and_near_it(make_problem):
    problem, energy = make_problem(classes=2, height=12, width=12), Energy("CE", "BL", 1.0, 1.0)
    reached, best = (solve(*problem, energy, method).energies[-1] for method in ("mean_field", "graph_cut"))
    assert (reached >= best - 1e-9).all()
    assert (reached <= 1.1 * best).all()


def test_each_option_matters(make_problem):
    logits, image, seeds = make_problem(classes=5)
    seeds = torch.where((seeds == 1) | (seeds == 3), seeds, UNLABELLED)
    energy = Energy("CE", "BL", 1.0, 3.0)
    usual = solve(logits, image, seeds, energy, "mean_field")
    assert not torch.equal(solve(logits, image, seeds, energy, "mean_field", steps=1).labels, usual.labels)
    seeded = solve(logits, image, seeds, energy, "mean_field", labels="seeded")
    assert set(seeded.labels.argmax(1).unique().tolist()) == {1, 3}
    hot = solve(
        logits, image, seeds, Energy("CE", "BL", 0.1, 0.3), "mean_field"
    )  # the same ratio at ten times the temperature
    assert not torch.equal(hot.labels, usual.labels)


def test_callback_and_convergence(make_problem):
    problem, energy, seen = make_problem(), Energy("CE", "BL", 1.0, 0.5), []
    solution = solve(*problem, energy, "mean_field", steps=60, callback=lambda *story: seen.append(story))
    assert solution.converged
    assert [step for step, _, _ in seen] == list(range(61))
    assert torch.equal(torch.stack([e for _, _, e in seen]), solution.energies)
    with pytest.warns(match="2 of 2 images had not converged .* take more steps"):
        assert solve(*problem, energy, "mean_field", callback=lambda *_: True).steps == 0
    with pytest.raises(ValueError, match="steps: expected a whole number"):
        solve(*problem, energy, "mean_field", steps=0)
    with pytest.raises(ValueError, match="labels: expected one of all, seeded"):
        solve(*problem, energy, "mean_field", labels="none")

"""Section 2.1: BL with a unary linear in y is tight. Any soft labelling rounds to a hard one that is no worse."""

import itertools

import pytest
import torch
from helpers.oracles import all_labellings, energies_by_hand
from helpers.problems import tiny
from hypothesis import given
from hypothesis import strategies as st

from toykit import PADDING, UNLABELLED, Dense, Energy, NearestNeighbors, solve
from toykit.solvers import round_greedily
from toykit.solvers.hard_labels.potts_model import harden, neighbor_sum, vertex_costs


def random_labels(problem, seed, sharpness):
    """Any feasible soft labels, from nearly uniform to nearly hard."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(problem.sigma.shape, generator=g, dtype=torch.float64)
    return problem.fix_seeds((sharpness * noise).softmax(1))


@given(
    seed=st.integers(0, 10**6),
    lam=st.sampled_from([0.0, 0.5, 6.0]),
    sharpness=st.sampled_from([0.0, 1.0, 5.0]),
    connectivity=st.sampled_from([4, 8]),
    classes=st.sampled_from([2, 3, 5]),
)
def test_rounding_never_raises_the_energy(seed, lam, sharpness, connectivity, classes):
    inputs = tiny(seed, classes, 5, 4)
    energy = Energy("CE", "BL", 0.3, lam, NearestNeighbors(connectivity=connectivity))
    problem = energy.subproblem(*inputs)
    y = random_labels(problem, seed, sharpness)
    hard = round_greedily(problem, y)
    assert ((hard == 0) | (hard == 1) | problem.padding[:, None]).all()
    assert torch.equal(hard, problem.fix_seeds(hard))
    assert problem.value(hard) <= problem.value(y) * (1 + 1e-12) + 1e-12
    assert problem.value(round_greedily(problem, hard)) <= problem.value(hard) * (1 + 1e-12)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_group_at_once_is_its_pixels_one_by_one(connectivity, make_problem):
    logits, image, seeds = make_problem(batch=1, height=4, width=5, padding=True)
    problem = Energy("CE", "BL", 0.3, 2.0, NearestNeighbors(connectivity=connectivity)).subproblem(logits, image, seeds)
    y = random_labels(problem, 3, 2.0)
    expected = y.clone()
    for row, column in itertools.product((0, 1), (0, 1)):
        for r, c in itertools.product(range(row, 4, 2), range(column, 5, 2)):
            if problem.unlabelled[0, r, c]:
                values = []
                for k in range(3):
                    expected[0, :, r, c] = torch.eye(3, dtype=y.dtype)[k]
                    values.append(problem.value(expected).item())
                expected[0, :, r, c] = torch.eye(3, dtype=y.dtype)[min(range(3), key=values.__getitem__)]
    assert torch.equal(round_greedily(problem, y), expected)


@pytest.mark.parametrize("cross_entropy", ["RCE", "CCE", "Q"])
def test_other_cross_entropies_round_below_their_linear_bound(cross_entropy, make_problem):
    problem = Energy(cross_entropy, "BL", 0.3, 1.0).subproblem(*make_problem(padding=True))
    for seed in range(5):
        y = random_labels(problem, seed, 2.0)
        bound = (vertex_costs(problem) * y).flatten(1).sum(1) + problem.pairwise(y)
        assert (bound >= problem.value(y) - 1e-9).all()
        assert (problem.value(round_greedily(problem, y)) <= bound + 1e-9).all()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_hard_optimum_is_the_soft_one(seed, classes):
    """No soft labelling that many random and local searches find lies below the best hard one; the best one rounds to it."""
    inputs = tiny(seed, classes, 2, 4)
    energy = Energy("CE", "BL", 0.7, 1.0)
    best = float(energies_by_hand(all_labellings(inputs[2], classes), *inputs, energy).min())
    many = energy.subproblem(*(x.expand(60, *x.shape[1:]) for x in inputs))
    start = random_labels(many, seed, 3.0)
    energies = [many.value(start), many.value(round_greedily(many, start))]
    variables = start.clamp_min(1e-6).log().requires_grad_()
    descent = torch.optim.Adam([variables], lr=0.3)
    for _ in range(100):  # a local search from each start
        descent.zero_grad()
        value = many.value(many.fix_seeds(variables.softmax(1)))
        value.sum().backward()
        descent.step()
    energies = torch.cat([*energies, value.detach(), solve(*inputs, energy, "fast", kernel="torch").energies[-1]])
    assert energies.min() >= best - 1e-9
    assert energies.min().item() == pytest.approx(best, rel=1e-6)


def test_the_quadratic_relaxation_is_not_tight():
    """What the claim excludes: a free pixel between two seeds costs lam / 2 halfway, lam at either vertex."""
    logits, image = torch.zeros(1, 2, 1, 3).double(), torch.full((1, 3, 1, 3), 9.0)
    inputs = logits, image, torch.tensor([[[0, UNLABELLED, 1]]])
    energy = Energy("CE", "Q", 0.0, 6.0)
    assert energies_by_hand(all_labellings(inputs[2], 2), *inputs, energy).tolist() == [6.0, 6.0]
    assert solve(*inputs, energy, kernel="torch").energies[-1].item() == pytest.approx(3.0)


def test_what_cannot_be_rounded_is_refused(make_problem):
    problem = Energy().subproblem(*make_problem())
    with pytest.raises(ValueError, match=r"y: expected torch\.float64"):
        round_greedily(problem, problem.sigma.float())
    problem = Energy("CE", "BL", neighborhood=Dense()).subproblem(*make_problem())
    with pytest.raises(ValueError, match="needs NearestNeighbors"):
        round_greedily(problem, problem.sigma)


def test_neighbor_sum(make_problem):
    logits, image, seeds = make_problem(batch=2, padding=True)
    problem = Energy(neighborhood=NearestNeighbors(connectivity=8)).subproblem(logits, image, seeds)
    i, j, weights = problem.edges.index_pairs(6, 7)
    matrix = torch.zeros(2, 42, 42, dtype=torch.float64)
    matrix[:, i, j] = weights
    expected = torch.einsum("bij,bkj->bki", matrix + matrix.mT, problem.sigma.flatten(2)).view_as(problem.sigma)
    assert torch.allclose(neighbor_sum(problem.edges, problem.sigma), expected, rtol=1e-12)
    assert torch.equal(
        harden(problem, seeds.where(seeds < PADDING, 0)).argmax(1)[problem.is_seed], seeds[problem.is_seed]
    )

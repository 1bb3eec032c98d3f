"""Sparse non-local neighbourhoods: the construction's promises, and every sum against a loop over the list."""

import math

import pytest
import torch
from helpers.oracles import edges_by_hand

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors, SelfLabelingLoss, SparseNonLocal, random_walker, solve
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS
from toykit.solvers.block_descent import numba_kernel, proximal, torch_kernel
from toykit.solvers.block_descent.listed import OMEGA
from toykit.solvers.layouts.edge_list import list_edges

SIZES = [(6, 7), (5, 4), (1, 6), (3, 1), (1, 1), (2, 2)]
every_energy = pytest.mark.parametrize(
    ("cross_entropy", "relaxation"), [(c, r) for c in CROSS_ENTROPIES for r in RELAXATIONS]
)


def listed(edges, b=0):
    """{(i, j): weight} with i < j, of the edges that weigh something."""
    weights = {}
    for i, j, w in zip(*(x[b].tolist() for x in (edges.i, edges.j, edges.weights)), strict=True):
        if w > 0:
            assert (min(i, j), max(i, j)) not in weights, "each undirected edge once"
            weights[min(i, j), max(i, j)] = w
    return weights


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("size", SIZES)
def test_the_grid_and_some_far_edges(size, connectivity, make_problem):
    _, image, _ = make_problem(height=size[0], width=size[1])
    edges = SparseNonLocal(30.0, connectivity, far=3).edges(image)
    blocks = edges.blocks.flatten()
    for b in range(2):
        weights, grid = listed(edges, b), edges_by_hand(image[b], connectivity, 30.0)
        assert {pair: weights[pair] for pair in grid} == pytest.approx(grid, rel=1e-12)
        assert len(weights) <= len(grid) + 3 * size[0] * size[1]
        for (i, j), weight in weights.items():
            assert i != j
            assert blocks[i] != blocks[j]
            distance = (image[b].flatten(1)[:, i] - image[b].flatten(1)[:, j]).square().sum()
            assert weight == pytest.approx(math.exp(-float(distance) / (2 * 30.0**2)), rel=1e-12)
    if size == (6, 7):
        assert len(listed(edges)) > len(edges_by_hand(image[0], connectivity)) + 20


def test_far_edges_join_like_colours(generator):
    image = torch.rand(1, 3, 20, 20, generator=generator) * 255
    mean = []
    for candidates in (1, 4, 16):
        edges = SparseNonLocal(1e3, far=4, candidates=candidates).edges(image)
        weights = edges.weights[0, -1600:]
        mean.append(float(weights[weights > 0].log().mean()))
    assert mean[0] < mean[1] < mean[2] < 0


def test_the_seed_decides_and_images_share_the_draws(make_problem):
    _, image, _ = make_problem(batch=2)
    first, again, other = (SparseNonLocal(seed=seed).edges(image) for seed in (0, 0, 1))
    assert torch.equal(first.j, again.j)
    assert not torch.equal(first.j, other.j)
    alone = SparseNonLocal().edges(image[1:])
    assert torch.equal(alone.j, first[1:2].j)
    assert torch.equal(alone.weights, first[1:2].weights)


@pytest.mark.parametrize(
    "changed",
    [{"bandwidth": 3.0}, {"connectivity": 8}, {"factor": 1.0}, {"far": 2}, {"candidates": 2}, {"seed": 3}],
)
def test_each_argument_matters(changed, make_problem):
    logits, image, _ = make_problem()
    values = [SparseNonLocal(**a).edges(image).potts(logits.softmax(1), RELAXATIONS["CD"]) for a in ({}, changed)]
    assert not torch.allclose(*values, rtol=1e-6)


def test_without_far_edges_it_is_the_grid(make_problem):
    logits, image, seeds = make_problem(padding=True)
    values = [
        Energy(neighborhood=n)(logits.softmax(1), logits, image, seeds)
        for n in (SparseNonLocal(far=0), NearestNeighbors())
    ]
    assert torch.allclose(*values, rtol=1e-13)


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_sums_over_the_list(relaxation, make_problem):
    logits, image, seeds = make_problem(padding=True)
    y = logits.softmax(1)
    problem = Energy("CCE", relaxation, neighborhood=SparseNonLocal(30.0)).subproblem(logits, image, seeds)
    edges, mask = problem.edges, problem.is_seed
    for b in range(2):
        flat, labels = y[b].flatten(1), seeds[b].flatten()
        total, equal, different = 0.0, 0.0, 0.0
        flow, degree = torch.zeros_like(flat), torch.zeros_like(flat[0])
        for (i, j), w in listed(edges, b).items():
            assert labels[i] != PADDING
            assert labels[j] != PADDING
            total += w * RELAXATIONS[relaxation](flat[None, :, i], flat[None, :, j])
            flow[:, i] += w * (flat[:, i] - flat[:, j])
            flow[:, j] += w * (flat[:, j] - flat[:, i])
            degree[i] += w
            degree[j] += w
            if max(labels[i], labels[j]) < PADDING:
                equal, different = (
                    equal + w * bool(labels[i] == labels[j]),
                    different + w * bool(labels[i] != labels[j]),
                )
        assert torch.allclose(edges.potts(y, RELAXATIONS[relaxation])[b], total, rtol=1e-12)
        assert torch.allclose(edges.laplacian(y)[b].flatten(1), flow, atol=1e-12)
        assert torch.allclose(edges.degree()[b].flatten(), degree, rtol=1e-12)
        sums = edges.within(mask).weight_by_agreement(seeds)
        assert [float(x[b]) for x in sums] == pytest.approx([float(equal), float(different)], rel=1e-12)


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_gradients_by_finite_differences(relaxation, make_problem):
    logits, image, seeds = make_problem(height=4, width=4)
    energy = Energy("CCE", relaxation, neighborhood=SparseNonLocal(30.0))
    edges = energy.subproblem(logits, image, seeds).edges
    y = logits.softmax(1).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: edges.potts(y, RELAXATIONS[relaxation]), y, fast_mode=True)
    assert torch.autograd.gradcheck(
        lambda x: energy.weakly_supervised_loss(x, image, seeds), logits.requires_grad_(), fast_mode=True
    )


def test_the_random_walker(make_problem):
    logits, image, seeds = make_problem(padding=True)
    direct, iterated = (
        random_walker(logits, image, seeds, neighborhood=SparseNonLocal(30.0), backend=backend)
        for backend in ("direct", "cg")
    )
    assert torch.allclose(direct.labels, iterated.labels, atol=1e-7)
    with pytest.raises(ValueError, match="NearestNeighbors"):
        random_walker(logits, image, seeds, neighborhood=SparseNonLocal(), backend="sor")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bandwidth": "auto"}, r"bandwidth: expected a number in \[1e-6, 1e6\], got 'auto'"),
        ({"factor": 0}, "factor: .* got 0"),
        ({"connectivity": 6}, "connectivity: expected one of 4, 8; got 6"),
        ({"far": -1}, "far: expected a whole number, at least 0; got -1"),
        ({"candidates": 0}, "candidates: expected a whole number, at least 1; got 0"),
        ({"seed": True}, "seed: .* got True"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        SparseNonLocal(**arguments)


@every_energy
def test_the_fast_solver_is_below_the_papers_and_never_up(cross_entropy, relaxation, make_problem, check_fast):
    problem = make_problem(batch=4, height=12, width=11, padding=True, seed=3)
    energy = Energy(cross_entropy, relaxation, neighborhood=SparseNonLocal(20.0))
    check_fast(energy, *problem)


@every_energy
@pytest.mark.parametrize("kernel", [torch_kernel, numba_kernel])
def test_a_sweep_lowers_the_energy_by_what_it_says(cross_entropy, relaxation, kernel, make_problem):
    energy = Energy(cross_entropy, relaxation, neighborhood=SparseNonLocal(30.0, 8))
    problem = energy.subproblem(*make_problem(batch=1, height=9, width=16, padding=True))
    x = list_edges(problem, problem.fix_seeds(problem.sigma))
    before = kernel.energy(x, cross_entropy, relaxation, energy.eta)
    assert torch.allclose(before, problem.value(x.unpack()) - problem.constant(), rtol=1e-10, atol=1e-12)
    for _ in range(3):
        change = kernel.sweep(x, cross_entropy, relaxation, energy.eta, OMEGA)
        after = kernel.energy(x, cross_entropy, relaxation, energy.eta)
        assert (change <= 0).all()
        assert torch.allclose(after - before, change, rtol=1e-7, atol=1e-9)
        before = after


@every_energy
def test_both_kernels_agree(cross_entropy, relaxation, make_problem):
    """On more pixels of a block than the numba kernel takes at a time, and classes that wake."""
    logits, image, seeds = make_problem(batch=1, height=13, width=12, classes=5, padding=True)
    if relaxation == "LQ":  # singular between two different seeds: the way out of there is decided by rounding
        seeds = seeds.where(seeds > 5, UNLABELLED)
    problem = Energy(cross_entropy, relaxation, neighborhood=SparseNonLocal(20.0)).subproblem(logits, image, seeds)
    labels = []
    for kernel in (torch_kernel, numba_kernel):
        x = list_edges(problem, problem.fix_seeds(problem.sigma))
        for _ in range(3):
            kernel.sweep(x, cross_entropy, relaxation, 0.3, OMEGA)
        labels.append(x.unpack())
    assert torch.allclose(*labels, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "relaxation", [name for name in RELAXATIONS if name != "LQ"]
)  # LQ is singular between two vertices
def test_classes_that_nobody_holds_wake_up(relaxation, make_problem, monkeypatch):
    # a search over fewer classes is further along after the same few steps; both end at the same point
    monkeypatch.setattr(proximal.prox_collision, "__defaults__", (30,))
    monkeypatch.setattr(numba_kernel, "PROJECTION_STEPS", 30)
    logits, image, seeds = make_problem(batch=1, height=9, width=11, classes=40)
    energy = Energy("CCE", relaxation, neighborhood=SparseNonLocal(9))
    problem = energy.subproblem(3 * logits, image, torch.full_like(seeds, UNLABELLED))
    first = torch.zeros_like(problem.sigma)
    first[:, 0, :, :6] = first[:, 1, :, 6:] = 1
    labels = []
    for kernel in (torch_kernel, numba_kernel):
        x = list_edges(problem, first)
        kernel.sweep(x, "CCE", relaxation, 0.3, OMEGA)
        labels.append(x.unpack())
    assert torch.allclose(*labels, rtol=0, atol=1e-6)
    assert (labels[0][:, 2:].amax((0, 2, 3)) > 0).sum() > 5


def test_both_layouts_agree_on_the_grid(make_problem):
    """The same edges as a list and as quarters: the same sweeps."""
    problem = make_problem(height=9, width=10, padding=True)
    listed, grid = (
        solve(*problem, Energy(neighborhood=n), kernel="torch") for n in (SparseNonLocal(far=0), NearestNeighbors())
    )
    assert torch.allclose(listed.labels, grid.labels, rtol=0, atol=1e-9)
    assert torch.allclose(listed.energies, grid.energies, rtol=1e-10)


def test_fast_on_the_convex_energy_is_the_random_walker(make_problem):
    problem = make_problem(padding=True)
    neighborhood = SparseNonLocal(30.0)
    energy = Energy("Q", "Q", neighborhood=neighborhood)
    assert torch.allclose(
        solve(*problem, energy, tolerance=1e-12, max_steps=500).labels,
        random_walker(*problem, neighborhood=neighborhood).labels,
        atol=1e-4,
    )


def test_fast_on_few_classes_no_seeds_and_as_a_loss(make_problem):
    logits, image, seeds = make_problem(classes=6)
    energy = Energy(neighborhood=SparseNonLocal())
    some = solve(logits, image, seeds, energy, active_classes=0.3)
    assert (some.energies[-1] <= some.energies[0]).all()
    assert solve(logits, image, torch.full_like(seeds, 255), energy).converged
    assert solve(logits, image, torch.zeros_like(seeds), energy).converged
    logits.requires_grad_()
    SelfLabelingLoss(energy)(logits, image, seeds).backward()
    assert logits.grad.isfinite().all()

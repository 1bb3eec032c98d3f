"""Levels of the fast solver: the coarse sub-problem against the fine one, and the start that comes from it."""

import itertools

import pytest
import torch

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors, SparseNonLocal, solve
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.energy.cells import cell_seeds
from toykit.potts import RELAXATIONS
from toykit.simplex import one_hot
from toykit.solvers.block_descent import levels, numba_kernel
from toykit.solvers.block_descent.levels import coarse_edges, coarsen, number_of_levels, prolong

every_energy = pytest.mark.parametrize(
    ("cross_entropy", "relaxation"), [(c, r) for c in CROSS_ENTROPIES for r in RELAXATIONS]
)


def undecided(make_problem, *, height=32, width=40, padding=False, **options):
    """Return a problem whose predictions decide nothing: uniform, and one seed in the upper corners for each of two classes."""
    logits, image, seeds = make_problem(height=height, width=width, padding=padding, **options)
    known = torch.full_like(seeds, UNLABELLED)
    known[:, 2:5, 3], known[:, 2:5, -4] = 0, 1
    return torch.zeros_like(logits), image, torch.where(seeds == PADDING, PADDING, known)


def repeat(x):
    """Give each cell's value to its 2 x 2 pixels."""
    return x.repeat_interleave(2, -2).repeat_interleave(2, -1)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (4, 5), (3, 2), (1, 1)])
def test_edges_between_cells_by_hand(size, connectivity, make_problem):
    """Every fine edge whose ends are in two cells adds a quarter of its weight to these cells' edge."""
    height, width = size
    _, image, seeds = make_problem(height=height, width=width)
    edges = NearestNeighbors(30, connectivity).edges(image, seeds == 0)
    i, j, weights = edges.index_pairs(height, width)
    rows, columns = -(-height // 2), -(-width // 2)
    expected = {}
    for n, (a, b) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
        cells = tuple(sorted((p // width // 2) * columns + p % width // 2 for p in (a, b)))
        if cells[0] != cells[1]:
            expected[cells] = expected.get(cells, 0) + weights[:, n] / 4
    coarse = coarse_edges(edges, size)
    i, j, weights = coarse.index_pairs(rows, columns)
    pairs = {tuple(sorted(pair)): weights[:, n] for n, pair in enumerate(zip(i.tolist(), j.tolist(), strict=True))}
    assert expected.keys() <= pairs.keys()
    for pair, weight in pairs.items():
        assert torch.allclose(weight, torch.as_tensor(expected.get(pair, 0)).to(weight), rtol=1e-12, atol=0)


@every_energy
@pytest.mark.parametrize("connectivity", [4, 8])
def test_the_coarse_terms_are_a_quarter(cross_entropy, relaxation, connectivity, make_problem, generator):
    """For labels equal in each cell, up to a constant.

    BL and CCE are 0 inside a cell only between vertices; CCE's unary adds up only where the predictions are equal, too.
    """
    logits, image, seeds = make_problem(height=8, width=10)
    logits = repeat(logits[..., ::2, ::2]) if cross_entropy == "CCE" else logits
    energy = Energy(cross_entropy, relaxation, neighborhood=NearestNeighbors(30, connectivity))
    problem = energy.subproblem(logits, image, torch.full_like(seeds, UNLABELLED))
    coarse = coarsen(problem)
    labels = [torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64).softmax(1) for _ in range(2)]
    if relaxation in ("BL", "CCE"):
        labels = [0.999 * one_hot(y.argmax(1), 3, dtype=y.dtype) + 0.001 / 3 for y in labels]
    loose = 0.05 if relaxation in ("BL", "CCE") else 1e-9
    soft = 1 if relaxation in ("BL", "CCE") else 2
    for term in ("unary", "pairwise"):
        cells = [getattr(coarse, term)(y) for y in labels]
        pixels = [getattr(problem, term)(repeat(y)) for y in labels]
        assert torch.allclose(4 * (cells[0] - cells[1]), pixels[0] - pixels[1], rtol=loose)
    assert coarse.energy.lam == energy.lam / soft


def test_seeds_survive_and_padding_does_not_count(make_problem):
    logits, image, seeds = make_problem(height=10, width=11, padding=True)
    seeds[:, -3:] = PADDING
    problem = Energy("Q", "Q").subproblem(logits, image, seeds)
    coarse = coarsen(problem)
    assert torch.equal(coarse.seeds, cell_seeds(seeds, 3, 2))
    for row, column in itertools.product(range(5), range(6)):
        cell = seeds[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten(1)
        assert torch.equal((cell < PADDING).any(1), coarse.is_seed[:, row, column])
        assert torch.equal((cell == PADDING).all(1), coarse.padding[:, row, column])
    labels = prolong(coarse.sigma, problem)
    assert torch.equal(labels, problem.fix_seeds(labels))
    for y in (coarse.sigma, labels):
        assert torch.allclose(y.sum(1), torch.ones((), dtype=torch.float64))


@every_energy
def test_labels_cross_the_image(cross_entropy, relaxation, make_problem, check_solution):
    """The checks of every solver where predictions decide nothing, and no energy above that without levels."""
    problem = undecided(make_problem, batch=1, height=40, width=44, padding=True, classes=2)
    energy = Energy(cross_entropy, relaxation)
    solution, without = (solve(*problem, energy, levels=n, max_steps=500) for n in (2, 0))
    check_solution(solution, energy, *problem)
    assert solution.converged
    assert (solution.energies.diff(dim=0) <= 0).all()
    assert (solution.energies[-1] <= without.energies[-1] * (1 + 2e-3)).all()
    if cross_entropy in ("CE", "CCE"):  # the others pull undecided labels towards the predictions
        assert "1 of 1 images started from the labels of coarser grids" in solution.message
        assert (solution.energies[-1] < without.energies[-1]).all()


def test_labels_far_from_the_seeds():
    """On a constant image with a seed in the left and the right column, each half gets the label of its side."""
    seeds = torch.full((1, 128, 128), UNLABELLED)
    seeds[:, :, 0], seeds[:, :, -1] = 0, 1
    problem, energy = (torch.zeros(1, 2, 128, 128), torch.full((1, 3, 128, 128), 128.0), seeds), Energy("CCE", "Q")
    solution, without = (solve(*problem, energy, levels=n) for n in ("auto", 0))
    assert (solution.labels[:, 0, :, :60] > 0.51).all()
    assert (solution.labels[:, 1, :, 68:] > 0.51).all()
    assert (without.labels[:, 0, :, 50:78] - 0.5).abs().max() < 0.01
    assert solution.energies[-1] < without.energies[-1]
    assert solution.steps < without.steps


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_where_predictions_decide_nothing_changes(relaxation, make_problem):
    problem, energy = make_problem(height=32, width=33, dtype=torch.float32), Energy("CCE", relaxation)
    solution, without = (solve(*problem, energy, levels=n) for n in (2, 0))
    assert torch.equal(solution.labels, without.labels)
    assert torch.equal(solution.energies, without.energies)
    assert solution.message == without.message


def test_the_trial_matters(make_problem, monkeypatch):
    problem = make_problem(height=32, width=33, dtype=torch.float32)
    monkeypatch.setattr(
        levels, "_below_predictions", lambda problem, *_: torch.ones(len(problem.sigma), dtype=torch.bool)
    )
    assert "coarser" in solve(*problem, Energy("CCE", "CCE"), levels=2).message


def test_each_image_as_alone_and_twice_the_same(make_problem):
    """One image whose predictions decide, one whose do not; alone, together, and in long rows."""
    undecided_problem = undecided(make_problem, batch=2, dtype=torch.float32)
    problem = [x.clone() for x in undecided_problem]
    decided = make_problem(height=32, width=40, dtype=torch.float32)
    problem[0][0], problem[2][0] = decided[0][0], decided[2][0]
    together = solve(*problem, levels=2)
    assert "1 of 2 images started" in together.message
    assert torch.equal(solve(*problem, levels=2).labels, together.labels)
    for b in range(2):
        alone = solve(*(x[b : b + 1] for x in problem), levels=2)
        assert torch.equal(alone.labels[0], together.labels[b])
    in_rows = solve(*problem, levels=2, side_by_side=True)
    assert "1 of 2 images started" in in_rows.message
    assert torch.allclose(in_rows.energies[-1], together.energies[-1], rtol=1e-3)


def test_coarse_grids_of_several_images_together(make_problem, monkeypatch):
    """As of each image alone, in fewer calls; the images on which the trial failed take part in none after it."""
    swept, sweep = [], numba_kernel.sweep
    monkeypatch.setattr(
        numba_kernel, "sweep", lambda x, *rest: swept.append((x.size[0], len(x.labels))) or sweep(x, *rest)
    )
    problem = undecided(make_problem, batch=3, dtype=torch.float32)
    decided = make_problem(height=32, width=40, dtype=torch.float32)
    problem[0][1], problem[2][1] = decided[0][0], decided[2][0]
    solutions, numbers = [], problem[0][0].numel()
    for together, most in ((1, 1), (2 * numbers, 2), (levels.TOGETHER, 3)):
        monkeypatch.setattr(levels, "TOGETHER", together)
        swept.clear()
        solutions.append(solve(*problem, levels=2))
        assert max(images for _, images in swept) == most
        assert solutions[0].message == solutions[-1].message
        assert torch.equal(solutions[0].labels, solutions[-1].labels)
        assert torch.equal(solutions[0].energies, solutions[-1].energies)
    assert "2 of 3 images started" in solutions[0].message
    on_cells = [images for rows, images in swept if rows == 16]
    assert on_cells[: levels.TRIAL] == [3] * levels.TRIAL
    assert set(on_cells[levels.TRIAL :]) == {2}


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_images_of_a_batch_need_different_sweeps(relaxation, make_problem, monkeypatch):
    """A large image as alone: sweeps on Q are taken by the images that need them, and none uses up another's sweeps."""
    monkeypatch.setattr(levels, "LARGE", 20 * 24)
    problem = undecided(make_problem, batch=3, height=44, width=48, dtype=torch.float32)
    decided = make_problem(height=44, width=48, dtype=torch.float32)
    problem[0][1], problem[2][1] = decided[0][0], decided[2][0]
    energy = Energy("CCE", relaxation)
    for most in (levels.COARSE_SWEEPS, 26):
        monkeypatch.setattr(levels, "COARSE_SWEEPS", most)
        together = solve(*problem, energy, levels=2, on_failure="ignore")
        for b in range(3):
            alone = solve(*(x[b : b + 1] for x in problem), energy, levels=2, on_failure="ignore")
            assert torch.equal(alone.labels[0], together.labels[b])


@pytest.mark.parametrize("relaxation", [r for r in RELAXATIONS if r != "Q"])
def test_sweeps_on_q_come_first_on_the_coarsest_grid(relaxation, make_problem, monkeypatch):
    """And for the relaxations of which local minima matter most, on each."""
    swept, sweep = [], numba_kernel.sweep
    monkeypatch.setattr(numba_kernel, "sweep", lambda x, *rest: swept.append((x.size[0], rest[1])) or sweep(x, *rest))
    problem = undecided(make_problem, batch=1, dtype=torch.float32)
    assert "1 of 1 images started" in solve(*problem, Energy("CCE", relaxation), levels=2).message
    with_q = {size for size, kind in swept if kind == "Q"}
    assert with_q == ({8} if relaxation in ("NQ", "LQ", "CD") else {8, 16, 32})


def test_both_kernels_agree(make_problem):
    problem, energy = undecided(make_problem, dtype=torch.float32), Energy("CCE", "CD")
    one, other = (solve(*problem, energy, levels=2, kernel=kernel) for kernel in ("torch", "numba"))
    assert one.message.endswith("2 of 2 images started from the labels of coarser grids")
    assert torch.allclose(one.energies[-1], other.energies[-1], rtol=1e-3)


def test_with_some_classes_only(make_problem, check_solution):
    logits, image, seeds = undecided(make_problem, classes=4, dtype=torch.float32)
    present = torch.tensor([[True, True, False, False]] * 2)
    solution = solve(logits, image, seeds, levels=2, present=present)
    assert "coarser" in solution.message
    assert (solution.labels[:, 2:] == 0).all()
    narrow = solve(logits[:, :2], image, seeds, levels=2)
    assert torch.equal(solution.labels[:, :2], narrow.labels)
    logits[:, 2:] = -3.0  # a share of 2.4% each
    solution = solve(logits, image, seeds, levels=2, active_classes=0.05)
    check_solution(solution, Energy(), logits, image, seeds, tolerance=1e-5)
    assert "at most 2 of 4 classes in an image; 2 of 2 images started" in solution.message


def test_a_start_and_other_neighborhoods_have_no_levels(make_problem):
    problem = undecided(make_problem, dtype=torch.float32)
    first = torch.full_like(problem[0], 1 / 3)
    for options in ({"start": first}, {"energy": Energy(neighborhood=SparseNonLocal(far=1))}):
        one, other = (solve(*problem, **options, levels=n, on_failure="ignore") for n in (2, 0))
        assert torch.equal(one.labels, other.labels)
        assert "coarser" not in one.message


@every_energy
def test_a_large_image_starts_from_its_cells_also_where_predictions_decide(
    cross_entropy, relaxation, make_problem, monkeypatch
):
    """Through two coarser grids, without a trial and without sweeps on Q on the image itself."""
    problem = make_problem(batch=1, height=33, width=40, dtype=torch.float32, padding=True)
    energy = Energy(cross_entropy, relaxation)
    without = solve(*problem, energy, levels=0, on_failure="ignore")
    monkeypatch.setattr(levels, "LARGE", 10 * 20)
    monkeypatch.setattr(levels, "_below_predictions", None)  # a trial would fail
    solution = solve(*problem, energy, levels=2, on_failure="ignore")
    assert (solution.energies[-1] <= without.energies[-1] * 1.02).all()
    assert torch.allclose(energy(solution.labels, *problem), solution.energies[-1], rtol=1e-3)
    if (cross_entropy, relaxation) in levels.WITHOUT_LEVELS:
        assert "coarser" not in solution.message
    elif "1 of 1 images started from the labels of coarser grids" in solution.message:
        assert (solution.energies[0] < without.energies[0]).all()
        assert solution.steps <= 1 or solution.energies[1] < solution.energies[0]


def test_large_images_have_as_many_levels_as_leave_few_cells(monkeypatch):
    monkeypatch.setattr(levels, "LARGE", 64 * 128)
    for size, expected in (((128, 128), 1), ((256, 129), 2), ((64, 128), 0), ((8, 5000), 0), ((300, 500), 3)):
        logits, seeds = torch.zeros(1, 2, *size), torch.full((1, *size), UNLABELLED)
        logits[:, 0] = 9.0
        problem = Energy().subproblem(logits, torch.zeros(1, 3, *size), seeds)
        assert number_of_levels("auto", problem) == expected
        assert number_of_levels(1, problem) == min(1, number_of_levels(9, problem))


@pytest.mark.parametrize(
    ("option", "size", "expected"),
    [("auto", (240, 320), 5), ("auto", (128, 128), 4), ("auto", (127, 128), 0), ("auto", (7, 9000), 0), (0, (240, 320), 0),
     (2, (240, 320), 2), (9, (240, 320), 5), (1, (16, 16), 1), (1, (14, 14), 0), (1, (15, 15), 1)],
)  # fmt: skip
def test_number_of_levels(option, size, expected):
    logits, image, seeds = torch.zeros(1, 2, *size), torch.zeros(1, 3, *size), torch.full((1, *size), UNLABELLED)
    assert number_of_levels(option, Energy().subproblem(logits, image, seeds)) == expected
    assert number_of_levels(option, Energy("RCE", "BL").subproblem(logits, image, seeds)) == 0
    far = Energy(neighborhood=SparseNonLocal(far=1))
    if size == (16, 16):
        assert number_of_levels(option, far.subproblem(logits, image, seeds)) == 0


def test_auto_has_levels_where_predictions_hardly_decide():
    """One image of the batch suffices: the trial sorts out the others."""
    size = (128, 132)
    certain = torch.zeros(1, 3, *size)
    certain[:, 0] = 50.0
    seeds = torch.full((2, *size), UNLABELLED)
    seeds[:, ::3], seeds[1, 1] = 0, PADDING
    image = torch.zeros(2, 3, *size)
    for logits, eta, lam, pull, expected in (
        (torch.cat([certain, certain]), 0.3, 6.0, [0.05, 0.05], 0),
        (torch.cat([certain, 0 * certain]), 0.3, 6.0, [0.05, 0.0], 4),
        (torch.cat([certain, certain]), 0.003, 6.0, [5e-4, 5e-4], 4),
        (0 * torch.cat([certain, certain]), 0.3, 0.0, [float("inf")] * 2, 0),
    ):
        problem = Energy(eta=eta, lam=lam).subproblem(logits, image, seeds)
        assert levels.pull(problem).tolist() == pytest.approx(pull, abs=1e-6)
        assert number_of_levels("auto", problem) == expected
    half = torch.log(torch.tensor([0.5, 0.25, 0.25])).view(1, 3, 1, 1).expand(1, 3, *size)
    problem = Energy(eta=2.0, lam=4.0).subproblem(half, image[:1], seeds[:1])
    assert levels.pull(problem).item() == pytest.approx(0.5 * (3 * 0.375 - 1) / 2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, "levels: expected a whole number, at least 0; got -1"),
        (1.5, "whole number"),
        ("all", "one of auto"),
        (True, "whole"),
    ],
)
def test_bad_levels(value, message, make_problem):
    with pytest.raises(ValueError, match=message):
        solve(*make_problem(), levels=value)


def test_the_callback_sees_the_labels_it_starts_from(make_problem):
    problem, seen = undecided(make_problem, batch=1), []
    solution = solve(*problem, levels=2, callback=lambda *story: seen.append(story))
    assert [story[0] for story in seen] == list(range(solution.steps + 1))
    assert torch.allclose(Energy()(seen[0][1], *problem), solution.energies[0])
    assert torch.allclose(torch.cat([story[2] for story in seen]), solution.energies[:, 0], rtol=1e-6)

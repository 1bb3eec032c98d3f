"""The closed form: against a dense system assembled here, random feasible labels, and scikit-image's random walker."""

import numpy as np
import pytest
import torch
from helpers.oracles import edges_by_hand

from toykit import PADDING, UNLABELLED, ConvergenceWarning, Energy, NearestNeighbors, random_walker, solve


def dense_solution(logits, image, seeds, eta, lam, connectivity=4):
    """One image: eta |y - sigma|^2 + lam sum w |y_i - y_j|^2 / 2 is stationary at each unlabelled pixel."""
    classes, n = logits.shape[0], seeds.numel()
    labels, sigma = seeds.flatten().numpy(), logits.double().softmax(0).flatten(1).T.numpy()
    matrix, right = np.eye(n), sigma.copy()  # padding: y = sigma
    for i in range(n):
        if labels[i] < PADDING:
            right[i] = np.eye(classes)[labels[i]]
        elif labels[i] == UNLABELLED:
            matrix[i, i], right[i] = 2 * eta, 2 * eta * sigma[i]
    for (i, j), w in edges_by_hand(image.double(), connectivity, padding=seeds == PADDING).items():
        for a, b in ((i, j), (j, i)):
            if labels[a] == UNLABELLED:
                matrix[a, a] += lam * w
                matrix[a, b] -= lam * w
    return torch.from_numpy(np.linalg.solve(matrix, right).T).view_as(logits)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("eta", "lam"), [(0.3, 6.0), (2.0, 0.5), (0.0, 1.0), (1.0, 0.0)])
def test_equals_the_dense_system(eta, lam, connectivity, make_problem, check_solution):
    logits, image, seeds = make_problem(classes=4, padding=True)
    seeds[:, :-1, 0] = torch.arange(5) % 4  # so that eta = 0 reaches every pixel
    neighborhood = NearestNeighbors(connectivity=connectivity)
    solution = random_walker(logits, image, seeds, eta, lam, neighborhood)
    check_solution(solution, Energy("Q", "Q", eta, lam, neighborhood), logits, image, seeds, tolerance=1e-12)
    for b in range(2):
        expected = dense_solution(logits[b], image[b], seeds[b], eta, lam, connectivity)
        assert torch.allclose(solution.labels[b], expected, rtol=0, atol=1e-10)
    assert solution.converged
    assert solution.steps == 0
    assert (solution.residual < 1e-12).all()
    assert "relative residual" in solution.message


def test_no_feasible_labels_cost_less(make_problem, generator):
    logits, image, seeds = make_problem(batch=1)
    energy = Energy("Q", "Q")
    solution = random_walker(logits, image, seeds)
    best, free = solution.energies[0], (seeds == UNLABELLED)[:, None]
    problem = energy.subproblem(logits, image, seeds)
    for trial in range(1000):
        other = torch.randn(logits.shape, generator=generator, dtype=torch.float64).mul(3).softmax(1)
        share = 10.0 ** -(trial % 5)  # far and near
        assert problem.value(torch.where(free, (1 - share) * solution.labels + share * other, solution.labels)) > best


def test_the_gradient_solver_converges_to_it(make_problem):
    problem, energy = make_problem(), Energy("Q", "Q")
    exact = solve(*problem, energy, method="closed_form")
    descent = solve(*problem, energy, "gradient", steps=1500, tolerance=1e-5)
    assert (descent.energies[-1] >= exact.energies[-1] - 1e-9).all()
    assert torch.allclose(descent.labels, exact.labels, atol=2e-3)


def test_solve_is_the_same(make_problem):
    logits, image, seeds = make_problem()
    a = solve(logits, image, seeds, Energy("Q", "Q", 0.2, 3.0, NearestNeighbors(5)), method="closed_form")
    b = random_walker(logits, image, seeds, 0.2, 3.0, NearestNeighbors(5))
    assert torch.allclose(a.labels, b.labels, rtol=0, atol=1e-14)
    for dtype in (torch.float16, torch.float32):  # float64 whatever the inputs
        exact = random_walker(logits.to(dtype).double(), image, seeds).labels
        low = logits.to(dtype)
        for labels in (
            random_walker(low, image, seeds).labels,
            solve(low, image, seeds, Energy("Q", "Q"), method="closed_form").labels,
        ):
            assert labels.dtype == torch.float64
            assert torch.allclose(labels, exact, rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_scikit_image_at_zero_unary(seed):
    """skimage weighs edges exp(-beta d^2 / (10 std sqrt(3))) + 1e-10, std taken over the whole image; ours are
    exp(-d^2 / (2 s^2)) with d in 0..255. They match, but for the 1e-10, with 2 s^2 = 255^2 * 10 std sqrt(3) / beta,
    d and std on its side in 0..1. The ranks of its labels start at 1, 0 is unlabelled."""
    from skimage.data import astronaut
    from skimage.segmentation import random_walker as oracle

    crop = astronaut()[100 + 40 * seed : 132 + 40 * seed, 200:240]
    marks = np.zeros(crop.shape[:2], dtype=np.int64)
    marks[2:5, 3:30], marks[20:28, 10], marks[28, 30:38] = 1, 2, 3
    data = crop / 255.0
    beta = 30.0
    bandwidth = 255 * (10 * data.std() * np.sqrt(3) / beta / 2) ** 0.5
    expected = oracle(data, marks, beta=beta, mode="bf", channel_axis=-1, return_full_prob=True, tol=1e-12)
    image = torch.from_numpy(crop).movedim(-1, 0)[None]
    seeds = torch.from_numpy(np.where(marks > 0, marks - 1, UNLABELLED))[None]
    logits = torch.zeros(1, 3, 32, 40)
    ours = random_walker(logits, image, seeds, eta=0.0, neighborhood=NearestNeighbors(bandwidth))
    assert np.abs(ours.labels[0].numpy() - expected).max() < 1e-6
    # the oracle detects a wrong bandwidth and, by our convention, a wrong factor
    wrong = random_walker(logits, image, seeds, eta=0.0, neighborhood=NearestNeighbors(bandwidth * 2))
    assert np.abs(wrong.labels[0].numpy() - expected).max() > 1e-3


def test_a_batch_is_its_images_one_by_one(make_problem):
    problem = make_problem(padding=True)
    together = random_walker(*problem)
    for b in range(2):
        alone = random_walker(*(x[b : b + 1] for x in problem))
        assert torch.equal(alone.labels[0], together.labels[b])
        assert alone.residual[0] == together.residual[b]


@pytest.mark.parametrize(
    "changed",
    [{"eta": 1.0}, {"lam": 1.0}, {"neighborhood": NearestNeighbors(3)}, {"neighborhood": NearestNeighbors(9, 8)}],
)
def test_each_argument_matters(changed, make_problem):
    problem = make_problem()
    assert not torch.allclose(random_walker(*problem).labels, random_walker(*problem, **changed).labels, atol=1e-3)
    defaults = {"eta": 0.3, "lam": 6.0, "neighborhood": NearestNeighbors(9.0, 4)}
    assert torch.equal(random_walker(*problem).labels, random_walker(*problem, **defaults).labels)


def test_pixels_no_seed_reaches(make_problem):
    logits, image, seeds = make_problem(batch=1, height=4, width=6)
    seeds[:] = UNLABELLED
    seeds[0, 0, 0] = 1
    seeds[0, :, 3] = PADDING  # a wall
    remedy = r"no seed reaches 8 unlabelled pixels \(the first is pixel 4 .*add a seed there, use eta > 0, or a larger"
    with pytest.raises(ValueError, match=remedy):
        random_walker(logits, image, seeds, eta=0.0)
    with pytest.raises(ValueError, match="eta = 0 and lam = 0 no seed reaches 19 unlabelled"):
        random_walker(logits, image, seeds, eta=0.0, lam=0.0)
    solution = random_walker(logits, image, seeds, eta=0.1)
    expected = dense_solution(logits[0], image[0], seeds[0], 0.1, 6.0)
    assert torch.allclose(solution.labels[0], expected, atol=1e-10)
    alone = solve(logits, image, seeds.where(seeds == PADDING, 2), Energy("Q", "Q", eta=0), method="closed_form")
    assert alone.converged  # every pixel a seed: nothing to solve


@pytest.mark.parametrize("contrast", [10, 14, 15, 20, 40, 100])
def test_an_island_behind_steep_edges(contrast, make_problem):
    """A seedless region that only weights of 1e-8 ... 1e-400 join to the rest: by symmetry its labels are 1/2, or a
    ValueError with the remedy, or a warning; never a crash, never a wrong label in silence."""
    image = torch.zeros(1, 3, 12, 12)
    image[:, :, 4:8, 4:8] = contrast
    seeds = torch.full((1, 12, 12), UNLABELLED)
    seeds[0, :, 0], seeds[0, :, -1] = 0, 1
    try:
        solution = random_walker(torch.zeros(1, 2, 12, 12), image, seeds, eta=0.0, neighborhood=NearestNeighbors(3.0))
    except ValueError as error:
        assert "use eta > 0, or a larger bandwidth" in str(error)  # noqa: PT017
        assert contrast >= 14
    except ConvergenceWarning:
        assert contrast >= 14
    else:
        island = solution.labels[0, :, 4:8, 4:8]
        assert torch.allclose((island + island.flip(2)) / 2, torch.full_like(island, 0.5), atol=1e-6)


@pytest.mark.parametrize(("eta", "lam"), [(1e-17, 6.0), (1e-300, 6.0), (0.0, 1e-320), (1e300, 1e-300), (1e-300, 1e300)])
def test_absurd_weights_give_labels_or_a_clear_error(eta, lam, make_problem, check_solution):
    problem = make_problem()
    problem[2][:, 0, 0] = 0
    island = make_problem(batch=1, height=3, width=3)
    island[2][:] = UNLABELLED
    for logits, image, seeds in (problem, island):
        try:
            solution = random_walker(logits, image, seeds, eta, lam)
        except ValueError as error:
            assert "eta" in str(error)  # noqa: PT017
        except ConvergenceWarning:
            pass
        else:
            assert solution.labels.isfinite().all()
            assert (solution.labels.sum(1) - 1).abs().max() < 1e-9


@pytest.mark.parametrize("terms", [("CCE", "Q"), ("Q", "CD"), ("CE", "BL")])
def test_other_terms_have_no_closed_form(terms, make_problem):
    with pytest.raises(ValueError, match=r'cross_entropy="Q" and relaxation="Q" only, got .*; use method="fast"'):
        solve(*make_problem(), Energy(*terms), method="closed_form")


def test_bad_arguments(make_problem):
    logits, image, seeds = make_problem()
    with pytest.raises(ValueError, match=r"eta: expected a number in \[0, inf\), got -1"):
        random_walker(logits, image, seeds, eta=-1)
    with pytest.raises(ValueError, match=r"seeds: expected a class in 0..2"):
        random_walker(logits, image, seeds.where(seeds > 2, 9))
    with pytest.raises(TypeError, match=r"logits: expected a floating dtype, got torch.int64"):
        random_walker(logits.long(), image, seeds)


def test_surroundings_do_not_matter(make_problem):
    problem = make_problem()
    usual = random_walker(*problem).labels
    with torch.inference_mode():
        inside = random_walker(*(x.clone() for x in problem)).labels
        assert torch.equal(inside, usual)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(random_walker(*problem).labels, usual)
    weights = torch.ones_like(inside, requires_grad=True)
    (inside * weights).sum().backward()  # an ordinary tensor: autograd may save it


def test_callback_is_called_once(make_problem):
    problem, seen = make_problem(), []
    solution = solve(*problem, Energy("Q", "Q"), "closed_form", callback=lambda *story: seen.append(story))
    ((step, labels, energies),) = seen
    assert step == 0
    assert torch.equal(labels, solution.labels)
    assert torch.equal(energies, solution.energies[0])

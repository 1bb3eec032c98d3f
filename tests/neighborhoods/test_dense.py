"""Dense neighbourhoods: the filter against all pairs, one by one; the energies made of it; what it refuses."""

import math
import re
from pathlib import Path

import pytest
import torch

from toykit import PADDING, UNLABELLED, Dense, Energy, potts, random_walker, solve
from toykit._shared import lanes
from toykit._shared.compiled import digest
from toykit.datasets.photos import photo
from toykit.neighborhoods import bilateral_loops
from toykit.neighborhoods.bilateral import BilateralGrid, BruteForce
from toykit.simplex import one_hot

RELAXATIONS = {"BL": potts.bilinear, "Q": potts.quadratic}
every_relaxation = pytest.mark.parametrize("relaxation", RELAXATIONS)
exact_or_not = pytest.mark.parametrize("exact", [True, False])


def weights_by_hand(image, bandwidth=9.0, spatial_bandwidth=100.0, padding=None):
    """(N, N) of one image (3, H, W) by a double loop over pixels; zero on the diagonal and in the padding."""
    width = image.shape[2]
    colors = image.flatten(1).T.tolist()
    there = [True] * len(colors) if padding is None else (~padding).flatten().tolist()
    weights = [[0.0] * len(colors) for _ in colors]
    for i in range(len(colors)):
        for j in range(len(colors)):
            if i != j and there[i] and there[j]:
                place = (i // width - j // width) ** 2 + (i % width - j % width) ** 2
                color = sum((a - b) ** 2 for a, b in zip(colors[i], colors[j], strict=True))
                weights[i][j] = math.exp(-place / (2 * spatial_bandwidth**2) - color / (2 * bandwidth**2))
    return torch.tensor(weights, dtype=torch.float64)


def by_hand(weights, y, relaxation):
    """The sum over unordered pairs, of one label map (K, H, W)."""
    flat = y.flatten(1)
    i, j = torch.triu_indices(flat.shape[1], flat.shape[1], 1)
    return float((weights[i, j] * RELAXATIONS[relaxation](flat[None, :, i], flat[None, :, j])[0]).sum())


def assert_close(found, expected, tolerance):
    """Compare with the largest of the expected numbers: the grid's error in a small sum is that of the others' order."""
    assert (found - expected).abs().max() <= tolerance * expected.abs().max() + 1e-12


@every_relaxation
@pytest.mark.parametrize("size", [(5, 6), (1, 7), (4, 1), (1, 1), (2, 3)])
@pytest.mark.parametrize("padded", [False, True])
def test_the_energy_is_the_sum_over_all_pairs(relaxation, size, padded, make_problem):
    logits, image, _ = make_problem(height=size[0], width=size[1])
    padding = torch.zeros(2, *size, dtype=torch.bool)
    if padded:
        padding[0, -1], padding[1, :, 0] = True, True
    y = logits.softmax(1)
    for exact, tolerance in ((True, 1e-12), (False, 0.03)):
        edges = Dense(20.0, 3.0, exact=exact).edges(image, padding)
        values = edges.potts(y, RELAXATIONS[relaxation])
        for b in range(2):
            weights = weights_by_hand(image[b], 20.0, 3.0, padding[b])
            assert float(values[b]) == pytest.approx(by_hand(weights, y[b], relaxation), rel=tolerance, abs=1e-12)
            sums = (weights @ y[b].flatten(1).T).T.view_as(y[b])
            assert_close(edges.filter(y)[b], sums, tolerance)
            assert_close(edges.degree()[b].flatten(), weights.sum(1), tolerance)
            flow = (weights.sum(1) * y[b].flatten(1)).view_as(y[b]) - sums
            assert_close(edges.laplacian(y)[b], flow, tolerance)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "astronaut"])
@pytest.mark.parametrize("preset", [Dense(), Dense.rloss()], ids=["paper", "rloss"])
def test_within_one_percent_on_photos(name, preset, generator):
    pixels = torch.from_numpy(photo(name).image).permute(2, 0, 1)[None].float()
    side = 64 * preset.downscale
    image = torch.nn.functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True).clamp(0, 255)
    coarse = torch.randn(1, 5, 8, 8, generator=generator) * 4
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear").softmax(1)
    y = torch.cat([smooth, torch.rand(1, 2, side, side, generator=generator), torch.ones(1, 1, side, side)], 1)
    exact = Dense(preset.bandwidth, preset.spatial_bandwidth, preset.downscale, exact=True)
    expected, filtered = (n.edges(image).filter(y) for n in (exact, preset))
    error = (filtered - expected).square().sum((0, 2, 3)).sqrt() / expected.square().sum((0, 2, 3)).sqrt()
    assert (error < 0.01).all()


@exact_or_not
@pytest.mark.parametrize("downscale", [1, 2, 3])
def test_the_filter_is_symmetric_and_never_negative(exact, downscale, make_problem):
    _, image, _ = make_problem(batch=1, height=5, width=7)
    edges = Dense(12.0, 4.0, downscale, exact).edges(image)
    vertices = torch.eye(35, dtype=torch.float64).view(1, 35, 5, 7)
    matrix = edges.filter(vertices).flatten(2)[0]
    assert torch.allclose(matrix, matrix.T, rtol=0, atol=1e-14)
    assert torch.allclose(matrix.diagonal(), torch.zeros(35, dtype=torch.float64), atol=1e-12)
    assert matrix.min() > -1e-12


def test_brute_force_skips_points_that_say_nothing(generator):
    features, values = torch.rand(5, 30, dtype=torch.float64, generator=generator), torch.zeros(30, 2).double()
    assert torch.equal(BruteForce(features)(values), values)
    values[[3, 17], [0, 1]] = torch.tensor([2.0, -1.0]).double()
    whole = BruteForce(features)(values + 1) - BruteForce(features)(torch.ones_like(values))
    assert torch.allclose(BruteForce(features, block=40)(values), whole, atol=1e-12)


def test_large_squares_get_one_value_each():
    """Of 40 squares in a row: resizing by a factor that float32 cannot invert would shift some borders."""
    g, side = torch.Generator().manual_seed(0), 41
    image = 255 * torch.rand(1, 3, 1, 40 * side, generator=g)
    y = torch.rand(1, 2, 1, 40, generator=g).repeat_interleave(side, 3)
    y[0, 1] = 1 - y[0, 0]
    out = Dense(50.0, 200.0, downscale=side, exact=True).edges(image).filter(y)
    squares = out.reshape(2, 40, side)
    assert torch.allclose(squares, squares[..., :1].expand_as(squares), atol=1e-4)


def test_downscale_puts_a_square_in_one_place(make_problem):
    """The pair's weight is that of the squares' mean colours and centres; 1 within a square."""
    _, image, _ = make_problem(batch=1, height=4, width=6)
    edges = Dense(20.0, 3.0, downscale=2, exact=True).edges(image)
    matrix = edges.filter(torch.eye(24, dtype=torch.float64).view(1, 24, 4, 6)).flatten(2)[0]
    means = torch.nn.functional.avg_pool2d(image, 2)
    coarse = weights_by_hand(means[0], 20.0, 1.5) + torch.eye(6)
    square = torch.arange(24).view(4, 6)
    square = (square // 6 // 2 * 3 + square % 6 // 2).flatten()
    expected = coarse[square][:, square]
    assert torch.allclose(matrix, expected - torch.eye(24), atol=1e-12)


@every_relaxation
@exact_or_not
@pytest.mark.parametrize("downscale", [1, 2])
def test_gradients_by_finite_differences(relaxation, exact, downscale, make_problem):
    logits, image, _ = make_problem(batch=2, height=3, width=4)
    edges = Dense(30.0, 3.0, downscale, exact).edges(image)
    y = logits.softmax(1).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: edges.potts(y, RELAXATIONS[relaxation]), y, fast_mode=True)
    assert torch.autograd.gradcheck(edges.filter, y, fast_mode=True)


@every_relaxation
@exact_or_not
def test_never_below_zero(relaxation, exact, generator):
    """Also in float32, at equal labels, where the sums have everything to cancel."""
    image = torch.rand(1, 3, 24, 25, generator=generator) * 30 + 100
    edges = Dense(exact=exact).edges(image)
    hard = one_hot(torch.zeros(1, 24, 25, dtype=torch.long), 4)
    soft = torch.rand(1, 4, 1, 1, generator=generator).softmax(1).expand(1, 4, 24, 25)
    assert edges.potts(hard, RELAXATIONS[relaxation]) == 0
    assert edges.potts(soft, RELAXATIONS["Q"]) >= 0
    assert edges.potts(soft, RELAXATIONS["BL"]) > 0
    assert edges.potts(torch.rand(1, 4, 24, 25, generator=generator).softmax(1), RELAXATIONS[relaxation]) > 0


@exact_or_not
def test_a_batch_equals_its_images_and_padding_changes_nothing(exact, make_problem):
    logits, image, seeds = make_problem(batch=3, height=9, width=11)
    energy = Energy("CCE", "Q", neighborhood=Dense(20.0, 5.0, exact=exact))
    together = energy(logits.softmax(1), logits, image, seeds)
    for b in range(3):
        one = slice(b, b + 1)
        assert torch.allclose(energy(logits[one].softmax(1), logits[one], image[one], seeds[one]), together[one])
    wide = [torch.nn.functional.pad(x, (0, 4, 0, 3)) for x in (logits, image)]
    wide.append(torch.nn.functional.pad(seeds, (0, 4, 0, 3), value=PADDING))
    assert torch.allclose(energy(wide[0].softmax(1), *wide), together, rtol=1e-12 if exact else 0.01)


@exact_or_not
def test_a_constant_image_and_one_all_padding(exact, make_problem):
    logits, image, seeds = make_problem()
    image = torch.full_like(image, 77)
    seeds[1] = PADDING
    energy = Energy("CCE", "BL", neighborhood=Dense(exact=exact))
    value = energy.subproblem(logits, image, seeds).pairwise(logits.softmax(1))
    weights = weights_by_hand(image[0])
    assert float(value[0]) == pytest.approx(by_hand(weights, logits[0].softmax(0), "BL"), rel=1e-12 if exact else 0.01)
    assert value[1] == 0


@exact_or_not
def test_the_constant_between_seeds(exact, make_problem):
    logits, image, seeds = make_problem(seed=2)
    energy = Energy("CCE", "BL", lam=2.0, neighborhood=Dense(20.0, 4.0, exact=exact))
    problem = energy.subproblem(logits, image, seeds)
    for b in range(2):
        flat = seeds[b].flatten()
        known = flat != UNLABELLED
        weights = weights_by_hand(image[b], 20.0, 4.0)
        cut = (weights * known * known[:, None] * (flat != flat[:, None])).sum() / 2
        equal = (weights * known * known[:, None] * (flat == flat[:, None])).sum() / 2
        assert float(problem.constant()[b]) == pytest.approx(2 * float(cut), rel=0.05)
        both = problem.edges.within(problem.is_seed).weight_by_agreement(seeds)
        assert [float(x[b]) for x in both] == pytest.approx([float(equal), float(cut)], rel=0.05)
    nothing = problem.edges.within(torch.zeros_like(problem.is_seed)).weight_by_agreement(seeds)
    assert all((x == 0).all() for x in nothing)


@pytest.mark.parametrize("changed", [{"bandwidth": 5.0}, {"spatial_bandwidth": 2.0}, {"downscale": 2}, {"exact": True}])
def test_each_argument_matters(changed, make_problem):
    logits, image, _ = make_problem()
    values = [Dense(**arguments).edges(image).potts(logits.softmax(1), potts.quadratic) for arguments in ({}, changed)]
    assert not torch.allclose(*values, rtol=1e-6)


def test_presets_are_what_their_sources_say():
    assert Dense() == Dense(bandwidth=9.0, spatial_bandwidth=100.0, downscale=1, exact=False)
    assert Dense.rloss() == Dense(bandwidth=15.0, spatial_bandwidth=100.0, downscale=2)


@pytest.mark.parametrize("relaxation", [name for name in potts.RELAXATIONS if name not in ("BL", "Q")])
def test_other_relaxations_are_refused_with_the_reason(relaxation):
    with pytest.raises(ValueError, match=rf"\"BL\" or \"Q\", got '{relaxation}': only these are quadratic"):
        Energy("CCE", relaxation, neighborhood=Dense())
    edges = Dense().edges(torch.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match="only these are quadratic"):
        edges.potts(torch.full((1, 2, 2, 2), 0.5), potts.RELAXATIONS[relaxation])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bandwidth": 0}, r"bandwidth: expected a number in \[1e-6, 1e6\], got 0"),
        ({"bandwidth": "auto"}, "bandwidth: .* got 'auto'"),
        ({"spatial_bandwidth": math.nan}, "spatial_bandwidth: .* got nan"),
        ({"downscale": 0}, "downscale: expected a whole number, at least 1; got 0"),
        ({"downscale": 1.5}, "downscale: .* got 1.5"),
        ({"exact": 1}, "exact: expected True or False, got 1"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(TypeError if "exact" in arguments else ValueError, match=message):
        Dense(**arguments)


def test_colours_on_a_long_line_are_refused_too():
    """Grey photos: one axis of colour has all the cells, and its blur their square."""
    grey = torch.linspace(0, 255, 64).view(1, 1, 8, 8).expand(1, 3, 8, 8)
    with pytest.raises(
        ValueError, match=r"grid would have .* nodes, at most .*; take larger bandwidths, or exact=True"
    ):
        Dense(bandwidth=0.01).edges(grey)


def test_a_grid_too_large_is_refused_with_the_remedy(generator):
    image = torch.rand(1, 3, 16, 16, generator=generator) * 255
    with pytest.raises(ValueError, match=re.escape("larger bandwidths, or exact=True")):
        Dense(0.1, 1.0).edges(image)


def test_groups_of_classes_and_blocks_of_rows_change_nothing(generator, monkeypatch):
    monkeypatch.setattr("toykit.neighborhoods.bilateral._can_be_compiled", lambda features: False)
    features = torch.rand(5, 40, generator=generator, dtype=torch.float64) * 3
    values = torch.rand(40, 7, generator=generator, dtype=torch.float64)
    grid, expected = BilateralGrid(features), BruteForce(features)(values)
    whole = grid(values)
    monkeypatch.setattr("toykit.neighborhoods.bilateral.MOST_VALUES", 1)
    assert torch.allclose(grid(values), whole, rtol=1e-12)
    assert torch.allclose(BruteForce(features, block=1)(values), expected, rtol=1e-12)


@pytest.mark.parametrize("spread", [0.5, 4.0, 20.0])
@pytest.mark.parametrize("classes", [1, 8, 11])
def test_compiled_loops_and_torch_agree(spread, classes, generator, monkeypatch):
    """On dense and on sparse boxes of colours, with empty cells between points that the blur must cross."""
    features = torch.rand(5, 60, generator=generator, dtype=torch.float64) * spread
    features[:2] *= 4 / spread
    values = torch.randn(60, classes, generator=generator, dtype=torch.float64)
    compiled = BilateralGrid(features)
    monkeypatch.setattr("toykit.neighborhoods.bilateral._can_be_compiled", lambda features: False)
    by_torch = BilateralGrid(features)
    assert isinstance(by_torch.grids, list)
    assert not isinstance(compiled.grids, list)
    assert torch.allclose(compiled(values), by_torch(values), rtol=1e-12, atol=1e-12)


def test_a_changed_source_compiles_the_loops_again():
    """The loop closes over a digest of all sources that are compiled into it: see tests/_shared/test_compiled.py."""
    (cell,) = bilateral_loops.filter_classes.py_func.__closure__
    assert cell.cell_contents == digest(Path(module.__file__) for module in (bilateral_loops, lanes))


def test_threads_change_no_bit(generator):
    features, values = torch.rand(5, 300, generator=generator) * 3, torch.rand(300, 21, generator=generator)
    before, sums = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            sums.append(BilateralGrid(features)(values))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(other, sums[0]) for other in sums[1:])


@exact_or_not
def test_in_single_precision_the_gradient_is_the_filtered_gradient(exact, generator):
    image = torch.rand(1, 3, 9, 12, generator=generator) * 60
    edges = Dense(20.0, 5.0, exact=exact).edges(image)
    y, z = (torch.rand(1, 3, 9, 12, generator=generator) for _ in range(2))
    edges.filter(y.requires_grad_()).backward(z)
    assert torch.equal(y.grad, edges.filter(z))
    with torch.no_grad():
        assert float((edges.filter(y) * z).sum()) == pytest.approx(float((y * edges.filter(z)).sum()), rel=1e-5)


@pytest.mark.parametrize("exact", [True, False])
def test_a_random_walker_on_all_pairs(exact, make_problem):
    """Conjugate gradients against a dense solve; the backends that need a list of edges say so."""
    logits, image, seeds = make_problem(batch=1, height=5, width=6, padding=True)
    neighborhood = Dense(25.0, 5.0, exact=exact)
    solution = random_walker(logits, image, seeds, 0.3, 0.5, neighborhood, backend="cg")
    weights = weights_by_hand(image[0], 25.0, 5.0, seeds[0] == PADDING)
    matrix = 0.5 * (weights.sum(1).diag() - weights)
    free, known = (seeds[0].flatten() == UNLABELLED), (seeds[0].flatten() < PADDING)
    y = one_hot(seeds.where(seeds < PADDING, 0), 3, dtype=torch.float64).flatten(2)[0].T
    right = 0.6 * logits.softmax(1).flatten(2)[0].T[free] - matrix[free][:, known] @ y[known]
    expected = torch.linalg.solve(matrix[free][:, free] + 0.6 * torch.eye(int(free.sum())), right)
    assert torch.allclose(solution.labels.flatten(2)[0].T[free], expected, atol=1e-7 if exact else 5e-3)
    for backend in ("direct", "sor"):
        with pytest.raises(ValueError, match='take backend="cg"'):
            random_walker(logits, image, seeds, neighborhood=neighborhood, backend=backend)
    with pytest.raises(ValueError, match="expected eta > 0, got 0"):
        random_walker(logits, image, seeds, eta=0.0, neighborhood=neighborhood, backend="cg")


@every_relaxation
def test_gradient_descent_lowers_the_energy(relaxation, make_problem, check_solution):
    problem = make_problem(height=5, width=6, padding=True)
    energy = Energy("CCE", relaxation, lam=0.1, neighborhood=Dense(20.0, 5.0))
    solution = solve(*problem, energy, "gradient", steps=20, tolerance=1e3)
    check_solution(solution, energy, *problem)
    assert (solution.energies[-1] < solution.energies[0]).all()


@every_relaxation
@pytest.mark.parametrize("decisiveness", [True, False])
def test_direct_descent_has_gradients(relaxation, decisiveness, make_problem):
    logits, image, seeds = make_problem(height=4, width=5)
    energy = Energy("CCE", relaxation, lam=0.1, neighborhood=Dense(20.0, 5.0))

    def loss(logits):
        return energy.weakly_supervised_loss(logits, image, seeds, decisiveness)

    assert loss(logits) > 0
    assert torch.autograd.gradcheck(loss, logits.requires_grad_(), fast_mode=True)

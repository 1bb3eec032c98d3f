"""The sub-problem on cells: each rule of `toykit.energy.cells`, against loops over pixels; losses and gradients at a stride."""

import pytest
import torch

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors, SelfLabelingLoss, solve
from toykit.energy import balance
from toykit.energy.cells import cell_inputs, cell_photo, cell_seeds, cell_size, to_pixels


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_photo_and_logits_are_means_of_a_cells_pixels(make_problem, stride, padding):
    logits, image, seeds = make_problem(height=11, width=10, padding=padding)
    cells = cell_inputs(logits, image, seeds, stride)
    height, width = cell_size((11, 10), stride)
    for x, coarse in zip((logits, image), cells, strict=False):
        assert coarse.shape[2:] == (height, width)
        for b in range(2):
            for r in range(height):
                for c in range(width):
                    rows, columns = slice(r * stride, (r + 1) * stride), slice(c * stride, (c + 1) * stride)
                    inside = seeds[b, rows, columns] != PADDING
                    if inside.any():
                        expected = x[b, :, rows, columns][:, inside].mean(1)
                        assert torch.allclose(coarse[b, :, r, c], expected, rtol=1e-12)


def test_a_photo_of_bytes_is_pooled_as_one_of_numbers():
    """Its rows are converted in parts, of whole cells."""
    photo, seeds = (
        torch.arange(3 * 200 * 5).remainder(251).byte().view(1, 3, 200, 5),
        torch.full((1, 200, 5), UNLABELLED),
    )
    seeds[:, 150:] = PADDING
    for stride in (1, 3, 7):
        assert torch.equal(cell_photo(photo, seeds, stride), cell_photo(photo.float(), seeds, stride))


def test_seeds_vote_in_their_cell():
    seeds = torch.full((1, 6, 7), UNLABELLED)
    seeds[0, 0, 0], seeds[0, 1, 0], seeds[0, 1, 1] = 2, 1, 1  # most: 1
    seeds[0, 0, 2], seeds[0, 1, 3] = 3, 0  # a tie: the lower id
    seeds[0, 3, 4] = 2  # one is enough
    seeds[0, 4:] = PADDING
    seeds[0, :, 6] = PADDING
    seeds[0, 3, 6] = 1  # a seed within padding
    expected = [[1, 0, UNLABELLED, PADDING], [UNLABELLED, UNLABELLED, 2, 1], [PADDING] * 4]
    assert cell_seeds(seeds, 4, 2)[0].tolist() == expected


def test_logits_at_the_cells_are_taken_as_they_are(make_problem):
    logits, image, seeds = make_problem(height=11, width=10)
    own = torch.randn(2, 3, 3, 3, dtype=torch.float64)
    assert cell_inputs(own, image, seeds, 4)[0] is own
    with pytest.raises(ValueError, match=r"\(11, 10\) or, at stride 4, the cells' \(3, 3\)"):
        cell_inputs(own[..., :2], image, seeds, 4)
    with pytest.raises(ValueError, match=r"image: expected channels in 0\.\.255"):
        cell_inputs(logits, -image, seeds, 4)
    for wrong in ((own, image[:1], seeds), (own, image, seeds[:, :10]), (own[:1], image, seeds)):
        with pytest.raises(ValueError, match=r"image .* needs seeds .* and logits of"):
            cell_inputs(*wrong, 4)
    with pytest.raises(ValueError, match="stride: expected"):
        cell_inputs(logits, image, seeds, 0)
    bad = logits.clone()
    bad[0, 0, 5, 5] = torch.nan
    with pytest.raises(ValueError, match=r"logits: 1 values are NaN or infinite, the first at \(0, 0, 5, 5\)"):
        cell_inputs(bad, image, seeds, 4)


def test_bilinear_labels_stay_in_the_simplex_and_keep_constants():
    y = torch.rand(2, 4, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(1)
    pixels = to_pixels(y, (10, 19), 4)
    assert pixels.shape == (2, 4, 10, 19)
    assert (pixels >= 0).all()
    assert torch.allclose(pixels.sum(1), torch.ones(2, 10, 19, dtype=torch.float64))
    # a cell's centre lies between its middle pixels, so an affine map of the centres is the same map of the pixels inside
    ramp = (torch.arange(5.0)[None, None, None] * 4 + 1.5).expand(1, 1, 3, 5)
    assert torch.allclose(to_pixels(ramp, (12, 20), 4)[0, 0, :, 2:18], torch.arange(2.0, 18).expand(12, 16))
    assert to_pixels(y, (3, 5), 1) is y


def test_the_loss_is_that_of_its_definition(make_problem):
    """NLL at full resolution over the seeds, the sub-problem on the cells over the unlabelled ones."""
    logits, image, seeds = make_problem(batch=3, height=13, width=18, padding=True)
    seeds[:, 1::2], seeds[:, :, ::3] = UNLABELLED, UNLABELLED  # else each cell has a seed
    energy = Energy("CCE", "Q", 0.7, 9.0, NearestNeighbors(20.0))
    criterion = SelfLabelingLoss(energy, stride=4, tolerance=1e-6)
    loss = criterion(logits, image, seeds)
    cells = cell_inputs(logits, image, seeds, 4)
    solution = solve(*cells, energy, tolerance=1e-6)
    assert torch.allclose(criterion.solution.labels, solution.labels)
    expected = 0
    for b in range(3):
        known = seeds[b] < PADDING
        nll = -logits[b].log_softmax(0).gather(0, seeds[b].where(known, 0)[None])[0][known].sum()
        value = energy(solution.labels, *cells)[b]
        expected += nll / known.sum() + value / (cells[2][b] == UNLABELLED).sum()
    assert loss.item() == pytest.approx(expected.item() / 3)


def test_labels_come_back_to_the_pixels_with_the_seeds_in_place(make_problem):
    logits, image, seeds = make_problem(height=13, width=18)
    criterion = SelfLabelingLoss(stride=4)
    criterion(logits, image, seeds)
    labels = criterion.labels_at(criterion.solution, seeds)
    assert labels.shape == logits.shape
    known = seeds < PADDING
    assert torch.equal(labels.argmax(1)[known], seeds[known])
    assert (labels.amax(1)[known] == 1).all()
    assert (labels.sum(1) - 1).abs().max() < 1e-12
    assert torch.equal(criterion.labels_at(criterion.solution, seeds.to(torch.uint8)), labels)
    with pytest.raises(ValueError, match="labels: expected those of"):
        criterion.labels_at(criterion.solution, seeds[:, :8])


@pytest.mark.parametrize("balanced_by", ["terms", "seeds"])
@pytest.mark.parametrize("at_cells", [False, True])
def test_gradients_at_a_stride_by_finite_differences(make_problem, at_cells, balanced_by):
    logits, image, seeds = make_problem(height=9, width=10, padding=True)
    if at_cells:
        logits = torch.randn(2, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    criterion = SelfLabelingLoss(Energy("CCE", "CD"), stride=4, balance=balanced_by)
    criterion(logits, image, seeds)
    solution = criterion.solution

    def loss(x):
        problem = criterion.subproblem(x, image, seeds)
        return criterion.network_loss(problem, problem.self_labeling(solution.labels), x, seeds)

    torch.autograd.gradcheck(loss, logits.requires_grad_(), fast_mode=False)
    (expected,) = torch.autograd.grad(loss(logits), logits)
    criterion(logits, image, seeds).backward()
    assert torch.allclose(logits.grad, expected)


def test_a_crop_without_a_seed_of_a_class_that_it_shows(make_problem):
    """The photo's classes, not the crop's: the label of class 2 is sought though no seed of the crop has it."""
    logits, image, seeds = make_problem(batch=1, classes=4, height=16, width=16)
    seeds[0] = UNLABELLED
    seeds[0, 0, :3] = 0
    logits[:, 2, :, 8:] += 6
    present = torch.tensor([[True, False, True, False]])
    criterion = SelfLabelingLoss(stride=4)
    assert criterion(logits, image, seeds, present).isfinite()
    labels = criterion.solution.labels
    assert labels[0, 2, :, 2:].mean() > 0.9
    assert (labels[:, [1, 3]] == 0).all()


def test_a_cell_counts_for_its_pixels_under_eq_8s_balance(make_problem):
    """A constant photo and constant logits: at every stride the same sum over pixels, hence the same loss."""
    logits = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)[None, :, None, None].expand(2, 3, 16, 16)
    image = torch.full((2, 3, 16, 16), 90.0, dtype=torch.float64)
    seeds = torch.full((2, 16, 16), UNLABELLED)
    seeds[:, :4, :4] = 1  # whole cells at any of the strides
    losses = [
        SelfLabelingLoss(Energy(lam=0), stride=s, balance="seeds")(logits, image, seeds).item() for s in (1, 2, 4)
    ]
    assert losses == pytest.approx([losses[0]] * 3)


def test_predictions_of_another_mode_reach_the_solver_and_no_gradient(make_problem):
    logits, image, seeds = make_problem(height=12, width=12)
    other = logits.flip(1).contiguous()
    criterion = SelfLabelingLoss(stride=2, tolerance=1e-6)
    logits.requires_grad_()
    other.requires_grad_()
    criterion(logits, image, seeds, predictions=other).backward()
    assert other.grad is None
    alone = solve(*cell_inputs(other.detach(), image, seeds, 2), tolerance=1e-6)
    assert torch.allclose(criterion.solution.labels, alone.labels)
    value = criterion.energy(criterion.solution.labels, *cell_inputs(logits.detach(), image, seeds, 2))
    assert torch.allclose(criterion.solution.energies[-1], value)
    with pytest.raises(ValueError, match="predictions: expected"):
        criterion(logits, image, seeds, predictions=torch.cat([other, other], 1))


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_the_likelihood_of_few_seeds_is_that_of_all_pixels_interpolated(make_problem, stride):
    _, _, seeds = make_problem(batch=3, height=17, width=22, padding=True)
    g = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 3, *cell_size((17, 22), stride), generator=g, dtype=torch.float64, requires_grad=True)
    seeds[2] = UNLABELLED
    assert (seeds < PADDING).float().mean() < balance.DENSE
    sparse = balance.seed_nll_at_cells(logits, seeds, stride)
    dense = balance.seed_nll(to_pixels(logits, (17, 22), stride), seeds)
    assert torch.allclose(sparse, dense, rtol=1e-12)
    slopes = [torch.autograd.grad(x.square().sum(), logits)[0] for x in (sparse, dense)]
    assert torch.allclose(*slopes, rtol=1e-10, atol=1e-14)
    whole = torch.randint(0, 3, seeds.shape, generator=g)
    expected = balance.seed_nll(to_pixels(logits, (17, 22), stride), whole)
    assert torch.allclose(balance.seed_nll_at_cells(logits, whole, stride), expected)
    with pytest.raises(ValueError, match=r"logits: expected .* cells"):
        balance.seed_nll_at_cells(logits[..., :2], seeds, stride)


def test_predictions_of_another_number_of_images_are_refused(make_problem):
    logits, image, seeds = make_problem(batch=2, height=8, width=8)
    for predictions in (logits[:1], logits[:1, :, :2, :2]):
        with pytest.raises(ValueError, match="predictions: expected those of 2 images"):
            SelfLabelingLoss(stride=4)(logits, image, seeds, predictions=predictions)
    with pytest.raises(ValueError, match="predictions"):
        SelfLabelingLoss()(logits, image, seeds, predictions=logits[:1])

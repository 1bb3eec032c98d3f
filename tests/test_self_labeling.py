"""The drop-in loss: the value, where gradients go, and that a network learns from it."""

import copy
import math
import warnings

import pytest
import torch

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors, SelfLabelingLoss, solve


@pytest.mark.parametrize(
    ("energy", "options"),
    [
        (Energy(), {"method": "gradient", "steps": 10}),
        (
            Energy("CE", "Q", 1.0, 2.0, NearestNeighbors(3, 8)),
            {"method": "gradient", "optimizer": "gd", "steps": 5, "lr": 0.2},
        ),
        (Energy("Q", "Q"), {"method": "closed_form"}),
        (Energy(), {}),
        (Energy("RCE", "LQ"), {"tolerance": 1e-5}),
    ],
)
def test_value_is_equation_8_at_the_solution(energy, options, make_problem, recwarn):
    problem = make_problem(padding=True)
    criterion = SelfLabelingLoss(energy, **options)
    loss = criterion(*problem)
    assert not recwarn.list  # told in `solution`, not by a warning
    assert loss.shape == ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = solve(*problem, energy, criterion.method, **vars(criterion.options))
    assert torch.equal(criterion.solution.labels, solution.labels)
    assert torch.allclose(loss, energy.self_labeling_loss(solution.labels.to(loss.dtype), *problem), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_closed_form_labels_serve_networks_of_any_precision(dtype, make_problem):
    logits, image, seeds = make_problem(dtype=dtype)
    logits.requires_grad_()
    criterion = SelfLabelingLoss(Energy("Q", "Q"), method="closed_form")
    loss = criterion(logits, image, seeds)
    labels = criterion.solution.labels.to(loss.dtype)
    assert loss.item() == pytest.approx(criterion.energy.self_labeling_loss(labels, logits, image, seeds).item())
    loss.backward()
    assert logits.grad.abs().sum() > 0


def test_defaults(make_problem):
    problem = make_problem(batch=1)
    assert torch.equal(SelfLabelingLoss()(*problem), SelfLabelingLoss(Energy(), "fast", tolerance=1e-3)(*problem))


def test_gradient_by_finite_differences_at_fixed_labels(make_problem):
    logits, image, seeds = make_problem(batch=1, height=3, width=3)
    logits.requires_grad_()
    criterion = SelfLabelingLoss(method="gradient", steps=5)
    (gradient,) = torch.autograd.grad(criterion(logits, image, seeds), logits)
    labels = criterion.solution.labels
    assert not labels.requires_grad
    flat, h = logits.detach().flatten(), 1e-6
    for k in range(flat.numel()):
        ends = []
        for sign in (1, -1):
            moved = flat.clone()
            moved[k] += sign * h
            ends.append(criterion.energy.self_labeling_loss(labels, moved.view_as(logits), image, seeds))
        assert gradient.flatten()[k].item() == pytest.approx((ends[0] - ends[1]).item() / (2 * h), abs=1e-8)


def test_a_small_network_learns(make_problem):
    _, image, seeds = make_problem(height=8, width=8, dtype=torch.float32)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 1))
    descent = torch.optim.SGD(network.parameters(), lr=0.3)
    criterion, losses = SelfLabelingLoss(method="gradient", steps=10), []
    for _ in range(40):
        loss = criterion(network(image / 255), image, seeds)
        descent.zero_grad()
        loss.backward()
        descent.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]
    assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, make_problem):
    logits, image, seeds = make_problem(dtype=dtype)
    logits.requires_grad_()
    criterion = SelfLabelingLoss(method="gradient", steps=5)
    loss = criterion(logits, image, seeds)
    assert torch.equal(loss, criterion(logits.detach().float(), image, seeds))
    loss.backward()
    assert logits.grad.dtype == dtype
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0


def test_autocast_does_not_lower_the_precision(make_problem):
    problem = make_problem(dtype=torch.float32)
    criterion = SelfLabelingLoss(method="gradient", steps=5)
    usual = criterion(*problem)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = criterion(*problem)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, usual)


def test_evaluation_without_gradients(make_problem):
    problem = make_problem(dtype=torch.float32)
    criterion = SelfLabelingLoss(method="gradient", steps=5)
    usual = criterion(*problem)
    with torch.no_grad():
        assert torch.equal(criterion(*problem), usual)
    with torch.inference_mode():
        assert torch.equal(criterion(*(x.clone() for x in problem)), usual)


@pytest.mark.parametrize("fill", [UNLABELLED, PADDING, 1])
def test_images_of_one_kind(fill, make_problem):
    logits, image, seeds = make_problem(dtype=torch.float32)
    logits.requires_grad_()
    seeds[0] = fill
    loss = SelfLabelingLoss(method="gradient", steps=5)(logits, image, seeds)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert (logits.grad[0].abs().sum() > 0) == (fill != PADDING)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "gradient", "step": 3}, TypeError, "method 'gradient' has no option step; it has optimizer, lr"),
        (
            {"method": "closed_form", "steps": 3},
            TypeError,
            "method 'closed_form' has no option steps; it has backend, tolerance",
        ),
        ({"method": "faster"}, ValueError, "method: expected one of fast, .*mean_field; got 'faster'"),
        ({"max_steps": 0}, ValueError, "max_steps: expected a whole number, at least 1; got 0"),
        ({"method": "gradient", "lr": -1}, ValueError, "lr: expected a number in"),
        (
            {"method": "closed_form", "backend": "lu"},
            ValueError,
            "backend: expected one of direct, sor, cg, approximate_cholesky, amg, auto; got 'lu'",
        ),
        ({"energy": "CCE"}, TypeError, "energy: expected a toykit.Energy, got 'CCE'"),
    ],
)
def test_wrong_options_are_refused_at_construction(arguments, error, message):
    with pytest.raises(error, match=message):
        SelfLabelingLoss(**arguments)


def test_wrong_inputs_and_values(make_problem):
    logits, image, seeds = make_problem()
    broken = logits.clone()
    broken[0, 0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="logits: 1 values are NaN"):
        SelfLabelingLoss(method="gradient", steps=2)(broken, image, seeds)
    with pytest.raises(TypeError, match=r"logits: expected a torch.Tensor"):
        SelfLabelingLoss(method="gradient", steps=2)(None, image, seeds)
    with pytest.raises(ValueError, match="lr: expected a number in"):
        SelfLabelingLoss(method="gradient", lr=-1)
    with pytest.warns(UserWarning, match="multiply by 255"):
        SelfLabelingLoss(method="gradient", steps=2)(logits, image / 255, seeds)


@pytest.mark.parametrize("stride", [1, 2])
def test_wrong_predictions_are_called_so(stride, make_problem):
    logits, image, seeds = make_problem()
    loss = SelfLabelingLoss(stride=stride)
    for wrong, error in (
        ([1], TypeError),
        (logits.long(), TypeError),
        (logits / 0, ValueError),
        (logits[:, :1], ValueError),
        (logits[:, :, 1:], ValueError),
        (logits[:1], ValueError),
    ):
        with pytest.raises(error, match="predictions: "):
            loss(logits, image, seeds, predictions=wrong)


def test_it_prints_its_choices():
    text = repr(SelfLabelingLoss(Energy(relaxation="LQ"), "gradient", steps=7))
    assert "LQ" in text
    assert "GradientOptions(optimizer='adam', lr=0.075, steps=7" in text


def test_a_copy_leaves_the_batch_behind(make_problem):
    loss_function = SelfLabelingLoss(method="gradient", steps=2)
    loss = loss_function(*make_problem())
    assert loss_function.solution is not None
    twin = copy.deepcopy(loss_function)
    assert twin.solution is None
    assert twin(*make_problem()) == loss


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("share", [0.05, 0.6])  # few seeds, and so many that logits are interpolated everywhere
def test_photos_and_seeds_as_bytes_give_the_same_loss(stride, share):
    g = torch.Generator().manual_seed(3)
    image = torch.randint(0, 256, (2, 3, 17, 18), generator=g, dtype=torch.uint8)
    seeds = torch.randint(0, 3, (2, 17, 18), generator=g).where(torch.rand(2, 17, 18, generator=g) < share, 255)
    seeds[0, :, 15:] = 254
    cells = (17, 18) if stride == 1 else (5, 5)
    logits = torch.randn(2, 3, *cells, generator=g, dtype=torch.float64).requires_grad_()
    loss = SelfLabelingLoss(Energy(), "fast", stride=stride, kernel="torch")
    values = [loss(logits, photo, marks) for photo, marks in ((image, seeds.byte()), (image.double(), seeds))]
    gradients = [torch.autograd.grad(value, logits)[0] for value in values]
    assert torch.equal(*values)
    assert torch.equal(*gradients)


def test_a_missing_photo_is_a_type_error_on_cells_too():
    logits, seeds = torch.zeros(1, 2, 8, 8), torch.zeros(1, 8, 8, dtype=torch.int64)
    with pytest.raises(TypeError, match="image"):
        SelfLabelingLoss(Energy(), stride=4)(logits, None, seeds)

"""The sub-problem's value and the network's losses (4) and (8) against loops over pixels and neighbours."""

import math

import pytest
import torch
from helpers.oracles import edges_by_hand, potts_by_hand, unary_by_hand

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS


def label_map(like, seed=5):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=g, dtype=like.dtype).softmax(1)


def both_losses(energy, y, logits, image, seeds):
    return energy.self_labeling_loss(y, logits, image, seeds), energy.weakly_supervised_loss(logits, image, seeds)


def sums_by_hand(energy, y, sigma, image, seeds):
    """(sum of H over unlabelled pixels, sum of w P over edges) of one image, K x H x W lists of floats."""
    points, predictions = y.flatten(1).T.tolist(), sigma.flatten(1).T.tolist()
    where = [i for i, s in enumerate(seeds.flatten().tolist()) if s == UNLABELLED]
    unary = sum(unary_by_hand(energy.cross_entropy, points[i], predictions[i]) for i in where)
    edges = edges_by_hand(image, energy.neighborhood.connectivity, padding=seeds == PADDING)
    pairwise = sum(w * potts_by_hand(energy.relaxation, points[i], points[j]) for (i, j), w in edges.items())
    return unary, pairwise


def nll_by_hand(sigma, seeds):
    """(sum, number) of - ln sigma^seed over the seeds of one image."""
    where = [(s, i) for i, s in enumerate(seeds.flatten().tolist()) if s < PADDING]
    return sum(-math.log(sigma.flatten(1)[s, i]) for s, i in where), len(where)


@pytest.mark.parametrize("relaxation", RELAXATIONS)
@pytest.mark.parametrize("cross_entropy", CROSS_ENTROPIES)
def test_value_and_self_labeling_loss(cross_entropy, relaxation, make_problem):
    logits, image, seeds = make_problem(height=4, width=5, padding=True)
    energy = Energy(cross_entropy, relaxation, eta=0.7, lam=2.5, neighborhood=NearestNeighbors(connectivity=8))
    y, sigma = label_map(logits), logits.softmax(1)
    sums = [sums_by_hand(energy, y[b], sigma[b], image[b], seeds[b]) for b in range(2)]
    expected = torch.tensor([0.7 * unary + 2.5 * pairwise for unary, pairwise in sums], dtype=torch.float64)
    assert torch.allclose(energy(y, logits, image, seeds), expected, rtol=1e-12)

    losses = []
    for b in range(2):
        nll, num_seeds = nll_by_hand(sigma[b], seeds[b])
        losses.append(nll / num_seeds + expected[b] / (seeds[b] == UNLABELLED).sum())
    loss = energy.self_labeling_loss(y, logits, image, seeds)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(float(sum(losses)) / 2, rel=1e-12)


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_weakly_supervised_loss(relaxation, make_problem):
    logits, image, seeds = make_problem(height=4, width=5, padding=True)
    energy = Energy("RCE", relaxation, eta=0.7, lam=2.5)
    sigma, losses = logits.softmax(1), []
    for b in range(2):
        nll, num_seeds = nll_by_hand(sigma[b], seeds[b])
        entropy, pairwise = sums_by_hand(Energy("CE", relaxation), sigma[b], sigma[b], image[b], seeds[b])
        losses.append(nll / num_seeds + (0.7 * entropy + 2.5 * pairwise) / int((seeds[b] == UNLABELLED).sum()))
    loss = energy.weakly_supervised_loss(logits, image, seeds)
    assert loss.item() == pytest.approx(sum(losses) / 2, rel=1e-12)
    seeds_only = Energy(relaxation=relaxation, eta=0, lam=0).weakly_supervised_loss(logits, image, seeds)
    target = torch.where(seeds < PADDING, seeds, -100)
    nll = [torch.nn.functional.cross_entropy(logits[b : b + 1], target[b : b + 1]) for b in range(2)]
    assert seeds_only.item() == pytest.approx(float(sum(nll)) / 2, rel=1e-12)


def test_sums_not_means(make_problem):
    """Two copies side by side cost twice as much, but for the new edges between them."""
    logits, image, seeds = make_problem(batch=1)
    twice = [torch.cat([x, x], -1) for x in (label_map(logits), logits, image, seeds)]
    unary = Energy(lam=0)
    assert torch.allclose(unary(*twice), 2 * unary(label_map(logits), logits, image, seeds), rtol=1e-13)
    twice[3][..., 7] = PADDING
    once_padded = [x.clone() for x in (label_map(logits), logits, image, seeds)]
    once_padded[3][..., 0] = PADDING
    pairwise = Energy(eta=0)
    expected = pairwise(label_map(logits), logits, image, seeds) + pairwise(*once_padded)
    assert torch.allclose(pairwise(*twice), expected, rtol=1e-13)


@pytest.mark.parametrize("name", ["eta", "lam", "cross_entropy", "relaxation", "neighborhood"])
def test_each_choice_matters(name, make_problem):
    logits, image, seeds = make_problem()
    other = {"eta": 0.6, "lam": 3.0, "cross_entropy": "CE", "relaxation": "Q", "neighborhood": NearestNeighbors(3)}
    usual, changed = Energy(), Energy(**{name: other[name]})
    y = label_map(logits)
    assert not torch.allclose(usual(y, logits, image, seeds), changed(y, logits, image, seeds), rtol=1e-3)
    for loss in ("self_labeling_loss", "weakly_supervised_loss"):
        arguments = (y, logits, image, seeds)[loss == "weakly_supervised_loss" :]
        same = torch.allclose(getattr(usual, loss)(*arguments), getattr(changed, loss)(*arguments), rtol=1e-4)
        assert same == (loss == "weakly_supervised_loss" and name == "cross_entropy")


def test_what_padding_and_seeds_hold_does_not_matter(make_problem):
    logits, image, seeds = make_problem(padding=True)
    energy, y = Energy(), label_map(logits)
    padding = (seeds == PADDING)[:, None]
    value, loss = energy(y, logits, image, seeds), energy.weakly_supervised_loss(logits, image, seeds)
    other = [y.where(~padding, 1 / 3), logits.where(~padding, 9), image.where(~padding, 0)]
    assert torch.allclose(energy(*other, seeds), value, rtol=1e-13)
    assert torch.allclose(energy.weakly_supervised_loss(*other[1:], seeds), loss, rtol=1e-13)
    # no unary on seeds: the prediction there plays no part in the sub-problem
    at_seeds = logits.where((seeds >= PADDING)[:, None], logits + label_map(logits))
    assert torch.allclose(energy(y, at_seeds, image, seeds), value, rtol=1e-13)
    assert not torch.allclose(
        energy.self_labeling_loss(y, at_seeds, image, seeds), energy.self_labeling_loss(y, logits, image, seeds)
    )


@pytest.mark.parametrize("fill", [UNLABELLED, PADDING, 1])
@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_images_of_one_kind_are_finite(fill, shape, make_problem):
    logits, image, _ = make_problem(height=shape[0], width=shape[1], dtype=torch.float32)
    logits.requires_grad_()
    seeds, energy = torch.full((2, *shape), fill), Energy()
    y = label_map(logits.detach())
    assert energy(y, logits, image, seeds).isfinite().all()
    for loss in both_losses(energy, y, logits, image, seeds):
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()
        assert (gradient.abs().sum() > 0) == (fill != PADDING)
        if fill == PADDING:
            assert loss == 0
        if fill == 1:
            expected = torch.nn.functional.cross_entropy(logits, seeds)
            pairwise = loss - expected  # no unlabelled pixel: the Potts sum contributes nothing
            assert pairwise.abs() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits(dtype, make_problem):
    logits, image, seeds = make_problem(dtype=dtype)
    logits.requires_grad_()
    energy, y = Energy(), label_map(logits.detach().float())
    losses, references = (both_losses(energy, y, x, image, seeds) for x in (logits, logits.float()))
    for loss, reference in zip(losses, references, strict=True):
        assert torch.equal(loss, reference)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient.dtype == dtype
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


def test_no_gradient_through_pseudo_labels_and_padding(make_problem):
    logits, image, seeds = make_problem(padding=True)
    logits.requires_grad_()
    y = label_map(logits.detach()).requires_grad_()
    Energy().self_labeling_loss(y, logits, image, seeds).backward()
    assert y.grad is None
    assert (logits.grad * (seeds == PADDING)[:, None] == 0).all()
    assert (logits.grad.abs().sum(1) > 0)[seeds != PADDING].all()
    # the sub-problem's value, however, is differentiable in y: that is what solvers need
    (gradient,) = torch.autograd.grad(Energy()(y, logits, image, seeds).sum(), y)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
@pytest.mark.parametrize("cross_entropy", CROSS_ENTROPIES)
def test_extreme_logits(cross_entropy, relaxation, dtype, make_problem):
    logits, image, seeds = make_problem(dtype=dtype)
    logits = (logits.sign() * 1e4).requires_grad_()
    energy, y = Energy(cross_entropy, relaxation), label_map(logits.detach())
    for loss in both_losses(energy, y, logits, image, seeds):
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cross_entropy": "KL"}, "cross_entropy: expected one of CE, RCE, CCE, Q; got 'KL'"),
        ({"relaxation": "TV"}, f"relaxation: expected one of {', '.join(RELAXATIONS)}; got 'TV'"),
        ({"eta": -0.1}, r"eta: expected a number in \[0, inf\), got -0.1"),
        ({"eta": True}, "eta: .* got True"),
        ({"lam": math.inf}, r"lam: expected a number in \[0, inf\), got inf"),
        ({"lam": math.nan}, "lam: .* got nan"),
        ({"lam": "6"}, "lam: .* got '6'"),
        ({"neighborhood": 4}, r"neighborhood: expected e.g. NearestNeighbors\(\), got 4"),
        ({"neighborhood": NearestNeighbors}, "neighborhood: expected"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        Energy(**arguments)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 7, 6).double(), torch.zeros(2, 3, 6, 7)])
def test_labels_like_the_predictions(wrong, make_problem):
    with pytest.raises(ValueError, match=r"y: expected torch.float64 \(2, 3, 6, 7\) on cpu like the predictions, got"):
        Energy()(wrong, *make_problem())

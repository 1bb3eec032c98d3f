"""Cross-entropies (eq. 9-11 and H_Q) against plain loops, finite differences, and the paper's claims about uncertainty."""

import math

import numpy as np
import pytest
import torch
from helpers.oracles import unary_by_hand

from toykit.cross_entropy import CROSS_ENTROPIES, entropy
from toykit.simplex import mix_with_uniform, smallest_probability, softmax


def random_pairs(classes, sparse, n=20):
    rng = np.random.default_rng(classes)
    concentration = 0.3 if sparse else 1.0
    return rng.dirichlet([concentration] * classes, n), rng.dirichlet([concentration] * classes, n)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 21, 150])
@pytest.mark.parametrize("name", CROSS_ENTROPIES)
def test_values_of_the_paper(name, classes, sparse):
    y, sigma = random_pairs(classes, sparse)
    expected = [unary_by_hand(name, a, b) for a, b in zip(y.tolist(), sigma.tolist(), strict=True)]
    value = CROSS_ENTROPIES[name](torch.from_numpy(y), torch.from_numpy(sigma))
    assert value.shape == (20,)
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert (value >= 0).all()
    single = CROSS_ENTROPIES[name](torch.from_numpy(y).float(), torch.from_numpy(sigma).float())
    assert single.dtype == torch.float32
    usual = np.minimum(y, sigma).min(1) > smallest_probability(torch.float32)  # below it ln becomes a tangent
    assert usual.sum() > 5
    np.testing.assert_allclose(single.numpy()[usual], np.array(expected)[usual], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("classes", [2, 3, 21])
@pytest.mark.parametrize("name", CROSS_ENTROPIES)
def test_gradients_in_both_arguments(name, classes):
    pair = random_pairs(classes, sparse=False)
    y, sigma = (mix_with_uniform(torch.from_numpy(x[:4]), 0.1).requires_grad_() for x in pair)
    assert torch.autograd.gradcheck(CROSS_ENTROPIES[name], (y, sigma), eps=1e-7, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", CROSS_ENTROPIES)
def test_class_axis_and_broadcasting(name, generator):
    f = CROSS_ENTROPIES[name]
    y, sigma = torch.randn(2, 2, 5, 3, 4, generator=generator, dtype=torch.float64).softmax(2)
    maps = f(y, sigma)
    assert maps.shape == (2, 3, 4)
    table = f(y.movedim(1, -1).reshape(-1, 5), sigma.movedim(1, -1).reshape(-1, 5))
    assert torch.allclose(maps.flatten(), table, rtol=1e-14)
    assert torch.allclose(f(y.movedim(1, -1), sigma.movedim(1, -1), dim=-1), maps, rtol=1e-14)
    one = sigma[:1, :, :1, :1]
    assert torch.allclose(f(y, one), f(y, one.expand_as(y)), rtol=1e-14)
    # a square table has the same shape on both axes, so only the values show which axis was used
    square_y, square_sigma = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64).softmax(2)
    assert not torch.allclose(f(square_y, square_sigma, dim=0), f(square_y, square_sigma, dim=1))


def test_what_is_symmetric_and_what_is_reversed(generator):
    y, sigma = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64).softmax(2)
    for name in ("CCE", "Q"):
        assert torch.allclose(CROSS_ENTROPIES[name](y, sigma), CROSS_ENTROPIES[name](sigma, y), rtol=1e-14)
    assert torch.equal(CROSS_ENTROPIES["RCE"](y, sigma), CROSS_ENTROPIES["CE"](sigma, y))
    assert not torch.allclose(CROSS_ENTROPIES["CE"](y, sigma), CROSS_ENTROPIES["CE"](sigma, y))


def test_entropy_range_and_values():
    points = torch.tensor([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.5, 0, 0]], dtype=torch.float64)
    assert torch.allclose(entropy(points), torch.tensor([math.log(4), 0, math.log(2)], dtype=torch.float64))
    assert torch.allclose(entropy(points.T, dim=0), entropy(points))


def test_who_mimics_the_uncertainty():
    """Fig. 3: at y = (1/2, 1/2) CE pulls sigma to 1/2; for RCE and CCE it has no slope in sigma anywhere."""
    x = torch.tensor([0.1, 0.3, 0.8], dtype=torch.float64)
    sigma = torch.stack([x, 1 - x], 1)
    unknown = torch.full_like(sigma, 0.5)
    for name in ("RCE", "CCE"):
        value = CROSS_ENTROPIES[name](unknown, sigma)
        assert torch.allclose(value, value[0].expand(3))
    assert (CROSS_ENTROPIES["CE"](unknown, sigma) > CROSS_ENTROPIES["CE"](unknown, unknown)).all()
    # with the arguments exchanged, CCE is still constant, while RCE makes y mimic sigma
    assert torch.allclose(CROSS_ENTROPIES["CCE"](sigma, unknown), torch.tensor(math.log(2), dtype=torch.float64))
    assert (CROSS_ENTROPIES["RCE"](sigma, unknown) > CROSS_ENTROPIES["RCE"](unknown, unknown)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CROSS_ENTROPIES)
def test_finite_where_the_paper_is_infinite(name, dtype):
    """At all pairs of vertices and edge midpoints of Delta^4: finite value and gradients; far is dearer than near."""
    vertices = torch.eye(4, dtype=dtype)
    middles = torch.stack([(vertices[i] + vertices[j]) / 2 for i in range(4) for j in range(i)])
    points = torch.cat([vertices, middles])
    y = points[:, None].expand(-1, 10, -1).reshape(100, 4).clone().requires_grad_()
    sigma = points.repeat(10, 1).requires_grad_()
    value = CROSS_ENTROPIES[name](y, sigma)
    gradients = torch.autograd.grad(value.sum(), (y, sigma))
    assert value.isfinite().all()
    assert all(g.isfinite().all() and g.square().isfinite().all() for g in gradients)
    disjoint = (y * sigma).sum(1) == 0
    assert value[disjoint].min() > value[~disjoint & (y == sigma).all(1)].max()
    if name != "Q":  # where disjoint, y moves to sigma's support (RCE), sigma to y's (CE), both (CCE)
        for g, mover, target in ((gradients[0], "RCE", sigma), (gradients[1], "CE", y)):
            if name in (mover, "CCE"):
                on, off = (g * target).sum(1)[disjoint], (g * (target == 0)).sum(1)[disjoint]
                assert (on < off).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [5.0, 50.0, 1e4])
def test_gradient_in_logits_is_sigma_minus_y(size, dtype):
    logits = torch.tensor([[size, -size, 0.0], [-size, size, -size]], dtype=dtype, requires_grad=True)
    y = torch.tensor([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]], dtype=dtype)
    sigma = softmax(logits)
    (gradient,) = torch.autograd.grad(CROSS_ENTROPIES["CE"](y, sigma).sum(), logits)
    assert torch.allclose(gradient, sigma.detach() - y, atol=1e-6)


@pytest.mark.parametrize("name", CROSS_ENTROPIES)
def test_errors_name_the_argument(name):
    f, good = CROSS_ENTROPIES[name], torch.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match=r"same number of classes.*y \(2, 3\), sigma \(2, 4\)"):
        f(good, torch.full((2, 4), 0.25))
    with pytest.raises(TypeError, match=r"y: expected torch.float32 or torch.float64, got torch.float16"):
        f(good.half(), good)
    with pytest.raises(TypeError, match=r"sigma: expected a torch.Tensor, got list"):
        f(good, [0.5, 0.5])
    with pytest.raises(TypeError, match="expected one dtype"):
        f(good, good.double())
    with pytest.raises(ValueError, match="no class axis dim=2"):
        f(good, good, dim=2)


@pytest.mark.parametrize(("dtype", "floor"), [(torch.float32, 35.9), (torch.float64, 284.4)])
def test_reverse_of_a_certain_label_is_the_floor_of_the_logarithm(dtype, floor):
    label, sigma = torch.eye(3, dtype=dtype)[:1], torch.tensor([[0.3, 0.5, 0.2], [0.9, 0.1, 0.0]], dtype=dtype)
    factor = CROSS_ENTROPIES["RCE"](label, sigma) / (1 - sigma[:, 0])
    assert factor.tolist() == pytest.approx([floor, floor], abs=0.05)
    assert str(floor) in CROSS_ENTROPIES["RCE"].__doc__

"""Points of the simplex: invariants on random inputs, and the limits of the safe softmax and logarithm."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from toykit.simplex import (
    TRIANGLE,
    check_distributions,
    extended_log,
    mix_with_uniform,
    one_hot,
    smallest_probability,
    soft_jaccard,
    softmax,
    to_triangle,
    triangle_grid,
)

seeds = st.integers(0, 10**6)
num_classes = st.integers(2, 12)


def label_maps(seed, classes, n=1):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, classes, 4, 5, generator=g, dtype=torch.float64).mul(3).softmax(2)


@given(seeds, num_classes)
def test_soft_jaccard_is_a_symmetric_similarity(seed, classes):
    y, z = label_maps(seed, classes, 2)
    value = soft_jaccard(y, z)
    assert value.shape == (3,)
    assert ((value > 0) & (value < 1)).all()  # the maps are random, so they differ
    assert torch.equal(value, soft_jaccard(z, y))
    assert torch.allclose(value, torch.minimum(y, z).sum((1, 2, 3)) / torch.maximum(y, z).sum((1, 2, 3)))
    assert (soft_jaccard(y, y) == 1).all()
    nudged = y.clone()
    nudged[0, :, 0, 0] = z[0, :, 0, 0]
    assert soft_jaccard(y, nudged)[0] < 1
    assert (soft_jaccard(y, nudged)[1:] == 1).all()


@given(seeds)
def test_soft_jaccard_compares_the_mask_only(seed):
    y, z = label_maps(seed, 3, 2)
    mask = torch.zeros(3, 4, 5, dtype=torch.bool)
    mask[0, 1, 2], mask[1, :2] = True, True
    value = soft_jaccard(y, z, mask)
    assert torch.allclose(value[0], soft_jaccard(y[:1, :, 1:2, 2:3], z[:1, :, 1:2, 2:3])[0])
    assert torch.allclose(value[1], soft_jaccard(y[1:2, :, :2], z[1:2, :, :2])[0])
    assert value[2] == 1  # nothing to compare
    assert not torch.allclose(value[0], soft_jaccard(y, z)[0])


def test_soft_jaccard_of_disjoint_labels_is_zero_and_tables_work():
    y, z = tensor([[1.0, 0], [0, 1]]), tensor([[0.0, 1], [0, 1]])
    assert soft_jaccard(y[..., None], z[..., None]).tolist() == [0, 1]
    assert soft_jaccard(y, z).tolist() == [0, 1]  # (N, K): "(B, K, ...)"


def test_soft_jaccard_errors():
    y = torch.full((1, 2, 3), 0.5)
    with pytest.raises(ValueError, match=r"one shape, got \(1, 2, 3\) and \(1, 2, 4\)"):
        soft_jaccard(y, torch.full((1, 2, 4), 0.5))
    with pytest.raises(ValueError, match=r"mask: expected a bool tensor \(1, 3\), got torch.int64 \(1, 3\)"):
        soft_jaccard(y, y, torch.ones(1, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"mask: expected a bool tensor \(1, 3\), got torch.bool \(1, 2\)"):
        soft_jaccard(y, y, torch.ones(1, 2, dtype=torch.bool))


@given(seeds)
def test_barycentric_coordinates_are_inverse(seed):
    p = label_maps(seed, 3)[0].movedim(1, -1)
    corners = np.column_stack([TRIANGLE, np.ones(3)]).T
    drawn = to_triangle(p).reshape(-1, 2).numpy()
    back = np.linalg.solve(corners, np.column_stack([drawn, np.ones(len(drawn))]).T).T
    assert np.allclose(back, p.reshape(-1, 3).numpy(), atol=1e-13)
    assert torch.allclose(to_triangle(torch.eye(3, dtype=torch.float64)), tensor(TRIANGLE, dtype=torch.float64))


def test_triangle_errors_and_grid():
    with pytest.raises(ValueError, match=r"p: expected three classes on the last axis, got shape \(2, 4\)"):
        to_triangle(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="n: expected a whole number, at least 1; got 0"):
        triangle_grid(0)
    grid = triangle_grid(4)
    assert grid.shape == (15, 3)
    assert len({tuple(p) for p in (grid * 4).tolist()}) == 15
    assert torch.equal(grid.sum(1), torch.ones(15, dtype=torch.float64))
    assert triangle_grid(2, torch.float32).dtype == torch.float32


@given(seeds, num_classes, st.floats(0, 1))
def test_mix_with_uniform_is_a_convex_combination(seed, classes, eta):
    y = label_maps(seed, classes)[0]
    mixed = mix_with_uniform(y, eta)
    assert torch.allclose(mixed.sum(1), torch.ones(3, 4, 5, dtype=torch.float64))
    assert torch.allclose(mixed - 1 / classes, (1 - eta) * (y - 1 / classes), atol=1e-14)
    assert torch.allclose(mix_with_uniform(y.movedim(1, -1), eta, dim=-1), mixed.movedim(1, -1))


@pytest.mark.parametrize("eta", [-0.1, 1.5, math.nan])
def test_mix_with_uniform_wants_a_share(eta):
    with pytest.raises(ValueError, match=r"eta: expected a number in \[0, 1\]"):
        mix_with_uniform(torch.full((1, 2), 0.5), eta)


@given(seeds, num_classes)
def test_one_hot_gives_vertices(seed, classes):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (2, 3, 4), generator=g)
    vertices = one_hot(labels, classes)
    assert vertices.shape == (2, classes, 3, 4)
    assert torch.equal(vertices.argmax(1), labels)
    assert torch.equal(vertices.sum(1), torch.ones(2, 3, 4))
    assert ((vertices == 0) | (vertices == 1)).all()
    assert torch.equal(one_hot(labels, classes, dim=-1, dtype=torch.float64), vertices.movedim(1, -1).double())
    assert torch.equal(one_hot(labels.flatten().int(), classes), vertices.movedim(1, -1).reshape(-1, classes))


def test_one_hot_errors():
    with pytest.raises(TypeError, match=r"labels: expected a tensor of integers, got torch.float32"):
        one_hot(torch.zeros(2), 3)
    with pytest.raises(ValueError, match="num_classes: expected a whole number, at least 2; got 1"):
        one_hot(torch.zeros(2, dtype=torch.int64), 1)
    with pytest.raises(ValueError, match=r"labels: expected 0..2, got 0..255; .*unlabelled \(255\)"):
        one_hot(tensor([0, 255]), 3)
    with pytest.raises(ValueError, match=r"got -1..0"):
        one_hot(tensor([0, -1]), 3)
    assert one_hot(torch.zeros(0, dtype=torch.int64), 3).shape == (0, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extended_log_is_ln_with_a_tangent(dtype):
    epsilon = smallest_probability(dtype)
    assert math.isfinite(torch.tensor(1 / epsilon, dtype=dtype).square())
    usual = torch.logspace(-6, 3, 50, dtype=dtype)
    assert torch.equal(extended_log(usual), usual.log())
    x = tensor([0.0, epsilon / 2, -epsilon], dtype=dtype, requires_grad=True)
    value = extended_log(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    expected = math.log(epsilon) + tensor([-1.0, -0.5, -2.0], dtype=dtype)
    assert torch.allclose(value, expected)
    assert torch.allclose(slope, torch.full_like(slope, 1 / epsilon))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softmax_equals_torchs_and_survives_extremes(dtype, generator):
    logits = torch.randn(50, 7, generator=generator, dtype=dtype) * 3
    assert torch.allclose(softmax(logits), logits.softmax(1), rtol=1e-6)
    assert torch.allclose(softmax(logits.T, dim=0), logits.softmax(1).T, rtol=1e-6)
    extreme = tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [0.0, 1e30, -1e30]], dtype=dtype, requires_grad=True)
    p = softmax(extreme)
    assert torch.allclose(p.sum(1), torch.ones(3, dtype=dtype))
    assert (p > 0).all()
    assert p.argmax(1).tolist()[0::2] == [0, 1]
    weights = tensor([[1.0, 2, 3]], dtype=dtype)
    (gradient,) = torch.autograd.grad((weights * p).sum(), extreme)
    expected = p * (weights - (weights * p).sum(1, keepdim=True))  # (diag(p) - p p^T) w
    assert torch.allclose(gradient, expected.detach(), rtol=1e-5, atol=0)
    assert (gradient[0, 1:] != 0).all()  # torch's is exactly zero there


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softmax_is_the_same_for_any_number_of_threads_and_with_gradients(dtype, generator):
    logits = torch.randn(2, 21, 71, 67, generator=generator, dtype=dtype) * 3  # odd sizes: shares with remainders
    results = []
    for threads in (1, 2, 3, 5):
        torch.set_num_threads(threads)
        results.append(softmax(logits))
    results.append(softmax(logits.requires_grad_()).detach())
    with torch.no_grad():
        results.append(softmax(logits))
    assert all(torch.equal(results[0], other) for other in results[1:])
    rtol = 1e-5 if dtype == torch.float32 else 1e-14
    assert torch.allclose(results[0], logits.detach().softmax(1), rtol=rtol, atol=0)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")  # torch's own forward mode
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax_has_the_first_and_second_derivatives_of_torchs(dim, generator):
    logits = (torch.randn(3, 4, 2, generator=generator, dtype=torch.float64) * 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: softmax(x, dim), logits)
    assert torch.autograd.gradgradcheck(lambda x: softmax(x, dim), logits)
    value = torch.func.vmap(lambda x: softmax(x, dim))(torch.stack([logits, -logits]))
    assert torch.allclose(value, torch.stack([logits.softmax(dim), (-logits).softmax(dim)]))
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        own = jacobian(lambda x: softmax(x, dim))(logits.detach())
        assert torch.allclose(own, jacobian(lambda x: x.softmax(dim))(logits.detach()))
    own = torch.func.hessian(lambda x: softmax(x, dim).square().sum())(logits.detach())
    assert torch.allclose(own, torch.func.hessian(lambda x: x.softmax(dim).square().sum())(logits.detach()))


def test_softmax_of_the_largest_finite_logits():
    largest = torch.finfo(torch.float32).max
    assert softmax(tensor([[largest, -largest]])).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_softmax_of_half_precision_is_right_or_refused(dtype):
    logits = tensor([[10.0, -10.0]], dtype=dtype)
    try:
        p = softmax(logits)
    except TypeError as error:
        assert "float" in str(error)  # noqa: PT017
    else:
        assert p[0, 1] < 1e-3


def test_check_distributions():
    good = torch.full((2, 3), 1 / 3)
    check_distributions(1, a=good, b=good)
    with pytest.raises(TypeError, match=r"b: expected a torch.Tensor, got int"):
        check_distributions(1, a=good, b=3)
    with pytest.raises(TypeError, match=r"expected one dtype, got a torch.float32, b torch.float64"):
        check_distributions(1, a=good, b=good.double())
    with pytest.raises(TypeError, match=r"a: .*got torch.float16; call .float\(\) first"):
        check_distributions(1, a=good.half())
    with pytest.raises(ValueError, match=r"no class axis dim=-3 in shape \(2, 3\)"):
        check_distributions(-3, a=good)


def test_integers_lists_and_words_are_refused():
    with pytest.raises(TypeError, match=r"p: expected torch.float32 or torch.float64"):
        to_triangle(torch.eye(3, dtype=torch.int64))
    with pytest.raises(TypeError, match="labels: expected a tensor of integers, got list"):
        one_hot([0, 1], 2)
    with pytest.raises(ValueError, match=r"eta: expected a number in \[0, 1\], got 'x'"):
        mix_with_uniform(torch.full((1, 2), 0.5), "x")
    y = torch.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match=r"mask: expected a bool tensor .*, got list"):
        soft_jaccard(y, y, mask=[True])
    assert soft_jaccard(y[:0], y[:0]).shape == (0,)

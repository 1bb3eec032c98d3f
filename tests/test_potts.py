"""The six relaxations of Tables 1 and 2 against plain loops, finite differences, and the claims of section 2.1."""

import math

import numpy as np
import pytest
import torch
from helpers.oracles import potts_by_hand

from toykit.potts import RELAXATIONS
from toykit.simplex import one_hot, softmax

LOG_OF = {"CCE": "BL", "LQ": "Q", "CD": "NQ"}


def random_pairs(classes, sparse=False, n=20):
    rng = np.random.default_rng(classes)
    concentration = 0.3 if sparse else 1.0
    return rng.dirichlet([concentration] * classes, n), rng.dirichlet([concentration] * classes, n)


def corners_and_middles(classes, dtype=torch.float64):
    """Return all vertices and edge midpoints of Delta^classes."""
    vertices = torch.eye(classes, dtype=dtype)
    return torch.cat([vertices] + [(vertices[i] + vertices[j])[None] / 2 for i in range(classes) for j in range(i)])


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 21, 150])
@pytest.mark.parametrize("name", RELAXATIONS)
def test_values_of_the_paper(name, classes, sparse):
    p, q = random_pairs(classes, sparse)
    expected = [potts_by_hand(name, a, b) for a, b in zip(p.tolist(), q.tolist(), strict=True)]
    value = RELAXATIONS[name](torch.from_numpy(p), torch.from_numpy(q))
    assert value.shape == (20,)
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-12, atol=1e-12)
    single = RELAXATIONS[name](torch.from_numpy(p).float(), torch.from_numpy(q).float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("classes", [2, 3, 21])
@pytest.mark.parametrize("name", RELAXATIONS)
def test_gradients_in_both_arguments(name, classes):
    p, q = (torch.from_numpy(x[:4]).requires_grad_() for x in random_pairs(classes))
    assert torch.autograd.gradcheck(RELAXATIONS[name], (p, q), eps=1e-7, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", RELAXATIONS)
def test_symmetry_range_axis_and_broadcasting(name, generator):
    f = RELAXATIONS[name]
    p, q = torch.randn(2, 2, 5, 3, 4, generator=generator, dtype=torch.float64).mul(3).softmax(2)
    maps = f(p, q)
    assert maps.shape == (2, 3, 4)
    assert torch.allclose(maps, f(q, p), rtol=1e-14)
    assert (maps >= -1e-15).all()
    if name not in LOG_OF:
        assert (maps <= 1).all()
    assert torch.allclose(f(p.movedim(1, -1), q.movedim(1, -1), dim=-1), maps, rtol=1e-14)
    assert torch.allclose(f(p[:, :, 0, 0], q[:, :, 0, 0]), maps[:, 0, 0], rtol=1e-14)
    assert torch.allclose(f(p, q[:1, :, :1, :1]), f(p, q[:1, :, :1, :1].expand_as(p)), rtol=1e-14)
    square_p, square_q = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64).softmax(2)
    assert not torch.allclose(f(square_p, square_q, dim=0), f(square_p, square_q, dim=1))


@pytest.mark.parametrize("classes", [2, 3, 21, 150])
def test_relations_of_the_tables(classes):
    p, q = (torch.from_numpy(x) for x in random_pairs(classes))
    for log_name, name in LOG_OF.items():
        assert torch.allclose(RELAXATIONS[log_name](p, q), -torch.log(1 - RELAXATIONS[name](p, q)), rtol=1e-12)
    unit_p, unit_q = p / p.norm(dim=1, keepdim=True), q / q.norm(dim=1, keepdim=True)
    assert torch.allclose(RELAXATIONS["NQ"](p, q), (unit_p - unit_q).square().sum(1) / 2, rtol=1e-12)
    vertices = torch.eye(classes, dtype=torch.float64)
    first, second = vertices.repeat(classes, 1), vertices.repeat_interleave(classes, 0)
    differ = (first != second).any(1).double()
    for name in ("BL", "Q", "NQ"):
        assert torch.equal(RELAXATIONS[name](first, second), differ)
    for name in LOG_OF:
        assert (RELAXATIONS[name](first, second)[differ == 0] == 0).all()


def test_move_a_bilinear_has_a_barrier_and_the_others_do_not():
    """Fig. 1(a): both pixels change together from A to B."""
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    y = torch.stack([1 - t, t, torch.zeros_like(t)], 1)
    bilinear = RELAXATIONS["BL"](y, y)
    assert bilinear[0] == bilinear[-1] == 0
    assert bilinear[50] == pytest.approx(1 / 2, abs=1e-15)
    assert RELAXATIONS["CCE"](y, y)[50] == pytest.approx(math.log(2), abs=1e-15)
    for name in ("Q", "LQ", "NQ", "CD"):
        assert RELAXATIONS[name](y, y).abs().max() < 1e-15


def test_move_b_quadratic_has_a_trap_and_the_others_do_not():
    """Fig. 1(b): one pixel stays at A, the other changes from C to B."""
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    stays = torch.tensor([[1.0, 0, 0]], dtype=torch.float64)
    goes = torch.stack([torch.zeros_like(t), t, 1 - t], 1)
    quadratic = RELAXATIONS["Q"](stays, goes)
    assert quadratic[0] == quadratic[-1] == 1
    assert quadratic[50] == pytest.approx(3 / 4, abs=1e-15)
    assert RELAXATIONS["LQ"](stays, goes)[50] == pytest.approx(math.log(4), abs=1e-15)
    for name in ("BL", "NQ"):
        assert torch.allclose(RELAXATIONS[name](stays, goes), torch.ones_like(t), rtol=0, atol=1e-15)
    for name in ("CCE", "CD"):  # infinite all along the move: the finite substitute is constant
        value = RELAXATIONS[name](stays, goes)
        assert torch.equal(value, value[0].expand_as(value))
        assert value[0] > 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [3, 4])
@pytest.mark.parametrize("name", RELAXATIONS)
def test_a_feasible_step_downhill_from_every_corner_and_edge(name, classes, dtype):
    f, points = RELAXATIONS[name], corners_and_middles(classes, dtype)
    n = len(points)
    p, q = points.repeat_interleave(n, 0).requires_grad_(), points.repeat(n, 1)
    value = f(p, q)
    (gradient,) = torch.autograd.grad(value.sum(), p)
    assert value.isfinite().all()
    assert gradient.square().isfinite().all()
    # where the term is infinite, only the direction of the gradient is meaningful
    step = gradient / gradient.abs().amax(1, keepdim=True).clamp_min(1)
    moved = project_to_simplex(p.detach() - 0.01 * step)
    after, value = f(moved, q), value.detach()
    assert (after <= value + 1e-6).all()
    if name in LOG_OF:  # no flat regions: where the term is infinite, the step helps
        infinite = (p * q).sum(1) == 0
        if name == "LQ":
            infinite &= (p.amax(1) == 1) & (q.amax(1) == 1)
        assert infinite.any()
        assert (after < value - 1)[infinite].all()


def project_to_simplex(x):
    """Project rows onto the simplex, in the Euclidean norm (sort and threshold)."""
    ordered = x.sort(1, descending=True).values
    shift = (ordered.cumsum(1) - 1) / torch.arange(1, x.shape[1] + 1, dtype=x.dtype)
    support = (ordered > shift).sum(1, keepdim=True)
    return (x - shift.gather(1, support - 1)).clamp_min(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", RELAXATIONS)
def test_confident_logits_have_bounded_gradients(name, dtype, generator):
    """Next to a seed, |dP/dl| <= 1 for every relaxation, e.g. s(1 - s) d(-ln s)/ds, without spikes from rounding.

    Where softmax is floored, LQ's argument is a sum of a few floors, and rounding drops some of them: a factor below K.
    """
    for classes in (2, 5, 21):
        vertices = one_hot(torch.randint(0, classes, (500,), generator=generator), classes, dtype=dtype)
        for size in (1, 10, 20, 100, 1e4):
            logits = torch.randn(500, classes, generator=generator, dtype=dtype).mul(size).requires_grad_()
            value = RELAXATIONS[name](softmax(logits), vertices)
            (gradient,) = torch.autograd.grad(value.sum(), logits)
            assert value.isfinite().all()
            assert gradient.abs().max() < 3, f"K = {classes}, logits of size {size}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOG_OF)
def test_infinite_terms_stay_moderate_under_rounding(name, dtype):
    """A label whose sum is one ulp above 1 has about the same value as the exact label."""
    one_up = 1 + torch.finfo(dtype).eps
    p, q = torch.tensor([[1.0, 0.0]], dtype=dtype), torch.tensor([[0.0, one_up]], dtype=dtype)
    assert RELAXATIONS[name](p, q).item() == pytest.approx(RELAXATIONS[name](p, q.round()).item(), rel=0.1)


@pytest.mark.parametrize("name", RELAXATIONS)
def test_errors_name_the_argument(name):
    f, good = RELAXATIONS[name], torch.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match="same number of classes"):
        f(good, torch.full((2, 4), 0.25))
    with pytest.raises(ValueError, match="at least 2"):
        f(torch.ones(2, 1), torch.ones(2, 1))
    with pytest.raises(TypeError, match=r"expected torch.float32 or torch.float64, got torch.int64"):
        f(good.long(), good.long())
    with pytest.raises(ValueError, match=r"no class axis dim=1 in shape \(3,\)"):
        f(good[0], good[0])


@pytest.mark.parametrize("name", ["BL", "Q", "NQ", "CD", "LQ"])
def test_a_wrong_second_argument_is_called_q(name):
    good = torch.full((2, 3), 1 / 3)
    with pytest.raises(TypeError, match=r"q: expected torch.float32"):
        RELAXATIONS[name](good, good.half())

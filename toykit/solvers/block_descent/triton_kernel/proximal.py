"""The proximal maps of `toykit.solvers.block_descent.proximal` in Triton, on tiles (classes, pixels).

A tile has more rows than there are classes. Their points are `ABSENT`, so far below all others that every map gives them 0.
"""

# Triton compiles these functions; its types do not describe what they accept.
# pyright: reportOperatorIssue=false

import triton
import triton.language as tl

from toykit.solvers.block_descent.triton_kernel.forms import at_least_floor, at_least_tiny

#: The point of a class that does not exist; its square is finite in single precision.
ABSENT = tl.constexpr(-1e18)


@triton.jit
def project(point, steps: tl.constexpr):
    """Return `proximal.project`."""
    shift = _first_shift(point)
    for _ in range(steps):
        above = point - shift[None, :]
        count = tl.maximum(tl.sum((above > 0).to(point.dtype), 0), 1)
        shift += (tl.sum(tl.maximum(above, 0), 0) - 1) / count
    return _normalized(tl.maximum(point - shift[None, :], 0))


@triton.jit
def prox_collision(point, sigma, kappa, steps: tl.constexpr):
    """Return `proximal.prox_collision`; kappa: (pixels,)."""
    use, y = _exists(point), point
    for _ in range(steps):
        used = use * sigma
        count, total, mass = tl.maximum(tl.sum(use, 0), 1), tl.sum(use * point, 0), tl.sum(used, 0)
        alpha = tl.sum(used * point, 0) - (total - 1) * mass / count
        beta = tl.maximum(tl.sum(used * sigma, 0) - mass * mass / count, 0)
        root = tl.sqrt(alpha * alpha + 4 * kappa * beta)
        u = tl.where(alpha > 0, (alpha + root) / 2, 2 * kappa * beta / at_least_tiny(root - alpha))
        pull = kappa / at_least_floor(u)
        y = (point + pull[None, :] * sigma) - ((total + pull * mass - 1) / count)[None, :]
        use = (y > 0).to(point.dtype)
    return _normalized(tl.maximum(y, 0))


@triton.jit
def prox_reverse(point, sigma, kappa, steps: tl.constexpr):
    """Return `proximal.prox_reverse`; kappa: (pixels,)."""
    product = 4 * kappa[None, :] * sigma
    shift = _first_shift(point)
    for _ in range(steps):
        v = point - shift[None, :]
        root = tl.sqrt(v * v + product)
        falls = tl.maximum(tl.sum((1 + v / at_least_tiny(root)) / 2, 0), 1e-6)
        shift += (tl.sum(_root(v, at_least_tiny(root), product), 0) - 1) / falls
    v = point - shift[None, :]
    return _normalized(_root(v, tl.sqrt(v * v + product), product))


@triton.jit
def _root(v, root, product):
    """Return (v + root) / 2, root = sqrt(v^2 + product), without cancellation."""
    return tl.where(v > 0, (v + root) / 2, product / 2 / at_least_tiny(root - v))


@triton.jit
def _exists(point):
    """Return 1 for the classes that exist, else 0."""
    return (point > ABSENT / 2).to(point.dtype)


@triton.jit
def _first_shift(point):
    """Return the shift with which the values of all classes sum to 1."""
    exists = _exists(point)
    return (tl.sum(point * exists, 0) - 1) / tl.sum(exists, 0)


@triton.jit
def _normalized(y):
    """Scale each label to the sum 1."""
    return y * (1 / at_least_tiny(tl.sum(y, 0)))[None, :]

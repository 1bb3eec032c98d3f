"""The kernels: a program makes the step of some pixels of a quarter of an image, or adds their energy.

Tiles are (classes, pixels), numbers per edge (neighbours, pixels). The classes of a pixel stay in registers from the gradient
to the step. The sizes of tiles are powers of two; classes beyond the image's are masked. `torch_kernel` explains the step; the
names are the same there.
"""

# Triton compiles these functions; its types do not describe what they accept.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

import triton
import triton.language as tl

from toykit.solvers.block_descent.triton_kernel.proximal import ABSENT, project, prox_collision, prox_reverse
from toykit.solvers.block_descent.triton_kernel.unary import unary, unary_rise, unary_slope

#: Image sizes are arguments: without them in this list, sizes divisible by 16 would be compiled apart.
SIZES = ("row", "column", "height", "width", "classes")


@triton.jit
def start_of(row, column, dy: tl.constexpr, dx: tl.constexpr, height, width, classes):
    """Return where in an image's labels those of the pixels (dy, dx) away from a quarter's start; (0, 0): its own."""
    r, c = row + (dy + 2), column + (dx + 2)  # 2 more than it is: the division of a negative number would round up
    line = ((r % 2) * 2 + c % 2) * (height + 2) + r // 2
    return line.to(tl.int64) * (classes * (width + 2)) + c // 2


@triton.jit
def load_tile(values, pixel, width, stride, classes, CLASSES: tl.constexpr):
    """Return the values (lines, classes, stride) of some pixels as a tile, and its pointers."""
    k = tl.arange(0, CLASSES)[:, None]
    first = values + ((pixel // width).to(tl.int64) * (classes * stride) + pixel % width)[None, :]
    pointers = first + k * stride
    return tl.load(pointers, mask=k < classes, other=0), pointers


@triton.jit
def rise(RELAXATION: tl.constexpr, CROSS_ENTROPY: tl.constexpr, t, eta, w, j, products, goals, i, goal_i, square,
         match, goal_match, p, goal, target):  # fmt: skip
    """Return the change of each pixel's energy at p + t (goal - p)."""
    left, one = 1 - t, tl.full([1], 1, p.dtype)
    moved = left * i + t * goal_i + t * left * square
    between = left[None, :] * products + t[None, :] * goals
    change = RELAXATION(products, between, i[None, :], moved[None, :], j, one, one / 2)
    return tl.sum(w * change, 0) + eta * unary_rise(CROSS_ENTROPY, t, i - moved, match, goal_match, p, goal, target)


@triton.jit
def slope_along(SLOPES: tl.constexpr, CROSS_ENTROPY: tl.constexpr, t, eta, w, j, products, goals, i, goal_i, square,
                match, goal_match, p, goal, target):  # fmt: skip
    """Return the derivative of `rise` by t."""
    left, one = 1 - t, tl.full([1], 1, p.dtype)
    moved = left * i + t * goal_i + t * left * square
    between = left[None, :] * products + t[None, :] * goals
    turn = i - goal_i - (left - t) * square  # of p.p
    by_s, by_a = SLOPES(between, moved[None, :], j, one, one / 2)
    change = by_s * (goals - products) + by_a * turn[None, :]
    return tl.sum(w * change, 0) + eta * unary_slope(CROSS_ENTROPY, t, turn, match, goal_match, p, goal, target)


@triton.jit
def search(SLOPES: tl.constexpr, DIFFERENCE: tl.constexpr, CROSS_ENTROPY: tl.constexpr, STEPS: tl.constexpr, whole,
           lowest, eta, w, j, products, goals, i, goal_i, square, match, goal_match, p, goal, target):  # fmt: skip
    """Return how far each pixel goes and the change of its energy: the best secant point, if its step is not a whole one."""
    low, high, best = tl.zeros_like(i), tl.zeros_like(i) + 1, whole.to(i.dtype)
    slope_low = slope_along(SLOPES, CROSS_ENTROPY, low, eta, w, j, products, goals, i, goal_i, square,
                            match, goal_match, p, goal, target)  # fmt: skip
    slope_high = slope_along(SLOPES, CROSS_ENTROPY, high, eta, w, j, products, goals, i, goal_i, square,
                             match, goal_match, p, goal, target)  # fmt: skip
    for _ in range(STEPS):
        ratio = slope_low / (slope_low - slope_high)
        ratio = tl.where(tl.abs(ratio) < float("inf"), ratio, 0.5)  # also where it is NaN
        t = low + (high - low) * tl.minimum(tl.maximum(ratio, 0.05), 0.95)
        value = rise(DIFFERENCE, CROSS_ENTROPY, t, eta, w, j, products, goals, i, goal_i, square,
                     match, goal_match, p, goal, target)  # fmt: skip
        slope = slope_along(SLOPES, CROSS_ENTROPY, t, eta, w, j, products, goals, i, goal_i, square,
                            match, goal_match, p, goal, target)  # fmt: skip
        better = (value < lowest) & (whole == 0)
        best, lowest = tl.where(better, t, best), tl.where(better, value, lowest)
        climbing = slope > 0
        high, slope_high = tl.where(climbing, t, high), tl.where(climbing, slope, slope_high)
        low, slope_low = tl.where(climbing, low, t), tl.where(climbing, slope_low, slope)
    return best, lowest


@triton.jit
def move(labels, target, weights, pixel, movable, eta, row, column, height, width, classes, SLOPES: tl.constexpr,
         DIFFERENCE: tl.constexpr, CROSS_ENTROPY: tl.constexpr, OFFSETS: tl.constexpr, OMEGA: tl.constexpr,
         ROUNDING: tl.constexpr, PROJECTION_STEPS: tl.constexpr, NEWTON_STEPS: tl.constexpr, SECANT_STEPS: tl.constexpr,
         NEIGHBORS: tl.constexpr, CLASSES: tl.constexpr):  # fmt: skip
    """Make the step of the movable pixels; return the change of their energy, float64."""
    own_start = start_of(row, column, 0, 0, height, width, classes)
    p, pointers = load_tile(labels + own_start, pixel, width, width + 2, classes, CLASSES)
    s, _ = load_tile(target, pixel, width, width, classes, CLASSES)
    one, edge = tl.full([1], 1, p.dtype), tl.arange(0, NEIGHBORS)[:, None]
    w = tl.load(weights + edge * (height * width) + pixel[None, :])
    products, j, i = tl.zeros_like(w), tl.zeros_like(w), tl.sum(p - p * p, 0)
    gradient, curvature, own = tl.zeros_like(p), tl.zeros_like(i), tl.zeros_like(i)
    for n in tl.static_range(NEIGHBORS):
        start = start_of(row, column, OFFSETS[2 * n], OFFSETS[2 * n + 1], height, width, classes)
        q, _ = load_tile(labels + start, pixel, width, width + 2, classes, CLASSES)
        here, product, impurity = edge == n, tl.sum(p * q, 0), tl.sum(q - q * q, 0)
        weight = tl.load(weights + n * (height * width) + pixel)
        by_s, by_a = SLOPES(product, i, impurity, one, one / 2)
        gradient += (weight * by_s)[None, :] * q
        curvature -= weight * by_s
        own += weight * by_a
        products, j = tl.where(here, product[None, :], products), tl.where(here, impurity[None, :], j)

    if CROSS_ENTROPY == "CE":
        gradient -= eta * s
        curvature += eta
    elif CROSS_ENTROPY == "Q":
        gradient -= 2 * eta * s
        curvature += 2 * eta
        own += eta
    length = 1 / tl.maximum(curvature / OMEGA, 1e-3 * eta + 1e-12)
    point = (1 - 2 * own * length)[None, :] * p - length[None, :] * gradient
    point = tl.where(tl.arange(0, CLASSES)[:, None] < classes, point, ABSENT)
    if CROSS_ENTROPY == "CCE":
        goal = prox_collision(point, s, eta * length, PROJECTION_STEPS)
    elif CROSS_ENTROPY == "RCE":
        goal = prox_reverse(point, s, eta * length, NEWTON_STEPS)
    else:
        goal = project(point, PROJECTION_STEPS)

    # the energy along the segment follows from the products at its two ends and its length
    goals = tl.zeros_like(w)
    for n in tl.static_range(NEIGHBORS):
        start = start_of(row, column, OFFSETS[2 * n], OFFSETS[2 * n + 1], height, width, classes)
        q, _ = load_tile(labels + start, pixel, width, width + 2, classes, CLASSES)
        goals = tl.where(edge == n, tl.sum(goal * q, 0)[None, :], goals)
    goal_i, square = tl.sum(goal - goal * goal, 0), tl.sum((goal - p) * (goal - p), 0)
    match, goal_match = tl.sum(p * s, 0), tl.sum(goal * s, 0)
    lowest = rise(DIFFERENCE, CROSS_ENTROPY, tl.zeros_like(i) + 1, eta, w, j, products, goals, i, goal_i, square,
                  match, goal_match, p, goal, s)  # fmt: skip
    # a rise within rounding does not count
    whole = lowest <= ROUNDING * (eta + tl.sum(w, 0))
    length, lowest = whole.to(p.dtype), tl.where(whole, lowest, 0)
    if tl.max((movable & (whole == 0)).to(tl.int32), 0) > 0:
        length, lowest = search(SLOPES, DIFFERENCE, CROSS_ENTROPY, SECANT_STEPS, whole, lowest, eta, w, j, products,
                                goals, i, goal_i, square, match, goal_match, p, goal, s)  # fmt: skip
    label = (1 - length)[None, :] * p + length[None, :] * goal
    tl.store(pointers, label, mask=(tl.arange(0, CLASSES)[:, None] < classes) & movable[None, :])
    return tl.sum(tl.where(movable, lowest, 0).to(tl.float64), 0)


@triton.jit(do_not_specialize=SIZES)
def update_quarter(labels, target, weights, free, change, scale, row, column, height, width, classes,
                   SLOPES: tl.constexpr, DIFFERENCE: tl.constexpr, CROSS_ENTROPY: tl.constexpr, OFFSETS: tl.constexpr,
                   OMEGA: tl.constexpr, ROUNDING: tl.constexpr, PROJECTION_STEPS: tl.constexpr,
                   NEWTON_STEPS: tl.constexpr, SECANT_STEPS: tl.constexpr, NEIGHBORS: tl.constexpr,
                   CLASSES: tl.constexpr, PIXELS: tl.constexpr):  # fmt: skip
    """Move the pixels of quarter (row, column); set the change (B, 4, programs). Programs: (pixels / PIXELS, images)."""
    image = tl.program_id(1).to(tl.int64)
    quarter, size = image * 4 + row * 2 + column, height * width
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    pixel = tl.minimum(place, size - 1)  # the last tile repeats the last pixel
    movable = (tl.load(free + quarter * size + pixel) > 0) & (place < size)
    total = tl.sum(tl.zeros([PIXELS], tl.float64), 0)
    if tl.max(movable.to(tl.int32), 0) > 0:  # none: an image that has converged costs no more than this
        total = move(labels + image * 4 * (height + 2) * classes * (width + 2), target + quarter * size * classes,
                     weights + quarter * NEIGHBORS * size, pixel, movable, tl.load(scale), row, column, height, width,
                     classes, SLOPES, DIFFERENCE, CROSS_ENTROPY, OFFSETS, OMEGA, ROUNDING, PROJECTION_STEPS, NEWTON_STEPS,
                     SECANT_STEPS, NEIGHBORS, CLASSES)  # fmt: skip
    tl.store(change + quarter * tl.num_programs(0) + tl.program_id(0), total)


@triton.jit(do_not_specialize=SIZES)
def add_energy(labels, target, weights, free, value, scale, height, width, classes, VALUE: tl.constexpr,
               CROSS_ENTROPY: tl.constexpr, OFFSETS: tl.constexpr, NEIGHBORS: tl.constexpr, CLASSES: tl.constexpr,
               PIXELS: tl.constexpr):  # fmt: skip
    """Set the energy (B, 4, programs). Programs: (pixels / PIXELS, images, 4)."""
    image, row, column = tl.program_id(1).to(tl.int64), tl.program_id(2) // 2, tl.program_id(2) % 2
    quarter, size = image * 4 + tl.program_id(2), height * width
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    pixel = tl.minimum(place, size - 1)
    labels += image * 4 * (height + 2) * classes * (width + 2)
    start = start_of(row, column, 0, 0, height, width, classes)
    p, _ = load_tile(labels + start, pixel, width, width + 2, classes, CLASSES)
    s, _ = load_tile(target + quarter * size * classes, pixel, width, width, classes, CLASSES)
    one, i = tl.full([1], 1, p.dtype), tl.sum(p - p * p, 0)
    total = tl.load(scale) * unary(CROSS_ENTROPY, p, s) * tl.load(free + quarter * size + pixel)
    for n in tl.static_range(NEIGHBORS):
        start = start_of(row, column, OFFSETS[2 * n], OFFSETS[2 * n + 1], height, width, classes)
        q, _ = load_tile(labels + start, pixel, width, width + 2, classes, CLASSES)
        weight = tl.load(weights + (quarter * NEIGHBORS + n) * size + pixel)
        edges = VALUE(tl.sum(p * q, 0), i, tl.sum(q - q * q, 0), one, one / 2)
        total += weight * edges / 2  # each undirected edge is met from both its ends
    total = tl.sum(tl.where(place < size, total, 0).to(tl.float64), 0)
    tl.store(value + quarter * tl.num_programs(0) + tl.program_id(0), total)

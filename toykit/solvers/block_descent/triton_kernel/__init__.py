"""The fast solver's sweep and energy in Triton, for grids on a GPU; the same arithmetic as `torch_kernel`.

A quarter is updated by one kernel, `step.update_quarter`: it reads labels, targets and neighbours, keeps the classes of a pixel
in registers, and writes the labels. `proximal`, `unary` and `forms` are its formulas. Image sizes, classes and weights are
arguments, so that crops of other sizes do not compile again; relaxation, cross-entropy, neighbourhood and the next power of two
of the number of classes are compiled in. Nothing waits for the GPU. The kernels were written and tested in the interpreter and
compiled for GPUs; they have not yet been run on one.

Triton's interpreter (`TRITON_INTERPRET=1` before Triton is imported) runs the kernels on the CPU, slowly: the tests use it.
"""

# Triton compiles these functions; its types do not describe what they accept.
# pyright: reportCallIssue=false

import torch
import triton
from torch import Tensor

from toykit.solvers.block_descent.proximal import NEWTON_STEPS, PROJECTION_STEPS
from toykit.solvers.block_descent.torch_kernel import SECANT_STEPS
from toykit.solvers.block_descent.triton_kernel.forms import DIFFERENCE, SLOPES, VALUE
from toykit.solvers.block_descent.triton_kernel.step import add_energy, update_quarter
from toykit.solvers.layouts.four_colour_grid import FourColourGrid

#: Numbers of a tile, classes times pixels, that one warp holds; the smallest and largest number of pixels of a tile.
WARP_TILE, LEAST_PIXELS, MOST_PIXELS = 512, 8, 128


def sweep(x: FourColourGrid, cross_entropy: str, relaxation: str, eta: float, omega: float) -> Tensor:
    """Update all of x.labels in place; see `toykit.solvers.block_descent.torch_kernel.sweep`."""
    shape = tile_shape(x.labels.shape[4])
    arguments, change = _arguments(x, eta, shape["PIXELS"])
    size = x.free.shape[3], x.free.shape[4], x.labels.shape[4]
    with torch.cuda.device_of(x.labels):
        for row in (0, 1):
            for column in (0, 1):
                update_quarter[change.shape[2], len(x.labels)](
                    *arguments, row, column, *size,
                    SLOPES=SLOPES[relaxation], DIFFERENCE=DIFFERENCE[relaxation], CROSS_ENTROPY=cross_entropy,
                    OMEGA=omega, ROUNDING=torch.finfo(x.labels.dtype).eps, PROJECTION_STEPS=PROJECTION_STEPS,
                    NEWTON_STEPS=NEWTON_STEPS, SECANT_STEPS=SECANT_STEPS, **_offsets(x), **shape,
                )  # fmt: skip
    return change.sum((1, 2))


def energy(x: FourColourGrid, cross_entropy: str, relaxation: str, eta: float) -> Tensor:
    """Return the energy per image; see `toykit.solvers.block_descent.torch_kernel.energy`."""
    shape = tile_shape(x.labels.shape[4])
    arguments, value = _arguments(x, eta, shape["PIXELS"])
    with torch.cuda.device_of(x.labels):
        add_energy[value.shape[2], len(x.labels), 4](
            *arguments, x.free.shape[3], x.free.shape[4], x.labels.shape[4],
            VALUE=VALUE[relaxation], CROSS_ENTROPY=cross_entropy, **_offsets(x), **shape,
        )  # fmt: skip
    return value.sum((1, 2))


def tile_shape(classes: int) -> dict[str, int]:
    """Return the tile's sizes for a number of classes, and the number of warps that share it."""
    rows = triton.next_power_of_2(classes)
    pixels = min(max(WARP_TILE // rows, LEAST_PIXELS), MOST_PIXELS)
    return {"CLASSES": rows, "PIXELS": pixels, "num_warps": min(max(rows * pixels // WARP_TILE, 1), 16)}


def is_interpreted() -> bool:
    """Return whether the kernels run in Triton's interpreter, on the CPU."""
    return not isinstance(update_quarter, triton.JITFunction)


def check(device: torch.device, on_grid: bool) -> None:
    """Raise ValueError if the kernels cannot run on a device, or for edges other than a grid's."""
    if not on_grid:
        raise ValueError('kernel="triton" takes the edges of a grid, got a list of edges; take kernel="torch"')
    if device.type != ("cpu" if is_interpreted() else "cuda"):
        how = "with" if is_interpreted() else "without"
        raise ValueError(
            'kernel="triton" runs on CUDA devices, or on the CPU with TRITON_INTERPRET=1 in the environment before Triton is '
            f'imported; got labels on {device}, {how} the interpreter: take kernel="torch"'
        )


def _arguments(x: FourColourGrid, eta: float, pixels: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return the tensors that a kernel takes; the last but one, numbers per program (B, 4, programs), also by itself."""
    programs = triton.cdiv(x.free.shape[3] * x.free.shape[4], pixels)
    numbers = x.labels.new_empty(len(x.labels), 4, programs, dtype=torch.float64)
    # a number among the arguments would be single precision
    scale = x.labels.new_full((1,), eta)
    return (x.labels, x.target, x.weights, x.free, numbers, scale), numbers


def _offsets(x: FourColourGrid) -> dict[str, object]:
    """Return the neighbours' offsets as a kernel takes them: (dy, dx, dy, dx, ...)."""
    return {"OFFSETS": tuple(number for offset in x.offsets for number in offset), "NEIGHBORS": len(x.offsets)}

"""The choice of the fast solver's kernel: by its name, or by the device and what is installed."""

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor

from toykit.solvers.block_descent import torch_kernel


def takes_numba(kernel: str) -> bool:
    """Return whether a kernel's name, see `toykit.solvers.FastOptions`, means numba on the CPU."""
    return kernel == "numba" or (kernel == "auto" and importlib.util.find_spec("numba") is not None)


def kernel_of(
    kernel: str, device: torch.device, on_grid: bool = True
) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """Return a kernel's two functions, sweep and energy.

    Parameters
    ----------
    kernel : str
        As in `toykit.solvers.FastOptions`.
    device : torch.device
        Where the labels are.
    on_grid : bool, default True
        Whether the edges are those of a grid, rather than a list.

    Returns
    -------
    sweep, energy : callable
        With the parameters of `toykit.solvers.block_descent.torch_kernel.sweep` and `energy`.

    Raises
    ------
    ValueError
        If the kernel does not run on the device, or with the edges.
    """
    if kernel == "auto":
        kernel = "numba" if device.type == "cpu" and takes_numba(kernel) else "torch"
        kernel = "triton" if on_grid and _has_triton(device) else kernel
    if kernel == "numba":
        if device.type != "cpu":
            raise ValueError(f'kernel="numba" runs on the CPU, got {device}; take kernel="torch" or "compile"')
        from toykit.solvers.block_descent import numba_kernel

        return numba_kernel.sweep, numba_kernel.energy
    if kernel == "triton":
        from toykit.solvers.block_descent import triton_kernel

        triton_kernel.check(device, on_grid)
        return triton_kernel.sweep, triton_kernel.energy
    if kernel == "compile":
        return torch.compile(torch_kernel.sweep, dynamic=True), torch.compile(torch_kernel.energy, dynamic=True)
    return torch_kernel.sweep, torch_kernel.energy


def _has_triton(device: torch.device) -> bool:
    """Return whether Triton is installed and supports the device: CUDA, compute capability 8.0 or newer."""
    if device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)

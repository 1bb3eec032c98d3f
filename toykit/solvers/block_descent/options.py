"""Options of the fast solver."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_flag, check_number, check_whole

KERNELS = ("auto", "torch", "compile", "numba", "triton")


@dataclass(frozen=True, eq=False)
class FastOptions:
    """Options of the solver "fast".

    Parameters
    ----------
    tolerance : float, default 1e-4
        In [0, 1): an image has converged when a sweep lowers its energy, less the constant between seeds, by at most this
        share.
    max_steps : int, default 200
        Largest number of sweeps.
    kernel : {"auto", "numba", "torch", "compile", "triton"}, default "auto"
        "auto" is numba on the CPU and, for grids, Triton on a CUDA device, where these are installed, else torch. "compile" is
        the torch kernel through `torch.compile`, which needs a compiler and some seconds at the first call. "triton" needs a
        CUDA device or Triton's interpreter; it compiles some seconds at the first call for each energy.
    active_classes : float, default 0
        A probability. 0 solves for all classes. Above 0, an image's labels are limited to classes that it has seeds of or that
        are predicted with at least this probability somewhere: faster where few of many classes occur, and not below the
        optimum of all (`energies` are those of the whole problem, so that two solutions can be compared).
    start : Tensor, float (B, K, H, W), optional
        Labels in the simplex to start from, e.g. those of a similar problem; no sweeps on Q precede them. Default: the
        predictions.
    side_by_side : bool, default False
        Solve small images of few classes several at a time, in long rows that suit the CPU: about twice as fast, e.g. for
        the cells of a mini-batch. The labels are those of an image alone up to rounding and the tolerance. It has no effect on
        other neighbourhoods, with other kernels, or with a callback.
    levels : int or "auto", default "auto"
        Largest number of coarser grids, each of half the resolution, on which an image is solved first so that its labels
        cross it in few sweeps; 0 for none. The coarsest has at least 8 cells along its shorter side. "auto" is as many as
        that allows where an image of at least 128 x 128 pixels has predictions that hardly decide (uniform ones, or a tiny
        eta); else as many as leave at most 512 x 512 cells, so 0 for smaller images. The descent starts from the coarse labels
        only where they have less energy than the predictions (`toykit.solvers.block_descent.levels`); then
        `Solution.energies` begins there, and `Solution.message` reports it. `steps` does not count coarse sweeps. It has no
        effect on other neighbourhoods, with `start`, and with BL where the cross-entropy is Q or RCE.
    progress : callable, optional
        Called without arguments at the start and after each sweep, e.g. to move a progress bar. Unlike a callback it gets no
        labels, whose copies cost time and memory on large images.

    Raises
    ------
    ValueError, TypeError
        For an option out of range, or of the wrong type.
    ImportError
        If the kernel is "numba" or "triton", and this is not installed.
    """

    tolerance: float = 1e-4
    max_steps: int = 200
    kernel: str = "auto"
    active_classes: float = 0.0
    start: Tensor | None = None
    side_by_side: bool = False
    levels: int | str = "auto"
    progress: Callable[[], object] | None = None

    def __post_init__(self):
        check_number("tolerance", self.tolerance, "[0, 1)")
        check_whole("max_steps", self.max_steps)
        check_choice("kernel", self.kernel, KERNELS)
        check_number("active_classes", self.active_classes, "[0, 1]")
        if self.start is not None and not torch.is_tensor(self.start):
            raise TypeError(f"start: expected labels (B, K, H, W) or None, got {type(self.start).__name__}")
        if self.progress is not None and not callable(self.progress):
            raise TypeError(f"progress: expected a callable or None, got {type(self.progress).__name__}")
        check_flag("side_by_side", self.side_by_side)
        if isinstance(self.levels, str):
            check_choice("levels", self.levels, ("auto",))
        else:
            check_whole("levels", self.levels, 0)
        if self.kernel in ("numba", "triton") and importlib.util.find_spec(self.kernel) is None:
            raise ImportError(
                f'kernel="{self.kernel}" needs {self.kernel}: pip install {self.kernel}, or take kernel="torch"'
            )

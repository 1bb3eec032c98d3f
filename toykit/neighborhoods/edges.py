"""What the weighted edges of a batch of images owe to the energy and to the solvers, and what all neighbourhoods share."""

from collections.abc import Callable
from numbers import Real
from typing import Protocol

from torch import Tensor

#: A relaxation of Potts, P(p, q): distributions (B, K, ...) in, one value a pair (B, ...) out.
Relaxation = Callable[[Tensor, Tensor], Tensor]


class Edges(Protocol):
    """The edges of a batch: enough for the energy, its gradient, and the iterative solvers."""

    def potts(self, y: Tensor, relaxation: Relaxation) -> Tensor:
        """sum over the edges of w_ij P(y_i, y_j), per image: (B,); y (B, K, H, W), differentiable in y."""

    def weight_by_agreement(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Weight of the edges between equal and between different integer labels (B, H, W): (B,), (B,)."""

    def laplacian(self, y: Tensor) -> Tensor:
        """sum_j w_ij (y_i - y_j) for each pixel i, of a map y (B, K, H, W)."""

    def degree(self) -> Tensor:
        """sum_j w_ij for each pixel i: (B, H, W)."""

    def within(self, mask: Tensor) -> "Edges":
        """The edges with both ends in a mask (B, H, W)."""

    def __getitem__(self, images: slice | Tensor) -> "Edges":
        """The edges of some of the images: a slice, which shares memory, or their int64 indices (n,)."""


class IndexedEdges(Edges, Protocol):
    """Edges that can be listed: what sparse matrices and graph cuts ask for. `Dense` has none."""

    def index_pairs(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pixel numbers i and j, counted along rows, and weights (B, E). Ends are (E,), or (B, E) where images differ."""


def check_range(name: str, value: Real, low: float = 1e-6, high: float = 1e6, choice: str = "") -> None:
    """Raise ValueError for what is not a number in low..high (`choice`: what else would have done)."""
    if not isinstance(value, Real) or isinstance(value, bool) or not low <= value <= high:
        bounds = f"{low:g}..{high:g}" if low >= 0.01 else "1e-6..1e6"
        raise ValueError(f"{name}: expected a number in {bounds}{choice}, got {value!r}")

"""What a neighbourhood provides, and what its weighted edges provide to the energy and to the solvers.

The energy uses nothing else of a neighbourhood. A new one is a file in this folder and a line in
`toykit.neighborhoods.NEIGHBORHOODS`. It returns one of the three kinds of edges, for which the solvers have layouts:
`GridEdges`, `ListEdges`, or `DenseEdges`, which are available as a filter only.
"""

from collections.abc import Callable
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

#: A relaxation of Potts, P(p, q): distributions (B, K, ...) in, one value per pair (B, ...) out.
Relaxation = Callable[[Tensor, Tensor], Tensor]
#: The interval of bandwidths and other factors of an exponent, as `toykit._shared.arguments.check_number` reads it.
FACTORS = "[1e-6, 1e6]"


@runtime_checkable
class Neighborhood(Protocol):
    """A neighbourhood system N and its affinities w_ij: a frozen dataclass whose fields are its options."""

    def edges(self, image: Tensor, padding: Tensor | None = None) -> "Edges":
        """Compute the weighted edges of a batch.

        Parameters
        ----------
        image : Tensor, float (B, C, H, W)
            C >= 1 channels in 0..255, e.g. RGB, see `toykit.conventions.check_image`.
        padding : Tensor, bool (B, H, W), optional
            Pixels outside the image, which have no edges. Default: none.

        Returns
        -------
        Edges
        """
        ...

    def check_relaxation(self, name: str) -> None:
        """Raise ValueError for a key of `toykit.potts.RELAXATIONS` whose sum over the edges is not available."""

    def scaled(self, factor: float) -> "Neighborhood":
        """Return the neighbourhood with its lengths in pixels multiplied by `factor`."""
        return self


class Edges(Protocol):
    """The weighted edges of a batch of images. Each undirected edge counts once.

    Attributes
    ----------
    listed : bool
        Whether `index_pairs` lists the edges. Otherwise all pixels are joined, and only sums over the edges are available.
    on_grid : bool
        Whether the edges are `GridEdges`, which join pixels at most one row and one column apart.
    """

    listed: ClassVar[bool]
    on_grid: ClassVar[bool]

    def potts(self, y: Tensor, relaxation: Relaxation) -> Tensor:
        """Compute sum_{ij in N} w_ij P(y_i, y_j) per image, differentiable in y.

        Parameters
        ----------
        y : Tensor, float (B, K, H, W)
            Labels.
        relaxation : callable
            P, a value of `toykit.potts.RELAXATIONS`.

        Returns
        -------
        Tensor, (B,)

        Raises
        ------
        ValueError
            If the neighbourhood's `check_relaxation` rejects P.
        """
        ...

    def weight_by_agreement(self, labels: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the weight (B,) of the edges between equal, and that between different integer labels (B, H, W).

        Only edges with both ends in the mask, bool (B, H, W), count, if there is one.
        """
        ...

    def laplacian(self, y: Tensor) -> Tensor:
        """Compute sum_j w_ij (y_i - y_j) at each pixel i of a map y (B, K, H, W)."""
        ...

    def degree(self) -> Tensor:
        """Compute sum_j w_ij at each pixel i: (B, H, W)."""
        ...

    def within(self, mask: Tensor) -> "Edges":
        """Return the edges with both ends in a mask, bool (B, H, W)."""
        ...

    def index_pairs(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """List the edges.

        Parameters
        ----------
        height, width : int
            H and W of the images.

        Returns
        -------
        i, j : Tensor, int64 (E,) or (B, E)
            Numbers of both ends, pixels counted along rows; (B, E) where images have different edges.
        weights : Tensor, float (B, E)

        Raises
        ------
        ValueError
            Unless the edges are `listed`.
        """
        ...

    def __getitem__(self, images: slice | Tensor) -> "Edges":
        """Return the edges of some of the images: a slice, which shares memory, or their int64 indices (n,)."""
        ...

"""What makes previews fast: of one photo, what strokes do not change, and predictions that follow a stroke in a few ms."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from toykit.conventions import UNLABELLED, seeded_classes
from toykit.energy import Energy
from toykit.energy.cells import to_pixels
from toykit.mixture_model.model import cell_colours, near_strokes
from toykit.mixture_model.position import GeodesicGraph, cells_of, stride_of
from toykit.neighborhoods import Neighborhood
from toykit.neighborhoods.protocol import Edges

#: Maps of distances that are kept: of each class two, before and after its last stroke.
KEPT = 32


class Previews:
    """The edges of one photo, and its predictions since the last full solution.

    Fitting the colours of `toykit.mixture_model` takes too long for a preview. Distances from the strokes do not: a preview's
    predictions are those of the last full solution, with the new distances of the classes whose strokes have changed.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
    """

    def __init__(self, image: np.ndarray):
        self.image = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
        self.stride = stride_of(*image.shape[:2])
        self._edges: tuple[Neighborhood, Edges] | None = None
        self._last: tuple[tuple[str, ...], Tensor, Tensor] | None = None
        self._near = lru_cache(KEPT)(self._compute_near)

    def energy(self, energy: Energy) -> Energy:
        """Return an energy whose neighbourhood has its edges already; those of the last one are kept."""
        whole = energy.neighborhood
        if self._edges is None or self._edges[0] != whole:
            self._edges = (whole, whole.edges(self.image))
        return replace(energy, neighborhood=_WithEdges(*self._edges))

    def remember(self, classes: tuple[str, ...], seeds: Tensor, logits: Tensor) -> None:
        """Keep the predictions (1, K, H, W) of a full solution, by `toykit.mixture_model`, its seeds (1, H, W) and classes."""
        self._last = (classes, seeds, logits)

    def logits(self, classes: tuple[str, ...], seeds: Tensor) -> Tensor | None:
        """Predict logits from the last full solution's.

        Parameters
        ----------
        classes : tuple of str
            The painting's classes now.
        seeds : Tensor, shape (1, H, W), int64
            The seeds now; class ids and 255 only.

        Returns
        -------
        Tensor, shape (1, K, H, W), float32
            None if there has been no full solution, or if it had other classes, or seeds of other ones.
        """
        if self._last is None or self._last[0] != classes:
            return None
        _, before, logits = self._last
        changed = before != seeds
        if not bool(changed.any()):
            return logits
        if not torch.equal(seeded_classes(before, len(classes)), seeded_classes(seeds, len(classes))):
            return None
        logits = logits.clone()
        for k in torch.cat([before[changed], seeds[changed]]).unique().tolist():
            if k != UNLABELLED:
                change = self._of_class(seeds, k) - self._of_class(before, k)
                logits[:, k] += to_pixels(change[None, None].float(), seeds.shape[1:], self.stride)[0]
        return logits

    def _of_class(self, seeds: Tensor, k: int) -> Tensor:
        """Return the part of a class's logits that depends on the distance from its strokes, on cells (h, w)."""
        return self._near(cells_of(seeds[0] == k, self.stride).tobytes())

    def _compute_near(self, cells: bytes) -> Tensor:
        return near_strokes(torch.from_numpy(self._graph.distances(np.frombuffer(cells, np.int64))))

    @cached_property
    def _graph(self) -> GeodesicGraph:
        photo = self.image[0]
        return GeodesicGraph.of(cell_colours(photo, torch.full(photo.shape[1:], UNLABELLED), self.stride))


@dataclass(frozen=True, eq=False)
class _WithEdges:
    """A neighbourhood whose edges on the one photo were computed before."""

    whole: Neighborhood
    computed: Edges

    def edges(self, image: Tensor, padding: Tensor | None = None) -> Edges:
        return self.computed

    def check_relaxation(self, name: str) -> None:
        self.whole.check_relaxation(name)

    def scaled(self, factor: float) -> Neighborhood:
        return self.whole.scaled(factor)

"""Labels a few ms after a stroke: those of the last full solution, and what has changed since on coarse cells."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from toykit.conventions import UNLABELLED, seeded_classes
from toykit.energy import Energy
from toykit.energy.cells import cell_logits, cell_photo, cell_seeds, to_pixels
from toykit.mixture_model.model import cell_colours, near_strokes
from toykit.mixture_model.position import GeodesicGraph, cells_of, stride_of
from toykit.neighborhoods import Neighborhood
from toykit.neighborhoods.protocol import Edges
from toykit.simplex import one_hot
from toykit.solvers import Solution, solve

#: Side of a preview's cell in cells of the mixture model. Larger cells pass a stroke's effect on in fewer sweeps.
COARSER = 2
#: Sweeps of a preview on the cells, and the tolerance of the cells' solution that belongs to a full one.
SWEEPS, TOLERANCE = 2, 1e-3
#: Smaller changes of a cell's label are not shown: half a step of the picture's opacity.
NOTICEABLE = 1 / 512
#: Maps of distances that are kept: of each class two, before and after its last stroke.
KEPT = 32


@dataclass(frozen=True)
class Settled:
    """A full solution, and what previews need of it.

    Parameters
    ----------
    classes : tuple of str
    seeds : Tensor, shape (1, H, W)
    present : Tensor, bool (1, K)
        The classes with seeds.
    labels : Tensor, shape (1, K, H, W)
    logits, cells : Tensor, shape (1, K, h, w)
        The predictions, and the solution of the sub-problem on the cells.
    """

    classes: tuple[str, ...]
    seeds: Tensor
    present: Tensor
    labels: Tensor
    logits: Tensor
    cells: Tensor


class Previews:
    """The labels of one photo between full solutions, which take half a second.

    A preview is the full solution plus a change, which is computed on cells (as in `toykit.mixture_model.position`) as the
    difference of two solutions there, with the strokes of now and of then. So boundaries stay as sharp as they were where
    nothing changes. The cells' predictions follow the strokes, too: they are those of the full solution, with the new distances
    of the classes whose strokes have changed. Fitting colours anew takes too long.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
    """

    def __init__(self, image: np.ndarray):
        self.stride = COARSER * stride_of(*image.shape[:2])
        photo = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float()
        none = torch.full(photo.shape[1:], UNLABELLED)
        self._image = cell_photo(photo[None], none[None], self.stride)
        self._colours = cell_colours(photo, none, self.stride)
        self._edges: tuple[Neighborhood, Edges] | None = None
        self._settled: Settled | None = None
        self._now: Tensor | None = None
        self._near = lru_cache(KEPT)(self._compute_near)

    def remember(
        self, classes: tuple[str, ...], seeds: Tensor, logits: Tensor, labels: Tensor, energy: Energy, kernel: str
    ) -> None:
        """Keep a full solution.

        Parameters
        ----------
        classes : tuple of str
            The painting's.
        seeds : Tensor, shape (1, H, W), int64
            Class ids and 255 only.
        logits, labels : Tensor, shape (1, K, H, W)
            The predictions of `toykit.mixture_model`, and the solution.
        energy : Energy
        kernel : str
            See `toykit.solvers.FastOptions`.
        """
        present = seeded_classes(seeds, len(classes))
        logits, start = (cell_logits(maps, seeds, self.stride) for maps in (logits, labels))
        cells = self._solve(logits, seeds, present, start, energy, kernel, tolerance=TOLERANCE).labels
        self._settled, self._now = Settled(classes, seeds, present, labels, logits, cells), cells
        for k in present[0].nonzero()[:, 0].tolist():
            self._of_class(seeds, k)  # the next stroke does not wait for it

    def forget(self) -> None:
        """Keep no full solution."""
        self._settled = self._now = None

    def labels(self, classes: tuple[str, ...], seeds: Tensor, energy: Energy, kernel: str) -> tuple[Tensor, str] | None:
        """Compute the labels after strokes, or with other terms, for arguments as in `remember`.

        Returns
        -------
        labels : Tensor, shape (1, K, H, W)
        message : str
            The solver's.

        Notes
        -----
        None if there has been no full solution, or if it had other classes, or seeds of other ones.
        """
        settled, logits = self._settled, self.logits(classes, seeds)
        if settled is None or self._now is None or logits is None:
            return None
        start = 0.9 * self._now + 0.1 * logits.softmax(1)  # not at the vertices, where steps are short
        solution = self._solve(logits, seeds, settled.present, start, energy, kernel, max_steps=SWEEPS)
        self._now = solution.labels
        labels = settled.labels.clone()
        self._add(solution.labels - settled.cells, labels)
        rows, columns = (seeds[0] != UNLABELLED).nonzero(as_tuple=True)
        labels[0, :, rows, columns] = one_hot(seeds[0, rows, columns], len(classes), 1, labels.dtype).T
        return labels, solution.message

    def _add(self, change: Tensor, labels: Tensor) -> None:
        """Add a change of the cells' labels to those of the pixels, and keep these in the simplex; in place."""
        noticeable = change[0].abs().amax(0) > NOTICEABLE
        if not bool(noticeable.any()):
            return
        spans = []
        for axis in (1, 0):  # the rectangle of these cells and their neighbours
            places = noticeable.any(axis).nonzero()[:, 0]
            spans.append((max(0, int(places[0]) - 1), int(places[-1]) + 2))
        (top, bottom), (left, right) = spans
        s = self.stride
        part = labels[:, :, top * s : bottom * s, left * s : right * s]
        part += to_pixels(change[:, :, top:bottom, left:right], part.shape[2:], s)
        part.clamp_min_(0)
        part /= part.sum(1, keepdim=True)

    def logits(self, classes: tuple[str, ...], seeds: Tensor) -> Tensor | None:
        """Predict the logits (1, K, h, w) of the cells from the last full solution's, or return None, see `labels`."""
        settled = self._settled
        if settled is None or settled.classes != classes:
            return None
        if not torch.equal(settled.present, seeded_classes(seeds, len(classes))):
            return None
        before, logits = settled.seeds, settled.logits.clone()
        changed = before != seeds
        for k in torch.cat([before[changed], seeds[changed]]).unique().tolist():
            if k != UNLABELLED:
                logits[0, k] += self._of_class(seeds, k) - self._of_class(before, k)
        return logits

    def _solve(
        self, logits: Tensor, seeds: Tensor, present: Tensor, start: Tensor, energy: Energy, kernel: str, **options
    ) -> Solution:
        """Solve the sub-problem on the cells, where an edge stands for `stride` edges and a cell for its pixels."""
        whole = energy.neighborhood
        if self._edges is None or self._edges[0] != whole:
            self._edges = (whole, whole.edges(self._image))
        energy = replace(energy, lam=energy.lam / self.stride, neighborhood=_WithEdges(*self._edges))
        marks = cell_seeds(seeds, logits.shape[1], self.stride)
        options |= {"present": present, "start": start, "kernel": kernel, "on_failure": "ignore"}
        return solve(logits, self._image, marks, energy, **options)

    def _of_class(self, seeds: Tensor, k: int) -> Tensor:
        """Return the part of a class's logits that depends on the distance from its strokes, on cells (h, w)."""
        return self._near(cells_of(seeds[0] == k, self.stride).tobytes())

    def _compute_near(self, cells: bytes) -> Tensor:
        return near_strokes(torch.from_numpy(self._graph.distances(np.frombuffer(cells, np.int64)))).float()

    @cached_property
    def _graph(self) -> GeodesicGraph:
        return GeodesicGraph.of(self._colours)


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

"""Class probabilities from one photo's own seeds: colour by a mixture of Gaussians, position by geodesic distances.

With the colour c_i of a pixel (CIELAB), its distance g_ik from the strokes of class k and, optionally, a linear classifier's
probability s_ik on a network's features, the logits are

    ln P_ik = ln p_k(c_i) - POWER ln(NEAR + g_ik)                                      without features,
    ln P_ik = ln p_k(c_i) - POWER_BESIDE ln(NEAR + g_ik) + FEATURES ln s_ik            with them.

`toykit.mixture_model.mixture` has p, `position` has g, `backbone` and `linear` have s.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toykit.conventions import PADDING
from toykit.energy.cells import cell_photo, to_pixels
from toykit.mixture_model.colour import cielab
from toykit.mixture_model.linear import Classifier, fit_classifier
from toykit.mixture_model.mixture import Mixture, fit
from toykit.mixture_model.position import geodesic_distances, stride_of
from toykit.seed_model import ABSENT

#: Power of the distance, and the distance below which all pixels are equally near.
POWER, NEAR = 3.0, 0.03
#: The power beside features, which say more than position about pixels far from all strokes, and the weight of the features,
#: both chosen on simulated strokes over training photos of VOC.
POWER_BESIDE, FEATURES = 0.8, 1.6
#: Seeds per class that the mixture is fitted to, taken at even intervals.
SEEDS = 500
#: Pixels that are computed at a time.
CHUNK = 1 << 16


@dataclass(frozen=True)
class PhotoModel:
    """The fitted model of one photo.

    Parameters
    ----------
    present : list of int
        The classes with seeds.
    mixtures : tuple of Mixture
        The colours of each present class.
    evidence : Tensor, float64 (len(present), h, w)
        The rest of ln P_ik on cells: position, and the scores on features.
    stride : int
        Side of a cell in pixels.
    classifier : Classifier, optional
        Of the features.
    """

    present: list[int]
    mixtures: tuple[Mixture, ...]
    evidence: Tensor
    stride: int
    classifier: Classifier | None = None

    def log_densities(self, colours: Tensor) -> Tensor:
        """Compute ln p_k of colours (N, 3): float64 (N, len(present))."""
        return torch.stack([mixture.log_density(colours) for mixture in self.mixtures], 1)

    def logits(self, photo: Tensor, num_classes: int) -> Tensor:
        """Compute ln P_ik at each pixel of the photo (3, H, W): float32 (num_classes, H, W)."""
        height, width = photo.shape[1:]
        scores = to_pixels(self.evidence[None].float(), (height, width), self.stride)[0]
        if height * width > CHUNK and bool((photo == photo.byte()).all()):
            self._add_by_colour(photo, scores)
        else:
            for part in _row_blocks(height, width):
                scores[:, part] += self._densities(photo[:, part].flatten(1)).unflatten(1, (-1, width))
        if num_classes == len(self.present):
            return scores
        logits = scores.new_empty(num_classes, height, width)
        logits[:] = scores.amin(0) - ABSENT
        logits[self.present] = scores
        return logits

    def _add_by_colour(self, photo: Tensor, scores: Tensor) -> None:
        """Add ln p_k of an 8-bit photo (3, H, W) to scores, each colour computed once: a photo has far fewer than pixels."""
        height, width = photo.shape[1:]
        number = torch.zeros(1 << 24, dtype=torch.int32, device=photo.device)
        for part in _row_blocks(height, width):
            number[_code(photo[:, part])] = 1
        codes = number.nonzero()[:, 0]
        number[codes] = torch.arange(len(codes), dtype=torch.int32, device=photo.device)
        rgb = torch.stack([codes >> 16, codes >> 8 & 255, codes & 255]).to(photo.dtype)
        densities = torch.cat([self._densities(some).T for some in rgb.split(CHUNK, 1)])  # a colour's lie together
        for part in _row_blocks(height, width):
            here = number[_code(photo[:, part]).flatten()]
            scores[:, part] += densities.index_select(0, here).T.unflatten(1, (-1, width))

    def _densities(self, rgb: Tensor) -> Tensor:
        """Compute ln p_k of colours (3, N): float32 (len(present), N)."""
        return self.log_densities(cielab(rgb[..., None])[..., 0].T).T.float()


def _row_blocks(height: int, width: int) -> list[slice]:
    """Return slices of rows of about `CHUNK` pixels."""
    rows = max(1, CHUNK // width)
    return [slice(top, top + rows) for top in range(0, height, rows)]


def _code(rgb: Tensor) -> Tensor:
    """Return 8-bit colours (3, ...) as one number each."""
    red, green, blue = rgb.long()
    return red << 16 | green << 8 | blue


def fit_photo(photo: Tensor, seeds: Tensor, features: list[Tensor] | None = None) -> PhotoModel:
    """Fit the model to one photo.

    Parameters
    ----------
    photo : Tensor, float32 (3, H, W)
    seeds : Tensor, int64 (H, W)
        At least one class.
    features : list of Tensor, float (C, h, w), optional
        A network's maps of the photo, each on any grid.

    Returns
    -------
    PhotoModel
    """
    stride = stride_of(*seeds.shape)
    present = seeds.flatten().bincount(minlength=PADDING)[:PADDING].nonzero()[:, 0].tolist()
    mixtures = []
    for k in present:
        rows, columns = (seeds == k).nonzero(as_tuple=True)
        chosen = torch.linspace(0, len(rows) - 1, min(len(rows), SEEDS), device=rows.device).round().long()
        mixtures.append(fit(cielab(photo[:, rows[chosen], columns[chosen]]).T))
    cells = cell_colours(photo, seeds, stride)
    distances = geodesic_distances(cells, seeds, present, stride)
    if features is None:
        return PhotoModel(present, tuple(mixtures), near_strokes(distances), stride)
    classifier = fit_classifier(features, seeds, present, stride)
    evidence = near_strokes(distances, POWER_BESIDE) + FEATURES * classifier.log_probabilities()
    return PhotoModel(present, tuple(mixtures), evidence, stride, classifier)


def near_strokes(distances: Tensor, power: float = POWER) -> Tensor:
    """Compute the logits' part that falls with the distance from a class's strokes, -power ln(NEAR + g)."""
    return -power * (NEAR + distances).log()


def cell_colours(photo: Tensor, seeds: Tensor, stride: int) -> Tensor:
    """Return the cells' mean colours in CIELAB, float64 (3, h, w)."""
    return cielab(cell_photo(photo[None], seeds[None], stride)[0])

"""Predictions for one photo without a network, made to be right: what `toykit segment` and the painter start from.

    logits = mixture_logits(image, seeds, num_classes)                     # colour and position
    logits = mixture_logits(image, seeds, num_classes, energy=energy)      # refitted to the soft labels of eq. (8)
    logits = mixture_logits(image, seeds, num_classes, features=Backbone("weights.pt"))

The course's notebooks and the benchmark use `toykit.seed_model` instead, a single Gaussian per class that imitates a network,
mistakes included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from toykit._shared.arguments import check_whole
from toykit.conventions import PADDING
from toykit.energy import Energy
from toykit.mixture_model.backbone import Backbone
from toykit.mixture_model.model import PhotoModel, fit_photo
from toykit.mixture_model.refine import refine, self_train
from toykit.seed_model import check_photos

__all__ = ["ROUNDS", "Backbone", "PhotoModel", "fit_photo", "mixture_logits", "refine", "self_train"]

#: Rounds of self-labelling by default.
ROUNDS = 2


def mixture_logits(
    image: Tensor,
    seeds: Tensor,
    num_classes: int,
    *,
    energy: Energy | None = None,
    rounds: int = ROUNDS,
    features: Callable[[Tensor], list[Tensor]] | None = None,
    kernel: str = "auto",
) -> Tensor:
    """Predict logits from the seeds of each image alone, by a mixture of Gaussians per class over colour, and by position.

    Parameters
    ----------
    image : Tensor, shape (B, 3, H, W)
        RGB in 0..255.
    seeds : Tensor, shape (B, H, W), integers
        Class id, 254 (padding) or 255 (unlabelled).
    num_classes : int
        Number of classes K.
    energy : Energy, optional
        The sub-problem to whose soft labels the model is refitted. Default: no refit.
    rounds : int, default `ROUNDS`
        Largest number of refits of the mixtures, see `toykit.mixture_model.refine`; with features the classifier is refitted
        instead, once, see `toykit.mixture_model.self_train`. 0 for none. It has no effect without `energy`.
    features : callable, optional
        From a photo (3, H, W) to a network's maps, e.g. a `Backbone`. A linear classifier on them is added.
    kernel : str, default "auto"
        The fast solver's, for refits.

    Returns
    -------
    Tensor, shape (B, K, H, W), float32
        The softmax is the posterior of the classes. A class without seeds in an image lies
        `toykit.seed_model.ABSENT` below the least likely class with seeds. An image without any seeds gets zeros.

    Raises
    ------
    TypeError
        For wrong types or dtypes of image and seeds.
    ValueError
        For wrong shapes or values, or a number of rounds that is not an integer of at least 0.
    """
    check_whole("rounds", rounds, 0)
    image, seeds = check_photos(image, seeds, num_classes)
    if image.shape[1] != 3:
        raise ValueError(f"image: expected the 3 channels of RGB, got {image.shape[1]}")
    logits = torch.zeros(len(image), num_classes, *seeds.shape[1:], device=image.device)
    for photo, marks, out in zip(image, seeds, logits, strict=True):
        if not (marks < PADDING).any():
            continue
        model: Any = fit_photo(photo, marks, None if features is None else features(photo))
        if energy is not None and rounds > 0:
            if features is None:
                model, _ = refine(model, photo, marks, energy, rounds, kernel)
            else:
                model = self_train(model, photo, marks, energy, kernel)
        out[:] = model.logits(photo, num_classes)
    return logits

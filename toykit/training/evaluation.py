"""Mean intersection over union as PASCAL VOC defines it: from one confusion matrix of the whole set.

Every pixel counts once, whatever its image; void pixels do not count. Masks keep their own resolution, photos are predicted at
one scale (large ones in tiles, see `toykit.training.predict`), and there is no post-processing. (The mean of the values of
single images is another number.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from toykit.datasets.layout import VOID
from toykit.training.batches import ignore_termination, termination_held_back
from toykit.training.predict import Features, Views, predict_mask

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: Distance in pixels up to which a pixel counts as near a boundary.
BAND = 5
#: What an evaluation adds to an epoch's row of the history.
EVALUATED = ("val_miou", "val_iou", "val_accuracy", "val_accuracy_inside", "val_accuracy_boundary")


def confusion_matrix(prediction: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """Count pixels by target and prediction.

    Parameters
    ----------
    prediction, target : Tensor, integers, of one shape
        Targets outside 0..K-1 (void, padding) are left out. Predictions are in 0..K-1, or at least 0 where they are left out.
    num_classes : int
        K.

    Returns
    -------
    Tensor, int64, shape (K, K)
        Entry (t, p) counts the pixels whose target is t and whose prediction is p.
    """
    uncounted = num_classes**2  # an extra bin
    # 16 bits are a quarter of the bytes, and take a fifth of the time
    small = torch.int16 if uncounted + num_classes < 1 << 15 else torch.int64
    if target.dtype != torch.uint8:
        target = target.where(target >= 0, num_classes)
    rows, columns = target.clamp_max(num_classes).to(small), prediction.clamp_max(num_classes).to(small)
    pairs = (rows * num_classes + columns).clamp_max(uncounted)
    return torch.bincount(pairs.flatten(), minlength=uncounted + 1)[:uncounted].view(num_classes, num_classes)


def class_ious(confusion: Tensor) -> Tensor:
    """Compute the intersection over union of each class.

    Parameters
    ----------
    confusion : Tensor, int64, shape (K, K)
        See `confusion_matrix`.

    Returns
    -------
    Tensor, float64, shape (K,), in [0, 1]
        NaN for a class that is in neither target nor prediction.
    """
    intersection = confusion.diagonal().double()
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    return intersection / union


def mean_iou(confusion: Tensor) -> float:
    """Return the mean of `class_ious` over the classes in target or prediction, in [0, 1]; NaN if no pixel counts."""
    return class_ious(confusion).nanmean().item()


def accuracy(confusion: Tensor) -> float:
    """Return the share of pixels whose prediction is their target, in [0, 1]; NaN if no pixel counts."""
    return (confusion.diagonal().sum() / confusion.sum().double()).item()


def number(value: float) -> float | None:
    """Return a value that JSON can hold: None for NaN."""
    return None if math.isnan(value) else value


def evaluation_row(inside: Tensor, near: Tensor) -> dict:
    """Compute `EVALUATED` from the confusion matrices inside regions and near boundaries."""
    whole = inside + near
    ious = [number(iou) for iou in class_ious(whole).tolist()]
    shares = (number(accuracy(confusion)) for confusion in (whole, inside, near))
    return dict(zip(EVALUATED, (number(mean_iou(whole)), ious, *shares), strict=True))


def near_boundary(mask: Tensor, width: int = BAND) -> Tensor:
    """Find the pixels near a boundary of a mask.

    Parameters
    ----------
    mask : Tensor, int64, shape (H, W)
        Void counts as a value: where it lies between two classes, as VOC's rim does, both of its sides are boundaries.
    width : int, default `BAND`, in pixels

    Returns
    -------
    Tensor, bool, shape (H, W)
        True at most `width` pixels away from a pixel whose neighbour has another value.
    """
    from scipy import ndimage

    edge = torch.zeros_like(mask, dtype=torch.bool)
    for axis in (0, 1):
        differ = mask.diff(dim=axis) != 0
        edge.narrow(axis, 0, mask.shape[axis] - 1).logical_or_(differ)
        edge.narrow(axis, 1, mask.shape[axis] - 1).logical_or_(differ)
    if not edge.any():
        return edge
    distance = np.asarray(ndimage.distance_transform_edt(~edge.numpy()))
    return torch.from_numpy(distance <= width)


class Photos(Dataset):
    """The whole photos of a data set: photos[i] is (image float32 (3, H, W) in 0..255, mask int64 (H, W)).

    Parameters
    ----------
    samples : SegmentationSet or sequence of Sample
    """

    def __init__(self, samples):
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self.samples[index]
        if sample.mask is None:
            raise ValueError(f"{sample.name}: no mask to evaluate against")
        return sample.tensors()[0][0], torch.from_numpy(sample.mask).long()


@torch.no_grad()
def evaluate(
    fabric: Fabric,
    network,
    samples,
    num_classes: int,
    workers: int = 0,
    scale: float = 1.0,
    features: Features | None = None,
) -> Tensor:
    """Compute the confusion matrices of a network on whole photos.

    Parameters
    ----------
    fabric : Fabric
        Process r takes the photos r, r + world, ..., so that none counts twice.
    network, scale, features
        See `toykit.training.predict.predict`.
    samples : SegmentationSet or sequence of Sample
        Photos with masks.
    num_classes : int
    workers : int, default 0
        Processes that load photos.

    Returns
    -------
    Tensor, int64, shape (2, K, K), on the CPU
        The first matrix counts the pixels inside regions, the second those near a boundary (`near_boundary`). Their sum counts
        all.

    Raises
    ------
    ValueError
        A photo has no mask.
    """
    mine = range(fabric.global_rank, len(samples), fabric.world_size)
    loader = DataLoader(
        Photos(samples), batch_size=None, sampler=mine, num_workers=workers, worker_init_fn=ignore_termination
    )
    was_training = network.training
    network.eval()  # once, since it visits all modules, which takes as long as a photo
    views = Views(scale)
    confusions = torch.zeros(2, num_classes, num_classes, dtype=torch.int64, device=fabric.device)
    with termination_held_back():
        pairs = iter(loader)
    for image, mask in pairs:
        with fabric.autocast():
            predicted = predict_mask(network, image[None].to(fabric.device), views, features)
        near = near_boundary(mask)
        for confusion, part in zip(confusions, (mask.where(~near, VOID), mask.where(near, VOID)), strict=True):
            confusion += confusion_matrix(predicted, part.to(fabric.device), num_classes)
    network.train(was_training)
    total = fabric.all_reduce(confusions, reduce_op="sum")
    assert isinstance(total, Tensor)
    return total.cpu()

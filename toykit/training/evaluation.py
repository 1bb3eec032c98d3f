"""Mean intersection over union as PASCAL VOC defines it: from one confusion matrix of the whole set.

Every pixel counts once, whatever its image; void pixels do not count; masks in their own resolution, one scale, no
post-processing. (An average of the images' own values is another number.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from toykit.datasets.layout import VOID

#: Pixels at most this far from a boundary are counted apart.
BAND = 5


def confusion_matrix(prediction: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """Counts of pixels, int64 (K, K): entry (t, p) of those whose target is t and prediction p.

    prediction, target: integer tensors of one shape. Targets outside 0..K-1 (void, padding) are left out.
    """
    judged = (target >= 0) & (target < num_classes)
    unjudged = num_classes**2  # a bin of their own
    pairs = (target.long() * num_classes + prediction.long()).where(judged, unjudged)
    return torch.bincount(pairs.flatten(), minlength=unjudged + 1)[:unjudged].view(num_classes, num_classes)


def most_likely(scores: Tensor) -> Tensor:
    """The class of the largest score at each pixel, int64 (H, W), the lowest id of equals, of scores (K, H, W).

    What argmax over axis 0 returns, many times faster on the CPU, where argmax reads pixel by pixel.
    """
    best, winner = scores[0], torch.zeros(scores.shape[1:], dtype=torch.int64, device=scores.device)
    for k, own in enumerate(scores[1:], start=1):
        higher = own > best
        best, winner = torch.where(higher, own, best), winner.masked_fill(higher, k)
    return winner


def class_ious(confusion: Tensor) -> Tensor:
    """Intersection over union of each class, float64 (K,) in [0, 1]; NaN for one in neither target nor prediction."""
    intersection = confusion.diagonal().double()
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    return intersection / union


def mean_iou(confusion: Tensor) -> float:
    """Mean of `class_ious` over the classes that occur in target or prediction; NaN if no pixel was judged."""
    return class_ious(confusion).nanmean().item()


def accuracy(confusion: Tensor) -> float:
    """Share of the judged pixels whose prediction is their target, in [0, 1]; NaN if no pixel was judged."""
    return (confusion.diagonal().sum() / confusion.sum().double()).item()


def near_boundary(mask: Tensor, width: int = BAND) -> Tensor:
    """Pixels of a mask, int64 (H, W), at most `width` pixels away from one whose neighbour has another value: bool (H, W).

    Void counts as a value: where it lies between two classes, as VOC's rim does, both of its sides are boundaries.
    """
    from scipy import ndimage

    edge = torch.zeros_like(mask, dtype=torch.bool)
    for axis in (0, 1):
        differ = mask.diff(dim=axis) != 0
        edge.narrow(axis, 0, mask.shape[axis] - 1).logical_or_(differ)
        edge.narrow(axis, 1, mask.shape[axis] - 1).logical_or_(differ)
    if not edge.any():
        return edge
    return torch.from_numpy(ndimage.distance_transform_edt(~edge.numpy()) <= width)


class Photos(Dataset):
    """A data set's whole photos: [i] -> (image float32 (3, H, W) in 0..255, mask int64 (H, W))."""

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
def predict(network, image: Tensor, scale: float = 1.0, features=None) -> Tensor:
    """A network's logits (B, K, H, W) for whole photos (B, 3, H, W), which it sees `scale` times as large.

    A network judges objects best at the size at which it saw them in training. The network is in evaluation mode
    meanwhile, and then as it was. features: a `toykit.training.features.FeatureCache` for a network with a frozen body.
    """
    was_training = network.training
    if was_training:
        network.eval()
    size = image.shape[-2:]
    if scale != 1:
        smaller = [max(1, round(scale * length)) for length in size]
        image = F.interpolate(image, smaller, mode="bilinear", align_corners=False, antialias=scale < 1)
    logits = network(image) if features is None else network(image, features(image))
    if was_training:
        network.train()
    return logits if scale == 1 else F.interpolate(logits, size, mode="bilinear", align_corners=False)


@torch.no_grad()
def evaluate(fabric, network, samples, num_classes: int, workers: int = 0, scale: float = 1.0, features=None) -> Tensor:
    """Confusion matrices of a network on whole photos, int64 (2, K, K) on the CPU; the processes share the photos.

    The first counts the pixels inside regions, the second those near a boundary (`near_boundary`); their sum is the set's.

    fabric: of Lightning; process r takes photos r, r + world, ..., so that none counts twice. network, scale, features: see
    `predict`.
    """
    mine = range(fabric.global_rank, len(samples), fabric.world_size)
    loader = DataLoader(Photos(samples), batch_size=None, sampler=mine, num_workers=workers)
    was_training = network.training
    network.eval()  # once: to go through all modules takes as long as a photo
    confusions = torch.zeros(2, num_classes, num_classes, dtype=torch.int64, device=fabric.device)
    for image, mask in loader:
        with fabric.autocast():
            logits = predict(network, image[None].to(fabric.device), scale, features)
        predicted, near = most_likely(logits[0]), near_boundary(mask)
        for confusion, part in zip(confusions, (mask.where(~near, VOID), mask.where(near, VOID)), strict=True):
            confusion += confusion_matrix(predicted, part.to(fabric.device), num_classes)
    network.train(was_training)
    return fabric.all_reduce(confusions, reduce_op="sum").cpu()

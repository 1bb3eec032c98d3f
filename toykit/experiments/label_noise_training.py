"""A network of Fig. 3 (d): ResNet-18, trained under label noise.

`toykit.experiments.label_noise` has the protocol. Image size, optimiser and schedule are ours; the paper does not state them.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from toykit._shared.torchvision import torchvision
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.datasets.natural_scenes import Scenes
from toykit.experiments.label_noise import Cell, Settings, corrupt, targets
from toykit.simplex import softmax


def train(
    settings: Settings, train_set: Scenes, test_set: Scenes, after_epoch: Callable[[], object] = lambda: None
) -> Cell:
    """Train one network from random weights; the same arguments give the same cell.

    Parameters
    ----------
    settings : Settings
        The cell of the grid, and how to train. Which images it names is ignored.
    train_set, test_set : Scenes
        Images to train on, whose labels are corrupted here, and clean images for the accuracy.
    after_epoch : callable, optional
        Called without arguments after each epoch.

    Returns
    -------
    Cell
        Accuracies and confidence of the run.
    """
    loss, noise, seed = settings.loss, settings.noise, settings.seed
    num_classes, n = len(train_set.classes), len(train_set.labels)
    generator = torch.Generator().manual_seed(seed)
    soft = targets(corrupt(train_set.labels, noise, num_classes, generator), noise, num_classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _resnet18(num_classes, settings.stages).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), settings.lr, fused=True)
    batches = math.ceil(n / settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=settings.epochs * batches, pct_start=0.2, cycle_momentum=False
    )
    padded = _channels_last(train_set.images, settings.shift)
    accuracies, confidence = [], math.nan
    for _ in range(settings.epochs):
        network.train()
        # chunks of nearly equal size: batch normalisation needs more than one image per batch
        for chosen in torch.randperm(n, generator=generator).tensor_split(batches):
            images = _jitter(padded, chosen, settings.shift, generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
                logits = network(images)
            optimizer.zero_grad()
            CROSS_ENTROPIES[loss](soft[chosen], softmax(logits.float())).mean().backward()
            optimizer.step()
            schedule.step()
        sigma = _predict(network, test_set.images, settings)
        accuracies.append(float((sigma.argmax(1) == test_set.labels).float().mean()))
        confidence = float(sigma.amax(1).mean())
        after_epoch()
    return Cell(loss, noise, seed, tuple(accuracies), confidence)


def _resnet18(num_classes: int, stages: int) -> torch.nn.Module:
    """Return torchvision's ResNet-18 with random weights and only its first `stages` stages."""
    network = torchvision().models.resnet18(num_classes=num_classes)
    if stages < 4:
        for number in range(stages + 1, 5):
            setattr(network, f"layer{number}", torch.nn.Identity())
        network.fc = torch.nn.Linear(64 * 2 ** (stages - 1), num_classes)
    return network


def _channels_last(images: Tensor, margin: int) -> Tensor:
    """Return images (N, 3, H, W) with a reflected margin as (N, H, W, 3), the layout that `_jitter` picks from."""
    padded = torch.nn.functional.pad(images.float(), [margin] * 4, mode="reflect") if margin else images
    return padded.to(torch.uint8).movedim(1, -1).contiguous()


def _jitter(padded: Tensor, chosen: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Return the chosen images, randomly shifted and flipped, as float32 (B, 3, H, W) in -1..1, channels last."""
    height, width = (size - 2 * shift for size in padded.shape[1:3])
    down, right = torch.randint(2 * shift + 1, (2, len(chosen), 1), generator=generator)
    rows, columns = torch.arange(height) + down, torch.arange(width).expand(len(chosen), -1)
    flip = torch.rand(len(chosen), 1, generator=generator) < 0.5
    columns = torch.where(flip, columns.flip(1), columns) + right
    return _normalize(padded[chosen[:, None, None], rows[:, :, None], columns[:, None]].movedim(-1, 1))


def _normalize(images: Tensor) -> Tensor:
    """Map 0..255 to -1..1."""
    return images.float().div_(127.5).sub_(1)


def _predict(network: torch.nn.Module, images: Tensor, settings: Settings) -> Tensor:
    """Return the predicted distributions (N, K)."""
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
        parts = images.split(256)
        logits = [network(_normalize(part).contiguous(memory_format=torch.channels_last)).float() for part in parts]
    return torch.cat(logits).softmax(1)

"""Which crops a step sees. Every random draw has an address, so that nothing else changes it.

The first weights are drawn from (seed), the order of an epoch from (seed, epoch), the augmentation of a photo from (seed,
epoch, its index), that of its later draws in an epoch from (seed, epoch, its index, its earlier draws, 0), dropout from (seed,
epoch, step, process): no two uses have addresses of one length. No state is carried from draw to draw: worker processes, the
number of training processes and an interruption between any two steps leave the run as it was.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from toykit.training.config import Data


def seed_at(*address: int) -> int:
    """A seed of 64 bits for an address of whole numbers; addresses that differ, also in length, give unrelated seeds."""
    digest = hashlib.sha256("/".join(map(str, address)).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def generator_at(*address: int) -> torch.Generator:
    """A generator seeded with `seed_at`."""
    return torch.Generator().manual_seed(seed_at(*address))


class Crops(Dataset):
    """Augmented crops of a data set: [epoch, index] -> (image, seeds, mask, present).

    image float32 (3, S, S) in 0..255; seeds, mask int64 (S, S); present bool (K,), the classes that labels may take in it.
    """

    def __init__(self, samples, data: Data, seed: int):
        self.samples, self.data, self.seed = samples, data, seed

    def __getitem__(self, address: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        from toykit.datasets.transforms import augment

        sample, data = self.samples[address[1]], self.data
        parts = augment(sample, data.crop, generator_at(self.seed, *address), data.scale, data.flip)
        return *parts, torch.from_numpy(sample.present(self.samples.supervision.present))


def check_whole_photos(samples, data: Data) -> None:
    """Raise ValueError for the first photo that a crop would cut; only the files' headers are read."""
    from PIL import Image

    for entry in samples.entries:
        with Image.open(entry.image) as file:
            longest = round(data.scale[1] * max(file.size))
        if longest > data.crop:
            raise ValueError(
                f"{entry.image}: model.freeze=body needs whole photos, and this one has {longest} pixels at scale "
                f"{data.scale[1]:g}; take data.crop of at least that, or a smaller data.scale and data.eval_scale"
            )


def class_frequency_weights(samples) -> Tensor:
    """How often to draw each photo, float64 (N,): the sum over its seeds' classes of 1 / sqrt(photos with that class).

    Raises: ValueError if no photo has a seed.
    """
    seeds = (samples[i].seeds for i in range(len(samples)))
    shown = torch.from_numpy(np.stack([np.isin(np.arange(len(samples.classes)), own) for own in seeds]))
    if not shown.any():
        raise ValueError("data.sampling=rare_classes: expected seeds in the training photos, found none; take uniform")
    return (shown / shown.sum(0).clamp_min(1).sqrt().double()).sum(1)


def epoch_batches(
    size: int,
    batch: int,
    seed: int,
    epoch: int,
    first_step: int = 0,
    rank: int = 0,
    world: int = 1,
    weights: Tensor | None = None,
) -> list[list[tuple[int, ...]]]:
    """One process's share of an epoch's batches, as addresses (epoch, index, ...), from `first_step` on.

    `batch` counts over all processes; process r takes its elements r, r + world, ... The last, incomplete batch is
    dropped: the order is drawn anew each epoch, so that no photo is left out for good. weights: (size,), how often to draw each
    photo, with replacement; default each once. A photo's later draws in the epoch have longer addresses, so other crops.
    """
    generator = generator_at(seed, epoch)
    if weights is None:
        order = torch.randperm(size, generator=generator).tolist()
    else:
        order = torch.multinomial(weights, size, replacement=True, generator=generator).tolist()
    starts, addresses, drawn = range(first_step * batch, size - batch + 1, batch), [], Counter()
    for index in order:
        addresses.append((epoch, index, drawn[index], 0) if drawn[index] else (epoch, index))
        drawn[index] += 1
    return [addresses[start : start + batch][rank::world] for start in starts]


class CropLoader:
    """Loads an epoch's batches by the configured number of worker processes.

    The workers live as long as the loader: what a set has found for a photo, its simulated scribbles, is found once.
    """

    def __init__(self, crops: Crops):
        self.addresses: list[list[tuple[int, ...]]] = []
        workers = crops.data.workers
        self.loader = DataLoader(
            crops, batch_sampler=self.addresses, num_workers=workers, persistent_workers=workers > 0
        )

    def load(self, addresses: list[list[tuple[int, ...]]]) -> Iterable[list[Tensor]]:
        """(images, seeds, masks, present) of each batch."""
        self.addresses[:] = addresses  # the loader reads its list anew at each start
        return self.loader

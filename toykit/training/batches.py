"""Which crops a step sees. Every random draw has an address, so that nothing else changes it.

The first weights are drawn from (seed), the order of an epoch from (seed, epoch), the augmentation of a photo from (seed,
epoch, its index), dropout from (seed, epoch, step, process): no two uses have addresses of one length. No state is carried
from draw to draw: worker processes, the number of training processes and an interruption between any two steps leave the
run as it was.
"""

import hashlib
from collections.abc import Iterable

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
    """Augmented crops of a data set: [epoch, index] -> (image float32 (3, S, S) in 0..255, seeds, mask int64 (S, S))."""

    def __init__(self, samples, data: Data, seed: int):
        self.samples, self.data, self.seed = samples, data, seed

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        from toykit.datasets.transforms import augment

        epoch, index = address
        generator = generator_at(self.seed, epoch, index)
        return augment(self.samples[index], self.data.crop, generator, self.data.scale, self.data.flip)


def epoch_batches(
    size: int, batch: int, seed: int, epoch: int, first_step: int = 0, rank: int = 0, world: int = 1
) -> list[list[tuple[int, int]]]:
    """One process's share of an epoch's batches, as addresses (epoch, index), from `first_step` on.

    `batch` counts over all processes; process r takes its elements r, r + world, ... The last, incomplete batch is
    dropped: the order is drawn anew each epoch, so that no photo is left out for good.
    """
    order = torch.randperm(size, generator=generator_at(seed, epoch)).tolist()
    starts = range(first_step * batch, size - batch + 1, batch)
    return [[(epoch, index) for index in order[start : start + batch][rank::world]] for start in starts]


class CropLoader:
    """Loads an epoch's batches by the configured number of worker processes.

    The workers live as long as the loader: what a set has found for a photo, its simulated scribbles, is found once.
    """

    def __init__(self, crops: Crops):
        self.addresses: list[list[tuple[int, int]]] = []
        workers = crops.data.workers
        self.loader = DataLoader(
            crops, batch_sampler=self.addresses, num_workers=workers, persistent_workers=workers > 0
        )

    def load(self, addresses: list[list[tuple[int, int]]]) -> Iterable[list[Tensor]]:
        """(images, seeds, masks) of each batch."""
        self.addresses[:] = addresses  # the loader reads its list anew at each start
        return self.loader

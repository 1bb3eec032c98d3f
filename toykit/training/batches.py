"""The crops that each step sees. Every random draw has an address, so that it depends on nothing else.

The first weights are drawn from (seed), the order of an epoch from (seed, epoch), the augmentation of a photo from (seed,
epoch, its index), that of its later draws in an epoch from (seed, epoch, its index, its earlier draws, 0), and dropout from
(seed, epoch, step, process). Addresses of different uses have different lengths. No state passes from draw to draw, so the
run does not depend on worker processes, the number of training processes, or interruptions between steps.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from toykit.datasets.sample import Sample, picture_size
from toykit.datasets.segmentation_set import SegmentationSet
from toykit.training.config import Data

#: Bytes of decoded photos, seeds and masks that a process keeps, see `Crops`: those of 1,000 photos of 320 x 320 pixels.
KEPT = 1 << 29


def seed_at(*address: int) -> int:
    """Return a 64-bit seed for an address of whole numbers; addresses that differ, also in length, give unrelated seeds."""
    digest = hashlib.sha256("/".join(map(str, address)).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def generator_at(*address: int) -> torch.Generator:
    """Return a generator seeded with `seed_at`."""
    return torch.Generator().manual_seed(seed_at(*address))


class Crops(Dataset):
    """Augmented crops of a data set.

    Parameters
    ----------
    samples : SegmentationSet
    data : Data
        Crop, scale and flip of the augmentation.
    seed : int
        The run's seed.

    Notes
    -----
    crops[epoch, index] is (image, seeds, mask, present): image uint8 (3, S, S); seeds and mask uint8 (S, S); present bool
    (K,), the classes that pseudo-labels may take in this photo. Photos that are drawn stay in memory, up to `KEPT` bytes; none
    where `data.workers` load them, each of which would keep its own.
    """

    def __init__(self, samples: SegmentationSet, data: Data, seed: int):
        self.samples, self.data, self.seed = samples, data, seed
        self._kept: dict[int, Sample] = {}
        self._room = 0 if data.workers else KEPT

    def __getitem__(self, address: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        from toykit.datasets.transforms import augment

        sample, data = self._sample(address[1]), self.data
        parts = augment(sample, data.crop, generator_at(self.seed, *address), data.scale, data.flip)
        return *parts, torch.from_numpy(sample.present(self.samples.supervision.present))

    def _sample(self, i: int) -> Sample:
        """Return the i-th sample; read it, unless it was kept."""
        if i in self._kept:
            return self._kept[i]
        sample = self.samples[i]
        size = sample.image.nbytes + sample.seeds.nbytes + (0 if sample.mask is None else sample.mask.nbytes)
        if size <= self._room:
            self._kept[i] = sample
            self._room -= size
        return sample


def check_whole_photos(samples: SegmentationSet, data: Data) -> None:
    """Raise ValueError for the first photo that a crop would cut; only the headers of the files are read."""
    for entry in samples.entries:
        longest = round(data.scale[1] * max(picture_size(entry.image)))
        if longest > data.crop:
            raise ValueError(
                f"{entry.image}: model.freeze=body needs whole photos, and this one has {longest} pixels at scale "
                f"{data.scale[1]:g}; use data.crop of at least that, or a smaller data.scale and data.eval_scale"
            )


def class_frequency_weights(samples: SegmentationSet) -> Tensor:
    """Compute how often to draw each photo, so that photos of rare classes are drawn more often.

    Parameters
    ----------
    samples : SegmentationSet

    Returns
    -------
    Tensor, float64, shape (N,)
        The sum over the classes of a photo's seeds of 1 / sqrt(number of photos with that class).

    Raises
    ------
    ValueError
        No photo has a seed.
    """
    seeds = (samples[i].seeds for i in range(len(samples)))
    shown = torch.from_numpy(np.stack([np.isin(np.arange(len(samples.classes)), own) for own in seeds]))
    if not shown.any():
        raise ValueError("data.sampling=rare_classes: expected seeds in the training photos, found none; use uniform")
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
    """Return one process's share of an epoch's batches.

    Parameters
    ----------
    size : int
        Number of photos.
    batch : int
        Photos per batch, over all processes together.
    seed, epoch : int
        The address of the order, see the module.
    first_step : int, default 0
        The first batch to return.
    rank, world : int, default 0 and 1
        This process and the number of processes; process r takes the elements r, r + world, ... of each batch.
    weights : Tensor, shape (size,), optional
        How often to draw each photo, with replacement; default: each photo once.

    Returns
    -------
    list of list of tuple
        Addresses for `Crops`: (epoch, index), or (epoch, index, earlier draws, 0) for a photo that was drawn before in this
        epoch and so gets another crop. The last, incomplete batch is dropped; the order is drawn anew each epoch, so no photo
        is left out for good.
    """
    generator = generator_at(seed, epoch)
    if weights is None:
        order = torch.randperm(size, generator=generator).tolist()
    else:
        order = torch.multinomial(weights, size, replacement=True, generator=generator).tolist()
    starts = range(first_step * batch, size - batch + 1, batch)
    addresses: list[tuple[int, ...]] = []
    drawn: Counter[int] = Counter()
    for index in order:
        addresses.append((epoch, index, drawn[index], 0) if drawn[index] else (epoch, index))
        drawn[index] += 1
    return [addresses[start : start + batch][rank::world] for start in starts]


def ignore_termination(worker: int) -> None:
    """Let a loading process ignore SIGTERM, which schedulers send to the whole group: the run saves first, then ends it.

    Only the run's own SIGTERM ends it; at the run's end Python sends one and waits, perhaps for ever.
    """
    if not hasattr(signal, "sigwaitinfo"):  # macOS, Windows
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return
    parent = multiprocessing.parent_process()  # not getppid: that of a fork server is the server
    if parent is None:
        return  # not a process of its own
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, args=(parent.pid,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    """Wait for the parent's SIGTERM, then end this process."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


@contextmanager
def termination_held_back() -> Iterator[None]:
    """Hold SIGTERM back while loading processes start: torch lets them die of it until `ignore_termination` has run.

    They inherit the mask. What came meanwhile for the run itself arrives at the end of the context.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class CropLoader:
    """Loads the batches of an epoch with the configured number of worker processes.

    The workers live as long as the loader, so that what a set computes once per photo, such as simulated scribbles, is kept.

    Parameters
    ----------
    crops : Crops
    """

    def __init__(self, crops: Crops):
        self.addresses: list[list[tuple[int, ...]]] = []
        workers = crops.data.workers
        self.loader = DataLoader(
            crops,
            batch_sampler=self.addresses,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=ignore_termination,
        )

    def load(self, addresses: list[list[tuple[int, ...]]]) -> Iterator[list[Tensor]]:
        """Iterate over (images, seeds, masks, present) of each batch, see `Crops`; `addresses` come from `epoch_batches`."""
        self.addresses[:] = addresses  # the loader reads its list again at each start
        with termination_held_back():
            return iter(self.loader)

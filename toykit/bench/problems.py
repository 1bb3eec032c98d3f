"""The benchmark's inputs and its clock.

Images are scikit-image's photos with this project's scribbles, two crops of each. Predictions are simulated for K classes:
`toykit.seed_model.seed_logits` plus smooth noise.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from toykit import datasets
from toykit.seed_model import seed_logits

CLASSES = 21
#: (logits, image, seeds)
Inputs = tuple[Tensor, Tensor, Tensor]
#: Prints one line of results.
Show = Callable[[str], object]
T = TypeVar("T")


def problems(count: int, height: int, width: int, classes: int = CLASSES) -> Inputs:
    """Return the inputs of some sub-problems: the left (or upper) crops of all photos, then the right (or lower) ones.

    Parameters
    ----------
    count : int
        Number B of crops.
    height, width : int
        Their size in pixels.
    classes : int, default 21
        Number K of classes.

    Returns
    -------
    logits : Tensor, float32 (B, K, H, W)
        Simulated predictions.
    image : Tensor, float32 (B, 3, H, W)
        Photos in 0..255.
    seeds : Tensor, int64 (B, H, W)
        Scribbles, 255 where there are none.
    """
    generator = torch.Generator().manual_seed(0)
    logits, images, seed_maps = [], [], []
    photos = datasets.photos(2 * max(height, width))
    for number in range(count):
        image, seeds = photos[number % len(photos)].tensors()
        scale = max(height / image.shape[2], width / image.shape[3])
        size = (max(height, round(image.shape[2] * scale)), max(width, round(image.shape[3] * scale)))
        image = interpolate(image, size, mode="area")
        seeds = interpolate(seeds[:, None].float(), size, mode="nearest")[:, 0].long()
        last = number // len(photos) % 2 == 1
        top, left = (size[0] - height, size[1] - width) if last else (0, 0)
        image = image[..., top : top + height, left : left + width]
        seeds = seeds[:, top : top + height, left : left + width]
        noise = interpolate(torch.randn(1, classes, 8, 10, generator=generator), (height, width), mode="bilinear")
        logits.append(seed_logits(image, seeds, classes) + 2 * noise)
        images.append(image)
        seed_maps.append(seeds)
    return torch.cat(logits), torch.cat(images), torch.cat(seed_maps)


def take(inputs: Inputs, images: slice) -> Inputs:
    """Return the inputs of some images of the batch.

    Parameters
    ----------
    inputs : tuple of Tensor
        (logits, image, seeds) of a batch.
    images : slice
        The images.

    Returns
    -------
    tuple of Tensor
        Their (logits, image, seeds).
    """
    logits, image, seeds = inputs
    return logits[images], image[images], seeds[images]


def timed(run: Callable[[], T]) -> tuple[T, float]:
    """Call a function once.

    Parameters
    ----------
    run : callable
        Takes no arguments.

    Returns
    -------
    result : object
        What `run` returns.
    seconds : float
        The time that it took.
    """
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def best_time(
    run: Callable[[], object], repeats: int = 3, device: torch.device | None = None, warm: bool = True
) -> float:
    """Return the shortest time of several calls, in seconds.

    Parameters
    ----------
    run : callable
        Takes no arguments.
    repeats : int, default 3
        Number of calls that are timed.
    device : torch.device, optional
        Where it computes; a GPU is waited for. Default: the CPU.
    warm : bool, default True
        Whether one more call, which is not counted, comes first.

    Returns
    -------
    float
        Seconds of the fastest call.
    """

    def wait() -> None:
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)

    def call() -> None:
        run()
        wait()

    if warm:
        run()
    wait()
    return min(timed(call)[1] for _ in range(repeats))

"""A frozen body's maps, computed once per photo and mirror image and kept on disk: training then runs the head alone.

On two cores the body takes nine tenths of a step. Its weights are fixed, and it sees whole photos at one scale, so its maps
never change. They are stored as float16, one file for each photo as the network sees it, in the folder `features` of the
user's cache (`toykit._shared.resources.cache_root`). A file's name is a hash of the body's weights, the head's kind, the
shapes of the maps and the photo's pixels: other weights, another crop or a mirror image have files of their own, and runs of
one set share theirs. The light network uses 0.4 MB per photo of 320 x 320 pixels, the fine one 0.7 MB. The folder can be
deleted at any time. If it cannot be written, maps are computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit._shared.files import write_atomically
from toykit._shared.resources import cache_root
from toykit._shared.tensors import load_array
from toykit.models import Network


class FeatureCache:
    """The maps of photos through a network's frozen body, from disk where they are stored.

    Parameters
    ----------
    network : Network
        With `freeze_body`.
    folder : str or Path, optional
        Default: `features` in the user's cache.
    """

    def __init__(self, network: Network, folder: str | Path | None = None):
        self.network = network
        self.folder = cache_root() / "features" if folder is None else Path(folder)
        digest = hashlib.blake2b(digest_size=16)
        for name, value in sorted(network.body.state_dict().items()):
            digest.update(name.encode() + np.ascontiguousarray(value.cpu().numpy()).tobytes())
        for constant in (network.mean, network.std):
            digest.update(constant.cpu().numpy().tobytes())
        digest.update(f"{type(network.head).__name__} {network.stride}".encode())
        self.network_key = digest.digest()
        self.shapes: dict[tuple[int, int], list[torch.Size]] = {}

    @torch.no_grad()
    def __call__(self, image: Tensor) -> list[Tensor]:
        """Return the body's maps of photos, as `Network.maps` does.

        Parameters
        ----------
        image : Tensor, shape (B, 3, H, W), in 0..255

        Returns
        -------
        list of Tensor, float32, on the device of `image`
            Rounded to float16, whether they were stored or not. They are computed in float32 also inside autocast.

        Raises
        ------
        ValueError
            A value of the maps does not fit float16.
        """
        with torch.autocast(image.device.type, enabled=False):
            return self._maps(image if image.dtype == torch.uint8 else image.float())

    def _maps(self, image: Tensor) -> list[Tensor]:
        """Read the maps of each photo, or compute and store them."""
        size = _size(image)
        if size not in self.shapes:
            self.shapes[size] = [x.shape[1:] for x in self.network.maps(image[:1])]
        flat = []
        for i, photo in enumerate(image.cpu()):
            path = self.path(photo)
            values = self._read(path, size)
            if values is None:  # computed photo by photo: in a batch the rounding differs, and runs must not differ
                values = torch.cat([x.flatten() for x in half_maps(self.network, image[i : i + 1])]).cpu()
                with contextlib.suppress(OSError):
                    write_atomically(path, partial(_save, values.numpy()))
            flat.append(values)
        counts = [shape.numel() for shape in self.shapes[size]]
        parts = torch.stack(flat).to(image.device).float().split(counts, 1)
        return [x.unflatten(1, shape) for x, shape in zip(parts, self.shapes[size], strict=True)]

    def path(self, photo: Tensor) -> Path:
        """Return the file of a photo (3, H, W)."""
        whole = photo.byte()  # a quarter of the bytes to hash, if the photo was not resized
        pixels = np.ascontiguousarray((whole if torch.equal(whole, photo) else photo).numpy())
        shapes = repr((pixels.dtype.name, pixels.shape, self.shapes[_size(photo)])).encode()
        digest = hashlib.blake2b(self.network_key + shapes, digest_size=20)
        digest.update(pixels.data)
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def _read(self, path: Path, size: tuple[int, int]) -> Tensor | None:
        """Read a file's values; return None if there is no such file or it is damaged, so that it is written again."""
        try:
            values = load_array(path)
        except (OSError, ValueError):
            return None
        expected = sum(shape.numel() for shape in self.shapes[size])
        intact = values.dtype == np.float16 and values.shape == (expected,)
        return torch.from_numpy(values) if intact else None


def half_maps(network: Network, image: Tensor) -> list[Tensor]:
    """Compute the body's maps of photos in float16. Raises: ValueError if a value does not fit."""
    maps = [x.half() for x in network.maps(image)]
    if not all(x.isfinite().all() for x in maps):
        raise ValueError("model.freeze=body: the body's maps do not fit float16; train without freezing it")
    return maps


@torch.no_grad()
def rounded_maps(network: Network, image: Tensor) -> list[Tensor]:
    """Return the maps of `FeatureCache` without storing them, for photos that are seen once.

    Parameters
    ----------
    network : Network
        With a frozen body.
    image : Tensor, shape (B, 3, H, W), in 0..255

    Returns
    -------
    list of Tensor, float32
        Rounded to float16, as the head has seen them in training.

    Raises
    ------
    ValueError
        A value of the maps does not fit float16.
    """
    with torch.autocast(image.device.type, enabled=False):
        return [x.float() for x in half_maps(network, image.float())]


def _size(image: Tensor) -> tuple[int, int]:
    """Return height and width."""
    height, width = image.shape[-2:]
    return height, width


def _save(values: np.ndarray, file) -> None:
    """Write an array in numpy's format."""
    np.save(file, values, allow_pickle=False)

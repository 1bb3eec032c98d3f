"""A frozen body's maps, computed once per photo and mirror image and kept on disk: training then runs the head alone.

On two cores the body is nine tenths of a step. With its weights fixed and whole photos at one scale, its maps never change, so
they are stored as float16, one file for each photo as the network sees it, in `toykit._shared.resources.cache_root`, and read through a
memory map. A file's name is a hash of the body's weights, the head's kind, the maps' shapes and the photo's pixels: other
weights, another crop or a mirror image have files of their own, and runs of one set share theirs. The light network takes
0.4 MB per photo of 320 x 320 pixels. The folder `features` can be deleted at any time. Where it cannot be written, maps are
computed anew.
"""

import contextlib
import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit._shared.files import write_atomically
from toykit._shared.resources import cache_root
from toykit.models import Network


class FeatureCache:
    """The maps of photos through a network's frozen body, from disk where they are known.

    network: with `freeze_body`. folder: default `features` in the user's cache.
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
        """Return the body's maps of photos (B, 3, H, W) in 0..255, float32 on their device, as `Network.maps` does.

        They carry float16's rounding, whether they were stored or not, and are computed in float32 inside autocast too.
        Raises: ValueError where a value of the maps does not fit float16.
        """
        with torch.autocast(image.device.type, enabled=False):
            return self._maps(image.float())

    def _maps(self, image: Tensor) -> list[Tensor]:
        size = tuple(image.shape[-2:])
        if size not in self.shapes:
            self.shapes[size] = [x.shape[1:] for x in self.network.maps(image[:1])]
        paths = [self.path(photo) for photo in image.cpu()]
        stored = [self._read(path, size) for path in paths]
        for i, path in enumerate(paths):
            if stored[i] is None:  # photo by photo: a batch's sums are rounded otherwise, and runs must not differ
                stored[i] = torch.cat([x.flatten() for x in self.network.maps(image[i : i + 1])]).half().cpu()
                if not stored[i].isfinite().all():
                    raise ValueError("model.freeze=body: the body's maps do not fit float16; train without freezing it")
                with contextlib.suppress(OSError):
                    write_atomically(path, partial(_save, stored[i].numpy()))
        flat = torch.stack(stored).to(image.device).float()
        counts = [shape.numel() for shape in self.shapes[size]]
        return [x.unflatten(1, shape) for x, shape in zip(flat.split(counts, 1), self.shapes[size], strict=True)]

    def path(self, photo: Tensor) -> Path:
        """The file of a photo (3, H, W)."""
        whole = photo.byte()  # a quarter to hash, where the photo was not resized
        pixels = np.ascontiguousarray((whole if torch.equal(whole, photo) else photo).numpy())
        shapes = repr((pixels.dtype.name, pixels.shape, self.shapes[tuple(photo.shape[-2:])])).encode()
        name = hashlib.blake2b(self.network_key + shapes + pixels.tobytes(), digest_size=20).hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def _read(self, path: Path, size: tuple[int, int]) -> Tensor | None:
        """A file's values, or None where there is no such file or it is damaged: then it is made again."""
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        expected = sum(shape.numel() for shape in self.shapes[size])
        return (
            torch.from_numpy(np.array(values)) if values.dtype == np.float16 and values.shape == (expected,) else None
        )


def _save(values: np.ndarray, file) -> None:
    np.save(file, values, allow_pickle=False)

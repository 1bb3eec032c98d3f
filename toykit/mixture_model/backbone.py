"""The feature maps of a pre-trained network: the optional evidence beside colour and position."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toykit._shared.tensors import load_tensors, reason
from toykit.models import MULTIPLE, build

#: The network of `toykit.models` for a file of weights, by how the file's keys begin.
LAYOUTS = {"features.": "light_mobilenetv2", "layer1.": "deeplabv3plus_resnet101", "patch_embed.": "vit_linear"}
#: Number of maps that are read, the coarsest ones.
LEVELS = 3
#: Longer side, in pixels, of the photo that the network sees, and how much a small photo is enlarged at most.
SIDE, ENLARGE = 640, 2.0


class Backbone:
    """A frozen network: ``Backbone(source)(photo)`` returns the photo's maps. The last one that was built is kept.

    Parameters
    ----------
    source : str or Path
        A timm model by name, whose weights timm downloads, or a file of weights: MobileNetV2 or ResNet-101 in torchvision's
        layout, or ViT-B/16 in timm's.

    Raises
    ------
    FileNotFoundError
        If the source looks like a file and there is none.
    ValueError
        For an unknown name, or a file of another layout.
    OSError
        If the download fails.
    ImportError
        If the train extra is missing.
    """

    def __init__(self, source: str | Path):
        state = Path(source).stat() if Path(source).is_file() else None
        changed = None if state is None else (state.st_size, state.st_mtime_ns)
        self.body, self.mean, self.std = _build(str(source), changed)

    @torch.no_grad()
    def __call__(self, photo: Tensor) -> list[Tensor]:
        """Return the `LEVELS` coarsest maps (C, h, w) of a photo (3, H, W) in 0..255, each of the whole photo.

        They are the means of the photo's maps and those of its mirror image, turned back.
        """
        height, width = photo.shape[1:]
        scale = min(ENLARGE, SIDE / max(height, width))
        size = tuple(max(1, round(n * scale / MULTIPLE)) * MULTIPLE for n in (height, width))
        image = F.interpolate(photo.float()[None], size, mode="bilinear", antialias=True)
        image = (image - self.mean) / self.std
        maps = self.body(torch.cat([image, image.flip(3)]))
        maps = [maps] if torch.is_tensor(maps) else list(maps)[-LEVELS:]
        return [(x[0] + x[1].flip(2)) / 2 for x in maps]


@lru_cache(maxsize=1)
def _build(source: str, changed: tuple[int, int] | None) -> tuple[nn.Module, Tensor, Tensor]:
    """Build a frozen network once per process, and again if its file's size or time of change differs; see `_from_timm`."""
    if changed is not None or Path(source).suffix in (".pt", ".pth", ".bin"):
        network: Any = build(_layout(source), 2, weights=source, freeze_body=True).eval()
        return network.body, network.mean, network.std
    return _from_timm(source)


def _layout(path: str | Path) -> str:
    """Return the network that a file of weights belongs to; `toykit.models.load_weights` checks it in full."""
    try:
        keys = list(load_tensors(path))
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as a state dict saved by torch.save ({reason(error)})") from error
    for prefix, name in LAYOUTS.items():
        if any(str(key).startswith(prefix) for key in keys):
            return name
    raise ValueError(
        f"{path}: expected weights of MobileNetV2 or ResNet-101 (torchvision) or ViT-B/16 (timm), got keys "
        f"{', '.join(map(str, keys[:5]))}"
    )


def _from_timm(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a timm model that gives maps, with ImageNet weights, and the mean and deviation of its photos in 0..255."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"features={name!r} needs the train extra: pip install 'toykit[train]' ({error})") from error
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name[:6]}*", pretrained=True)[:5])
        raise ValueError(
            f"features: expected a file of weights or a timm model, got {name!r}; close names: {near or 'none'}"
        )
    try:
        body: Any = timm.create_model(name, pretrained=True, features_only=True).eval()
    except RuntimeError as error:
        raise ValueError(
            f"features: {name} gives no maps or has no weights ({error}); choose another timm model"
        ) from error
    except OSError as error:
        raise OSError(
            f"{name}: its weights could not be downloaded ({error}); give a file of weights instead"
        ) from error
    mean, std = (255 * torch.tensor(body.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    return body, mean, std

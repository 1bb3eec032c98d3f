"""A segmentation network: a library's body and a head, with normalisation, padding and upsampling around them.

The paper crops to 513 pixels; 512 is a multiple of 16 and needs no padding, so use 512.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toykit.energy.cells import cell_size, to_pixels

#: Sides must be multiples of this: the encoders' output stride and the side of a patch.
MULTIPLE = 16
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Head(nn.Module):
    """The part of a network that is trained from nothing: the body's maps -> logits (B, K, h, w)."""

    def select(self, features) -> list[Tensor]:
        """Return the maps that the head uses, of all that the body returns."""
        raise NotImplementedError


class Network(nn.Module):
    """A network from photos (B, 3, H, W) in 0..255 to logits (B, K, H, W).

    Parameters
    ----------
    body : Module
        The library's network without the parts that are trained from nothing.
    head : Head
    mean, std : sequence of 3 float, default ImageNet's
        Normalisation of the body's pre-training, for photos in 0..1.
    stride : int
        Side, in pixels, of a cell of the head's logits.
    freeze_batch_norm : bool, default False
        Keep batch normalisation at its stored statistics in training.
    freeze_body : bool, default False
        Train the head alone, with the body in evaluation mode.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, body: nn.Module, head: Head, mean=IMAGENET_MEAN, std=IMAGENET_STD, *,
        stride: int, freeze_batch_norm: bool = False, freeze_body: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.body, self.head, self.stride = body, head, stride
        self.freeze_batch_norm, self.freeze_body = freeze_batch_norm, freeze_body
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, image: Tensor, maps: list[Tensor] | None = None, coarse: bool = False) -> Tensor:
        """Compute the logits of photos.

        Parameters
        ----------
        image : Tensor, shape (B, 3, H, W), in 0..255
        maps : list of Tensor, optional
            The body's maps of these photos, if they are known; then only the head runs.
        coarse : bool, default False
            Return the logits of the cells, not of the pixels.

        Returns
        -------
        Tensor, shape (B, K, H, W), or (B, K, h, w) on cells of `stride` pixels
        """
        size = image.shape[-2:]
        logits = self.head(self.maps(image) if maps is None else maps)
        if coarse:
            height, width = cell_size(size, self.stride)
            return logits[..., :height, :width]
        return to_pixels(logits, size, self.stride)

    def maps(self, image: Tensor) -> list[Tensor]:
        """Return the body's maps of photos (B, 3, H, W) that the head uses."""
        height, width = image.shape[-2:]
        image = (image - self.mean) / self.std
        image = F.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE))  # 0 is the mean colour
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_body):
            return self.head.select(self.body(image))

    def train(self, mode: bool = True) -> Network:
        """Set training mode; what is frozen stays in evaluation mode."""
        frozen = self.freeze_body and not self.body.training  # visiting its modules in each step takes milliseconds
        if frozen:
            self.training = mode
            self.head.train(mode)
        else:
            super().train(mode)
            if self.freeze_body:
                self.body.eval()
        if self.freeze_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether some batch normalisation now normalises by the statistics of the batch."""
        return any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in self.modules())


def parameter_groups(network: Network, lr: float, head_factor: float = 1.0) -> list[dict]:
    """Return the groups of an optimiser: the body, unless it is frozen, and the head.

    Parameters
    ----------
    network : Network
    lr : float
        Learning rate of the body.
    head_factor : float, default 1
        Learning rate of the head over the body's.
    """
    groups = [
        {"params": list(network.body.parameters()), "lr": lr},
        {"params": list(network.head.parameters()), "lr": lr * head_factor},
    ]
    return groups[1:] if network.freeze_body else groups

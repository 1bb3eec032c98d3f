"""Heads for convolutional bodies: DeepLabV3+'s decoder, and a light one of this project."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toykit.models.network import Head


class DeepLabHead(Head):
    """DeepLabV3+'s decoder and classifier: features of all stages -> logits at a quarter of the resolution.

    Parameters
    ----------
    network : segmentation_models_pytorch.DeepLabV3Plus
    """

    #: Positions of the maps that the decoder reads: a quarter of the resolution, and the last.
    READ = (2, -1)

    def __init__(self, network):
        super().__init__()
        self.decoder, self.classifier = network.decoder, network.segmentation_head

    def select(self, features: list[Tensor]) -> list[Tensor]:
        """Return the two maps that the decoder reads."""
        return [features[i] for i in self.READ]

    def forward(self, maps: list[Tensor]) -> Tensor:
        quarter, last = maps
        return self.classifier(self.decoder([None, None, quarter, last]))


class LightHead(Head):
    """A light decoder of this project, after DeepLabV3+'s, for training in minutes on a frozen body.

    Its logits are at an eighth of the resolution, or with `finest` at a quarter.

    Parameters
    ----------
    channels : list of int
        Channels of the maps at the positions `READ`.
    num_classes : int
    dropout : float
        Probability in the hidden layer.
    hidden : int, default 192
        Channels of the hidden layer.
    width : int, default 48
        Channels of the boundary decoder.
    finest : int, default 0
        Channels of a second boundary decoder at a quarter of the resolution; 0 is none.

    Notes
    -----
    A hidden layer on the standardised last map gives logits of each place and of the whole photo. A decoder with few channels
    on the maps at a quarter and an eighth of the resolution, which starts from zero, adds the boundaries; with `finest` a
    second one at a quarter adds finer ones. DeepLabV3+'s own decoder spends most of a step on dilated convolutions of the last
    map and learns rare classes slowly.
    """

    #: Positions of the maps that it reads: a quarter and an eighth of the resolution, and the last.
    READ = (2, 3, -1)

    def __init__(
        self,
        channels: list[int],
        num_classes: int,
        dropout: float,
        hidden: int = 192,
        width: int = 48,
        finest: int = 0,
    ):
        super().__init__()
        self.standardise = nn.ModuleList(nn.BatchNorm2d(n, affine=False) for n in channels)
        self.hidden, self.drop = _conv(channels[-1], hidden), nn.Dropout2d(dropout)
        self.local, self.whole = nn.Conv2d(hidden, num_classes, 1), nn.Linear(hidden, num_classes)
        self.reduce, self.join = nn.Conv2d(hidden, width, 1), _conv(sum(channels[:-1]) + width, width)
        self.blocks = nn.ModuleList(_separable(width, dilation) for dilation in (1, 2))
        self.classifier = _zero(width, num_classes)
        self.finest = _Finest(channels[0], width, num_classes, finest) if finest else None
        self.to(memory_format=torch.channels_last)

    def select(self, features: list[Tensor]) -> list[Tensor]:
        """Return the three maps that it reads, the finest pooled to an eighth of the resolution if that suffices."""
        quarter, eighth, last = (features[i] for i in self.READ)
        return [quarter if self.finest else F.avg_pool2d(quarter, 2), eighth, last]

    def forward(self, maps: list[Tensor]) -> Tensor:
        # a pixel's channels side by side: few channels at many pixels then take a fifth less time on the CPU
        maps = [x.contiguous(memory_format=torch.channels_last) for x in maps]
        quarter, eighth, last = (norm(x) for norm, x in zip(self.standardise, maps, strict=True))
        last = self.drop(self.hidden(last))
        coarse = self.local(last) + self.whole(last.mean((2, 3)))[:, :, None, None]
        coarse, reduced = (_enlarge(x, eighth) for x in (coarse, self.reduce(last)))
        pooled = F.avg_pool2d(quarter, 2) if self.finest else quarter
        fine = self.join(torch.cat([pooled, eighth, reduced], 1))
        for block in self.blocks:
            fine = fine + block(fine)
        logits = coarse + self.classifier(fine)
        return self.finest(logits, fine, quarter) if self.finest else logits


class _Finest(nn.Module):
    """Enlarges logits and adds what the map at a quarter of the resolution, of `channels`, shows; that starts from zero."""

    def __init__(self, channels: int, width: int, num_classes: int, hidden: int):
        super().__init__()
        self.lead, self.detail = nn.Conv2d(width, hidden, 1), nn.Conv2d(channels, hidden, 1, bias=False)
        self.mix = nn.Sequential(nn.BatchNorm2d(hidden), nn.ReLU(), _separable(hidden, 1))
        self.classifier = _zero(hidden, num_classes)

    def forward(self, logits: Tensor, fine: Tensor, quarter: Tensor) -> Tensor:
        mixed = self.mix(self.detail(quarter) + _enlarge(self.lead(fine), quarter))
        return _enlarge(logits, quarter) + self.classifier(mixed)


def _enlarge(x: Tensor, to: Tensor) -> Tensor:
    """Interpolate a map at the places of another one."""
    return F.interpolate(x, to.shape[-2:], mode="bilinear", align_corners=False)


def _zero(inputs: int, outputs: int) -> nn.Conv2d:
    """Build a classifier of each place that starts from zero."""
    classifier = nn.Conv2d(inputs, outputs, 1)
    for parameter in classifier.parameters():
        nn.init.zeros_(parameter)
    return classifier


def _separable(width: int, dilation: int) -> nn.Sequential:
    """Build a depthwise 3 x 3 convolution and a 1 x 1 convolution."""
    own = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, groups=width, bias=False)
    return nn.Sequential(own, _conv(width, width))


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    """Build a 1 x 1 convolution with batch normalisation and ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

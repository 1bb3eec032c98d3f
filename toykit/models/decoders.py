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
    """A light decoder of this project, after DeepLabV3+'s, for training in minutes on a frozen body; logits at an eighth.

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

    Notes
    -----
    A hidden layer on the standardised last map gives logits of each place and of the whole photo. A decoder with few channels
    on the maps at a quarter and an eighth of the resolution, which starts from zero, adds the boundaries. DeepLabV3+'s own
    decoder spends most of a step on dilated convolutions of the last map and learns rare classes slowly.
    """

    #: Positions of the maps that it reads: a quarter and an eighth of the resolution, and the last.
    READ = (2, 3, -1)

    def __init__(self, channels: list[int], num_classes: int, dropout: float, hidden: int = 192, width: int = 48):
        super().__init__()
        self.standardise = nn.ModuleList(nn.BatchNorm2d(n, affine=False) for n in channels)
        self.hidden, self.drop = _conv(channels[-1], hidden), nn.Dropout2d(dropout)
        self.local, self.whole = nn.Conv2d(hidden, num_classes, 1), nn.Linear(hidden, num_classes)
        self.reduce, self.join = nn.Conv2d(hidden, width, 1), _conv(sum(channels[:-1]) + width, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=d, dilation=d, groups=width, bias=False), _conv(width, width)
            )
            for d in (1, 2)
        )
        self.classifier = nn.Conv2d(width, num_classes, 1)
        for parameter in self.classifier.parameters():
            nn.init.zeros_(parameter)
        self.to(memory_format=torch.channels_last)

    def select(self, features: list[Tensor]) -> list[Tensor]:
        """Return the three maps that it reads, the finest pooled to an eighth of the resolution."""
        quarter, eighth, last = (features[i] for i in self.READ)
        return [F.avg_pool2d(quarter, 2), eighth, last]

    def forward(self, maps: list[Tensor]) -> Tensor:
        # a pixel's channels side by side: few channels at many pixels then take a fifth less time on the CPU
        maps = [x.contiguous(memory_format=torch.channels_last) for x in maps]
        quarter, eighth, last = (norm(x) for norm, x in zip(self.standardise, maps, strict=True))
        last = self.drop(self.hidden(last))
        coarse = self.local(last) + self.whole(last.mean((2, 3)))[:, :, None, None]
        coarse, reduced = (
            F.interpolate(x, eighth.shape[-2:], mode="bilinear", align_corners=False)
            for x in (coarse, self.reduce(last))
        )
        fine = self.join(torch.cat([quarter, eighth, reduced], 1))
        for block in self.blocks:
            fine = fine + block(fine)
        return coarse + self.classifier(fine)


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    """Build a 1 x 1 convolution with batch normalisation and ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

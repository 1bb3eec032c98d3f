"""Segmentation networks: the paper's (section 3), DeepLabV3+ and ViT-linear, from libraries and unmodified, and a light one.

    network = build("deeplabv3plus_mobilenetv2", num_classes=21)
    logits = network(photos)       # photos in 0..255 of any size

Needs the train extra: segmentation-models-pytorch and timm.
"""

from toykit.models.architectures import ENCODERS, MODELS, build
from toykit.models.network import MULTIPLE, Head, Network, parameter_groups
from toykit.models.weights import load_weights

__all__ = ["ENCODERS", "MODELS", "MULTIPLE", "Head", "Network", "build", "load_weights", "parameter_groups"]

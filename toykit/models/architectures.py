"""Networks by name, built from segmentation-models-pytorch and timm."""

from pathlib import Path
from typing import Any

from torch import nn

from toykit._shared.arguments import check_choice
from toykit._shared.torchvision import torchvision
from toykit.models.decoders import DeepLabHead, LightHead
from toykit.models.network import MULTIPLE, Network
from toykit.models.vit import LinearHead, ViTBody
from toykit.models.weights import load_weights

ENCODERS = {"deeplabv3plus_mobilenetv2": "mobilenet_v2", "deeplabv3plus_resnet101": "resnet101"}
#: The light heads on MobileNetV2, with the channels of their decoder at a quarter of the resolution (0: none).
LIGHT = {"light_mobilenetv2": 0, "light_mobilenetv2_fine": 24}
#: The light heads are ours, for short runs with a frozen body; the others are the paper's.
MODELS = (*ENCODERS, *LIGHT, "vit_linear")


def build(
    name: str,
    num_classes: int,
    *,
    image_size: int = 512,
    weights: str | Path | None = "imagenet",
    dropout: float = 0.5,
    freeze_batch_norm: bool = False,
    freeze_body: bool = False,
) -> Network:
    """Build a network by its name.

    Parameters
    ----------
    name : str
        One of `MODELS`.
    num_classes : int
    image_size : int, default 512
        Side of the training crops in pixels, a multiple of 16. ViT-linear's position embedding is resized to it once (and again
        for photos of another size).
    weights : str, Path or None, default "imagenet"
        Weights of the body. "imagenet" downloads them through the libraries. A file holds a state dict in the layout of
        torchvision (MobileNetV2, ResNet-101) or timm (ViT), whose classifier is left out. None starts from random weights.
    dropout : float, default 0.5
        Probability in DeepLabV3+'s pyramid pooling and in the light heads' hidden layer (ViT-linear has no dropout).
    freeze_batch_norm, freeze_body : bool, default False
        See `Network`.

    Returns
    -------
    Network
        In training mode.

    Raises
    ------
    ValueError
        The name or the size is invalid, or the file cannot be read or does not fit (the message lists the keys).
    FileNotFoundError
        The file does not exist.
    OSError
        The download failed.
    ImportError
        The train extra is missing.
    """
    check_choice("model.name", name, MODELS)
    if image_size % MULTIPLE:
        raise ValueError(
            f"image size: expected a multiple of {MULTIPLE} (512 where the paper has 513), got {image_size}"
        )
    download = weights == "imagenet"
    torchvision()  # the networks' libraries need it; here its absence gets a clear message
    try:
        if name == "vit_linear":
            network = _vit(num_classes, image_size, download)
        elif name in LIGHT:
            network = _light("mobilenet_v2", num_classes, download, dropout, LIGHT[name])
        else:
            network = _deeplab(ENCODERS[name], num_classes, download, dropout)
    except ImportError as error:
        raise ImportError(f"{name} needs the train extra: pip install 'toykit[train]' ({error})") from error
    except OSError as error:
        raise OSError(
            f"{name}: its ImageNet weights could not be downloaded ({error}); give a file, model.weights=FILE, or "
            "model.weights=null to start from random weights"
        ) from error
    network.freeze_batch_norm, network.freeze_body = freeze_batch_norm, freeze_body
    network.body.requires_grad_(not freeze_body)
    if weights is not None and not download:
        load_weights(network.body, weights)
    if name in LIGHT:
        # the head reads the last bottleneck, not its expansion to four times as many channels
        features = network.body.get_submodule("features")
        assert isinstance(features, nn.Sequential)
        features[-1] = nn.Identity()
    return network.train()  # a frozen body stays in evaluation mode


def _deeplab(encoder: str, num_classes: int, download: bool, dropout: float) -> Network:
    """Build DeepLabV3+ on an encoder."""
    import segmentation_models_pytorch as smp

    network = smp.DeepLabV3Plus(
        encoder,
        encoder_weights="imagenet" if download else None,
        encoder_output_stride=MULTIPLE,
        decoder_aspp_dropout=dropout,
        classes=num_classes,
        upsampling=1,  # `Network` upsamples
    )
    return Network(network.encoder, DeepLabHead(network), stride=4)


def _light(encoder: str, num_classes: int, download: bool, dropout: float, finest: int) -> Network:
    """Build a light head on an encoder."""
    import segmentation_models_pytorch as smp

    weights = "imagenet" if download else None
    body: Any = smp.encoders.get_encoder(encoder, weights=weights, output_stride=MULTIPLE)
    channels = [*(body.out_channels[i] for i in LightHead.READ[:-1]), body.features[-1][0].in_channels]
    return Network(body, LightHead(channels, num_classes, dropout, finest=finest), stride=4 if finest else 8)


def _vit(num_classes: int, image_size: int, download: bool) -> Network:
    """Build ViT-linear."""
    import timm

    vit: Any = timm.create_model(
        "vit_base_patch16_224", pretrained=download, num_classes=0, img_size=image_size, dynamic_img_size=True
    )
    # timm's ViT was pre-trained on photos in -1..1
    mean, std = vit.pretrained_cfg["mean"], vit.pretrained_cfg["std"]
    return Network(ViTBody(vit), LinearHead(vit.embed_dim, num_classes), mean, std, stride=MULTIPLE)

"""Standard segmentation networks (section 3), assembled from libraries and not modified: DeepLabV3+ and ViT-linear.

A `Network` takes photos in 0..255 of any size and returns logits at that size. What it adds around a library's network:
the normalisation that the pre-trained weights expect, padding to a multiple of 16 pixels (output stride, patch size),
bilinear upsampling where the decoder does not do it. The paper crops to 513; 512 needs no padding, so take that.
Needs the train extra: segmentation-models-pytorch and timm.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toykit.conventions import check_choice
from toykit.vision import torchvision

ENCODERS = {"deeplabv3plus_mobilenetv2": "mobilenet_v2", "deeplabv3plus_resnet101": "resnet101"}
MODELS = (*ENCODERS, "vit_linear")
STRIDE = 16
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Network(nn.Module):
    """Photos (B, 3, H, W) in 0..255 -> logits (B, K, H, W).

    body: the library's network without what is trained from nothing; head: that rest. mean, std: of the body's
    pre-training, for photos in 0..1. freeze_batch_norm: keep batch normalisation at its stored statistics in training.
    """

    def __init__(self, body: nn.Module, head: nn.Module, mean=IMAGENET_MEAN, std=IMAGENET_STD, freeze_batch_norm=False):
        super().__init__()
        self.body, self.head, self.freeze_batch_norm = body, head, freeze_batch_norm
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        image = (image - self.mean) / self.std
        image = F.pad(image, (0, -width % STRIDE, 0, -height % STRIDE))  # 0 is the mean colour
        logits = self.head(self.body(image))
        if logits.shape[-2:] != image.shape[-2:]:
            logits = F.interpolate(logits, image.shape[-2:], mode="bilinear", align_corners=False)
        return logits[..., :height, :width]

    def train(self, mode: bool = True) -> "Network":
        super().train(mode)
        if self.freeze_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


class DeepLabHead(nn.Module):
    """DeepLabV3+'s decoder and classifier: features of all stages -> logits."""

    def __init__(self, network):
        super().__init__()
        self.decoder, self.classifier = network.decoder, network.segmentation_head

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.classifier(self.decoder(features))


class ViTBody(nn.Module):
    """A vision transformer's patch tokens as a map: (B, 3, H, W) -> (B, C, H / 16, W / 16)."""

    def __init__(self, vit):
        super().__init__()
        self.vit = vit

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.vit.forward_features(image)[:, self.vit.num_prefix_tokens :]
        return tokens.mT.unflatten(2, (image.shape[-2] // STRIDE, image.shape[-1] // STRIDE))


def build(
    name: str,
    num_classes: int,
    *,
    image_size: int = 512,
    weights: str | Path | None = "imagenet",
    dropout: float = 0.5,
    freeze_batch_norm: bool = False,
) -> Network:
    """A network by name, one of `MODELS`.

    image_size: side of the training crops, a multiple of 16; ViT-linear's position embedding is resized to it once (and
        again for photos of another size).
    weights: of the body: "imagenet" downloads them through the libraries; a file holds a state dict in the layout of
        torchvision (MobileNetV2, ResNet-101) or timm (ViT), whose classifier is left out; None starts from nothing.
    dropout: probability in DeepLabV3+'s pyramid pooling (ViT-linear has none).

    Raises: ValueError for an unknown name, a size, a file that cannot be read or does not fit (which keys);
        FileNotFoundError; OSError where the download fails; ImportError without the train extra.
    """
    check_choice("model.name", name, MODELS)
    if image_size % STRIDE:
        raise ValueError(f"image size: expected a multiple of {STRIDE} (512 where the paper has 513), got {image_size}")
    download = weights == "imagenet"
    torchvision()  # the networks' libraries need it; here it says what is wrong
    try:
        if name == "vit_linear":
            network = _vit(num_classes, image_size, download)
        else:
            network = _deeplab(ENCODERS[name], num_classes, download, dropout)
    except ImportError as error:
        raise ImportError(f"{name} needs the train extra: pip install 'toykit[train]' ({error})") from error
    except OSError as error:
        raise OSError(
            f"{name}: its ImageNet weights could not be downloaded ({error}); give a file, model.weights=FILE, or "
            "model.weights=null to start from nothing"
        ) from error
    network.freeze_batch_norm = freeze_batch_norm
    if weights is not None and not download:
        load_weights(network.body, weights)
    return network


def _deeplab(encoder: str, num_classes: int, download: bool, dropout: float) -> Network:
    import segmentation_models_pytorch as smp

    network = smp.DeepLabV3Plus(
        encoder,
        encoder_weights="imagenet" if download else None,
        encoder_output_stride=STRIDE,
        decoder_aspp_dropout=dropout,
        classes=num_classes,
    )
    return Network(network.encoder, DeepLabHead(network))


def _vit(num_classes: int, image_size: int, download: bool) -> Network:
    import timm

    vit = timm.create_model(
        "vit_base_patch16_224", pretrained=download, num_classes=0, img_size=image_size, dynamic_img_size=True
    )
    # timm's ViT was pre-trained on photos in -1..1
    mean, std = vit.pretrained_cfg["mean"], vit.pretrained_cfg["std"]
    return Network(ViTBody(vit), nn.Conv2d(vit.embed_dim, num_classes, kernel_size=1), mean, std)


def load_weights(body: nn.Module, path: str | Path) -> None:
    """Load a state dict file into a network's body; the file's classifier (classifier.*, fc.*, head.*) is left out.

    Raises: FileNotFoundError; ValueError that names the file, and the keys or shapes that do not fit.
    """
    body = body.vit if isinstance(body, ViTBody) else body
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = {key: value for key, value in state.items() if key.split(".")[0] not in ("classifier", "fc", "head")}
    except FileNotFoundError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: cannot be read as a state dict of tensors saved by torch.save ({reason})") from error
    if "pos_embed" in state and hasattr(body, "patch_embed"):
        from timm.layers import resample_abs_pos_embed

        grid, prefix = body.patch_embed.grid_size, body.num_prefix_tokens
        state["pos_embed"] = resample_abs_pos_embed(state["pos_embed"], list(grid), num_prefix_tokens=prefix)
    # old files lack these counters; nothing reads them
    wanted = body.state_dict()
    state = {k: v for k, v in wanted.items() if k.endswith("num_batches_tracked")} | state
    problems = {
        "missing": sorted(set(wanted) - set(state)),
        "unexpected": sorted(set(state) - set(wanted)),
        "of another shape": sorted(k for k in set(wanted) & set(state) if wanted[k].shape != state[k].shape),
    }
    if any(problems.values()):
        told = "; ".join(f"{len(k)} {kind}: {', '.join(k[:5])}" for kind, k in problems.items() if k)
        raise ValueError(f"{path}: not the weights of this network's body, a {type(body).__name__}. Keys {told}")
    body.load_state_dict(state)


def parameter_groups(network: Network, lr: float, head_factor: float = 1.0) -> list[dict]:
    """Two groups for an optimiser: the body at learning rate `lr`, the head at `head_factor` times that."""
    return [
        {"params": list(network.body.parameters()), "lr": lr},
        {"params": list(network.head.parameters()), "lr": lr * head_factor},
    ]

"""Segmentation networks: the paper's (section 3), DeepLabV3+ and ViT-linear, from libraries and not modified, and a light one.

A `Network` takes photos in 0..255 of any size and returns logits at that size, or its own low-resolution logits. What it adds
around a library's network: the normalisation that the pre-trained weights expect, padding to a multiple of 16 pixels (output
stride, patch size), and bilinear upsampling. The paper crops to 513; 512 needs no padding, so take that.
Needs the train extra: segmentation-models-pytorch and timm.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toykit._shared.arguments import check_choice
from toykit._shared.torchvision import torchvision
from toykit.energy.cells import cell_size, to_pixels

ENCODERS = {"deeplabv3plus_mobilenetv2": "mobilenet_v2", "deeplabv3plus_resnet101": "resnet101"}
#: The light head on MobileNetV2 is ours, for short runs with a frozen body; the others are the paper's.
MODELS = (*ENCODERS, "light_mobilenetv2", "vit_linear")
#: Sides must be multiples of this: the encoders' output stride and the patches' side.
MULTIPLE = 16
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Network(nn.Module):
    """Photos (B, 3, H, W) in 0..255 -> logits (B, K, H, W).

    body: the library's network without what is trained from nothing; head: that rest, logits (B, K, h, w) from the body's maps
    that it `select`s. mean, std: of the body's pre-training, for photos in 0..1. stride: pixels per side of a cell of the
    head's logits. freeze_batch_norm: keep batch normalisation at its stored statistics in training. freeze_body: train the head
    alone, on the body in evaluation mode.
    """

    def __init__(
        self, body: nn.Module, head: nn.Module, mean=IMAGENET_MEAN, std=IMAGENET_STD, *,
        stride: int, freeze_batch_norm: bool = False, freeze_body: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.body, self.head, self.stride = body, head, stride
        self.freeze_batch_norm, self.freeze_body = freeze_batch_norm, freeze_body
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, image: Tensor, maps: list[Tensor] | None = None, coarse: bool = False) -> Tensor:
        """Logits of photos (B, 3, H, W): at the pixels (B, K, H, W) or, `coarse`, at the cells of `stride` pixels (B, K, h, w).

        maps: the body's maps of these photos, where they are known; then only the head runs.
        """
        size = image.shape[-2:]
        logits = self.head(self.maps(image) if maps is None else maps)
        if coarse:
            height, width = cell_size(size, self.stride)
            return logits[..., :height, :width]
        return to_pixels(logits, size, self.stride)

    def maps(self, image: Tensor) -> list[Tensor]:
        """What the head takes of the body's maps of photos (B, 3, H, W)."""
        height, width = image.shape[-2:]
        image = (image - self.mean) / self.std
        image = F.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE))  # 0 is the mean colour
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_body):
            return self.head.select(self.body(image))

    def train(self, mode: bool = True) -> "Network":
        super().train(mode)
        if self.freeze_body:
            self.body.eval()
        if self.freeze_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


class DeepLabHead(nn.Module):
    """DeepLabV3+'s decoder and classifier: features of all stages -> logits at a quarter of the resolution."""

    #: Positions of the maps that the decoder reads: a quarter of the resolution, and the last.
    READ = (2, -1)

    def __init__(self, network):
        super().__init__()
        self.decoder, self.classifier = network.decoder, network.segmentation_head

    def select(self, features: list[Tensor]) -> list[Tensor]:
        """The two maps that the decoder reads."""
        return [features[i] for i in self.READ]

    def forward(self, maps: list[Tensor]) -> Tensor:
        quarter, last = maps
        return self.classifier(self.decoder([None, None, quarter, last]))


class LightHead(nn.Module):
    """A light decoder of this project, after DeepLabV3+'s, to train in minutes on a frozen body; logits at an eighth.

    A hidden layer on the standardised last map gives logits of each place and of the whole photo; a decoder of few channels on
    the maps at a quarter and an eighth of the resolution, which starts from zero, adds the boundaries. (DeepLabV3+'s own
    decoder spends most of a step on dilated convolutions of the last map and learns rare classes slowly.)
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
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def select(self, features: list[Tensor]) -> list[Tensor]:
        """The three maps that it reads, the finest brought to an eighth of the resolution."""
        quarter, eighth, last = (features[i] for i in self.READ)
        return [F.avg_pool2d(quarter, 2), eighth, last]

    def forward(self, maps: list[Tensor]) -> Tensor:
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
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class LinearHead(nn.Conv2d):
    """A linear classifier of each of the body's tokens."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__(channels, num_classes, kernel_size=1)

    def select(self, tokens: Tensor) -> list[Tensor]:
        """The only map there is."""
        return [tokens]

    def forward(self, maps: list[Tensor]) -> Tensor:
        return super().forward(maps[0])


class ViTBody(nn.Module):
    """A vision transformer's patch tokens as a map: (B, 3, H, W) -> (B, C, H / 16, W / 16)."""

    def __init__(self, vit):
        super().__init__()
        self.vit = vit

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.vit.forward_features(image)[:, self.vit.num_prefix_tokens :]
        return tokens.mT.unflatten(2, (image.shape[-2] // MULTIPLE, image.shape[-1] // MULTIPLE))


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
    """A network by name, one of `MODELS`.

    image_size: side of the training crops, a multiple of 16; ViT-linear's position embedding is resized to it once (and
        again for photos of another size).
    weights: of the body: "imagenet" downloads them through the libraries; a file holds a state dict in the layout of
        torchvision (MobileNetV2, ResNet-101) or timm (ViT), whose classifier is left out; None starts from nothing.
    dropout: probability in DeepLabV3+'s pyramid pooling and in the light head's hidden layer (ViT-linear has none).
    freeze_batch_norm, freeze_body: see `Network`.

    Raises: ValueError for an unknown name, a size, a file that cannot be read or does not fit (which keys);
        FileNotFoundError; OSError where the download fails; ImportError without the train extra.
    """
    check_choice("model.name", name, MODELS)
    if image_size % MULTIPLE:
        raise ValueError(
            f"image size: expected a multiple of {MULTIPLE} (512 where the paper has 513), got {image_size}"
        )
    download = weights == "imagenet"
    torchvision()  # the networks' libraries need it; here it says what is wrong
    try:
        if name == "vit_linear":
            network = _vit(num_classes, image_size, download)
        elif name == "light_mobilenetv2":
            network = _light("mobilenet_v2", num_classes, download, dropout)
        else:
            network = _deeplab(ENCODERS[name], num_classes, download, dropout)
    except ImportError as error:
        raise ImportError(f"{name} needs the train extra: pip install 'toykit[train]' ({error})") from error
    except OSError as error:
        raise OSError(
            f"{name}: its ImageNet weights could not be downloaded ({error}); give a file, model.weights=FILE, or "
            "model.weights=null to start from nothing"
        ) from error
    network.freeze_batch_norm, network.freeze_body = freeze_batch_norm, freeze_body
    network.body.requires_grad_(not freeze_body)
    network.train()  # a frozen body stays in evaluation mode
    if weights is not None and not download:
        load_weights(network.body, weights)
    if name == "light_mobilenetv2":
        # the head reads the last bottleneck, not its expansion to four times as many channels
        network.body.features[-1] = nn.Identity()
    return network


def _deeplab(encoder: str, num_classes: int, download: bool, dropout: float) -> Network:
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


def _light(encoder: str, num_classes: int, download: bool, dropout: float) -> Network:
    import segmentation_models_pytorch as smp

    body = smp.encoders.get_encoder(encoder, weights="imagenet" if download else None, output_stride=MULTIPLE)
    channels = [*(body.out_channels[i] for i in LightHead.READ[:-1]), body.features[-1][0].in_channels]
    return Network(body, LightHead(channels, num_classes, dropout), stride=8)


def _vit(num_classes: int, image_size: int, download: bool) -> Network:
    import timm

    vit = timm.create_model(
        "vit_base_patch16_224", pretrained=download, num_classes=0, img_size=image_size, dynamic_img_size=True
    )
    # timm's ViT was pre-trained on photos in -1..1
    mean, std = vit.pretrained_cfg["mean"], vit.pretrained_cfg["std"]
    return Network(ViTBody(vit), LinearHead(vit.embed_dim, num_classes), mean, std, stride=MULTIPLE)


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
    """Groups for an optimiser: the body, unless it is frozen, at learning rate `lr`, the head at `head_factor` times that."""
    groups = [
        {"params": list(network.body.parameters()), "lr": lr},
        {"params": list(network.head.parameters()), "lr": lr * head_factor},
    ]
    return groups[1:] if network.freeze_body else groups

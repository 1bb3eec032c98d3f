"""ViT-linear (the paper's section 3): the patch tokens of a vision transformer and a linear classifier on them."""

from torch import Tensor, nn
from torch.nn import functional as F

from toykit.models.network import MULTIPLE, Head


class ViTBody(nn.Module):
    """The patch tokens of a vision transformer as a map: (B, 3, H, W) -> (B, C, H / 16, W / 16).

    Parameters
    ----------
    vit : timm.models.VisionTransformer
    """

    def __init__(self, vit):
        super().__init__()
        self.vit = vit

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.vit.forward_features(image)[:, self.vit.num_prefix_tokens :]
        return tokens.mT.unflatten(2, (image.shape[-2] // MULTIPLE, image.shape[-1] // MULTIPLE))


class LinearHead(Head):
    """A linear classifier of each token.

    Parameters
    ----------
    channels : int
        Channels of the body's map.
    num_classes : int
    """

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        convolution = nn.Conv2d(channels, num_classes, kernel_size=1)
        self.weight, self.bias = convolution.weight, convolution.bias

    def select(self, features: Tensor) -> list[Tensor]:
        """Return the body's only map."""
        return [features]

    def forward(self, maps: list[Tensor]) -> Tensor:
        return F.conv2d(maps[0], self.weight, self.bias)

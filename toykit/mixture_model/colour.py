"""CIELAB, where equal distances look about equally different: the colours of the mixtures and of the geodesic distances."""

import torch
from torch import Tensor

#: Linear sRGB to CIE XYZ over the white point D65 (IEC 61966-2-1).
_XYZ = ((0.433953, 0.376219, 0.189828), (0.212671, 0.715160, 0.072169), (0.017758, 0.109477, 0.872766))


def cielab(rgb: Tensor) -> Tensor:
    """Convert sRGB to CIELAB over 100.

    Parameters
    ----------
    rgb : Tensor, real (3, ...)
        In 0..255.

    Returns
    -------
    Tensor, float64 (3, ...)
        L in 0..1; a and b in about -1..1.

    Notes
    -----
    CIE 15:2004, white point D65. `skimage.color.rgb2lab` computes the same in numpy.
    """
    x = (rgb.double() / 255).clamp(0, 1)
    x = torch.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92)
    x = torch.tensordot(torch.tensor(_XYZ, dtype=x.dtype, device=x.device), x, 1)
    f = torch.where(x > 0.008856, x.clamp_min(1e-9) ** (1 / 3), 7.787 * x + 16 / 116)
    return torch.stack([1.16 * f[1] - 0.16, 5 * (f[0] - f[1]), 2 * (f[1] - f[2])])

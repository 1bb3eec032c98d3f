"""Colours as readers with other colour vision see them.

The simulation is that of Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision
deficiency" (2009), at severity 1: a matrix for linear RGB.
"""

import numpy as np
from skimage.color import rgb2gray, rgb2lab

MACHADO = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
VIEWS = ("usual", "grey", *MACHADO)


def seen(colors: np.ndarray, view: str) -> np.ndarray:
    """CIE Lab coordinates (N, 3) of sRGB colours (N, 3) in 0..1, as seen by a reader."""
    if view == "grey":
        colors = np.repeat(rgb2gray(colors[None])[0][:, None], 3, axis=1)
    elif view in MACHADO:
        linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
        linear = np.clip(linear @ np.array(MACHADO[view]).T, 0, 1)
        colors = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(colors[None])[0]

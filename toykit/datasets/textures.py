"""Real textures from scikit-image's wheel, which the generated sets are made of; training and test share no part of one."""

import numpy as np

#: The share of a texture, its upper rows, that is for training.
TRAINING = 0.6


def grey_texture(name: str) -> np.ndarray:
    """The picture that `skimage.data` has under this name, in grey: float (H, W) in [0, 1]."""
    from skimage import color, data

    picture = getattr(data, name)()
    return color.rgb2gray(picture) if picture.ndim == 3 else picture / 255.0


def part(texture: np.ndarray, training: bool) -> np.ndarray:
    """The rows of a texture (H, W) for training, or those that remain for validation or test."""
    cut = int(TRAINING * len(texture))
    return texture[:cut] if training else texture[cut:]

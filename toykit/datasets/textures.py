"""Real textures from scikit-image's wheel, the material of the generated sets; training and test share no part of a texture."""

import numpy as np

#: Share of a texture that is for training: its upper rows.
TRAINING = 0.6


def grey_texture(name: str) -> np.ndarray:
    """Load a texture in grey.

    Parameters
    ----------
    name : str
        Name of a function of `skimage.data`.

    Returns
    -------
    ndarray, shape (H, W), float
        Values in [0, 1].
    """
    from skimage import color, data

    picture = getattr(data, name)()
    return color.rgb2gray(picture) if picture.ndim == 3 else picture / 255.0


def part(texture: np.ndarray, training: bool) -> np.ndarray:
    """Return the part of a texture that a split may use.

    Parameters
    ----------
    texture : ndarray, shape (H, W)
    training : bool
        True for the rows for training, False for those that remain for validation or test.

    Returns
    -------
    ndarray, shape (h, W)
    """
    cut = int(TRAINING * len(texture))
    return texture[:cut] if training else texture[cut:]

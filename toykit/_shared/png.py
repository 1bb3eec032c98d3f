"""The checksums of a PNG."""

from pathlib import Path


def verify_png(path: str | Path) -> None:
    """Raise an error for a damaged PNG: decoders accept the zeros that an interrupted copy leaves, as class 0 or black.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    ValueError, OSError, SyntaxError
        If a checksum does not fit, or there is no picture.
    """
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as file:
        if not file.tile:
            raise ValueError("it holds no pixels")
        file.verify()

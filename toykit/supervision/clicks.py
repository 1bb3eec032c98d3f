"""Human clicks on objects and background ("What's the Point", Bearman et al., ECCV 2016): one JSON file per set.

{ID: [{"x": X, "y": Y, "cls": CLASS ID, "rank": 1, ...}, ...], ...}     pixels of the image; "rank" may be missing
"""

import json
from pathlib import Path

import numpy as np

from toykit.supervision.strokes import Stroke, check_pixels


def read_clicks(path: str | Path, classes: tuple[str, ...], width: float = 3) -> dict[str, tuple[Stroke, ...]]:
    """Read the clicks of all images of a set.

    Parameters
    ----------
    path : str or Path
        The JSON file.
    classes : tuple of str
        Class names by id.
    width : float, default 3
        Width of the drawn dots in pixels.

    Returns
    -------
    dict from str to tuple of Stroke
        For each image id its clicks, as strokes of one point.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For a click without a place or with a class id outside 0..len(classes)-1, and if all places lie in 0..1; names the file
        and the image.
    """
    name = None
    try:
        content, clicks = json.loads(Path(path).read_bytes()), {}
        for name, of_image in content.items():
            places = [(float(click["x"]), float(click["y"])) for click in of_image]
            ids = [click["cls"] for click in of_image]
            if not all(type(k) is int and 0 <= k < len(classes) for k in ids) or not np.isfinite(places).all():
                raise ValueError(f"expected finite places and class ids in 0..{len(classes) - 1}, got ids {ids}")
            clicks[name] = tuple(
                Stroke(classes[k], float(width), (place,)) for k, place in zip(ids, places, strict=True)
            )
    except FileNotFoundError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError, OSError) as error:
        where = "" if name is None else f", image {name}"
        raise ValueError(f"{path}{where}: not a file of clicks ({type(error).__name__}: {error})") from error
    check_pixels(path, [point for strokes in clicks.values() for stroke in strokes for point in stroke.points])
    return clicks

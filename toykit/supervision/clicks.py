"""Human clicks on objects and background ("What's the Point", Bearman et al., ECCV 2016): one JSON file for a set.

{ID: [{"x": X, "y": Y, "cls": CLASS ID, "rank": 1, ...}, ...], ...}     pixels of the image; "rank" may be missing
"""

import json
from pathlib import Path

import numpy as np

from toykit.supervision.strokes import Stroke


def read_clicks(path: str | Path, classes: tuple[str, ...], width: float = 3) -> dict[str, tuple[Stroke, ...]]:
    """For each image id its clicks, as strokes of one point and `width` pixels.

    Raises: FileNotFoundError; ValueError, naming the file and the image, for a click without place or with a class id
    outside of 0..len(classes) - 1.
    """
    name = None
    try:
        content, found = json.loads(Path(path).read_text(encoding="utf-8")), {}
        for name, clicks in content.items():
            places = [(float(click["x"]), float(click["y"])) for click in clicks]
            ids = [click["cls"] for click in clicks]
            if not all(type(k) is int and 0 <= k < len(classes) for k in ids) or not np.isfinite(places).all():
                raise ValueError(f"expected finite places and class ids in 0..{len(classes) - 1}, got ids {ids}")
            found[name] = tuple(
                Stroke(classes[k], float(width), (place,)) for k, place in zip(ids, places, strict=True)
            )
    except FileNotFoundError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError, OSError) as error:
        where = "" if name is None else f", image {name}"
        raise ValueError(f"{path}{where}: not a file of clicks ({type(error).__name__}: {error})") from error
    return found

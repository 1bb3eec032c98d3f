"""Draw the README's first picture: a photo, its scribbles, and its soft labels under two relaxations."""

import numpy as np

from toykit.datasets import photo
from toykit.energy import Energy
from toykit.plots.grid import panels
from toykit.plots.images import overlay_seeds
from toykit.plots.label_picture import label_picture
from toykit.plots.tints import class_tints
from toykit.seed_model import seed_logits
from toykit.solvers import solve

#: Colour of the frame around the enlarged part.
FRAME = (0.84, 0.0, 0.0)


def overview(name: str = "astronaut", long_side: int = 300, part: tuple[float, float, float] = (0.6, 0.0, 0.4)):
    """Draw a photo, its scribbles and the pseudo-labels under BL and CD; below them a part of each, enlarged.

    The weights are the paper's, the solver is the default one, and the predictions are those of the stand-in for a network,
    `toykit.seed_model.seed_logits`.

    Parameters
    ----------
    name : str, default "astronaut"
        A key of `toykit.datasets.PHOTOS`.
    long_side : int, default 300
        The photo's longer side in pixels.
    part : (float, float, float)
        Left and upper edge of the enlarged part, and its size, as shares of the photo's sides.

    Returns
    -------
    matplotlib.figure.Figure
    """
    sample = photo(name, long_side)
    image, seeds = sample.tensors()
    logits = seed_logits(image, seeds, len(sample.classes))
    tints = class_tints(len(sample.classes))
    whole = {
        "a photo": sample.image / 255,
        f"scribbles on {sample.seeded_share():.1%} of it": overlay_seeds(
            sample.image, sample.seeds, len(sample.classes), 0.4, tints
        ),
    }
    for relaxation, title in (("BL", "BL: decided everywhere"), ("CD", "CD: fades where in doubt")):
        labels = solve(logits, image, seeds, Energy(relaxation=relaxation), on_failure="ignore").labels
        whole[title] = label_picture(sample.image, labels, tints)
    height, width = sample.image.shape[:2]
    rows = slice(round(part[1] * height), round((part[1] + part[2]) * height))
    columns = slice(round(part[0] * width), round((part[0] + part[2]) * width))
    framed = {title: _framed(picture, rows, columns) for title, picture in whole.items()}
    enlarged = {" " * n: picture[rows, columns] for n, picture in enumerate(whole.values(), 1)}  # without titles
    return panels(framed | enlarged, columns=len(whole), legend=sample.classes, colors=tints)


def _framed(picture: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Return a copy with a frame of two pixels just inside a rectangle."""
    framed, inner = picture.copy(), picture[rows.start + 2 : rows.stop - 2, columns.start + 2 : columns.stop - 2]
    framed[rows, columns] = FRAME
    framed[rows.start + 2 : rows.stop - 2, columns.start + 2 : columns.stop - 2] = inner
    return framed

"""Draw the README's first picture: a photo, its scribbles, and its pseudo-labels under all six relaxations."""

from toykit.datasets import photo
from toykit.energy import Energy
from toykit.plots.images import overlay_seeds, panels
from toykit.plots.label_picture import class_tints, label_picture
from toykit.potts import RELAXATIONS
from toykit.seed_model import seed_logits
from toykit.solvers import solve


def overview(name: str = "astronaut", long_side: int = 300):
    """Draw photo, scribbles and the stand-in's prediction, and below them pseudo-labels under the six relaxations.

    The weights are the paper's, the solver is the default one.

    Parameters
    ----------
    name : str, default "astronaut"
        A key of `toykit.datasets.PHOTOS`.
    long_side : int, default 300
        The photo's longer side in pixels.

    Returns
    -------
    matplotlib.figure.Figure
    """
    sample = photo(name, long_side)
    image, seeds = sample.tensors()
    logits = seed_logits(image, seeds, len(sample.classes))
    tints = class_tints(len(sample.classes))
    pictures = {
        "a photo": sample.image / 255,
        f"scribbles on {sample.seeded_share():.1%} of it": overlay_seeds(
            sample.image, sample.seeds, len(sample.classes), 0.4, tints
        ),
        "prediction from the scribbles": label_picture(sample.image, logits.softmax(1), tints),
    }
    for relaxation, potential in RELAXATIONS.items():
        labels = solve(logits, image, seeds, Energy(relaxation=relaxation), on_failure="ignore").labels
        pictures[f"{relaxation}: {potential.__name__.replace('_', ' ')}"] = label_picture(sample.image, labels, tints)
    return panels(pictures, columns=3, legend=sample.classes, colors=tints)

"""The scribble painter: strokes on a photo, and pseudo-labels that are updated after each stroke.

`paint` represents the drawing, `labelling` computes labels from it, `pictures` draws both, `photo_folder` holds the scribbles
of many photos, `session` is one user's state, and `requests` changes it. These are tested without a browser. `widget` passes
messages between page and session, and `page/` is the page, in ES modules.
"""

from collections.abc import Sequence

from toykit.conventions import UNLABELLED


def painter(
    name: str = "chelsea",
    long_side: int = 320,
    scribbles: bool = True,
    classes: Sequence[str] | None = None,
    unlabelled: int = UNLABELLED,
):
    """Return a widget to paint scribbles on a photo and see its pseudo-labels. Needs anywidget and scikit-image.

    Parameters
    ----------
    name : str, default "chelsea"
        A photo of `toykit.datasets.PHOTOS`, of which the page can select another one, or use an uploaded one; or the path of
        a photo or of a folder of photos, whose scribbles are saved beside them, see `toykit.explore.painting.photo_folder`.
    long_side : int, default 320
        The labels on the page are computed on a copy of the photo whose longer side is at most this long, in pixels. Strokes
        and exported labels are at the photo's own size.
    scribbles : bool, default True
        Whether to start with the photo's own scribbles, for a photo of `PHOTOS`.
    classes : sequence of str, optional
        Class names by id, for a photo or folder of your own. Default: those of the folder's classes.txt, else "background" and
        "object".
    unlabelled : int, default 255
        Id that means "no label", besides 255, in PNG maps that the painter did not write.

    Returns
    -------
    toykit.explore.painting.widget.PainterWidget

    Raises
    ------
    ValueError
        If the name or `unlabelled` is unknown, or the classes do not fit those of the folder.
    OSError
        If the folder has no photos, or cannot be written.
    """
    from toykit.explore.painting.widget import PainterWidget

    return PainterWidget(name, long_side, scribbles, classes, unlabelled)


__all__ = ["painter"]

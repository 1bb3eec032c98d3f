"""The scribble painter: strokes on a photo, and pseudo-labels that are updated after each stroke.

`paint` represents the drawing, `labelling` computes labels and pictures from it, and `session` handles the page's requests.
These three are tested without a browser. `widget` passes messages between page and session, and `painter.js` is the page.
"""


def painter(name: str = "chelsea", long_side: int = 320, scribbles: bool = True):
    """Return a widget to paint scribbles on a photo and see its pseudo-labels. Needs anywidget and scikit-image.

    Parameters
    ----------
    name : str, default "chelsea"
        A photo of `toykit.datasets.PHOTOS`. The page can change it, or use an uploaded one.
    long_side : int, default 320
        Photos are scaled down to this length, in pixels.
    scribbles : bool, default True
        Whether to start with the photo's own scribbles.

    Returns
    -------
    toykit.explore.painting.widget.PainterWidget

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    from toykit.explore.painting.widget import PainterWidget

    return PainterWidget(name, long_side, scribbles)


__all__ = ["painter"]

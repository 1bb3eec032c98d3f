"""The scribble painter: strokes on a photo, and the pseudo-labels that follow each of them.

`paint` is what a person draws, `labelling` what is computed from it, `session` what a page may ask for; these three are tested
without a browser. `widget` only carries messages, `painter.js` only shows.
"""


def painter(name: str = "chelsea", long_side: int = 320, scribbles: bool = True):
    """A widget to paint scribbles on a photo and watch its pseudo-labels. Needs anywidget and scikit-image.

    name: a photo of `toykit.datasets.PHOTOS`; the page can change it or take an uploaded one. long_side: photos are scaled down
    to it, in pixels. scribbles: whether to begin with the scribbles that come with the photo.
    Raises: ValueError for an unknown name.
    """
    from toykit.explore.painting.widget import PainterWidget

    return PainterWidget(name, long_side, scribbles)


__all__ = ["painter"]

"""Arrange a plotly figure of several panels, in one way in a wide page and in another in a narrow one.

All panels share one figure, because each FigureWidget loads all of plotly (5 MB) into the page.
"""

from dataclasses import dataclass
from typing import Any

#: Pixels: the width below which a page is narrow; a title's height; a figure's width until the page reports its own.
NARROW, TITLE, USUAL = 560, 26, 900


@dataclass(frozen=True)
class Panel:
    """One panel of a figure.

    Parameters
    ----------
    title : str
        Written above the panel.
    wide : tuple of float
        (left, right, top, bottom) in a wide page, as shares of the figure.
    narrow : tuple of float
        The same in a narrow page.
    around : tuple of int, default (48, 14, 44)
        Pixels to the left, to the right and below, for axes.
    """

    title: str
    wide: tuple[float, float, float, float]
    narrow: tuple[float, float, float, float]
    around: tuple[int, int, int] = (48, 14, 44)


class Panels:
    """A figure with one column per panel, in the explorers' style; its attribute `figure` is a plotly FigureWidget.

    A drag does not zoom, so that a finger scrolls the page. The style sheet colours texts and axes.

    Parameters
    ----------
    panels : list of Panel
        The panels, in order.
    heights : tuple of int
        Height of the figure in pixels, in a wide page and in a narrow one.
    """

    def __init__(self, panels: list[Panel], heights: tuple[int, int]):
        from plotly import graph_objects as go
        from plotly.subplots import make_subplots

        self.panels, self.heights, self.titles = panels, heights, [panel.title for panel in panels]
        grid = make_subplots(1, len(panels), subplot_titles=self.titles)
        self.figure: Any = go.FigureWidget(grid)  # plotly creates the attributes of figures and traces at run time
        # a FigureWidget has no public option for this; the buttons cannot be reached without a mouse
        self.figure._config = self.figure._config | {"displayModeBar": False}
        self.figure.update_layout(
            dragmode=False, showlegend=False, template="simple_white",
            margin={"l": 0, "r": 0, "t": 0, "b": 0, "autoexpand": False},
            font={"family": 'system-ui, "Helvetica Neue", Arial, sans-serif', "size": 13},
            paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        )  # fmt: skip
        self.figure.update_annotations(xanchor="left", yanchor="top", font_size=13, align="left")
        for axes in (self.figure.update_xaxes, self.figure.update_yaxes):
            axes(fixedrange=True, title={"standoff": 4, "font_size": 13})

    def arrange(self, width: int = USUAL) -> None:
        """Place the panels in a figure of this width in pixels. Call it first after adding all traces."""
        layout, height = self.figure.layout, self.heights[width < NARROW]
        with self.figure.batch_update():
            layout.width, layout.height = width, height
            for column, panel in enumerate(self.panels, 1):
                left, right, start, end = panel.narrow if width < NARROW else panel.wide
                before, after, below = panel.around
                x = (left + before / width, right - after / width)
                y = (1 - end + below / height, 1 - start - TITLE / height)
                title = layout.annotations[column - 1]
                title.x, title.y = left, 1 - start
                subplot = self.figure.get_subplot(1, column)
                subplot.xaxis.domain, subplot.yaxis.domain = x, y
        self.renew()

    def renew(self) -> None:
        """Make the figure as it is now the one that a page starts from.

        A change reaches a page only once it has loaded plotly. For changes before that, plotly does the same where a figure is
        displayed by itself, but not where it is part of another widget: it then stays blank.
        """
        self.figure._repr_mimebundle_()

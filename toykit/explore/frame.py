"""Arrange an explorer: pictures with titles, and controls beside them or, in a narrow page, above them."""


def explorer(controls: list, *shown, panels=None):
    """Return a widget with the shown parts below each other, and the controls beside them or, in a narrow page, above.

    Parameters
    ----------
    controls : list of widgets
        The controls.
    *shown : widgets
        Figures, pictures and texts.
    panels : Panels, optional
        The panels of a figure in `shown`; they are arranged anew when the page's width changes.

    Returns
    -------
    ipywidgets.Box
    """
    import ipywidgets as widgets

    from toykit.explore.frame_widget import Frame

    frame = Frame()
    if panels is not None:
        frame.label = "; ".join(panels.titles)
        frame.observe(lambda change: panels.arrange(change["new"]), "width")
    main = widgets.VBox(list(shown)).add_class("main")
    return widgets.Box([main, widgets.Box(controls).add_class("controls"), frame]).add_class("toykit-explorer")


def pictures(named: dict):
    """Return a widget with images in rows, each below its title."""
    import ipywidgets as widgets

    boxes = [
        widgets.VBox([widgets.HTML(f"<h4>{name}</h4>"), image]).add_class("picture") for name, image in named.items()
    ]
    return widgets.Box(boxes).add_class("pictures")


def text(words: str = ""):
    """Return a widget with a line or a table of HTML, whose value can be replaced."""
    import ipywidgets as widgets

    return widgets.HTML(words).add_class("text")

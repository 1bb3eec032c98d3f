"""Arrange an explorer: a picture, its controls beside it or, in a narrow page, below it, and texts."""

from toykit.explore.controls import Controls


def explorer(name: str, controls: Controls, picture, *texts, panels=None):
    """Return a widget with a picture, the controls beside it or, in a narrow page, below it, and the texts below both.

    Parameters
    ----------
    name : str
        Its name in links, see `toykit.explore.dashboard.tabs`.
    controls : Controls
        The controls and the buttons of situations.
    picture : widget
        A figure, or pictures. It stays in view while a phone scrolls to the controls.
    *texts : widgets
        Texts made by `text`.
    panels : Panels, optional
        The panels of the figure; they are arranged anew when the page's width changes.

    Returns
    -------
    ipywidgets.Box
    """
    import ipywidgets as widgets

    from toykit.explore.frame_widget import Frame

    frame = Frame(kind=name, state=controls.state())
    for control in controls.controls.values():
        control.observe(lambda _: frame.set_trait("state", controls.state()), "value")
    frame.on_msg(lambda _, content, buffers: controls.restore(content["state"]))
    if panels is not None:
        frame.label = "; ".join(panels.titles)
        panels.renew()
        frame.observe(lambda change: panels.arrange(change["new"]), "width")
    parts = [
        widgets.VBox([picture]).add_class("main"),
        widgets.Box([*controls.controls.values(), widgets.Box(controls.buttons).add_class("presets")]),
        widgets.VBox(list(texts)).add_class("texts"),
        frame,
    ]
    parts[1].add_class("controls")
    return widgets.Box(parts).add_class("toykit-explorer")


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

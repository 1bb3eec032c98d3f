"""What surrounds an explorer: pictures with titles, and controls beside them or, in a narrow page, above."""


def explorer(controls: list, *shown, panels=None):
    """A widget: what is shown, one below the other, and the controls beside it or, where there is no room, above.

    panels: the `Panels` of which one shown figure consists; they are arranged anew for each width.
    """
    import ipywidgets as widgets

    from toykit.explore.frame_widget import Frame

    frame = Frame()
    if panels is not None:
        frame.says = "; ".join(panels.titles)
        frame.observe(lambda change: panels.arrange(change["new"]), "width")
    main = widgets.VBox(list(shown)).add_class("main")
    return widgets.Box([main, widgets.Box(controls).add_class("controls"), frame]).add_class("toykit-explorer")


def pictures(named: dict):
    """Images in rows, each under its title."""
    import ipywidgets as widgets

    boxes = [
        widgets.VBox([widgets.HTML(f"<h4>{name}</h4>"), image]).add_class("picture") for name, image in named.items()
    ]
    return widgets.Box(boxes).add_class("pictures")


def text(words: str = ""):
    """A line or a table of HTML, to be written anew."""
    import ipywidgets as widgets

    return widgets.HTML(words).add_class("text")

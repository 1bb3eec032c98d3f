"""Define one style for all figures."""

from toykit._shared.arguments import check_choice

#: matplotlib settings: sizes that are legible in print, no unnecessary boxes.
STYLE = {
    "figure.dpi": 90,
    "savefig.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}
#: Resolution of figures of photos.
PHOTO_DPI = 100


def style() -> None:
    """Apply toykit's style to all figures created from now on."""
    import matplotlib.style

    matplotlib.style.use(STYLE)


def figure_format(kind: str) -> None:
    """Set the format in which a notebook stores its figures.

    Parameters
    ----------
    kind : str
        "png" for lines, at twice the resolution; "jpeg" for photos (a tenth of the size).

    Raises
    ------
    ValueError
        If `kind` is neither.
    """
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    check_choice("kind", kind, ("png", "jpeg"))
    if kind == "jpeg":
        set_matplotlib_formats("jpeg", pil_kwargs={"quality": 75}, dpi=PHOTO_DPI)
    else:
        set_matplotlib_formats("retina")

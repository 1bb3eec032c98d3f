"""One look for all figures."""

#: matplotlib settings: sizes that are legible in print, no box where none is needed.
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


def style() -> None:
    """Apply toykit's look to all figures made from now on."""
    import matplotlib

    matplotlib.rcParams.update(STYLE)


def figure_format(kind: str) -> None:
    """How a notebook stores its figures: "png" for lines, "jpeg" for photos (a tenth of the size).

    Raises: ValueError for another kind.
    """
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    if kind not in ("png", "jpeg"):
        raise ValueError(f'kind: expected "png" or "jpeg", got {kind!r}')
    set_matplotlib_formats(kind, **({"pil_kwargs": {"quality": 75}} if kind == "jpeg" else {}))

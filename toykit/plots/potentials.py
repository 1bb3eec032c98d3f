"""Draw Fig. 2: the six relaxations for K = 2, as contours over probabilities and as surfaces over logits."""

from toykit.experiments.potentials import descent_field, over_logits, over_square
from toykit.potts import RELAXATIONS

#: Levels of the contours; those above 1 are for the logarithmic potentials, which are unbounded.
LEVELS = [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 2, 2.5, 3]


def contours(names: tuple[str, ...] = tuple(RELAXATIONS), columns: int = 3):
    """Draw contour maps of P((x_i, 1-x_i), (x_j, 1-x_j)) over [0, 1]^2, all with the same levels.

    Parameters
    ----------
    names : tuple of str, default all
        Keys of `toykit.potts.RELAXATIONS`, one panel each.
    columns : int, default 3
        Panels per row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt
    from matplotlib.patheffects import withStroke

    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.1 * columns, 3.1 * rows), sharex=True, sharey=True, squeeze=False
    )
    for axis, name in zip(axes.flat, names, strict=False):
        x, values = over_square(name)
        axis.contourf(x, x, values.clamp(0, 99), levels=[0, *LEVELS], extend="max", cmap="cividis", alpha=0.85)
        lines = axis.contour(x, x, values, levels=LEVELS, colors="white", linewidths=0.7)
        for text in axis.clabel(lines, fontsize=7, fmt="%g", manual=_places(x, values, LEVELS[2::3])):
            text.set_path_effects([withStroke(linewidth=1.6, foreground="0.25")])  # white on yellow cannot be read
        axis.set(title=f"$P_{{{name}}}$", aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    for axis in axes[-1]:
        axis.set_xlabel("$x_i$")
    for axis in axes[:, 0]:
        axis.set_ylabel("$x_j$")
    return figure


def _places(x, values, levels) -> list[tuple[float, float]]:
    """Return where to write heights, clear of the frame: between the centre and disagreement or, if lower, agreement."""
    middle, places = len(x) // 2, []
    for level in levels:
        for k in range(1, int(0.43 * len(x))):
            up, down, disagreement = middle + k, middle - k, float(values[middle + k, middle - k])
            if disagreement >= level > float(values[up - 1, down + 1]):
                places.append((float(x[down]), float(x[up])))
            if float(values[up, up]) <= level < float(values[up - 1, up - 1]):
                places.append((float(x[up]), float(x[up])))
    return places


def surfaces(names: tuple[str, ...] = tuple(RELAXATIONS), limit: float = 3.0, columns: int = 3):
    """Draw surfaces of P over logits (l_i, l_j), each with its own height.

    Parameters
    ----------
    names : tuple of str, default all
        Keys of `toykit.potts.RELAXATIONS`, one panel each.
    limit : float, default 3.0
        Logits range from -limit to limit.
    columns : int, default 3
        Panels per row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.1 * columns, 2.9 * rows), subplot_kw={"projection": "3d"}, squeeze=False
    )
    for axis, name in zip(axes.flat, names, strict=False):
        logits, values = over_logits(name, limit)
        grid_i, grid_j = logits[None, :].expand_as(values), logits[:, None].expand_as(values)
        axis.plot_surface(
            grid_i.numpy(), grid_j.numpy(), values.numpy(), cmap="cividis",
            rcount=61, ccount=61, linewidth=0, antialiased=False,
        )  # fmt: skip
        axis.set_title(f"$P_{{{name}}}$", y=0.96)
        axis.set(xlabel="$l_i$", ylabel="$l_j$", xticks=[-limit, 0, limit], yticks=[-limit, 0, limit])
        axis.tick_params(labelsize=7, pad=-2)
        axis.xaxis.labelpad = axis.yaxis.labelpad = -3
        axis.view_init(elev=28, azim=-60)
        axis.set_box_aspect(None, zoom=0.88)
    return figure


def descent_fields(names: tuple[str, ...] = tuple(RELAXATIONS), limit: float = 3.0, columns: int = 3):
    """Draw contours of P over logits, and arrows -dP/dl, the direction in which gradient descent moves both pixels.

    An arrow is as long as the gradient, on the same scale in all panels; a dot marks a vanishing gradient.

    Parameters
    ----------
    names : tuple of str, default all
        Keys of `toykit.potts.RELAXATIONS`, one panel each.
    limit : float, default 3.0
        Logits range from -limit to limit.
    columns : int, default 3
        Panels per row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    rows, side = -(-len(names) // columns), min(4.2, 9.5 / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(side * columns, side * rows), sharex=True, sharey=True, squeeze=False
    )
    for axis, name in zip(axes.flat, names, strict=False):
        logits, values = over_logits(name, limit)
        axis.contour(logits, logits, values, levels=LEVELS[::2], cmap="cividis", linewidths=1, alpha=0.6)
        at, along_i, along_j = descent_field(name, limit)
        axis.quiver(at, at, along_i, along_j, angles="xy", scale_units="xy", scale=2.2, width=0.006, headwidth=3,
                    headlength=3.2, headaxislength=2.9, minlength=0.5, pivot="mid", zorder=3)  # fmt: skip
        axis.plot([-limit, limit], [-limit, limit], color="0.6", linestyle=":", linewidth=1)
        axis.set(title=f"$P_{{{name}}}$", aspect="equal", xticks=[-limit, 0, limit], yticks=[-limit, 0, limit])
        axis.set(
            xlim=(-1.12 * limit, 1.12 * limit), ylim=(-1.12 * limit, 1.12 * limit)
        )  # room for arrows at the border
    for axis in axes[-1]:
        axis.set_xlabel("$l_i$")
    for axis in axes[:, 0]:
        axis.set_ylabel("$l_j$")
    return figure

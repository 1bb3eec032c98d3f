"""Explore Fig. 2: surfaces to turn and cut, and the direction of gradient descent on them."""

from toykit._shared.arguments import check_choice, check_number, check_whole
from toykit.explore.live import line, live
from toykit.potts import RELAXATIONS


def potential_explorer(relaxation: str = "CD", limit: float = 3.0, n: int = 31):
    """Return a widget with the surface of P over logits (l_i, l_j), a cut at a fixed l_j, and the descent field.

    It needs no kernel: it also works in stored pages. Where no script runs, a picture shows the surface.

    Parameters
    ----------
    relaxation : str, default "CD"
        The relaxation shown first, a key of `toykit.potts.RELAXATIONS`.
    limit : float, default 3.0
        Logits range from -limit to limit; in (0, 20].
    n : int, default 31
        Grid points of the surface along each axis, 2 or more; drawn are at most 201.

    Returns
    -------
    anywidget.AnyWidget
        The widget.

    Raises
    ------
    ValueError
        For another relaxation, limit or n.
    """
    check_choice("relaxation", relaxation, RELAXATIONS)
    check_number("limit", limit, "(0, 20]")
    check_whole("n", n, 2)
    start = {
        "relaxation": relaxation, "limit": float(limit), "n": min(int(n), 201), "cut": max(-2.0, -float(limit)),
        "names": list(RELAXATIONS),
        "lines": {"P": line(1) | {"dash": ""}, "descent": line(0) | {"dash": line(1)["dash"]}},
    }  # fmt: skip
    return live("potentials", start, lambda: _picture(relaxation, limit), f"P_{relaxation} over two logits.")


def _picture(relaxation: str, limit: float):
    """Draw the surface of one relaxation."""
    from toykit.plots.potentials import surfaces

    return surfaces((relaxation,), limit, columns=1)

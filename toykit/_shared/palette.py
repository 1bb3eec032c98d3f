"""Colours: PASCAL VOC's palette for classes, and a colour-blind-safe one for lines (after Okabe and Ito)."""

import numpy as np

#: Okabe and Ito's colours: one for each relaxation (BL, Q, NQ, CCE, LQ, CD), and two more. Colour-blind readers can
#: distinguish most pairs by colour, and the others, as in grey, by the line styles; tests/_shared/test_palette.py simulates it.
LINE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#56B4E9", "#CC79A7", "#E69F00", "#000000", "#7F7F7F")
LINE_STYLES = ("-", "--", "-.", (0, (1, 1)), (0, (8, 3)), (0, (3, 1, 1, 1, 1, 1)), "-", (0, (3, 1, 1, 1, 1, 1, 1, 1)))
#: Lines that stand for no relaxation, such as optimisers, shapes or single labels: dark to light, with the first line styles.
NEUTRAL_COLORS = ("#000000", "#555555", "#808080", "#A8A8A8")
#: The number of a cross-entropy's line, here as everywhere: CCE and Q look like the relaxations of these names.
CROSS_ENTROPY_LINES = {"CE": 6, "RCE": 7, "CCE": 3, "Q": 1}
#: Numbers of the lines of two neighbouring labels, y_i and y_j; they are no relaxation's.
LABEL_LINES = (6, 7)


def neutral(number: int) -> str:
    """Return the colour of the line with this number that stands for no relaxation; after four they repeat."""
    return NEUTRAL_COLORS[number % len(NEUTRAL_COLORS)]


def color_codes(colors: np.ndarray) -> np.ndarray:
    """Return one integer per colour (..., 3), given in [0, 1] or as bytes."""
    values = colors.astype(int) if colors.dtype.kind in "iu" else (colors * 255).round().astype(int)
    return values @ (1 << 16, 1 << 8, 1)


def voc_palette(num_classes: int) -> np.ndarray:
    """Return PASCAL VOC's class colours: black, maroon, green, ...

    Parameters
    ----------
    num_classes : int
        Number of classes, 1 to 256.

    Returns
    -------
    ndarray, float (num_classes, 3)
        RGB in 0..1.

    Raises
    ------
    ValueError
        For another number of classes.

    Notes
    -----
    The bits of the class id, three at a time, become the highest bits of red, green and blue. Neighbouring ids get different
    colours, and no table is needed.
    """
    if not 1 <= num_classes <= 256:
        raise ValueError(f"num_classes: expected 1 to 256, got {num_classes}")
    ids = np.arange(num_classes)
    colors = np.zeros((num_classes, 3), dtype=int)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= ((ids >> (3 * bit + channel)) & 1) << (7 - bit)
    return colors / 255

"""A question to guess at: its options and its figure are folded, and open without a kernel."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from io import BytesIO

import matplotlib.pyplot as plt
from IPython.display import HTML
from matplotlib.figure import Figure

from toykit._shared.arguments import check_choice
from toykit.course.notebooks import in_few_colors


def guess(question: str, options: Mapping[str, str], right: str, figure: Figure) -> HTML:
    """Ask a question whose answer a figure shows, and fold both until the reader opens them.

    Parameters
    ----------
    question : str
        The question.
    options : mapping of str to str
        What the reader may guess, and what each option's choice means. The text follows "Right." or "No.".
    right : str
        The option that is right.
    figure : Figure
        It is closed here, and embedded as a PNG at twice its resolution.

    Returns
    -------
    HTML
        Folds (`<details>`), which work in JupyterLab and in static pages, by mouse and keyboard.

    Raises
    ------
    ValueError
        If `right` is none of the options.
    """
    check_choice("right", right, options)
    file = BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight", dpi=2 * plt.rcParams["figure.dpi"])
    plt.close(figure)
    png = in_few_colors(b64encode(file.getvalue()).decode())
    folds = [
        _fold(name, f"<b>{'Right.' if name == right else 'No.'}</b> {escape(why)}") for name, why in options.items()
    ]
    words = escape(f"the figure that answers: {question}", quote=True)
    picture = f'<img alt="{words}" style="max-width: 100%" src="data:image/png;base64,{png}">'
    return HTML(f"<p><b>Guess.</b> {escape(question)}</p>{''.join(folds)}{_fold('Show the figure', picture)}")


def _fold(summary: str, content: str) -> str:
    """Return a fold."""
    return f'<details style="margin: 0.3em 0"><summary style="cursor: pointer">{escape(summary)}</summary>{content}</details>'

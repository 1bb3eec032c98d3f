"""The dashboard's tabs: what each shows, the question that it answers, and notes for the lecturer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toykit import explore
from toykit.datasets import photo


@dataclass(frozen=True)
class Tab:
    """One tab.

    Parameters
    ----------
    name : str
        Its name in links, which is its widget's in the page (`data-kind`).
    title : str
        Written on the tab.
    question : str
        The question that it answers.
    notes : tuple of str
        Notes for the lecturer.
    make : callable
        Creates the widget.
    saves : bool, default True
        Whether the bar saves its pictures; the painter saves its own, at the photo's size.
    """

    name: str
    title: str
    question: str
    notes: tuple[str, ...]
    make: Callable[[], Any]
    saves: bool = True


TABS = (
    Tab(
        "painter",
        "Painter",
        "Given a few strokes on a photo, which class is every other pixel, and how sure are we?",
        (
            "Before the first stroke, let the class point at a pixel whose class is in doubt. Where the bare photo is visible, "
            "no class is preferred.",
            "Paint one stroke over an edge of the photo: a wrong stroke stays wrong, because seeds are fixed in eq. (8).",
            "Set lambda to 0 (Energy): each pixel is labelled alone. Reset, and the neighbours decide again.",
            "Compare CD with BL: BL decides nearly every pixel.",
        ),
        lambda: explore.painter(),
        saves=False,
    ),
    Tab(
        "simplex",
        "Simplex (Fig. 1)",
        "Two neighbouring pixels have the soft labels p and q: how much does each relaxation charge for their difference?",
        (
            "Ask first: which relaxations have a barrier between one class and the other? Then play move a, where both pixels "
            "change their class together: bars that rise on the way are the barrier.",
            '"Q gets stuck": p is firmly A, and q is torn between the two other classes. Q is lower there than at either '
            "corner, B or C, so that q has no reason to decide.",
            '"Unsure together": two equal labels of one half each. BL and CCE charge for it; Q, NQ, LQ and CD do not.',
            '"Firmly different": CCE, LQ and CD are infinite.',
        ),
        lambda: explore.simplex_explorer(),
    ),
    Tab(
        "potentials",
        "Potentials (Fig. 2)",
        "Where is each relaxation flat over the logits, and what does gradient descent do there?",
        (
            "Ask first: where is Q flat although the two pixels disagree?",
            '"Q gets stuck": both logits are large and differ in sign: the arrows are dots, and descent stops.',
            '"LQ pulls": the same place under the logarithm: the arrows are long.',
            "Turn the surface once, slowly, then let the class find the orange cut in all three pictures.",
        ),
        lambda: explore.potential_explorer(),
    ),
    Tab(
        "crossEntropies",
        "Cross-entropies (Fig. 3)",
        "A label and a prediction are both uncertain: which one mimics the other's uncertainty?",
        (
            "Ask first: where should the loss be smallest for the label (1/2, 1/2)?",
            '"An unknown label": CE pulls the confident prediction back to one half; CCE and RCE have no gradient there.',
            '"A wrong label": compare the gradients in the table. CE pulls hardest, also towards a wrong label.',
            '"Unsure together": no gradients, but read what each would mimic: Q both sides, CE the label, RCE the '
            "prediction, CCE neither.",
        ),
        lambda: explore.cross_entropy_explorer(),
    ),
    Tab(
        "pseudoLabels",
        "Pseudo-labels (Fig. 4)",
        "What do relaxation, cross-entropy and weights change in the soft labels of a photo?",
        (
            '"lambda = 0": each pixel alone; the relaxation has no effect.',
            '"BL decides": ask which of the six relaxations will look almost like hard labels, then show this one.',
            '"Q blends": a strong quadratic term smooths without deciding; look at the entropy map.',
            '"Colours hardly count": with a wide bandwidth, an edge of the photo no longer stops the labels.',
        ),
        lambda: explore.pseudo_labels(photo("chelsea", 240)),
    ),
    Tab(
        "neighbourhoods",
        "Neighbourhoods (Fig. 6)",
        "Which pixels should be neighbours: adjacent ones, a few distant ones, or all pairs?",
        (
            "Click on a pixel of the table first, then on the edge of the cup, and compare the sums of weights.",
            '"A few distant ones": some of the neighbours lie far away and have this pixel\'s colour.',
            '"All of this colour": a dense neighbourhood with a wide space couples all pixels of similar colour.',
            '"Position counts more": with a wide colour bandwidth, what remains is nearly a disc.',
        ),
        lambda: explore.neighborhood_explorer(photo("coffee", 100)),
    ),
)

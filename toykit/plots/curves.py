"""Draw curves: cross-entropies over predictions (Fig. 3 a-c), and the convergence of solvers to the optimum."""

from toykit._shared.palette import LINE_STYLES, neutral
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.experiments.optimality import Trajectory
from toykit.experiments.uncertainty import label_curve, loss_curve

#: Labels for Fig. 3: nearly certain (RCE is infinite for a certain label), undecided but leaning, unknown.
LABELS = (0.99, 0.75, 0.5)


def loss_curves(names: tuple[str, ...] = tuple(CROSS_ENTROPIES), labels: tuple[float, ...] = LABELS):
    """Draw H(y, sigma) over predictions sigma = (x, 1 - x), one panel per cross-entropy (Fig. 3 a-c).

    A diamond marks a minimum inside the interval.

    Parameters
    ----------
    names : tuple of str, default all
        Keys of `toykit.cross_entropy.CROSS_ENTROPIES`.
    labels : tuple of float, default (0.99, 0.75, 0.5)
        One line per label y = (label, 1 - label).

    Returns
    -------
    matplotlib.figure.Figure
    """
    return _four_panels(loss_curve, names, labels, r"$x$, where $\sigma = (x, 1-x)$", "$y$")


def label_curves(names: tuple[str, ...] = tuple(CROSS_ENTROPIES), predictions: tuple[float, ...] = LABELS):
    """Draw H(y, sigma) over labels y = (x, 1 - x), one panel per cross-entropy; diamonds as in `loss_curves`.

    Parameters
    ----------
    names : tuple of str, default all
        Keys of `toykit.cross_entropy.CROSS_ENTROPIES`.
    predictions : tuple of float, default (0.99, 0.75, 0.5)
        One line per prediction sigma = (prediction, 1 - prediction).

    Returns
    -------
    matplotlib.figure.Figure
    """
    return _four_panels(label_curve, names, predictions, "$x$, where $y = (x, 1-x)$", r"$\sigma$")


def _four_panels(curve, names, given, xlabel: str, symbol: str):
    """Draw curve(name, share) in one panel per name, one line per share; mark minima inside the interval."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(names), figsize=(9.5, 2.8), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], names, strict=True):
        for number, share in enumerate(given):
            x, loss = curve(name, share)
            color, line = neutral(number), LINE_STYLES[number]
            axis.plot(x, loss, color=color, linestyle=line, label=f"{symbol} = ({share:g}, {1 - share:g})")
            low = loss.argmin()
            if loss.max() - loss.min() > 1e-9 and 0 < low < len(x) - 1:
                axis.plot(x[low], loss[low], "D", color=color, markersize=5, clip_on=False)
        axis.set(title=f"$H_{{{name}}}$", xlabel=xlabel, xlim=(0, 1), ylim=(-0.1, 4))
        axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])  # long ones would touch those of the next panel
    axes[0, 0].set_ylabel(r"$H(y, \sigma)$")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(given))
    return figure


def convergence_curves(trajectories: list[Trajectory]):
    """Draw excess energy and soft Jaccard index against steps: a thin line per photo, the median in bold.

    Parameters
    ----------
    trajectories : list of toykit.experiments.optimality.Trajectory
        Runs of one or more optimisers on one or more photos, all with the same number of steps.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt
    import torch

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4))
    optimizers = list(dict.fromkeys(t.optimizer for t in trajectories))
    for number, optimizer in enumerate(optimizers):
        color, line = neutral(number), LINE_STYLES[number]
        runs = [t for t in trajectories if t.optimizer == optimizer]
        for axis, curves in ((left, [t.excess for t in runs]), (right, [t.jaccard for t in runs])):
            for curve in curves:
                axis.plot(curve, color=color, linewidth=0.6, alpha=0.35)
            axis.plot(torch.stack(curves).median(0).values, color=color, linestyle=line, linewidth=2.4, label=optimizer)
    left.set(xlabel="step", ylabel="(energy - optimum) / optimum", yscale="log", title="energy above the closed form")
    right.set(xlabel="step", ylabel="soft Jaccard index", title="agreement with the closed form", ylim=(None, 1.002))
    reported = right.axhline(0.992, color="0.5", linewidth=1)
    right.legend([reported], ["the paper's 99.2%"], loc="lower right")
    left.legend(title="bold: median over photos")
    return figure

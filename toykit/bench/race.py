"""The fast solver against the paper's: time to the same energy, and the energy where each ends."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toykit import Energy, NearestNeighbors, SparseNonLocal, solve
from toykit._shared.files import write_atomically
from toykit.bench.problems import Inputs, Show, best_time, problems, take, timed
from toykit.potts import RELAXATIONS
from toykit.solvers.solution import join_traces

OPPONENTS = ("gd", "adam")


def race(
    count: int,
    batch: int,
    height: int,
    width: int,
    show: Show,
    neighborhood: NearestNeighbors | SparseNonLocal | None = None,
    opponents: Sequence[str] = OPPONENTS,
) -> dict[str, dict[str, Any]]:
    """Measure the time to the energies of Adam-200 and GD-200 (autograd), for each relaxation with CCE.

    Parameters
    ----------
    count, batch : int
        Number of images, and images per batch.
    height, width : int
        Size of the images in pixels.
    show : callable
        Prints a line.
    neighborhood : optional
        Neighbourhood of the energy; `NearestNeighbors()` by default.
    opponents : sequence of str, default ("gd", "adam")
        Optimisers of the gradient solver; "adam" is among them.

    Returns
    -------
    dict
        By relaxation: seconds, sweeps, energies and curves.

    Notes
    -----
    An energy counts as reached within a thousandth. Seconds are per batch. The paper's solver takes its 200 steps; the fast
    solver takes, image by image, the number of sweeps that the image needs.
    """
    inputs = problems(count, height, width)
    batches = [take(inputs, slice(b, b + batch)) for b in range(0, count, batch)]
    results = {}
    for relaxation in RELAXATIONS:
        energy = Energy("CCE", relaxation, neighborhood=neighborhood or NearestNeighbors())
        constants = torch.cat([energy.subproblem(*part).constant() for part in batches])
        seconds, traces = {}, {}
        for optimizer in opponents:
            # one batch is enough for plain gradient descent
            trace, seconds[optimizer] = _opponent(energy, optimizer, batches if optimizer == "adam" else batches[:1])
            traces[optimizer] = trace - constants[: trace.shape[1]]
        trace, sweeps = _fast(energy, batches)
        trace = trace - constants
        complete = best_time(lambda energy=energy: solve(*batches[0], energy, "fast"), 2)
        row = {"sweeps": sweeps, "fast_seconds": complete}
        for optimizer in opponents:
            row |= _compare(optimizer, trace, traces[optimizer][-1], seconds[optimizer], energy, inputs, batch, sweeps)
        ends = traces["adam"][-1]
        ratio = trace[-1] / ends
        row |= {"energy_to_adam_median": float(ratio.median()), "energy_to_adam_worst": float(ratio.max())}
        curves = traces | {"fast": trace}
        row["curves"] = {name: (curve.mean(1) / ends.mean()).tolist() for name, curve in curves.items()}
        results[relaxation] = row
        _report(relaxation, row, show)
    return results


def sparse(height: int, width: int, show: Show) -> dict[str, Any]:
    """Race with Adam on the sparse non-local neighbourhood, and measure a sweep's cost as the number of edges grows.

    Parameters
    ----------
    height, width : int
        Size of the one image, in pixels.
    show : callable
        Prints a line.

    Returns
    -------
    dict
        "race", see `race`; "sweep", by number of far neighbours: edges, and seconds per sweep for Q and CD.
    """
    results: dict[str, Any] = {"race": race(1, 1, height, width, show, SparseNonLocal(), ("adam",)), "sweep": {}}
    inputs = problems(1, height, width)
    start = inputs[0].softmax(1)  # with given labels no sweeps on Q come first
    for far in (0, 1, 2, 4, 8):
        neighborhood = SparseNonLocal(far=far)
        edges = int((neighborhood.edges(inputs[1]).weights > 0).sum())
        row: dict[str, float] = {"edges": edges}
        for relaxation in ("Q", "CD"):
            energy = Energy("CCE", relaxation, neighborhood=neighborhood)

            def sweeps(steps: int, energy: Energy = energy) -> object:
                return solve(*inputs, energy, "fast", start=start, max_steps=steps, tolerance=0)

            row[relaxation] = (best_time(lambda run=sweeps: run(25)) - best_time(lambda run=sweeps: run(5))) / 20
        results["sweep"][far] = row
        show(f"{edges:9,} edges: a sweep {row['Q'] * 1e3:.0f} ms (Q), {row['CD'] * 1e3:.0f} ms (CD)")
    return results


def draw(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the mean energy against time, for all relaxations and solvers.

    Parameters
    ----------
    results : dict
        What `race` returned, with both opponents.
    path : Path
        The PNG file to write.
    """
    import matplotlib.pyplot as plt

    from toykit import plots
    from toykit._shared.palette import LINE_COLORS, LINE_STYLES

    plots.style()
    figure, axes = plt.subplots(2, 3, figsize=(10, 5.5), sharex=True, layout="constrained")
    for axis, (relaxation, row) in zip(axes.flat, results.items(), strict=True):
        for number, (name, label) in enumerate({"gd": "gradient descent", "adam": "Adam", "fast": "fast"}.items()):
            curve = row["curves"][name]
            whole = row["fast_seconds"] if name == "fast" else row[f"{name}_seconds"]
            steps = row["sweeps"] if name == "fast" else len(curve) - 1
            seconds = [whole * n / steps for n in range(1, len(curve))]
            axis.plot(seconds, curve[1:], color=LINE_COLORS[number], linestyle=LINE_STYLES[number], label=label)
        axis.axhline(1, color="0.7", linewidth=0.8)
        axis.set(title=relaxation, xscale="log", ylim=(0.5, 2.5))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.supxlabel("seconds for a batch (mean over sweeps)")
    figure.supylabel("energy / Adam's after 200 steps")
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=110))
    plt.close(figure)


def _opponent(energy: Energy, optimizer: str, batches: list[Inputs]) -> tuple[Tensor, float]:
    """Run the gradient solver; return its trace (T, B) of energies, and its seconds per batch."""
    traces, seconds = timed(
        lambda: [solve(*part, energy, "gradient", optimizer=optimizer).energies for part in batches]
    )
    return torch.cat(traces, 1), seconds / len(batches)


def _fast(energy: Energy, batches: list[Inputs]) -> tuple[Tensor, int]:
    """Run the fast solver; return its trace (T, B) of energies, and the largest number of sweeps."""
    solutions = [solve(*part, energy, "fast") for part in batches]
    return join_traces([solution.energies for solution in solutions]), max(solution.steps for solution in solutions)


def _compare(
    name: str, trace: Tensor, ends: Tensor, seconds: float, energy: Energy, inputs: Inputs, batch: int, most: int
) -> dict[str, Any]:
    """Compare the fast solver with an opponent that needs `seconds` per batch to end at the energies `ends`.

    An image that never reaches the opponent's energy is counted with all sweeps, `most`.
    """
    reached = trace[:, : len(ends)] <= ends * 1.001
    first = reached.float().argmax(0).clamp_min(1)
    sweeps = first.where(reached.any(0), most).tolist()

    def alone() -> None:
        for number, needed in enumerate(sweeps):
            one = take(inputs, slice(number, number + 1))
            solve(*one, energy, "fast", max_steps=needed, tolerance=0)

    spent = best_time(alone, 2) * batch / len(sweeps)
    return {
        f"{name}_seconds": seconds,
        f"sweeps_to_{name}": sorted(sweeps),
        f"missed_{name}": int((~reached.any(0)).sum()),
        f"seconds_to_{name}": spent,
        f"times_faster_{name}": seconds / spent,
    }


def _report(relaxation: str, row: dict[str, Any], show: Show) -> None:
    """Print the results of one relaxation."""
    low, high = row["sweeps_to_adam"][0], row["sweeps_to_adam"][-1]
    show(
        f"{relaxation:4} to Adam-200: {row['times_faster_adam']:4.0f} times faster ({row['seconds_to_adam']:.2f} s, "
        f"{low} to {high} sweeps, {row['missed_adam']} missed)"
        + (f"; to GD-200: {row['times_faster_gd']:4.0f} times" if "times_faster_gd" in row else "")
    )
    show(
        f"     to its own end {row['adam_seconds'] / row['fast_seconds']:.0f} times faster ({row['sweeps']} sweeps); "
        f"energy/Adam's: median {row['energy_to_adam_median']:.3f}, worst {row['energy_to_adam_worst']:.4f}"
    )

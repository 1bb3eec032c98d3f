"""What `toykit.bench.gpu` measures on a device. It needs torch, numpy and scipy only; photos are generated."""

import time
from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from toykit import Dense, Energy, NearestNeighbors, SelfLabelingLoss, models, random_walker, solve
from toykit.bench.gpu_inputs import Scale, generated
from toykit.bench.problems import Show, best_time
from toykit.bench.scaling import sweeps_in_copies
from toykit.conventions import UNLABELLED, seeded_classes
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS
from toykit.solvers.block_descent.kernels import kernel_of
from toykit.solvers.block_descent.listed import OMEGA, WARM_UP
from toykit.solvers.layouts.four_colour_grid import pack

#: Largest relative difference between the energies of the device's kernel and of the CPU's torch kernel, in single precision.
AGREEMENT = 1e-4
#: The fast solver's kernels by device. The CPU's numba kernel, which compiles for a minute, is measured by the other benchmark.
KERNELS = {"cuda": ("auto", "torch"), "cpu": ("torch",)}


def correctness(device: torch.device, scale: Scale, show: Show) -> dict[str, Any]:
    """Compare three sweeps of the device's kernel with the CPU's torch kernel, for all pairs of terms.

    Parameters
    ----------
    device : torch.device
    scale : Scale
        Its number of classes is used.
    show : callable
        Prints a line.

    Returns
    -------
    dict
        By "cross-entropy-relaxation": the largest relative difference of energies, that of labels, whether the energies agree
        (`AGREEMENT`), and the seconds, compilation included.
    """
    inputs = generated(2, 17, 22, scale.classes, torch.device("cpu"))
    results = {}
    for cross_entropy, relaxation in product(CROSS_ENTROPIES, RELAXATIONS):
        start, ends = time.perf_counter(), []
        for where in (device, torch.device("cpu")):
            sweep, energy_of = kernel_of(KERNELS[where.type][0], where)
            problem = Energy(cross_entropy, relaxation).subproblem(*(x.to(where) for x in inputs))
            x = pack(problem, problem.fix_seeds(problem.sigma))
            for _ in range(3):
                sweep(x, cross_entropy, relaxation, 0.3, OMEGA)
            ends.append((energy_of(x, cross_entropy, relaxation, 0.3).cpu(), x.unpack().cpu()))
        (energy, labels), (expected, cpu_labels) = ends
        row: dict[str, Any] = {
            "energy": float((energy / expected - 1).abs().max()),
            "labels": float((labels - cpu_labels).abs().max()),
            "seconds": time.perf_counter() - start,
        }
        row["agrees"] = row["energy"] < AGREEMENT
        results[f"{cross_entropy}-{relaxation}"] = row
    wrong = [name for name, row in results.items() if not row["agrees"]]
    show(f"three sweeps against the CPU: {len(results) - len(wrong)} of {len(results)} pairs agree; energies differ by up to "
         f"{max(row['energy'] for row in results.values()):.0e}"
         + (f"; WRONG: {', '.join(wrong)}" if wrong else ""))  # fmt: skip
    return results


def race(device: torch.device, scale: Scale, show: Show) -> dict[str, Any]:
    """Measure the fast solver's time to the energy of the paper's solver (Adam, 200 steps), for each relaxation with CCE.

    Parameters
    ----------
    device : torch.device
    scale : Scale
    show : callable
        Prints a line.

    Returns
    -------
    dict
        By relaxation: seconds of Adam and of the fast solver to Adam's mean energy within a thousandth, sweeps, ratio.

    Notes
    -----
    The fast solver is run again for the number of sweeps that its trace shows, but at least the number with which it begins
    with sweeps on Q.
    """
    inputs, kernel = generated(scale.images, scale.size, scale.size, scale.classes, device), KERNELS[device.type][0]
    results = {}
    for relaxation in RELAXATIONS:
        energy = Energy("CCE", relaxation)
        constant = energy.subproblem(*inputs).constant().mean()
        ends = []
        adam = best_time(
            lambda e=energy, out=ends: out.append(solve(*inputs, e, "gradient", on_failure="ignore").energies[-1]),
            1, device, warm=False,
        )  # fmt: skip
        trace = solve(*inputs, energy, "fast", kernel=kernel, on_failure="ignore").energies.mean(1) - constant
        reached = trace <= (ends[-1].mean() - constant) * 1.001
        steps = int(reached.float().argmax()) if bool(reached.any()) else len(trace) - 1
        sweeps = max(steps, 2 * WARM_UP)
        seconds = best_time(
            lambda e=energy, n=sweeps: solve(*inputs, e, kernel=kernel, max_steps=n, tolerance=0, on_failure="ignore"),
            scale.repeats, device,
        )  # fmt: skip
        results[relaxation] = {"adam_seconds": adam, "fast_seconds": seconds, "sweeps": sweeps, "ratio": adam / seconds,
                               "reached": bool(reached.any())}  # fmt: skip
        show(f"{relaxation:4} Adam-200 {adam:.2f} s; its energy in {seconds:.3f} s ({sweeps} sweeps), ratio "
             f"{adam / seconds:.0f}" + ("" if bool(reached.any()) else ", NOT REACHED"))  # fmt: skip
    return results


def copies(device: torch.device, scale: Scale, show: Show) -> dict[str, float]:
    """Measure one sweep of the device's kernels in copies of the logits; a copy reads and writes them once.

    Parameters
    ----------
    device : torch.device
    scale : Scale
    show : callable
        Prints a line.

    Returns
    -------
    dict
        Gigabytes per second of a copy; copies per sweep by relaxation and kernel.
    """
    inputs = generated(scale.images, scale.size, scale.size, scale.classes, device)
    sweeps = [kernel_of(kernel, device)[0] for kernel in KERNELS[device.type]]
    names = {sweep.__module__.rsplit(".", 1)[-1]: sweep for sweep in sweeps}  # which one "auto" is
    return sweeps_in_copies(inputs, names, show, 3 * scale.repeats)


def step(device: torch.device, scale: Scale, show: Show) -> dict[str, Any]:
    """Time training steps of DeepLabV3+ on the seeds only and with self-labelling, where the network library is installed.

    Parameters
    ----------
    device : torch.device
    scale : Scale
    show : callable
        Prints a line.

    Returns
    -------
    dict
        By network: seconds by kind of loss, and their ratios to the seeds only; a text where the library is missing.

    Notes
    -----
    "pixels" computes labels of all classes at full resolution; "cells" at a quarter of it, of the classes with seeds.
    """
    size, results = scale.step_size, {}
    simulated, image, seeds = generated(scale.images, size, size, scale.classes, device)
    present, kernel = seeded_classes(seeds, scale.classes), KERNELS[device.type][0]
    pixels = SelfLabelingLoss(Energy(), kernel=kernel)
    cells = SelfLabelingLoss(Energy(eta=1.0, lam=200.0, neighborhood=NearestNeighbors(20.0)), stride=4, kernel=kernel)
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "seeds only": lambda logits: nn.functional.cross_entropy(logits, seeds, ignore_index=UNLABELLED),
        "pixels": lambda logits: pixels(logits + simulated, image, seeds),
        "cells": lambda logits: cells(logits + simulated, image, seeds, present),
    }
    for name in ("deeplabv3plus_mobilenetv2", "deeplabv3plus_resnet101"):
        try:
            network = models.build(name, scale.classes, image_size=size, weights=None).to(device)
        except ImportError as missing:
            show(f"training step: not measured, needs segmentation-models-pytorch ({missing})")
            return {"skipped": str(missing)}
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)

        def train_step(loss: Callable[[Tensor], Tensor], network=network, optimizer=optimizer) -> None:
            optimizer.zero_grad()
            loss(network(image)).backward()
            optimizer.step()

        row = {
            key: best_time(lambda f=loss, go=train_step: go(f), scale.repeats, device) for key, loss in losses.items()
        }
        row |= {f"ratio {key}": row[key] / row["seeds only"] for key in ("pixels", "cells")}
        results[name] = row
        show(f"training step of {name}, {scale.images} x {size} x {size}: seeds only {row['seeds only'] * 1e3:.0f} ms, ratio "
             f"{row['ratio pixels']:.2f} (pixels), {row['ratio cells']:.2f} (cells)")  # fmt: skip
    return results


def dense(device: torch.device, scale: Scale, show: Show) -> dict[str, float]:
    """Time the dense filter: its grid and a product with labels.

    Parameters
    ----------
    device : torch.device
    scale : Scale
    show : callable
        Prints a line.

    Returns
    -------
    dict
        Seconds of "build" and "forward".
    """
    logits, image, _ = generated(1, scale.size, scale.size, scale.classes, device)
    y, edges = logits.softmax(1), Dense().edges(image)
    row = {"build": best_time(lambda: Dense().edges(image), scale.repeats, device),
           "forward": best_time(lambda: edges.filter(y), scale.repeats, device)}  # fmt: skip
    show(
        f"dense filter, {scale.size} x {scale.size}: grid {row['build'] * 1e3:.1f} ms, product {row['forward'] * 1e3:.1f} ms"
    )
    return row


def conjugate_gradients(device: torch.device, scale: Scale, show: Show) -> dict[str, float]:
    """Time conjugate gradients on the quadratic system, to the residual 1e-6.

    Parameters
    ----------
    device : torch.device
    scale : Scale
    show : callable
        Prints a line.

    Returns
    -------
    dict
        "seconds", "steps" and "residual".
    """
    inputs, ends = generated(1, scale.size, scale.size, scale.classes, device), []
    seconds = best_time(
        lambda: ends.append(random_walker(*inputs, backend="cg", tolerance=1e-6, on_failure="ignore")),
        scale.repeats,
        device,
    )
    residual = ends[-1].residual
    row = {"seconds": seconds, "steps": ends[-1].steps, "residual": float(residual.max())}
    show(f"conjugate gradients, {scale.size} x {scale.size}: {seconds:.3f} s, {row['steps']} steps, residual "
         f"{row['residual']:.0e}")  # fmt: skip
    return row

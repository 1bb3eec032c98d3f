"""Does memory stay flat over long runs? The slope of the resident set per solver call, training step, and image.

Each activity runs alone in a fresh process, which reads its resident set after every hundredth part of the work. A process's
slope is that of the least-squares line through the readings after the first quarter, in which caches fill. Readings of one
process depend on each other: a step of the allocator lasts to the end. So the 95% interval does not come from their scatter; it
is Student's over the slopes of several processes, which are independent.

    python -m toykit.bench --part memory
"""

from __future__ import annotations

import gc
import importlib.util
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toykit import ConvergenceWarning, Energy, datasets, models, solve
from toykit.bench.problems import Show, problems, take
from toykit.datasets import toy
from toykit.experiments.label_noise import interval

#: Processes per activity, readings per process, and the share of the readings that do not count.
PROCESSES, READINGS, WARM_UP = 3, 100, 0.25
#: Before each reading that a process prints.
MARK = "reading: "
#: Photos of the generated set behind the listed ones, and their side in pixels.
PHOTOS, SIDE = 24, 32
Tick = Callable[[], object]


def solver_calls(folder: Path, count: int, tick: Tick) -> None:
    """Take four steps of the default solver on sub-problems of 6 x 8 pixels and 21 classes, which do not converge by then."""
    inputs = problems(12, 6, 8)
    energy = Energy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for number in range(count):
            solve(*take(inputs, slice(number % 12, number % 12 + 1)), energy, max_steps=4)
            tick()


def training_steps(folder: Path, count: int, tick: Tick) -> None:
    """Train the smallest network's head with self-labelling on cells, in epochs of 24 steps, evaluated, with checkpoints."""
    from toykit.training import load_config, train

    toy.make(folder / "set", train=2 * PHOTOS, val=1, size=SIDE)
    overrides = [f"data.root={folder / 'set'}", "model.name=light_mobilenetv2", "model.freeze=body"]
    overrides += [f"data.crop={SIDE}", "data.scale=[1,1]", "energy.stride=4", "solver.options={max_steps: 4}"]
    overrides += ["schedule.batch=2", "schedule.pretrain_epochs=1", "run.pictures=0"]
    config = load_config("toy", [*overrides, f"schedule.epochs={-(-count // PHOTOS) - 1}"])
    train(config, folder / "run", callback=lambda *_: tick())


def evaluated_images(folder: Path, count: int, tick: Tick) -> None:
    """Evaluate a network on listed photos."""
    from lightning_fabric import Fabric

    from toykit.training.evaluation import evaluate

    listed = datasets.load("folder", "val", listed_photos(folder, count))
    network = models.build("light_mobilenetv2", len(listed.classes), image_size=SIDE, weights=None)
    evaluate(Fabric(accelerator="cpu", devices=1), network, _Ticking(listed, tick), len(listed.classes))


def listed_images(folder: Path, count: int, tick: Tick) -> None:
    """Load all photos of a list with their seeds and masks."""
    for sample in _Ticking(datasets.load("folder", "train", listed_photos(folder, count)), tick):
        sample.tensors()


#: Name of an activity -> what it does, and how often.
ACTIVITIES: dict[str, tuple[Callable[[Path, int, Tick], None], int]] = {
    "solver call": (solver_calls, 10_000),
    "training step": (training_steps, 2_000),
    "evaluated image": (evaluated_images, 1_449),
    "listed image": (listed_images, 10_582),
}


class _Ticking:
    """A sequence that ticks when an item is taken."""

    def __init__(self, items, tick: Tick):
        self.items, self.tick = items, tick

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int):
        item = self.items[index]
        self.tick()
        return item


def listed_photos(folder: Path, count: int) -> Path:
    """Make a custom folder (`toykit.datasets.custom_folder`) with `count` names for the photos of a small generated set."""
    toy.make(folder / "set", train=PHOTOS, val=1, size=SIDE)
    parts = {"images": "JPEGImages", "scribbles": "pascal_2012_scribble", "masks": "SegmentationClassAug"}
    names = sorted(path.stem for path in (folder / "set" / parts["scribbles"]).glob("*.png"))
    for part, source in parts.items():
        (folder / "listed" / part).mkdir(parents=True)
        suffix = ".jpg" if part == "images" else ".png"
        for number in range(count):
            original = folder / "set" / source / f"{names[number % len(names)]}{suffix}"
            (folder / "listed" / part / f"{number:05}{suffix}").hardlink_to(original)
    (folder / "listed" / "classes.txt").write_text("\n".join(toy.CLASSES))
    return folder / "listed"


def readings(
    activity: Callable[[Path, int, Tick], None],
    count: int,
    after: Callable[[int, int], object] = lambda done, size: None,
) -> list[tuple[int, int]]:
    """Run an activity in this process; return (units done, resident set in bytes) after every `READINGS`-th part.

    `after` gets each reading when it is taken. Cyclic garbage is collected before each: by itself Python lets it grow to a
    quarter of all objects, which are many.
    """
    import psutil  # a dependency of ipykernel

    process, done, taken = psutil.Process(), 0, []
    every = max(1, count // READINGS)

    def tick() -> None:
        nonlocal done
        done += 1
        if done % every == 0:
            gc.collect()
            if not taken:
                gc.freeze()  # what exists by now need not be searched again
            taken.append((done, process.memory_info().rss))
            after(*taken[-1])

    try:
        with tempfile.TemporaryDirectory() as folder:
            activity(Path(folder), count, tick)
    finally:
        gc.unfreeze()
    return taken


def slope(taken: Sequence[tuple[int, int]]) -> float:
    """Return the least-squares slope of the readings after the warm-up, in bytes per unit."""
    x, y = np.array(taken, float)[round(WARM_UP * len(taken)) :].T
    return float(np.polyfit(x - x.mean(), y - y.mean(), 1)[0])


def memory(show: Show, processes: int = PROCESSES, scale: float = 1.0) -> dict[str, Any]:
    """Measure all activities.

    Parameters
    ----------
    show : callable
        Prints a line.
    processes : int, default `PROCESSES`
        Per activity.
    scale : float, default 1.0
        Share of the work that is done.

    Returns
    -------
    dict
        Activity -> units per process, slope and half of its 95% interval in bytes per unit, the processes' slopes, and the
        resident sets at the end in MB.

    Raises
    ------
    ImportError
        psutil is missing.
    RuntimeError
        A process failed; with what it said.
    """
    if importlib.util.find_spec("psutil") is None:
        raise ImportError("memory needs psutil, which comes with the extra notebooks: pip install -e '.[notebooks]'")
    results: dict[str, Any] = {}
    show(f"{'':16} {'units':>7} {'bytes per unit, 95% interval':>30} {'MB over the run':>16} {'resident MB':>12}")
    for name, (_, whole) in ACTIVITIES.items():
        count = max(READINGS, round(whole * scale))
        runs = [
            _readings_of_a_process(name, count, f"{name}, process {n} of {processes}") for n in range(1, processes + 1)
        ]
        slopes, ends = [slope(taken) for taken in runs], [taken[-1][1] / 1e6 for taken in runs]
        mean, half = interval(slopes)
        results[name] = {"units": count, "slope": mean, "half": half, "slopes": slopes, "resident_mb": ends}
        spread = f"{mean:+.0f} ({mean - half:+.0f} to {mean + half:+.0f})"
        show(f"{name:16} {count:7} {spread:>30} {mean * count / 1e6:+16.2f} {np.mean(ends):12.0f}")
    return results


def _readings_of_a_process(name: str, count: int, title: str) -> list[tuple[int, int]]:
    """Return the `readings` of an activity in a process of its own; a bar shows how far it is."""
    from tqdm import tqdm

    command = [sys.executable, "-m", "toykit.bench.memory", name, str(count), str(torch.get_num_threads())]
    taken: list[tuple[int, int]] = []
    said: list[str] = []  # by the activity, or an error
    bar = tqdm(total=count, desc=title, unit=name.split()[1], disable=None, leave=False)
    # errors come through the same pipe: on a terminal, a bar of the activity's own would share this one's line
    with bar, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith(MARK):
                said.append(line)
                continue
            done, size = json.loads(line.removeprefix(MARK))
            bar.update(min(done, count) - bar.n)
            taken.append((done, size))
    if process.returncode:
        raise RuntimeError(f"{title}: the process ended with exit code {process.returncode}\n{''.join(said[-20:])}")
    return taken


def _print_readings(name: str, count: int, threads: int) -> None:
    """Print each reading of an activity as a line, at once."""
    torch.set_num_threads(threads)
    readings(ACTIVITIES[name][0], count, lambda *reading: print(MARK + json.dumps(reading), flush=True))


if __name__ == "__main__":
    _print_readings(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

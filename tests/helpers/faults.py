"""Faults: kill short runs at random moments, resume them, and compare their ends with that of an unbroken run.

    python tests/helpers/faults.py 25 train segment sweep notebooks

A run is a forked process, since a new one would import torch anew each time. It is killed by SIGKILL, with all its processes,
after a time drawn uniformly from that of an unbroken run. Then its folder must hold all results that were finished before,
unchanged. Then it is resumed, to be killed again, until it ends by itself. Its end must be that of the unbroken run.
"""

import csv
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

#: What a machine's speed changes.
OF_SPEED = ("images_per_second", "solver_share", "seconds_per_step", "seconds")


@dataclass(frozen=True)
class Case:
    """A command's work: `run(inputs, folder)`; `finished(folder)` and `end(folder)` return names with their content."""

    make: Callable
    run: Callable
    finished: Callable
    end: Callable


@dataclass
class Outcome:
    """The moments at which a case was killed, and what went wrong."""

    killed: int = 0
    ended: int = 0
    problems: list = field(default_factory=list)


def endure(case, times, folder, seed=0):
    """Kill the case's runs at that many random moments."""
    moments, outcome = random.Random(seed), Outcome()
    inputs = folder / "inputs"
    inputs.mkdir(parents=True)
    wait(fork(case.make, inputs), None)
    begin = time.monotonic()
    wait(fork(case.run, inputs, folder / "unbroken"), None)
    seconds = time.monotonic() - begin
    unbroken = case.end(folder / "unbroken")
    while outcome.killed < times:
        target = folder / f"run_{outcome.ended}"
        kept, number, ended = {}, outcome.killed, False
        while not ended:
            ended = wait(
                fork(case.run, inputs, target), moments.uniform(0, seconds) if outcome.killed < times else None
            )
            outcome.killed += not ended
            now = case.finished(target)
            outcome.problems += [f"lost after {outcome.killed} kills: {key}" for key in kept if now.get(key) != kept[key]]
            kept = now
        end = case.end(target)
        if end != unbroken:
            names = [key for key in sorted(unbroken | end) if end.get(key) != unbroken.get(key)]
            outcome.problems.append(f"another end after the kills {number + 1} to {outcome.killed}: {', '.join(names)}")
        outcome.ended += 1
        shutil.rmtree(target)
    return outcome


def fork(action, *arguments):
    """Run an action in a process group of its own; return its id."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    try:
        action(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait(pid, seconds):
    """Wait for a process's end and return True, or kill it with its group after that many seconds and return False."""
    until = float("inf") if seconds is None else time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"a run ended with status {status}")
            return True
        time.sleep(0.002)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def digest(content):
    """Return a digest of bytes, arrays, tensors and what JSON can hold, nested."""
    if isinstance(content, dict):
        return {str(key): digest(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [digest(value) for value in content]
    if hasattr(content, "numpy"):
        content = content.numpy()
    if isinstance(content, np.ndarray):
        content = content.tobytes()
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content


def lasting(row):
    """Return a row without what depends on the machine's speed."""
    return {key: value for key, value in row.items() if key not in OF_SPEED}


# -- toykit train, toykit sweep --------------------------------------------------------------------------------------------


def make_set(inputs):
    """Generate a toy set."""
    from toykit.datasets import toy

    toy.make(inputs / "set", train=4, val=1, size=32)


def overrides(inputs):
    """Return the settings of a short run: two epochs of two steps, a checkpoint after each step."""
    from training import SMALL_STUDY

    return [
        f"data.root={inputs / 'set'}", *SMALL_STUDY, "model.name=light_mobilenetv2", "data.limit=4", "data.val_limit=1",
        "run.checkpoint_steps=1", "run.pictures=1", "solver.method=gradient", "solver.options={steps: 3}",
    ]  # fmt: skip


def train(inputs, folder):
    """Train, or resume."""
    from toykit.training import load_config
    from toykit.training import train as run

    run(load_config("toy", overrides(inputs)), folder)


def epochs(folder):
    """Return the finished epochs, and that there is a checkpoint once there was one."""
    from toykit.training import checkpoint

    kept = {}
    if (folder / "metrics.json").exists():
        rows = json.loads((folder / "metrics.json").read_text())["history"]
        kept = {f"epoch {row['epoch']}": lasting(row) for row in rows}
    for name in (checkpoint.NAME, checkpoint.PREVIOUS):
        if (folder / name).exists():
            checkpoint._read(folder / name)  # raises if it is damaged
            kept["a checkpoint"] = True
    return kept


def trained(folder):
    """Return the weights, the optimiser's state, the history and the pictures."""
    import torch

    content = {}
    for name in ("checkpoint.pt", "best.pt", "last.pt"):
        state = torch.load(folder / name, weights_only=True)
        state.pop("config")
        if name == "checkpoint.pt":
            state["progress"]["history"] = [lasting(row) for row in state["progress"]["history"]]
            state["tally"] = None
        content[name] = digest(state)
    content |= {path.name: digest(path.read_bytes()) for path in sorted((folder / "pictures").iterdir())}
    return content | {"files": sorted(path.name for path in folder.iterdir())} | epochs(folder)


def sweep(inputs, folder):
    """Run a table of two rows, or take part in it."""
    from toykit.training.sweep import run_sweep

    table = inputs / "mine.yaml"
    table.write_text("variants: {seeds_only: {method: seeds_only}, descent: {method: gradient_descent}}")
    run_sweep(table, folder, overrides(inputs), lease=0.5)


def rows(folder):
    """Return the finished rows of the table, as the storage has them, and those of the file."""
    from toykit.training.sweep.launch import Sweep, load_table

    kept = {}
    if (folder / "mine.yaml").exists() and (folder / "sweep.journal").exists():
        table = load_table(folder / "mine.yaml")
        kept = {f"stored {row['variant']}": lasting(row) for row in Sweep(table, folder).rows()}
    if (folder / "table.csv").exists():
        with (folder / "table.csv").open() as file:
            kept |= {f"written {row['variant']}": lasting(row) for row in csv.DictReader(file)}
    return kept


def swept(folder):
    """Return the rows and the weights of their runs."""
    runs = {f"{name} of {run}": value for run in ("seeds_only_0", "descent_0") for name, value in trained(folder / run).items()}
    return rows(folder) | runs


# -- toykit segment PHOTOS SEEDS -------------------------------------------------------------------------------------------


def make_photos(inputs):
    """Write four small photos with seeds."""
    from PIL import Image

    from toykit.supervision import write_seeds

    for name in ("photos", "seeds"):
        (inputs / name).mkdir()
    pixels = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(pixels.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(inputs / "photos" / f"{number}.png")
        marks = np.full((24, 32), 255, np.uint8)
        marks[3, 2:9], marks[20, 9:22] = 0, 1
        write_seeds(inputs / "seeds" / f"{number}.png", marks)


def segment(inputs, folder):
    """Label the folder, or what is left of it."""
    from toykit import Energy
    from toykit.segment import segment_folder

    segment_folder(inputs / "photos", inputs / "seeds", folder, Energy("Q", "Q"), "closed_form", report=str)


def labelled(folder):
    """Return the labels, masks and pictures of the photos that have a record."""
    kept = {}
    for record in sorted((folder / "records").glob("*.json")):
        kept[record.name] = lasting(json.loads(record.read_text())["row"])
        with np.load(folder / f"{record.stem}_labels.npz") as arrays:
            kept[f"labels of {record.stem}"] = digest(dict(arrays))
        for kind in ("mask", "picture"):
            kept[f"{kind} of {record.stem}"] = digest((folder / f"{record.stem}_{kind}.png").read_bytes())
    return kept


def segmented(folder):
    """Return all results, the summary and the names of the files."""
    with (folder / "summary.csv").open() as file:
        summary = [lasting(row) for row in csv.DictReader(file)]
    return labelled(folder) | {"summary": summary, "files": sorted(path.name for path in folder.iterdir())}


# -- toykit run ------------------------------------------------------------------------------------------------------------


def make_notebooks(inputs):
    """Write two notebooks that compute and record a number."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    record = '"application/vnd.toykit.metrics+json"'
    for name in ("one", "two"):
        last = f"from IPython.display import display\ndisplay({{{record}: {{'sum': total}}}}, raw=True)"
        sources = ["total = 0", "for n in range(1000):\n    total += n", last]
        nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), inputs / f"{name}.ipynb")


def notebooks(inputs, folder):
    """Run the notebooks from the first one: this command repeats what it is given."""
    from toykit.course.runner import run

    paths = [inputs / f"{name}.ipynb" for name in ("one", "two")]
    assert {result.status for result in run(paths, [{}, {}], folder, progress=False)} == {"ok"}


def executed(folder):
    """Return the numbers of the notebooks that metrics.json lists; their notebook and page must be complete."""
    import nbformat

    if not (folder / "metrics.json").exists():
        return {}
    kept = {}
    for name, result in json.loads((folder / "metrics.json").read_text())["notebooks"].items():
        kept[f"numbers of {name}"] = lasting(result)
        if (folder / f"{name}.html").exists():
            kept[f"page of {name}"] = "</html>" in (folder / f"{name}.html").read_text()
        nbformat.read(folder / f"{name}.ipynb", 4)
    return kept


CASES = {
    "train": Case(make_set, train, epochs, trained),
    "sweep": Case(make_set, sweep, rows, swept),
    "segment": Case(make_photos, segment, labelled, segmented),
    "notebooks": Case(make_notebooks, notebooks, executed, executed),
}


def preload():
    """Import what the cases need, and run nothing that a fork must not share, such as threads."""
    import lightning_fabric
    import matplotlib
    import scipy.sparse.linalg
    import scipy.stats
    import segmentation_models_pytorch
    import torch.utils.tensorboard

    matplotlib.use("agg")
    import matplotlib.pyplot

    import toykit.segment
    import toykit.training

    assert all((lightning_fabric, scipy, segmentation_models_pytorch, torch, matplotlib.pyplot, toykit.training, toykit.segment))


def main(times, *names):
    """Run the cases and print a line for each; end with status 1 if anything was lost or differs."""
    preload()
    failed = False
    for name in names:
        with tempfile.TemporaryDirectory(prefix="toykit-faults-") as folder:
            outcome = endure(CASES[name], int(times), Path(folder))
        print(
            f"{name}: {outcome.killed} times killed, {outcome.ended} runs ended, {len(outcome.problems)} problems", flush=True
        )
        for problem in outcome.problems:
            print(f"  {problem}")
        failed = failed or bool(outcome.problems)
    sys.exit(failed)


if __name__ == "__main__":
    main(*sys.argv[1:])

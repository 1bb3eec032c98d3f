"""The commands that `faults.py` kills: their inputs, their work, and what they must neither lose nor change."""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

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
        f"data.root={inputs / 'set'}", *SMALL_STUDY, "data.limit=4", "data.val_limit=1",
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
    runs = {
        f"{name} of {run}": value
        for run in ("seeds_only_0", "descent_0")
        for name, value in trained(folder / run).items()
    }
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
    from toykit._shared.photo_jobs import JobOptions
    from toykit.segment import Labelling, segment_folder

    work = Labelling(folder, Energy("Q", "Q"), "closed_form")
    segment_folder(inputs / "photos", inputs / "seeds", work, jobs=JobOptions(report=str))


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
    """Return the numbers of the notebooks that metrics.json lists; their notebooks must be complete."""
    import nbformat

    if not (folder / "metrics.json").exists():
        return {}
    kept = {}
    for name, result in json.loads((folder / "metrics.json").read_text())["notebooks"].items():
        kept[f"numbers of {name}"] = lasting(result)
        nbformat.read(folder / f"{name}.ipynb", 4)
    return kept


CASES = {
    "train": Case(make_set, train, epochs, trained),
    "sweep": Case(make_set, sweep, rows, swept),
    "segment": Case(make_photos, segment, labelled, segmented),
    "notebooks": Case(make_notebooks, notebooks, executed, executed),
}

"""What ends a run: damaged checkpoints, a full disk, SIGTERM, a dead loading process, numbers that are not finite."""

import errno
import io
import multiprocessing
import os
import resource
import shutil
import signal
import struct
import subprocess
import zipfile

import pytest
import torch
from click.testing import CliRunner
from helpers.training import SMALL_STUDY, assert_same_weights, make_toy_set, weights_of

from toykit._shared.files import write_text
from toykit.cli import main
from toykit.training import StoppedError, batches, checkpoint, load_config, loop, train
from toykit.training.batches import CropLoader, Crops
from toykit.training.checkpoint import CheckpointWarning
from toykit.training.objective import Objective
from toykit.training.sets import load_sets

#: Four steps, two per phase, each with a checkpoint; a small network from nothing.
TINY = [*SMALL_STUDY, "data.limit=4", "data.val_limit=1", "run.checkpoint_steps=1",
        "solver.method=gradient", "solver.options={steps: 2}"]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_toy_set(tmp_path_factory, train=6, val=1)


@pytest.fixture(scope="module")
def config(root):
    return load_config("toy", [f"data.root={root}", *TINY])


@pytest.fixture(scope="module")
def unbroken(config, tmp_path_factory):
    """The weights at the end of a run that nothing broke."""
    folder = tmp_path_factory.mktemp("unbroken")
    train(config, folder)
    return weights_of(folder)


@pytest.fixture(scope="module")
def half(config, tmp_path_factory):
    """The folder of a run that was stopped after two of its four steps, with a checkpoint after each."""
    folder = tmp_path_factory.mktemp("half")
    with pytest.raises(StoppedError, match="stopped after step 2 and saved; rerun the command to resume"):
        train(config, folder, should_stop=stop_after(2))
    return folder


@pytest.fixture
def run_dir(half, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(half, tmp_path / "run")


def stop_after(steps):
    """A request to stop that comes after a number of steps."""
    counted = iter([False] * (steps - 1))
    return lambda: next(counted, True)


def flip_a_bit(path):
    """Change the largest part of the file, which torch itself would load."""
    with zipfile.ZipFile(path) as parts:
        largest = max(parts.infolist(), key=lambda part: part.file_size)
    content, begin = bytearray(path.read_bytes()), largest.header_offset
    begin += 30 + sum(struct.unpack("<HH", content[begin + 26 : begin + 30]))
    content[begin + largest.file_size // 2] ^= 1
    torch.load(io.BytesIO(content), weights_only=True)
    path.write_bytes(content)


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "one bit": flip_a_bit,
    "another file": lambda path: torch.save({"network": {}}, path),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(damage, run_dir):
    DAMAGES[damage](run_dir / checkpoint.NAME)
    with pytest.warns(
        CheckpointWarning, match=r"checkpoint\.pt: cannot be read.*resumes from .* before it, .* 1 steps"
    ):
        path, state = checkpoint._read_last(run_dir)
    assert (path.name, state["progress"]["step"]) == (checkpoint.PREVIOUS, 1)
    DAMAGES[damage](run_dir / checkpoint.PREVIOUS)
    with pytest.raises(ValueError, match=r"checkpoint\.pt: .*; .*checkpoint_previous\.pt: .*start over \(--fresh"):
        checkpoint._read_last(run_dir)


def test_after_a_damaged_checkpoint_the_run_ends_the_same_with_two_good_ones(config, unbroken, run_dir):
    flip_a_bit(run_dir / checkpoint.NAME)
    damaged = (run_dir / checkpoint.NAME).read_bytes()
    with pytest.warns(CheckpointWarning):
        train(config, run_dir)
    assert_same_weights(weights_of(run_dir), unbroken)
    for name in (checkpoint.NAME, checkpoint.PREVIOUS):
        checkpoint._read(run_dir / name)
    assert (run_dir / "checkpoint.pt.damaged").read_bytes() == damaged


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "no"),
        OSError(errno.EIO, "disk"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_machine_cannot_read_is_not_taken_for_damage(error, config, run_dir, monkeypatch):
    def fail(*given, **options):
        raise error

    before = {path.name: path.read_bytes() for path in run_dir.iterdir() if path.is_file()}
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(type(error)):
        train(config, run_dir)
    with pytest.raises(type(error)):
        checkpoint.adopt(run_dir / checkpoint.NAME, run_dir / "new", config.to_dict())
    assert {path.name: path.read_bytes() for path in run_dir.iterdir() if path.is_file()} == before


def test_a_run_killed_between_two_renames_resumes_from_the_one_before(config, unbroken, run_dir):
    os.replace(run_dir / checkpoint.NAME, run_dir / checkpoint.PREVIOUS)
    train(config, run_dir)
    assert_same_weights(weights_of(run_dir), unbroken)


def test_a_damaged_phase_one_is_trained_anew(config, tmp_path):
    (tmp_path / "common.pt").write_bytes(b"half")
    with pytest.warns(CheckpointWarning, match=r"common\.pt: cannot be read .*; phase one is trained anew"):
        assert not checkpoint.adopt(tmp_path / "common.pt", tmp_path / "run", config.to_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["common.pt.damaged"]


def test_a_full_disk_leaves_the_checkpoint_as_it_was(root, tmp_path):
    config = load_config("toy", [f"data.root={root}", *TINY, "data.limit=6", "schedule.epochs=0"])
    with pytest.raises(StoppedError):
        train(config, tmp_path, should_stop=stop_after(1))
    before = {p.name: p.read_bytes() for p in tmp_path.glob("checkpoint*")}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(step, loss):  # no file may grow beyond 100 kB, in the place of a disk without room
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))

    try:
        with pytest.raises(
            OSError, match=r"checkpoint\.pt: no room to write it .*the file is as it was before; free space"
        ):
            train(config, tmp_path, callback=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {p.name: p.read_bytes() for p in tmp_path.glob("checkpoint*")} == before
    assert not list(tmp_path.glob(".*"))
    assert train(config, tmp_path).finished


def test_a_full_disk_without_an_older_file(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        with pytest.raises(OSError, match=r"a\.txt: no room to write it .*no file is left"):
            write_text(tmp_path / "a.txt", "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_stopped_after_an_epochs_last_step_it_resumes_with_the_epochs_end(config, unbroken, run_dir):
    result = train(config, run_dir)  # two steps per epoch
    assert [row["step"] for row in result.history] == [2, 4]
    assert_same_weights(weights_of(run_dir), unbroken)


@pytest.mark.parametrize("workers", [0, 1])
def test_sigterm_saves_and_ends_with_143_and_the_resumed_run_is_the_unbroken_one(
    workers, root, config, unbroken, tmp_path, monkeypatch
):
    step, before = loop.train_step, signal.getsignal(signal.SIGTERM)
    others = multiprocessing.active_children()  # of earlier tests

    def terminated(run, batch):
        if run.step == 1:
            loading = [process for process in multiprocessing.active_children() if process not in others]
            assert len(loading) == workers
            group = [str(pid) for pid in (*(process.pid for process in loading), os.getpid())]
            subprocess.run(["sh", "-c", f"kill -TERM {' '.join(group)}"], check=True)  # as a scheduler does
            for process in loading:
                process.join(0.2)
                assert process.is_alive()
        return step(run, batch)

    monkeypatch.setattr(loop, "train_step", terminated)
    # without checkpoints of its own, so that only the signal saves
    given = [f"data.root={root}", *TINY, "run.checkpoint_steps=0", f"data.workers={workers}"]
    done = CliRunner().invoke(main, ["train", "toy", *given, "-o", str(tmp_path)])
    assert done.exit_code == 143, done.output
    assert "stopped after step 2 and saved; rerun the command to resume" in done.output
    assert signal.getsignal(signal.SIGTERM) is before
    train(config, tmp_path)
    assert_same_weights(weights_of(tmp_path), unbroken)


def test_sigterm_while_a_loading_process_starts_does_not_kill_it_and_the_run_can_end_it(root, monkeypatch):
    """Torch's own handler would, until the process ignores the signal; then the run would end without saving."""
    ignore = batches.ignore_termination

    def late(worker):
        os.kill(os.getpid(), signal.SIGTERM)
        ignore(worker)

    monkeypatch.setattr(batches, "ignore_termination", late)
    before, others = signal.pthread_sigmask(signal.SIG_BLOCK, ()), multiprocessing.active_children()
    config = load_config("toy", [f"data.root={root}", *TINY, "data.workers=1"])
    loader = CropLoader(Crops(load_sets(config)[0], config.data, seed=0))
    crops = loader.load([[(0, 0)], [(0, 1)]])
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    next(crops)
    (process,) = set(multiprocessing.active_children()) - set(others)
    next(crops)
    process.terminate()
    process.join(60)
    assert process.exitcode == 0  # no error, which torch would report


class Mortal(Crops):
    """Crops whose loading process dies at the second photo."""

    def __getitem__(self, address):
        if torch.utils.data.get_worker_info() is not None and address[1] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(address)


def test_a_dead_loading_process_is_reported_with_the_remedy(root, tmp_path, monkeypatch):
    from toykit.training import setup

    monkeypatch.setattr(setup, "Crops", Mortal)
    config = load_config("toy", [f"data.root={root}", *TINY, "data.workers=1"])
    with pytest.raises(
        RuntimeError, match=r"a process that loads photos died .*fewer data\.workers \(0: none\), then rerun"
    ):
        train(config, tmp_path)


def poison(monkeypatch, term):
    """Let a term become infinite in step 3, the first of phase two."""
    if term == "a gradient":
        step = loop.train_step

        def bad(run, batch):
            if run.step == 2:
                next(p for p in run.module.parameters() if p.requires_grad).register_hook(lambda g: g * float("nan"))
            return step(run, batch)

        monkeypatch.setattr(loop, "train_step", bad)
    elif term == "the network's logits":
        step = loop.train_step

        def bad(run, batch):
            with torch.no_grad():
                if run.step == 2:
                    next(p for p in reversed(list(run.module.parameters()))).fill_(float("inf"))
            return step(run, batch)

        monkeypatch.setattr(loop, "train_step", bad)
    else:
        call = Objective.__call__

        def bad(self, logits, *args, **kwargs):
            outcome = call(self, logits, *args, **kwargs)
            labels = outcome.labels * float("nan") if term == "the pseudo-labels" else outcome.labels
            return outcome._replace(loss=outcome.loss * float("inf"), labels=labels)

        monkeypatch.setattr(Objective, "__call__", bad)
        if term == "the NLL on the seeds":
            monkeypatch.setattr(Objective, "on_seeds", lambda self, *_: torch.tensor(float("inf")))
        elif term == "the Potts term":
            from toykit.energy import Subproblem

            monkeypatch.setattr(Subproblem, "pairwise", lambda self, y: torch.full((2,), float("inf")))


TERMS = (
    "the network's logits", "the pseudo-labels", "the NLL on the seeds", "the Potts term", "the cross-entropy", "a gradient",
)  # fmt: skip


@pytest.mark.parametrize("term", TERMS)
def test_numbers_that_are_not_finite_stop_the_run_and_keep_the_batch(term, config, run_dir, monkeypatch):
    before = weights_of(run_dir)
    poison(monkeypatch, term)
    with pytest.raises(
        ValueError, match=rf"step 3: {term} became NaN or infinite with the photos train_\d+, train_\d+: .*lr"
    ):
        train(config, run_dir)
    kept = torch.load(run_dir / "failed_batch.pt", weights_only=True)
    assert (kept["step"], kept["term"], len(kept["photos"])) == (3, term, 2)
    assert kept["image"].shape == (2, 3, 32, 32)
    assert kept["seeds"].shape == kept["mask"].shape == (2, 32, 32)
    assert kept["present"].shape == (2, 6)
    assert_same_weights(weights_of(run_dir), before)
    if term != "the network's logits":
        trained = [key for key in before if not key.endswith(("running_mean", "running_var", "num_batches_tracked"))]
        assert all(torch.equal(kept["network"][key], before[key]) for key in trained)

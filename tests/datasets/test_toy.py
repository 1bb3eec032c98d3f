"""The generated set: deterministic, balanced, in VOC's layout, mostly separable by colour; its cache; its command."""

import multiprocessing

import numpy as np
import pytest
from click.testing import CliRunner

from toykit.cli import main
from toykit.datasets import check, checks, load, toy
from toykit.supervision import Supervision, simulate


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy") / "set"
    toy.make(root, train=20, val=5, size=64)
    return root


def test_the_layout_is_vocs(root, monkeypatch):
    monkeypatch.setitem(checks.COUNTS, "toy", {"train": 20, "val": 5})
    assert check("toy", root) == []
    train, val = load("toy", "train", root), load("toy", "val", root)
    assert (len(train), len(val), train.classes) == (20, 5, toy.CLASSES)
    for sample in train:
        assert sample.image.shape == (64, 64, 3)
        drawn = sample.seeds != 255
        assert np.array_equal(sample.seeds[drawn], sample.mask[drawn])
        assert 0.01 < drawn.mean() < 0.06
        simulated = simulate(sample.mask, toy.CLASSES, sample.name, 0)
        assert np.array_equal(simulated.draw(), sample.seeds)
    clicks = load("toy", "train", root, Supervision(ratio=0))[0].seeds  # from the JSON strokes
    assert np.array_equal(clicks[clicks != 255], train[0].seeds[clicks != 255])
    assert 0 < (clicks != 255).sum() < (train[0].seeds != 255).sum()
    pixels = np.bincount(np.concatenate([s.mask.ravel() for s in train]), minlength=6) / (20 * 64 * 64)
    assert pixels[0] > 0.4
    assert (pixels[1:] > 0.02).all()


def test_it_depends_on_its_arguments(root, tmp_path):
    toy.make(tmp_path / "again", 2, 1, 64)
    for path in sorted((tmp_path / "again").rglob("*.*g")):
        assert path.read_bytes() == (root / path.relative_to(tmp_path / "again")).read_bytes()
    toy.make(tmp_path / "other", 2, 1, 64, seed=1)
    first = [load("toy", "train", r, Supervision("full"))[0].mask for r in (root, tmp_path / "other")]
    assert not np.array_equal(*first)
    with pytest.raises(ValueError, match="is not empty"):
        toy.make(root)
    for bad in ((0, 1, 64), (1, 0, 64), (1, 1, 31)):
        with pytest.raises(ValueError, match=r"(train|val|size): expected a whole number, at least (1|32); got"):
            toy.make(tmp_path / "bad", *bad)


def test_colour_separates_most_pixels(root):
    """The nearest typical colour is right well above chance (one class in five) and well below always."""
    samples = list(load("toy", "train", root, Supervision("full")))
    colours = np.concatenate([s.image.reshape(-1, 3) for s in samples]).astype(float)
    labels = np.concatenate([s.mask.ravel() for s in samples])
    shapes = labels > 0
    nearest = ((colours[shapes, None] - np.array(toy.COLORS[1:])) ** 2).sum(-1).argmin(1) + 1
    assert 0.7 < (nearest == labels[shapes]).mean() < 0.95


def _cached(queue):
    toy.make, make = (lambda root: make(root, 2, 1, 32)), toy.make
    queue.put(str(toy.cached()))


def test_the_cache_is_made_once_by_several_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_cached, args=(queue,)) for _ in range(3)]
    for process in processes:
        process.start()
    folders = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
        assert process.exitcode == 0
    cache = tmp_path / "toykit" / f"toy-{toy.VERSION}"
    assert folders == {str(cache)}
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]
    assert len(load("toy", "train")) == 2  # by default the cache is read


def test_a_failure_leaves_no_half_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(root):
        (root / "half").touch()
        raise OSError("disk full")

    monkeypatch.setattr(toy, "make", fail)
    with pytest.raises(OSError, match="disk full"):
        toy.cached()
    assert list((tmp_path / "toykit").iterdir()) == []


def test_the_command_makes_it(tmp_path):
    arguments = [
        "data",
        "make",
        "toy",
        str(tmp_path / "t"),
        *["--train", "2", "--val", "1", "--size", "32", "--seed", "3"],
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert len(load("toy", "train", tmp_path / "t")) == 2
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1
    assert "is not empty" in again.output

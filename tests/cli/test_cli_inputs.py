"""Inputs that look as if something else was meant: the commands warn beside the labels, or refuse and name the cause."""

import os

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.notebooks import make_notebook
from PIL import Image

import toykit.segment
from toykit import plots
from toykit._shared.files import check_writable
from toykit.cli import main
from toykit.supervision import Scribbles, SeedWarning, Stroke, write_scribbles, write_seeds

WIDTH, HEIGHT = 24, 18


@pytest.fixture
def segment(tmp_path, monkeypatch):
    """Return a function that labels a small photo by a map of seeds or a file, without drawing a picture."""
    ramp = np.linspace(0, 255, WIDTH).astype(np.uint8)
    Image.fromarray(np.broadcast_to(ramp[None, :, None], (HEIGHT, WIDTH, 3)).copy()).save(tmp_path / "photo.png")
    monkeypatch.setattr(toykit.segment.labelling, "write_picture", lambda path, *rest: path.write_bytes(b""))

    def run(seeds, *options):
        if isinstance(seeds, np.ndarray):
            write_seeds(tmp_path / "seeds.png", seeds)
            seeds = tmp_path / "seeds.png"
        arguments = [
            "segment",
            tmp_path / "photo.png",
            seeds,
            "-o",
            tmp_path / "out",
            "--solver",
            "closed-form",
            *options,
        ]
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


def strips(*values, size=(WIDTH, HEIGHT), background=255):
    """Columns of seeds, evenly spread."""
    seeds = np.full(size[::-1], background, np.uint8)
    for k, value in enumerate(values):
        column = (k + 1) * size[0] // (len(values) + 1)
        seeds[2:-2, column - 1 : column + 1] = value
    return seeds


def listed(result):
    return [line.split(":")[0] for line in result.stdout.splitlines() if "of the pixels" in line]


def test_only_the_classes_that_occur_are_listed(segment, tmp_path):
    result = segment(strips(7, 253))
    assert result.exit_code == 0, result.output
    assert listed(result) == ["class 7", "class 253"]
    assert "Warning" not in result.output
    with np.load(tmp_path / "out" / "photo_labels.npz") as archive:  # a class keeps its number in the files
        assert archive["labels"].shape == (254, HEIGHT, WIDTH)
        assert np.flatnonzero(archive["labels"].any((1, 2))).tolist() == [7, 253]
    with Image.open(tmp_path / "out" / "photo_mask.png") as mask:
        assert np.unique(np.array(mask)).tolist() == [7, 253]


def test_the_pictures_legend_holds_the_classes_that_occur(segment, tmp_path, monkeypatch):
    drawn = {}
    panels = plots.panels
    monkeypatch.undo()
    monkeypatch.setattr(plots, "panels", lambda *a, **more: drawn.update(figure=panels(*a, **more)) or drawn["figure"])
    assert segment(strips(7, 253)).exit_code == 0
    figure = drawn["figure"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["class 7", "class 253"]
    assert not any(axis.get_window_extent().overlaps(legend.get_window_extent()) for axis in figure.axes)


def test_unlabelled_can_be_another_value(segment):
    loud = segment(strips(1, 2, background=0))
    assert loud.exit_code == 0
    assert "Warning: " in loud.stderr
    assert "seeds.png: no pixel is unlabelled (255)" in loud.stderr
    assert "Is 0 your unlabelled? Then pass --unlabelled 0" in loud.stderr
    right = segment(strips(1, 2, background=0), "--unlabelled", "0")
    assert right.exit_code == 0
    assert "Warning" not in right.output
    assert listed(right) == ["class 1", "class 2"]
    assert segment(strips(1, 2), "--unlabelled", "254").exit_code == 1


def test_one_class_strokes_outside_and_another_size(segment, tmp_path):
    result = segment(strips(0))
    assert result.exit_code == 0
    assert "Warning: " in result.stderr
    assert "only one class has seeds, class 0" in result.stderr
    strokes = (Stroke("floor", 3, ((4, 4), (4, 12))), Stroke("cat", 3, ((500, 500),)))
    write_scribbles(tmp_path / "s.json", Scribbles("x", (WIDTH, HEIGHT), ("floor", "cat"), strokes))
    result = segment(tmp_path / "s.json")
    assert "stroke 1 (cat; x 500..500, y 500..500) lies outside of the photo" in result.stderr
    assert "only one class has seeds, floor" in result.stderr
    assert listed(result) == ["floor"]
    result = segment(strips(0, 1, size=(2 * WIDTH, 2 * HEIGHT)))
    assert "the map of 48 x 36 pixels was scaled to the photo's 24 x 18" in result.stderr
    assert listed(result) == ["class 0", "class 1"]
    result = segment(strips(0, 1, size=(HEIGHT, WIDTH)))
    assert result.exit_code == 1
    assert "the seeds are 18 x 24 pixels, the photo 24 x 18" in result.output


def test_logits_that_are_probabilities_or_not_finite_are_named(tmp_path):
    path, size = tmp_path / "net.npy", (5, 4)
    logits = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)

    def read(array):
        np.save(path, array)
        return toykit.segment.read_logits(path, 3, size)

    assert np.array_equal(read(logits)[0], logits)
    read(np.zeros_like(logits))  # uniform
    read(np.broadcast_to(np.float32([[[3]], [[1]], [[0]]]), logits.shape))  # a prior, the same at all pixels
    shares = np.exp(logits) / np.exp(logits).sum(0)
    for wrong in (shares, shares.astype(np.float16), 100 * shares, (255 * shares).round()):
        with pytest.raises(ValueError, match=r"net\.npy: these look like probabilities .*np\.log"):
            read(wrong)
    assert np.allclose(read(np.log(shares))[0], np.log(shares))
    for weight in (6, 10, 100, 255):  # sure, but logits
        one_hot = (logits == logits.max(0)).astype(np.float32)
        read(weight * one_hot)
        np.save(path, weight * np.stack([one_hot[0], 1 - one_hot[0]]))
        toykit.segment.read_logits(path, 2, size)
    read(logits + 100)
    for wrong in (-np.log(shares), -np.log(shares.clip(1e-4)).astype(np.float16)):
        with pytest.raises(ValueError, match=r"net\.npy: these look like costs, -log p .*change their sign"):
            read(wrong)
    with pytest.raises(ValueError, match=r"net\.npy: expected floating logits .* with K from 3 to 254, got"):
        read(np.zeros((255, 4, 5), np.float32))
    for content, message in ((b"0.1 0.2", "it begins with b'0.1 0."), (b"PK\3\4", "it is an archive, such as NPZ")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"net\.npy: cannot be read as an NPY file \({message}.*numpy\.save"):
            toykit.segment.read_logits(path, 3, size)
    with pytest.warns(SeedWarning, match=r"net\.npy: all values lie in 0\.\.1"):
        read(1 / (1 + np.exp(-logits)))
    logits[1, 2, 3] = np.nan
    with pytest.raises(
        ValueError, match=r"net\.npy: 1 of 60 logits are NaN or infinite, the first at \(1, 2, 3\) \(nan\)"
    ):
        read(logits)


def test_results_that_cannot_be_written_are_said_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    notebook = make_notebook(tmp_path / "n.ipynb", "steps = 1")
    result = CliRunner().invoke(main, ["run", str(notebook), "-o", str(tmp_path / "file" / "out")])
    assert result.exit_code == 2
    assert f"{tmp_path / 'file' / 'out'}: not writable, because {tmp_path / 'file'} is not" in result.output
    check_writable(tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists()
    with pytest.raises(NotADirectoryError):
        check_writable(tmp_path / "file")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom the file's rights concern")
def test_a_read_only_folder_is_not_writable(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError, match="not writable"):
        check_writable(tmp_path)
    tmp_path.chmod(0o755)

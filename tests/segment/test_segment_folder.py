"""Folders of photos: which seeds belong to which photo, and what the command writes, skips, refuses and reports."""

import csv
import sys
import unicodedata

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from toykit import Energy, SparseNonLocal
from toykit.cli import main
from toykit.segment import Labelling, find_pairs, segment_folder
from toykit.segment import folder as labelling
from toykit.supervision import Scribbles, Stroke, read_indexed_png, write_scribbles, write_seeds


def call(*arguments, code=0):
    outcome = CliRunner().invoke(main, ["segment", *map(str, arguments)])
    assert outcome.exit_code == code, outcome.output
    return outcome.output


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def names_of(pairs):
    found = {photo.name: marks.name for photo, marks in pairs.found.items()}
    return found, *([path.name for path in paths] for paths in (pairs.without_seeds, pairs.without_photo))


def test_pairs_by_name(tmp_path):
    photos = touch(tmp_path / "photos", "a.jpg", "b.PNG", "c.tif", "d.jpeg", "e.jpg", "notes.txt", ".a.png")
    seeds = touch(
        tmp_path / "seeds", "a.png", "b.json", "c_scribbles.PNG", "d_scribbles.json", "f.png", "a.txt", ".e.png"
    )
    assert names_of(find_pairs(photos, seeds)) == (
        {"a.jpg": "a.png", "b.PNG": "b.json", "c.tif": "c_scribbles.PNG", "d.jpeg": "d_scribbles.json"},
        ["e.jpg"],
        ["f.png"],
    )


def test_one_folder_for_both(tmp_path):
    names = ("a.png", "a_scribbles.png", "b.jpg", "b.json", "c.png", "other_scribbles.png", "d.json")
    folder = touch(tmp_path / "both", *names)
    found, without_seeds, without_photo = names_of(find_pairs(folder, folder))
    assert found == {"a.png": "a_scribbles.png", "b.jpg": "b.json"}
    assert without_seeds == ["c.png", "other_scribbles.png"]
    assert without_photo == ["d.json"]


def test_accents_composed_and_decomposed_are_one_name(tmp_path):
    photos = touch(tmp_path / "photos", unicodedata.normalize("NFD", "é.jpg"))
    seeds = touch(tmp_path / "seeds", unicodedata.normalize("NFC", "é.png"))
    assert len(find_pairs(photos, seeds).found) == 1


@pytest.mark.parametrize(
    ("photos", "seeds", "message"),
    [
        (("a.jpg", "a.png"), ("a.json",), r"photos with one name would collide; .* a: .*a\.jpg, .*a\.png"),
        (("a.jpg", "A.png"), ("a.json",), r"photos with one name would collide; .*A\.png, .*a\.jpg"),
        (("a.jpg",), ("a.png", "a.json"), r"more than one file of seeds for a photo; .* a: .*a\.json, .*a\.png"),
        (("a.jpg",), ("a.png", "a_scribbles.png"), "more than one file of seeds"),
        (("a.jpg", "a_scribbles.jpg"), ("a_scribbles.png",), r"photos share their seeds; .*a\.jpg, .*a_scribbles\.jpg"),
    ],
)
def test_ambiguous_names_are_refused(tmp_path, photos, seeds, message):
    with pytest.raises(ValueError, match=message):
        find_pairs(touch(tmp_path / "photos", *photos), touch(tmp_path / "seeds", *seeds))


def test_no_pair_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match="no seeds for any of the 1 photos"):
        find_pairs(touch(tmp_path / "photos", "a.jpg"), touch(tmp_path / "seeds", "b.png"))
    (tmp_path / "set" / "images").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"set: no photos directly in it"):
        find_pairs(tmp_path / "set", tmp_path / "seeds")


@pytest.fixture
def folders(tmp_path):
    """Three photos with seeds, one of them broken, one photo without seeds, and seeds without a photo."""
    photos, seeds = tmp_path / "photos", tmp_path / "seeds"
    photos.mkdir()
    seeds.mkdir()
    random = np.random.default_rng(0)
    for number, name in enumerate(("a", "b", "lonely")):
        pixels = random.integers(0, 256, (12, 16 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{name}.png")
        marks = np.full(pixels.shape[:2], 255, np.uint8)
        marks[3, 2:5], marks[9, 9:12], marks[-1] = 0, 1, 254
        write_seeds(seeds / f"{name}.png", marks)
    (seeds / "lonely.png").rename(seeds / "nobody.png")
    (photos / "c.png").write_bytes(b"no picture")
    write_seeds(seeds / "c.png", np.zeros((12, 16), np.uint8))
    return photos, seeds, tmp_path / "out"


def summary(output):
    with (output / "summary.csv").open(newline="") as file:
        return {row["photo"]: row for row in csv.DictReader(file)}


def test_a_folder_with_a_bad_photo_then_mended(folders):
    photos, seeds, output = folders
    run = (photos, seeds, "-o", output, "--solver", "closed-form")
    text = call(*run, code=1)
    assert "no seeds for 1 file, left out: lonely.png" in text
    assert "no photo for 1 file, left out: nobody.png" in text
    assert f"c: {photos / 'c.png'}: cannot be read as a picture" in text
    assert "2 of 3 photos labelled, 1 failed" in text
    rows = summary(output)
    assert list(rows) == ["a", "b", "c"]
    assert rows["c"]["error"].startswith(str(photos / "c.png"))
    for name in ("a", "b"):
        mask = read_indexed_png(output / f"{name}_mask.png")
        row = rows[name]
        assert (row["width"], row["height"]) == tuple(map(str, mask.shape[::-1]))
        assert (row["error"], row["converged"], row["seeds"]) == ("", "True", f"{name}.png")
        assert "residual" in row["message"]
        for k in (0, 1):
            assert float(row[f"share of class {k}"]) == pytest.approx((mask[:-1] == k).mean(), abs=1e-6)
    one = photos.parent / "one"
    call(photos / "a.png", seeds / "a.png", "-o", one, "--solver", "closed-form")
    for kind in ("mask.png", "labels.npz", "picture.png"):
        assert (one / f"a_{kind}").read_bytes() == (output / f"a_{kind}").read_bytes() or kind == "labels.npz"

    before = {path.name: path.stat().st_mtime_ns for path in output.glob("*_*")}
    Image.new("RGB", (16, 12)).save(photos / "c.png")
    assert "3 of 3 photos labelled" in call(*run)
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("*_*")}
    assert {name: after[name] for name in before} == before
    assert {path.name for path in output.glob("c_*")} == {"c_labels.npz", "c_mask.png", "c_picture.png"}
    assert "eta was 0.3 and is 0.5" in call(*run, "--eta", 0.5, code=1)
    assert "solver was 'closed_form' and is 'mean_field'" in call(
        photos, seeds, "-o", output, "--solver", "mean-field", code=1
    )
    assert {path.name: path.stat().st_mtime_ns for path in output.glob("*_*")} == after
    call(*run, "--eta", 0.5, "--fresh")
    assert not set(after.values()) & {path.stat().st_mtime_ns for path in output.glob("*_*")}


def test_files_of_others_are_not_replaced(folders):
    photos, seeds, output = folders
    output.mkdir()
    (output / "a_mask.png").write_bytes(b"mine")
    message = "holds a_mask.png, which the results would replace"
    assert message in call(photos, seeds, "-o", output, code=1)
    assert [path.name for path in output.iterdir()] == ["a_mask.png"]
    assert (output / "a_mask.png").read_bytes() == b"mine"
    call(photos, seeds, "-o", output, "--fresh", code=1)  # c.png is no photo
    for kind in ("labels.npz", "picture.png"):  # kept: the mask alone
        (output / f"a_{kind}").unlink()
    assert "2 of 3 photos labelled" in call(photos, seeds, "-o", output, code=1)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on other systems")
def test_a_name_that_is_not_utf_8_does_not_end_the_command(folders):
    photos, seeds, output = folders
    for folder in (photos, seeds):
        (folder / "a.png").rename(folder / "M\udce4rz.png")
    call(photos, seeds, "-o", output, "--solver", "closed-form", code=1)  # c.png is no photo
    rows = summary(output)
    assert rows["M\\udce4rz"]["error"] == rows["b"]["error"] == ""
    assert (output / "M\udce4rz_mask.png").exists()


def test_logits_of_each_photo(folders):
    photos, seeds, output = folders
    (photos / "c.png").unlink()
    logits = photos.parent / "logits"
    logits.mkdir()
    np.save(logits / "a.npy", np.zeros((2, 12, 16), np.float32))
    run = (photos, seeds, "-o", output, "--solver", "closed-form", "--unary")
    text = call(*run, logits, code=1)
    assert "b: [Errno 2] No such file or directory" in text
    assert "1 of 2 photos labelled" in text
    assert "expected a folder with NAME.npy" in call(*run, logits / "a.npy", code=1)


def test_logits_are_found_however_their_accents_are_written(folders, monkeypatch):
    photos, seeds, output = folders
    composed, split = (unicodedata.normalize(form, "\u00e9") for form in ("NFC", "NFD"))
    (photos / "a.png").rename(photos / f"{composed}.png")
    (seeds / "a.png").rename(seeds / f"{composed}.png")
    found = []
    monkeypatch.setattr(labelling, "process", lambda work, jobs, *_: found.extend(jobs) or [])
    logits = touch(photos.parent / "logits", f"{split}.npy")
    labelling.segment_folder(photos, seeds, labelling.Labelling(output, Energy()), logits=logits)
    assert {job.name: job.inputs[2].name for job in found} == {composed: f"{split}.npy", "b": "b.npy", "c": "c.npy"}


def test_changed_weights_are_other_settings(folders, monkeypatch):
    photos, seeds, output = folders
    monkeypatch.setattr(labelling, "Backbone", lambda source: None)
    monkeypatch.setattr(labelling, "process", lambda work, jobs, folder, settings, options: settings["features"])
    weights = photos.parent / "weights.pt"

    def features(content, path=weights):
        path.write_bytes(content)
        return labelling.segment_folder(
            photos, seeds, labelling.Labelling(output, Energy(), options={"features": str(path)})
        )

    first = features(b"one")
    assert first.startswith("3 bytes, sha256 ")
    assert features(b"two") != first
    assert features(b"one", photos.parent / "moved.pt") == first


def test_unlabelled_with_strokes_only_is_refused(folders, tmp_path):
    photos, seeds, output = folders
    strokes = tmp_path / "strokes"
    strokes.mkdir()
    both = (Stroke("a", 1, ((2, 2),)), Stroke("b", 1, ((12, 8),)))
    write_scribbles(strokes / "a.json", Scribbles("a", (16, 12), ("a", "b"), both))
    run = ("-o", output, "--solver", "closed-form", "--unlabelled", 0)
    assert "unlabelled=0: has no effect" in call(photos, strokes, *run, code=1)
    assert "unlabelled=0 has no effect on strokes" in call(photos / "a.png", strokes / "a.json", *run, code=1)
    (seeds / "b.png").rename(strokes / "b.png")  # with a map beside them it has an effect
    (photos / "c.png").unlink()
    call(photos, strokes, *run)


def test_refused_before_any_work(folders):
    photos, seeds, output = folders
    assert "expected two files or two folders" in call(photos, seeds / "a.png", code=2)
    assert "--workers" in call(photos / "a.png", seeds / "a.png", "--workers", 2, code=2)
    assert "--workers: has no effect with --scheduler" in call(
        photos, seeds, "--workers", 2, "--scheduler", "tcp://127.0.0.1:1", code=2
    )
    for folder in (photos, seeds):
        assert "expected a folder of its own" in call(photos, seeds, "-o", folder, code=1)
    assert not output.exists()
    with pytest.raises(TypeError, match="has no option max_steps"):
        labelling.segment_folder(
            photos, seeds, labelling.Labelling(output, Energy("Q", "Q"), "closed_form", options={"max_steps": 3})
        )
    assert not output.exists()


def test_workers_and_scheduler_are_passed_on(folders, monkeypatch):
    given = []
    monkeypatch.setattr(labelling, "process", lambda *arguments: given.append(arguments[-1]) or [])
    photos, seeds, output = folders
    call(photos, seeds, "-o", output, "--workers", 3)
    assert (given[-1].workers, given[-1].scheduler, given[-1].fresh) == (3, None, False)
    call(photos, seeds, "-o", output, "--scheduler", "tcp://127.0.0.1:1", "--fresh")
    assert (given[-1].workers, given[-1].scheduler, given[-1].fresh) == (None, "tcp://127.0.0.1:1", True)


def test_another_version_on_a_worker_is_an_error(folders):
    photos, seeds, output = folders
    work = labelling.Labelling(output, Energy(), "fast", version="0.0.1")
    with pytest.raises(RuntimeError, match=r"this worker has toykit .*, the command 0\.0\.1"):
        work(labelling.Job("a", (photos / "a.png", seeds / "a.png")))


@pytest.mark.parametrize(("solver", "option"), [("closed-form", "--max-steps"), ("mean-field", "--tolerance")])
def test_limits_that_a_solver_does_not_have(folders, solver, option):
    photos, seeds, _ = folders
    text = call(
        photos / "a.png", seeds / "a.png", "--solver", solver, option, "0.5" if option == "--tolerance" else 5, code=2
    )
    assert f"{option}: has no effect with --solver {solver}" in text


def test_a_stride_is_checked_before_any_work(folders):
    photos, seeds, output = folders
    energy = Energy(neighborhood=SparseNonLocal())
    with pytest.raises(ValueError, match="stride=2: needs NearestNeighbors"):
        segment_folder(photos, seeds, Labelling(output, energy, options={"stride": 2}))
    assert not output.exists()
    text = call(photos / "a.png", seeds / "a.png", "-o", output, "--stride", 3)
    assert "cells of 3 x 3 pixels" in text


def test_limits_reach_the_solver(folders, monkeypatch):
    photos, seeds, output = folders
    given = {}

    def note(*_, **options):
        given.update(options)
        raise ValueError("noted")

    monkeypatch.setattr("toykit.segment.labelling.solve", note)
    call(photos / "a.png", seeds / "a.png", "-o", output, "--max-steps", 7, "--tolerance", 0.25, code=1)
    assert (given["max_steps"], given["tolerance"]) == (7, 0.25)
    given.clear()
    call(photos / "a.png", seeds / "a.png", "-o", output, code=1)
    assert not {"max_steps", "tolerance"} & set(given)

"""A folder of photos in the painter: what it writes, its one list of classes, and who reads it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from toykit.cli import main
from toykit.datasets import load
from toykit.explore.painting.photo_folder import PhotoFolder
from toykit.explore.painting.requests import act
from toykit.explore.painting.session import Session
from toykit.supervision import read_scribbles, read_seeds, write_seeds

STROKES = [
    {"do": "stroke", "class": 0, "erase": False, "width": 3, "points": [[3, 3], [3, 30]]},
    {"do": "stroke", "class": 1, "erase": False, "width": 3, "points": [[40, 3], [40, 30]]},
]


def photos(folder, names=("a", "b", "c")):
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        pixels = np.full((36, 48, 3), 40 * k, np.uint8)
        pixels[:, 24:] = (200, 120, 60)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def opened(folder, classes=("sky", "sea")):
    session = Session(str(folder), 32, True, classes)
    session.kernel = "torch"
    return session


def do(session, *actions):
    act(session, list(actions))
    session.autosave()
    assert session.error == ""


def test_training_and_segment_read_what_is_painted(tmp_path):
    photos(tmp_path / "images")
    session = opened(tmp_path)
    for k in range(3):
        do(session, {"do": "go", "number": k}, *STROKES, {**STROKES[0], "erase": True, "points": [[3, 3]]})
        assert not session.unsaved
    assert (tmp_path / "classes.txt").read_text() == "sky\nsea\n"
    dataset = load("folder", "train", tmp_path)
    assert dataset.classes == ("sky", "sea")
    assert (dataset[2].seeds == session.painting.seeds).all()
    assert (session.painting.seeds[2:5, 3] == 255).all()  # erased
    result = CliRunner().invoke(main, ["segment", str(tmp_path / "images"), str(tmp_path / "scribbles"), "-o",
                                       str(tmp_path / "out"), "--refine", "0", "--solver", "closed-form"])  # fmt: skip
    assert result.exit_code == 0, result.output
    assert np.load(tmp_path / "out" / "a_labels.npz")["classes"].tolist() == ["sky", "sea"]


def test_beside_the_photos_and_again(tmp_path):
    photos(tmp_path)
    session = opened(tmp_path)
    do(session, *STROKES)
    assert read_scribbles(tmp_path / "a_scribbles.json").size == (48, 36)
    seeds = session.painting.seeds
    again = opened(tmp_path, None)
    assert again.painting.name == "b"  # the first that is not painted
    assert again.folder.classes == ("sky", "sea")
    do(again, {"do": "go", "number": 0})
    assert (again.painting.seeds == seeds).all()
    assert [one["done"] for one in again.state()["folder"]["photos"]] == [True, False, False]
    do(again, {"do": "clear"})
    assert not (tmp_path / "a_scribbles.json").exists()
    do(again, {"do": "undo"})
    assert (read_seeds(tmp_path / "a_scribbles.json", (48, 36))[0] == seeds).all()


def test_a_png_stays_a_png_with_names(tmp_path):
    photos(tmp_path)
    seeds = np.full((36, 48), 255, np.uint8)
    seeds[5:8], seeds[20:24] = 0, 1
    write_seeds(tmp_path / "a_scribbles.png", seeds)
    session = opened(tmp_path)
    do(session, {"do": "go", "number": 0})
    assert (session.painting.seeds == seeds).all()
    do(session, STROKES[0])
    again, names = read_seeds(tmp_path / "a_scribbles.png", (48, 36))
    assert (again == session.painting.seeds).all()
    assert names == ("sky", "sea")
    assert not list(tmp_path.glob("*.json"))


def test_one_list_of_classes(tmp_path):
    photos(tmp_path)
    session = opened(tmp_path)
    do(session, *STROKES)
    do(session, {"do": "go", "number": 1}, STROKES[0])
    do(session, {"do": "class", "name": " deep  sea "}, {"do": "rename", "name": "sky", "to": "heaven"})
    assert (tmp_path / "classes.txt").read_text() == "heaven\nsea\ndeep sea\n"
    assert read_scribbles(tmp_path / "a_scribbles.json").classes == ("heaven", "sea")
    assert {mark.label for mark in read_scribbles(tmp_path / "a_scribbles.json").strokes} == {"heaven", "sea"}
    act(session, [{"do": "remove", "name": "sea"}])
    assert "used by 1 other photos, a_scribbles.json" in session.error
    do(session, {"do": "remove", "name": "deep sea"}, {"do": "recolor", "name": "sea", "color": "#102030"})
    assert session.painting.classes == ("heaven", "sea")
    assert json.loads((tmp_path / "b_scribbles.json").read_bytes())["colors"] == {"sea": "#102030"}
    do(session, {"do": "go", "number": 2})
    assert session.state()["classes"][1] == {"name": "sea", "color": "#102030"}


def test_a_folder_that_cannot_be_written_keeps_the_strokes(tmp_path, monkeypatch):
    photos(tmp_path)
    session = opened(tmp_path)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(PhotoFolder, "save", full)
    act(session, STROKES)
    session.autosave()
    assert "not saved: No space left" in session.error
    act(session, [{"do": "go", "number": 1}])
    assert session.painting.name == "a"
    assert len(session.painting.marks) == 2
    assert session.unsaved


@pytest.mark.parametrize(
    ("make", "classes", "words"),
    [
        (lambda f: None, None, "no photos"),
        (lambda f: None, ("sky", "sky"), "different class names"),
        (lambda f: (f / "classes.txt").write_text("x\ny\n"), ("sky", "sea"), "lists x, y"),
        (lambda f: (f / "b.tif").touch(), None, "would collide"),
    ],
)
def test_the_command_reports_what_is_wrong(tmp_path, make, classes, words):
    if words != "no photos":
        photos(tmp_path)
    make(tmp_path)
    options = [] if classes is None else ["--classes", ",".join(classes)]
    result = CliRunner().invoke(main, ["paint", str(tmp_path), *options])
    assert result.exit_code == 1
    assert words in result.output

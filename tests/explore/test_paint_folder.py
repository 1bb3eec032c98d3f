"""A folder of photos in the painter: what it writes, its one list of classes, and who reads it."""

import importlib
import io
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from toykit import UNLABELLED
from toykit.cli import main
from toykit.datasets import load
from toykit.explore.painting.photo_folder import PhotoFolder
from toykit.explore.painting.requests import act
from toykit.explore.painting.served import VARIABLE
from toykit.explore.painting.session import Session
from toykit.supervision import read_indexed_png, read_scribbles, read_seeds, write_seeds

STROKES = [
    {"do": "stroke", "class": "sky", "erase": False, "width": 3, "points": [[3, 3], [3, 30]]},
    {"do": "stroke", "class": "sea", "erase": False, "width": 3, "points": [[40, 3], [40, 30]]},
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


def test_the_page_opens_again_after_classes_were_changed(tmp_path, monkeypatch):
    photos(tmp_path)
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(importlib.import_module("toykit.cli.paint"), "serve", lambda *_: None)
    result = CliRunner().invoke(
        main, ["paint", str(tmp_path), "--classes", "sky,sea", "--long-side", "32", "--unlabelled", "0"]
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "classes.txt").read_text() == "sky\nsea\n"
    given = json.loads(os.environ[VARIABLE])
    assert given == {"name": str(tmp_path), "long_side": 32, "unlabelled": 0}
    name, long_side = given["name"], given["long_side"]
    do(Session(name, long_side, True), {"do": "rename", "name": "sky", "to": "heaven"}, {"do": "class", "name": "sand"})
    assert Session(name, long_side, True).painting.classes == ("heaven", "sea", "sand")


def test_classes_and_colours_change_in_all_files(tmp_path):
    photos(tmp_path, ("a", "b", "c", "d"))
    seeds = np.full((36, 48), 255, np.uint8)
    seeds[5:8], seeds[20:24] = 0, 1
    write_seeds(tmp_path / "d_scribbles.png", seeds, ("sky", "sea"))
    session = opened(tmp_path)
    do(session, *STROKES, {"do": "recolor", "name": "sky", "color": "#102030"})
    do(session, {"do": "go", "number": 1}, {"do": "rename", "name": "sky", "to": "heaven"})
    assert read_seeds(tmp_path / "d_scribbles.png", (48, 36))[1] == ("heaven", "sea")
    assert (read_indexed_png(tmp_path / "d_scribbles.png") == seeds).all()
    assert json.loads((tmp_path / "a_scribbles.json").read_bytes())["colors"] == {"heaven": "#102030"}
    (tmp_path / "d_scribbles.png").unlink()
    session = opened(tmp_path, None)
    do(session, {"do": "class", "name": "sand"}, {**STROKES[0], "class": "heaven"}, {"do": "remove", "name": "sand"})
    content = json.loads((tmp_path / "a_scribbles.json").read_bytes())
    assert (content["classes"], content["colors"]) == (["heaven", "sea"], {"heaven": "#102030"})


def test_a_removed_class_leaves_files_that_held_only_one_other(tmp_path):
    photos(tmp_path)
    content = {"photo": "a", "size": [48, 36], "classes": ["sea", "sky"],
               "strokes": [{"class": "sea", "width": 3, "points": [[5, 5]]}]}  # fmt: skip
    (tmp_path / "a_scribbles.json").write_text(json.dumps(content))
    session = opened(tmp_path, ("sky", "sea", "sand"))
    do(session, {"do": "remove", "name": "sky"})
    assert read_scribbles(tmp_path / "a_scribbles.json").classes == ("sea", "sand")


def test_padding_is_refused_and_unreadable_photos_are_passed_over(tmp_path):
    photos(tmp_path)
    seeds = np.full((36, 48), 255, np.uint8)
    seeds[5:8], seeds[20:24], seeds[30:] = 0, 1, 254
    write_seeds(tmp_path / "c_scribbles.png", seeds)
    (tmp_path / "a.png").write_bytes(b"no picture")
    session = opened(tmp_path)
    assert session.painting.name == "b"
    act(session, [{"do": "go", "number": 2}])
    assert "c_scribbles.png: holds padding (254)" in session.error
    assert session.painting.name == "b"
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.png"):
        opened(tmp_path)


def test_small_pictures_are_upright_and_never_fail(tmp_path):
    photos(tmp_path, ("a",))
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (80, 40)).save(tmp_path / "b.jpg", exif=turned)
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    folder = PhotoFolder(tmp_path)
    sizes = [Image.open(io.BytesIO(folder.thumbnail(number))).size for number in range(3)]
    assert sizes[1][0] < sizes[1][1]


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
        (lambda f: None, ("sky", "", "sea"), "2 to 254 different class names, got sky, , sea"),
        (lambda f: (f / "classes.txt").write_text("x\ny\n"), ("sky", "sea"), "lists x, y"),
        (lambda f: (f / "b.tif").touch(), None, "would collide"),
        (lambda f: (f / "B.tif").touch(), None, "would collide"),
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


def test_another_id_may_mean_unlabelled_in_maps_that_the_painter_did_not_write(tmp_path):
    folder, ids = photos(tmp_path), np.zeros((36, 48), np.uint8)
    ids[4:9, 4:9], ids[20:25, 30:40] = 1, 2
    Image.fromarray(ids).save(tmp_path / "a_scribbles.png")

    def painted():
        session = Session(str(folder), 32, True, ("nothing", "sky", "sea"), unlabelled=0)
        session.open_number(0)
        return session

    session = painted()
    expected = np.where(ids == 0, UNLABELLED, ids)
    assert (session.painting.seeds == expected).all()
    # what the page writes has class names, and 255 for unlabelled: there the id 0 is a class
    do(session, {"do": "stroke", "class": "nothing", "erase": False, "width": 1, "points": [[45, 2], [45, 2]]})
    again = painted().painting.seeds
    expected[2, 45] = 0
    assert (again == expected).all()
    with pytest.raises(ValueError, match="unlabelled"):
        Session(str(folder), 32, True, unlabelled=254)

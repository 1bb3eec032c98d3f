"""Many kinds of damage: the loader and `toykit data check` both name the file, and the check reports nothing else."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.layouts import HEIGHT, MAKERS, WIDTH, halves, make_folder, make_voc, save
from PIL import Image

from toykit.cli import main
from toykit.datasets import check, checks, load, toy
from toykit.supervision import Supervision

FULL = Supervision("full")
NAME = "2007_000002"


@pytest.fixture(autouse=True)
def published_numbers(monkeypatch):
    """Replace the published numbers of images by those of the tiny generated sets."""
    numbers = {"voc": (3, 1), "cityscapes": (2, 1), "ade20k": (2, 1), "camvid": (2, 2, 2)}
    counts = {kind: dict(zip(("train", "val", "test"), n, strict=False)) for kind, n in numbers.items()}
    monkeypatch.setattr(checks, "COUNTS", counts)


def read_all(root, choice):
    for sample in load("voc", "train", root, choice):
        assert sample.seeds.shape == sample.image.shape[:2]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-300])


def wrong_size(path):
    save(path, np.zeros((HEIGHT, WIDTH + 1), np.uint8))


def out_of_range(path):
    save(path, halves(0, 21))


def in_colour(path):
    Image.new("RGB", (WIDTH, HEIGHT)).save(path)


def entities(path):
    text = path.read_text()
    path.write_text('<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + text.replace(NAME, "&b;"))


def a_folder(path):
    path.unlink()
    path.mkdir()


def twice(path):
    path.write_text(path.read_text() + f"{NAME}\n")


XML = Supervision("scribbles", ratio=0.7)  # no PNG set of that ratio: from XML
DAMAGE = {
    "truncated JPEG": (f"JPEGImages/{NAME}.jpg", truncate, FULL, "cannot be read as a picture"),
    "missing mask": (f"SegmentationClassAug/{NAME}.png", lambda path: path.unlink(), FULL, "No such file"),
    "wrong size": (f"SegmentationClassAug/{NAME}.png", wrong_size, FULL, "the mask is 49 x 40 pixels, the photo 48 x 40"),
    "out-of-range id": (f"SegmentationClassAug/{NAME}.png", out_of_range, FULL, r"holds \[21\]; expected .* 0\.\.20, 255"),
    "RGB mask": (f"SegmentationClassAug/{NAME}.png", in_colour, FULL, "expected an indexed PNG"),
    "empty list": ("ImageSets/SegmentationAug/train_aug.txt", lambda path: path.write_text("\n"), FULL, "is empty"),
    "duplicate id": ("ImageSets/SegmentationAug/train_aug.txt", twice, FULL, f"{NAME} listed more than once"),
    "malformed XML": (f"scribbles/{NAME}.xml", lambda path: path.write_text("<annotation>"), XML, "not a ScribbleSup file"),
    "entity-expanding XML": (f"scribbles/{NAME}.xml", entities, XML, "declares a document type or entities"),
    "unreadable file": (f"JPEGImages/{NAME}.jpg", a_folder, FULL, "cannot be read as a picture"),
    # and some more
    "unreadable mask": (f"SegmentationClassAug/{NAME}.png", a_folder, FULL, "cannot be read"),
    "unreadable list": ("ImageSets/SegmentationAug/train_aug.txt", a_folder, FULL, "cannot be read as a list"),
    "unreadable XML": (f"scribbles/{NAME}.xml", a_folder, XML, "not a ScribbleSup file"),
    "missing XML": (f"scribbles/{NAME}.xml", lambda path: path.unlink(), XML, "No such file"),
    "missing scribble": (f"pascal_2012_scribble/{NAME}.png", lambda path: path.unlink(), Supervision(), "No such file"),
    "scribble of another size": (f"pascal_2012_scribble_0/{NAME}.png", wrong_size, Supervision(ratio=0), "the seeds are 49"),
    "bad clicks": ("points.json", lambda path: path.write_text("{}"), Supervision("clicks"), "has no clicks for 2007_"),
    "broken clicks": ("points.json", lambda path: path.write_text("{"), Supervision("clicks"), "not a file of clicks"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_by_the_loader_and_by_the_check(tmp_path, damage):
    make_voc(tmp_path)
    name, harm, choice, message = DAMAGE[damage]
    path = tmp_path / name
    read_all(tmp_path, choice)
    harm(path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        read_all(tmp_path, choice)
    assert str(path) in str(error.value)
    problems = check("voc", tmp_path)
    assert len(problems) == 1
    assert str(path) in problems[0]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_sound_set_has_no_problems(tmp_path, kind):
    MAKERS[kind](tmp_path)
    assert check(kind, tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "orphan"),
    [
        ("camvid", "valannot/lone.png"),
        ("ade20k", "annotations/training/lone.png"),
        ("cityscapes", "gtFine/train/aachen/aachen_9_gtFine_labelIds.png"),
        ("cityscapes", "gtFine/train/zurich/zurich_9_gtFine_labelIds.png"),
    ],
)
def test_masks_without_images_and_missing_masks(tmp_path, kind, orphan):
    MAKERS[kind](tmp_path)
    save(tmp_path / orphan, halves(0, 1))
    assert check(kind, tmp_path) == [f"{tmp_path / orphan}: no image belongs to it"]
    (tmp_path / orphan).unlink()
    mask = load(kind, "train", tmp_path, FULL).entries[1].mask
    mask.unlink()
    assert check(kind, tmp_path) == [f"{mask}: missing"]
    assert check(kind, tmp_path, "val") == []


def test_two_pictures_of_one_name_and_numbers_of_images(tmp_path, monkeypatch):
    MAKERS["camvid"](tmp_path)
    save(tmp_path / "train" / "0001TP_000000.jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(ValueError, match=r"0001TP_000000: there are two pictures of this name"):
        load("camvid", "train", tmp_path, FULL)
    monkeypatch.undo()
    problems = check("camvid", tmp_path)
    assert problems[0].startswith(str(tmp_path / "train" / "0001TP_000000"))
    assert problems[1:] == [f"{tmp_path}: val has 2 images, the published set 101",
                            f"{tmp_path}: test has 2 images, the published set 233"]  # fmt: skip


def test_a_damaged_users_folder(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "scribbles" / "a.png").unlink()
    (tmp_path / "scribbles" / "b.json").write_text("{")
    save(tmp_path / "masks" / "c.png", halves(0, 3))
    first, second, third, again = check("folder", tmp_path)
    assert first == f"{tmp_path / 'scribbles' / 'a.png'}: missing"
    assert "b.json: not a scribble file" in second
    assert third == again  # the image is in both splits
    assert "c.png: holds [3]; expected class ids among 0..2, 255" in third
    (tmp_path / "scribbles" / "c.png").write_bytes(b"")
    assert any("c.json: there is a PNG of this name too" in problem for problem in check("folder", tmp_path))


def test_a_users_folder_that_does_not_match(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "masks" / "c.png").rename(tmp_path / "masks" / "c.PNG")
    orphans = [tmp_path / "masks" / "y.png", tmp_path / "scribbles" / "z.json"]
    save(orphans[0], halves(0, 1))
    orphans[1].write_text("{}")
    assert check("folder", tmp_path) == [f"{path}: no image belongs to it" for path in orphans]
    for path in orphans:
        path.unlink()
    (tmp_path / "val.txt").write_text("c\nb\n")
    assert check("folder", tmp_path) == [f"{tmp_path / 'val.txt'}: no mask in masks/ for b"]
    (tmp_path / "val.txt").write_text("c\n")
    (tmp_path / "train.txt").write_text("a\nb\n")
    assert check("folder", tmp_path) == []
    (tmp_path / "train.txt").write_text("a\nc\n")
    assert check("folder", tmp_path) == [f"{tmp_path / 'val.txt'}: c also in train.txt, for training"]


def test_vocs_lists_share_no_image(tmp_path):
    make_voc(tmp_path)
    path = tmp_path / "ImageSets" / "SegmentationAug" / "val.txt"
    path.write_text(f"{NAME}\n")
    assert check("voc", tmp_path) == [f"{path}: {NAME} also in train_aug.txt, for training"]


def test_sets_that_are_smaller_or_have_less_are_sound(tmp_path):
    make_voc(tmp_path / "voc")
    for name in ("pascal_2012_scribble", "pascal_2012_scribble_0", "scribbles"):
        shutil.rmtree(tmp_path / "voc" / name)
    assert check("voc", tmp_path / "voc") == []  # drawn at ratio 0.5, and clicks
    toy.make(tmp_path / "toy", train=3, val=2, size=48)
    assert check("toy", tmp_path / "toy") == []
    broken = tmp_path / "toy" / "scribbles" / "train_0001.json"
    broken.write_text("{")
    assert [problem.split(": ")[0] for problem in check("toy", tmp_path / "toy")] == [str(broken)]


def test_strokes_of_unknown_classes_and_padding_in_masks(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    with pytest.raises(ValueError, match=r"b\.json: classes \['cat'\] are not among the set's sky, road"):
        load("folder", "train", tmp_path)[1]
    save(tmp_path / "masks" / "c.png", halves(0, 254))
    with pytest.raises(ValueError, match=r"c\.png: holds \[254\]"):
        load("folder", "val", tmp_path)[0]


def test_the_command_line_prints_problems(tmp_path):
    make_voc(tmp_path)
    sound = CliRunner().invoke(main, ["data", "check", "voc", str(tmp_path)])
    assert (sound.exit_code, sound.stdout) == (0, "voc: no problems\n")
    path = tmp_path / "JPEGImages" / f"{NAME}.jpg"
    truncate(path)
    harmed = CliRunner().invoke(main, ["data", "check", "voc", str(tmp_path)])
    assert harmed.exit_code == 1
    assert str(path) in harmed.stdout
    assert harmed.stdout.endswith("voc: 1 problems\n")
    assert CliRunner().invoke(main, ["data", "check", "voc", str(tmp_path), "--split", "val"]).exit_code == 0
    unknown = CliRunner().invoke(main, ["data", "check", "voc", str(tmp_path), "--split", "test"])
    assert unknown.exit_code == 1
    assert "split: expected one of train, val; got 'test'" in unknown.output
    absent = CliRunner().invoke(main, ["data", "check", "voc", str(tmp_path / "absent")])
    assert absent.exit_code == 1
    assert "no such folder" in absent.output

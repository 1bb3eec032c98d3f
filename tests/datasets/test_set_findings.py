"""Suspicious seeds and masks of a set: reported by `toykit data check` and before training, in the same words."""

import dataclasses
import unicodedata

import numpy as np
import pytest
from helpers.layouts import HEIGHT, WIDTH, halves, make_folder, make_voc, photo, save

from toykit.datasets import check, load
from toykit.datasets.set_findings import training_findings
from toykit.supervision import Scribbles, Stroke, Supervision, write_scribbles
from toykit.training.config import Config, Data
from toykit.training.sets import load_sets


def two_sets(root, **options):
    return load("folder", "train", root, Supervision(**options)), load("folder", "val", root)


def test_masks_of_0_and_255_where_a_class_was_meant(tmp_path):
    make_folder(tmp_path)
    save(tmp_path / "masks" / "c.png", halves(0, 255))
    (problem,) = check("folder", tmp_path)
    assert problem.startswith(
        f"{tmp_path}: classes cat, road are in no mask (of 1), which hold sky and 255, which is void"
    )
    assert "if 255 stands for cat, write 1 there" in problem
    (text,) = training_findings(*two_sets(tmp_path))
    assert "classes cat, road are in no mask" in text
    config = Config(data=Data(kind="folder", root=str(tmp_path)))
    with pytest.warns(UserWarning, match="classes cat, road are in no mask"):
        load_sets(config)


def test_a_class_without_a_scribble_and_maps_without_unlabelled_pixels(tmp_path):
    make_folder(tmp_path)
    for name in ("b", "c"):
        (tmp_path / "scribbles" / f"{name}.json").unlink()
        drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
        drawn[3:6, 4:30] = 1
        save(tmp_path / "scribbles" / f"{name}.png", drawn)
    first, second, third = check("folder", tmp_path)
    assert first.startswith(
        f"{tmp_path / 'scribbles' / 'b.png'}: no pixel is unlabelled (255); the map holds 0, 1, and 0 covers"
    )
    assert second.startswith(str(tmp_path / "scribbles" / "c.png"))
    assert "class road is in no seed map (of 3)" in third
    assert [text for text in training_findings(*two_sets(tmp_path)) if "b.png: no pixel is unlabelled" in text]
    problems = check("folder", tmp_path, unlabelled=0)  # sky is no class then
    assert not [
        problem for problem in problems if "unlabelled (255)" in problem or "sky" in problem.split(" are in ")[0]
    ]
    assert np.unique(two_sets(tmp_path, unlabelled=0)[0][1].seeds).tolist() == [1, 255]
    save(tmp_path / "scribbles" / "b.png", halves(40, 41))
    assert any("b.png: holds [40, 41]; expected class ids among" in problem for problem in check("folder", tmp_path))


def test_strokes_outside_and_maps_of_another_size(tmp_path):
    make_folder(tmp_path)
    strokes = tuple(Stroke(name, 3, ((x, 5),)) for name, x in (("sky", 5), ("cat", 20), ("road", 500)))
    write_scribbles(tmp_path / "scribbles" / "b.json", Scribbles("b", (WIDTH, HEIGHT), ("sky", "cat", "road"), strokes))
    drawn = np.full((2 * HEIGHT, 2 * WIDTH), 255, np.uint8)
    drawn[10:20, 10:20] = 2
    save(tmp_path / "scribbles" / "a.png", drawn)
    small, outside = check("folder", tmp_path)
    assert "a.png: the map of 96 x 80 pixels was scaled to the photo's 48 x 40" in small
    assert "b.json: stroke 2 (road; x 500..500, y 5..5) lies outside of the photo" in outside
    assert (load("folder", "train", tmp_path)[0].seeds[5:10, 5:10] == 2).all()


def test_a_published_set_may_be_a_part_of_itself(tmp_path):
    make_voc(tmp_path)
    training = load("voc", "train", tmp_path, Supervision("clicks"))
    assert training_findings(training, load("voc", "val", tmp_path)) == []
    for name in training.ids:
        save(tmp_path / "SegmentationClassAug" / f"{name}.png", halves(0, 255))
    one_class = dataclasses.replace(training, supervision=Supervision("full"))
    assert "are in no mask (of 3), which hold background and 255" in training_findings(one_class, None)[0]


def test_lists_of_pairs_files_and_columns_are_named_in_one_line(tmp_path):
    make_voc(tmp_path)
    path = tmp_path / "ImageSets" / "SegmentationAug" / "train_aug.txt"
    for line, kind in (
        ("/JPEGImages/2007_000001.jpg /SegmentationClassAug/2007_000001.png", "pairs or columns"),
        ("2007_000001 -1", "pairs or columns"),
        ("JPEGImages/2007_000001.JPG", "files"),
        ("2007_000001.jpg,2007_000001.png", "files"),
    ):
        path.write_text(f"{line}\n2007_000002\n")
        (problem,) = (text for text in check("voc", tmp_path, "train"))
        assert problem.startswith(f"{path}: lists {kind} ({line!r}); expected one id per line")
        assert problem.endswith("such as 2007_000001")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_of_other_editors_are_read(tmp_path, encoding):
    make_folder(tmp_path)
    (tmp_path / "classes.txt").write_bytes("sky\r\ncat\r\nroad\r\n".encode(encoding))
    (tmp_path / "train.txt").write_bytes("b\r\nc \r\n".encode(encoding))
    dataset = load("folder", "train", tmp_path)
    assert (dataset.ids, dataset.classes) == (("b", "c"), ("sky", "cat", "road"))


def test_accents_and_suffixes_of_other_systems(tmp_path):
    composed, split = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert composed != split
    make_folder(tmp_path / "own")
    save(tmp_path / "own" / "images" / f"{split}.TIF", photo(7))
    save(tmp_path / "own" / "masks" / f"{composed}.PNG", halves(0, 1))
    (tmp_path / "own" / "scribbles" / "b.json").rename(tmp_path / "own" / "scribbles" / f"{composed}.JSON")
    (tmp_path / "own" / "train.txt").write_text(f"{split}\n", encoding="utf-8")
    (sample,) = load("folder", "train", tmp_path / "own")
    assert sample.name == composed
    assert (sample.seeds != 255).any()
    assert np.unique(sample.mask).tolist() == [0, 1, 255]
    make_voc(tmp_path / "voc")
    for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClassAug", "png")):
        path = tmp_path / "voc" / folder / f"2007_000001.{suffix}"
        path.rename(path.with_suffix(f".{suffix.upper()}"))
    assert len(np.unique(load("voc", "train", tmp_path / "voc", Supervision("full"))[0].mask)) == 3
    save(tmp_path / "own" / "images" / f"{composed}.png", photo(8))
    with pytest.raises(ValueError, match="two pictures of this name"):
        load("folder", "train", tmp_path / "own")

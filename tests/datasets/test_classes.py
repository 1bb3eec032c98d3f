"""Merging classes and leaving some out: the effect on photos, masks, seeds and the pixels of other classes."""

import json

import numpy as np
import pytest
from PIL import Image

from toykit.datasets.classes import keep_classes, merge_classes
from toykit.datasets.loading import load
from toykit.datasets.segmentation_set import hold_out
from toykit.supervision import Supervision, write_seeds

FULL = Supervision("full")
IDS = {"2007_000001": 8, "2007_000002": 12, "2008_000003": 15}  # cat, dog, person


@pytest.fixture
def voc(tmp_path):
    """Write three photos in VOC's layout: background on the left, an object on the right, a void column between."""
    clicks = {}
    for number, (name, label) in enumerate(IDS.items()):
        mask = np.full((40, 60), 255, np.uint8)
        mask[:, :29], mask[:, 31:] = 0, label
        seeds = np.full_like(mask, 255)
        seeds[10:13, 40:55] = label
        photo = np.full((40, 60, 3), 60 * number, np.uint8)
        (tmp_path / "JPEGImages").mkdir(exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "JPEGImages" / f"{name}.jpg")
        write_seeds(tmp_path / "SegmentationClassAug" / f"{name}.png", mask)
        write_seeds(tmp_path / "pascal_2012_scribble" / f"{name}.png", seeds)
        clicks[name] = [{"x": 5, "y": 7, "cls": 0}, {"x": 50, "y": 9, "cls": label}]
    (tmp_path / "points.json").write_text(json.dumps(clicks))
    lists = tmp_path / "ImageSets" / "SegmentationAug"
    lists.mkdir(parents=True)
    (lists / "train_aug.txt").write_text("\n".join(IDS))
    return tmp_path


def values(array):
    return np.unique(array).tolist()


def test_merged_classes_are_one_in_masks_and_seeds(voc):
    before = load("voc", "train", voc, Supervision("scribbles"))
    merged = load("voc", "train", voc, Supervision("scribbles"), merge={"animal": ["cat", "dog"]})
    assert len(merged.classes) == 20
    assert merged.classes.index("animal") == before.classes.index("cat")
    assert merged.classes[-1] == "tvmonitor"
    for i, own in enumerate(("cat", "dog", "person")):
        name = "animal" if own != "person" else own
        for old, new in ((before[i].seeds, merged[i].seeds), (before[i].mask, merged[i].mask)):
            assert np.array_equal(old == before.classes.index(own), new == merged.classes.index(name))
            assert np.array_equal(old == 255, new == 255)


def test_objects_against_background(voc):
    from toykit.datasets.voc import CLASSES

    dataset = load("voc", "train", voc, Supervision("simulated"), merge={"object": CLASSES[1:]})
    assert dataset.classes == ("background", "object")
    assert all(values(s.mask) == [0, 1, 255] for s in dataset)
    assert all(set(values(s.seeds)) <= {0, 1, 255} for s in dataset)


@pytest.mark.parametrize(
    ("merge", "match"),
    [
        ({"animal": ["cat", "unicorn"]}, "merge: expected some of .*; got unicorn"),
        ({"animal": []}, "merge: expected some of .*; got none"),
        ({"a": ["cat"], "b": ["cat", "dog"]}, "merge: cat is merged twice"),
        ({"person": ["cat", "dog"]}, "merge: person is a class of its own already"),
    ],
)
def test_wrong_merges_are_refused(voc, merge, match):
    with pytest.raises(ValueError, match=match):
        load("voc", "train", voc, FULL, merge=merge)


def test_a_set_of_one_class_is_refused(voc):
    whole = load("voc", "train", voc, FULL)
    with pytest.raises(ValueError, match="merge: expected at least two classes to remain, got all"):
        merge_classes(whole, {"all": whole.classes})


def test_photos_that_show_another_class_are_dropped_or_join_one(voc):
    """The halves of the first photo show background and cat: with "cat" left out, no pixel is forced into another class."""
    whole = load("voc", "train", voc, FULL, merge={"rest": ["background"]})  # so that no class is called background
    assert keep_classes(whole, ("cat", "rest")).ids == ("2007_000001",)
    with pytest.raises(ValueError, match="only: no photo of voc train shows cat without another class"):
        keep_classes(whole, ("cat",))
    joined = keep_classes(whole, ("cat", "dog"), others="dog")
    assert (joined.ids, joined.classes) == (("2007_000001", "2007_000002"), ("cat", "dog"))
    mask, own = joined[0].mask, whole[0].mask
    assert np.array_equal(mask == 0, own == whole.classes.index("cat"))
    assert np.array_equal(mask == 1, own == whole.classes.index("rest"))
    assert np.array_equal(mask == 255, own == 255)  # void is void
    with pytest.raises(ValueError, match="others: expected drop or one of cat, dog; got 'sheep'"):
        keep_classes(whole, ("cat", "dog"), others="sheep")


def test_classes_of_a_photo_are_those_of_its_seeds(voc):
    dataset = load("voc", "train", voc, Supervision("scribbles", present="seeds"))
    for sample, name in zip(dataset, ("cat", "dog", "person"), strict=True):
        assert [sample.classes[k] for k in np.flatnonzero(sample.present("seeds"))] == [name]
        assert sample.present("all").all()
    clicked = load("voc", "train", voc, Supervision("clicks"))[0]
    assert np.flatnonzero(clicked.present()).tolist() == [0, 8]
    with pytest.raises(ValueError, match="present: expected one of all, seeds"):
        clicked.present("crop")
    with pytest.raises(ValueError, match="supervision present"):
        Supervision(present="crop")


def test_a_photo_without_seeds_may_show_any_class(voc):
    sample = load("voc", "train", voc, Supervision("clicks"))[0]
    sample.seeds[:] = 255
    assert sample.present("seeds").all()


def test_held_out_images_depend_on_their_names_only(voc):
    whole = load("toy", "train", None, Supervision("simulated"))
    kept, out = hold_out(whole, 0.2)
    assert set(kept.ids) | set(out.ids) == set(whole.ids)
    assert not set(kept.ids) & set(out.ids)
    assert 0.1 < len(out) / len(whole) < 0.3
    fewer = load("toy", "train", None, Supervision("simulated"), limit=100)
    assert set(hold_out(fewer, 0.2)[1].ids) == set(out.ids) & set(fewer.ids)
    assert set(out.ids) <= set(hold_out(whole, 0.4)[1].ids)
    with pytest.raises(ValueError, match="leaves nothing on one of the two sides"):
        hold_out(load("voc", "train", voc, FULL), 1e-9)

"""What is suspicious about seeds: each kind is named with its likely cause, and sound seeds are not."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from toykit.supervision import Scribbles, SeedWarning, Stroke, read_seeds, write_scribbles, write_seeds
from toykit.supervision.areas import Area
from toykit.supervision.findings import class_findings, fatal_findings, map_findings, stroke_findings
from toykit.supervision.seed_maps import inspect_seeds

SIZE = (96, 64)


def scribbled(*values, background=255):
    """Two strokes of 3 pixels, hard."""
    ids = np.full((64, 96), background, np.uint8)
    for k, value in enumerate(values):
        ids[5 + 20 * k : 8 + 20 * k, 6:90] = value
    return ids


def soft(*values, background=255):
    """The same, smoothed as a soft brush or a resized map would be."""
    picture = Image.fromarray(scribbled(*values, background=background))
    return np.array(picture.resize((77, 51), Image.Resampling.BILINEAR))


def brushed():
    """Two slanted strokes with anti-aliased edges."""
    canvas = Image.new("L", (96 * 4, 64 * 4), 255)
    pen = ImageDraw.Draw(canvas)
    pen.line([(20, 30), (350, 60)], 0, 14)
    pen.line([(100, 200), (300, 120)], 1, 14)
    return np.array(canvas.resize(SIZE, Image.Resampling.BOX))


@pytest.mark.parametrize(
    "ids",
    [
        scribbled(0, 1),
        scribbled(7, 253),
        scribbled(0, 1, 2),
        np.where(np.mgrid[:64, :96][0] > 60, np.uint8(254), scribbled(0, 1)),  # padding at the bottom
        np.full((64, 96), 255, np.uint8),
    ],
)
def test_hard_strokes_are_sound(ids):
    assert fatal_findings(ids) == []
    assert map_findings(ids) == []


def test_touching_strokes_of_few_classes_can_be_used():
    ids = scribbled(0, 1)
    ids[6, 40:44], ids[26, 50] = 2, 3  # dots on strokes, as of an eye on a cat
    assert fatal_findings(ids) == []
    assert "ids 2, 3 may be soft edges" in map_findings(ids)[0]


@pytest.mark.parametrize("ids", [soft(0, 1), soft(0, 2, background=255), brushed()])
def test_soft_edges_are_refused_by_their_ids(ids):
    (finding,) = fatal_findings(ids)
    assert "ids look like the soft edges of strokes" in finding
    assert "hard pencil" in finding


def test_a_palettes_rare_numbers_are_refused():
    ids = scribbled(0, 1)  # a drawing program gave the edges' shades numbers of their own
    for k, column in enumerate(range(6, 30, 4)):
        ids[4, column : column + 2] = 20 + k
    (finding,) = fatal_findings(ids)
    assert "6 of 8 ids" in finding
    assert "20, 21, 22" in finding


def test_an_id_of_a_few_pixels_is_named():
    ids = scribbled(0, 1)
    ids[50, 50:52] = 17
    assert fatal_findings(ids) == []
    assert map_findings(ids) == ["id 17 covers 2 pixels: a click, or stray pixels of a drawing program"]


def test_nothing_unlabelled_names_the_likely_value():
    (finding,) = map_findings(scribbled(1, 2, background=0))
    assert "no pixel is unlabelled (255); the map holds 0, 1, 2, and 0 covers" in finding
    assert "Is 0 your unlabelled? Then pass --unlabelled 0" in finding
    mixed = scribbled(1, 2, background=0)
    mixed[0, :20] = 255
    assert "if 0 means no label, pass --unlabelled 0" in map_findings(mixed)[0]


def test_classes_that_have_no_seed():
    assert class_findings(scribbled(0, 1), ("a", "b")) == []
    (finding,) = class_findings(scribbled(1), ("a", "b"))
    assert finding.startswith("only one class has seeds, b, so all pixels get it (none of a)")
    assert class_findings(scribbled(0, 1), ("a", "b", "c")) == ["no seed of c"]
    assert "255 is unlabelled, not a class" in class_findings(scribbled(0), ("", ""))[0]  # of a map without names
    ids = scribbled(0, 1)
    ids[40:60, 60:80] = 254
    ids[42:58, 62:78] = 255
    (finding,) = class_findings(ids, ("a", "b"))
    assert finding.startswith("256 pixels are cut off by padding (254) and hold no seed")


def test_strokes_outside_of_the_photo():
    def findings(*points):
        return stroke_findings(Scribbles("x", SIZE, ("a", "b"), (Stroke("b", 3, points),)))

    assert findings((4, 4), (90, 60)) == []
    assert findings((-1, 4), (96, 60)) == []  # by half a pen
    (text,) = findings((500, 500))
    assert text.startswith("stroke 0 (b; x 500..500, y 500..500) lies outside of the photo of 96 x 64 pixels")
    (text,) = findings((50, 50), (300, 50))
    assert "lies partly outside" in text
    (text,) = findings((-50, 40), (40, -50))  # its box meets the photo, the stroke does not
    assert "lies outside" in text


def test_coordinates_in_0_to_1_are_reported(tmp_path):
    strokes = (Stroke("a", 3, ((0.04, 0.06), (0.9, 0.06))), Stroke("b", 3, ((0.5, 0.5),)))
    write_scribbles(tmp_path / "s.json", Scribbles("x", SIZE, ("a", "b"), strokes))
    notes = inspect_seeds(tmp_path / "s.json", SIZE).notes
    assert "s.json: all coordinates lie in 0..1" in notes[0]
    assert "multiply x by 96 and y by 64" in notes[0]


def test_the_value_of_unlabelled_can_be_chosen(tmp_path):
    write_seeds(tmp_path / "s.png", scribbled(1, 2, background=0))
    read = inspect_seeds(tmp_path / "s.png", SIZE, unlabelled=0)
    assert np.unique(read.seeds).tolist() == [1, 2, 255]
    assert read.notes == ()
    mixed = scribbled(1, 255, background=0)
    write_seeds(tmp_path / "s.png", mixed)
    notes = inspect_seeds(tmp_path / "s.png", SIZE, unlabelled=0).notes
    assert "s.png: 255 means unlabelled besides 0; 252 pixels hold it" in notes[0]
    assert "no pixel holds 9, which was given as unlabelled" in inspect_seeds(tmp_path / "s.png", SIZE, 9).notes[1]
    with pytest.raises(ValueError, match=r"unlabelled: expected an id in 0..253, or 255; got 254"):
        read_seeds(tmp_path / "s.png", SIZE, 254)
    write_seeds(tmp_path / "s.png", scribbled(1, 2, background=0))
    with pytest.warns(SeedWarning, match=r"s\.png: no pixel is unlabelled"):
        read_seeds(tmp_path / "s.png", SIZE)


def test_soft_edges_on_another_value_of_unlabelled_are_refused(tmp_path):
    path = tmp_path / "s.png"
    write_seeds(path, soft(100, 200, background=0))
    with pytest.raises(ValueError, match=r"s\.png: .*soft edges"):
        read_seeds(path, (77, 51), 0)


def test_padding_is_not_proposed_as_the_value_of_unlabelled():
    (found,) = [text for text in map_findings(scribbled(0, 1, background=254)) if "no pixel is unlabelled" in text]
    assert "--unlabelled 254" not in found


def test_an_area_around_the_photo_is_not_outside_of_it():
    around = Area("a", (((-50.0, -50.0), (150.0, -50.0), (150.0, 150.0), (-50.0, 150.0)),))
    beside = Area("a", (((200.0, 0.0), (300.0, 0.0), (300.0, 50.0)),))
    outside, partly = stroke_findings(Scribbles("p", SIZE, ("a", "b"), (around, beside)))
    assert outside.startswith("stroke 1 ")
    assert "lies outside of the photo" in outside
    assert partly.startswith("stroke 0 ")
    assert "lies partly outside of the photo" in partly

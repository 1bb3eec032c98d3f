"""Labelme's, COCO's and CVAT's annotations as seeds, each written here as the tool writes it."""

import base64
import io
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from toykit.cli import main
from toykit.datasets import load
from toykit.datasets.annotations import convert
from toykit.supervision import read_indexed_png

WIDTH, HEIGHT = 40, 30
#: A square of 10 pixels whose corner is the corner of pixel (5, 6), and what it covers.
SQUARE = [[5, 6], [15, 6], [15, 16], [5, 16]]
COVERED = np.s_[6:16, 5:15]


def labelme(path, *shapes, name="a.jpg"):
    shapes = [{"shape_type": "polygon", "flags": {}, "group_id": None} | shape for shape in shapes]
    content = {"version": "5.4.1", "shapes": shapes, "imagePath": name, "imageWidth": WIDTH, "imageHeight": HEIGHT}
    path.write_text(json.dumps(content | {"imageData": None}))


def png(mask):
    file = io.BytesIO()
    Image.fromarray(mask).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def seeds(folder, name="a"):
    return read_indexed_png(folder / "scribbles" / f"{name}.png")


def test_labelme(tmp_path):
    labelme(
        tmp_path / "a.json",
        {"label": "cat", "points": SQUARE},
        {"label": "dog", "points": [[20, 6], [30, 16]], "shape_type": "rectangle"},
        {"label": "dog", "points": [[10.5, 25.5], [20.5, 25.5]], "shape_type": "linestrip"},
        {"label": "cat", "points": [[30.5, 25.5]], "shape_type": "point"},
        {"label": "cat", "points": [[34, 2], [37, 4]], "shape_type": "mask", "mask": png(255 * np.eye(2, dtype=np.uint8))},
        {"label": "__ignore__", "points": SQUARE},
    )  # fmt: skip
    count, classes, notes = convert(tmp_path / "a.json", tmp_path / "out")
    assert (count, classes, notes) == (1, ("cat", "dog"), [])
    expected = np.full((HEIGHT, WIDTH), 255, np.uint8)
    expected[COVERED], expected[6:16, 20:30] = 0, 1
    expected[24:27, 10:21], expected[24:27, 30] = 1, 0
    found = seeds(tmp_path / "out")
    inner = np.s_[:24]
    expected[2, 34] = expected[3, 35] = 0
    assert np.array_equal(found[inner], expected[inner])
    assert (found[24:27, 11:20] == 1).all()
    assert (found[24:27, 29:32] == 0).all()


def coco(path, annotations, photos=1):
    images = [
        {"id": 7 + k, "file_name": f"val/{'abc'[k]}.jpg", "width": WIDTH, "height": HEIGHT} for k in range(photos)
    ]
    categories = [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}, {"id": 2, "name": "unused"}]
    annotations = [{"id": k, "image_id": 7, "iscrowd": 0} | annotation for k, annotation in enumerate(annotations)]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))


def compress(runs):
    """Encode runs as pycocotools does."""
    text = ""
    for k, run in enumerate(runs):
        value = run - runs[k - 2] if k > 2 else run
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr((bits | 0x20 if more else bits) + 48)
    return text


@pytest.mark.parametrize("compressed", [False, True])
def test_coco(tmp_path, compressed):
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[20:28, 3:39] = True
    flat = crowd.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends, flat.size]).tolist()
    counts = compress(runs) if compressed else runs
    rle = {"size": [HEIGHT, WIDTH], "counts": counts}
    square = [np.ravel(SQUARE).tolist(), [30, 2, 36, 2, 36, 8, 30, 8]]  # one object in two parts
    path = tmp_path / "instances.json"
    coco(
        path,
        [{"category_id": 1, "segmentation": square}, {"category_id": 3, "segmentation": rle, "iscrowd": 1}],
        photos=2,
    )
    count, classes, notes = convert(path, tmp_path / "out")
    assert (count, classes) == (1, ("cat", "dog"))
    assert notes == ["1 photos have no pixel of a shape and were left out"]
    expected = np.full((HEIGHT, WIDTH), 255, np.uint8)
    expected[COVERED] = expected[2:8, 30:36] = 0
    expected[crowd] = 1
    assert np.array_equal(seeds(tmp_path / "out"), expected)


def cvat(path, shapes, head=""):
    labels = "<meta><task><labels><label><name>dog</name></label><label><name>cat</name></label></labels></task></meta>"
    image = f'<image id="0" name="sub/a.png" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations><version>1.1</version>{labels}{image}</annotations>'
    )


def test_cvat_for_images(tmp_path):
    corners = ";".join(f"{x:.2f},{y:.2f}" for x, y in SQUARE)
    path = tmp_path / "annotations.xml"
    cvat(
        path,
        f'<box label="dog" xtl="0" ytl="0" xbr="20" ybr="10" z_order="1"/><polygon label="cat" points="{corners}" z_order="2"/>'
        '<polyline label="dog" points="25.5,20.5;35.5,20.5" z_order="0"/>'
        '<mask label="cat" rle="1, 2, 3" left="37" top="1" width="3" height="2" z_order="0"/><tag label="cat"/>',
    )
    _, classes, _ = convert(path, tmp_path / "out")
    assert classes == ("dog", "cat")  # the project's order
    expected = np.full((HEIGHT, WIDTH), 255, np.uint8)
    expected[:10, :20] = 0
    expected[COVERED] = 1  # above the box
    expected[1, 38:40] = 1
    found = seeds(tmp_path / "out")
    assert np.array_equal(found[:18], expected[:18])
    assert (found[19:22, 26:35] == 0).all()
    cvat(path, "", head='<!DOCTYPE x [<!ENTITY a "b">]>')
    with pytest.raises(ValueError, match=r"annotations\.xml: declares a document type"):
        convert(path, tmp_path / "other")


def test_cvat_masks(tmp_path):
    colors = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colors[COVERED], colors[20:] = (250, 50, 83), (61, 61, 245)
    (tmp_path / "SegmentationClass").mkdir()
    Image.fromarray(colors).save(tmp_path / "SegmentationClass" / "a.png")
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\ndog:61,61,245::\n"
    )
    _, classes, _ = convert(tmp_path, tmp_path / "out")
    assert classes == ("cat", "dog")
    expected = np.full((HEIGHT, WIDTH), 255, np.uint8)
    expected[COVERED], expected[20:] = 0, 1
    assert np.array_equal(seeds(tmp_path / "out"), expected)
    colors[0, 0] = 9
    Image.fromarray(colors).save(tmp_path / "SegmentationClass" / "a.png")
    with pytest.raises(
        ValueError, match=r"a\.png: 1 pixels have a colour that labelmap\.txt does not list, the first \(9, 9, 9\)"
    ):
        convert(tmp_path, tmp_path / "other")


def test_the_command_makes_a_set_that_loads(tmp_path):
    for name in "ab":
        labelme(tmp_path / f"{name}.json", {"label": "cat", "points": SQUARE}, name=f"..\\photos\\{name}.jpg")
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"{name}.JPG")
    arguments = ["data", "convert", str(tmp_path), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert (
        "expected shapes of 2 to 254 classes, got 1 ['cat']; name the class of all other pixels: --background"
        in result.output
    )
    result = CliRunner().invoke(main, [*arguments, "--background", "floor", "--margin", "3", "--photos", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "2 seed maps of the classes floor, cat" in result.output
    dataset = load("folder", "train", tmp_path / "out")
    assert (dataset.ids, dataset.classes) == (("a", "b"), ("floor", "cat"))
    found = dataset[0].seeds
    assert (found[COVERED] == 1).all()
    assert (found[3:6, 5:15] == 255).all()  # the margin
    assert (found[:2] == 0).all()
    again = CliRunner().invoke(main, arguments)
    assert "scribbles: is not empty; give a new folder" in again.output


@pytest.mark.parametrize("kind", [int, float, str])
def test_sides_may_be_written_as_fractions_or_texts(kind, tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.json"
    labelme(path, {"label": "cat", "points": SQUARE})
    content = json.loads(path.read_text()) | {"imageWidth": kind(WIDTH), "imageHeight": kind(HEIGHT)}
    path.write_text(json.dumps(content))
    assert convert(tmp_path / "in", tmp_path / "out", "floor")[0] == 1
    path.write_text(json.dumps(content | {"imageWidth": 40.5}))
    with pytest.raises(ValueError, match=r"expected a photo of 1 to .* pixels, got 40\.5 x"):
        convert(tmp_path / "in", tmp_path / "other", "floor")


def two_photos(root):
    for name in "ab":
        labelme(root / f"{name}.json", {"label": "cat", "points": SQUARE}, name=f"{name}.jpg")
        Image.new("RGB", (WIDTH, HEIGHT), "red").save(root / f"{name}.jpg")
    return root


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_fault_in_a_late_photo_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    root, out = two_photos(tmp_path / "in"), tmp_path / "out"

    def fail(path, seeds):
        if path.stem == "b":
            raise OSError("disk full")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    monkeypatch.setattr(sys.modules[convert.__module__], "write_seeds", fail)
    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            convert(root, out, "floor", photos=root)
        assert not out.exists() or list(out.iterdir()) == []
        assert {path.name for path in tmp_path.iterdir()} <= {"in", "out"}
        out.mkdir(exist_ok=True)
    monkeypatch.undo()
    assert convert(root, out, "floor", photos=root)[0] == 2
    assert {str(path) for path in content(out)} == {
        "classes.txt", "images/a.jpg", "images/b.jpg", "scribbles/a.png", "scribbles/b.png",
    }  # fmt: skip


def test_files_of_the_folder_are_not_replaced_by_others(tmp_path):
    (tmp_path / "in").mkdir()
    root, out = two_photos(tmp_path / "in"), tmp_path / "out"
    (out / "images").mkdir(parents=True)
    (out / "classes.txt").write_text("cat\nfloor\n")
    before = content(out)
    with pytest.raises(ValueError, match=r"classes\.txt: lists cat, floor; the classes of .* are floor, cat"):
        convert(root, out, "floor", photos=root)
    assert content(out) == before
    (out / "classes.txt").write_bytes(b"\xef\xbb\xbffloor\r\ncat\r\n")  # the same list, as another editor writes it
    Image.new("RGB", (WIDTH, HEIGHT), "blue").save(out / "images" / "b.png")
    before = content(out)
    with pytest.raises(ValueError, match=r"b\.png: differs from .*b\.jpg"):
        convert(root, out, "floor", photos=root)
    assert content(out) == before
    (out / "images" / "b.png").write_bytes((root / "b.jpg").read_bytes())
    assert convert(root, out, "floor", photos=root)[0] == 2
    assert sorted(path.name for path in (out / "images").iterdir()) == ["a.jpg", "b.png"]


def test_names_in_another_case_are_refused(tmp_path):
    for name in ("a", "b"):
        labelme(tmp_path / f"{name}.json", {"label": "cat", "points": SQUARE}, name="x.jpg" if name == "a" else "X.jpg")
    with pytest.raises(ValueError, match="two photos are called X and x; rename one"):
        convert(tmp_path, tmp_path / "out", "floor")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "expected an object"),
        ('{"a": 1}', "has the keys a; expected Labelme's JSON"),
        ('{"shapes": [{"label": "a"}], "imageWidth": 5, "imageHeight": 5}', "not Labelme's format"),
        ('{"shapes": [], "imageWidth": 500000, "imageHeight": 500000}', "expected a photo of 1 to"),
        ('{"images": [], "annotations": [{"id": 4, "image_id": 9}]}', "annotation 4: not COCO's format"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_faulty_files_are_named(tmp_path, content, words):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"a\.json: .*{words}"):
        convert(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_coco_without_shapes_and_with_two_photos_of_one_name(tmp_path):
    path = tmp_path / "a.json"
    coco(path, [{"category_id": 1, "segmentation": []}])
    with pytest.raises(ValueError, match=r"annotation 0: .* boxes alone are no seeds"):
        convert(path, tmp_path / "out")
    coco(path, [{"category_id": 1, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [5, 5]}}])
    with pytest.raises(ValueError, match=r"annotation 0: .* expected runs of 30 x 40 pixels"):
        convert(path, tmp_path / "out")
    parts = [
        {"image_id": k, "category_id": c, "segmentation": [np.ravel(SQUARE).tolist()]} for k, c in ((7, 1), (8, 3))
    ]
    coco(path, parts, photos=2)
    path.write_text(path.read_text().replace("val/b.jpg", "train/a.jpg"))
    with pytest.raises(ValueError, match="two photos are called a"):
        convert(path, tmp_path / "out")


def test_a_turned_box_is_refused_by_name(tmp_path):
    path = tmp_path / "annotations.xml"
    cvat(path, '<box label="dog" xtl="1" ytl="1" xbr="9" ybr="5" rotation="30.0"/>')
    with pytest.raises(ValueError, match=r"annotations\.xml: sub/a\.png .*a box turned by 30\.0 degrees"):
        convert(path, tmp_path / "out")


def test_the_background_of_masks_keeps_its_margin(tmp_path):
    colors = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colors[COVERED] = (250, 50, 83)
    (tmp_path / "SegmentationClass").mkdir()
    Image.fromarray(colors).save(tmp_path / "SegmentationClass" / "a.png")
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\ncat:250,50,83::\n")
    _, classes, _ = convert(tmp_path, tmp_path / "out", background="background", margin=3)
    found = seeds(tmp_path / "out")
    inside = found == classes.index("cat")
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[COVERED] = True
    assert np.array_equal(inside, expected)
    assert (found == 255).any()
    rows, columns = (found == classes.index("background")).nonzero()
    top, left = inside.nonzero()
    nearest = np.hypot(rows[:, None] - top, columns[:, None] - left).min()
    assert nearest >= 3


def test_shapes_without_a_pixel_are_listed(tmp_path):
    path, far = tmp_path / "a.json", [[500, 6], [515, 6], [515, 16]]
    labelme(
        path,
        {"label": "cat", "points": SQUARE},
        {"label": "dog", "points": far},
        {"label": "cow", "points": [[9, 9]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[-9, -9]], "shape_type": "mask", "mask": png(np.full((2, 2), 255, np.uint8))},
    )
    count, classes, notes = convert(path, tmp_path / "out", "floor", margin=1000)
    assert (count, classes) == (1, ("floor", "cat", "cow", "dog"))
    assert notes == [
        "3 shapes lie outside of their photo or hold no pixel's centre: dog in a, cow in a, cat in a",
        "all pixels are on a shape or within 1000 pixels of one, so none is floor, in a",
    ]
    labelme(path, {"label": "dog", "points": far})
    with pytest.raises(ValueError, match="holds no shape that has a pixel"):
        convert(path, tmp_path / "other", "floor")


def test_coordinates_in_shares_of_the_sides_are_refused(tmp_path):
    shares = (np.array(SQUARE) / (WIDTH, HEIGHT)).tolist()
    labelme(tmp_path / "a.json", {"label": "cat", "points": shares})
    with pytest.raises(ValueError, match=r"a\.json: all coordinates lie in 0\.\.1; expected pixels"):
        convert(tmp_path / "a.json", tmp_path / "out", "floor")
    coco(tmp_path / "a.json", [{"category_id": 1, "segmentation": [np.ravel(shares).tolist()]}])
    with pytest.raises(ValueError, match=r"a\.json: all coordinates lie in 0\.\.1"):
        convert(tmp_path / "a.json", tmp_path / "out", "floor")


@pytest.mark.parametrize(
    ("key", "changes", "words"),
    [
        ("images", {"id": 7}, r"images: .* two have the id 7: .*a\.jpg.* and .*b\.jpg.*; merged files\?"),
        ("categories", {"id": 3}, "categories: .* two have the id 3: dog and cat"),
        ("images", {"width": None}, "images: .* expected the photo's width and height in pixels, got None"),
        (
            "annotations",
            {"category_id": 9},
            "annotation 0: .* expected the ids of an image and a category, got 7 and 9",
        ),
        ("annotations", {"image_id": "7"}, "annotation 0: .* got '7' and 1"),
        (
            "annotations",
            {"segmentation": [5, 6, 15, 6, 15, 16]},
            "annotation 0: .* expected polygons as lists x, y, x, y",
        ),
    ],
)
def test_ids_and_values_of_coco_that_do_not_fit(tmp_path, key, changes, words):
    path = tmp_path / "a.json"
    coco(path, [{"category_id": 1, "segmentation": [np.ravel(SQUARE).tolist()]}], photos=2)
    whole = json.loads(path.read_text())
    whole[key][1 if key in ("images", "categories") else 0].update(changes)
    path.write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=rf"a\.json: {words}"):
        convert(path, tmp_path / "out", "floor")


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"label": None, "points": SQUARE}, "a shape without a label"),
        (
            {"label": "cat", "points": [[5, 5]], "shape_type": "circle"},
            "a circle's centre and a point of its edge, got 1",
        ),
        ({"points": SQUARE}, "it has no 'label'"),
    ],
)
def test_faulty_shapes_of_labelme(tmp_path, shape, words):
    labelme(tmp_path / "a.json", shape)
    with pytest.raises(ValueError, match=rf"a\.json: not Labelme's format \(.*{words}"):
        convert(tmp_path / "a.json", tmp_path / "out", "floor")


def test_sources_without_shapes_say_so(tmp_path):
    cvat(tmp_path / "annotations.xml", "")
    with pytest.raises(ValueError, match=r"annotations\.xml: holds no shape; expected"):
        convert(tmp_path / "annotations.xml", tmp_path / "out", "floor")
    track = '<annotations><track id="0" label="cat"><box frame="0"/></track></annotations>'
    (tmp_path / "annotations.xml").write_text(track)
    with pytest.raises(ValueError, match="holds the tracks of a video; export it as CVAT for images"):
        convert(tmp_path / "annotations.xml", tmp_path / "out", "floor")


def test_colours_of_two_labels_count_where_they_are_used(tmp_path):
    (tmp_path / "SegmentationClass").mkdir()
    colors = np.zeros((6, 8, 3), np.uint8)
    colors[2:4, 2:4] = 9, 0, 0
    Image.fromarray(colors).save(tmp_path / "SegmentationClass" / "a.png")
    labels = "background:0,0,0::\nBackground:0,0,0::\ncat:9,0,0::\ndog:7,7,7::\ncow:7,7,7::\n"
    (tmp_path / "labelmap.txt").write_text(labels)
    assert convert(tmp_path, tmp_path / "out", "floor")[1] == ("floor", "cat", "dog", "cow")
    (tmp_path / "labelmap.txt").write_text(labels.replace("7,7,7", "9,0,0"))
    with pytest.raises(ValueError, match=r"a\.png: labelmap\.txt gives the colour \(9, 0, 0\) to dog and to another"):
        convert(tmp_path, tmp_path / "new", "floor")
    (tmp_path / "labelmap.txt").write_text("cat:9,0,0::\ncat:0,9,0::\n")
    with pytest.raises(ValueError, match=r"labelmap\.txt: lists cat twice, with different colours"):
        convert(tmp_path, tmp_path / "new", "floor")

"""Photos, seeds, logits, configurations and tables: each file is read, or refused with an error that names it.

A value of a configuration that is out of range is refused by its key.
"""

import io
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.spoiling import attempt, fuzz, spoiled_bytes, spoiled_tree
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toykit.conventions import PADDING
from toykit.datasets.sample import read_image
from toykit.segment import read_logits
from toykit.supervision import read_seeds
from toykit.supervision.clicks import read_clicks
from toykit.supervision.indexed_png import write_seeds
from toykit.supervision.scribblesup import read_scribblesup
from toykit.training import Config, load_config
from toykit.training.sweep.table import Table, load_table

WIDTH, HEIGHT = SIZE = (40, 30)
CLASSES = ("background", "cat", "dog")
SCRIBBLES = {
    "photo": "a.jpg", "size": [WIDTH, HEIGHT], "classes": list(CLASSES),
    "strokes": [
        {"class": "cat", "width": 3, "points": [[5, 6], [15, 6], [15, 16]]},
        {"class": "dog", "width": 2.5, "points": [[20.5, 6], [30, 16]], "kept": 0.5},
        {"class": None, "width": 4, "points": [[6, 6]]},
        {"class": "background", "rings": [[[1, 1], [9, 1], [9, 9]]]},
    ],
}  # fmt: skip
SCRIBBLESUP = """<annotation><size><width>40</width><height>30</height></size>
<polygon><tag>cat</tag><point><X>5</X><Y>6</Y></point><point><X>15</X><Y>6</Y></point></polygon><polygon><tag>background</tag><point><X>30</X><Y>20</Y></point></polygon></annotation>"""
CLICKS = {"a": [{"x": 5, "y": 6, "cls": 1, "rank": 1}, {"x": 30.5, "y": 20, "cls": 0}], "b": []}
CONFIG = {
    "method": "soft", "data": {"kind": "voc", "root": "VOC", "crop": 64, "scale": [0.5, 2], "only": ["cat", "dog"]},
    "supervision": {"kind": "simulated", "ratio": 0.5}, "model": {"name": "light_mobilenetv2", "weights": None},
    "energy": {"relaxation": "CD", "eta": 0.3, "neighborhood": {"kind": "nearest", "options": {"bandwidth": 9}}},
    "solver": {"method": "fast", "options": {"tolerance": 0.01}}, "schedule": {"epochs": 3, "batch": 6, "lr": 0.001},
    "run": {"seed": 1},
}  # fmt: skip
TABLE = {
    "preset": "toy", "overrides": {"schedule.epochs": 3},
    "variants": {"soft": {}, "seeds_only": {"method": "seeds_only", "paper": None, "space": {"schedule.lr": [0.1, 0.3]}}},
    "grid": {"energy.relaxation": ["CD", "BL"]}, "seeds": [0, 1], "against": "soft",
    "tune": {"space": {"energy.lam": {"low": 1, "high": 10, "log": True}}, "trials": 3, "sampler": "tpe", "holdout": 0.2},
    "paper": {"table": "table3", "columns": {"relaxation": "energy.relaxation", "scribble_length_ratio": "supervision.ratio"}},
}  # fmt: skip


def read(name, content, call, words="{path}"):
    """Write a file, read it; return what was read, or None where it is refused with words that name it."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about damage; and SeedWarning
        path = Path(folder) / name
        path.write_bytes(content)
        result = attempt(words.format(path=path), call, path)
        assert [file.name for file in Path(folder).iterdir()] == [name]
        return result


def check_seeds(result):
    if result is not None:
        seeds, classes = result
        assert seeds.shape == (HEIGHT, WIDTH)
        assert seeds.dtype == np.uint8
        assert len(classes) >= 2
        assert ((seeds < len(classes)) | (seeds >= PADDING)).all()


def encoded(picture, **options):
    file = io.BytesIO()
    picture.save(file, **options)
    return file.getvalue()


def seed_map(folder):
    """An indexed PNG with names."""
    seeds = np.full((HEIGHT, WIDTH), 255, np.uint8)
    seeds[3:6, 4:20], seeds[20:24, 10:30], seeds[0], seeds[-1] = 1, 2, 0, PADDING
    write_seeds(folder / "a.png", seeds, CLASSES)
    return (folder / "a.png").read_bytes()


PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
with tempfile.TemporaryDirectory() as made:
    SEEDS = seed_map(Path(made))
TURNED = Image.Exif()
TURNED[0x0112] = 6
PHOTOS = [
    encoded(Image.fromarray(PIXELS[..., :3]), format="JPEG", exif=TURNED),
    encoded(Image.fromarray(PIXELS), format="PNG"),
    encoded(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 16), format="PNG"),
    encoded(Image.fromarray(PIXELS[..., :3]), format="TIFF", compression="tiff_lzw"),
    encoded(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 16), format="TIFF"),
    encoded(Image.fromarray(PIXELS[..., :3]), format="WEBP"),
    encoded(Image.fromarray(PIXELS[..., 0]), format="GIF"),
    encoded(Image.fromarray(PIXELS[..., :3]), format="BMP"),
]  # fmt: skip


@fuzz
@given(spoiled_tree(SCRIBBLES))
def test_scribbles(tree):
    check_seeds(read("a.json", json.dumps(tree).encode(), lambda path: read_seeds(path, SIZE)))


@fuzz
@given(spoiled_bytes(json.dumps(SCRIBBLES).encode()))
def test_damaged_scribbles(content):
    check_seeds(read("a.json", content, lambda path: read_seeds(path, SIZE)))


@fuzz
@given(spoiled_bytes(SCRIBBLESUP.encode()))
def test_damaged_scribblesup(content):
    scribbles = read("a.xml", content, lambda path: read_scribblesup(path, CLASSES))
    if scribbles is not None:
        check_seeds((scribbles.draw(SIZE), CLASSES))


@fuzz
@given(spoiled_tree(CLICKS))
def test_clicks(tree):
    clicks = read("a.json", json.dumps(tree).encode(), lambda path: read_clicks(path, CLASSES))
    for strokes in (clicks or {}).values():
        assert all(stroke.label in CLASSES and len(stroke.points) == 1 for stroke in strokes)


@fuzz
@given(spoiled_bytes(SEEDS))
def test_damaged_seed_maps(content):
    check_seeds(read("a.png", content, lambda path: read_seeds(path, SIZE)))


@fuzz
@given(st.sampled_from(PHOTOS).flatmap(spoiled_bytes))
def test_damaged_photos(content):
    image = read("a.jpg", content, lambda path: read_image(path, most_pixels=100_000))
    if image is not None:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert 0 < image.size <= 300_000


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


LOGITS = [npy(PIXELS[:4, :5].transpose(2, 0, 1).astype(kind)) for kind in ("<f4", ">f8", "<f2")]


@fuzz
@given(st.sampled_from(LOGITS).flatmap(spoiled_bytes))
def test_damaged_logits(content):
    logits = read("a.npy", content, lambda path: read_logits(path, 3, (5, 4)))
    if logits is not None:
        assert logits.isfinite().all()
        assert logits.shape[2:] == (4, 5)


@fuzz
@given(
    st.one_of(spoiled_tree(CONFIG).map(yaml.safe_dump).map(str.encode), spoiled_bytes(yaml.safe_dump(CONFIG).encode()))
)
def test_configurations(content):
    config = read("a.yaml", content, load_config, "")
    assert config is None or isinstance(config, Config)


@fuzz
@given(
    st.one_of(spoiled_tree(TABLE).map(yaml.safe_dump).map(str.encode), spoiled_bytes(yaml.safe_dump(TABLE).encode()))
)
def test_tables_of_sweeps(content):
    table = read("a.yaml", content, load_table)
    assert table is None or isinstance(table, Table)


YAML = [
    "", "3", "[1, 2]", "a: 2020-99-99", "a: &b [*b]", "{" * 2000, "a: 1\na: 2", "!!python/name:os.system", "a: !!bool x",
    "a: !!int ''", "a: !!float ''", "a: !!timestamp x", "variants: {a: {}}\nseeds: 1000000000000000",
    "variants: {a: {}}\nseeds: 3.5", "preset: toy\nvariants: {a: {paper: [1]}}", "variants: {a: {'a[': 1}}",
    "overrides: {'[': 1}\nvariants: {a: {}}", "overrides: {'': 1}\nvariants: {a: {}}",
]  # fmt: skip


@pytest.mark.parametrize("content", YAML)
@pytest.mark.parametrize("call", [load_config, load_table])
def test_other_yaml(content, call):
    result = read("a.yaml", content.encode(), call)
    assert result is None or content == ""


@pytest.mark.parametrize(
    "header", ["{'descr': (), 'fortran_order': False, 'shape': (2,), }", "-" * 30000 + "1", "1+" * 20000 + "1", "{", ""]
)
def test_broken_headers_of_arrays(header):
    content = b"\x93NUMPY\x02\0" + len(header).to_bytes(4, "little") + header.encode() + bytes(8)
    assert read("a.npy", content, lambda path: read_logits(path, 3, (5, 4))) is None


@pytest.mark.parametrize(
    ("name", "content", "call"),
    [
        ("a.json", json.dumps(SCRIBBLES).encode(), lambda path: read_seeds(path, SIZE)),
        ("a.xml", SCRIBBLESUP.encode(), lambda path: read_scribblesup(path, CLASSES)),
        ("a.json", json.dumps(CLICKS).encode(), lambda path: read_clicks(path, CLASSES)),
        ("a.png", SEEDS, lambda path: read_seeds(path, SIZE)),
        *[("a.jpg", photo, read_image) for photo in PHOTOS],
        *[("a.npy", logits, lambda path: read_logits(path, 3, (5, 4))) for logits in LOGITS],
        ("a.yaml", yaml.safe_dump(CONFIG).encode(), load_config),
        ("a.yaml", yaml.safe_dump(TABLE).encode(), load_table),
    ],
)
def test_what_is_spoiled_was_valid(name, content, call):
    assert read(name, content, call) is not None

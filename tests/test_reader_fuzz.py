"""Files that anyone may have written: each is read, or refused with an error that names it; nothing is written elsewhere.

Photos, seeds, logits and YAML files: `tests/test_input_fuzz.py`.
"""

import base64
import copy
import io
import json
import os
import struct
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest
import torch
from helpers.spoiling import attempt, fuzz, spoiled_bytes, spoiled_tree
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from toykit.course.notebooks import parameters, parse_value
from toykit.datasets.annotations import convert
from toykit.datasets.layout import read_list
from toykit.mixture_model.backbone import _layout
from toykit.models.weights import load_weights
from toykit.supervision import SeedWarning
from toykit.training import checkpoint, weights

POLYGON = [[5, 6], [15, 6], [15, 16], [5, 16]]


def png(size):
    """A black picture, as Labelme keeps masks."""
    file = io.BytesIO()
    Image.new("L", size).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


LABELME = {
    "imagePath": "a.jpg", "imageWidth": 40, "imageHeight": 30,
    "shapes": [
        {"label": "cat", "points": POLYGON, "shape_type": "polygon"},
        {"label": "dog", "points": [[20, 6], [30, 16]], "shape_type": "circle"},
        {"label": "dog", "points": [[3, 2], [7, 4]], "shape_type": "mask", "mask": png((4, 2))},
    ],
}  # fmt: skip
COCO = {
    "images": [{"id": 7, "file_name": "val/a.jpg", "width": 40, "height": 30}],
    "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}],
    "annotations": [
        {"id": 0, "image_id": 7, "category_id": 3, "segmentation": [[5, 6, 15, 6, 15, 16]]},
        {"id": 1, "image_id": 7, "category_id": 1, "segmentation": {"size": [30, 40], "counts": [100, 50, 1050]}},
        {"id": 2, "image_id": 7, "category_id": 1, "segmentation": {"size": [30, 40], "counts": "T3b1"}},
    ],
}
CVAT = """<?xml version="1.0"?><annotations><meta><task><labels><label><name>cat</name></label><label><name>dog</name></label>
</labels></task></meta><image id="0" name="val/a.jpg" width="40" height="30">
<polygon label="cat" points="5,6;15,6;15,16" z_order="0"></polygon><box label="dog" xtl="20" ytl="6" xbr="30" ybr="16"/>
<mask label="dog" rle="2,3,7" left="1" top="2" width="4" height="3"/><polyline label="cat" points="1,1;9,9"/>
</image></annotations>"""


def check_conversion(name, content):
    """Convert; whatever happens, nothing is written outside of the folder."""
    with tempfile.TemporaryDirectory() as above, warnings.catch_warnings():
        warnings.simplefilter("ignore", SeedWarning)
        folder = Path(above) / "in" / "it"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(content)
        out = Path(above) / "in" / "out"
        attempt(name, convert, folder / name, out)
        written = {path for path in Path(above).rglob("*") if path.is_file()}
        assert all(path.is_relative_to(out) for path in written - {folder / name}), written


@fuzz
@given(st.one_of(spoiled_tree(LABELME), spoiled_tree(COCO)))
def test_annotations_in_json(tree):
    check_conversion("a.json", json.dumps(tree).encode())


@fuzz
@example(json.dumps(LABELME).replace("R4nG", "R/nG").encode())  # the mask's picture has a broken stream
@given(st.one_of(spoiled_bytes(json.dumps(LABELME).encode()), spoiled_bytes(json.dumps(COCO).encode())))
def test_annotations_in_damaged_json(content):
    check_conversion("a.json", content)


@fuzz
@given(spoiled_bytes(CVAT.encode()))
def test_annotations_in_damaged_xml(content):
    check_conversion("a.xml", content)


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY b "' + "x" * 1000 + '"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
    ],
)
def test_xml_bombs_and_entities_are_refused(head, tmp_path):
    text = CVAT.replace('<?xml version="1.0"?>', head).replace("val/a.jpg", "&c;" if "&b;" in head else "&b;")
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(ValueError, match=r"a\.xml: declares a document type or entities, which is refused"):
        convert(tmp_path / "a.xml", tmp_path / "out")


def test_a_picture_bomb_in_json_is_refused(tmp_path):
    tree = copy.deepcopy(LABELME)
    content = bytearray(base64.b64decode(png((1, 1))))
    content[16:24] = struct.pack(">II", 20_000, 20_000)  # in the header: 400 million pixels
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    tree["shapes"][2]["mask"] = base64.b64encode(content).decode()
    (tmp_path / "a.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=r"a\.json: not Labelme's format \(DecompressionBomb"):
        convert(tmp_path / "a.json", tmp_path / "out")


@fuzz
@given(
    st.one_of(
        st.binary(max_size=60), st.text(max_size=60).map(str.encode), spoiled_bytes(b"2007_000032\r\n2007_000039\n")
    )
)
def test_lists_of_ids(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        path.write_bytes(content)
        ids = attempt("train.txt", read_list, path)
        if ids is None:
            return
        assert ids
        assert len(set(ids)) == len(ids)
        assert all(id_.strip() and ".." not in id_.split("/") and not id_.startswith("/") for id_ in ids), ids


def state():
    """The content of a small checkpoint."""
    return {
        "config": {"method": "soft"}, "network": {"w": torch.arange(40.0)}, "optimizer": {"state": {}},
        "progress": {"epoch": 1, "step": 2, "history": [{"loss": 0.5}]}, "tally": {},
    }  # fmt: skip


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@fuzz
@given(spoiled_bytes(saved(state())))
def test_damaged_checkpoints(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        path.write_bytes(content)
        read = attempt("checkpoint.pt: cannot be read as a checkpoint", checkpoint._read, path)
        if read is None:
            return
        assert torch.equal(read["network"]["w"], torch.arange(40.0))  # a change that is not noticed changes nothing
        assert {key: value for key, value in read.items() if key != "network"} == {
            key: value for key, value in state().items() if key != "network"
        }


@fuzz
@given(spoiled_tree(state() | {"network": {}}))
def test_checkpoints_with_other_content(tree):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        path.write_bytes(saved(tree))
        attempt("checkpoint.pt: cannot be read as a checkpoint", checkpoint._read, path)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (os.environ["TOYKIT_EVIL"],)


def test_a_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.setenv("TOYKIT_EVIL", str(tmp_path / "evil"))
    (tmp_path / "checkpoint.pt").write_bytes(saved(state() | {"config": Evil()}))
    with pytest.raises(ValueError, match=r"checkpoint\.pt: cannot be read as a checkpoint"):
        checkpoint._read(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "evil").exists()


def test_a_zip_bomb_as_a_checkpoint_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "checkpoint.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data.pkl", bytes(50_000_000))
    with pytest.raises(ValueError, match=r"checkpoint\.pt: cannot be read as a checkpoint \(.*packed"):
        checkpoint._read(tmp_path / "checkpoint.pt")


def test_packed_weights_are_refused(tmp_path):
    """Torch itself would unpack them: 8 MB from a file of a few kB."""
    content = io.BytesIO()
    torch.save({"network": torch.zeros(2_000_000)}, content)
    with zipfile.ZipFile(content) as parts, zipfile.ZipFile(tmp_path / "best.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in parts.namelist():
            packed.writestr(name, parts.read(name))
    assert (tmp_path / "best.pt").stat().st_size < 20_000
    for read, words in (
        (lambda: weights.read(tmp_path, "best"), "cannot be read as weights of a run"),
        (lambda: load_weights(torch.nn.Linear(1, 1), tmp_path / "best.pt"), "cannot be read as a state dict"),
        (lambda: _layout(tmp_path / "best.pt"), "cannot be read as a state dict"),
    ):
        with pytest.raises(ValueError, match=rf"best\.pt: {words}.*packed"):
            read()


TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["{[1]: 2}", "(" * 500, "-" * 3000 + "1", "1" + "0" * 400, "1e999", "[1,2", "1_0", "\x00"]),
)


@fuzz
@given(TEXTS, st.sampled_from([None, True, 3, 0.5, "text", [1], (1, 2), {"a": 1}]))
def test_notebooks_parameters_on_the_command_line(text, default):
    value = attempt("parameter n: expected", parse_value, "n", text, default)
    assert default is None or value is None or type(value) is type(default)


@fuzz
@given(TEXTS)
def test_notebooks_parameter_cells(source):
    cell = {
        "cell_type": "code",
        "metadata": {"tags": ["parameters"]},
        "outputs": [],
        "execution_count": None,
        "id": "a",
    }
    tree = {"cells": [cell | {"source": f"n = {source}"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        path = Path(folder) / "a.ipynb"
        path.write_text(json.dumps(tree))
        attempt("a.ipynb: its parameters cell should contain only literals", parameters, path)

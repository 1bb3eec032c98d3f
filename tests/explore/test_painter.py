"""The painter without a browser: painting, saving, solving and messages."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toykit import solve
from toykit.explore.painting import labelling
from toykit.explore.painting.labelling import VIEWS, Settings, label, picture
from toykit.explore.painting.paint import Painting
from toykit.explore.painting.session import Session
from toykit.supervision import read_scribbles, read_seeds

WIDTH, HEIGHT, CLASSES = 24, 18, ("sky", "sea", "sand")
points = st.lists(st.tuples(st.floats(-5, 30), st.floats(-5, 25)), min_size=1, max_size=4)
strokes = st.lists(st.tuples(st.sampled_from(CLASSES), st.integers(1, 6), points), max_size=5)


def blank():
    ramp = np.linspace(0, 255, WIDTH).astype(np.uint8)
    return Painting("shore", np.broadcast_to(ramp[None, :, None], (HEIGHT, WIDTH, 3)).copy(), CLASSES)


def painted(marks):
    painting = blank()
    for mark in marks:
        painting = painting.paint(*mark)
    return painting


@given(strokes, st.sampled_from([*CLASSES, None]), st.integers(1, 6), points)
def test_undo_inverts_a_stroke(marks, name, width, where):
    before = painted(marks)
    seeds = before.seeds.copy()
    after = before.paint(name, width, where)
    assert after.undo() is before
    assert (after.undo().seeds == seeds).all()
    changed = after.seeds != seeds
    assert (after.seeds[changed] == (255 if name is None else CLASSES.index(name))).all()


@given(strokes, st.integers(1, 6), points)
def test_erasing_only_removes(marks, width, where):
    before = painted(marks)
    after = before.paint(None, width, where)
    left = after.seeds != 255
    assert (after.seeds[left] == before.seeds[left]).all()
    assert not after.only_strokes
    with pytest.raises(ValueError, match="PNG"):
        after.strokes_json()


@given(strokes)
def test_saved_scribbles_load_as_they_were(marks):
    painting = painted(marks)
    for name, content in (("a.json", painting.strokes_json()), ("a.png", painting.seeds_png())):
        again = blank().load(name, content)
        assert (again.seeds == painting.seeds).all()
        assert again.classes[: len(CLASSES)] == CLASSES


@given(strokes)
def test_seeds_one_by_one_are_those_of_the_file(marks):
    painting = painted(marks)
    whole = Painting("shore", painting.image, CLASSES, marks=painting.marks)
    assert (whole.seeds == painting.seeds).all()


def test_many_strokes_at_once_are_drawn():
    painting = blank()
    for k in range(1500):
        painting = painting.paint(CLASSES[k % 2], 1, [(k % WIDTH, k // WIDTH % HEIGHT)])
    assert set(np.unique(painting.seeds)) == {0, 1}


def test_a_map_brings_classes_of_new_names():
    seeds = np.full((HEIGHT, WIDTH), 255, np.uint8)
    seeds[0, :5] = 4
    content = blank().load("a.png", png(seeds)).seeds_png()
    painting = blank().add_class("class 4").load("a.png", content)
    assert painting.classes == (*CLASSES, "class 4", "class 4'")
    assert (painting.seeds == seeds).all()
    after = painting.paint("class 4'", 1, [(9, 9)])
    assert after.seeds[9, 9] == 4


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def test_segment_reads_what_the_painter_saves(tmp_path):
    painting = painted([("sea", 3, [(2, 2), (20, 12)]), ("sky", 3, [(2, 14)]), ("sand", 3, [(20, 4)])])
    for name, content in (("a.json", painting.strokes_json()), ("a.png", painting.seeds_png())):
        (tmp_path / name).write_bytes(content)
        assert (read_seeds(tmp_path / name, (WIDTH, HEIGHT))[0] == painting.seeds).all()
    assert read_scribbles(tmp_path / "a.json").classes == CLASSES


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.paint("moon", 3, [(1, 1)]), "class: expected one of sky"),
        (lambda p: p.paint("sky", 0, [(1, 1)]), r"brush width: expected a number in \(0, 24\], got 0"),
        (lambda p: p.paint("sky", 3, []), "at least one finite point"),
        (lambda p: p.paint("sky", 3, [(float("nan"), 1)]), "at least one finite point"),
        (lambda p: p.add_class(" sky "), "a name that is not in use"),
        (lambda p: p.load("x.json", b"{}"), r"^x\.json: not a scribble file"),
        (lambda p: p.load("x.png", b"nothing"), r"^x\.png: cannot be read"),
    ],
)
def test_bad_input_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        change(blank())


def two_strokes():
    return painted([("sky", 3, [(2, 2), (2, 15)]), ("sand", 3, [(21, 2), (21, 15)])])


def test_labels_are_the_solvers_own():
    painting = two_strokes()
    labels, message = label(painting, Settings(), kernel="torch")
    assert message.startswith("fast")
    assert labels.shape == (1, 3, HEIGHT, WIDTH)
    assert (labels[0, 0, 2:16, 2] == 1).all()
    preview, _ = label(painting, Settings(), last=labels, preview=True, kernel="torch")
    assert (preview - labels).abs().mean() < 0.02  # a preview that starts at the solution stays there
    for view in VIEWS:
        shown = picture(painting, labels, view)
        assert shown.dtype == np.uint8
        assert shown.shape == (HEIGHT, WIDTH, 4)
        assert (shown[..., 3] == 255).all()


def test_idle_controls_change_nothing_and_others_do():
    painting = two_strokes()
    names = {"relaxation": "Q", "cross_entropy": "RCE", "eta": 2.0, "lam": 1.0, "bandwidth": 40.0}
    for base in ({}, {"eta": 0.0}, {"lam": 0.0}, {"solver": "graph_cut"}, {"solver": "closed_form"}):
        settings = Settings(**base)
        first, _ = label(painting, settings, kernel="torch")
        for name in settings.idle().keys() & names.keys():
            other, _ = label(painting, Settings(**base | {name: names[name]}), kernel="torch")
            assert (first - other).abs().max() < 1e-3, (base, name)
    first, _ = label(painting, Settings(), kernel="torch")
    for name, value in names.items():
        other, _ = label(painting, Settings(**{name: value}), kernel="torch")
        assert (first - other).abs().max() > 1e-3, name


def test_only_classes_with_a_stroke_get_pixels():
    for settings in (Settings(), Settings(eta=0.0), Settings(solver="closed_form"), Settings(solver="graph_cut")):
        labels, _ = label(two_strokes(), settings, kernel="torch")
        assert (labels[:, 1] == 0).all(), settings
        preview, _ = label(two_strokes(), settings, last=labels, preview=True, kernel="torch")
        assert (preview[:, 1] == 0).all(), settings
    one, message = label(painted([("sand", 3, [(2, 2), (2, 15)])]), Settings(), kernel="torch")
    assert (one[:, 2] == 1).all()
    assert "only one class has seeds, sand" in message


@pytest.mark.parametrize("preview", [False, True])
def test_without_a_unary_term_nothing_is_predicted(monkeypatch, preview):
    for name in ("mixture_logits", "seed_logits"):
        monkeypatch.setattr(labelling, name, lambda *_: pytest.fail("predictions without weight"))
    painting = two_strokes()
    labels, _ = label(painting, Settings(eta=0.0), preview=preview, kernel="torch")
    assert torch.allclose(labels.sum(1), torch.ones(1, HEIGHT, WIDTH), atol=1e-5)


def test_closed_form_is_that_of_solve():
    painting = two_strokes()
    settings = Settings(solver="closed_form")
    image, seeds = painting.sample.tensors()
    from toykit.mixture_model import mixture_logits

    present = torch.tensor([[True, False, True]])
    logits = mixture_logits(image, seeds, 3)
    expected = solve(logits, image, seeds, settings.energy(), "closed_form", present=present).labels
    assert torch.equal(label(painting, settings)[0], expected)


@pytest.fixture
def session():
    session = Session("chelsea", 48, scribbles=True)
    session.kernel = "torch"
    session.solve(preview=False)
    return session


def test_a_session_reports_errors_and_continues(session):
    content = png(np.full((40, 60, 3), (9, 99, 200), np.uint8))
    stroke = {"do": "stroke", "erase": False, "width": 3, "points": [[5, 5]]}
    for action, files, words in (
        ({"do": "upload", "name": "../x.png", "file": 0}, [b"no"], "x.png: cannot be read"),
        ({"do": "load", "name": "y.json", "file": 0}, [b"no"], "y.json: not a scribble file"),
        ({"do": "set", "name": "eta", "value": -1}, [], "eta: expected"),
        ({"do": "set", "name": "solver", "value": "magic"}, [], "solver: expected one of"),
        ({"do": "view", "name": "magic"}, [], "view: expected one of"),
        ({"do": "photo", "name": "magic"}, [], "photo: expected one of"),
        ({"do": "magic"}, [], "no such request"),
        ({}, [], "no such request"),
        (stroke | {"class": 9}, [], "class: expected a number in 0..3, got 9"),
        (stroke | {"class": -1}, [], "class: expected a number in 0..3, got -1"),
        ({"do": "load", "name": "y.json", "file": 3}, [], "index out of range"),
    ):
        before = session.painting
        assert session.act([action], files) == {}
        assert words in session.state()["error"]
        assert session.painting is before
    session.act([{"do": "upload", "name": "chelsea.png", "file": 0}], [content])
    assert session.state()["error"] == ""
    assert session.state()["photo"] == "my_chelsea"
    assert session.painting.size == (48, 32)
    session.solve(preview=False)
    assert "paint a stroke" in session.state()["error"]
    session.act([{"do": "export", "kind": "npz"}])
    assert "nothing to export" in session.state()["error"]
    assert (session.pictures()[0] == 235).all()


def test_a_session_exports_and_undoes(session):
    seeds = session.painting.seeds.copy()
    stroke = {"do": "stroke", "class": 1, "erase": False, "width": 3, "points": [[5, 5], [20, 5]]}
    session.act([stroke, stroke | {"erase": True}, {"do": "undo"}, {"do": "undo"}])
    assert (session.painting.seeds == seeds).all()
    (content,) = session.act([{"do": "export", "kind": "npz"}]).values()
    assert np.allclose(np.load(io.BytesIO(content))["labels"].sum(0), 1, atol=1e-5)
    (content,) = session.act([{"do": "export", "kind": "png"}]).values()
    assert (np.array(Image.open(io.BytesIO(content))) == session.pictures()[0]).all()
    assert list(session.act([{"do": "save", "kind": "json"}])) == ["chelsea_scribbles.json"]
    session.act([{"do": "clear"}])
    assert not session.state()["has_seeds"]


def test_the_dashboard_command_reports_what_is_wrong(monkeypatch):
    import socket

    from toykit.cli import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["dashboard", "--port", port])
    assert result.exit_code == 1
    assert f"port {port} is in use" in result.output
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(main, ["dashboard"])
    assert result.exit_code == 1
    assert "pip install voila" in result.output


def test_the_page_needs_no_widgets_to_be_imported():
    code = "import toykit.explore, sys; assert 'anywidget' not in sys.modules and 'ipywidgets' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

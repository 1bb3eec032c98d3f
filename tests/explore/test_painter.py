"""The painter without a browser: painting, saving, solving and messages."""

import io
import json
import struct
import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toykit import solve
from toykit.datasets.sample import resize_image
from toykit.energy.cells import cell_logits
from toykit.explore.painting import labelling
from toykit.explore.painting.labelling import Settings, label
from toykit.explore.painting.paint import Painting
from toykit.explore.painting.pictures import (
    VIEWS,
    LabelsLayer,
    SeedsLayer,
    label_layer,
    photo_file,
    picture,
    small_seeds,
    tints,
)
from toykit.explore.painting.previews import Previews
from toykit.explore.painting.requests import act
from toykit.explore.painting.session import Session
from toykit.mixture_model import fit_photo
from toykit.plots.images import LUMINANCE
from toykit.plots.label_picture import OPACITY, label_picture
from toykit.supervision import read_scribbles, read_seeds

WIDTH, HEIGHT, CLASSES = 24, 18, ("sky", "sea", "sand")
points = st.lists(st.tuples(st.floats(-5, 30), st.floats(-5, 25)), min_size=1, max_size=4)
strokes = st.lists(st.tuples(st.sampled_from([*CLASSES, None]), st.integers(1, 6), points), max_size=5)


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


@given(strokes)
def test_saved_scribbles_load_as_they_were(marks):
    painting = painted(marks)
    for name, content in (("a.json", painting.strokes_json()), ("a.png", painting.seeds_png())):
        again = blank().load(name, content)
        assert (again.seeds == painting.seeds).all()
        assert again.classes == CLASSES


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
    painting = blank().add_class("class 4").load("a.png", png(seeds))
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
    labels, message = label(painting.sample, Settings(), kernel="torch")
    assert message.startswith("fast")
    assert labels.shape == (1, 3, HEIGHT, WIDTH)
    assert (labels[0, 0, 2:16, 2] == 1).all()
    preview, _ = label(painting.sample, Settings(), last=labels, preview=True, kernel="torch")
    assert (preview - labels).abs().mean() < 0.02  # a preview that starts at the solution stays there
    for view in VIEWS:
        shown = picture(painting.sample, labels, view, tints(painting))
        assert shown.dtype == np.uint8
        assert shown.shape == (HEIGHT, WIDTH, 3)


def test_idle_controls_change_nothing_and_others_do():
    painting = two_strokes()
    names = {"relaxation": "Q", "cross_entropy": "RCE", "eta": 2.0, "lam": 1.0, "bandwidth": 40.0}
    for base in ({}, {"eta": 0.0}, {"lam": 0.0}, {"solver": "graph_cut"}, {"solver": "closed_form"}):
        settings = Settings(**base)
        first, _ = label(painting.sample, settings, kernel="torch")
        for name in settings.idle().keys() & names.keys():
            other, _ = label(painting.sample, Settings(**base | {name: names[name]}), kernel="torch")
            assert (first - other).abs().max() < 1e-3, (base, name)
    first, _ = label(painting.sample, Settings(), kernel="torch")
    for name, value in names.items():
        other, _ = label(painting.sample, Settings(**{name: value}), kernel="torch")
        assert (first - other).abs().max() > 1e-3, name


def test_only_classes_with_a_stroke_get_pixels():
    for settings in (Settings(), Settings(eta=0.0), Settings(solver="closed_form"), Settings(solver="graph_cut")):
        labels, _ = label(two_strokes().sample, settings, kernel="torch")
        assert (labels[:, 1] == 0).all(), settings
        preview, _ = label(two_strokes().sample, settings, last=labels, preview=True, kernel="torch")
        assert (preview[:, 1] == 0).all(), settings
    one, previews = painted([("sand", 3, [(2, 2), (2, 15)])]), Previews(blank().image)
    for preview in (False, True):
        labels, message = label(one.sample, Settings(), None, preview, "torch", previews)
        assert (labels[:, 2] == 1).all()
        assert "only one class has seeds, sand" in message


@pytest.mark.parametrize("preview", [False, True])
def test_without_a_unary_term_nothing_is_predicted(monkeypatch, preview):
    for name in ("mixture_logits", "seed_logits"):
        monkeypatch.setattr(labelling, name, lambda *_: pytest.fail("predictions without weight"))
    painting = two_strokes()
    labels, _ = label(painting.sample, Settings(eta=0.0), preview=preview, kernel="torch")
    assert torch.allclose(labels.sum(1), torch.ones(1, HEIGHT, WIDTH), atol=1e-5)


def test_closed_form_is_that_of_solve():
    painting = two_strokes()
    settings = Settings(solver="closed_form")
    image, seeds = painting.sample.tensors()
    from toykit.mixture_model import mixture_logits

    present = torch.tensor([[True, False, True]])
    logits = mixture_logits(image, seeds, 3)
    expected = solve(logits, image, seeds, settings.energy(), "closed_form", present=present).labels
    assert torch.equal(label(painting.sample, settings)[0], expected)


@pytest.fixture
def session():
    session = Session("chelsea", 48, scribbles=True)
    marked = session.painting
    small = Painting("chelsea", resize_image(marked.image, (96, 64)), marked.classes)
    session.open(replace(small.load("chelsea.json", marked.strokes_json()), previous=None))
    session.kernel = "torch"
    session.solve(preview=False)
    return session


def do(session, *actions):
    act(session, list(actions))
    assert session.error == ""


STROKE = {"do": "stroke", "class": "cat fur", "erase": False, "width": 3, "points": [[5, 5], [20, 5]]}


def test_ten_undos_and_redos(session):
    maps = [session.painting.seeds]
    for k in range(10):
        do(
            session,
            STROKE
            | {"class": session.painting.classes[k % 4], "points": [[3 * k, 5], [20, 40 + 2 * k]], "erase": k == 7},
        )
        maps.append(session.painting.seeds)
    for seeds in reversed(maps[:-1]):
        do(session, {"do": "undo"})
        assert (session.painting.seeds == seeds).all()
    assert not session.state()["can_undo"]
    for seeds in maps[1:]:
        do(session, {"do": "redo"})
        assert (session.painting.seeds == seeds).all()
    assert not session.state()["can_redo"]
    do(session, {"do": "undo"}, STROKE)
    assert not session.state()["can_redo"]  # another future


def test_seeds_of_long_ago_are_forgotten_and_drawn_again(monkeypatch):
    monkeypatch.setattr("toykit.explore.painting.paint.MOST_BYTES", 3 * WIDTH * HEIGHT)
    painting, maps = blank(), []
    for k in range(9):
        painting = painting.paint(CLASSES[k % 3], 2, [(2 * k, 3), (2 * k, 12)])
        maps.append(painting.seeds)
    cached, one = 0, painting
    while one is not None:
        cached += "seeds" in one.__dict__
        one = one.previous
    assert cached <= 4
    for seeds in reversed(maps):
        assert (painting.seeds == seeds).all()
        painting = painting.undo()


def test_fill_labels_what_strokes_enclose():
    ring = [(4, 4), (14, 4), (14, 12), (4, 12), (4, 4)]
    painting = blank().paint("sea", 1, ring)
    with pytest.raises(ValueError, match="nothing encloses"):
        painting.fill("sand", (20, 15))
    filled = painting.fill("sand", (8, 8))
    assert (filled.seeds[5:12, 5:14] == CLASSES.index("sand")).all()
    assert (filled.seeds == 2).sum() == 7 * 9
    assert (blank().load("a.json", filled.strokes_json()).seeds == filled.seeds).all()
    assert (filled.polygon(None, ring).seeds[5:12, 5:14] == 255).all()
    with pytest.raises(ValueError, match="a point of the photo"):
        painting.fill("sand", (99, 8))
    with pytest.raises(ValueError, match="three finite points"):
        painting.polygon("sand", ring[:2])


def test_classes_are_renamed_recoloured_and_deleted():
    painting = two_strokes()
    renamed = painting.rename_class("sand", "dune").color_class("dune", "#0a0B0c")
    assert renamed.classes == ("sky", "sea", "dune")
    assert (renamed.seeds == painting.seeds).all()
    assert (tints(renamed)[2] * 255).round().tolist() == [10, 11, 12]
    again = blank().load("a.json", renamed.strokes_json())
    assert (tints(again) == tints(renamed)).all()
    left = renamed.remove_class("sky")
    assert left.classes == ("sea", "dune")
    assert ((left.seeds == 1) == (painting.seeds == 2)).all()
    assert (left.seeds == 0).sum() == 0
    for change, words in (
        (lambda: renamed.rename_class("dune", "sea"), "not in use"),
        (lambda: left.remove_class("sea"), "two classes are the least"),
        (lambda: left.color_class("sea", "red"), "#RRGGBB"),
        (lambda: left.rename_class("moon", "x"), "class: expected one of"),
    ):
        with pytest.raises(ValueError, match=words):
            change()


@pytest.mark.parametrize("coarser", [1, 2])
def test_a_preview_s_predictions_have_the_new_distances_and_the_old_colours(monkeypatch, session, coarser):
    """They are the full model's with the mixtures of before the strokes, on coarser cells nearly, also after the eraser."""
    monkeypatch.setattr("toykit.explore.painting.previews.COARSER", coarser)
    session.previews = previews = Previews(session.small)
    session.solve(preview=False)
    name = session.painting.classes[1]
    image, before = session.sample().tensors()
    old = fit_photo(image[0], before[0])
    for change in (STROKE | {"class": name}, STROKE | {"class": name, "erase": True, "points": [[40, 60], [90, 60]]}):
        do(session, change)
        seeds = session.sample().tensors()[1]
        assert (seeds != before).any()
        new = fit_photo(image[0], seeds[0])
        expected, unchanged = (
            cell_logits(
                replace(old, evidence=model.evidence).logits(image[0], len(session.painting.classes))[None],
                seeds,
                coarser,
            )
            for model in (new, old)
        )
        given = previews.logits(session.painting.classes, seeds)
        if coarser == 1:
            assert torch.allclose(given, expected, atol=1e-3)
        else:
            assert (given - expected).abs().mean() < 0.3 * (unchanged - expected).abs().mean()


def test_a_preview_has_no_predictions_before_the_first_full_solution_and_for_other_classes(session):
    seeds, anew = session.sample().tensors()[1], Previews(session.small)
    classes = session.painting.classes
    assert session.previews.logits(classes, seeds) is not None
    assert anew.logits(classes, seeds) is None
    for other in (0, 255):  # a class that has no seed, or none any more
        assert session.previews.logits(classes, seeds.where(seeds != 1, other)) is None
    assert session.previews.logits(classes[::-1], seeds) is None


def test_a_preview_follows_classes_that_are_added_painted_deleted_and_brought_back(session):
    name = session.painting.classes[1]
    for change in (
        {"do": "class", "name": "zebra"},
        STROKE | {"class": "zebra"},
        {"do": "undo"},
        {"do": "remove", "name": name},
        {"do": "undo"},
    ):
        do(session, change)
        session.solve(True)
        assert not session.error
        assert session.labels is not None
        assert session.labels.shape[1] == len(session.painting.classes)


def test_a_preview_s_edges_follow_the_bandwidth(session):
    seeds, classes, labels = session.sample().tensors()[1], session.painting.classes, {}
    before = replace(session.settings, bandwidth=9.0).energy()
    for bandwidth in (9.0, 30.0):
        energy, given = replace(session.settings, bandwidth=bandwidth).energy(), []
        for forgets in (False, True):  # the edges of the full solution
            previews = Previews(session.small)
            previews.remember(classes, seeds, torch.zeros_like(session.labels), session.labels, before, "torch")
            previews._edges = None if forgets else previews._edges
            given.append(previews.labels(classes, seeds, energy, "torch")[0])
        assert torch.equal(*given)
        labels[bandwidth] = given[0]
    assert not torch.equal(labels[9.0], labels[30.0])


def test_a_preview_does_not_go_back_to_a_solution_before_the_last(session):
    session.solve(False)
    assert session.previews._settled is not None
    session.settings = replace(session.settings, eta=0.0)
    session.solve(False)
    assert session.previews._settled is None
    session.settings = replace(session.settings, eta=0.3)
    session.solve(True)
    assert session.previews._settled is None
    session.solve(False)
    assert session.previews._settled is not None


@pytest.mark.parametrize("cells", [192, 24])
def test_previews_stay_at_a_solution_and_move_towards_the_next_one(session, monkeypatch, cells):
    """Also on cells of 2 x 2 pixels, where seeds are exact nevertheless."""
    monkeypatch.setattr("toykit.mixture_model.position.CELLS", cells)
    session.previews = Previews(session.small)
    session.solve(False)
    before = session.labels
    session.solve(True)
    assert (session.labels - before).abs().mean() < 0.005
    do(session, STROKE | {"class": session.painting.classes[3], "points": [[50, 55], [90, 55]]})
    do(session, STROKE | {"erase": True, "points": [[60, 50], [60, 60]]})
    previews, seeds = [], session.sample().tensors()[1][0]
    for _ in range(2):  # the second begins at the first
        session.solve(True)
        previews.append(session.labels)
        assert session.labels.min() >= 0
        assert torch.allclose(session.labels.sum(1), torch.ones(()), atol=1e-5)
        for k in range(4):
            assert (session.labels[0, k][seeds == k] == 1).all()
    session.solve(False)

    def error(labels):
        return (labels - session.labels).abs().sum(1)[0, seeds == 255].mean()

    for preview in previews:
        assert error(preview) < 0.8 * error(before)


def test_previews_leave_what_does_not_change_as_it_was(session):
    assert session.previews.stride == 2
    settled = session.labels
    labels, change = settled.clone(), torch.zeros_like(settled[..., ::2, ::2])
    change[0, :2, 5, 7] = torch.tensor([0.5, -0.5])
    session.previews._add(change, labels)
    assert torch.equal(settled, session.labels)
    rest = torch.ones(settled.shape[2:], dtype=torch.bool)
    rest[8:14, 12:18] = False
    assert torch.equal(labels[..., rest], settled[..., rest])
    pixel = (
        settled[0, :, 10, 14] + 0.75**2 * change[0, :, 5, 7]
    )  # a quarter of a cell from its middle in both directions
    expected = pixel.clamp_min(0)
    assert torch.allclose(labels[0, :, 10, 14], expected / expected.sum())


def test_small_seeds_are_where_seeds_are():
    seeds = two_strokes().paint("sea", 1, [(11, 8)]).seeds
    small = small_seeds(seeds, (8, 6), 3)
    cells = seeds.reshape(6, 3, 8, 3)
    assert ((small < 255) == (cells < 255).any((1, 3))).all()  # a thin stroke stays
    assert small[2, 3] == 1
    for k in (0, 2):
        assert (cells[(small == k).nonzero()[0], :, (small == k).nonzero()[1]] == k).any((1, 2)).all()


def put(shown, place, content):
    """Put an update of the strokes' layer into a picture (H, W, 4), as the page does."""
    left, top, *size = place
    if size:
        part = np.frombuffer(content, np.uint8).reshape(size[1], size[0], 4)
    else:
        part = np.array(Image.open(io.BytesIO(content)).convert("RGBA"))
    shown[top : top + part.shape[0], left : left + part.shape[1]] = part


@pytest.mark.parametrize("most_raw", [0, 120, 10_000])
@given(marks=st.lists(st.tuples(st.sampled_from([*CLASSES, None]), st.integers(1, 6), points), max_size=4))
def test_updates_of_the_seeds_layer_add_up(most_raw, marks):
    """Drawing each changed rectangle, a file or not, over the last picture is drawing the last painting at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toykit.explore.painting.pictures.MOST_RAW", most_raw)
        layer, painting = SeedsLayer(), blank()
        shown, whole = np.zeros((2, HEIGHT, WIDTH, 4), np.uint8)
        put(shown, *layer.update(painting))
        for mark in marks:
            painting = painting.paint(*mark)
            if (update := layer.update(painting)) is not None:
                put(shown, *update)
        place, content = SeedsLayer().update(painting)
    assert (len(place) == 4) == (most_raw >= HEIGHT * WIDTH)
    put(whole, place, content)
    assert (shown == whole).all()
    assert ((whole[..., 3] == 255) == (painting.seeds < 3)).all()
    colors = (tints(painting) * 255).round()
    assert (whole[painting.seeds < 3, :3] == colors[painting.seeds[painting.seeds < 3]]).all()


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5), st.integers(0, 3), st.integers(0, 255)), max_size=4))
def test_updates_of_the_labels_layer_add_up(changes):
    """Putting each changed rectangle, the smallest that has all changes, into the last layer gives the new one."""
    layers, now = LabelsLayer(), np.zeros((6, 7, 4), np.uint8)
    place, pixels = layers.update(now)
    assert (place, len(pixels)) == ((0, 0, 7, 6), now.nbytes)
    shown = now.copy()
    for columns, rows, channel, value in changes:
        before, now = now, now.copy()
        now[rows, columns, channel] = now[0, 0, channel] = value
        changed = (before != now).any(-1)
        update = layers.update(now)
        assert (update is None) == (not changed.any())
        if update is not None:
            (left, top, width, height), pixels = update
            shown[top : top + height, left : left + width] = np.frombuffer(pixels, np.uint8).reshape(height, width, 4)
            assert (height, width) == tuple(int(np.ptp(places)) + 1 for places in changed.nonzero())
        assert (shown == now).all()
    layers.forget()
    assert layers.update(now) == ((0, 0, 7, 6), now.tobytes())


def test_the_label_layer_over_the_grey_photo_is_the_label_picture():
    painting = two_strokes()
    labels = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    labels = labels / labels.sum(1, keepdim=True)
    layer = label_layer(labels, "soft", tints(painting), (1, 1)) / 255
    grey = (painting.image @ LUMINANCE / 255)[..., None]
    share = OPACITY * layer[..., 3:]
    expected = label_picture(painting.image, labels, tints(painting))
    assert np.abs(grey * (1 - share) + share * layer[..., :3] - expected).max() < 0.01


def test_a_session_keeps_the_photo_s_size_and_shows_alpha_as_it_is_used(session):
    clear = np.zeros((60, 80, 4), np.uint8)
    clear[:, 40:] = (10, 20, 30, 255)
    half = png(clear)
    act(session, [{"do": "piece", "first": True, "file": 0}], [half[:100]])
    act(session, [{"do": "upload", "name": "clear.png", "file": 0}], [half[100:]])
    assert session.error == ""
    assert session.painting.size == (80, 60)
    assert session.state()["solved"] == [48, 36]
    shown = np.array(Image.open(io.BytesIO(photo_file(session.painting.image))))
    assert (shown[:, :30] > 245).all()  # transparent parts are drawn on white
    assert (abs(shown[:, 50:].astype(int) - (10, 20, 30)) < 12).all()


def test_a_restored_document_with_later_steps_is_the_painting(session):
    do(session, STROKE)
    document = session.painting.strokes_json().decode()
    steps = [STROKE | {"class": "eye", "points": [[30, 30]]}, {"do": "undo"}, {"do": "redo"}, STROKE | {"erase": True}]
    do(session, *steps)
    seeds = session.painting.seeds
    other = Session("chelsea", 48, scribbles=True)
    other.open(replace(session.painting, marks=(), previous=None))
    act(other, [{"do": "restore", "document": document}, *steps])
    assert (other.painting.seeds == seeds).all()


def test_an_undo_after_a_restore_takes_back_one_mark(session):
    first = session.painting
    do(session, STROKE)
    document = session.painting.strokes_json().decode()
    other = Session("chelsea", 48, scribbles=True)
    other.open(replace(first, marks=(), previous=None))
    act(other, [{"do": "restore", "document": document}, {"do": "undo"}, STROKE | {"points": [[30, 30]]}])
    assert other.error == ""
    assert other.painting.marks[:-1] == first.marks
    do(other, *[{"do": "undo"}] * (len(first.marks) + 1))
    assert other.painting.marks == ()


def test_the_same_strokes_are_the_same_document():
    painting = blank().paint("sea", 4, [(3, 3)])
    assert blank().load("a.json", painting.strokes_json()).strokes_json() == painting.strokes_json()


def test_a_mark_made_before_its_class_was_renamed_keeps_its_class(session):
    number = session.painting.classes.index("cat fur")
    do(session, {"do": "rename", "name": "cat fur", "to": "tiger"}, {"do": "remove", "name": "background"}, STROKE)
    assert session.painting.classes[number - 1] == session.painting.marks[-1].label == "tiger"


def test_the_page_gets_an_answer_whatever_happens(monkeypatch):
    widget_module = pytest.importorskip("toykit.explore.painting.widget", reason="needs anywidget")
    monkeypatch.setattr(widget_module, "compile_loops", lambda: None)
    widget, sent = widget_module.PainterWidget("chelsea", 48, True), []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append(content["kind"]))
    monkeypatch.setattr(Session, "solve", lambda *_: 1 / 0)
    widget.answer([{"do": "settle"}], [])
    assert sent == ["done"]
    assert "ZeroDivisionError" in widget.state["error"]
    assert widget.labels.shown is widget.seeds.shown is None  # the next answer has whole pictures
    monkeypatch.setattr(Session, "solve", lambda *_: None)
    widget.answer([STROKE], [])
    assert sent.count("done") == 1
    assert "pictures" in sent
    assert widget.state["error"] == ""


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
        (stroke | {"class": "moon"}, [], "; got 'moon'"),
        ({"do": "load", "name": "y.json", "file": 3}, [], "index out of range"),
    ):
        before = session.painting
        assert act(session, [action], files) == {}
        assert words in session.state()["error"]
        assert session.painting is before
    act(session, [{"do": "upload", "name": "chelsea.png", "file": 0}], [content])
    assert session.state()["error"] == ""
    assert session.state()["photo"] == "my_chelsea"
    assert session.painting.size == (60, 40)  # its own
    assert session.state()["solved"] == [48, 32]
    session.solve(preview=False)
    assert "paint a stroke" in session.state()["error"]
    act(session, [{"do": "export", "kind": "npz"}])
    assert "nothing to export" in session.state()["error"]
    assert not session.layer().any()


def bomb(width, height, mode=0):
    """The start of a PNG that claims a size: decoding it fails for another reason than its size."""
    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 9)), (b"IEND", b"")]
    pieces = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def test_an_upload_that_is_too_large_is_refused_before_it_is_decoded(session, monkeypatch):
    before = session.painting
    for content, words in (
        (bomb(9000, 9000), "x.png: cannot be read as a picture (it has 9000 x 9000 pixels; expected at most 50000000"),
        (bomb(60000, 60000), "x.png: cannot be read as a picture (Image size (3600000000 pixels) exceeds limit"),
        (png(np.zeros((60, 1, 3), np.uint8)), "x.png: 1 x 60 pixels are too few to paint on"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nquit\n", "PostScript is a program"),
    ):
        act(session, [{"do": "upload", "name": "x.png", "file": 0}], [content])
        assert words in session.error
        assert session.painting is before
    act(session, [{"do": "load", "name": "x.png", "file": 0}], [bomb(9000, 9000, 2)])
    assert "expected an indexed PNG (mode P or L) of class ids, got mode RGB" in session.error  # not: damaged
    act(session, [{"do": "load", "name": "x.png", "file": 0}], [bomb(9000, 9000)])
    assert "x.png: cannot be read as a PNG (it has 9000 x 9000 pixels; expected at most 50000000" in session.error
    monkeypatch.setattr("toykit.explore.painting.requests.MOST_UPLOADED", 1000)
    photo = png(np.arange(1200, dtype=np.uint8).reshape(20, 20, 3))
    pieces = [photo[:50], photo[50:90], photo[90:]]
    sent = [{"do": "piece", "first": k == 0, "file": k} for k in range(2)]
    upload = {"do": "upload", "name": "y.png", "file": 2}
    for first, kept in ((pieces, True), ([pieces[0], b"x" * 1000, pieces[2]], False), (pieces, True)):
        act(session, [*sent, upload], first)
        assert ("y.png: more than 0.001 MB" not in session.error) == kept
        assert session.pieces == []
    for _ in range(9):  # a page that only sends pieces does not fill the memory
        act(session, [{"do": "piece", "first": False, "file": 0}], [b"x" * 600])
    assert sum(map(len, session.pieces)) <= 1000


def test_one_visitor_s_strokes_do_not_reach_another_s():
    """In one process, which is more than two visitors share: Voila starts a kernel per visit (see tests/browser)."""
    mine, theirs = (Session("chelsea", 48, scribbles=False) for _ in range(2))
    act(
        mine,
        [STROKE | {"class": mine.painting.classes[0]}, {"do": "class", "name": "mine"}, {"do": "view", "name": "hard"}],
    )
    assert mine.state()["marks"] == 1
    state = theirs.state()
    assert (state["marks"], state["seeded"], state["can_undo"], state["view"]) == (0, 0, False, "soft")
    assert "mine" not in theirs.painting.classes


def test_a_session_exports_and_undoes(session):
    seeds = session.painting.seeds.copy()
    act(session, [STROKE, STROKE | {"erase": True}, {"do": "undo"}, {"do": "undo"}])
    assert (session.painting.seeds == seeds).all()
    (content,) = act(session, [{"do": "export", "kind": "npz"}]).values()
    labels = np.load(io.BytesIO(content))["labels"]
    assert labels.shape[1:] == seeds.shape  # at the photo's own size
    assert np.allclose(labels.sum(0), 1, atol=1e-5)
    (content,) = act(session, [{"do": "export", "kind": "png"}]).values()
    assert np.array(Image.open(io.BytesIO(content))).shape == (*seeds.shape, 3)
    assert list(act(session, [{"do": "save", "kind": "json"}])) == ["chelsea_scribbles.json"]
    act(session, [{"do": "clear"}])
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


def test_the_state_is_json(session):
    assert json.loads(json.dumps(session.state())) == session.state()

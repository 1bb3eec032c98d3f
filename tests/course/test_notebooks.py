"""The course's notebooks keep their contract, and running them headlessly does what it says."""

import base64
import io
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from helpers.notebooks import make_notebook
from PIL import Image, ImageColor

from toykit._shared.palette import LINE_COLORS, NEUTRAL_COLORS
from toykit.course import runner
from toykit.course.notebooks import find, in_few_colors, parameters, parse_value, plan, read, store
from toykit.course.runner import METRICS, WIDGET, Result, format_runs, run

COURSE = find()
#: "`name` in [file](../toykit/file.py)" or "`a`, `b` and `c` in [file](../toykit/file.py)"; lines may break anywhere.
CODE = re.compile(r"((?:`\w+`(?:,\s+|\s+and\s+)?)+)\s+in\s+\[[^\]]+\]\((\.\./toykit/[\w/]+\.py)\)")


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
class TestContract:
    def test_first_cell_says_what_and_for_whom(self, path):
        first = read(path).cells[0].source
        number = path.stem[:2]
        assert first.startswith(f"# {number} · ")
        for promise in ("**Question.**", "**In the paper:**", "**Afterwards you can**", "**You need**", "**Run time**"):
            assert promise in first, promise

    def test_one_cell_of_literal_parameters_with_smoke(self, path):
        tagged = [cell for cell in read(path).cells if "parameters" in cell.metadata.get("tags", [])]
        assert len(tagged) == 1
        assert parameters(path)["smoke"] is True

    def test_ends_in_asserts_numbers_and_the_next_step(self, path):
        cells = read(path).cells
        last_code = [cell for cell in cells if cell.cell_type == "code"][-1].source
        assert "assert " in last_code
        assert "record(" in last_code
        assert "**What to remember.**" in cells[-1].source
        linked = re.findall(r"\((\d\d_\w+\.ipynb)\)", "".join(cell.source for cell in cells))
        assert all((path.parent / name).is_file() for name in linked)

    def test_asks_before_it_shows_and_sets_exercises(self, path):
        text = "\n".join(cell.source for cell in read(path).cells)
        assert re.search("predict", text, re.IGNORECASE)
        assert text.count("<details><summary>Solution</summary>") >= 2

    def test_some_cell_is_really_compared(self, path):
        marked = [cell for cell in read(path).cells if cell.source.startswith("# NBVAL_CHECK_OUTPUT")]
        assert marked
        for cell in marked:
            assert cell.outputs
            assert all(out.output_type == "stream" for out in cell.outputs)

    def test_stored_run_is_whole_small_and_free_of_times_paths_and_widgets(self, path):
        assert path.stat().st_size < 600_000  # line art has twice the resolution
        notebook = read(path)
        counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
        assert counts == list(range(1, len(counts) + 1))
        assert set(notebook.metadata) == {"kernelspec", "language_info"}
        for cell in notebook.cells:
            assert set(cell.metadata) <= {"tags"}
            for out in cell.get("outputs", []):
                assert out.output_type != "error"
                assert out.get("name") != "stderr", out.text
                assert WIDGET not in out.get("data", {})
        text = path.read_text()
        assert not re.search(r"/(home|root|tmp|work|usr|Users)/", text)

    def test_links_lead_somewhere_and_name_what_is_there(self, path):
        """Each relative link resolves, and each `name` in [file](../toykit/...) is defined in that file."""
        text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
        for target in re.findall(r"\]\((?!https?:|#|attachment:)([^)\s#]+)", text):
            assert (path.parent / target).exists(), target
        for names, target in CODE.findall(text):
            source = (path.parent / target).read_text()
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"^\s*(?:def|class) {name}\b|^{name}\b.*=", source, re.MULTILINE), (
                    f"{name} in {target}"
                )

    def test_no_logic_that_belongs_in_the_package(self, path):
        classes = [cell for cell in read(path).cells if re.search(r"^class ", cell.source, re.MULTILINE)]
        assert not classes


@pytest.mark.parametrize("path", COURSE[:4], ids=lambda path: path.stem)
def test_the_terms_are_linked_to_their_code(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert len(CODE.findall(text)) >= 3
    assert 3 <= text.count("<details><summary>Solution</summary>") <= 5
    assert len(re.findall("predict", text, re.IGNORECASE)) >= 3


def text_of(number):
    return " ".join("\n".join(cell.source for cell in read(COURSE[number]).cells).split())


def test_the_solvers_warm_up_is_told_as_it_is():
    from toykit.solvers.block_descent.listed import WARM_UP

    assert WARM_UP == 12
    assert "start with up to twelve sweeps on Q" in text_of(4)


def test_the_stored_run_orders_methods_as_its_text_says():
    outputs = [
        out for cell in read(COURSE[8]).cells for out in cell.get("outputs", []) if "mIoU  " in out.get("text", "")
    ]
    header, mious = outputs[0].text.splitlines()[1:3]
    values = dict(zip(header.split(), mious.removeprefix("mIoU").split(), strict=True))
    last = min(values, key=lambda method: float(values[method].rstrip("%")))
    assert f"In the stored run `{last}` has the lowest mIoU." in text_of(8)


def test_the_checker_of_links_sees_names():
    text = "(`softmax` and `one_hot` in [toykit/simplex.py](../toykit/simplex.py)); `x` elsewhere"
    assert [(re.findall(r"`(\w+)`", names), target) for names, target in CODE.findall(text)] == [
        (["softmax", "one_hot"], "../toykit/simplex.py")
    ]


def test_notebooks_are_found_by_number_name_and_file():
    numbers = [path.stem[:2] for path in COURSE]
    assert numbers == [f"{number:02}" for number in range(len(numbers))]  # in teaching order, none missing, none twice
    assert find(("04",)) == find(("04_random_walker",)) == find(("04_random_walker.ipynb",)) == [COURSE[4]]
    assert find((str(COURSE[1]), "00")) == [COURSE[1], COURSE[0]]
    for name in ("99", "", "0", "4_random"):
        with pytest.raises(ValueError, match="expected one of 00_start_here"):
            find((name,))


def test_parameters_are_literals_with_their_types(tmp_path):
    assert parameters(make_notebook(tmp_path / "m.ipynb", "b: float = 2.0\nc = None")) == {"b": 2.0, "c": None}
    source = 'smoke = True\nsteps = 200  # of the solver\nlr = 0.075\nphoto = "cat"\nsizes = (1, 2)'
    path = make_notebook(tmp_path / "n.ipynb", source)
    assert parameters(path) == {"smoke": True, "steps": 200, "lr": 0.075, "photo": "cat", "sizes": (1, 2)}


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("1e-3", 0.075, 1e-3),
        ("2", 0.075, 2.0),
        ("7", 200, 7),
        ("false", True, False),
        ("True", False, True),
        ("007", "cat", "007"),
        ("[3, 4]", (1, 2), (3, 4)),
        ("5", None, 5),
        ("cat", None, "cat"),
    ],
)
def test_values_take_the_type_of_their_default(text, default, value):
    parsed = parse_value("x", text, default)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(("text", "default"), [("abc", 200), ("0.5", 200), ("1", True), ("true", 1.0), ("3", (1, 2))])
def test_values_of_another_type_are_refused(text, default):
    with pytest.raises(ValueError, match=f"parameter x: expected {type(default).__name__} like"):
        parse_value("x", text, default)


def test_plan_gives_parameters_to_those_who_have_them(tmp_path):
    a = make_notebook(tmp_path / "a.ipynb", "smoke = True\nsteps = 200")
    b = make_notebook(tmp_path / "b.ipynb", "eta = 0.3")
    assert plan([a, b], {"steps": "5"}, full=True) == [{"smoke": False, "steps": 5}, {}]
    with pytest.raises(ValueError, match="parameter 'stesp': the chosen notebooks have eta, smoke, steps"):
        plan([a, b], {"stesp": "5"}, full=False)
    (tmp_path / "c.ipynb").write_text("{")
    (tmp_path / "d.ipynb").write_text('{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}')
    for name in ("c.ipynb", "d.ipynb"):
        with pytest.raises(ValueError, match=f"{name}: not a notebook"):
            parameters(tmp_path / name)
    for source in ("a = = 1", "a = b", "import os", "a.b = 1"):
        with pytest.raises(ValueError, match=r"e\.ipynb: its parameters cell should contain only literals"):
            parameters(make_notebook(tmp_path / "e.ipynb", source))


def test_run_keeps_going_and_writes_everything(tmp_path):
    good = make_notebook(
        tmp_path / "good.ipynb",
        "number = 1",
        "from toykit.course.runner import record\nrecord(double=2 * number)",
        "import ipywidgets\nipywidgets.IntSlider()",
    )
    bad = make_notebook(tmp_path / "bad.ipynb", "number = 1", "print('so far')", "1 / 0", "print('never')")
    output = tmp_path / "out"
    failed, ok = run([bad, good], [{}, {"number": 21}], output, progress=False)
    assert (failed.status, ok.status) == ("failed", "ok")
    assert "ZeroDivisionError" in failed.error
    assert ok.metrics == {"double": 42.0}
    assert "so far" in (output / "bad.ipynb").read_text()  # what it had computed
    executed = read(output / "good.ipynb")
    assert "widgets" not in executed.metadata
    assert not any(WIDGET in out.get("data", {}) for cell in executed.cells for out in cell.get("outputs", []))
    content = json.loads((output / "metrics.json").read_text())
    assert content["notebooks"]["good"]["metrics"] == {"double": 42.0}
    assert content["notebooks"]["good"]["parameters"] == {"number": 21}
    assert content["notebooks"]["bad"]["status"] == "failed"
    assert set(content["versions"]) == {"toykit", "torch", "numpy", "scipy"}
    lines = format_runs([failed, ok]).splitlines()
    assert lines[1].startswith("bad       failed")
    assert "double 42" in lines[2]
    assert lines[3].startswith("bad: cell 3: ZeroDivisionError")


def test_an_interrupted_run_keeps_what_was_there(tmp_path, monkeypatch):
    import papermill

    paths = [
        make_notebook(tmp_path / f"{n}.ipynb", "n = 1", "from toykit.course.runner import record\nrecord(n=n)")
        for n in "abc"
    ]
    output = tmp_path / "out"
    run(paths, [{}, {}, {}], output, progress=False)
    before, execute = (output / "b.ipynb").read_text(), papermill.execute_notebook

    def interrupt(source, target, **options):
        if Path(source).name == "b.ipynb":
            Path(target).write_text("{")
            raise KeyboardInterrupt
        return execute(source, target, **options)

    monkeypatch.setattr(papermill, "execute_notebook", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(paths[:2], [{"n": 2}, {"n": 2}], output, progress=False)
    assert (output / "b.ipynb").read_text() == before
    assert sorted(path.name for path in output.iterdir()) == ["a.ipynb", "b.ipynb", "c.ipynb", "metrics.json"]
    metrics = output / "metrics.json"
    numbers = {name: entry["metrics"] for name, entry in json.loads(metrics.read_text())["notebooks"].items()}
    assert numbers == {"a": {"n": 2}, "b": {"n": 1}}  # c is not of this run
    metrics.write_text(metrics.read_text().replace('"torch": "', '"torch": "another '))
    with pytest.raises(KeyboardInterrupt):
        run(paths[:2], [{}, {}], output, progress=False)
    # numbers of other versions are not mixed with these
    assert set(json.loads(metrics.read_text())["notebooks"]) == {"a"}
    target = output / "a.ipynb"
    assert json.loads(target.read_text())["metadata"]["papermill"]["output_path"] == str(target)


def test_a_result_over_the_limit_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SIZE_LIMIT", 1000)
    path = make_notebook(tmp_path / "large.ipynb", "smoke = True", "print('x' * 2000)")
    (result,) = run([path], [{}], tmp_path / "out", progress=False)
    assert result.status == "large"
    assert result.bytes > 1000
    assert "large: over 0.001 MB: large.ipynb" in format_runs([result])


def test_a_kernel_that_dies_is_a_failed_notebook(tmp_path):
    path = make_notebook(tmp_path / "dies.ipynb", "smoke = True", "import os\nos._exit(1)")
    (result,) = run([path], [{}], tmp_path / "out", progress=False)
    assert result.status == "failed"
    assert "DeadKernelError" in result.error


def test_storing_cleans_times_and_paths(tmp_path):
    path = make_notebook(tmp_path / "n.ipynb", "smoke = True", "print(1)")
    (result,) = run([path], [{}], tmp_path / "out", progress=False, in_place=True)
    assert result.status == "ok"
    stored = read(path)
    assert stored.cells[1].outputs[0].text == "1\n"
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert [dict(cell.metadata) for cell in stored.cells] == [{"tags": ["parameters"]}, {}]
    assert path.read_text().endswith("}\n")
    before = path.read_text()
    store(read(path), path)
    assert path.read_text() == before  # nothing left to clean


def test_drawings_of_a_run_have_few_colours(tmp_path):
    drawing = "import matplotlib.pyplot as plt\n%matplotlib inline\nplt.plot([0, 1]);"
    (result,) = run(
        [make_notebook(tmp_path / "n.ipynb", "smoke = True", drawing)], [{}], tmp_path / "out", progress=False
    )
    assert result.status == "ok"
    outputs = [out for cell in read(tmp_path / "out" / "n.ipynb").cells for out in cell.get("outputs", [])]
    (picture,) = (out for out in outputs if "image/png" in out.get("data", {}))
    assert Image.open(io.BytesIO(base64.b64decode(picture.data["image/png"]))).mode == "P"


def test_few_colours_keep_white_and_those_of_lines():
    """Also where a photo has most of the pixels, as in a figure with both."""
    generator = np.random.default_rng(0)
    picture = np.full((80, 120, 3), 255, np.uint8)
    picture[:, 40:] = generator.integers(0, 256, (80, 80, 3))
    colors = [ImageColor.getrgb(color) for color in (*LINE_COLORS, *NEUTRAL_COLORS)]
    for number, color in enumerate(colors):
        picture[4 * number, :3] = color
    drawing = io.BytesIO()
    Image.fromarray(picture).save(drawing, "PNG")
    few = in_few_colors(base64.b64encode(drawing.getvalue()).decode())
    with Image.open(io.BytesIO(base64.b64decode(few))) as image:
        assert image.mode == "P"
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) <= 128
    assert (shown[1::4, :40] == 255).all()
    for number, color in enumerate(colors):
        assert (shown[4 * number, :3] == color).all()
    assert np.abs(shown - picture).mean() < 20  # noise is the worst case


def test_stored_drawings_are_small_and_look_the_same(tmp_path):
    figure, axis = plt.subplots()
    for number, color in enumerate(LINE_COLORS):
        axis.plot([0, 1], [number, 2 * number], color=color)
    drawing = io.BytesIO()
    figure.savefig(drawing, format="png")
    plt.close(figure)
    path = make_notebook(tmp_path / "n.ipynb", "smoke = True")
    notebook = read(path)
    png = base64.b64encode(drawing.getvalue()).decode()
    notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", data={"image/png": png})]
    store(notebook, path)
    stored = base64.b64decode(read(path).cells[0].outputs[0].data["image/png"])
    before, after = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int) for data in (drawing.getvalue(), stored)
    )
    assert len(stored) < len(drawing.getvalue()) / 2
    assert np.abs(before - after).max() <= 32
    store(read(path), path)
    assert base64.b64decode(read(path).cells[0].outputs[0].data["image/png"]) == stored


def test_recorded_numbers_show_as_text(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    runner.record(accuracy=0.5, steps=3)
    assert shown == [{METRICS: {"accuracy": 0.5, "steps": 3.0}, "text/plain": "accuracy: 0.5\nsteps: 3"}]
    runner.record(lost=float("nan"))
    assert shown[1] == {METRICS: {"lost": None}, "text/plain": "lost: nan"}
    assert "lost nan" in format_runs([Result("n", "ok", 1.0, {"lost": None})])

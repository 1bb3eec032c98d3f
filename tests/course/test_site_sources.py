"""What the site is made of: notebooks with described pictures, the gallery, formulas; and what its command refuses."""

import base64
import json
import sys
from io import BytesIO

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from toykit.cli import main
from toykit.course.notebooks import find, read
from toykit.course.runner import METRICS
from toykit.course.site import build
from toykit.course.site.build import check_output, collect
from toykit.course.site.gallery import first_cell, first_picture, headline_numbers, write_gallery
from toykit.course.site.mathml import to_mathml
from toykit.course.site.notebooks import prepared

FIRST = """# 09 · A & B

**Question.** Is $a < b$?

**In the paper:** Fig. 9.

**Afterwards you can** add.

**You need** [00](00_a.ipynb). **Run time** on two cores: long."""


def picture(width=20):
    file = BytesIO()
    Image.new("RGB", (width, 10), (200, 30, 30)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def example(below="The **edge** is $\\sigma$ sharp. More.", width=20):
    data = {"image/png": picture(width), "text/html": "<script>draw()</script>", "text/plain": "in words"}
    numbers = {METRICS: {"share": 0.123456, "none": None}, "text/plain": "share: 0.123456"}
    outputs = [new_output("display_data", data=data), new_output("display_data", data=numbers)]
    cells = [new_markdown_cell(FIRST), new_code_cell("pass", outputs=outputs), new_markdown_cell(below)]
    return new_notebook(cells=cells)


def test_pictures_are_described_and_need_no_script():
    notebook = example()
    cell = prepared(notebook).cells[1]
    assert cell.metadata["mystnb"]["image"]["alt"] == "Figure 1: 09 · A & B: The edge is sigma sharp."
    assert set(cell.outputs[0].data) == {"image/png", "text/plain"}
    assert set(cell.outputs[1].data) == {"text/plain"}
    assert "text/html" in notebook.cells[1].outputs[0].data  # the notebook itself is left as it was
    live = new_output("display_data", data={"text/html": "<script>draw()</script>", "text/plain": "in words"})
    kept = prepared(new_notebook(cells=[new_code_cell("pass", outputs=[live])])).cells[0].outputs[0]
    assert "text/html" in kept.data  # no picture would be left
    alone = prepared(example("## A new section")).cells[1]
    assert alone.metadata["mystnb"]["image"]["alt"] == "Figure 1: 09 · A & B"


def test_the_first_cell_is_taken_apart():
    title, entries = first_cell(example(), "09_ab")
    assert title == "09 · A & B"
    assert entries == {
        "Question": "Is $a < b$?",
        "In the paper": "Fig. 9.",
        "Afterwards you can": "add.",
        "You need": "[00](00_a.ipynb).",
        "Run time": "on two cores: long.",
    }
    assert first_cell(new_notebook(), "bare") == ("bare", {})
    for path in find():
        title, entries = first_cell(read(path), path.stem)
        assert title.startswith(path.stem[:2])
        assert {"Question", "In the paper", "Run time"} <= set(entries)


def test_thumbnails_are_narrow():
    assert Image.open(BytesIO(first_picture(example(width=2000)))).width == 840
    assert first_picture(new_notebook()) == b""


def test_the_gallery_says_how_each_run_ended(tmp_path):
    runs = {
        "00_a": {"status": "ok", "seconds": 45.0},
        "01_b": {"status": "failed", "seconds": 130.0, "error": "cell 3: ValueError: a < b\nmore"},
    }
    (tmp_path / "metrics.json").write_text(json.dumps({"notebooks": runs}))
    write_gallery(tmp_path / "gallery.md", {name: example() for name in (*runs, "02_c")}, tmp_path)
    text = (tmp_path / "gallery.md").read_text()
    assert "Notebooks: 2, failed: 1. Together 2.9 minutes." in text
    cards = text.split("\n## ")[1:]
    assert "Run: ok, 45 seconds." in cards[0]
    assert "Run: **failed** after 130 seconds: `cell 3: ValueError: a < b`" in cards[1]
    assert "Run:" not in cards[2]
    assert all("Numbers: share 0.1235, none nan." in card for card in cards)
    assert (tmp_path / "gallery" / "02_c.jpg").is_file()
    write_gallery(tmp_path / "stored.md", {"00_a": example()})
    assert "Run:" not in (tmp_path / "stored.md").read_text()


def test_the_course_records_numbers():
    assert all(headline_numbers(read(path)) for path in find())


def test_formulas_that_cannot_be_drawn_are_errors():
    assert "<msup>" in to_mathml("x^{2}", "inline")
    assert 'display="block"' in to_mathml("x^{2}", "block")
    for tex in ("\\left( x", "\\nosuchcommand{x}"):
        with pytest.raises(ValueError, match="formula"):
            to_mathml(tex, "inline")


def test_a_folder_of_other_files_is_not_replaced(tmp_path):
    check_output(tmp_path / "new")
    check_output(tmp_path)
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(ValueError, match="no site"):
        check_output(tmp_path)
    (tmp_path / build.MARK).touch()
    check_output(tmp_path)
    (tmp_path / ".git").mkdir()
    with pytest.raises(ValueError, match="no site"):
        check_output(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "new")
    with pytest.raises(ValueError, match="is a link"):
        check_output(tmp_path / "link")


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"notebooks": {"00_a": {}}}'])
def test_metrics_that_toykit_run_did_not_write_are_refused_by_name(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.json: expected"):
        write_gallery(tmp_path / "gallery.md", {"00_a": example()}, tmp_path)


def test_executed_notebooks_replace_stored_ones(tmp_path):
    executed = tmp_path / "executed"
    executed.mkdir()
    with pytest.raises(ValueError, match="no notebook of the course"):
        collect(tmp_path / "none", executed)
    nbformat.write(example(), executed / "00_start_here.ipynb")
    (executed / "metrics.json").write_text('{"notebooks": {}}')
    collect(tmp_path / "sources", executed)
    assert "09 · A & B" in (tmp_path / "sources" / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8")
    names = sorted(path.name for path in (tmp_path / "sources" / "notebooks").glob("*.ipynb"))
    assert names == [path.name for path in find()]


def test_an_installed_package_asks_for_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "PACKAGE", tmp_path / "toykit")
    with pytest.raises(ValueError, match=r"no checkout of toykit \(README.md is missing\)"):
        collect(tmp_path / "sources")
    assert not (tmp_path / "sources").exists()


def test_the_command_names_the_extra_that_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "furo", None)
    result = CliRunner().invoke(main, ["site", "-o", str(tmp_path / "site")])
    assert result.exit_code == 2
    assert "pip install -e '.[site]'" in result.output
    assert not (tmp_path / "site").exists()

"""Tables of results: the shipped ones are read completely; faulty files are refused with their names."""

import re

import matplotlib.pyplot as plt
import pytest

from toykit import plots
from toykit._shared.resources import shipped
from toykit.experiments.results import MEASURED, PUBLISHED, by, measured, published, read, summary, write
from toykit.experiments.variants import title


def test_shipped_tables_are_read_completely():
    lengths = {name: len(published(name)) for name in PUBLISHED}
    assert lengths == {"table3": 30, "table4": 6, "table5": 23, "table6": 10}
    assert published("table5")[0]["batch_size"] == 12
    assert published("table5")[0]["neighborhood"] is None
    assert len(measured("presets_toy")) == 24
    files = {path.stem for path in shipped("data", "results").glob("*.csv")}
    assert files <= set(MEASURED)
    assert all(measured(name) for name in files)


def test_every_table_is_described():
    text = (shipped("data", "results") / "README.md").read_text()
    for name, columns in MEASURED.items():
        assert f"| `{name}.csv` | {', '.join(columns)} |" in text


def test_a_missing_table_has_no_rows(tmp_path):
    assert all(measured(name, tmp_path) == [] for name in MEASURED)
    for reader, names in ((measured, MEASURED), (published, PUBLISHED)):
        with pytest.raises(ValueError, match=f"expected one of {', '.join(names)}; got 'table9'"):
            reader("table9")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method,miou\nfull,36.6\n", "expected the columns method, seed, miou; got method, miou"),
        ("", "expected the columns method, seed, miou; got "),
        ("seed,method,miou\n0,full,36.6\n", "expected the columns"),
        ("method,seed,miou\nfull,0\n", "line 2: expected 3 fields"),
        ("method,seed,miou\nfull,0,1,2\n", "line 2: expected 3 fields"),
        ("method,seed,miou\nfull,0,36.6\nfull,x,36.6\n", "line 3: invalid literal"),
        ("method,seed,miou\nfull,0,101\n", "miou should be in percent; got 101 to 101"),
        ("method,seed,miou\nfull,0,nan\n", "miou should be in percent"),
        ("method,seed,miou\nfull,0,0.36\nsoft,0,0.4\n", "miou should be in percent; got 0.36 to 0.4"),
    ],
)
def test_other_tables_are_refused(tmp_path, text, message):
    path = tmp_path / "presets_toy.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}"):
        measured("presets_toy", tmp_path)


def test_other_encodings_are_refused_and_a_byte_order_mark_is_not(tmp_path):
    path = tmp_path / "camvid_blocks.csv"
    for content in (b"method,miou\nfull,\xff\n", b'method,miou\n"full,36.6\n', b"method,miou\n" + 140_000 * b"x"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{re.escape(str(path))}: cannot be read"):
            measured("camvid_blocks", tmp_path)
    path.write_bytes(b"\xef\xbb\xbfmethod,miou\r\nfull,0\r\n")  # an mIoU of 0 is possible
    assert measured("camvid_blocks", tmp_path) == [{"method": "full", "miou": 0.0}]


def test_empty_fields_are_none_and_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("method,seed,miou\nfull,0,36.6\nsoft,0,\nfull,1,37\n")
    rows = read(path, MEASURED["presets_toy"])
    assert rows[1] == {"method": "soft", "seed": 0, "miou": None}
    assert by(rows, "method") == {"full": [36.6, 37.0]}
    assert by(rows, "method", "seed") == {"full, 0": [36.6], "full, 1": [37.0]}
    assert by(rows, "method", value="seed") == {"full": [0, 1], "soft": [0]}


@pytest.mark.parametrize("name", MEASURED)
def test_written_tables_are_read_back(tmp_path, name):
    rows = [{column: kind(number) for column, kind in MEASURED[name].items()} for number in (2, 3)]
    assert write(name, rows, tmp_path) == tmp_path / f"{name}.csv"
    assert measured(name, tmp_path) == rows
    with pytest.raises(ValueError, match="fields not in fieldnames: 'colour'"):
        write(name, [rows[0] | {"colour": 1}], tmp_path)
    assert measured(name, tmp_path) == rows


def test_rows_of_dots_show_values_and_means():
    axis = plots.dot_rows({"a": [1.0, 2.0], "b": [4.0]}, "title", color=1)
    dots, mean, single = axis.lines
    assert (list(dots.get_xdata()), list(dots.get_ydata())) == ([1.0, 2.0], [0, 0])
    assert list(mean.get_xdata()) == [1.5, 1.5]
    assert (list(single.get_xdata()), list(single.get_ydata())) == ([4.0], [1])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]
    assert [text.get_text() for text in axis.texts] == ["mean 1.5", "4.0"]
    axis.figure.draw_without_rendering()
    places = [text.get_window_extent() for text in axis.texts]
    assert all(axis.bbox.x1 < place.x0 and place.x1 < axis.figure.bbox.x1 for place in places)  # no dot is covered
    assert (axis.get_title(), axis.get_xlabel()) == ("title", "mIoU, percent")
    _, given = plt.subplots()
    assert plots.dot_rows({"a": [1.0]}, "title", "accuracy", axis=given) is given
    assert given.lines[0].get_color() != dots.get_color()
    plt.close("all")


def test_variants_are_written_in_words():
    words = {
        title(row["variant"]) for name, columns in MEASURED.items() if "variant" in columns for row in measured(name)
    }
    assert {name for name in words if "_" in name} == {"seeds_only"}  # a method, as the reader types it
    assert {"λ/η = 2000", "λ = 0", "cells of 16 x 16", "bandwidth = auto", "8 neighbours"} <= words
    rows = [{"variant": name, "seed": 0, "miou": 50.0} for name in ("no_potts", "lambda_0")]
    assert summary(rows, "lambda_0").splitlines()[0] == "no Potts term  50.0 (1 run), +0.0 against λ = 0"
    rows.append({"variant": "lambda_0", "seed": 1, "miou": 70.0})  # not among the pairs
    assert summary(rows, "lambda_0").splitlines()[0].endswith(" (1 run), +0.0 against λ = 0 on common seeds")
    rows[0]["seed"] = 1  # as many runs, of other seeds
    assert summary([rows[0], rows[2]], "lambda_0").splitlines()[0].endswith(" (1 run), -20.0 against λ = 0")
    assert "on common seeds" in summary([*rows, rows[0] | {"seed": 2}], "lambda_0").splitlines()[0]
    axis = plots.dot_rows({"no_potts": [1.0], "my_own": [2.0]}, "title")
    assert [label.get_text() for label in axis.get_yticklabels()] == ["no Potts term", "my_own"]
    plt.close("all")


def test_curves_by_length_and_above_bilinear():
    rows = [{"relaxation": n, "scribble_length_ratio": x, "miou": m} for n, x, m in
            (("BL", 0.0, 50.0), ("BL", 1.0, 60.0), ("CD", 0.0, 53.0), ("CD", 1.0, 61.0))]  # fmt: skip
    left, right = plots.length_curves(rows).axes
    assert [list(line.get_ydata()) for line in left.lines] == [[50.0, 60.0], [53.0, 61.0]]
    assert [list(line.get_ydata()) for line in right.lines] == [[0.0, 0.0], [3.0, 1.0]]
    plt.close("all")

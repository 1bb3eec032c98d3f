"""Table files: every shipped one expands, each part of a file matters, errors name the place; the table beside the paper's."""

import csv
import functools
import math

import pytest
from scipy import stats

from toykit.experiments.results import STUDY, paired, published, summary
from toykit.neighborhoods import Dense
from toykit.training import load_config
from toykit.training.sweep import load_table, tables
from toykit.training.sweep.results import format_table, paper_number, write_tables

shipped = functools.cache(load_table)  # reading table 3 checks 30 configurations


@pytest.mark.parametrize("name", tables())
def test_every_shipped_table_expands_and_states_its_provenance(name):
    table = shipped(name)
    head = tables()[name].read_text(encoding="utf-8").split("\npreset:")[0]
    assert "Hardware:" in head
    assert "Hours:" in head
    assert table.rows
    for row in table.rows.values():
        one, other = table.config(row, 0), table.config(row, 1)
        assert one != other
        assert table.experiment.with_seed(other, 0) == one
    if table.paper:
        numbers = [paper_number(table, row) for row in table.rows.values()]
        assert set(numbers) - {None} <= {row["miou"] for row in published(table.paper)}


def test_table_3_is_the_papers_grid():
    table = shipped("table3")
    assert len(table.rows) == 30
    config = table.config(table.rows["CD_0.3"], 7)
    assert (config.energy.relaxation, config.supervision.ratio, config.run.seed) == ("CD", 0.3, 7)
    assert paper_number(table, table.rows["CD_0.3"]) == 65.52


def test_table_4s_cells_on_the_toy_set_follow_the_rule():
    table = shipped("table4_toy")
    base, dense_lam = load_config("toy"), 6.6e-5 * (512 / 64) ** 2 * 10
    for name, row in table.rows.items():
        method, edges = name.split("_")
        config = table.config(row, 0)
        assert config.method == {"gd": "gradient_descent"}.get(method, method)
        assert isinstance(config.energy.build().neighborhood, Dense) == (edges == "DN")
        assert config.energy.relaxation == ("Q" if method == "soft" else "BL")
        assert config.energy.decisiveness == (name != "gd_DN")
        lam = base.energy.lam if edges == "NN" else dense_lam
        assert config.energy.lam == pytest.approx(12 * lam if name == "gd_DN" else lam, rel=0.01)
        assert all(getattr(config, part) == getattr(base, part) for part in ("data", "model", "schedule"))


def read(tmp_path, text, *overrides):
    (tmp_path / "mine.yaml").write_text(text)
    return load_table(tmp_path / "mine.yaml", overrides)


def test_variants_grid_and_seeds_combine(tmp_path):
    table = read(
        tmp_path,
        "overrides: {schedule.lr: 1e-3}\nvariants: {soft: {}, cut: {method: grid_crf}, other: {preset: camvid}}\n"
        "grid: {energy.lam: [1, 2.5]}\nseeds: [3, 5]\n",
        "schedule.batch=6",
    )
    assert list(table.rows) == ["soft_1", "soft_2.5", "cut_1", "cut_2.5", "other_1", "other_2.5"]
    assert table.seeds == (3, 5)
    configs = {name: table.config(row, 3) for name, row in table.rows.items()}
    assert {c.schedule.lr for c in configs.values()} == {0.001}
    assert {c.schedule.batch for c in configs.values()} == {6}
    assert (configs["cut_2.5"].method, configs["cut_2.5"].energy.lam) == ("hard", 2.5)
    assert configs["cut_1"].solver.method == "graph_cut"
    assert [configs[name].data.kind for name in ("soft_1", "other_1")] == ["toy", "camvid"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("rows: {a: {}}", "unknown key 'rows'; the table has experiment, preset, overrides"),
        ("seeds: 2", "expected variants, a grid, or both"),
        ("variants: {a: {energy.lamda: 3}}", "row a: overrides: unknown key energy.lamda"),
        ("variants: {a: {run.seed: 3}}", "run.seed is set by the sweep"),
        ("variants: {a: {run: {seed: 3}}}", "run.seed is set by the sweep"),
        ("variants: {a: }\ngrid: {run: ['{seed: 3}']}", "run.seed is set by the sweep"),
        ("variants: {a: {space: {'run[seed]': [1, 2]}}}\ntune: {space: {schedule.lr: [1, 2]}}", "run.seed is set by"),
        ("overrides: {data.holdout: 0.1}\nvariants: {a: }", "data.holdout is set by the sweep"),
        ("variants: {a: }\nagainst: b", "against: expected one of a, got 'b'"),
        ("variants: {a: }\nseeds: [1, 1]", "seeds: expected their number or a list of different whole numbers"),
        ("variants: {'a/../b': }", "expected a name of letters"),
        ("grid: {energy.lam: 3}", "grid.energy.lam: expected a list of values, got 3"),
        ("variants: {a: }\npaper: {table: table9}", "paper.table: expected one of table3"),
        ("variants: {a: }\npaper: {table: table3, columns: {relaxation: energy.relaxation}}", "expected one number of table3"),
        ("variants: {a: }\ntune: {space: {energy.lam: 3}}", "expected a list of values or low, high and log; got 3"),
        ("variants: {a: }\ntune: {space: {energy.lam: {low: 3, high: 1}}}", "expected low < high"),
        ("variants: {a: }\ntune: {sampler: grid, space: {energy.lam: {low: 1, high: 3}}}", "the sampler grid takes lists"),
        ("variants: {a: }\ntune: {sampler: best, space: {}}", "tune.sampler: expected"),
        ("variants: {a: !!python/object:os.system {}}", "cannot be read as YAML"),
    ],
)  # fmt: skip
def test_errors_name_the_place(text, match, tmp_path):
    with pytest.raises(ValueError, match=r"mine\.yaml: ") as caught:
        read(tmp_path, text)
    assert match in str(caught.value)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("run.seed=3", "run.seed"), ("run={seed: 3}", "run.seed"), ("run[seed]=3", "run.seed"),
        ("data.holdout=0.2", "data.holdout"), ("data={holdout: 0.2, workers: 0}", "data.holdout"),
    ],
)  # fmt: skip
def test_what_the_sweep_sets_is_not_overridden_by_the_command(override, key, tmp_path):
    with pytest.raises(ValueError, match=rf"overrides: {key} is set by the sweep"):
        read(tmp_path, "variants: {a: }", override)


def test_a_table_that_does_not_exist():
    with pytest.raises(
        FileNotFoundError,
        match="tabel3: neither a file nor a table; the tables are camvid_quick, fig3d, fig3d_toy, fig5",
    ):
        load_table("tabel3")


def rows_of(**scores):
    return [
        dict.fromkeys(STUDY, "") | {"variant": v, "seed": s, "miou": m, "supervision": "scribbles 1"}
        for v, values in scores.items()
        for s, m in enumerate(values)
    ]


def test_intervals_are_students_on_paired_differences(tmp_path):
    one, other = [70.0, 71.0, 69.5, 72.0, 70.5], [68.0, 69.5, 68.5, 69.0, 69.0]
    gain, half = paired(rows_of(a=one, b=other), "a", "b")
    gains = [x - y for x, y in zip(one, other, strict=True)]
    low, high = stats.t.interval(0.95, 4, sum(gains) / 5, stats.sem(gains))
    assert (gain - half, gain + half) == pytest.approx((low, high), abs=2e-3)
    alone = paired(rows_of(a=[3], b=[1]), "a", "b")
    assert alone[0] == 2
    assert math.isnan(alone[1])
    with pytest.raises(ValueError, match="a and c: expected runs of the same seeds"):
        paired(rows_of(a=[3], b=[1]), "a", "c")
    text = summary(rows_of(a=one, b=other), "b")
    assert text.splitlines()[0] == f"a             70.6 (5 runs), +1.8 +- {half:.1f} against b"
    table = read(tmp_path, "variants: {b: , a: , c: }\nseeds: 5\nagainst: b")
    lines = format_table(table, rows_of(a=one, b=other)).splitlines()
    assert f"| a | 5 | 70.6 ± 1.2 | +1.8 ± {half:.1f} | - | scribbles 1 |  |" in lines
    assert "| c | 0 | - | - | - | - |  |" in lines


def test_the_papers_numbers_stand_beside(tmp_path):
    table = read(
        tmp_path,
        "grid: {energy.relaxation: [BL, CD], supervision.ratio: [0, 1]}\nagainst: BL\npaper: {table: table3, columns: "
        "{relaxation: energy.relaxation, scribble_length_ratio: supervision.ratio}}",
    )
    rows = rows_of(CD_1=[60.0], BL_1=[58.0], CD_0=[50.0], BL_0=[51.5])
    write_tables(tmp_path, table, rows)
    lines = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()
    assert [line.split(" | ")[2:5] for line in lines[4:8]] == [
        ["51.5", "", "56.42"],
        ["58.0", "", "67.24"],
        ["50.0", "-1.5", "59.04"],
        ["60.0", "+2.0", "71.22"],
    ]
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(STUDY)
    assert [row["variant"] for row in table] == ["BL_0", "BL_1", "CD_0", "CD_1"]

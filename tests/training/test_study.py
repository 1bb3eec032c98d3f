"""Studies: variants share phase one, differences are paired, intervals are Student's, bad variants stop before any run."""

import csv
import math

import pytest
from click.testing import CliRunner
from helpers.training import make_toy_set, small_study
from scipy import stats

from toykit.experiments.results import STUDY, paired, summary
from toykit.training.study import main, run_study

VARIANTS = {"seeds_only": ["method=seeds_only"], "soft": [], "soft_q": ["energy.relaxation=Q"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_toy_set(tmp_path_factory)


def test_a_study_writes_its_table_and_shares_phase_one(root, tmp_path):
    seen = []
    rows = run_study("toy", tmp_path, VARIANTS, range(2), small_study(root), lambda rows: seen.append(len(rows)))
    assert seen == [1, 2, 3, 4, 5, 6]
    with (tmp_path / "study.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(STUDY)
    assert [(r["variant"], r["seed"]) for r in table] == [(v, str(s)) for s in (0, 1) for v in VARIANTS]
    assert table[2]["overrides"] == "energy.relaxation=Q"
    assert {r["supervision"] for r in table} == {"simulated 1"}
    assert all(0 < float(r["miou"]) < 100 and 0 < float(r["accuracy"]) <= 100 for r in table)
    assert [bool(r["label_miou"]) for r in table] == [False, True, True] * 2
    assert {p.name for p in tmp_path.glob("phase_one_*.pt")} == {"phase_one_0.pt", "phase_one_1.pt"}
    again = run_study("toy", tmp_path, VARIANTS, range(2), small_study(root))
    assert again == rows  # read, not trained


def rows_of(**scores):
    return [{"variant": v, "seed": s, "miou": m} for v, values in scores.items() for s, m in enumerate(values)]


def test_intervals_are_students_on_paired_differences():
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
    assert text.splitlines()[0] == f"a             70.6 (seeds: 5), +1.8 +- {half:.1f} against b"
    assert "against" not in text.splitlines()[1]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--variant", "soft"], "expected NAME=KEY=VALUE"),
        (["--variant", "a=", "--variant", "a=method=full"], "two variants of this name"),
        (["--variant", "a=energy.lamda=3"], "unknown key energy.lamda"),
        (["--variant", "a=run.seed=3"], "run.seed is set by the study"),
        (["--variant", "a=", "--against", "b"], "expected one of a"),
    ],
)
def test_bad_variants_stop_before_any_run(arguments, match, tmp_path):
    result = CliRunner().invoke(main, ["toy", "-o", str(tmp_path / "runs"), *arguments])
    assert result.exit_code != 0
    assert match in result.output
    assert not (tmp_path / "runs").exists()


def test_the_command_prints_a_summary(root, tmp_path):
    variants = ["--variant", "seeds_only=method=seeds_only", "--variant", "soft="]
    arguments = ["toy", "-o", str(tmp_path), *variants, "--holdout", "0.4", *small_study(root)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "soft " in result.output
    assert "against seeds_only" in result.output

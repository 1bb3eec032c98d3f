"""Table 4's six cells on a generated set: what each is, and the table that they leave."""

import pytest
from click.testing import CliRunner

from toykit.datasets import toy
from toykit.experiments.results import measured
from toykit.neighborhoods import Dense, NearestNeighbors
from toykit.training import load_config, table_four


@pytest.mark.parametrize("preset", table_four.SETS)
def test_the_cells_differ_in_method_and_neighborhood_alone(preset):
    base = load_config(preset, ["data.crop=64"])
    kinds = {"NN": NearestNeighbors, "DN": Dense}
    dense_lam = 6.6e-5 * (512 / 64) ** 2 * base.energy.eta / 0.3
    configs = table_four.cells(preset, ["data.crop=64"])
    assert tuple(configs) == table_four.CELLS
    for name, config in configs.items():
        method, neighborhood = name.rsplit("_", 1)
        assert config.method == method
        assert isinstance(config.energy.build().neighborhood, kinds[neighborhood])
        assert config.energy.relaxation == ("Q" if method == "soft" else "BL")
        assert (config.energy.eta, config.energy.balance) == (base.energy.eta, base.energy.balance)
        lam = base.energy.lam if neighborhood == "NN" else dense_lam
        assert config.energy.lam == pytest.approx(12 * lam if name == "gradient_descent_DN" else lam, rel=0.01)
        assert all(getattr(config, part) == getattr(base, part) for part in ("data", "model", "schedule", "run"))
    descents = [configs[f"gradient_descent_{n}"].energy.decisiveness for n in kinds]
    assert descents == [True, False]  # eq. (4) on NN; DN is the DenseCRF loss, which has no entropy


def test_weights_and_overrides_matter():
    cells = table_four.cells("toy", ["run.seed=3"], {"hard_DN": 0.5})
    assert cells["hard_DN"].energy.lam == 0.5
    assert cells["soft_DN"].energy.lam == table_four.cells()["soft_DN"].energy.lam != 0.5
    assert cells["soft_DN"].run.seed == 3


@pytest.mark.filterwarnings("ignore::toykit.solvers.ConvergenceWarning")
def test_the_command_writes_the_table(tmp_path):
    toy.make(tmp_path / "set", train=4, val=2, size=32)
    small = ["data.crop=32", "schedule.pretrain_epochs=1", "schedule.epochs=1", "schedule.batch=2", "run.pictures=0"]
    cells = ["--cell", "soft_DN", "--cell", "gradient_descent_NN", "--lam", "soft_DN=0.01"]
    arguments = [*cells, "-o", tmp_path / "runs", f"data.root={tmp_path / 'set'}", *small]
    result = CliRunner().invoke(table_four.main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    rows = measured("table4_toy", tmp_path / "runs")  # as notebook 09 reads them
    assert [(r["method"], r["neighborhood"], r["relaxation"]) for r in rows] == [
        ("gradient_descent", "NN", "BL"),
        ("soft", "DN", "Q"),
    ]
    assert [(r["seed"], r["steps"]) for r in rows] == [(0, 4)] * 2
    assert rows[0]["solver_share"] == 0 < rows[1]["solver_share"] < 1
    assert "gradient_descent_NN, lam 60, seed 0: mIoU" in result.output
    assert f"soft_DN, lam 0.01, seed 0: mIoU {rows[1]['miou']:.1f}%" in result.output


def test_an_unknown_cell_or_set_is_refused():
    result = CliRunner().invoke(table_four.main, ["--set", "camvid"])
    assert result.exit_code == 2
    assert "'voc_animals'" in result.output
    result = CliRunner().invoke(table_four.main, ["--lam", "soft_SN=1"])
    assert result.exit_code == 2
    assert "expected CELL=LAM with a cell of gradient_descent_NN" in result.output
    result = CliRunner().invoke(table_four.main, ["--lam", "soft_NN=much"])
    assert result.exit_code == 2
    assert "'much' is not a valid float" in result.output

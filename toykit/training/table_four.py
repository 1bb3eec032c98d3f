"""Table 4, on the generated set or others: gradient descent, hard and soft labels, each on nearest and on dense neighbourhoods.

    python -m toykit.training.table_four --seeds 3 -o runs/table4      # writes table4_toy.csv beside the runs

Notebook 09 shows it: `toykit run 09 -p folder runs/table4`.

All six have the network, data, schedule, initial weights and phase one of a preset. The cells:

    gradient_descent  NN  eq. (4) with BL and entropy              DN  the preset dense_crf: BL without entropy, like its code
    hard              NN  grid_crf's labels: graph cuts            DN  the preset scribblesup: mean field
    soft              NN  eq. (8), CCE and Q (the paper's pair)    DN  the same

Dense pairs connect squares of 2 x 2 pixels; the spatial bandwidth is the same share of the crop as 100 of 512 pixels. The
weights follow a rule: on NN the preset's own, on DN dense_crf's and scribblesup's (`with_method`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from toykit.experiments.results import MEASURED, write
from toykit.training.comparison import run_all
from toykit.training.config import Config
from toykit.training.load import load_config
from toykit.training.methods import with_method
from toykit.training.run_folder import RunResult

CELLS = tuple(f"{method}_{edges}" for method in ("gradient_descent", "hard", "soft") for edges in ("NN", "DN"))
#: The presets whose results have a table.
SETS = tuple(name.removeprefix("table4_") for name in MEASURED if name.startswith("table4_"))


def cells(
    preset: str = "toy", overrides: Sequence[str] = (), lam: Mapping[str, float] | None = None
) -> dict[str, Config]:
    """Configure the six runs.

    Parameters
    ----------
    preset : str, default "toy"
        One of `SETS`.
    overrides : sequence of str
        KEY=VALUE overrides of the preset.
    lam : mapping of str to float, optional
        Cell -> a weight other than the rule's.

    Returns
    -------
    dict
        METHOD_NEIGHBORHOOD, one of `CELLS` -> Config.
    """
    base = load_config(preset, overrides)
    dense = with_method(base, "scribblesup").energy
    names = {name: with_method(base, name) for name in ("dense_crf", "grid_crf", "scribblesup", "soft_cce_q")}
    nearest = dataclasses.replace(base.energy, relaxation="BL")
    weights = {key: getattr(base.energy, key) for key in ("eta", "lam", "balance")}
    hard = dataclasses.replace(names["grid_crf"].energy, **weights)
    soft = dataclasses.replace(dense, cross_entropy="CCE", relaxation="Q")
    configs = {
        "gradient_descent_NN": dataclasses.replace(base, method="gradient_descent", energy=nearest),
        "gradient_descent_DN": names["dense_crf"],
        "hard_NN": dataclasses.replace(names["grid_crf"], energy=hard),
        "hard_DN": names["scribblesup"],
        "soft_NN": names["soft_cce_q"],
        "soft_DN": dataclasses.replace(base, energy=soft),
    }
    for name, weight in (lam or {}).items():
        energy = dataclasses.replace(configs[name].energy, lam=weight)
        configs[name] = dataclasses.replace(configs[name], energy=energy)
    return configs


def row(name: str, result: RunResult) -> dict:
    """Summarise a finished run as a row of the table.

    Parameters
    ----------
    name : str
        One of `CELLS`.
    result : RunResult
        A run that was evaluated.

    Returns
    -------
    dict
        The columns of table4_toy: miou in percent, solver_share as a share of the time of phase two's steps, in [0, 1].
    """
    if result.miou is None:
        raise ValueError(f"{result.folder}: expected an evaluated run; set run.eval_every to at least 1")
    method, neighborhood = name.rsplit("_", 1)
    _, share = result.phase_two_time()
    terms = result.config.energy
    values = (method, neighborhood, terms.relaxation, result.config.run.seed, round(100 * result.miou, 2))
    return dict(zip(MEASURED["table4_toy"], (*values, result.history[-1]["step"], round(share, 3)), strict=True))


@dataclass(frozen=True)
class _Weight(click.ParamType):
    """An argument CELL=LAM of the command line."""

    name = "CELL=LAM"

    def convert(self, value, param, ctx):
        cell, _, number = value.partition("=")
        if cell not in CELLS:
            self.fail(f"{value}: expected CELL=LAM with a cell of {', '.join(CELLS)}", param, ctx)
        return cell, click.FLOAT.convert(number, param, ctx)


@click.command(context_settings={"show_default": True})
@click.option(
    "--set", "preset", default="toy", type=click.Choice(SETS), help="The preset whose data all cells have in common."
)
@click.option("--cell", "chosen", type=click.Choice(CELLS), multiple=True, help="Only this cell; repeatable.")
@click.option("--lam", type=_Weight(), multiple=True, help="Another weight, to tune it; repeatable.")
@click.option("--seeds", default=1, help="Runs per cell.")
@click.option("-o", "output", default=Path("runs/table4"), type=click.Path(file_okay=False, path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def main(preset, chosen, lam, seeds, output, overrides) -> None:
    """Train Table 4's six cells: on the generated set about two minutes per cell and seed on one thread."""
    rows: list[dict] = []

    def finished(name: str, seed: int, result: RunResult) -> None:
        rows.append(row(name, result))
        write(f"table4_{preset}", rows, output)
        lam, share = result.config.energy.lam, rows[-1]["solver_share"]
        click.echo(f"{name}, lam {lam:g}, seed {seed}: mIoU {result.miou:.1%}, solver {share:.0%}")

    configs = {name: c for name, c in cells(preset, overrides, dict(lam)).items() if name in (chosen or CELLS)}
    run_all(configs, range(seeds), output, callback=finished)


if __name__ == "__main__":
    main()

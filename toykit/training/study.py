"""Variants of one preset side by side: chosen on photos held out of the training set, then measured over seeds.

    python -m toykit.training.study voc_objects_quick -o runs/objects --seeds 5 data.root=VOC2012 \\
        --variant seeds_only=method=seeds_only --variant "hard=method=hard energy.cross_entropy=CE ..."

A variant is a name and its overrides of the preset. All share phase one, data and seeds, so that differences are paired. With
`--holdout 0.15` the networks are trained on 85% of the training photos and evaluated on the others; settings are chosen there,
with the same number of trials for each method, never on the validation photos. Each run has a folder of its own. Finished runs
are loaded; interrupted runs resume. The table, `study.csv`, is rewritten after each run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from toykit.experiments.results import STUDY, summary, write_rows
from toykit.supervision import Supervision
from toykit.training.comparison import run_all
from toykit.training.config import Config
from toykit.training.load import load_config
from toykit.training.run_folder import RunResult


def configurations(preset: str, overrides: Sequence[str], variants: Mapping[str, Sequence[str]]) -> dict[str, Config]:
    """Load the configuration of each variant.

    Parameters
    ----------
    preset : str
    overrides : sequence of str
        Common overrides of the preset, KEY=VALUE.
    variants : mapping of str to sequence of str
        Name -> the variant's own overrides, which follow the common ones.

    Returns
    -------
    dict
        Name -> Config.

    Raises
    ------
    ValueError
        A variant sets run.seed; or what `load_config` raises.
    """
    for name, own in variants.items():
        if any(item.startswith("run.seed=") for item in own):
            raise ValueError(f"{name}: run.seed is set by the study, each variant gets the same seeds; leave it out")
    return {name: load_config(preset, [*overrides, *own]) for name, own in variants.items()}


def row(name: str, own: Sequence[str], result: RunResult) -> dict:
    """Summarise a finished run as a row of the table.

    Parameters
    ----------
    name : str
        The variant's.
    own : sequence of str
        The variant's overrides.
    result : RunResult

    Returns
    -------
    dict
        The columns `STUDY`. mIoU and accuracies are in percent, after the last epoch, on the evaluated photos; label_miou is
        that of the pseudo-labels on the unlabelled pixels of the training photos in the last epoch. supervision: see
        `seeds_in_words`. solver_share is the share of the time of phase two's steps, in [0, 1]; seconds_per_step is of phase
        two.
    """
    last = result.history[-1]
    seconds, share = result.phase_two_time()
    keys = ("val_miou", "val_accuracy", "val_accuracy_inside", "val_accuracy_boundary", "label_miou")
    percent = ("" if last[key] is None else round(100 * last[key], 2) for key in keys)
    time = (round(share, 4), round(seconds, 3))
    values = (
        seeds_in_words(result.config.supervision),
        name,
        result.config.run.seed,
        *percent,
        *time,
        last["step"],
        " ".join(own),
    )
    return dict(zip(STUDY, values, strict=True))


def seeds_in_words(given: Supervision) -> str:
    """Return the kind of seeds, for scribbles with the share of each stroke's length ("simulated 0": one click per stroke)."""
    return f"{given.kind} {given.ratio:g}" if given.kind in ("scribbles", "simulated") else given.kind


def run_study(
    preset: str,
    folder: str | Path,
    variants: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    overrides: Sequence[str] = (),
    callback: Callable[[list[dict]], object] = lambda rows: None,
) -> list[dict]:
    """Train every variant from every seed and write the table `study.csv` in the folder.

    Parameters
    ----------
    preset, variants, overrides
        See `configurations`.
    folder : str or Path
        Of the runs and the table.
    seeds : sequence of int
    callback : callable, optional
        callback(rows) after each run.

    Returns
    -------
    list of dict
        The rows of the table, see `row`.

    Raises
    ------
    Exception
        What `load_config` and `toykit.training.train` raise.
    """
    folder = Path(folder)
    rows: list[dict] = []

    def add_row(name: str, seed: int, result: RunResult) -> None:
        rows.append(row(name, variants[name], result))
        write_rows(folder / "study.csv", STUDY, rows)
        callback(rows)

    run_all(configurations(preset, overrides, variants), seeds, folder, callback=add_row)
    return rows


def read_variants(context, parameter, values) -> dict[str, list[str]]:
    """Read a command's options NAME=KEY=VALUE ...: return the overrides of each name."""
    variants: dict[str, list[str]] = {}
    for value in values:
        name, equals, own = value.partition("=")
        if not equals or not name.replace("_", "").isalnum():
            raise click.BadParameter(
                f"{value!r}: expected NAME=KEY=VALUE [KEY=VALUE ...], e.g. soft_q=energy.relaxation=Q"
            )
        if name in variants:
            raise click.BadParameter(f"{name}: there are two variants of this name")
        variants[name] = own.split()
    return variants


def holding_out(overrides: Sequence[str], share: float) -> list[str]:
    """Return the overrides, with a share of the training photos held out."""
    return [*overrides, f"data.holdout={share}"] if share else list(overrides)


@click.command()
@click.argument("preset")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-o", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="The runs' folder.")
@click.option("--variant", "variants", multiple=True, required=True, callback=read_variants, metavar="NAME=[KEY=VALUE ...]",
              help="A variant's name and its own overrides; may be given many times.")  # fmt: skip
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1), help="Seeds 0 to SEEDS - 1 of each variant."
)
@click.option("--holdout", default=0.0, show_default=True, type=click.FloatRange(0, 1, max_open=True),
              help="Evaluate on this share of the training photos instead: for choosing settings.")  # fmt: skip
@click.option("--against", default=None, help="The variant that the others are compared with.  [default: the first]")
def main(preset, overrides, folder, variants, seeds, holdout, against) -> None:
    """Train variants of PRESET from the same seeds and print their mIoU with paired 95% intervals."""
    against = against or next(iter(variants))
    if against not in variants:
        raise click.BadParameter(f"--against {against}: expected one of {', '.join(variants)}")
    common = holding_out(overrides, holdout)

    def print_last(rows: list[dict]) -> None:
        new = rows[-1]
        click.echo(f"{new['variant']}, seed {new['seed']}: mIoU {new['miou']}, labels {new['label_miou'] or '-'}")

    try:
        rows = run_study(preset, folder, variants, range(seeds), common, print_last)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(summary(rows, against))
    click.echo(folder / "study.csv")


if __name__ == "__main__":
    main()

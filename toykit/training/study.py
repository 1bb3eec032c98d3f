"""Variants of one preset side by side: chosen on photos held out of the training set, then measured over seeds.

    python -m toykit.training.study voc_objects_quick -o runs/objects --seeds 5 data.root=VOC2012 \\
        --variant seeds_only=method=seeds_only --variant "hard=method=hard energy.cross_entropy=CE ..."

A variant is a name and its overrides of the preset. All share phase one, data and seeds, so that differences are paired. With
`--holdout 0.15` the networks are trained on 85% of the training photos and judged on the others; settings are chosen there,
with the same number of trials for each method, never on the validation photos. The runs lie in the folder, one each; finished
runs are read, interrupted ones resume. The table, `study.csv`, is written anew after each run.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from toykit.experiments.results import STUDY, summary, write_rows
from toykit.supervision import Supervision
from toykit.training.comparison import run_all
from toykit.training.config import Config
from toykit.training.load import load_config
from toykit.training.run_folder import RunResult


def configurations(preset: str, overrides: Sequence[str], variants: Mapping[str, Sequence[str]]) -> dict[str, Config]:
    """The configuration of each variant: the preset with the common overrides, then the variant's own.

    Raises: ValueError for a variant that sets run.seed; what `load_config` raises. All before the first is trained.
    """
    for name, own in variants.items():
        if any(item.startswith("run.seed=") for item in own):
            raise ValueError(f"{name}: run.seed is set by the study, each variant gets the same seeds; leave it out")
    return {name: load_config(preset, [*overrides, *own]) for name, own in variants.items()}


def row(name: str, own: Sequence[str], result: RunResult) -> dict:
    """A finished run as a line of the table: mIoU and accuracies in percent after the last epoch, on the evaluated photos.

    supervision: the kind of the seeds, and the share of the strokes' length for scribbles ("simulated 0": one click a stroke).
    label_miou: of the pseudo-labels on the unlabelled pixels of the training photos, last epoch. solver_share: of the time of
    phase two's steps, in [0, 1]; seconds_per_step: of phase two.
    """
    last, batch = result.history[-1], result.config.schedule.batch
    late = [r for r in result.history if r["phase"] != "seeds"] or result.history
    seconds = [batch / r["images_per_second"] for r in late]
    share = sum(r["solver_share"] * s for r, s in zip(late, seconds, strict=True)) / sum(seconds)
    keys = ("val_miou", "val_accuracy", "val_accuracy_inside", "val_accuracy_boundary", "label_miou")
    percent = ("" if last[key] is None else round(100 * last[key], 2) for key in keys)
    time = (round(share, 4), round(statistics.mean(seconds), 3))
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
    """The kind of seeds, with the share of the strokes' length for scribbles."""
    return f"{given.kind} {given.ratio:g}" if given.kind in ("scribbles", "simulated") else given.kind


def run_study(
    preset: str,
    folder: str | Path,
    variants: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    overrides: Sequence[str] = (),
    callback=lambda rows: None,
) -> list[dict]:
    """Train every variant from every seed and return the table's rows; `folder`/study.csv holds them too.

    callback: callback(rows) after each run. Raises: what `load_config` and `toykit.training.train` raise.
    """
    folder, rows = Path(folder), []

    def told(name: str, seed: int, result: RunResult) -> None:
        rows.append(row(name, variants[name], result))
        write_rows(folder / "study.csv", STUDY, rows)
        callback(rows)

    run_all(configurations(preset, overrides, variants), seeds, folder, callback=told)
    return rows


def read_variants(context, parameter, values) -> dict[str, list[str]]:
    """The variants of a command's options, NAME=KEY=VALUE ...: the overrides of each name."""
    found = {}
    for value in values:
        name, equals, own = value.partition("=")
        if not equals or not name.replace("_", "").isalnum():
            raise click.BadParameter(
                f"{value!r}: expected NAME=KEY=VALUE [KEY=VALUE ...], e.g. soft_q=energy.relaxation=Q"
            )
        if name in found:
            raise click.BadParameter(f"{name}: there are two variants of this name")
        found[name] = own.split()
    return found


def holding_out(overrides: Sequence[str], share: float) -> list[str]:
    """The overrides, with a share of the training photos held out."""
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
              help="Judge on this share of the training photos, not the validation photos: for choosing settings.")  # fmt: skip
@click.option("--against", default=None, help="The variant that the others are compared with.  [default: the first]")
def main(preset, overrides, folder, variants, seeds, holdout, against) -> None:
    """Train variants of PRESET from the same seeds and print their mIoU with paired 95% intervals."""
    against = against or next(iter(variants))
    if against not in variants:
        raise click.BadParameter(f"--against {against}: expected one of {', '.join(variants)}")
    common = holding_out(overrides, holdout)

    def tell(rows: list[dict]) -> None:
        new = rows[-1]
        click.echo(f"{new['variant']}, seed {new['seed']}: mIoU {new['miou']}, labels {new['label_miou'] or '-'}")

    try:
        rows = run_study(preset, folder, variants, range(seeds), common, tell)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(summary(rows, against))
    click.echo(folder / "study.csv")


if __name__ == "__main__":
    main()

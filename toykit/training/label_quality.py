"""Quality of pseudo-labels under variants of the sub-problem, for networks at the end of phase one; nothing is trained.

    python -m toykit.training.label_quality voc_objects_quick data.root=VOC2012 --networks runs/objects --seeds 5 \\
        -o labels.csv --variant preset= --variant no_potts=energy.lam=0 --variant "stride_2=energy.stride=2"

`--networks` is the folder of a sweep (`toykit sweep`), which keeps its networks at the end of phase one there: those of
the first row. With `--holdout` they are those of its tuning, in the folder `tuning`, which has the sweep's first seed alone.
This measures the labels, in seconds per variant; a sweep measures the networks that are trained with them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
import torch

from toykit.datasets.segmentation_set import limited
from toykit.datasets.transforms import augment
from toykit.experiments.results import LABELS, summary, write_rows
from toykit.training import checkpoint
from toykit.training.batches import generator_at
from toykit.training.comparison import PHASE_ONE
from toykit.training.config import Config
from toykit.training.epoch_stats import Tally
from toykit.training.evaluation import accuracy, mean_iou
from toykit.training.features import FeatureCache
from toykit.training.load import load_config
from toykit.training.objective import Objective, now
from toykit.training.sets import load_sets
from toykit.training.setup import build_network
from toykit.training.sweep.segmentation import seeds_in_words
from toykit.training.sweep.sweep import TUNING

#: Name of the row of the networks' own predictions.
PREDICTION = "prediction"
#: Keys that a variant may change: those of the sub-problem.
VARIED = ("method=", "error_rate=", "energy.", "solver.method=", "solver.options.", "supervision.present=")


@torch.no_grad()
def quality(configs: Mapping[str, Config], networks: Path, seed: int, photos: int) -> list[dict]:
    """Measure the predictions of one network and the pseudo-labels of each configuration from them.

    Parameters
    ----------
    configs : mapping of str to Config
        By the variant's name; they differ in the sub-problem alone.
    networks : Path
        The sweep's folder.
    seed : int
        The network's.
    photos : int
        How many photos to use, evenly spread over the training set, one crop of each, not mirrored. Random crops are the same
        for all networks.

    Returns
    -------
    list of dict
        The columns `LABELS` without overrides: first the predictions (of all classes, in evaluation mode), then each variant.
        mIoU and accuracy are in percent, on the unlabelled pixels of the photos. ms_per_photo is the median time of computing a
        photo's labels.

    Raises
    ------
    FileNotFoundError
        The sweep has no network of this seed.
    ValueError
        It is another network or of other data, or no unlabelled pixel has a mask.
    """
    config = next(iter(configs.values()))
    samples = limited(load_sets(config)[0], photos)
    network = build_network(config, len(samples.classes))
    checkpoint.load_weights(networks / PHASE_ONE.format(seed=seed), network, config.to_dict())
    network.eval()
    features = FeatureCache(network) if network.freeze_body else None
    device = torch.device("cpu")
    objectives = {name: Objective(own) for name, own in configs.items()}
    times: dict[str, list[float]] = {name: [] for name in configs}
    tallies = {name: Tally.empty(len(samples.classes), device) for name in (PREDICTION, *configs)}
    for index in range(len(samples)):
        sample = samples[index]
        cut = augment(sample, config.data.crop, generator_at(0, 0, index), config.data.scale, flip=False)
        image, seeds, mask = (part[None] for part in cut)
        maps = None if features is None else features(image)
        at = {coarse: network(image, maps, coarse) for coarse in {False, network.stride > 1}}
        tallies[PREDICTION].add(0.0, at[False], seeds, mask)
        for name, objective in objectives.items():
            present = torch.from_numpy(sample.present(configs[name].supervision.present))[None]
            start = now(device)
            logits = at[objective.stride == network.stride and network.stride > 1]
            labels = objective.pseudo_labels(logits, image, seeds, present)
            times[name].append(now(device) - start)
            tallies[name].add(0.0, labels, seeds, mask)
    if not tallies[PREDICTION].confusion.any():
        raise ValueError(
            f"{samples.kind}: no unlabelled pixel of the {len(samples)} photos has a mask to compare labels with"
        )
    words = seeds_in_words(config.supervision)
    return [
        {
            "supervision": words,
            "variant": name,
            "seed": seed,
            "miou": round(100 * mean_iou(tally.confusion), 2),
            "accuracy": round(100 * accuracy(tally.confusion), 2),
            "ms_per_photo": round(1000 * statistics.median(times.get(name, [0.0])), 1),
        }
        for name, tally in tallies.items()
    ]


def label_quality(
    preset: str,
    networks: str | Path,
    variants: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    photos: int = 200,
    overrides: Sequence[str] = (),
    callback: Callable[[list[dict]], object] = lambda rows: None,
) -> list[dict]:
    """Measure every variant for every network.

    Parameters
    ----------
    preset : str
    variants : mapping of str to sequence of str
        Name -> the variant's own overrides, KEY=VALUE, which follow the common ones.
    overrides : sequence of str
        Common overrides of the preset.
    networks : str or Path
        The sweep's folder.
    seeds : sequence of int
        Of the networks.
    photos : int, default 200
        See `quality`.
    callback : callable, optional
        callback(rows) after each network.

    Returns
    -------
    list of dict
        The columns `LABELS`, see `quality`.

    Raises
    ------
    ValueError
        Before any work: a variant has no pseudo-labels, has the name "prediction", or changes more than the sub-problem.
    FileNotFoundError
        Before any work: a network is missing.
    Exception
        What `load_config` and `quality` raise.
    """
    configs = {name: load_config(preset, [*overrides, *own]) for name, own in variants.items()}
    rows: list[dict] = []
    for name, config in configs.items():
        if name == PREDICTION:
            raise ValueError(f"{name}: is the name of the networks' own row; choose another")
        if not Objective(config).has_labels:
            raise ValueError(f"{name}: the method {config.method} has no pseudo-labels; use soft or hard")
        for item in variants[name]:
            if not item.startswith(VARIED):
                raise ValueError(
                    f"variant {name}: {item}: expected an override of the sub-problem ({', '.join(VARIED)})"
                )
    for seed in seeds:
        path = Path(networks) / PHASE_ONE.format(seed=seed)
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such file; a sweep writes it in its folder, for methods other than full"
            )
    for seed in seeds:
        for row in quality(configs, Path(networks), seed, photos):
            rows.append(row | {"overrides": " ".join(variants.get(row["variant"], ()))})
        callback(rows)
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
@click.option("-o", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The table (CSV).")
@click.option("--networks", required=True, type=click.Path(file_okay=False, exists=True, path_type=Path),
              help="Folder of a sweep of the same preset.")  # fmt: skip
@click.option("--variant", "variants", multiple=True, required=True, callback=read_variants,
              metavar="NAME=[KEY=VALUE ...]", help="A variant's name and its overrides; may be given many times.")  # fmt: skip
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1), help="Networks 0 to SEEDS - 1.")
@click.option("--photos", default=200, show_default=True, type=click.IntRange(1), help="Training photos.")
@click.option("--holdout", default=0.0, show_default=True, type=click.FloatRange(0, 1, max_open=True),
              help="The share held out by the sweep's tuning; its networks are then taken.")  # fmt: skip
def main(preset, overrides, file, networks, variants, seeds, photos, holdout) -> None:
    """Print the mIoU of pseudo-labels under variants of PRESET, with paired 95% intervals over a sweep's networks."""
    common = holding_out(overrides, holdout)
    folder = networks / TUNING if holdout else networks

    def write_and_print(rows: list[dict]) -> None:
        write_rows(file, LABELS, rows)
        new = [row for row in rows if row["seed"] == rows[-1]["seed"]]
        click.echo(f"network {new[0]['seed']}: " + ", ".join(f"{row['variant']} {row['miou']}" for row in new))

    try:
        rows = label_quality(preset, folder, variants, range(seeds), photos, common, write_and_print)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(summary(rows, PREDICTION))
    click.echo(file)


if __name__ == "__main__":
    main()

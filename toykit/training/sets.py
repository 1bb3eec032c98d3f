"""The photos that a run trains on and those that it is evaluated on."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toykit import datasets
from toykit.datasets.segmentation_set import SegmentationSet, hold_out, limited
from toykit.datasets.set_findings import training_findings
from toykit.supervision import SeedWarning, Supervision
from toykit.training.config import Config, Data


def load_sets(config: Config) -> tuple[SegmentationSet, SegmentationSet | None]:
    """Load the training set and the validation set. The method full takes its seeds from the masks.

    Parameters
    ----------
    config : Config

    Returns
    -------
    training : SegmentationSet
    validation : SegmentationSet or None
        None where nothing is evaluated. With `data.holdout` it is a share of the training photos.

    Raises
    ------
    FileNotFoundError
        A listed file does not exist.
    ValueError
        A photo has no mask where one is needed; or what `toykit.datasets.load` raises.

    Warns
    -----
    SeedWarning
        For seeds and masks that look as if something else was meant, see `toykit.datasets.set_findings`.
    """
    data = config.data
    supervision = _full(config) if config.method == "full" else config.supervision
    training = datasets.load(data.kind, "train", supervision=supervision, **_choice(data))
    validation = None
    if data.holdout:
        training, validation = hold_out(training, data.holdout)
        validation = dataclasses.replace(limited(validation, data.val_limit), supervision=_full(config))
    elif config.run.eval_every:
        validation = load_masked(config, "val")
    training = limited(training, data.limit)
    check_files(training)
    if validation is not None:
        check_files(validation)
    for text in training_findings(training, validation):
        warnings.warn(text, SeedWarning, stacklevel=2)
    return training, validation


def load_masked(config: Config, split: str) -> SegmentationSet:
    """Load a split to evaluate on; its seeds are not used.

    Parameters
    ----------
    config : Config
    split : str
        One of `toykit.datasets.loading.splits`. With `data.holdout`, "val" is that share of the training photos, and "train"
        the others.

    Returns
    -------
    SegmentationSet
        With masks as supervision.

    Raises
    ------
    FileNotFoundError, ValueError
        What `toykit.datasets.load` raises.
    """
    data = config.data
    limit = data.limit if split == "train" else data.val_limit
    if not data.holdout or split == "test":
        return datasets.load(data.kind, split, supervision=_full(config), limit=limit, **_choice(data))
    kept, held_out = hold_out(
        datasets.load(data.kind, "train", supervision=_full(config), **_choice(data)), data.holdout
    )
    return limited(kept if split == "train" else held_out, limit)


def fingerprint(training: SegmentationSet, validation: SegmentationSet | None) -> dict[str, str | None]:
    """Return what tells the sets of two runs apart: how many photos and classes there are, and a digest of their names."""
    photos = {"training photos": training.ids, "classes": training.classes}
    named = photos | {"validation photos": None if validation is None else validation.ids}
    return {kind: None if names is None else _count_and_digest(names) for kind, names in named.items()}


def _count_and_digest(names: Sequence[str]) -> str:
    """Return e.g. "1230 (5f0c3a9e)"."""
    return f"{len(names)} ({hashlib.sha256(chr(0).join(names).encode(errors='surrogateescape')).hexdigest()[:8]})"


def _full(config: Config) -> Supervision:
    """Return the supervision by whole masks."""
    return dataclasses.replace(config.supervision, kind="full")


def _choice(data: Data) -> dict[str, Any]:
    """Return the arguments of `toykit.datasets.load` that choose folder and classes."""
    return {"root": data.root, "merge": data.merge, "only": data.only, "others": data.others}


def check_files(samples: SegmentationSet) -> None:
    """Raise for a photo without the mask that its seeds are made from, or a listed file that does not exist."""
    for entry in samples.entries:
        samples.check_mask(entry)
        for path in (entry.image, entry.mask, entry.marks):
            if isinstance(path, Path) and not path.exists():
                raise FileNotFoundError(f"{path}: no such file, though the set needs it; see: toykit data check")

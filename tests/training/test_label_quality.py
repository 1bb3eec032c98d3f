"""Pseudo-labels of networks as phase one left them: the right networks, the right photos, each option shown to matter."""

import pytest
import torch
from click.testing import CliRunner
from helpers.training import SMALL_STUDY, make_toy_set, small_study

from toykit import datasets
from toykit.datasets.transforms import augment
from toykit.experiments.results import LABELS, read
from toykit.training import compare, load_config
from toykit.training.checkpoint import load_weights
from toykit.training.evaluation import confusion_matrix, mean_iou
from toykit.training.label_quality import label_quality, main
from toykit.training.objective import Objective
from toykit.training.setup import build_network

VARIANTS = {"preset": [], "no_potts": ["energy.lam=0"], "cells": ["energy.stride=4"], "hard": ["method=hard",
            "solver.method=graph_cut", "energy.cross_entropy=CE", "energy.relaxation=BL"]}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_toy_set(tmp_path_factory)


@pytest.fixture(scope="module")
def networks(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    compare("toy", ["seeds_only"], range(2), folder, small_study(root))
    return folder


def test_rows_are_of_each_network_and_variant(root, networks):
    seen = []
    common = small_study(root)
    rows = label_quality("toy", networks, VARIANTS, range(2), 4, common, lambda rows: seen.append(len(rows)))
    assert seen == [5, 10]
    assert [(r["variant"], r["seed"]) for r in rows] == [(v, s) for s in (0, 1) for v in ("prediction", *VARIANTS)]
    assert all(0 <= r["miou"] <= 100 and 0 <= r["accuracy"] <= 100 for r in rows)
    assert [r["ms_per_photo"] > 0 for r in rows] == [False, True, True, True, True] * 2
    assert len({r["miou"] for r in rows}) > 5  # networks and variants differ
    assert rows[2]["overrides"] == "energy.lam=0"
    assert label_quality("toy", networks, {"preset": []}, range(1), 6, common)[1]["miou"] != rows[1]["miou"]


@torch.no_grad()
def test_against_the_same_by_hand(root, networks):
    config = load_config("toy", small_study(root))
    (_, row) = label_quality("toy", networks, {"preset": []}, range(1), 6, small_study(root))
    samples = datasets.load("toy", "train", root=root, supervision=config.supervision)
    network = build_network(config, len(samples.classes))
    load_weights(networks / "phase_one_0.pt", network, config.to_dict())
    network.eval()
    confusion = 0
    for i in [n * len(samples) // 6 for n in range(6)]:
        image, seeds, mask = augment(samples[i], 32, torch.Generator(), (1, 1), flip=False)
        allowed = torch.from_numpy(samples[i].present(config.supervision.present))[None]
        labels = Objective(config).pseudo_labels(network(image[None]), image[None], seeds[None], allowed)
        confusion += confusion_matrix(labels.argmax(1)[0], mask.where(seeds == 255, 255), len(samples.classes))
    assert row["miou"] == round(100 * mean_iou(confusion), 2)


def test_the_photos_classes_are_each_variants_own(root, networks):
    variants = {"seeds": ["supervision.present=seeds"], "all": ["supervision.present=all"]}
    common = small_study(root)
    rows = {r["variant"]: r["miou"] for r in label_quality("toy", networks, variants, range(1), 6, common)}
    swapped = dict(reversed(variants.items()))
    assert {r["variant"]: r["miou"] for r in label_quality("toy", networks, swapped, range(1), 6, common)} == rows
    assert rows["seeds"] != rows["all"]


@pytest.mark.parametrize(
    ("variants", "match"),
    [
        ({"prediction": []}, "the networks' own row"),
        ({"a": ["method=seeds_only"]}, "has no pseudo-labels"),
        (
            {"a": [], "b": ["supervision.ratio=0"]},
            "variant b: supervision.ratio=0: expected an override of the sub-problem",
        ),
        ({"a": ["data.root=elsewhere"]}, "variant a: data.root=elsewhere: expected an override of the sub-problem"),
        ({"a": ["schedule.epochs=3"]}, "variant a: schedule.epochs=3: expected an override of the sub-problem"),
    ],
)
def test_bad_variants_are_named(root, networks, variants, match):
    with pytest.raises(ValueError, match=match):
        label_quality("toy", networks, variants, range(1), 2, small_study(root))


def test_networks_of_another_kind_are_named(root, networks, tmp_path):
    common = small_study(root)
    with pytest.raises(
        ValueError, match=r"phase_one_0\.pt: of other data or another network: model.dropout was 0.0 and is 0.4"
    ):
        label_quality("toy", networks, {"a": []}, range(1), 2, [*common, "model.dropout=0.4"])
    with pytest.raises(
        FileNotFoundError, match=r"phase_one_2\.pt: no such file; a sweep"
    ):  # before the first is measured
        label_quality("toy", networks, {"a": []}, range(3), 2, common, callback=pytest.fail)
    (tmp_path / "phase_one_0.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"phase_one_0\.pt: cannot be read as a checkpoint"):
        label_quality("toy", tmp_path, {"a": []}, range(1), 2, common)


def test_photos_without_masks_cannot_be_used(root, networks, monkeypatch):
    monkeypatch.setattr("toykit.training.label_quality.augment", without_mask)
    with pytest.raises(ValueError, match="no unlabelled pixel of the 2 photos has a mask"):
        label_quality("toy", networks, {"a": []}, range(1), 2, small_study(root))


def without_mask(*arguments, **options):
    image, seeds, mask = augment(*arguments, **options)
    return image, seeds, torch.full_like(mask, 255)


def test_the_command_writes_the_table(root, networks, tmp_path):
    file = tmp_path / "labels.csv"
    arguments = [
        "toy",
        "-o",
        str(file),
        "--networks",
        str(networks),
        "--seeds",
        "2",
        "--photos",
        "2",
        "--variant",
        "a=",
    ]
    result = CliRunner().invoke(main, [*arguments, *small_study(root)])
    assert result.exit_code == 0, result.output
    assert "against prediction" in result.output
    assert len(read(file, LABELS)) == 4
    result = CliRunner().invoke(
        main, ["toy", "-o", str(file), "--networks", str(tmp_path), "--variant", "a=", *SMALL_STUDY]
    )
    assert result.exit_code == 1
    assert "no such file" in result.output
    held_out = [*arguments, "--holdout", "0.3", *small_study(root)]
    result = CliRunner().invoke(main, held_out)
    assert (result.exit_code, "tuning/phase_one_0.pt: no such file" in result.output) == (1, True)

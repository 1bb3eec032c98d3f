"""A trained run in use: the weights that it keeps, its evaluation on any set, its masks of new photos."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers.training import SMALL_STUDY, make_toy_set
from PIL import Image

from toykit.cli import main
from toykit.datasets import toy
from toykit.supervision import read_indexed_png
from toykit.training import class_ious, confusion_matrix, evaluate_run, load_config, load_network, train, weights
from toykit.training.predict_folder import predict_photos

COMMON = [
    *SMALL_STUDY, "method=seeds_only", "data.eval_scale=0.9", "schedule.lr=0.05",
    "run.eval_every=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_toy_set(tmp_path_factory, train=6, val=3)


@pytest.fixture(scope="module", params=["none", "body"])
def result(request, root, tmp_path_factory):
    config = load_config("toy", [f"data.root={root}", *COMMON, f"model.freeze={request.param}"])
    return train(config, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def photos(root):
    return [root / "JPEGImages" / f"{name}.jpg" for name in toy_names(root)]


#: Tests that do not depend on how the network was trained take one run.
one_run = pytest.mark.parametrize("result", ["body"], indirect=True)


def toy_names(root):
    return (root / "ImageSets" / "SegmentationAug" / "val.txt").read_text().split()


def call(*arguments, code=0):
    outcome = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert outcome.exit_code == code, outcome.output
    return outcome.output


def counts_of_masks(root, folder, num_classes):
    confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for name in toy_names(root):
        target = torch.from_numpy(read_indexed_png(root / "SegmentationClassAug" / f"{name}.png"))
        mask = torch.from_numpy(read_indexed_png(folder / f"{name}_mask.png"))
        confusion += confusion_matrix(mask, target, num_classes)
    return confusion


def test_masks_are_the_evaluations_and_evaluations_are_the_trainings(result, root, photos, tmp_path):
    last = load_network(result.folder, "last", "cpu")
    assert last.classes == result.classes
    assert (last.epoch, last.val_miou) == (2, result.history[-1]["val_miou"])
    evaluation = evaluate_run(last)
    assert evaluation["miou"] == result.history[-1]["val_miou"]
    assert evaluation["iou"] == result.history[-1]["val_iou"]
    assert evaluation["photos"] == 3
    rows = predict_photos(last, photos, tmp_path / "out", soft=True)
    ious = class_ious(counts_of_masks(root, tmp_path / "out", len(last.classes))).tolist()
    assert ious == [pytest.approx(np.nan, nan_ok=True) if iou is None else iou for iou in evaluation["iou"]]
    for row, path in zip(rows, photos, strict=True):
        mask = read_indexed_png(tmp_path / "out" / f"{path.stem}_mask.png")
        with np.load(tmp_path / "out" / f"{path.stem}_labels.npz") as archive:
            labels, classes = archive["labels"].astype(float), tuple(archive["classes"])
        assert classes == last.classes == tuple((tmp_path / "out" / "classes.txt").read_text().split())
        assert np.allclose(labels.sum(0), 1, atol=0.01)
        photo = np.array(Image.open(path))
        assert np.allclose(labels, last.soft_labels(photo), atol=1e-3)
        assert np.array_equal(mask, last.mask(photo))
        assert row[f"share of {last.classes[0]}"] == pytest.approx((mask == 0).mean(), abs=1e-6)


@one_run
def test_best_is_the_epoch_with_the_highest_miou(result):
    mious = [row["val_miou"] for row in result.history]
    best = load_network(result.folder, accelerator="cpu")
    assert best.val_miou == max(mious)
    assert best.epoch == 1 + mious.index(max(mious))
    assert evaluate_run(best)["miou"] == max(mious)
    for wrong, error in (("a.jpg", TypeError), (np.zeros((4, 4)), ValueError)):
        with pytest.raises(error, match=r"photo: expected uint8 \(H, W, 3\)"):
            best.mask(wrong)


def test_weights_files(tmp_path):
    network = torch.nn.Linear(1, 1)

    def write(epoch, miou):
        torch.nn.init.constant_(network.weight, epoch)
        weights.save(tmp_path, network, ("a", "b"), {"method": "soft"}, {"epoch": epoch, "val_miou": miou})

    def epochs():
        return [int(weights.read(tmp_path, which)[1]["network"]["weight"]) for which in ("best", "last")]

    write(1, None)
    with pytest.raises(FileNotFoundError, match=r"best.pt: no such file; take weights 'last'"):
        weights.read(tmp_path, "best")
    write(2, 0.5)
    write(3, 0.4)
    assert epochs() == [2, 3]
    write(4, 0.5)
    write(5, None)
    assert epochs() == [2, 5]
    (tmp_path / "best.pt").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"best.pt: cannot be read as weights"):
        weights.read(tmp_path, "best")
    write(6, 0.1)
    assert epochs() == [6, 6]
    with pytest.raises(FileNotFoundError, match="expected a run's folder"):
        weights.read(tmp_path / "elsewhere", "last")
    torch.save({"network": {}}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match="it has no classes, config, epoch, val_miou"):
        weights.read(tmp_path, "last")


@one_run
def test_each_option_of_predict_matters_and_finished_photos_are_skipped(result, photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in photos:
        shutil.copy(path, folder)
    large = np.random.default_rng(0).integers(0, 256, (200, 130, 3), dtype=np.uint8)
    Image.fromarray(large).save(tmp_path / "large.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    run = ("predict", result.folder, folder, tmp_path / "large.png", "--device", "cpu")
    out = tmp_path / "out"
    text = call(*run, "-o", out, code=1)
    assert "broken: " in text
    assert "4 of 5 photos predicted, 1 failed" in text
    with (out / "summary.csv").open(newline="") as file:
        rows = {row["photo"]: row for row in csv.DictReader(file)}
    assert [name for name, row in rows.items() if row["error"]] == ["broken"]
    assert (rows["large"]["width"], rows["large"]["height"]) == ("130", "200")
    with Image.open(out / "large_mask.png") as mask:
        assert (mask.mode, mask.size) == ("P", (130, 200))
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert len(before) == 8
    (folder / "broken.jpg").unlink()
    assert "4 of 4 photos predicted" in call(*run, "-o", out)
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")} == before
    for options in (("--flip",), ("--scale", 1, "--scale", 2), ("--tile", 128), ("--soft",)):
        assert "other settings" in call(*run, "-o", out, *options, code=1)
    labels = []
    for options in ((), ("--flip",), ("--scale", 2), ("--tile", 128)):
        other = tmp_path / f"out{len(labels)}"
        call("predict", result.folder, tmp_path / "large.png", "--device", "cpu", "--soft", "-o", other, *options)
        with np.load(other / "large_labels.npz") as archive:
            labels.append(archive["labels"])
        assert not any(np.array_equal(labels[-1], before) for before in labels[:-1]), options


@one_run
def test_predict_refuses_before_any_work(result, photos, tmp_path):
    shutil.copy(photos[0], tmp_path / f"{photos[0].stem}.png")
    run = ("predict", result.folder, "--device", "cpu")
    assert "would collide" in call(*run, photos[0], tmp_path, "-o", tmp_path / "out", code=1)
    (tmp_path / "empty").mkdir()
    assert "no photos there" in call(*run, tmp_path / "empty", "-o", tmp_path / "out", code=1)
    assert "expected a folder of its own" in call(*run, tmp_path, "-o", tmp_path, code=1)
    assert "no such file; expected a run's folder" in call("predict", tmp_path, photos[0], code=1)
    assert not (tmp_path / "out").exists()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "classes.txt").write_text("sky\n")
    message = "set: holds classes.txt, which the results would replace"
    assert message in call(*run, photos[0], "-o", tmp_path / "set", code=1)
    assert (tmp_path / "set" / "classes.txt").read_text() == "sky\n"
    broken = shutil.copytree(result.folder, tmp_path / "broken")
    state = torch.load(broken / "best.pt", weights_only=True)
    next(iter(state["network"].values())).view(-1)[0] = torch.nan
    torch.save(state, broken / "best.pt")
    text = call("predict", broken, photos[0], "-o", tmp_path / "out", "--device", "cpu", code=1)
    assert "best.pt: its weights are NaN or infinite" in text


@one_run
def test_evaluate_prints_and_writes_the_same(result, root, tmp_path):
    text = call("evaluate", result.folder, "--weights", "last", "--device", "cpu", "-o", tmp_path)
    miou = result.history[-1]["val_miou"]
    assert f"mIoU on 3 photos (val): {miou:.1%}" in text
    stored = json.loads((tmp_path / "evaluation_val.json").read_text())
    assert (stored["miou"], stored["iou"]) == (miou, result.history[-1]["val_iou"])
    with (tmp_path / "evaluation_val.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows if row["measure"] == "iou"] == list(result.classes)
    assert float(next(row["value"] for row in rows if row["measure"] == "miou")) == miou
    fewer = call("evaluate", result.folder, "data.val_limit=1", "--device", "cpu", "-o", tmp_path)
    assert "mIoU on 1 photos" in fewer
    trained = call("evaluate", result.folder, "--split", "train", "--device", "cpu", "-o", tmp_path)
    assert "mIoU on 6 photos (train)" in trained


@one_run
def test_evaluate_refuses(result, tmp_path):
    run = ("evaluate", result.folder, "--device", "cpu", "-o", tmp_path)
    for item in ("energy.lam=2", "run.devices=2", "data.crop=64", "data.limit=1", "data.eval_scaled=1"):
        assert f"{item}: no effect on an evaluation of val; leave it out" in call(*run, item, code=1)
    assert "data.val_limit=1: no effect" in call(*run, "--split", "train", "data.val_limit=1", code=1)
    (tmp_path / "file").touch()
    assert "below: not writable" in call(*run[:-1], tmp_path / "file" / "below", code=1)
    (tmp_path / "file").unlink()
    assert "nowhere: no such folder" in call(*run, "data.root=nowhere", code=1)
    two = f"data.only=[{','.join(toy.CLASSES[:2])}]", f"data.others={toy.CLASSES[0]}"
    assert "the set's classes are background, brick; the network's are" in call(*run, *two, code=1)
    assert not list(tmp_path.iterdir())

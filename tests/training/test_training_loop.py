"""The loop on a generated set: every method learns, an interruption leaves no trace, two processes are one."""

import json
import shutil
import time
from itertools import chain, product
from types import SimpleNamespace

import pytest
import torch
from helpers.training import assert_same_weights, make_toy_set, weights_of

from toykit.datasets.sample import Sample, read_image
from toykit.models import build
from toykit.training import StoppedError, batches, load_config, panel_names, pictures, read_run, sets, setup, train
from toykit.training.batches import CropLoader, Crops, epoch_batches, seed_at
from toykit.training.config import METHODS
from toykit.training.objective import Objective

#: One epoch of phase one and one of phase two, three steps each; the network that trains fastest, from nothing, on 32 x 32
#: crops.
SMALL = [
    "model.name=light_mobilenetv2", "data.crop=32", "data.limit=7", "data.val_limit=3", "data.scale=[0.7,1]",
    "schedule.pretrain_epochs=1", "schedule.epochs=1", "schedule.batch=2", "schedule.lr=0.02", "run.pictures=1",
    "run.eval_every=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_toy_set(tmp_path_factory, train=7, val=3, size=48)


@pytest.fixture
def configure(root):
    def make(*overrides):
        return load_config("toy", [f"data.root={root}", *SMALL, *overrides])

    return make


def of_method(method):
    """The overrides that a method needs."""
    return [f"method={method}", *(["solver.method=graph_cut"] if method == "hard" else [])]


def lasting(history):
    """What does not depend on the machine's speed."""
    return [{k: v for k, v in row.items() if k not in ("images_per_second", "solver_share")} for row in history]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_fills_the_folder(method, configure, tmp_path):
    steps = []
    config = configure(*of_method(method))
    result = train(config, tmp_path / "run", callback=lambda step, loss: steps.append((step, loss)))
    assert [step for step, _ in steps] == [1, 2, 3, 4, 5, 6]
    assert all(loss >= 0 for _, loss in steps)
    assert result == read_run(tmp_path / "run")
    assert result.finished
    assert [row["phase"] for row in result.history] == ["seeds", method]
    assert [row["step"] for row in result.history] == [3, 6]
    for number, row in enumerate(result.history):
        assert row["loss"] == pytest.approx(sum(loss for _, loss in steps[3 * number : 3 * number + 3]) / 3)
        assert row["lr"] == pytest.approx(0.02 * (1 - (row["step"] - 1) / 6) ** 0.9)
        assert 0 <= row["val_miou"] <= 1
        labelled = method in ("soft", "hard") and number == 1
        assert (row["label_miou"] is not None) == (row["solver_share"] > 0) == labelled
    assert result.miou == result.history[-1]["val_miou"]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "config.yaml",
        "versions.json",
        "metrics.json",
        "events",
        "pictures",
        "checkpoint.pt",
        "checkpoint_previous.pt",
        "best.pt",
        "last.pt",
    }
    assert load_config(tmp_path / "run" / "config.yaml") == config
    assert (
        json.loads((tmp_path / "run" / "versions.json").read_text())["torch"].split("+")[0]
        == torch.__version__.split("+")[0]
    )
    drawn = sorted((tmp_path / "run" / "pictures").iterdir())
    assert [path.name for path in drawn] == ["epoch_001_train_0000.png", "epoch_002_train_0000.png"]
    height, width = read_image(drawn[0]).shape[:2]
    panels = panel_names(method)
    assert len(panels) == (4 if method in ("soft", "hard") else 3)
    assert width == len(panels) * (height + pictures.GAP) - pictures.GAP  # the photos are square


def test_methods_differ_and_the_seed_matters(configure, tmp_path):
    overrides = {method: of_method(method) for method in METHODS}
    overrides |= {"robust": [*of_method("hard"), "error_rate=0.2"]}
    overrides |= {"mean field": ["method=hard", "solver.method=mean_field"]}
    overrides |= {"seed": ["method=soft", "run.seed=1"], "eta": ["method=soft", "energy.eta=5"]}
    losses = {}
    for name, given in overrides.items():
        losses[name] = train(configure("schedule.pretrain_epochs=0", *given), tmp_path / name).history[-1]["loss"]
    assert len(set(losses.values())) == len(losses), losses


def test_the_robust_nll(configure):
    """-ln((1 - eps) sigma^y + eps (1 - sigma^y) / (K - 1)) at unlabelled pixels; plain NLL on the seeds."""
    config = configure(*of_method("hard"), "error_rate=0.2", "energy.lam=0")
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 6, 4, 4, generator=g) * 3
    seeds = torch.full((1, 4, 4), 255)
    seeds[0, 0] = torch.tensor([0, 1, 2, 5])
    outcome = Objective(config)(logits, torch.full((1, 3, 4, 4), 9.0), seeds)
    sigma, label = logits[0].softmax(0), logits[0].argmax(0)
    chosen = sigma.gather(0, torch.where(seeds < 255, seeds, label[None]))[0]
    nll = -chosen[0].log().mean()
    robust = -(0.8 * chosen[1:] + 0.2 * (1 - chosen[1:]) / 5).log().mean()
    assert outcome.loss.item() == pytest.approx((nll + config.energy.eta * robust).item(), rel=1e-5)
    assert set(outcome.labels.unique().tolist()) == {0, 1}


def test_it_learns(configure, tmp_path):
    config = configure(
        "method=full", "schedule.pretrain_epochs=0", "schedule.epochs=12", "run.eval_every=0", "run.pictures=0"
    )
    history = train(config, tmp_path).history
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["val_miou"] is None


def test_mixed_precision_begins_like_full_precision(configure, tmp_path):
    first = {}
    for precision in ("32-true", "bf16-mixed"):
        losses = []
        config = configure(f"run.precision={precision}", "schedule.pretrain_epochs=0", "model.dropout=0")
        train(config, tmp_path / precision, callback=lambda _, loss, losses=losses: losses.append(loss))
        first[precision] = losses[0]
    assert first["bf16-mixed"] == pytest.approx(first["32-true"], rel=0.1)
    assert first["bf16-mixed"] != first["32-true"]


class Interruption(Exception):
    pass


def interrupt_at(moment):
    def callback(step, _):
        if step == moment:
            raise Interruption

    return callback


def test_an_interrupted_run_ends_the_same_to_the_last_bit(configure, tmp_path):
    config = configure("run.checkpoint_steps=2")
    unbroken = train(config, tmp_path / "unbroken")
    for moment in (1, 2, 3, 4, 6):  # before a checkpoint, after one, at an epoch's end, in phase two, at the very end
        with pytest.raises(Interruption):
            train(config, tmp_path / "broken", callback=interrupt_at(moment))
    # where it runs may change
    moved = configure("run.checkpoint_steps=1", "data.workers=1")
    resumed = train(moved, tmp_path / "broken")
    assert_same_weights(weights_of(tmp_path / "unbroken"), weights_of(tmp_path / "broken"))
    assert lasting(resumed.history) == lasting(unbroken.history)
    again = train(config, tmp_path / "broken", callback=interrupt_at(1))  # there is nothing left to do
    assert again.history == resumed.history


def test_events_of_an_interrupted_run_do_not_repeat(configure, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = configure()
    with pytest.raises(Interruption):
        train(config, tmp_path, callback=interrupt_at(5))
    time.sleep(1.1)  # files of events are told apart, and sorted, by the second
    train(config, tmp_path)
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in events.Scalars("epoch/val_miou")] == [3, 6]


def test_a_run_does_not_resume_with_another_configuration(configure, tmp_path):
    train(configure(), tmp_path)
    with pytest.raises(ValueError, match=r"energy.eta was 3.0 and is 0.5, schedule.epochs was 1 and is 2.*--fresh"):
        train(configure("energy.eta=0.5", "schedule.epochs=2"), tmp_path)
    (tmp_path / "mine.txt").write_text("kept")
    fresh = train(configure("energy.eta=0.5"), tmp_path, resume=False)
    assert fresh.config.energy.eta == 0.5
    assert len(fresh.history) == 2
    assert (tmp_path / "mine.txt").exists()


def test_a_run_does_not_resume_with_other_photos(configure, root, tmp_path):
    """Finished or not; the same photos elsewhere are the same."""
    shutil.copytree(root, tmp_path / "moved")
    shutil.copytree(root, tmp_path / "fewer")
    (listed,) = (tmp_path / "fewer" / "ImageSets").rglob("train*.txt")
    listed.write_text(listed.read_text().replace("train_0006\n", ""))
    with pytest.raises(StoppedError):
        train(configure(), tmp_path / "run", should_stop=lambda: True)
    for finished in (False, True):
        with pytest.raises(
            ValueError, match=r"other photos or classes: training photos was '7 \(.*' and is '6 \(.*--fresh"
        ):
            train(configure(f"data.root={tmp_path / 'fewer'}"), tmp_path / "run")
        assert "fewer" not in (tmp_path / "run" / "config.yaml").read_text(), finished
        assert train(configure(f"data.root={tmp_path / 'moved'}"), tmp_path / "run").finished


def test_a_batch_that_cannot_be(configure, tmp_path):
    with pytest.raises(ValueError, match=r"schedule\.batch: expected at most the 7 training images.*got 8"):
        train(configure("schedule.batch=8"), tmp_path)


def test_one_image_a_process_has_no_batch_statistics(configure, tmp_path):
    with pytest.raises(
        ValueError, match=r"normalisation needs at least 2 images per process, so 2; got 1; or set model\.freeze"
    ):
        train(configure("schedule.batch=1"), tmp_path)
    frozen = configure("schedule.batch=1", "model.freeze_batch_norm=true", "data.limit=1", "schedule.epochs=0")
    assert train(frozen, tmp_path).finished


@pytest.mark.parametrize(
    "name",
    ["JPEGImages/val_0002.jpg", "SegmentationClassAug/val_0001.png", "JPEGImages/train_0003.jpg",
     "pascal_2012_scribble/train_0004.png"],
)  # fmt: skip
def test_a_missing_file_is_reported_before_the_first_step(name, root, configure, tmp_path):
    shutil.copytree(root, tmp_path / "set")
    (tmp_path / "set" / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file"):
        train(configure(f"data.root={tmp_path / 'set'}", "supervision.kind=scribbles"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_divergence_names_the_step_and_the_cure(configure, tmp_path):
    with pytest.raises(ValueError, match=r"step [2-6]: .*training diverged; try a lower schedule\.lr than 1e\+30"):
        train(configure("schedule.lr=1e30"), tmp_path)


def test_divergence_in_the_last_step_leaves_no_weights(configure, tmp_path):
    one_step = ("method=seeds_only", "schedule.pretrain_epochs=0", "schedule.epochs=1", "schedule.batch=6")
    with pytest.raises(ValueError, match=r"step 1: the network's weights became NaN or infinite: training diverged"):
        train(configure("schedule.lr=1e38", *one_step), tmp_path)
    assert not any((tmp_path / name).exists() for name in ("best.pt", "last.pt", "checkpoint.pt"))
    with pytest.raises(ValueError, match=r"step 1: the network's weights became NaN"):  # within an epoch
        train(configure("schedule.lr=1e38", *one_step[:3], "schedule.batch=2", "run.checkpoint_steps=1"), tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()
    with pytest.raises(ValueError, match=r"schedule\.momentum: expected a number in \[0, 1\), got 1\.5"):
        configure("schedule.momentum=1.5")


class Recorder(torch.optim.SGD):
    """Keeps each group's settings at each step."""

    def step(self, *args, **kwargs):
        self.seen.append([(g["lr"], g["momentum"], g["weight_decay"], len(g["params"])) for g in self.param_groups])
        return super().step(*args, **kwargs)


def test_the_optimiser_is_as_configured_at_every_step(configure, tmp_path, monkeypatch):
    Recorder.seen = []
    monkeypatch.setattr(torch.optim, "SGD", Recorder)
    settings = {"head_factor": 7, "momentum": 0.8, "weight_decay": 0.003, "power": 0.5}
    overrides = [f"{'model' if name == 'head_factor' else 'schedule'}.{name}={v}" for name, v in settings.items()]
    train(configure("run.eval_every=0", *overrides), tmp_path)
    assert len(Recorder.seen) == 6
    for step, (body, head) in enumerate(Recorder.seen):
        rate = 0.02 * (1 - step / 6) ** 0.5
        assert body[:3] == pytest.approx((rate, 0.8, 0.003))
        assert head[:3] == pytest.approx((7 * rate, 0.8, 0.003))
        assert body[3] > head[3] > 0


def test_processes_divide_the_batch(configure, tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "launch", lambda run: SimpleNamespace(world_size=2))
    with pytest.raises(ValueError, match="a multiple of the 2 processes; got 3"):
        train(configure("schedule.batch=3"), tmp_path)


def test_synchronised_batch_normalisation_is_for_gpus(configure, tmp_path):
    """On a GPU all layers are replaced; weights, names and predictions stay."""
    with pytest.raises(ValueError, match=r"model\.sync_batch_norm: torch has it for GPUs only, and this run is on cpu"):
        train(configure("model.sync_batch_norm=true"), tmp_path)
    network = build("light_mobilenetv2", 3, image_size=32, weights=None).eval()
    x = torch.rand(2, 3, 32, 32)
    before, names = network(x), list(network.state_dict())
    network = setup.synchronised(network, torch.device("cuda"))
    layers = [m for m in network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert layers
    assert all(isinstance(layer, torch.nn.SyncBatchNorm) for layer in layers)
    assert list(network.state_dict()) == names
    assert torch.allclose(network(x), before, atol=1e-6)


def test_folders_that_are_no_runs(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"metrics\.json: no such file"):
        read_run(tmp_path)
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(ValueError, match=r"metrics\.json: cannot be read as a run's metrics"):
        read_run(tmp_path)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_the_same_batches(world):
    whole = epoch_batches(23, 8, seed=3, epoch=5)
    shares = [epoch_batches(23, 8, 3, 5, rank=rank, world=world) for rank in range(world)]
    assert [sorted(chain(*parts)) for parts in zip(*shares, strict=True)] == [sorted(batch) for batch in whole]
    assert [len(batch) for batch in whole] == [8, 8]  # 7 photos wait for the next epoch
    indices = [index for batch in whole for _, index in batch]
    assert len(set(indices)) == 16
    assert epoch_batches(23, 8, 3, 5, first_step=1) == whole[1:]
    for other in (epoch_batches(23, 8, 4, 5), epoch_batches(23, 8, 3, 6)):
        assert [i for batch in other for _, i in batch] != indices


def test_a_crop_depends_on_its_address_alone(configure):
    from toykit.training.sets import load_sets

    config = configure()
    samples, _ = load_sets(config)
    assert isinstance(samples[0], Sample)

    def crop(seed, *address):
        torch.rand(3)  # draws elsewhere play no part
        return Crops(samples, config.data, seed)[address][0]

    assert torch.equal(crop(0, 2, 1), crop(0, 2, 1))
    for other in (crop(1, 2, 1), crop(0, 3, 1), crop(0, 2, 2)):
        assert not torch.equal(crop(0, 2, 1), other)


def test_photos_stay_in_memory_as_long_as_there_is_room(configure, monkeypatch):
    """Crops are the same whether their photos were kept or not; with loading processes none are."""
    from toykit.training.sets import load_sets

    config = configure()
    samples, _ = load_sets(config)
    one = sum(array.nbytes for array in (samples[0].image, samples[0].seeds, samples[0].mask))
    monkeypatch.setattr(batches, "KEPT", 2 * one)
    read, crops = [], Crops(samples, config.data, seed=0)
    whole = Crops(samples, configure("data.workers=1").data, seed=0)
    entries = type(samples).__getitem__
    monkeypatch.setattr(type(samples), "__getitem__", lambda own, i: (read.append(i), entries(own, i))[1])
    for epoch in range(2):
        for i in (0, 1, 2):
            first = crops[epoch, i]
            assert all(torch.equal(a, b) for a, b in zip(first, crops[epoch, i], strict=True))
    assert read == [0, 1, 2, 2, 2, 2]
    read.clear()
    assert all(torch.equal(a, b) for a, b in zip(whole[1, 0], crops[1, 0], strict=True))
    assert read == [0]


def test_workers_load_what_the_process_itself_loads_and_live_on(configure):
    from toykit.training.sets import load_sets

    alone, helped = configure(), configure("data.workers=2")
    samples, _ = load_sets(alone)
    loaders = [CropLoader(Crops(samples, config.data, seed=0)) for config in (alone, helped)]
    pids = set()
    for epoch in range(2):
        addresses = epoch_batches(len(samples), 2, seed=0, epoch=epoch)
        for mine, theirs in zip(*(loader.load(addresses) for loader in loaders), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
        pids |= {worker.pid for worker in loaders[1].loader._iterator._workers}
    assert len(pids) == 2


def test_addresses_of_any_length_have_their_own_seeds():
    """The weights' (seed), an order's (seed, epoch), a crop's (seed, epoch, index) and dropout's: none share a stream."""
    values = (0, 1, 2, 2**32, 2**32 + 1, 2**64)
    addresses = [address for length in (1, 2, 3, 4) for address in product(values, repeat=length)]
    seeds = {seed_at(*address) for address in addresses}
    assert len(seeds) == len(addresses)
    assert all(0 <= seed < 2**64 for seed in seeds)


QUICK = [
    "model.freeze=body",
    "data.crop=48",
    "data.scale=[1,1]",
    "supervision.present=seeds",
]


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "toykit" / "features"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_cells_with_a_frozen_body(method, configure, tmp_path, own_cache):
    """Stored maps change nothing but the time: a second run, which computes none, ends at the same weights."""
    config = configure(*of_method(method), *QUICK, "energy.stride=4", "schedule.optimizer=adamw", "run.pictures=1")
    first = train(config, tmp_path / "first")
    stored = sorted(own_cache.rglob("*.npy"))
    assert stored
    second = train(config, tmp_path / "second")
    assert sorted(own_cache.rglob("*.npy")) == stored
    assert_same_weights(weights_of(tmp_path / "first"), weights_of(tmp_path / "second"))
    assert lasting(first.history) == lasting(second.history)
    labelled = method in ("soft", "hard")
    assert (first.history[-1]["label_miou"] is not None) == labelled
    torch.manual_seed(seed_at(config.run.seed))
    start = setup.build("light_mobilenetv2", 7, image_size=48, weights=None).state_dict()
    trained = weights_of(tmp_path / "first")
    body = [name for name in start if name.startswith("body.")]
    assert body
    assert all(torch.equal(trained[name], start[name]) for name in body)


def test_a_frozen_body_wants_whole_photos_at_one_scale(configure, tmp_path, own_cache):
    with pytest.raises(ValueError, match=r"model.freeze=body keeps .* data.scale=\[1,1\]; got \[0.7, 1.0\]"):
        configure("model.freeze=body")
    with pytest.raises(
        ValueError, match=r"\.jpg: model.freeze=body needs whole photos, and this one has 48 pixels at scale 1"
    ):
        train(configure(*QUICK, "data.crop=32"), tmp_path)


def test_predictions_in_evaluation_mode_change_the_labels_only_through_the_solver(configure, tmp_path, own_cache):
    runs = [
        train(configure(*QUICK, "energy.stride=4", f"solver.predictions={mode}", "model.dropout=0.5"), tmp_path / mode)
        for mode in ("training", "evaluation")
    ]
    one, other = (r.history for r in runs)
    assert one[0]["loss"] == other[0]["loss"]  # phase one asks for no labels
    assert one[1]["loss"] != other[1]["loss"]


def test_the_tuning_split_is_not_trained_on_and_the_validation_photos_are_not_read(configure, root, tmp_path):
    config = configure("data.limit=null", "data.holdout=0.4", "method=seeds_only")
    training, validation = sets.load_sets(config)
    listed = (root / "ImageSets" / "SegmentationAug" / "train_aug.txt").read_text().split()
    assert set(training.ids) | set(validation.ids) == set(listed)
    assert not set(training.ids) & set(validation.ids)
    assert validation.supervision.kind == "full"


def test_rare_classes_are_drawn_more_often():
    weights = torch.tensor([1.0, 1.0, 8.0, 1.0, 1.0])
    epochs = [[a for batch in epoch_batches(5, 1, 0, e, weights=weights) for a in batch] for e in range(200)]
    drawn = torch.tensor([address[1] for epoch in epochs for address in epoch])
    assert (drawn == 2).float().mean().item() == pytest.approx(8 / 12, abs=0.05)
    assert all(len(set(epoch)) == 5 for epoch in epochs)  # a photo drawn again gets another crop
    for first in (0, 2):  # resumed within the epoch, it sees the same
        assert epoch_batches(5, 1, 0, 3, first, weights=weights) == epoch_batches(5, 1, 0, 3, weights=weights)[first:]

"""The configuration: presets load, overrides count, and invalid values are rejected with a message that helps."""

import dataclasses

import pytest
from omegaconf import OmegaConf

from toykit.energy import Energy
from toykit.neighborhoods import NEIGHBORHOODS, Dense, NearestNeighbors, SparseNonLocal
from toykit.training import Config, load_config, presets
from toykit.training.config import METHODS, EnergyConfig, NeighborhoodConfig, Schedule, Solver
from toykit.training.methods import with_method
from toykit.training.objective import Objective


@pytest.mark.parametrize("name", presets())
def test_presets_say_what_they_cost_and_what_to_expect(name):
    header = [line for line in presets()[name].read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for word in ("Hardware:", "Hours:", "Expected:"):
        assert any(word in line for line in header), word
    load_config(name)


def test_the_papers_numbers():
    for name in ("soft_cce_cd", "voc_resnet101", "voc_vit", "cityscapes", "ade20k"):
        config = load_config(name)
        bandwidth = 3 if name in ("cityscapes", "ade20k") else 9
        assert (config.energy.eta, config.energy.lam) == (0.3, 6)
        assert config.energy.neighborhood.build() == NearestNeighbors(bandwidth)
        assert (config.energy.cross_entropy, config.energy.relaxation) == ("CCE", "CD")
        assert (config.schedule.lr, config.schedule.power, config.schedule.epochs) == (0.0007, 0.9, 60)
    assert Config().energy.build() == Energy("CCE", "CD", 0.3, 6, NearestNeighbors(9, 4))
    assert Config().schedule.batch == 12


def test_grid_crfs_conventions():
    config = load_config("grid_crf")
    assert config.energy.build() == Energy("CE", "BL", 1, 500, NearestNeighbors("auto", 8, diagonal=2**-0.5))
    assert (config.energy.balance, config.supervision.present) == ("seeds", "seeds")
    assert (config.schedule.epochs, config.schedule.batch, config.schedule.lr) == (60, 12, 0.0007)
    assert (config.method, config.solver.method) == ("hard", "graph_cut")
    assert config.solver.options == {"max_cycles": 5, "labels": "seeded"}
    assert config.error_rate == pytest.approx(1 - 0.944)


def test_the_peers_conventions():
    rloss = load_config("dense_crf")
    assert rloss.energy.build().neighborhood == Dense.rloss()
    assert (rloss.method, rloss.energy.relaxation, rloss.energy.decisiveness) == ("gradient_descent", "BL", False)
    # their 2e-9 weighs a sum over ordered pairs of squares, our lam one over unordered pairs of pixels, a mean over pixels; and
    # they divide the seeds' mean cross-entropy by the batch once more
    assert rloss.energy.lam == pytest.approx(12 * 2e-9 * 2 * rloss.data.crop**2 / 16, rel=0.01)
    nonlocal_crf = load_config("nonlocal_crf")
    assert isinstance(nonlocal_crf.energy.build().neighborhood, SparseNonLocal)
    assert (nonlocal_crf.method, nonlocal_crf.energy.decisiveness) == ("gradient_descent", False)
    scribblesup = load_config("scribblesup")
    assert (scribblesup.method, scribblesup.solver.method, scribblesup.error_rate) == ("hard", "mean_field", 0)
    assert isinstance(scribblesup.energy.build().neighborhood, Dense)


def test_a_presets_method_on_another_set():
    base = load_config("toy", ["schedule.lr=0.02", "run.seed=4"])
    for name in presets():
        config = with_method(base, name)
        kept = ("data", "supervision", "model", "schedule", "run")
        assert all(getattr(config, part) == getattr(base, part) for part in kept)
        preset = load_config(name)
        assert (config.method, config.solver, config.error_rate) == (preset.method, preset.solver, preset.error_rate)
        assert config.energy.relaxation == preset.energy.relaxation
        if name not in ("toy", "grid_crf"):  # grid_crf has eq. (8)'s balance
            assert config.energy.eta == pytest.approx(10 * preset.energy.eta)
    assert with_method(base, "soft_cce_q").energy.lam == pytest.approx(60)
    dense = with_method(base, "dense_crf").energy  # crops of 64 instead of 512: a 64th of the neighbours
    assert dense.neighborhood.build() == Dense(15, 12.5, downscale=2, exact=True)
    assert dense.lam == pytest.approx(10 * 64 * 7.9e-4)
    for crop, exact in ((112, False), (96, True)):
        larger = with_method(load_config("toy", [f"data.crop={crop}"]), "dense_crf").energy
        assert larger.build().neighborhood.exact == exact
    assert with_method(load_config("soft_cce_cd"), "dense_crf").energy == load_config("dense_crf").energy
    # on cells each has fewer neighbours: the Potts term keeps its weight against a pixel's unary
    cells = with_method(load_config("toy", ["energy.stride=4", "energy.class_balance=true"]), "dense_crf").energy
    assert (cells.stride, cells.class_balance, cells.build().neighborhood.downscale) == (4, True, 1)
    assert cells.lam == pytest.approx(16 * dense.lam)
    assert cells.build().neighborhood.spatial_bandwidth == pytest.approx(12.5 / 4)
    assert with_method(base, "seeds_only") == dataclasses.replace(base, method="seeds_only")
    with pytest.raises(ValueError, match=r"harder: expected a method \(full, .*\) or a preset \(.*toy"):
        with_method(base, "harder")


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_an_option_that_is_null_is_left_out():
    hard = ["method=hard", "solver.method=graph_cut", "energy.cross_entropy=CE", "energy.relaxation=BL"]
    with pytest.raises(ValueError, match="method 'graph_cut' has no option tolerance"):
        load_config("voc_objects_quick", hard)
    assert load_config("voc_objects_quick", [*hard, "solver.options.tolerance=null"]).solver.options == {}
    dense = ["energy.neighborhood.kind=dense", "energy.relaxation=Q"]
    with pytest.raises(ValueError, match=r"'dense' has no option connectivity; .*; null leaves an option out"):
        load_config("toy", dense)
    config = load_config("toy", [*dense, "energy.neighborhood.options.connectivity=null"])
    assert config.energy.neighborhood == NeighborhoodConfig("dense", {"bandwidth": 9})


def test_file_then_overrides(tmp_path):
    path = write(tmp_path / "c.yaml", "schedule: {lr: 1e-3, epochs: 5}\ndata: {only: [cat, dog]}\n")
    config = load_config(
        path, ["schedule.epochs=7", "model.weights=null", "data.scale=[1,1]", "solver.options.tolerance=0.01"]
    )
    assert (config.schedule.lr, config.schedule.epochs) == (0.001, 7)
    assert config.data.only == ["cat", "dog"]
    assert tuple(config.data.scale) == (1.0, 1.0)
    assert config.model.weights is None
    assert config.solver.options == {"tolerance": 0.01}
    assert isinstance(config, Config)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.method = "full"


def test_what_it_writes_it_reads(tmp_path):
    config = load_config("toy", ["method=seeds_only", "run.seed=3"])
    text = OmegaConf.to_yaml(OmegaConf.create(config.to_dict()))
    assert load_config(write(tmp_path / "c.yaml", text)) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("schedule.epochs=three", "^schedule.epochs=three: schedule.epochs: Value 'three'"),
        ("data.only=cat", "^data.only=cat: data.only: expected a list in brackets"),
        ("data.scale=2", "^data.scale=2: data.scale: expected a list in brackets"),
        ("data.scale=[1]", "^data.scale=.1.: .*length 1 does not match"),
        ("model.wieghts=x", "overrides: unknown key model.wieghts; model has name, weights, head_factor"),
        ("modle.name=x", "unknown key modle; the configuration has method, data, supervision, model, energy"),
        ("supervision.rate=0.5", "unknown key supervision.rate; supervision has kind, ratio"),
        ("model=deeplab", "overrides: model: expected keys .name, weights"),
        ("schedule.lr=fast", "schedule.lr: Value 'fast' of type 'str' could not be converted to Float"),
        ("schedule.epochs=1.5", "schedule.epochs: Value '1.5'"),
        ("schedule.lr", "schedule.lr: expected KEY=VALUE"),
        ("method=harder", "method: expected one of full, seeds_only, gradient_descent, soft, hard; got 'harder'"),
        ("method=hard", "solver.method: the method hard takes graph_cut, mean_field; got 'fast'"),
        (
            "solver.method=graph_cut",
            "solver.method: the method soft takes fast, gradient, closed_form; got 'graph_cut'",
        ),
        ("error_rate=0.1", "error_rate: expected 0 with the method soft, got 0.1; take method=hard"),
        ("data.kind=imagenet", "data.kind: expected one of toy"),
        ("data.crop=513", "data.crop: expected a multiple of 16 .512 for the paper's 513., got 513"),
        ("data.scale=[2,1]", "data.scale: expected two numbers"),
        ("data.limit=0", "data.limit: expected a whole number, at least 1; got 0"),
        ("model.name=unet", "model.name: expected one of deeplabv3plus_mobilenetv2"),
        ("model.head_factor=0", r"model.head_factor: expected a number in \(0, inf\), got 0"),
        ("model.dropout=1", r"model.dropout: expected a number in \[0, 1\), got 1"),
        ("energy.relaxation=TV", "relaxation: expected one of BL"),
        ("energy.lam=-1", r"lam: expected a number in \[0, inf\), got -1"),
        (
            "energy.neighborhood.options.bandwidth=0",
            r"energy.neighborhood.options: bandwidth: expected a number in \[1e-6",
        ),
        ("energy.neighborhood.options.bandwidth=wide", "bandwidth: expected a number in .* or .auto., got 'wide'"),
        ("energy.neighborhood.options.diagonal=0", "energy.neighborhood.options: diagonal: expected"),
        ("energy.neighborhood.options.connectivity=6", "connectivity: expected one of 4, 8; got 6"),
        (
            "energy.neighborhood.options.far=8",
            "energy.neighborhood.options: neighborhood 'nearest' has no option far; it has bandwidth, connectivity, factor",
        ),
        (
            "energy.neighborhood.kind=far",
            "energy.neighborhood.kind: expected one of nearest, sparse_nonlocal, dense; got",
        ),
        ("energy.neighborhood.kind=dense", "only these are quadratic"),
        ("energy.neighborhood=dense", "overrides: energy.neighborhood: expected keys .kind, options., got 'dense'"),
        (
            "energy.bandwidth=9",
            "unknown key energy.bandwidth; energy has cross_entropy, relaxation, eta, lam, neighborhood",
        ),
        ("supervision.kind=boxes", "kind: expected one of scribbles"),
        ("solver.method=magic", "expected one of fast, gradient, closed_form, graph_cut, mean_field; got 'magic'"),
        ("solver.options.steps=3", "solver.options: method 'fast' has no option steps; it has tolerance"),
        ("solver.options.tolerance=2", "tolerance: expected a number in"),
        ("schedule.batch=0", "schedule.batch: expected a whole number, at least 1"),
        ("schedule.epochs=0", "schedule.epochs . pretrain_epochs: expected"),
        ("schedule.lr=0", r"schedule.lr: expected a number in \(0, inf\), got 0"),
        ("schedule.momentum=1", r"schedule.momentum: expected a number in \[0, 1\), got 1"),
        ("run.precision=16-mixed", "run.precision: expected one of 32-true, bf16-mixed"),
        ("run.devices=0", "run.devices: expected a whole number, at least 1"),
        ("run.accelerator=tpu", "run.accelerator: expected one of auto, cpu, cuda"),
    ],
)
def test_invalid_values_are_rejected(override, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_config(write(tmp_path / "c.yaml", "method: soft\n"), [override])


def test_an_empty_file_is_no_configuration(tmp_path):
    for text in ("", "# nothing\n", "---\n"):
        with pytest.raises(ValueError, match=r"c\.yaml: it is empty"):
            load_config(write(tmp_path / "c.yaml", text))


def test_a_text_is_taken_as_it_is_written():
    """YAML would make 202405, 10, a comment, a mapping and a list of them."""
    for text in ("2024_05", "0012", "a #1", "a: b", "[1]", "yes", "@x", "12:30:45"):
        assert load_config("toy", [f"data.root={text}"]).data.root == text
    assert load_config("toy", ["data.root= x"]).data.root == "x"
    assert load_config("toy", ["data.root='null'"]).data.root == "null"
    assert load_config("toy", ["data.root=x", "data.root=null"]).data.root is None
    assert load_config("toy", ["model.weights=null"]).model.weights is None
    assert load_config("toy", ["data.only=[a,b]", "schedule.lr=1e-3"]).data.only == ["a", "b"]
    for item in ("data.root=", "schedule.lr="):
        with pytest.raises(ValueError, match=f"{item}: has no value; expected KEY=VALUE, or KEY=null"):
            load_config("toy", [item])


@pytest.mark.parametrize("text", ["method: [", "- a\n- b\n", "just words", "schedule: {lr: ${nowhere}}"])
def test_broken_files_are_named(text, tmp_path):
    with pytest.raises(ValueError, match=r"c\.yaml"):
        load_config(write(tmp_path / "c.yaml", text))


def test_neither_file_nor_preset():
    with pytest.raises(FileNotFoundError, match=r"toyy: neither a file nor a preset; the presets are .*toy"):
        load_config("toyy")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["kind=sparse_nonlocal", "options.far=2", "options.candidates=3"], SparseNonLocal(9, 4, far=2, candidates=3)),
        (
            ["kind=dense", "options.connectivity=null", "options.spatial_bandwidth=50", "options.downscale=2"],
            Dense(9, 50, 2),
        ),
        (["kind=dense", "options.connectivity=null", "options.exact=true"], Dense(exact=True)),
        (["options.connectivity=8"], NearestNeighbors(9, 8)),
        (["options.bandwidth=auto", "options.diagonal=0.5"], NearestNeighbors("auto", diagonal=0.5)),
    ],
)
def test_neighborhoods(overrides, expected):
    config = load_config("toy", ["energy.relaxation=Q", *(f"energy.neighborhood.{item}" for item in overrides)])
    assert config.energy.build().neighborhood == expected


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_every_neighborhood_has_a_gradient(method, neighborhood, make_problem):
    logits, image, seeds = make_problem(height=5, width=6)
    terms = EnergyConfig(relaxation="Q", lam=0.1, neighborhood=NeighborhoodConfig(neighborhood))
    solver = "mean_field" if method == "hard" else "gradient"
    config = Config(method=method, energy=terms, solver=Solver(solver, {"steps": 3}))
    Objective(config)(logits.requires_grad_(), image, seeds).loss.backward()
    assert logits.grad.isfinite().all()


def test_decisiveness_matters(make_problem):
    logits, image, seeds = make_problem(height=5, width=6)
    on, off = (
        Objective(Config(method="gradient_descent", energy=EnergyConfig(decisiveness=flag)))(logits, image, seeds).loss
        for flag in (True, False)
    )
    assert on > off


def test_the_schedules():
    joint = Schedule(pretrain_epochs=2, epochs=3, lr=0.1, power=0.9)
    assert [joint.learning_rate(s, 10) for s in (0, 20, 49)] == pytest.approx(
        [0.1, 0.1 * 0.6**0.9, 0.1 * (1 / 50) ** 0.9]
    )
    own = Schedule(pretrain_epochs=2, epochs=3, lr=0.1, pretrain_lr=0.4, restart=True, power=1)
    assert [own.learning_rate(s, 10) for s in (0, 10, 20, 35)] == pytest.approx([0.4, 0.2, 0.1, 0.05])
    assert Schedule(pretrain_epochs=0, restart=True, lr=0.1).learning_rate(0, 10) == pytest.approx(0.1)
    assert own.strength(20, 10) == 1
    ramp = Schedule(pretrain_epochs=2, epochs=3, ramp_epochs=0.5)
    assert [ramp.strength(s, 10) for s in (20, 22, 24, 25, 49)] == pytest.approx([0.2, 0.6, 1, 1, 1])
    for wrong in ({}, {"restart": True}):  # without phase one there is nothing to set
        with pytest.raises(ValueError, match=r"schedule\.pretrain_lr: needs schedule\.restart=true"):
            Schedule(pretrain_lr=0.1, **wrong)
    with pytest.raises(ValueError, match=r"schedule\.ramp_epochs: expected at most schedule\.epochs=3"):
        Schedule(epochs=3, ramp_epochs=4)
    with pytest.raises(ValueError, match=r"schedule\.optimizer: expected one of sgd, adamw"):
        Schedule(optimizer="adam")


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ("data.holdout=1", r"data.holdout: expected a number in \[0, 1\), got 1"),
        ("data.sampling=rare", "data.sampling: expected one of uniform, rare_classes"),
        ("data.others=background", "data.others=background: has no effect without data.only"),
        ("energy.stride=0", "energy.stride: expected"),
        ("energy.balance=pixels", "energy.balance: expected one of terms, seeds"),
        ("solver.predictions=both", "solver.predictions: expected one of training, evaluation"),
        ("model.freeze=head", "model.freeze: expected one of none, body"),
        ("supervision.present=crop", "supervision present: expected one of all, seeds"),
    ],
)
def test_new_options_are_checked(override, match):
    with pytest.raises(ValueError, match=match):
        load_config("toy", [override])


def test_lengths_in_pixels_become_lengths_in_cells():
    dense = NeighborhoodConfig("dense", {"spatial_bandwidth": 100})
    assert EnergyConfig(relaxation="Q", neighborhood=dense, stride=4).build().neighborhood.spatial_bandwidth == 25


@pytest.mark.parametrize("option", [{"balance": "seeds"}, {"class_balance": True}, {"stride": 2}])
def test_each_option_of_the_loss_matters(option, make_problem):
    logits, image, seeds = make_problem(height=12, width=12)
    losses = [Objective(Config(energy=EnergyConfig(**o)))(logits, image, seeds).loss.item() for o in ({}, option)]
    assert losses[0] != losses[1]


def test_a_ramp_weakens_the_unlabelled_terms_only(make_problem):
    logits, image, seeds = make_problem(height=12, width=12)
    for method in ("soft", "gradient_descent"):
        objective = Objective(Config(method=method))
        whole, half, nothing = (objective(logits, image, seeds, strength=s).loss.item() for s in (1.0, 0.5, 0.0))
        assert nothing == pytest.approx(objective.on_seeds(logits, seeds).item())
        assert half == pytest.approx((whole + nothing) / 2)

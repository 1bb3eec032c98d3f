"""A run's configuration: one typed tree, read from YAML and KEY=VALUE overrides; what is wrong is refused before any work.

The defaults are the paper's where it gives a number (sections 3 and B): eta 0.3, lambda 6, CCE and CD, bandwidth 9, batch 12,
learning rate 0.0007 with polynomial decay 0.9, 60 epochs. It does not give momentum, weight decay, the head's factor, the
scales of augmentation, nor how long the network is pre-trained on scribbles: those are ours, usual for DeepLab.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from numbers import Real
from pathlib import Path
from typing import Any

from toykit._shared.arguments import check_choice, check_whole
from toykit.datasets import KINDS
from toykit.energy import Energy
from toykit.energy.balance import BALANCES
from toykit.models import MODELS, MULTIPLE
from toykit.neighborhoods import Dense, NearestNeighbors, SparseNonLocal
from toykit.solvers import SOLVERS, check_options
from toykit.supervision import Supervision

#: full: NLL on whole masks. seeds_only: NLL on the seeds. gradient_descent: eq. (4). soft: eq. (8), self-labelling.
#: hard: eq. (8) with hard labels.
METHODS = ("full", "seeds_only", "gradient_descent", "soft", "hard")
NEIGHBORHOODS = ("nearest", "sparse_nonlocal", "dense")
#: Side of a crop, in squares, up to which all pairs are about as quickly summed as filtered (kept: 20 MB an image).
FEW_PIXELS = 48
#: How often a photo is seen: all alike, or more often those of rare classes.
SAMPLINGS = ("uniform", "rare_classes")
OPTIMIZERS = ("sgd", "adamw")
#: Whose predictions the solver gets: those that the loss is taken of, or the network's in evaluation mode.
PREDICTIONS = ("training", "evaluation")
FREEZE = ("none", "body")
PRECISIONS = ("32-true", "bf16-mixed")  # float16 would need a loss scaler, and its state in the checkpoint


@dataclass(frozen=True)
class Data:
    """The data set. `root`: its folder (None: where `TOYKIT_DATA` has it).

    merge: new class -> names of the classes that it takes the place of, e.g. {object: [cat, dog]}. only: names of the classes
    to keep, after merging; others: "drop" leaves out the photos that show another class, a class's name makes the others that
    class. See `toykit.datasets.classes`.
    limit, val_limit: at most that many images, evenly spread over the set. holdout: share of the training photos to evaluate on
    instead of the validation photos, for choosing settings; a hash of their names picks them, and they are not trained on.
    sampling: "uniform", each photo once per epoch; "rare_classes", drawn in proportion to the sum of 1 / sqrt(frequency) of its
    seeds' classes. crop: side of the training crops; scale, flip: of the augmentation. eval_scale: how large the network sees a
    photo in evaluation; the mask keeps its size. workers: processes that load images (0: the training process itself).
    """

    kind: str = "toy"
    root: str | None = None
    merge: dict[str, list[str]] | None = None
    only: list[str] | None = None
    others: str = "drop"
    holdout: float = 0.0
    sampling: str = "uniform"
    limit: int | None = None
    val_limit: int | None = None
    crop: int = 512
    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    eval_scale: float = 1.0
    workers: int = 0

    def __post_init__(self):
        check_choice("data.kind", self.kind, KINDS)
        check_whole("data.crop", self.crop, MULTIPLE)
        if self.crop % MULTIPLE:
            raise ValueError(f"data.crop: expected a multiple of {MULTIPLE} (512 for the paper's 513), got {self.crop}")
        if not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise ValueError(f"data.scale: expected two numbers, 0 < low <= high, got {list(self.scale)}")
        _above_zero("data.eval_scale", self.eval_scale)
        check_choice("data.sampling", self.sampling, SAMPLINGS)
        if not 0 <= self.holdout < 1:
            raise ValueError(f"data.holdout: expected a share of the training photos in [0, 1), got {self.holdout}")
        if self.others != "drop" and self.only is None:
            raise ValueError(f"data.others={self.others}: has no effect without data.only, the classes to keep")
        check_whole("data.workers", self.workers, 0)
        for name in ("limit", "val_limit"):
            if getattr(self, name) is not None:
                check_whole(f"data.{name}", getattr(self, name), 1)


@dataclass(frozen=True)
class Model:
    """The network, see `toykit.models.build`. head_factor: the head's learning rate over the body's.

    freeze: "body" trains the head alone; the body's maps of each photo are then computed once and kept on disk, see
    `toykit.training.features`, which needs whole photos at one scale.
    """

    name: str = "deeplabv3plus_mobilenetv2"
    weights: str | None = "imagenet"
    head_factor: float = 10.0
    dropout: float = 0.5
    freeze_batch_norm: bool = False
    freeze: str = "none"

    def __post_init__(self):
        check_choice("model.name", self.name, MODELS)
        check_choice("model.freeze", self.freeze, FREEZE)
        _above_zero("model.head_factor", self.head_factor)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout: expected a probability below 1, got {self.dropout}")


@dataclass(frozen=True)
class EnergyConfig:
    """The terms of eq. (8) or (4) and their weights, see `toykit.Energy`, and the neighbourhood: a name of `NEIGHBORHOODS`.

    bandwidth: of colour, everywhere. connectivity: of nearest and sparse_nonlocal. far, candidates: of sparse_nonlocal alone.
    spatial_bandwidth (in pixels), downscale, exact: of dense alone. decisiveness: whether gradient_descent has the entropy term
    of eq. (4). stride: side in pixels of the cells on which the terms are taken, see `toykit.energy.cells`; 1 is full resolution.
    balance, class_balance (of soft and hard): of the network's loss, see `toykit.energy.balance`. Phase one always takes "terms".
    """

    cross_entropy: str = "CCE"
    relaxation: str = "CD"
    eta: float = 0.3
    lam: float = 6.0
    bandwidth: float | int | str = 9.0
    connectivity: int = 4
    diagonal: float = 1.0
    neighborhood: str = "nearest"
    far: int = 4
    candidates: int = 8
    spatial_bandwidth: float = 100.0
    downscale: int = 1
    exact: bool = False
    decisiveness: bool = True
    stride: int = 1
    balance: str = "terms"
    class_balance: bool = False

    def __post_init__(self):
        if not isinstance(self.bandwidth, str):
            object.__setattr__(self, "bandwidth", float(self.bandwidth))  # OmegaConf converts no value of a union
        check_choice("energy.neighborhood", self.neighborhood, NEIGHBORHOODS)
        check_whole("energy.stride", self.stride)
        check_choice("energy.balance", self.balance, BALANCES)
        self.build()

    def build(self) -> Energy:
        """The energy. Raises: ValueError for an unknown name or a weight out of range."""
        if self.neighborhood == "nearest":
            neighborhood = NearestNeighbors(self.bandwidth, self.connectivity, diagonal=self.diagonal)
        elif self.neighborhood == "sparse_nonlocal":
            neighborhood = SparseNonLocal(self.bandwidth, self.connectivity, far=self.far, candidates=self.candidates)
        else:
            space = self.spatial_bandwidth / self.stride  # the neighbourhood counts in cells
            neighborhood = Dense(self.bandwidth, space, self.downscale, self.exact)
        return Energy(self.cross_entropy, self.relaxation, self.eta, self.lam, neighborhood)


@dataclass(frozen=True)
class Solver:
    """The pseudo-label solver and its options, see `toykit.solve`; e.g. gradient, with steps: 200 and lr: 0.075.

    An option that is null is left out, so that a variant with another method can drop a preset's options.
    The method hard takes graph_cut or mean_field, the others one of the rest. predictions: "training", those that the loss is
    taken of, or "evaluation", the network's without dropout and with batch normalisation's stored statistics, at the price of
    another pass.
    """

    method: str = "fast"
    options: dict[str, Any] = field(default_factory=dict)
    predictions: str = "training"

    def __post_init__(self):
        check_choice("solver.predictions", self.predictions, PREDICTIONS)
        given = {name: value for name, value in self.options.items() if value is not None}
        object.__setattr__(self, "options", given)
        try:
            check_options(self.method, dict(self.options))
        except TypeError as error:
            raise ValueError(f"solver.options: {error}") from error


@dataclass(frozen=True)
class Schedule:
    """Phase one: pretrain_epochs with the NLL on the seeds alone; phase two: epochs with the method's loss.

    optimizer: "sgd", the paper's, or "adamw"; momentum is SGD's. batch: images per step, over all processes together.
    lr decays to 0 as (1 - step / steps)^power, over both phases together or, with `restart`, over each phase on its own, phase
    one then from pretrain_lr (default lr). The paper does not say which; its lab's earlier code restarts.
    ramp_epochs: over that many epochs at the start of phase two the terms on unlabelled pixels grow linearly to their weights.
    """

    optimizer: str = "sgd"
    pretrain_epochs: int = 0
    epochs: int = 60
    batch: int = 12
    lr: float = 0.0007
    restart: bool = False
    pretrain_lr: float | None = None
    ramp_epochs: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 0.0001
    power: float = 0.9

    def __post_init__(self):
        check_choice("schedule.optimizer", self.optimizer, OPTIMIZERS)
        check_whole("schedule.pretrain_epochs", self.pretrain_epochs, 0)
        check_whole("schedule.epochs", self.epochs, 0)
        check_whole("schedule.batch", self.batch, 1)
        check_whole("schedule.epochs + pretrain_epochs", self.total_epochs, 1)
        if self.ramp_epochs > self.epochs:
            raise ValueError(
                f"schedule.ramp_epochs: expected at most schedule.epochs={self.epochs}, got {self.ramp_epochs}"
            )
        _above_zero("schedule.lr", self.lr)
        if self.pretrain_lr is not None:
            _above_zero("schedule.pretrain_lr", self.pretrain_lr)
            if not self.restart or not self.pretrain_epochs:
                raise ValueError(
                    "schedule.pretrain_lr: needs schedule.restart=true and a phase one; else both phases decay from schedule.lr"
                )
        for name in ("momentum", "weight_decay", "power", "ramp_epochs"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"schedule.{name}: expected a finite number >= 0, got {getattr(self, name)}")

    @property
    def total_epochs(self) -> int:
        """Both phases."""
        return self.pretrain_epochs + self.epochs

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0 over both phases."""
        first, whole = self.pretrain_epochs * steps_per_epoch, self.total_epochs * steps_per_epoch
        lr, begin, end = self.lr, 0, whole
        if self.restart and step < first:
            lr, end = self.pretrain_lr or self.lr, first
        elif self.restart:
            begin = first
        return lr * (1 - (step - begin) / (end - begin)) ** self.power

    def strength(self, step: int, steps_per_epoch: int) -> float:
        """The share in (0, 1] of their weights that the terms on unlabelled pixels have in a step of phase two."""
        ramp = self.ramp_epochs * steps_per_epoch
        into = step - self.pretrain_epochs * steps_per_epoch + 1
        return min(1.0, into / ramp) if ramp else 1.0


@dataclass(frozen=True)
class Run:
    """How it runs. devices: processes of this machine (under torchrun, torchrun's count), one GPU each where there are.

    eval_every: epochs between evaluations (the last epoch always has one; 0: none, for a set without masks).
    pictures: how many training images to draw after each epoch. checkpoint_steps: also save so often within an epoch
    (0: only at its end). deterministic: repeatable algorithms on a GPU too, at some cost (a processor is repeatable anyway).
    """

    seed: int = 0
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"
    eval_every: int = 1
    pictures: int = 4
    checkpoint_steps: int = 0
    deterministic: bool = False

    def __post_init__(self):
        check_choice("run.accelerator", self.accelerator, ("auto", "cpu", "cuda"))
        check_choice("run.precision", self.precision, PRECISIONS)
        for name, least in {"seed": 0, "devices": 1, "eval_every": 0, "pictures": 0, "checkpoint_steps": 0}.items():
            check_whole(f"run.{name}", getattr(self, name), least)


@dataclass(frozen=True)
class Config:
    """Everything that a run needs to know.

    error_rate: epsilon of the method hard's robust NLL, in [0, 1), see `toykit.training.objective`; 0 is the NLL itself.
    """

    method: str = "soft"
    data: Data = field(default_factory=Data)
    supervision: Supervision = field(default_factory=Supervision)
    model: Model = field(default_factory=Model)
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    solver: Solver = field(default_factory=Solver)
    schedule: Schedule = field(default_factory=Schedule)
    run: Run = field(default_factory=Run)
    error_rate: float = 0.0

    def __post_init__(self):
        check_choice("method", self.method, METHODS)
        solvers = [name for name, solver in SOLVERS.items() if solver.hard == (self.method == "hard")]
        if self.solver.method not in solvers:
            raise ValueError(
                f"solver.method: the method {self.method} takes {', '.join(solvers)}; got {self.solver.method!r}"
            )
        if self.model.freeze == "body" and self.data.scale[0] != self.data.scale[1]:
            raise ValueError(
                "model.freeze=body keeps the body's maps of each photo, so it needs one scale, e.g. data.scale=[1,1]; got "
                f"{list(self.data.scale)}"
            )
        if not 0 <= self.error_rate < 1 or (self.error_rate > 0 and self.method != "hard"):
            raise ValueError(
                f"error_rate: expected a share in [0, 1), above 0 only with the method hard; got {self.error_rate}"
            )

    def to_dict(self) -> dict:
        """Plain dicts, lists and values, as YAML and a checkpoint hold them."""
        from omegaconf import OmegaConf

        return OmegaConf.to_container(OmegaConf.structured(self))


def presets() -> dict[str, Path]:
    """The shipped configurations: name -> file. Each begins with hardware, hours and expected number."""
    folder = Path(str(files("toykit.training") / "presets"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def with_method(base: Config, name: str) -> Config:
    """A run with another method: one of `METHODS`, else all the same; or a preset's name: its method, terms and solver.

    Data, supervision, network, schedule, stride and class_balance stay the base's. So that a preset for one set does on another
    what it does on its own, lengths in pixels go with the crop's side and the weight of a dense term with the inverse of its
    square, since a pixel has as many more neighbours; dense pairs are summed rather than filtered where the crop has few; and
    eta and lam get the factor that the base has over the paper's eta of 0.3 (ten on the toy set), except under the balance
    "seeds".
    Raises: ValueError for a name that is neither.
    """
    if name in METHODS:
        return dataclasses.replace(base, method=name)
    if name not in presets():
        raise ValueError(f"{name}: expected a method ({', '.join(METHODS)}) or a preset ({', '.join(presets())})")
    preset = load_config(name)
    terms, factor, ratio = preset.energy, base.energy.eta / EnergyConfig.eta, base.data.crop / preset.data.crop
    if terms.neighborhood == "dense":
        stride = base.energy.stride  # a cell has as many fewer neighbours as it has pixels
        downscale = max(1, terms.downscale // stride)
        exact = terms.exact or base.data.crop <= FEW_PIXELS * downscale * stride
        space, lam = terms.spatial_bandwidth * ratio, terms.lam * (stride / ratio) ** 2
        terms = dataclasses.replace(terms, spatial_bandwidth=space, lam=lam, exact=exact, downscale=downscale)
    if terms.balance == "terms":  # under eq. (8)'s own balance a preset's eta means the same on every set
        terms = dataclasses.replace(terms, eta=terms.eta * factor, lam=terms.lam * factor)
    terms = dataclasses.replace(terms, stride=base.energy.stride, class_balance=base.energy.class_balance)
    return dataclasses.replace(
        base, method=preset.method, energy=terms, solver=preset.solver, error_rate=preset.error_rate
    )


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file, or a preset by its name, and then the overrides, e.g. ["schedule.lr=0.01", "data.only=[cat,dog]"].

    Raises: ValueError for an unknown key (it lists the known ones), a wrong type or a value out of range;
        FileNotFoundError if there is neither such a file nor such a preset; ImportError without the train extra.
    """
    try:
        import yaml
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    except ImportError as error:
        raise ImportError(f"training needs the train extra: pip install 'toykit[train]' ({error})") from error
    path = presets().get(str(source), Path(source))
    if not path.is_file():
        raise FileNotFoundError(f"{source}: neither a file nor a preset; the presets are {', '.join(presets())}")
    for item in overrides:
        if "=" not in item:
            raise ValueError(f"{item}: expected KEY=VALUE, e.g. schedule.lr=0.001")
    try:
        given = {str(path): OmegaConf.load(path), "overrides": OmegaConf.from_dotlist(list(overrides))}
        merged = OmegaConf.structured(Config)
        for origin, tree in given.items():
            _check_keys(OmegaConf.to_container(tree), Config, origin)
            merged = OmegaConf.merge(merged, tree)
        return OmegaConf.to_object(merged)
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        key = getattr(error, "full_key", None)
        raise ValueError(f"{path}: {f'{key}: ' if key else ''}{str(error).splitlines()[0]}") from error


def _check_keys(tree: Any, schema: type, origin: str, prefix: str = "") -> None:
    """Raise ValueError, listing the known keys, for the first that the schema lacks."""
    known = {f.name: f.default_factory for f in dataclasses.fields(schema)}
    where = prefix.rstrip(".") or "the configuration"
    if not isinstance(tree, dict):
        raise ValueError(f"{origin}: {where}: expected keys ({', '.join(known)}), got {tree!r}")
    for key, value in tree.items():
        if key not in known:
            raise ValueError(f"{origin}: unknown key {prefix}{key}; {where} has {', '.join(known)}")
        if dataclasses.is_dataclass(known[key]):
            _check_keys(value, known[key], origin, f"{prefix}{key}.")


def _above_zero(name: str, value: Real) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name}: expected a finite number above 0, got {value}")

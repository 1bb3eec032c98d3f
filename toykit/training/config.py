"""A run's configuration: one tree of frozen dataclasses, which reject invalid values before any work begins.

`toykit.training.load` reads it from presets, YAML files and KEY=VALUE overrides; `toykit.training.methods` derives a run
with another method from it.

The defaults are the paper's where it gives a number (sections 3 and B): eta 0.3, lambda 6, CCE and CD, bandwidth 9, batch 12,
learning rate 0.0007 with polynomial decay 0.9, 60 epochs. It does not give momentum, weight decay, the head's factor, the
scales of augmentation, nor how long the network is pre-trained on scribbles: those are ours, usual for DeepLab.
"""

import dataclasses
import math
from dataclasses import dataclass, field

from toykit._shared.arguments import check_choice, check_number, check_whole
from toykit.datasets import KINDS
from toykit.models import MODELS, MULTIPLE
from toykit.solvers import SOLVERS
from toykit.supervision import Supervision
from toykit.training.energy_config import EnergyConfig, NeighborhoodConfig, Solver
from toykit.training.schedule import Schedule

__all__ = [
    "METHODS",
    "Config",
    "Data",
    "EnergyConfig",
    "Model",
    "NeighborhoodConfig",
    "Run",
    "Schedule",
    "Solver",
    "Supervision",
]

#: full: NLL on whole masks. seeds_only: NLL on the seeds. gradient_descent: eq. (4). soft: eq. (8), self-labelling.
#: hard: eq. (8) with hard labels.
METHODS = ("full", "seeds_only", "gradient_descent", "soft", "hard")
#: How often a photo is drawn: all equally often, or those with rare classes more often.
SAMPLINGS = ("uniform", "rare_classes")
FREEZE = ("none", "body")
PRECISIONS = ("32-true", "bf16-mixed")  # float16 would need a loss scaler, and its state in the checkpoint


@dataclass(frozen=True)
class Data:
    """The data set, its classes, and the crops that the network is trained on.

    Parameters
    ----------
    kind : str, default "toy"
        One of `toykit.datasets.KINDS`.
    root : str, optional
        The set's folder. Default: its place under `TOYKIT_DATA`.
    merge : dict of str to list of str, optional
        New class -> names of the classes that it replaces, e.g. {object: [cat, dog]}; see `toykit.datasets.classes`.
    only : list of str, optional
        Names of the classes to keep, after merging. Default: all.
    others : str, default "drop"
        With `only`: "drop" leaves out the photos that show another class; the name of a class turns the others into it.
    holdout : float, default 0.0
        Share in [0, 1) of the training photos to evaluate on instead of the validation photos, for choosing settings. A hash
        of their names picks them; the network is not trained on them.
    sampling : {"uniform", "rare_classes"}, default "uniform"
        "uniform": each photo once per epoch. "rare_classes": photos drawn in proportion to the sum of 1 / sqrt(frequency) of
        their seeds' classes.
    limit, val_limit : int, optional
        The most training and validation images, evenly spread over the set. Default: all.
    crop : int, default 512
        Side of the training crops in pixels, a multiple of `toykit.models.MULTIPLE`.
    scale : (float, float), default (0.5, 2.0)
        Range of the augmentation's scale.
    flip : bool, default True
        Whether the augmentation mirrors photos.
    eval_scale : float, default 1.0
        Scale at which the network sees a photo in evaluation; the mask keeps its size.
    workers : int, default 0
        Processes that load images; 0: the training process itself.

    Raises
    ------
    ValueError
        For an unknown name, a value out of range, or a combination without effect.
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
        check_number("data.eval_scale", self.eval_scale, "(0, inf)")
        check_choice("data.sampling", self.sampling, SAMPLINGS)
        check_number("data.holdout", self.holdout, "[0, 1)")
        if self.others != "drop" and self.only is None:
            raise ValueError(f"data.others={self.others}: has no effect without data.only, the classes to keep")
        check_whole("data.workers", self.workers, 0)
        for name in ("limit", "val_limit"):
            if getattr(self, name) is not None:
                check_whole(f"data.{name}", getattr(self, name), 1)


@dataclass(frozen=True)
class Model:
    """The network, see `toykit.models.build`.

    Parameters
    ----------
    name : str, default "deeplabv3plus_mobilenetv2"
        A key of `toykit.models.MODELS`.
    weights : str, optional, default "imagenet"
        Initial weights of the body: "imagenet", a file, or None: random.
    head_factor : float, default 10.0
        The head's learning rate over the body's.
    dropout : float, default 0.5
        Probability in [0, 1).
    freeze_batch_norm : bool, default False
        Whether batch normalisation keeps its stored statistics.
    sync_batch_norm : bool, default False
        Whether batch normalisation uses the statistics of the whole batch when several GPUs share it, instead of those of each
        process's share.
    freeze : {"none", "body"}, default "none"
        "body" trains the head alone. The body's maps of each photo are then computed once and kept on disk, see
        `toykit.training.features`, which needs whole photos at one scale.

    Raises
    ------
    ValueError
        For an unknown name or a value out of range.
    """

    name: str = "deeplabv3plus_mobilenetv2"
    weights: str | None = "imagenet"
    head_factor: float = 10.0
    dropout: float = 0.5
    freeze_batch_norm: bool = False
    sync_batch_norm: bool = False
    freeze: str = "none"

    def __post_init__(self):
        check_choice("model.name", self.name, MODELS)
        check_choice("model.freeze", self.freeze, FREEZE)
        check_number("model.head_factor", self.head_factor, "(0, inf)")
        check_number("model.dropout", self.dropout, "[0, 1)")


@dataclass(frozen=True)
class Run:
    """Where and how a run is computed, and what it records.

    Parameters
    ----------
    seed : int, default 0
    accelerator : {"auto", "cpu", "cuda"}, default "auto"
    devices : int, default 1
        Processes on this machine, with one GPU each where there are GPUs. Under torchrun its count holds.
    precision : {"32-true", "bf16-mixed"}, default "32-true"
    eval_every : int, default 1
        Epochs between evaluations; the last epoch always has one. 0: none, for a set without masks.
    pictures : int, default 4
        Number of training images to draw after each epoch.
    checkpoint_steps : int, default 0
        Steps between checkpoints within an epoch. 0: only at its end.
    deterministic : bool, default False
        Repeatable algorithms on a GPU, too, at some cost. Runs on the CPU are always repeatable.

    Raises
    ------
    ValueError
        For an unknown name or a value out of range.
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
    """The configuration of a run.

    Parameters
    ----------
    method : str, default "soft"
        One of `METHODS`.
    data : Data
    supervision : Supervision
    model : Model
    energy : EnergyConfig
    solver : Solver
    schedule : Schedule
    run : Run
    error_rate : float, default 0.0
        epsilon in [0, 1) of the method hard's robust NLL, see `toykit.training.objective`; 0 is the NLL itself.

    Raises
    ------
    ValueError
        For parts that do not fit together.
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
        check_number("error_rate", self.error_rate, "[0, 1)")
        if self.error_rate > 0 and self.method != "hard":
            raise ValueError(
                f"error_rate: expected 0 with the method {self.method}, got {self.error_rate}; take method=hard"
            )

    def to_dict(self) -> dict:
        """Return plain dicts, lists, tuples and values, as YAML and a checkpoint store them."""
        return dataclasses.asdict(self)

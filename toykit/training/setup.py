"""Everything that a run needs before its first step: devices, sets, network, optimiser, the state to resume from."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from toykit._shared.files import check_writable
from toykit.datasets.segmentation_set import SegmentationSet
from toykit.models import Network, build, parameter_groups
from toykit.training import checkpoint, run_folder, weights
from toykit.training.batches import CropLoader, Crops, check_whole_photos, class_frequency_weights, seed_at
from toykit.training.checkpoint import Progress
from toykit.training.config import Config, Run, Schedule
from toykit.training.epoch_stats import Tally
from toykit.training.features import FeatureCache
from toykit.training.objective import Objective
from toykit.training.sets import fingerprint, load_sets
from toykit.training.stops import check_weights

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class TrainingRun:
    """A run ready for its next step. Training changes `progress`, the weights, the optimiser's state and the feature cache.

    Attributes
    ----------
    config : Config
    folder : Path
    fabric : Fabric
        Lightning Fabric: places the network and sums over processes.
    training, validation : SegmentationSet
        The sets; `validation` is None where nothing is evaluated.
    network : module
        The network inside Fabric's wrapper, which adds mixed precision and the exchange of gradients.
    module : Network
        The same network without the wrapper, for evaluation and pictures.
    optimizer : Optimizer
        Inside Fabric's wrapper. Its groups are the body, unless it is frozen, and the head.
    lr_factors : list of float
        Factor by which each group's learning rate differs from the schedule's.
    features : FeatureCache
        The maps of a frozen body; None where the body is trained.
    objective : Objective
        The loss of the method, and the pseudo-label solver inside it.
    loader : CropLoader
    draw_weights : Tensor, shape (len(training),)
        How often each photo is drawn; None: once per epoch.
    progress : Progress
        What has been done.
    """

    config: Config
    folder: Path
    fabric: Fabric
    training: SegmentationSet
    validation: SegmentationSet | None
    network: Any
    module: Network
    optimizer: Any
    lr_factors: list[float]
    features: FeatureCache | None
    objective: Objective
    loader: CropLoader
    draw_weights: torch.Tensor | None
    progress: Progress

    @property
    def num_classes(self) -> int:
        """The number of classes K."""
        return len(self.training.classes)

    @property
    def steps_per_epoch(self) -> int:
        """Steps per epoch; the photos that do not fill a batch are left out."""
        return len(self.training) // self.config.schedule.batch

    @property
    def total_steps(self) -> int:
        """Steps of both phases."""
        return self.config.schedule.total_epochs * self.steps_per_epoch

    @property
    def step(self) -> int:
        """Steps finished since the run's start."""
        return self.progress.epoch * self.steps_per_epoch + self.progress.step

    @functools.cached_property
    def sets(self) -> dict[str, str | None]:
        """What tells its photos from another run's, for checkpoints."""
        return fingerprint(self.training, self.validation)

    @property
    def in_phase_one(self) -> bool:
        """Whether the current epoch takes the NLL on the seeds alone."""
        return self.progress.epoch < self.config.schedule.pretrain_epochs

    def save(self) -> None:
        """Write the checkpoint; all processes must call this. Raises: ValueError for weights that are not finite."""
        check_weights(self)
        config = self.config.to_dict()
        checkpoint.save(self.folder, self.fabric, self.network, self.optimizer, self.progress, config, self.sets)

    def save_weights(self, row: dict) -> None:
        """Write the weights at the end of an epoch, given the epoch's row of the history.

        This comes before `save`: a run that is killed in between repeats the epoch.
        """
        if self.fabric.is_global_zero:
            weights.save(self.folder, self.module, tuple(self.training.classes), self.config.to_dict(), row)


def prepare(config: Config, folder: Path, resume: bool = True) -> TrainingRun:
    """Do everything that comes before the first step.

    Parameters
    ----------
    config : Config
    folder : Path
        The run's folder; it is created after the configuration, the sets and the network have been checked.
    resume : bool, default True
        Whether to restore the folder's checkpoint, if there is one; otherwise the old run's files are removed.

    Returns
    -------
    TrainingRun

    Raises
    ------
    ValueError, FileNotFoundError
        See `toykit.training.train`.
    """
    check_writable(folder)
    fabric = launch(config.run)
    training, validation = load_sets(config)
    check_batch(config.schedule, len(training), fabric.world_size)

    torch.manual_seed(seed_at(config.run.seed))
    module = build_network(config, len(training.classes))
    if config.model.sync_batch_norm:
        module = synchronised(module, fabric.device)
    else:
        check_batch_norm(module, config.schedule, fabric.world_size)
    optimizer, lr_factors = build_optimizer(module, config)
    network, optimizer = fabric.setup(module, optimizer)
    features = FeatureCache(module) if module.freeze_body else None
    if features is not None:
        check_whole_photos(training, config.data)

    run = TrainingRun(
        config=config,
        folder=folder,
        fabric=fabric,
        training=training,
        validation=validation,
        network=network,
        module=module,
        optimizer=optimizer,
        lr_factors=lr_factors,
        features=features,
        objective=Objective(config),
        loader=CropLoader(Crops(training, config.data, config.run.seed)),
        draw_weights=class_frequency_weights(training) if config.data.sampling == "rare_classes" else None,
        progress=Progress(Tally.empty(len(training.classes), fabric.device)),
    )
    if fabric.is_global_zero:
        run_folder.prepare(folder, fresh=not resume)
    fabric.barrier()
    checkpoint.restore(folder, fabric, network, optimizer, run.progress, config.to_dict(), run.sets)
    return run


def launch(run: Run) -> Fabric:
    """Start Lightning Fabric on the run's devices; a process that torchrun started joins the others."""
    from lightning_fabric import Fabric

    devices = int(os.environ.get("LOCAL_WORLD_SIZE", run.devices))
    nodes = int(os.environ.get("WORLD_SIZE", devices)) // devices
    precision = cast(Any, run.precision)  # one of `config.PRECISIONS`, checked there
    fabric = Fabric(accelerator=run.accelerator, devices=devices, num_nodes=nodes, precision=precision)
    fabric.launch()
    return fabric


def check_batch(schedule: Schedule, photos: int, processes: int) -> None:
    """Raise ValueError if the set does not fill one batch, or the processes do not divide it."""
    if photos < schedule.batch or schedule.batch % processes:
        raise ValueError(
            f"schedule.batch: expected at most the {photos} training images, and a multiple of the "
            f"{processes} processes; got {schedule.batch}"
        )


def check_batch_norm(network: Network, schedule: Schedule, processes: int) -> None:
    """Raise ValueError if batch normalisation would get a single image per process."""
    if network.train().uses_batch_statistics and schedule.batch < 2 * processes:
        raise ValueError(
            f"schedule.batch: batch normalisation needs at least 2 images per process, so {2 * processes}; got "
            f"{schedule.batch}; or set model.freeze_batch_norm=true, or on GPUs model.sync_batch_norm=true"
        )


def synchronised(network: Network, device: torch.device) -> Network:
    """Replace batch normalisation by that of the whole batch over all processes. Raises: ValueError without a GPU."""
    if device.type != "cuda":
        raise ValueError(
            f"model.sync_batch_norm: torch has it for GPUs only, and this run is on {device.type}; set it to false, or "
            "model.freeze_batch_norm=true"
        )
    torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)  # in place, below the network itself
    return network


def build_network(config: Config, num_classes: int) -> Network:
    """Build the configured network. Raises: what `toykit.models.build` does."""
    model = config.model
    return build(
        model.name, num_classes, image_size=config.data.crop, weights=model.weights, dropout=model.dropout,
        freeze_batch_norm=model.freeze_batch_norm, freeze_body=model.freeze == "body",
    )  # fmt: skip


def build_optimizer(network: Network, config: Config) -> tuple[torch.optim.Optimizer, list[float]]:
    """Build the configured optimiser; also return the factor between each group's learning rate and the schedule's."""
    schedule = config.schedule
    groups = parameter_groups(network, 1.0, config.model.head_factor)
    factors = [group["lr"] for group in groups]
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(groups, schedule.lr, weight_decay=schedule.weight_decay), factors
    return torch.optim.SGD(groups, schedule.lr, schedule.momentum, weight_decay=schedule.weight_decay), factors

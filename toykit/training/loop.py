"""The paper's training loop (section 3): predictions, pseudo-labels for the mini-batch, one step of SGD with them.

    toykit train toy -o runs/toy
    toykit train soft_cce_cd data.root=VOC2012 -o runs/voc       # the folder that `toykit data fetch voc VOC2012` writes
    torchrun --nproc-per-node 4 -m toykit train voc_resnet101 -o runs/voc101     # the same global batch, shared by four

The network and its pseudo-labels descend on one joint loss, eq. (8), in turns. Phase one (schedule.pretrain_epochs) takes
the NLL on the seeds alone, so that the sub-problem does not get a random head's predictions; phase two the method's loss.
Lightning Fabric places the model and sums over processes; the loop below is all there is.
"""

import dataclasses
import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import torch

from toykit import datasets
from toykit.datasets.segmentation_set import hold_out, limited
from toykit.models import Network, build, parameter_groups
from toykit.training import checkpoint, pictures, run_folder
from toykit.training.batches import (
    CropLoader,
    Crops,
    check_whole_photos,
    class_frequency_weights,
    epoch_batches,
    seed_at,
)
from toykit.training.checkpoint import Progress
from toykit.training.config import Config, Run
from toykit.training.epoch_stats import Tally, number
from toykit.training.evaluation import accuracy, class_ious, evaluate, mean_iou
from toykit.training.features import FeatureCache
from toykit.training.objective import Objective, Outcome, now
from toykit.training.report import Report
from toykit.training.run_folder import RunResult


def train(
    config: Config,
    run_dir: str | Path,
    *,
    resume: bool = True,
    callback: Callable[[int, float], object] | None = None,
) -> RunResult:
    """Train a network, write everything to the run's folder (`toykit.training.run_folder`) and return the result.

    resume: continue from the folder's checkpoint if there is one, on the very same trajectory; False starts over.
    callback: callback(step, loss) after each step, counted from 1 over the whole run.

    On the CPU, with the same number of threads, the result is the same to the last bit, whatever interrupted the run.
    Several processes match a single-process run up to summation order, except for batch normalisation, whose statistics are of
    each process's share of the batch (model.freeze_batch_norm does without), and dropout.

    Raises: before the first step: ValueError if the set has fewer photos than a batch, the processes do not divide it, a
        process gets one image and batch normalisation needs two, or the folder's run had another configuration;
        FileNotFoundError for a listed file that is not there; what the network's weights and the devices raise.
        Later: ValueError that names a file that cannot be read or holds the wrong values, or the step at which the loss
        ceased to be finite.
    """
    run_dir = Path(run_dir)
    fabric = launch(config.run)
    training, validation = load_sets(config)
    num_classes, schedule, seed = len(training.classes), config.schedule, config.run.seed
    steps_per_epoch = len(training) // schedule.batch
    if steps_per_epoch == 0 or schedule.batch % fabric.world_size:
        raise ValueError(
            f"schedule.batch: expected at most the {len(training)} training images, and a multiple of the "
            f"{fabric.world_size} processes; got {schedule.batch}"
        )
    total_steps = schedule.total_epochs * steps_per_epoch

    torch.manual_seed(seed_at(seed))
    network = build_network(config, num_classes)
    norms = [
        m for m in network.train().modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and m.training
    ]
    if norms and schedule.batch < 2 * fabric.world_size:
        raise ValueError(
            f"schedule.batch: batch normalisation needs at least 2 images a process, so {2 * fabric.world_size}; got "
            f"{schedule.batch}; model.freeze_batch_norm=true does without"
        )
    groups = parameter_groups(network, 1.0, config.model.head_factor)
    factors = [group["lr"] for group in groups]
    if schedule.optimizer == "adamw":
        optimizer = torch.optim.AdamW(groups, schedule.lr, weight_decay=schedule.weight_decay)
    else:
        optimizer = torch.optim.SGD(groups, schedule.lr, schedule.momentum, weight_decay=schedule.weight_decay)
    network, optimizer = fabric.setup(network, optimizer)
    features = FeatureCache(network.module) if network.module.freeze_body else None
    if features is not None:
        check_whole_photos(training, config.data)
    objective, loader = Objective(config), CropLoader(Crops(training, config.data, seed))
    weights = class_frequency_weights(training) if config.data.sampling == "rare_classes" else None

    progress = Progress(Tally.empty(num_classes, fabric.device))
    if fabric.is_global_zero:
        run_folder.prepare(run_dir, fresh=not resume)
    fabric.barrier()
    checkpoint.restore(run_dir, fabric, network, optimizer, progress, config.to_dict())
    step = progress.epoch * steps_per_epoch + progress.step
    report = Report(run_dir, config, training.classes, progress, step, total_steps, fabric.is_global_zero)

    with repeatable(config.run.deterministic), report:
        for epoch in range(progress.epoch, schedule.total_epochs):
            pretraining = epoch < schedule.pretrain_epochs
            network.train()
            tally, clock = progress.tally, now(fabric.device)
            addresses = epoch_batches(
                len(training),
                schedule.batch,
                seed,
                epoch,
                progress.step,
                fabric.global_rank,
                fabric.world_size,
                weights,
            )
            for image, seeds, mask, present in loader.load(addresses):
                image, seeds, mask, present = fabric.to_device((image, seeds, mask, present))
                torch.manual_seed(seed_at(seed, epoch, progress.step, fabric.global_rank))  # dropout's
                lr = schedule.learning_rate(step, steps_per_epoch)
                for group, factor in zip(optimizer.param_groups, factors, strict=True):
                    group["lr"] = lr * factor

                maps = None if features is None else features(image)
                strength = None if pretraining else schedule.strength(step, steps_per_epoch)
                try:
                    outcome = train_step(fabric, network, optimizer, objective, image, maps, seeds, present, strength)
                except FloatingPointError as error:
                    raise ValueError(
                        f"step {step + 1}: {error}: training diverged; try a lower schedule.lr than {schedule.lr:g}"
                    ) from error

                step, progress.step = step + 1, progress.step + 1
                loss = fabric.all_reduce(outcome.loss.detach(), reduce_op="mean").item()
                tally.add(loss, outcome.labels, seeds, mask, objective.stride)
                tally.solver_seconds += outcome.solver_seconds
                tally.seconds, clock = tally.seconds + now(fabric.device) - clock, now(fabric.device)
                report.step(step, loss, lr, tally)
                if callback is not None:
                    callback(step, loss)
                every = config.run.checkpoint_steps
                if every and progress.step % every == 0 and progress.step < steps_per_epoch:
                    checkpoint.save(run_dir, fabric, network, optimizer, progress, config.to_dict())

            share_buffers(network, fabric)
            row = {"epoch": epoch + 1, "step": step, "phase": "seeds" if pretraining else config.method}
            row |= {"lr": lr} | tally.total(fabric).row(steps_per_epoch)
            row |= dict.fromkeys(EVALUATED)
            if is_due(epoch + 1, config):
                inside, near = evaluate(
                    fabric,
                    network.module,
                    validation,
                    num_classes,
                    config.data.workers,
                    config.data.eval_scale,
                    features,
                )
                row |= evaluation_row(inside, near)
            if fabric.is_global_zero:
                for sample in (training[i] for i in range(min(config.run.pictures, len(training)))):
                    pixels = pictures.picture(
                        network.module, sample, objective, fabric.device, config.data.eval_scale, features,
                        training.supervision.present,
                    )  # fmt: skip
                    report.picture(epoch + 1, step, sample.name, pixels)
            report.epoch(row)

            progress.history.append(row)
            progress.epoch, progress.step = epoch + 1, 0
            progress.tally = Tally.empty(num_classes, fabric.device)
            checkpoint.save(run_dir, fabric, network, optimizer, progress, config.to_dict())
            report.metrics(progress)
    return RunResult(run_dir, config, tuple(training.classes), progress.history, finished=True)


def train_step(fabric, network, optimizer, objective, image, maps, seeds, present, strength: float | None) -> Outcome:
    """One step: predictions, pseudo-labels for the mini-batch where the method has them, one step of the optimiser.

    image, seeds, present: see `toykit.SelfLabelingLoss`. maps: a frozen body's, or None. strength: a factor for the terms on
    unlabelled pixels; None in phase one, the NLL on the seeds alone.
    Raises: FloatingPointError, before the weights change, where the network's logits are NaN or infinite.
    """
    own = network.module.stride
    # logits at the network's own resolution, unless the labels are sought at another
    coarse = own > 1 and (strength is None or objective.stride == own)
    logits = network(image, maps, coarse)
    if not logits.isfinite().all():
        raise FloatingPointError("the network's logits are NaN or infinite")
    if strength is None:
        outcome = Outcome(objective.on_seeds(logits, seeds, own))
    else:
        predictions = None
        if objective.evaluation_mode:  # what the solver sees: no dropout, batch normalisation's stored statistics
            with torch.no_grad():
                predictions = network.eval()(image, maps, coarse)
            network.train()
        outcome = objective(logits, image, seeds, present, predictions=predictions, strength=strength)
    optimizer.zero_grad()
    fabric.backward(outcome.loss)
    optimizer.step()
    return outcome


#: What an evaluation adds to an epoch's row of the history.
EVALUATED = ("val_miou", "val_iou", "val_accuracy", "val_accuracy_inside", "val_accuracy_boundary")


def evaluation_row(inside: torch.Tensor, near: torch.Tensor) -> dict:
    """`EVALUATED` from the confusion matrices inside regions and near boundaries."""
    whole = inside + near
    ious = [number(iou) for iou in class_ious(whole).tolist()]
    shares = (number(accuracy(confusion)) for confusion in (whole, inside, near))
    return dict(zip(EVALUATED, (number(mean_iou(whole)), ious, *shares), strict=True))


def launch(run: Run):
    """Start Fabric on the run's devices; a process that torchrun started joins the others."""
    from lightning_fabric import Fabric

    devices = int(os.environ.get("LOCAL_WORLD_SIZE", run.devices))
    nodes = int(os.environ.get("WORLD_SIZE", devices)) // devices
    fabric = Fabric(accelerator=run.accelerator, devices=devices, num_nodes=nodes, precision=run.precision)
    fabric.launch()
    return fabric


def build_network(config: Config, num_classes: int) -> Network:
    """The configured network. Raises: what `toykit.models.build` does."""
    model = config.model
    return build(
        model.name, num_classes, image_size=config.data.crop, weights=model.weights, dropout=model.dropout,
        freeze_batch_norm=model.freeze_batch_norm, freeze_body=model.freeze == "body",
    )  # fmt: skip


def load_sets(config: Config):
    """The training set and the validation set, None where nothing is evaluated. Full supervision takes masks as seeds.

    Raises: what `datasets.load` does; FileNotFoundError for a listed file that is not there; ValueError for a photo without
    a mask where one is needed.
    """
    data, full = config.data, dataclasses.replace(config.supervision, kind="full")
    supervision = full if config.method == "full" else config.supervision
    common = {"root": data.root, "merge": data.merge, "only": data.only, "others": data.others}
    training = datasets.load(data.kind, "train", supervision=supervision, **common)
    validation = None
    if data.holdout:
        training, validation = hold_out(training, data.holdout)
        validation = dataclasses.replace(limited(validation, data.val_limit), supervision=full)
    elif config.run.eval_every:  # its seeds play no part
        validation = datasets.load(data.kind, "val", supervision=full, limit=data.val_limit, **common)
    training = limited(training, data.limit)
    for found in filter(None, (training, validation)):
        for entry in found.entries:
            if entry.mask is None and found.supervision.kind not in ("scribbles", "clicks"):
                raise ValueError(
                    f"{entry.image}: has no mask, which supervision {found.supervision.kind!r} is made from"
                )
            for path in (entry.image, entry.mask, entry.marks):
                if isinstance(path, Path) and not path.exists():
                    raise FileNotFoundError(f"{path}: no such file, though the set needs it; see: toykit data check")
    return training, validation


def share_buffers(network, fabric) -> None:
    """Give all processes the first one's batch-norm statistics: those that the checkpoint gets."""
    if fabric.world_size > 1:
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, src=0)


def is_due(epoch: int, config: Config) -> bool:
    """Whether the network is evaluated after this epoch, counted from 1."""
    every = config.run.eval_every
    return every > 0 and (epoch % every == 0 or epoch == config.schedule.total_epochs)


@contextmanager
def repeatable(wanted: bool):
    """Within it, torch takes repeatable algorithms where it has them."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if wanted:
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])

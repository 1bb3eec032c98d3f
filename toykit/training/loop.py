"""The paper's training loop (section 3): predictions, pseudo-labels for the mini-batch, one step of SGD with them.

    toykit train toy -o runs/toy
    toykit train soft_cce_cd data.root=VOC2012 -o runs/voc       # the folder that `toykit data fetch voc VOC2012` writes
    torchrun --nproc-per-node 4 -m toykit train voc_resnet101 -o runs/voc101     # the same global batch, shared by four

The network and its pseudo-labels descend on one joint loss, eq. (8), in turns. Phase one (schedule.pretrain_epochs) minimises
the NLL on the seeds alone, so that the sub-problem does not get the predictions of a random head; phase two minimises the
method's loss. Everything before the first step is in `setup.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from toykit.training import pictures
from toykit.training.batches import epoch_batches, seed_at
from toykit.training.config import Config
from toykit.training.evaluation import EVALUATED, evaluate, evaluation_row
from toykit.training.objective import Outcome, now
from toykit.training.report import Report
from toykit.training.run_folder import RunResult
from toykit.training.setup import TrainingRun, prepare
from toykit.training.stops import check_finite, check_weights, failing_term, readable_worker_errors, stop_if_asked

Callback = Callable[[int, float], object]


class Batch(NamedTuple):
    """One process's share of a mini-batch, on its device.

    Attributes
    ----------
    image : Tensor, uint8, shape (B, 3, H, W)
    seeds, mask : Tensor, uint8, shape (B, H, W)
    present : Tensor, bool, shape (B, K)
        The classes that pseudo-labels may take.
    photos : tuple of str
        The photos' names.
    """

    image: Tensor
    seeds: Tensor
    mask: Tensor
    present: Tensor
    photos: tuple[str, ...]


def train(
    config: Config,
    run_dir: str | Path,
    *,
    resume: bool = True,
    callback: Callback | None = None,
    after_epoch: Callable[[dict], object] = lambda row: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Train a network, write everything to the run's folder and return the result.

    Parameters
    ----------
    config : Config
        See `toykit.training.load_config`.
    run_dir : str or Path
        The run's folder, see `toykit.training.run_folder`.
    resume : bool, default True
        Continue from the folder's checkpoint, if there is one, on the same trajectory; False starts over.
    callback : callable, optional
        callback(step, loss) after each step, counted from 1 over the whole run.
    after_epoch : callable, optional
        after_epoch(row) after each epoch, when its checkpoint and its row of the history are written.
    should_stop : callable, optional
        Asked after each step; where it returns True, the run saves and stops, to be resumed later.

    Returns
    -------
    RunResult

    Raises
    ------
    ValueError
        Before the first step: the set has fewer photos than a batch, the processes do not divide the batch, batch
        normalisation would get one image per process, or the folder's run had another configuration or other photos. Later: a
        file cannot be read or holds invalid values, or a term of the loss, the network's logits or the gradients are no longer
        finite (the message names the file, or the step with its photos, see `toykit.training.stops.check_finite`).
    FileNotFoundError
        Before the first step: a listed file does not exist.
    StoppedError
        `should_stop` returned True.
    RuntimeError
        A process that loads photos died.
    Exception
        Before the first step: what loading the network's weights and starting the devices raise.

    Notes
    -----
    On the CPU, with the same number of threads, an interrupted and resumed run gives bit-identical results. Several processes
    match a single-process run up to summation order, except for batch normalisation, whose statistics are those of each
    process's share of the batch (model.freeze_batch_norm and, on GPUs, model.sync_batch_norm avoid this), and dropout.
    """
    run = prepare(config, Path(run_dir), resume)
    with repeatable(config.run.deterministic), readable_worker_errors(), Report(run) as report:
        while run.progress.epoch < config.schedule.total_epochs:
            train_epoch(run, report, callback, should_stop)
            check_weights(run)
            row = epoch_row(run) | validate(run)
            draw_pictures(run, report)
            report.epoch(row)
            run.save_weights(row)
            run.progress.finish_epoch(row)
            run.save()
            report.metrics(run.progress)
            after_epoch(row)
    return RunResult(run.folder, config, tuple(run.training.classes), run.progress.history, finished=True)


def train_epoch(
    run: TrainingRun, report: Report, callback: Callback | None = None, should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Take the remaining steps of the current epoch, with checkpoints in between where the configuration asks for them."""
    fabric, progress, tally = run.fabric, run.progress, run.progress.tally
    run.network.train()
    clock = now(fabric.device)
    addresses = remaining_batches(run)
    for crops, drawn in zip(run.loader.load(addresses), addresses, strict=True):
        batch = Batch(*fabric.to_device(tuple(crops)), photos=tuple(run.training.ids[index] for _, index, *_ in drawn))
        # for dropout
        torch.manual_seed(seed_at(run.config.run.seed, progress.epoch, progress.step, fabric.global_rank))
        lr = set_learning_rate(run)
        outcome = train_step(run, batch)
        progress.step += 1

        loss = mean_over_processes(run, outcome.loss)
        tally.add(loss, outcome.labels, batch.seeds, batch.mask, run.objective.stride)
        tally.solver_seconds += outcome.solver_seconds
        tally.seconds, clock = tally.seconds + now(fabric.device) - clock, now(fabric.device)
        report.step(run.step, loss, lr, tally)
        if callback is not None:
            callback(run.step, loss)
        every = run.config.run.checkpoint_steps
        if every and progress.step % every == 0 and progress.step < run.steps_per_epoch:
            run.save()
        stop_if_asked(run, should_stop)
    share_buffers(run)


def train_step(run: TrainingRun, batch: Batch) -> Outcome:
    """Predict, find pseudo-labels for the mini-batch (if the method has them), and take one step of the optimiser.

    Raises
    ------
    ValueError
        Logits, loss or gradients are NaN or infinite; the weights have not been changed.
    """
    image, seeds = batch.image, batch.seeds
    maps = None if run.features is None else run.features(image)  # those of a frozen body
    cells = run.module.stride
    # logits on the network's own cells, unless the labels are computed at another resolution
    coarse = cells > 1 and (run.in_phase_one or run.objective.stride == cells)

    logits = run.network(image, maps, coarse)
    check_finite(run, batch, "the network's logits", [logits])
    if run.in_phase_one:
        outcome = Outcome(run.objective.on_seeds(logits, seeds, cells))
    else:
        predictions = evaluation_logits(run, image, maps, coarse) if run.objective.evaluation_mode else None
        if predictions is not None:
            check_finite(run, batch, "the network's logits in evaluation mode", [predictions])
        strength = run.config.schedule.strength(run.step, run.steps_per_epoch)
        outcome = run.objective(logits, image, seeds, batch.present, predictions=predictions, strength=strength)
    if not outcome.loss.isfinite():
        check_finite(run, batch, failing_term(run, batch, outcome, logits), [outcome.loss])

    run.optimizer.zero_grad()
    run.fabric.backward(outcome.loss)
    trained = (parameter for group in run.optimizer.param_groups for parameter in group["params"])
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    check_finite(run, batch, "a gradient", [torch.stack([g.abs().amax() for g in gradients])])
    run.optimizer.step()
    return outcome


@torch.no_grad()
def evaluation_logits(run: TrainingRun, image: Tensor, maps: list[Tensor] | None, coarse: bool) -> Tensor:
    """Predict without dropout and with batch normalisation's stored statistics; training mode is restored."""
    logits = run.network.eval()(image, maps, coarse)
    run.network.train()
    return logits


def remaining_batches(run: TrainingRun) -> list[list[tuple[int, ...]]]:
    """Return the addresses of the batches of this epoch that are not done yet, this process's share."""
    return epoch_batches(
        len(run.training), run.config.schedule.batch, run.config.run.seed, run.progress.epoch, run.progress.step,
        run.fabric.global_rank, run.fabric.world_size, run.draw_weights,
    )  # fmt: skip


def set_learning_rate(run: TrainingRun) -> float:
    """Set the learning rate of the next step in each of the optimiser's groups; return the schedule's."""
    lr = run.config.schedule.learning_rate(run.step, run.steps_per_epoch)
    for group, factor in zip(run.optimizer.param_groups, run.lr_factors, strict=True):
        group["lr"] = lr * factor
    return lr


def mean_over_processes(run: TrainingRun, loss: Tensor) -> float:
    """Average a loss over the processes."""
    mean = run.fabric.all_reduce(loss.detach(), reduce_op="mean")
    assert isinstance(mean, Tensor)
    return mean.item()


def share_buffers(run: TrainingRun) -> None:
    """Copy the first process's batch-norm statistics to all processes; the checkpoint stores these."""
    if run.fabric.world_size > 1:
        for buffer in run.network.buffers():
            torch.distributed.broadcast(buffer, src=0)


def epoch_row(run: TrainingRun) -> dict:
    """Return what the steps of a finished epoch add to the history, see `RunResult`."""
    schedule, steps = run.config.schedule, run.steps_per_epoch
    return {
        "epoch": run.progress.epoch + 1,
        "step": run.step,
        "phase": "seeds" if run.in_phase_one else run.config.method,
        "lr": schedule.learning_rate(run.step - 1, steps),
        **run.progress.tally.total(run.fabric).row(steps),
    }


def validate(run: TrainingRun) -> dict:
    """Evaluate the network on the validation set if this epoch is due for it.

    Returns
    -------
    dict
        One entry for each of `EVALUATED`; all None where nothing is due.
    """
    if run.validation is None or not is_due(run.progress.epoch + 1, run.config):
        return dict.fromkeys(EVALUATED)
    data = run.config.data
    inside, near = evaluate(
        run.fabric, run.module, run.validation, run.num_classes, data.workers, data.eval_scale, run.features
    )
    return evaluation_row(inside, near)


def is_due(epoch: int, config: Config) -> bool:
    """Return whether the network is evaluated after this epoch, counted from 1."""
    every = config.run.eval_every
    return every > 0 and (epoch % every == 0 or epoch == config.schedule.total_epochs)


def draw_pictures(run: TrainingRun, report: Report) -> None:
    """Draw the first training photos after an epoch; only the first process does this."""
    if not run.fabric.is_global_zero:
        return
    for index in range(min(run.config.run.pictures, len(run.training))):
        sample = run.training[index]
        pixels = pictures.picture(
            run.module, sample, run.objective, run.fabric.device, run.config.data.eval_scale, run.features,
            run.training.supervision.present,
        )  # fmt: skip
        report.picture(run.progress.epoch + 1, run.step, sample.name, pixels)


@contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Let torch use deterministic algorithms, where it has them, inside the context."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if wanted:
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])

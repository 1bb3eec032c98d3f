"""What ends a run between its checkpoints: numbers that are not finite, a loading process that died, a request to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from toykit._shared.files import write_atomically
from toykit._shared.tensors import all_finite, reason

if TYPE_CHECKING:
    from toykit.training.loop import Batch
    from toykit.training.objective import Outcome
    from toykit.training.setup import TrainingRun

#: The batch with which a run stopped; of the processes after the first, with their number.
FAILED_BATCH = "failed_batch{process}.pt"


class StoppedError(Exception):
    """The run was asked to stop; its checkpoint is written."""


def check_finite(run: TrainingRun, batch: Batch, term: str, values: Sequence[Tensor]) -> None:
    """Stop the run if a number is NaN or infinite, before the weights change; the batch is written for inspection.

    Parameters
    ----------
    run : TrainingRun
    batch : Batch
    term : str
        What the values are, for the message.
    values : sequence of Tensor

    Raises
    ------
    ValueError
        A value is NaN or infinite. The message names the step, the term, the photos and the file: a dict that
        `torch.load(path, weights_only=True)` reads, with step, term, photos, image, seeds, mask, present and network (the
        weights with which it happened).
    """
    if all_finite(values):
        return
    process = run.fabric.global_rank
    path = run.folder / FAILED_BATCH.format(process=f"_{process}" if process else "")
    state = {"step": run.step + 1, "term": term, "photos": list(batch.photos), "network": run.module.state_dict()}
    state |= {name: getattr(batch, name).cpu() for name in ("image", "seeds", "mask", "present")}
    write_atomically(path, partial(torch.save, state))
    raise ValueError(
        f"step {run.step + 1}: {term} became NaN or infinite with the photos {', '.join(batch.photos)}: training diverged; try "
        f"a lower schedule.lr than {run.config.schedule.lr:g}; the batch and the weights are in {path}"
    )


def check_weights(run: TrainingRun) -> None:
    """Stop the run, by a ValueError, if a step made a weight NaN or infinite, before it is evaluated or saved."""
    if not all_finite(run.module.state_dict().values()):
        raise ValueError(
            f"step {run.step}: the network's weights became NaN or infinite: training diverged; try a lower schedule.lr than "
            f"{run.config.schedule.lr:g}"
        )


def failing_term(run: TrainingRun, batch: Batch, outcome: Outcome, logits: Tensor) -> str:
    """Name the first term of a loss that is not finite, given finite logits."""
    objective, labels = run.objective, outcome.labels
    if labels is not None and not labels.isfinite().all():
        return "the pseudo-labels"
    with torch.no_grad():
        nll = objective.on_seeds(logits, batch.seeds, run.module.stride if run.in_phase_one else objective.stride)
        has_more = not run.in_phase_one and (objective.has_labels or objective.method == "gradient_descent")
        if not nll.isfinite() or not has_more:
            return "the NLL on the seeds"
        problem = objective.self_labeling.subproblem(logits, batch.image, batch.seeds, batch.present)
        y = problem.sigma if labels is None else labels.to(problem.sigma.dtype)
        if not problem.pairwise(y).isfinite().all():
            return "the Potts term"
    return "the cross-entropy" if objective.has_labels else "the loss on unlabelled pixels"


@contextmanager
def readable_worker_errors() -> Iterator[None]:
    """Say what to do where torch reports that a loading process died, from wherever it does so."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise RuntimeError(
            f"a process that loads photos died ({reason(error).rstrip('. ')}), often for want of memory: take fewer "
            "data.workers (0: none), then rerun the command to resume from the last checkpoint"
        ) from error


def stop_if_asked(run: TrainingRun, should_stop: Callable[[], bool]) -> None:
    """Write the checkpoint and raise StoppedError if this process, or another one of the run, was asked to stop."""
    asked: Tensor | bool = should_stop()
    if run.fabric.world_size > 1:  # all stop after the same step
        total = run.fabric.all_reduce(torch.tensor(float(asked), device=run.fabric.device), reduce_op="sum")
        assert isinstance(total, Tensor)
        asked = bool(total > 0)
    if asked:
        run.save()
        raise StoppedError(f"{run.folder}: stopped after step {run.step} and saved; rerun the command to resume")

"""What a run reports while it runs: the progress bar, TensorBoard's events, pictures, metrics.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from toykit.training import pictures, run_folder
from toykit.training.checkpoint import Progress
from toykit.training.epoch_stats import Tally
from toykit.training.setup import TrainingRun

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Report:
    """A context in which a run reports; all processes but the first display and write nothing.

    Parameters
    ----------
    run : TrainingRun
        A run that `prepare` returned. TensorBoard drops what an interrupted run reported of later steps.
    """

    def __init__(self, run: TrainingRun):
        self.run_dir, self.classes, self.active = run.folder, tuple(run.training.classes), run.fabric.is_global_zero
        self.total_epochs = run.config.schedule.total_epochs
        self.first_step, self.total_steps = run.step, run.total_steps
        self.events: SummaryWriter | None = None
        evaluated = [row["val_miou"] for row in run.progress.history if row["val_miou"] is not None]
        self.miou: float | None = evaluated[-1] if evaluated else None
        if self.active:
            run_folder.describe(run.folder, run.config)
            self.metrics(run.progress)  # a run may have been killed after its checkpoint and before its metrics

    def __enter__(self) -> Report:
        if self.active:
            from torch.utils.tensorboard import SummaryWriter

            self.events = SummaryWriter(self.run_dir / "events", purge_step=self.first_step + 1)
        # disable=None: no bar where the output is not a terminal
        disable = None if self.active else True
        self.bar = tqdm(initial=self.first_step, total=self.total_steps, unit="step", disable=disable)
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()
        if self.events is not None:
            self.events.close()

    def step(self, step: int, loss: float, lr: float, tally: Tally) -> None:
        """Report a step: its loss and learning rate as events, and the epoch's statistics so far in the bar."""
        self.bar.update()
        miou = "-" if self.miou is None else f"{self.miou:.1%}"
        self.bar.set_postfix_str(
            f"loss {loss:.4f}, mIoU {miou}, {tally.images_per_second:.1f} images/s, {tally.solver_share:.0%} in the solver"
        )
        if self.events is not None:
            self.events.add_scalar("train/loss", loss, step)
            self.events.add_scalar("train/lr", lr, step)

    def epoch(self, row: dict) -> None:
        """Report an epoch: the numbers of its row as events."""
        self.miou = self.miou if row["val_miou"] is None else row["val_miou"]
        if self.events is None:
            return
        for name in ("val_miou", "label_miou", "images_per_second", "solver_share"):
            if row[name] is not None:
                self.events.add_scalar(f"epoch/{name}", row[name], row["step"])
        for name, iou in zip(self.classes, row["val_iou"] or (), strict=False):
            if iou is not None:
                self.events.add_scalar(f"iou/{name}", iou, row["step"])
        self.events.flush()

    def picture(self, epoch: int, step: int, name: str, pixels: np.ndarray) -> None:
        """Report a sample picture, uint8 (H, W, 3), as a file and as an event."""
        name = name.replace("/", "_")
        pictures.write_picture(self.run_dir / "pictures" / f"epoch_{epoch:03}_{name}.png", pixels)
        if self.events is not None:
            self.events.add_image(f"pictures/{name}", pixels, step, dataformats="HWC")

    def metrics(self, progress: Progress) -> None:
        """Write metrics.json."""
        if self.active:
            finished = progress.epoch == self.total_epochs
            run_folder.write_metrics(self.run_dir, self.classes, progress.history, finished)

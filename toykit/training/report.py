"""What a run tells while it runs: the progress bar, TensorBoard's events, pictures, metrics.json."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from toykit.training import pictures, run_folder
from toykit.training.checkpoint import Progress
from toykit.training.config import Config
from toykit.training.epoch_stats import Tally


class Report:
    """A context in which a run reports; in all processes but the first it says and writes nothing.

    step: how many steps lie behind. TensorBoard drops what an interrupted run told of later ones.
    """

    def __init__(self, run_dir: Path, config: Config, classes, progress: Progress, step: int, total: int, active: bool):
        self.run_dir, self.classes, self.active = run_dir, tuple(classes), active
        self.total_epochs, self.step_now, self.total = config.schedule.total_epochs, step, total
        self.miou = next((row["val_miou"] for row in reversed(progress.history) if row["val_miou"] is not None), None)
        if active:
            run_folder.describe(run_dir, config)
            self.metrics(progress)  # a run killed between checkpoint and metrics catches up

    def __enter__(self) -> "Report":
        from torch.utils.tensorboard import SummaryWriter

        self.events = SummaryWriter(self.run_dir / "events", purge_step=self.step_now + 1) if self.active else None
        # disable=None: no bar where the output is no terminal
        self.bar = tqdm(initial=self.step_now, total=self.total, unit="step", disable=None if self.active else True)
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()
        if self.active:
            self.events.close()

    def step(self, step: int, loss: float, lr: float, tally: Tally) -> None:
        """After each step."""
        self.bar.update()
        miou = "-" if self.miou is None else f"{self.miou:.1%}"
        self.bar.set_postfix_str(
            f"loss {loss:.4f}, mIoU {miou}, {tally.images_per_second:.1f} images/s, {tally.solver_share:.0%} in the solver"
        )
        if self.active:
            self.events.add_scalar("train/loss", loss, step)
            self.events.add_scalar("train/lr", lr, step)

    def epoch(self, row: dict) -> None:
        """After each epoch: its numbers as events."""
        self.miou = self.miou if row["val_miou"] is None else row["val_miou"]
        if not self.active:
            return
        for name in ("val_miou", "label_miou", "images_per_second", "solver_share"):
            if row[name] is not None:
                self.events.add_scalar(f"epoch/{name}", row[name], row["step"])
        for name, iou in zip(self.classes, row["val_iou"] or (), strict=False):
            if iou is not None:
                self.events.add_scalar(f"iou/{name}", iou, row["step"])
        self.events.flush()

    def picture(self, epoch: int, step: int, name: str, pixels: np.ndarray) -> None:
        """A sample picture, as a file and as an event."""
        name = name.replace("/", "_")
        pictures.write_picture(self.run_dir / "pictures" / f"epoch_{epoch:03}_{name}.png", pixels)
        self.events.add_image(f"pictures/{name}", pixels, step, dataformats="HWC")

    def metrics(self, progress: Progress) -> None:
        """Write metrics.json."""
        if self.active:
            finished = progress.epoch == self.total_epochs
            run_folder.write_metrics(self.run_dir, self.classes, progress.history, finished)

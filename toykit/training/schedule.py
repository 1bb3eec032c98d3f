"""The optimiser's schedule: two phases, their learning rates, and the ramp of the terms on unlabelled pixels."""

from dataclasses import dataclass

from toykit._shared.arguments import check_choice, check_number, check_whole

OPTIMIZERS = ("sgd", "adamw")


@dataclass(frozen=True)
class Schedule:
    """Optimiser, epochs and learning rates. Phase one minimises the NLL on the seeds alone, phase two the method's loss.

    Parameters
    ----------
    optimizer : {"sgd", "adamw"}, default "sgd"
        The paper has SGD.
    pretrain_epochs : int, default 0
        Epochs of phase one.
    epochs : int, default 60
        Epochs of phase two.
    batch : int, default 12
        Images per step, over all processes together.
    lr : float, default 0.0007
        Initial learning rate.
    restart : bool, default False
        Whether each phase has its own decay; otherwise both share one. The paper does not say which; its lab's earlier code
        restarts.
    pretrain_lr : float, optional
        Initial learning rate of phase one, with `restart` only. Default: `lr`.
    ramp_epochs : float, default 0.0
        Over this many epochs at the start of phase two the terms on unlabelled pixels grow linearly to their weights.
    momentum : float, default 0.9
        Of SGD, in [0, 1).
    weight_decay : float, default 0.0001
    power : float, default 0.9
        The learning rate decays to 0 as (1 - step / steps)^power.

    Raises
    ------
    ValueError
        For a value out of range, or a combination without effect.
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
        check_number("schedule.lr", self.lr, "(0, inf)")
        if self.pretrain_lr is not None:
            check_number("schedule.pretrain_lr", self.pretrain_lr, "(0, inf)")
            if not self.restart or not self.pretrain_epochs:
                raise ValueError(
                    "schedule.pretrain_lr: needs schedule.restart=true and a phase one; else both phases decay from schedule.lr"
                )
        check_number("schedule.momentum", self.momentum, "[0, 1)")
        for name in ("weight_decay", "power", "ramp_epochs"):
            check_number(f"schedule.{name}", getattr(self, name), "[0, inf)")
        if self.ramp_epochs > self.epochs:
            raise ValueError(
                f"schedule.ramp_epochs: expected at most schedule.epochs={self.epochs}, got {self.ramp_epochs}"
            )

    @property
    def total_epochs(self) -> int:
        """Epochs of both phases."""
        return self.pretrain_epochs + self.epochs

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0 over both phases."""
        first, whole = self.pretrain_epochs * steps_per_epoch, self.total_epochs * steps_per_epoch
        lr, begin, end = self.lr, 0, whole
        if self.restart and step < first:
            lr, end = self.pretrain_lr or self.lr, first
        elif self.restart:
            begin = first
        return lr * (1 - (step - begin) / (end - begin)) ** self.power

    def strength(self, step: int, steps_per_epoch: int) -> float:
        """Return the share in (0, 1] of their weights that the terms on unlabelled pixels have in a step of phase two."""
        ramp = self.ramp_epochs * steps_per_epoch
        into = step - self.pretrain_epochs * steps_per_epoch + 1
        return min(1.0, into / ramp) if ramp else 1.0

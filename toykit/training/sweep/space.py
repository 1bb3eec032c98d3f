"""What a sweep tunes: the keys with their values or ranges, the sampler, and the number of trials."""

from __future__ import annotations

import itertools
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toykit._shared.arguments import check_choice, check_number, check_whole
from toykit.training.checkpoint import PHASE_TWO_KEYS
from toykit.training.load import ODD_VALUE

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("grid", "random", "tpe")


@dataclass(frozen=True)
class Tuning:
    """How each row is tuned: on a share of the training photos, with the same number of trials for each row.

    Parameters
    ----------
    space : dict
        Key of the configuration -> list of values, or a range {low, high, log}.
    sampler : {"grid", "random", "tpe"}
        "grid": every combination of the lists. "random": trial k of a row is the same in every order of trials. "tpe":
        Optuna's tree of Parzen estimators, which learns from the finished trials.
    trials : int
        Trials per row ("random", "tpe").
    holdout : float
        Share of the training photos, see `data.holdout`.
    prune : bool
        Whether a trial ends early whose validation mIoU is below the median of the earlier trials after the same epoch.
    """

    space: dict[str, Any]
    sampler: str = "tpe"
    trials: int = 20
    holdout: float = 0.15
    prune: bool = False

    def __post_init__(self):
        check_choice("tune.sampler", self.sampler, SAMPLERS)
        check_whole("tune.trials", self.trials, 1)
        check_number("tune.holdout", self.holdout, "(0, 1)")
        if type(self.prune) is not bool:
            raise ValueError(f"tune.prune: expected true or false, got {self.prune!r}")
        if self.sampler == "grid" and any(isinstance(values, dict) for values in self.space.values()):
            raise ValueError("tune.space: the sampler grid takes lists of values; use random or tpe for ranges")

    def trials_of(self, space: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the fixed settings of each trial of a row: all of them for "grid", otherwise none."""
        if not space:
            return []
        if self.sampler == "grid":
            return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
        return [{} for _ in range(self.trials)]

    def build_sampler(self, row: str, trial: int) -> optuna.samplers.BaseSampler:
        """Return the sampler of a trial, seeded by row and number, so that a trial does not depend on who runs it."""
        import optuna

        seed = zlib.crc32(f"{row}/{trial}".encode())
        if self.sampler == "tpe":
            with warnings.catch_warnings():  # the option left the experimental state with optuna 5
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        return optuna.samplers.RandomSampler(seed=seed)

    def build_pruner(self) -> optuna.pruners.BasePruner:
        """Return the pruner."""
        import optuna

        return optuna.pruners.MedianPruner(n_startup_trials=4) if self.prune else optuna.pruners.NopPruner()


def suggest(trial: optuna.trial.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """Let Optuna choose a value of each key; values that the trial was enqueued with are kept."""
    chosen = {}
    for key, values in space.items():
        if isinstance(values, dict):
            chosen[key] = trial.suggest_float(key, values["low"], values["high"], log=values["log"])
        else:
            chosen[key] = trial.suggest_categorical(key, values)
    return chosen


def keeps_phase_one(space: Mapping[str, Any]) -> bool:
    """Return whether all tuned keys are those of phase two, so that trials can share phase one."""
    return all(key.startswith(PHASE_TWO_KEYS) for key in space)


def read_tuning(tree: Any) -> Tuning:
    """Build the tuning from the file's content."""
    check_keys("tune", tree, ("space", "sampler", "trials", "holdout", "prune"))
    return Tuning(**tree | {"space": read_space("tune.space", tree.get("space"))})


def check_not_the_sweeps(what: str, items: Sequence[str]) -> None:
    """Raise ValueError for an override KEY=VALUE of what the sweep sets, however it is written: run={seed: 3}."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for item in items:
        try:
            tree: Any = OmegaConf.to_container(OmegaConf.from_dotlist([item]))
        except (yaml.YAMLError, OmegaConfBaseException, ValueError, *ODD_VALUE):
            continue  # `load_config` says what is wrong, if anything is
        for part, key in (("run", "seed"), ("data", "holdout"), ("", "seed")):
            within = tree.get(part) if part else tree
            if isinstance(within, dict) and key in within:
                name = f"{part}.{key}".lstrip(".")
                raise ValueError(f"{what}: {name} is set by the sweep (seeds, tune.holdout); leave it out")


def read_space(what: str, tree: Any) -> dict[str, Any]:
    """Check a space; numbers may be written as 1e-3, which YAML reads as text."""
    if not isinstance(tree, dict):
        raise ValueError(
            f"{what}: expected KEY: [VALUE, ...] or KEY: {{low: LOW, high: HIGH, log: true}}, got {tree!r}"
        )
    space: dict[str, Any] = {}
    for key, values in tree.items():
        for value in values if isinstance(values, list) else [0]:
            check_not_the_sweeps(what, [f"{key}={value}"])
        if isinstance(values, list) and values and all(isinstance(v, (str, int, float, bool)) for v in values):
            space[key] = values
        elif isinstance(values, dict) and {"low", "high"} <= set(values) <= {"low", "high", "log"}:
            low, high, log = float(values["low"]), float(values["high"]), bool(values.get("log", False))
            if not low < high or (log and low <= 0):
                raise ValueError(f"{what}.{key}: expected low < high, above 0 with log; got {low:g} and {high:g}")
            space[key] = {"low": low, "high": high, "log": log}
        else:
            raise ValueError(f"{what}.{key}: expected a list of values or low, high and log; got {values!r}")
    return space


def check_keys(what: str, tree: Any, known: Sequence[str]) -> None:
    """Raise ValueError, listing the known keys, for a key that is not among them."""
    if not isinstance(tree, dict):
        raise ValueError(f"{what}: expected the keys {', '.join(known)}, got {tree!r}")
    for key in tree:
        if key not in known:
            raise ValueError(f"unknown key {key!r}; {what} has {', '.join(known)}")

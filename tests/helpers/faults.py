"""Faults: kill short runs at random moments, resume them, and compare their ends with that of an unbroken run.

    python tests/helpers/faults.py 25 train segment sweep notebooks

A run is a forked process, since a new one would import torch anew each time. It is killed by SIGKILL, with its process group,
after a time drawn uniformly from that of an unbroken run. Then its folder must hold all results that were finished before,
unchanged. Then it is resumed, to be killed again, until it ends by itself. Its end must be that of the unbroken run.
"""

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from fault_cases import CASES


@dataclass
class Outcome:
    """The moments at which a case was killed, and what went wrong."""

    killed: int = 0
    ended: int = 0
    problems: list = field(default_factory=list)


def endure(case, times, folder, seed=0):
    """Kill the case's runs at that many random moments."""
    moments, outcome = random.Random(seed), Outcome()
    inputs = folder / "inputs"
    inputs.mkdir(parents=True)
    wait(fork(case.make, inputs), None)
    begin = time.monotonic()
    wait(fork(case.run, inputs, folder / "unbroken"), None)
    seconds = time.monotonic() - begin
    unbroken = case.end(folder / "unbroken")
    while outcome.killed < times:
        target = folder / f"run_{outcome.ended}"
        kept, number, ended = {}, outcome.killed, False
        while not ended:
            ended = wait(
                fork(case.run, inputs, target), moments.uniform(0, seconds) if outcome.killed < times else None
            )
            outcome.killed += not ended
            now = case.finished(target)
            outcome.problems += [
                f"lost after {outcome.killed} kills: {key}" for key in kept if now.get(key) != kept[key]
            ]
            kept = now
        end = case.end(target)
        if end != unbroken:
            names = [key for key in sorted(unbroken | end) if end.get(key) != unbroken.get(key)]
            outcome.problems.append(f"another end after the kills {number + 1} to {outcome.killed}: {', '.join(names)}")
        outcome.ended += 1
        shutil.rmtree(target)
    return outcome


def fork(action, *arguments):
    """Run an action in a process group of its own; return its id."""
    pid = os.fork()
    with contextlib.suppress(PermissionError, ProcessLookupError):  # both make the group: one may come late
        os.setpgid(pid, pid)
    if pid:
        return pid
    try:
        action(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait(pid, seconds):
    """Wait for a process's end and return True, or kill it with its group after that many seconds and return False."""
    until = float("inf") if seconds is None else time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"a run ended with status {status}")
            return True
        time.sleep(0.002)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def preload():
    """Import what the cases need, and run nothing that a fork must not share, such as threads."""
    import lightning_fabric
    import matplotlib
    import scipy.sparse.linalg
    import scipy.stats
    import segmentation_models_pytorch
    import torch.utils.tensorboard

    matplotlib.use("agg")
    import matplotlib.pyplot

    import toykit.segment
    import toykit.training

    assert all(
        (
            lightning_fabric,
            scipy,
            segmentation_models_pytorch,
            torch,
            matplotlib.pyplot,
            toykit.training,
            toykit.segment,
        )
    )


def main(times, *names):
    """Run the cases and print a line for each; end with status 1 if anything was lost or differs."""
    preload()
    failed = False
    for name in names:
        with tempfile.TemporaryDirectory(prefix="toykit-faults-") as folder:
            outcome = endure(CASES[name], int(times), Path(folder))
        print(
            f"{name}: {outcome.killed} times killed, {outcome.ended} runs ended, {len(outcome.problems)} problems",
            flush=True,
        )
        for problem in outcome.problems:
            print(f"  {problem}")
        failed = failed or bool(outcome.problems)
    sys.exit(failed)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Killed at random moments and resumed, the commands lose no finished result and end as an unbroken run does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "helpers" / "faults.py"
#: The script knows two more, sweep and notebooks; the sweep's workers are killed in tests/training/test_sweep.py.
CASES = ("train", "segment")


@pytest.fixture(scope="module")
def lines():
    """What the script reports, for one moment per case: one process, since importing torch takes most of the time."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # sums depend on the number of threads
    command = [sys.executable, SCRIPT, "1", *CASES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.split(":")[0]: line for line in done.stdout.splitlines()}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_and_resumed_ends_as_an_unbroken_one(case, lines):
    assert lines[case].startswith(f"{case}: 1 times killed")
    assert lines[case].endswith(" 0 problems")

"""The memory benchmark: it sees a leak of a known size, the warm-up does not count, and every image is a unit."""

import json
import subprocess
import sys

import pytest

from toykit.bench import memory

#: Prints the slopes of two activities. Blocks of two megabytes are so large that the allocator maps them by themselves.
ACTIVITIES = """
import json
import numpy as np
from toykit.bench import memory

kept = []

def leak(folder, count, tick):
    for _ in range(count):
        kept.append(np.ones(2**21, np.uint8))
        tick()

def cycles(folder, count, tick):
    for _ in range(count):
        own = [np.ones(2**21, np.uint8)]
        own.append(own)
        tick()

print(json.dumps([memory.slope(memory.readings(activity, 60)) for activity in (leak, cycles)]))
"""


def test_it_sees_a_leak_of_a_known_size_and_no_cyclic_garbage():
    """In a process of its own, as the benchmark runs: here, memory of other tests may be returned meanwhile."""
    leaking, cyclic = json.loads(subprocess.check_output([sys.executable, "-c", ACTIVITIES], text=True))
    assert leaking == pytest.approx(2**21, rel=0.2)
    assert abs(cyclic) < 2**21 / 10


def test_what_fills_during_the_warm_up_does_not_count():
    taken = [(n, 1000 * min(n, 20) + 3 * n) for n in range(1, 101)]
    assert memory.slope(taken) == pytest.approx(3)


def test_a_process_reports_every_listed_image_and_a_failure():
    taken = memory._readings_of_a_process("listed image", 30, "images")
    assert [done for done, _ in taken] == list(range(1, 31))
    assert all(size > 1e7 for _, size in taken)
    with pytest.raises(
        RuntimeError, match=r"nothing: the process ended with exit code 1\n(.*\n)*KeyError: 'no activity'"
    ):
        memory._readings_of_a_process("no activity", 30, "nothing")

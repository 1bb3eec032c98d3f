"""The memory benchmark: it sees a leak of a known size, the warm-up does not count, and every image is a unit."""

import numpy as np
import pytest

from toykit.bench import memory


def test_it_sees_a_leak_of_a_known_size():
    """Every unit keeps two megabytes, so large that the allocator maps them by themselves.

    Other tests' memory, which may be returned meanwhile, is small beside the sum.
    """
    kept = []

    def leak(folder, count, tick):
        for _ in range(count):
            kept.append(np.ones(2**21, np.uint8))
            tick()

    assert memory.slope(memory.readings(leak, 60)) == pytest.approx(2**21, rel=0.2)


def test_what_fills_during_the_warm_up_does_not_count():
    taken = [(n, 1000 * min(n, 20) + 3 * n) for n in range(1, 101)]
    assert memory.slope(taken) == pytest.approx(3)


def test_every_listed_image_is_a_unit():
    activity, _ = memory.ACTIVITIES["listed image"]
    assert [done for done, _ in memory.readings(activity, 30)] == list(range(1, 31))


def test_cyclic_garbage_is_no_leak():
    def cycles(folder, count, tick):
        for _ in range(count):
            own = [np.ones(2**19, np.uint8)]
            own.append(own)
            tick()

    assert abs(memory.slope(memory.readings(cycles, 100))) < 2**19 / 10

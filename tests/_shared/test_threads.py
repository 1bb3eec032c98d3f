"""Loops and parts of a task that threads share: each once, on as many threads as torch uses, and an error is not lost."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

from toykit._shared.threads import in_threads, share


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_turn_runs_once(threads, count):
    torch.set_num_threads(threads)
    turns, parts = np.zeros(count, int), []

    def loop(first, last, out):
        out[first:last] += 1
        parts.append((first, last))

    share(loop, count, turns)
    assert (turns == 1).all()
    assert len(parts) == max(1, min(threads, count))


def test_a_small_loop_stays_in_the_thread_that_calls_it():
    torch.set_num_threads(2)
    names = set()
    share(lambda first, last: names.add(threading.current_thread()), 10, work=1000)
    assert names == {threading.current_thread()}
    parts = {}
    share(lambda first, last: parts.update({first: threading.current_thread()}), 10, work=1 << 17)
    assert len(set(parts.values())) == len(parts) == 2
    assert parts[0] == threading.current_thread()


def test_an_error_reaches_the_caller():
    torch.set_num_threads(2)

    def loop(first, last):
        if first:
            raise ValueError("in a thread")

    with pytest.raises(ValueError, match="in a thread"):
        share(loop, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    torch.set_num_threads(2)
    share(lambda first, last: None, 2)
    child = os.fork()
    if not child:
        code = 1
        try:
            share(lambda first, last: None, 2)
            code = 0
        finally:
            os._exit(code)
    end = time.monotonic() + 60
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child waits for threads of its parent")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


def test_there_are_never_more_threads_than_torch_has_had():
    torch.set_num_threads(4)
    for work in range(1, 9):
        share(lambda first, last: None, 100, work=work << 15)
    named = [thread for thread in threading.enumerate() if thread.name.startswith("toykit")]
    assert len(named) <= 8  # of this pool and, until they end, of a smaller one before it


def test_all_parts_have_ended_when_an_error_reaches_the_caller():
    torch.set_num_threads(2)
    ended = []

    def loop(first, last):
        if not first:
            raise ValueError("at once")
        time.sleep(0.2)
        ended.append(last)

    with pytest.raises(ValueError, match="at once"):
        share(loop, 2)
    assert ended == [2]


def in_another_thread(function):
    """Return function's result in a new thread, which has torch's default number of threads and mode."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.parametrize(
    ("threads", "parts", "each"), [(1, 1, 1), (3, 1, 3), (2, 2, 1), (3, 2, 1), (4, 2, 2), (6, 3, 2)]
)
def test_parts_divide_torchs_threads_and_come_back_in_order(threads, parts, each):
    torch.set_num_threads(threads)
    met = threading.Barrier(parts)

    def function(part):
        met.wait(60)  # all at the same time
        return part, torch.get_num_threads(), torch.is_grad_enabled(), threading.current_thread()

    for _ in range(2):  # threads that have been used before, too
        with torch.set_grad_enabled(parts % 2 == 0):
            results = in_threads(function, range(parts))
        assert [result[:3] for result in results] == [(part, each, parts % 2 == 0) for part in range(parts)]
        assert len({result[3] for result in results}) == parts
        assert threading.current_thread() in {result[3] for result in results}
        assert torch.get_num_threads() == threads
        assert torch.is_grad_enabled()
        assert in_another_thread(torch.get_num_threads) == threads


def test_parts_may_share_loops():
    torch.set_num_threads(4)
    turns = np.zeros((2, 1000), int)

    def loop(first, last, out):
        out[first:last] += 1

    in_threads(lambda part: share(loop, 1000, turns[part]), range(2))
    assert (turns == 1).all()


def test_a_thread_takes_the_next_part_when_it_has_done_one():
    torch.set_num_threads(2)
    done, all_others = [], threading.Event()

    def function(part):
        if part == 0:  # holds one thread until the other has done all other parts
            assert all_others.wait(60)
        done.append(part)
        if len(done) == 6:
            all_others.set()
        return -part

    assert in_threads(function, range(7)) == [0, -1, -2, -3, -4, -5, -6]
    assert done == [1, 2, 3, 4, 5, 6, 0]
    assert in_threads(function, []) == []


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_in_a_part_waits_for_the_others_and_reaches_the_caller(bad):
    torch.set_num_threads(2)
    begun, ended, both = [], [], threading.Barrier(2)

    def function(part):
        begun.append(part)
        both.wait(60)
        if part == bad:
            raise ValueError("in a part")
        time.sleep(0.2)
        ended.append(part)

    with pytest.raises(ValueError, match="in a part"):
        in_threads(function, range(4))
    assert sorted(begun) == [0, 1]  # no further part after the error
    assert ended == [1 - bad]
    assert torch.get_num_threads() == 2

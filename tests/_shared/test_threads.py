"""Loops and parts of a task that threads share: each once, on as many threads as torch uses, and an error is not lost."""

import contextlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from toykit._shared import threads
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
    parts, both = {}, threading.Barrier(2)

    def loop(first, last):
        both.wait(60)
        parts[first] = threading.current_thread()

    share(loop, 10, work=1 << 17)
    assert len(set(parts.values())) == len(parts) == 2
    assert parts[0] == threading.current_thread()


def test_an_error_reaches_the_caller():
    torch.set_num_threads(2)

    def loop(first, last):
        if first:
            raise ValueError("in a thread")
        time.sleep(0.05)

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
    ended, both = [], threading.Barrier(2)

    def loop(first, last):
        both.wait(60)
        if not first:
            raise ValueError("at once")
        time.sleep(0.2)
        ended.append(last)

    with pytest.raises(ValueError, match="at once"):
        share(loop, 2)
    assert ended == [2]


def in_another_thread(function):
    """Return function's result in a new thread, which has torch's default number of threads."""
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
        new = in_another_thread(torch.get_num_threads)  # begun meanwhile
        return part, torch.get_num_threads(), new, torch.is_grad_enabled(), threading.current_thread()

    for _ in range(2):  # threads that have been used before, too
        with torch.set_grad_enabled(parts % 2 == 0):
            results = in_threads(function, range(parts))
        assert [result[:4] for result in results] == [(part, each, threads, parts % 2 == 0) for part in range(parts)]
        assert len({result[4] for result in results}) == parts
        assert torch.get_num_threads() == in_another_thread(torch.get_num_threads) == threads
        assert torch.is_grad_enabled()


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


def test_parts_within_parts_come_one_after_another():
    torch.set_num_threads(4)

    def function(part):
        inner = in_threads(lambda k: (k, threading.current_thread()), range(3))
        assert {thread for _, thread in inner} == {threading.current_thread()}
        return [k for k, _ in inner]

    assert in_threads(function, range(2)) == [[0, 1, 2]] * 2


def test_several_threads_of_a_user_share_loops_within_parts():
    """All threads of the pool are busy with parts that wait for loops: each thread does what no other has begun."""
    torch.set_num_threads(4)
    turns, busy, finished = np.zeros((3, 2, 1000), int), threading.Barrier(4), []

    def loop(first, last, out):
        out[first:last] += 1

    def use(user):
        def function(part):
            with contextlib.suppress(threading.BrokenBarrierError):
                busy.wait(1)  # until all four are here, or for a while
            share(loop, 1000, turns[user, part])

        in_threads(function, range(2))
        finished.append(user)

    users = [threading.Thread(target=use, args=(user,), daemon=True) for user in range(3)]
    for user in users:
        user.start()
    for user in users:
        user.join(60)
    assert sorted(finished) == [0, 1, 2]
    assert (turns == 1).all()


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


def test_an_interrupt_ends_the_parts_that_have_begun_and_begins_no_other(monkeypatch):
    torch.set_num_threads(2)
    begun, ended, both = [], [], threading.Barrier(3)

    def function(part):
        begun.append(part)
        both.wait(60)
        time.sleep(0.2)
        ended.append(part)

    def interrupted(tasks):
        monkeypatch.undo()
        both.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(threads, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        in_threads(function, range(5))
    assert sorted(begun) == sorted(ended) == [0, 1]


@pytest.mark.parametrize("taken", [0, 1])
def test_without_enough_threads_the_work_is_done_all_the_same(taken, monkeypatch):
    torch.set_num_threads(3)
    submitted, submit, turns = [], ThreadPoolExecutor.submit, np.zeros(10, int)

    def limited(pool, task, *arguments):
        submitted.append(task)
        if len(submitted) > taken:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return submit(pool, task, *arguments)

    def loop(first, last, out):
        out[first:last] += 1

    monkeypatch.setattr(ThreadPoolExecutor, "submit", limited)
    monkeypatch.setattr(threads, "_set_torchs_threads", lambda number: None)  # which needs a thread, too
    assert in_threads(lambda part: -part, range(5)) == [0, -1, -2, -3, -4]
    submitted.clear()
    share(loop, 10, turns)
    assert (turns == 1).all()

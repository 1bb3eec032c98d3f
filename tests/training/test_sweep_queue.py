"""The queue: each trial for one worker, a dead worker's trial for another, a slow worker stops; on a journal and a database."""

import contextlib
import itertools
import threading
import time

import pytest
from helpers import postgres

pytest.importorskip("optuna")

from toykit.training.sweep.queue import KEY, SIGN, VOID, Queue, TrialLostError, has_ended, open_storage, open_study

LEASE = 0.4


@pytest.fixture(scope="module")
def database():
    with postgres.server_or_skip() as server:
        yield server


@pytest.fixture
def open_queue(request, tmp_path):
    journal = getattr(request, "param", "journal") == "journal"
    where = str(tmp_path / "journal") if journal else request.getfixturevalue("database").url
    return lambda lease=LEASE: Queue(open_study(open_storage(where), request.node.name), lease)


def test_a_trial_is_given_to_one_worker_even_if_two_added_it(open_queue):
    one, other = open_queue(), open_queue()
    one.study.enqueue_trial({}, user_attrs={KEY: "a"})
    other.study.enqueue_trial({}, user_attrs={KEY: "a"})  # at the same time
    one.add("a", {})
    first = other.claim()
    assert (first.key, first.trial.number) == ("a", 0)
    assert one.claim() is None
    assert [VOID in t.user_attrs for t in one.study.trials] == [False, True]
    first.finish(3.0)
    one.add("a", {})
    assert one.claim() is None
    assert one.by_key()["a"].values == [3.0]


def test_a_dead_workers_trial_is_taken_up_with_its_settings(open_queue):
    dead, other = open_queue(), open_queue()
    dead.add("a", {"x": 0.25})
    claim = dead.claim()
    assert claim.trial.suggest_float("x", 0, 1) == 0.25
    other.reap()
    time.sleep(1.5 * LEASE)
    other.reap()
    other.add("a", {"x": 0.75})
    again = other.claim()
    assert again.trial.number == 1
    assert again.trial.suggest_float("x", 0, 1) == 0.25
    with pytest.raises(TrialLostError, match="a: another worker has taken up this trial"):
        claim.note("row", {})  # it was only slow
    with pytest.raises(TrialLostError):
        claim.finish(1.0)
    claim.prune()
    claim.fail(ValueError("too late"))
    again.finish(2.0)
    assert other.by_key()["a"].values == [2.0]


def test_a_living_worker_keeps_its_trial(open_queue):
    owner, other = open_queue(1.0), open_queue(2.0)
    owner.add("a", {})
    with owner.claim() as claim:
        for _ in range(6):
            other.reap()
            time.sleep(0.5)
        claim.check()
        claim.finish(1.0)
    assert int(owner.by_key()["a"].user_attrs[SIGN].split()[-1]) > 2


def test_a_failure_is_kept_and_an_interruption_is_not(open_queue):
    queue = open_queue()
    for key in "ab":
        queue.add(key, {})
    queue.claim().fail(ValueError("no such photo"))
    queue.claim().give_back()
    trials = queue.by_key()
    assert trials["a"].user_attrs["error"] == "no such photo"
    assert "error" not in trials["b"].user_attrs


@pytest.mark.parametrize("open_queue", ["journal", "postgresql"], indirect=True)
def test_many_workers_do_each_piece_once(open_queue):
    keys, done = [str(n) for n in range(5)], []

    def work():
        queue = open_queue(30.0)
        for key in keys:
            queue.add(key, {})
        while claim := queue.claim():
            done.append(claim.key)
            claim.finish(1.0)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(keys)


@pytest.mark.parametrize("open_queue", ["postgresql"], indirect=True)
def test_a_database_that_is_restarted_loses_nothing(open_queue, database):
    """Workers wait for it. Work whose answer the restart cut off is done again, and counts once."""
    keys, values = [str(n) for n in range(12)], {}
    for key in keys:
        open_queue().add(key, {})
    begun, numbers = threading.Event(), itertools.count()

    def work():
        queue = open_queue(4.0)
        while any(not has_ended(trial) for trial in queue.by_key().values()):
            claim = queue.claim()
            if claim is None:
                queue.reap()
                for key in keys:
                    queue.add(key, {})
                time.sleep(0.3)
                continue
            with claim, contextlib.suppress(TrialLostError):
                begun.set()
                time.sleep(0.3)
                value = float(next(numbers))
                claim.finish(value)
                values.setdefault(claim.key, []).append(value)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    for _ in range(2):
        time.sleep(0.4)
        database.stop()
        time.sleep(1.5)
        database.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive()
    trials = open_queue().by_key()
    assert sorted(trials) == sorted(keys)
    assert all(trials[key].values[0] in values[key] for key in keys)
    assert [trial.state.name for trial in open_queue().trials()].count("COMPLETE") == len(keys)


def test_sqlite_is_refused():
    with pytest.raises(
        ValueError, match=r"sqlite:///runs\.db: SQLite may give one trial to two workers; expected a PostgreSQL"
    ):
        open_storage("sqlite:///runs.db")

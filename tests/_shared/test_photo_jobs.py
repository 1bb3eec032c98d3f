"""A folder of photos is processed completely, each photo once, whatever is interrupted, damaged or changed in between."""

import csv
import json
import os
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest
from helpers.jobs import Copy, make_jobs

from toykit._shared import cluster, photo_jobs
from toykit._shared.photo_jobs import JobOptions, list_photos, process, refuse_ambiguous, refuse_colliding
from toykit._shared.result_folder import Job


def run(tmp_path, count=5, settings=None, **more):
    jobs, out = make_jobs(tmp_path / "in", count), tmp_path / "out"
    return process(Copy(out), jobs, out, settings or {"a": 1}, JobOptions(**more, report=lambda text: None))


def summary(tmp_path):
    with (tmp_path / "out" / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def calls(tmp_path):
    return Counter((tmp_path / "out" / "calls.log").read_text().split())


def check_complete(tmp_path, count):
    rows = summary(tmp_path)
    assert [row["photo"] for row in rows] == [f"photo_{i:03}" for i in range(count)]
    assert [row["length"] for row in rows] == [str(i + 1) for i in range(count)]
    assert not any(row["error"] for row in rows)
    for i in range(count):
        assert (tmp_path / "out" / f"photo_{i:03}_copy.txt").read_text() == "x" * (i + 1)


def test_each_photo_once_and_one_row_each(tmp_path):
    rows = run(tmp_path)
    check_complete(tmp_path, 5)
    assert run(tmp_path) == rows
    assert set(calls(tmp_path).values()) == {1}


@pytest.mark.parametrize("what", ["input", "result", "record", "damaged record"])
def test_a_photo_that_is_not_finished_is_processed_again_alone(tmp_path, what):
    run(tmp_path)
    out = tmp_path / "out"
    record = out / "records" / "photo_002.json"
    if what == "input":
        (tmp_path / "in" / "photo_002.png").write_text("yyyyy")
    elif what == "result":
        (out / "photo_002_length.txt").unlink()
    elif what == "record":
        record.unlink()
    else:
        record.write_text("{")
    run(tmp_path)
    assert calls(tmp_path) == {f"photo_{i:03}": 2 if i == 2 else 1 for i in range(5)}
    assert summary(tmp_path)[2]["length"] == ("5" if what == "input" else "3")


def test_the_summary_keeps_the_rows_of_earlier_commands(tmp_path):
    rows, out = run(tmp_path), tmp_path / "out"
    jobs = make_jobs(tmp_path / "more", 7)[5:] + make_jobs(tmp_path / "in", 5)[1:2]
    (tmp_path / "more" / "photo_006.png").write_text("bad")
    now = process(Copy(out), jobs, out, {"a": 1}, JobOptions(report=lambda text: None))
    assert [row["photo"] for row in now] == ["photo_005", "photo_006", "photo_001"]
    assert now[2] == rows[1]
    assert [row["photo"] for row in summary(tmp_path)] == [f"photo_{i:03}" for i in (5, 6, 1, 0, 2, 3, 4)]
    (out / "photo_003_copy.txt").unlink()  # its row goes with its results, and that of a photo that fails now
    (tmp_path / "in" / "photo_004.png").write_text("bad")
    process(Copy(out), make_jobs(tmp_path / "in", 5)[4:], out, {"a": 1}, JobOptions(report=lambda text: None))
    assert summary(tmp_path)[0]["error"]
    process(Copy(out), jobs[:1], out, {"a": 1})
    assert [row["photo"] for row in summary(tmp_path)] == [f"photo_{i:03}" for i in (5, 0, 1, 2)]


def test_another_photo_of_a_name_does_not_replace_the_results_of_the_first(tmp_path):
    run(tmp_path, 2)
    out, others = tmp_path / "out", make_jobs(tmp_path / "others", 2)
    (tmp_path / "others" / "photo_001.png").write_text("other")
    os.utime(tmp_path / "others" / "photo_000.png", ns=(5, 5))
    with pytest.raises(
        ValueError, match=r"of photo_000 are those of .*in.photo_000\.png; .*others.*another folder.*--fresh"
    ):
        process(Copy(out), others, out, {"a": 1})
    assert set(calls(tmp_path).values()) == {1}
    (tmp_path / "in").rename(tmp_path / "gone")  # the first ones were moved, or replaced by these
    process(Copy(out), others, out, {"a": 1})
    assert (out / "photo_001_copy.txt").read_text() == "other"
    (tmp_path / "gone").rename(tmp_path / "in")
    run(tmp_path, 2, fresh=True)
    check_complete(tmp_path, 2)


def test_a_time_of_change_is_enough(tmp_path):
    run(tmp_path)
    os.utime(tmp_path / "in" / "photo_001.png", ns=(1, 1))
    run(tmp_path)
    assert calls(tmp_path)["photo_001"] == 2


def test_a_photo_that_fails_is_reported_and_tried_again(tmp_path):
    jobs, out = make_jobs(tmp_path / "in", 3), tmp_path / "out"
    jobs[1].inputs[0].write_text("bad")
    lines = []
    rows = process(Copy(out), [*jobs, Job("gone", (tmp_path / "gone",))], out, {}, JobOptions(report=lines.append))
    assert [bool(row["error"]) for row in rows] == [False, True, False, True]
    assert lines[0] == f"photo_001: {jobs[1].inputs[0]}: it is bad"
    assert "No such file" in lines[1]
    assert [row["error"] for row in summary(tmp_path)] == [row["error"] for row in rows]
    jobs[1].inputs[0].write_text("xx")
    process(Copy(out), jobs, out, {}, JobOptions(report=lines.append))
    check_complete(tmp_path, 3)
    assert calls(tmp_path) == {"photo_000": 1, "photo_001": 2, "photo_002": 1}


def test_results_of_other_settings_are_not_mixed(tmp_path):
    run(tmp_path, settings={"eta": 0.3, "lam": (1, 2)})
    run(tmp_path, settings={"eta": 0.3, "lam": (1, 2)})
    with pytest.raises(ValueError, match=r"eta was 0.3 and is 0.5, new was None and is 1\. .*--fresh"):
        run(tmp_path, settings={"eta": 0.5, "lam": (1, 2), "new": 1})
    assert set(calls(tmp_path).values()) == {1}
    run(tmp_path, settings={"eta": 0.5, "lam": (1, 2)}, fresh=True)
    assert set(calls(tmp_path).values()) == {2}
    (tmp_path / "out" / "settings.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        run(tmp_path)


def killed_run(tmp_path, count, death):
    """Process in a copy of this process, which kills itself at a photo."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the copy takes none of the locks that other threads may hold
        child = os.fork()
    if not child:
        try:
            out = tmp_path / "out"
            process(Copy(out, (death,)), make_jobs(tmp_path / "in", count), out, {"a": 1})
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def test_killed_twice_and_rerun_nothing_is_lost_and_nothing_done_twice(tmp_path):
    count = 9
    (tmp_path / "out").mkdir()
    half = tmp_path / "out" / ".photo_000_copy.txt.toykit-ffffffff-9.aaaaaaaa"  # a writer was killed
    half.write_text("x")
    os.utime(half, (1, 1))
    fresh = tmp_path / "out" / ".photo_000_copy.txt.toykit-ffffffff-9.bbbbbbbb"  # perhaps another machine writes it
    fresh.write_text("x")
    killed_run(tmp_path, count, "photo_003")
    assert len(list((tmp_path / "out" / "records").iterdir())) == 3
    killed_run(tmp_path, count, "photo_006")
    run(tmp_path, count)
    check_complete(tmp_path, count)
    twice = {name for name, times in calls(tmp_path).items() if times > 1}
    assert twice == {"photo_003", "photo_006"}  # those in which it was killed
    assert [path.name for path in (tmp_path / "out").glob(".*")] == [fresh.name]


def test_two_workers_one_of_them_killed(tmp_path):
    pytest.importorskip("distributed")
    jobs, out = make_jobs(tmp_path / "in", 12), tmp_path / "out"
    jobs[7].inputs[0].write_text("bad")
    out.mkdir()
    rows = process(Copy(out, ("photo_004",)), jobs, out, {"a": 1}, JobOptions(workers=2, report=lambda text: None))
    assert [row["photo"] for row in rows] == [job.name for job in jobs]
    assert [row["photo"] for row in rows if row["error"]] == ["photo_007"]
    assert [row["error"] for row in summary(tmp_path)] == [row["error"] for row in rows]
    # what the dead worker had finished is not done again
    assert calls(tmp_path) == {job.name: 2 if job.name == "photo_004" else 1 for job in jobs}
    assert not list(out.glob(".*"))


def test_a_running_cluster(tmp_path):
    distributed = pytest.importorskip("distributed")
    one = {"n_workers": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(threads_per_worker=2, **one) as running,
        pytest.raises(ValueError, match="dask worker --nthreads 1"),
    ):
        run(tmp_path, scheduler=running.scheduler_address)
    with distributed.LocalCluster(threads_per_worker=1, **one) as running:
        run(tmp_path, scheduler=running.scheduler_address)
        check_complete(tmp_path, 5)
        jobs = make_jobs(tmp_path / "in", 6)
        jobs[5].inputs[0].write_text("bad")
        assert run(tmp_path, 6, scheduler=running.scheduler_address)[5]["error"]
    assert calls(tmp_path) == {job.name: 1 for job in jobs}


def test_no_scheduler_at_the_address(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:9: no Dask scheduler answers there"):
        run(tmp_path, scheduler="tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'toykit\[cluster\]'"):
        run(tmp_path, workers=2)


def test_the_summary_is_there_after_an_interruption(tmp_path, monkeypatch):
    jobs, out = make_jobs(tmp_path / "in", 4), tmp_path / "out"

    class Interrupted(Copy):
        def __call__(self, job):
            if job.name == "photo_002":
                raise KeyboardInterrupt
            return super().__call__(job)

    with pytest.raises(KeyboardInterrupt):
        process(Interrupted(out), jobs, out, {"a": 1})
    assert [row["photo"] for row in summary(tmp_path)] == ["photo_000", "photo_001"]
    monkeypatch.setattr(photo_jobs, "EVERY", -1)  # written after every photo
    run(tmp_path, 4)
    check_complete(tmp_path, 4)


def test_a_folder_that_cannot_be_written_is_an_error_before_any_work(tmp_path):
    (tmp_path / "out").write_text("a file")
    jobs = make_jobs(tmp_path / "in", 2)
    with pytest.raises(OSError, match="out"):
        process(Copy(tmp_path / "out"), jobs, tmp_path / "out", {})


def test_photos_of_a_folder(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "._a.png", "notes.txt", "c.tif"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_photos(tmp_path)] == ["a.png", "b.JPG", "c.tif"]


def test_names_that_collide_are_listed():
    refuse_ambiguous({"a": [Path("a.png")], "b": []}, "twice")
    with pytest.raises(ValueError, match=r"twice; rename .* a: a.png, a.jpg; .* and 2 more"):
        refuse_ambiguous({name: [Path(f"{name}.png"), Path(f"{name}.jpg")] for name in "abcdefghij"}, "twice")


def test_names_that_collide_on_some_disks_are_listed():
    refuse_colliding([Path("a.png"), Path("b.png")], "collide")
    for first, second in (("a.png", "A.jpg"), ("straße.png", "STRASSE.png"), ("\u00e9.png", "E\u0301.png")):
        with pytest.raises(ValueError, match=f"collide; rename .*{first}, {second}"):
            refuse_colliding([Path(first), Path(second)], "collide")


def test_settings_are_stored_as_json(tmp_path):
    run(tmp_path, settings={"a": (1, 2.5), "b": None})
    assert json.loads((tmp_path / "out" / "settings.json").read_text()) == {"a": [1, 2.5], "b": None}

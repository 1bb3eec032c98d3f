"""Files are written completely or not at all."""

import hashlib
import os
import subprocess
import sys
import tempfile

import pytest

from toykit._shared import files
from toykit._shared.result_folder import ResultFolder
from toykit.course import runner
from toykit.training import run_folder


def test_files_appear_whole_or_not_at_all(tmp_path):
    target = tmp_path / "folder" / "file.bin"
    files.write_atomically(target, lambda file: file.write(b"first"))
    assert target.read_bytes() == b"first"

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.write_atomically(target, fail)
    assert target.read_bytes() == b"first"
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_others_may_read_what_the_umask_lets_them(tmp_path, monkeypatch):
    usual = os.umask(0o027)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "umask", None)  # it holds for all threads
            files.write_atomically(tmp_path / "file.bin", lambda file: file.write(b"first"))
    finally:
        os.umask(usual)
    assert (tmp_path / "file.bin").stat().st_mode & 0o777 == 0o640


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_only_what_dead_processes_left_is_removed(tmp_path, gone):
    def look(file):
        files.remove_unfinished(tmp_path)  # as a second command does while this one writes
        file.write(b"whole")

    files.write_atomically(tmp_path / "file.bin", look)
    assert (tmp_path / "file.bin").read_bytes() == b"whole"
    here = f"toykit-{files._machine()}"
    (tmp_path / f".folder.{here}-{gone}.00000000").mkdir()
    stay = [
        f".a.{here}-{os.getpid()}.00000000",
        f".a.toykit-ffffffff-{gone}.00000000",
        f"a.{here}-{gone}.00000000",
        "a.bin",
    ]
    old = [f".a.{here}-{os.getpid()}.00000001", ".gitignore", ".database.20240131-120000.bak", f".a.{here}-{gone}.bak"]
    left = [f".a.{here}-{gone}.00000000", f".b.c.{here}-{gone}.00000001", f".a.toykit-ffffffff-{gone}.00000001"]
    for name in (*stay, *old, *left):
        (tmp_path / name).touch()
    for name in (*old, left[-1]):
        os.utime(tmp_path / name, (1, 1))
    files.remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {*stay, *old, "file.bin"}
    files.remove_unfinished(tmp_path / "none")


def test_processes_of_another_container_are_others(monkeypatch):
    files._machine.cache_clear()
    own = files._machine()
    for name, module in (("readlink", os), ("node", files.platform)):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, lambda *_: "another")
            files._machine.cache_clear()
            assert files._machine() != own
    files._machine.cache_clear()
    assert files._machine() == own


def test_each_folder_of_results_is_cleared_of_what_was_left(tmp_path, gone):
    left = f".any.name.toykit-{files._machine()}-{gone}.00000000"
    folders = [tmp_path / name for name in ("labels", "labels/records", "run", "run/pictures", "course")]
    for folder in folders:
        folder.mkdir()
        (folder / left).touch()
    ResultFolder(tmp_path / "labels", ("mask.png",)).prepare({}, fresh=False)
    run_folder.prepare(tmp_path / "run", fresh=False)
    runner.run([], [], tmp_path / "course")
    assert not [folder for folder in folders if (folder / left).exists()]


def test_a_probe_of_a_folder_that_gets_a_name_is_one_that_is_removed(tmp_path, monkeypatch):
    named = tempfile.NamedTemporaryFile
    kept = []
    monkeypatch.setattr(
        tempfile, "TemporaryFile", lambda **options: kept.append(named(**options, delete=False)) or kept[0]
    )
    files.check_writable(tmp_path)
    monkeypatch.setattr(files, "_in_use", lambda *_: False)
    assert len(list(tmp_path.iterdir())) == 1
    files.remove_unfinished(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_fingerprint_is_that_of_the_content(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert files.fingerprint(tmp_path / "a") == f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
    (tmp_path / "b").write_bytes(content[::-1])
    assert files.fingerprint(tmp_path / "b") != files.fingerprint(tmp_path / "a")


def test_text_is_written_as_utf_8_with_its_line_ends(tmp_path):
    files.write_text(tmp_path / "file.txt", "\u00e4\n\u00b2\r\n")
    assert (tmp_path / "file.txt").read_bytes() == b"\xc3\xa4\n\xc2\xb2\r\n"

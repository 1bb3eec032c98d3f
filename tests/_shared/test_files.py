"""Files are written completely or not at all."""

import hashlib
import os
import subprocess
import sys

import pytest

from toykit._shared import files


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


def test_only_what_dead_processes_left_is_removed(tmp_path):
    def look(file):
        files.remove_unfinished(tmp_path, ".*")  # as a second command does while this one writes
        file.write(b"whole")

    files.write_atomically(tmp_path / "file.bin", look)
    assert (tmp_path / "file.bin").read_bytes() == b"whole"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    here, gone = files._machine(), child.pid
    stay = [f".a.{here}-{os.getpid()}.x", f".a.ffffffff-{gone}.x", ".a.other", "a.bin"]
    old = [f".a.{here}-{os.getpid()}.y"]
    for name in (*stay, *old, f".a.{here}-{gone}.x", ".a.old", f".a.ffffffff-{gone}.old"):
        (tmp_path / name).touch()
        if "old" in name or name in old:
            os.utime(tmp_path / name, (1, 1))
    files.remove_unfinished(tmp_path, ".a.*")
    assert {path.name for path in tmp_path.iterdir()} == {*stay, *old, "file.bin"}


def test_a_fingerprint_is_that_of_the_content(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert files.fingerprint(tmp_path / "a") == f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
    (tmp_path / "b").write_bytes(content[::-1])
    assert files.fingerprint(tmp_path / "b") != files.fingerprint(tmp_path / "a")


def test_text_is_written_as_utf_8_with_its_line_ends(tmp_path):
    files.write_text(tmp_path / "file.txt", "\u00e4\n\u00b2\r\n")
    assert (tmp_path / "file.txt").read_bytes() == b"\xc3\xa4\n\xc2\xb2\r\n"

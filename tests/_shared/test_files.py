"""Files are written completely or not at all."""

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


def test_text_is_written_as_utf_8_with_its_line_ends(tmp_path):
    files.write_text(tmp_path / "file.txt", "\u00e4\n\u00b2\r\n")
    assert (tmp_path / "file.txt").read_bytes() == b"\xc3\xa4\n\xc2\xb2\r\n"

"""Fixtures of the tests of sweeps."""

import pytest


@pytest.fixture
def table(tmp_path):
    """table(text): write a table file and return its path."""

    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write

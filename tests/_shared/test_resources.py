"""Files beside the code: found in the checkout, or an error that names them."""

import pytest

from toykit._shared.resources import data_root, shipped


def test_data_root_defaults_to_the_project(monkeypatch):
    monkeypatch.delenv("TOYKIT_DATA", raising=False)
    assert data_root() == shipped("data")
    with pytest.raises(FileNotFoundError, match="nothing-like-this"):
        shipped("nothing-like-this")

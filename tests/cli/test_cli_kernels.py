"""Kernels that a command starts find OMP_WAIT_POLICY set before they import torch; the user's own value is kept."""

import os

import pytest
from click.testing import CliRunner
from helpers.notebooks import make_notebook

from toykit.cli import main


@pytest.mark.parametrize(("value", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_a_kernel_finds_the_policy_before_torch(value, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", value or "")
    if value is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    code = f"import os, sys\nassert 'torch' not in sys.modules\nassert os.environ['OMP_WAIT_POLICY'] == '{expected}'"
    path = make_notebook(tmp_path / "n.ipynb", "smoke = True", code)
    result = CliRunner().invoke(main, ["run", str(path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output


def test_other_commands_leave_the_environment_alone(monkeypatch):
    """In this process torch is imported already, so that the variable would have no effect."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert CliRunner().invoke(main, ["segment", "--help"]).exit_code == 0
    assert CliRunner().invoke(main, ["run", "--list"]).exit_code == 0
    assert "OMP_WAIT_POLICY" not in os.environ

"""The GPU's benchmark at a tiny size on the CPU: no timings here, only that parts run, and that failures are reported."""

import json
import subprocess
import sys

import pytest
import torch

from toykit.bench import gpu, gpu_parts
from toykit.bench.gpu_inputs import Scale, generated
from toykit.bench.problems import best_time

TINY = Scale(1, 3, 10, 32, 1)


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Return a function that runs the command with some parts; it returns the exit status, what was printed and the JSON."""
    monkeypatch.setitem(gpu.SCALES, "cpu", TINY)
    monkeypatch.setattr(gpu_parts, "RELAXATIONS", {"Q": None})

    def call(*parts):
        chosen = [word for part in parts for word in ("--part", part)]
        status = gpu.main(["--device", "cpu", "--quick", "-o", str(tmp_path), *chosen])
        return status, capsys.readouterr().out, json.loads((tmp_path / "gpu.json").read_text())

    return call


def test_the_parts_run_at_a_tiny_size(run):
    status, printed, results = run("correctness", "copies", "dense", "conjugate gradients")
    assert status == 0, printed
    assert results["machine"]["torch"] == torch.__version__
    assert set(results["correctness"]["results"]) == {"CE-Q", "RCE-Q", "CCE-Q", "Q-Q"}
    assert results["copies"]["results"]["copy_gigabytes_per_second"] > 0
    assert results["conjugate gradients"]["results"]["residual"] < 1e-6
    assert "4 of 4 pairs agree" in printed


def test_the_race_at_a_tiny_size(run):
    status, printed, results = run("race")
    assert status == 0, printed
    assert results["race"]["results"]["Q"]["reached"]
    assert results["race"]["results"]["Q"]["ratio"] > 0


def test_a_part_that_fails_does_not_stop_the_others(run, monkeypatch):
    def broken(device, scale, show):
        raise RuntimeError("out of memory")

    monkeypatch.setitem(gpu.PARTS, "race", broken)
    status, printed, results = run("race", "dense")
    assert status == 1
    assert "FAILED: RuntimeError: out of memory" in printed
    assert "failed: race" in printed
    assert "RuntimeError: out of memory" in results["race"]["results"]["error"]
    assert results["dense"]["results"]["forward"] > 0


def test_a_kernel_that_differs_from_the_cpu_is_reported(run, monkeypatch):
    monkeypatch.setattr(gpu_parts, "AGREEMENT", -1.0)
    status, printed, _ = run("correctness")
    assert status == 1
    assert "WRONG: CE-Q" in printed


def test_the_inputs_are_the_same_each_time_and_photos():
    one, other = (generated(2, 12, 16, 5, torch.device("cpu")) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    logits, image, seeds = one
    assert logits.shape == (2, 5, 12, 16)
    assert 0 <= image.min() < image.max() <= 255
    assert set(seeds.unique().tolist()) <= {0, 1, 2, 3, 4, 255}
    assert (seeds < 255).any()


def test_the_clock_takes_the_fastest_call_and_may_skip_the_first():
    for warm, calls in ((True, 3), (False, 2)):
        count = []
        assert best_time(lambda: count.append(1), 2, torch.device("cpu"), warm) < 1  # noqa: B023
        assert len(count) == calls


def test_the_command_needs_torch_numpy_and_scipy_only():
    """In a process where the other packages cannot be imported."""
    code = """
import sys
for name in ("click", "numba", "skimage", "PIL", "matplotlib", "pyamg", "torchvision", "segmentation_models_pytorch", "timm"):
    sys.modules[name] = None
sys.argv = ["toykit.bench", "--device", "cuda:9", "--quick"]
import runpy
runpy.run_module("toykit.bench", run_name="__main__", alter_sys=True)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if torch.cuda.is_available():
        assert "FAILED" in finished.stdout + finished.stderr
    else:
        assert "torch finds no CUDA device; take --device cpu" in finished.stderr, finished.stderr

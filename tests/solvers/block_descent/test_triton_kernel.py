"""The Triton kernel against the torch kernel: in Triton's interpreter, and on a GPU where there is one."""

import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from toykit import Energy, SparseNonLocal, solve
from toykit.solvers.block_descent import kernels, torch_kernel
from toykit.solvers.layouts.four_colour_grid import pack

CASES = Path(__file__).parents[2] / "helpers" / "triton_cases.py"
needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module", params=["interpreter", pytest.param("gpu", marks=[pytest.mark.gpu, needs_gpu])])
def compared(request):
    """Return the differences between the kernels, see `helpers.triton_cases`."""
    if request.param == "gpu":
        from helpers import triton_cases

        return triton_cases.cases(torch.device("cuda"))
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(CASES)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@needs_triton
@pytest.mark.parametrize("cross_entropy", ["CE", "RCE", "CCE", "Q"])
@pytest.mark.parametrize("relaxation", ["BL", "Q", "NQ", "CCE", "LQ", "CD"])
def test_a_sweep_is_that_of_the_torch_kernel(cross_entropy, relaxation, compared):
    """From labels after one sweep, on an image of odd size with padding; in double precision."""
    row = compared[f"{cross_entropy}-{relaxation}"]
    assert row["energy"] < 1e-12
    assert row["change"] < 1e-6
    assert row["labels"] < 1e-6
    assert min(row["moved"]) > 1e-3
    assert max(row["changes"]) < 0


@needs_triton
@pytest.mark.parametrize("size", ["1 x 1", "1 x 5", "4 x 6"])
def test_small_sizes(size, compared):
    assert compared[size]["energy"] < 1e-12
    assert compared[size]["labels"] < 1e-6


@needs_triton
@pytest.mark.parametrize("classes", [2, 21, 150])
def test_numbers_of_classes(classes, compared):
    """In single precision, from labels on two classes."""
    row = compared[f"{classes} classes"]
    assert row["energy"] < 1e-6
    assert row["labels"] < 1e-5
    assert row["moved"][0] > 1e-3


@needs_triton
def test_a_converged_image_does_not_move(compared):
    row = compared["frozen"]
    assert row["moved"][0] == row["changes"][0] == 0
    assert row["moved"][1] > 0
    assert row["labels"] < 1e-9


@needs_triton
def test_solve_takes_it(compared):
    assert compared["solve"]["energies"] < 1e-5


@needs_triton
def test_the_kernels_compile_once_for_all_sizes_of_images(make_problem, monkeypatch):
    """For a GPU that is not there, without the launch; the compiler allows less than the interpreter does."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    from toykit.solvers.block_descent import triton_kernel

    kernel, kinds = triton_kernel.update_quarter, (triton_kernel.update_quarter, triton_kernel.add_energy)
    if not hasattr(kernel, "device_caches"):
        pytest.skip("Triton before 3.3 keeps no list of what it compiled for a device")
    run = type(kernel).run
    card = types.SimpleNamespace(
        get_current_device=lambda: 0,
        get_current_stream=lambda _: 0,
        get_current_target=lambda: GPUTarget("cuda", 80, 32),
    )
    monkeypatch.setattr(driver, "_active", card)
    monkeypatch.setattr(type(kernel), "run", lambda *args, **options: run(*args, **options | {"warmup": True}))
    monkeypatch.setattr(triton_kernel, "MOST_PIXELS", 16)  # compiles sooner
    for k in kinds:
        k.device_caches.clear()
    for height, width in ((5, 7), (2, 32), (32, 2)):
        problem = Energy("CCE", "CD").subproblem(*make_problem(1, 2, height, width, torch.float32))
        grid = pack(problem, problem.fix_seeds(problem.sigma))
        for eta in (0.3, 1.0):
            triton_kernel.sweep(grid, "CCE", "CD", eta, 1.75)
            triton_kernel.energy(grid, "CCE", "CD", eta)
    for k in kinds:
        (compiled,) = k.device_caches[0][0].values()
        assert "cubin" in compiled.asm
        k.device_caches.clear()


def test_what_triton_cannot_do_is_an_error(make_problem, monkeypatch):
    if importlib.util.find_spec("triton") is not None:
        with pytest.raises(ValueError, match="runs on CUDA devices, or on the CPU with TRITON_INTERPRET=1"):
            solve(*make_problem(), kernel="triton")
        with pytest.raises(ValueError, match="takes the edges of a grid"):
            solve(*make_problem(), Energy(neighborhood=SparseNonLocal()), kernel="triton")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match='kernel="triton" needs triton: pip install triton'):
        solve(*make_problem(), kernel="triton")


@pytest.mark.parametrize(
    ("installed", "capability", "on_grid", "expected"),
    [(True, (9, 0), True, "triton"), (True, (8, 0), True, "triton"), (True, (7, 5), True, "torch"),
     (False, (9, 0), True, "torch"), (True, (9, 0), False, "torch")],
)  # fmt: skip
@needs_triton
def test_a_cuda_device_takes_triton_for_grids(installed, capability, on_grid, expected, monkeypatch):
    """The choice alone, with a device that is not there."""
    from toykit.solvers.block_descent import triton_kernel

    device, find = torch.device("cuda:0"), importlib.util.find_spec
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find(name) if installed or name != "triton" else None)
    kernel = triton_kernel if expected == "triton" else torch_kernel
    assert kernels.kernel_of("auto", device, on_grid) == (kernel.sweep, kernel.energy)

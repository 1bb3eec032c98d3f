"""Importing toykit is light: it imports torch and nothing else."""

import functools
import subprocess
import sys

HEAVY = ["matplotlib", "plotly", "ipywidgets", "IPython", "skimage", "PIL", "scipy", "pandas", "click", "papermill",
         "torchvision", "timm", "segmentation_models_pytorch", "lightning_fabric", "omegaconf"]  # fmt: skip


def in_a_fresh_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@functools.cache
def imported_with(name):
    """Return the names of the packages that are imported with one."""
    code = f"import {name}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(in_a_fresh_python(code).split())


def test_no_heavy_library_is_imported():
    assert not imported_with("toykit") & set(HEAVY)
    # the check does detect one
    assert imported_with("scipy") & set(HEAVY) == {"scipy"}


def test_nothing_but_torch_and_toykit_is_imported():
    own, torchs = (imported_with(name) for name in ("toykit", "torch"))
    assert own - torchs - set(sys.stdlib_module_names) == {"toykit"}

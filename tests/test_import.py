"""Importing toykit is light: it imports torch and nothing else."""

import subprocess
import sys

HEAVY = ["matplotlib", "plotly", "ipywidgets", "IPython", "skimage", "PIL", "scipy", "pandas", "click", "papermill",
         "torchvision", "timm", "segmentation_models_pytorch", "lightning_fabric", "omegaconf"]  # fmt: skip


def in_a_fresh_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_no_heavy_library_is_imported():
    code = f"import toykit, sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    assert in_a_fresh_python(code).split() == []
    # the check does detect one
    assert in_a_fresh_python(code.replace("import toykit", "import scipy")).split() == ["scipy"]


def test_nothing_but_torch_and_toykit_is_imported():
    code = "import {}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    own, torchs = (set(in_a_fresh_python(code.format(name)).split()) for name in ("toykit", "torch"))
    assert own - torchs - set(sys.stdlib_module_names) == {"toykit"}

"""Importing toykit is light: it costs what importing torch costs, and drags in nothing that a trainer does not need."""

import subprocess
import sys

HEAVY = ["matplotlib", "plotly", "ipywidgets", "IPython", "skimage", "PIL", "scipy", "pandas", "click", "papermill",
         "torchvision", "timm", "segmentation_models_pytorch", "lightning_fabric", "omegaconf"]  # fmt: skip


def in_a_fresh_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_no_heavy_library_is_imported():
    code = f"import toykit, sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    assert in_a_fresh_python(code).split() == []
    # and the probe can see one
    assert in_a_fresh_python(code.replace("import toykit", "import scipy")).split() == ["scipy"]


def test_import_time_is_torchs():
    """The least of several alternated runs, because other processes share the machine."""
    code = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    seconds = {"torch": [], "toykit": []}
    for _ in range(3):
        for name, runs in seconds.items():
            runs.append(float(in_a_fresh_python(code.format(name))))
    assert min(seconds["toykit"]) <= 1.3 * min(seconds["torch"]), seconds

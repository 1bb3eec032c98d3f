"""`python -m toykit.bench --device cuda --quick`: the solvers on a GPU; needs torch, numpy and scipy only.

First the results are compared with the CPU's for all pairs of terms, then times are measured. A part that fails is reported,
and the others run.
"""

import argparse
import importlib.util
import json
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from toykit import __version__
from toykit._shared.files import write_text
from toykit.bench import gpu_parts
from toykit.bench.gpu_inputs import Scale

#: The parts in the order in which they run.
PARTS = {
    "correctness": gpu_parts.correctness,
    "copies": gpu_parts.copies,
    "race": gpu_parts.race,
    "step": gpu_parts.step,
    "dense": gpu_parts.dense,
    "conjugate gradients": gpu_parts.conjugate_gradients,
}
#: Sizes by device: on the CPU only to try the command.
SCALES = {"cuda": Scale(12, 21, 512, 512, 5), "cpu": Scale(2, 4, 48, 64, 1)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure on a device, print the results and write them as JSON.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command's arguments; default: those of this process.

    Returns
    -------
    int
        Exit status: 0 if all parts ran and all energies agree with the CPU's, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m toykit.bench", description="Measure the solvers on a GPU.")
    parser.add_argument("--device", default="cuda", help='"cuda", "cuda:1", or "cpu" at small sizes')
    parser.add_argument("--quick", action="store_true", help="time each call once rather than five times")
    parser.add_argument("--part", action="append", choices=PARTS, help="run only this part; repeatable")
    parser.add_argument("-o", dest="output", type=Path, default=Path("bench"), help="folder for gpu.json")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type not in SCALES:
        parser.error(f"--device: expected cuda or cpu, got {options.device}")
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device; take --device cpu, or a torch built for CUDA")
    scale = SCALES[device.type]
    if options.quick:
        scale = Scale(scale.images, scale.classes, scale.size, scale.step_size, 1)
    results: dict[str, Any] = {"machine": machine(device), "scale": vars(scale)}
    print(f"{results['machine']['name']}, torch {torch.__version__}, Triton {results['machine']['triton']}")
    failed = run_parts(options.part or list(PARTS), device, scale, results, options.output / "gpu.json")
    print(f"\n{options.output}/gpu.json" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def run_parts(
    names: Sequence[str], device: torch.device, scale: Scale, results: dict[str, Any], path: Path
) -> list[str]:
    """Run parts of the benchmark; write the results so far after each.

    Parameters
    ----------
    names : sequence of str
        Keys of `PARTS`.
    device : torch.device
    scale : Scale
    results : dict
        Receives each part's results and "seconds", or its error.
    path : Path
        The JSON file.

    Returns
    -------
    list of str
        The parts that raised an error, and "correctness" if a pair of terms differs from the CPU.
    """
    failed = []
    for name in names:
        print(f"-- {name}", flush=True)
        start = time.perf_counter()
        try:
            row = PARTS[name](device, scale, lambda line: print(line, flush=True))
            if name == "correctness" and not all(pair["agrees"] for pair in row.values()):
                failed.append(name)
        except Exception as error:  # the other parts are still of use
            row = {"error": "".join(traceback.format_exception(error))}
            failed.append(name)
            print(f"FAILED: {type(error).__name__}: {error}", flush=True)
        results[name] = {"seconds": time.perf_counter() - start, "results": row}
        if device.type == "cuda":
            torch.cuda.empty_cache()
        write_text(path, json.dumps(results, indent=1))
    return failed


def machine(device: torch.device) -> dict[str, Any]:
    """Describe a device and the software.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    dict
        The card's name, compute capability and memory in GB (none on the CPU), and versions.
    """
    row: dict[str, Any] = {"name": platform.processor() or platform.machine(), "torch": torch.__version__, "triton": None,
                           "python": platform.python_version(), "toykit": __version__}  # fmt: skip
    if importlib.util.find_spec("triton") is not None:
        import triton

        row["triton"] = triton.__version__
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        row |= {"name": card.name, "capability": f"{card.major}.{card.minor}", "gigabytes": round(card.total_memory / 1e9),
                "cuda": torch.version.cuda}  # fmt: skip
    return row


if __name__ == "__main__":
    sys.exit(main())

"""Run the course's notebooks without a browser: execute them, and write what they measured.

A notebook's headline numbers are those that it passes to `record`. A notebook that fails keeps its partial output, and the
others still run.
"""

import json
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toykit._shared.files import remove_unfinished, write_text
from toykit.course.notebooks import read, shrink_drawings, store

if TYPE_CHECKING:
    from nbformat import NotebookNode

METRICS = "application/vnd.toykit.metrics+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
#: Largest size of a result in bytes: larger notebooks open slowly.
SIZE_LIMIT = 1_000_000


@dataclass
class Result:
    """The outcome of one notebook's run.

    Parameters
    ----------
    name : str
        Stem of the notebook's file name.
    status : str
        "ok"; "failed"; or "large", if it ran but wrote a file over `SIZE_LIMIT`.
    seconds : float
        Time of the run.
    metrics : dict
        Headline numbers; None for NaN and infinity.
    error : str
        Message of the error that ended the run, or "".
    bytes : int
        Size of the executed notebook; 0 if there is none.
    """

    name: str
    status: str
    seconds: float
    metrics: dict[str, float | None] = field(default_factory=dict)
    error: str = ""
    bytes: int = 0


def record(**numbers: float) -> None:
    """Record a notebook's headline numbers, and show them.

    Parameters
    ----------
    **numbers : float
        The numbers by name. `toykit run` writes them to metrics.json; NaN and infinity, which JSON lacks, become null.
    """
    from IPython.display import display

    text = "\n".join(f"{name}: {value:g}" for name, value in numbers.items())
    values = {name: float(value) if math.isfinite(value) else None for name, value in numbers.items()}
    display({METRICS: values, "text/plain": text}, raw=True)


def run(
    paths: list[Path],
    plans: list[dict[str, Any]],
    output: Path,
    progress: bool = True,
    in_place: bool = False,
) -> list[Result]:
    """Execute notebooks one after the other; write NAME.ipynb for each, and one metrics.json.

    A notebook and numbers that are there already stay until the same notebook has run again, so that a run that is killed
    loses nothing.

    Parameters
    ----------
    paths : list of Path
        The notebooks.
    plans : list of dict
        Parameters to inject into each, see `toykit.course.notebooks.plan`.
    output : Path
        Folder of the results.
    progress : bool, default True
        Whether to show a progress bar over each notebook's cells, on standard error.
    in_place : bool, default False
        Whether to also store the executed notebook, cleaned of times and paths, over its source (for maintainers).

    Returns
    -------
    list of Result
        The outcome of each notebook.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    output.mkdir(parents=True, exist_ok=True)
    remove_unfinished(output)  # of a run that was killed
    logging.getLogger("papermill").setLevel(logging.ERROR)
    results, earlier = [], _earlier(output / "metrics.json")
    for number, (path, values) in enumerate(zip(paths, plans, strict=True), 1):
        target, running = output / path.name, output / f".running_{path.name}"
        bar: Any = {"desc": f"{number}/{len(paths)} {path.stem}", "leave": True} if progress else False
        running.unlink(missing_ok=True)  # of a run that was killed
        started, status, error = time.perf_counter(), "ok", ""
        try:
            papermill.execute_notebook(
                str(path), str(running), parameters=values, kernel_name="python3", extra_arguments=["--log-level=40"],
                progress_bar=bar,
            )  # fmt: skip
        except PapermillExecutionError as failure:
            status, error = "failed", f"cell {failure.exec_count}: {failure.ename}: {failure.evalue}"
        except Exception as failure:  # a kernel that died or did not start: the others should still run
            status, error = "failed", f"{type(failure).__name__}: {failure}"
        except BaseException:
            running.unlink(missing_ok=True)
            raise
        result = Result(path.stem, status, time.perf_counter() - started, error=error)
        if running.is_file():
            executed = _cleaned(running, target)
            result.metrics = _metrics(executed)
            if in_place and status == "ok":
                store(executed, path)
            result.bytes = target.stat().st_size
            if result.bytes > SIZE_LIMIT and status == "ok":
                result.status = "large"
        results.append(result)
        to_come = {p.stem: earlier[p.stem] for p in paths[number:] if p.stem in earlier}
        _write_metrics(output / "metrics.json", results, plans, to_come)
    return results


def format_runs(results: list[Result]) -> str:
    """Format runs as a plain-text table, followed by their errors.

    Parameters
    ----------
    results : list of Result
        At least one run.

    Returns
    -------
    str
        Per notebook: status, seconds, headline numbers; then errors and files over the limit.
    """
    width = max(len("notebook"), *(len(r.name) for r in results))
    lines = [f"{'notebook':{width}}  status  seconds  headline numbers"]
    for r in results:
        numbers = ", ".join(f"{name} {'nan' if value is None else f'{value:g}'}" for name, value in r.metrics.items())
        lines.append(f"{r.name:{width}}  {r.status:6}  {r.seconds:7.1f}  {numbers}")
    lines += [f"{r.name}: {r.error}" for r in results if r.error]
    lines += [f"{r.name}: over {SIZE_LIMIT / 1e6:g} MB: {r.name}.ipynb" for r in results if r.bytes > SIZE_LIMIT]
    return "\n".join(lines)


def _cleaned(running: Path, target: Path) -> "NotebookNode":
    """Move an executed notebook to its place, without widgets and with smaller drawings, and return it.

    Widgets work only with a kernel, and their state can be megabytes. The notebooks show a static figure beside each.
    """
    import nbformat

    executed = read(running)
    executed.metadata.pop("widgets", None)
    executed.metadata["papermill"]["output_path"] = str(target)
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
    shrink_drawings(executed)
    write_text(target, nbformat.writes(executed))
    running.unlink()
    return executed


def _metrics(executed: "NotebookNode") -> dict[str, float | None]:
    """Return the numbers that a notebook recorded."""
    outputs = (out for cell in executed.cells for out in cell.get("outputs", []))
    return {k: v for out in outputs for k, v in out.get("data", {}).get(METRICS, {}).items()}


def _versions() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    from importlib.metadata import version

    return {name: version(name) for name in ("toykit", "torch", "numpy", "scipy")}


def _earlier(path: Path) -> dict[str, Any]:
    """Return the notebooks' entries in an earlier metrics.json of the same versions; none if it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content["notebooks"]) if content["versions"] == _versions() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_metrics(path: Path, results: list[Result], plans: list[dict[str, Any]], to_come: dict[str, Any]) -> None:
    """Write metrics.json: versions, and status, seconds, parameters and metrics of the notebooks that have run.

    to_come: the earlier entries of those that are still to run.
    """
    content = {
        "versions": _versions(),
        "notebooks": to_come
        | {
            r.name: {"status": r.status, "seconds": round(r.seconds, 1), "parameters": p, "metrics": r.metrics}
            | ({"error": r.error} if r.error else {})
            for r, p in zip(results, plans, strict=False)
        },
    }
    write_text(path, json.dumps(content, indent=2))

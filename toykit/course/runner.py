"""Run the course headlessly: papermill underneath, checked parameters above, metrics and static pages beside the result.

A notebook's parameters are the literal assignments of its cell tagged `parameters`. Its headline numbers are what it
hands to `record`. A notebook that fails keeps what it had computed; the others still run.
"""

import ast
import base64
import io
import json
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from toykit._shared.files import write_atomically
from toykit._shared.resources import shipped
from toykit.course import pages

METRICS = "application/vnd.toykit.metrics+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
#: No result may be larger: a notebook of megabytes is one that nobody opens twice.
SIZE_LIMIT = 1_000_000


@dataclass
class Result:
    """How one notebook's run ended."""

    name: str
    status: str  # "ok", "failed", or "large": ran, but wrote a file over SIZE_LIMIT
    seconds: float
    metrics: dict = field(default_factory=dict)
    error: str = ""
    too_large: list[str] = field(default_factory=list)  # files over SIZE_LIMIT


def record(**numbers: float) -> None:
    """In a notebook: hand its headline numbers to whoever runs it headlessly (and show them).

    JSON has no word for NaN and infinity: they arrive as null.
    """
    from IPython.display import display

    text = "\n".join(f"{name}: {value:g}" for name, value in numbers.items())
    values = {name: float(value) if math.isfinite(value) else None for name, value in numbers.items()}
    display({METRICS: values, "text/plain": text}, raw=True)


def find(names: tuple[str, ...] = ()) -> list[Path]:
    """The notebooks meant by paths, names ("04_random_walker") or numbers ("04"); all of the course by default.

    Raises: ValueError that lists the choices for a name that fits none or several.
    """
    course = sorted(shipped("notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not names:
        return course
    found = []
    for name in names:
        if name.endswith(".ipynb") and Path(name).is_file():
            found.append(Path(name))
            continue
        stem = Path(name).stem if name.endswith(".ipynb") else name
        fits = [path for path in course if path.stem == stem] or [p for p in course if p.stem.startswith(stem)]
        if not stem or len(fits) != 1:
            raise ValueError(f"notebook {name!r}: expected one of {', '.join(path.stem for path in course)}, or a file")
        found.append(fits[0])
    return found


def read(path: Path):
    """Read a notebook. Raises: ValueError that names the file if it is none."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (
        nbformat.reader.NotJSONError,
        nbformat.ValidationError,
        UnicodeDecodeError,
        AttributeError,
        TypeError,
    ) as error:
        raise ValueError(f"{path}: not a notebook ({type(error).__name__})") from error


def parameters(path: Path) -> dict:
    """Names and defaults of a notebook's parameters, from the literals in its cell tagged `parameters`.

    Raises: ValueError that names the file if the cell holds anything but literals under names.
    """
    defaults = {}
    for cell in read(path).cells:
        if cell.cell_type != "code" or "parameters" not in cell.metadata.get("tags", []):
            continue
        try:
            for statement in ast.parse(cell.source).body:
                target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
                defaults[target.id] = ast.literal_eval(statement.value)
        except (SyntaxError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: its parameters cell should hold names and literals only ({error})") from error
    return defaults


def parse_value(name: str, text: str, default):
    """A parameter's value from the command line, in its default's type.

    Raises: ValueError that says what was expected.
    """
    if isinstance(default, str):
        return text
    try:
        value = {"true": True, "false": False}.get(text.lower())
        value = ast.literal_eval(text) if value is None else value
    except (ValueError, SyntaxError):
        value = text
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(default, list | tuple) and isinstance(value, list | tuple):
        value = type(default)(value)
    if default is not None and type(value) is not type(default):
        raise ValueError(f"parameter {name}: expected {type(default).__name__} like {default!r}, got {text!r}")
    return value


def plan(paths: list[Path], given: dict[str, str], full: bool) -> list[dict]:
    """What to inject into each notebook; parameters go to the notebooks that have them.

    given: name -> text from the command line. full: sets `smoke` to False where there is such a parameter.
    Raises: ValueError, before anything runs, for a parameter that no chosen notebook has, or of another type, and for two
        notebooks of one name (their results would overwrite each other).
    """
    stems = [path.stem for path in paths]
    if len(set(stems)) < len(stems):
        raise ValueError(f"each notebook runs once; got {', '.join(stems)}")
    defaults = [parameters(path) for path in paths]
    known = sorted({name for d in defaults for name in d})
    for name in given:
        if name not in known:
            raise ValueError(f"parameter {name!r}: the chosen notebooks have {', '.join(known) or 'none'}")
    plans = []
    for own in defaults:
        values = {name: parse_value(name, text, own[name]) for name, text in given.items() if name in own}
        plans.append(({"smoke": False} if full and "smoke" in own else {}) | values)
    return plans


def run(
    paths: list[Path],
    plans: list[dict],
    output: Path,
    progress: bool = True,
    in_place: bool = False,
    linked: bool = False,
) -> list[Result]:
    """Execute notebooks one after the other into `output`: NAME.ipynb, NAME.html and, for all, metrics.json.

    plans: parameters to inject into each, see `plan`. progress: a bar for each notebook's cells on standard error.
    in_place: also store the executed notebook, cleaned of times and paths, over its source (for maintainers).
    linked: make one set of the pages: links from each to its neighbours, and index.html, which says how each run ended.
    """
    import papermill

    output.mkdir(parents=True, exist_ok=True)
    chapters = [pages.chapter(read(path), path.stem) for path in paths] if linked else []
    executions = []
    logging.getLogger("papermill").setLevel(logging.ERROR)
    results = []
    for number, (path, values) in enumerate(zip(paths, plans, strict=True), 1):
        target = output / path.name
        started, status, error = time.perf_counter(), "ok", ""
        try:
            papermill.execute_notebook(
                str(path), str(target), parameters=values, kernel_name="python3", extra_arguments=["--log-level=40"],
                progress_bar={"desc": f"{number}/{len(paths)} {path.stem}", "leave": True} if progress else False,
            )  # fmt: skip
        except papermill.exceptions.PapermillExecutionError as failure:
            status, error = "failed", f"cell {failure.exec_count}: {failure.ename}: {failure.evalue}"
        except Exception as failure:  # a kernel that died or did not start: the rest should still run
            status, error = "failed", f"{type(failure).__name__}: {failure}"
        result = Result(path.stem, status, time.perf_counter() - started, error=error)
        files = [target] if target.is_file() else []
        executed = None
        if files:
            executed = _without_widgets(target)
            result.metrics = _metrics(executed)
            files.append(target.with_suffix(".html"))
            _write(files[-1], pages.page(executed, path.stem, chapters, error))
            if in_place and status == "ok":
                store(executed, path)
        result.too_large = [file.name for file in files if file.stat().st_size > SIZE_LIMIT]
        if result.too_large and status == "ok":
            result.status = "large"
        results.append(result)
        executions.append(executed)
        _write_metrics(output / "metrics.json", results, plans)
    if linked:
        _write(output / "index.html", pages.index(zip(chapters, executions, results, strict=True)))
    return results


def store(executed, path: Path) -> None:
    """Write an executed notebook over its source: outputs stay, its drawings in 256 colours; times and paths go."""
    import nbformat

    executed.metadata = {"kernelspec": executed.metadata.kernelspec, "language_info": {"name": "python"}}
    executed.metadata["kernelspec"].pop("path", None)
    for cell in executed.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        for out in cell.get("outputs", []):
            if "image/png" in out.get("data", {}):
                out.data["image/png"] = _in_few_colors(out.data["image/png"])
    _write(path, nbformat.writes(executed).rstrip("\n") + "\n")


def format_runs(results: list[Result]) -> str:
    """The runs as a plain-text table: notebook, status, seconds, headline numbers; then what went wrong."""
    width = max(len("notebook"), *(len(r.name) for r in results))
    lines = [f"{'notebook':{width}}  status  seconds  headline numbers"]
    for r in results:
        numbers = ", ".join(f"{name} {'nan' if value is None else f'{value:g}'}" for name, value in r.metrics.items())
        lines.append(f"{r.name:{width}}  {r.status:6}  {r.seconds:7.1f}  {numbers}")
    lines += [f"{r.name}: {r.error}" for r in results if r.error]
    lines += [f"{r.name}: over {SIZE_LIMIT / 1e6:g} MB: {', '.join(r.too_large)}" for r in results if r.too_large]
    return "\n".join(lines)


def _without_widgets(path: Path):
    """The executed notebook at `path`, less its widgets, in the file too: they live only beside a kernel, and their state
    can be megabytes. A static figure stands beside each."""
    import nbformat

    executed = read(path)
    executed.metadata.pop("widgets", None)
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
    _write(path, nbformat.writes(executed))
    return executed


def _in_few_colors(png: str) -> str:
    """A drawing (base64) with a palette: a third of the size, for lines on white hardly another picture."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(png)))
    if image.mode == "P":
        return png
    smaller = io.BytesIO()
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return base64.b64encode(smaller.getvalue()).decode()


def _metrics(executed) -> dict:
    outputs = (out for cell in executed.cells for out in cell.get("outputs", []))
    return {k: v for out in outputs for k, v in out.get("data", {}).get(METRICS, {}).items()}


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def _write_metrics(path: Path, results: list[Result], plans: list[dict]) -> None:
    from importlib.metadata import version

    content = {
        "versions": {name: version(name) for name in ("toykit", "torch", "numpy", "scipy")},
        "notebooks": {
            r.name: {"status": r.status, "seconds": round(r.seconds, 1), "parameters": p, "metrics": r.metrics}
            | ({"error": r.error} if r.error else {})
            for r, p in zip(results, plans, strict=False)
        },
    }
    _write(path, json.dumps(content, indent=2))

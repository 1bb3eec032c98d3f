"""The course's notebooks as files: find and read them, check parameters for them, store executed ones.

A notebook's parameters are the literal assignments of its cell tagged `parameters`.
"""

import ast
import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toykit._shared.files import write_text
from toykit._shared.resources import shipped

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: What Python's parser raises for text that is no literal, deeply nested text included.
NO_LITERAL = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)


def find(names: tuple[str, ...] = ()) -> list[Path]:
    """Find notebooks by path, name or number.

    Parameters
    ----------
    names : tuple of str, default ()
        Paths, names ("04_random_walker") or numbers ("04"); all notebooks of the course if empty.

    Returns
    -------
    list of Path
        One file per name.

    Raises
    ------
    ValueError
        For a name that fits no notebook, or several; the message lists the choices.
    """
    course = sorted(shipped("notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not names:
        return course
    paths = []
    for name in names:
        if name.endswith(".ipynb") and Path(name).is_file():
            paths.append(Path(name))
            continue
        stem = Path(name).stem if name.endswith(".ipynb") else name
        fits = [path for path in course if path.stem == stem] or [p for p in course if p.stem.startswith(stem)]
        if not stem or len(fits) != 1:
            raise ValueError(f"notebook {name!r}: expected one of {', '.join(path.stem for path in course)}, or a file")
        paths.append(fits[0])
    return paths


def read(path: Path) -> "NotebookNode":
    """Read a notebook.

    Parameters
    ----------
    path : Path
        Its file.

    Returns
    -------
    NotebookNode
        The notebook in nbformat 4.

    Raises
    ------
    ValueError
        If the file is not a notebook; the message names it.
    """
    import nbformat
    from nbformat.reader import NotJSONError

    try:
        return nbformat.read(path, as_version=4)
    except (NotJSONError, nbformat.ValidationError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: not a notebook ({type(error).__name__})") from error


def parameters(path: Path) -> dict[str, Any]:
    """Read a notebook's parameters from the literals in its cell tagged `parameters`.

    Parameters
    ----------
    path : Path
        The notebook.

    Returns
    -------
    dict
        Defaults by name.

    Raises
    ------
    ValueError
        If the cell contains anything but literals assigned to names; the message names the file.
    """
    defaults = {}
    for cell in read(path).cells:
        if cell.cell_type != "code" or "parameters" not in cell.metadata.get("tags", []):
            continue
        try:
            defaults |= dict(map(_assignment, ast.parse(cell.source).body))
        except NO_LITERAL as error:
            raise ValueError(
                f"{path}: its parameters cell should contain only literals assigned to names ({error})"
            ) from error
    return defaults


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    """Return name and value of the assignment of a literal to a name; raise ValueError or TypeError for other statements."""
    if isinstance(statement, ast.Assign):
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        raise TypeError(f"{ast.unparse(statement)!r} assigns nothing")
    if not isinstance(target, ast.Name):
        raise TypeError(f"{ast.unparse(target)!r} is not a name")
    return target.id, ast.literal_eval(value)


def parse_value(name: str, text: str, default: Any) -> Any:
    """Convert a parameter's text from the command line to the type of its default.

    Parameters
    ----------
    name : str
        The parameter, for the message.
    text : str
        The text.
    default : object
        The parameter's default; None accepts any type.

    Returns
    -------
    object
        The value.

    Raises
    ------
    ValueError
        If the text is no value of that type.
    """
    if isinstance(default, str):
        return text
    try:
        value = {"true": True, "false": False}.get(text.lower())
        value = ast.literal_eval(text) if value is None else value
    except NO_LITERAL:
        value = text
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1e300 else text
    if isinstance(default, list | tuple) and isinstance(value, list | tuple):
        value = type(default)(value)
    if default is not None and type(value) is not type(default):
        raise ValueError(f"parameter {name}: expected {type(default).__name__} like {default!r}, got {text!r}")
    return value


def plan(paths: list[Path], given: dict[str, str], full: bool) -> list[dict[str, Any]]:
    """Choose the parameters to inject into each notebook; each goes to the notebooks that have it.

    Parameters
    ----------
    paths : list of Path
        The notebooks.
    given : dict
        Texts from the command line, by parameter.
    full : bool
        Whether to set `smoke` to False in the notebooks that have this parameter.

    Returns
    -------
    list of dict
        Values by parameter, for each notebook.

    Raises
    ------
    ValueError
        For a parameter that no chosen notebook has, for a value of another type, and for two notebooks of the same name,
        whose results would overwrite each other.
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


def store(executed: "NotebookNode", path: Path) -> None:
    """Write an executed notebook over its source, without times and paths and with its drawings in 256 colours.

    Parameters
    ----------
    executed : NotebookNode
        The notebook with its outputs; it is changed.
    path : Path
        The file to write.
    """
    import nbformat

    executed.metadata = {"kernelspec": executed.metadata.kernelspec, "language_info": {"name": "python"}}
    executed.metadata["kernelspec"].pop("path", None)
    for cell in executed.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
    shrink_drawings(executed)
    write_text(path, nbformat.writes(executed).rstrip("\n") + "\n")


def shrink_drawings(executed: "NotebookNode") -> None:
    """Give the drawings (PNG) of an executed notebook 256 colours, in place; those that have them stay as they are."""
    for cell in executed.cells:
        for out in cell.get("outputs", []):
            if "image/png" in out.get("data", {}):
                out.data["image/png"] = in_few_colors(out.data["image/png"])


def in_few_colors(png: str) -> str:
    """Return a drawing (base64) with a palette of 128 colours: a third of the size, and lines on white look the same.

    The colours of lines are among them, however few pixels they have.
    """
    from PIL import Image, ImageColor

    from toykit._shared.palette import LINE_COLORS, NEUTRAL_COLORS, color_codes

    image = Image.open(io.BytesIO(base64.b64decode(png)))
    if image.mode == "P":
        return png
    smaller = io.BytesIO()
    whole = image.convert("RGB")
    lines = [ImageColor.getrgb(color) for color in (*LINE_COLORS, *NEUTRAL_COLORS, "white")]
    few = whole.quantize(128 - len(lines), dither=Image.Dither.NONE).convert("RGB")
    palette = np.array([*{color for _, color in few.getcolors(128) or ()}, *lines])
    pixels = np.asarray(whole).reshape(-1, 3)
    _, first, place = np.unique(color_codes(pixels), return_index=True, return_inverse=True)
    nearest = ((pixels[first][:, None] - palette) ** 2).sum(2).argmin(1).astype(np.uint8)
    drawing = Image.fromarray(nearest[place].reshape(whole.size[::-1]), "P")
    drawing.putpalette(palette.astype(np.uint8).tobytes())
    drawing.save(smaller, "PNG", optimize=True)
    return base64.b64encode(smaller.getvalue()).decode()

"""Files in memory: what the user uploads, what the painter writes, and the colours in its JSON files."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from toykit.supervision import Scribbles, write_scribbles

Loaded = TypeVar("Loaded")

#: The largest upload: of its file in bytes, of the picture in it in pixels.
MOST_UPLOADED, MOST_PIXELS = 100_000_000, 50_000_000


def check_color(color: object) -> None:
    """Raise ValueError unless a value is a colour #RRGGBB."""
    digits = color[1:] if isinstance(color, str) and color.startswith("#") else ""
    if len(digits) != 6 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise ValueError(f"colour: expected #RRGGBB, got {color!r}")


def read_colors(path: Path, classes: tuple[str, ...]) -> dict[str, str]:
    """Return the colours in a file of strokes that the painter wrote."""
    colors = json.loads(path.read_bytes()).get("colors", {})
    if not isinstance(colors, dict):
        raise ValueError(f'{path.name}: expected "colors" as {{class name: "#RRGGBB"}}, got {str(colors)[:60]}')
    for color in colors.values():
        check_color(color)
    return {name: color for name, color in colors.items() if name in classes}


def scribbles_json(scribbles: Scribbles, colors: Mapping[str, str]) -> bytes:
    """Return strokes as JSON, in the format that `toykit segment` reads; "colors" is the painter's own."""
    content = json.loads(written(lambda path: write_scribbles(path, scribbles)))
    return json.dumps(content | {"colors": dict(colors)} if colors else content).encode()


def read_upload(filename: str, content: bytes, read: Callable[[Path], Loaded]) -> Loaded:
    """Read an uploaded file through a temporary copy.

    Parameters
    ----------
    filename : str
        The name given by the user; folders in it are ignored.
    content : bytes
        The file's content.
    read : callable
        A function of the path of the copy.

    Returns
    -------
    The result of `read`.

    Raises
    ------
    ValueError
        As raised by `read`, with the file's name instead of the path of the copy.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (Path(filename).name or "file")
        path.write_bytes(content)
        try:
            return read(path)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), path.name)) from error


def written(write: Callable[[Path], object]) -> bytes:
    """Return the content of a file that `write` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()

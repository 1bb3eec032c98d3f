"""The script and the style sheet of the painter's page."""

from pathlib import Path

from toykit.explore.modules import joined

FOLDER = Path(__file__).parent / "page"
#: The modules, each after those that it imports.
MODULES = (
    "elements",
    "../../links",
    "link",
    "journal",
    "stage",
    "pen",
    "tools",
    "classes",
    "panels",
    "filmstrip",
    "shortcuts",
    "painter",
)


def script() -> str:
    """Return the page's script."""
    return joined(FOLDER, MODULES)


def style() -> str:
    """Return the page's style sheet."""
    return (FOLDER / "painter.css").read_text(encoding="utf-8")

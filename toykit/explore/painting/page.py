"""Join the page's ES modules to the single one that anywidget loads; each remains a module that an editor understands."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
#: The modules, each after those that it imports.
MODULES = (
    "elements",
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
    """Return the page's script: the modules without their imports of one another, and without exports but the last one's."""
    parts = []
    for name in MODULES:
        text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
        text = re.sub(r'^import \{[^}]*\} from "\./\w+\.js";\n', "", text, flags=re.MULTILINE)
        parts.append(f"// {name}.js\n" + re.sub(r"^export (?!default)", "", text, flags=re.MULTILINE))
    return "\n".join(parts)


def style() -> str:
    """Return the page's style sheet."""
    return (FOLDER / "painter.css").read_text(encoding="utf-8")

"""Join ES modules to the single one that anywidget and a stored page load; each remains a module that an editor understands."""

import re
from collections.abc import Iterable
from pathlib import Path


def joined(folder: Path, names: Iterable[str]) -> str:
    """Return one script of several modules, without their imports of one another, and without exports but the last one's.

    Parameters
    ----------
    folder : Path
        Where the modules lie.
    names : iterable of str
        The modules, as paths from the folder without ".js", each after those that it imports.

    Returns
    -------
    str
    """
    parts = []
    for name in names:
        text = (folder / f"{name}.js").read_text(encoding="utf-8")
        text = re.sub(r'^import \{[^}]*\} from "\.[./]*/\w+\.js";\n', "", text, flags=re.MULTILINE)
        parts.append(f"// {Path(name).name}.js\n" + re.sub(r"^export (?!default)", "", text, flags=re.MULTILINE))
    return "\n".join(parts)

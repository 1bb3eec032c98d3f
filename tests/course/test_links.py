"""Relative links in the notebooks resolve in the JupyterLab that the README starts: Lab serves no file outside its root."""

import re
import shlex
from pathlib import Path

import pytest

from toykit._shared.resources import PACKAGE
from toykit.course.notebooks import find, read

ROOT = PACKAGE.parent
LINK = re.compile(r"\]\((?!https?:|mailto:|#|attachment:)([^)\s#]+)")


def served(command: str, start: Path) -> Path:
    """Return the root folder of the JupyterLab that a command starts in the folder `start`.

    As jupyter_server has it: the folder that is given; or the folder of the file that is given; or the current folder.
    """
    _, _, arguments = command.partition("jupyter lab")
    targets = [start / word for word in shlex.split(arguments) if not word.startswith("-")]
    if not targets:
        return start
    return targets[0].parent if targets[0].suffix == ".ipynb" else targets[0]


@pytest.mark.parametrize("page", ["README.md", "notebooks/README.md"])
def test_the_commands_start_lab_in_the_repository(page):
    commands = re.findall(r"`([^`\n]*jupyter lab[^`\n]*)`", (ROOT / page).read_text(encoding="utf-8"))
    assert commands
    for command in commands:
        assert served(command, ROOT) == ROOT, command


def test_the_root_follows_the_argument():
    assert served(".venv/bin/jupyter lab --no-browser", ROOT) == ROOT
    assert served("jupyter lab notebooks", ROOT) == ROOT / "notebooks"
    assert served("jupyter lab notebooks/00_start_here.ipynb", ROOT) == ROOT / "notebooks"


@pytest.mark.parametrize("path", find(), ids=lambda path: path.stem)
def test_links_resolve_within_the_root(path):
    assert path.is_relative_to(ROOT)
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    targets = LINK.findall(text)
    assert targets
    for target in targets:
        resolved = (path.parent / target).resolve()
        assert resolved.is_relative_to(ROOT.resolve()), target
        assert resolved.exists(), target


def test_most_links_to_code_leave_the_notebooks_folder():
    """The check above is not vacuous: with `notebooks` as the root it would fail."""
    texts = ["\n".join(cell.source for cell in read(path).cells) for path in find()]
    assert sum(text.count("](../toykit/") for text in texts) > 30

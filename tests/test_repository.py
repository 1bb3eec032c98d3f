"""The repository is consistent: environment.yml with pyproject.toml, the README with its notebooks, imports with the house."""

import ast
import contextlib
import csv
import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from toykit import __version__
from toykit.course.notebooks import find

ROOT = Path(__file__).parent.parent
#: What conda-forge does not have.
PIP_ONLY = ("apxchol",)
EXTRAS = ("notebooks", "graphcut", "train", "cluster", "sweep", "site", "dev")
CONDA_NAMES = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "lightning-fabric": "pytorch-lightning",
    "PyMaxflow": "pymaxflow",
    "playwright": "playwright-python",
}


def read_project():
    """Read the table [project] of pyproject.toml."""
    tomllib = pytest.importorskip("tomllib", reason="tomllib is in Python 3.11 and newer")
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_is_pyproject():
    project = read_project()
    wanted = {f"python{project['requires-python']}"}
    extras = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *(item for name in EXTRAS for item in extras[name])]:
        name, version = re.fullmatch(r"([\w-]+)(?:\[[\w,]+\])?(.*)", requirement).groups()
        if name not in {"toykit", *PIP_ONLY} and ";" not in version:  # ";": for some systems only
            wanted.add(CONDA_NAMES.get(name, name) + version)
    lines = (ROOT / "environment.yml").read_text().splitlines()
    listed = {line.strip()[2:] for line in lines if line.startswith("  - ")} - {"conda-forge", "pip", "pip:"}
    assert listed == wanted
    by_pip = {line.strip()[2:] for line in lines if line.startswith("      - ")}
    assert {requirement for requirement in extras["notebooks"] if requirement.startswith(PIP_ONLY)} <= by_pip


def licence(name):
    """What a distribution states, in its metadata's newer or older fields."""
    about = metadata.metadata(name)
    listed = [text for text in about.get_all("Classifier", []) if text.startswith("License ::")]
    if name == "docutils":  # public domain and BSD; one file, which is not imported, is GPL
        return "BSD"
    return " ".join([about.get("License-Expression") or "", *listed, (about.get("License") or "")[:80]])


def needed(name, extras, seen):
    """Add to `seen` what is installed of a distribution's requirements, and of theirs."""
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        key = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        )
        if wanted and key not in seen:
            with contextlib.suppress(metadata.PackageNotFoundError):
                metadata.version(key)
                seen.add(key)
                needed(key, requirement.extras, seen)
    return seen


def test_only_the_extra_graphcut_has_a_gpl_dependency():
    project = read_project()
    extras = project["optional-dependencies"]
    strict = re.compile(r"(?<!L)GPL|GNU (Affero )?General Public", re.IGNORECASE)
    found = {}
    for extra in EXTRAS[:-1]:  # dev has them all
        seen = set()
        for text in [
            *project["dependencies"],
            *extras[extra],
            *(extras["notebooks"] if extra in ("train", "sweep", "site") else ()),
        ]:
            name = canonicalize_name(Requirement(text).name)
            with contextlib.suppress(metadata.PackageNotFoundError):
                if name != "toykit" and metadata.version(name):
                    seen.add(name)
                    needed(name, Requirement(text).extras, seen)
        found[extra] = {name for name in seen if strict.search(licence(name))}
    assert found["graphcut"] == {"pymaxflow"}
    assert not any(names for extra, names in found.items() if extra != "graphcut"), found


def test_contributing_lists_each_dependency_under_its_licence():
    project = read_project()
    texts = [*project["dependencies"], *(item for extra in project["optional-dependencies"].values() for item in extra)]
    named = {canonicalize_name(Requirement(text).name) for text in texts} - {"toykit"}
    states = {
        "BSD": "BSD",
        "MIT": "MIT",
        "Apache-2.0": "Apache",
        "MPL-2.0": "MPL",
        "PSF": "PSF|Python Software",
        "GPL": "GPL",
    }
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| licence | dependencies |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| (\S+) \| (.*) \|$", table, re.MULTILINE))
    assert set(rows) == set(states)
    listed = {}
    for name, dependencies in rows.items():
        for entry in re.sub(r" \(.*?\)|, in an extra of its own", "", dependencies).split(", "):
            listed[canonicalize_name(entry)] = states[name]
    assert set(listed) == named
    for name, words in listed.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            stated = licence(name).strip()  # some older versions state none
            assert not stated or re.search(words, stated), f"{name}: {stated}"


def test_readme_maps_every_notebook_and_shows_its_picture():
    readme = (ROOT / "README.md").read_text()
    for path in find():
        assert f"notebooks/{path.name}" in readme
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (ROOT / target).exists(), target
    blocks = re.findall(r"^```\w*\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert "toykit run" in blocks[0]
    assert "pytest" in blocks[1]
    assert len(blocks[0].strip().splitlines()) == len(blocks[1].strip().splitlines()) == 1  # one command each


@pytest.mark.parametrize("path", ["README.md", "notebooks/README.md"])
def test_what_is_not_reproduced_is_stated(path):
    """Each page that names the paper's tables also names those that this project has not reproduced."""
    (paragraph,) = re.findall(
        r"^\*\*Not reproduced yet\.\*\* (.*?)\n\n", (ROOT / path).read_text(), re.DOTALL | re.MULTILINE
    )
    for name in ("Table 3", "Fig. 5", "Fig. 7", "Tables 5 and 6"):
        assert name in paragraph.replace("\n", " "), name


def test_one_version_everywhere():
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_path_of_a_machine_in_the_text():
    text_files = [p for folder in ("toykit", "tests", "data", "notebooks") for p in (ROOT / folder).rglob("*")]
    for path in [*text_files, *ROOT.glob("*.*")]:
        if path.suffix in {".py", ".md", ".csv", ".json", ".ipynb", ".toml", ".yml"} and "share" not in path.parts:
            assert not re.search(r"/(home|root|work)/\w", path.read_text(encoding="utf-8")), path


def test_the_house_stands():
    """CONTRIBUTING's list is complete, and no module imports from a later part of it."""
    house = re.search(r"\*\*The house\.\*\*.*?: *\n(.*?)\. One", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]
    floors = re.findall(r"`(\w+)`", house)
    paths = [
        p for p in (ROOT / "toykit").rglob("*.py") if p != ROOT / "toykit" / "__init__.py" and "share" not in p.parts
    ]
    rooms = {path: path.relative_to(ROOT / "toykit").with_suffix("").parts[0] for path in paths}
    assert set(rooms.values()) == set(floors)
    for path, room in rooms.items():
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "toykit":
                whole = node.module == "toykit"
                modules = [a.name for a in node.names if a.name in floors] if whole else [node.module.split(".")[1]]
            for module in modules:
                assert floors.index(module) <= floors.index(room), f"{path.name} imports {module}"


def modules(folder):
    """Return all Python files of a folder, except those in the wheel's copy of the course."""
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "share" not in path.parts)


def test_no_file_of_the_package_is_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules("toykit")}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_the_package_has_few_entries():
    entries = {path.name for path in (ROOT / "toykit").iterdir()} - {"__pycache__", "share"}
    assert len(entries) <= 25, sorted(entries)


def test_test_modules_have_unique_names_and_import_no_other():
    """Shared code of the tests is in tests/helpers. Without __init__ files, pytest needs unique names."""
    tests = [path for path in modules("tests") if path.name.startswith("test_")]
    names = [path.stem for path in tests]
    assert sorted(name for name in names if names.count(name) > 1) == []
    for path in tests:
        for node in ast.walk(ast.parse(path.read_text())):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or "", *(alias.name for alias in node.names)]
            parts = {part for name in imported for part in name.split(".")}
            assert parts.isdisjoint(names), f"{path.relative_to(ROOT)} imports {parts & set(names)}"


def rows(name):
    with (ROOT / "data" / "reference" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_reference_tables_hold_the_papers_best_numbers():
    table3 = {(r["relaxation"], r["scribble_length_ratio"]): float(r["miou"]) for r in rows("table3.csv")}
    assert len(table3) == 30
    assert max(table3, key=table3.get)[0] == "CD"
    assert table3["Q", "1.0"] == 71.05
    table4 = {(r["training"], r["neighborhood"]): float(r["miou"]) for r in rows("table4.csv")}
    assert table4["soft", "NN"] == max(table4.values()) == 71.1
    assert len(rows("table5.csv")) == 23
    assert {r["dataset"] for r in rows("table6.csv")} == {"Cityscapes", "ADE20k"}
    assert len({r["id"] for r in rows("figures_text.csv")}) == len(rows("figures_text.csv"))


def test_contributing_names_files_that_exist():
    table = re.search(r"\*\*Where things are\.\*\*\n\n(.*?)\n\n", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]
    folder, named = ROOT / "toykit", []
    for row in table.splitlines()[2:]:
        parent = folder
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", row.split("|")[2]):
            path = (
                folder / name if (folder / name).exists() else parent / name
            )  # a bare name: in the folder of the one before
            assert path.exists(), name
            parent = path.parent
            named.append(name)
    assert len(named) > 15


def test_ci_names_tests_that_exist():
    named = re.findall(r"\btests/[\w/]+\.py", (ROOT / ".ci" / "run").read_text())
    assert named
    assert all((ROOT / name).is_file() for name in named)

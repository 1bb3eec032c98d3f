"""A table of runs as a YAML file: rows, seeds, and what is tuned. The package's docstring has an example."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os.path
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from toykit._shared.arguments import check_choice
from toykit.experiments.results import PUBLISHED
from toykit.training.load import ODD_VALUE
from toykit.training.sweep.experiment import Experiment
from toykit.training.sweep.label_noise import LabelNoise
from toykit.training.sweep.results import paper_number
from toykit.training.sweep.segmentation import Segmentation
from toykit.training.sweep.space import Tuning, check_keys, check_not_the_sweeps, read_space, read_tuning

KEYS = ("experiment", "preset", "overrides", "variants", "grid", "seeds", "against", "tune", "paper")
#: Largest number of seeds.
MOST_SEEDS = 10_000
#: Keys of a variant that are no overrides.
OF_VARIANT = ("preset", "space", "paper")
EXPERIMENTS: dict[str, Experiment] = {"segmentation": Segmentation(), "label_noise": LabelNoise()}


@dataclass(frozen=True)
class Row:
    """One row of a table: a configuration that is trained from every seed.

    Attributes
    ----------
    parts : tuple of str
        The variant's name, then the values of the grid.
    preset : str or None
        A preset or a configuration file; None: the experiment's default.
    items : tuple of str
        Its own overrides, KEY=VALUE; a method may also be the name of a preset, see `with_method`.
    space : dict
        What is tuned, see `toykit.training.sweep.space`; empty: nothing.
    paper : dict or None
        Column -> value, or `=KEY` for a key of the configuration: the row's number in the paper's table. None: it has none.
    """

    parts: tuple[str, ...]
    preset: str | None
    items: tuple[str, ...]
    space: dict[str, Any]
    paper: dict[str, Any] | None

    @property
    def name(self) -> str:
        """The parts joined, also the name of its folders."""
        return "_".join(self.parts)


@dataclass(frozen=True)
class Table:
    """A table file, see the package's docstring.

    Attributes
    ----------
    name : str
        The file's, without its ending.
    experiment : Experiment
        What its runs are.
    overrides : tuple of str
        Common overrides, KEY=VALUE.
    rows : dict
        Name -> Row.
    seeds : tuple of int
    against : str or None
        First part of the rows that the others are compared with.
    tuning : Tuning or None
    paper : str or None
        The table of `toykit.experiments.results.PUBLISHED` that this one repeats.
    """

    name: str
    experiment: Experiment
    overrides: tuple[str, ...]
    rows: dict[str, Row]
    seeds: tuple[int, ...]
    against: str | None
    tuning: Tuning | None
    paper: str | None
    _configs: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False, compare=False)

    def config(self, row: Row, seed: int, more: Sequence[str] = ()) -> Any:
        """Return the configuration of a row's run.

        Parameters
        ----------
        row : Row
        seed : int
        more : sequence of str, default ()
            Overrides that follow the row's own.

        Returns
        -------
        Config or another experiment's configuration

        Raises
        ------
        Exception
            What `Experiment.load` raises; the message begins with the row's name.
        """
        key = (row.name, *more)
        if key not in self._configs:
            try:
                self._configs[key] = self.experiment.load(row, self.overrides, more)
            except (ValueError, OSError) as error:
                raise type(error)(f"{self.name}, row {row.name}: {error}") from error
        return self.experiment.with_seed(self._configs[key], seed)

    def fingerprint(self) -> str:
        """Return what a sweep computes as text; two commands with the same text may share a sweep."""
        tuned = None if self.tuning is None else dataclasses.asdict(self.tuning)
        rows = {name: [self.experiment.fixed(self.config(row, 0)), row.space] for name, row in self.rows.items()}
        return json.dumps({"rows": rows, "seeds": self.seeds, "tune": tuned}, sort_keys=True, default=str)


def tables() -> dict[str, Path]:
    """Return the shipped tables: name -> file. Each begins with hardware, what is the paper's and what is ours."""
    folder = Path(str(files("toykit.training.sweep") / "tables"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_table(source: str | Path, overrides: Sequence[str] = ()) -> Table:
    """Read a table and check the configuration of every row.

    Parameters
    ----------
    source : str or Path
        A YAML file, or the name of a shipped table.
    overrides : sequence of str, default ()
        KEY=VALUE overrides of every row, after the file's common ones and before the rows' own.

    Returns
    -------
    Table

    Raises
    ------
    FileNotFoundError
        If there is neither such a file nor such a table.
    ValueError
        For an unknown key (the message lists the known ones), a wrong type, or a row that `load_config` rejects.
    """
    import yaml

    path = tables().get(str(source), Path(source))
    if not os.path.isfile(path):  # False also for a name that no file can have
        raise FileNotFoundError(f"{source}: neither a file nor a table; the tables are {', '.join(tables())}")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, *ODD_VALUE) as error:
        raise ValueError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from error
    try:
        table = _read(path.stem, tree, overrides)
        for row in table.rows.values():
            table.config(row, table.seeds[0])
            paper_number(table, row)
    except (ValueError, TypeError, OverflowError, OSError) as error:  # a row's preset may be missing
        raise ValueError(f"{path}: {error}") from error
    return table


def _read(name: str, tree: Any, overrides: Sequence[str]) -> Table:
    """Build a table from the file's content."""
    check_keys("the table", tree, KEYS)
    kind = tree.get("experiment", "segmentation")
    check_choice("experiment", kind, EXPERIMENTS)
    if tree.get("tune") is not None and not EXPERIMENTS[kind].tunable:
        raise ValueError(f"tune: the settings of the experiment {kind} cannot be tuned; leave it out")
    paper = tree.get("paper")
    if paper is not None:
        if EXPERIMENTS[kind].score != "miou":
            raise ValueError(
                f"paper: the paper's tables hold mIoU, which the experiment {kind} does not measure; leave it out"
            )
        check_keys("paper", paper, ("table", "columns"))
        if paper.get("table") not in PUBLISHED:
            raise ValueError(f"paper.table: expected one of {', '.join(PUBLISHED)}, got {paper.get('table')!r}")
        if not isinstance(paper.get("columns") or {}, dict):
            raise ValueError(f"paper.columns: expected COLUMN: KEY, got {paper['columns']!r}")
    columns = {column: f"={key}" for column, key in ((paper or {}).get("columns") or {}).items()}
    tuning = None if tree.get("tune") is None else read_tuning(tree["tune"])
    rows = _rows(tree, columns if paper else None, tuning)
    seeds = tree.get("seeds", 1)
    if isinstance(seeds, int):
        seeds = range(min(seeds, MOST_SEEDS + 1))
    seeds = tuple(seeds) if isinstance(seeds, (list, range)) else ()
    if (
        not 0 < len(seeds) <= MOST_SEEDS
        or len(set(seeds)) < len(seeds)
        or not all(type(seed) is int and seed >= 0 for seed in seeds)
    ):
        raise ValueError(
            f"seeds: expected their number or a list of different whole numbers, at most {MOST_SEEDS}; got {tree['seeds']!r}"
        )
    against = tree.get("against")
    firsts = list(dict.fromkeys(row.parts[0] for row in rows.values()))
    if against is not None and str(against) not in firsts:
        raise ValueError(f"against: expected one of {', '.join(firsts)}, got {against!r}")
    check_not_the_sweeps("overrides", overrides)
    common = (*as_overrides("overrides", tree.get("overrides") or {}), *overrides)
    table_name = None if paper is None else paper["table"]
    return Table(
        name, EXPERIMENTS[kind], common, rows, seeds, None if against is None else str(against), tuning, table_name
    )


def _rows(tree: dict, columns: dict | None, tuning: Tuning | None) -> dict[str, Row]:
    """Combine the variants with the values of the grid."""
    variants, grid = tree.get("variants") or {}, tree.get("grid") or {}
    for what, part in (("variants", variants), ("grid", grid)):
        if not isinstance(part, dict):
            raise ValueError(f"{what}: expected names with their content, got {part!r}")
    if not variants and not grid:
        raise ValueError("expected variants, a grid, or both")
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"grid.{key}: expected a list of values, got {values!r}")
    rows: dict[str, Row] = {}
    for variant, own in (variants or {None: {}}).items():
        own = own or {}
        if not isinstance(own, dict):
            raise ValueError(f"variants.{variant}: expected KEY: VALUE, got {own!r}")
        items = as_overrides(f"variants.{variant}", {k: v for k, v in own.items() if k not in OF_VARIANT})
        paper = None if "paper" in own and own["paper"] is None else columns
        numbers = own.get("paper") or {}
        if not isinstance(numbers, dict):
            raise ValueError(f"variants.{variant}.paper: expected COLUMN: VALUE, got {numbers!r}")
        if paper is not None:
            paper = paper | numbers
        space = {} if tuning is None else tuning.space
        if own.get("space") is not None:
            space = read_space(f"variants.{variant}.space", own["space"])
        preset = own.get("preset", tree.get("preset"))
        for values in itertools.product(*grid.values()):
            parts = [*([] if variant is None else [str(variant)]), *map(_in_name, values)]
            chosen = as_overrides("grid", dict(zip(grid, values, strict=True)))
            row = Row(tuple(parts), None if preset is None else str(preset), (*items, *chosen), space, paper)
            if not re.fullmatch(r"[\w.+-]+", row.name) or row.name in rows:
                raise ValueError(f"row {row.name!r}: expected a name of letters, digits and _ . + -, each once")
            rows[row.name] = row
    return rows


def as_overrides(what: str, tree: Any) -> list[str]:
    """Return a mapping from keys with dots to values as KEY=VALUE; what a sweep sets itself is refused."""
    if not isinstance(tree, Mapping):
        raise ValueError(f"{what}: expected KEY: VALUE, e.g. schedule.lr: 0.001; got {tree!r}")
    items = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in tree.items()]
    check_not_the_sweeps(what, items)
    return items


def _in_name(value: Any) -> str:
    """Return a value of the grid as part of a name."""
    return f"{value:g}" if isinstance(value, float) else str(value)

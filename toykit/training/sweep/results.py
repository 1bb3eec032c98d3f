"""A sweep's result: a row per run as CSV, and a table of means with paired intervals beside the paper's numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toykit._shared.files import write_text
from toykit.experiments.label_noise import interval
from toykit.experiments.results import paired, published, write_rows

if TYPE_CHECKING:
    from toykit.training.sweep.table import Row, Table

CSV, MARKDOWN = "table.csv", "table.md"


def paper_number(table: Table, row: Row) -> float | None:
    """Return the paper's mIoU for a row of the table, or None if the paper has none.

    Raises
    ------
    ValueError
        The row's columns fit no number of the paper's table, or several.
    """
    if table.paper is None or row.paper is None:
        return None
    rows = published(table.paper)
    wanted = {}
    for column, value in row.paper.items():
        if column not in rows[0]:
            raise ValueError(f"row {row.name}: {table.paper} has the columns {', '.join(rows[0])}, not {column}")
        if isinstance(value, str) and value.startswith("="):
            value = _setting(table, row, value[1:])
        wanted[column] = str(value).lower()
    fitting = {r["miou"] for r in rows if all(str(r[c]).lower() == value for c, value in wanted.items())}
    if len(fitting) != 1:
        raise ValueError(
            f"row {row.name}: expected one number of {table.paper} with {wanted}, got {sorted(fitting)}; paper: null for none"
        )
    return fitting.pop()


def write_tables(folder: Path, table: Table, rows: Sequence[dict]) -> None:
    """Write `table.csv`, a row per run, and `table.md`, see `format_table`.

    Parameters
    ----------
    folder : Path
    table : Table
    rows : sequence of dict
        With the columns of the table's experiment; in any order.
    """
    order = {(name, seed): i for i, (seed, name) in enumerate((s, n) for s in table.seeds for n in table.rows)}
    rows = sorted(rows, key=lambda row: order[row["variant"], row["seed"]])
    write_rows(folder / CSV, table.experiment.columns, list(rows))
    write_text(folder / MARKDOWN, format_table(table, rows))


def format_table(table: Table, rows: Sequence[dict]) -> str:
    """Format the runs' results as Markdown: mean score over seeds, differences, the paper's numbers.

    Parameters
    ----------
    table : Table
    rows : sequence of dict
        See `write_tables`.

    Returns
    -------
    str
        Intervals are at 95%, by Student's t: of the mean over seeds, and of the paired differences. A row without runs yet has
        dashes.
    """
    numbers = {name: paper_number(table, row) for name, row in table.rows.items()}
    score, title, further = table.experiment.score, table.experiment.title, table.experiment.further
    columns = ["row", "seeds", title]
    columns += [f"against {table.against}"] if table.against else []
    columns += ["paper"] if any(number is not None for number in numbers.values()) else []
    columns += [*further, "overrides"]
    lines = [f"# {table.name}", "", _line(columns), _line(["---"] * len(columns))]
    for name, row in table.rows.items():
        own = [r for r in rows if r["variant"] == name]
        scores = [float(r[score]) for r in own if r[score] != ""]
        cells = [name, str(len(own)), "-" if not scores else _spread(*interval(scores))]
        if table.against:
            cells.append(_difference(table, row, rows))
        if "paper" in columns:
            cells.append("-" if numbers[name] is None else f"{numbers[name]:g}")
        cells += [write(own) if own else "-" for write in further.values()]
        cells.append(f"`{own[0]['overrides']}`" if own and own[0]["overrides"] else "")
        lines.append(_line(cells))
    notes = [
        f"{title} in percent, means over seeds; ± is half of a 95% interval by Student's t, of differences paired by seed."
    ]
    if "paper" in columns:
        notes.append(f"paper: the numbers of {table.paper} in data/reference, not measured here.")
    return "\n".join([*lines, "", *notes, ""])


def _difference(table: Table, row: Row, rows: Sequence[dict]) -> str:
    """Return the difference to the row that has the same values of the grid."""
    other = "_".join([str(table.against), *row.parts[1:]])
    if other == row.name:
        return ""
    try:
        mean, half = paired(rows, row.name, other, table.experiment.score)
    except ValueError:  # no seed in common yet
        return "-"
    return _spread(mean, half, "+")


def _spread(mean: float, half: float, sign: str = "") -> str:
    """Write a mean with its interval, which a single run does not have."""
    return f"{mean:{sign}.1f}" + ("" if math.isnan(half) else f" ± {half:.1f}")


def _setting(table: Table, row: Row, key: str) -> Any:
    """Return a row's value of a key with dots."""
    value: Any = table.config(row, table.seeds[0])
    for part in key.split("."):
        parts = value if isinstance(value, dict) else getattr(value, "__dict__", {})
        if part not in parts:
            raise ValueError(f"paper.columns: expected a key of the configuration, got {key}")
        value = parts[part]
    return value


def _line(cells: Sequence[str]) -> str:
    """Format a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"

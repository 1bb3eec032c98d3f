"""The published numbers (`data/reference`) and this project's own (`data/results`), one reader for both kinds of tables.

A table is a list of rows, each a dict from column to value; mIoU and accuracy are in percent.
"""

import contextlib
import csv
import io
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from toykit._shared.arguments import check_choice
from toykit._shared.files import write_atomically
from toykit._shared.resources import shipped
from toykit.experiments.label_noise import interval

#: Columns of each table and their types; an empty field is None.
PUBLISHED = {
    "table3": {"relaxation": str, "scribble_length_ratio": float, "miou": float},
    "table4": {"training": str, "neighborhood": str, "miou": float, "reproduced_from_public_code": str, "source": str},
    "table5": {
        "block": str, "method": str, "reference": str, "architecture": str, "modified_architecture": str,
        "batch_size": int, "training": str, "ad_hoc": str, "pretrained_on_scribbles": str, "neighborhood": str,
        "miou": float, "reproduced": str,
    },
    "table6": {
        "method": str, "reference": str, "architecture": str, "dataset": str, "supervision": str, "miou": float,
        "reproduced": str,
    },
}  # fmt: skip
_TABLE4 = {
    "method": str, "neighborhood": str, "relaxation": str, "seed": int, "miou": float, "steps": int, "solver_share": float,
}  # fmt: skip
#: What `toykit.training.study` writes.
STUDY = {
    "supervision": str, "variant": str, "seed": int, "miou": float, "accuracy": float, "accuracy_inside": float,
    "accuracy_boundary": float, "label_miou": float, "solver_share": float, "seconds_per_step": float, "steps": int,
    "overrides": str,
}  # fmt: skip
#: What `toykit.training.label_quality` writes.
LABELS = {
    "supervision": str, "variant": str, "seed": int, "miou": float, "accuracy": float, "ms_per_photo": float, "overrides": str,
}  # fmt: skip
MEASURED = {
    "voc_objects_quick": STUDY,
    "voc_objects_labels": LABELS,
    "voc_quick": STUDY,
    "camvid_quick": STUDY,
    "presets_toy": {"method": str, "seed": int, "miou": float},
    "camvid_blocks": {"method": str, "miou": float},
    "table4_toy": _TABLE4,
    "table4_voc_animals": _TABLE4,
    "label_noise": {"loss": str, "noise": float, "seed": int, "accuracy": float},
    "voc_animals": {"method": str, "epoch": int, "miou": float},
}  # fmt: skip
PERCENT = ("miou", "accuracy")

Rows = list[dict]


def published(name: str) -> Rows:
    """The paper's Table `name`, one of `PUBLISHED`. Raises: as `read`, and ValueError for another name."""
    return read(shipped("data", "reference") / f"{_known(name, PUBLISHED)}.csv", PUBLISHED[name])


def measured(name: str, folder: str | Path = "") -> Rows:
    """What this project measured, one of `MEASURED`; no rows where there is no such file (yet).

    folder: of the files; "": the project's own, `data/results`. Raises: as `read`, and ValueError for another name.
    """
    folder = Path(folder) if folder else shipped("data", "results")
    path = folder / f"{_known(name, MEASURED)}.csv"
    return read(path, MEASURED[name]) if path.is_file() else []


def read(path: Path, columns: dict[str, type]) -> Rows:
    """The rows of a CSV file whose header is exactly `columns`, values in their types.

    Raises: ValueError that names the file, and the line, for other columns, a missing field, a value of another type, no
        text in UTF-8, or mIoU and accuracy outside 0..100 or, all of them, given as shares.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin a file with a mark
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        given = list(reader.fieldnames or ())
        lines = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as comma-separated text in UTF-8 ({error})") from error
    if given != list(columns):
        raise ValueError(f"{path}: expected the columns {', '.join(columns)}; got {', '.join(given)}")
    rows = [_typed(path, line, row, columns) for line, row in lines]
    for name in set(PERCENT) & set(columns):
        values = [row[name] for row in rows if row[name] is not None]
        if any(not 0 <= value <= 100 for value in values) or (values and 0 < max(values) <= 1):
            raise ValueError(f"{path}: {name} should be in percent; got {min(values):g} to {max(values):g}")
    return rows


def write(name: str, rows: Rows, folder: str | Path) -> Path:
    """Write a table of measurements, one of `MEASURED`, where `measured(name, folder)` reads it; returns the file."""
    path = Path(folder) / f"{name}.csv"
    write_rows(path, MEASURED[_known(name, MEASURED)], rows)
    return path


def write_rows(path: Path, columns: Iterable[str], rows: Rows) -> None:
    """Write rows that have exactly these columns as a CSV file."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def by(rows: Rows, *keys: str, value: str = "miou") -> dict[str, list[float]]:
    """The values of `value`, grouped by the words of `keys`, in the order of the rows; rows without a value are left out."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        if row[value] is not None:
            groups.setdefault(", ".join(str(row[key]) for key in keys if row[key] is not None), []).append(row[value])
    return groups


def paired(rows: Sequence[dict], one: str, other: str) -> tuple[float, float]:
    """Mean of the difference in mIoU, `one` less `other`, over the seeds that both have, and half of its 95% interval.

    Student's t on the paired differences; the half-width is NaN for a single seed. Raises: ValueError without a seed.
    """
    by = {(r["variant"], r["seed"]): float(r["miou"]) for r in rows if r["miou"] not in ("", None)}
    seeds = sorted({s for v, s in by if v == one} & {s for v, s in by if v == other})
    if not seeds:
        raise ValueError(f"{one} and {other}: expected runs of the same seeds, found none")
    return interval([by[one, s] - by[other, s] for s in seeds])


def summary(rows: Sequence[dict], against: str) -> str:
    """Write a line per variant: mean mIoU over its seeds, and the paired difference to `against` with its 95% interval.

    rows: with the columns variant, seed and miou. A single pair of runs has no interval.
    """
    lines, names = [], list(dict.fromkeys(row["variant"] for row in rows))
    wide = max([12, *map(len, names)])
    for name in names:
        scores = [float(r["miou"]) for r in rows if r["variant"] == name and r["miou"] not in ("", None)]
        if not scores:
            lines.append(f"{name:{wide}} not evaluated")
            continue
        line = f"{name:{wide}} {statistics.mean(scores):5.1f} (seeds: {len(scores)})"
        with contextlib.suppress(ValueError):
            gain, half = paired(rows, name, against)
            spread = "" if math.isnan(half) else f" +- {half:.1f}"
            line += "" if name == against else f", {gain:+.1f}{spread} against {against}"
        lines.append(line)
    return "\n".join(lines)


def _known(name: str, tables: dict) -> str:
    check_choice("table", name, tables)
    return name


def _typed(path: Path, line: int, row: dict, columns: dict[str, type]) -> dict:
    if None in row or None in row.values():
        raise ValueError(f"{path}, line {line}: expected {len(columns)} fields")
    try:
        return {name: kind(row[name]) if row[name] else None for name, kind in columns.items()}
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: {error}") from error

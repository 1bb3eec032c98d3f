"""Tables 3 to 6 of the paper (`data/reference`) and this project's measurements (`data/results`): read and write both.

A table is a list of rows, each a dict from column to value; mIoU and accuracy are in percent.
"""

import csv
import io
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from toykit._shared.arguments import check_choice
from toykit._shared.files import write_text
from toykit._shared.resources import shipped
from toykit.experiments.label_noise import interval
from toykit.experiments.variants import title

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
#: What `toykit sweep` writes.
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
    "voc_objects_effects": STUDY,
    "voc_quick": STUDY,
    "voc_quick_labels": LABELS,
    "camvid_quick": STUDY,
    "presets_toy": {"method": str, "seed": int, "miou": float},
    "camvid_blocks": {"method": str, "miou": float},
    "table4_toy": _TABLE4,
    "table4_voc_animals": _TABLE4,
    "label_noise": {"loss": str, "noise": float, "seed": int, "accuracy": float},
    "voc_animals": {"method": str, "epoch": int, "miou": float},
    "photo_labels": {"split": str, "map": str, "method": str, "iou": float, "seconds": float},
}  # fmt: skip
PERCENT = ("miou", "accuracy")

Rows = list[dict]


def published(name: str) -> Rows:
    """Read a table of the paper.

    Parameters
    ----------
    name : str
        A key of `PUBLISHED`.

    Returns
    -------
    list of dict
        The rows, see `read`.

    Raises
    ------
    ValueError
        For another name, or a faulty file.
    """
    return read(shipped("data", "reference") / f"{_known(name, PUBLISHED)}.csv", PUBLISHED[name])


def measured(name: str, folder: str | Path = "") -> Rows:
    """Read a table that this project measured.

    Parameters
    ----------
    name : str
        A key of `MEASURED`.
    folder : str or Path, default ""
        Folder of the files. "" is the project's own, `data/results`.

    Returns
    -------
    list of dict
        The rows, see `read`; empty if there is no such file.

    Raises
    ------
    ValueError
        For another name, or a faulty file.
    """
    folder = Path(folder) if folder else shipped("data", "results")
    path = folder / f"{_known(name, MEASURED)}.csv"
    return read(path, MEASURED[name]) if path.is_file() else []


def read(path: Path, columns: dict[str, type]) -> Rows:
    """Read the rows of a CSV file.

    Parameters
    ----------
    path : Path
    columns : dict from str to type
        The exact header, and the type of each column's values.

    Returns
    -------
    list of dict
        From column to value; None for an empty field.

    Raises
    ------
    ValueError
        For other columns, a missing field, a value of another type, text that is not UTF-8, and mIoU or accuracy outside
        0..100 or all given as shares; names the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheet programs write a byte order mark
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
    """Write a table of measurements where `measured(name, folder)` reads it.

    Parameters
    ----------
    name : str
        A key of `MEASURED`.
    rows : list of dict
    folder : str or Path

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        For another name, or rows with other columns.
    """
    path = Path(folder) / f"{name}.csv"
    write_rows(path, MEASURED[_known(name, MEASURED)], rows)
    return path


def write_rows(path: Path, columns: Iterable[str], rows: Rows) -> None:
    """Write rows as a CSV file.

    Parameters
    ----------
    path : Path
    columns : iterable of str
    rows : list of dict
        Each with exactly these columns.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def by(rows: Rows, *keys: str, value: str = "miou") -> dict[str, list[float]]:
    """Group the values of one column by others, in the order of the rows.

    Parameters
    ----------
    rows : list of dict
    *keys : str
        Columns to group by.
    value : str, default "miou"
        The column of the values; rows where it is None are left out.

    Returns
    -------
    dict from str to list of float
        By the key columns' values, joined by ", ".
    """
    groups: dict[str, list[float]] = {}
    for row in rows:
        if row[value] is not None:
            groups.setdefault(", ".join(str(row[key]) for key in keys if row[key] is not None), []).append(row[value])
    return groups


def paired(rows: Sequence[dict], one: str, other: str, value: str = "miou") -> tuple[float, float]:
    """Compute the mean difference of two variants over the seeds that both have.

    Parameters
    ----------
    rows : sequence of dict
        With the columns variant, seed and `value`.
    one, other : str
        The variants: `one` minus `other`.
    value : str, default "miou"
        The column that is compared.

    Returns
    -------
    mean, half : float
        The mean, and half the width of its 95% interval by Student's t on the paired differences (NaN for a single seed).

    Raises
    ------
    ValueError
        If they have no seed in common.
    """
    scores = _by_seed(rows, value)
    ones, others = scores.get(one, {}), scores.get(other, {})
    seeds = sorted(ones.keys() & others.keys())
    if not seeds:
        raise ValueError(f"{one} and {other}: expected runs of the same seeds, got none")
    return interval([ones[seed] - others[seed] for seed in seeds])


def summary(rows: Sequence[dict], against: str) -> str:
    """Format one line per variant, by its `title`: mean mIoU over its seeds, and the paired difference to another variant.

    Parameters
    ----------
    rows : sequence of dict
        With the columns variant, seed and miou.
    against : str
        The variant to compare with. The difference has its 95% interval, except for a single pair of runs. "on common seeds":
        one of the two has runs of further seeds.

    Returns
    -------
    str
    """
    scores, lines = _by_seed(rows), []
    compared = scores.get(against, {}).keys()
    wide = max([12, *(len(title(name)) for name in scores)])
    for name, own in scores.items():
        line = f"{title(name):{wide}} "
        if not own:
            lines.append(f"{line}not evaluated")
            continue
        line += f"{statistics.mean(own.values()):5.1f} ({len(own)} run{'s' * (len(own) > 1)})"
        if name != against and own.keys() & compared:
            gain, half = paired(rows, name, against)
            spread = "" if math.isnan(half) else f" +- {half:.1f}"
            same = "" if own.keys() == compared else " on common seeds"
            line += f", {gain:+.1f}{spread} against {title(against)}{same}"
        lines.append(line)
    return "\n".join(lines)


def _by_seed(rows: Sequence[dict], value: str = "miou") -> dict[str, dict[int, float]]:
    """Return the values of each variant by seed, without those of runs that were not evaluated."""
    scores: dict[str, dict[int, float]] = {row["variant"]: {} for row in rows}
    for row in rows:
        if row[value] not in ("", None):
            scores[row["variant"]][row["seed"]] = float(row[value])
    return scores


def _known(name: str, tables: dict) -> str:
    """Return the name after checking that there is such a table."""
    check_choice("table", name, tables)
    return name


def _typed(path: Path, line: int, row: dict, columns: dict[str, type]) -> dict:
    """Convert the fields of a row to their types."""
    if None in row or None in row.values():
        raise ValueError(f"{path}, line {line}: expected {len(columns)} fields")
    try:
        return {name: kind(row[name]) if row[name] else None for name, kind in columns.items()}
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: {error}") from error

"""The keys in which two configurations differ, for messages and for what a checkpoint may continue."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def differing(old: dict, new: dict) -> list[str]:
    """List the keys, with dots, in which two configurations from `Config.to_dict` differ."""
    old, new = flatten(old), flatten(new)
    return [key for key in sorted(old | new) if old.get(key) != new.get(key)]


def check_none(differ: Iterable[str], path: Path, problem: str, old: dict, new: dict, remedy: str) -> None:
    """Raise ValueError with both values of each differing key, if there are any."""
    old, new = flatten(old), flatten(new)
    changes = ", ".join(f"{key} was {old.get(key)!r} and is {new.get(key)!r}" for key in differ)
    if changes:
        raise ValueError(f"{path}: {problem}: {changes}. {remedy}")


def flatten(tree: dict, prefix: str = "") -> dict[str, Any]:
    """Replace nested keys by keys with dots."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat

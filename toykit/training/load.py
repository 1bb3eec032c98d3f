"""Configurations from presets, YAML files and KEY=VALUE overrides."""

import dataclasses
import functools
import os.path
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from toykit.training.config import Config

C = TypeVar("C")
#: Python's own errors that PyYAML and OmegaConf raise for some values, besides ValueError and theirs.
ODD_VALUE = (AttributeError, LookupError, OverflowError, RecursionError, TypeError)


def presets() -> dict[str, Path]:
    """Return the shipped configurations: name -> file. Each begins with hardware, hours and expected number."""
    folder = Path(str(files("toykit.training") / "presets"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration, then apply the overrides.

    Parameters
    ----------
    source : str or Path
        A YAML file, or the name of a preset. Keys that it does not set keep their defaults.
    overrides : sequence of str, default ()
        KEY=VALUE, e.g. ["schedule.lr=0.01", "data.only=[cat,dog]", "energy.neighborhood.options.connectivity=8"].

    Returns
    -------
    Config

    Raises
    ------
    ValueError
        For an unknown key (the message lists the known ones), a wrong type or a value out of range.
    FileNotFoundError
        If there is neither such a file nor such a preset.
    ImportError
        Without the train extra.
    """
    path = presets().get(str(source), Path(source))
    if not os.path.isfile(path):  # False also for a name that no file can have
        raise FileNotFoundError(f"{source}: neither a file nor a preset; the presets are {', '.join(presets())}")
    return config_from({str(path): path}, overrides)


def config_from(given: Mapping[str, Path | dict], overrides: Sequence[str] = ()) -> Config:
    """Build a configuration of `toykit train` from files or trees of values, then apply the overrides.

    Parameters
    ----------
    given : mapping of str to Path or dict
        Where it comes from, for messages -> a YAML file, or a tree as `Config.to_dict` returns it. Later ones win.
    overrides : sequence of str, default ()
        See `load_config`.

    Returns
    -------
    Config

    Raises
    ------
    ValueError, ImportError
        See `load_config`.
    """
    return build(Config, given, overrides)


def build(schema: type[C], given: Mapping[str, Path | dict], overrides: Sequence[str] = ()) -> C:
    """Build an instance of a dataclass as `config_from` builds a `Config`; it raises the same errors."""
    try:
        import yaml
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    except ImportError as error:
        raise ImportError(f"training needs the train extra: pip install 'toykit[train]' ({error})") from error
    for item in overrides:
        if "=" not in item:
            raise ValueError(f"{item}: expected KEY=VALUE, e.g. schedule.lr=0.001")
        if not item.partition("=")[2].strip():
            raise ValueError(f"{item}: has no value; expected KEY=VALUE, or KEY=null for none")
    odd = (OmegaConfBaseException, yaml.YAMLError, *ODD_VALUE)
    merged, origin = _defaults(schema), ""
    try:
        for origin, content in given.items():
            tree = _from_file(content) if isinstance(content, Path) else OmegaConf.create(content)
            _check_keys(OmegaConf.to_container(tree), schema, origin)
            merged = OmegaConf.merge(merged, tree)
        for origin in overrides:
            tree = _from_item(schema, origin)
            _check_keys(OmegaConf.to_container(tree), schema, "overrides")
            merged = OmegaConf.merge(merged, tree)
        origin = ", ".join(given)
        config = OmegaConf.to_object(merged)
    except odd as error:
        raise ValueError(_message(origin, error)) from error
    assert isinstance(config, schema)
    return config


def _from_file(path: Path) -> Any:
    """Return the tree of a YAML file. Raises: ValueError, with its name, if it is empty or cannot be read."""
    from omegaconf import OmegaConf

    try:
        tree = OmegaConf.load(path)
        if not tree:
            raise ValueError("it is empty")
        return tree
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ValueError(_message(str(path), error)) from error


def _from_item(schema: type, item: str) -> Any:
    """Return the tree of KEY=VALUE. A text is taken as it is written, not as YAML: 2024_05 is a folder, no number."""
    from omegaconf import OmegaConf

    tree = OmegaConf.create({})
    key, value = (part.strip() for part in item.split("=", 1))
    if _is_text(schema, key) and value not in ("null", "~") and value[0] not in "'\"":
        OmegaConf.update(tree, key, value)
    else:
        tree.merge_with_dotlist([item])
    return tree


def _is_text(schema: type, key: str) -> bool:
    """Return whether a key with dots is one of a schema's texts."""
    kind: Any = schema
    for name in key.split("."):
        kind = get_type_hints(kind).get(name) if dataclasses.is_dataclass(kind) else None
    return kind in (str, str | None)


def _message(origin: str, error: Exception) -> str:
    """Return where a part of a configuration comes from, the key, and what is wrong with it."""
    key, lines = getattr(error, "full_key", None), str(error).splitlines()
    if re.search(r"is not a (List|Tuple)Config", str(error)):
        lines = ["expected a list in brackets"]
    if key:  # OmegaConf's further lines repeat it
        return f"{origin}: {key}: {lines[0]}"
    return f"{origin}: {' '.join(' '.join(lines).split())}"


@functools.cache
def _defaults(schema: type) -> Any:
    """Return the defaults with their types; merging copies them."""
    from omegaconf import OmegaConf

    return OmegaConf.structured(schema)


def _check_keys(tree: Any, schema: type, origin: str, prefix: str = "") -> None:
    """Raise ValueError, listing the known keys, for the first key that the schema lacks."""
    known = {f.name: f.default_factory for f in dataclasses.fields(schema)}
    where = prefix.rstrip(".") or "the configuration"
    if not isinstance(tree, dict):
        raise ValueError(f"{origin}: {where}: expected keys ({', '.join(known)}), got {tree!r}")
    for key, value in tree.items():
        if key not in known:
            raise ValueError(f"{origin}: unknown key {prefix}{key}; {where} has {', '.join(known)}")
        part = known[key]
        if isinstance(part, type) and dataclasses.is_dataclass(part):
            _check_keys(value, part, origin, f"{prefix}{key}.")

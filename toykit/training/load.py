"""Configurations from presets, YAML files and KEY=VALUE overrides."""

import dataclasses
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from toykit.training.config import Config


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
    if not path.is_file():
        raise FileNotFoundError(f"{source}: neither a file nor a preset; the presets are {', '.join(presets())}")
    return _merged(Config, path, overrides)


def override(config: Config, overrides: Sequence[str]) -> Config:
    """Return a configuration with KEY=VALUE overrides applied.

    Parameters
    ----------
    config : Config
    overrides : sequence of str
        See `load_config`.

    Returns
    -------
    Config

    Raises
    ------
    ValueError
        See `load_config`.
    """
    return _merged(config, None, overrides)


def _merged(base: Config | type[Config], path: Path | None, overrides: Sequence[str]) -> Config:
    """Merge a file, if there is one, and then the overrides into a configuration or into the defaults."""
    try:
        import yaml
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    except ImportError as error:
        raise ImportError(f"training needs the train extra: pip install 'toykit[train]' ({error})") from error
    for item in overrides:
        if "=" not in item:
            raise ValueError(f"{item}: expected KEY=VALUE, e.g. schedule.lr=0.001")
    try:
        given = {} if path is None else {str(path): OmegaConf.load(path)}
        given["overrides"] = OmegaConf.from_dotlist(list(overrides))
        merged = OmegaConf.structured(base)
        for origin, tree in given.items():
            _check_keys(OmegaConf.to_container(tree), Config, origin)
            merged = OmegaConf.merge(merged, tree)
        config = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        key = getattr(error, "full_key", None)
        raise ValueError(f"{path or 'overrides'}: {f'{key}: ' if key else ''}{str(error).splitlines()[0]}") from error
    assert isinstance(config, Config)
    return config


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

"""A run with another method on the same data: the rule by which a preset made for one set is used on another.

With it each method has on this set what its preset intends, and a comparison differs in the method alone.
"""

import dataclasses

from toykit.neighborhoods import Dense
from toykit.training.config import METHODS, Config, EnergyConfig
from toykit.training.load import load_config, presets

#: Side of a crop, in squares of `downscale` pixels, up to which summing all pairs is about as fast as filtering. (The weights
#: are kept: 20 MB per image.)
FEW_PIXELS = 48


def with_method(base: Config, name: str) -> Config:
    """Return a run with another method and everything else the same.

    Parameters
    ----------
    base : Config
        Data, supervision, network, schedule, stride and class_balance stay as they are here.
    name : str
        One of `toykit.training.config.METHODS`, or the name of a preset: its method, terms, solver and error rate are taken.

    Returns
    -------
    Config

    Raises
    ------
    ValueError
        For a name that is neither.

    Notes
    -----
    A preset for one set keeps its effect on another by three rules, all ours:

    - Lengths in pixels scale with the side of the crop.
    - The weight of a dense term scales with the inverse square of that side, since a pixel has that many more neighbours; a
      cell of `stride` pixels has stride^2 times fewer. Where a crop has few pixels, dense pairs are summed, not filtered.
    - eta and lam are multiplied by the ratio of the base's eta to the paper's, 0.3 (ten on the toy set), except under the
      balance "seeds": there a preset's eta has the same meaning on every set.
    """
    if name in METHODS:
        return dataclasses.replace(base, method=name)
    if name not in presets():
        raise ValueError(f"{name}: expected a method ({', '.join(METHODS)}) or a preset ({', '.join(presets())})")
    preset = load_config(name)
    energy = preset.energy
    if energy.neighborhood.kind == "dense":
        energy = _rescale_dense(energy, base.energy.stride, base.data.crop, preset.data.crop)
    if energy.balance == "terms":
        factor = base.energy.eta / EnergyConfig.eta
        energy = dataclasses.replace(energy, eta=energy.eta * factor, lam=energy.lam * factor)
    energy = dataclasses.replace(energy, stride=base.energy.stride, class_balance=base.energy.class_balance)
    return dataclasses.replace(
        base, method=preset.method, energy=energy, solver=preset.solver, error_rate=preset.error_rate
    )


def _rescale_dense(energy: EnergyConfig, stride: int, crop: int, preset_crop: int) -> EnergyConfig:
    """Rescale a preset's dense term from its crops to crops of another side, and to cells of `stride` pixels."""
    dense, ratio = energy.neighborhood.build(), crop / preset_crop
    assert isinstance(dense, Dense)
    downscale = max(1, dense.downscale // stride)
    options = {"spatial_bandwidth": dense.scaled(ratio).spatial_bandwidth, "downscale": downscale}
    if crop <= FEW_PIXELS * downscale * stride:
        options["exact"] = True
    neighborhood = dataclasses.replace(energy.neighborhood, options=energy.neighborhood.options | options)
    return dataclasses.replace(energy, neighborhood=neighborhood, lam=energy.lam * (stride / ratio) ** 2)

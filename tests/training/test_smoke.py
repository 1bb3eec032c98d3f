"""Short runs for lessons: a small generated set, made once, and overrides that `load_config` accepts."""

from toykit.training import load_config, presets, smoke_overrides
from toykit.training.sets import load_sets
from toykit.training.smoke import PHOTOS, SIZE


def test_the_toy_preset_gets_a_small_set_of_its_own(tmp_path):
    overrides = smoke_overrides("toy", tmp_path)
    config = load_config("toy", overrides)
    training, validation = load_sets(config)
    assert (len(training), len(validation)) == PHOTOS
    assert training[0].image.shape == (SIZE, SIZE, 3)
    assert smoke_overrides("toy", tmp_path) == overrides  # the set is kept


def test_every_preset_can_be_short(tmp_path):
    for preset in presets():
        if preset != "toy":
            config = load_config(preset, smoke_overrides(preset, tmp_path))
            assert config.data.limit == PHOTOS[0]
            assert config.data.crop == SIZE
    assert not list(tmp_path.iterdir())

"""Short runs for lessons and tests: three methods in about a minute on two cores, too small to rank the methods."""

from pathlib import Path

from toykit.datasets import toy

#: Photos of a short run: for training, for validation.
PHOTOS = (40, 16)
#: Side in pixels of its crops and, for the generated set, of its photos.
SIZE = 48
OVERRIDES = (
    f"data.limit={PHOTOS[0]}", f"data.val_limit={PHOTOS[1]}", f"data.crop={SIZE}", "schedule.pretrain_epochs=4",
    "schedule.epochs=4", "schedule.batch=8", "run.pictures=1", "run.eval_every=2",
)  # fmt: skip


def smoke_overrides(preset: str, folder: str | Path) -> list[str]:
    """Return the overrides that make a preset's run short.

    Parameters
    ----------
    preset : str
        As for `toykit.training.load_config`. For "toy" a small set is generated, where there is none yet.
    folder : str or Path
        Where the generated set is written, in the folder `set`.

    Returns
    -------
    list of str
        For `load_config` and `compare`; overrides that follow them take precedence.
    """
    if preset != "toy":
        return list(OVERRIDES)
    root = Path(folder) / "set"
    if not root.exists():
        toy.make(root, train=PHOTOS[0], val=PHOTOS[1], size=SIZE)
    return [*OVERRIDES, f"data.root={root}"]

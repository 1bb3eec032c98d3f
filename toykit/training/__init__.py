"""Training of networks from scribbles (sections 3 and B): configuration, loop, evaluation, checkpoints, the run's folder.

    from toykit.training import load_config, train
    result = train(load_config("toy", ["schedule.epochs=5"]), "runs/toy")
    result.miou, result.history
    load_network("runs/toy").mask(photo)

Start with `loop.py`. Needs the train extra.
"""

from toykit.training.comparison import Summary, compare, format_summaries, write_results
from toykit.training.config import Config
from toykit.training.evaluation import class_ious, confusion_matrix, mean_iou
from toykit.training.load import load_config, presets
from toykit.training.loop import train
from toykit.training.pictures import panel_names, read_pictures
from toykit.training.run_folder import RunResult, read_run
from toykit.training.smoke import smoke_overrides
from toykit.training.stops import StoppedError
from toykit.training.trained import TrainedNetwork, evaluate_run, load_network

__all__ = [
    "Config",
    "RunResult",
    "StoppedError",
    "Summary",
    "TrainedNetwork",
    "class_ious",
    "compare",
    "confusion_matrix",
    "evaluate_run",
    "format_summaries",
    "load_config",
    "load_network",
    "mean_iou",
    "panel_names",
    "presets",
    "read_pictures",
    "read_run",
    "smoke_overrides",
    "train",
    "write_results",
]

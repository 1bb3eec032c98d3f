"""Four workers per sweep, of which two are killed; forked, since each would otherwise import torch anew.

python sweep_workers.py TABLE LEASE FOLDER=STORAGE...: prints how the workers of each sweep ended. An empty STORAGE is the
journal.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

#: The step in which each of the first workers is killed: before the first checkpoint, and after the one between the phases.
DEATHS = (1, 2)


def main(table, lease, *sweeps):
    """Run the sweeps one after the other, in forked workers; here runs nothing that must not be shared, such as threads."""
    import lightning_fabric
    import optuna
    import scipy.stats
    import segmentation_models_pytorch
    import torch.utils.tensorboard

    from toykit.training.sweep import segmentation
    from toykit.training.sweep import sweep as engine
    from toykit.training.sweep.table import load_table

    assert all((lightning_fabric, optuna, scipy.stats, segmentation_models_pytorch, torch.utils.tensorboard))
    loaded, run_one = load_table(table), segmentation.run_one

    for folder, storage in (sweep.split("=", 1) for sweep in sweeps):
        begun, begin = os.pipe()

        def work(death, folder=folder, storage=storage, begin=begin):
            if death:
                segmentation.run_one = mortal(run_one, begin, death)
            sweep = engine.Sweep(loaded, Path(folder), storage or None, float(lease))
            engine.work(sweep, lambda line: print(line, flush=True))

        workers = [fork(work, death) for death in DEATHS]
        os.close(begin)  # so that a worker that ends too early ends the wait
        for _ in DEATHS:  # the others start when the first two have a trial each
            os.read(begun, 1)
        workers += [fork(work, None) for _ in range(2)]
        print("ended", *(os.waitpid(worker, 0)[1] for worker in workers), flush=True)


def fork(action, argument):
    """Run the action in a forked process; return its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        action(argument)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def mortal(run_one, begin, death):
    """Return a `run_one` that writes to a pipe when it begins and is killed in the step `death`."""

    def run(config, run_dir, devices, common, callback, after_epoch):
        def die(step, loss):
            if step == death:
                os.kill(os.getpid(), signal.SIGKILL)

        os.write(begin, b".")
        return run_one(config, run_dir, devices, common, die, after_epoch)

    return run


if __name__ == "__main__":
    main(*sys.argv[1:])

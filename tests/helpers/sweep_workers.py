"""Workers of a sweep in processes that can be killed: forked, since each would otherwise import torch anew.

python sweep_workers.py TABLE FOLDER STORAGE LEASE COUNT: prints the processes' ids, waits for them, prints how each ended. An
empty STORAGE is the journal.
"""

import os
import sys
import traceback
from pathlib import Path


def main(table, folder, storage, lease, count):
    """Fork the workers, before anything runs that must not be shared: threads, connections, autograd."""
    import lightning_fabric
    import optuna
    import segmentation_models_pytorch
    import torch.utils.tensorboard

    from toykit.training.sweep.sweep import Sweep, work
    from toykit.training.sweep.table import load_table

    assert all((lightning_fabric, optuna, segmentation_models_pytorch, torch.utils.tensorboard))
    processes = []
    for _ in range(int(count)):
        pid = os.fork()
        if not pid:
            try:
                work(
                    Sweep(load_table(table), Path(folder), storage or None, float(lease)),
                    lambda line: print(line, flush=True),
                )
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        processes.append(pid)
    print("workers", *processes, flush=True)
    ends = [os.waitpid(pid, 0)[1] for pid in processes]
    print("ended", *ends, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The environment of the Jupyter kernels that a command starts."""

import os


def let_waiting_threads_sleep() -> None:
    """Set OMP_WAIT_POLICY to PASSIVE for the kernels that this process starts, unless the user has set it.

    Where another program needs a core, spinning threads made the solvers ten times slower. OpenMP reads the variable when
    torch is imported, so it affects the kernels, which import torch later, and not this process, which has already done so.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

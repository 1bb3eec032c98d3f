"""The fast solver: over-relaxed block descent, monotone by construction, for any terms and any neighbourhood.

`solver` is the entry point and `options` its options. `descent` is the state that the two descents share; `dense` is the
descent for dense neighbourhoods. `scalar_forms` and `proximal` are the formulas of one step, `torch_kernel`, `numba_kernel` and
`triton_kernel` the sweeps; `kernels` chooses one of them.
"""

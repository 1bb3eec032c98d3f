"""`LANES` pixels of a row at a time: sums over classes stay in vector registers (`toykit._shared.lanes`)."""

from typing import Any

from numba import types

from toykit._shared.compiled import generated
from toykit._shared.lanes import Lanes, load_at, loader, repeater
from toykit.solvers.block_descent.numba_kernel.rows import start_of_class

LANES = 16
load, repeat = loader(LANES), repeater(LANES)


@generated
def load_class(typing_context: Any, row: Any, k: Any, first: Any) -> Any:
    """Return the numbers of class k of a `Row` at the pixels first, ..., first + LANES - 1."""
    kind = row.types[0]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, k, first = arguments
        values, start = start_of_class(builder, row, k)
        return load_at(context, builder, kind, LANES, values, builder.add(start, first))

    return Lanes(kind.dtype, LANES)(row, types.intp, types.intp), generate

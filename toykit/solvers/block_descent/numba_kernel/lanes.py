"""`LANES` pixels at a time, in compiled code: numbers that stay in vector registers while classes are added up.

A loop along a row that adds one class after another loads and stores the sums each time. These functions take `LANES` pixels
through all classes instead. Numba has no vectors; the type is ours, and LLVM splits it into the registers that there are.
(`toykit.neighborhoods.vectors` holds rows of eight numbers as tuples.)
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from toykit._shared.compiled import generated
from toykit.solvers.block_descent.numba_kernel.rows import start_of_class

LANES = 16
_CONTRACT = ("contract",)


class Lanes(types.Type):
    """`LANES` numbers of one type."""

    def __init__(self, dtype: Any):
        super().__init__(name=f"Lanes({dtype})")
        self.dtype = dtype


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    """A vector register, or several."""

    def __init__(self, manager: Any, kind: Lanes):
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.dtype).get_value_type(), LANES))


@generated
def load(typing_context: Any, values: Any, first: Any) -> Any:
    """Return values[first : first + LANES]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, values, *arguments), align=values.dtype.bitwidth // 8)

    return Lanes(values.dtype)(values, types.intp), generate


@generated
def load_class(typing_context: Any, row: Any, k: Any, first: Any) -> Any:
    """Return the numbers of class k of a `Row` at the pixels first, ..., first + LANES - 1."""
    kind = row.types[0]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, k, first = arguments
        values, start = start_of_class(builder, row, k)
        address = _address(context, builder, kind, values, builder.add(start, first))
        return builder.load(address, align=kind.dtype.bitwidth // 8)

    return Lanes(kind.dtype)(row, types.intp, types.intp), generate


@generated
def store(typing_context: Any, values: Any, first: Any, v: Any) -> Any:
    """Set values[first : first + LANES] to v."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, values, *arguments[:2])
        builder.store(arguments[2], address, align=values.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(values, types.intp, v), generate


@generated
def repeat(typing_context: Any, x: Any) -> Any:
    """Return `LANES` times the number x."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, place = context.get_data_type(signature.return_type), ir.IntType(32)
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[0], place(0))
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(place, LANES), [0] * LANES))

    return Lanes(x)(x), generate


@generated
def add(typing_context: Any, u: Any, v: Any) -> Any:
    """Return u + v."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments, flags=_CONTRACT)

    return u(u, v), generate


@generated
def add_product(typing_context: Any, u: Any, v: Any, w: Any) -> Any:
    """Return u + v w."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        u, v, w = arguments
        return builder.fadd(u, builder.fmul(v, w, flags=_CONTRACT), flags=_CONTRACT)

    return u(u, v, w), generate


@generated
def where_above(typing_context: Any, u: Any, v: Any, w: Any) -> Any:
    """Return w where u > v, else 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        u, v, w = arguments
        return builder.select(builder.fcmp_ordered(">", u, v), w, ir.Constant(w.type, None))

    return w(u, v, w), generate


def _address(context: Any, builder: Any, kind: Any, values: Any, first: Any) -> Any:
    """Return the address of `LANES` numbers of a contiguous array from a place on."""
    assert kind.layout == "C"
    data = context.make_array(kind)(context, builder, values).data
    vector = ir.VectorType(context.get_data_type(kind.dtype), LANES)
    return builder.bitcast(builder.gep(data, [first]), vector.as_pointer())

"""Eight numbers at a time in numba's compiled code: rows of an array (n, WIDTH) as vector registers.

Numba leaves loops over eight numbers scalar (it vectorises long loops only), which is several times slower. In compiled code
the eight numbers are a tuple, which exists between these functions in the source only.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: Numbers at a time.
WIDTH = 8


def _in_compiled_code(generator: Callable[..., tuple[Any, Callable]]) -> Callable[..., Any]:
    """Decorate what generates a function for compiled code, which has no typing context: see `numba.extending.intrinsic`."""
    return intrinsic(generator)


@_in_compiled_code
def read(typing_context: Any, rows: Any, n: Any) -> Any:
    """Return row n."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _row(context, builder, rows, arguments[0], arguments[1])
        return _unpack(builder, builder.load(pointer, align=rows.dtype.bitwidth // 8))

    return types.UniTuple(rows.dtype, WIDTH)(rows, types.intp), generate


@_in_compiled_code
def write(typing_context: Any, rows: Any, n: Any, v: Any) -> Any:
    """Set row n."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _row(context, builder, rows, arguments[0], arguments[1])
        builder.store(_pack(builder, arguments[2]), pointer, align=rows.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(rows, types.intp, v), generate


@_in_compiled_code
def times(typing_context: Any, w: Any, v: Any) -> Any:
    """Return w v."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w, v = arguments
        return _unpack(builder, builder.fmul(_repeat(builder, w), _pack(builder, v), flags=("contract",)))

    return v(v.dtype, v), generate


@_in_compiled_code
def plus(typing_context: Any, u: Any, w: Any, v: Any) -> Any:
    """Return u + w v."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        u, w, v = arguments
        product = builder.fmul(_repeat(builder, w), _pack(builder, v), flags=("contract",))
        return _unpack(builder, builder.fadd(_pack(builder, u), product, flags=("contract",)))

    return u(u, u.dtype, v), generate


def _row(context: Any, builder: Any, kind: Any, rows: Any, n: Any) -> Any:
    """Return the address of row n as that of a vector."""
    data = context.make_array(kind)(context, builder, rows).data
    first = builder.gep(data, [builder.mul(n, ir.Constant(n.type, WIDTH))])
    return builder.bitcast(first, ir.VectorType(context.get_data_type(kind.dtype), WIDTH).as_pointer())


def _pack(builder: Any, values: Any) -> Any:
    """Turn a tuple into a vector."""
    vector = ir.Constant(ir.VectorType(values.type.element, WIDTH), ir.Undefined)
    for k in range(WIDTH):
        vector = builder.insert_element(vector, builder.extract_value(values, k), ir.Constant(ir.IntType(32), k))
    return vector


def _unpack(builder: Any, vector: Any) -> Any:
    """Turn a vector into a tuple."""
    numbers = [builder.extract_element(vector, ir.Constant(ir.IntType(32), k)) for k in range(WIDTH)]
    return cgutils.pack_array(builder, numbers)


def _repeat(builder: Any, number: Any) -> Any:
    """Return a vector of equal numbers."""
    return _pack(builder, cgutils.pack_array(builder, [number] * WIDTH))

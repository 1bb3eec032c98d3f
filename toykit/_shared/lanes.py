"""Vectors in compiled code: a fixed number of successive numbers of an array, in vector registers.

Numba vectorises long loops only, and loops along rows that add up one row after another load and store the sums each time. With
these functions a loop takes a few numbers through all rows instead. Numba has no vectors; the type is ours, and LLVM splits it
into the registers that there are. Arrays are contiguous; a place in one counts numbers, whatever its dimensions.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

from toykit._shared.compiled import generated

_CONTRACT = ("contract",)


class Lanes(types.Type):
    """`count` numbers of one type."""

    def __init__(self, dtype: Any, count: int):
        super().__init__(name=f"Lanes({dtype}, {count})")
        self.dtype, self.count = dtype, count


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    """A vector register, or several."""

    def __init__(self, manager: Any, kind: Lanes):
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.dtype).get_value_type(), kind.count))


def loader(count: int) -> Callable[..., Any]:
    """Return load(values, first), which returns values[first : first + count]."""

    @generated
    def load(typing_context: Any, values: Any, first: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return load_at(context, builder, values, count, *arguments)

        return Lanes(values.dtype, count)(values, types.intp), generate

    return load


def repeater(count: int) -> Callable[..., Any]:
    """Return repeat(x), which returns `count` times the number x."""

    @generated
    def repeat(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            vector, place = context.get_data_type(signature.return_type), ir.IntType(32)
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[0], place(0))
            return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(place, count), [0] * count))

        return Lanes(x, count)(x), generate

    return repeat


@generated
def store(typing_context: Any, values: Any, first: Any, v: Any) -> Any:
    """Set the numbers of an array from `first` on to v."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, values, v.count, *arguments[:2])
        builder.store(arguments[2], address, align=values.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(values, types.intp, v), generate


@generated
def fetch(typing_context: Any, values: Any, first: Any) -> Any:
    """Begin to load the numbers of an array from `first` on, which are needed soon, into the cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.bitcast(_address(context, builder, values, 1, *arguments), byte)
        load = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0"
        )
        builder.call(load, [place, number(0), number(3), number(1)])  # to read, into the nearest cache, data
        return context.get_dummy_value()

    return types.void(values, types.intp), generate


@generated
def add(typing_context: Any, u: Any, v: Any) -> Any:
    """Return u + v."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments, flags=_CONTRACT)

    return u(u, v), generate


@generated
def multiply(typing_context: Any, u: Any, v: Any) -> Any:
    """Return u v."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(*arguments, flags=_CONTRACT)

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


def load_at(context: Any, builder: Any, kind: Any, count: int, values: Any, first: Any) -> Any:
    """Generate the code that loads `count` numbers of an array of a kind from a place on."""
    return builder.load(_address(context, builder, kind, count, values, first), align=kind.dtype.bitwidth // 8)


def _address(context: Any, builder: Any, kind: Any, count: int, values: Any, first: Any) -> Any:
    """Return the address of `count` numbers of a contiguous array from a place on."""
    assert kind.layout == "C"
    data = context.make_array(kind)(context, builder, values).data
    vector = ir.VectorType(context.get_data_type(kind.dtype), count)
    return builder.bitcast(builder.gep(data, [first]), vector.as_pointer())

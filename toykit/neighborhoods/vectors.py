"""Eight numbers at a time in numba's compiled code: rows of an array (n, WIDTH) as vector registers.

Numba leaves loops over eight numbers scalar (it vectorises long loops only), which is several times slower. In compiled code
the eight numbers are a tuple, which exists between these functions in the source only.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from toykit._shared.compiled import generated

#: Numbers at a time.
WIDTH = 8
#: Successive rows that `add_linked` adds up at a time.
PATCH = 4


@generated
def read(typing_context: Any, rows: Any, n: Any) -> Any:
    """Return row n."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _row(context, builder, rows, arguments[0], arguments[1])
        return _unpack(builder, builder.load(pointer, align=rows.dtype.bitwidth // 8))

    return types.UniTuple(rows.dtype, WIDTH)(rows, types.intp), generate


@generated
def write(typing_context: Any, rows: Any, n: Any, v: Any) -> Any:
    """Set row n."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _row(context, builder, rows, arguments[0], arguments[1])
        builder.store(_pack(builder, arguments[2]), pointer, align=rows.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(rows, types.intp, v), generate


@generated
def times(typing_context: Any, w: Any, v: Any) -> Any:
    """Return w v."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w, v = arguments
        return _unpack(builder, builder.fmul(_repeat(builder, w), _pack(builder, v), flags=("contract",)))

    return v(v.dtype, v), generate


@generated
def plus(typing_context: Any, u: Any, w: Any, v: Any) -> Any:
    """Return u + w v."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        u, w, v = arguments
        product = builder.fmul(_repeat(builder, w), _pack(builder, v), flags=("contract",))
        return _unpack(builder, builder.fadd(_pack(builder, u), product, flags=("contract",)))

    return u(u, u.dtype, v), generate


@generated
def add_linked(typing_context: Any, out: Any, n: Any, rows: Any, index: Any, weight: Any, first: Any, last: Any) -> Any:
    """Set the n-th PATCH rows to the sum over first <= m < last of weight[m] times the index[m]-th PATCH rows.

    The sums stay in registers.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (out, n, rows, *lists, first, last) = signature.args, arguments
        vector, whole = ir.VectorType(context.get_data_type(kinds[0].dtype), WIDTH), n.type
        align = kinds[0].dtype.bitwidth // 8
        index, weight = (
            context.make_array(kind)(context, builder, x).data for kind, x in zip(kinds[3:5], lists, strict=True)
        )
        sums = [cgutils.alloca_once(builder, vector) for _ in range(PATCH)]  # LLVM keeps them in registers
        for total in sums:
            builder.store(ir.Constant(vector, None), total)
        with cgutils.for_range_slice(builder, first, last, whole(1), whole) as (m, _):
            place = builder.mul(builder.sext(builder.load(builder.gep(index, [m])), whole), whole(PATCH))
            w = _repeat(builder, builder.load(builder.gep(weight, [m])))
            for number, total in enumerate(sums):
                row = _row(context, builder, kinds[2], rows, builder.add(place, whole(number)))
                product = builder.fmul(w, builder.load(row, align=align), flags=("contract",))
                builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
        place = builder.mul(n, whole(PATCH))
        for number, total in enumerate(sums):
            row = _row(context, builder, kinds[0], out, builder.add(place, whole(number)))
            builder.store(builder.load(total), row, align=align)
        return context.get_dummy_value()

    return types.void(out, types.intp, rows, index, weight, types.intp, types.intp), generate


@generated
def add_products(typing_context: Any, out: Any, first: Any, hats: Any, column: Any, rows: Any, count: Any) -> Any:
    """Add to row first + c of `out`, c < WIDTH, the sum over p < count of hats[p, c] hats[p, column] times row p.

    The sums stay in registers.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (out, first, hats, column, rows, count) = signature.args, arguments
        hats = context.make_array(kinds[2])(context, builder, hats)
        vector, whole = ir.VectorType(context.get_data_type(kinds[0].dtype), WIDTH), first.type
        align, length = kinds[0].dtype.bitwidth // 8, cgutils.unpack_tuple(builder, hats.shape)[1]
        places = [_row(context, builder, kinds[0], out, builder.add(first, whole(c))) for c in range(WIDTH)]
        sums = [cgutils.alloca_once(builder, vector) for _ in places]  # LLVM keeps them in registers
        for place, total in zip(places, sums, strict=True):
            builder.store(builder.load(place, align=align), total)
        with cgutils.for_range(builder, count) as loop:
            point = builder.gep(hats.data, [builder.mul(loop.index, length)])
            v = builder.load(_row(context, builder, kinds[4], rows, loop.index), align=align)
            v = builder.fmul(_repeat(builder, builder.load(builder.gep(point, [column]))), v, flags=("contract",))
            for c, total in enumerate(sums):
                hat = _repeat(builder, builder.load(builder.gep(point, [whole(c)])))
                product = builder.fmul(hat, v, flags=("contract",))
                builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
        for place, total in zip(places, sums, strict=True):
            builder.store(builder.load(total), place, align=align)
        return context.get_dummy_value()

    return types.void(out, types.intp, hats, types.intp, rows, types.intp), generate


@generated
def fetch(typing_context: Any, rows: Any, n: Any) -> Any:
    """Begin to load row n, which is needed soon, into the cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.bitcast(_row(context, builder, rows, arguments[0], arguments[1]), byte)
        load = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0"
        )
        builder.call(load, [place, number(0), number(3), number(1)])  # to read, into the nearest cache, data
        return context.get_dummy_value()

    return types.void(rows, types.intp), generate


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

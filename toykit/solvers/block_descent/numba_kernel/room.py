"""Room for a row's intermediate results, and views, in compiled code: without allocation and without counting references.

`np.empty` costs as much there as a pass over a row. So one piece of memory, allocated for many rows, is handed out in parts.
Numba counts a reference for each view of an array, in steps that no two threads can make at once; rows take so many short
views that this took a third of a sweep. Compiled code that counts nothing (`toykit._shared.compiled.inner`) must not return
an array, however. What returns one here is therefore generated as LLVM's code.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import populate_array

from toykit._shared.compiled import generated, inlined, inner


class Room(NamedTuple):
    """Memory, and how much of it is in use."""

    numbers: np.ndarray  # in the labels' type
    integers: np.ndarray
    used: np.ndarray  # (2,), of numbers and integers


@inner
def size_of_room(neighbors, classes, width):
    """Return how many numbers, and integers, a row's step takes at most, with what its caller takes. An energy takes less."""
    # edges: neighbours 2, gradient 2, the goal's products 1, restricted segment 4
    # classes: goal 1, for RCE restricted segment 3
    # pixels: gradient 3, thresholds 2, segment 4, line search 5, restricted segment 5, its search 11
    return (9 * neighbors + 4 * classes + 30) * width, 2 * neighbors + 3 * classes + 2 + width


@inlined
def make_room(size, kind):
    """Return an empty `Room` of some size, for numbers of a type; for outer loops, which alone can allocate.

    The loop must hand it to an `inner` function: parts of a room do not keep it, and numba frees it after its last mention.
    """
    numbers, integers = size
    return Room(np.empty(numbers, kind), np.empty(integers, np.int64), np.zeros(2, np.int64))


@inner
def give_back(room, mark):
    """Give back all numbers but the first `mark`."""
    room.used[0] = mark


@inner
def clear(room):
    """Give back everything."""
    room.used[:] = 0


@generated
def take(typing_context: Any, room: Any, count: Any) -> Any:
    """Return an array (count,) from a `Room`, whose numbers are not set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _take(context, builder, signature, arguments, 0)

    return room.types[0](room, types.intp), generate


@generated
def take_integers(typing_context: Any, room: Any, count: Any) -> Any:
    """Return an array (count,) from a `Room`, whose integers are not set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _take(context, builder, signature, arguments, 1)

    return room.types[1](room, types.intp), generate


@generated
def take_rows(typing_context: Any, room: Any, rows: Any, count: Any) -> Any:
    """Return an array (rows, count) from a `Room`, whose numbers are not set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _take(context, builder, signature, arguments, 0)

    return room.types[0].copy(ndim=2)(room, types.intp, types.intp), generate


def _take(context: Any, builder: Any, signature: Any, arguments: Any, part: int) -> Any:
    """Generate code that hands out numbers (part 0) or integers (1) in a shape; an error where too few are left."""
    (room, *shape), kinds = arguments, signature.args[0].types
    whole, used = (context.make_array(kinds[n])(context, builder, builder.extract_value(room, n)) for n in (part, 2))
    place = builder.gep(used.data, [context.get_constant(types.intp, part)])
    first, count = builder.load(place), shape[0]
    for extent in shape[1:]:
        count = builder.mul(count, extent)
    end = builder.add(first, count)
    with cgutils.if_unlikely(builder, builder.icmp_signed(">", end, whole.nitems)):
        context.call_conv.return_user_exc(builder, AssertionError, ("size_of_room is too small",))
    builder.store(end, place)
    return view(context, builder, signature.return_type, builder.extract_value(room, part), first, shape)


def view(context: Any, builder: Any, kind: Any, array: Any, first: Any, shape: list) -> Any:
    """Generate code for a contiguous view of a contiguous array from a place on; it holds no reference."""
    assert kind.layout == "C"
    whole = context.make_array(kind.copy(ndim=1))(context, builder, array)
    size = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
    strides = [size]
    for extent in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], extent))
    part = context.make_array(kind)(context, builder)
    populate_array(part, builder.gep(whole.data, [first]), shape, strides, size, None)
    return part._getvalue()

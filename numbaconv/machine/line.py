"""Lines: tiles of one row, read and written only as far as there are channels, whose lanes compare and choose.

In Python terms, ``count`` being the channels from ``at`` on and W the width of a line::

    line_read      line = array[at : at + W], zeros in place of what lies beyond ``count``
    line_write     out[at : at + min(W, count)] = line
    line_maximum   max(best, line), NaN where either is NaN
    line_first     where ``line`` is larger than ``best``, or the first NaN: ``tap``; elsewhere ``taps``
    line_where     where ``taps == tap``: ``line``; elsewhere 0
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .memory import INT, Memory, pointers_to
from .tile import Tile, _call, _masks, _splat, _store_row, _suffix


@intrinsic(prefer_literal=True)
def line_read(typingctx, vecs, array, at, count):
    """The line of ``vecs`` vectors, or as many as that tuple is long, at ``array[at:]``; zeros beyond ``count``."""
    line = Tile(1, vecs.count if isinstance(vecs, types.UniTuple) else vecs.literal_value, array.dtype)

    def codegen(context, builder, sig, args):
        _, array, at, count = args
        memory = Memory(context, builder, sig.args[1], array)
        width = INT(line.vecs * line.lanes)
        whole = builder.icmp_signed(">=", count, width)
        start = memory.pointer(at, builder.select(whole, width, count))
        places = pointers_to(builder, line.vector, start, line.vecs)
        zeros, align = ir.Constant(line.vector, None), ir.Constant(ir.IntType(32), memory.align)
        name = f"llvm.masked.load.{_suffix(line)}.p0"
        with builder.if_else(whole, likely=True) as (plain, masked):
            with plain:
                loaded = [builder.load(place, align=memory.align, typ=line.vector) for place in places]
                plain_end = builder.block
            with masked:
                pairs = zip(places, _masks(builder, line, count), strict=True)
                parts = [_call(builder, name, line.vector, place, align, mask, zeros) for place, mask in pairs]
                masked_end = builder.block
        vectors = [builder.phi(line.vector) for _ in places]
        result = ir.Constant(context.get_value_type(line), ir.Undefined)
        for i, vector in enumerate(vectors):
            vector.add_incoming(loaded[i], plain_end)
            vector.add_incoming(parts[i], masked_end)
            result = builder.insert_value(result, vector, i)
        return result

    return line(vecs, array, at, count), codegen


@intrinsic
def line_write(typingctx, line, out, at, count):
    """Write a line to ``out[at:]``, at most ``count`` channels of it."""

    def codegen(context, builder, sig, args):
        value, out, at, count = args
        memory = Memory(context, builder, sig.args[1], out)
        whole = builder.icmp_signed(">=", count, INT(line.vecs * line.lanes))
        parts = None, (count, _masks(builder, line, count))
        with builder.if_else(whole, likely=True) as branches:
            for branch, part in zip(branches, parts, strict=True):
                with branch:
                    _store_row(builder, line, value, 0, memory, at, part)
        return context.get_dummy_value()

    return types.void(line, out, at, count), codegen


def _each(context, builder, result, function, *tiles):
    """A value of type ``result`` whose vectors are the function of those of the tiles."""
    value = ir.Constant(context.get_value_type(result), ir.Undefined)
    for i in range(result.vecs):
        value = builder.insert_value(value, function(*(builder.extract_value(tile, i) for tile in tiles)), i)
    return value


def _beats(builder, line, best):
    """Lanes in which ``line`` is larger than ``best``, or the first NaN."""
    # "Unordered or greater" is true for any NaN.
    return builder.and_(builder.fcmp_unordered(">", line, best), builder.fcmp_ordered("ord", best, best))


@intrinsic
def line_maximum(typingctx, best, line):
    """The larger of two lines, lane by lane; NaN where either is NaN."""

    def codegen(context, builder, sig, args):
        return _each(context, builder, best, lambda b, v: builder.select(_beats(builder, v, b), v, b), *args)

    return best(best, line), codegen


@intrinsic
def line_taps(typingctx, line):
    """Tap 0 in every lane of ``line``."""
    taps = Tile(1, line.vecs, types.Integer.from_bitwidth(line.dtype.bitwidth))

    def codegen(context, builder, sig, args):
        return ir.Constant(context.get_value_type(taps), None)

    return taps(line), codegen


@intrinsic
def line_first(typingctx, taps, best, line, tap):
    """``tap`` where ``line`` is larger than ``best`` or the first NaN, elsewhere what ``taps`` says."""

    def codegen(context, builder, sig, args):
        number = _number(builder, taps, args[3])
        return _each(
            context, builder, taps, lambda t, b, v: builder.select(_beats(builder, v, b), number, t), *args[:3]
        )

    return taps(taps, best, line, tap), codegen


@intrinsic
def line_where(typingctx, taps, tap, line):
    """``line`` where ``taps`` says ``tap``, elsewhere 0."""

    def codegen(context, builder, sig, args):
        number, zeros = _number(builder, taps, args[1]), ir.Constant(line.vector, None)
        return _each(
            context,
            builder,
            line,
            lambda t, v: builder.select(builder.icmp_signed("==", t, number), v, zeros),
            args[0],
            args[2],
        )

    return line(taps, tap, line), codegen


def _number(builder, taps, tap):
    """A vector of the number of a tap."""
    integer = taps.vector.element
    return _splat(builder, tap if integer.width == 64 else builder.trunc(tap, integer), taps.lanes)


@intrinsic
def line_widen(typingctx, line):
    """A line in float64, of as many vectors more as its elements are shorter."""
    more = types.float64.bitwidth // line.dtype.bitwidth
    wide = Tile(1, line.vecs * more, types.float64)

    def codegen(context, builder, sig, args):
        if more == 1:
            return args[0]
        result = ir.Constant(context.get_value_type(wide), ir.Undefined)
        for i in range(wide.vecs):
            vector = builder.extract_value(args[0], i // more)
            lanes = [i % more * wide.lanes + lane for lane in range(wide.lanes)]
            part = builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), wide.lanes), lanes))
            result = builder.insert_value(result, builder.fpext(part, wide.vector), i)
        return result

    return wide(line), codegen


@intrinsic
def line_narrow(typingctx, wide, array):
    """A float64 line in the dtype of ``array``."""
    fewer = types.float64.bitwidth // array.dtype.bitwidth
    line = Tile(1, wide.vecs // fewer, array.dtype)

    def codegen(context, builder, sig, args):
        if fewer == 1:
            return args[0]
        result = ir.Constant(context.get_value_type(line), ir.Undefined)
        half = ir.VectorType(line.vector.element, wide.lanes)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), line.lanes), list(range(line.lanes)))
        for i in range(line.vecs):
            a, b = (builder.fptrunc(builder.extract_value(args[0], fewer * i + j), half) for j in range(2))
            result = builder.insert_value(result, builder.shuffle_vector(a, b, lanes), i)
        return result

    return line(wide, array), codegen

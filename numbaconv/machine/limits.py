"""Limits that values of a tile are kept between on their way to memory."""

from math import inf

from .tile import _splat
from .words import intrinsic, ir


@intrinsic
def tile_clip(typingctx, tile, minimum, maximum):
    """Values below ``minimum`` become it, then those above ``maximum`` that; NaN stays NaN."""

    def codegen(context, builder, sig, args):
        result, limits = args[0], _limits(context, builder, sig, args)
        for i in range(tile.rows * tile.vecs):
            result = builder.insert_value(result, _clip(builder, builder.extract_value(args[0], i), limits), i)
        return result

    return tile(tile, minimum, maximum), codegen


@intrinsic
def tile_finish(typingctx, tile, minimum, maximum):
    """`tile_clip`, and -0 becomes 0.

    The sign of a zero would tell which taps were left out because all that they read is 0, and so how work is cut.
    """

    def codegen(context, builder, sig, args):
        values = [builder.extract_value(args[0], i) for i in range(tile.rows * tile.vecs)]
        limits = _limits(context, builder, sig, args)
        (minimum, maximum), ordered = args[1:], builder.fcmp_ordered
        unbound = ordered("==", maximum, maximum.type(inf))
        relu = builder.and_(unbound, ordered(">=", minimum, minimum.type(0.0)))
        none = builder.and_(unbound, ordered("==", minimum, minimum.type(-inf)))
        ways = []
        with builder.if_else(relu) as (cut, kept):
            with cut:
                # Half as long as what follows.
                line = limits[0]
                ways.append(([builder.select(ordered(">=", line, v), line, v) for v in values], builder.block))
            with kept:
                whole = [builder.fadd(v, ir.Constant(tile.vector, None)) for v in values]
                start = builder.block
                with builder.if_then(builder.not_(none)):
                    parts = [_clip(builder, v, limits) for v in whole]
                    end = builder.block
                ways.append((_joined(builder, (whole, start), (parts, end)), builder.block))
        result = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for i, vector in enumerate(_joined(builder, *ways)):
            result = builder.insert_value(result, vector, i)
        return result

    return tile(tile, minimum, maximum), codegen


def _joined(builder, *ways):
    """Values that come from several blocks, one list from each."""
    values = [builder.phi(first.type) for first in ways[0][0]]
    for given, block in ways:
        for value, one in zip(values, given, strict=True):
            value.add_incoming(one, block)
    return values


def _limits(context, builder, sig, args):
    """Vectors of the second argument and the third."""
    tile, *kinds = sig.args
    scalars = (context.cast(builder, arg, kind, tile.dtype) for arg, kind in zip(args[1:], kinds, strict=True))
    return [_splat(builder, scalar, tile.lanes) for scalar in scalars]


def _clip(builder, vector, limits):
    """The vector between two limits; NaN stays NaN."""
    for limit, comparison in zip(limits, "><", strict=True):
        vector = builder.select(builder.fcmp_ordered(comparison, limit, vector), limit, vector)
    return vector

"""Limits that values of a tile are kept between on their way to memory."""

from functools import partial
from math import inf

from .tile import _each, _splat, _unknown, _value
from .words import intrinsic, ir


@intrinsic
def tile_clip(typingctx, tile, minimum, maximum):
    """Values below ``minimum`` become it, then those above ``maximum`` that; NaN stays NaN."""

    def codegen(context, builder, sig, args):
        tile, *kinds = sig.args
        value = args[0]
        for arg, kind, comparison in zip(args[1:], kinds, "><", strict=True):
            limit = _splat(builder, context.cast(builder, arg, kind, tile.dtype), tile.lanes)
            value = _each(context, builder, tile, partial(_clip, builder, limit, comparison), value)
        return value

    return tile(tile, minimum, maximum), codegen


@intrinsic
def tile_finish(typingctx, tile, minimum, maximum):
    """`tile_clip`, and -0 becomes 0.

    The sign of a zero would tell which taps were left out because all that they read is 0, and so how work is cut.
    """

    def codegen(context, builder, sig, args):
        bits = ir.IntType(tile.dtype.bitwidth)
        # If LLVM knew it, it would compare what was there before, and lose that a maximum is one instruction.
        zero = _splat(builder, builder.bitcast(_unknown(builder, bits(0)), tile.vector.element), tile.lanes)
        vectors = [builder.fadd(builder.extract_value(args[0], i), zero) for i in range(tile.rows * tile.vecs)]
        for arg, kind, comparison, none in zip(args[1:], sig.args[1:], "><", (-inf, inf), strict=True):
            limit, before = context.cast(builder, arg, kind, tile.dtype), builder.block
            with builder.if_then(builder.fcmp_unordered("!=", limit, limit.type(none))):
                # Unknown before: LLVM would compare with it whether it limits or not, and have no registers left.
                limit = builder.bitcast(_unknown(builder, builder.bitcast(limit, bits)), tile.vector.element)
                limit, within = _splat(builder, limit, tile.lanes), builder.block
                kept = [_clip(builder, limit, comparison, vector) for vector in vectors]
            found = [builder.phi(tile.vector) for _ in vectors]
            for phi, vector, other in zip(found, vectors, kept, strict=True):
                phi.add_incoming(vector, before)
                phi.add_incoming(other, within)
            vectors = found
        return _value(context, builder, tile, vectors)

    return tile(tile, minimum, maximum), codegen


def _clip(builder, limit, comparison, vector):
    """The vector on one side of a limit; NaN stays NaN."""
    return builder.select(builder.fcmp_ordered(comparison, limit, vector), limit, vector)

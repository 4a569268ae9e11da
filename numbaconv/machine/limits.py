"""Limits that values of a tile are kept between on their way to memory."""

from .tile import _each, _splat, _unknown
from .words import intrinsic, ir


@intrinsic
def tile_clip(typingctx, tile, minimum, maximum):
    """Values below ``minimum`` become it, then those above ``maximum`` that; NaN stays NaN."""

    def codegen(context, builder, sig, args):
        limits = _limits(context, builder, sig, args)
        return _each(context, builder, tile, lambda vector: _clip(builder, vector, limits), args[0])

    return tile(tile, minimum, maximum), codegen


@intrinsic
def tile_finish(typingctx, tile, minimum, maximum):
    """`tile_clip`, and -0 becomes 0.

    The sign of a zero would tell which taps were left out because all that they read is 0, and so how work is cut.
    """

    def codegen(context, builder, sig, args):
        # No branches: where LLVM may choose between ways, it compares for all of them first, and has no registers left.
        limits = _limits(context, builder, sig, args)
        # If LLVM knew it, it would compare what was there before, and lose that a maximum is one instruction.
        zero = _unknown(builder, ir.IntType(tile.dtype.bitwidth)(0))
        zero = _splat(builder, builder.bitcast(zero, tile.vector.element), tile.lanes)
        return _each(context, builder, tile, lambda v: _clip(builder, builder.fadd(v, zero), limits), args[0])

    return tile(tile, minimum, maximum), codegen


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

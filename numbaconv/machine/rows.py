"""Rows become numbers: of as many lines as a vector has lanes, the largest lane of each."""

from .line import _larger
from .memory import Memory
from .tile import _value
from .vectors import LINE, VECTOR_BYTES
from .words import intrinsic, ir, tiles


@intrinsic
def line_tops(typingctx, lines, at):
    """Vector of the largest of each of the lines that lie one behind the other, or NaN where one is NaN."""
    side = VECTOR_BYTES * 8 // lines.dtype.bitwidth
    row, result = tiles.Tile(1, LINE // side, lines.dtype), tiles.Tile(1, 1, lines.dtype)

    def codegen(context, builder, sig, args):
        memory, vectors, part = Memory(context, builder, sig.args[0], args[0]), [], side
        for r in range(side):
            first, *others = memory.vectors(builder.add(args[1], tiles.INT(r * LINE)), row)
            for other in others:
                first = _larger(builder, first, other)
            vectors.append(first)
        while part > 1:
            # Every vector consists of parts of so many values to be compared; two become one of half as long.
            firsts, part = range(0, 2 * side, part), part // 2
            masks = ([first + half + k for first in firsts for k in range(part)] for half in (0, part))
            low, high = (ir.Constant(ir.VectorType(ir.IntType(32), side), mask) for mask in masks)
            vectors = [
                _larger(builder, builder.shuffle_vector(a, b, low), builder.shuffle_vector(a, b, high))
                for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        return _value(context, builder, result, vectors)

    return result(lines, at), codegen

"""A square of elements whose axes are swapped in registers."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .memory import INT, Memory, pointer_to
from .tile import Tile
from .vectors import VECTOR_BYTES


@intrinsic
def transpose_square(typingctx, x, at, row, out, to, column):
    """``out[to + j*column + i] = x[at + i*row + j]`` for a square of as many elements each way as a vector holds."""
    square = Tile(VECTOR_BYTES * 8 // x.dtype.bitwidth, 1, x.dtype)

    def codegen(context, builder, sig, args):
        x, out = (Memory(context, builder, sig.args[i], args[i]) for i in (0, 3))
        starts = [builder.add(args[1], builder.mul(args[2], INT(i))) for i in range(square.rows)]
        lines = [x.vectors(start, square)[0] for start in starts]
        # Exchange the off-diagonal halves of pairs of lines, then quarters, down to single elements.
        distance = square.rows // 2
        while distance:
            for i in range(square.rows):
                if not i & distance:
                    a, b = lines[i], lines[i + distance]
                    lines[i] = _pick(builder, square, a, b, distance, 0)
                    lines[i + distance] = _pick(builder, square, a, b, distance, distance)
            distance //= 2
        for j, line in enumerate(lines):
            place = builder.add(args[4], builder.mul(args[5], INT(j)))
            pointer = pointer_to(builder, square.vector, out.pointer(place, INT(square.lanes)))
            builder.store(line, pointer, align=out.align)
        return context.get_dummy_value()

    return types.void(x, at, row, out, to, column), codegen


def _pick(builder, square, a, b, distance, offset):
    """Of both lines, the elements whose number has the bit ``distance`` clear (offset 0) or set, a's first."""
    mask = []
    for j in range(square.lanes):
        source = (j & ~distance) | offset
        mask.append(source + square.lanes if j & distance else source)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), square.lanes), mask))

"""Memory inside intrinsics: C-contiguous arrays by flat index, and whole stretches of them at a time.

Slices would do the same, but Numba takes most of a second to compile each assignment to one. ``NUMBA_BOUNDSCHECK=1``
checks every access here as Numba does in plain loops.
"""

from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

INT = ir.IntType(64)


class Memory:
    """A C-contiguous array inside an intrinsic, addressed by flat index."""

    def __init__(self, context, builder, array_type, value):
        self.context, self.builder = context, builder
        self.array = context.make_array(array_type)(context, builder, value)
        self.align = array_type.dtype.bitwidth // 8

    def pointer(self, index, elements, shift=None):
        """Address of ``index + shift``, from where ``elements`` are about to be read or written."""
        builder = self.builder
        if config.BOUNDSCHECK:
            first = index if shift is None else builder.add(index, shift)
            end = builder.add(first, elements)
            outside = builder.or_(
                builder.icmp_signed("<", first, INT(0)), builder.icmp_signed(">", end, self.array.nitems)
            )
            # No elements lie nowhere, and fewer than none are a mistake wherever they begin.
            some = builder.icmp_signed("!=", elements, INT(0))
            outside = builder.or_(builder.and_(outside, some), builder.icmp_signed("<", elements, INT(0)))
            with builder.if_then(outside, likely=False):
                self.context.call_conv.return_user_exc(builder, IndexError, ("a tile left its array",))
        start = builder.gep(self.array.data, [index])
        # Two steps, so that the compiler keeps the first in a register while the shift runs through a loop.
        return start if shift is None else builder.gep(start, [shift])

    def scalar(self, index, shift=None):
        return self.builder.load(self.pointer(index, INT(1), shift), align=self.align)

    def vectors(self, index, tile, shift=None):
        """The VECS vectors that start at ``index + shift``."""
        pointer = self.pointer(index, INT(tile.vecs * tile.lanes), shift)
        start = self.builder.bitcast(pointer, tile.vector.as_pointer())
        return [self.builder.load(self.builder.gep(start, [INT(v)]), align=self.align) for v in range(tile.vecs)]


@intrinsic
def copy(typingctx, target, at, source, start, count):
    """``target[at : at + count] = source[start : start + count]`` by flat index; they must not overlap."""

    def codegen(context, builder, sig, args):
        to = Memory(context, builder, sig.args[0], args[0])
        origin = Memory(context, builder, sig.args[2], args[2]).pointer(args[3], args[4])
        cgutils.raw_memcpy(builder, to.pointer(args[1], args[4]), origin, args[4], to.align)
        return context.get_dummy_value()

    return types.void(target, at, source, start, count), codegen


@intrinsic
def clear(typingctx, target, at, count):
    """``target[at : at + count] = 0`` by flat index."""

    def codegen(context, builder, sig, args):
        to = Memory(context, builder, sig.args[0], args[0])
        size = builder.mul(args[2], INT(to.align))
        cgutils.memset(builder, to.pointer(args[1], args[2]), size, 0)
        return context.get_dummy_value()

    return types.void(target, at, count), codegen

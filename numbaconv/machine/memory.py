"""Memory inside intrinsics: C-contiguous arrays by flat index, and whole stretches of them at a time.

Slices would do the same, but Numba takes most of a second to compile each assignment to one. ``NUMBA_BOUNDSCHECK=1``
checks every access here as Numba does in plain loops.
"""

from .vectors import CACHE_LINE
from .words import cgutils, intrinsic, ir, setting, tiles, types

# Numbers that `ramp` writes at once.
RAMP = 8


def pointer_to(builder, kind, address):
    """``address`` as a pointer to type ``kind``; llvmlite is giving up telling pointers apart by what they point to."""
    return builder.bitcast(address, kind.as_pointer()) if hasattr(address.type, "pointee") else address


def pointers_to(builder, kind, address, count):
    """Pointers to ``count`` values of type ``kind`` that lie one after the other from ``address`` on."""
    start = pointer_to(builder, kind, address)
    return [builder.gep(start, [tiles.INT(i)], source_etype=kind) for i in range(count)]


class Memory:
    """A C-contiguous array inside an intrinsic, addressed by flat index."""

    def __init__(self, context, builder, array_type, value):
        self.context, self.builder = context, builder
        self.array = cgutils.create_struct_proxy(array_type)(context, builder, value)
        self.element = context.get_data_type(array_type.dtype)
        self.align = array_type.dtype.bitwidth // 8

    def pointer(self, index, elements, shift=None):
        """Address of ``index + shift``, from where ``elements`` are about to be read or written."""
        builder = self.builder
        if setting("BOUNDSCHECK"):
            first = index if shift is None else builder.add(index, shift)
            end = builder.add(first, elements)
            outside = builder.or_(
                builder.icmp_signed("<", first, tiles.INT(0)), builder.icmp_signed(">", end, self.array.nitems)
            )
            # No elements lie nowhere, and fewer than none are a mistake wherever they begin.
            some = builder.icmp_signed("!=", elements, tiles.INT(0))
            outside = builder.or_(builder.and_(outside, some), builder.icmp_signed("<", elements, tiles.INT(0)))
            with builder.if_then(outside, likely=False):
                self.context.call_conv.return_user_exc(builder, IndexError, ("a tile left its array",))
        start = builder.gep(self.array.data, [index], source_etype=self.element)
        # Two steps, so that the compiler keeps the first in a register while the shift runs through a loop.
        return start if shift is None else builder.gep(start, [shift], source_etype=self.element)

    def scalar(self, index, shift=None):
        return self.builder.load(self.pointer(index, tiles.INT(1), shift), align=self.align, typ=self.element)

    def vectors(self, index, tile, shift=None, there=None):
        """The VECS vectors that start at ``index + shift``; zeros where the condition ``there`` does not hold."""
        width = tiles.INT(tile.vecs * tile.lanes)
        pointer = self.pointer(
            index, width if there is None else self.builder.select(there, width, tiles.INT(0)), shift
        )
        start = pointer_to(self.builder, tile.vector, pointer)
        if there is not None:
            kind = ir.ArrayType(tile.vector, tile.vecs)
            zeros = cgutils.global_constant(self.builder, "zeros", ir.Constant(kind, None))
            start = self.builder.select(there, start, pointer_to(self.builder, tile.vector, zeros))
        lines = pointers_to(self.builder, tile.vector, start, tile.vecs)
        return [self.builder.load(line, align=self.align, typ=tile.vector) for line in lines]

    def prefetch(self, index, count, write=False):
        """Ask for the cache lines of ``count`` elements from ``index`` on, which may lie outside the array."""
        builder, flag = self.builder, ir.IntType(32)
        for element in range(0, count, CACHE_LINE // self.align):
            place = builder.gep(self.array.data, [builder.add(index, tiles.INT(element))], source_etype=self.element)
            place = pointer_to(builder, ir.IntType(8), place)
            kind = ir.FunctionType(ir.VoidType(), [place.type, flag, flag, flag])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(function, [place, *(flag(n) for n in (int(write), 3, 1))])


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
        size = builder.mul(args[2], tiles.INT(to.align))
        cgutils.memset(builder, to.pointer(args[1], args[2]), size, 0)
        return context.get_dummy_value()

    return types.void(target, at, count), codegen


@intrinsic
def ask(typingctx, source, at):
    """Have the cache line of ``source[at]`` brought near; it may lie outside the array."""

    def codegen(context, builder, sig, args):
        Memory(context, builder, sig.args[0], args[0]).prefetch(args[1], 1)
        return context.get_dummy_value()

    return types.void(source, at), codegen


@intrinsic
def ramp(typingctx, target, at, first, step, count):
    """``target[at + i] = first + i * step`` for int64, a vector at a time: up to 7 elements more are written."""

    def codegen(context, builder, sig, args):
        target = Memory(context, builder, sig.args[0], args[0])
        vector = ir.VectorType(tiles.INT, RAMP)

        def splat(number):
            single = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
            return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(ir.IntType(32), RAMP), [0] * RAMP))

        places = ir.Constant(vector, list(range(RAMP)))
        line = builder.add(splat(args[2]), builder.mul(splat(args[3]), places))
        vectors = builder.sdiv(builder.add(args[4], tiles.INT(RAMP - 1)), tiles.INT(RAMP))
        with cgutils.for_range(builder, vectors, intp=tiles.INT) as loop:
            i = builder.mul(loop.index, tiles.INT(RAMP))
            place = pointer_to(builder, vector, target.pointer(args[1], tiles.INT(RAMP), i))
            builder.store(builder.add(line, splat(builder.mul(i, args[3]))), place, align=target.align)
        return context.get_dummy_value()

    return types.void(target, at, first, step, count), codegen


@intrinsic
def opaque(typingctx, number):
    """The same integer, but that LLVM cannot know how it came about, and so leaves the work for it where it stands."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(args[0].type, [args[0].type])
        result = builder.asm(kind, "", "=r,0", args, False)
        result.attributes.add("readnone")
        return result

    return number(number), codegen

"""Squares: as many vectors as each has lanes, whose axes are swapped, or whose lanes are added up."""

from .line import _larger
from .memory import Memory, pointer_to
from .tile import _call, _masks, _multiply_add, _splat, _store_parts, _suffix, _value
from .vectors import VECTOR_BYTES
from .words import cgutils, intrinsic, ir, tiles, types


@intrinsic
def transpose_square(typingctx, x, at, row, out, to, column):
    """``out[to + j*column + i] = x[at + i*row + j]`` for a square of as many elements each way as a vector holds."""
    square = tiles.Tile(VECTOR_BYTES * 8 // x.dtype.bitwidth, 1, x.dtype)

    def codegen(context, builder, sig, args):
        x, out = (Memory(context, builder, sig.args[i], args[i]) for i in (0, 3))
        starts = [builder.add(args[1], builder.mul(args[2], tiles.INT(i))) for i in range(square.rows)]
        lines = _turned(builder, square, [x.vectors(start, square)[0] for start in starts])
        for j, line in enumerate(lines):
            place = builder.add(args[4], builder.mul(args[5], tiles.INT(j)))
            pointer = pointer_to(builder, square.vector, out.pointer(place, tiles.INT(square.lanes)))
            builder.store(line, pointer, align=out.align)
        return context.get_dummy_value()

    return types.void(x, at, row, out, to, column), codegen


@intrinsic
def transpose_part(typingctx, x, at, row, out, to, column, height, width):
    """`transpose_square` for i below ``height`` and j below ``width`` only; nothing else is read or written."""
    square = tiles.Tile(VECTOR_BYTES * 8 // x.dtype.bitwidth, 1, x.dtype)

    def codegen(context, builder, sig, args):
        x, out = (Memory(context, builder, sig.args[i], args[i]) for i in (0, 3))
        side = tiles.INT(square.rows)
        height, width = (builder.select(builder.icmp_signed("<", n, side), n, side) for n in args[6:])
        last, lines = builder.sub(height, tiles.INT(1)), []
        for i in range(square.rows):
            number = builder.select(builder.icmp_signed("<", tiles.INT(i), last), tiles.INT(i), last)
            lines += _part(builder, square, x, builder.add(args[1], builder.mul(args[2], number)), None, width)
        lines = _turned(builder, square, lines)
        for j, line in enumerate(lines):
            with builder.if_then(builder.icmp_signed("<", tiles.INT(j), width)):
                place = builder.add(args[4], builder.mul(args[5], tiles.INT(j)))
                pointer = pointer_to(builder, square.vector, out.pointer(place, height))
                _store_parts(builder, square, [(line, pointer)], height, out.align)
        return context.get_dummy_value()

    return types.void(x, at, row, out, to, column, height, width), codegen


@intrinsic
def tile_magnitude(typingctx, tile, x, x_at, first, shift):
    """Each row adds the absolute values of ``x[x_at[first + r] + shift :]``."""

    def codegen(context, builder, sig, args):
        result = args[0]
        x, x_at = (Memory(context, builder, sig.args[i], args[i]) for i in (1, 2))
        for r in range(tile.rows):
            where = x_at.scalar(builder.add(args[3], tiles.INT(r)))
            for v, line in enumerate(x.vectors(where, tile, args[4]), r * tile.vecs):
                line = _call(builder, f"llvm.fabs.{_suffix(tile)}", tile.vector, line)
                result = builder.insert_value(result, builder.fadd(builder.extract_value(result, v), line), v)
        return result

    return tile(tile, x, x_at, first, shift), codegen


def _turned(builder, square, lines):
    """The lines of a square whose axes are swapped."""
    # Exchange the off-diagonal halves of pairs of lines, then quarters, down to single elements.
    lines, distance = [*lines], square.rows // 2
    while distance:
        for i in range(square.rows):
            if not i & distance:
                a, b = lines[i], lines[i + distance]
                lines[i] = _pick(builder, square, a, b, distance, 0)
                lines[i + distance] = _pick(builder, square, a, b, distance, distance)
        distance //= 2
    return lines


def _pick(builder, square, a, b, distance, offset):
    """Of both lines, the elements whose number has the bit ``distance`` clear (offset 0) or set, a's first."""
    mask = []
    for j in range(square.lanes):
        source = (j & ~distance) | offset
        mask.append(source + square.lanes if j & distance else source)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), square.lanes), mask))


@intrinsic
def tile_square(typingctx, x):
    """Tile of zeros of the kind of ``x``, one vector wide, with as many rows as that has values."""
    return _zeros(x, 1)


@intrinsic
def tile_share(typingctx, x, share):
    """A share of a `tile_square`: each vector is for parts of as many rows as the tuple is long."""
    return _zeros(x, share.count, share)


def _zeros(x, share, *others):
    rows = VECTOR_BYTES * 8 // x.dtype.bitwidth
    tile = tiles.Tile(max(2, rows // share), 1, x.dtype)

    def codegen(context, builder, sig, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(x, *others), codegen


@intrinsic
def tile_dots(typingctx, square, filters, x, places, weights, at, count):
    """Products of the lines of some windows and of FILTERS filters: row ``r*FILTERS + f`` adds those of r and f.

    ``x[x_at[first + r] + shift :] * weights[at + f*LANES :]``, all lanes or, unless that is None, ``count`` of them.
    ``places`` are ``(x_at, first, shift)``.
    """

    def codegen(context, builder, sig, args):
        square, value, number = sig.args[0], args[0], sig.args[1].count
        x_at, first, shift = cgutils.unpack_tuple(builder, args[3])
        x_at = Memory(context, builder, sig.args[3][0], x_at)
        x, weights = (Memory(context, builder, sig.args[i], args[i]) for i in (2, 4))
        line = tiles.Tile(number, 1, square.dtype)
        factors = weights.vectors(args[5], tiles.Tile(1, number, square.dtype))
        part = None if sig.args[6] is types.none else args[6]
        for r in range(square.rows // number):
            where = x_at.scalar(builder.add(first, tiles.INT(r)))
            (inputs,) = _part(builder, line, x, where, shift, part) if part else x.vectors(where, line, shift)
            for f in range(number):
                value = _multiply_add(builder, square, value, r * number + f, [inputs], [factors[f]])
        return value

    return square(square, filters, x, places, weights, at, count), codegen


def _part(builder, line, x, index, shift, count):
    """The first ``count`` lanes of a vector, zeros in the others."""
    place = pointer_to(builder, line.vector, x.pointer(index, count, shift))
    zeros, align = ir.Constant(line.vector, None), ir.Constant(ir.IntType(32), x.align)
    (mask,) = _masks(builder, line, count)
    return [_call(builder, f"llvm.masked.load.{_suffix(line)}.p0", line.vector, place, align, mask, zeros)]


@intrinsic
def tile_places(typingctx, square, x, places, first, shift, count, number):
    """The square of lines ``x[places[first + r] + shift :]``; from ``count`` on, unless that is None, the number.

    Where it has fewer rows than a vector has lanes, each holds several lines, as long as there are rows.
    """

    def codegen(context, builder, sig, args):
        x, places = (Memory(context, builder, sig.args[i], args[i]) for i in (1, 2))
        _, _, _, first, shift, count, number = args
        width, part = square.rows, sig.args[5] is not types.none
        vector = ir.VectorType(x.element, width)
        name, align = f"llvm.masked.load.v{width}f{8 * x.align}.p0", ir.Constant(ir.IntType(32), x.align)
        if part:
            others = _splat(builder, context.cast(builder, number, sig.args[6], sig.args[1].dtype), width)
            limit = _splat(builder, count, width)
            mask = builder.icmp_signed("<", ir.Constant(limit.type, list(range(width))), limit)
        lines = []
        for r in range(square.lanes):
            where = places.scalar(builder.add(first, tiles.INT(r)))
            there = pointer_to(builder, vector, x.pointer(where, count if part else tiles.INT(width), shift))
            if part:
                line = _call(builder, name, vector, there, align, mask, others)
            else:
                line = builder.load(there, align=x.align, typ=vector)
            lines.append(line)
        while width < square.lanes:
            width *= 2
            both = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(width)))
            lines = [builder.shuffle_vector(a, b, both) for a, b in zip(lines[::2], lines[1::2], strict=True)]
        if lines[0].type != square.vector:
            lines = [builder.fpext(line, square.vector) for line in lines]
        return _value(context, builder, square, lines)

    return square(square, x, places, first, shift, count, number), codegen


def _totals(doc, combine):
    def totals(typingctx, square):
        line = tiles.Tile(1, 1, square.dtype)

        def codegen(context, builder, sig, args):
            lines, part = [builder.extract_value(args[0], i) for i in range(square.rows)], square.rows
            while part > 1:
                # Every vector consists of parts of so many values to be joined; two vectors become one of half as long.
                firsts, part = range(0, 2 * square.lanes, part), part // 2
                masks = ([first + half + k for first in firsts for k in range(part)] for half in (0, part))
                low, high = (ir.Constant(ir.VectorType(ir.IntType(32), square.lanes), mask) for mask in masks)
                lines = [
                    combine(builder, builder.shuffle_vector(a, b, low), builder.shuffle_vector(a, b, high))
                    for a, b in zip(lines[::2], lines[1::2], strict=True)
                ]
            return _value(context, builder, line, lines)

        return line(square), codegen

    totals.__doc__ = doc
    return intrinsic(totals)


tile_totals = _totals("Line of the sums of the rows of a `tile_square`.", lambda builder, a, b: builder.fadd(a, b))
tile_tops = _totals("Line of the largest of each of its rows, or NaN where one is NaN.", _larger)

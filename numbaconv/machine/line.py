"""Lines: tiles of one row, read and written only as far as there are channels, whose lanes compare and choose.

In Python terms, ``count`` being the channels from ``at`` on and W the width of a line::

    line_read      line = array[at : at + W], zeros in place of what lies beyond ``count``
    line_gather    the same of values that lie apart: line = array[at + table[first : first + W]]
    line_near      the same of values that lie in one stretch as long as two vectors, for each vector
    line_write     out[at : at + min(W, count)] = line
    line_more      total + line * share
    line_maximum   max(best, line), NaN where either is NaN
    line_as        line.astype(array.dtype)
    line_first     where ``line`` is larger than ``best``, or the first NaN: ``tap``; elsewhere ``taps``
    line_where     where ``taps == tap``: ``line``; elsewhere 0
    line_lane      line[lane]
"""

from .memory import Memory, pointer_to, pointers_to
from .tile import _call, _each, _fused, _masks, _splat, _store_rows, _suffix, _value, _vectors
from .vectors import PERMUTES, VECTOR_BYTES
from .words import cgutils, intrinsic, ir, setting, tiles, types

# For `line_gather`: every second value, third or fourth one.
SECOND, THIRD, FOURTH = ((None,) * n for n in (2, 3, 4))


@intrinsic(prefer_literal=True)
def line_read(typingctx, vecs, array, at, count):
    """The line of ``vecs`` vectors, or as many as that tuple is long, at ``array[at:]``; zeros beyond ``count``."""
    line = tiles.Tile(1, vecs.count if isinstance(vecs, types.UniTuple) else vecs.literal_value, array.dtype)

    def codegen(context, builder, sig, args):
        memory = Memory(context, builder, sig.args[1], args[1])
        return _value(context, builder, line, _read(builder, line, memory, *args[2:]))

    return line(vecs, array, at, count), codegen


@intrinsic
def line_gather(typingctx, array, at, table, first, count):
    """The line of `LINE` values at ``at`` plus those of the int32 ``table`` from ``first`` on; zeros beyond ``count``.

    So are entries of the table below 0; it has room for a line after its last one. None has the values side by side, as
    a tuple of numbers has, which makes the line as many times longer as it has items. Of a tuple of None, the values
    are as far apart as it has items.
    """
    apart = table.count if isinstance(table, types.UniTuple) and table.dtype is types.none else 0
    lines = table.count if isinstance(table, types.UniTuple) and not apart else 1
    line = tiles.Tile(1, lines * array.dtype.bitwidth // types.float32.bitwidth, array.dtype)

    def codegen(context, builder, sig, args):
        array, at, table, first, count = args
        array = Memory(context, builder, sig.args[0], array)
        if apart:
            at = builder.add(at, builder.mul(first, tiles.INT(apart)))
            return _value(context, builder, line, _read_apart(builder, line, array, at, apart, count))
        if not isinstance(sig.args[2], types.Array):
            return _value(context, builder, line, _read(builder, line, array, builder.add(at, first), count))
        table = Memory(context, builder, sig.args[2], table)
        # Shorter vectors have no instruction for it, or a slow one.
        gather = _gather if VECTOR_BYTES == 64 and not setting("BOUNDSCHECK") else _pick
        masks = enumerate(_masks(builder, line, count))
        vectors = [gather(builder, line, array, at, table, (first, v * line.lanes), mask) for v, mask in masks]
        return _value(context, builder, line, vectors)

    return line(array, at, table, first, count), codegen


@intrinsic
def line_near(typingctx, array, at, table, first, begins, vecs):
    """A line of values at ``at`` plus those of the int32 ``table`` from ``first`` on; zeros for entries below 0.

    For each vector, ``table[begins]`` and what follows it say how much later its values begin, all of which lie in as
    many vectors from there as the tuple ``vecs`` is long, one or two: these are read.
    """
    line = tiles.Tile(1, array.dtype.bitwidth // types.float32.bitwidth, array.dtype)

    def codegen(context, builder, sig, args):
        array, at, table, first, begins, _ = args
        array, table = Memory(context, builder, sig.args[0], array), Memory(context, builder, sig.args[2], table)
        near, vectors = _near if PERMUTES else _near_by_one, []
        for v in range(line.vecs):
            begin = builder.sext(table.scalar(builder.add(begins, tiles.INT(v))), tiles.INT)
            vectors.append(
                near(builder, line, array, builder.add(at, begin), table, (first, v * line.lanes), vecs.count)
            )
        return _value(context, builder, line, vectors)

    return line(array, at, table, first, begins, vecs), codegen


def _near(builder, line, array, at, table, entry, vecs):
    """A vector of values that lie in one or two, in any order."""
    steps = _steps_of(builder, line, table, entry)
    there = builder.icmp_signed(">=", steps, ir.Constant(steps.type, None))
    start = array.pointer(at, tiles.INT(vecs * line.lanes))
    vectors = [
        builder.load(p, align=array.align, typ=line.vector) for p in pointers_to(builder, line.vector, start, vecs)
    ]
    if VECTOR_BYTES == 64:
        kind = ir.VectorType(ir.IntType(8 * array.align), line.lanes)
        steps = steps if steps.type == kind else builder.sext(steps, kind)
        letter = "sd"[array.align > 4]
        if vecs == 1:
            found = _call(builder, f"llvm.x86.avx512.permvar.{letter}f.512", line.vector, *vectors, steps)
        else:
            name = f"llvm.x86.avx512.vpermi2var.p{letter}.512"
            found = _call(builder, name, line.vector, vectors[0], steps, vectors[1])
    else:
        found = _permuted(builder, line, vectors[0], steps)
        if vecs == 2:
            second = builder.icmp_signed(">=", steps, ir.Constant(steps.type, [line.lanes] * line.lanes))
            found = builder.select(second, _permuted(builder, line, vectors[1], steps), found)
    return builder.select(there, found, ir.Constant(line.vector, None))


def _near_by_one(builder, line, array, at, table, entry, vecs):
    """`_near`, one value after the other."""
    return _pick(
        builder, line, array, at, table, entry, ir.Constant(ir.VectorType(ir.IntType(1), line.lanes), [1] * line.lanes)
    )


def _steps_of(builder, line, table, entry):
    """A vector of what the table says from the entry on."""
    kind = ir.VectorType(table.element, line.lanes)
    place = pointer_to(builder, kind, table.pointer(builder.add(entry[0], tiles.INT(entry[1])), tiles.INT(line.lanes)))
    return builder.load(place, align=table.align, typ=kind)


def _permuted(builder, line, vector, steps):
    """The lanes of a vector of 32 bytes that the steps name, by their last digits."""
    words = VECTOR_BYTES // 4
    kind, result = ir.VectorType(ir.IntType(32), words), line.vector
    if words != line.lanes:
        # A number of float64 is a pair of lanes.
        steps = builder.shuffle_vector(steps, steps, ir.Constant(kind, [lane // 2 for lane in range(words)]))
        pairs = ir.Constant(kind, [2] * words), ir.Constant(kind, [0, 1] * line.lanes)
        steps = builder.add(builder.mul(steps, pairs[0]), pairs[1])
    floats = ir.VectorType(ir.FloatType(), words)
    return builder.bitcast(
        _call(builder, "llvm.x86.avx2.permps", floats, builder.bitcast(vector, floats), steps), result
    )


def _read(builder, line, memory, at, count):
    """The vectors of a line."""
    width = tiles.INT(line.vecs * line.lanes)
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
    for vector, all_lanes, some in zip(vectors, loaded, parts, strict=True):
        vector.add_incoming(all_lanes, plain_end)
        vector.add_incoming(some, masked_end)
    return vectors


def _read_apart(builder, line, memory, at, apart, count):
    """The vectors of a line of values so far apart, picked out of all that lies between them."""
    wide = tiles.Tile(1, line.vecs * apart, line.dtype)
    # Where others follow, all that lies between them is there, too.
    follow = builder.icmp_signed(">", count, tiles.INT(line.vecs * line.lanes))
    last = builder.add(builder.mul(builder.sub(count, tiles.INT(1)), tiles.INT(apart)), tiles.INT(1))
    vectors = _read(builder, wide, memory, at, builder.select(follow, tiles.INT(wide.vecs * wide.lanes), last))
    kind, most = ir.VectorType(ir.IntType(32), line.lanes), 2 * line.lanes - 1
    picked = []
    for first in range(0, len(vectors), apart):
        found = vectors[first]
        for number in range(1, apart):
            # A lane keeps what was found before, or takes its own of this vector; further ones follow.
            places = [lane * apart - (number - 1) * line.lanes for lane in range(line.lanes)]
            kept = line.lanes if number > 1 else 0
            mask = [min(place, most) if place >= kept else lane for lane, place in enumerate(places)]
            found = builder.shuffle_vector(found, vectors[first + number], ir.Constant(kind, mask))
        picked.append(found)
    return picked


def _gather(builder, line, array, at, table, entry, mask):
    """A vector of values that lie apart, in one instruction."""
    steps = _steps_of(builder, line, table, entry)
    mask = builder.and_(mask, builder.icmp_signed(">=", steps, ir.Constant(steps.type, None)))
    steps = builder.sext(steps, ir.VectorType(tiles.INT, line.lanes))
    start = builder.ptrtoint(array.pointer(at, tiles.INT(0)), tiles.INT)
    steps = builder.mul(steps, ir.Constant(steps.type, [array.align] * line.lanes))
    address = ir.VectorType(ir.PointerType(array.element), line.lanes)
    places = builder.inttoptr(builder.add(_splat(builder, start, line.lanes), steps), address)
    align, zeros = ir.Constant(ir.IntType(32), array.align), ir.Constant(line.vector, None)
    name = f"llvm.masked.gather.{_suffix(line)}.v{line.lanes}p0"
    return _call(builder, name, line.vector, places, align, mask, zeros)


def _pick(builder, line, array, at, table, entry, mask):
    """`_gather`, one value after the other."""
    result, zero = ir.Constant(line.vector, None), ir.Constant(array.element, 0)
    nowhere = pointer_to(builder, array.element, cgutils.global_constant(builder, "zero", zero))
    for lane in range(line.lanes):
        step = table.scalar(builder.add(entry[0], tiles.INT(entry[1] + lane)))
        there = builder.icmp_signed(">=", step, step.type(0))
        there = builder.and_(there, builder.extract_element(mask, ir.IntType(32)(lane)))
        place = array.pointer(
            builder.add(at, builder.sext(step, tiles.INT)), builder.select(there, tiles.INT(1), tiles.INT(0))
        )
        place = builder.select(there, pointer_to(builder, array.element, place), nowhere)
        value = builder.load(place, align=array.align, typ=array.element)
        result = builder.insert_element(result, value, ir.IntType(32)(lane))
    return result


@intrinsic
def line_write(typingctx, line, out, at, count):
    """Write a line to ``out[at:]``, at most ``count`` channels of it."""

    def codegen(context, builder, sig, args):
        value, out, at, count = args
        _store_rows(builder, line, value, Memory(context, builder, sig.args[1], out), lambda _: at, count)
        return context.get_dummy_value()

    return types.void(line, out, at, count), codegen


@intrinsic
def line_more(typingctx, total, line, share):
    """``total + line * share``, a line or a number: in one rounding, whatever LLVM makes of the loop around it."""

    def codegen(context, builder, sig, args):
        sides = [_vectors(context, builder, total, *side) for side in zip(sig.args, args, strict=True)]
        sums = (_fused(builder, total, b, c, a) for a, b, c in zip(*sides, strict=True))
        return _value(context, builder, total, sums)

    return total(total, line, share), codegen


def _beats(builder, line, best):
    """Lanes in which ``line`` is larger than ``best``, or the first NaN."""
    # "Unordered or greater" is true for any NaN.
    return builder.and_(builder.fcmp_unordered(">", line, best), builder.fcmp_ordered("ord", best, best))


def _larger(builder, best, line):
    kind, letter = line.type, "sd"[line.type.count * 8 == VECTOR_BYTES]
    # LLVM would compare, and choose by both comparisons.
    if PERMUTES and VECTOR_BYTES == 64:
        most = _call(builder, f"llvm.x86.avx512.max.p{letter}.512", kind, line, best, ir.IntType(32)(4))
    elif PERMUTES:
        most = _call(builder, f"llvm.x86.avx.max.p{letter}.256", kind, line, best)
    else:
        most = builder.select(builder.fcmp_ordered(">", line, best), line, best)
    # One instruction, and one that does not wait for ``best``.
    return builder.select(builder.fcmp_unordered("uno", line, line), line, most)


@intrinsic
def line_maximum(typingctx, best, line):
    """The larger of two lines, lane by lane; NaN where either is NaN."""

    def codegen(context, builder, sig, args):
        return _each(context, builder, best, lambda b, v: _larger(builder, b, v), *args)

    return best(best, line), codegen


@intrinsic
def line_taps(typingctx, line):
    """Tap 0 in every lane of ``line``."""
    taps = tiles.Tile(1, line.vecs, types.Integer.from_bitwidth(line.dtype.bitwidth))

    def codegen(context, builder, sig, args):
        return ir.Constant(context.get_value_type(taps), None)

    return taps(line), codegen


@intrinsic
def line_first(typingctx, taps, best, line, tap):
    """``tap`` where ``line`` is larger than ``best`` or the first NaN, elsewhere what ``taps`` says."""

    def codegen(context, builder, sig, args):
        number = _number(builder, taps, args[3])

        def first(t, b, v):
            return builder.select(_beats(builder, v, b), number, t)

        return _each(context, builder, taps, first, *args[:3])

    return taps(taps, best, line, tap), codegen


@intrinsic
def line_where(typingctx, taps, tap, line):
    """``line`` where ``taps`` says ``tap``, elsewhere 0."""

    def codegen(context, builder, sig, args):
        number, zeros = _number(builder, taps, args[1]), ir.Constant(line.vector, None)

        def chosen(t, v):
            return builder.select(builder.icmp_signed("==", t, number), v, zeros)

        return _each(context, builder, line, chosen, args[0], args[2])

    return line(taps, tap, line), codegen


def _number(builder, taps, tap):
    """A vector of the number of a tap."""
    integer = taps.vector.element
    return _splat(builder, tap if integer.width == 64 else builder.trunc(tap, integer), taps.lanes)


@intrinsic
def line_lane(typingctx, line, lane):
    """The number in a lane, of those of all vectors."""

    def codegen(context, builder, sig, args):
        place = builder.urem(args[1], tiles.INT(line.lanes))
        found = builder.extract_element(builder.extract_value(args[0], 0), place)
        for i in range(1, line.vecs):
            number = builder.extract_element(builder.extract_value(args[0], i), place)
            found = builder.select(builder.icmp_signed(">=", args[1], tiles.INT(i * line.lanes)), number, found)
        return found

    return line.dtype(line, lane), codegen


@intrinsic
def line_as(typingctx, line, array):
    """A line in the dtype of ``array``."""
    size, wanted = line.dtype.bitwidth, array.dtype.bitwidth
    result = tiles.Tile(1, line.vecs * wanted // size, array.dtype)

    def codegen(context, builder, sig, args):
        parts = [builder.extract_value(args[0], i) for i in range(line.vecs)]
        if wanted > size:
            kind = ir.VectorType(ir.IntType(32), result.lanes)
            firsts = range(0, line.lanes, result.lanes)
            masks = [ir.Constant(kind, [first + lane for lane in range(result.lanes)]) for first in firsts]
            parts = [builder.shuffle_vector(part, part, mask) for part in parts for mask in masks]
            parts = [builder.fpext(part, result.vector) for part in parts]
        elif wanted < size:
            half = ir.VectorType(result.vector.element, line.lanes)
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), result.lanes), list(range(result.lanes)))
            parts = [builder.fptrunc(part, half) for part in parts]
            parts = [builder.shuffle_vector(a, b, lanes) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return _value(context, builder, result, parts)

    return result(line, array), codegen

"""The innermost step: a tile of the output that lives in vector registers while it is summed up.

A tile holds ``ROWS`` output positions by ``VECS`` vectors of output channels, each vector ``VECTOR_BYTES`` wide::

             channel vectors 0 .. VECS-1
    row 0    [ 16 floats ][ 16 floats ]
    row 1    [ 16 floats ][ 16 floats ]
    ...
    row 13   [ 16 floats ][ 16 floats ]

Every convolution is a sum of updates of such a tile. Loading ROWS + VECS values feeds ROWS * VECS fused multiply-adds,
and the sums go to memory once, at the end: that is where the speed comes from. In Python terms::

    tile_outer     tile[r, :] += x[x_at[first + r] + shift] * weights[at : at + VECS*LANES]
    tile_multiply  tile[r, :] += x[x_at[first + r] + shift : ... + VECS*LANES] * weights[at : at + VECS*LANES]

Where channels meet those of their group, a line of ``x`` is taken as often as a group has lanes, each time with another
of these in place of all lanes of its group, and each time with a line of weights of its own.

The rows need not be neighbours: ``x_at`` lists where each row's input starts, so one tile may span the end of an image
row. Arrays are C-contiguous and addressed by flat index, whatever their shape. ``NUMBA_BOUNDSCHECK=1`` checks every
access here as Numba does in plain loops.
"""

from math import gcd

from .memory import Memory, pointer_to, pointers_to
from .vectors import TILE_ROWS, TILE_VECS, VECTOR_BYTES
from .words import cgutils, intrinsic, ir, tiles, types

# Updates before a line of weights is used that it is asked for: they come from L2 or L3 in a long stream.
AHEAD = 16
# Updates that are made at a time where a tile is one vector wide: registers hold that many lines of weights beside it.
RUN = 2 if VECTOR_BYTES == 32 else 4
# Rows that take turns at them, where there are registers for that: as many as have their places in general registers.
TURN = 7 if VECTOR_BYTES == 64 else 1
# Rows of a tile that fills the registers, however many vectors it is wide; or its vectors, however many rows it has.
FULL = 0


@intrinsic(prefer_literal=True)
def tile_rows(typingctx, rows, vecs, bias, at):
    """Tile whose every row is ``bias[at : at + VECS*LANES]``; ROWS and VECS are as `tile_lines` takes them."""
    tile = _tile_of(rows, vecs, bias)

    def codegen(context, builder, sig, args):
        bias = Memory(context, builder, sig.args[2], args[2])
        return _value(context, builder, tile, bias.vectors(args[3], tile) * tile.rows)

    return tile(rows, vecs, bias, at), codegen


@intrinsic(prefer_literal=True)
def tile_lines(typingctx, rows, vecs, x, at, step):
    """Tile whose row r is ``x[at + r*step : at + r*step + VECS*LANES]``.

    ROWS and VECS are known when compiling: constants of a module, or tuples of that length, since Numba compiles anew
    for every length. `FULL` stands for as many rows as the registers hold, or for so many vectors, at most `TILE_VECS`.
    """
    tile = _tile_of(rows, vecs, x)

    def codegen(context, builder, sig, args):
        x = Memory(context, builder, sig.args[2], args[2])
        starts = (builder.add(args[3], builder.mul(args[4], tiles.INT(r))) for r in range(tile.rows))
        return _value(context, builder, tile, [vector for start in starts for vector in x.vectors(start, tile)])

    return tile(rows, vecs, x, at, step), codegen


def _tile_of(rows, vecs, x):
    height, width = (n.count if isinstance(n, types.UniTuple) else n.literal_value for n in (rows, vecs))
    width = width or min(TILE_VECS, TILE_ROWS * TILE_VECS // height)
    return tiles.Tile(height or TILE_ROWS * TILE_VECS // width, width, x.dtype)


def _value(context, builder, tile, vectors):
    """The value of a tile that consists of these vectors, row by row."""
    result = ir.Constant(context.get_value_type(tile), ir.Undefined)
    for i, vector in enumerate(vectors):
        result = builder.insert_value(result, vector, i)
    return result


def _each(context, builder, tile, function, *values):
    """The value of a tile whose vectors are the function of those of other values."""
    each = (function(*(builder.extract_value(value, i) for value in values)) for i in range(tile.rows * tile.vecs))
    return _value(context, builder, tile, each)


@intrinsic
def tile_outer(typingctx, tile, x, x_at, first, shift, weights, at):
    """Rank-1 update: each row adds one value of ``x`` times a line of ``weights``.

    Where lines to come are not its neighbours, ``at`` is a pair: the place, and the step to the next line.
    """

    def codegen(context, builder, sig, args):
        at, step, weights = args[6], tiles.INT(tile.vecs * tile.lanes), Memory(context, builder, sig.args[5], args[5])
        if isinstance(sig.args[6], types.UniTuple):
            at, step = cgutils.unpack_tuple(builder, at)
        weights.prefetch(builder.add(at, builder.mul(step, tiles.INT(AHEAD))), tile.vecs * tile.lanes)
        return _update(context, builder, sig, args, args[3:5], weights.vectors(at, tile))

    return tile(tile, x, x_at, first, shift, weights, at), codegen


@intrinsic
def tile_outer_run(typingctx, tile, x, x_at, first, shift, weights, at):
    """As many times `tile_outer` as `RUN` says: each row adds neighbours of ``x`` times lines of ``weights``.

    Where a tile is one vector wide, places would be half of all that is loaded: here one does for all neighbours.
    """

    def codegen(context, builder, sig, args):
        value, _, _, first, shift, _, at = args
        at, step = cgutils.unpack_tuple(builder, at)
        x, x_at, weights = (Memory(context, builder, sig.args[i], args[i]) for i in (1, 2, 5))
        places = [builder.add(at, builder.mul(step, tiles.INT(k))) for k in range(RUN)]
        ahead = builder.mul(step, tiles.INT(AHEAD))
        lines = []
        for place in places:
            weights.prefetch(builder.add(place, ahead), tile.vecs * tile.lanes)
            lines.append(weights.vectors(place, tile))
        # The updates of one row wait for each other.
        for begin in range(0, tile.rows, TURN):
            rows = range(begin, min(begin + TURN, tile.rows))
            places = [x_at.scalar(builder.add(first, tiles.INT(r))) for r in rows]
            for k in range(RUN):
                for r, place in zip(rows, places, strict=True):
                    factors = _splat_row(tile, x, builder.add(place, tiles.INT(k)), shift)
                    value = _multiply_add(builder, tile, value, r, factors, lines[k])
        return value

    return tile(tile, x, x_at, first, shift, weights, at), codegen


@intrinsic
def is_narrow(typingctx, tile):
    """Whether a tile is one vector wide: a constant."""
    return types.boolean(tile), lambda context, builder, sig, args: ir.Constant(ir.IntType(1), tile.vecs == 1)


@intrinsic
def tile_scale(typingctx, tile, x, x_at, place, line, at, near):
    """`tile_outer` by a line that is near, and not asked for ahead; ``place`` is ``(first, shift)``.

    So many rows, NEAR, a tuple of that length, read neighbours, so that one place does for all of them: where a tile is
    one vector wide, places would be half of all that is loaded. Of a tile whose rows NEAR does not divide, fewer do.
    """

    def codegen(context, builder, sig, args):
        vectors = Memory(context, builder, sig.args[4], args[4]).vectors(args[5], tile)
        place = cgutils.unpack_tuple(builder, args[3])
        return _update(context, builder, sig, args, place, vectors, gcd(tile.rows, near.count))

    return tile(tile, x, x_at, place, line, at, near), codegen


@intrinsic
def tile_multiply(typingctx, tile, x, x_at, place, weights, at, group):
    """Elementwise update: each row adds a line of ``x`` times the same line of ``weights``.

    ``place`` is ``(first, shift)``. GROUP, a tuple of that length, is how many lanes meet each other; their lines of
    weights follow each other.
    """

    def codegen(context, builder, sig, args):
        value, (first, shift), width = args[0], cgutils.unpack_tuple(builder, args[3]), tile.vecs * tile.lanes
        x, x_at, weights = (Memory(context, builder, sig.args[i], args[i]) for i in (1, 2, 4))
        starts = [builder.add(args[5], tiles.INT(i * width)) for i in range(group.count)]
        kernel = [weights.vectors(start, tile) for start in starts]
        for r in range(tile.rows):
            line = x.vectors(x_at.scalar(builder.add(first, tiles.INT(r))), tile, shift)
            for mate, weights in enumerate(kernel):
                factors = _spread(builder, tile, line, len(kernel), mate)
                value = _multiply_add(builder, tile, value, r, factors, weights)
        return value

    return tile(tile, x, x_at, place, weights, at, group), codegen


@intrinsic
def lanes_of(typingctx, x):
    """Values of ``x`` in a vector: a constant, where ``x.itemsize`` would be read, and divided by, when running."""
    return types.int64(x), lambda context, builder, sig, args: tiles.INT(VECTOR_BYTES * 8 // x.dtype.bitwidth)


@intrinsic
def tile_store(typingctx, tile, out, out_at, first, shift, count):
    """Write row r to ``out[out_at[first + r] + shift :]``, at most ``count`` channels of it."""

    def codegen(context, builder, sig, args):
        value, out, out_at, first, shift, count = args
        out = Memory(context, builder, sig.args[1], out)
        out_at = Memory(context, builder, sig.args[2], out_at)

        def place(r):
            return builder.add(out_at.scalar(builder.add(first, tiles.INT(r))), shift)

        _store_rows(builder, tile, value, out, place, count)
        return context.get_dummy_value()

    return types.void(tile, out, out_at, first, shift, count), codegen


@intrinsic
def tile_expect(typingctx, tile, out, out_at, first, shift):
    """Have cache lines brought near that `tile_store` is going to write, for it would wait for those far away."""

    def codegen(context, builder, sig, args):
        out, out_at = (Memory(context, builder, sig.args[i], args[i]) for i in (1, 2))
        for r in range(tile.rows):
            at = builder.add(out_at.scalar(builder.add(args[3], tiles.INT(r))), args[4])
            out.prefetch(at, tile.vecs * tile.lanes, write=True)
        return context.get_dummy_value()

    return types.void(tile, out, out_at, first, shift), codegen


@intrinsic
def tile_add(typingctx, tile, sums, at):
    """Add row r to ``sums[at + r*VECS*LANES :]``."""

    def codegen(context, builder, sig, args):
        to = Memory(context, builder, sig.args[1], args[1])
        for r in range(tile.rows):
            place = builder.add(args[2], tiles.INT(r * tile.vecs * tile.lanes))
            _add_row(builder, to, place, tile, args[0], r)
        return context.get_dummy_value()

    return types.void(tile, sums, at), codegen


@intrinsic
def tile_spread(typingctx, tile, sums, places, first, count):
    """Add row r to ``sums[places[first + r] :]``, one row after the other.

    Only ``count`` channels are added; beyond them there must be room for the rest of the row.
    """

    def codegen(context, builder, sig, args):
        to, places = (Memory(context, builder, sig.args[i], args[i]) for i in (1, 2))
        masks = _masks(builder, tile, args[4])
        for r in range(tile.rows):
            _add_row(builder, to, places.scalar(builder.add(args[3], tiles.INT(r))), tile, args[0], r, masks)
        return context.get_dummy_value()

    return types.void(tile, sums, places, first, count), codegen


def _add_row(builder, sums, at, tile, value, row, masks=None):
    """Add one row, or its lanes under masks, to what lies in memory."""
    lines = pointers_to(builder, tile.vector, sums.pointer(at, tiles.INT(tile.vecs * tile.lanes)), tile.vecs)
    for v, old in enumerate(sums.vectors(at, tile)):
        vector = builder.extract_value(value, row * tile.vecs + v)
        if masks:
            # A sum of zeros and an infinity is NaN, and beyond the channels lie sums of other rows.
            vector = builder.select(masks[v], vector, ir.Constant(tile.vector, None))
        builder.store(builder.fadd(old, vector), lines[v], align=sums.align)


@intrinsic
def tile_write(typingctx, tile, out, at):
    """Write a tile of one row to ``out[at:]``."""

    def codegen(context, builder, sig, args):
        _store_rows(builder, tile, args[0], Memory(context, builder, sig.args[1], args[1]), lambda _: args[2], None)
        return context.get_dummy_value()

    return types.void(tile, out, at), codegen


@intrinsic
def tile_write_part(typingctx, tile, out, at, count):
    """Write a tile of one row to ``out[at:]``, at most ``count`` channels of it."""

    def codegen(context, builder, sig, args):
        out = Memory(context, builder, sig.args[1], args[1])
        _store_rows(builder, tile, args[0], out, lambda _: args[2], args[3])
        return context.get_dummy_value()

    return types.void(tile, out, at, count), codegen


def _vectors(context, builder, tile, kind, value):
    """The vectors of a tile, or as many of a number."""
    if isinstance(kind, tiles.Tile):
        return [builder.extract_value(value, i) for i in range(tile.rows * tile.vecs)]
    return [_splat(builder, context.cast(builder, value, kind, tile.dtype), tile.lanes)] * (tile.rows * tile.vecs)


def _update(context, builder, sig, args, place, line, near=1):
    """tile[r] += x * line, one fused multiply-add per register; of so many rows the first has a place."""
    tile, value, (first, shift) = sig.args[0], args[0], place
    x, x_at = (Memory(context, builder, sig.args[i], args[i]) for i in (1, 2))
    for r in range(tile.rows):
        place = x_at.scalar(builder.add(first, tiles.INT(r - r % near)))
        factors = _splat_row(tile, x, builder.add(place, tiles.INT(r % near)), shift)
        value = _multiply_add(builder, tile, value, r, factors, line)
    return value


def _splat_row(tile, x, where, shift):
    return [_splat(x.builder, x.scalar(where, shift), tile.lanes)] * tile.vecs


def _spread(builder, tile, line, count, mate):
    """A line with one of each ``count`` lanes in place of all of them."""
    if count == 1:
        return line
    numbers = ir.VectorType(ir.IntType(32), tile.lanes)
    lanes = ir.Constant(numbers, [lane - lane % count + mate for lane in range(tile.lanes)])
    return [builder.shuffle_vector(vector, vector, lanes) for vector in line]


def _unknown(builder, number):
    """The same integer, anew at each turn of a loop."""
    return builder.asm(ir.FunctionType(number.type, [number.type]), "", "=r,0", [number], True)


def _fence(builder):
    """Have LLVM do what stands before this first, and read anew after it: it would run out of registers."""
    kind = ir.FunctionType(ir.VoidType(), [])
    builder.asm(kind, "", "~{memory}", [], True)


def _multiply_add(builder, tile, value, row, factors, line):
    """tile[row] += factors * line."""
    for v in range(tile.vecs):
        i = row * tile.vecs + v
        total = _fused(builder, tile, factors[v], line[v], builder.extract_value(value, i))
        value = builder.insert_value(value, total, i)
    return value


def _fused(builder, tile, a, b, c):
    """a * b + c of vectors of a tile, in one rounding."""
    return _call(builder, f"llvm.fmuladd.{_suffix(tile)}", tile.vector, a, b, c)


def _store_rows(builder, tile, value, out, place, count):
    """Store each row at its place, at most ``count`` channels of it, where that is not None."""
    width = tiles.INT(tile.vecs * tile.lanes)

    def stores(written):
        """For each vector of a row, the vectors of all rows and where they go."""
        rows = [pointers_to(builder, tile.vector, out.pointer(place(r), written), tile.vecs) for r in range(tile.rows)]
        vectors = [builder.extract_value(value, i) for i in range(tile.rows * tile.vecs)]
        return [[(vectors[r * tile.vecs + v], row[v]) for r, row in enumerate(rows)] for v in range(tile.vecs)]

    def store_whole():
        for pairs in stores(width):
            for vector, pointer in pairs:
                builder.store(vector, pointer, align=out.align)

    if count is None:
        store_whole()
        return
    with builder.if_else(builder.icmp_signed(">=", count, width), likely=True) as (whole, part):
        with whole:
            store_whole()
        with part:
            for v, pairs in enumerate(stores(count)):
                _store_parts(builder, tile, pairs, builder.sub(count, tiles.INT(v * tile.lanes)), out.align)


def _store_parts(builder, tile, pairs, count, align):
    """Store vectors at pointers, at most so many lanes of each, which may be none or all."""
    if VECTOR_BYTES == 64:
        (mask,), name = _masks(builder, tiles.Tile(1, 1, tile.dtype), count), f"llvm.masked.store.{_suffix(tile)}.p0"
        for vector, pointer in pairs:
            _call(builder, name, ir.VoidType(), vector, pointer, ir.Constant(ir.IntType(32), align), mask)
        return
    # Shorter vectors have slow instructions for that, or none.
    all_lanes, end = tiles.INT(tile.lanes), builder.append_basic_block("stored")
    count = builder.select(builder.icmp_signed("<", count, all_lanes), count, all_lanes)
    cases = builder.switch(count, end)
    for lanes in range(1, tile.lanes + 1):
        some = ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(lanes)))
        block = builder.append_basic_block("store")
        cases.add_case(tiles.INT(lanes), block)
        with builder.goto_block(block):
            for vector, pointer in pairs:
                part = builder.shuffle_vector(vector, vector, some)
                builder.store(part, pointer_to(builder, part.type, pointer), align=align)
            builder.branch(end)
    builder.position_at_end(end)


def _splat(builder, scalar, lanes):
    """A vector of the same value in every lane."""
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    single = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def _masks(builder, tile, count):
    """For each vector of a row, which of its lanes lie below ``count``."""
    limit = _splat(builder, count, tile.lanes)
    numbers = ([v * tile.lanes + lane for lane in range(tile.lanes)] for v in range(tile.vecs))
    return [builder.icmp_signed("<", ir.Constant(limit.type, n), limit) for n in numbers]


def _suffix(tile):
    return f"v{tile.lanes}f{tile.dtype.bitwidth}"


def _call(builder, name, returns, *args):
    # llvmlite's own declare_intrinsic refuses vector types, so the function is declared by its full name.
    kind = ir.FunctionType(returns, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

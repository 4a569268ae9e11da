"""Updates of a tile by several taps in a row, which load each line of neighbouring rows once."""

from .memory import Memory
from .tile import _fence, _multiply_add, _spread, _unknown
from .vectors import EDGE
from .words import cgutils, intrinsic, tiles, types


@intrinsic
def tile_slide(typingctx, tile, x, x_lines, weights, weights_lines, inside, shape):
    """Elementwise updates by several taps: row r takes the lines r, r + 1, ... of ``x``, each times one of ``weights``.

    Lines are where the first begins, and the step from one to the next; of ``x`` also the number of the first, and what
    it grows by. Neighbouring rows share all but one of theirs, so that each is loaded once. Where ``inside`` is a pair,
    lines of numbers below the first and from the second on are zeros, of which there are at most `EDGE` at either end;
    None has all of them read. The shape is (TAPS, GROUP), two tuples of these lengths, the second as `tile_multiply`
    takes it: a tap's lines of weights share its step.
    """

    def codegen(context, builder, sig, args):
        return _slide(context, builder, sig, args, tile.rows, shape[1].count)

    return tile(tile, x, x_lines, weights, weights_lines, inside, shape), codegen


@intrinsic
def tile_slide_apart(typingctx, tile, x, x_lines, weights, weights_lines, inside, shape):
    """`tile_slide` where what the lanes of a group give is kept apart, in rows of its own; the shape is (TAPS, ROWS).

    Each of ROWS is as many as a group has lanes. A tap has one line of weights.
    """

    def codegen(context, builder, sig, args):
        rows = shape[1].count
        return _slide(context, builder, sig, args, rows, tile.rows // rows, True)

    return tile(tile, x, x_lines, weights, weights_lines, inside, shape), codegen


def _slide(context, builder, sig, args, rows, count, apart=False):
    """What `tile_slide` or `tile_slide_apart` does, for groups of ``count`` lanes."""
    tile, taps = sig.args[0], sig.args[6][0].count
    value, inside = args[0], args[5]
    x, weights = (Memory(context, builder, sig.args[i], args[i]) for i in (1, 3))
    (at, step, number, each), (weights_at, weights_step) = (cgutils.unpack_tuple(builder, args[i]) for i in (2, 4))
    if taps == 1:
        # LLVM would work out and spill the places of all rows, even where no loop takes its taps so.
        at = _unknown(builder, at)
    pitch = tiles.INT(0) if apart else builder.sdiv(weights_step, tiles.INT(count))

    def kernel_of(mate):
        places = [builder.add(weights_at, builder.mul(pitch, tiles.INT(mate)))]
        for _ in range(taps - 1):
            places.append(builder.add(places[-1], weights_step))
        return [weights.vectors(place, tile) for place in places]

    # Of each row the sums wait for each other, so two halves of the rows take turns.
    parts, last = 1 if apart or count == 1 else 2, rows + taps - 1 - EDGE
    rows //= parts
    places = [builder.add(at, builder.mul(step, tiles.INT(part * rows))) for part in range(parts)]
    kernel = kernel_of(0)
    for column in range(rows + taps - 1):
        lines = []
        for part in range(parts):
            there, turn = None, part * rows + column
            if sig.args[5] is not types.none and not EDGE <= turn < last:
                low, high = (builder.sub(builder.extract_value(inside, i), number) for i in range(2))
                far = builder.mul(each, tiles.INT(turn))
                there = builder.and_(builder.icmp_signed("<=", low, far), builder.icmp_signed(">", high, far))
            lines.append(x.vectors(places[part], tile, there=there))
            places[part] = builder.add(places[part], step)
        for mate in range(count):
            kernel = kernel if count == 1 or apart else kernel_of(mate)
            for part, line in enumerate(lines):
                factors = _spread(builder, tile, line, count, mate)
                for k in range(max(0, column - rows + 1), min(taps, column + 1)):
                    row = part * rows + column - k
                    row = row * count + mate if apart else row
                    value = _multiply_add(builder, tile, value, row, factors, kernel[k])
        if count > 1:
            _fence(builder)
    return value

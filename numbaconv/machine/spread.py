"""A tile whose rows are added to memory where they may overlap."""

from .memory import Memory, pointers_to
from .tile import _masks
from .words import intrinsic, ir, tiles, types


@intrinsic
def tile_spread(typingctx, tile, sums, places, first, count):
    """Add row r to ``sums[places[first + r] :]``, one row after the other.

    Only ``count`` channels are added; beyond them there must be room for the rest of the row.
    """

    def codegen(context, builder, sig, args):
        tile, (value, _, _, first, count) = sig.args[0], args
        sums, places = (Memory(context, builder, sig.args[i], args[i]) for i in (1, 2))
        masks, zeros = _masks(builder, tile, count), ir.Constant(tile.vector, None)
        width = tiles.INT(tile.vecs * tile.lanes)
        for r in range(tile.rows):
            place = places.scalar(builder.add(first, tiles.INT(r)))
            lines = pointers_to(builder, tile.vector, sums.pointer(place, width), tile.vecs)
            for v, (old, mask) in enumerate(zip(sums.vectors(place, tile), masks, strict=True)):
                # A sum of zeros and an infinity is NaN, and beyond the channels lie sums of other rows.
                vector = builder.select(mask, builder.extract_value(value, r * tile.vecs + v), zeros)
                builder.store(builder.fadd(old, vector), lines[v], align=sums.align)
        return context.get_dummy_value()

    return types.void(tile, sums, places, first, count), codegen

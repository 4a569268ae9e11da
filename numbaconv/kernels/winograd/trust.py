"""Where Winograd's convolution can be trusted: rounding errors of a block beside the inputs of each of its outputs.

All outputs of a block are sums of all its 6x6 inputs, most of which cancel. A value far above the others leaves its
rounding error behind at outputs that do not depend on it. So the kernel compares the size of all inputs with that of
the inputs of every single output, and marks blocks where they are too unlike: those are computed by the plain sum.
"""

import numpy as np

from ...machine.compiler import compiled
from ...machine.memory import ramp
from ...machine.tile import lanes_of, tile_magnitude, tile_rows, tile_smaller, tile_square, tile_totals, tile_write
from ..plan.axes import WINDOWS, D, H, W

# Inputs along each axis of a block.
IN = 6
# Channels that are summed up by themselves: where roundings all fall to one side, their errors grow with the number.
CHANNELS = 64
# Error that an output may have, as a share of the sum of its inputs times the largest weight of its filter.
ALLOWED = 1e-4
# Errors of a block in units of float32's rounding, as `trust_limits` explains: those of values that stand alone, and of
# each channel of equal values and weights. A search for the worst inputs found them.
ERROR, CHANNEL_ERROR = 130.0, 12.0
ROUNDING = 2.0**-24
# Weights and inputs whose products neither underflow nor overflow in any step.
SMALLEST, LARGEST = 1e-30, 1e30


def trust_limits(sums, largest):
    """What the inputs of a block must be for Winograd's rounding errors to be small beside those of the plain sum.

    Let t be the sum of |x| over the channels at one position, and w the largest weight of a filter. The errors of all
    outputs of a block are within ``K * ROUNDING * w * sqrt(sum of t**2 over its 6x6 inputs)``; K was measured with many
    kinds of inputs and weights. It grows with the number of channels that add much, since the roundings of a sum may
    all fall to one side: they are counted by the sum of |weights| / w. An output may be wrong by `ALLOWED` of w times
    the sum of t over its own window. So the root must not exceed a multiple of the least of these sums.

    Parameters
    ----------
    sums : array (blocks, k, k, parts, VECS*LANES)
        Absolute weights of each tap and filter, summed up over each `CHANNELS` channels.
    largest : array (blocks, VECS*LANES)
        Largest absolute weight of each filter.

    Returns
    -------
    tuple of float
        The square of that multiple; the least and the largest sum of squares that leave room for all steps.
    None
        If the weights themselves leave no room for that.
    """
    filters = largest[largest != 0]
    if not np.isfinite(sums).all() or filters.min(initial=1) < SMALLEST or filters.max(initial=1) > LARGEST:
        return None
    many = (sums.max((1, 2, 3), initial=0)[largest != 0] / filters).max(initial=0)
    ratio = ALLOWED / ROUNDING / (ERROR + CHANNEL_ERROR * float(many))
    # The squares are of float32 themselves.
    low = max(1e-15, SMALLEST / float(filters.min(initial=1)))
    high = min(1e18, LARGEST / float(filters.max(initial=1)))
    return ratio**2, low**2, high**2


@compiled
def check_buffers(positions, columns, like):
    """Room for what `find_doubtful` knows of so many strip positions in so many columns, and for its rows of vectors.

    Sums of |x| at each position, the same over the columns of a window, for each column the least sum of a window and
    the sum of squares, and where positions begin.
    """
    spare = 2 * lanes_of(like)
    count = positions + spare + IN
    sums, rows_sums = np.empty(count, like.dtype), np.empty(count, like.dtype)
    least, squares = np.empty(columns + spare, like.dtype), np.empty(columns + spare, like.dtype)
    return sums, rows_sums, least, squares, np.empty(count, np.int64)


@compiled(inline=True)
def _sum_rows(strip, first_row, rows, wide, taps, buffers):
    """|x| summed over all channels, for some rows of strip positions, and these summed over a window's columns."""
    source, start, row, column, padded = strip
    sums, rows_sums, _, _, x_at = buffers
    lanes, count, at, to = lanes_of(sums), rows * wide, start + first_row * row, first_row * wide
    for y in range(rows):
        ramp(x_at, y * wide, at + y * row, column, wide)
    for spare in range(count, count + lanes):
        x_at[spare] = at
    for first in range(0, count, lanes):
        total = tile_square(sums)
        for c in range(0, padded, lanes):
            total = tile_magnitude(total, source, x_at, first, c)
        tile_write(tile_totals(total), sums, to + first)
    for z in range(to, to + count, lanes):
        total = tile_rows(1, 1, sums, z)
        for i in range(z + 1, z + taps):
            total = total + tile_rows(1, 1, sums, i)
        tile_write(total, rows_sums, z)


@compiled(inline=True)
def _sum_columns(buffers, corner, wide, taps, outputs):
    """For every strip column of a row of blocks: all squares, and the smallest sum of a window of its ``outputs``."""
    sums, rows_sums, least, squares, _ = buffers
    for z in range(0, wide, lanes_of(sums)):
        at = corner + z
        line = tile_rows(1, 1, sums, at)
        square = line * line
        for i in range(1, IN):
            line = tile_rows(1, 1, sums, at + i * wide)
            square = square + line * line
        tile_write(square, squares, z)
        smallest = _sum_column(rows_sums, at, wide, taps)
        for i in range(1, outputs):
            smallest = tile_smaller(_sum_column(rows_sums, at + i * wide, wide, taps), smallest)
        tile_write(smallest, least, z)


@compiled(inline=True)
def _sum_column(rows_sums, at, wide, taps):
    total = tile_rows(1, 1, rows_sums, at)
    for i in range(1, taps):
        total = total + tile_rows(1, 1, rows_sums, at + i * wide)
    return total


@compiled(inline=True)
def _sum_blocks(wide, size, least, squares):
    """The same for the blocks that begin in each column."""
    for z in range(0, wide - IN + 1, lanes_of(squares)):
        square, smallest = tile_rows(1, 1, squares, z), tile_rows(1, 1, least, z)
        for i in range(z + 1, z + IN):
            square = square + tile_rows(1, 1, squares, i)
        for i in range(z + 1, z + size):
            smallest = tile_smaller(tile_rows(1, 1, least, i), smallest)
        tile_write(square, squares, z)
        tile_write(smallest, least, z)


@compiled(inline=True)
def find_doubtful(strip, place, size, axes, out_shape, buffers, doubtful, limits):
    """Mark the windows of one row of a block whose rounding errors may be large beside their inputs.

    Rows have to come one after the other.

    Parameters
    ----------
    strip : tuple
        Source of the block's input, where it begins, elements from row to row and from column to column, and channels.
    place : tuple of int
        Image, d, h and w of the block, its columns, and the row.
    size, axes, out_shape, doubtful, limits
        As in `conv_winograd`.
    buffers : tuple
        From `check_buffers`.

    Returns
    -------
    bool
        Whether there are other windows.
    """
    image, d, h, w, columns, y = place
    ratio, low, high = limits
    sums, _, least, squares, _ = buffers
    wide, any_sound, taps, corner = (columns - 1) * size + IN, False, IN + 1 - size, y * size
    # Inputs that the row of blocks before has not read.
    new = corner if y == 0 else corner + IN - size
    _sum_rows(strip, new, corner + IN - new, wide, taps, buffers)
    _sum_columns(buffers, corner * wide, wide, taps, min(size, out_shape[2] - (h + y) * size))
    for z in range(out_shape[3] - w * size, wide):
        least[z] = np.inf
    _sum_blocks(wide, size, least, squares)
    first = ((image * axes[D, WINDOWS] + d) * axes[H, WINDOWS] + h + y) * axes[W, WINDOWS] + w
    for z in range(columns):
        total, smallest = squares[z * size], least[z * size]
        # Written so that a NaN is refused.
        sound = low <= total <= high and total <= ratio * smallest * smallest
        if total == 0:
            sound = _is_empty(sums, corner * wide + z * size, wide)
        doubtful[first + z] = not sound
        any_sound |= sound
    return any_sound


@compiled
def _is_empty(sums, at, wide):
    """Whether all sums of a block are 0, not only their squares."""
    largest = sums[at]
    for y in range(IN):
        for z in range(IN):
            largest = max(largest, sums[at + y * wide + z])
    return largest == 0

"""Where Winograd's convolution can be trusted: rounding errors of a patch beside the inputs of each of its outputs.

All outputs of a patch are sums of all its 6x6 inputs, most of which cancel. A value far above the others leaves its
rounding error behind at outputs that do not depend on it. So the kernel compares the size of all inputs with that of
the inputs of every single output, and marks patches where they are too unlike as doubtful: those are computed by the
plain sum.
"""

import math

import numpy as np

from ...machine.compiler import compiled
from ...machine.lanes import line_less
from ...machine.memory import ramp
from ...machine.square import tile_magnitude, tile_square, tile_totals
from ...machine.tile import lanes_of, tile_rows, tile_write
from ...objects.tuples import NamedTuple
from ..plan.axes import WINDOWS, D, H, W
from ..records import Limits
from ..strip import span
from ..table import WORK
from .points import INPUTS
from .table import HEIGHT, PATCH, WIDTH

# Channels that are summed up by themselves: where roundings all fall to one side, their errors grow with the number.
CHANNELS = 64
# Error that an output may have, as a share of the sum of its inputs times the largest weight of its filter.
ALLOWED = 1e-4
# Errors of a patch in units of float32's rounding, as `trust_limits` explains: those of values that stand alone, and of
# each channel of equal values and weights. A search for the worst inputs found them.
ERROR, CHANNEL_ERROR = 130.0, 12.0
ROUNDING = 2.0**-24
# Weights and inputs whose products neither underflow nor overflow in any step.
SMALLEST, LARGEST = 1e-30, 1e30


class Trust(NamedTuple):
    """Which patches can be trusted."""

    # A mark for each patch that may not, those of a phase as an array (N, D, H, W); if it is empty, nobody asks.
    doubtful: np.ndarray
    limits: Limits


class Sums(NamedTuple):
    """What `find_doubtful` knows of the strip positions of a block."""

    # Sum of |x| over the channels of each position, and these summed over the columns of a window.
    positions: np.ndarray
    rows: np.ndarray
    # For each column of a row of patches, the least sum of its windows, and the sum of all squares.
    least: np.ndarray
    squares: np.ndarray
    # Where positions begin in the source.
    x_at: np.ndarray


def trust_limits(many, least, most):
    """What the inputs of a patch must be for Winograd's rounding errors to be small beside those of the plain sum.

    Let t be the sum of |x| over the channels at one position, and w the largest weight of a filter. The errors of all
    outputs of a patch are within ``K * ROUNDING * w * sqrt(sum of t**2 over its 6x6 inputs)``; K was measured with many
    kinds of inputs and weights. It grows with the number of channels that add much, since the roundings of a sum may
    all fall to one side: they are counted by the sum of |weights| / w. An output may be wrong by `ALLOWED` of w times
    the sum of t over its own window. So the root must not exceed a multiple of the least of these sums.

    ``many`` is the largest sum of |weights| / w, over `CHANNELS` channels of a tap, infinite if a weight or sum is not
    finite; ``least`` and ``most`` are the least w of all filters that are not all 0, and the largest, at most and at
    least 1. The `Limits` are the square of that multiple, and the least and the largest sum of squares that leave room
    for all steps; None if the weights themselves leave no room.
    """
    if many == math.inf or least < SMALLEST or most > LARGEST:
        return None
    ratio = ALLOWED / ROUNDING / (ERROR + CHANNEL_ERROR * many)
    # The squares are of float32 themselves.
    low, high = max(1e-15, SMALLEST / least), min(1e18, LARGEST / most)
    return Limits(ratio**2, low**2, high**2)


@compiled
def room_for_sums(plan, block, like):
    """New `Sums` for a block, with room for whole vectors past the end."""
    columns = span(plan, W, block.columns)
    spare = 2 * lanes_of(like)
    count = span(plan, H, block.rows) * columns + spare + INPUTS
    positions, rows = np.empty(count, like.dtype), np.empty(count, like.dtype)
    least, squares = np.empty(columns + spare, like.dtype), np.empty(columns + spare, like.dtype)
    return Sums(positions, rows, least, squares, np.empty(count, np.int64))


@compiled(inline=True)
def find_doubtful(source, channels, block, row, schemes, sums, trust, plan):
    """Mark the patches of one row of a block whose rounding errors may be large beside their inputs.

    Returns whether there are others. The block has one image; its rows have to come one after the other, for what those
    before have left in ``sums`` is used.
    """
    limits, (height, width), wide = trust.limits, schemes, span(plan, W, block.columns)
    outputs, lines = width.outputs, height.outputs + height.taps - 1
    corner = row * height.outputs
    # Inputs that the row of patches before has not read.
    new = corner if row == 0 else corner + lines - height.outputs
    _sum_rows(source, channels, new, corner + lines - new, wide, width.taps, sums)
    rows = min(height.outputs, plan[WORK, HEIGHT] - (block.h + row) * height.outputs)
    _sum_columns(sums, corner * wide, wide, height.taps, (lines, rows))
    for column in range(plan[WORK, WIDTH] - block.w * outputs, wide):
        sums.least[column] = np.inf
    _sum_patches(sums, wide, outputs)
    any_sound = False
    first = ((block.n * plan[D, WINDOWS] + block.d) * plan[H, WINDOWS] + block.h + row) * plan[W, WINDOWS] + block.w
    first += plan[WORK, PATCH]
    for column in range(block.columns):
        total, smallest = sums.squares[column * outputs], sums.least[column * outputs]
        # Written so that a NaN is refused.
        sound = limits.least <= total <= limits.largest and total <= limits.ratio * smallest * smallest
        if total == 0:
            sound = _is_empty(sums.positions, corner * wide + column * outputs, wide, lines)
        trust.doubtful[first + column] = not sound
        any_sound |= sound
    return any_sound


@compiled(inline=True)
def _sum_rows(source, channels, first_row, rows, wide, taps, sums):
    """|x| summed over the channels, for some rows of strip positions, and these summed over a window's columns."""
    lanes, count, to = lanes_of(sums.positions), rows * wide, first_row * wide
    at = source.start + first_row * source.row
    for y in range(rows):
        ramp(sums.x_at, y * wide, at + y * source.row, source.column, wide)
    for spare in range(count, count + lanes):
        sums.x_at[spare] = at
    for first in range(0, count, lanes):
        total = tile_square(sums.positions)
        for c in range(0, channels, lanes):
            total = tile_magnitude(total, source.array, sums.x_at, first, c)
        tile_write(tile_totals(total), sums.positions, to + first)
    for z in range(to, to + count, lanes):
        total = tile_rows(1, 1, sums.positions, z)
        for i in range(z + 1, z + taps):
            total = total + tile_rows(1, 1, sums.positions, i)
        tile_write(total, sums.rows, z)


@compiled(inline=True)
def _sum_columns(sums, corner, wide, taps, rows):
    """For every strip column of a row of patches: all squares, and the smallest sum of a window.

    ``rows`` are those of inputs, and of outputs.
    """
    lines, outputs = rows
    for z in range(0, wide, lanes_of(sums.positions)):
        at = corner + z
        line = tile_rows(1, 1, sums.positions, at)
        square = line * line
        for i in range(1, lines):
            line = tile_rows(1, 1, sums.positions, at + i * wide)
            square = square + line * line
        tile_write(square, sums.squares, z)
        smallest = _sum_column(sums.rows, at, wide, taps)
        for i in range(1, outputs):
            column = _sum_column(sums.rows, at + i * wide, wide, taps)
            smallest = line_less(column, smallest, column, smallest)
        tile_write(smallest, sums.least, z)


@compiled(inline=True)
def _sum_column(rows, at, wide, taps):
    total = tile_rows(1, 1, rows, at)
    for i in range(1, taps):
        total = total + tile_rows(1, 1, rows, at + i * wide)
    return total


@compiled(inline=True)
def _sum_patches(sums, wide, outputs):
    """The same for the patches that begin in each column."""
    least, squares = sums.least, sums.squares
    for z in range(0, wide - INPUTS + 1, lanes_of(squares)):
        square, smallest = tile_rows(1, 1, squares, z), tile_rows(1, 1, least, z)
        for i in range(z + 1, z + INPUTS):
            square = square + tile_rows(1, 1, squares, i)
        for i in range(z + 1, z + outputs):
            column = tile_rows(1, 1, least, i)
            smallest = line_less(column, smallest, column, smallest)
        tile_write(square, squares, z)
        tile_write(smallest, least, z)


@compiled
def _is_empty(sums, at, wide, lines):
    """Whether all sums of a patch are 0, not only their squares."""
    largest = sums[at]
    for y in range(lines):
        for z in range(INPUTS):
            largest = max(largest, sums[at + y * wide + z])
    return largest == 0

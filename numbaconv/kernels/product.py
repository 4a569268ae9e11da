"""Products of matrices that are small in one way, computed as they lie: nobody has to pack or to turn them."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import RAMP, clear, copy, ramp
from ..machine.square import tile_dots, tile_square, tile_totals
from ..machine.tile import lanes_of, tile_outer, tile_rows, tile_store, tile_write
from ..machine.words import prange
from .records import Line
from .strip import aligned_flat

# Rows of a tile of `outer`: it is wide and low, so that results are written in a stream.
ROWS = 2


@compiled(parallel=True)
def outer(a, steps, b, shape, out, vecs, block):
    """``out[i*J + j] = sum over k of a[i*row + k*column] * b[k*J + j]`` for few k; a task has so many rows.

    Parameters
    ----------
    a, b, out : array (elements,)
        ``out`` is written in full.
    steps : tuple of int
        ``row`` and ``column``: of a matrix, or of one turned round.
    shape : tuple of int
        I, K and J.
    vecs : tuple
        As long as a row of the tile has vectors.
    block : int

    Notes
    -----
    Bound by the stores of ``out``.
    """
    for task in prange(-(-shape[0] // block)):
        first = np.int64(task) * block
        _outer_rows(a, steps, b, shape, out, vecs, first, min(block, shape[0] - first))


@compiled
def _outer_rows(a, steps, b, shape, out, vecs, first, count):
    (_, depth, columns), width = shape, len(vecs) * lanes_of(b)
    a_at, out_at = np.empty(count + ROWS + RAMP, np.int64), np.empty(count + ROWS + RAMP, np.int64)
    ramp(a_at, 0, first * steps[0], steps[0], count)
    ramp(out_at, 0, first * columns, columns, count)
    for spare in range(count, count + ROWS):
        # The last once more.
        a_at[spare], out_at[spare] = a_at[count - 1], out_at[count - 1]
    zeros, whole = np.zeros(width, b.dtype), columns // width * width
    # Of columns that fill no tile, a copy has room for one.
    rest, start = aligned_flat(depth * width, b)
    clear(rest, start, depth * width)
    for k in range(depth):
        copy(rest, start + k * width, b, k * columns + whole, columns - whole)
    for i in range(0, count, ROWS):
        for j in range(0, columns, width):
            line = Line(b, j, columns) if j < whole else Line(rest, start, width)
            tile, at = tile_rows(ROWS, vecs, zeros, 0), line.at
            for k in range(depth):
                tile = tile_outer(tile, a, a_at, i, k * steps[1], line.array, (at, line.step))
                at += line.step
            tile_store(tile, out, out_at, i, j, columns - j)


@compiled(parallel=True)
def dots(a, b, shape, out, filters, block):
    """``out[i*J + j] = sum over k of a[i*K + k] * b[j*K + k]`` for a few i; a task has so many columns.

    Parameters
    ----------
    a, b, out : array (elements,)
        ``out`` is written in full.
    shape : tuple of int
        I, K and J.
    filters : tuple
        As long as there may be rows.
    block : int

    Notes
    -----
    Bound by loading ``b``.
    """
    for task in prange(-(-shape[2] // block)):
        first = np.int64(task) * block
        _dots_columns(a, b, shape, out, filters, first, min(block, shape[2] - first))


@compiled
def _dots_columns(a, b, shape, out, filters, first, count):
    (rows, depth, columns), lanes, together = shape, lanes_of(b), len(filters)
    side, lines, width = lanes // together, -(-depth // lanes), together * lanes
    b_at = np.empty(count + side + RAMP, np.int64)
    ramp(b_at, 0, first * depth, depth, count)
    for spare in range(count, count + side):
        b_at[spare] = b_at[count - 1]
    # Rows lie line by line side by side, the last line filled up with zeros.
    packed, start = aligned_flat(lines * width, a)
    clear(packed, start, lines * width)
    for i in range(rows):
        for line in range(lines):
            at, filled = line * lanes, min(lanes, depth - line * lanes)
            copy(packed, start + line * width + i * lanes, a, i * depth + at, filled)
    totals, totals_at = aligned_flat(lanes, a)
    for j in range(0, count, side):
        square = tile_square(b)
        for line in range(depth // lanes):
            square = tile_dots(square, filters, b, (b_at, j, line * lanes), packed, start + line * width, None)
        if depth % lanes:
            line = lines - 1
            place = b_at, j, line * lanes
            square = tile_dots(square, filters, b, place, packed, start + line * width, depth % lanes)
        tile_write(tile_totals(square), totals, totals_at)
        for i in range(rows):
            for r in range(min(side, count - j)):
                out[i * columns + first + j + r] = totals[totals_at + r * together + i]

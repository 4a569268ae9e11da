"""Products of matrices that are small in one way, computed as they lie: nobody has to pack or to turn them."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import tile_finish
from ..machine.line import line_gather, line_read, line_write
from ..machine.memory import clear, copy
from ..machine.square import tile_dots, tile_square, tile_totals
from ..machine.tile import lanes_of, tile_rows, tile_scale, tile_store, tile_write
from ..machine.vectors import LINE, WIDE
from ..machine.words import prange
from .ending import end_line, end_rows
from .records import Epilogue, Line
from .strip import aligned_flat, evenly

# Rows of a tile of `outer`, which is wide and low, so that results are written in few streams; vectors of a narrow one.
ONE, PAIR, HALF = (0,), (0, 0), len(WIDE) // 2
# Elements of ``b`` that all rows of a task meet before the next ones do: they stay in the L1 cache.
NEAR = 6 * 1024


@compiled(parallel=True)
def outer(a, b, sizes, bias, limits, out, vecs, block):
    """``out[n, i, j] = bias + sum over k of a[i*row + k*column] * b[n, k, j]`` for few i or few k.

    Bound by the stores of ``out``, or by loads where there are more than a few k. The arrays are flat. ``sizes`` are N,
    I, K and J, then ``row`` and ``column`` of ``a``, a matrix or one turned round, whether the bias is that of each j,
    for otherwise it is that of each i, or there is none, and how many matrices ``a`` has, which take turns from one n
    to the next. The limits are what smaller sums become, and larger ones; ``vecs`` is `machine.vectors.WIDE`,
    ``block`` rows and columns of a task.
    """
    rows, columns = -(-sizes[1] // block[0]), -(-sizes[3] // block[1])
    for task in prange(sizes[0] * rows * columns):
        part = np.int64(task) % (rows * columns)
        image, row, left = np.int64(task) // (rows * columns), part // columns * block[0], part % columns * block[1]
        place = image, row, min(block[0], sizes[1] - row), left, min(left + block[1], sizes[3])
        _outer_task(a, b, sizes, bias, limits, out, vecs, place)


@compiled
def _outer_task(a, b, sizes, bias, limits, out, vecs, place):
    # Spare rows, and columns, would take as long as others.
    if place[2] > 1:
        _outer_part(a, b, sizes, bias, limits, out, (PAIR, vecs), place)
    elif place[4] - place[3] > HALF * lanes_of(b):
        _outer_part(a, b, sizes, bias, limits, out, (ONE, vecs), place)
    else:
        _outer_part(a, b, sizes, bias, limits, out, (ONE, vecs[:HALF]), place)


@compiled
def _outer_part(a, b, sizes, bias, limits, out, shape, place):
    (_, rows, depth, columns), steps, (height, vecs) = sizes[:4], sizes[4:6], shape
    image, row, count, left, right = place
    width, tall = len(vecs) * lanes_of(b), len(height)
    b_at, of_all = image * depth * columns, image % sizes[7] * rows + row
    numbers, a_at = evenly(of_all, 1, count, tall), evenly(of_all * steps[0], steps[0], count, tall)
    out_at = evenly((image * rows + row) * columns, columns, count, tall)
    ones, of_columns = np.ones(width, b.dtype), bias.size > 0 and sizes[6]
    begun = np.zeros(right - left + width if of_columns else width, b.dtype)
    if of_columns:
        copy(begun, 0, bias, left, right - left)
    # The last tile reaches back to be full. Of fewer columns, it reads of the next row, too, and at the end a copy.
    whole, end = right - width, depth
    if whole < left:
        end = max(0, min(depth, (b.size - width - b_at - left) // columns + 1))
    rest, start = aligned_flat((depth - end) * width, b)
    clear(rest, start, (depth - end) * width)
    for k in range(end, depth):
        copy(rest, start + (k - end) * width, b, b_at + k * columns + left, right - left)
    near = max(1, NEAR // max(1, depth * width)) * width
    for first in range(left, right, near):
        for i in range(0, count, tall):
            for there in range(first, min(first + near, right), width):
                j = max(left, min(there, whole))
                tile, at = tile_rows(height, vecs, begun, j - left if of_columns else 0), b_at + j
                if bias.size and not of_columns:
                    tile = tile_scale(tile, bias, numbers, (i, 0), ones, 0, (0,))
                for k in range(end):
                    tile = tile_scale(tile, a, a_at, (i, k * steps[1]), b, at, (0,))
                    at += columns
                for k in range(end, depth):
                    line = start + (k - end) * width
                    tile = tile_scale(tile, a, a_at, (i, k * steps[1]), rest, line, (0,))
                tile_store(tile_finish(tile, limits[0], limits[1]), out, out_at, i, j, right - j)


@compiled(parallel=True)
def dots(a, b, shape, out, filters, block):
    """``out[i*J + j] = sum over k of a[i*K + k] * b[j*K + k]`` for a few i; a task has so many columns.

    Bound by loading ``b``. The shape is (I, K, J), and ``filters`` is a tuple as long as there may be rows.
    """
    for task in prange(-(-shape[2] // block)):
        first = np.int64(task) * block
        _dots_columns(a, b, shape, out, filters, first, min(block, shape[2] - first))


@compiled
def _dots_columns(a, b, shape, out, filters, first, count):
    (rows, depth, columns), lanes, together = shape, lanes_of(b), len(filters)
    side, lines, width = lanes // together, -(-depth // lanes), together * lanes
    b_at = evenly(first * depth, depth, count, side)
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


@compiled(parallel=True)
def add_up(rows, epilogue, out, starts, at, sizes):
    """``out[n, p, f] = bias[f] + sum over j of rows[n, at[j], f]`` for j from ``starts[p]`` to ``starts[p + 1]``.

    Bound by memory. ``sizes`` are rows and pixels of an image, filters, and pixels of a task.
    """
    lines, pixels, filters, block = sizes
    parts = -(-pixels // block)
    for task in prange(len(out) // (pixels * filters) * parts):
        image, first, ending = np.int64(task) // parts, np.int64(task) % parts * block, Epilogue(*epilogue)
        for pixel in range(first, min(first + block, pixels)):
            for f in range(0, filters, lanes_of(rows)):
                total = line_read(1, ending.bias, f, filters - f)
                for j in range(starts[pixel], starts[pixel + 1]):
                    total = total + line_read(1, rows, (image * lines + at[j]) * filters + f, filters - f)
                end_line(total, out, (image * pixels + pixel) * filters + f, filters - f, ending)


@compiled(parallel=True)
def add_up_few(rows, epilogue, out, table, sizes):
    """`add_up` of few filters: vectors run over pixels, too. Bound by gathering.

    The int32 table has for each value of an image its filter, then where the first that it adds lies, then the second
    one, and so on, -1 for none; and room for a line. ``sizes`` are values of an image in ``rows`` and in ``out``, those
    that each adds at most, and values of a task, whole lines.
    """
    lines, values, depth, block = sizes
    parts = -(-values // block)
    for task in prange(len(out) // values * parts):
        image, first, ending = np.int64(task) // parts, np.int64(task) % parts * block, Epilogue(*epilogue)
        sums, at = aligned_flat(block, rows)
        end = min(first + block, values)
        for j in range(first, end, LINE):
            total = line_gather(ending.bias, 0, table, j, end - j)
            for k in range(1, depth + 1):
                total = total + line_gather(rows, image * lines, table, k * values + j, end - j)
            line_write(total, sums, at + j - first, end - j)
        end_rows(Line(sums, at, 0), Line(out, image * values + first, 0), 1, end - first, ending)

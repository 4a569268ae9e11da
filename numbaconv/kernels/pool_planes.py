"""Pooling of rows that are windows; and gradients of the maximum of small images of few channels, or of planes.

Of groups of these, with a table of where taps lie, windows lie side by side, so that they fill vectors however short
rows are, and are gathered tap by tap.
"""

from math import prod

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import line_keep
from ..machine.line import line_as, line_first, line_gather, line_maximum, line_taps, line_write
from ..machine.memory import clear
from ..machine.rows import line_tops
from ..machine.square import tile_totals
from ..machine.tile import tile_lines, tile_write
from ..machine.vectors import LINE, VECTOR_BYTES
from ..machine.words import prange
from .strip import aligned_flat

# Entries of a table of taps, at most, and taps of a window for which there is one; lines of windows in it, at least.
MOST_ENTRIES, MOST_TAPS, LINES = 32_768, 64, 4
# Sums in float64 that a vector holds.
SUMS = VECTOR_BYTES // 8


@compiled(parallel=True)
def average_rows(x, out, like, length, rows):
    """``out[r]`` is the average of row r of ``x``, which has so many values; ``like`` has the dtype of their sums.

    Bound by memory. Lanes of many rows are added up together, so that short rows fill vectors, too. A task takes so
    many rows, whole lines of them.
    """
    for task in prange(-(-len(out) // rows)):
        begin, (sums, at) = np.int64(task) * rows, aligned_flat((LINE + 1) * LINE, like)
        end, totals = min(begin + rows, len(out)), at + LINE * LINE
        for first in range(begin, end, LINE):
            for r in range(min(LINE, end - first)):
                line_write(_lane_sums(x, (first + r) * length, length, like), sums, at + r * LINE, LINE)
            for r in range(0, LINE, SUMS):
                tile = tile_lines(SUMS, 1, sums, at + r * LINE, LINE)
                for part in range(SUMS, LINE, SUMS):
                    tile = tile + tile_lines(SUMS, 1, sums, at + r * LINE + part, LINE)
                tile_write(tile_totals(tile), sums, totals + r)
            means = line_gather(sums, totals, None, 0, LINE) / np.float64(length)
            line_write(line_as(means, out), out, first, end - first)


@compiled(parallel=True)
def max_rows(x, out, length, rows):
    """`average_rows` for the largest value of each, or NaN where one is NaN."""
    for task in prange(-(-len(out) // rows)):
        begin, (lines, at), side = np.int64(task) * rows, aligned_flat(LINE * LINE, x), VECTOR_BYTES // x.itemsize
        end = min(begin + rows, len(out))
        for first in range(begin, end, side):
            for r in range(min(side, end - first)):
                line_write(_lane_tops(x, (first + r) * length, length), lines, at + r * LINE, LINE)
            line_write(line_tops(lines, at), out, first, end - first)


@compiled(inline=True)
def _lane_tops(x, at, length):
    """The largest of so many values that lie side by side, lane by lane."""
    best, j = line_keep(line_gather(x, at, None, 0, length), length, -np.inf), LINE
    while j + 4 * LINE <= length:
        a, b = line_gather(x, at, None, j, LINE), line_gather(x, at, None, j + LINE, LINE)
        c, d = line_gather(x, at, None, j + 2 * LINE, LINE), line_gather(x, at, None, j + 3 * LINE, LINE)
        best = line_maximum(best, line_maximum(line_maximum(a, b), line_maximum(c, d)))
        j += 4 * LINE
    while j < length:
        # The last line begins before the one before it ends.
        best = line_maximum(best, line_gather(x, at, None, min(j, length - LINE), LINE))
        j += LINE
    return best


@compiled(inline=True)
def _lane_sums(x, at, length, like):
    """So many values that lie side by side, added up lane by lane in the dtype of ``like``."""
    total, j = line_as(line_gather(x, at, None, 0, length), like), LINE
    # Each sum waits for the one before it. Of lines that are whole the compiler has to know it.
    while j + 4 * LINE <= length:
        a, b = line_gather(x, at, None, j, LINE), line_gather(x, at, None, j + LINE, LINE)
        c, d = line_gather(x, at, None, j + 2 * LINE, LINE), line_gather(x, at, None, j + 3 * LINE, LINE)
        total = total + ((line_as(a, like) + line_as(b, like)) + (line_as(c, like) + line_as(d, like)))
        j += 4 * LINE
    while j < length:
        total = total + line_as(line_gather(x, at, None, j, length - j), like)
        j += LINE
    return total


@compiled(parallel=True)
def max_pool_planes_grad(x, grad_out, out, table, places, sizes):
    """`pool_grad.max_pool_grad` of groups of images, with the same bits.

    Bound by gathering ``x``. Sums run through the windows in order. The table is from `taps_table`; ``sizes`` are
    values and windows of a group, taps of a window and groups of a task; and ``places`` is any array of integers as
    long as the values.
    """
    values, windows, taps, groups = sizes
    for task in prange(-(-len(x) // (values * groups))):
        chosen = np.empty(LINE, places.dtype)
        first = np.int64(task) * groups
        clear(out, first * values, min(groups * values, len(x) - first * values))
        for group in range(first, min(first + groups, -(-len(x) // values))):
            at, source = group * values, group * windows
            count = min(windows, len(grad_out) - source)
            for j in range(0, count, LINE):
                left = count - j
                best = line_gather(x, at, table, j, left)
                tap = line_taps(best)
                for k in range(1, taps):
                    line = line_gather(x, at, table, k * windows + j, left)
                    tap = line_first(tap, best, line, k)
                    best = line_maximum(best, line)
                line_write(tap, chosen, 0, LINE)
                for i in range(np.uint64(min(LINE, left))):
                    # Numba asks of signed places whether they count from the end.
                    place = np.uint64(chosen[i]) * np.uint64(windows) + np.uint64(j) + i
                    out[np.uint64(at + table[place])] += grad_out[np.uint64(source + j) + i]


def taps_table(lengths, ends, channels):
    """Where the taps of all windows of an image lie, and how many images make a group; None if that is too much.

    ``lengths`` are those of the image's spatial axes, ``ends`` the `pool.window_ends` of each. Windows that have fewer
    taps than others have some of them more than once. The int32 table has first taps of all windows of a group, then
    second ones, and so on, and room for a line. With it come values and windows of a group, and taps of a window.
    """
    most = [int((e[:, 1] - e[:, 0]).max(initial=0)) for e in ends]
    taps, windows, values = prod(most), prod(map(len, ends)) * channels, prod(lengths) * channels
    if not windows or not 0 < taps <= MOST_TAPS or taps * windows > MOST_ENTRIES:
        return None
    images = max(1, min(LINES * LINE // windows, MOST_ENTRIES // (taps * windows)))
    places = np.zeros((1, 1), np.int64)
    for length, end, count in zip(lengths, ends, most, strict=True):
        at = np.minimum(end[:, 0] + np.arange(count)[:, None], end[:, 1] - 1)
        places = places[:, None, :, None] * length + at[None, :, None, :]
        places = places.reshape(places.shape[0] * places.shape[1], -1)
    group = places[:, None, :, None] * channels + np.arange(channels) + np.arange(images)[:, None, None] * values
    table = np.append(group, np.zeros(LINE)).astype(np.int32)
    return table, (images * values, images * windows, taps)

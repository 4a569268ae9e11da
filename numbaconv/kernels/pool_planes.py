"""Pooling of planes by rows of windows; and gradients of the maximum of small images of few channels, or of planes.

Of groups of these, with a table of where taps lie, windows lie side by side, so that they fill vectors however short
rows are, and are gathered tap by tap.
"""

from math import prod
from operator import add

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import line_keep
from ..machine.line import line_as, line_first, line_gather, line_maximum, line_taps, line_write
from ..machine.memory import clear, ramp
from ..machine.square import tile_places, tile_share, tile_tops, tile_totals
from ..machine.tile import lanes_of, tile_write, tile_write_part
from ..machine.vectors import LINE
from ..machine.words import prange
from .strip import aligned_flat

# Values of a row that is read for itself: a square of long ones is no stream that memory follows.
LONG = 128
# Rows of which a vector holds parts, where they are short.
WHOLE, HALF, QUARTER = (0,), (0,) * 2, (0,) * 4
# Entries of a table of taps, at most, and taps of a window for which there is one; lines of windows in it, at least.
MOST_ENTRIES, MOST_TAPS, LINES = 32_768, 64, 4


@compiled(parallel=True)
def average_rows(x, out, like, starts, taps, sizes):
    """``out[n, w]`` is the average of window w of image n, rows of which lie at ``starts[w]`` plus ``taps``.

    Bound by memory. A square of windows is added up lane by lane in the dtype of ``like``, then across lanes. ``sizes``
    are values of an image and of a row, and windows of a task, whole lines of them.
    """
    image, length, rows = sizes
    for task in prange(-(-len(out) // rows)):
        begin, (sums, at) = np.int64(task) * rows, aligned_flat((LINE + 1) * LINE, like)
        end, (places, there) = min(begin + rows, len(out)), aligned_flat(3 * LINE, taps)
        room = sums, at + LINE, there + 2 * LINE
        for first in range(begin, end, LINE):
            _find(places, there, starts, image, first, end)
            for part in range(0, LINE, lanes_of(like)):
                line = _join_rows(x, (places, there + part, taps, length), room, 0.0, add, tile_totals)
                tile_write(line, sums, at + part)
            means = line_gather(sums, at, None, 0, LINE) / np.float64(length * len(taps))
            line_write(line_as(means, out), out, first, end - first)


@compiled(parallel=True)
def max_rows(x, out, starts, taps, sizes):
    """`average_rows` for the largest value of each, or NaN where one is NaN."""
    image, length, rows = sizes
    for task in prange(-(-len(out) // rows)):
        begin, (lines, at) = np.int64(task) * rows, aligned_flat(LINE * LINE, x)
        end, (places, there) = min(begin + rows, len(out)), aligned_flat(3 * LINE, taps)
        room = lines, at, there + 2 * LINE
        for first in range(begin, end, LINE):
            _find(places, there, starts, image, first, end)
            for part in range(0, min(LINE, end - first), lanes_of(x)):
                line = _join_rows(x, (places, there + part, taps, length), room, -np.inf, line_maximum, tile_tops)
                tile_write_part(line, out, first + part, end - first - part)


@compiled(inline=True, counted=False)
def _find(places, there, starts, image, first, end):
    """Where a line of windows begin; the last one stands for those beyond the end."""
    windows = len(starts)
    if windows == 1:
        ramp(places, there, first * image + starts[0], image, LINE)
    else:
        n, w = first // windows, first % windows
        for r in range(LINE):
            places[there + r] = n * image + starts[w]
            w += 1
            if w == windows:
                n, w = n + 1, 0
    for r in range(end - first, LINE):
        places[there + r] = places[there + end - first - 1]


@compiled(inline=True, counted=False)
def _join_rows(x, where, room, least, join, fold):
    """A vector of what becomes of as many windows; ``least`` stands for values that are not there.

    The room is for a square of lines, of the dtype of sums, and for their places.
    """
    (places, first, taps, length), like = where, room[0]
    side = lanes_of(like)
    if length >= LONG:
        return _join_long_rows(x, where, room, least, join, fold)
    if 4 * length <= side:
        return _join_short_rows(x, where, like, QUARTER, least, join, fold)
    if 2 * length <= side:
        return _join_short_rows(x, where, like, HALF, least, join, fold)
    if length < side:
        return _join_short_rows(x, where, like, WHOLE, least, join, fold)
    end = length // side * side
    square = tile_places(tile_share(like, WHOLE), x, places, first, taps[0], None, least)
    for k in range(len(taps)):
        for j in range(0 if k else side, end, side):
            square = join(square, tile_places(square, x, places, first, taps[k] + j, None, least))
        if end < length:
            square = join(square, tile_places(square, x, places, first, taps[k] + end, length - end, least))
    return fold(square)


@compiled(inline=True, counted=False)
def _join_long_rows(x, where, room, least, join, fold):
    """`_join_rows` of one row after the other, in the order in which memory has them."""
    (places, first, taps, length), (lines, at, there) = where, room
    side = lanes_of(lines)
    for r in range(side):
        total = _row_line(x, places[first + r] + taps[0], length, lines, least, join)
        for k in range(1, len(taps)):
            total = join(total, _row_line(x, places[first + r] + taps[k], length, lines, least, join))
        line_write(total, lines, at + r * LINE, LINE)
    ramp(places, there, at, LINE, LINE)
    square = tile_places(tile_share(lines, WHOLE), lines, places, there, 0, None, least)
    for part in range(side, LINE, side):
        square = join(square, tile_places(square, lines, places, there, part, None, least))
    return fold(square)


@compiled(inline=True, counted=False)
def _row_line(x, at, length, like, least, join):
    """A line of what becomes of a row, lane by lane."""
    total, j = line_as(line_gather(x, at, None, 0, LINE), like), LINE
    # Each waits for the one before it.
    while j + 4 * LINE <= length:
        a, b = line_gather(x, at, None, j, LINE), line_gather(x, at, None, j + LINE, LINE)
        c, d = line_gather(x, at, None, j + 2 * LINE, LINE), line_gather(x, at, None, j + 3 * LINE, LINE)
        two = join(line_as(a, like), line_as(b, like))
        total = join(total, join(two, join(line_as(c, like), line_as(d, like))))
        j += 4 * LINE
    while j < length:
        line = line_as(line_gather(x, at, None, j, length - j), like)
        total = join(total, line_keep(line, length - j, least))
        j += LINE
    return total


@compiled(inline=True, counted=False)
def _join_short_rows(x, where, like, share, least, join, fold):
    places, first, taps, length = where
    square = tile_places(tile_share(like, share), x, places, first, taps[0], length, least)
    for k in range(1, len(taps)):
        square = join(square, tile_places(square, x, places, first, taps[k], length, least))
    return fold(square)


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

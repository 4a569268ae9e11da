"""Blends: each position is made from others, each with its share.

Upsampling, resizing, their gradients and that of average pooling are such sums, axis by axis. A `Recipe` says for one
axis which positions have a share in each new one; what has none is not read.
"""

from math import ceil, prod

import numpy as np

from ..machine.compiler import compiled
from ..machine.line import line_gather, line_more, line_near, line_write
from ..machine.memory import clear, copy
from ..machine.vectors import LINE, VECTOR_BYTES
from ..machine.words import prange
from .recipe import factored, joined, most, selects, size, stays, unchanged

# Values of a line, at least, where each of its vectors is taken out of one, or two; or gathered.
LEAST_OF_LINE = 0, 3 * LINE // 4, LINE // 4
# Values of a block of columns, at most, unless columns are copied.
SPAN = 4096
# Rows of fewer values become one with the next ones, to at most so many, or where they are only copied.
SHORT_ROW, LONG_ROW, LONG_COPIED = 256, 1024, 8192
# Elements of a task, at least, and tasks that many cores share, at most.
TASK_VALUES, MOST_TASKS = 16_384, 64
# A plan: the axes of what is read, and of what is written; most shares of a row and of a column; whether columns are
# made from places of a table, or one by one; where the shares of columns begin; how all is cut; parts of the table, and
# how many vectors each of its vectors lies in, 0 for anywhere.
DEPTH, HEIGHT, WIDTH, CHANNELS, PLANES, ROWS, COLUMNS, ROW_MOST, MOST, TABLE, OF_COLUMNS = range(11)
LINES, BAND, BLOCK, BLOCKS, TASKS, ZERO, BEGINS, FIRSTS, VECTORS = range(11, 20)


@compiled(parallel=True)
def blend(x, out, starts, at, share, reads, table, plan):
    """``out[n, d, h, w, c]`` is the sum over the shares of d, h and w of their product times ``x`` where they lie.

    Bound by memory. The rows that an output's row is made from become one, then its columns; each time, vectors run
    over what lies side by side: a row, or many channels of a column; few of them, with the columns, by a table.
    Arrays are flat, and the others from `blend_arguments`.
    """
    for task in prange(plan[TASKS]):
        _blend_block(np.int64(task), x, out, (starts, at), share, (reads, table), plan)


@compiled
def _blend_block(task, x, out, recipes, share, tables, plan):
    """A block of columns of some rows of outputs."""
    (starts, at), (reads, table) = recipes, tables
    channels, rows, planes, width, zero = plan[CHANNELS], plan[ROWS], plan[PLANES], plan[COLUMNS], plan[ZERO]
    block, band = task % plan[BLOCKS], task // plan[BLOCKS] * plan[BAND]
    low, first = reads[block, 0], block * plan[BLOCK]
    length = (reads[block, 1] - low) * channels
    # Of what is only copied, a row is made from one.
    place = zero
    if share is not None:
        places, parts = np.empty(plan[ROW_MOST], np.int64), np.empty(plan[ROW_MOST], x.dtype)
        middle = np.empty(length + 2 * LINE, x.dtype)
    plane = band // rows
    image, d, y = plane // planes, plane % planes, planes + band % rows
    for line in range(band, min(band + plan[BAND], plan[LINES])):
        if y == planes + rows:
            d, y = d + 1, planes
        if d == planes:
            image, d = image + 1, zero
        to, taps = (line * width + first) * channels, zero
        # The last row may be shorter.
        size = min(min(plan[BLOCK], width - first) * channels, len(out) - to)
        for i in range(starts[d, 0], starts[d + 1, 0]):
            for j in range(starts[y, 0], starts[y + 1, 0]):
                place = (((image * plan[DEPTH] + at[i]) * plan[HEIGHT] + at[j]) * plan[WIDTH] + low) * channels
                if share is not None:
                    places[taps], parts[taps] = place, share[i] * share[j]
                taps += 1
        y += 1
        if size <= 0:
            continue
        if line > band and starts[y - 1, 1]:
            copy(out, to, out, to - width * channels, size)
        elif taps == 0:
            clear(out, to, size)
        else:
            source, base = x, place - low * channels
            if share is not None:  # noqa: SIM102 Numba drops what depends on this alone
                if taps > 1 or parts[0] != 1:
                    source, base = middle, -low * channels
                    count = min(length, len(x) - places[taps - 1])
                    if taps == 2:
                        _weigh_two(x, (places[0], places[1]), (parts[0], parts[1]), middle, zero, count)
                    else:
                        _weigh(x, zero, (places, parts, zero, taps), middle, zero, count)
            if plan[TABLE]:
                # As many values as two vectors have can be read.
                end = max(reads[block, 1] * channels, low * channels + 2 * LINE)
                if base + end > len(source):
                    begin = base + low * channels
                    last = np.empty(end - low * channels, x.dtype)
                    copy(last, zero, source, begin, min(len(last), len(source) - begin))
                    source, base = last, -low * channels
                lines = reads[block, 2], reads[block, 3], first * channels
                _gather(source, (base, lines), share, table, out, (to, size), plan)
            elif share is None:
                column = plan[OF_COLUMNS] + first
                _copy_columns(source, base, at, (column, column + size // channels), out, (to, channels))
            else:
                _blend_columns(source, base, (starts, at), share, planes + rows + first, out, (to, size, channels))


@compiled
def _weigh(source, base, sums, out, to, length):
    """``out[to + j]`` is the sum of so many shares times ``source[base + at + j]``."""
    at, share, first, count = sums
    for j in range(0, length, LINE):
        left = length - j
        total = line_gather(source, base + at[first], None, j, left) * share[first]
        for k in range(first + 1, first + count):
            total = line_more(total, line_gather(source, base + at[k], None, j, left), share[k])
        line_write(total, out, to + j, left)


@compiled(inline=True)
def _weigh_two(source, places, shares, out, to, length):
    """`_weigh` for two shares, without any loop over them."""
    (a, b), (part, rest), left = places, shares, min(length, LINE)
    for j in range(0, length, LINE):
        # The last line begins before the one before it ends: a part of a line takes longer.
        begin = max(0, min(j, length - LINE))
        total = line_gather(source, a, None, begin, left) * part
        line_write(line_more(total, line_gather(source, b, None, begin, left), rest), out, to + begin, left)


@compiled
def _blend_columns(source, base, recipes, share, column, out, write):
    """Columns of many channels, one after the other."""
    starts, at = recipes
    to, size, channels = write
    for w in range(column, column + size // channels):
        first, taps = starts[w, 0], starts[w + 1, 0] - starts[w, 0]
        if taps == 0:
            clear(out, to, channels)
        elif taps == 1 and share[first] == 1:
            copy(out, to, source, base + at[first], channels)
        elif taps == 2:
            pair = base + at[first], base + at[first + 1]
            _weigh_two(source, pair, (share[first], share[first + 1]), out, to, channels)
        else:
            _weigh(source, base, (at, share, first, taps), out, to, channels)
        to += channels


@compiled
def _copy_columns(source, base, at, columns, out, write):
    """Columns of at least a line: copies, or zeros where they come from nowhere."""
    (first, end), (to, channels) = columns, write
    rest = channels - LINE
    for w in range(first, end):
        place = base + at[w]
        if at[w] < 0:
            clear(out, to, channels)
        elif rest > LINE:
            copy(out, to, source, place, channels)
        else:
            # To call a function would take longer. The second line begins before the first one ends.
            line_write(line_gather(source, place, None, 0, LINE), out, to, LINE)
            if rest > 0:
                line_write(line_gather(source, place + rest, None, 0, LINE), out, to + rest, LINE)
        to += channels


@compiled
def _gather(source, begin, share, table, out, write, plan):
    """Values side by side, each from where the table says, with shares of its own: first taps, then second ones..."""
    if plan[VECTORS] == 1:
        _gather_lines(source, begin, share, table, out, write, plan, (0,))
    elif plan[VECTORS] == 2:
        _gather_lines(source, begin, share, table, out, write, plan, (0, 0))
    else:
        _gather_lines(source, begin, share, table, out, write, plan, None)


@compiled(inline=True)
def _gather_lines(source, begin, share, table, out, write, plan, vecs):
    """That of values of which each vector lies in so many, or None: anywhere."""
    (to, length), (base, lines) = write, begin
    width, taps, begins, firsts = plan[COLUMNS] * plan[CHANNELS], plan[MOST], plan[BEGINS], plan[FIRSTS]
    for line in range(lines[0], lines[1]):
        # Where a line ends early, the next one writes over what is too much.
        j = np.int64(table[np.uint64(firsts + line)])
        if j >= length:
            break
        at, left, entry = lines[2] + j, length - j, line * taps
        total = _values(source, base, table, (entry, begins), left, vecs)
        if share is not None:
            total = total * line_gather(share, plan[OF_COLUMNS], None, at, left)
            for k in range(1, taps):
                shares = line_gather(share, plan[OF_COLUMNS] + k * width, None, at, left)
                total = line_more(total, _values(source, base, table, (entry + k, begins), left, vecs), shares)
        line_write(total, out, to + j, left)


@compiled(inline=True)
def _values(source, base, table, place, count, vecs):
    """A line of them."""
    entry, begins = place
    if vecs is None:
        return line_gather(source, base, table, entry * LINE, count)
    return line_near(source, base, table, entry * LINE, begins + 2 * entry, vecs)


def blend_arguments(batch, lengths, recipes, channels, dtype):
    """What the kernel takes besides the arrays, of so many images, whose axes have these lengths as they are read.

    ``starts`` (positions + 1, 2) say beside where its shares begin, whether a position is made as the one before it.
    ``at`` and ``share`` are the three recipes, one after the other: for few channels, shares of the last one as the
    table has its places. None where all values are copies, of which those of many channels are listed with -1 or less
    for zeros. ``reads`` (blocks, 4) are the first column that each block of columns is made from, and the one after the
    last; then likewise its lines. For few channels, the table says for each line where in a row first shares lie, then
    second ones, and so on; then where the vectors of all lines begin, as `line_near` has it, and in the end their first
    values.
    """
    factor, recipes = factored(recipes)
    batch, lengths, recipes, channels = _short_rows_joined(batch, lengths, recipes, channels)
    *above, last = recipes
    above[0] = above[0]._replace(share=above[0].share * factor)
    # A factor that all columns share is one of the rows.
    factor = last.share[0] if len(last.share) and (last.share == last.share[0]).all() else 1.0
    above[1], last = above[1]._replace(share=above[1].share * factor), last._replace(share=last.share / factor)
    planes, rows, columns = (len(r.starts) - 1 for r in (*above, last))
    copies = all(map(selects, (*above, last)))
    places, shares = _side_by_side(last)
    tabled = channels < LINE
    # A table had better stay in the L1 cache.
    longest = TASK_VALUES if copies and not tabled else SPAN
    block = max(1, min(columns, longest * columns // (max(columns, lengths[2]) * max(1, channels))))
    blocks = [places[:, first : first + block] for first in range(0, columns, block)]
    reads = [(max(0, b[b >= 0].min(initial=b.max())), b.max() + 1, 0, 0) for b in blocks]
    reads = np.array(reads, np.int64).reshape(-1, 4)
    table, begins, firsts, vectors = np.empty(0, np.int32), 0, 0, 0
    if tabled:
        table = np.where(places[..., None] < 0, -1, places[..., None] * channels + np.arange(channels))
        table = table.reshape(len(table), -1)
        lanes = VECTOR_BYTES // dtype.itemsize
        cut = [
            (table[:, n * channels : (n + block) * channels], *r)
            for n, r in zip(range(0, columns, block), reads[:, :2] * channels, strict=True)
        ]
        for vectors in (1, 2, 0):
            parts = [_lines(*of_block, lanes, vectors) for of_block in cut]
            if sum(len(part[2]) for part in parts) * LEAST_OF_LINE[vectors] <= columns * channels + LINE * len(cut):
                break
        steps, begin, first = (np.concatenate(part) for part in zip(*parts, strict=True))
        reads[:, 3] = np.cumsum([len(part[2]) for part in parts])
        reads[1:, 2] = reads[:-1, 3]
        begins, firsts = steps.size, steps.size + begin.size
        table = np.concatenate([steps.ravel(), begin.ravel(), first]).astype(np.int32)
        last = last._replace(share=np.repeat(shares, channels, 1).ravel())
    lines, work = batch * planes * rows, max(batch * prod(lengths), batch * planes * rows * columns) * channels
    tasks = min(MOST_TASKS, max(1, work // TASK_VALUES))
    band = max(1, ceil(lines * len(blocks) / tasks))
    before = np.cumsum([0, *(len(r.at) for r in recipes)])
    starts = [(r.starts[:-1] + n, _repeats(r)) for r, n in zip(recipes, before[:3], strict=True)]
    cut = lines, band, block, len(blocks), ceil(lines / band) * len(blocks), 0, begins, firsts, vectors
    columns_made = most(above[0]) * most(above[1]), len(shares), tabled, before[2]
    plan = np.array([*lengths, channels, planes, rows, columns, *columns_made, *cut], np.int64)
    at = np.concatenate([above[0].at, above[1].at, (places[0] if copies else last.at) * channels])
    share = np.concatenate([above[0].share, above[1].share, last.share]).astype(dtype)
    starts = np.append(np.concatenate(starts, 1).T, [[before[3], 0]], 0)
    return np.ascontiguousarray(starts), at, None if copies else share, reads, table, plan


def _repeats(given):
    """Which positions are made as the one before them."""
    same = [(a[:, 1:] == a[:, :-1]).all(0) for a in _side_by_side(given)]
    return np.append(False, same[0] & same[1])


def _side_by_side(given):
    """Where the first shares of all positions lie, where the second ones, and so on, and these: -1 and 0 for none."""
    taps = np.arange(most(given))[:, None]
    there = taps < np.diff(given.starts)
    index = np.where(there, given.starts[:-1] + taps, 0)
    at, share = (np.append(a, 0)[index] for a in (given.at, given.share))
    return np.where(there, at, -1), np.where(there, share, 0.0)


def _lines(table, low, high, lanes, vectors):
    """The lines of a block: what lies where, as `line_near` has it, where its vectors begin, and its first value.

    A line ends early where the values of a vector do not lie in so many; 0 for anywhere.
    """
    count = table.shape[1]
    padded = np.pad(table, [(0, 0), (0, 2 * LINE)], constant_values=-1)
    fits = np.full(count + 2 * LINE, lanes)
    last, found = padded, np.where(padded < 0, high, padded)
    for n in range(1, lanes if vectors else 0):
        last, found = np.maximum(last[:, :-1], padded[:, n:]), _least(found[:, :-1], padded[:, n:])
        far = (last - found >= vectors * lanes).any(0)
        fits[: len(far)][far] = np.minimum(fits[: len(far)][far], n)
    if lanes < LINE:
        fits[:-lanes] += np.where(fits[:-lanes] == lanes, fits[lanes:], 0)
    firsts, first = [], 0
    while first < count:
        firsts.append(first)
        first += int(fits[first])
    first = np.array(firsts, np.int64)
    steps = padded[:, first[:, None] + np.arange(LINE)].swapaxes(0, 1)
    steps = np.where(np.arange(LINE) < fits[first][:, None, None], steps, -1)
    if not vectors:
        return steps, np.empty((0, 0, 2), np.int64), first
    begins = np.where(steps < 0, high, steps).reshape(*steps.shape[:2], LINE // lanes, lanes).min(-1)
    begins = np.clip(begins, low, max(low, high - vectors * lanes))
    steps = np.where(steps < 0, -1, steps - np.repeat(begins, lanes, -1))
    return steps, np.repeat(begins, 2 * lanes // LINE, -1), first


def _least(a, b):
    """The lesser of both; of negative ones, that before them."""
    return np.where(b < 0, a, np.minimum(a, b))


def _short_rows_joined(batch, lengths, recipes, channels):
    """The same work with fewer axes, the last of which is longer: batch, lengths, recipes and channels."""
    *outer, length, last = *lengths, recipes[2]
    above = [(n, r) for n, r in zip(outer, recipes[:2], strict=True) if n > 1 or len(r.starts) > 2]
    # Columns that stay as they are, of those that do not, are more channels; so are long ones of those that are copied.
    while above and stays(last, length):
        copied = selects(above[-1][1])
        if length * channels < LINE if copied else length * channels >= SHORT_ROW:
            break
        channels *= length
        length, last = above.pop()
    while above:
        n, more = above[-1]
        # Sums of sums would have other bits as one sum, and a format's or a tile's rows may be longer than another's.
        longest = LONG_COPIED if selects(more) and selects(last) else LONG_ROW
        values = (len(last.starts) - 1) * channels, size(more) * size(last) * channels
        if not (selects(more) or selects(last)) or values[0] >= SHORT_ROW or values[1] > longest:
            break
        above.pop()
        last, length = joined(more, last, length), n * length
    if not above and (len(last.starts) - 1) * channels < (2 * SHORT_ROW if selects(last) else SHORT_ROW):
        images = max(1, (LONG_COPIED // 2 if selects(last) else LONG_ROW) // max(1, size(last) * channels))
        # So many begin with a cache line, as the first does.
        images = max(1, min(batch, images // LINE * LINE or images))
        batch = ceil(batch / images)
        last, length = joined(unchanged(images), last, length), images * length
    axes = [(1, unchanged(1))] * (2 - len(above)) + [*above, (length, last)]
    return batch, *zip(*axes, strict=True), channels

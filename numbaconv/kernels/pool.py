"""Pooling: windows that keep their largest value or the average of their values.

Arrays come flat, as batch, three axes and channels, or as planes of one channel; what lies in the padding does not
exist here.
"""

from math import ceil, prod

import numpy as np

from ..machine import threads
from ..machine.compiler import compiled
from ..machine.line import FOURTH, SECOND, THIRD, line_as, line_gather, line_maximum, line_write
from ..machine.memory import clear
from ..machine.vectors import LINE, VECTOR_BYTES
from ..machine.words import prange
from ..objects.tuples import NamedTuple
from .planes import write_planes
from .strip import aligned_flat

# Values of windows that are joined one by one, at least, and of those that lie side by side and are brought so.
LONG, LONG_ALONE = 8 * LINE, 8
# For `windows_plan`: lines that are joined as one, as many as leave registers for sums of twice their size; rows that
# are joined at a time where their lines share the cache with sums; and windows that a position may be in. Values that
# come from far are fastest in the order of their addresses: row by row. Positions that are best joined one by one.
WIDE, FEW_ROWS, OVERLAP, FAR_VALUES, SHORT = (0,) * (VECTOR_BYTES // 8), 8, 8, 2 << 20, 15
# Elements that a block of windows spans, and rows that become one at a time: as many streams as caches follow well.
SPAN, STREAMS = 8192, 16
# Lines that are joined side by side, since each sum waits for its last addition: more do not make it faster.
BESIDE = (0, 0)
# Values of an image that others are brought beside, at most, and of a row from which on it is alone; values of all of
# these images, where that is more than a line of them. Lines of images that leave enough tasks.
NEAR, LONG_ROW, ALL_NEAR, NEAR_LINES = 16_384, 128, 32_768, 4
# Elements of a task, at least, and tasks that many cores share, at most.
TASK_VALUES, MOST_TASKS = 16_384, 64
# A plan: the image's axes; the rows of outputs and their axes; windows along the last axis; how all is cut.
DEPTH, HEIGHT, WIDTH, CHANNELS, LINES, PLANES, ROWS, COLUMNS, SIZE, STRIDE, BEFORE = range(11)
SUMS, MIDDLE, MOST, BAND, BLOCK, TASKS, IMAGES, TOGETHER, DOUBLED = range(11, 20)


@compiled(parallel=True)
def max_pool(x, out, ends, counts, table, plan):
    """``out[n, q, c] = max over k of x[n, q*stride + k - before, c]``, or NaN where one of them is NaN.

    Bound by memory. The rows under a window become one, then the columns of that: each time, vectors run over columns
    and channels alike, as far as these lie side by side. Where that is not far, images are brought side by side as if
    they were channels.

    The arrays are flat; ``ends`` are the `window_ends` of the three axes, one below the other, ``counts`` and ``table``
    from `beside`, and the plan from `pool_plan`.
    """
    for task in prange(plan[TASKS]):
        _pool_task(np.int64(task), x, out, (ends, counts, table), plan, _largest, x)


@compiled(parallel=True)
def average_pool(x, out, ends, counts, table, plan):
    """``out[n, q, c]`` is the sum over k of ``x[n, q*stride + k - before, c]``, divided by the number of k inside.

    As `max_pool`; sums are kept in the dtype of ``counts``, since a window may be as long as a recording.
    """
    for task in prange(plan[TASKS]):
        _pool_task(np.int64(task), x, out, (ends, counts, table), plan, _mean, counts)


@compiled(parallel=True)
def max_windows(x, out, sizes):
    """`max_pool` of windows along one axis that lie in the image and hold many values.

    Bound by memory. Vectors run over the channels of as many positions as fill a wide line, and stay in registers where
    channels are few; these positions are joined in the end. The sizes are from `windows_plan`.
    """
    for task in prange(sizes[-1]):
        _windows_task(np.int64(task), x, out, x, sizes, 1.0, _largest_of)


@compiled(parallel=True)
def average_windows(x, out, like, sizes):
    """`average_pool` of such windows, with sums in the dtype of ``like``."""
    for task in prange(sizes[-1]):
        _windows_task(np.int64(task), x, out, like, sizes, np.float64(sizes[4]), _sum_of)


@compiled
def _windows_task(task, x, out, like, sizes, share, join):
    length, channels, windows, each, size, stride, near, most, block, band, _ = sizes
    first, begin = task % -(-channels // block) * block, task // -(-channels // block) * band
    count, row, wide = min(block, channels - first), near * channels, len(WIDE) * LINE
    # Positions that are near lie side by side, but for blocks of their channels, from where wide lines reach further.
    whole, rows = (near, size // near - 1) if count == channels else (1, max(0, size // near - 2))
    sums, to = aligned_flat(near * count + wide, like)
    for q in range(begin, min(begin + band, windows)):
        at = (q // each * length + q % each * stride) * channels + first
        for part in range(0, near, whole):
            there = to + part * count, whole * count, wide - 1
            for r in range(0, rows, most):
                from_row = at + (r * near + part) * channels, row, min(most, rows - r)
                _join_rows(x, from_row, sums, there, r > 0, join)
        for k in range(rows * near, size, near):
            some = min(near, size - k)
            for part in range(0, some, whole):
                there = to + part * count, min(whole, some) * count, 0
                _join_rows(x, (at + (k + part) * channels, 0, 1), sums, there, k > 0, join)
        left = near
        while left > 1:
            half = left // 2
            _join_rows(sums, (to + (left - half) * count, 0, 1), sums, (to, half * count, 0), True, join)
            left -= half
        for j in range(0, count, LINE):
            mean = line_as(line_gather(sums, to + j, None, 0, count - j) / share, out)
            line_write(mean, out, q * channels + first + j, count - j)


@compiled
def _join_rows(x, rows, sums, there, more, join):
    """Join values of so many rows, and what there are already, if there are more.

    ``beyond`` is a wide line less one value where enough others follow the last row: those become nothing.
    """
    to, length, beyond = there
    wide = len(WIDE) * LINE
    whole = (length + beyond) // wide * wide
    # Of lines that are whole the compiler has to know it.
    for j in range(0, whole, wide):
        _join_lines(x, rows, sums, (to, j, wide), WIDE, more, join)
    for j in range(whole, length, LINE):
        _join_lines(x, rows, sums, (to, j, length - j), None, more, join)


@compiled(inline=True)
def _join_lines(x, rows, sums, there, beside, more, join):
    (at, step, count), (to, j, left) = rows, there
    total = line_as(line_gather(x, at + j, beside, 0, left), sums)
    if more:
        total = join(line_gather(sums, to + j, beside, 0, left), total)
    for k in range(1, count):
        total = join(total, line_as(line_gather(x, at + k * step + j, beside, 0, left), sums))
    line_write(total, sums, to + j, left)


@compiled(inline=True)
def _largest_of(a, b):
    return line_maximum(a, b)


@compiled(inline=True)
def _sum_of(a, b):
    return a + b


class Read(NamedTuple):
    """Values that become one line: those of ``taps`` from the first to before the last, from the place ``at`` on."""

    array: np.ndarray
    at: int
    taps: np.ndarray
    first: int
    last: int
    # How far values that do not lie side by side are from the first.
    table: np.ndarray


class Write(NamedTuple):
    """Where so many joined values go, divided by ``rows`` times the ``counts`` from ``first`` on; 0 rows for not."""

    array: np.ndarray
    at: int
    length: int
    rows: int
    counts: np.ndarray
    first: int


@compiled
def _pool_task(task, x, out, tables, plan, join, like):
    """A block; or several images, so many at a time side by side."""
    lanes, images = max(plan[TOGETHER], 1), plan[IMAGES]
    inputs = plan[DEPTH] * plan[HEIGHT] * plan[WIDTH] * plan[CHANNELS] // lanes
    outputs = plan[LINES] * plan[COLUMNS] * plan[CHANNELS] // lanes
    near, pooled, first, end = x, out, task, task + 1
    if images:
        (near, at), (pooled, to) = aligned_flat(inputs * lanes, x), aligned_flat(outputs * lanes, x)
        near, pooled, first, end = near[at:], pooled[to:], task * images, min((task + 1) * images, len(x) // inputs)
    for n in range(first, end, lanes):
        count = min(end - n, lanes)
        if images:
            write_planes(x, n * inputs, inputs, count, inputs, near, 0, lanes)
        _pool_block(0 if images else task, near, pooled, tables, plan, join, like)
        if images:
            write_planes(pooled, 0, lanes, outputs, count, out, n * outputs, outputs)


@compiled
def _pool_block(task, x, out, tables, plan, join, like):
    """A block of windows of some rows of outputs."""
    ends, counts, table = tables
    channels, row = plan[CHANNELS], plan[WIDTH] * plan[CHANNELS]
    blocks = -(-plan[COLUMNS] // plan[BLOCK])
    first = task % blocks * plan[BLOCK]
    count = min(plan[BLOCK], plan[COLUMNS] - first)
    left = first * plan[STRIDE] - plan[BEFORE]
    right = left + (count - 1) * plan[STRIDE] + plan[SIZE]
    inside, end = max(left, 0), min(right, plan[WIDTH])
    middle, taps = np.empty(plan[MIDDLE] * channels, like.dtype), np.empty(plan[MOST], np.int64)
    whole = np.empty(plan[DOUBLED] * middle.size, like.dtype)
    band = task // blocks * plan[BAND]
    image, d, h = band // plan[ROWS] // plan[PLANES], band // plan[ROWS] % plan[PLANES], band % plan[ROWS]
    for line in range(band, min(band + plan[BAND], plan[LINES])):
        rows, y = 0, plan[PLANES] + h
        for i in range(ends[d, 1] - ends[d, 0]):
            for j in range(ends[y, 1] - ends[y, 0]):
                taps[rows] = (i * plan[HEIGHT] + j) * row
                rows += 1
        at = ((image * plan[DEPTH] + ends[d, 0]) * plan[HEIGHT] + ends[y, 0]) * row
        read = Read(x, at + inside * channels, taps, np.int64(0), rows, table)
        write = Write(out, (line * plan[COLUMNS] + first) * channels, count * channels, rows, counts, first * channels)
        if rows == 1 and right - left == end - inside and not plan[DOUBLED]:
            # What several rows become there is in one.
            _pool_row(join, Read(x, read.at, taps, np.int64(0), plan[SIZE], table), write, plan)
        else:
            to, length = (inside - left) * channels, (end - inside) * channels
            for k in range(0, rows, STREAMS):
                some = Read(x, read.at, taps, k, min(rows, k + STREAMS), table)
                _run(join, some, Write(middle, to, length, 0, counts, 0))
            _fill_edges(middle, (inside - left) * channels, (end - left) * channels, (right - left) * channels, plan)
            joined, size = middle, plan[SIZE]
            if plan[DOUBLED]:
                _double(join, middle, whole, taps, counts, (right - left, size, channels))
                joined, size = whole, np.int64(1)
            _pool_row(join, Read(joined, 0, taps, np.int64(0), size, table), write, plan)
        h += 1
        if h == plan[ROWS]:
            h, d = 0, d + 1
            if d == plan[PLANES]:
                d, image = 0, image + 1


@compiled
def _double(join, near, whole, taps, counts, sizes):
    """Make long windows of windows of 1, 2, 4 and so on positions, each of two of the ones before."""
    positions, size, channels = sizes
    step, done, taps[0] = 1, 0, 0
    while True:
        if size & step:
            more, taps[1], length = min(done, 1), done * channels, (positions - done - step + 1) * channels
            _join(join, Read(near, 0, taps, more, more + 1, counts), Write(whole, 0, length, 0, counts, 0))
            done += step
        if done == size:
            return
        taps[1] = step * channels
        length = (positions - 2 * step + 1) * channels
        _join(join, Read(near, 0, taps, 0, 2, counts), Write(near, 0, length, 0, counts, 0))
        step *= 2


@compiled
def _join(join, read, write):
    _run(join, read, write)


@compiled
def _fill_edges(middle, start, end, length, plan):
    """Beyond the image, what does not change a window: zeros for sums, else the values of the nearest position."""
    channels = plan[CHANNELS]
    if plan[SUMS]:
        clear(middle, 0, start)
        clear(middle, end, length - end)
    else:
        for i in range(start - 1, -1, -1):
            middle[i] = middle[i + channels]
        for i in range(end, length):
            middle[i] = middle[i - channels]


@compiled
def _pool_row(join, read, write, plan):
    """A block of windows of one row of outputs, from the row that several became."""
    channels, stride, count = plan[CHANNELS], plan[STRIDE], write.length
    for k in range(read.last):
        read.taps[k] = k * channels
    if stride > 1 and 2 * channels < LINE:
        if channels > 1 or stride > 4:
            _run_apart(join, read, write, read.table)
        elif stride == 2:
            _run_apart(join, read, write, SECOND)
        elif stride == 3:
            _run_apart(join, read, write, THIRD)
        else:
            _run_apart(join, read, write, FOURTH)
        return
    if stride > 1:
        count = channels
    for done in range(0, write.length, count):
        there = Read(read.array, read.at + done * stride, read.taps, read.first, read.last, read.table)
        _run(join, there, Write(write.array, write.at + done, count, write.rows, write.counts, write.first + done))


@compiled(inline=True)
def _run(join, read, write):
    """Join taps: ``out[to + j] = join over k of source[at + taps[k] + j]``.

    After the first ones, others are joined to what there is. Of lines that are whole the compiler has to know it.
    """
    step = len(BESIDE) * LINE
    whole = write.length // step * step
    for j in range(0, whole, step):
        join(read, write, BESIDE, BESIDE, j, step)
    for j in range(whole, write.length, LINE):
        join(read, write, None, None, j, write.length - j)


@compiled(inline=True)
def _run_apart(join, read, write, table):
    """`_run` where ``source[at + taps[k] + table[j]]`` are joined, or what is as far apart as `line_gather` says."""
    for j in range(0, write.length, LINE):
        join(read, write, table, None, j, write.length - j)


@compiled(inline=True)
def _largest(read, write, table, beside, j, left):
    array, at, taps, k = read.array, read.at, read.taps, read.first + 1
    best = line_gather(array, at + taps[read.first], table, j, left)
    if read.first > 0:
        best = line_maximum(line_gather(write.array, write.at, beside, j, left), best)
    while k < read.last:
        best = line_maximum(best, line_gather(array, at + taps[k], table, j, left))
        k += 1
    line_write(best, write.array, write.at + j, left)


@compiled(inline=True)
def _mean(read, write, table, beside, j, left):
    array, at, taps = read.array, read.at, read.taps
    total = line_as(line_gather(array, at + taps[read.first], table, j, left), write.counts)
    if read.first > 0:
        total = total + line_as(line_gather(write.array, write.at, beside, j, left), write.counts)
    for k in range(read.first + 1, read.last):
        total = total + line_as(line_gather(array, at + taps[k], table, j, left), write.counts)
    if write.rows > 0:
        total = total / (line_gather(write.counts, write.first, beside, j, left) * write.rows)
    line_write(line_as(total, write.array), write.array, write.at + j, left)


def window_ends(windows, length, size, stride, before):
    """For each window along an axis, its first position inside the image and the one after its last: int64 (O, 2)."""
    start = np.arange(windows) * stride - before
    return np.stack([np.maximum(start, 0), np.minimum(start + size, length)], 1)


def pool_plan(image, result, ends, last, sums):
    """What a kernel of pooling has to know of shapes, and how the work is cut into tasks: int64 (20,).

    ``ends`` are the `window_ends` of each axis, ``last`` is size of the windows along the last one, stride and
    positions in front of it, and ``sums`` says whether windows are averaged.
    """
    lines, columns, channels = prod(result[:3]), result[3], image[4]
    size, stride, _ = last
    rows = prod(int((e[:, 1] - e[:, 0]).max(initial=0)) for e in ends[:2])
    # Narrow blocks read short stretches of many rows, which takes longer.
    least = 2 * TASK_VALUES if size == stride == 1 else TASK_VALUES
    tasks = min(MOST_TASKS, max(1, (prod(image) + prod(result)) // least))
    near = prod(image[1:]) <= NEAR and (stride > 1 or columns * channels < LONG_ROW)
    # Lines pick such values out of long rows.
    near = near and not (channels == 1 and stride <= 4 and columns >= 3 * LONG_ROW)
    if near and channels < LINE and image[0] >= LINE * min(tasks, NEAR_LINES):
        images = ceil(image[0] / tasks / LINE) * LINE
        lanes = LINE * max(1, min(images, ALL_NEAR // prod(image[1:])) // LINE)
        shapes = ((1, *shape[1:4], channels * lanes) for shape in (image, result))
        plan = pool_plan(*shapes, ends, last, sums)
        plan[[BAND, BLOCK, MIDDLE]] = plan[LINES], columns, (columns - 1) * stride + size
        plan[[TASKS, IMAGES, TOGETHER]] = ceil(image[0] / images), images, lanes
        return plan
    block = max(1, min(columns, max(SPAN, 4 * size * channels) // (channels * stride)))
    if size == stride == 1:
        block = _columns_block(columns, lines, tasks, block)
    elif stride >= size:
        block = max(1, min(block, ceil(columns * lines / tasks)))
    blocks = ceil(columns / block)
    band = max(1, ceil(lines * blocks / tasks))
    middle = (block - 1) * stride + size
    cut = sums, middle, max(rows, size), band, block, ceil(lines / band) * blocks, 0, 0, doubled(size, stride, channels)
    return np.array([*image[1:], lines, *result[1:4], *last, *cut], np.int64)


def doubled(size, stride, channels):
    """Whether windows along an axis overlap so much that `_double` takes less time."""
    # Lines of few channels that lie apart are gathered for each position of a window.
    lanes = LINE if stride == 1 else max(LINE // 4, min(channels, LINE))
    return size > max(SHORT, 2 * stride * int(size).bit_length() * lanes / LINE)


def windows_plan(images, length, channels, each, size, stride):
    """What `max_windows` has to know of images with so many windows ``each``, and how work is cut."""
    windows, values = images * each, size * channels
    wide = len(WIDE) * LINE
    # Threads do not count: the order of sums depends on it.
    near = max(1, min(wide // channels, size))
    rows = size if channels <= wide else 1 if images * length * channels > FAR_VALUES else FEW_ROWS
    tasks = min(MOST_TASKS, max(1, windows * values // (2 * TASK_VALUES)))
    block = _columns_block(channels, windows, tasks)
    blocks = ceil(channels / block)
    band = max(1, ceil(windows * blocks / tasks))
    return length, channels, windows, each, size, stride, near, rows, block, band, ceil(windows / band) * blocks


def _columns_block(columns, lines, tasks, most=SPAN):
    """Of columns under which many rows become one, as many for each thread; narrow blocks take longer."""
    workers, widest = min(tasks, threads.count()), ceil(max(1, min(columns, most)) / LINE) * LINE
    return min(range(widest, 0, -LINE), key=lambda n: ceil(ceil(columns / n) * lines / workers) * (n + LINE))


def beside(plan, ends):
    """Positions under the windows of a row, for every output; and how far first taps are from a block's first."""
    channels, stride, line = plan[CHANNELS], plan[STRIDE], VECTOR_BYTES // 4
    counts = np.append(np.repeat(ends[:, 1] - ends[:, 0], channels), np.ones(line)).astype(np.float64)
    j = np.arange(min(plan[BLOCK], plan[COLUMNS]) * channels)
    return counts, np.append(j // channels * stride * channels + j % channels, np.zeros(line)).astype(np.int32)

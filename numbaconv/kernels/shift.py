"""Cropping and zero padding: a box of values is copied, and what lies around it is zero."""

from math import ceil, prod

import numpy as np

from ..machine.compiler import compiled
from ..machine.line import line_gather, line_write
from ..machine.memory import clear, copy
from ..machine.vectors import LINE, PERMUTES
from ..machine.words import prange

# Values of a row that is copied by lines, at most; how many times as long as one of a table's lines a row takes;
# values that a row has at least, where no instruction takes a line of them out of others; values of a task, at least,
# and tasks that many cores share, at most.
NEAR, COPY, ONE_BY_ONE, TASK_VALUES, MOST_TASKS = 512, 1.2, 2, 16_384, 64
# A plan: values of a task, and tasks; then lengths of what is read, of what is written, and how far values are moved.
SIZE, TASKS, READ, WRITTEN, BEFORE = 0, 1, 2, 5, 8


@compiled(parallel=True)
def shift(x, out, plan):
    """``out[n, d, h, w] = x[n, d - before, h - before, w - before]``, or zero outside; arrays are flat.

    Bound by memory. Zeros from a row to the next are written at once, and all that lie between planes.
    """
    for task in prange(plan[TASKS]):
        _shift_part(np.int64(task), x, out, plan)


@compiled
def _shift_part(task, x, out, plan):
    """Some values of the result, plane by plane."""
    depth, height, width, before = plan[READ], plan[READ + 1], plan[READ + 2], plan[BEFORE]
    planes, rows, columns, above = plan[WRITTEN], plan[WRITTEN + 1], plan[WRITTEN + 2], plan[BEFORE + 1]
    at, end = task * plan[SIZE], min((task + 1) * plan[SIZE], len(out))
    left, first, last = max(plan[BEFORE + 2], 0), max(above, 0), min(rows, height + above)
    count, plane = min(columns, width + plan[BEFORE + 2]) - left, at // columns // rows
    image, d = plane // planes, plane % planes - before
    inside = (first - above) * width + left - plan[BEFORE + 2]
    begin = plane * rows * columns + first * columns + left
    while begin < end:
        if 0 <= d < depth:
            source, some = (image * depth + d) * height * width + inside, last - first
            # A task may begin or end within a row, and lines of short rows write more than their own.
            low = max(0, -((begin - at) // columns)) if count <= NEAR else some
            high = min(some, (end - LINE - begin) // columns, (len(x) - LINE - source) // width)
            r = 0
            while r < some:
                row, place = begin + r * columns, source + r * width
                if r == low and r < high:
                    _clear(out, at, row - at, end - at)
                    _copy_rows(x, place, width, out, row, columns, high - r, count)
                    at, r = begin + (high - 1) * columns + count, high
                else:
                    start, stop = max(row, at), min(row + count, end)
                    if start < stop:
                        _clear(out, at, start - at, end - at)
                        copy(out, start, x, place + start - row, stop - start)
                        at = stop
                    r += 1
        begin, d = begin + rows * columns, d + 1
        if d + before == planes:
            image, d = image + 1, -before
    clear(out, at, end - at)


@compiled(inline=True)
def _clear(out, at, count, left):
    """Zeros, and maybe more behind them: a line is faster than a call."""
    if 0 < count <= LINE <= left:
        line_write(line_gather(out, at, None, 0, 0), out, at, LINE)
    elif count > 0:
        clear(out, at, count)


@compiled(inline=True)
def _copy_rows(x, source, width, out, to, columns, rows, count):
    """Rows of the same length, a line of values or less at a time; with what follows them, which is written later.

    Lengths that the compiler knows make no calls.
    """
    if count == columns and count <= 4:
        for _ in range(rows):
            copy(out, to, x, source, 4)
            source, to = source + width, to + columns
    elif count == columns and count <= 8:
        for _ in range(rows):
            copy(out, to, x, source, 8)
            source, to = source + width, to + columns
    else:
        last = (count - 1) // LINE * LINE
        for _ in range(rows):
            for j in range(0, last, LINE):
                line_write(line_gather(x, source + j, None, 0, LINE), out, to + j, LINE)
            line_write(line_gather(x, source + last, None, 0, count - last), out, to + last, LINE)
            _clear(out, to + last + LINE, columns - last - LINE, LINE)
            source, to = source + width, to + columns


def shift_plan(batch, lengths, results, before, channels):
    """What the kernel has to know of images' axes; None where rows are so short that a table is faster."""
    axes, inner = [], channels
    for n, m, b in zip((*lengths[::-1], batch), (*results[::-1], batch), (*before[::-1], 0), strict=True):
        if n == m and b == 0:
            # What stays as it is belongs to the axis before it.
            inner *= n
        else:
            axes, inner = [(n * inner, m * inner, b * inner), *axes], 1
    if len(axes) < 3:
        axes, inner = [(inner, inner, 0), *axes], 1
    axes = [(1, 1, 0)] * (3 - len(axes)) + axes
    total = batch * prod(results) * channels
    width, columns, _ = axes[-1]
    # What a line takes of two vectors.
    if COPY * columns < (min(LINE, 2 * LINE * columns / max(width, 1)) if PERMUTES else ONE_BY_ONE):
        return None
    size = max(TASK_VALUES, ceil(total / MOST_TASKS / LINE) * LINE)
    return np.array([size, ceil(total / size), *np.transpose(axes).ravel()], np.int64)

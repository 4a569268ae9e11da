"""Cropping and zero padding: a box of values is copied, and what lies around it is zero."""

from math import ceil, prod

import numpy as np

from ..machine.compiler import compiled
from ..machine.line import line_gather, line_write
from ..machine.memory import clear, copy
from ..machine.vectors import LINE
from ..machine.words import prange

# Values for each row that is copied, at least, where a table takes them from one vector, and where it gathers them;
# values of a task, at least, and tasks that many cores share, at most.
SHORT, SHORT_APART, TASK_VALUES, MOST_TASKS = 8, 3, 16_384, 64
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
    """Some values of the result, row by row."""
    depth, height, width = plan[READ], plan[READ + 1], plan[READ + 2]
    rows, columns, above = plan[WRITTEN + 1], plan[WRITTEN + 2], plan[BEFORE + 1]
    at, end = task * plan[SIZE], min((task + 1) * plan[SIZE], len(out))
    left, last, h = max(plan[BEFORE + 2], 0), min(rows, height + above), at // columns % rows
    count, plane = min(columns, width + plan[BEFORE + 2]) - left, at // columns // rows
    image, d = plane // plan[WRITTEN], plane % plan[WRITTEN] - plan[BEFORE]
    short, whole = columns <= LINE, end - LINE + 1
    begin, zeros = plane * rows * columns + left, line_gather(x, 0, None, 0, 0)
    while begin < end:
        if 0 <= d < depth:
            h = max(h, above)
            source = ((image * depth + d) * height + h - above) * width + left - plan[BEFORE + 2]
            row, until = begin + h * columns, min(begin + last * columns, end)
            while row < until:
                # A task may begin or end within a row.
                low, high = max(row, at), min(row + count, end)
                if low < high:
                    # A line is faster than a call, and the next one writes over what is too much.
                    if low - at > LINE:
                        clear(out, at, low - at)
                    elif low > at:
                        line_write(zeros, out, at, end - at)
                    place = source + low - row
                    if high - low > LINE:
                        copy(out, low, x, place, high - low)
                    else:
                        line_write(line_gather(x, place, None, 0, len(x) - place), out, low, end - low)
                    at = high
                row, source = row + columns, source + width
                if short and row < whole:
                    # A line has all of a row, and the zeros behind it.
                    line_write(zeros, out, at, LINE)
                    while row < min(until, whole):
                        line_write(line_gather(x, source, None, 0, count), out, row, LINE)
                        row, source = row + columns, source + width
                    at = max(at, row - columns + count)
        begin, h, d = begin + rows * columns, 0, d + 1
        if d + plan[BEFORE] == plan[WRITTEN]:
            image, d = image + 1, -plan[BEFORE]
    clear(out, at, end - at)


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
    shortest = SHORT if total > batch * prod(lengths) * channels else SHORT_APART
    if shortest * inner * prod(min(n + b, m) - max(b, 0) for n, m, b in axes[:-1]) > total:
        return None
    size = max(TASK_VALUES, ceil(total / MOST_TASKS / LINE) * LINE)
    return np.array([size, ceil(total / size), *np.transpose(axes).ravel()], np.int64)

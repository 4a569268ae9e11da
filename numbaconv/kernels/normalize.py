"""Batch normalization's passes over its arrays: sums for each channel, and a multiply-add with factors of each channel.

Factors are float64 for arrays of either dtype: the passes are bound by memory, and where a channel's mean is large
beside its deviations nothing is lost. Arrays come flat and are seen as rows (R, W), of which a task takes so many rows
and columns. Either a row holds all channels, maybe several times, and the last one may be shorter; or it holds one
channel's positions, and the channels' rows take turns.

Where relu follows, its gradient is part of the same passes: they find anew what it was given, ``x * scale + shift``,
and leave out gradients of all that was not above 0. These factors are a ``gate``; a tuple of one item stands for none.
"""

import math

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import line_keep, line_less, line_sum
from ..machine.line import line_as, line_read, line_write
from ..machine.tile import lanes_of
from ..machine.words import prange


@compiled
def _tasks(size, cut):
    return -(-size // (cut[0] * cut[2])) * -(-cut[2] // cut[1])


@compiled
def _task(task, size, cut):
    """First and last row of a task, each with its first and last column: those of a row come one after the other."""
    rows, columns, width = cut
    pieces = -(-width // columns)
    first, left = task // pieces * rows, task % pieces * columns
    return first, min(first + rows, -(-size // width)), left, min(left + columns, width)


@compiled
def _passed(line, wide_x, scale, shift, array):
    """The line where relu passes what a line of ``x`` becomes, elsewhere 0."""
    return line_less(0.0, line_as(wide_x * scale + shift, array), line, 0.0)


@compiled(counted=False)
def _sum_columns(arrays, starts, gate, sums, wide, cut, task):
    """Sums of an array less a start, and of its products with another less its own, of each column of a task (R, W).

    Starts and gate are tables (1, W), sums are W of each task, then those of products. ``wide`` is as long as a line
    has vectors in float64, and ``cut`` as for `multiply_add`.
    """
    lanes = lanes_of(arrays[0])
    first, last, left, right = _task(task, len(arrays[0]), cut)
    end = left + (right - left) // (4 * lanes) * 4 * lanes
    # Memory is read in its order where lines are as long as rows.
    for j in range(left, end, 4 * lanes):
        _sum_line(arrays, starts, gate, sums, _four(wide), cut, (first, last, j, 4 * lanes))
    for j in range(end, right, lanes):
        _sum_line(arrays, starts, gate, sums, ((0,), wide), cut, (first, last, j, right - j))


@compiled
def _four(wide):
    """As many numbers as four vectors need, of an array and in float64."""
    return (0, 0, 0, 0), wide + wide + wide + wide


@compiled(inline=True, counted=False)
def _sum_line(arrays, tables, gate, sums, vecs, cut, piece):
    """A line of these sums, of so many vectors; becomes part of what says how long it is."""
    size, (first, last, j, count) = len(arrays[0]), piece
    width, whole = cut[2], min(last, size // cut[2])
    starts = line_read(vecs[1], tables[0], j, count), line_read(vecs[1], tables[1], j, count)
    factors = line_read(vecs[1], gate[0], j, count), line_read(vecs[1], gate[-1], j, count)
    total = line_keep(starts[0], 0, 0.0)
    product = total
    for at in range(first * width + j, whole * width + j, width):
        more, products = _differences(arrays, at, count, starts, gate, factors, sums, vecs)
        total, product = total + more, product + products
    at = whole * width + j
    if whole < last and at < size:
        more, products = _differences(arrays, at, min(count, size - at), starts, gate, factors, sums, vecs)
        total = total + line_keep(more, size - at, 0.0)
        product = product + line_keep(products, size - at, 0.0)
    line_write(total, sums, first // cut[0] * width + j, count)
    line_write(product, sums, sums.size // 2 + first // cut[0] * width + j, count)


@compiled(inline=True, counted=False)
def _differences(arrays, at, count, starts, gate, factors, sums, vecs):
    """A line of what `_sum_columns` adds up, and of what it adds to the products."""
    a, b = arrays
    line, other = line_read(vecs[0], a, at, count), line_as(line_read(vecs[0], b, at, count), sums)
    if len(gate) == 2:
        line = _passed(line, other, factors[0], factors[1], a)
    difference = line_as(line, sums) - starts[0]
    return difference, difference * (other - starts[1])


@compiled(counted=False)
def _sum_planes(arrays, starts, gate, sums, cut, task):
    """The same of each row, for the columns of a task, where row r is of channel ``r % C``, as are those of tables.

    Of each row there are ``ceil(W / cut[1])`` sums; then those of products.
    """
    (a, b), (a_from, b_from) = arrays, starts
    width, lanes, pieces, flat = cut[2], lanes_of(a), -(-cut[2] // cut[1]), sums.reshape(-1)
    first, last, left, right = _task(task, len(a), cut)
    for r in range(first, last):
        channel, to = r % len(a_from), r * pieces + left // cut[1]
        a_start, b_start = a_from[channel, 0], b_from[channel, 0]
        total = line_keep(line_as(line_read(1, a, r * width + left, right - left), sums), 0, 0.0)
        product = total
        for j in range(left, right, lanes):
            at, count = r * width + j, right - j
            line, other = line_read(1, a, at, count), line_as(line_read(1, b, at, count), sums)
            if len(gate) == 2:
                line = _passed(line, other, gate[0][channel, 0], gate[-1][channel, 0], a)
            difference = line_keep(line_as(line, sums) - a_start, count, 0.0)
            total = total + difference
            product = product + difference * line_keep(other - b_start, count, 0.0)
        flat[to] = line_sum(total)
        flat[flat.size // 2 + to] = line_sum(product)


@compiled(counted=False)
def _multiply_add(xs, tables, out, wide, step, cut, task):
    """A task of ``multiply_add``, of one array or of the sum over two.

    The tables are a scale of each array, the shift, and an ending: a gate, of which two tables say that the first array
    is a gradient, which passes where the second does; an array to be added, or nothing; and what less becomes.
    """
    width, lanes = cut[2], lanes_of(out)
    first, last, left, right = _task(task, len(out), cut)
    shift = tables[1]
    table = (first % len(shift) - 1) * shift.shape[1]
    for r in range(first, last):
        # Division would take as long as four lines.
        table = table + shift.shape[1] if table + shift.shape[1] < shift.size else 0
        end, at = max(left, min(right, len(out) - r * width)), r * width
        whole = left + (end - left) // (4 * lanes) * 4 * lanes
        for j in range(left, whole, 4 * lanes):
            _line(xs, tables, out, _four(wide), at + j, table + j * step, 4 * lanes)
        for j in range(whole, end, lanes):
            _line(xs, tables, out, ((0,), wide), at + j, table + j * step, end - j)


@compiled(inline=True, counted=False)
def _line(xs, tables, out, vecs, at, place, count):
    """A line of the result, of so many vectors."""
    scales, shift, (gate, onto, low) = tables
    # All is read before anything is computed: a product and a sum become one rounding where nothing lies between.
    x, other = line_as(line_read(vecs[0], xs[-1], at, count), shift), line_read(vecs[0], xs[0], at, count)
    passes = line_read(vecs[1], gate[0], place, count), line_read(vecs[1], gate[-1], place, count)
    factors = line_read(vecs[1], scales[0], place, count), line_read(vecs[1], scales[-1], place, count)
    added = line_read(vecs[1], shift, place, count)
    line = x * factors[1] + added
    if len(xs) == 2:
        if len(gate) == 2:
            other = _passed(other, x, passes[0], passes[1], out)
        line = line_as(other, shift) * factors[0] + line
    narrow = line_as(line, out)
    if len(onto):
        narrow = narrow + line_read(vecs[0], onto, at, count)
    line_write(line_less(narrow, low, low, narrow), out, at, count)


@compiled(parallel=True)
def multiply_add(x, scale, shift, low, out, wide, step, cut):
    """``out[r, j] = x[r, j] * scale[r % T, j * step] + shift[r % T, j * step]``, or ``low`` if that is more.

    The tables are (T, W) with a step of 1, or hold lines of one number for each row, and the step is 0; they are
    float64, or else of the array's dtype, and ``wide`` has one item. ``cut`` has the rows and columns of a task, and
    the columns of all.
    """
    for task in prange(_tasks(len(out), cut)):
        _multiply_add((x,), ((scale,), shift, ((shift,), x[:0], low)), out, wide, step, cut, np.int64(task))


@compiled(parallel=True)
def normalize_batch(arrays, weights, settings, room, out, wide, step, cut):
    """Normalize a batch by its own mean and variance: one loop over all of it for these, and one for the result.

    The arrays are the batch, and what is added to the result, or nothing; weights (4, C) gamma, beta, the moving mean
    and variance. Settings are values of a channel, epsilon, momentum, what smaller results become, and how often a
    table repeats each factor. The room is (6, C), which gets the mean, deviation, scale and shift of each channel, and
    what the moving ones become; three tables, of the mean, scale and shift; and sums (2, J, C*I).
    """
    x, onto = arrays
    found, tables, sums = room
    mean, scale, shift = tables[0], tables[1], tables[2]
    _begin(x, settings[4] if step else cut[2], settings[4], found, mean)
    for task in prange(_tasks(len(x), cut)):
        if step:
            _sum_columns((x, x), (mean, mean), (mean,), sums, wide, cut, np.int64(task))
        else:
            _sum_planes((x, x), (mean, mean), (mean,), sums, cut, np.int64(task))
    _factors_of_batch(sums, weights, settings, found, tables)
    for task in prange(_tasks(len(x), cut)):
        ending = (shift,), onto, settings[3]
        _multiply_add((x,), ((scale,), shift, ending), out, wide, step, cut, np.int64(task))


@compiled(parallel=True)
def normalize_back(arrays, factors, gate, settings, room, wide, step, cut):
    """Take a gradient back through `normalize_batch`: one loop for the weights' gradients, and one for that of ``x``.

    The arrays are the gradient and ``x``; factors are rows that begin with the mean, deviation and scale of each
    channel, and the tables of mean, scale and shift; the gate is two of these tables where only what relu passes
    counts. Settings are values of a channel, on all of which mean and deviation depend, and how often a table repeats
    each factor. The room is (2, C), which gets the gradients of gamma and beta; tables of the slope along ``x`` and of
    the shift; sums (2, J, C*I); the gradient of ``x``, or none of it.
    """
    grad, x = arrays
    found, tables = factors
    gradients, more, sums, out = room
    mean, scale, slope, shift = tables[0], tables[1], more[0], more[1]
    _repeat(np.zeros(found.shape[1]), settings[1], slope)
    for task in prange(_tasks(len(x), cut)):
        if step:
            _sum_columns((grad, x), (slope, mean), gate, sums, wide, cut, np.int64(task))
        else:
            _sum_planes((grad, x), (slope, mean), gate, sums, cut, np.int64(task))
    _factors_of_gradient(sums, found, settings, gradients, more)
    for task in prange(_tasks(len(out), cut)):
        tables = (scale, slope), shift, (gate, x[:0], -np.inf)
        _multiply_add((grad, x), tables, out, wide, step, cut, np.int64(task))


@compiled
def _begin(x, inner, each, found, table):
    """The first value of every channel: deviations from it are small beside values that are nearly alike."""
    for c in range(found.shape[1]):
        found[0, c] = x[c * inner]
    _repeat(found[0], each, table)


@compiled
def _factors_of_batch(sums, weights, settings, found, tables):
    """What a batch is normalized by, from the sums of ``x - found[0]`` and of its squares."""
    count, epsilon, momentum, _, each = settings
    total = _totals(sums, found.shape[1])
    for c in range(found.shape[1]):
        away = total[0, c] / count
        variance = total[1, c] / count - away * away
        # A NaN stays one.
        if variance < 0:
            variance = 0.0
        mean, deviation = found[0, c] + away, math.sqrt(variance + epsilon)
        scale = weights[0, c] / deviation
        found[0, c], found[1, c], found[2, c], found[3, c] = mean, deviation, scale, weights[1, c] - mean * scale
        found[4, c] = momentum * weights[2, c] + (1 - momentum) * mean
        found[5, c] = momentum * weights[3, c] + (1 - momentum) * variance
    _repeat(found[0], each, tables[0])
    _repeat(found[2], each, tables[1])
    _repeat(found[3], each, tables[2])


@compiled
def _factors_of_gradient(sums, found, settings, gradients, tables):
    """Gradients of gamma and beta, and factors of that of ``x``."""
    count, each = settings
    total = _totals(sums, found.shape[1])
    slope, shift = np.empty_like(total)
    for c in range(len(slope)):
        mean, deviation, scale = found[0, c], found[1, c], found[2, c]
        gradients[0, c], gradients[1, c] = total[1, c] / deviation, total[0, c]
        slope[c] = -scale * total[1, c] / (count * (deviation * deviation))
        shift[c] = -scale * total[0, c] / count - slope[c] * mean
    _repeat(slope, each, tables[0])
    _repeat(shift, each, tables[1])


@compiled
def _totals(sums, channels):
    """Sums (2, J, C*I) as sums of channels (2, C)."""
    _, parts, width = sums.shape
    total, inner = np.zeros((2, channels)), width // channels
    for kind in range(2):
        columns = np.zeros(width)
        for part in range(parts):
            for j in range(width):
                columns[j] += sums[kind, part, j]
        for j in range(channels * inner):
            total[kind, j // inner] += columns[j]
    return total


@compiled
def _repeat(factors, each, table):
    """Write so many times each channel's factor (C,) to a table, and all of that until it is full."""
    flat, at = table.reshape(-1), 0
    while at < flat.size:
        for c in range(len(factors)):
            for _ in range(each):
                flat[at] = factors[c]
                at += 1

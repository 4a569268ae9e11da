"""Batch normalization's passes over its arrays: sums for each channel, and a multiply-add with factors of each channel.

Factors are float64 for arrays of either dtype: the passes are bound by memory, and where a channel's mean is large
beside its deviations nothing is lost. Arrays come flat and are seen as rows (R, W), of which a task takes so many rows
and columns. Either a row holds all channels, maybe several times, and the last one may be shorter; or it holds one
channel's positions, and the channels' rows take turns.

Where relu follows, its gradient is part of the same passes: they find anew what it was given, ``x * scale + shift``,
and leave out gradients of all that was not above 0. These factors are a ``gate``; a tuple of one item stands for none.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..machine.aligned import aligned_empty
from ..machine.compiler import compiled
from ..machine.lanes import line_keep, line_less, line_sum
from ..machine.line import line_as, line_read, line_write
from ..machine.tile import lanes_of
from ..machine.vectors import VECTOR_BYTES
from ..machine.words import prange
from .sums import TASK_ROWS, TASK_VALUES, row_width

# Columns that a task takes at most, and values of a channel from which on they have rows of their own.
MOST_COLUMNS, OWN_ROWS = 4096, 64


@compiled
def _tasks(size, cut):
    rows, columns, width = cut
    return -(-size // (rows * width)) * -(-width // columns)


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


@compiled(parallel=True)
def sum_columns(a, b, a_from, b_from, gate, sums, wide, cut):
    """Sums of ``a - a_from`` and of its products with ``b - b_from``, of each column of rows (R, W).

    Parameters
    ----------
    a, b : array (elements,)
    a_from, b_from : float64 array (W,)
    gate : tuple of float64 array (W,)
    sums : float64 array (2, ceil(R / cut[0]), W)
        Written in full: sums, then those of products.
    wide : tuple of int
        As long as a line has vectors in float64.
    cut : tuple of int
        Rows and columns of a task, and the columns of all.
    """
    width, lanes = cut[2], lanes_of(a)
    for number in prange(_tasks(len(a), cut)):
        first, last, left, right = _task(np.int64(number), len(a), cut)
        whole = min(last, len(a) // width)
        for j in range(left, right, lanes):
            count = right - j
            starts = line_read(wide, a_from, j, count), line_read(wide, b_from, j, count)
            factors = line_read(wide, gate[0], j, count), line_read(wide, gate[-1], j, count)
            total = line_keep(starts[0], 0, 0.0)
            product = total
            for at in range(first * width + j, whole * width + j, width):
                more, products = _differences(a, b, at, count, starts, gate, factors, sums)
                total, product = total + more, product + products
            at = whole * width + j
            if whole < last and at < len(a):
                more, products = _differences(a, b, at, min(count, len(a) - at), starts, gate, factors, sums)
                total = total + line_keep(more, len(a) - at, 0.0)
                product = product + line_keep(products, len(a) - at, 0.0)
            line_write(total, sums, first // cut[0] * width + j, count)
            line_write(product, sums, sums.size // 2 + first // cut[0] * width + j, count)


@compiled(inline=True)
def _differences(a, b, at, count, starts, gate, factors, sums):
    """A line of what `sum_columns` adds up, and of what it adds to the products."""
    line, other = line_read(1, a, at, count), line_as(line_read(1, b, at, count), sums)
    if len(gate) == 2:
        line = _passed(line, other, factors[0], factors[1], a)
    difference = line_as(line, sums) - starts[0]
    return difference, difference * (other - starts[1])


@compiled(parallel=True)
def sum_planes(a, b, a_from, b_from, gate, sums, cut):
    """The same of each row, for the columns of each task, where row r is of channel ``r % C``.

    Parameters
    ----------
    a, b : array (elements,)
    a_from, b_from : float64 array (C,)
    gate : tuple of float64 array (C,)
    sums : float64 array (2, R, ceil(W / cut[1]))
        Written in full, as there.
    cut : tuple of int
        Rows and columns of a task, and the columns of all.
    """
    width, lanes = cut[2], lanes_of(a)
    for number in prange(_tasks(len(a), cut)):
        first, last, left, right = _task(np.int64(number), len(a), cut)
        for r in range(first, last):
            a_start, b_start = a_from[r % len(a_from)], b_from[r % len(b_from)]
            total = line_keep(line_as(line_read(1, a, r * width + left, right - left), sums), 0, 0.0)
            product = total
            for j in range(left, right, lanes):
                at, count = r * width + j, right - j
                line, other = line_read(1, a, at, count), line_as(line_read(1, b, at, count), sums)
                if len(gate) == 2:
                    line = _passed(line, other, gate[0][r % len(a_from)], gate[-1][r % len(a_from)], a)
                difference = line_keep(line_as(line, sums) - a_start, count, 0.0)
                total = total + difference
                product = product + difference * line_keep(other - b_start, count, 0.0)
            sums[0, r, left // cut[1]] = line_sum(total)
            sums[1, r, left // cut[1]] = line_sum(product)


@compiled(parallel=True)
def multiply_add(xs, scales, shift, relu, out, wide, step, cut):
    """``out[r, j] = x[r, j] * scale[r % T, j * step] + shift[r % T, j * step]`` for rows (R, W), summed over two.

    The float64 tables are (T, W) with a step of 1, or hold a line of one number for each row, and the step is 0.

    Parameters
    ----------
    xs, scales : tuple of array
        One ``x`` and its table, or two.
    relu : tuple of a tuple of array, and float
        Two tables say that the first array is a gradient, which passes where the second does; the number is what
        smaller results become.
    """
    gate, low = relu
    width, lanes = cut[2], lanes_of(out)
    for number in prange(_tasks(len(out), cut)):
        first, last, left, right = _task(np.int64(number), len(out), cut)
        table = (first % len(shift) - 1) * shift.shape[1]
        for r in range(first, last):
            # Division would take as long as four lines.
            table = table + shift.shape[1] if table + shift.shape[1] < shift.size else 0
            end = min(right, len(out) - r * width)
            for j in range(left, end, lanes):
                at, count, place = r * width + j, end - j, table + j * step
                there = count if step else lanes
                x = line_as(line_read(1, xs[-1], at, count), shift)
                line = x * line_read(wide, scales[-1], place, there) + line_read(wide, shift, place, there)
                if len(xs) == 2:
                    other = line_read(1, xs[0], at, count)
                    if len(gate) == 2:
                        factors = line_read(wide, gate[0], place, there), line_read(wide, gate[-1], place, there)
                        other = _passed(other, x, factors[0], factors[1], out)
                    line = line_as(other, shift) * line_read(wide, scales[0], place, there) + line
                narrow = line_as(line, out)
                line_write(line_less(narrow, low, low, narrow), out, at, count)


@compiled(parallel=True)
def factors_of_batch(sums, first, weights, settings, found, tables):
    """What a batch is normalized by, from the sums over it.

    Parameters
    ----------
    sums : float64 array (2, J, C*I)
        Parts of the sums of ``x - first`` and of its squares.
    first : float64 array (C,)
    weights : float64 array (4, C)
        Gamma, beta, the moving mean and variance.
    settings : tuple of float
        Values of a channel, epsilon, momentum.
    found : float64 array (6, C)
        Gets the mean, deviation, scale and shift of each channel, and the moving mean and variance after the batch.
    tables : float64 array (3, M, C*N)
        Gets the mean, scale and shift.
    """
    count, epsilon, momentum = settings
    total = _totals(sums, len(first))
    for c in range(len(first)):
        away = total[0, c] / count
        variance = total[1, c] / count - away * away
        # A NaN stays one.
        if variance < 0:
            variance = 0.0
        mean, deviation = first[c] + away, math.sqrt(variance + epsilon)
        scale = weights[0, c] / deviation
        found[0, c], found[1, c], found[2, c], found[3, c] = mean, deviation, scale, weights[1, c] - mean * scale
        found[4, c] = momentum * weights[2, c] + (1 - momentum) * mean
        found[5, c] = momentum * weights[3, c] + (1 - momentum) * variance
    _repeat(found[0], tables[0])
    _repeat(found[2], tables[1])
    _repeat(found[3], tables[2])


@compiled(parallel=True)
def factors_of_gradient(sums, found, count, gradients, tables):
    """Gradients of gamma and beta, and factors of that of ``x``.

    Parameters
    ----------
    sums : float64 array (2, J, C*I)
        Parts of the sums of gradients and of their products with ``x - mean``.
    found : float64 array (F, C)
        Begins with the mean, deviation and scale.
    count : float
        Values of a channel, on all of which mean and deviation depend.
    gradients : float64 array (2, C)
        Gets those of gamma and beta.
    tables : float64 array (2, M, C*N)
        Gets the slope along ``x`` and the shift.
    """
    total = _totals(sums, found.shape[1])
    slope, shift = np.empty_like(total)
    for c in range(len(slope)):
        mean, deviation, scale = found[0, c], found[1, c], found[2, c]
        gradients[0, c], gradients[1, c] = total[1, c] / deviation, total[0, c]
        slope[c] = -scale * total[1, c] / (count * (deviation * deviation))
        shift[c] = -scale * total[0, c] / count - slope[c] * mean
    _repeat(slope, tables[0])
    _repeat(shift, tables[1])


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
def _repeat(factors, table):
    """Write a factor of each channel (C,) to all its places in a table (M, C*N)."""
    each = table.shape[1] // len(factors)
    for m in range(len(table)):
        for c in range(len(factors)):
            for n in range(each):
                table[m, c * each + n] = factors[c]


class Grid(NamedTuple):
    """How arrays (A, C, B), the channels in the middle, are seen as rows (R, W) and cut: by shape and vector width."""

    shape: tuple[int, int, int]
    # Rows and columns of a task, and the columns of all.
    cut: tuple[int, int, int]
    # Whether a row holds the positions of one channel.
    planes: bool
    serial: bool

    def tables(self, factors, lanes):
        """Factors of each channel (C,) as tables (T, W), or (C, lanes) where rows have one channel each."""
        if self.planes:
            return [np.repeat(factor[:, None], lanes, axis=1) for factor in factors]
        return [row[None] for row in self.rows_of(factors)]

    def rows_of(self, factors):
        """Factors of each channel as those of a row (W,)."""
        # All at once: a network is trained by many calls on small arrays.
        together = np.array(factors)
        if self.shape[2] > 1:
            together = together.repeat(self.shape[2], axis=1)
        times = self.cut[2] // together.shape[1]
        # Like np.tile, in a tenth of its time.
        return together if times == 1 else together[:, None].repeat(times, axis=1).reshape(len(factors), -1)

    def parts(self, sums):
        """Sums of tasks (2, ...) as parts (2, J, C*I) of the sums of channels."""
        pieces = sums.shape[2] if self.planes else max(1, self.shape[2])
        return sums.reshape(2, -1, self.shape[1] * pieces)

    def empty_tables(self, count, lanes):
        """New tables (count, T, W), and a view of them as (count, M, C*N)."""
        _, channels, inner = self.shape
        shape, each = ((channels, lanes), lanes) if self.planes else ((1, self.cut[2]), max(1, inner))
        tables = np.empty((count, *shape))
        return tables, tables.reshape(count, -1, channels * each)


@lru_cache(maxsize=512)
def make_grid(shape):
    """A `Grid` for arrays of this shape."""
    outer, channels, inner = shape
    planes = inner >= OWN_ROWS
    width = inner if planes else row_width(outer, channels * max(1, inner))
    columns = min(width, MOST_COLUMNS)
    least = 1 if planes else TASK_ROWS
    size = outer * channels * inner
    return Grid(shape, (max(least, TASK_VALUES // columns), columns, width), planes, size <= TASK_VALUES)


# What follows takes C-contiguous arrays (A, C, B) and float64 arrays (C,), and returns such. Bits do not depend on the
# number of threads.


class Factors(NamedTuple):
    """What arrays are normalized by: rows for the mean, deviation, scale and shift of each channel, and maybe more.

    The tables are of the mean, scale and shift, as `filled` takes them.
    """

    found: np.ndarray
    tables: Any


def batch_factors(x, weights, epsilon, momentum):
    """`Factors` of a batch, from its own mean and variance, the variance without Bessel's correction.

    The weights (4, C) are gamma, beta, the moving mean and variance; two more rows tell what these two become. There is
    at least one value for each channel.
    """
    grid = make_grid(x.shape)
    # Deviations from any value of the channel are small beside the values where these are nearly alike.
    first = x[0, :, 0].astype(np.float64)
    start = first if grid.planes else grid.rows_of((first,))[0]
    found, (tables, places) = np.empty((6, len(first))), grid.empty_tables(3, VECTOR_BYTES // x.itemsize)
    settings = x.size / len(first), epsilon, momentum
    factors_of_batch(_sums(x, x, start, start), first, weights, settings, found, places, serial=True)
    return Factors(found, tables)


def gradients_of(grad, x, factors, joined):
    """Gradients of gamma and beta (2, C), and the tables by which `filled` makes that of ``x`` of ``(grad, x)``.

    What comes from mean and deviation is part of it. Where relu is ``joined``, only what it passes counts.
    """
    grid = make_grid(x.shape)
    found, tables = factors
    mean, *gate = (found[0], found[2], found[3]) if grid.planes else (table[0] for table in tables)
    sums = _sums(grad, x, np.zeros_like(mean), mean, tuple(gate) if joined else ())
    gradients, (more, places) = np.empty((2, x.shape[1])), grid.empty_tables(2, VECTOR_BYTES // x.itemsize)
    factors_of_gradient(sums, found, max(1.0, x.size / x.shape[1]), gradients, places, serial=True)
    return gradients, (tables[1], *more, *(tables[1:] if joined else ()))


def _sums(a, b, a_from, b_from, gate=()):
    """For each task the sums of ``a - a_from`` and of ``(a - a_from) * (b - b_from)``, as `Grid.parts` has them.

    Where a row holds all channels, the factors are those of a row. Of what a gate does not pass, ``a`` is 0.
    """
    grid = make_grid(a.shape)
    rows, columns, width = grid.cut
    a, b, total = a.reshape(-1), b.reshape(-1), -(-a.size // width)
    factors = a_from, b_from, gate or (b_from,)
    if grid.planes:
        sums = np.empty((2, total, -(-width // columns)))
        sum_planes(a, b, *factors, sums, grid.cut, serial=grid.serial)
    else:
        sums = np.empty((2, -(-total // rows), width))
        sum_columns(a, b, *factors, sums, _wide(a), grid.cut, serial=grid.serial)
    return grid.parts(sums)


def scaled(x, scale, shift, low=-math.inf):
    """``max(x * scale + shift, low)`` as a new array."""
    return filled((x,), tables_of(x, scale, shift), low)


def tables_of(x, *factors):
    """Factors of each channel as `filled` takes them for arrays of this shape and dtype."""
    return make_grid(x.shape).tables(factors, VECTOR_BYTES // x.itemsize)


def filled(arrays, tables, low=-math.inf):
    """A new array from one or two, and tables of a factor for each of them, what is added, and maybe a gate."""
    first, count = arrays[0], len(arrays)
    grid = make_grid(first.shape)
    out = aligned_empty(grid.shape, first.dtype)
    *inputs, result = (x.reshape(-1) for x in (*arrays, out))
    scales, shift, gate = tuple(tables[:count]), tables[count], tuple(tables[count + 1 :])
    how = _wide(first), int(not grid.planes), grid.cut
    multiply_add(tuple(inputs), scales, shift, (gate or (shift,), low), result, *how, serial=grid.serial)
    return out


def _wide(x):
    """As many numbers as a line of an array has vectors in float64: Numba knows lengths of tuples when it compiles."""
    return (0,) * (8 // x.itemsize)

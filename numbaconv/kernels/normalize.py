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
from typing import NamedTuple

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

    def total(self, sums):
        """Sums of tasks (2, ...) as sums of channels (2, C)."""
        outer, channels, inner = self.shape
        if self.planes:
            return sums.sum(2).reshape(2, outer, channels).sum(1)
        sums = np.add.reduce(sums, axis=1)
        return sums if sums.shape[1] == channels else sums.reshape(2, -1, channels, max(1, inner)).sum((1, 3))


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


def moments(x):
    """Mean and variance of each channel, the variance without Bessel's correction; at least one value for each."""
    # Deviations from any value of the channel are small beside the values where these are nearly alike.
    first = x[0, :, 0].astype(np.float64)
    shift, square = centred_sums(x, x, first, first) / (x.size // x.shape[1])
    return first + shift, np.maximum(square - shift * shift, 0)


def centred_sums(a, b, a_from, b_from, gate=None):
    """For each channel the sums of ``a - a_from`` and of ``(a - a_from) * (b - b_from)``, as an array (2, C).

    Of what a gate does not pass, ``a`` is 0.
    """
    grid = make_grid(a.shape)
    rows, columns, width = grid.cut
    a, b, total = a.reshape(-1), b.reshape(-1), -(-a.size // width)
    factors, kernel = (a_from, b_from, *(gate or ())), sum_planes if grid.planes else sum_columns
    if grid.planes:
        sums, wide = np.empty((2, total, -(-width // columns))), ()
    else:
        sums, wide, factors = np.empty((2, -(-total // rows), width)), (_wide(a),), grid.rows_of(factors)
    a_from, b_from, *gate = factors
    kernel(a, b, a_from, b_from, tuple(gate) or (b_from,), sums, *wide, grid.cut, serial=grid.serial)
    return grid.total(sums)


def scaled(x, scale, shift, low=-math.inf):
    """``max(x * scale + shift, low)`` as a new array."""
    return filled((x,), tables_of(x, scale, shift), low)


def scaled_sum(x, y, x_scale, y_scale, shift, gate=None):
    """``x * x_scale + y * y_scale + shift`` as a new array; ``x`` is 0 where the gate does not let ``y`` pass."""
    return filled((x, y), tables_of(x, x_scale, y_scale, shift, *(gate or ())))


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

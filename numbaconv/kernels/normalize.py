"""Batch normalization's passes over its arrays: sums for each channel, and a multiply-add with factors of each channel.

Factors are float64 for arrays of either dtype: the passes are bound by memory, and where a channel's mean is large
beside its deviations nothing is lost. Arrays are seen as rows (R, W), of which a task takes so many; task t finds its
channels' factors in line t modulo T of tables (T, W).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import prange

from ..machine.aligned import aligned_empty
from ..machine.compiler import compiled
from .sums import ROW_VALUES, TASK_VALUES, cut, fold, row_width

# Values of a row at most, unless the positions of a channel have no such factor.
MOST_ROW_VALUES = 1024


@compiled(parallel=True)
def sum_products(a, b, a_from, b_from, sums, products, rows):
    """Sums of ``a - a_from`` and of its products with ``b - b_from``.

    Parameters
    ----------
    a, b : array (R, W)
    a_from, b_from : float64 array (T, W)
    sums, products : float64 array (tasks, W)
        Written in full.
    rows : int
        Rows of a task; the last one may have fewer.
    """
    total, width = a.shape
    for task in prange(sums.shape[0]):
        start, line = np.int64(task) * rows, np.int64(task) % len(a_from)
        for j in range(width):
            sums[task, j] = 0
            products[task, j] = 0
        for r in range(start, min(start + rows, total)):
            for j in range(width):
                difference = a[r, j] - a_from[line, j]
                sums[task, j] += difference
                products[task, j] += difference * (b[r, j] - b_from[line, j])


@compiled(parallel=True)
def multiply_add(x, scale, shift, out, tasks, rows):
    """``out[r, j] = x[r, j] * scale[t, j] + shift[t, j]`` for arrays (R, W) and float64 tables (T, W)."""
    total, width = x.shape
    for task in prange(tasks):
        start, line = np.int64(task) * rows, np.int64(task) % len(scale)
        for r in range(start, min(start + rows, total)):
            for j in range(width):
                out[r, j] = x[r, j] * scale[line, j] + shift[line, j]


@compiled(parallel=True)
def multiply_add_two(x, y, x_scale, y_scale, shift, out, tasks, rows):
    """``out[r, j] = x[r, j] * x_scale[t, j] + (y[r, j] * y_scale[t, j] + shift[t, j])`` likewise."""
    total, width = x.shape
    for task in prange(tasks):
        start, line = np.int64(task) * rows, np.int64(task) % len(shift)
        for r in range(start, min(start + rows, total)):
            for j in range(width):
                out[r, j] = x[r, j] * x_scale[line, j] + (y[r, j] * y_scale[line, j] + shift[line, j])


class Grid(NamedTuple):
    """How arrays (A, C, B), the channels in the middle, are seen as rows: by the shape alone."""

    shape: tuple[int, int, int]
    width: int
    rows: int
    tasks: int
    serial: bool

    def table(self, factor):
        """A factor of each channel (C,) as a table (T, W)."""
        _, channels, inner = self.shape
        if inner == 1:
            return np.tile(factor, self.width // channels)[None]
        return np.repeat(factor[:, None], self.width, axis=1)

    def total(self, sums):
        """Sums of tasks (tasks, W) as sums of channels (C,)."""
        outer, channels, inner = self.shape
        return fold(sums if inner == 1 else sums.sum(1).reshape(outer, channels), channels)


@lru_cache(maxsize=512)
def make_grid(shape):
    """A `Grid` for arrays of this shape."""
    outer, channels, inner = shape
    serial = outer * channels * inner < TASK_VALUES
    if inner == 1:
        width = row_width(outer, channels)
        return Grid(shape, width, *cut((outer * channels // width, width)), serial)
    # A task for each run of a channel, cut into rows of one length.
    width = next((w for w in range(ROW_VALUES, MOST_ROW_VALUES) if inner % w == 0), inner)
    return Grid(shape, width, inner // width, outer * channels, serial)


# What follows takes C-contiguous arrays (A, C, B) and float64 arrays (C,), and returns such. Bits do not depend on the
# number of threads.


def moments(x):
    """Mean and variance of each channel, the variance without Bessel's correction; at least one value for each."""
    # Deviations from any value of the channel are small beside the values where these are nearly alike.
    first = x[0, :, 0].astype(np.float64)
    sums, products = centred_sums(x, x, first, first)
    count = x.size // x.shape[1]
    mean = sums / count
    return first + mean, np.maximum(products / count - mean * mean, 0)


def centred_sums(a, b, a_from, b_from):
    """For each channel the sums of ``a - a_from`` and of ``(a - a_from) * (b - b_from)``."""
    grid = make_grid(a.shape)
    a, b = (x.reshape(-1, grid.width) for x in (a, b))
    sums, products = np.empty((2, grid.tasks, grid.width))
    sum_products(a, b, grid.table(a_from), grid.table(b_from), sums, products, grid.rows, serial=grid.serial)
    return grid.total(sums), grid.total(products)


def scaled(x, scale, shift):
    """``x * scale + shift`` as a new array."""
    return _filled(multiply_add, (x,), (scale, shift))


def scaled_sum(x, y, x_scale, y_scale, shift):
    """``x * x_scale + y * y_scale + shift`` as a new array."""
    return _filled(multiply_add_two, (x, y), (x_scale, y_scale, shift))


def _filled(kernel, arrays, factors):
    grid = make_grid(arrays[0].shape)
    out = aligned_empty(grid.shape, arrays[0].dtype)
    *wide, wide_out = (x.reshape(-1, grid.width) for x in (*arrays, out))
    kernel(*wide, *map(grid.table, factors), wide_out, grid.tasks, grid.rows, serial=grid.serial)
    return out

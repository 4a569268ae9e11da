"""The calls of batch normalization's loops: how arrays are cut, and room for what they find.

Arrays are C-contiguous, (A, C, B) with the channels in the middle, and factors of channels are float64 arrays (C,).
Bits do not depend on the number of threads.
"""

from functools import lru_cache
from math import gcd

import numpy as np

from ..kernels.named import multiply_add, normalize_back, normalize_batch
from ..machine.aligned import aligned_empty
from ..machine.vectors import VECTOR_BYTES
from ..objects.tuples import NamedTuple
from .epilogue import NO_MINIMUM

# Columns that a task takes at most, and values of a channel from which on they have rows of their own.
MOST_COLUMNS, OWN_ROWS = 4096, 64
# Values of a long row, at most, if it has several positions.
ROW = 1024
# Deviations that a mean is from 0, at most, where factors of the dtype of arrays do.
NEAR = 8


class Grid(NamedTuple):
    """How arrays (A, C, B), the channels in the middle, are seen as rows (R, W) and cut: by shape and vector width."""

    channels: int
    # Values of a channel.
    values: float
    # How often a table repeats each factor, and its shape: (1, W), or (C, four vectors) where a row has one channel.
    each: int
    table: tuple[int, int]
    # Of sums over the columns or rows of tasks: (2, J, C*I).
    sums: tuple[int, int, int]
    # What kernels take.
    how: tuple[tuple[int, ...], int, tuple[int, int, int]]
    serial: bool

    def tables_of(self, *factors: np.ndarray) -> np.ndarray:
        """Factors of each channel (C,) as tables."""
        # All at once: a network is trained by many calls on small arrays.
        together = np.array(factors).repeat(self.each, axis=1)
        times = self.table[0] * self.table[1] // together.shape[1]
        return together[:, None].repeat(times, axis=1).reshape(len(factors), *self.table)


@lru_cache(maxsize=512)
def make_grid(shape: tuple[int, ...], itemsize: int, sums: bool = True) -> Grid:
    """A `Grid` for arrays of this shape and size of items; without ``sums``, rows are longer."""
    # Who finds a network on disk does without.
    from ..kernels.sums import TASK_ROWS, TASK_VALUES, row_width

    outer, channels, inner = shape
    planes, line = inner >= OWN_ROWS, 4 * VECTOR_BYTES // itemsize
    width = inner if planes else row_width(outer, channels * max(1, inner))
    if not (planes or sums):
        width = max(width, _long_row(outer, channels * max(1, inner), VECTOR_BYTES // itemsize))
    columns = min(width, MOST_COLUMNS)
    least, size = 1 if planes else TASK_ROWS, outer * channels * inner
    rows = max(least, TASK_VALUES // columns)
    total = -(-size // width)
    each, pieces = (line, -(-width // columns)) if planes else (max(1, inner),) * 2
    parts = total // channels if planes else -(-total // rows) * width // (channels * pieces)
    table, of_sums = (channels, line) if planes else (1, width), (2, parts, channels * pieces)
    # As many numbers as a line of an array has vectors in float64: Numba knows lengths of tuples when it compiles.
    how = (0,) * (8 // itemsize), int(not planes), (rows, columns, width)
    return Grid(channels, max(1.0, size / channels), each, table, of_sums, how, size <= TASK_VALUES)


def _long_row(positions: int, channels: int, lanes: int) -> int:
    """Values of a row of whole positions that has few tails, and begins with a whole vector if it can."""
    count, whole = max(1, min(positions, ROW // channels)), lanes // gcd(channels, lanes)
    return channels * (count if count < whole else count // whole * whole)


class Factors(NamedTuple):
    """What arrays are normalized by: rows for the mean, deviation, scale and shift of each channel, and maybe more.

    The tables are of the mean, scale and shift.
    """

    found: np.ndarray
    tables: np.ndarray


def normalized(
    x: np.ndarray,
    weights: np.ndarray,
    epsilon: float,
    momentum: float,
    low: float = NO_MINIMUM,
    onto: np.ndarray | None = None,
) -> tuple[np.ndarray, Factors]:
    """A batch, normalized by its own mean and variance, the variance without Bessel's correction, and the `Factors`.

    The weights (4, C) are gamma, beta, the moving mean and variance; two more rows tell what these two become. There is
    at least one value for each channel. ``onto`` is an array that is added to the result; sums below
    ``low`` become ``low``.
    """
    grid = make_grid(x.shape, x.itemsize)
    found, tables = aligned_empty((6, grid.channels), np.float64), aligned_empty((3, *grid.table), np.float64)
    out = aligned_empty(x.shape, x.dtype)
    settings = grid.values, float(epsilon), float(momentum), float(low), grid.each
    room = found, tables, aligned_empty(grid.sums, np.float64)
    arrays = x.reshape(-1), np.empty(0, x.dtype) if onto is None else onto.reshape(-1)
    normalize_batch(arrays, weights, settings, room, out.reshape(-1), *grid.how, serial=grid.serial)
    return out, Factors(found, tables)


def gradients_of(
    grad: np.ndarray, x: np.ndarray, factors: Factors, joined: bool, input_grad: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Gradients of gamma and beta (2, C), and that of ``x``, or None if it is not wanted.

    What comes from mean and deviation is part of it. Where relu is ``joined``, only what it passes counts.
    """
    grid = make_grid(x.shape, x.itemsize)
    found, tables = factors
    gate = (tables[1], tables[2]) if joined else (tables[2],)
    gradients, more = (aligned_empty(shape, np.float64) for shape in ((2, grid.channels), (2, *grid.table)))
    out = aligned_empty(x.shape if input_grad else (0,), x.dtype)
    room = gradients, more, aligned_empty(grid.sums, np.float64), out.reshape(-1)
    arrays, settings = (grad.reshape(-1), x.reshape(-1)), (grid.values, grid.each)
    normalize_back(arrays, (found, tables), gate, settings, room, *grid.how, serial=grid.serial)
    return gradients, out if input_grad else None


def scaled(x: np.ndarray, scale: np.ndarray, shift: np.ndarray, low: float = NO_MINIMUM) -> np.ndarray:
    """``max(x * scale + shift, low)`` as a new array."""
    return filled(x, make_grid(x.shape, x.itemsize, sums=False).tables_of(scale, shift), low)


def tables_of(x: np.ndarray, *factors: np.ndarray) -> np.ndarray:
    """Factors of each channel as tables for arrays of this shape and dtype, of which sums are wanted, too."""
    return make_grid(x.shape, x.itemsize).tables_of(*factors)


def quick_tables(x: np.ndarray, found: np.ndarray) -> np.ndarray:
    """What `filled` takes, from mean, deviation, scale and shift of each channel.

    Tables are of the array's dtype where means are so small that no digits are lost by it.
    """
    mean, deviation, *factors = found
    tables = make_grid(x.shape, x.itemsize, sums=False).tables_of(*factors)
    narrow = tables.astype(x.dtype)
    near = np.abs(mean) <= NEAR * deviation
    return narrow if near.all() and np.isfinite(narrow).all() else tables


def filled(x: np.ndarray, tables: np.ndarray, low: float = NO_MINIMUM) -> np.ndarray:
    """`scaled` by two tables, of float64 or of the array's dtype."""
    grid = make_grid(x.shape, x.itemsize, sums=False)
    out, wide = aligned_empty(x.shape, x.dtype), (0,) * (tables.itemsize // x.itemsize)
    arrays = x.reshape(-1), tables[0], tables[1], low, out.reshape(-1)
    multiply_add(*arrays, wide, *grid.how[1:], serial=grid.serial)
    return out

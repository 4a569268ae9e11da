"""Sums over everything but the channels: the gradient of a bias, and half of what batch normalization needs."""

from math import ceil

import numpy as np

from ..machine.compiler import compiled
from ..machine.words import prange

# Values that one task adds up, rows that it takes at least, and values that make a row worth a vector loop.
TASK_VALUES, TASK_ROWS, ROW_VALUES = 16_384, 16, 64


@compiled(parallel=True)
def sum_rows(x, sums, rows):
    """Sum so many rows at a time: ``sums[task, j] = sum over r of x[(task*rows + r)*W + j]`` in float64.

    Bound by memory: ``x`` is read once. Its last row may be shorter.
    """
    width = sums.shape[1]
    for task in prange(sums.shape[0]):
        start = np.int64(task) * rows
        for j in range(width):
            sums[task, j] = 0
        for r in range(start, min(start + rows, -(-len(x) // width))):
            row = x[r * width : (r + 1) * width]
            for j in range(len(row)):
                sums[task, j] += row[j]


@compiled(parallel=True)
def sum_runs(x, sums):
    """Sum neighbours: ``sums[i] = x[i, 0] + x[i, 1] + ...``, for rows so short that NumPy takes several times as long.

    Bound by memory.
    """
    total, width = x.shape
    for task in prange(-(-total // TASK_VALUES)):
        start = np.int64(task) * TASK_VALUES
        for r in range(start, min(start + TASK_VALUES, total)):
            value = x[r, 0]
            for j in range(1, width):
                value += x[r, j]
            sums[r] = value


def channel_sums(x):
    """Sum a C-contiguous array (..., C) over all axes but the last, in float64 whatever its dtype.

    The sums (C,) are of the dtype of ``x``, and bit-identical for any number of threads.
    """
    channels = x.shape[-1]
    width = row_width(x.size // channels, channels)
    rows, tasks = cut(x.size, width)
    sums = np.empty((tasks, width))
    sum_rows(x.reshape(-1), sums, rows, serial=tasks == 1)
    with np.errstate(over="ignore"):
        return fold(sums, channels).astype(x.dtype)


def row_width(positions, channels):
    """Values of a row of one or more whole positions, so that few channels fill vectors too."""
    return channels * max(1, min(positions, 1 << ((ROW_VALUES - 1) // channels).bit_length()))


def cut(size, width):
    """Rows of one task, and the number of tasks, for so many values in rows: by these alone."""
    rows = max(TASK_ROWS, TASK_VALUES // width)
    return rows, max(1, ceil(size / (rows * width)))


@np.errstate(invalid="ignore")
def fold(sums, channels):
    """Sum over tasks (tasks, W), in order, and over the positions that share a row."""
    return sums.sum(0).reshape(-1, channels).sum(0)

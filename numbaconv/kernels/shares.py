"""Softmax and its logarithm over one axis, and their gradients, on all cores.

Arrays are (R, n, inner): an axis of n values for each of R * inner rows. Where ``inner`` is 1 a row is read in lines,
whose lanes are added up at its end; otherwise each lane has a row of its own.
"""

import math

import numpy as np

from ..machine.aligned import aligned_empty
from ..machine.compiler import compiled
from ..machine.lanes import line_keep, line_log, line_sum, line_top
from ..machine.line import line_maximum, line_read, line_write
from ..machine.tile import lanes_of
from ..machine.vectors import VECTOR_BYTES
from ..machine.words import prange
from .pointwise import SERIAL_VALUES, TASK_VALUES, exp, flattened

# Values of a row that are added up before their sum is added to that of the row.
RUN = 4096


@compiled
def kept(line, count, lanes, number):
    """A line with another number from lane ``count`` on; most have no such lanes."""
    return line_keep(line, count, number) if count < lanes else line


@compiled(parallel=True)
def fill_rows(x, out, count, logarithm, rows):
    """Shares of rows of ``count`` values, or their logarithms; a task takes so many rows."""
    lanes, total_rows = lanes_of(x), x.size // count
    for task in prange(-(-total_rows // rows)):
        first = np.int64(task) * rows
        for row in range(first, min(first + rows, total_rows)):
            at = row * count
            tops = line_keep(line_read(1, x, at, count), count, -math.inf)
            for c in range(lanes, count, lanes):
                tops = line_maximum(tops, kept(line_read(1, x, at + c, count - c), count - c, lanes, -math.inf))
            top = line_top(tops)
            sums = line_keep(tops, 0, 0.0)
            for start in range(0, count, RUN):
                run = line_keep(tops, 0, 0.0)
                for c in range(start, min(start + RUN, count), lanes):
                    power = exp(line_read(1, x, at + c, count - c) - top)
                    line_write(power, out, at + c, count - c)
                    run = run + kept(power, count - c, lanes, 0.0)
                sums = sums + run
            total = line_sum(sums)
            total = math.log(total) if logarithm else 1 / total
            for c in range(0, count, lanes):
                if logarithm:
                    share = line_read(1, x, at + c, count - c) - top - total
                else:
                    share = line_read(1, out, at + c, count - c) * total
                line_write(share, out, at + c, count - c)


@compiled(parallel=True)
def fill_planes(x, out, count, inner, logarithm, lines):
    """The same for rows whose values lie ``inner`` apart; a task takes so many lines of rows."""
    lanes = lanes_of(x)
    across = -(-inner // lanes)
    total_lines = x.size // (count * inner) * across
    for task in prange(-(-total_lines // lines)):
        first = np.int64(task) * lines
        for line in range(first, min(first + lines, total_lines)):
            column = line % across * lanes
            left, at = inner - column, line // across * count * inner + column
            top = line_read(1, x, at, left)
            for c in range(1, count):
                top = line_maximum(top, line_read(1, x, at + c * inner, left))
            total = line_keep(top, 0, 0.0)
            for start in range(0, count, RUN):
                run = line_keep(top, 0, 0.0)
                for c in range(start, min(start + RUN, count)):
                    power = exp(line_read(1, x, at + c * inner, left) - top)
                    line_write(power, out, at + c * inner, left)
                    run = run + power
                total = total + run
            total = line_log(total) if logarithm else 1.0 / total
            for c in range(count):
                if logarithm:
                    share = line_read(1, x, at + c * inner, left) - top - total
                else:
                    share = line_read(1, out, at + c * inner, left) * total
                line_write(share, out, at + c * inner, left)


@compiled(parallel=True)
def fill_rows_back(grad_out, y, out, count, logarithm, rows):
    """Gradients of `fill_rows` with respect to its input, from those of its output and that output."""
    lanes, total_rows = lanes_of(y), y.size // count
    for task in prange(-(-total_rows // rows)):
        first = np.int64(task) * rows
        for row in range(first, min(first + rows, total_rows)):
            at = row * count
            sums = line_keep(line_read(1, y, at, count), 0, 0.0)
            for start in range(0, count, RUN):
                run = line_keep(sums, 0, 0.0)
                for c in range(start, min(start + RUN, count), lanes):
                    grad = line_read(1, grad_out, at + c, count - c)
                    run = run + (grad if logarithm else grad * line_read(1, y, at + c, count - c))
                sums = sums + run
            total = line_sum(sums)
            for c in range(0, count, lanes):
                grad, share = line_read(1, grad_out, at + c, count - c), line_read(1, y, at + c, count - c)
                line_write(grad - exp(share) * total if logarithm else share * (grad - total), out, at + c, count - c)


@compiled(parallel=True)
def fill_planes_back(grad_out, y, out, count, inner, logarithm, lines):
    """Gradients of `fill_planes` likewise."""
    lanes = lanes_of(y)
    across = -(-inner // lanes)
    total_lines = y.size // (count * inner) * across
    for task in prange(-(-total_lines // lines)):
        first = np.int64(task) * lines
        for line in range(first, min(first + lines, total_lines)):
            column = line % across * lanes
            left, at = inner - column, line // across * count * inner + column
            total = line_keep(line_read(1, y, at, left), 0, 0.0)
            for start in range(0, count, RUN):
                run = line_keep(total, 0, 0.0)
                for c in range(start, min(start + RUN, count)):
                    grad = line_read(1, grad_out, at + c * inner, left)
                    run = run + (grad if logarithm else grad * line_read(1, y, at + c * inner, left))
                total = total + run
            for c in range(count):
                grad = line_read(1, grad_out, at + c * inner, left)
                share = line_read(1, y, at + c * inner, left)
                line_write(
                    grad - exp(share) * total if logarithm else share * (grad - total), out, at + c * inner, left
                )


def shares(x, axis, logarithm):
    """Softmax of an array over one axis, or its logarithm, as a new array."""
    return _called(fill_rows, fill_planes, axis, logarithm, x)


def shares_back(grad_out, y, axis, logarithm):
    """Its gradient with respect to its input, from that of its output and its output."""
    return _called(fill_rows_back, fill_planes_back, axis, logarithm, grad_out, y)


def _called(by_rows, by_planes, axis, logarithm, *arrays):
    shape = arrays[0].shape
    out = aligned_empty(shape, arrays[0].dtype)
    *flat, flat_out = (flattened(x) for x in (*arrays, out))
    count, inner = shape[axis], math.prod(shape[axis % len(shape) + 1 :])
    serial = out.size <= SERIAL_VALUES
    if count == 1:
        # A line of rows takes as long as one row.
        inner = out.size
    if inner == 1:
        by_rows(*flat, flat_out, count, logarithm, -(-TASK_VALUES // count), serial=serial)
    else:
        lines = -(-TASK_VALUES // (count * VECTOR_BYTES // out.itemsize))
        by_planes(*flat, flat_out, count, inner, logarithm, lines, serial=serial)
    return out

"""Softmax and its logarithm over one axis, and their gradients, on all cores.

Arrays are (R, n, inner): an axis of n values for each of R * inner rows. Where ``inner`` is 1, for which
kernels take None, a row is read in lines, whose lanes become one number at its end; otherwise each lane has a row of
its own.
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


@compiled(inline=True)
def _kept(line, count, lanes, inner, number):
    """A line with another number from lane ``count`` on, in rows that are read in lines; most have no such lanes."""
    if inner is not None:
        return line
    return line_keep(line, count, number) if count < lanes else line


@compiled
def _layout(x, count, inner):
    """Lines of rows, or rows that are read in lines; of each how many values a step takes, and how far they are apart.

    And how many values fewer are left of a line for each that was taken.
    """
    if inner is None:
        return x.size // count, lanes_of(x), 1, 1
    return x.size // (count * inner) * -(-inner // lanes_of(x)), 1, inner, 0


@compiled(inline=True)
def _place(number, count, inner, lanes):
    """Where one of these lines begins, and the values from there on that are its own."""
    if inner is None:
        return number * count, count
    across = -(-inner // lanes)
    column = number % across * lanes
    return number // across * count * inner + column, inner - column


@compiled(parallel=True)
def fill_shares(x, out, count, inner, logarithm, lines):
    """Shares of rows of ``count`` values, ``inner`` apart or None, or their logarithms; a task takes so many lines."""
    for task in prange(-(-_layout(x, count, inner)[0] // lines)):
        (total, step, apart, less), lanes, first = _layout(x, count, inner), lanes_of(x), np.int64(task) * lines
        for number in range(first, min(first + lines, total)):
            at, left = _place(number, count, inner, lanes)
            top = _kept(line_read(1, x, at, left), left, lanes, inner, -math.inf)
            for c in range(step, count, step):
                line = line_read(1, x, at + c * apart, left - c * less)
                top = line_maximum(top, _kept(line, left - c * less, lanes, inner, -math.inf))
            if inner is None:
                top = line_keep(top, 0, line_top(top))
            sums = line_keep(top, 0, 0.0)
            for start in range(0, count, RUN):
                run = line_keep(top, 0, 0.0)
                for c in range(start, min(start + RUN, count), step):
                    power = exp(line_read(1, x, at + c * apart, left - c * less) - top)
                    line_write(power, out, at + c * apart, left - c * less)
                    run = run + _kept(power, left - c * less, lanes, inner, 0.0)
                sums = sums + run
            if inner is None:
                whole = line_sum(sums)
                sums = line_keep(sums, 0, math.log(whole) if logarithm else 1 / whole)
            else:
                sums = line_log(sums) if logarithm else 1.0 / sums
            for c in range(0, count, step):
                if logarithm:
                    share = line_read(1, x, at + c * apart, left - c * less) - top - sums
                else:
                    share = line_read(1, out, at + c * apart, left - c * less) * sums
                line_write(share, out, at + c * apart, left - c * less)


@compiled(parallel=True)
def fill_shares_back(grad_out, y, out, count, inner, logarithm, lines):
    """Gradients of `fill_shares` with respect to its input, from those of its output and that output."""
    for task in prange(-(-_layout(y, count, inner)[0] // lines)):
        (total, step, apart, less), lanes, first = _layout(y, count, inner), lanes_of(y), np.int64(task) * lines
        for number in range(first, min(first + lines, total)):
            at, left = _place(number, count, inner, lanes)
            sums = line_keep(line_read(1, y, at, left), 0, 0.0)
            for start in range(0, count, RUN):
                run = line_keep(sums, 0, 0.0)
                for c in range(start, min(start + RUN, count), step):
                    place, some = at + c * apart, left - c * less
                    grad = line_read(1, grad_out, place, some)
                    run = run + (grad if logarithm else grad * line_read(1, y, place, some))
                sums = sums + run
            if inner is None:
                sums = line_keep(sums, 0, line_sum(sums))
            for c in range(0, count, step):
                place, some = at + c * apart, left - c * less
                grad, share = line_read(1, grad_out, place, some), line_read(1, y, place, some)
                line_write(grad - exp(share) * sums if logarithm else share * (grad - sums), out, place, some)


def shares(x, axis, logarithm):
    """Softmax of an array over one axis, or its logarithm, as a new array."""
    return _called(fill_shares, axis, logarithm, x)


def shares_back(grad_out, y, axis, logarithm):
    """Its gradient with respect to its input, from that of its output and its output."""
    return _called(fill_shares_back, axis, logarithm, grad_out, y)


def _called(kernel, axis, logarithm, *arrays):
    shape = arrays[0].shape
    out = aligned_empty(shape, arrays[0].dtype)
    count, inner = shape[axis], math.prod(shape[axis % len(shape) + 1 :])
    # A line of rows takes as long as one row. Numba compiles anew for None, and drops what is for others.
    inner = out.size if count == 1 else None if inner == 1 else inner
    lines = -(-TASK_VALUES // (count * (1 if inner is None else VECTOR_BYTES // out.itemsize)))
    serial = out.size <= SERIAL_VALUES
    kernel(*map(flattened, (*arrays, out)), count, inner, logarithm, lines, serial=serial)
    return out

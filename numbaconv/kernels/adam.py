"""The step of the optimizer Adam: one pass over the weights, their gradients and the means that it keeps."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import line_keep, line_less, line_sqrt, line_sum
from ..machine.line import line_read, line_write
from ..machine.tile import lanes_of
from ..machine.words import prange


@compiled(parallel=True)
def adam(value, gradient, before, after, settings, finite, task_values):
    """Change weights (V,) in place by the formula of `optimizers.Adam`, so many values at a time.

    ``before`` are momentum, velocity and, with amsgrad, its largest values before the step; ``after`` gets the same
    after it, and may be ``before``. Settings are the share of themselves that weights lose, the shares that means take
    of what is new, the rate, and epsilon. ``finite`` gets whether all that a task has written is finite.
    """
    decay, first, second, rate, epsilon = settings
    lanes = lanes_of(value)
    for number in prange(len(finite)):
        task = np.int64(number)
        start, end = task * task_values, min((task + 1) * task_values, value.size)
        wrong = line_keep(line_read(1, value, start, end - start), 0, 0.0)
        for at in range(start, end, lanes):
            count = end - at
            weight, slope = line_read(1, value, at, count), line_read(1, gradient, at, count)
            mean, square = line_read(1, before[0], at, count), line_read(1, before[1], at, count)
            mean, square = mean + (slope - mean) * first, square + (slope * slope - square) * second
            line_write(mean, after[0], at, count)
            line_write(square, after[1], at, count)
            size = square
            if len(before) == 3:
                largest = line_read(1, before[2], at, count)
                size = line_less(largest, square, square, largest)
                line_write(size, after[2], at, count)
            weight = weight - weight * decay
            weight = weight - mean * rate / (line_sqrt(size) + epsilon)
            line_write(weight, value, at, count)
            # Infinities and NaN times 0 are NaN.
            wrong = wrong + line_keep(weight * 0.0 + mean * 0.0 + square * 0.0, count, 0.0)
        finite[task] = line_sum(wrong) == 0

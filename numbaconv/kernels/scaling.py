"""A multiply-add with factors of each channel, and what an `Epilogue` says, in one pass over an image's pixels.

It is batch normalization between two convolutions, a depthwise convolution of one tap, the sum of two images, the gates
of a squeeze-and-excite block, and a copy into some channels of a wider image. What a plan holds stands in `scale_rows`.
"""

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import line_keep
from ..machine.line import line_more, line_read
from ..machine.tile import lanes_of, tile_rows
from ..machine.words import prange
from .ending import end_line
from .records import Epilogue

WIDTH, VALUES, X_PITCH, PITCH, SHARED, TASK_ROWS, TASKS = range(7)


@compiled(parallel=True)
def scale_rows(x, scale, epilogue, out, plan):
    """``out[r, c] = x[r, c] * scale[r // shared, c] + bias[c]``, and so on, for rows of so many channels.

    Bound by memory. The arrays are flat; scale and bias may be empty. The plan has the WIDTH of a row, VALUES of all
    rows, elements from one row to the next of x (X_PITCH) and of ``out`` (PITCH), rows that share numbers (SHARED),
    TASK_ROWS of a task, and TASKS.
    """
    for task in prange(plan[TASKS]):
        first, ending = np.int64(task) * plan[TASK_ROWS], Epilogue(*epilogue)
        width, lanes = plan[WIDTH], lanes_of(x)
        for row in range(first, min(first + plan[TASK_ROWS], -(-plan[VALUES] // width))):
            factors = row // plan[SHARED] * width
            end = min(width, plan[VALUES] - row * width)
            for j in range(0, end, lanes):
                line = line_read(1, x, row * plan[X_PITCH] + j, end - j)
                if scale.size:
                    factor = line_read(1, scale, factors + j, end - j)
                    if ending.bias.size:
                        # In one rounding, as sums are.
                        line = line_more(line_read(1, ending.bias, j, end - j), line, factor)
                    else:
                        line = line * factor
                elif ending.bias.size:
                    line = line + line_read(1, ending.bias, j, end - j)
                end_line(line, out, row * plan[PITCH] + j, end - j, ending)


@compiled(parallel=True)
def scale_planes(x, scale, epilogue, out, plan):
    """``out[n, f, p] = x[n, f // shared, p] * scale[f] + bias[f]``, and so on, for planes of so many values.

    Bound by memory. The plan has the WIDTH of a part of a plane, in VALUES their number, in X_PITCH the values of a
    plane and in PITCH the planes of an image, planes that read the same one (SHARED), TASK_ROWS, parts of a task, and
    TASKS.
    """
    for task in prange(plan[TASKS]):
        first, ending, pixels = np.int64(task) * plan[TASK_ROWS], Epilogue(*epilogue), plan[X_PITCH]
        parts = -(-pixels // plan[WIDTH])
        for part in range(first, min(first + plan[TASK_ROWS], plan[VALUES])):
            plane, left = part // parts, part % parts * plan[WIDTH]
            f, end = plane % plan[PITCH], min(left + plan[WIDTH], pixels)
            start = line_keep(tile_rows(1, 1, ending.bias, 0), 0, ending.bias[f])
            for j in range(left, end, lanes_of(x)):
                line = line_read(1, x, plane // plan[SHARED] * pixels + j, end - j)
                end_line(line_more(start, line, scale[f]), out, plane * pixels + j, end - j, ending)


@compiled(parallel=True)
def scale_lines(x, scale, out):
    """``out[p, c] = x[p, c] * scale[c]``: weights in panels times a number of each channel that they read.

    Bound by memory.
    """
    for panel in prange(x.shape[0]):
        for c in range(x.shape[1]):
            for f in range(x.shape[2]):
                out[panel, c, f] = x[panel, c, f] * scale[c]

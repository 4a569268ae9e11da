"""Swapping two axes: between channels first and channels last."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import copy
from ..machine.square import transpose_part, transpose_square
from ..machine.vectors import VECTOR_BYTES
from ..machine.words import prange

# Elements of a longer axis that are taken at a time where the other one is shorter than a square.
PART = 1024


@compiled(parallel=True)
def transpose(x, out):
    """``out[n, j, i] = x[n, i, j]`` for arrays (N, I, J) and (N, J, I), square by square. Bound by memory.

    The last squares overlap those before them.
    """
    batch, height, width = x.shape
    side = VECTOR_BYTES // x.itemsize
    if height < side or width < side:
        # The longer axis in parts, of which all that is read or written stays in the L1 cache.
        parts = -(-max(height, width) // PART)
        for task in prange(batch * parts):
            number = np.int64(task)
            at, first = number // parts * height * width, number % parts * PART
            end = min(first + PART, max(height, width))
            if 2 * min(height, width) > side:
                for place in range(first, end, side):
                    top, left = (0, place) if height < width else (place, 0)
                    there, to = at + top * width + left, at + left * height + top
                    transpose_part(x, there, width, out, to, height, height - top, width - left)
            elif height < width:
                for i in range(height):
                    for j in range(first, end):
                        copy(out, at + j * height + i, x, at + i * width + j, 1)
            else:
                for j in range(width):
                    for i in range(first, end):
                        copy(out, at + j * height + i, x, at + i * width + j, 1)
    else:
        strips = -(-width // side)
        for task in prange(batch * strips):
            strip = np.int64(task)
            n, left = strip // strips, min(strip % strips * side, width - side)
            for square in range(-(-height // side)):
                top = min(square * side, height - side)
                at = n * height * width
                transpose_square(x, at + top * width + left, width, out, at + left * height + top, height)

"""Swapping two axes: between channels first and channels last."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.square import transpose_square
from ..machine.vectors import VECTOR_BYTES
from ..machine.words import prange


@compiled(parallel=True)
def transpose(x, out):
    """``out[n, j, i] = x[n, i, j]`` for arrays (N, I, J) and (N, J, I), square by square. Bound by memory.

    The last squares overlap those before them; an axis shorter than a square is copied element by element.
    """
    batch, height, width = x.shape
    side = VECTOR_BYTES // x.itemsize
    if height < side or width < side:
        for n in prange(batch):
            for i in range(height):
                for j in range(width):
                    out[n, j, i] = x[n, i, j]
    else:
        strips = -(-width // side)
        for task in prange(batch * strips):
            strip = np.int64(task)
            n, left = strip // strips, min(strip % strips * side, width - side)
            for square in range(-(-height // side)):
                top = min(square * side, height - side)
                at = n * height * width
                transpose_square(x, at + top * width + left, width, out, at + left * height + top, height)

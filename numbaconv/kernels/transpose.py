"""Swapping two axes: between channels first and channels last."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.vectors import VECTOR_BYTES
from ..machine.words import prange
from .planes import write_planes

# Elements of a longer axis that are taken at a time where the other one is shorter than a square: all that is read or
# written stays in the L1 cache.
PART = 1024


@compiled(parallel=True)
def transpose(x, out):
    """``out[n, j, i] = x[n, i, j]`` for arrays (N, I, J) and (N, J, I), square by square. Bound by memory.

    The last squares overlap those before them.
    """
    batch, height, width = x.shape
    side = VECTOR_BYTES // x.itemsize
    # Parts of the longer axis, or of W where squares fit both.
    short = height < side or width < side
    along, part = height if short and width < height else width, PART if short else side
    parts = -(-along // part)
    for task in prange(batch * parts):
        n, first = np.int64(task) // parts, np.int64(task) % parts * part
        # The last square overlaps the one before it.
        first = first if short else min(first, width - side)
        rows, columns, top, left = height, min(part, width - first), 0, first
        if short and width < height:
            rows, columns, top, left = min(part, height - first), width, first, 0
        start, to = n * height * width + top * width + left, n * height * width + left * height + top
        write_planes(x, start, width, rows, columns, out, to, height)

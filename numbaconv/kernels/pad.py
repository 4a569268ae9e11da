"""Cropping and zero padding: one copy of a window of the input, seen from the output."""

import numpy as np
from numba import prange

from ..machine.compiler import compiled
from ..machine.memory import clear, copy


@compiled(parallel=True)
def place(x, out, before):
    """Copy ``x`` into ``out``, shifted by ``before``: positive amounts pad with zeros, negative ones crop.

    ``out[n, d, h, w] = x[n, d - before[0], h - before[1], w - before[2]]`` where that exists, otherwise 0.

    Parameters
    ----------
    x : array (N, D, H, W, C)
    out : array (N, D', H', W', C)
        Written in full.
    before : tuple of 3 int

    Notes
    -----
    Bound by memory: each row is one copy.
    """
    batch, depth, height, width, channels = out.shape
    x_depth, x_height, x_width = x.shape[1:4]
    # Columns lo to hi of the output come from the input.
    lo = min(width, max(0, before[2]))
    hi = max(lo, min(width, x_width + before[2]))
    for task in prange(batch * depth * height):
        line = np.int64(task)
        n, d, h = line // height // depth, line // height % depth - before[0], line % height - before[1]
        to = line * width * channels
        if d < 0 or d >= x_depth or h < 0 or h >= x_height:
            clear(out, to, width * channels)
        else:
            start = ((n * x_depth + d) * x_height + h) * x_width + lo - before[2]
            clear(out, to, lo * channels)
            copy(out, to + lo * channels, x, start * channels, (hi - lo) * channels)
            clear(out, to + hi * channels, (width - hi) * channels)

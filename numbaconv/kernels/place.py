"""Cropping and zero padding: one copy of a window of the input, seen from the output."""

from numba import prange

from .compiler import compiled


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
    Bound by memory.
    """
    batch, depth, height, width, channels = out.shape
    for line in prange(batch * depth * height):
        n, d, h = line // height // depth, line // height % depth - before[0], line % height - before[1]
        inside = 0 <= d < x.shape[1] and 0 <= h < x.shape[2]
        for w in range(width):
            x_w = w - before[2]
            if inside and 0 <= x_w < x.shape[3]:
                for c in range(channels):
                    out[n, d + before[0], h + before[1], w, c] = x[n, d, h, x_w, c]
            else:
                for c in range(channels):
                    out[n, d + before[0], h + before[1], w, c] = 0

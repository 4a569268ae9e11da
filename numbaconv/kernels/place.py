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
    Bound by memory: each row is one contiguous copy.
    """
    batch, depth, height, width, channels = out.shape
    x_depth, x_height, x_width = x.shape[1:4]
    lo = min(width, max(0, before[2]))
    hi = max(lo, min(width, x_width + before[2]))
    source, target = x.reshape(-1), out.reshape(-1)
    for line in prange(batch * depth * height):
        start = line * width * channels
        d = line // height % depth - before[0]
        h = line % height - before[1]
        if d < 0 or d >= x_depth or h < 0 or h >= x_height:
            target[start : start + width * channels] = 0
        else:
            row = ((line // height // depth * x_depth + d) * x_height + h) * x_width - before[2]
            target[start : start + lo * channels] = 0
            target[start + lo * channels : start + hi * channels] = source[(row + lo) * channels : (row + hi) * channels]
            target[start + hi * channels : start + width * channels] = 0

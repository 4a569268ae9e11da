"""Upsampling by whole factors, nearest neighbour and bilinear."""

import numpy as np
from numba import prange

from ..machine.compiler import compiled
from ..machine.memory import copy


@compiled(parallel=True)
def upsample_nearest(x, out, size):
    """Repeat every position of ``x``: ``out[n, d, h, w] = x[n, d // size[0], h // size[1], w // size[2]]``.

    Parameters
    ----------
    x : array (N, D, H, W, C)
    out : array (N, D*size[0], H*size[1], W*size[2], C)
        Written in full.
    size : tuple of 3 int

    Notes
    -----
    Bound by memory: a row is spread once, then copied.
    """
    batch, depth, height, width, channels = x.shape
    row = width * size[2] * channels
    for task in prange(batch * depth * height):
        line = np.int64(task)
        n, d, h = line // height // depth, line // height % depth, line % height
        plane = (n * depth + d) * size[0]
        first = (plane * height + h) * size[1] * row
        for w in range(width):
            for k in range(size[2]):
                for c in range(channels):
                    out[n, d * size[0], h * size[1], w * size[2] + k, c] = x[n, d, h, w, c]
        for i in range(size[0]):
            for j in range(size[1]):
                if i + j > 0:
                    copy(out, first + (i * height * size[1] + j) * row, out, first, row)


@compiled(parallel=True)
def upsample_bilinear(x, out, row_at, row_share, column_at, column_share):
    """Interpolate between the two nearest rows and columns.

    ``out[n, d, h, w] = sum over i, j in {0, 1} of share(i, h) * share(j, w) * x[n, d, row_at[h, i], column_at[w, j]]``

    Parameters
    ----------
    x : array (N, D, H, W, C)
    out : array (N, D, H', W', C)
        Written in full.
    row_at, column_at : int64 array (H', 2), (W', 2)
        The two rows (columns) of ``x`` that an output row (column) lies between.
    row_share, column_share : array (H', 2), (W', 2)
        Their shares, adding up to 1.

    Notes
    -----
    Bound by memory and loads: four reads per output value.
    """
    batch, depth, height, width, channels = out.shape
    for task in prange(batch * depth * height):
        line = np.int64(task)
        n, d, h = line // height // depth, line // height % depth, line % height
        above, below = row_at[h, 0], row_at[h, 1]
        share_above, share_below = row_share[h, 0], row_share[h, 1]
        for w in range(width):
            left, right = column_at[w, 0], column_at[w, 1]
            share_left, share_right = column_share[w, 0], column_share[w, 1]
            for c in range(channels):
                top = share_left * x[n, d, above, left, c] + share_right * x[n, d, above, right, c]
                bottom = share_left * x[n, d, below, left, c] + share_right * x[n, d, below, right, c]
                out[n, d, h, w, c] = share_above * top + share_below * bottom


@compiled(parallel=True)
def resample(x, out, plane_ends, plane_share, row_ends, row_share, column_ends, column_share):
    """Make every position from a run of positions, each with its share: resizing, and the gradient of upsampling.

    ``out[n, i, c] = sum over o from ends[i, 0] to ends[i, 1] - 1 of share[i, o - ends[i, 0]] * x[n, o, c]``, on each
    axis; what has no share is not read.

    Parameters
    ----------
    x : array (N, D', H', W', C)
    out : array (N, D, H, W, C)
        Written in full.
    plane_ends, row_ends, column_ends : int64 array (D, 2), (H, 2), (W, 2)
    plane_share, row_share, column_share : array (D, most), (H, most), (W, most)
        From `takers`, or from `kernels.resize`.

    Notes
    -----
    Bound by memory: each value of ``x`` is read once or, bilinear, four times, from cache.
    """
    batch, depth, height, width, channels = out.shape
    for task in prange(batch * depth * height):
        line = np.int64(task)
        n, d, h = line // height // depth, line // height % depth, line % height
        for w in range(width):
            for c in range(channels):
                out[n, d, h, w, c] = 0
            for a in range(plane_ends[d, 0], plane_ends[d, 1]):
                for b in range(row_ends[h, 0], row_ends[h, 1]):
                    share = plane_share[d, a - plane_ends[d, 0]] * row_share[h, b - row_ends[h, 0]]
                    for e in range(column_ends[w, 0], column_ends[w, 1]):
                        part = share * column_share[w, e - column_ends[w, 0]]
                        if part != 0:
                            for c in range(channels):
                                out[n, d, h, w, c] += part * x[n, a, b, e, c]


def takers(length, size, interpolation, dtype):
    """Outputs that each of so many positions has a share in, which are neighbours, and its shares in them.

    Returns
    -------
    ends : int64 array (length, 2)
        The first of these outputs, and the one after the last.
    share : array (length, most)
    """
    if interpolation == "nearest":
        first = np.arange(length) * size
        return np.stack([first, first + size], 1), np.ones((length, size), dtype)
    at, given = neighbours(length, size, dtype)
    outputs = np.arange(length * size)[:, None]
    ends = np.stack([np.full(length, length * size), np.zeros(length, np.int64)], 1)
    np.minimum.at(ends[:, 0], at, outputs)
    np.maximum.at(ends[:, 1], at, outputs + 1)
    share = np.zeros((length, np.diff(ends).max()), dtype)
    np.add.at(share, (at, outputs - ends[at, 0]), given)
    return ends, share


def neighbours(length, size, dtype):
    """Positions that each output position lies between, and their shares: half-pixel centres, the ends held.

    Output o reads position (o + 0.5) / size - 0.5. Where one position decides alone it stands twice with half a share,
    so that no other one (an infinity, say) is ever multiplied by zero.

    Returns
    -------
    at : int64 array (length * size, 2)
    share : array (length * size, 2)
    """
    position = np.clip((np.arange(length * size) + 0.5) / size - 0.5, 0, length - 1)
    below = np.floor(position)
    above = np.ceil(position)
    share = np.where(below == above, 0.5, position - below)
    return np.stack([below, above], 1).astype(np.int64), np.stack([1 - share, share], 1).astype(dtype)

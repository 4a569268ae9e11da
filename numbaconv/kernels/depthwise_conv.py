"""Depthwise convolution: every channel is filtered by itself, so vectors of channels multiply elementwise."""

import numpy as np
from numba import prange

from .compiler import compiled
from .plan import STRIP_DILATION, STRIP_STRIDE, H, W
from .strip import extent, input_of, locate, places
from .tile import tile_floor, tile_multiply, tile_rows, tile_slide, tile_store
from .vectors import TILE_ROWS, TILE_VECS

# Taps of a row that a tile of neighbouring windows takes at once.
SLIDE = 3


@compiled(parallel=True)
def depthwise_conv(x, weights, bias, floor, out, channels, axes, group, tasks):
    """Filter each channel of ``x`` with its own kernels into ``out``, every task on its own part of the output.

    ``out[n, q, f] = bias[f] + sum over k of x[n, q*stride + k*dilation - before, f // multiplier] * weights[k, f]`` for
    each window q and tap k of the three spatial axes; outside the image x is 0.

    Parameters
    ----------
    x : array (N, D, H, W, C)
    weights : array (blocks, KD, KH, KW, VECS*LANES), 64-byte aligned
        The output channels in blocks as wide as a tile, the last filled up with zeros.
    bias : array (blocks * VECS*LANES,)
    floor : float
        As in `kernels.conv`.
    out : array (elements,)
        Written at every window, as far as ``channels`` channels; the plan's strides tell where. Nothing needs zeroing.
    channels : int
        Output channels, C * multiplier.
    axes, group, tasks
        Of a `Plan`.

    Notes
    -----
    Bound by loads where each multiply-add reads its own vector of the strip, by arithmetic and memory alike where
    windows are neighbours and share what they read.
    """
    for task in prange(tasks):
        _depthwise_task(np.int64(task), x, weights, bias, floor, out, channels, axes, group)


@compiled
def _depthwise_task(task, x, weights, bias, floor, out, channels, axes, group):
    blocks, width = len(weights), weights.shape[4]
    n, d, h, w, part = locate(task, axes)
    rows, strip_rows = extent(axes, H, h)
    columns, strip_columns = extent(axes, W, w)
    first_block, last_block = part * group, min((part + 1) * group, blocks)
    first_channel, repeat = first_block * width, channels // x.shape[4]
    source, start, plane, row, column = input_of(
        x, n, d, h, w, axes, strip_rows, strip_columns, first_channel, (last_block - first_block) * width, repeat
    )
    windows, x_at, out_at = places(n, d, h, w, axes, rows, columns, row, column, TILE_ROWS)

    tables = windows, x_at, out_at, start - first_channel, plane, row, column
    filters = first_block, last_block
    filter_windows(source, tables, rows, columns, weights, bias, floor, out, channels, axes, filters)


@compiled
def filter_windows(source, tables, rows, columns, weights, bias, floor, out, channels, axes, filters):
    """Blocks of channels, from ``filters[0]`` to before ``filters[1]``, for all windows of a task: rows and columns.

    ``tables`` has the number of windows, in whole tiles; where each reads the source, and where it writes; the first
    tap's place in the source, and the elements from one strip position to the next along D, H and W.
    """
    windows, x_at, out_at, start, plane, row, column = tables
    taps_w = weights.shape[3]
    neighbours = axes[W, STRIP_STRIDE] == 1 and axes[W, STRIP_DILATION] == 1
    row, column = row * axes[H, STRIP_DILATION], column * axes[W, STRIP_DILATION]
    tables = windows, x_at, out_at, start, plane, row, column
    for block in range(filters[0], filters[1]):
        if neighbours and columns >= TILE_ROWS and taps_w >= SLIDE:
            _slide(source, tables, rows, columns, weights, bias, floor, out, block, channels)
        else:
            _gather(source, tables, weights, bias, floor, out, block, channels)


@compiled
def _gather(source, tables, weights, bias, floor, out, block, channels):
    """One block of channels, for windows that lie anywhere."""
    windows, x_at, out_at, start, plane, row, column = tables
    _, taps_d, taps_h, taps_w, width = weights.shape
    f = block * width
    for first in range(0, windows, TILE_ROWS):
        tile = tile_rows(TILE_ROWS, TILE_VECS, bias, f)
        at = block * taps_d * taps_h * taps_w * width
        for kd in range(taps_d):
            for kh in range(taps_h):
                for kw in range(taps_w):
                    shift = start + kd * plane + kh * row + kw * column + f
                    tile = tile_multiply(tile, source, x_at, first, shift, weights, at)
                    at += width
        tile_store(tile_floor(tile, floor), out, out_at, first, f, channels - f)


@compiled
def _slide(source, tables, rows, columns, weights, bias, floor, out, block, channels):
    """One block of channels, for rows of windows that are neighbours: the windows of a tile overlap.

    A vector of channels at a time, which leaves registers for the weights.
    """
    _, x_at, out_at, start, plane, row, column = tables
    _, taps_d, taps_h, taps_w, width = weights.shape
    for edge in range(0, columns, TILE_ROWS):
        # The last tile of a row reaches back: what two tiles compute is alike.
        edge = min(edge, columns - TILE_ROWS)
        for first in range(edge, rows * columns, columns):
            for f in range(block * width, min((block + 1) * width, channels), width // TILE_VECS):
                tile = tile_rows(TILE_ROWS, 1, bias, f)
                at = block * (taps_d * taps_h * taps_w - 1) * width + f
                for kd in range(taps_d):
                    for kh in range(taps_h):
                        shift = start + kd * plane + kh * row + f
                        for kw in range(0, taps_w - SLIDE + 1, SLIDE):
                            x_first = x_at[first] + shift + kw * column
                            tile = tile_slide(tile, source, x_first, column, weights, at + kw * width, width, SLIDE)
                        for kw in range(taps_w - taps_w % SLIDE, taps_w):
                            tile = tile_multiply(
                                tile, source, x_at, first, shift + kw * column, weights, at + kw * width
                            )
                        at += taps_w * width
                tile_store(tile_floor(tile, floor), out, out_at, first, f, channels - f)

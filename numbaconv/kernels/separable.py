"""Separable convolution in one pass: what the depthwise step makes of a block of windows stays in the L2 cache."""

import numpy as np
from numba import prange

from ..machine.compiler import compiled
from ..machine.memory import RAMP, ramp
from .conv import sum_to_planes, sum_windows
from .depthwise import filter_windows, input_of_filters
from .plan.axes import H, W
from .strip import aligned, extent, locate, places, spread


@compiled(parallel=True)
def separable_conv(x, depthwise, zeros, pointwise, bias, floor, out, block_at, high, wide, axes, tasks, planar):
    """Convolve each channel of ``x`` by itself, and all of the results with one tap, every task on its own windows.

    ``out[n, q, f] = bias[f] + sum over c of between[n, q, c] * pointwise[c, f]``, ``between`` being what
    `kernels.depthwise` computes without a bias: the same sums in the same order as those of two calls.

    Parameters
    ----------
    x : array (N, D, H, W, C), or (N, C, D, H, W) if ``planar``
    depthwise : array (blocks, KD, KH, KW, VECS*LANES), 64-byte aligned
        The channels in between, in blocks as wide as a tile, the last filled up with zeros.
    zeros : array (at least channels in between, in whole blocks)
        The depthwise step's bias.
    pointwise : array (blocks, 1, 1, 1, channels in between, VECS*LANES), 64-byte aligned
        The filters in blocks, likewise.
    bias, floor, out, block_at, high, wide
        As `kernels.conv` takes them.
    axes, tasks
        Of a `Plan` for the depthwise step, whose output strides are those of ``out``.
    planar : None or int
        As in `kernels.conv`.
    """
    for task in prange(tasks):
        _separable_task(
            np.int64(task), x, depthwise, zeros, pointwise, bias, floor, out, block_at, high, wide, axes, planar
        )


@compiled
def _separable_task(task, x, depthwise, zeros, pointwise, bias, floor, out, block_at, high, wide, axes, planar):
    blocks, channels = len(depthwise), pointwise.shape[4]
    n, d, h, w, _ = locate(task, axes)
    rows, columns = extent(axes, H, h)[0], extent(axes, W, w)[0]
    source, start, steps, inside = input_of_filters(x, n, d, h, w, axes, depthwise, (0, blocks), channels, planar)
    windows, x_at, out_at = places(n, d, h, w, axes, rows, columns, *steps[1:], len(high))

    pitch, last = spread(channels, x), rows * columns - 1
    between, between_start = aligned((last + 1) * pitch, x)
    between_at, shifts = np.empty(windows + RAMP, np.int64), np.empty(channels + 1 + RAMP, np.int64)
    ramp(between_at, 0, between_start, pitch, windows)
    for spare in range(last + 1, windows):
        between_at[spare] = between_at[last]
    ramp(shifts, 0, 0, 1, channels + 1)

    tables = windows, x_at, between_at, start, steps, inside
    filter_windows(
        source, tables, rows, columns, depthwise, zeros, -np.inf, between, channels, axes, (0, blocks), 0, None
    )
    tables = (0, windows), between_at, shifts[: channels + 1], out_at
    filters, images, count = (0, len(pointwise)), x.shape[0], rows * columns
    if planar is None:
        sum_windows(between, tables, pointwise, bias, floor, out, block_at, high, wide, filters)
    else:
        sum_to_planes(
            between, tables, pointwise, bias, floor, out, block_at, high, wide, filters, planar, images, count
        )

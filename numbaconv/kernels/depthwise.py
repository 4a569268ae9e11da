"""Depthwise convolution: every channel is filtered by itself, so vectors of channels multiply elementwise."""

import numpy as np
from numba import prange

from ..machine.compiler import compiled
from ..machine.memory import RAMP, ramp
from ..machine.tile import tile_floor, tile_multiply, tile_rows, tile_slide, tile_store
from ..machine.vectors import CACHE_WAY, TILE_ROWS, TILE_VECS
from .plan.axes import STRIP_DILATION, STRIP_STRIDE, TAPS, D, H, W
from .planes import plane_at, write_planes
from .strip import aligned_flat, extent, image_of, image_shape, input_of, locate, places

# Taps of a row that a tile of neighbouring windows takes at once.
SLIDE = 3


@compiled(parallel=True)
def depthwise_conv(x, weights, bias, floor, out, channels, axes, group, tasks, planar):
    """Filter each channel of ``x`` with its own kernels into ``out``, every task on its own part of the output.

    ``out[n, q, f] = bias[f] + sum over k of x[n, q*stride + k*dilation - before, f // multiplier] * weights[k, f]`` for
    each window q and tap k of the three spatial axes; outside the image x is 0.

    Parameters
    ----------
    x : array (N, D, H, W, C), or (N, C, D, H, W) if ``planar``
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
    planar : None or int
        As in `kernels.conv`.

    Notes
    -----
    Bound by loads where each multiply-add reads its own vector of the strip, by arithmetic and memory alike where
    windows are neighbours and share what they read.
    """
    for task in prange(tasks):
        _depthwise_task(np.int64(task), x, weights, bias, floor, out, channels, axes, group, planar)


@compiled
def _depthwise_task(task, x, weights, bias, floor, out, channels, axes, group, planar):
    n, d, h, w, part = locate(task, axes)
    rows, columns = extent(axes, H, h)[0], extent(axes, W, w)[0]
    filters = part * group, min((part + 1) * group, len(weights))
    source, start, steps, inside = input_of_filters(x, n, d, h, w, axes, weights, filters, channels, planar)
    windows, x_at, out_at = places(n, d, h, w, axes, rows, columns, *steps[1:], TILE_ROWS)
    tables = windows, x_at, out_at, start, steps, inside
    images = x.shape[0]
    filter_windows(source, tables, rows, columns, weights, bias, floor, out, channels, axes, filters, images, planar)


@compiled
def input_of_filters(x, n, d, h, w, axes, weights, filters, channels, planar):
    """`input_of` for blocks of channels, but that windows which are neighbours read the image even around its edges.

    Returns
    -------
    source : array
    start : int
        Flat index of the first value, less the first channel.
    steps : tuple of int
        Elements from one strip position to the next along D, H and W.
    inside : tuple of int
        For D, H and W, the first strip position that is to be read, and the one after the last.
    """
    strip_rows, strip_columns = extent(axes, H, h)[1], extent(axes, W, w)[1]
    width, repeat = weights.shape[4], channels // image_shape(x, planar)[3]
    first, count = filters[0] * width, (filters[1] - filters[0]) * width
    whole = planar is None and repeat == 1 and channels % (width // TILE_VECS) == 0
    # Pixels that lie far apart compete for the L1 cache, where many taps would find them again.
    near = weights.shape[3] <= SLIDE or channels * x.itemsize < CACHE_WAY // 2
    if whole and near and _neighbours(axes, extent(axes, W, w)[0]):
        at, plane, row, column, inside = image_of(x, n, d, h, w, axes, strip_rows, strip_columns, first)
        return x, at - first, (plane, row, column), inside
    source, at, plane, row, column = input_of(
        x, n, d, h, w, axes, strip_rows, strip_columns, first, count, repeat, planar
    )
    return source, at - first, (plane, row, column), (0, axes[D, TAPS], 0, strip_rows, 0, strip_columns)


@compiled
def _neighbours(axes, columns):
    """Whether windows of a tile that so many columns fill may overlap by all but one line."""
    adjacent = axes[W, STRIP_STRIDE] == 1 and axes[W, STRIP_DILATION] == 1 and axes[H, STRIP_DILATION] == 1
    return adjacent and columns >= TILE_ROWS and axes[W, TAPS] >= SLIDE


@compiled
def filter_windows(source, tables, rows, columns, weights, bias, floor, out, channels, axes, filters, images, planar):
    """Blocks of channels, from ``filters[0]`` to before ``filters[1]``, for all windows of a task: rows and columns.

    ``tables`` has the number of windows, in whole tiles; where each reads the source, and where it writes; and what
    `input_of_filters` returns. ``images`` is their number.
    """
    if planar is None:
        for block in range(filters[0], filters[1]):
            _filter_block(source, tables, rows, columns, weights, bias, floor, out, block, channels, axes)
        return
    windows, x_at, out_at, origin, steps, inside = tables
    width, positions = weights.shape[4], out.size // (images * channels)
    buffer, start = aligned_flat(windows * width, source)
    plane, buffer_at = plane_at(out_at[0], channels, positions), np.empty(windows + RAMP, np.int64)
    tables = windows, x_at, buffer_at, origin, steps, inside
    for block in range(filters[0], filters[1]):
        f = block * width
        ramp(buffer_at, 0, start - f, width, windows)
        _filter_block(source, tables, rows, columns, weights, bias, floor, buffer, block, channels, axes)
        write_planes(
            buffer, start, width, rows * columns, min(width, channels - f), out, plane + f * positions, positions
        )


@compiled
def _filter_block(source, tables, rows, columns, weights, bias, floor, out, block, channels, axes):
    if _neighbours(axes, columns):
        _slide(source, tables, rows, columns, weights, bias, floor, out, block, channels, axes)
    else:
        _gather(source, tables, weights, bias, floor, out, block, channels, axes)


@compiled
def _gather(source, tables, weights, bias, floor, out, block, channels, axes):
    """One block of channels, for windows that lie anywhere."""
    windows, x_at, out_at, start, (plane, row, column), _ = tables
    row, column = row * axes[H, STRIP_DILATION], column * axes[W, STRIP_DILATION]
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
def _slide(source, tables, rows, columns, weights, bias, floor, out, block, channels, axes):
    """One block of channels, for rows of windows that are neighbours: the windows of a tile overlap."""
    low, high = tables[5][4:]
    taps, tiles = weights.shape[3], -(-columns // TILE_ROWS)
    whole = min(tiles, -(-low // TILE_ROWS))
    # The last tile of a row reaches back to be full, perhaps as far as the edge: what two tiles compute is alike.
    all_inside = low <= columns - TILE_ROWS and high == columns + taps - 1
    end = tiles if all_inside else max(whole, (high - TILE_ROWS - taps + 1) // TILE_ROWS + 1)
    _slide_tiles(source, tables, rows, columns, weights, bias, floor, out, block, channels, axes, 0, whole, (low, high))
    _slide_tiles(source, tables, rows, columns, weights, bias, floor, out, block, channels, axes, whole, end, None)
    _slide_tiles(
        source, tables, rows, columns, weights, bias, floor, out, block, channels, axes, end, tiles, (low, high)
    )


@compiled
def _slide_tiles(source, tables, rows, columns, weights, bias, floor, out, block, channels, axes, first, last, inside):
    """Tiles ``first`` to before ``last`` of each row; of the columns that they read, only those ``inside``.

    A vector of channels at a time, which leaves registers for the weights.
    """
    _, x_at, out_at, start, (plane, row, column), (low_d, high_d, low_h, high_h, _, _) = tables
    _, taps_d, taps_h, taps_w, width = weights.shape
    for t in range(first, last):
        edge = min(t * TILE_ROWS, columns - TILE_ROWS)
        for h in range(rows):
            window, y = h * columns + edge, h * axes[H, STRIP_STRIDE]
            low, high = max(0, low_h - y), min(taps_h, high_h - y)
            for f in range(block * width, min((block + 1) * width, channels), width // TILE_VECS):
                tile = tile_rows(TILE_ROWS, 1, bias, f)
                lines = f + block * (taps_d * taps_h * taps_w - 1) * width
                for kd in range(low_d, high_d):
                    for kh in range(low, high):
                        x_first = x_at[window] + start + kd * plane + kh * row + f
                        at = lines + (kd * taps_h + kh) * taps_w * width
                        for kw in range(0, taps_w - SLIDE + 1, SLIDE):
                            x_tap, tap = x_first + kw * column, at + kw * width
                            tile = tile_slide(
                                tile, source, x_tap, column, weights, tap, width, SLIDE, edge + kw, inside
                            )
                        for kw in range(taps_w - taps_w % SLIDE, taps_w):
                            x_tap, tap = x_first + kw * column, at + kw * width
                            tile = tile_slide(tile, source, x_tap, column, weights, tap, width, 1, edge + kw, inside)
                tile_store(tile_floor(tile, floor), out, out_at, window, f, channels - f)

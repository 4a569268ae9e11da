"""Convolution: forward pass in one, two and three dimensions, and of each phase of a transposed convolution."""

import numpy as np
from numba import prange

from ..machine.compiler import compiled
from ..machine.memory import RAMP, opaque, ramp
from ..machine.tile import tile_floor, tile_outer, tile_rows, tile_store
from ..machine.vectors import TILE_ROWS
from .plan.axes import H, W
from .planes import plane_at, write_planes
from .strip import aligned_flat, extent, fill_taps, input_of, locate, places, spread

# Windows that are summed up before they are transposed: whole tiles and whole squares.
CHUNK = 8 * TILE_ROWS


@compiled(parallel=True)
def conv(x, weights, bias, floor, out, block_at, high, wide, axes, group, tasks, planar):
    """Convolve ``x`` with ``weights`` into ``out``, every task on its own part of the output.

    ``out[n, q, f] = bias[f] + sum over k, c of x[n, q*stride + k*dilation - before, c] * weights[k, c, f]`` for each
    window q and tap k of the three spatial axes; outside the image x is 0.

    Parameters
    ----------
    x : array (N, D, H, W, C), or (N, C, D, H, W) if ``planar``
    weights : array (blocks, KD, KH, KW, C, VECS*LANES), 64-byte aligned
        The filters in blocks as wide as a tile, the last filled up with zeros.
    bias : array (at least F,)
        Filled up to whole blocks.
    floor : float
        What smaller sums become: 0 is the activation relu, -inf none.
    out : array (elements,)
        Written at every window; the plan's strides tell where, for channels last. Nothing needs zeroing.
    block_at : int64 array (blocks, 3)
        From `block_table`: where each block's filters lie in the output of a window, how many they are, and the first.
    high, wide : tuple
        As long as the tile has rows, and vectors in a row.
    axes, group, tasks
        Of a `Plan`.
    planar : None or int
        F, where ``x`` and ``out`` have their channels first; None for channels last.

    Notes
    -----
    Bound by arithmetic from about 32 channels and filters on: a line of weights comes from L2 once per tile, a value
    of the strip from L1 once per tile and tap.
    """
    for task in prange(tasks):
        _conv_task(np.int64(task), x, weights, bias, floor, out, block_at, high, wide, axes, group, planar)


@compiled(parallel=True)
def conv_at(x, weights, bias, floor, out, block_at, high, wide, axes, group, chosen, planar):
    """`conv`, but of all tasks only those whose numbers are listed in ``chosen``."""
    for i in prange(len(chosen)):
        _conv_task(chosen[i], x, weights, bias, floor, out, block_at, high, wide, axes, group, planar)


@compiled
def _conv_task(task, x, weights, bias, floor, out, block_at, high, wide, axes, group, planar):
    blocks, taps_d, taps_h, taps_w, channels, _ = weights.shape
    n, d, h, w, part = locate(task, axes)
    rows, strip_rows = extent(axes, H, h)
    columns, strip_columns = extent(axes, W, w)
    source, start, plane, row, column = input_of(
        x, n, d, h, w, axes, strip_rows, strip_columns, 0, spread(channels, x), 1, planar
    )
    windows, x_at, out_at = places(n, d, h, w, axes, rows, columns, row, column, len(high))

    shifts = np.empty(taps_d * taps_h * taps_w * channels + 1, np.int64)
    fill_taps(shifts, start, plane, row, column, channels, axes)
    tables = (0, windows), x_at, shifts, out_at
    filters = part * group, min((part + 1) * group, blocks)
    if planar is None:
        sum_windows(source, tables, weights, bias, floor, out, block_at, high, wide, filters)
    else:
        images, count = x.shape[0], rows * columns
        sum_to_planes(source, tables, weights, bias, floor, out, block_at, high, wide, filters, planar, images, count)


@compiled
def sum_windows(source, tables, weights, bias, floor, out, block_at, high, wide, filters):
    """Blocks of filters, from ``filters[0]`` to before ``filters[1]``, for some windows of a task, a tile at a time.

    ``tables`` has the first window and the one after the last, whole tiles apart; where each reads the source; what
    each step adds to that, and one entry more; and where each window writes.
    """
    (begin, end), x_at, shifts, out_at = tables
    steps, width, tile_height = len(shifts) - 1, weights.shape[5], len(high)
    for block in range(filters[0], filters[1]):
        for first in range(begin, end, tile_height):
            tile = tile_rows(high, wide, bias, block_at[block, 2])
            at, shift = block * steps * width, shifts[0]
            for step in range(1, steps + 1):
                tile = tile_outer(tile, source, x_at, first, shift, weights, at)
                # Read ahead: if all loads of a step waited for its shift, LLVM would do them first, and spill the tile.
                at, shift = at + width, opaque(shifts[step])
            tile_store(tile_floor(tile, floor), out, out_at, first, block_at[block, 0], block_at[block, 1])


@compiled
def sum_to_planes(source, tables, weights, bias, floor, out, block_at, high, wide, filters, planar, images, count):
    """`sum_windows` for so many windows, neighbours in the output, which has its channels first.

    They go to the planes of channels by way of a buffer, a chunk at a time, which stays in the L1 cache.
    """
    (_, windows), x_at, shifts, out_at = tables
    width, positions = weights.shape[5], out.size // (images * planar)
    to = plane_at(out_at[0], planar, positions)
    buffer, start = aligned_flat(CHUNK * width, source)
    buffer_at = np.empty(windows + RAMP, np.int64)
    for block in range(filters[0], filters[1]):
        first_filter, channels, _ = block_at[block]
        for begin in range(0, windows, CHUNK):
            end = min(begin + CHUNK, windows)
            ramp(buffer_at, begin, start - first_filter, width, end - begin)
            tables = (begin, end), x_at, shifts, buffer_at
            sum_windows(source, tables, weights, bias, floor, buffer, block_at, high, wide, (block, block + 1))
            place = to + first_filter * positions + begin
            write_planes(buffer, start, width, min(end, count) - begin, channels, out, place, positions)

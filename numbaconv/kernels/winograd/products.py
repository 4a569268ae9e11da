"""The kernel: transforms of inputs and outputs, and the sums of products in between."""

import numpy as np
from numba import prange

from ...machine.compiler import compiled
from ...machine.tile import (
    lanes_of,
    tile_add,
    tile_floor,
    tile_outer,
    tile_rows,
    tile_store,
    tile_write,
    tile_write_part,
)
from ...machine.vectors import TILE_VECS
from ..plan.axes import BLOCK, OUT_STRIDE, D, H, N, W
from ..planes import plane_at, write_planes
from ..records import Block, Channels
from ..strip import aligned, aligned_flat, input_of, locate, span
from .trust import CHANNELS, IN, check_buffers, find_doubtful
from .weights import AA, AAA, BB, BBB, PRODUCT, SUM, A, B

# Blocks of outputs whose 36 products are kept at a time: as much as leaves room for the weights in L2.
CHUNK = 32


@compiled
def _input_transform(lines):
    """B^T d for six lines d."""
    d0, d1, d2, d3, d4, d5 = lines
    even_a, odd_a = d4 - BB * d2, A * (d3 - BB * d1)
    even_b, odd_b = d4 - AA * d2, B * (d3 - AA * d1)
    return (
        PRODUCT * d0 - SUM * d2 + d4,
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        PRODUCT * d1 - SUM * d3 + d5,
    )


@compiled
def _output_transform(lines, size):
    """A^T m for six lines m; of ``size`` 2, only the first two are outputs."""
    m0, m1, m2, m3, m4, m5 = lines
    sum_a, difference_a, sum_b, difference_b = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    y1 = A * difference_a + B * difference_b
    return (
        m0 + sum_a + sum_b,
        y1 + m5 if size == 2 else y1,
        AA * sum_a + BB * sum_b,
        AAA * difference_a + BBB * difference_b + m5,
    )


@compiled
def _read(array, at, step):
    """Six lines of ``array``, ``step`` elements apart."""
    return (
        tile_rows(1, 1, array, at),
        tile_rows(1, 1, array, at + step),
        tile_rows(1, 1, array, at + 2 * step),
        tile_rows(1, 1, array, at + 3 * step),
        tile_rows(1, 1, array, at + 4 * step),
        tile_rows(1, 1, array, at + 5 * step),
    )


@compiled(inline=True)
def _transform_input(source, corner, row, column, scratch, scratch_at, spread, at, channels):
    """B^T d B for all channels of a block, a line at a time: first along the rows of d, then along its columns."""
    lanes = lanes_of(scratch)
    for c in range(0, channels, lanes):
        for i in range(IN):
            t0, t1, t2, t3, t4, t5 = _input_transform(_read(source, corner + c + i * row, column))
            line = scratch_at + i * IN * lanes
            tile_write(t0, scratch, line)
            tile_write(t1, scratch, line + lanes)
            tile_write(t2, scratch, line + 2 * lanes)
            tile_write(t3, scratch, line + 3 * lanes)
            tile_write(t4, scratch, line + 4 * lanes)
            tile_write(t5, scratch, line + 5 * lanes)
        for j in range(IN):
            t0, t1, t2, t3, t4, t5 = _input_transform(_read(scratch, scratch_at + j * lanes, IN * lanes))
            line = at + c + j * channels
            tile_write(t0, spread, line)
            tile_write(t1, spread, line + IN * channels)
            tile_write(t2, spread, line + 2 * IN * channels)
            tile_write(t3, spread, line + 3 * IN * channels)
            tile_write(t4, spread, line + 4 * IN * channels)
            tile_write(t5, spread, line + 5 * IN * channels)


@compiled(inline=True)
def _transform_output(
    products, at, step, scratch, scratch_at, bias, first_filter, floor, out, place, row, column, size, outputs
):
    """A^T m A plus the bias for a block of filters, a line at a time; ``outputs`` are its rows, columns and filters."""
    lanes, (rows, columns, count) = lanes_of(scratch), outputs
    for f in range(0, count, lanes):
        start = tile_rows(1, 1, bias, first_filter + f)
        for i in range(IN):
            y0, y1, y2, y3 = _output_transform(_read(products, at + f + i * IN * step, step), size)
            line = scratch_at + i * IN * lanes
            tile_write(y0, scratch, line)
            tile_write(y1, scratch, line + lanes)
            tile_write(y2, scratch, line + 2 * lanes)
            tile_write(y3, scratch, line + 3 * lanes)
        for j in range(columns):
            y0, y1, y2, y3 = _output_transform(_read(scratch, scratch_at + j * lanes, IN * lanes), size)
            line = place + f + j * column
            tile_write_part(tile_floor(start + y0, floor), out, line, count - f)
            if rows > 1:
                tile_write_part(tile_floor(start + y1, floor), out, line + row, count - f)
            if rows > 2:
                tile_write_part(tile_floor(start + y2, floor), out, line + 2 * row, count - f)
            if rows > 3:
                tile_write_part(tile_floor(start + y3, floor), out, line + 3 * row, count - f)


@compiled(parallel=True)
def conv_winograd(
    x, weights, bias, floor, out, doubtful, limits, out_shape, size, tile_shape, axes, group, tasks, shares, planar
):
    """Convolve with 3x3 or 5x5 kernels at stride 1, every task on its own part of the output.

    Parameters
    ----------
    x : array (N, D, H, W, C) or, planar, (N, C, D, H, W, 1)
    weights : array (blocks, 36, C, VECS*LANES), 64-byte aligned
        From `pack_winograd`.
    bias : array (blocks * VECS*LANES,)
    floor : float
        As in `kernels.conv`.
    out : array (elements,)
        Written at every output; the plan's strides tell where. Nothing needs zeroing.
    doubtful : bool array (N * D * blocks along H * blocks along W,), or empty
        Becomes True for each block that `find_doubtful` refuses: what ``out`` holds there is of no use. If it is empty,
        nobody asks, and all blocks are computed.
    limits : tuple of float
        From `trust_limits`.
    out_shape : tuple (N, D, H', W', F)
        Numbers of outputs.
    size : int
        Outputs along each axis of a block: 4 for 3x3 kernels, 2 for 5x5.
    tile_shape : tuple
        As long as the tile has rows.
    axes, group, tasks
        Of a `Plan` whose windows are blocks of 6x6 inputs, ``size`` apart.
    shares : int
        The tasks are dealt out in so many runs, one for each thread: those of a run that take the same windows
        transform them once. It changes nothing else.
    planar : None or int
        F, where ``x`` and ``out`` are planar.

    Notes
    -----
    An infinity or NaN spreads over all outputs whose 6x6 inputs it is among, mostly as NaN, where the direct sum would
    confine it to the kernel's window. So does the rounding error of a large value: ``doubtful`` tells.
    """
    shares = min(shares, tasks)
    for share in prange(shares):
        first, last = np.int64(share) * tasks // shares, (np.int64(share) + 1) * tasks // shares
        run = first, last
        _winograd_tasks(
            run, x, weights, bias, floor, out, doubtful, limits, out_shape, size, tile_shape, axes, group, planar
        )


@compiled
def _winograd_tasks(
    run, x, weights, bias, floor, out, doubtful, limits, out_shape, size, tile_shape, axes, group, planar
):
    blocks, _, channels, _ = weights.shape
    lanes, parts = lanes_of(x), -(-blocks // group)
    padded, windows = -(-channels // lanes) * lanes, axes[N, BLOCK] * axes[H, BLOCK] * axes[W, BLOCK]
    # An odd number of planes, so that the windows of a tile lie in different sets of the L1 cache.
    pitch = (IN * IN + 1) * padded
    spread, spread_at = aligned(windows * pitch, x)
    scratch, scratch_at = aligned(IN * IN * lanes, x)
    buffers, steps = (spread, spread_at, scratch, scratch_at), (pitch, padded, lanes)
    transformed, sound = -1, True
    for task in range(run[0], run[1]):
        place, part = task // parts, task % parts
        block = locate(place, axes)
        if transformed != place:
            sound = _transform_inputs(x, block, axes, size, out_shape, buffers, steps, doubtful, limits)
            transformed = place
        if sound:
            filters = part * group, min((part + 1) * group, blocks)
            _sum_products(
                filters, block, weights, bias, floor, out, out_shape, size, tile_shape, axes, buffers, steps, planar
            )


@compiled(inline=True)
def _transform_inputs(x, block, axes, size, out_shape, buffers, steps, doubtful, limits):
    """B^T d B of all windows of a block: for each, 36 planes of channels side by side.

    Returns whether any of the windows is worth computing; those that are not are marked in ``doubtful``.
    """
    spread, to, scratch, scratch_at = buffers
    pitch, padded, _ = steps
    n, d, h, w, images, rows, columns, _ = block
    strip_rows, strip_columns = span(axes, H, rows), span(axes, W, columns)
    sound, checks = doubtful.size == 0, check_buffers(strip_rows * strip_columns, strip_columns, x)
    for image in range(n, n + images):
        found = input_of(x, Block(image, d, h, w, 1, rows, columns, 0), axes, Channels(0, padded, 1))
        source, start, row, column = found.array, found.start, found.row, found.column
        strip = source, start, row, column, padded
        for y in range(rows):
            if doubtful.size:
                place = image, d, h, w, columns, y
                sound |= find_doubtful(strip, place, size, axes, out_shape, checks, doubtful, limits)
            for z in range(columns):
                corner = start + (y * row + z * column) * size
                _transform_input(source, corner, row, column, scratch, scratch_at, spread, to, padded)
                to += pitch
    return sound


@compiled(inline=True)
def _sum_products(filters, block, weights, bias, floor, out, out_shape, size, tile_shape, axes, buffers, steps, planar):
    """Outputs of some blocks of filters for all windows of a block: their products, and A^T m A of these."""
    spread, spread_at, scratch, scratch_at = buffers
    pitch, padded, lanes = steps
    n, d, h, w, images, rows, columns, _ = block
    channels, width = weights.shape[2:]
    windows, tile_height = images * rows * columns, len(tile_shape)
    filled, most = -(-windows // tile_height) * tile_height, CHUNK // tile_height * tile_height
    x_at, product_at = np.empty(filled, np.int64), np.empty(filled, np.int64)
    for t in range(filled):
        x_at[t], product_at[t] = min(t, windows - 1) * pitch, t % most * width
    plane, zeros = most * width + lanes, np.zeros(width, weights.dtype)
    products, products_at = aligned(IN * IN * plane, weights)
    out_row, out_column = axes[H, OUT_STRIDE] // size, axes[W, OUT_STRIDE] // size
    high, wide = min(rows * size, out_shape[2] - h * size), min(columns * size, out_shape[3] - w * size)
    origin = n * axes[N, OUT_STRIDE] + d * axes[D, OUT_STRIDE] + size * (h * out_row + w * out_column)
    if planar is None:
        result, image_step, row_step, column_step = out, axes[N, OUT_STRIDE], out_row, out_column
    else:
        # In place of the output, a buffer for a block of filters, from which it goes to the planes.
        result, start = aligned_flat(images * high * wide * width, weights)
        image_step, row_step, column_step = high * wide * width, wide * width, width
    for filter_block in range(filters[0], filters[1]):
        first_filter = filter_block * width
        for chunk in range(0, windows, most):
            chunk_end = min(chunk + most, windows)
            for k in range(IN * IN):
                to = products_at + k * plane
                for begin in range(0, channels, CHANNELS):
                    steps, shift = min(CHANNELS, channels - begin), spread_at + k * padded + begin
                    for first in range(chunk, chunk_end, tile_height):
                        tile = tile_rows(tile_shape, TILE_VECS, zeros, 0)
                        at = ((filter_block * IN * IN + k) * channels + begin) * width
                        for c in range(steps):
                            tile = tile_outer(tile, spread, x_at, first, shift + c, weights, at)
                            at += width
                        if begin == 0:
                            tile_store(tile, products, product_at, first, to, width)
                        else:
                            tile_add(tile, products, to + (first - chunk) * width)
            for t in range(chunk, chunk_end):
                image, window = t // (rows * columns), t % (rows * columns)
                y, z = window // columns * size, window % columns * size
                place = image * image_step + y * row_step + z * column_step
                place += origin + first_filter if planar is None else start
                outputs = min(size, high - y), min(size, wide - z), min(width, out_shape[4] - first_filter)
                _transform_output(
                    products,
                    products_at + (t - chunk) * width,
                    plane,
                    scratch,
                    scratch_at,
                    bias,
                    first_filter,
                    floor,
                    result,
                    place,
                    row_step,
                    column_step,
                    size,
                    outputs,
                )
        if planar is not None:
            _write_images(result, start, width, high, wide, images, origin, first_filter, out, out_shape)


@compiled
def _write_images(buffer, start, width, high, wide, images, origin, first_filter, out, out_shape):
    """Outputs of a block of filters, from a buffer (images, high, wide, width) to the planes of channels."""
    filters, positions = out_shape[4], out_shape[1] * out_shape[2] * out_shape[3]
    channels, to = min(width, filters - first_filter), plane_at(origin, filters, positions) + first_filter * positions
    # Whole rows follow each other without a gap.
    rows, count = (1, high * wide) if wide == out_shape[3] else (high, wide)
    for image in range(images):
        for row in range(rows):
            place = to + image * filters * positions + row * out_shape[3]
            write_planes(buffer, start, width, count, channels, out, place, positions)
            start += count * width

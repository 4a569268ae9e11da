"""Gradients of the weights of convolutions: the input, correlated with the gradient of the output over all windows."""

import numpy as np
from numba import prange

from ..machine.compiler import compiled
from ..machine.memory import clear
from ..machine.tile import tile_add, tile_multiply, tile_outer, tile_rows
from ..machine.vectors import TILE_ROWS, TILE_VECS
from .plan.axes import STRIP_STRIDE, H, N, W
from .strip import count_blocks, extent, fill_taps, input_of_images, locate, spread


@compiled
def _outer(tile, x, x_at, first, shift, f, grads, at):
    return tile_outer(tile, x, x_at, first, shift, grads, at)


@compiled
def _multiply(tile, x, x_at, first, shift, f, grads, at):
    return tile_multiply(tile, x, x_at, first, shift + f, grads, at)


def _summing(update):
    """The task of a kernel, in which ``update`` adds a window to a tile of the sums."""

    @compiled
    def sum_windows(strip, split, part, x, grad_out, sums, axes, grad_axes, places, group):
        """``strip`` says which channels of ``x`` a strip holds, how often, and how many rows of the sums a tap has."""
        channel, channels, repeat, rows_per_tap = strip
        _, blocks, sum_rows, width = sums.shape
        filters = group * width
        sums_at = (split * blocks + part * group) * sum_rows * width
        clear(sums, sums_at, group * sum_rows * width)
        x_at = np.empty(sum_rows, np.int64)
        zeros = np.zeros(width, x.dtype)
        for place in range(split * places, min((split + 1) * places, count_blocks(axes))):
            n, d, h, w, _ = locate(place, axes)
            images, _ = extent(axes, N, n)
            rows, strip_rows = extent(axes, H, h)
            columns, strip_columns = extent(axes, W, w)
            source, start, plane, row, column, image = input_of_images(
                x, images, n, d, h, w, axes, strip_rows, strip_columns, channel, channels, repeat
            )
            grads, grad_start, _, grad_row, grad_column, grad_image = input_of_images(
                grad_out, images, n, d, h, w, grad_axes, rows, columns, part * filters, filters, 1
            )
            fill_taps(x_at, start, plane, row, column, rows_per_tap, axes)
            row, column = row * axes[H, STRIP_STRIDE], column * axes[W, STRIP_STRIDE]
            for f in range(0, filters, width):
                for first in range(0, sum_rows, TILE_ROWS):
                    tile = tile_rows(TILE_ROWS, TILE_VECS, zeros, 0)
                    for i in range(images):
                        for y in range(rows):
                            for z in range(columns):
                                grad_at = grad_start + i * grad_image + y * grad_row + z * grad_column + f
                                shift = i * image + y * row + z * column
                                tile = update(tile, source, x_at, first, shift, f, grads, grad_at)
                    tile_add(tile, sums, sums_at + f * sum_rows + first * width)

    return sum_windows


_sum_outer, _sum_multiply = _summing(_outer), _summing(_multiply)


@compiled(parallel=True)
def conv_weight_grad(x, grad_out, sums, axes, grad_axes, places, group):
    """Sum what each window gave to its outputs, every task over windows of its own and into its own part of ``sums``.

    ``grad[k, c, f] = sum over n, q of x[n, q*stride + k*dilation - before, c] * grad_out[n, q, f]``, x being 0 outside
    the image.

    Parameters
    ----------
    x : array (N, D, H, W, C)
    grad_out : array (N, D', H', W', F)
    sums : array (splits, blocks, rows, VECS*LANES)
        Written in full: for each share of the windows a sum of its own, its filters in blocks as wide as a tile. Row
        ``((kd*KH + kh)*KW + kw)*C + c`` holds a tap's channel; rows that fill up the last tile mean nothing.
    axes, grad_axes, places, group
        Of a `SumPlan`.

    Notes
    -----
    The product of two matrices, (taps x channels) x windows and windows x filters, both read as they lie in memory.
    Bound by arithmetic from about 100 windows in a block on; fewer do not pay for adding a tile to its sum.
    """
    parts = sums.shape[1] // group
    channels = x.shape[4]
    for task in prange(sums.shape[0] * parts):
        split, part = np.int64(task) // parts, np.int64(task) % parts
        strip = 0, spread(channels, x), 1, channels
        _sum_outer(strip, split, part, x, grad_out, sums, axes, grad_axes, places, group)


@compiled(parallel=True)
def depthwise_weight_grad(x, grad_out, sums, axes, grad_axes, places, group):
    """`conv_weight_grad` of a depthwise convolution: each channel of ``x`` meets its own outputs only.

    ``grad[k, f] = sum over n, q of x[n, q*stride + k*dilation - before, f // multiplier] * grad_out[n, q, f]``

    The arguments are the same, ``grad_out`` with C*multiplier channels and ``sums`` with a row for each tap.

    Notes
    -----
    Bound by loads: each multiply-add reads its own vector of the strip, which should still lie in L1 or L2.
    """
    parts = sums.shape[1] // group
    channels = group * sums.shape[3]
    for task in prange(sums.shape[0] * parts):
        split, part = np.int64(task) // parts, np.int64(task) % parts
        strip = part * channels, channels, grad_out.shape[4] // x.shape[4], 1
        _sum_multiply(strip, split, part, x, grad_out, sums, axes, grad_axes, places, group)

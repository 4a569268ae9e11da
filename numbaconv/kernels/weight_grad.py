"""Gradients of the weights of convolutions: the input, correlated with the gradient of the output over all windows."""

import numpy as np
from numba import prange

from ..machine.compiler import compiled
from ..machine.memory import clear
from ..machine.tile import FULL, tile_add, tile_multiply, tile_outer, tile_rows
from .conv import tile_height
from .plan.axes import STRIP_STRIDE, H, W
from .records import Channels, Share
from .strip import all_taps, count_blocks, fill_taps, input_of, locate, pitch_of


@compiled
def _outer(tile, x, x_at, first, shift, f, grads, at):
    return tile_outer(tile, x, x_at, first, shift, grads, at)


@compiled
def _multiply(tile, x, x_at, first, shift, f, grads, at):
    return tile_multiply(tile, x, x_at, first, shift + f, grads, at)


def _summing(update):
    """The task of a kernel, in which ``update`` adds a window to a tile of the sums."""

    @compiled
    def sum_windows(share, channels, x, grad_out, sums, vecs, axes, grad_axes):
        """A share of the windows, and channels of ``x``."""
        _, panels, sum_rows, width = sums.shape
        filters = share.group * width
        sums_at = (share.number * panels + share.part * share.group) * sum_rows * width
        clear(sums, sums_at, share.group * sum_rows * width)
        x_at = np.empty(sum_rows, np.int64)
        zeros = np.zeros(width, x.dtype)
        for task in range(share.first, share.end):
            block = locate(task, axes)
            source = input_of(x, block, axes, channels, all_taps(axes))
            grads = input_of(grad_out, block, grad_axes, Channels(share.filter, filters, 1), all_taps(grad_axes))
            fill_taps(x_at, source, share.rows)
            row, column = source.row * axes[H, STRIP_STRIDE], source.column * axes[W, STRIP_STRIDE]
            for f in range(0, filters, width):
                for first in range(0, sum_rows, tile_height(vecs)):
                    tile = tile_rows(FULL, vecs, zeros, 0)
                    for i in range(block.images):
                        for y in range(block.rows):
                            for z in range(block.columns):
                                at = grads.start + i * grads.image + y * grads.row + z * grads.column + f
                                shift = i * source.image + y * row + z * column
                                tile = update(tile, source.array, x_at, first, shift, f, grads.array, at)
                    tile_add(tile, sums, sums_at + f * sum_rows + first * width)

    return sum_windows


_sum_outer, _sum_multiply = _summing(_outer), _summing(_multiply)


@compiled
def _share(task, rows, sums, grad_out, axes, blocks, group, branches):
    """The `Share` of a task: one task for each group of panels has the same ``blocks``."""
    parts = sums.shape[1] // group
    number, part = task // parts, task % parts
    branch, place = part // (parts // branches), part % (parts // branches)
    first = branch * (grad_out.shape[4] // branches) + place * group * sums.shape[3]
    end = min((number + 1) * blocks, count_blocks(axes))
    return Share(number, number * blocks, end, part, group, first, rows), branch


@compiled(parallel=True)
def conv_weight_grad(x, grad_out, sums, vecs, axes, grad_axes, blocks, group, branches):
    """Sum what each window gave to its outputs, every task over windows of its own and into its own part of ``sums``.

    ``grad[k, c, f] = sum over n, q of x[n, q*stride + k*dilation - before, c] * grad_out[n, q, f]``, x being 0 outside
    the image; where there are branches, c and f are numbers within each.

    Parameters
    ----------
    x : array (N, D, H, W, C)
    grad_out : array (N, D', H', W', F)
    sums : array (splits, panels, rows, VECS*LANES)
        Written in full: for each share of the windows a sum of its own, its filters in panels as wide as a tile. Row
        ``((kd*KH + kh)*KW + kw)*C + c`` holds a tap's channel; rows that fill up the last tile mean nothing. The panels
        of a branch stand together, its last filled up.
    vecs : tuple
        As long as a row of the tile has vectors.
    axes, grad_axes, blocks, group
        Of a `SumPlan`.
    branches : int

    Notes
    -----
    The product of two matrices, (taps x channels) x windows and windows x filters, both read as they lie in memory.
    Bound by arithmetic from about 100 windows in a block on; fewer do not pay for adding a tile to its sum.
    """
    channels = x.shape[4] // branches
    for task in prange(sums.shape[0] * (sums.shape[1] // group)):
        share, branch = _share(np.int64(task), channels, sums, grad_out, axes, blocks, group, branches)
        read = Channels(branch * channels, pitch_of(channels, x), 1)
        _sum_outer(share, read, x, grad_out, sums, vecs, axes, grad_axes)


@compiled(parallel=True)
def depthwise_weight_grad(x, grad_out, sums, vecs, axes, grad_axes, blocks, group):
    """`conv_weight_grad` of a depthwise convolution: each channel of ``x`` meets its own outputs only.

    ``grad[k, f] = sum over n, q of x[n, q*stride + k*dilation - before, f // multiplier] * grad_out[n, q, f]``

    The arguments are the same, ``grad_out`` with C*multiplier channels and ``sums`` with a row for each tap.

    Notes
    -----
    Bound by loads: each multiply-add reads its own vector of the strip, which should still lie in L1 or L2.
    """
    count, repeat = group * sums.shape[3], grad_out.shape[4] // x.shape[4]
    for task in prange(sums.shape[0] * (sums.shape[1] // group)):
        share, _ = _share(np.int64(task), 1, sums, grad_out, axes, blocks, group, 1)
        _sum_multiply(share, Channels(share.part * count, count, repeat), x, grad_out, sums, vecs, axes, grad_axes)

"""Weights in the order in which the kernels read them."""

from itertools import product
from math import gcd, prod

import numpy as np

from .vectors import block_width


def aligned_empty(shape, dtype):
    """Like ``numpy.empty``, but beginning with a cache line, so that no vector straddles two of them."""
    count, dtype = prod(shape), np.dtype(dtype)
    memory = np.empty(count + 64 // dtype.itemsize, dtype)
    start = -memory.__array_interface__["data"][0] % 64 // dtype.itemsize
    return memory[start : start + count].reshape(shape)


def pack_blocks(array):
    """Cut the last axis into blocks as wide as a tile: (..., F) becomes (blocks, ..., width), filled up with zeros."""
    *others, filters = array.shape
    width = block_width(array.dtype.itemsize)
    blocks = -(-filters // width)
    packed = aligned_empty((blocks, *others, width), array.dtype)
    for block in range(blocks):
        part = array[..., block * width : (block + 1) * width]
        packed[block, ..., : part.shape[-1]] = part
        packed[block, ..., part.shape[-1] :] = 0
    return packed


def pack_depthwise(weights):
    """Blocks of the output channels of (KD, KH, KW, C, M), channel c * M + m being the m-th of input channel c."""
    return pack_blocks(weights.reshape(*weights.shape[:3], -1))


def pack_phases(weights, strides, dilation):
    """Split the weights (KD, KH, KW, F, C) of a transposed convolution by phase, each packed for `kernels.conv`.

    Outputs that lie a stride apart meet the same taps: k0, k0 + stride/g, k0 + 2*stride/g ..., g being the greatest
    common divisor of stride and dilation. Read backwards, those taps are the kernel of a plain convolution.

    Returns
    -------
    dict
        First taps (one per axis) -> packed weights.
    """
    steps = tap_steps(strides, dilation)
    swapped = np.swapaxes(weights, -1, -2)
    return {
        first: pack_blocks(
            swapped[tuple(slice(k, None, step) for k, step in zip(first, steps, strict=True))][::-1, ::-1, ::-1]
        )
        for first in product(*(range(min(k, step)) for k, step in zip(weights.shape, steps, strict=False)))
    }


def tap_steps(strides, dilation):
    """Taps from one that meets an output position to the next, for each axis of a transposed convolution."""
    return tuple(s // gcd(s, d) for s, d in zip(strides, dilation, strict=True))

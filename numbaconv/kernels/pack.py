"""Weights in the order in which the kernels read them."""

from math import gcd

import numpy as np

from ..machine.aligned import aligned_empty
from ..machine.vectors import conv_tile, few_filters, panel_width


def pack_conv(weights, branches=1):
    """`pack_panels` for the weights (..., C, F) of a convolution: of few filters, its tiles are narrow.

    Of several branches, C is the number of channels of one and F that of the filters of all; their panels stand one
    after the other.
    """
    *others, filters = weights.shape
    filters //= branches
    _, vecs = conv_tile(weights.itemsize, filters)
    width = panel_width(weights.itemsize, vecs)
    if branches == 1:
        return pack_panels(weights, width)
    panels = np.moveaxis(pack_panels(weights.reshape(*others, branches, filters), width), -2, 0)
    packed = aligned_empty((panels.shape[0] * panels.shape[1], *others, width), weights.dtype)
    packed.reshape(panels.shape)[...] = panels
    return packed


def pack_few(weights, branches, joined):
    """Weights (KD, KH, KW, C, F) for `kernels.few`: (panels, KD, KH, runs, lines, FILTERS*LANES).

    A run is the channels of a tap or, where they are ``joined``, of all taps of a row, in lines of a vector each, the
    last filled up with zeros, as is the last panel of each branch.
    """
    if joined:
        weights = weights.reshape(*weights.shape[:2], 1, -1, weights.shape[4])
    *taps, run, filters = weights.shape
    filters, lanes = filters // branches, panel_width(weights.itemsize, 1)
    width = few_filters(filters, weights.itemsize)
    lines, panels = -(-run // lanes), -(-filters // width)
    filled = np.zeros((*taps, lines * lanes, branches, panels * width), weights.dtype)
    filled[..., :run, :, :filters] = weights.reshape(*taps, run, branches, filters)
    filled = filled.reshape(*taps, lines, lanes, branches, panels, width).transpose(5, 6, 0, 1, 2, 3, 7, 4)
    packed = aligned_empty((branches * panels, *taps, lines, width * lanes), weights.dtype)
    packed.reshape(filled.shape)[...] = filled
    return packed


def pack_panels(array, width=None):
    """Cut the last axis into blocks, as wide as a tile: (..., F) becomes (blocks, ..., width), filled up with zeros."""
    packed = empty_panels(array, width or panel_width(array.itemsize))
    fill_panels(packed, array)
    return packed


def empty_panels(array, width):
    """Room for `pack_panels`."""
    *others, filters = array.shape
    return aligned_empty((-(-filters // width), *others, width), array.dtype)


def fill_panels(packed, array):
    """Put an array into panels."""
    *others, filters = array.shape
    blocks, *_, width = packed.shape
    whole = filters // width
    lying = array[..., : whole * width].reshape(*others, whole, width)
    packed[:whole] = lying.transpose(len(others), *range(len(others)), -1)
    if whole < blocks:
        packed[whole] = 0
        packed[whole, ..., : filters - whole * width] = array[..., whole * width :]


def pack_depthwise(weights):
    """Blocks of the output channels of (KD, KH, KW, C, M), channel c * M + m being the m-th of input channel c."""
    return pack_panels(weights.reshape(*weights.shape[:3], -1))


def pack_groups(weights):
    """Blocks of the filters of (KD, KH, KW, C, F), C channels in each group: (panels, KD, KH, KW, C*VECS*LANES)."""
    packed = pack_panels(weights)
    return packed.reshape(*packed.shape[:4], -1)


def pack_phases(weights, firsts, steps, branches=1):
    """Phases of a transposed convolution, packed for `kernels.conv` one after the other, for each branch.

    Its weights come as those of a convolution, (KD, KH, KW, C, F): the last two axes have been swapped. Outputs that
    lie a stride apart meet the same taps: first, first + step, first + 2*step ... along each axis. Read backwards,
    those taps are the kernel of a plain convolution.
    """
    parts = []
    for first in firsts:
        taps = tuple(slice(k, None, step) for k, step in zip(first, steps, strict=True))
        packed = pack_conv(weights[taps][::-1, ::-1, ::-1], branches)
        parts.append(packed.reshape(branches, -1, *packed.shape[1:]))
    if len(parts) == 1:
        return packed
    packed = aligned_empty((branches * sum(part.shape[1] for part in parts), *parts[0].shape[2:]), weights.dtype)
    np.concatenate(parts, axis=1, out=packed.reshape(branches, -1, *packed.shape[1:]))
    return packed


def pack_depthwise_phases(weights, firsts, steps):
    """`pack_phases` for the one phase of a depthwise convolution's input gradient, weights (KD, KH, KW, C, M)."""
    (first,) = firsts
    taps = tuple(slice(k, None, step) for k, step in zip(first, steps, strict=True))
    return pack_depthwise(weights[taps][::-1, ::-1, ::-1])


def tap_steps(strides, dilation):
    """Taps from one that meets an output position to the next, for each axis of a transposed convolution."""
    return tuple(s // gcd(s, d) for s, d in zip(strides, dilation, strict=True))

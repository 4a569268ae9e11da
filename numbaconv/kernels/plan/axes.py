"""Axes of a sliding-window operation, and the tables that tell kernels how they are cut.

An axis table is an int64 array with one row per axis (N, D, H, W; the batch is an axis of one-tap windows) and these
columns:

============= =========================================================================================
WINDOWS       windows along the axis, that is, output positions
TAPS          length of the kernel
STRIDE        input positions from one window to the next
BEFORE        zeros before the input: window q starts at input position q * STRIDE - BEFORE
OUT_STRIDE    elements of ``out`` from one window to the next
BLOCK         windows that one task computes
STEP          input positions from one strip position to the next: positions that no tap meets are left out
STRIP_STRIDE  strip positions from one window to the next
STRIP_DILATION  strip positions from one tap to the next
============= =========================================================================================
"""

from math import ceil, gcd
from typing import NamedTuple

import numpy as np

WINDOWS, TAPS, STRIDE, BEFORE, OUT_STRIDE, BLOCK, STEP, STRIP_STRIDE, STRIP_DILATION = range(9)
N, D, H, W = range(4)

# Windows of a row that are computed anew together, where Winograd's sums are doubtful: whole patches, nearly a tile.
PIECE = 12


class Axis(NamedTuple):
    """One axis of a sliding-window operation as the caller sees it."""

    windows: int
    taps: int
    stride: int
    dilation: int
    before: int
    out_stride: int


def axis_table(axes, blocks):
    """The table of these axes, cut into blocks of that many windows each."""
    return np.array([_row(axis, int(block)) for axis, block in zip(axes, blocks, strict=True)], dtype=np.int64)


def patch_axis(axis, scheme):
    """An axis whose windows are patches of a scheme of Winograd's."""
    outputs = scheme.outputs
    windows, stride = ceil(axis.windows / outputs), outputs * axis.dilation
    return Axis(windows, scheme.inputs, stride, axis.dilation, axis.before, outputs * axis.out_stride)


def piece_axes(axes: tuple[Axis, ...]) -> np.ndarray:
    """The axis table of a plan whose blocks are pieces of rows, `PIECE` windows long."""
    return axis_table(axes, (1, 1, 1, PIECE))


def strip_length(axis, block):
    """Strip positions along an axis for a block of windows."""
    _, stride, dilation = _strip_units(axis, block)
    return (block - 1) * stride + (axis.taps - 1) * dilation + 1


def _strip_units(axis, block):
    """STEP, STRIP_STRIDE and STRIP_DILATION of an axis."""
    if block == 1:
        return axis.dilation, 1, 1
    if axis.taps == 1:
        return axis.stride, 1, 1
    step = gcd(axis.stride, axis.dilation)
    return step, axis.stride // step, axis.dilation // step


def _row(axis, block):
    # From a single window there is no step to the next, which might not fit 64 bits.
    out_stride = axis.out_stride if axis.windows > 1 else min(axis.out_stride, np.iinfo(np.int64).max)
    return axis.windows, axis.taps, axis.stride, axis.before, out_stride, block, *_strip_units(axis, block)

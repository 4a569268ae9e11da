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
DILATION      input positions from one tap to the next
RUN           where taps lie so far apart that a strip holds the windows of each tap by themselves, the positions
              for one tap, one behind the other, those of the next beginning DILATION further on; otherwise 0
============= =========================================================================================
"""

from functools import lru_cache
from math import ceil, gcd

import numpy as np

from ...objects.tuples import NamedTuple

WINDOWS, TAPS, STRIDE, BEFORE, OUT_STRIDE, BLOCK, STEP, STRIP_STRIDE, STRIP_DILATION, DILATION, RUN = range(11)
N, D, H, W = range(4)

# Of sums of many steps, channels of a tap, those that all windows of a block take before the next ones: their input and
# weights stay in L2.
MOST_STEPS = 1024
# Taps that neighbouring rows of windows share so many of that blocks had better have several rows.
MANY_TAPS = 8
# Taps that are looked at for a mean.
SOME_TAPS = 64
# The length of an input of which nothing is known: all taps may lie inside.
ANY_LENGTH = 2**62

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
    # Positions of the input.
    length: int = ANY_LENGTH


def axis_table(axes, blocks, apart=None):
    """The table of these axes, cut into blocks of that many windows each; strips hold taps ``apart`` along one axis."""
    rows = [_row(axis, int(block), i == apart) for i, (axis, block) in enumerate(zip(axes, blocks, strict=True))]
    return np.array(rows, dtype=np.int64)


def patch_axis(axis, scheme):
    """An axis whose windows are patches of a scheme of Winograd's."""
    outputs = scheme.outputs
    windows, stride = ceil(axis.windows / outputs), outputs * axis.dilation
    return Axis(windows, scheme.inputs, stride, axis.dilation, axis.before, outputs * axis.out_stride, axis.length)


def piece_axes(axes: tuple[Axis, ...]) -> np.ndarray:
    """The axis table of a plan whose blocks are pieces of rows, `PIECE` windows long."""
    return axis_table(axes, (1, 1, 1, PIECE))


def merged_axes(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The same windows along fewer axes: an axis that each window reads one position of is more of the one before it.

    Blocks are parts of rows or of images: so they may have many windows however short these are.
    """
    found = [axes[-1]]
    for axis in axes[-2::-1]:
        n, inner = found[0].windows, found[0]
        one = inner.taps == inner.stride == 1 and inner.before == 0 and n == inner.length
        if one and axis.stride == 1 and axis.out_stride == n * inner.out_stride:
            length = axis.windows if axis.length == ANY_LENGTH else axis.length
            dilation = axis.dilation * n if axis.taps > 1 else 1
            found[0] = Axis(axis.windows * n, axis.taps, 1, dilation, axis.before * n, inner.out_stride, length * n)
        else:
            found.insert(0, axis)
    one = Axis(1, 1, 1, 1, 0, 0, 1)
    return (*found[:-2], *[one] * (4 - len(found)), *found[-2:])


def stays_inside(axis):
    """Whether no window reads beyond the input."""
    return (
        axis.before <= 0 and _one_run(axis.windows, axis.taps, axis.stride, axis.dilation) - axis.before <= axis.length
    )


@lru_cache(maxsize=4096)
def strip_length(axis, block, apart=False):
    """Strip positions along an axis for a block of windows, at most, with taps ``apart`` or not."""
    taps = most_taps(axis, block)
    _, stride, dilation, run = _strip_units(axis, block, apart)
    return taps * run or _one_run(block, taps, stride, dilation)


def strip_runs(axis, block):
    """Runs of positions that a row of such a strip is copied in."""
    return axis.taps if _strip_units(axis, block)[-1] else 1


def most_taps(axis, block):
    """Taps that read inside the input, at most, for a block of windows; the others lie wholly in the padding."""
    return min(axis.taps, ((block - 1) * axis.stride + axis.length - 1) // axis.dilation + 1)


@lru_cache(maxsize=4096)
def mean_taps(axis, block):
    """Taps that read inside the input for a block of windows, in the mean over all blocks: an estimate of many."""
    last = (axis.windows - 1) * axis.stride - axis.before + (axis.taps - 1) * axis.dilation
    reach = (block - 1) * axis.stride
    if axis.before <= reach and last - reach < axis.length:
        return axis.taps
    total, some = 0, range(0, axis.taps, ceil(axis.taps / SOME_TAPS))
    for tap in some:
        at = tap * axis.dilation - axis.before
        # Blocks from the first whose last window lies past the front, to before the first that begins past the end.
        first, end = max(0, -((at + reach) // axis.stride)), min(axis.windows, -((at - axis.length) // axis.stride))
        total += max(0, ceil(end / block) - ceil(first / block))
    return total / max(1, ceil(axis.windows / block)) * axis.taps / len(some)


def _one_run(block, taps, stride, dilation):
    return (block - 1) * stride + (taps - 1) * dilation + 1


def _strip_units(axis, block, apart=False):
    """STEP, STRIP_STRIDE, STRIP_DILATION and RUN of an axis."""
    if block == 1:
        return axis.dilation, 1, 1, 0
    if axis.taps == 1:
        return axis.stride, 1, 1, 0
    step = gcd(axis.stride, axis.dilation)
    stride, dilation = axis.stride // step, axis.dilation // step
    if (apart and stride > 1) or axis.taps * block < _one_run(block, axis.taps, stride, dilation):
        return axis.stride, 1, block, block
    return step, stride, dilation, 0


def _row(axis, block, apart):
    # From a single window there is no step to the next, which might not fit 64 bits.
    out_stride = axis.out_stride if axis.windows > 1 else min(axis.out_stride, np.iinfo(np.int64).max)
    step, strip_stride, strip_dilation, run = _strip_units(axis, block, apart)
    moving = axis.windows, axis.taps, axis.stride, axis.before, out_stride, block
    return *moving, step, strip_stride, strip_dilation, axis.dilation, run

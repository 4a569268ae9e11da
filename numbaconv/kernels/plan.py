"""How a sliding-window operation is cut into tasks: integers alone, worked out once per shape.

A plan is an int64 array with one row per axis (N, D, H, W; the batch is an axis of one-tap windows) and these columns:

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

Blocks depend on shapes and the vector width alone, never on the number of threads or on timings.
"""

from functools import lru_cache
from math import ceil, gcd, prod
from typing import NamedTuple

import numpy as np

from .vectors import TILE_ROWS, block_width

WINDOWS, TAPS, STRIDE, BEFORE, OUT_STRIDE, BLOCK, STEP, STRIP_STRIDE, STRIP_DILATION = range(9)
N, D, H, W = range(4)

# A strip and one block of weights should share a core's L2 cache.
STRIP_BYTES = 192 * 1024
# What Winograd's transformed input of one task may take of it.
SPREAD_BYTES = 512 * 1024
# Enough tasks for a large machine, as long as each is worth the cost of handing it over.
MANY_TASKS = 32
TASK_WORK = 2_000_000
# Multiply-adds below which waking the other cores costs more than it saves.
SERIAL_WORK = 500_000


class Axis(NamedTuple):
    """One axis of a sliding-window operation as the caller sees it."""

    windows: int
    taps: int
    stride: int
    dilation: int
    before: int
    out_stride: int


class Plan(NamedTuple):
    """How an operation is cut: the axis table, blocks of output channels per task, tasks, and whether one core does."""

    axes: np.ndarray
    group: int
    tasks: int
    serial: bool

    @property
    def work(self):
        """The kernel's last three arguments."""
        return self.axes, self.group, self.tasks


@lru_cache(maxsize=4096)
def make_plan(axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int, depthwise: bool = False) -> Plan:
    """Choose blocks for the four ``axes`` (N, D, H, W) of a convolution.

    Parameters
    ----------
    axes : tuple of Axis
        Batch first, then the three spatial axes.
    channels : int
        Input channels that each output channel sums over (1 for a depthwise convolution).
    filters : int
        Output channels.
    itemsize : int
        Bytes per element.
    depthwise : bool
        Whether a task's strip holds only the channels of its own group of outputs.

    Returns
    -------
    Plan
        Axis table, blocks of output channels per task, number of tasks, and whether to run them on one core.
    """
    width = block_width(itemsize)
    filter_blocks = ceil(filters / width)
    group = filter_blocks
    strip_channels = filters if depthwise else channels
    per_window = channels * min(filters, group * width) * prod(a.taps for a in axes)
    total = per_window * prod(a.windows for a in axes)

    def strip_bytes(rows, cols):
        bytes_ = strip_channels * itemsize * axes[D].taps
        for axis, block in ((axes[H], rows), (axes[W], cols)):
            bytes_ *= _strip_length(axis, block)
        return bytes_

    rows, cols = max(axes[H].windows, 1), max(axes[W].windows, 1)
    others = axes[N].windows * axes[D].windows
    wanted = min(MANY_TASKS, max(1, total // TASK_WORK))
    while rows > 1 and (
        strip_bytes(rows, cols) > STRIP_BYTES
        or (others * ceil(axes[H].windows / rows) < wanted and rows * cols >= 4 * TILE_ROWS)
    ):
        rows = ceil(rows / 2)
    while cols > TILE_ROWS and (
        strip_bytes(rows, cols) > STRIP_BYTES
        or (others * ceil(axes[W].windows / cols) < wanted and rows * cols >= 4 * TILE_ROWS)
    ):
        cols = ceil(cols / 2)
    # Even blocks: 10 rows in blocks of 6 would leave 4, so take 5.
    rows, cols = (ceil(n / ceil(n / b)) for n, b in ((max(axes[H].windows, 1), rows), (max(axes[W].windows, 1), cols)))
    blocks = others * ceil(axes[H].windows / rows) * ceil(axes[W].windows / cols)
    if blocks:
        group = min(group, max(1, filter_blocks * blocks // wanted))
    table = np.array([_row(axis, block) for axis, block in zip(axes, (1, 1, rows, cols), strict=True)], dtype=np.int64)
    return Plan(table, group, blocks * ceil(filter_blocks / group), total < SERIAL_WORK)


@lru_cache(maxsize=4096)
def make_winograd_plan(axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int) -> Plan:
    """`make_plan` for `kernels.winograd`: the windows of its plan are blocks of 4x4 of the windows of ``axes``."""
    n, d, *spatial = axes
    h, w = (Axis(ceil(a.windows / 4), 6, 4, 1, a.before, 4 * a.out_stride) for a in spatial)
    most = max(TILE_ROWS, SPREAD_BYTES // (36 * channels * itemsize))
    blocks = (
        (ceil(h.windows / i), ceil(w.windows / j))
        for i in range(1, h.windows + 1)
        for j in range(1, w.windows + 1)
        if ceil(h.windows / i) * ceil(w.windows / j) <= most
    )

    def cost(block):
        count = ceil(h.windows / block[0]) * ceil(w.windows / block[1])
        # Each task pays for filled-up tiles, and about half a tile more for reading all weights once.
        return count * (ceil(block[0] * block[1] / TILE_ROWS) + 0.5)

    rows, columns = min(blocks, key=cost, default=(1, 1))
    count = n.windows * d.windows * ceil(h.windows / rows) * ceil(w.windows / columns)
    filter_blocks = ceil(filters / block_width(itemsize))
    group = max(1, filter_blocks * count // MANY_TASKS) if count else 1
    group = ceil(filter_blocks / ceil(filter_blocks / min(group, filter_blocks)))
    table = np.array([_row(a, b) for a, b in zip((n, d, h, w), (1, 1, rows, columns), strict=True)], dtype=np.int64)
    return Plan(table, group, count * ceil(filter_blocks / group), False)


def out_strides(out):
    """Elements between neighbours along N, D, H and W."""
    return tuple(stride // out.itemsize for stride in out.strides[:4])


def _strip_units(axis, block):
    """STEP, STRIP_STRIDE and STRIP_DILATION of an axis."""
    if block == 1:
        return axis.dilation, 1, 1
    if axis.taps == 1:
        return axis.stride, 1, 1
    step = gcd(axis.stride, axis.dilation)
    return step, axis.stride // step, axis.dilation // step


def _strip_length(axis, block):
    _, stride, dilation = _strip_units(axis, block)
    return (block - 1) * stride + (axis.taps - 1) * dilation + 1


def _row(axis, block):
    return axis.windows, axis.taps, axis.stride, axis.before, axis.out_stride, block, *_strip_units(axis, block)

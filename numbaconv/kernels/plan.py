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
from math import ceil, gcd, isqrt, prod
from typing import NamedTuple

import numpy as np

from ..machine.vectors import TILE_ROWS, TILE_VECS, VECTOR_BYTES, block_width, conv_tile

WINDOWS, TAPS, STRIDE, BEFORE, OUT_STRIDE, BLOCK, STEP, STRIP_STRIDE, STRIP_DILATION = range(9)
N, D, H, W = range(4)

# A strip and one block of weights should share a core's L2 cache, and so should Winograd's transformed input.
STRIP_BYTES = 128 * 1024
SPREAD_BYTES = 256 * 1024
# What a window takes of it beside the strip: its places in the tables, and the line of outputs being written.
PLACE_BYTES = 64
# Numbers of cores that a plan should serve well.
CORES = (2, 4)
# Multiply-adds below which waking the other cores costs more than it saves.
SERIAL_WORK = 500_000
# What a task costs beside its tiles, in vector multiply-adds: starting it, copying an element of its strip, a depthwise
# multiply-add, which loads its own values, and each copy; for Winograd, transforming a 6x6 block of one channel, and
# reading the weights in rows of a tile.
TASK_COST = 4000
COPY_COST = 0.25
LOADS_COST = 2
CALL_COST = 20
TRANSFORM_COST = 40
WEIGHTS_COST = 2
# What a core's L2 cache holds at least; weights that do not fit come from L3 as slowly as so many rows take to compute.
L2_BYTES = 1280 * 1024
L3_ROWS = 14
# A task's sums over windows, which should stay in L2 while it goes through them; all tasks' sums together; tasks enough
# for many cores; and what adding a tile to its sum costs, in windows.
SUM_BYTES = 512 * 1024
SUMS_BYTES = 32 * 1024 * 1024
SUM_TASKS = 8
ADD_COST = 6
# Rows of the tile that Winograd's products may have: the taller loads less, the lower leaves fewer rows unused.
WINOGRAD_ROWS = (14, 8) if TILE_ROWS == 14 else (TILE_ROWS,)
# Planes of channels that a task may write for each of its windows: in many it would begin more pages than it fills.
WINDOW_PLANES, SEPARABLE_PLANES = 16, 4
# And what its outputs for them may take meanwhile.
PLANE_BYTES = 1024 * 1024
# Windows of a row that are computed anew together, where Winograd's sums are doubtful: whole blocks, and nearly a tile.
PIECE = 12
# Lengths of blocks that are tried on either side of the square root, however long an axis is.
MOST_LENGTHS = 2**16
# Blocks of outputs that a task may have however many their channels are: below, it would wait for the weights.
WINOGRAD_WINDOWS = 28


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
        """Three arguments of its kernel."""
        return self.axes, self.group, self.tasks

    def fits_planes(self, channels, filters, width, itemsize, most=WINDOW_PLANES):
        """Whether tasks, of blocks ``width`` wide, had better read and write channels first where those are wanted.

        Not from few channels to few filters, nor in rows of few windows: they do not fill the squares that are
        transposed.
        """
        windows, side = self.axes[H, BLOCK] * self.axes[W, BLOCK], VECTOR_BYTES // itemsize
        fits = self.group * width <= most * windows and windows * width * itemsize <= PLANE_BYTES
        return bool(fits and self.axes[W, WINDOWS] >= 4 and (channels >= side or filters >= side))


@lru_cache(maxsize=4096)
def make_plan(
    axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int, depthwise: bool = False, origins: int = 1
) -> Plan:
    """Choose the cheapest blocks for the four ``axes`` (N, D, H, W) of a convolution.

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
    origins : int
        Convolutions of so many filters each that are computed together.

    Returns
    -------
    Plan
    """
    check_memory(axes, origins * filters, itemsize)
    _, d, h, w = axes
    tile_rows, tile_vecs = (TILE_ROWS, TILE_VECS) if depthwise else conv_tile(itemsize, filters)
    width = block_width(itemsize, tile_vecs)
    filter_blocks = origins * ceil(filters / width)
    steps = channels * prod(axis.taps for axis in axes)
    work = steps * filters * origins * prod(axis.windows for axis in axes)

    def strip_size(rows, columns, group):
        strip_channels = group * width if depthwise else channels
        return strip_channels * d.taps * _strip_length(h, rows) * _strip_length(w, columns)

    def cost(rows, columns, group):
        tiles = ceil(rows * columns / tile_rows) * group
        elements = strip_size(rows, columns, group)
        # Whole rows are copied at once, parts of the channels position by position.
        copies = elements / (group * width) if depthwise and group < filter_blocks else 0
        return TASK_COST + tiles * tile_rows * tile_vecs * steps + COPY_COST * elements + CALL_COST * copies

    def fits(rows, columns, group):
        taken = strip_size(rows, columns, group) * itemsize + rows * columns * PLACE_BYTES
        # Depthwise weights leave most of the cache to the strip.
        return taken <= STRIP_BYTES * (4 if depthwise else 1)

    return _cheapest(axes, filter_blocks, cost, fits, work < SERIAL_WORK)


@lru_cache(maxsize=4096)
def make_separable_plan(axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int) -> Plan | None:
    """`make_plan` for `kernels.separable` with so many channels between its steps.

    None where two calls are better: if the pointwise weights do not fit the L2 cache, since every task reads them all,
    or if so few windows fit it with all their channels that tiles would stay empty and strips overlap.
    """
    check_memory(axes, filters, itemsize)
    if channels * filters * itemsize > L2_BYTES:
        return None
    _, d, h, w = axes
    tile_rows, tile_vecs = conv_tile(itemsize, filters)
    between = ceil(channels / block_width(itemsize)) * block_width(itemsize)
    taps = prod(axis.taps for axis in axes)
    filter_blocks = ceil(filters / block_width(itemsize, tile_vecs))

    def strip_size(rows, columns):
        return between * d.taps * _strip_length(h, rows) * _strip_length(w, columns)

    def cost(rows, columns, group):
        windows = ceil(rows * columns / tile_rows) * tile_rows
        sums = channels * tile_vecs * filter_blocks + LOADS_COST * taps * between * itemsize / VECTOR_BYTES
        return TASK_COST + windows * sums + COPY_COST * strip_size(rows, columns)

    def fits(rows, columns, group):
        taken = (strip_size(rows, columns) + rows * columns * channels) * itemsize + rows * columns * PLACE_BYTES
        return taken <= 2 * STRIP_BYTES

    work = channels * (taps + filters) * prod(axis.windows for axis in axes)
    plan = _cheapest(axes, 1, cost, fits, work < SERIAL_WORK)
    rows, columns = plan.axes[H:, BLOCK].tolist()
    full = rows * columns >= min(tile_rows, h.windows * w.windows)
    return plan if full and fits(rows, columns, 1) else None


@lru_cache(maxsize=4096)
def make_winograd_plan(axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int) -> tuple[Plan, int, int]:
    """`make_plan` for `kernels.winograd.products`: the windows of its plan are blocks of the windows of ``axes``.

    Returns
    -------
    Plan
    size : int
        Windows along each axis of a block.
    tile : int
        Rows of the tile.
    """
    check_memory(axes, filters, itemsize)
    size = 7 - axes[H].taps
    blocks = (
        Axis(ceil(a.windows / size), 6, size * a.dilation, a.dilation, a.before, size * a.out_stride) for a in axes[2:]
    )
    axes = (*axes[:2], *blocks)
    filter_blocks = ceil(filters / block_width(itemsize))

    def cost(rows, columns, group):
        filled = min(ceil(rows * columns / tile) * tile for tile in WINOGRAD_ROWS)
        if 36 * channels * group * block_width(itemsize) * itemsize > L2_BYTES:
            filled = max(filled, L3_ROWS)
        transforms = rows * columns * (channels + group * block_width(itemsize)) * TRANSFORM_COST
        return TASK_COST + 36 * channels * (filled + WEIGHTS_COST) * group * TILE_VECS + transforms

    def fits(rows, columns, group):
        return rows * columns <= max(WINOGRAD_WINDOWS, SPREAD_BYTES // (36 * channels * itemsize))

    plan = _cheapest(axes, filter_blocks, cost, fits, False, several_images=True)
    windows = int(plan.axes[N, BLOCK] * plan.axes[H, BLOCK] * plan.axes[W, BLOCK])
    return plan, size, min(WINOGRAD_ROWS, key=lambda tile: ceil(windows / tile) * tile)


def piece_axes(axes: tuple[Axis, ...]) -> np.ndarray:
    """The axis table of a plan whose blocks are pieces of rows, `PIECE` windows long."""
    return np.array([_row(axis, block) for axis, block in zip(axes, (1, 1, 1, PIECE), strict=True)], dtype=np.int64)


class SumPlan(NamedTuple):
    """How a gradient that sums over windows is cut.

    The windows in ``splits`` shares of ``places`` blocks each, the output channels in blocks of which a task takes
    ``group``; the blocks of windows as they slide over the input, and as they lie in the gradient of the output.
    """

    axes: np.ndarray
    grad_axes: np.ndarray
    places: int
    group: int
    splits: int
    serial: bool


@lru_cache(maxsize=4096)
def make_sum_plan(
    axes: tuple[Axis, ...], rows: int, channels: int, filters: int, itemsize: int, depthwise: bool = False
) -> SumPlan:
    """Choose the blocks for the gradient of weights of ``rows`` times ``filters`` values, rows in whole tiles.

    ``channels`` are those of the input that one task reads; depthwise, a task reads only those of its outputs.
    """
    check_memory((), rows * filters, itemsize)
    _, d, h, w = axes
    width = block_width(itemsize)
    filter_blocks = ceil(filters / width)

    def strip_size(block_rows, block_columns, group):
        strip_channels = group * width if depthwise else channels
        return strip_channels * d.taps * _strip_length(h, block_rows) * _strip_length(w, block_columns)

    def cost(block_rows, block_columns, group):
        windows = block_rows * block_columns
        copied = strip_size(block_rows, block_columns, group) + windows * group * width
        return TASK_COST + group * rows * TILE_VECS * (windows + ADD_COST) + COPY_COST * copied

    def fits(block_rows, block_columns, group):
        taken = strip_size(block_rows, block_columns, group) + block_rows * block_columns * group * width
        return taken * itemsize <= 2 * STRIP_BYTES and (group == 1 or group * rows * width * itemsize <= SUM_BYTES)

    work = rows * filters * prod(axis.windows for axis in axes)
    plan = _cheapest(axes, filter_blocks, cost, fits, False, several_images=True)
    parts = filter_blocks // plan.group
    blocks = plan.tasks // parts
    most = max(1, SUMS_BYTES // (filter_blocks * rows * width * itemsize))
    places = max(1, ceil(blocks / min(most, ceil(SUM_TASKS / parts))))
    still = tuple(axis._replace(taps=1, stride=1, dilation=1, before=0) for axis in axes)
    grad_axes = np.array([_row(a, int(b)) for a, b in zip(still, plan.axes[:, BLOCK], strict=True)], dtype=np.int64)
    return SumPlan(plan.axes, grad_axes, places, plan.group, max(1, ceil(blocks / places)), work < SERIAL_WORK)


def check_memory(axes, values, itemsize):
    """Raise MemoryError unless there is room for so many values for each window: planning could take long."""
    np.empty(prod(axis.windows for axis in axes) * values * itemsize, np.uint8)


def _cheapest(axes, filter_blocks, cost, fits, serial, several_images=False):
    """The plan that takes least time on a few and on many cores, among those whose tasks fit the cache."""
    best = None
    for block in _blocks(*axes, several_images):
        places = prod(ceil(axis.windows / length) for axis, length in zip(axes, block, strict=True))
        images, _, rows, columns = block
        for groups in range(1, filter_blocks + 1):
            if filter_blocks % groups:
                continue
            group = filter_blocks // groups
            tasks = places * groups
            rounds = tasks if serial else sum(ceil(tasks / cores) * cores for cores in CORES)
            key = not fits(images * rows, columns, group), rounds * cost(images * rows, columns, group)
            if best is None or key < best[0]:
                best = key, block, group, tasks
    _, block, group, tasks = best
    table = np.array([_row(a, b) for a, b in zip(axes, block, strict=True)], dtype=np.int64)
    return Plan(table, group, tasks, serial)


def _blocks(n, d, h, w, several_images):
    """Blocks worth trying: rows, parts of one row, or whole images."""
    for rows in _block_lengths(h.windows):
        # Parts of rows only where whole rows are too long or too few: a block's edges are copied twice.
        for columns in _block_lengths(w.windows) if rows == 1 else [max(w.windows, 1)]:
            yield 1, 1, rows, columns
    if several_images and d.windows == 1:
        for images in _block_lengths(n.windows):
            yield images, 1, max(h.windows, 1), max(w.windows, 1)


def _block_lengths(windows):
    """Lengths worth trying for blocks of so many windows: those of few even blocks, and all short ones."""
    root = min(isqrt(windows), MOST_LENGTHS) + 1
    even = (ceil(windows / i) for i in range(1, root + 1))
    return sorted({*even, *range(1, min(root, windows) + 1)} - {0}) or [1]


def block_table(filters, itemsize, origins=(0,)):
    """For each block of filters, its place in the output of a window, its number of filters, and its first one.

    ``origins`` lists where the outputs of several convolutions begin that are computed together, all with so many
    filters, their blocks one after the other.
    """
    width = block_width(itemsize, conv_tile(itemsize, filters)[1])
    rows = [(origin + f, min(width, filters - f), f) for origin in origins for f in range(0, filters, width)]
    return np.array(rows, dtype=np.int64)


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
    # From a single window there is no step to the next, which might not fit 64 bits.
    out_stride = axis.out_stride if axis.windows > 1 else min(axis.out_stride, np.iinfo(np.int64).max)
    return axis.windows, axis.taps, axis.stride, axis.before, out_stride, block, *_strip_units(axis, block)

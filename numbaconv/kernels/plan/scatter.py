"""The plan of `kernels.scatter`, and where it pays."""

from math import ceil, inf, prod

import numpy as np

from ...machine import threads
from ...machine.vectors import LINE, TILE_ROWS, TILE_VECS, VECTOR_BYTES, conv_tile, panel_width
from ...objects.tuples import NamedTuple
from .axes import mean_taps
from .host import HOST
from .plans import tiles_cost

# A plan for the kernel: an int64 array with a row for each of D, H and W that has the columns TAPS to CROP, and a row
# WORK: how many tasks there are, and the images, rows and columns of outputs of each.
TAPS, STRIDE, DILATION, CROP = range(4)
D, H, W, WORK = range(4)
TASKS, IMAGES, ROWS, COLUMNS = range(4)

# Inputs of a block: some tiles.
BLOCK_INPUTS = 8 * TILE_ROWS
# Costs in multiply-adds of vectors: adding a vector of a tile to the outputs, a row of outputs, one of them for a
# panel, ending a vector, the first step of a tap, the call. Of phases that gather: those of like geometry, each of
# them, storing a vector, and filling one that no tap reaches.
# They decide how a result is computed, and so its last bits: nothing of a `Host` may change them.
ADD_COST, ROW_COST, PANEL_COST, END_COST, TAP_COST, SCATTER_COST = 7, 840, 320, 14, 15, 8000
PHASES_COST, PHASE_COST, STORE_COST, FILL_COST = 10_000, 2500, 9, 18
# How many times as long a step takes in a tile one vector wide, which loads more; with few registers, it waits as well.
NARROW_COST = 1.2 if VECTOR_BYTES == 64 else 2
# The same for what is added up after the products: a vector of a product as it is written and as it is read, one of an
# output, what meets in a vector of values that are picked one by one, and to call two kernels.
WRITE_COST, PRODUCT_COST, OUTPUT_COST, PICK_COST, CALL_COST = 11, 6, 13, 100, 30_000
# The part that such a sum must take of other ways' time.
OVERLAP_SHARE = 0.9
# Products that are added up, at most, of an image, and bytes that all of them take.
MOST_PRODUCTS, MOST_PRODUCT_BYTES = 65_536, 16 * 1024 * 1024
# What Winograd's convolution takes of what a plain one takes.
WINOGRAD_SHARE = 0.5


class Spread(NamedTuple):
    """One axis of a transposed convolution: input i meets output ``i*stride + k*dilation - crop`` through tap k."""

    length: int
    out_length: int
    taps: int
    stride: int
    dilation: int
    crop: int

    def pairs(self) -> int:
        """How many pairs of an input and a tap there are that meet an output."""
        first, last = self.crop, self.crop + self.out_length
        starts = np.arange(self.taps) * self.dilation
        low = np.maximum(0, -((starts - first) // self.stride))
        high = np.minimum(self.length, -((starts - last) // self.stride))
        return int(np.maximum(high - low, 0).sum())


Axes = tuple[Spread, Spread, Spread]


class ScatterPlan(NamedTuple):
    """How a transposed convolution is cut: the table for the kernel, the axes D, H and W that it is for, its tile."""

    table: np.ndarray
    axes: Axes
    # Vectors of a row of the tile.
    vecs: int
    serial: bool
    cost: float


def joined(d: Spread, h: Spread, w: Spread) -> Axes:
    """The axes, those together whose outputs are neighbours: each input of the outer one fills whole inner ones."""
    still = Spread(1, 1, 1, 1, 1, 0)
    for _ in range(2):
        whole = w.length == 1 and w.crop == 0 and w.taps == w.out_length and (w.dilation == 1 or w.taps == 1)
        if whole and (h.dilation == 1 or h.taps == 1):
            n = w.out_length
            d, h, w = still, d, Spread(h.length, h.out_length * n, h.taps * n, h.stride * n, 1, h.crop * n)
    return d, h, w


def make_scatter_plan(batch: int, axes: Axes, channels: int, filters: int, itemsize: int) -> ScatterPlan | None:
    """How a transposed convolution of a batch is cut for `kernels.scatter`; None where its lanes are no neighbours."""
    d, h, w = axes = joined(*axes)
    if w.dilation > 1 and w.taps > 1:
        return None
    width, lanes, rows = panel_width(itemsize), panel_width(itemsize, 1), d.out_length * h.out_length
    pairs = d.pairs() * h.pairs()
    steps = pairs * channels
    # As many images as fill a tile a few times.
    images = max(1, min(batch, ceil(BLOCK_INPUTS / max(w.length, 1))))

    def cost(vecs):
        height = TILE_ROWS * TILE_VECS // vecs
        panels = ceil(w.taps * filters / panel_width(itemsize, vecs))
        tiles = ceil(images * w.length / height) * panels
        # Weights are read for each tile, as by the convolutions that this is compared with.
        sums = steps * tile_cost(vecs) * (height + HOST.weights_cost) / height
        block = tiles * (sums + pairs * TAP_COST + rows * ADD_COST * height * vecs)
        block += rows * (ROW_COST + panels * PANEL_COST)
        return ceil(batch / images) * block + batch * rows * w.out_length * filters / lanes * END_COST + SCATTER_COST

    # Fewer, if their outputs don't fit the cache.
    room = max(1, HOST.strip_bytes // ((w.out_length * filters + 2 * width) * itemsize))
    blocks = ceil(batch / min(images, room)) or 1
    images = ceil(batch / blocks) or 1
    # Parts of a row only where there are too few rows, for the inputs at a part's edges are multiplied twice.
    wanted = HOST.scatter_tasks * (HOST.threads or threads.count())
    parts = ceil(wanted / max(blocks * rows, 1))
    columns = max(1, min(w.out_length, ceil(w.out_length / parts / width) * width))
    together = max(1, blocks * rows // (4 * wanted))
    tasks = ceil(batch / images) * ceil(rows / together) * ceil(w.out_length / columns)
    table = np.array([axis[2:] for axis in (d, h, w)] + [(tasks, images, together, columns)], np.int64)
    vecs = min((TILE_VECS, 1), key=cost)
    work = steps * w.taps * w.length * filters * batch
    return ScatterPlan(table, (d, h, w), vecs, work < HOST.serial_work, cost(vecs))


def overlap_cost(batch: int, axes: Axes, channels: int, filters: int, itemsize: int) -> float:
    """What it costs to multiply each input by all taps, and to add up what meets; infinite where that is too much."""
    inputs, outputs, taps = (prod(axis[i] for axis in axes) for i in (0, 1, 2))
    units = taps * filters
    if inputs * taps > MOST_PRODUCTS or batch * inputs * units * itemsize > MOST_PRODUCT_BYTES:
        return inf
    height, vecs = conv_tile(itemsize, units)
    tiles = tiles_cost(batch * inputs, height, HOST) / height * ceil(units / panel_width(itemsize, vecs))
    lanes, meeting = panel_width(itemsize, 1), prod(axis.pairs() for axis in axes)
    adding = ceil(filters / lanes) * (meeting * PRODUCT_COST + outputs * OUTPUT_COST)
    if filters <= LINE // 4:
        adding = ceil(meeting / max(1, outputs)) * outputs * filters / lanes * PICK_COST
    writing = inputs * units / lanes * WRITE_COST
    return tiles * channels * tile_cost(vecs) + batch * (adding + writing) + CALL_COST


def tile_cost(vecs: int) -> float:
    """A step of a tile so many vectors wide: with one of them, it waits for its loads."""
    return TILE_ROWS * TILE_VECS * (NARROW_COST if vecs == 1 < TILE_VECS else 1)


def gather_cost(batch: int, groups: dict, outputs: int, channels: int, filters: int, itemsize: int) -> float:
    """What the phases of a transposed convolution cost as plain convolutions, as `make_scatter_plan` counts it."""
    height, vecs = conv_tile(itemsize, filters)
    panels, cost = ceil(filters / panel_width(itemsize, vecs)), 0.0
    for moving, members in groups.items():
        windows = batch * prod(axis.windows for axis in moving)
        # Of a tile's windows.
        lengths = 1, max(1, TILE_ROWS // max(1, moving[2].windows)), min(TILE_ROWS, moving[2].windows)
        taps = prod(mean_taps(axis, n) for axis, n in zip(moving, lengths, strict=True))
        tiles = tiles_cost(windows, height, HOST) / height
        sums = panels * (tiles * taps * channels * tile_cost(vecs) + windows * vecs * STORE_COST)
        cost += PHASES_COST + len(members) * (PHASE_COST + sums)
        outputs -= windows * len(members)
    return cost + outputs * filters / panel_width(itemsize, 1) * FILL_COST

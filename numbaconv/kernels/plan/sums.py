"""Plans of gradients that sum over windows: of weights."""

from math import ceil, prod

import numpy as np

from ...machine.vectors import TILE_ROWS, conv_tile, panel_width
from ...objects.tuples import NamedTuple
from .axes import BLOCK, Axis, H, W, axis_table, strip_length
from .host import HOST, Host
from .plans import check_memory, remember_plans
from .search import cheapest


class SumPlan(NamedTuple):
    """How a gradient that sums over windows is cut.

    The windows in ``splits`` shares; the blocks of windows as they slide over the input, and as they lie in the
    gradient of the output.

    Blocks and shares decide in which order values are added up: they must not depend on the number of threads. Who adds
    up which panels and rows may.
    """

    axes: np.ndarray
    grad_axes: np.ndarray
    # Blocks of a share, and of one task the panels and which part of the rows: one of so many.
    cut: tuple[int, int, int]
    splits: int
    serial: bool


@remember_plans
def make_sum_plan(
    axes: tuple[Axis, ...],
    rows: int,
    channels: int,
    filters: int,
    itemsize: int,
    depthwise: int = 0,
    branches: int = 1,
    host: Host = HOST,
) -> SumPlan:
    """Choose the blocks for the gradient of weights of ``rows`` times ``filters`` values, rows in whole tiles.

    ``channels`` are those of the input that one task reads; depthwise, in tiles of so many vectors, a task reads only
    those of its outputs. There are tasks for each of the branches, all alike.
    """
    check_memory((), branches * rows * filters, itemsize)
    _, d, h, w = axes
    height, tile_vecs = (TILE_ROWS, depthwise) if depthwise else conv_tile(itemsize, filters)
    width = panel_width(itemsize, tile_vecs)
    panels = ceil(filters / width)

    def strip_size(block_rows, block_columns, group):
        strip_channels = group * width if depthwise else channels
        return strip_channels * d.taps * strip_length(h, block_rows) * strip_length(w, block_columns)

    def block_time(block_rows, block_columns, group, pieces=1):
        # A piece has whole tiles.
        windows, some = block_rows * block_columns, min(rows, ceil(rows / height / pieces) * height)
        copied = strip_size(block_rows, block_columns, group) + windows * group * width
        adding = host.add_cost if group * some * width * itemsize <= host.sum_bytes else host.far_add_cost
        return host.task_cost + group * some * tile_vecs * (windows + adding) + host.strips_cost * copied

    def time(block_rows, block_columns, group, tasks):
        return sum(ceil(tasks / n) * n for n in host.cores) * block_time(block_rows, block_columns, group)

    def fits(block_rows, block_columns, group):
        taken = strip_size(block_rows, block_columns, group) + block_rows * block_columns * group * width
        # Threads may share a cache: sums of several panels that leave it cost two of them more than they save one.
        small_sums = group == 1 or group * rows * width * itemsize <= host.sum_bytes
        return taken * itemsize <= 4 * host.strip_bytes and small_sums

    table, group, tasks, _ = cheapest(axes, panels, time, fits, several_images=True)
    parts = panels // group
    blocks = tasks // parts
    most = max(1, host.sums_bytes // (branches * panels * rows * width * itemsize))
    # Depthwise there is little to sum up in each, and no piece of the rows that another task could take.
    wanted = host.sum_tasks * (4 if depthwise else 1)
    share = max(1, ceil(blocks / min(most, ceil(wanted / (branches * parts)))))
    still = tuple(axis._replace(taps=1, stride=1, dilation=1, before=0) for axis in axes)
    serial = branches * rows * filters * prod(axis.windows for axis in axes) < host.serial_work
    splits = max(1, ceil(blocks / share))

    def run_time(some):
        group, pieces = some
        tasks = splits * branches * (panels // group) * pieces
        return ceil(tasks / host.threads) * block_time(*table[[H, W], BLOCK].tolist(), group, pieces)

    cuts = [
        (fewer, pieces)
        for fewer in range(group, 0, -1)
        if panels % fewer == 0
        for pieces in range(1, 2 if depthwise else host.row_pieces + 1)
    ]
    group, pieces = min(cuts, key=run_time)
    return SumPlan(table, axis_table(still, table[:, BLOCK]), (share, group, pieces), splits, serial)

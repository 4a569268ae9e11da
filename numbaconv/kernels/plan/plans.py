"""Plans of the operations: what each way to cut them costs, and whether it fits the cache."""

from functools import lru_cache, wraps
from math import ceil, inf, prod
from typing import Literal

import numpy as np

from ...machine import threads
from ...machine.vectors import (
    CACHE_WAY,
    LOW_ROWS,
    SLIDE_ROWS,
    SLIM_ROWS,
    TILE_ROWS,
    TILE_VECS,
    VECTOR_BYTES,
    conv_tile,
    few_filters,
    most_low,
    panel_width,
)
from ...objects.tuples import NamedTuple
from ..winograd.points import INPUTS, Scheme, schemes_for
from .axes import BLOCK, MOST_STEPS, RUN, WINDOWS, Axis, D, H, N, W, axis_table, mean_taps, patch_axis, strip_length
from .host import HOST, Host
from .search import cheapest

# Of a strip, however few of its steps are read at a time.
MOST_BYTES = 16 * 1024 * 1024
# Channels, at most, that are copied one by one from planes, where swapping all axes may take less time.
FEW_PLANES = 4


def remember_plans(make):
    """Keep plans, each with the processor that it was made for; None stands for `HOST` with the threads of now."""
    kept = lru_cache(maxsize=4096)(make)

    @wraps(make)
    def made(*args, host=None, **kwargs):
        host = host or HOST
        return kept(*args, host=host._replace(threads=host.threads or threads.count()), **kwargs)

    made.cache_clear, made.cache_info, made.cache_parameters = kept.cache_clear, kept.cache_info, kept.cache_parameters
    return made


class Plan(NamedTuple):
    """How an operation is cut: the axis table, panels of output channels per task, tasks, and whether one core does."""

    axes: np.ndarray
    group: int
    tasks: int
    serial: bool

    @classmethod
    def of(cls, cut, serial):
        """The plan of a `Cut`."""
        return cls(cut.axes, cut.group, cut.tasks, serial)

    @classmethod
    def alike(cls, cut, axes, parts):
        """The plan of other axes in the blocks of a `Cut`, whose tasks are for one of so many parts of the panels."""
        blocks = cut.axes[:, BLOCK].tolist()
        tasks = parts * prod(ceil(axis.windows / block) for axis, block in zip(axes, blocks, strict=True))
        return cls(axis_table(axes, blocks), cut.group, tasks, False)

    def fits_planes(self, channels, filters, width, itemsize, separable=False):
        """Whether tasks, of panels ``width`` wide, had better read and write channels first where those are wanted.

        Not from few channels to few filters, nor in rows of few windows: they do not fill the squares that are
        transposed. Parts of several rows do not follow each other in a plane.
        """
        most = HOST.separable_planes if separable else HOST.window_planes
        windows, side = self.axes[:, BLOCK].prod(), VECTOR_BYTES // itemsize
        fits = self.group * width <= most * windows and windows * width * itemsize <= HOST.plane_bytes
        fits = fits and (windows == self.axes[W, BLOCK] or self.axes[W, BLOCK] == self.axes[W, WINDOWS])
        return bool(fits and self.axes[W, WINDOWS] >= 4 and (channels >= side or filters >= side))

    def planes_read(self, axes, sizes):
        """How often blocks read each value of planes of these axes, with what they leave of squares of them.

        ``sizes`` are those that `fits_planes` takes. Inf where values are copied one by one, for their taps lie far
        apart or their channels are few, and there are as many as outputs: to swap all axes takes less time.
        """
        channels, filters, _, itemsize = sizes
        side = VECTOR_BYTES // itemsize
        many = channels * prod(axis.stride for axis in axes) >= filters
        if self.axes[W, RUN] or (many and 1 < channels <= min(FEW_PLANES, side // 2)):
            return inf
        images, planes, rows, columns = blocks = self.axes[:, BLOCK].tolist()
        count = prod(ceil(axis.windows / block) for axis, block in zip(axes, blocks, strict=True))
        row = strip_length(axes[W], columns)
        pixels = count * strip_pixels(axes, images * planes * rows, columns) * ceil(row / side) * side / max(1, row)
        return pixels / max(1, axes[N].windows * prod(axis.length for axis in axes[1:]))


@remember_plans
def make_plan(
    axes: tuple[Axis, ...],
    channels: int,
    filters: int,
    itemsize: int,
    depthwise: bool | Literal["whole rows"] = False,
    origins: int = 1,
    branches: int = 1,
    host: Host = HOST,
) -> Plan:
    """Choose the cheapest blocks for the four ``axes`` (N, D, H, W) of a convolution.

    Each filter sums over so many channels, 1 for a depthwise convolution, where a task's strip holds only the channels
    of its own group of outputs. ``origins`` is the number of convolutions, each of that many filters, that are computed
    together, and ``branches`` that of branches, each of that many channels and filters. Of depthwise
    "whole rows", tasks take no parts of rows.
    """
    check_memory(axes, branches * origins * filters, itemsize)
    _, d, h, w = axes
    tile_rows, tile_vecs = (TILE_ROWS, TILE_VECS) if depthwise else conv_tile(itemsize, filters)
    width = panel_width(itemsize, tile_vecs)
    panels_of_branch = origins * ceil(filters / width)
    panels = branches * panels_of_branch

    def steps(rows, columns):
        planes = min(ceil(rows / max(1, h.windows)), max(1, d.windows))
        return channels * mean_taps(d, planes) * mean_taps(h, min(rows, h.windows)) * mean_taps(w, columns)

    windows, values = prod(axis.windows for axis in axes), filters * origins * branches
    serial = windows * steps(1, 1) * values < host.serial_work
    # A network shares out more than a call by itself, which would have to wake the other threads. Depthwise, there are
    # as many inputs as that, and with strides more than outputs.
    moved = prod(strip_length(axis, axis.windows) for axis in axes) if depthwise else windows
    alone = (windows * steps(1, 1) + host.moved_cost * (moved + steps(1, 1))) * values < host.serial_work
    workers = 1 if alone else host.threads
    # What several taps read should stay near for the next of them; what one does only for the next panel.
    strips = 1 if depthwise else 2 if prod(axis.taps for axis in axes) > 1 else host.point_strips

    # Depthwise, neighbours of one row share what they read, and the strips of large planes stay in L1 one by one.
    several = not depthwise or (w.windows < SLIDE_ROWS and h.windows * w.windows < 2 * TILE_ROWS)

    def strip_channels(group):
        return group * width if depthwise else channels * ceil(group / panels_of_branch)

    def strip_size(rows, columns, group):
        return strip_channels(group) * strip_pixels(axes, rows, columns)

    def time(rows, columns, group, tasks):
        turns, work = ceil(tasks / workers), group * tile_vecs * steps(rows, columns)
        filled = turns * (ceil(rows * columns / tile_rows) * tile_rows if several else rows * columns)
        if not depthwise:
            # Weights come from far once for all blocks of a thread, or once for each if those of a task do not fit.
            small = steps(rows, columns) * group * width * itemsize <= host.l2_bytes
            far = ceil(turns * panels / max(1, tasks * group)) if small else turns
            filled = turns * tiles_cost(rows * columns, tile_rows, host) + far * host.far_rows
        elements = strip_size(rows, columns, group)
        # Whole rows are copied at once, parts of the channels position by position.
        copies = elements / strip_channels(group) if (depthwise or branches > 1) and group < panels else 0
        copying = host.copy_cost * elements + host.call_cost * copies
        return turns * (host.task_cost + copying) + filled * work

    def fits(rows, columns, group):
        strip = strip_size(rows, columns, group) * itemsize
        # Depthwise weights leave most of the cache to the strip; of other strips, some steps are read at a time.
        share = 1 / 4 if depthwise else min(1, MOST_STEPS / max(1, steps(rows, columns)))
        return share * strip + rows * columns * host.place_bytes <= strips * host.strip_bytes and strip <= MOST_BYTES

    cut = cheapest(axes, panels, time, fits, several_planes=several, whole_rows=depthwise == "whole rows")
    return Plan.of(cut, serial)


@remember_plans
def make_separable_plan(
    axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int, host: Host = HOST
) -> Plan | None:
    """`make_plan` for `kernels.separable` with ``channels`` between its steps.

    None where two calls are better, since every task reads all pointwise weights: if those do not fit the L2 cache, and
    are read for few windows, or some threads have more windows than others while all that lies in between almost fits
    it, or if so few windows fit it with all their channels that tiles would stay empty and strips overlap.
    """
    check_memory(axes, filters, itemsize)
    far = channels * filters * itemsize > host.l2_bytes
    _, _, h, w = axes
    tile_rows, tile_vecs = conv_tile(itemsize, filters)
    between = ceil(channels / panel_width(itemsize)) * panel_width(itemsize)
    taps = prod(axis.taps for axis in axes)
    panels = ceil(filters / panel_width(itemsize, tile_vecs))
    serial = channels * (taps + filters) * prod(axis.windows for axis in axes) < host.serial_work
    workers = 1 if serial else host.threads

    # Windows that are neighbours read the image itself: the usual ones do, whatever their channels.
    near = w.dilation == h.dilation == 1 and w.taps == 3
    least = 4 * host.l3_rows if far else min(tile_rows, h.windows * w.windows)

    def strip_size(rows, columns):
        return between * strip_pixels(axes, rows, columns)

    def time(rows, columns, group, tasks):
        windows = tiles_cost(rows * columns, tile_rows, host) + far * host.far_rows
        sums = channels * tile_vecs * panels + host.loads_cost * taps * between * itemsize / VECTOR_BYTES
        return ceil(tasks / workers) * (host.task_cost + windows * sums + host.copy_cost * strip_size(rows, columns))

    def fits(rows, columns, group):
        # What lies in between is read once for each panel; a strip is written and read again before that.
        strip, room = strip_size(rows, columns), host.point_strips * host.strip_bytes
        if near and columns >= SLIDE_ROWS:
            # Beside what is read, and written, meanwhile.
            strip, room = 0, host.l2_bytes // 2
        taken = (strip + rows * columns * channels) * itemsize + rows * columns * host.place_bytes
        return rows * columns >= least and taken <= room

    plan = Plan.of(cheapest(axes, 1, time, fits, several_planes=w.windows < SLIDE_ROWS), serial)
    *rows, columns = plan.axes[:, BLOCK].tolist()
    windows = prod(axis.windows for axis in axes)
    # Two calls share out single windows, where blocks of rows may leave a thread with more of them than others.
    even = tiles_cost(ceil(windows / workers), tile_rows, host)
    uneven = ceil(plan.tasks / workers) * tiles_cost(prod(rows) * columns, tile_rows, host) > host.uneven * even
    near_enough = windows * channels * itemsize <= 2 * workers * host.l2_bytes
    apart = far and (plan.tasks < workers or (uneven and near_enough))
    return plan if not apart and fits(prod(rows), columns, 1) else None


class WinogradPlan(NamedTuple):
    """How Winograd's convolution is cut: for each phase of its dilation a plan, whose windows are patches.

    The tasks of all are dealt out in ``shares`` runs. If there are ``spreads``, their tasks transform the input first,
    for those of the plans to share.
    """

    plans: list[Plan]
    spreads: list[Plan]
    shares: int
    # Along H and W.
    schemes: tuple[Scheme, Scheme]
    # Rows of the tile.
    tile: int


@remember_plans
def make_winograd_plan(
    phases: tuple[tuple[Axis, ...], ...], channels: int, filters: int, itemsize: int, host: Host = HOST
) -> WinogradPlan:
    """`make_plan` for `kernels.winograd.products`: the axes of each phase, the longest first, which all are cut alike.

    Few patches on many threads leave each thread few panels of filters, before which to transform the input would take
    as long as the products do: there all threads do that together, once. So do those that sum over several taps along
    D, whose planes of patches meet several planes of outputs.
    """
    for axes in phases:
        check_memory(axes, filters, itemsize)
    schemes, width = schemes_for(phases[0][H].taps, phases[0][W].taps), panel_width(itemsize)
    # "auto" never chooses this for float64, so that one tile less is compiled for it.
    vecs = conv_tile(itemsize, filters)[1] if itemsize == 4 else TILE_VECS
    heights = host.winograd_rows if vecs == TILE_VECS else (SLIM_ROWS,)
    phases = tuple((*axes[:2], *map(patch_axis, axes[2:], schemes)) for axes in phases)
    axes, panels = phases[0], ceil(filters / width)
    points = prod(scheme.inputs for scheme in schemes)
    products, planes = points * axes[D].taps, [_planes(axes) for axes in phases]
    transform_cost = host.transform_cost * points / INPUTS**2

    def run(tasks):
        return ceil(len(phases) * tasks / host.threads)

    def multiplying(rows, columns, group, tasks):
        filled = min(ceil(rows * columns / tile) * tile for tile in heights)
        if products * channels * group * width * itemsize > host.l2_bytes:
            filled = max(filled, host.l3_rows)
        outputs = rows * columns * group * width * transform_cost
        task = host.task_cost + products * channels * (filled + host.weights_cost) * group * vecs + outputs
        return run(tasks) * task

    def alone(rows, columns, group, tasks):
        some, parts = run(tasks), panels // group
        # A run may begin and end amid the tasks of a block, whose input each thread transforms for itself.
        blocks = ceil(some / parts) + (some % parts > 0 and parts % some > 0)
        return multiplying(rows, columns, group, tasks) + blocks * rows * columns * channels * transform_cost

    def spreading(rows, columns, group, tasks):
        copying = host.copy_cost * strip_length(axes[H], rows) * strip_length(axes[W], columns)
        patches = rows * columns * (transform_cost + host.spread_cost)
        return run(tasks) * (host.task_cost + channels * (patches + copying))

    def fits(rows, columns, group):
        return rows * columns <= max(host.winograd_windows, host.spread_bytes // (products * channels * itemsize))

    def cut_alike(cut, phases, parts):
        return [Plan.alike(cut, axes, parts) for axes in phases]

    cut, spreads = cheapest(axes, panels, alone, fits, several_images=True), []
    values = len(phases) * points * channels * prod(axis.windows for axis in planes[0])
    if axes[D].taps > 1 or values * itemsize <= host.shared_bytes:
        first = cheapest(planes[0], 1, spreading, fits)
        then = cheapest(axes, panels, multiplying, fits, several_images=True)
        # It is one kernel more to compile, and has to be worth it.
        if axes[D].taps > 1 or 1.1 * (host.region_cost + first.time + then.time) < cut.time:
            cut, spreads = then, cut_alike(first, planes, 1)
    windows = prod(cut.axes[[N, H, W], BLOCK].tolist())
    tile = min(heights, key=lambda tile: ceil(windows / tile) * tile)
    return WinogradPlan(cut_alike(cut, phases, panels // cut.group), spreads, host.threads, schemes, tile)


def _planes(axes):
    """Axes of the planes of patches that windows read which have several taps along D."""
    n, d, h, w = axes
    windows = d.windows + (d.taps - 1) * d.dilation
    return (n, d if d.taps == 1 else Axis(windows, 1, 1, 1, d.before, 0), h, w)


@remember_plans
def make_few_plan(
    axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int, branches: int = 1, host: Host = HOST
) -> Plan:
    """`make_plan` for `kernels.few`."""
    check_memory(axes, branches * filters, itemsize)
    width, sums = few_filters(filters, itemsize), few_cost(axes, channels, filters, itemsize, branches)
    panels_of_branch = ceil(filters / width)
    serial = branches * sums * prod(axis.windows for axis in axes) * panel_width(itemsize, 1) < host.serial_work
    workers = 1 if serial else host.threads

    def strip_size(rows, columns, group):
        return channels * ceil(group / panels_of_branch) * strip_pixels(axes, rows, columns)

    def time(rows, columns, group, tasks):
        computing = rows * columns * group / panels_of_branch * sums
        copying = host.copy_cost * strip_size(rows, columns, group)
        return ceil(tasks / workers) * (host.task_cost + computing + copying)

    def fits(rows, columns, group):
        taken = strip_size(rows, columns, group) * itemsize + rows * columns * host.place_bytes
        return taken <= host.strip_bytes

    return Plan.of(cheapest(axes, branches * panels_of_branch, time, fits, several_planes=True), serial)


def few_cost(axes, channels, filters, itemsize, branches):
    """Multiply-adds of vectors that `kernels.few` takes for each window of a branch, and what adding lanes costs."""
    joined = axes[W].taps if joins_taps(axes, channels, itemsize, branches) else 1
    lines = ceil(joined * channels / panel_width(itemsize, 1)) * prod(mean_taps(axis, 1) for axis in axes[1:]) / joined
    width, (one, several, totals) = few_filters(filters, itemsize), HOST.few_costs
    return ceil(filters / width) * width * (lines * (one if width == 1 else several) + totals)


def joins_taps(axes, channels, itemsize, branches):
    """Whether the channels of all taps of a row follow each other in an image and in a strip."""
    # A strip may hold windows with gaps between them tap by tap.
    neighbours = axes[W].taps > 1 and axes[W].dilation == 1 and axes[W].stride <= axes[W].taps
    return neighbours and branches == 1 and channels * itemsize % (CACHE_WAY // 2) != 0


def is_for_few(axes, channels, filters, itemsize, branches):
    """Whether `kernels.few` takes less than `kernels.conv` with its tile of one vector."""
    steps = channels * prod(mean_taps(axis, 1) for axis in axes[1:])
    narrow = filters <= panel_width(itemsize, 1)
    return narrow and few_cost(axes, channels, filters, itemsize, branches) <= steps


def strip_pixels(axes, rows, columns):
    """Pixels of the strip of a block."""
    _, d, h, w = axes
    # More rows than a plane has are those of several planes, and maybe images.
    planes = ceil(rows / max(1, h.windows))
    images = ceil(planes / max(1, d.windows))
    plane = strip_length(h, rows // planes) * strip_length(w, columns)
    return images * strip_length(d, planes // images) * plane


def tiles_cost(windows, tile_rows, host):
    """Of all tiles, high and low ones, that so many windows fill: their rows, and reading weights for each tile."""
    high, rest = divmod(windows, tile_rows)
    high, low = (high, ceil(rest / LOW_ROWS)) if rest <= most_low(tile_rows) else (high + 1, 0)
    return high * (tile_rows + host.weights_cost) + low * (LOW_ROWS + host.weights_cost)


def check_memory(axes, values, itemsize):
    """Raise MemoryError unless there is room for that many values for each window: planning could take long."""
    np.empty(prod(axis.windows for axis in axes) * values * itemsize, np.uint8)

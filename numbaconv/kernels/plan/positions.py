"""Plans for `kernels.positions`, and whether it is worth it."""

from math import ceil, prod

from ...machine.vectors import SLIDE, TILE_VECS, WIDE, panel_width, position_tile
from .axes import BLOCK, Axis, H, W, axis_table, mean_taps, strip_length, strip_runs
from .host import HOST, Host
from .plans import Plan, check_memory, remember_plans
from .search import cheapest


@remember_plans
def make_position_plan(
    axes: tuple[Axis, ...], branches: int, channels: int, filters: int, itemsize: int, planar: bool, host: Host = HOST
) -> Plan | None:
    """`make_plan` for `kernels.positions`, for the channels and filters of a branch; None where others are faster.

    ``planar`` says whether input and output are channels first.
    """
    check_memory(axes, branches * filters, itemsize)
    taps, windows = prod(mean_taps(axis, 1) for axis in axes[1:]), prod(axis.windows for axis in axes)
    steps, each, side = channels * taps, _cost_of_step(filters, host), panel_width(itemsize, 1)
    most = host.positions_share * _usual(axes, branches, channels, filters, itemsize, planar, steps)
    # To search takes long where there are many branches. What is chosen may not depend on threads, on which bits would.
    if windows * branches * each * (1 + steps) / side > most:
        return None
    sizes = axes, branches, channels, filters, itemsize, planar, steps
    if _cut(*sizes, HOST._replace(threads=1)).time > most:
        return None
    cut = _cut(*sizes, host)
    serial = branches * filters * steps * windows / side < host.serial_work
    return Plan(axis_table(axes, cut.axes[:, BLOCK], apart=H), cut.group, cut.tasks, serial)


def position_cost(axes, channels, filters, itemsize):
    """Multiply-adds of vectors that `kernels.positions` takes for each window of a branch, with those between them."""
    steps = channels * prod(mean_taps(axis, 1) for axis in axes[1:])
    return axes[-1].stride * _cost_of_step(filters, HOST) * steps / panel_width(itemsize, 1)


def planes_pay(axes, branches, channels, filters, itemsize):
    """Whether `kernels.product.outer` takes less for single pixels with channels first than what swaps axes."""
    windows, wide = prod(axis.windows for axis in axes[1:]), panel_width(itemsize, len(WIDE))
    product, tile, unit = HOST.outer_costs
    # Its tiles have two rows.
    tiles = ceil(windows / wide) * ceil(filters / 2) * 2 * len(WIDE)
    time = unit * axes[0].windows * branches * (product + tiles * (tile + channels))
    return time <= _usual(axes, branches, channels, filters, itemsize, True, channels)


def _cost_of_step(filters, host):
    """Of a vector of windows, for a branch."""
    rows, _ = position_tile(filters)
    return ceil(filters / rows) * rows * (1 if rows > 1 else host.loads_cost)


def _cut(axes, branches, channels, filters, itemsize, planar, steps, host):
    """The cheapest `Cut`."""
    _, d, h, w = axes
    _, vecs = position_tile(filters)
    lanes, side = panel_width(itemsize, vecs), panel_width(itemsize, 1)
    each, first = _cost_of_step(filters, host), host.row_cost if channels == 1 < filters else 1

    def moving(planes, rows, columns, step, whole, runs=1):
        """Bringing rows, of so many runs, to planes, or taking them away; whether pixels are whole."""
        if planar:
            calls = host.call_cost if runs == 1 else host.run_cost * runs
            # Lines pick out values that lie a few apart.
            return planes * rows * (calls + (columns if step > 4 else host.plane_cost * columns))
        squares = planes >= side and columns >= side and step == 1
        costs = host.square_costs if squares else host.pixel_costs
        each = costs[0] if whole else costs[1]
        return rows * (host.call_cost + planes * columns * each)

    def time(rows, columns, group, tasks):
        row, whole = strip_length(w, columns), group == branches
        chunks = ceil(((rows - 1) * row + (columns - 1) * w.stride + 1) / lanes)
        sums = group * chunks * vecs * each * (first + steps)
        step = 1 if w.taps > 1 else w.stride
        pieces = d.taps * strip_length(h, rows, True), row, step, whole, strip_runs(w, columns)
        strip = moving(group * channels, *pieces)
        writing = moving(group * filters, rows, columns, w.stride, whole)
        return ceil(tasks / host.threads) * (host.task_cost + sums + strip + writing)

    def fits(rows, columns, group):
        planes = (1 if planar else 2) * channels * d.taps * strip_length(h, rows, True) + filters * rows
        # No panel of weights shares the cache with these.
        return group * planes * strip_length(w, columns) * itemsize <= 3 * host.strip_bytes

    return cheapest(axes, branches, time, fits)


def depthwise_costs(axes, channels, multiplier, itemsize):
    """What `kernels.depthwise` takes for channels last, and `kernels.conv` for one channel after the other."""
    taps, windows = prod(mean_taps(axis, 1) for axis in axes[1:]), prod(axis.windows for axis in axes)
    inputs, side = prod(strip_length(axis, axis.windows) for axis in axes), panel_width(itemsize, 1)
    vectors = ceil(channels * multiplier / side)
    if multiplier == 1:
        if axes[W].taps < SLIDE:
            # Tiles of windows that lie anywhere are as wide as a panel.
            vectors = ceil(channels / panel_width(itemsize)) * TILE_VECS
        # Pixels that are no whole vectors go to a strip one by one.
        pixel, end, each = HOST.line_costs if channels % side else (0, 1, HOST.loads_cost)
        lines = pixel * inputs + windows * vectors * (end + each * taps)
        task, value, end, each = HOST.channel_costs
        return lines, channels * (task + value * inputs + windows * (end + each * taps))
    window = HOST.store_cost + HOST.loads_cost * taps
    lines = vectors * (windows * window + HOST.repeat_cost * inputs)
    return lines, channels * (HOST.task_cost + HOST.single_cost * inputs + ceil(multiplier / side) * windows * window)


def _usual(axes, branches, channels, filters, itemsize, planar, steps):
    """What kernels take whose vectors run over channels."""
    windows, side = prod(axis.windows for axis in axes), panel_width(itemsize, 1)
    inputs = windows * prod(axis.stride for axis in axes)
    moved = planar * HOST.planes_cost * branches * (inputs * channels + windows * filters)
    if channels == 1:
        if planar and filters > 1:
            # Kernels of their own bring all to channels last, and back.
            moved = 2 * (moved + HOST.region_cost)
        return moved + min(depthwise_costs(axes, branches, filters, itemsize))
    # A tile one vector wide loads two numbers for each multiply-add.
    each = HOST.loads_cost if filters <= side else 1
    return moved + windows * branches * ceil(filters / side) * (1 + each * steps)

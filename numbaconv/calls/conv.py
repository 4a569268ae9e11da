"""Prepared calls: all that the shapes and settings of a call decide, worked out once, so that the call itself is short.

The functions here are made for settings that are checked and normalised; they are cached by shape. Each returns an
object that takes the arrays: the input and what `Packed` and `plain_epilogue` made of weights and bias.
"""

from collections.abc import Callable
from functools import partial
from math import ceil, prod
from typing import Any

import numpy as np

from ..common.arguments import check_branches, check_channels
from ..kernels.named import (
    conv,
    conv_few,
    conv_inside,
    conv_positions,
    depthwise_conv,
    depthwise_inside,
    group_conv,
)
from ..kernels.plan.axes import ANY_LENGTH, MANY_TAPS, Axis, H, W, merged_axes, stays_inside
from ..kernels.plan.plans import Plan, check_memory, few_cost, is_for_few, joins_taps, make_few_plan, make_plan
from ..kernels.plan.positions import depthwise_costs, make_position_plan, planes_pay, position_cost
from ..kernels.table import CHANNELS, MEANS, WORK, flat_plan, panel_table
from ..machine.aligned import aligned_empty
from ..machine.threads import remember
from ..machine.vectors import conv_tile, conv_vecs, conv_width, few_filters, panel_width, position_tile
from ..objects.tuples import NamedTuple
from .epilogue import Epilogue, ends_in_tiles
from .layouts import Ints, canonical, empty_planes, original, planar, planar_result
from .packed import Packed, depthwise_shape, is_depthwise
from .planes import multiply_rows, planes_call
from .scaling import PixelsCall, pixels_call
from .window import Window, window_axes
from .winograd import WinogradCall, use_winograd, winograd_work

# Tiles of windows for which weights are not packed: packing takes as long as so many tiles, read as they lie, lose.
FEW_TILES = 4
# Rows of a product of matrices that read weights as they lie in wide tiles, with the same bits; and weights that lie on
# too many pages for that where they are read again: alone, and, of two rows, after others, which leave few near.
FEW_ROWS, MANY_WEIGHTS, FAR_WEIGHTS = 2, 2**21, 2**19
# Channels or filters, the fewer of them, that planes are summed up for.
MOST_PLANES = 16
# How often planes are read, at most, where they are not brought to channels last before.
MOST_READ = 4
# Inside the library, further names of an ``algorithm``, for ways to compute a sum that differ in its last bits.
WAYS = ("few", "tile")
# Kernels for weights that may not be multiplied by the zeros around the image.
_INSIDE = {conv: conv_inside, depthwise_conv: depthwise_inside}


def kernel_for(packed: Packed, kernel: Any) -> Any:
    """The kernel, or the one that does the same for weights that are infinite or NaN."""
    return kernel if packed.finite else _INSIDE[kernel]


class WindowCall(NamedTuple):
    """A convolution or depthwise convolution, ready for arrays of one shape.

    ``to_planes`` says whether the kernel itself reads and writes channels first; otherwise they are taken to the end
    before it and back after it. Where the kernel is `conv_few`, ``joined`` says what its runs are. ``direct`` prepares
    the call for weights that are infinite or NaN, unless there is a kernel for them; they matter unless all windows
    stay ``inside`` the image. ``few`` says whether there are so few windows that weights had better not be packed for
    them; of a product of matrices of still fewer, ``rows`` are the sizes. ``view`` are the axes N, D, H and W as which
    the kernel sees those of canonical images, and its taps along D and H.
    """

    kernel: Any
    out_shape: Ints
    rank: int
    data_format: str
    serial: bool
    to_planes: bool
    arguments: tuple
    joined: bool | None = None
    direct: Callable[[], Any] | None = None
    inside: bool = False
    few: bool = False
    view: tuple[Ints, Ints] | None = None
    rows: Ints | None = None

    def __call__(self, x: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        if self.data_format == "channels_last" or not (self.to_planes and self._fits(packed)):
            return original(self.run(canonical(x, self.data_format), packed, epilogue), self.rank, self.data_format)
        out = empty_planes(self.out_shape, packed.dtype)
        self.kernel(planar(x), self._weights(packed), epilogue, out, *self.arguments, serial=self.serial)
        return planar_result(out, self.out_shape, self.rank)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue, out: Any = None) -> np.ndarray:
        """From canonical array to canonical array; into ``out``, where it is given."""
        if self._fits(packed):
            kernel = self.kernel
        elif self.direct:
            return self.direct().run(image, packed, epilogue, out)
        else:
            kernel = _INSIDE[self.kernel]
        out = aligned_empty(self.out_shape, image.dtype) if out is None else out
        fitting = isinstance(packed, Packed) and packed.operation == "conv" and ends_in_tiles(epilogue)
        if fitting and self.rows and (prod(self.rows[1:]) <= MANY_WEIGHTS or packed.is_first()):
            multiply_rows(image, packed.plain, epilogue, out, self.rows, self.serial)
            return out
        weights = self._weights(packed)
        if self.view:
            image = image.reshape(*self.view[0], image.shape[-1])
            weights = in_taps(weights, self.view[1])
        kernel(image, weights, epilogue, out.reshape(-1), *self.arguments, serial=self.serial)
        return out

    def amid_others(self) -> "WindowCall":
        """The call where those of other weights come between: many, far each time, two rows had better stream."""
        many = self.rows and self.rows[0] > 1 and prod(self.rows[1:]) > FAR_WEIGHTS
        return self._replace(rows=None) if many else self

    def _fits(self, packed: Packed) -> bool:
        return self.inside or packed.finite

    def _weights(self, packed: Packed) -> Any:
        if self.kernel is conv:
            return packed.lines(self.few and self._fits(packed))
        if self.kernel is group_conv:
            return packed.groups
        return packed.panels if self.joined is None else packed.few(self.joined)


class Sums(NamedTuple):
    """What is to be computed: for each window of ``axes`` a sum over the channels of a branch for each of its filters.

    Rank and data format are those of the arrays that hold them.
    """

    axes: tuple[Axis, ...]
    channels: int
    filters: int
    itemsize: int
    rank: int
    data_format: str
    branches: int = 1

    @property
    def out_shape(self) -> Ints:
        """Of the canonical array of them all."""
        return (*(axis.windows for axis in self.axes), self.branches * self.filters)

    @property
    def inside(self) -> bool:
        """Whether no window reads the zeros around the image."""
        return all(map(stays_inside, self.axes))

    def call(self, kernel: Any, serial: bool, to_planes: bool, arguments: tuple, **others: Any) -> WindowCall:
        """The call of a kernel that computes them."""
        return WindowCall(kernel, self.out_shape, self.rank, self.data_format, serial, to_planes, arguments, **others)


def in_taps(weights: Any, taps: Ints) -> Any:
    """Packed weights with so many taps along D and H."""
    if isinstance(weights, tuple):
        return tuple(in_taps(some, taps) for some in weights)
    columns = prod(weights.shape[1:4]) // prod(taps)
    return weights.reshape(len(weights), *taps, columns, *weights.shape[4:])


@remember(maxsize=512)
def conv_call(
    x_shape: Ints, weights_shape: Ints, itemsize: int, window: Window, algorithm: str = "direct", pitch: int = 0
) -> WindowCall | WinogradCall:
    """Prepare `functional.conv`.

    With a ``pitch``, ``run`` takes an ``out`` whose pixels have so many channels, the flat view from the first one that
    is to be written. So do the other functions here.
    """
    channels, filters = weights_shape[-2:]
    branches = check_branches(x_shape, weights_shape, window.data_format)
    algorithm = algorithm_for(branches, algorithm)
    if is_depthwise(weights_shape, branches):
        return depthwise_call(x_shape, depthwise_shape(weights_shape, branches), itemsize, window, pitch)
    axes = window_axes(x_shape, pitch or filters, window)
    sums = Sums(axes, channels, filters // branches, itemsize, window.rank, window.data_format, branches)
    return gather_call(sums, algorithm)


def algorithm_for(branches: int, algorithm: str) -> str:
    """That of so many branches: Winograd's has only one."""
    if branches == 1:
        return algorithm
    if algorithm == "winograd":
        raise ValueError(f"algorithm must be 'auto' or 'direct' where there are groups, got 'winograd' for {branches}")
    return algorithm if algorithm in WAYS else "direct"


def way_of(call: Any) -> str | None:
    """The ``algorithm`` with which parts of a result are computed like the whole by ``call``; None if there is none."""
    found = getattr(call, "kernel", None)
    if found is conv_few:
        return "few"
    if hasattr(call, "product"):
        return "overlap"
    return "tile" if found in (conv, conv_positions, group_conv) or hasattr(call, "parts") else None


@remember(maxsize=512)
def dense_call(rows: int, features: int, units: int, itemsize: int, pitch: int = 0) -> WindowCall:
    """Prepare a product of matrices, (rows, features) times (features, units): a convolution of one tap over rows."""
    call = gather_call(Sums(row_axes(rows, pitch or units), features, units, itemsize, 1, "channels_last"), "direct")
    assert isinstance(call, WindowCall)
    return call


def row_axes(rows: int, units: int) -> tuple[Axis, ...]:
    """Rows of a matrix as windows of one tap along the last axis."""
    one = Axis(1, 1, 1, 1, 0, 0)
    return one, one, one, Axis(rows, 1, 1, 1, 0, units)


def gather_call(sums: Sums, algorithm: str) -> Any:
    """Prepare a convolution."""
    axes, channels, filters, itemsize, rank, data_format, branches = sums
    direct: Any = partial(_tile_call, sums)
    if use_winograd(algorithm, axes, channels, filters, itemsize):
        work = winograd_work(axes, channels, filters, itemsize)
        return WinogradCall(sums.out_shape, rank, data_format, *work, direct if algorithm == "auto" else None)
    if algorithm == "few" or (algorithm != "tile" and _is_few(sums)):
        return _few_call(sums, direct)
    # What adds up in another order than others of the same shape is that for both data formats.
    planar = data_format == "channels_first"
    if planar and min(channels, filters) <= MOST_PLANES and are_pixels(axes):
        many = branches == 1 and prod(axis.windows for axis in axes[1:]) >= panel_width(itemsize, 4)
        if many or planes_pay(axes, branches, channels, filters, itemsize):
            return planes_call(axes, channels, filters, branches, rank, direct)
    call = None
    # Of a run of positions, windows that are far apart would leave most unused.
    if branches > 1 or (planar and axes[-1].stride <= 2):
        call = (None if planar else _group_call(sums, direct)) or position_call(sums, False, direct)
    return call or direct()


def _cut(
    axes: tuple[Axis, ...], planned: Callable[..., Plan], data_format: str, sizes: Ints, merges: bool = True
) -> tuple[Plan, bool, Any]:
    """The plan of a kernel, whether that is for planes, and how it sees images; sizes are as `Plan.fits_planes` has."""
    plan = planned(axes)
    if data_format == "channels_first" and plan.fits_planes(*sizes) and plan.planes_read(axes, sizes) <= MOST_READ:
        return plan, True, None
    fewer, view = as_fewer(axes) if merges else (axes, None)
    return (planned(fewer), False, view) if view else (plan, False, None)


def as_fewer(axes: tuple[Axis, ...]) -> tuple[tuple[Axis, ...], tuple[Ints, Ints] | None]:
    """The same windows along fewer axes, if there are such, and the ``view`` of images with these."""
    fewer, counts = merged_axes(axes), [axis.windows for axis in axes]
    same = counts == [axis.windows for axis in fewer]
    if same or 0 in counts or ANY_LENGTH in (axis.length for axis in fewer[1:]):
        return axes, None
    batch, *moving = fewer
    lengths = batch.windows, *(axis.length for axis in moving)
    return fewer, (lengths, (moving[0].taps, moving[1].taps))


def _is_few(sums: Sums) -> bool:
    """Whether that of the kernel `conv_few` is faster, whatever the data format and the number of images."""
    sizes, branches = sums[:4], sums.branches
    positions = branches > 1 and position_cost(*sizes) <= few_cost(*sizes, branches)
    return not positions and is_for_few(*sizes, branches)


def _few_call(sums: Sums, direct: Callable[[], Any]) -> WindowCall:
    """That of the kernel `conv_few`."""
    axes, channels, filters, itemsize, _, data_format, branches = sums
    width = few_filters(filters, itemsize)

    def planned(axes: tuple[Axis, ...]) -> Plan:
        return make_few_plan(axes, channels, filters, itemsize, branches)

    plan, to_planes, view = _cut(axes, planned, data_format, (channels, filters, width, itemsize))
    table = flat_plan(plan, panel_table(filters, width, (0,), branches, channels))
    table[WORK, CHANNELS] = channels
    how = {"joined": joins_taps(axes, channels, itemsize, branches), "inside": sums.inside, "view": view}
    return sums.call(conv_few, plan.serial, to_planes, ((0,) * width, table), direct=direct, **how)


def are_pixels(axes: tuple[Axis, ...]) -> bool:
    """Whether each window reads one pixel, and there is one for each."""
    return all(axis.taps == axis.stride == 1 and axis.before == 0 and stays_inside(axis) for axis in axes)


def conv_arguments(
    plan: Plan, channels: int, filters: int, itemsize: int, origins: tuple[int, ...] = (0,), branches: int = 1
) -> tuple:
    """Arguments of the kernel `conv` that the plan decides."""
    panels = panel_table(filters, conv_width(filters, itemsize), origins, branches, channels)
    return conv_vecs(filters, itemsize), flat_plan(plan, panels)


@remember(maxsize=512)
def _tile_call(sums: Sums) -> WindowCall:
    """That of the kernel `conv`."""
    axes, channels, filters, itemsize, _, data_format, branches = sums

    def planned(axes: tuple[Axis, ...]) -> Plan:
        return make_plan(axes, channels, filters, itemsize, branches=branches)

    sizes = channels, filters, conv_width(filters, itemsize), itemsize
    plan, to_planes, view = _cut(axes, planned, data_format, sizes)
    arguments = conv_arguments(plan, channels, filters, itemsize, branches=branches)
    count, rows = prod(axis.windows for axis in axes), None
    few = count <= FEW_TILES * conv_tile(itemsize, filters)[0]
    if count <= FEW_ROWS and branches == 1 and are_pixels(axes) and axes[-1].out_stride == filters:
        rows = count, channels, filters
    return sums.call(conv, plan.serial, to_planes, arguments, inside=sums.inside, few=few, view=view, rows=rows)


@remember(maxsize=512)
def depthwise_call(
    x_shape: Ints, weights_shape: Ints, itemsize: int, window: Window, pitch: int = 0
) -> WindowCall | PixelsCall:
    """Prepare `functional.depthwise_conv`."""
    channels, multiplier = weights_shape[-2:]
    check_channels(x_shape, channels, window.data_format, "weights")
    filters = channels * multiplier
    axes = window_axes(x_shape, pitch or filters, window)
    sums = Sums(axes, 1, multiplier, itemsize, window.rank, window.data_format, channels)
    # Planes shorter than a vector would leave most of it unused.
    planes = window.data_format == "channels_first"
    fitting = prod(axis.windows for axis in axes[1:]) >= panel_width(itemsize, 1) if planes else multiplier == 1
    if are_pixels(axes) and not pitch and fitting:
        check_memory(axes, filters, itemsize)
        several = partial(_depthwise_call, sums)
        return pixels_call(sums.out_shape, multiplier, window.rank, window.data_format, several)
    return _depthwise_call(sums)


def _depthwise_call(sums: Sums) -> WindowCall:
    """That of several taps."""
    axes, _, multiplier, itemsize, *_, channels = sums
    lines, tiles = depthwise_costs(axes, channels, multiplier, itemsize)
    direct = partial(_tile_call if tiles < lines else _lines_call, sums)
    return position_call(sums, True, direct) or direct()


def is_by_lines(axes: tuple[Axis, ...], channels: int, multiplier: int, itemsize: int) -> bool:
    """Whether the kernel `depthwise_conv` is what several taps are summed up by, with channels last."""
    lines, tiles = depthwise_costs(axes, channels, multiplier, itemsize)
    return lines <= tiles and make_position_plan(axes, channels, 1, multiplier, itemsize, False) is None


@remember(maxsize=512)
def _lines_call(sums: Sums) -> WindowCall:
    """That of the kernel `depthwise_conv`."""
    axes, _, multiplier, itemsize, _, data_format, channels = sums
    filters = channels * multiplier

    def planned(axes: tuple[Axis, ...]) -> Plan:
        return make_plan(axes, 1, filters, itemsize, depthwise=True)

    # Values of a plane would go to those of several filters one by one.
    single = data_format if multiplier == 1 else "channels_last"
    # A strip of taps that lie a row apart holds a run for each, which blocks of several rows share.
    few = min(axes[H].taps, axes[W].windows) <= MANY_TAPS
    plan, to_planes, view = _cut(axes, planned, single, (channels, filters, panel_width(itemsize), itemsize), few)
    arguments = depthwise_arguments(plan, filters, itemsize)
    return sums.call(depthwise_conv, plan.serial, to_planes, arguments, view=view)


def means_call(x_shape: Ints, weights_shape: Ints, itemsize: int, window: Window) -> WindowCall | None:
    """`depthwise_call`, but that ``out`` has room for the mean of each row of outputs, behind them all.

    What it adds up, and in which order, depends on shapes alone. None where another kernel computes it.
    """
    call = depthwise_call(x_shape, weights_shape, itemsize, window)
    if not isinstance(call, WindowCall) or call.kernel is not depthwise_conv or call.data_format != "channels_last":
        return None
    *windows, filters = call.out_shape
    plan = make_plan(window_axes(x_shape, filters, window), 1, filters, itemsize, depthwise="whole rows")
    (table,) = depthwise_arguments(plan, filters, itemsize)
    table[WORK, MEANS] = prod(windows) * filters
    return call._replace(serial=plan.serial, arguments=(table,), view=None)


def _group_call(sums: Sums, direct: Callable[[], Any]) -> WindowCall | None:
    """That of the kernel `group_conv`, where it is faster.

    Whole groups fill a vector, each with as many filters as channels: few, for lanes are exchanged as often.
    """
    axes, channels, filters, itemsize, *_, branches = sums
    lanes = panel_width(itemsize, 1)
    if channels != filters or lanes % filters or 4 * channels > lanes or branches * filters < lanes:
        return None
    plan = make_plan(axes, channels, branches * filters, itemsize, depthwise=True)
    arguments = (0,) * channels, *depthwise_arguments(plan, branches * filters, itemsize)
    return sums.call(group_conv, plan.serial, False, arguments, direct=direct, inside=sums.inside)


def position_call(sums: Sums, depthwise: bool, direct: Callable[[], Any] | None = None) -> WindowCall | None:
    """That of the kernel `conv_positions`, where it is faster.

    It takes weights that are packed for another kernel, and ``depthwise`` says for which.
    """
    axes, channels, filters, itemsize, _, data_format, branches = sums
    plan = make_position_plan(axes, branches, channels, filters, itemsize, data_format == "channels_first")
    if plan is None:
        return None
    rows, vecs = position_tile(filters)
    width = panel_width(itemsize) if depthwise else conv_width(filters, itemsize)
    numbers = np.minimum(np.arange(ceil(filters / rows) * rows), filters - 1) + np.zeros((branches, 1), np.int64)
    panels = np.arange(branches)[:, None] * (0 if depthwise else ceil(filters / width))
    if depthwise:
        numbers += np.arange(branches)[:, None] * filters
    steps = channels * prod(axis.taps for axis in axes)
    places = (panels + numbers // width) * steps * width + numbers % width
    table = flat_plan(plan, panel_table(branches * filters, filters))
    table[WORK, CHANNELS] = channels
    return sums.call(conv_positions, plan.serial, True, (places, (0,) * rows, (0,) * vecs, table), direct=direct)


def depthwise_arguments(plan: Plan, filters: int, itemsize: int) -> tuple:
    """Arguments of the kernel `depthwise_conv` that the plan decides."""
    return (flat_plan(plan, panel_table(filters, panel_width(itemsize))),)

"""Prepared calls of pooling and its gradients, as `numbaconv.calls.conv` has them of the other operations."""

from functools import lru_cache
from math import ceil, prod
from typing import Any

import numpy as np

from .. import shapes
from ..common.arguments import check_data_format
from ..kernels.plan.plans import check_memory
from ..machine.aligned import aligned_empty
from ..machine.threads import remember
from ..machine.vectors import LINE, VECTOR_BYTES
from ..machine.words import Later
from ..objects.tuples import NamedTuple
from ..shapes.checks import along_axes
from .layouts import SMALL, Ints, contiguous, images_shape, spatial, swapped, three
from .moving import AnyMoving, blend_call, grad_call, of_lengths
from .window import Window

# Loops and plans of calls that a network found on disk does without.
pool, pool_grad, pool_planes, recipe = (
    Later(f"..kernels.{name}", __package__) for name in ("pool", "pool_grad", "pool_planes", "recipe")
)
# Values of a window from which on one row of values after the other is joined; those that overlap are near by then.
MANY_VALUES, MANY_OVERLAPPING = 512, 1024
# Values of a window whose sum need not be kept in float64.
FEW_VALUES = 32
# Windows that are so few that they are pooled in so many parts at most; how many parts pay in a network.
MANY_PARTS, FEW_WINDOWS, FEW_PARTS = 32, 8, 4
# Values of a row, fewer than which are faster beside those of others; and of an image for each time that one is read.
LEAST_ROW, LEAST_READ = 5, 2
# An axis of length 1, as `_merged` returns it.
ONE = 1, 1, np.array([[0, 1]]), 1, 1, 0
# Vectors of channels that the gradient of the maximum looks at together, where there are that many.
GRAD_VECS = 4
# Bytes of a value for each time that it is looked at, at least, where values are gathered one by one.
LOOKS = 2


class PoolGradCall(NamedTuple):
    """The gradient of max pooling, ready for operands of certain shapes, which the kernel sees as ``views``.

    Where they have to be ``turned`` before, it tells their shapes (images, lines, positions); lines become channels.
    """

    views: tuple[Ints, Ints]
    turned: tuple[Ints, ...] | None
    out_shape: Ints
    arguments: tuple
    serial: bool

    def __call__(self, *operands: np.ndarray) -> np.ndarray:
        images = [contiguous(x) for x in operands]
        if self.turned:
            images = [swapped(x.reshape(shape)) for x, shape in zip(images, self.turned, strict=True)]
        views = (x.reshape(view) for x, view in zip(images, self.views, strict=True))
        out = aligned_empty(self.views[0], operands[0].dtype)
        pool_grad.max_pool_grad(*views, out, *self.arguments, serial=self.serial)
        if self.turned:
            batch, lines, positions = self.turned[0]
            out = swapped(out.reshape(batch, positions, lines))
        return out.reshape(self.out_shape)


class PlanesGradCall(NamedTuple):
    """That of small images of few channels, or of planes, which are taken as they lie."""

    table: np.ndarray
    sizes: Ints
    serial: bool

    def __call__(self, x: np.ndarray, grad_out: np.ndarray) -> np.ndarray:
        out, places = aligned_empty(x.shape, x.dtype), np.empty(0, f"i{x.itemsize}")
        arrays = contiguous(x).reshape(-1), contiguous(grad_out).reshape(-1), out.reshape(-1)
        pool_planes.max_pool_planes_grad(*arrays, self.table, places, self.sizes, serial=self.serial)
        return out


class SelectedCall(NamedTuple):
    """Pooling of windows of one value, for float32 and for float64, which have tables of their own."""

    calls: tuple[AnyMoving, ...]

    @property
    def serial(self) -> bool:
        """Whether one core does it."""
        return bool(self.calls[0].serial)

    def __call__(self, x: np.ndarray, out: Any = None) -> np.ndarray:
        """The result; in ``out``, where that is given."""
        return self.calls[x.itemsize > 4](x, out)


class SelectedGradCall(NamedTuple):
    """That of windows of one value, which only moves gradients."""

    moving: AnyMoving

    def __call__(self, x: np.ndarray, grad_out: np.ndarray) -> np.ndarray:
        return self.moving(grad_out)


class FlatCall(NamedTuple):
    """Pooling, ready for arrays of one shape, which the kernel sees as flat ones; for float32 and for float64."""

    kernel: Any
    out_shape: Ints
    arguments: tuple[tuple, tuple]
    serial: bool

    def __call__(self, x: np.ndarray, out: Any = None) -> np.ndarray:
        """The result; in ``out``, where that is given."""
        out = aligned_empty(self.out_shape, x.dtype) if out is None else out
        self.kernel(contiguous(x).reshape(-1), out.reshape(-1), *self.arguments[x.itemsize > 4], serial=self.serial)
        return out


class PartsCall(NamedTuple):
    """Pooling of few large windows: of their parts, which many cores share, then of what these became."""

    views: tuple[Ints, Ints]
    out_shape: Ints
    parts: Any
    whole: Any
    serial: bool = False

    def __call__(self, x: np.ndarray, out: Any = None) -> np.ndarray:
        """The result, in ``out`` where that is given."""
        out = aligned_empty(self.out_shape, x.dtype) if out is None else out
        self.whole(self.parts(contiguous(x).reshape(self.views[0])), out.reshape(self.views[1]))
        return out


def pool_window(pool_size: Any, strides: Any, padding: Any, data_format: Any, rank: int) -> Window:
    """Check a user's settings for pooling over ``rank`` axes; strides of None are the windows' lengths."""
    size = shapes.normalize_tuple(pool_size, rank, "pool_size")
    steps = size if strides is None else shapes.normalize_tuple(strides, rank, "strides")
    padding = shapes.normalize_padding(padding, ("valid", "same"))
    return Window(size, steps, padding, (1,) * rank, check_data_format(data_format))


@remember(maxsize=512)
def pool_call(
    kind: str, x_shape: Ints, window: Window, whole: bool = False, least: int = MANY_PARTS, few: int = FEW_VALUES
) -> FlatCall | PartsCall | SelectedCall:
    """Prepare `functional.max_pool` or `functional.average_pool`, ``kind`` being "max" or "average".

    Few windows are pooled in parts where these are at least so many: a core then reads pixels that are neighbours. In a
    network it is likely to have computed them, and would have others come from where they are. Windows of at most
    ``few`` values, none of whose sides is long, are summed up in their own dtype. ``whole`` says that a window is all
    of an image, whatever its size: others may lie in a larger one, and are added up in the order that they have there.
    """
    out_shape, data_format = _out_shape(x_shape, window), window.data_format
    image, result = images_shape(x_shape, data_format), images_shape(out_shape, data_format)
    check_memory((), max(prod(image), prod(result)), 4)
    selected = _selected(out_shape, window)
    if selected:
        return SelectedCall(tuple(blend_call(x_shape, out_shape, selected, data_format, size) for size in (4, 8)))
    # Never joined one by one, which would add them up in another order; nor is it one where axes are merged.
    narrow = kind == "average" and prod(window.kernel_size) <= few and max(window.kernel_size) <= pool.LONG // LINE
    in_order = narrow and not (whole and image[4] == 1)
    batch, axes = _merged(image, result, window, in_order)
    channels, (n, count, _, size, step, before) = image[4], axes[2]
    parts = _parts(axes, batch, channels, least)
    if parts > 1:
        several = ((1, n, channels), size // parts), ((1, count * parts, channels), parts)
        first, then = (
            pool_call(kind, shape, pool_window(k, None, "valid", "channels_last", 1), False, MANY_PARTS, 0)
            for shape, k in several
        )
        return PartsCall(((1, n, channels), (1, count, channels)), out_shape, first, then)
    side_by_side = axes[1] is ONE and before == 0 and n == count * size == count * step
    joined = _joined(batch, count) if side_by_side and axes[0] is ONE and channels == 1 < step <= 4 else 1
    if joined > 1 and joined * count >= 3 * pool.LONG_ROW:
        # Rows of windows side by side are longer ones.
        n, count, batch = n * joined, count * joined, batch // joined
        axes[2] = n, count, pool.window_ends(count, n, size, step, 0), size, step, 0
    # Squares of fewer long rows would be mostly empty.
    filled = size < pool.LONG or batch * count >= LINE
    if side_by_side and channels == 1 and size >= LEAST_ROW and not in_order and filled:
        axes[2] = size, 1, None, size, size, 0
        return _rows_call(kind, out_shape, axes, narrow, prod(image) < SMALL)
    if side_by_side and channels < LINE <= count and pool.LONG_ALONE <= size * channels < pool.LONG:
        # Windows side by side are images, and their values rows.
        batch, axes = batch * count, [ONE, (size, 1, np.array([[0, size]]), size, size, 0), ONE]
    along, (n, count, _, size, step, before) = axes[1] is ONE, axes[2]
    within = before == 0 and (count - 1) * step + size <= n and size <= pool.OVERLAP * step
    least = MANY_VALUES if 2 * channels >= LINE else pool.LONG
    many = size * channels >= (least if size < 2 * step else MANY_OVERLAPPING)
    if along and within and many and not in_order:
        sizes = pool.windows_plan(batch * axes[0][0], n, channels, count, size, step)
        serial = sizes[-1] == 1 or prod(image) < SMALL
        if kind == "max":
            return FlatCall(pool.max_windows, out_shape, ((sizes,),) * 2, serial)
        return FlatCall(pool.average_windows, out_shape, ((np.empty(0), sizes),) * 2, serial)
    positions = along and channels >= LINE and many and not pool.doubled(size, step, channels)
    if positions:
        # Windows of many channels along one axis: positions are rows, and channels are columns.
        columns = channels, channels, pool.window_ends(channels, channels, 1, 1, 0), 1, 1, 0
        axes, channels = [ONE, axes[2], columns], 1
    lengths, windows, ends = zip(*(axis[:3] for axis in axes), strict=True)
    views = (batch, *lengths, channels), (batch, *windows, channels)
    plan = pool.pool_plan(*views, ends, axes[2][3:], kind == "average")
    if plan[pool.IMAGES] and channels == 1 and not in_order and _few_rows(axes):
        return _rows_call(kind, out_shape, axes, narrow, prod(image) < SMALL)
    serial = plan[pool.TASKS] == 1 or max(prod(image), prod(result)) < SMALL
    kernel = pool.max_pool if kind == "max" else pool.average_pool
    counts, table = pool.beside(plan, ends[2])
    sums = counts.astype(np.float32) if narrow else counts, counts
    single, double = ((np.concatenate(ends), those, table, plan) for those in sums)
    return FlatCall(kernel, out_shape, (single, double), bool(serial))


def _few_rows(axes: list[tuple]) -> bool:
    """Whether windows lie inside of images, and have so few rows that reading each takes less than all values."""
    inside = all(before == 0 and (count - 1) * step + size <= n for n, count, _, size, step, before in axes)
    values, windows = (prod(axis[i] for axis in axes) for i in (0, 1))
    *most, length = (axis[3] for axis in axes)
    reads = windows * prod(most) * ceil(length / LINE)
    return inside and length >= LEAST_ROW and reads <= values // LEAST_READ


def _joined(batch: int, count: int) -> int:
    """How many rows of so many windows become one, which one task takes."""
    return max((k for k in range(1, pool.SPAN // 4 // max(1, count) + 1) if batch % k == 0), default=1)


def means_pool_call(x_shape: Ints) -> FlatCall | None:
    """Prepare the mean of each image of shape (N, H, W, C) from the means of its rows; None where these are few."""
    batch, rows, _, channels = x_shape
    window = pool_window(rows, None, "valid", "channels_last", 1)
    call = pool_call("average", (batch, rows, channels), window, False, MANY_PARTS, 0)
    return call if isinstance(call, FlatCall) and call.kernel is pool.average_windows else None


def _rows_call(kind: str, out_shape: Ints, axes: list[tuple], narrow: bool, serial: bool) -> FlatCall:
    """Pooling of planes whose windows lie inside, row by row of each window."""
    image = prod(axis[0] for axis in axes)
    pitches = prod(axis[0] for axis in axes[1:]), axes[2][0], 1
    starts, taps = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for (_, windows, _, size, step, _), pitch in zip(axes, pitches, strict=True):
        starts = np.add.outer(starts, np.arange(windows) * step * pitch).ravel()
        if pitch > 1:
            taps = np.add.outer(taps, np.arange(size) * pitch).ravel()
    length = axes[2][3]
    tables = starts, taps, (image, length, ceil(pool.TASK_VALUES / (length * len(taps)) / LINE) * LINE)
    if kind == "max":
        return FlatCall(pool_planes.max_rows, out_shape, (tables, tables), serial)
    single, double = (np.empty(0, f"f{size}") for size in (4 if narrow else 8, 8))
    return FlatCall(pool_planes.average_rows, out_shape, ((single, *tables), (double, *tables)), serial)


def _selected(out_shape: Ints, window: Window) -> list[Any] | None:
    """Recipes of windows of one value; None for others."""
    if set(window.kernel_size) != {1} or not isinstance(window.padding, str):
        return None
    axes = zip(spatial(out_shape, window.data_format), window.strides, strict=True)
    return [recipe.recipe(n, np.arange(n), np.arange(n) * step, 1.0) for n, step in axes]


def _merged(image: Ints, result: Ints, window: Window, in_order: bool) -> tuple[int, list[tuple]]:
    """The batch and three axes, each its length, windows, their ends, size, stride and positions in front.

    Under windows that hold a whole axis, this and the one before it are one; so may the batch be. Not with explicit
    zeros: sums of a part would be added up in another order than those of the whole; and ``in_order`` only where the
    order stays. Axes that stay as they are, of those in front, are more of the batch.
    """
    sizes, steps = ((1, *three(values, 1)) for values in (window.kernel_size, window.strides))
    paddings = ("valid", *three(along_axes(window.padding, window.rank), "valid"))
    axes: list[tuple] = []
    for n, count, size, step, padding in zip(image[:4], result[:4], sizes, steps, paddings, strict=True):
        before, _ = shapes.conv_padding(n, size, padding, step)
        ends = pool.window_ends(count, n, size, step, before)
        # Without what lies in the padding of all windows: blocks have room for their whole windows.
        spare = max(0, before - max(count - 1, 0) * step)
        size, before = max(1, min(size, before + n) - spare), before - spare
        whole = axes and count == 1 and isinstance(window.padding, str) and (ends == [0, n]).all()
        if whole and (not in_order or min(size, axes[-1][3]) == 1):
            (length, windows, others, *settings) = axes.pop()
            axes.append((length * n, windows, others * n, *(a * n for a in settings)))
        else:
            axes.append((n, count, ends, size, step, before))
    batch = 1
    while len(axes) > 1 and axes[0][1] == axes[0][0] and axes[0][3:] == (1, 1, 0):
        batch *= axes.pop(0)[0]
    n, count, _, size, step, before = axes[0]
    if len(axes) > 1 and image[4] < LINE and before == 0 and n == count * size == count * step:
        # Few columns and channels leave vectors empty: windows that lie side by side are images.
        batch, axes[0] = batch * count, (size, 1, np.array([[0, size]]), size, size, 0)
    return batch, [ONE] * (3 - len(axes)) + axes


def _parts(axes: list[tuple], batch: int, channels: int, least: int) -> int:
    """Parts of windows that lie side by side, where there are too few windows for many cores."""
    n, windows, _, size, step, before = axes[2]
    whole = (batch, axes[0][0], axes[1][0], before) == (1, 1, 1, 0) and n == windows * size and step == size
    parts = min(MANY_PARTS, n * channels // pool.TASK_VALUES)
    if not whole or windows > FEW_WINDOWS or parts < least:
        return 1
    return max(k for k in range(1, max(1, parts // windows) + 1) if size % k == 0)


@lru_cache(maxsize=512)
def pool_grad_call(kind: str, x_shape: Ints, grad_shape: Ints, itemsize: int, window: Window) -> Any:
    """Prepare `functional.max_pool_grad` or `functional.average_pool_grad`, ``kind`` being "max" or "average"."""
    out_shape, data_format = _out_shape(x_shape, window), window.data_format
    if grad_shape != out_shape:
        raise ValueError(f"grad_out must have the shape of the result, {out_shape}, got {grad_shape}")
    check_memory((), max(prod(x_shape), prod(out_shape)), 4)
    if kind == "average":
        return _average_grad_call(x_shape, out_shape, itemsize, window)
    selected = _selected(out_shape, window)
    if selected:
        return SelectedGradCall(grad_call(x_shape, out_shape, selected, data_format, itemsize))
    planes = _planes_grad(x_shape, out_shape, itemsize, window)
    if planes:
        return planes
    lines = _lines(x_shape, data_format)
    image, result = (_view(shape, data_format, lines) for shape in (x_shape, out_shape))
    ends, spare = _window_ends(x_shape, out_shape, window), 3 - window.rank
    # As `_view` has the axes.
    ends = [ends[spare], *ends[:spare], *ends[spare + 1 :]]
    most = prod(map(min, spatial(x_shape, data_format), window.kernel_size))
    vecs = (0,) * (GRAD_VECS if image[-1] * itemsize >= GRAD_VECS * VECTOR_BYTES else 1)
    first = ends[0], window.kernel_size[0], window.strides[0]
    bands = pool_grad.input_bands(image, itemsize, *first, len(vecs) * VECTOR_BYTES // itemsize)
    serial = image[0] * len(bands) == 1 or prod(image) < SMALL
    turned = None
    if lines:
        turned = tuple((*lines, prod(shape) // max(1, prod(lines))) for shape in (x_shape, out_shape))
    return PoolGradCall((image, result), turned, x_shape, (np.concatenate(ends), most, bands, vecs), serial)


def _planes_grad(x_shape: Ints, out_shape: Ints, itemsize: int, window: Window) -> PlanesGradCall | None:
    """That of images with few channels, or planes, which are small and many; None where others had better do it."""
    *_, channels = images_shape(x_shape, window.data_format)
    ends = _window_ends(x_shape, out_shape, window)
    found = pool_planes.taps_table(three(spatial(x_shape, window.data_format), 1), ends, channels)
    if found is None or channels >= LINE:
        return None
    table, (values, windows, taps) = found
    total = prod(x_shape)
    groups, serial = max(1, ceil(total / values / pool.MOST_TASKS)), total < SMALL
    # Cores would have nothing to do, or windows that overlap are looked at faster row by row.
    if (not serial and total // (groups * values) < pool_grad.BANDS) or taps * windows > itemsize // LOOKS * values:
        return None
    return PlanesGradCall(table, (values, windows, taps, groups), serial)


def _window_ends(x_shape: Ints, out_shape: Ints, window: Window) -> list[np.ndarray]:
    """`pool.window_ends` of three axes."""
    image, windows = (three(spatial(shape, window.data_format), 1) for shape in (x_shape, out_shape))
    sizes, steps = (three(values, 1) for values in (window.kernel_size, window.strides))
    paddings = three(along_axes(window.padding, window.rank), "valid")
    axes = zip(windows, image, sizes, steps, paddings, strict=True)
    return [pool.window_ends(*axis[:4], shapes.conv_padding(*axis[1:3], axis[4], axis[3])[0]) for axis in axes]


def _lines(shape: Ints, data_format: str) -> tuple[int, int] | None:
    """Images, and the lines of each that are to be turned into channels; None where channels are last as they are.

    Few channels fill no vector, but with those of other images they may.
    """
    images = images_shape(shape, data_format)[0]
    if shape[1 if data_format == "channels_first" else -1] < LINE <= images:
        return 1, images
    return (shape[0], shape[1]) if data_format == "channels_first" else None


def _average_grad_call(x_shape: Ints, out_shape: Ints, itemsize: int, window: Window) -> AnyMoving:
    data_format = window.data_format
    lengths, windows = (spatial(shape, data_format) for shape in (x_shape, out_shape))
    axes: list[tuple[int, np.ndarray]] = []
    parts = 1
    for n, count, size, step in zip(lengths, windows, window.kernel_size, window.strides, strict=True):
        if not axes and n == count * size and (size == step or count == 1):
            # The axis is cut into windows.
            parts, n, count = count, size, 1
        before, _ = shapes.conv_padding(n, size, window.padding, step)
        axes.append((n, pool.window_ends(count, n, size, step, before)))
        if len(axes) > 1 and all(np.array_equal(ends, [[0, n]]) for n, ends in axes[-2:]):
            # Two axes under one window are one.
            n *= axes[-2][0]
            axes[-2:] = [(n, np.array([[0, n]]))]
    (first, *rest), ends = zip(*axes, strict=True)
    image = of_lengths(x_shape, (parts * first, *rest), data_format)
    result = of_lengths(x_shape, (parts * len(ends[0]), *map(len, ends[1:])), data_format)
    call = grad_call(image, result, [recipe.averages(e) for e in ends], data_format, itemsize, parts)
    return call._replace(result_shape=x_shape)


def _out_shape(x_shape: Ints, window: Window) -> Ints:
    size, strides, padding, _, data_format = window
    return shapes.pool_output_shape(x_shape, size, strides, padding, data_format)  # type: ignore[return-value]


def _view(shape: Ints, data_format: str, lines: Any) -> Ints:
    """Shape (N, D, H, W, C) with the axes of length 1 behind the first spatial axis, along which kernels cut bands."""
    first, *rest = spatial(shape, data_format)
    batch = lines[0] if lines else shape[0]
    channels = prod(shape) // max(1, batch * first * prod(rest))
    return (batch, first, *(1,) * (2 - len(rest)), *rest, channels)

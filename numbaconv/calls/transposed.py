"""Prepared calls of transposed convolutions, which are also the input gradients of convolutions."""

from math import inf, prod
from typing import Any

import numpy as np

from .. import shapes
from ..common.again import again, fill, remade
from ..common.arguments import check_channels
from ..kernels.named import add_up, add_up_few, conv, scatter
from ..kernels.phases import convolutions
from ..kernels.plan.axes import Axis, mean_taps
from ..kernels.plan.plans import few_cost, is_for_few, make_plan
from ..kernels.plan.scatter import (
    OVERLAP_SHARE,
    WINOGRAD_SHARE,
    ScatterPlan,
    Spread,
    gather_cost,
    make_scatter_plan,
    overlap_cost,
    tile_cost,
)
from ..machine.aligned import aligned_empty
from ..machine.threads import remember
from ..machine.vectors import LINE, TILE_ROWS, TILE_VECS, conv_width, panel_width
from ..objects.tuples import NamedTuple
from .conv import Sums, WindowCall, conv_arguments, gather_call, kernel_for, row_axes
from .epilogue import Epilogue, ended, no_epilogue
from .layouts import SMALL, Ints, canonical, canonical_shape, original
from .packed import Packed
from .patches import meeting
from .products import NEAR_WEIGHTS, matrix_dots
from .scaling import Lines
from .window import Window, transposed_axes
from .winograd import WinogradCall, use_winograd

# Outputs of a task that adds up products; entries of a table for few filters, at most.
TASK_OUTPUTS, MOST_ENTRIES = 8192, 131_072


class TransposedCall(NamedTuple):
    """A transposed convolution, ready for arrays of one shape: some convolutions, each of one or more phases."""

    out_shape: Ints
    rank: int
    data_format: str
    parts: list[tuple[tuple, tuple, bool]]
    complete: bool

    @property
    def serial(self) -> bool:
        """Whether one thread does it all."""
        return all(serial for _, _, serial in self.parts)

    def __call__(self, x: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        return original(self.run(canonical(x, self.data_format), packed, epilogue), self.rank, self.data_format)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue, out: Any = None) -> np.ndarray:
        """From canonical array to canonical array; into ``out``, where it is given."""
        out = aligned_empty(self.out_shape, packed.dtype) if out is None else out.reshape(self.out_shape)
        if not self.complete:
            rows = out.reshape(prod(self.out_shape[:-2]), prod(self.out_shape[-2:]))
            again(fill, rows, remade(_ended_rows, epilogue, self.out_shape))
        for firsts, arguments, serial in self.parts:
            kernel, weights = kernel_for(packed, conv), packed.phases(firsts)
            kernel(image, (weights, weights), epilogue, out.reshape(-1), *arguments, serial=serial)
        return out


class ScatterCall(NamedTuple):
    """A transposed convolution by `kernels.scatter`, ready for arrays of one shape.

    ``lengths`` are those of input and result as the kernel sees them, some axes joined.
    """

    out_shape: Ints
    rank: int
    data_format: str
    lengths: tuple[Ints, Ints]
    taps: Ints
    plan: ScatterPlan

    @property
    def serial(self) -> bool:
        """Whether one core does."""
        return self.plan.serial

    def __call__(self, x: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        return original(self.run(canonical(x, self.data_format), packed, epilogue), self.rank, self.data_format)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue, out: Any = None) -> np.ndarray:
        """From canonical array to canonical array; into ``out``, where it is given."""
        out = aligned_empty(self.out_shape, image.dtype) if out is None else out.reshape(self.out_shape)
        inputs, outputs = (
            array.reshape(len(array), *lengths, array.shape[-1])
            for array, lengths in zip((image, out), self.lengths, strict=True)
        )
        table, _, vecs, serial, _ = self.plan
        weights = packed.scattered(self.taps, panel_width(image.itemsize, vecs))
        scatter(inputs, weights, epilogue, outputs, (0,) * vecs, table, serial=serial)
        return out


class OverlapCall(NamedTuple):
    """A transposed convolution as products of all inputs with all taps, which are added up where they meet.

    ``tables`` say which these are, and ``sizes`` is what the kernel takes with them. A single input has no
    ``product``: it meets large weights as they lie, which takes as long as to read them; to pack them takes far longer.
    """

    out_shape: Ints
    rank: int
    data_format: str
    taps: int
    product: WindowCall | None
    kernel: Any
    tables: tuple[np.ndarray, ...]
    sizes: Ints
    serial: bool

    def __call__(self, x: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        return original(self.run(canonical(x, self.data_format), packed, epilogue), self.rank, self.data_format)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue, out: Any = None) -> np.ndarray:
        """From canonical array to canonical array; into ``out``, where it is given."""
        out = aligned_empty(self.out_shape, image.dtype) if out is None else out.reshape(self.out_shape)
        channels = image.shape[-1]
        if self.product is None:
            rows = matrix_dots(image.reshape(-1, channels), packed.plain.reshape(-1, channels))
        else:
            units = self.product.out_shape[-1]
            panels = packed.scattered((1, 1, self.taps), conv_width(units, image.itemsize))
            lines: Any = Lines(panels.reshape(len(panels), *panels.shape[3:]))
            rows = self.product.run(image.reshape(1, 1, 1, -1, channels), lines, no_epilogue(units, image.dtype))
        self.kernel(rows.reshape(-1), epilogue, out.reshape(-1), *self.tables, self.sizes, serial=self.serial)
        return out


AnyTransposed = WindowCall | WinogradCall | TransposedCall | ScatterCall | OverlapCall


@remember(maxsize=512)
def transposed_call(
    x_shape: Ints,
    weights_shape: Ints,
    itemsize: int,
    window: Window,
    output_padding: Ints | None = None,
    algorithm: str = "auto",
) -> AnyTransposed:
    """Prepare `functional.conv_transpose`."""
    filters, channels = weights_shape[-2:]
    check_channels(x_shape, channels, window.data_format, "weights")
    full = transposed_shape(x_shape, filters, window, output_padding)
    axes = transposed_axes(x_shape, channels, window, output_padding)
    sums = Sums(axes, channels, filters, itemsize, window.rank, window.data_format)
    return scatter_call(sums, canonical_shape(full, window.data_format), algorithm)


def transposed_shape(x_shape: shapes.Shape, filters: int, window: Window, output_padding: Ints | None) -> Any:
    """The shape of the result."""
    return shapes.conv_transpose_output_shape(x_shape, filters, output_padding=output_padding, **window._asdict())


def scatter_call(sums: Sums, full: Ints, algorithm: str) -> AnyTransposed:
    """Prepare the transpose of a convolution of the windows of ``sums.axes`` over a canonical array of shape ``full``.

    Its input has the channels for each window and branch, and it spreads them over that array.
    """
    axes, channels, _, itemsize, rank, data_format, branches = sums
    if algorithm == "overlap":
        return _overlap_call(sums, full)
    # Spread sums are added up in an order that depends on where a block begins.
    if branches == 1 and algorithm == "auto":
        call = _scatter(sums, full)
        if call is not None:
            return call
    batch, groups, complete = phase_axes(axes, full)
    if all(axis.stride == 1 for axis in axes):
        (moving,) = groups
        return gather_call(sums._replace(axes=(batch, *moving)), algorithm)
    filters, parts = sums.filters, []
    for moving, members in groups.items():
        firsts, origins = zip(*members, strict=True)
        plan = make_plan((batch, *moving), channels, filters, itemsize, origins=len(origins), branches=branches)
        arguments = conv_arguments(plan, channels, filters, itemsize, origins, branches)
        parts.append((firsts, arguments, plan.serial))
    return TransposedCall(full, rank, data_format, parts, complete)


def _scatter(sums: Sums, full: Ints) -> ScatterCall | OverlapCall | None:
    """The call by `kernels.scatter`, or by products that are added up, where that is faster."""
    axes, channels, _, itemsize, rank, data_format, _ = sums
    batch, filters = full[0], full[-1]
    moving = zip(axes[1:], full[1:4], strict=True)
    spreads: Any = tuple(Spread(a.windows, n, a.taps, a.stride, a.dilation, a.before) for a, n in moving)
    plan = make_scatter_plan(batch, spreads, channels, filters, itemsize)
    overlapping = overlap_cost(batch, spreads, channels, filters, itemsize)
    if plan is None and overlapping == inf:
        return None
    groups = phase_axes(axes, full)[1]
    gathering = gather_cost(batch, groups, prod(full[:4]), channels, filters, itemsize)
    if all(axis.stride == 1 for axis in axes):
        (moving,) = groups
        phase = axes[0], *moving
        if use_winograd("auto", phase, channels, filters, itemsize):
            gathering *= WINOGRAD_SHARE
        elif is_for_few(phase, channels, filters, itemsize, 1):
            # Few windows of a large kernel: it meets zeros in the strip, whatever taps are left out for whole blocks.
            met = prod(axis.taps / mean_taps(axis, 1) for axis in moving)
            each = tile_cost(1) / (TILE_ROWS * TILE_VECS) * few_cost(phase, channels, filters, itemsize, 1)
            gathering = met * prod(full[:4]) * each
    most = inf if _one_input(sums) else OVERLAP_SHARE * min(gathering, plan.cost if plan else inf)
    if overlapping < most:
        return _overlap_call(sums, full)
    if plan is None or plan.cost > gathering:
        return None
    lengths, full_lengths, taps, *_ = zip(*plan.axes, strict=True)
    return ScatterCall(full, rank, data_format, (lengths, full_lengths), taps, plan)


def _one_input(sums: Sums) -> bool:
    """Whether a single input meets weights that are large."""
    weights = prod(axis.taps for axis in sums.axes) * sums.channels * sums.filters
    return weights > NEAR_WEIGHTS and all(axis.windows == 1 for axis in sums.axes)


def _overlap_call(sums: Sums, full: Ints) -> OverlapCall:
    """The call by products that are added up."""
    axes, channels, _, itemsize, rank, data_format, _ = sums
    (batch, *lengths, filters), (_, *moving) = full, axes
    inputs, taps, outputs = prod(axis.windows for axis in moving), prod(axis.taps for axis in moving), prod(lengths)
    rows = row_axes(batch * inputs, taps * filters)
    product: Any = None
    if not _one_input(sums):
        product = gather_call(Sums(rows, channels, taps * filters, itemsize, 1, "channels_last"), "tile")
    starts, at = meeting(axes, tuple(lengths))
    serial = (len(at) + outputs) * batch * filters < SMALL
    most = int(np.diff(starts).max(initial=0))
    kernel, sizes = add_up, (inputs * taps, outputs, filters, max(1, TASK_OUTPUTS // filters))
    tables: tuple[np.ndarray, ...] = starts, at
    if filters <= LINE // 4 and (1 + most) * outputs <= MOST_ENTRIES:
        kernel, tables = add_up_few, (_of_values(starts, at, filters, most),)
        sizes = inputs * taps * filters, outputs * filters, most, TASK_OUTPUTS
    return OverlapCall(full, rank, data_format, taps, product, kernel, tables, sizes, serial)


def _ended_rows(epilogue: Epilogue, shape: Ints) -> np.ndarray:
    """Rows of pixels that are sums of nothing, or one that all are like: NumPy takes long for few filters at a time."""
    values = ended(epilogue, shape)
    return np.tile(values, shape[-2]) if values.ndim == 1 else values.reshape(prod(shape[:-2]), prod(shape[-2:]))


def _of_values(starts: np.ndarray, at: np.ndarray, filters: int, most: int) -> np.ndarray:
    """The table of `add_up_few`, of products that ``most`` of are added up."""
    places = starts[:-1] + np.arange(most)[:, None]
    rows = np.where(places < starts[1:], np.append(at, 0)[np.minimum(places, len(at))], -1)[..., None]
    values = np.where(rows < 0, -1, rows * filters + np.arange(filters))
    own = np.broadcast_to(np.arange(filters), (1, *values.shape[1:]))
    return np.append(np.concatenate([own, values]), np.zeros(LINE)).astype(np.int32)


def phase_axes(axes: tuple[Axis, ...], full: Ints) -> tuple[Axis, dict, bool]:
    """The batch axis of such a transpose, and what `kernels.phases.convolutions` cuts the others into."""
    steps = tuple(prod(full[i:]) for i in range(1, 5))
    columns = zip(*((a.windows, a.taps, a.stride, a.dilation, a.before) for a in axes[1:]), strict=True)
    windows, taps, strides, dilation, before = columns
    groups, complete = convolutions((full[0], *windows), full, steps[1:], taps, strides, dilation, before)
    return Axis(full[0], 1, 1, 1, 0, steps[0]), groups, complete

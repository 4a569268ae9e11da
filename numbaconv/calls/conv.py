"""Prepared calls: all that the shapes and settings of a call decide, worked out once, so that the call itself is short.

The functions here are made for settings that are checked and normalised; they are cached by shape. Each returns an
object that takes the arrays: the input and what `Packed` and `pack_bias` made of weights and bias.
"""

from functools import lru_cache, partial
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import shapes
from ..common.arguments import check_channels
from ..kernels.conv import conv
from ..kernels.depthwise import depthwise_conv
from ..kernels.nonfinite import conv_inside, depthwise_inside
from ..kernels.phases import convolutions
from ..kernels.plan.axes import Axis
from ..kernels.plan.plans import make_plan
from ..kernels.table import flat_plan, panel_table
from ..machine.aligned import aligned_empty
from ..machine.vectors import block_width, conv_vecs, conv_width
from .epilogue import NO_FLOOR
from .layouts import canonical, flat_planes, original, planar, planar_result, three
from .packed import Packed
from .winograd import WinogradCall, use_winograd, winograd_parts

Ints = tuple[int, ...]


def spatial(shape: tuple, data_format: str) -> tuple:
    """The spatial lengths of a shape."""
    return tuple(shape[2:] if data_format == "channels_first" else shape[1:-1])


# Kernels for weights that may not be multiplied by the zeros around the image.
_INSIDE = {conv: conv_inside, depthwise_conv: depthwise_inside}


def kernel_for(packed: Packed, kernel: Any) -> Any:
    """The kernel, or the one that does the same for weights that are infinite or NaN."""
    return kernel if packed.finite else _INSIDE[kernel]


class WindowCall(NamedTuple):
    """A convolution or depthwise convolution, ready for arrays of one shape.

    ``to_planes`` says whether the kernel itself reads and writes channels first; otherwise they are taken to the end
    before it and back after it.
    """

    kernel: Any
    out_shape: Ints
    rank: int
    data_format: str
    serial: bool
    to_planes: bool
    arguments: tuple

    def __call__(self, x: np.ndarray, packed: Packed, bias: np.ndarray, floor: float = NO_FLOOR) -> np.ndarray:
        if self.data_format == "channels_last" or not (self.to_planes and packed.finite):
            return original(self.run(canonical(x, self.data_format), packed, bias, floor), self.rank, self.data_format)
        out = planar_result(self.out_shape, self.rank, packed.dtype)
        self.kernel(planar(x), packed.blocks, bias, floor, flat_planes(out), *self.arguments, serial=self.serial)
        return out

    def run(self, image: np.ndarray, packed: Packed, bias: np.ndarray, floor: float = NO_FLOOR) -> np.ndarray:
        """From canonical array to canonical array."""
        out = aligned_empty(self.out_shape, image.dtype)
        kernel = kernel_for(packed, self.kernel)
        kernel(image, packed.blocks, bias, floor, out.reshape(-1), *self.arguments, serial=self.serial)
        return out


class TransposedCall(NamedTuple):
    """A transposed convolution, ready for arrays of one shape: some convolutions, each of one or more phases."""

    out_shape: Ints
    rank: int
    data_format: str
    parts: list[tuple[tuple, tuple, bool]]
    complete: bool

    def __call__(self, x: np.ndarray, packed: Packed, bias: np.ndarray, floor: float = NO_FLOOR) -> np.ndarray:
        return original(self.run(canonical(x, self.data_format), packed, bias, floor), self.rank, self.data_format)

    def run(self, image: np.ndarray, packed: Packed, bias: np.ndarray, floor: float = NO_FLOOR) -> np.ndarray:
        """From canonical array to canonical array."""
        out = aligned_empty(self.out_shape, packed.dtype)
        if not self.complete:
            out[...] = np.maximum(bias[: self.out_shape[-1]], floor)
        for firsts, arguments, serial in self.parts:
            kernel, weights = kernel_for(packed, conv), packed.phases(firsts)
            kernel(image, weights, bias, floor, out.reshape(-1), *arguments, serial=serial)
        return out


@lru_cache(maxsize=512)
def conv_call(
    x_shape: Ints,
    weights_shape: Ints,
    itemsize: int,
    strides: Ints,
    padding: str,
    dilation_rate: Ints,
    data_format: str,
    algorithm: str = "direct",
) -> WindowCall | WinogradCall:
    """Prepare `functional.conv`."""
    *kernel_size, channels, filters = weights_shape
    check_channels(x_shape, channels, data_format, "weights")
    axes = window_axes(x_shape, filters, tuple(kernel_size), strides, padding, dilation_rate, data_format)
    return gather_call(axes, channels, filters, itemsize, len(kernel_size), data_format, algorithm)


@lru_cache(maxsize=512)
def dense_call(rows: int, features: int, units: int, itemsize: int) -> WindowCall:
    """Prepare a product of matrices, (rows, features) times (features, units): a convolution of one tap over rows."""
    call = gather_call(row_axes(rows, units), features, units, itemsize, 1, "channels_last", "direct")
    assert isinstance(call, WindowCall)
    return call


def row_axes(rows: int, units: int) -> tuple[Axis, ...]:
    """Rows of a matrix as windows of one tap along the last axis."""
    one = Axis(1, 1, 1, 1, 0, 0)
    return one, one, one, Axis(rows, 1, 1, 1, 0, units)


def gather_call(
    axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int, rank: int, data_format: str, algorithm: str
) -> WindowCall | WinogradCall:
    """Prepare a convolution of the windows of ``axes``."""
    out_shape = (*(axis.windows for axis in axes), filters)
    if not use_winograd(algorithm, axes, channels, filters, itemsize):
        plan = make_plan(axes, channels, filters, itemsize)
        width = conv_width(filters, itemsize)
        arguments = conv_vecs(filters, itemsize), flat_plan(plan, panel_table(filters, width))
        to_planes = plan.fits_planes(channels, filters, width, itemsize)
        return WindowCall(conv, out_shape, rank, data_format, plan.serial, to_planes, arguments)
    direct: Any = None
    if algorithm == "auto":
        direct = partial(_direct_call, axes, channels, filters, itemsize, rank, data_format)
    return WinogradCall(out_shape, rank, data_format, winograd_parts(axes, channels, filters, itemsize), direct)


@lru_cache(maxsize=512)
def _direct_call(
    axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int, rank: int, data_format: str
) -> Any:
    return gather_call(axes, channels, filters, itemsize, rank, data_format, "direct")


@lru_cache(maxsize=512)
def depthwise_call(
    x_shape: Ints,
    weights_shape: Ints,
    itemsize: int,
    strides: Ints,
    padding: str,
    dilation_rate: Ints,
    data_format: str,
) -> WindowCall:
    """Prepare `functional.depthwise_conv`."""
    *kernel_size, channels, multiplier = weights_shape
    check_channels(x_shape, channels, data_format, "weights")
    filters = channels * multiplier
    axes = window_axes(x_shape, filters, tuple(kernel_size), strides, padding, dilation_rate, data_format)
    out_shape = (*(axis.windows for axis in axes), filters)
    plan = make_plan(axes, 1, filters, itemsize, depthwise=True)
    width = block_width(itemsize)
    arguments = (flat_plan(plan, panel_table(filters, width)),)
    to_planes = plan.fits_planes(channels, filters, width, itemsize)
    return WindowCall(depthwise_conv, out_shape, len(kernel_size), data_format, plan.serial, to_planes, arguments)


@lru_cache(maxsize=512)
def transposed_call(
    x_shape: Ints,
    weights_shape: Ints,
    itemsize: int,
    strides: Ints,
    padding: str,
    output_padding: Ints | None,
    dilation_rate: Ints,
    data_format: str,
    algorithm: str = "auto",
) -> WindowCall | WinogradCall | TransposedCall:
    """Prepare `functional.conv_transpose`."""
    *kernel_size, filters, channels = weights_shape
    check_channels(x_shape, channels, data_format, "weights")
    out_shape = shapes.conv_transpose_output_shape(
        x_shape, filters, kernel_size, strides, padding, output_padding, dilation_rate, data_format
    )
    lengths = (x_shape[0], *three(spatial(x_shape, data_format), 1), channels)
    full = (x_shape[0], *three(spatial(out_shape, data_format), 1), filters)
    crops = transposed_crops(x_shape, tuple(kernel_size), strides, padding, output_padding, dilation_rate, data_format)
    settings = (three(tuple(kernel_size), 1), three(strides, 1), three(dilation_rate, 1), crops)
    return scatter_call(lengths, full, *settings, itemsize, len(kernel_size), data_format, algorithm)


def transposed_crops(
    x_shape: Ints,
    kernel_size: Ints,
    strides: Ints,
    padding: str,
    output_padding: Ints | None,
    dilation_rate: Ints,
    data_format: str,
) -> Ints:
    """Positions that a transposed convolution drops before its output, for the three spatial axes."""
    extra = (None,) * len(kernel_size) if output_padding is None else output_padding
    axes = zip(spatial(x_shape, data_format), strides, kernel_size, extra, dilation_rate, strict=True)
    return three(tuple(shapes.deconv_crop(n, s, k, padding, p, d) for n, s, k, p, d in axes), 0)


def scatter_call(
    lengths: Ints,
    full: Ints,
    kernel_size: Ints,
    strides: Ints,
    dilation_rate: Ints,
    crops: Ints,
    itemsize: int,
    rank: int,
    data_format: str,
    algorithm: str,
) -> WindowCall | WinogradCall | TransposedCall:
    """Prepare a transposed convolution from a canonical array of shape ``lengths`` to one of shape ``full``."""
    channels, filters = lengths[-1], full[-1]
    steps = tuple(prod(full[i:]) for i in range(1, 5))
    groups, complete = convolutions(lengths, full, steps[1:], kernel_size, strides, dilation_rate, crops)
    batch = Axis(full[0], 1, 1, 1, 0, steps[0])
    if max(strides) == 1:
        (axes,) = groups
        return gather_call((batch, *axes), channels, filters, itemsize, rank, data_format, algorithm)
    parts = []
    for axes, members in groups.items():
        firsts, origins = zip(*members, strict=True)
        panels = panel_table(filters, conv_width(filters, itemsize), origins)
        plan = make_plan((batch, *axes), channels, filters, itemsize, origins=len(origins))
        parts.append((firsts, (conv_vecs(filters, itemsize), flat_plan(plan, panels)), plan.serial))
    return TransposedCall(full, rank, data_format, parts, complete)


def window_axes(
    x_shape: Ints, filters: int, kernel_size: Ints, strides: Ints, padding: str, dilation_rate: Ints, data_format: str
) -> tuple[Axis, ...]:
    """Batch and spatial axes of a window that slides over a canonical array and writes to a contiguous one."""
    out_shape = shapes.conv_output_shape(x_shape, filters, kernel_size, strides, padding, dilation_rate, data_format)
    windows = spatial(out_shape, data_format)
    befores = (
        shapes.conv_padding(n, k, padding, s, d)[0]
        for n, k, s, d in zip(spatial(x_shape, data_format), kernel_size, strides, dilation_rate, strict=True)
    )
    moving = tuple(Axis(*a, 0) for a in zip(windows, kernel_size, strides, dilation_rate, befores, strict=True))
    axes = (Axis(x_shape[0], 1, 1, 1, 0, 0), *three(moving, Axis(1, 1, 1, 1, 0, 0)))
    lengths = (*(axis.windows for axis in axes), filters)
    return tuple(axis._replace(out_stride=prod(lengths[i + 1 :])) for i, axis in enumerate(axes))

"""The settings of a sliding window, and the axes that follow from them for an input of one shape."""

from math import prod
from typing import Any

from .. import shapes
from ..common.arguments import check_data_format
from ..kernels.plan.axes import Axis
from ..objects.tuples import NamedTuple
from ..shapes.checks import along_axes
from .layouts import Ints, spatial, three


class Window(NamedTuple):
    """Settings of an operation, checked: what Keras's arguments say, one integer per spatial axis.

    It goes from layers and functions down to the axes, and prepared calls are remembered by it. The order of its fields
    is that of the arguments of `shapes.conv_output_shape`.
    """

    # Taps along each axis.
    kernel_size: Ints
    # Input positions from one window to the next.
    strides: Ints
    # "valid", "same" or "causal"; inside the library also the zeros at both ends of each axis, a pair of numbers each.
    padding: Any
    # Input positions from one tap to the next.
    dilation_rate: Ints
    # "channels_last" or "channels_first".
    data_format: str

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel_size)


def window_of(
    kernel_size: Ints,
    strides: Any = 1,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    data_format: Any = "channels_last",
    paddings: tuple[str, ...] = ("valid", "same", "causal"),
) -> Window:
    """Check a user's settings for a kernel of this size; ValueError or TypeError where one is wrong."""
    rank = len(kernel_size)
    return Window(
        kernel_size,
        shapes.normalize_tuple(strides, rank, "strides"),
        shapes.normalize_padding(padding, paddings),
        shapes.normalize_tuple(dilation_rate, rank, "dilation_rate"),
        check_data_format(data_format),
    )


def point_window(rank: int) -> Window:
    """The window of a convolution that mixes the channels of each position."""
    return Window((1,) * rank, (1,) * rank, "valid", (1,) * rank, "channels_last")


def window_axes(x_shape: Ints, filters: int, window: Window) -> tuple[Axis, ...]:
    """Batch and spatial axes of a window that slides over a canonical array, and writes to one of so many channels."""
    size, strides, padding, dilation, data_format = window
    lengths = spatial(x_shape, data_format)
    windows = spatial(shapes.conv_output_shape(x_shape, filters, *window), data_format)
    settings = zip(lengths, size, along_axes(padding, window.rank), strides, dilation, strict=True)
    befores = (shapes.conv_padding(*axis)[0] for axis in settings)
    out_strides = (0,) * len(lengths)
    columns = zip(windows, size, strides, dilation, befores, out_strides, lengths, strict=True)
    moving = tuple(Axis(*a) for a in columns)
    return _writing((Axis(x_shape[0], 1, 1, 1, 0, 0), *three(moving, Axis(1, 1, 1, 1, 0, 0, 1))), filters)


def transposed_axes(x_shape: Ints, channels: int, window: Window, output_padding: Ints | None) -> tuple[Axis, ...]:
    """Axes of a transposed convolution seen from its result: windows slide over that, and there is one for each input.

    They are those of the convolution that is its gradient, which writes ``channels`` values for each window.
    """
    size, strides, padding, dilation, data_format = window
    lengths, extra = spatial(x_shape, data_format), output_padding or (None,) * window.rank
    settings = zip(lengths, strides, size, along_axes(padding, window.rank), extra, dilation, strict=True)
    crops = (shapes.deconv_crop(*axis) for axis in settings)
    moving = tuple(Axis(*a, 0) for a in zip(lengths, size, strides, dilation, crops, strict=True))
    return _writing((Axis(x_shape[0], 1, 1, 1, 0, 0), *three(moving, Axis(1, 1, 1, 1, 0, 0))), channels)


def reached(axis: Axis) -> tuple[Axis, slice]:
    """The axis with those of its taps alone that some window may have inside the input, and which these are."""
    low = max(0, -(((axis.windows - 1) * axis.stride - axis.before) // axis.dilation))
    high = min(axis.taps, (axis.length - 1 + axis.before) // axis.dilation + 1)
    if not low < high or high - low == axis.taps:
        return axis, slice(None)
    before, dilation = axis.before - low * axis.dilation, axis.dilation if high - low > 1 else 1
    return axis._replace(taps=high - low, dilation=dilation, before=before), slice(low, high)


def mirrored(axes: tuple[Axis, ...]) -> tuple[Axis, ...] | None:
    """Axes along which input and windows have changed places, so that taps meet the same pairs in the opposite order.

    None where windows lie apart.
    """
    batch, *moving = axes
    if any(axis.stride > 1 for axis in moving):
        return None
    befores = ((axis.taps - 1) * axis.dilation - axis.before for axis in moving)
    return batch, *(
        Axis(a.length, a.taps, 1, a.dilation, b, 0, a.windows) for a, b in zip(moving, befores, strict=True)
    )


def _writing(axes: tuple[Axis, ...], filters: int) -> tuple[Axis, ...]:
    """The axes, writing to a contiguous array of ``filters`` values for each window."""
    lengths = (*(axis.windows for axis in axes), filters)
    return tuple(axis._replace(out_stride=prod(lengths[i + 1 :])) for i, axis in enumerate(axes))

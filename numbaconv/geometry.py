"""From the shapes of a call to the integers that a kernel's plan is made of; each set of shapes is worked out once."""

from functools import lru_cache
from math import ceil, prod
from typing import NamedTuple

from . import shapes
from .kernels.plan import Axis
from .layouts import three

Ints = tuple[int, ...]


class Geometry(NamedTuple):
    """A sliding window over a canonical array.

    Attributes
    ----------
    axes : tuple of Axis
        Batch, then the three spatial axes.
    out_shape : tuple of int
        (N, D', H', W', F)
    """

    axes: tuple[Axis, ...]
    out_shape: Ints


def spatial(shape: tuple, data_format: str) -> tuple:
    """The spatial lengths of a shape."""
    return tuple(shape[2:] if data_format == "channels_first" else shape[1:-1])


@lru_cache(maxsize=4096)
def window_geometry(
    x_shape: Ints, filters: int, kernel_size: Ints, strides: Ints, padding: str, dilation_rate: Ints, data_format: str
) -> Geometry:
    """Geometry of a convolution, or of a depthwise convolution with so many output channels.

    Raises
    ------
    ValueError
        As `shapes.conv_output_shape`.
    """
    out_shape = shapes.conv_output_shape(x_shape, filters, kernel_size, strides, padding, dilation_rate, data_format)
    windows = spatial(out_shape, data_format)
    befores = (
        shapes.conv_padding(n, k, padding, s, d)[0]
        for n, k, s, d in zip(spatial(x_shape, data_format), kernel_size, strides, dilation_rate, strict=True)
    )
    axes = zip(windows, kernel_size, strides, dilation_rate, befores, strict=True)
    return _contiguous(x_shape[0], three(tuple(Axis(*axis, 0) for axis in axes), _point(1)), filters)


def use_winograd(algorithm: str, geometry: Geometry, channels: int, itemsize: int) -> bool:
    """Whether a convolution of so many channels is to run as Winograd's.

    "auto" takes it for float32 where it is faster and rounds to within 2e-5 of the largest output on standard-normal
    data: enough channels and filters to pay for its transforms, few enough channels for its rounding errors, and output
    lengths that its blocks of 4x4 fill by three quarters at least.

    Raises
    ------
    ValueError
        If "winograd" is asked for where it does not exist.
    """
    _, depth, height, width = geometry.axes
    possible = depth.taps == 1 and all((a.taps, a.stride, a.dilation) == (3, 1, 1) for a in (height, width))
    if algorithm == "winograd" and not possible:
        raise ValueError(
            "algorithm must be 'auto' or 'direct', because 'winograd' exists for 3x3 kernels over two axes with strides "
            "and dilation_rate 1 only, got 'winograd'"
        )
    if algorithm != "auto" or not possible:
        return algorithm == "winograd"
    blocks = ceil(height.windows / 4) * ceil(width.windows / 4)
    filled = height.windows * width.windows >= 12 * blocks
    return itemsize == 4 and filled and blocks >= 8 and 16 <= channels <= 256 and geometry.out_shape[-1] >= 16


def point_geometry(out_shape: Ints, filters: int) -> Geometry:
    """Geometry of a 1x1 convolution of an array with the batch and spatial axes of ``out_shape``."""
    return _contiguous(out_shape[0], tuple(_point(n) for n in out_shape[1:4]), filters)


def _point(windows: int) -> Axis:
    return Axis(windows, 1, 1, 1, 0, 0)


def _contiguous(batch: int, axes: tuple[Axis, ...], filters: int) -> Geometry:
    """The geometry that writes to a contiguous array."""
    axes = (_point(batch), *axes)
    out_shape = (*(axis.windows for axis in axes), filters)
    return Geometry(tuple(a._replace(out_stride=prod(out_shape[i + 1 :])) for i, a in enumerate(axes)), out_shape)

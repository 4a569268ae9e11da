"""Prepared calls of inverted residuals: what one convolution widens, another narrows while it is in the cache.

A depthwise convolution that takes every second pixel computes little with what it reads. Where all that lies before it
would fill the L2 caches, a band of rows of it is made and read, and then the next one in the same memory.
"""

from itertools import pairwise
from math import ceil, prod
from typing import Any

import numpy as np

from .. import shapes
from ..kernels.named import conv
from ..kernels.plan.host import HOST
from ..machine import threads
from ..machine.aligned import aligned_empty
from ..machine.vectors import panel_width
from ..objects.tuples import NamedTuple
from ..shapes.checks import along_axes
from .conv import WindowCall, conv_call
from .epilogue import Epilogue
from .layouts import Ints, spatial
from .packed import Packed
from .separable import SeparableCall, separable_call
from .window import Window, point_window


class Band(NamedTuple):
    """Rows of an image that are read, where in it their results begin, flat, and the calls from one to the other."""

    first: int
    end: int
    out_at: int
    widen: WindowCall
    narrow: SeparableCall


class BandsCall(NamedTuple):
    """A convolution of one tap and a separable one after it, band by band; no bands where that takes no less time.

    The sums are those of two calls. All weights must be finite.
    """

    out_shape: Ints
    bands: tuple[Band, ...]
    # From one image to the next in the result, and values between the two calls.
    step: int
    room: int
    serial: bool = False

    def run(
        self,
        image: np.ndarray,
        weights: tuple[Packed, Packed, Packed],
        first: Epilogue,
        middle: Epilogue,
        epilogue: Epilogue,
        out: np.ndarray,
    ) -> np.ndarray:
        """From canonical array to canonical array, with an epilogue for each of the three steps."""
        widen, depthwise, narrow = weights
        *ending, residual, function = epilogue
        between, flat = aligned_empty((self.room,), image.dtype), out.reshape(-1)
        for number in range(len(image)):
            for band in self.bands:
                at, shape = number * self.step + band.out_at, band.widen.out_shape
                wide = between[: prod(shape)].reshape(shape)
                band.widen.run(image[number : number + 1, :, band.first : band.end], widen, first, wide)
                last: Any = (*ending, residual[at:] if residual.size else residual, function)
                band.narrow.run(wide, depthwise, narrow, middle, last, flat[at:])
        return out


@threads.remember(maxsize=512)
def bands_call(
    x_shape: Ints, shapes_of: tuple[Ints, Ints, Ints], itemsize: int, window: Window, pitch: int = 0
) -> BandsCall:
    """Prepare a convolution of one tap, and after it a depthwise and another one of one tap, of images.

    ``shapes_of`` are those of their weights, and the window is the depthwise one's. For the pitch see `conv_call`.
    """
    images, height, width, _ = x_shape
    filters = shapes_of[2][-1]
    rows, columns = spatial(
        shapes.conv_output_shape((*x_shape[:3], shapes_of[0][-1]), filters, *window), "channels_last"
    )
    line = columns * (pitch or filters)
    bands: tuple[Band, ...] = ()
    if _pays(shapes_of, itemsize, window):
        values = height * width * shapes_of[0][-1]
        count = ceil(values * itemsize / threads.count() / HOST.l2_bytes)
        bands = _cut(x_shape, shapes_of, itemsize, window, pitch, count)
    bands = tuple(band._replace(out_at=band.out_at * line) for band in bands)
    room = max((prod(band.widen.out_shape) for band in bands), default=0)
    return BandsCall((images, 1, rows, columns, filters), bands, rows * line, room)


def _pays(shapes_of: tuple[Ints, Ints, Ints], itemsize: int, window: Window) -> bool:
    """Whether what lies between takes longer to move than to make and to use."""
    (*_, channels, wide), (*taps, read, multiplier), (*_, filters) = shapes_of
    work = channels + (prod(taps) + filters) / prod(window.strides)
    usual = wide == read and multiplier == 1 and wide % panel_width(itemsize, 1) == 0 and {*window.dilation_rate} == {1}
    return usual and work <= HOST.band_work


def _cut(
    x_shape: Ints, shapes_of: tuple[Ints, Ints, Ints], itemsize: int, window: Window, pitch: int, count: int
) -> tuple[Band, ...]:
    """So many bands, results of each beginning at a row; none where there would be one, or where its calls differ."""
    _, height, width, channels = x_shape
    size, stride, wide = window.kernel_size[0], window.strides[0], shapes_of[0][-1]
    settings = zip((height, width), window.kernel_size, along_axes(window.padding, 2), window.strides, strict=True)
    (top, bottom), sides = (shapes.conv_padding(*axis) for axis in settings)
    rows = (height + top + bottom - size) // stride + 1
    if not 1 < count <= rows:
        return ()
    bands = []
    for first, end in pairwise(rows * i // count for i in range(count + 1)):
        low, high = first * stride - top, (end - 1) * stride - top + size
        start, stop = max(0, low), min(height, high)
        if start >= stop:
            return ()
        part = window._replace(padding=((start - low, high - stop), sides))
        widen = conv_call((1, stop - start, width, channels), shapes_of[0], itemsize, point_window(2))
        narrow = separable_call((1, stop - start, width, wide), *shapes_of[1:], itemsize, part, pitch)
        if getattr(widen, "kernel", None) is not conv or narrow.arguments is None:
            return ()
        bands.append(Band(start, stop, first, widen, narrow))
    return tuple(bands)

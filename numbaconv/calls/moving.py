"""Prepared calls of cropping, zero padding and upsampling, like those of `calls.conv`."""

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import shapes
from ..kernels.pad import place
from ..kernels.upsample import neighbours, takers, upsample_bilinear, upsample_grad, upsample_nearest
from ..machine.aligned import aligned_empty
from .layouts import SMALL, Ints, contiguous, images_shape, spatial, three


class MovingCall(NamedTuple):
    """Cropping, zero padding or upsampling, ready for arrays of one shape."""

    kernel: Any
    image_shape: Ints
    out_shape: Ints
    result_shape: Ints
    arguments: tuple
    serial: bool

    def __call__(self, x: np.ndarray) -> np.ndarray:
        out = aligned_empty(self.out_shape, x.dtype)
        self.kernel(contiguous(x).reshape(self.image_shape), out, *self.arguments, serial=self.serial)
        return out.reshape(self.result_shape)


@lru_cache(maxsize=512)
def crop_call(x_shape: Ints, cropping: tuple[Ints, ...], data_format: str) -> MovingCall:
    """Prepare `functional.crop`."""
    result_shape: Any = shapes.crop_output_shape(x_shape, cropping, data_format)
    return _moving_call(place, x_shape, result_shape, data_format, (three(tuple(-a for a, _ in cropping), 0),))


@lru_cache(maxsize=512)
def zero_pad_call(x_shape: Ints, padding: tuple[Ints, ...], data_format: str) -> MovingCall:
    """Prepare `functional.zero_pad`."""
    result_shape: Any = shapes.zero_pad_output_shape(x_shape, padding, data_format)
    return _moving_call(place, x_shape, result_shape, data_format, (three(tuple(a for a, _ in padding), 0),))


def _moving_call(kernel: Any, x_shape: Ints, result_shape: Ints, data_format: str, arguments: tuple) -> MovingCall:
    image_shape, out_shape = images_shape(x_shape, data_format), images_shape(result_shape, data_format)
    return MovingCall(kernel, image_shape, out_shape, result_shape, arguments, prod(out_shape) < SMALL)


@lru_cache(maxsize=512)
def upsample_call(x_shape: Ints, size: Ints, interpolation: str, data_format: str, itemsize: int) -> MovingCall:
    """Prepare `functional.upsample`."""
    result_shape: Any = shapes.upsample_output_shape(x_shape, size, data_format)
    if interpolation == "nearest":
        return _moving_call(upsample_nearest, x_shape, result_shape, data_format, (three(size, 1),))
    lengths = spatial(x_shape, data_format)
    tables = [t for n, s in zip(lengths, size, strict=True) for t in neighbours(n, s, np.dtype(f"f{itemsize}"))]
    return _moving_call(upsample_bilinear, x_shape, result_shape, data_format, tuple(tables))


@lru_cache(maxsize=512)
def upsample_grad_call(x_shape: Ints, size: Ints, interpolation: str, data_format: str, itemsize: int) -> MovingCall:
    """Prepare the gradient of `functional.upsample` for an input of ``x_shape``."""
    grad_shape: Any = shapes.upsample_output_shape(x_shape, size, data_format)
    lengths, size, dtype = three(spatial(x_shape, data_format), 1), three(size, 1), np.dtype(f"f{itemsize}")
    # The axes that a call with fewer of them lacks have one position, which every interpolation keeps.
    tables = [t for n, s in zip(lengths, size, strict=True) for t in takers(n, s, interpolation, dtype)]
    image_shape, out_shape = images_shape(grad_shape, data_format), images_shape(x_shape, data_format)
    return MovingCall(upsample_grad, image_shape, out_shape, x_shape, tuple(tables), prod(image_shape) < SMALL)

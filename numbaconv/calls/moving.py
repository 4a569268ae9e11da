"""Prepared calls of cropping, zero padding, upsampling and resizing, like those of `calls.conv`."""

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import shapes
from ..kernels.pad import place
from ..kernels.resize import Tables, runs, taken, unchanged
from ..kernels.upsample import neighbours, resample, takers, upsample_bilinear, upsample_nearest
from ..machine.aligned import aligned_empty
from .layouts import SMALL, Ints, contiguous, images_shape, spatial, three


class MovingCall(NamedTuple):
    """Cropping, zero padding, upsampling or a step of resizing, ready for arrays of one shape."""

    kernel: Any
    image_shape: Ints
    out_shape: Ints
    result_shape: Ints
    arguments: tuple
    serial: bool

    def __call__(self, x: np.ndarray, out: Any = None) -> np.ndarray:
        out = aligned_empty(self.out_shape, x.dtype) if out is None else out.reshape(self.out_shape)
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


class Resize(NamedTuple):
    """Images of these lengths made of others, or of a part of them.

    Attributes
    ----------
    size : tuple of int
        Lengths of the result.
    interpolation : {"nearest", "area", "bilinear", "bicubic", "lanczos3", "lanczos5"}
    antialias : bool
        Whether kernels are stretched where an axis becomes shorter.
    box : tuple of pairs of int, optional
        On each axis, where the part begins, and its length; None for all.
    """

    size: Ints
    interpolation: str
    antialias: bool = False
    box: tuple[Ints, ...] | None = None

    def of(self, lengths: Ints) -> tuple[Ints, ...]:
        """The part of images of these lengths that is resized."""
        return tuple((0, n) for n in lengths) if self.box is None else self.box


class ResizeCall(NamedTuple):
    """Resizing, or its gradient: one or two steps."""

    steps: tuple[MovingCall, ...]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for step in self.steps:
            x = step(x)
        return x


@lru_cache(maxsize=512)
def resize_call(x_shape: Ints, resize: Resize, data_format: str, itemsize: int) -> ResizeCall:
    """Prepare resizing for an input of ``x_shape``."""
    return ResizeCall(
        tuple(_step(a, b, tables, data_format) for a, b, tables in _steps(x_shape, resize, data_format, itemsize))
    )


@lru_cache(maxsize=512)
def resize_grad_call(x_shape: Ints, resize: Resize, data_format: str, itemsize: int) -> ResizeCall:
    """Prepare the gradient of resizing for an input of ``x_shape``."""
    steps = []
    for before, after, tables in reversed(_steps(x_shape, resize, data_format, itemsize)):
        back = tuple(taken(t, n) for t, n in zip(tables, three(spatial(before, data_format), 1), strict=True))
        steps.append(_step(after, before, back, data_format))
    return ResizeCall(tuple(steps))


def _steps(
    x_shape: Ints, resize: Resize, data_format: str, itemsize: int
) -> list[tuple[Ints, Ints, tuple[Tables, ...]]]:
    """Shapes before and after each step, and its tables.

    Axes are resized one after the other where many positions have shares, beginning with the one that leaves less.
    """
    dtype, lengths = np.dtype(f"f{itemsize}"), spatial(x_shape, data_format)
    parts = zip(resize.of(lengths), resize.size, strict=True)
    tables = [runs(n, m, resize.interpolation, resize.antialias, dtype, start) for (start, n), m in parts]
    few = resize.interpolation in ("nearest", "bilinear") and not resize.antialias
    order = sorted(range(len(lengths)), key=lambda i: resize.size[i] / lengths[i])
    steps, shape = [], x_shape
    for axes in [order] if few else [[axis] for axis in order]:
        now = [tables[i] if i in axes else unchanged(n, dtype) for i, n in enumerate(spatial(shape, data_format))]
        after = tuple(len(ends) for ends, _ in now)
        result = (*shape[:2], *after) if data_format == "channels_first" else (shape[0], *after, shape[-1])
        steps.append((shape, result, three(tuple(now), unchanged(1, dtype))))
        shape = result
    return steps


def _step(before: Ints, after: Ints, tables: tuple[Tables, ...], data_format: str) -> MovingCall:
    return _moving_call(resample, before, after, data_format, tuple(array for pair in tables for array in pair))


@lru_cache(maxsize=512)
def upsample_call(
    x_shape: Ints, size: Ints, interpolation: str, data_format: str, itemsize: int
) -> MovingCall | ResizeCall:
    """Prepare `functional.upsample`."""
    result_shape: Any = shapes.upsample_output_shape(x_shape, size, data_format)
    if result_shape == x_shape:
        return _moving_call(place, x_shape, x_shape, data_format, ((0, 0, 0),))
    if interpolation not in ("nearest", "bilinear"):
        return resize_call(x_shape, Resize(spatial(result_shape, data_format), interpolation), data_format, itemsize)
    if interpolation == "nearest":
        return _moving_call(upsample_nearest, x_shape, result_shape, data_format, (three(size, 1),))
    lengths = spatial(x_shape, data_format)
    tables = [t for n, s in zip(lengths, size, strict=True) for t in neighbours(n, s, np.dtype(f"f{itemsize}"))]
    return _moving_call(upsample_bilinear, x_shape, result_shape, data_format, tuple(tables))


@lru_cache(maxsize=512)
def upsample_grad_call(
    x_shape: Ints, size: Ints, interpolation: str, data_format: str, itemsize: int
) -> MovingCall | ResizeCall:
    """Prepare the gradient of `functional.upsample` for an input of ``x_shape``."""
    grad_shape: Any = shapes.upsample_output_shape(x_shape, size, data_format)
    if grad_shape == x_shape:
        return _moving_call(place, x_shape, x_shape, data_format, ((0, 0, 0),))
    if interpolation not in ("nearest", "bilinear"):
        resize = Resize(spatial(grad_shape, data_format), interpolation)
        return resize_grad_call(x_shape, resize, data_format, itemsize)
    lengths, size, dtype = three(spatial(x_shape, data_format), 1), three(size, 1), np.dtype(f"f{itemsize}")
    # The axes that a call with fewer of them lacks have one position, which every interpolation keeps.
    tables = [t for n, s in zip(lengths, size, strict=True) for t in takers(n, s, interpolation, dtype)]
    image_shape, out_shape = images_shape(grad_shape, data_format), images_shape(x_shape, data_format)
    return MovingCall(resample, image_shape, out_shape, x_shape, tuple(tables), prod(image_shape) < SMALL)

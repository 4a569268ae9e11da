"""Prepared calls of cropping, zero padding, upsampling and resizing, like those of `calls.conv`."""

from collections.abc import Sequence
from functools import lru_cache
from math import inf, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import shapes
from ..machine.aligned import aligned_empty
from ..machine.vectors import LINE, VECTOR_BYTES
from ..machine.words import Later
from ..objects.tuples import NamedTuple
from .layouts import SMALL, Ints, canonical, contiguous, images_shape, original, spatial, three

if TYPE_CHECKING:
    from ..kernels.recipe import Recipe

# Values of a row of a plane, fewer than which are taken with channels last: any, where no instruction gathers values.
TURNED_ROW = 208 if VECTOR_BYTES == 64 else inf
# Loops and recipes of calls that a network found on disk does without.
blend, boxes, recipe, resizing = (
    Later(f"..kernels.{name}", __package__) for name in ("blend", "shift", "recipe", "resize")
)


class MovingCall(NamedTuple):
    """Cropping, zero padding, upsampling, resizing or a gradient, ready for arrays of one shape."""

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


class TurnedCall(NamedTuple):
    """One of channels first by way of channels last."""

    call: Any
    x_shape: Ints
    result_shape: Ints

    @property
    def serial(self) -> bool:
        """Whether one core does it."""
        return bool(self.call.serial)

    def __call__(self, x: np.ndarray, out: Any = None) -> np.ndarray:
        last = canonical(self.call(canonical(x.reshape(self.x_shape), "channels_first")), "channels_last")
        result = original(last, len(self.x_shape) - 2, "channels_first").reshape(self.result_shape)
        if out is None:
            return result
        out[...] = result.reshape(out.shape)
        return out


AnyMoving = MovingCall | TurnedCall


@lru_cache(maxsize=512)
def crop_call(x_shape: Ints, cropping: tuple[Ints, ...], data_format: str, itemsize: int) -> AnyMoving:
    """Prepare `functional.crop`."""
    result_shape: Any = shapes.crop_output_shape(x_shape, cropping, data_format)
    return _shift_call(x_shape, result_shape, tuple(-a for a, _ in cropping), data_format, itemsize)


@lru_cache(maxsize=512)
def zero_pad_call(x_shape: Ints, padding: tuple[Ints, ...], data_format: str, itemsize: int) -> AnyMoving:
    """Prepare `functional.zero_pad`."""
    result_shape: Any = shapes.zero_pad_output_shape(x_shape, padding, data_format)
    return _shift_call(x_shape, result_shape, tuple(a for a, _ in padding), data_format, itemsize)


def _shift_call(x_shape: Ints, result_shape: Ints, before: Ints, data_format: str, itemsize: int) -> AnyMoving:
    lengths, results = (spatial(shape, data_format) for shape in (x_shape, result_shape))
    batch, *_, channels = images_shape(x_shape, data_format)
    plan = boxes.shift_plan(batch, lengths, results, before, channels)
    if plan is not None:
        sizes = prod(x_shape), prod(result_shape)
        return MovingCall(boxes.shift, sizes[:1], sizes[1:], result_shape, (plan,), max(sizes) < SMALL)
    recipes = [recipe.shifted(*axis) for axis in zip(lengths, results, before, strict=True)]
    return blend_call(x_shape, result_shape, recipes, data_format, itemsize)


class Resize(NamedTuple):
    """Images of these lengths made of others, or of a part of them."""

    size: Ints
    # "nearest", "area", "bilinear", "bicubic", "lanczos3" or "lanczos5".
    interpolation: str
    # Whether kernels are stretched where an axis becomes shorter.
    antialias: bool = False
    # On each axis, where the part begins, and its length; None for all.
    box: tuple[Ints, ...] | None = None

    def of(self, lengths: Ints) -> tuple[Ints, ...]:
        """The part of images of these lengths that is resized."""
        return tuple((0, n) for n in lengths) if self.box is None else self.box


@lru_cache(maxsize=512)
def resize_call(x_shape: Ints, resize: Resize, data_format: str, itemsize: int) -> AnyMoving:
    """Prepare resizing for an input of ``x_shape``."""
    recipes = _resized(x_shape, resize, data_format)
    return blend_call(x_shape, of_lengths(x_shape, resize.size, data_format), recipes, data_format, itemsize)


@lru_cache(maxsize=512)
def resize_grad_call(x_shape: Ints, resize: Resize, data_format: str, itemsize: int) -> AnyMoving:
    """Prepare the gradient of resizing for an input of ``x_shape``."""
    recipes = _resized(x_shape, resize, data_format)
    return grad_call(x_shape, of_lengths(x_shape, resize.size, data_format), recipes, data_format, itemsize)


def _resized(x_shape: Ints, resize: Resize, data_format: str) -> "list[Recipe]":
    parts = zip(resize.of(spatial(x_shape, data_format)), resize.size, strict=True)
    return [resizing.resized(n, m, resize.interpolation, resize.antialias, start) for (start, n), m in parts]


def of_lengths(shape: Ints, lengths: Ints, data_format: str) -> Ints:
    """The shape with other spatial axes."""
    return (*shape[:2], *lengths) if data_format == "channels_first" else (shape[0], *lengths, shape[-1])


def blend_call(
    x_shape: Ints, result_shape: Ints, recipes: Sequence["Recipe"], data_format: str, itemsize: int, parts: int = 1
) -> AnyMoving:
    """Prepare what has these recipes for its axes, the first of which consists of so many equal parts."""
    first, *rest = spatial(x_shape, data_format)
    row = max(spatial(x_shape, data_format)[-1], spatial(result_shape, data_format)[-1])
    if (
        data_format == "channels_first"
        and x_shape[1] >= LINE
        and row < TURNED_ROW
        and not recipe.selects(recipe.factored(recipes)[1][-1])
    ):
        # Vectors of channels need no tables.
        x_last, result_last = ((n, *lengths, c) for n, c, *lengths in (x_shape, result_shape))
        call = blend_call(x_last, result_last, recipes, "channels_last", itemsize, parts)
        return TurnedCall(call, x_shape, result_shape)
    batch, *_, channels = images_shape(x_shape, data_format)
    lengths, dtype = three((first // parts, *rest), 1), np.dtype(f"f{itemsize}")
    axes = three(tuple(recipes), recipe.unchanged(1))
    arguments = blend.blend_arguments(batch * parts, lengths, axes, channels, dtype)
    sizes = prod(x_shape), prod(result_shape)
    return MovingCall(blend.blend, sizes[:1], sizes[1:], result_shape, arguments, max(sizes) < SMALL)


def grad_call(
    x_shape: Ints, result_shape: Ints, recipes: Sequence["Recipe"], data_format: str, itemsize: int, parts: int = 1
) -> AnyMoving:
    """Prepare the gradient of what has these recipes, for an input of ``x_shape``."""
    first, *rest = spatial(x_shape, data_format)
    back = [recipe.turned(r, n) for r, n in zip(recipes, (first // parts, *rest), strict=True)]
    return blend_call(result_shape, x_shape, back, data_format, itemsize, parts)


@lru_cache(maxsize=512)
def upsample_call(x_shape: Ints, size: Ints, interpolation: str, data_format: str, itemsize: int) -> AnyMoving:
    """Prepare `functional.upsample`."""
    return _upsample_call(blend_call, x_shape, size, interpolation, data_format, itemsize)


@lru_cache(maxsize=512)
def upsample_grad_call(x_shape: Ints, size: Ints, interpolation: str, data_format: str, itemsize: int) -> AnyMoving:
    """Prepare the gradient of `functional.upsample` for an input of ``x_shape``."""
    return _upsample_call(grad_call, x_shape, size, interpolation, data_format, itemsize)


def _upsample_call(
    prepare: Any, x_shape: Ints, size: Ints, interpolation: str, data_format: str, itemsize: int
) -> AnyMoving:
    result_shape: Any = shapes.upsample_output_shape(x_shape, size, data_format)
    lengths, parts = spatial(x_shape, data_format), 1
    if interpolation == "nearest":
        parts = lengths[0]
        recipes = [recipe.spread(*axis) for axis in zip((1, *lengths[1:]), size, strict=True)]
    elif interpolation == "bilinear":
        recipes = [recipe.between(*axis) for axis in zip(lengths, size, strict=True)]
    else:
        recipes = _resized(x_shape, Resize(spatial(result_shape, data_format), interpolation), data_format)
    return prepare(x_shape, result_shape, recipes, data_format, itemsize, parts)

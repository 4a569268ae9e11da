"""The operations of `numbaconv.functional` by the loops of `numbaconv.reference`: results and gradients.

Arrays are float64 and channels last: input, kernels, bias. Settings have the names that the functions give them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import reference, shapes
from ..calls.layouts import three
from ..layers import CenterCrop

# What `reference.kernel_shares` tells interpolations apart by.
RADIUS = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}
Array = np.ndarray


def settings_of(operation: str, shape: Sequence[int], kernel_size: Sequence[int] = (), **given: Any) -> tuple[Any, ...]:
    """What the reference's function takes after its arrays, for an input of this shape."""
    lengths = tuple(shape[1:-1])

    def each(name: str, default: Any = 1) -> tuple[int, ...]:
        value = given.get(name)
        return shapes.normalize_tuple(default if value is None else value, len(lengths), name, allow_zero=True)

    if operation == "upsample":
        size, kind = each("size"), given.get("interpolation", "nearest")
        if kind in ("nearest", "bilinear"):
            return (three(size, 1),)
        return shares_of(lengths, [n * s for n, s in zip(lengths, size, strict=True)], kind)
    if operation in ("crop", "zero_pad"):
        amounts = given["cropping" if operation == "crop" else "padding"]
        return _sides(shapes.normalize_pairs(amounts, len(lengths), "amounts"))
    pooled = operation.endswith("_pool")
    size = each("pool_size") if pooled else tuple(kernel_size)
    strides, dilation = each("strides", size if pooled else 1), each("dilation_rate")
    padding = given.get("padding", "valid")
    if operation == "conv_transpose":
        extra = [None] * len(size) if given.get("output_padding") is None else each("output_padding")
        axes = [(n, s, k, padding, p, d) for n, s, k, p, d in zip(lengths, strides, size, extra, dilation, strict=True)]
        crop, out = (tuple(f(*axis) for axis in axes) for f in (shapes.deconv_crop, shapes.deconv_length))
        return three(strides, 1), three(dilation, 1), three(crop, 0), three(out, 1)
    pairs = [
        shapes.conv_padding(n, k, padding, s, d) for n, k, s, d in zip(lengths, size, strides, dilation, strict=True)
    ]
    steps = (size, strides) if pooled else (strides, dilation)
    return three(steps[0], 1), three(steps[1], 1), *_sides(pairs)


def shares_of(
    lengths: Sequence[int], size: Sequence[int], interpolation: str, antialias: bool = False
) -> tuple[Array, ...]:
    """The matrices that resize images of these lengths, one for each of three axes."""

    def along(n: int, m: int) -> Array:
        if interpolation == "nearest":
            return reference.nearest_shares(n, m)
        if interpolation == "area":
            return reference.area_shares(n, m)
        return reference.kernel_shares(n, m, RADIUS[interpolation], antialias)

    shares: tuple[Array, ...] = three(tuple(along(n, m) for n, m in zip(lengths, size, strict=True)), np.ones((1, 1)))
    return shares


def resized(layer: Any, x: Array) -> tuple[Array, Callable[[Array], list[Array]]]:
    """What Resizing and CenterCrop make of images, and their way back: by matrices, the part that is read in place."""
    lengths, size = (x.shape[1], x.shape[2]), (layer.height, layer.width)
    settings = layer.get_config()
    if settings.get("pad_to_aspect_ratio"):
        padding = shapes.pad_to_aspect(lengths, size)
        inside = slice(None), *(slice(a, a + n) for n, (a, _) in zip(lengths, padding, strict=True))
        x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=layer.fill_value)
        lengths = (x.shape[1], x.shape[2])
    else:
        inside = (slice(None),)
    box = tuple((0, n) for n in lengths)
    kind, antialias = settings.get("interpolation", "bilinear"), settings.get("antialias", False)
    if isinstance(layer, CenterCrop) and min(n - m for n, m in zip(lengths, size, strict=True)) >= 0:
        box = tuple(((n - m) // 2, m) for n, m in zip(lengths, size, strict=True))
    elif isinstance(layer, CenterCrop) or settings["crop_to_aspect_ratio"]:
        box = shapes.crop_to_aspect(lengths, size)
    one, *axes = shares_of([n for _, n in box], size, kind, antialias)
    rows, columns = (
        np.pad(shares, ((0, 0), (start, whole - start - n)))
        for shares, (start, n), whole in zip(axes, box, lengths, strict=True)
    )
    out = reference.resize(x[:, None], one, rows, columns)[:, 0]
    return out, lambda grad: [reference.resize_grad(grad[:, None], one, rows, columns)[:, 0][inside]]


def result(operation: str, arrays: Sequence[Array], **given: Any) -> Array:
    """What the operation makes of the arrays."""
    name, operands, settings = _call(operation, arrays, given)
    out: Array = getattr(reference, name)(*operands, *settings)
    return out.reshape(len(out), *out.shape[6 - arrays[0].ndim :])


def gradients(operation: str, arrays: Sequence[Array], grad_out: Array, **given: Any) -> list[Array]:
    """The gradients of the arrays from that of the result."""
    name, (x, *weights), settings = _call(operation, arrays, given)
    (grad,) = _lifted([grad_out])
    kernels, places = weights[:-1], settings[:3]
    if name == "max_pool":
        found = [reference.max_pool_grad(x, grad, *places)]
    elif name == "average_pool":
        found = [reference.average_pool_grad(grad, x.shape[1:4], *places)]
    elif not kernels:
        found = [getattr(reference, f"{name}_grad")(grad, *settings)]
    elif name == "separable_conv":
        found = [*reference.separable_conv_grad(x, *kernels, grad, *places), reference.bias_grad(grad)]
    else:
        if name == "conv":
            places = (*places, x.shape[4] // kernels[0].shape[3])
        of_input = getattr(reference, f"{name}_input_grad")(grad, *kernels, x.shape[1:4], *places)
        of_kernel = getattr(reference, f"{name}_weight_grad")(x, grad, kernels[0].shape[:3], *places)
        found = [of_input, of_kernel, reference.bias_grad(grad)]
    return [gradient.reshape(array.shape) for gradient, array in zip(found, arrays, strict=True)]


def _call(operation: str, arrays: Sequence[Array], given: Any) -> tuple[str, list[Array], tuple[Any, ...]]:
    """The reference's function, its arrays, and what it takes after them."""
    name = operation
    if operation == "upsample":
        kind = given.get("interpolation", "nearest")
        name = f"upsample_{kind}" if kind in ("nearest", "bilinear") else "resize"
    kernel_size = arrays[1].shape[:-2] if arrays[1:] else ()
    return name, _lifted(arrays), settings_of(operation, arrays[0].shape, kernel_size, **given)


def _sides(pairs: Sequence[tuple[int, int]]) -> tuple[Any, ...]:
    """Amounts before and amounts after on three axes."""
    return tuple(three(side, 0) for side in zip(*pairs, strict=True))


def _lifted(arrays: Sequence[Array]) -> list[Array]:
    """Input, kernels and bias with three spatial axes, all in one order, as each other one would be compiled anew."""
    rank = arrays[0].ndim - 2
    return [
        np.ascontiguousarray(a if a.ndim == 1 else a.reshape(*a.shape[:k], *(1,) * (3 - rank), *a.shape[k:]))
        for a, k in zip(arrays, (1, 0, 0, 0), strict=False)
    ]

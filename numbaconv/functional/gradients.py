"""Gradients of the operations, for training without layers.

Let a loss depend on the result of an operation, and ``grad_out`` be its gradient with respect to that result. The
functions here give its gradient with respect to the input (``..._input_grad``) and to the weights
(``..._weight_grad``). Settings mean what they mean in the operation.
"""

from typing import Any

import numpy as np

from .. import shapes
from ..calls.gradients import GradientCall, conv_grad, depthwise_grad, transposed_grad
from ..calls.layouts import canonical, original, spatial
from ..calls.moving import upsample_grad_call
from ..calls.packed import Packed, operand_dtype
from ..calls.window import Window, window_of
from ..common.arguments import (
    as_numbers,
    cast,
    check_algorithm,
    check_data_format,
    check_groups,
    check_interpolation,
    check_shape,
    check_weights,
    common_dtype,
    spatial_rank,
)
from ..objects.docstrings import as_in
from .operations import (
    Ints,
    branches_to_pack,
    check_output_padding,
    conv,
    conv_transpose,
    crop,
    depthwise_conv,
    separable_conv,
    upsample,
    zero_pad,
)


@as_in(conv)
def conv_input_grad(
    grad_out: Any,
    weights: Any,
    x_shape: Ints,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
    algorithm: str = "auto",
) -> np.ndarray:
    """Gradient of `conv` with respect to its input, which is a transposed convolution of ``grad_out``.

    ``grad_x[n, i, c] = sum of grad_out[n, q, f] * weights[k, c, f]`` over f and all q, k with
    ``q*stride + k*dilation - before == i``.

    Parameters
    ----------
    grad_out : array_like, of the shape of the operation's result
    weights : array_like, as the operation takes them
    x_shape : tuple of int
        Shape of the operation's input: with strides, several lengths give the same output length.

    Returns
    -------
    ndarray, shape ``x_shape``
    """
    grad_out = as_numbers(grad_out, "grad_out")
    weights = check_weights(weights, "weights", operand_dtype(grad_out, weights=weights))
    window = window_of(weights.shape[:-2], strides, padding, dilation_rate, data_format)
    algorithm = check_algorithm(algorithm, window.kernel_size, window.strides)
    x_shape = _shape(x_shape, weights)
    call = conv_grad(x_shape, weights.shape, weights.itemsize, window, algorithm)
    branches = branches_to_pack(x_shape, weights, window.data_format)
    packed = Packed("conv_transpose", weights, (window.strides, window.dilation_rate), branches)
    return _input_grad(call, grad_out, packed, window.data_format)


@as_in(conv)
def conv_weight_grad(
    x: Any,
    grad_out: Any,
    kernel_size: Ints,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
    groups: int = 1,
    algorithm: str = "auto",
) -> np.ndarray:
    """Gradient of `conv` with respect to its weights.

    ``grad[k, c, f] = sum over n, q of x[n, q*stride + k*dilation - before, c] * grad_out[n, q, f]``, x being 0 outside.
    Where there are groups, c is the number of a channel within that of the filter.

    Parameters
    ----------
    x : array_like, the operation's input
    grad_out : array_like, of the shape of the operation's result
    kernel_size : int or tuple of int
    groups : int
        Groups of channels and filters; it divides the channels of ``x`` and ``grad_out``.
    algorithm : {"auto", "direct", "winograd"}
        "direct" is the formula as it stands. The others take Winograd's algorithm for kernels of 3x3 in float32 where
        it is faster, and the formula if the result is not finite, very large or very small, or if a value far above the
        others would leave an error of more than about 2e-5 of the largest gradient of a tap and channel.

    Returns
    -------
    ndarray, of the shape of the operation's weights
    """
    x, grad_out = _operands(x, grad_out)
    window = window_of(_size(kernel_size, x), strides, padding, dilation_rate, data_format)
    algorithm = check_algorithm(algorithm, window.kernel_size, window.strides)
    channels, filters = _channels(x, window), _channels(grad_out, window)
    groups = check_groups(groups, **{"channels of x": channels, "channels of grad_out": filters})
    weights_shape = (*window.kernel_size, channels // groups, filters)
    return _weight_grad(conv_grad(x.shape, weights_shape, x.itemsize, window, algorithm), x, grad_out, window)


@as_in(conv_input_grad)
def depthwise_conv_input_grad(
    grad_out: Any,
    weights: Any,
    x_shape: Ints,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
) -> np.ndarray:
    """Gradient of `depthwise_conv` with respect to its input; weights (*kernel_size, C, depth_multiplier).

    Otherwise as `conv_input_grad`, each channel meeting its own outputs only.
    """
    grad_out = as_numbers(grad_out, "grad_out")
    weights = check_weights(weights, "weights", operand_dtype(grad_out, weights=weights))
    window = window_of(weights.shape[:-2], strides, padding, dilation_rate, data_format)
    call = depthwise_grad(_shape(x_shape, weights), weights.shape, weights.itemsize, window)
    packed = Packed("depthwise_conv", weights, (window.strides, window.dilation_rate))
    return _input_grad(call, grad_out, packed, window.data_format)


@as_in(conv_weight_grad)
def depthwise_conv_weight_grad(
    x: Any,
    grad_out: Any,
    kernel_size: Ints,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
) -> np.ndarray:
    """Gradient of `depthwise_conv` with respect to its weights, shape (*kernel_size, C, depth_multiplier).

    Otherwise as `conv_weight_grad`, each channel meeting its own outputs only.
    """
    x, grad_out = _operands(x, grad_out)
    window = window_of(_size(kernel_size, x), strides, padding, dilation_rate, data_format)
    channels, filters = _channels(x, window), _channels(grad_out, window)
    if not channels or filters % channels:
        raise ValueError(f"grad_out must have a multiple of the {channels} channels of x, got {filters}")
    weights_shape = (*window.kernel_size, channels, filters // channels)
    return _weight_grad(depthwise_grad(x.shape, weights_shape, x.itemsize, window), x, grad_out, window)


@as_in(conv_weight_grad, separable_conv)
def separable_conv_grad(
    x: Any,
    depthwise_weights: Any,
    pointwise_weights: Any,
    grad_out: Any,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `separable_conv` with respect to its input, depthwise weights and pointwise weights.

    They are those of its two steps, of which the first is computed again.

    Returns
    -------
    tuple of ndarray
        Of the shapes of ``x``, ``depthwise_weights`` and ``pointwise_weights``.
    """
    x, grad_out = as_numbers(x, "x"), as_numbers(grad_out, "grad_out")
    depthwise = check_weights(depthwise_weights, "depthwise_weights")
    pointwise = check_weights(pointwise_weights, "pointwise_weights")
    window = strides, padding, dilation_rate, data_format
    between = depthwise_conv(x, depthwise, None, *window)
    ones = (1,) * (between.ndim - 2)
    grad_between = conv_input_grad(grad_out, pointwise, between.shape, data_format=data_format)
    grad_pointwise = conv_weight_grad(between, grad_out, ones, data_format=data_format)
    grad_x = depthwise_conv_input_grad(grad_between, depthwise, x.shape, *window)
    return grad_x, depthwise_conv_weight_grad(x, grad_between, depthwise.shape[:-2], *window), grad_pointwise


@as_in(conv_input_grad, conv_transpose)
def conv_transpose_input_grad(
    grad_out: Any,
    weights: Any,
    x_shape: Ints,
    strides: Ints = 1,
    padding: str = "valid",
    output_padding: Ints | None = None,
    dilation_rate: Ints = 1,
    data_format: str | None = None,
    algorithm: str = "auto",
) -> np.ndarray:
    """Gradient of `conv_transpose` with respect to its input, which is a convolution of ``grad_out``.

    ``grad_x[n, i, c] = sum over k, f of grad_out[n, i*stride + k*dilation - crop, f] * weights[k, f, c]``, grad_out
    being 0 outside.
    """
    grad_out = as_numbers(grad_out, "grad_out")
    weights = check_weights(weights, "weights", operand_dtype(grad_out, weights=weights))
    window = window_of(weights.shape[:-2], strides, padding, dilation_rate, data_format, ("valid", "same"))
    output_padding = check_output_padding(output_padding, window.rank)
    algorithm = check_algorithm(algorithm, window.kernel_size, window.strides)
    shape = _shape(x_shape, weights)
    call = transposed_grad(shape, weights.shape, weights.itemsize, window, output_padding, algorithm)
    return _input_grad(call, grad_out, Packed("conv", weights), window.data_format)


@as_in(conv_weight_grad, conv_transpose)
def conv_transpose_weight_grad(
    x: Any,
    grad_out: Any,
    kernel_size: Ints,
    strides: Ints = 1,
    padding: str = "valid",
    output_padding: Ints | None = None,
    dilation_rate: Ints = 1,
    data_format: str | None = None,
) -> np.ndarray:
    """Gradient of `conv_transpose` with respect to its weights, shape (*kernel_size, F, C).

    ``grad[k, f, c] = sum over n, i of grad_out[n, i*stride + k*dilation - crop, f] * x[n, i, c]``: `conv_weight_grad`
    with ``x`` and ``grad_out`` in each other's place.

    Parameters
    ----------
    padding : {"valid", "same"}
    """
    x, grad_out = _operands(x, grad_out)
    window = window_of(_size(kernel_size, x), strides, padding, dilation_rate, data_format, ("valid", "same"))
    weights_shape = (*window.kernel_size, _channels(grad_out, window), _channels(x, window))
    call = transposed_grad(
        x.shape, weights_shape, x.itemsize, window, check_output_padding(output_padding, window.rank)
    )
    return _weight_grad(call, x, grad_out, window)


def crop_grad(grad_out: Any, cropping: Any, data_format: str | None = None) -> np.ndarray:
    """Gradient of `crop`: what was cut off gets zeros, so it is `zero_pad`."""
    return zero_pad(_moved(grad_out), cropping, data_format)


def zero_pad_grad(grad_out: Any, padding: Any, data_format: str | None = None) -> np.ndarray:
    """Gradient of `zero_pad`: what was added is dropped, so it is `crop`."""
    return crop(_moved(grad_out), padding, data_format)


@as_in(conv_input_grad, upsample)
def upsample_grad(
    grad_out: Any, size: Ints, interpolation: str = "nearest", data_format: str | None = None
) -> np.ndarray:
    """Gradient of `upsample`: every position gathers from the outputs that it had a share in.

    Returns
    -------
    ndarray
        Of the lengths of ``grad_out`` divided by ``size``.
    """
    grad_out, data_format = as_numbers(grad_out, "grad_out"), check_data_format(data_format)
    rank = spatial_rank(grad_out, "grad_out")
    interpolation = check_interpolation(interpolation, rank)
    size = shapes.normalize_tuple(size, rank, "size")
    lengths = spatial(grad_out.shape, data_format)
    if any(n % s for n, s in zip(lengths, size, strict=True)):
        raise ValueError(f"grad_out must have lengths that are multiples of size {size}, got {lengths}")
    short = tuple(n // s for n, s in zip(lengths, size, strict=True))
    shape = grad_out.shape
    x_shape = (*shape[:2], *short) if data_format == "channels_first" else (shape[0], *short, shape[-1])
    dtype = common_dtype(grad_out)
    return upsample_grad_call(x_shape, size, interpolation, data_format, dtype.itemsize)(cast(grad_out, dtype))


def _moved(grad_out: Any) -> np.ndarray:
    """The gradient of an operation that moves values, checked before another operation calls it ``x``."""
    grad_out = as_numbers(grad_out, "grad_out")
    spatial_rank(grad_out, "grad_out")
    return grad_out


def _operands(x: Any, grad_out: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays in one dtype."""
    x, grad_out = as_numbers(x, "x"), as_numbers(grad_out, "grad_out")
    spatial_rank(x)
    dtype = operand_dtype(x, grad_out=grad_out)
    if grad_out.ndim != x.ndim:
        raise ValueError(f"grad_out must have {x.ndim} axes as x has, got shape {grad_out.shape}")
    return cast(x, dtype), cast(grad_out, dtype)


def _shape(x_shape: Any, weights: np.ndarray) -> tuple[int, ...]:
    """The shape of an input that these weights fit."""
    shape = check_shape(x_shape, "x_shape")
    if len(shape) != weights.ndim:
        raise ValueError(f"x_shape must have {weights.ndim} sizes as weights has axes, got {shape}")
    return shape


def _size(kernel_size: Any, x: np.ndarray) -> tuple[int, ...]:
    return shapes.normalize_tuple(kernel_size, x.ndim - 2, "kernel_size")


def _channels(array: np.ndarray, window: Window) -> int:
    return array.shape[1 if window.data_format == "channels_first" else -1]


def _check_grad(grad_out: np.ndarray, call: GradientCall) -> None:
    if grad_out.shape != call.grad_shape:
        raise ValueError(f"grad_out must have the shape of the result, {call.grad_shape}, got {grad_out.shape}")


def _input_grad(call: GradientCall, grad_out: np.ndarray, packed: Packed, data_format: str) -> np.ndarray:
    _check_grad(grad_out, call)
    image = call.input(canonical(cast(grad_out, packed.dtype), data_format), packed)
    return original(image, grad_out.ndim - 2, data_format)


def _weight_grad(call: GradientCall, x: np.ndarray, grad_out: np.ndarray, window: Window) -> np.ndarray:
    _check_grad(grad_out, call)
    return call.weights(canonical(x, window.data_format), canonical(grad_out, window.data_format))

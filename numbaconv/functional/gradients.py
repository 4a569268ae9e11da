"""Gradients of the operations, for training without layers.

Let a loss depend on the result of an operation, and ``grad_out`` be its gradient with respect to that result. The
functions here give its gradient with respect to the input (``..._input_grad``) and to the weights
(``..._weight_grad``). Settings mean what they mean in the operation.
"""

from typing import Any

import numpy as np

from .. import shapes
from ..calls.conv import spatial
from ..calls.gradients import GradientCall, conv_grad, depthwise_grad, transposed_grad
from ..calls.layouts import canonical, original
from ..calls.moving import upsample_grad_call
from ..calls.packed import Packed, operand_dtype
from ..common.arguments import (
    as_numbers,
    cast,
    check_algorithm,
    check_data_format,
    check_interpolation,
    check_shape,
    check_weights,
    common_dtype,
    spatial_rank,
)
from .operations import Ints, crop, depthwise_conv, window_settings, zero_pad


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
    grad_out : array_like, shape of the result of `conv`
    weights : array_like, shape (*kernel_size, C, F)
    x_shape : tuple of int
        Shape of the input of `conv`: with strides, several lengths give the same output length.
    strides, padding, dilation_rate, data_format, algorithm
        As in `conv`.

    Returns
    -------
    ndarray, shape ``x_shape``
    """
    grad_out, data_format = as_numbers(grad_out, "grad_out"), check_data_format(data_format)
    weights = check_weights(weights, "weights", operand_dtype(grad_out, weights=weights))
    window = window_settings(strides, padding, dilation_rate, weights.ndim - 2)
    algorithm = check_algorithm(algorithm, weights.shape[:-2], window[0])
    call = conv_grad(_shape(x_shape, weights), weights.shape, weights.itemsize, *window, data_format, algorithm)
    return _input_grad(call, grad_out, Packed("conv_transpose", weights, (window[0], window[2])), data_format)


def conv_weight_grad(
    x: Any,
    grad_out: Any,
    kernel_size: Ints,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
) -> np.ndarray:
    """Gradient of `conv` with respect to its weights.

    ``grad[k, c, f] = sum over n, q of x[n, q*stride + k*dilation - before, c] * grad_out[n, q, f]``, x being 0 outside.

    Parameters
    ----------
    x : array_like, the input of `conv`
    grad_out : array_like, shape of the result of `conv`
    kernel_size : int or tuple of int
    strides, padding, dilation_rate, data_format
        As in `conv`.

    Returns
    -------
    ndarray, shape (*kernel_size, C, F)
    """
    x, grad_out, data_format, rank = _operands(x, grad_out, data_format)
    weights_shape = (*_size(kernel_size, rank), _channels(x, data_format), _channels(grad_out, data_format))
    window = window_settings(strides, padding, dilation_rate, rank)
    return _weight_grad(conv_grad(x.shape, weights_shape, x.itemsize, *window, data_format), x, grad_out, data_format)


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
    grad_out, data_format = as_numbers(grad_out, "grad_out"), check_data_format(data_format)
    weights = check_weights(weights, "weights", operand_dtype(grad_out, weights=weights))
    window = window_settings(strides, padding, dilation_rate, weights.ndim - 2)
    call = depthwise_grad(_shape(x_shape, weights), weights.shape, weights.itemsize, *window, data_format)
    return _input_grad(call, grad_out, Packed("depthwise_conv", weights, (window[0], window[2])), data_format)


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
    x, grad_out, data_format, rank = _operands(x, grad_out, data_format)
    channels, filters = _channels(x, data_format), _channels(grad_out, data_format)
    if not channels or filters % channels:
        raise ValueError(f"grad_out must have a multiple of the {channels} channels of x, got {filters}")
    weights_shape = (*_size(kernel_size, rank), channels, filters // channels)
    window = window_settings(strides, padding, dilation_rate, rank)
    call = depthwise_grad(x.shape, weights_shape, x.itemsize, *window, data_format)
    return _weight_grad(call, x, grad_out, data_format)


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

    Parameters
    ----------
    grad_out : array_like, shape of the result of `conv_transpose`
    weights : array_like, shape (*kernel_size, F, C)
    x_shape : tuple of int
        Shape of the input of `conv_transpose`.
    strides, padding, output_padding, dilation_rate, data_format, algorithm
        As in `conv_transpose`.

    Returns
    -------
    ndarray, shape ``x_shape``
    """
    grad_out, data_format = as_numbers(grad_out, "grad_out"), check_data_format(data_format)
    weights = check_weights(weights, "weights", operand_dtype(grad_out, weights=weights))
    window = _transposed_settings(strides, padding, output_padding, dilation_rate, weights.ndim - 2)
    algorithm = check_algorithm(algorithm, weights.shape[:-2], window[0])
    call = transposed_grad(_shape(x_shape, weights), weights.shape, weights.itemsize, *window, data_format, algorithm)
    return _input_grad(call, grad_out, Packed("conv", weights), data_format)


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
    with ``x`` and ``grad_out`` in each other's place. The arguments are those of `conv_transpose_input_grad`.
    """
    x, grad_out, data_format, rank = _operands(x, grad_out, data_format)
    weights_shape = (*_size(kernel_size, rank), _channels(grad_out, data_format), _channels(x, data_format))
    window = _transposed_settings(strides, padding, output_padding, dilation_rate, rank)
    call = transposed_grad(x.shape, weights_shape, x.itemsize, *window, data_format)
    return _weight_grad(call, x, grad_out, data_format)


def crop_grad(grad_out: Any, cropping: Any, data_format: str | None = None) -> np.ndarray:
    """Gradient of `crop`: what was cut off gets zeros, so it is `zero_pad`."""
    return zero_pad(_moved(grad_out), cropping, data_format)


def zero_pad_grad(grad_out: Any, padding: Any, data_format: str | None = None) -> np.ndarray:
    """Gradient of `zero_pad`: what was added is dropped, so it is `crop`."""
    return crop(_moved(grad_out), padding, data_format)


def upsample_grad(
    grad_out: Any, size: Ints, interpolation: str = "nearest", data_format: str | None = None
) -> np.ndarray:
    """Gradient of `upsample`: every position gathers from the outputs that it had a share in.

    Parameters
    ----------
    grad_out : array_like, shape of the result of `upsample`
    size, interpolation, data_format
        As in `upsample`.

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
    batch, channels = grad_out.shape[0], _channels(grad_out, data_format)
    x_shape = (batch, channels, *short) if data_format == "channels_first" else (batch, *short, channels)
    dtype = common_dtype(grad_out)
    return upsample_grad_call(x_shape, size, interpolation, data_format, dtype.itemsize)(cast(grad_out, dtype))


def _moved(grad_out: Any) -> np.ndarray:
    """The gradient of an operation that moves values, checked before another operation calls it ``x``."""
    grad_out = as_numbers(grad_out, "grad_out")
    spatial_rank(grad_out, "grad_out")
    return grad_out


def _operands(x: Any, grad_out: Any, data_format: str | None) -> tuple[np.ndarray, np.ndarray, str, int]:
    """Both arrays in one dtype, the data format and the number of spatial axes."""
    x, grad_out = as_numbers(x, "x"), as_numbers(grad_out, "grad_out")
    rank, dtype = spatial_rank(x), operand_dtype(x, grad_out=grad_out)
    if grad_out.ndim != x.ndim:
        raise ValueError(f"grad_out must have {x.ndim} axes as x has, got shape {grad_out.shape}")
    return cast(x, dtype), cast(grad_out, dtype), check_data_format(data_format), rank


def _shape(x_shape: Any, weights: np.ndarray) -> tuple[int, ...]:
    """The shape of an input that these weights fit."""
    shape = check_shape(x_shape, "x_shape")
    if len(shape) != weights.ndim:
        raise ValueError(f"x_shape must have {weights.ndim} sizes as weights has axes, got {shape}")
    return shape


def _size(kernel_size: Any, rank: int) -> tuple[int, ...]:
    return shapes.normalize_tuple(kernel_size, rank, "kernel_size")


def _transposed_settings(
    strides: Any, padding: Any, output_padding: Any, dilation_rate: Any, rank: int
) -> tuple[tuple[int, ...], str, tuple[int, ...] | None, tuple[int, ...]]:
    strides, padding, dilation_rate = window_settings(strides, padding, dilation_rate, rank)
    if output_padding is not None:
        output_padding = shapes.normalize_tuple(output_padding, rank, "output_padding", allow_zero=True)
    return strides, shapes.normalize_padding(padding, ("valid", "same")), output_padding, dilation_rate


def _channels(array: np.ndarray, data_format: str) -> int:
    return array.shape[1 if data_format == "channels_first" else -1]


def _check_grad(grad_out: np.ndarray, call: GradientCall) -> None:
    if grad_out.shape != call.grad_shape:
        raise ValueError(f"grad_out must have the shape of the result, {call.grad_shape}, got {grad_out.shape}")


def _input_grad(call: GradientCall, grad_out: np.ndarray, packed: Packed, data_format: str) -> np.ndarray:
    _check_grad(grad_out, call)
    image = call.input(canonical(cast(grad_out, packed.dtype), data_format), packed)
    return original(image, grad_out.ndim - 2, data_format)


def _weight_grad(call: GradientCall, x: np.ndarray, grad_out: np.ndarray, data_format: str) -> np.ndarray:
    _check_grad(grad_out, call)
    return call.weights(canonical(x, data_format), canonical(grad_out, data_format))

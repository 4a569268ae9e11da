"""What is right, by the textbook: `numbaconv.shapes` and `numbaconv.reference` with the arguments of the exercises."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import shapes
from ..selfcheck.textbook import gradients, result

Array = np.ndarray


def output_length(n: int, taps: int, stride: int) -> int:
    return shapes.conv_output_length(n, taps, "valid", stride) if n >= taps else 0


def same_padding(n: int, taps: int, stride: int) -> tuple[int, int]:
    return shapes.conv_padding(n, taps, "same", stride)


def conv2d(x: Array, weights: Array, bias: Any = 0, strides: tuple[int, int] = (1, 1)) -> Array:
    return _of_one("conv", x, weights, np.zeros(weights.shape[-1]) + bias, strides=strides)


def conv2d_strided(x: Array, weights: Array, strides: tuple[int, int]) -> Array:
    return conv2d(x[..., None], weights[..., None, None], strides=strides)[..., 0]


def conv1d(x: Array, weights: Array, stride: int = 1, dilation: int = 1, padding: str = "valid") -> Array:
    return _of_one("conv", *_line(x, weights), strides=stride, dilation_rate=dilation, padding=padding)[:, 0]


def conv1d_dilated(x: Array, weights: Array, dilation: int) -> Array:
    return conv1d(x, weights, dilation=dilation)


def causal(x: Array, weights: Array, dilation: int) -> Array:
    return conv1d(x, weights, dilation=dilation, padding="causal")


def conv1d_transpose(x: Array, weights: Array, stride: int) -> Array:
    return _of_one("conv_transpose", *_line(x, weights), strides=stride)[:, 0]


def depthwise(x: Array, weights: Array) -> Array:
    return _of_one("depthwise_conv", x, weights[..., None], np.zeros(x.shape[-1]))


def separable(x: Array, depthwise_weights: Array, pointwise_weights: Array) -> Array:
    return conv2d(depthwise(x, depthwise_weights), pointwise_weights[None, None])


def max_pool(x: Array, size: int, stride: int) -> Array:
    return _of_one("max_pool", x, pool_size=size, strides=stride)


def average_pool(x: Array, size: int, stride: int) -> Array:
    return _of_one("average_pool", x[:, None], pool_size=size, strides=stride, padding="same")[:, 0]


def slopes(f: Callable[[Array], float], x: Array, steps: tuple[float, ...] = (1e-2, 2e-2)) -> Array:
    """Two differences, extrapolated (Richardson, 1911): exact up to the fourth power of the step."""
    out = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        one = np.zeros(x.shape)
        one[place] = 1
        near, far = ((f(x + h * one) - f(x - h * one)) / (2 * h) for h in steps)
        out[place] = (4 * near - far) / 3
    return out


def input_gradient(grad: Array, weights: Array, n: int, stride: int) -> Array:
    return gradients("conv", _batched(*_line(np.zeros(n), weights)), grad[None, :, None], strides=stride)[0].ravel()


def weight_gradient(x: Array, grad: Array, taps: int, stride: int) -> Array:
    return gradients("conv", _batched(*_line(x, np.zeros(taps))), grad[None, :, None], strides=stride)[1].ravel()


def im2col(x: Array, kernel_h: int, kernel_w: int) -> Array:
    """A convolution with a filter for each value of the window, which takes that value alone."""
    size = kernel_h * kernel_w * x.shape[2]
    return conv2d(x, np.eye(size).reshape(kernel_h, kernel_w, -1, size)).reshape(-1, size)


def conv(x: Array, weights: Array, out: Array) -> Array:
    return conv2d(x, weights)


def two_outputs(d: Array, g: Array) -> Array:
    return conv1d(d, g)


def four_outputs(d: Array, g: Array) -> Array:
    return conv2d_strided(d, g, (1, 1))


def residual_block(
    x: Array,
    first: Array,
    first_bias: Array,
    second: Array,
    second_bias: Array,
    projection: Array | None = None,
    strides: int = 1,
) -> Array:
    y = np.maximum(_same(x, first, first_bias, strides), 0)
    shortcut = x if projection is None else _same(x, projection, np.zeros(first.shape[-1]), strides)
    return np.maximum(_same(y, second, second_bias, 1) + shortcut, 0)


def _same(x: Array, weights: Array, bias: Array, stride: int) -> Array:
    return result("conv", [x, weights, bias], strides=stride, padding="same")


def _of_one(operation: str, x: Array, *weights: Array, **settings: Any) -> Array:
    """What an operation makes of one example, without the batch axis."""
    return result(operation, _batched(x, *weights), **settings)[0]


def _batched(x: Array, *weights: Array) -> list[Array]:
    return [np.asarray(array, float) for array in (x[None], *weights)]


def _line(x: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Numbers along one axis, with one channel, weights with one filter, and no bias."""
    return x[:, None], weights[:, None, None], np.zeros(1)

"""What is right, by the textbook: `numbaconv.shapes` and `numbaconv.reference` with the arguments of the exercises."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import reference, shapes

Array = np.ndarray
ONES, NONE = (1, 1, 1), (0, 0, 0)


def output_length(n: int, taps: int, stride: int) -> int:
    return shapes.conv_output_length(n, taps, "valid", stride) if n >= taps else 0


def same_padding(n: int, taps: int, stride: int) -> tuple[int, int]:
    return shapes.conv_padding(n, taps, "same", stride)


def conv2d(x: Array, weights: Array, bias: Any = 0, strides: tuple[int, int] = (1, 1)) -> Array:
    bias = np.zeros(weights.shape[-1]) + bias
    weights = np.ascontiguousarray(weights[None], float)
    return reference.conv(_volume(x), weights, bias, (1, *strides), ONES, NONE, NONE)[0, 0]


def conv2d_strided(x: Array, weights: Array, strides: tuple[int, int]) -> Array:
    return conv2d(x[..., None], weights[..., None, None], strides=strides)[..., 0]


def conv1d(x: Array, weights: Array, stride: int = 1, dilation: int = 1, before: int = 0) -> Array:
    steps = (1, 1, stride), (1, 1, dilation), (0, 0, before), NONE
    return reference.conv(_line(x), _line(weights)[0, ..., None], np.zeros(1), *steps).ravel()


def conv1d_dilated(x: Array, weights: Array, dilation: int) -> Array:
    return conv1d(x, weights, dilation=dilation)


def causal(x: Array, weights: Array, dilation: int) -> Array:
    return conv1d(x, weights, dilation=dilation, before=(len(weights) - 1) * dilation)


def conv1d_transpose(x: Array, weights: Array, stride: int) -> Array:
    length = shapes.deconv_length(len(x), stride, len(weights), "valid", None)
    operands = _line(x), _line(weights)[0, ..., None], np.zeros(1)
    return reference.conv_transpose(*operands, (1, 1, stride), ONES, NONE, (1, 1, length)).ravel()


def depthwise(x: Array, weights: Array) -> Array:
    operands = _volume(x), weights[None, ..., None], np.zeros(x.shape[-1])
    return reference.depthwise_conv(*operands, ONES, ONES, NONE, NONE)[0, 0]


def separable(x: Array, depthwise_weights: Array, pointwise_weights: Array) -> Array:
    return conv2d(depthwise(x, depthwise_weights), pointwise_weights[None, None])


def max_pool(x: Array, size: int, stride: int) -> Array:
    return reference.max_pool(_volume(x), (1, size, size), (1, stride, stride), NONE, NONE)[0, 0]


def average_pool(x: Array, size: int, stride: int) -> Array:
    before, after = same_padding(len(x), size, stride)
    steps = (1, 1, size), (1, 1, stride), (0, 0, before), (0, 0, after)
    return reference.average_pool(_line(x), *steps).ravel()


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
    operands = _line(grad), _line(weights)[0, ..., None]
    return reference.conv_input_grad(*operands, (1, 1, n), (1, 1, stride), ONES, NONE).ravel()


def weight_gradient(x: Array, grad: Array, taps: int, stride: int) -> Array:
    return reference.conv_weight_grad(_line(x), _line(grad), (1, 1, taps), (1, 1, stride), ONES, NONE).ravel()


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
    sides = [same_padding(n, weights.shape[0], stride) for n in x.shape[1:3]]
    before, after = ((0, *(side[i] for side in sides)) for i in (0, 1))
    return reference.conv(x[:, None], weights[None], bias, (1, stride, stride), ONES, before, after)[:, 0]


def _volume(x: Array) -> Array:
    """An image (H, W, C) as the reference takes it: (1, 1, H, W, C)."""
    return np.ascontiguousarray(x[None, None], float)


def _line(x: Array) -> Array:
    """The same for numbers along one axis, with one channel."""
    return _volume(x[None, :, None])

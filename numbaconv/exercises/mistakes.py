"""Errors that many make at first: what to say of each, and the function that makes it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import answers

Array = np.ndarray
TURNED = "Your kernel is turned round: weights[0] belongs to the first input of each window, not to the last."


def _rounded_up(n: int, taps: int, stride: int) -> int:
    return max(0, -(-(n - taps) // stride) + 1)


def _ahead(x: Array, weights: Array, dilation: int) -> Array:
    return answers.conv1d_dilated(np.append(x, np.zeros((len(weights) - 1) * dilation)), weights, dilation)


def _overwritten(x: Array, weights: Array, stride: int) -> Array:
    out = np.zeros_like(answers.conv1d_transpose(x, weights, stride))
    for i, value in enumerate(x):
        out[i * stride : i * stride + len(weights)] = value * weights
    return out


def _added_up(x: Array, weights: Array) -> Array:
    out = answers.depthwise(x, weights)
    return out * 0 + out.sum(-1, keepdims=True)


def _largest_of_all(x: Array, size: int, stride: int) -> Array:
    out = answers.max_pool(x, size, stride)
    return np.broadcast_to(out.max(-1, keepdims=True), out.shape)


def _zeros_count(x: Array, size: int, stride: int) -> Array:
    before, after = answers.same_padding(len(x), size, stride)
    return answers.conv1d(np.pad(x, (before, after)), np.full(size, 1 / size), stride)


def _one_sided(f: Callable[[Array], float], x: Array, step: float = 1e-4) -> Array:
    out = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up = x.copy()
        up[place] += step
        out[place] = (f(up) - f(x)) / step
    return out


def _channels_first(x: Array, kernel_h: int, kernel_w: int) -> Array:
    rows = answers.im2col(x, kernel_h, kernel_w)
    return rows.reshape(len(rows), -1, x.shape[2]).swapaxes(1, 2).reshape(rows.shape)


def _without_shortcut(x: Array, first: Array, *others: Any) -> Array:
    first_bias, second, second_bias, _, strides = others
    nothing = np.zeros((1, 1, x.shape[-1], first.shape[-1]))
    return answers.residual_block(x, first, first_bias, second, second_bias, nothing, strides)


# Of each exercise. The functions take what the learner's takes.
MISTAKES: dict[str, dict[str, Callable[..., Any]]] = {
    "ex01_output_length": {
        "You counted the steps between the places. There is one place more than there are steps.": (
            lambda n, taps, stride: max(0, (n - taps) // stride)
        ),
        "A kernel that is longer than the input fits nowhere: there is no negative number of places.": (
            lambda n, taps, stride: (n - taps) // stride + 1
        ),
        "You rounded up. A window that begins inside the input and reaches beyond its end does not count.": _rounded_up,
    },
    "ex02_same_padding": {
        "If the number of zeros is odd, the end gets the larger part.": (
            lambda n, taps, stride: answers.same_padding(n, taps, stride)[::-1]
        ),
        "That is right for stride 1. A longer stride needs fewer zeros: see where the last window ends.": (
            lambda n, taps, stride: answers.same_padding(n, taps, 1)
        ),
    },
    "ex03_convolution": {TURNED: lambda x, weights: answers.conv1d(x, weights[::-1])},
    "ex04_channels": {
        "The bias is missing.": lambda x, weights, bias: answers.conv2d(x, weights),
        "The kernel is turned round: weights[0, 0] belongs to the pixel at the top left of each window.": (
            lambda x, weights, bias: answers.conv2d(x, weights[::-1, ::-1], bias)
        ),
    },
    "ex05_strides": {
        "The strides are exchanged: the first is that of the rows.": (
            lambda x, weights, strides: answers.conv2d_strided(x, weights, strides[::-1])
        ),
    },
    "ex06_dilation": {
        TURNED: lambda x, weights, dilation: answers.conv1d_dilated(x, weights[::-1], dilation),
        "The gaps belong between the taps. Yours lie between the windows: that is a stride.": (
            lambda x, weights, dilation: answers.conv1d(x, weights, dilation)
        ),
    },
    "ex07_causal": {
        "The kernel is turned round: its last weight belongs to the input at the output's own place.": (
            lambda x, weights, dilation: answers.causal(x, weights[::-1], dilation)
        ),
        "You look ahead: all zeros belong before the input, none after it.": _ahead,
    },
    "ex08_transposed": {"Where copies overlap they add up. Yours replace one another.": _overwritten},
    "ex09_depthwise": {"You added the channels up. Here each of them stays by itself.": _added_up},
    "ex10_separable": {
        "The weights of the second step are exchanged: rows are channels, columns are filters.": (
            lambda x, first, second: answers.separable(x, first, second.T)
        ),
    },
    "ex11_max_pooling": {"You took the largest of all channels. Each of them stays by itself.": _largest_of_all},
    "ex12_average_pooling": {
        "Places outside the input count in yours: divide by the number of inputs in the window.": _zeros_count,
    },
    "ex13_finite_differences": {"You moved to one side only. To both sides, the error is far smaller.": _one_sided},
    "ex14_input_gradient": {
        "The kernel is turned round: grad[o] goes to x[o * stride + k] with weights[k].": (
            lambda grad, weights, n, stride: answers.input_gradient(grad, weights[::-1], n, stride)
        ),
    },
    "ex15_weight_gradient": {
        "The result is turned round: its first number belongs to the first tap.": (
            lambda x, grad, taps, stride: answers.weight_gradient(x, grad, taps, stride)[::-1]
        ),
    },
    "ex16_im2col": {"Channels come last within a row, as in the weights. Yours come first.": _channels_first},
    "ex23_residual_block": {
        "The shortcut is missing.": _without_shortcut,
    },
}

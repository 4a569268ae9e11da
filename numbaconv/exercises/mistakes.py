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


def _both_sides(x: Array, weights: Array, dilation: int) -> Array:
    zeros = (len(weights) - 1) * dilation
    return answers.conv1d_dilated(np.pad(x, (zeros // 2, zeros - zeros // 2)), weights, dilation)


def _from_the_end(x: Array, weights: Array, dilation: int) -> Array:
    taps = range(len(weights))
    return np.array([sum(x[o - k * dilation] * weights[-1 - k] for k in taps) for o in range(len(x))])


def _outputs_rounded_down(n: int, taps: int, stride: int) -> tuple[int, int]:
    zeros = max(0, (n // stride - 1) * stride + taps - n)
    return zeros // 2, zeros - zeros // 2


def _negative_zeros(n: int, taps: int, stride: int) -> tuple[int, int]:
    zeros = (-(-n // stride) - 1) * stride + taps - n
    return zeros // 2, zeros - zeros // 2


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


def _not_divided(x: Array, size: int, stride: int) -> Array:
    return _zeros_count(x, size, stride) * size


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


def _columns_first(x: Array, kernel_h: int, kernel_w: int) -> Array:
    rows = answers.im2col(x, kernel_h, kernel_w)
    return rows.reshape(len(rows), kernel_h, kernel_w, -1).swapaxes(1, 2).reshape(rows.shape)


def _down_first(x: Array, kernel_h: int, kernel_w: int) -> Array:
    rows = answers.im2col(x, kernel_h, kernel_w)
    return rows.reshape(x.shape[0] - kernel_h + 1, -1, rows.shape[1]).swapaxes(0, 1).reshape(rows.shape)


def _in_images(b: Array, g: Array, a: Array) -> Callable[[Array, Array], Array]:
    return lambda d, kernel: a.T @ ((g @ kernel @ g.T) * (b.T @ d @ b)) @ a


# The matrices of exercise 22.
B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]).T
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]]).T


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
        "You rounded the number of outputs down: it is ceil(n / stride).": _outputs_rounded_down,
        "A stride longer than the kernel may need no zeros: there is no negative number of them.": _negative_zeros,
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
        )
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
        'Half of your zeros stand after the input, as with "same". Here all of them stand before it.': _both_sides,
        "Inputs before the first are 0. In Python x[-1] is the last one: negative places count from the end.": (
            _from_the_end
        ),
        "The taps lie next to each other in yours. Here they lie ``dilation`` inputs apart.": (
            lambda x, weights, dilation: answers.causal(x, weights, 1)
        ),
    },
    "ex08_transposed": {
        "Where copies overlap they add up. Yours replace one another.": _overwritten,
        "The kernel is turned round: x[i] goes to out[i * stride + k] with weights[k].": (
            lambda x, weights, stride: answers.conv1d_transpose(x, weights[::-1], stride)
        ),
    },
    "ex09_depthwise": {"You added the channels up. Here each of them stays by itself.": _added_up},
    "ex10_separable": {
        "The weights of the second step are exchanged: rows are channels, columns are filters.": (
            lambda x, first, second: answers.separable(x, first, second.T)
        )
    },
    "ex11_max_pooling": {"You took the largest of all channels. Each of them stays by itself.": _largest_of_all},
    "ex12_average_pooling": {
        "Places outside the input count in yours: divide by the number of inputs in the window.": _zeros_count,
        "Those are sums. Divide each by the number of inputs in its window.": _not_divided,
    },
    "ex13_finite_differences": {"You moved to one side only. To both sides, the error is far smaller.": _one_sided},
    "ex14_input_gradient": {
        "The kernel is turned round: grad[o] goes to x[o * stride + k] with weights[k].": (
            lambda grad, weights, n, stride: answers.input_gradient(grad, weights[::-1], n, stride)
        )
    },
    "ex15_weight_gradient": {
        "The result is turned round: its first number belongs to the first tap.": (
            lambda x, grad, taps, stride: answers.weight_gradient(x, grad, taps, stride)[::-1]
        )
    },
    "ex16_im2col": {
        "Channels come last within a row, as in the weights. Yours come first.": _channels_first,
        "Within a row kh comes first, then kw: a window is read line by line. Yours is read column by column.": (
            _columns_first
        ),
        "The windows are in another order: first all of the image's first row, from left to right.": _down_first,
    },
    "ex22_winograd_2d": {
        "The halves are missing: products 1 and 2 have them, and they fit in G.": _in_images(
            B, np.ceil(np.abs(G)) * np.sign(G), A
        ),
        "Matrix B is turned over: each *row* of B.T makes one of the sums of d, the first d[0] - d[2].": _in_images(
            B.T, G, A
        ),
        "Between (G @ g @ G.T) and (B.T @ d @ B) stands *, number by number, not @.": (
            lambda d, g: A.T @ ((G @ g @ G.T) @ (B.T @ d @ B)) @ A
        ),
    },
    "ex23_residual_block": {"The shortcut is missing.": _without_shortcut},
}

"""The gradients of the seven operations as textbook loops; the package says how to read them.

Training asks how a loss L, a single number, changes with every input and every weight. Going backwards through the
network, each operation is handed ``grad_out = dL/d out``, an array of the shape of its output, and answers with
``dL/dx`` and ``dL/d weights``, of the shapes of x and of the weights.

Why the loops look like those of the operation: all that an operation does is to add products ``x[i] * weights[k]`` to
``out[o]``. Raising x[i] by a little raises out[o] by weights[k] times as much, and L by ``weights[k] * grad_out[o]``
times as much. So a gradient goes through the very same products, and what x gave to out, grad_out gives back::

    grad_x[i]       += weights[k] * grad_out[o]
    grad_weights[k] += x[i] * grad_out[o]

In the words of linear algebra, out is linear in x while the weights are held, ``out = A x``, and linear in the weights
while x is held. The gradient with respect to x is ``A^T grad_out``. The transpose, or adjoint, is the one map with
``<A x, g> == <x, A^T g>`` for every x and g, where ``<a, b>`` sums the products of equal places; the tests hold every
gradient to that equation. Where the transpose of one operation is another operation, the gradient is a call of that.

A separable convolution is a chain of two: its gradients are those of the two steps, the last step first.
"""

import numpy as np

from .compiled import njit
from .operations import Array, Triple, _source_position, _tent, conv, conv_transpose, crop, depthwise_conv, zero_pad


@njit
def _padding_after(
    lengths: Triple, out_lengths: Triple, kernel_size: Triple, strides: Triple, dilation: Triple, before: Triple
) -> Triple:
    """Find the padding behind each axis with which `conv` makes `out_lengths`: below 0, the axis ends early."""
    after_d = (out_lengths[0] - 1) * strides[0] + (kernel_size[0] - 1) * dilation[0] + 1 - before[0] - lengths[0]
    after_h = (out_lengths[1] - 1) * strides[1] + (kernel_size[1] - 1) * dilation[1] + 1 - before[1] - lengths[1]
    after_w = (out_lengths[2] - 1) * strides[2] + (kernel_size[2] - 1) * dilation[2] + 1 - before[2] - lengths[2]
    return after_d, after_h, after_w


@njit
def bias_grad(grad_out: Array) -> Array:
    """Sum what comes back to each channel: the gradient of every bias.

    ``grad_bias[f] = sum over n, o of grad_out[n, o, f]``
    """
    batch, out_d, out_h, out_w, F = grad_out.shape
    grad_bias = np.zeros(F)
    for n in range(batch):
        for od in range(out_d):
            for oh in range(out_h):
                for ow in range(out_w):
                    for f in range(F):
                        grad_bias[f] += grad_out[n, od, oh, ow, f]
    return grad_bias


@njit
def conv_input_grad(
    grad_out: Array,
    weights: Array,
    in_lengths: Triple,
    strides: Triple,
    dilation: Triple,
    before: Triple,
    groups: int = 1,
) -> Array:
    """Send every output's gradient back through the kernel: `conv_transpose` with the same weights.

    ``grad_x[o * stride + k * dilation - before, c] += weights[k, c, f] * grad_out[o, f]``

    The weights serve as they are: C is the outputs of `conv_transpose`, and it has those before its inputs. Every group
    is a convolution by itself.
    """
    C, F = weights.shape[3], weights.shape[4] // groups
    grad_x = np.empty((len(grad_out), in_lengths[0], in_lengths[1], in_lengths[2], groups * C))
    for group in range(groups):
        grad = np.ascontiguousarray(grad_out[..., group * F : (group + 1) * F])
        kernel = np.ascontiguousarray(weights[..., group * F : (group + 1) * F])
        part = conv_transpose(grad, kernel, np.zeros(C), strides, dilation, before, in_lengths)
        # An assignment to all of them at once would take seconds more to compile: its error message is put together.
        for (n, d, h, w, c), value in np.ndenumerate(part):
            grad_x[n, d, h, w, group * C + c] = value
    return grad_x


@njit
def conv_weight_grad(
    x: Array, grad_out: Array, kernel_size: Triple, strides: Triple, dilation: Triple, before: Triple, groups: int = 1
) -> Array:
    """Collect for every weight the inputs that it met, times the gradients of the outputs to which it took them.

    ``grad_weights[k, c, f] = sum over n, o of x[n, o * stride + k * dilation - before, c] * grad_out[n, o, f]``

    This is x convolved with grad_out, strides and dilation having changed places, and so have batch and channels. With
    groups, c is the number of a channel within that of filter f.
    """
    batch, D, H, W, _ = x.shape
    _, out_d, out_h, out_w, F = grad_out.shape
    kernel_d, kernel_h, kernel_w = kernel_size
    C = x.shape[4] // groups
    grad_weights = np.zeros((kernel_d, kernel_h, kernel_w, C, F))
    for n in range(batch):
        for od in range(out_d):
            for oh in range(out_h):
                for ow in range(out_w):
                    for kd in range(kernel_d):
                        d = od * strides[0] + kd * dilation[0] - before[0]
                        for kh in range(kernel_h):
                            h = oh * strides[1] + kh * dilation[1] - before[1]
                            for kw in range(kernel_w):
                                w = ow * strides[2] + kw * dilation[2] - before[2]
                                if 0 <= d < D and 0 <= h < H and 0 <= w < W:
                                    for c in range(C):
                                        for f in range(F):
                                            seen = f // (F // groups) * C + c
                                            grad_weights[kd, kh, kw, c, f] += (
                                                x[n, d, h, w, seen] * grad_out[n, od, oh, ow, f]
                                            )
    return grad_weights


@njit
def depthwise_conv_input_grad(
    grad_out: Array, weights: Array, in_lengths: Triple, strides: Triple, dilation: Triple, before: Triple
) -> Array:
    """Send the gradients of a channel's M outputs back to that channel through its M kernels: `conv_input_grad`.

    ``grad_x[o * stride + k * dilation - before, c] += weights[k, c, m] * grad_out[o, c * M + m]``
    """
    C = weights.shape[3]
    kernel = weights.reshape((*weights.shape[:3], 1, grad_out.shape[4]))
    return conv_input_grad(grad_out, kernel, in_lengths, strides, dilation, before, C)


@njit
def depthwise_conv_weight_grad(
    x: Array, grad_out: Array, kernel_size: Triple, strides: Triple, dilation: Triple, before: Triple
) -> Array:
    """Collect for every weight what it met in its own channel, times the gradients of its outputs: `conv_weight_grad`.

    ``grad_weights[k, c, m] = sum over n, o of x[n, o * stride + k * dilation - before, c] * grad_out[n, o, c * M + m]``
    """
    C = x.shape[4]
    grad_weights = conv_weight_grad(x, grad_out, kernel_size, strides, dilation, before, C)
    return grad_weights.reshape((*kernel_size, C, grad_out.shape[4] // C))


@njit
def separable_conv_grad(
    x: Array, depthwise: Array, pointwise: Array, grad_out: Array, strides: Triple, dilation: Triple, before: Triple
) -> tuple[Array, Array, Array]:
    """Go back through the mixing of the channels, then through their filters.

    With ``filtered = depthwise_conv(x, depthwise)``, `conv_input_grad` of the 1x1x1 convolution gives dL/d filtered,
    which is the grad_out of the depthwise step. The result is the gradients of x, depthwise and pointwise.
    """
    ones, zeros = (1, 1, 1), (0, 0, 0)
    in_lengths, out_lengths, kernel_size = x.shape[1:4], grad_out.shape[1:4], depthwise.shape[:3]
    no_bias = np.zeros(pointwise.shape[3])
    after = _padding_after(in_lengths, out_lengths, kernel_size, strides, dilation, before)
    filtered = depthwise_conv(x, depthwise, no_bias, strides, dilation, before, after)
    grad_pointwise = conv_weight_grad(filtered, grad_out, ones, ones, ones, zeros)
    grad_filtered = conv_input_grad(grad_out, pointwise, out_lengths, ones, ones, zeros)
    grad_depthwise = depthwise_conv_weight_grad(x, grad_filtered, kernel_size, strides, dilation, before)
    grad_x = depthwise_conv_input_grad(grad_filtered, depthwise, in_lengths, strides, dilation, before)
    return grad_x, grad_depthwise, grad_pointwise


@njit
def conv_transpose_input_grad(
    grad_out: Array, weights: Array, in_lengths: Triple, strides: Triple, dilation: Triple, crop_before: Triple
) -> Array:
    """Gather where each input was scattered: `conv` with the same weights, padded by what had been cropped.

    ``grad_x[i, c] = sum over k, f of weights[k, f, c] * grad_out[i * stride + k * dilation - crop_before, f]``
    """
    no_bias = np.zeros(weights.shape[4])
    after = _padding_after(grad_out.shape[1:4], in_lengths, weights.shape[:3], strides, dilation, crop_before)
    return conv(grad_out, weights, no_bias, strides, dilation, crop_before, after)


@njit
def conv_transpose_weight_grad(
    x: Array, grad_out: Array, kernel_size: Triple, strides: Triple, dilation: Triple, crop_before: Triple
) -> Array:
    """Collect for every weight what it scattered: `conv_weight_grad` with x and grad_out in each other's place.

    ``grad_weights[k, f, c] = sum over n, i of grad_out[n, i * stride + k * dilation - crop_before, f] * x[n, i, c]``
    """
    return conv_weight_grad(grad_out, x, kernel_size, strides, dilation, crop_before)


@njit
def crop_grad(grad_out: Array, before: Triple, after: Triple) -> Array:
    """Give back 0 to what was cut off: `zero_pad`.

    ``grad_x[o + before] = grad_out[o]``, and 0 elsewhere
    """
    return zero_pad(grad_out, before, after)


@njit
def zero_pad_grad(grad_out: Array, before: Triple, after: Triple) -> Array:
    """Drop what would go back to the zeros: `crop`.

    ``grad_x[i] = grad_out[i + before]``
    """
    return crop(grad_out, before, after)


@njit
def upsample_nearest_grad(grad_out: Array, size: Triple) -> Array:
    """Sum over the copies of each position: what `depthwise_conv` does with strides `size` and `size` weights of 1.

    ``grad_x[o // size] += grad_out[o]``
    """
    batch, out_d, out_h, out_w, C = grad_out.shape
    grad_x = np.zeros((batch, out_d // size[0], out_h // size[1], out_w // size[2], C))
    for n in range(batch):
        for od in range(out_d):
            for oh in range(out_h):
                for ow in range(out_w):
                    for c in range(C):
                        grad_x[n, od // size[0], oh // size[1], ow // size[2], c] += grad_out[n, od, oh, ow, c]
    return grad_x


@njit
def upsample_bilinear_grad(grad_out: Array, size: Triple) -> Array:
    """Share each output's gradient among the neighbours that it was interpolated from, by the same weights.

    With i the whole part and f the rest of output o's position between the inputs, as in `upsample_bilinear`,

    ``grad_x[i] += (1 - f) * grad_out[o]`` and ``grad_x[i + 1] += f * grad_out[o]``

    and a weight of zero gives nothing.
    """
    batch, out_d, out_h, out_w, C = grad_out.shape
    D, H, W = out_d // size[0], out_h // size[1], out_w // size[2]
    grad_x = np.zeros((batch, D, H, W, C))
    for n in range(batch):
        for od in range(out_d):
            at_d = _source_position(od, size[0], D)
            for oh in range(out_h):
                at_h = _source_position(oh, size[1], H)
                for ow in range(out_w):
                    at_w = _source_position(ow, size[2], W)
                    for d in range(int(at_d), int(at_d) + 2):
                        for h in range(int(at_h), int(at_h) + 2):
                            for w in range(int(at_w), int(at_w) + 2):
                                weight = _tent(at_d - d) * _tent(at_h - h) * _tent(at_w - w)
                                if weight > 0.0:
                                    for c in range(C):
                                        grad_x[n, d, h, w, c] += weight * grad_out[n, od, oh, ow, c]
    return grad_x

"""Pooling and its gradients as textbook loops; the package says how to read them.

A window has to hold at least one input position, which "valid" and "same" see to.
"""

import numpy as np

from .compiled import njit
from .operations import Array, Triple, _conv_length


@njit
def _largest(x: Array, n: int, c: int, output: Triple, size: Triple, strides: Triple, before: Triple) -> Triple:
    """Find the position of the first largest value in a window; a NaN is larger than anything."""
    place = (-1, -1, -1)
    best = 0.0
    for kd in range(size[0]):
        d = output[0] * strides[0] + kd - before[0]
        for kh in range(size[1]):
            h = output[1] * strides[1] + kh - before[1]
            for kw in range(size[2]):
                w = output[2] * strides[2] + kw - before[2]
                if 0 <= d < x.shape[1] and 0 <= h < x.shape[2] and 0 <= w < x.shape[3]:
                    value = x[n, d, h, w, c]
                    if place[0] < 0 or value > best or (np.isnan(value) and not np.isnan(best)):
                        place, best = (d, h, w), value
    return place


@njit
def max_pool(x: Array, size: Triple, strides: Triple, before: Triple, after: Triple) -> Array:
    """Keep the largest value under each window (Keras: MaxPooling1D, MaxPooling2D, MaxPooling3D).

    ``out[o, c] = max over k of x[o * stride + k - before, c]``, and NaN where the window holds one

    Parameters
    ----------
    x : (N, D, H, W, C)
    size : taps of the window along depth, height and width
    strides : steps between neighbouring outputs
    before, after : positions imagined in front of and behind each axis, which do not count

    Returns
    -------
    out : (N, OD, OH, OW, C), with ``O = (n + before + after - size) // stride + 1`` on each axis
    """
    batch, D, H, W, C = x.shape
    out_d = _conv_length(D, size[0], strides[0], 1, before[0], after[0])
    out_h = _conv_length(H, size[1], strides[1], 1, before[1], after[1])
    out_w = _conv_length(W, size[2], strides[2], 1, before[2], after[2])
    out = np.empty((batch, out_d, out_h, out_w, C))
    for n in range(batch):
        for od in range(out_d):
            for oh in range(out_h):
                for ow in range(out_w):
                    for c in range(C):
                        d, h, w = _largest(x, n, c, (od, oh, ow), size, strides, before)
                        out[n, od, oh, ow, c] = x[n, d, h, w, c]
    return out


@njit
def max_pool_grad(x: Array, grad_out: Array, size: Triple, strides: Triple, before: Triple) -> Array:
    """Give each output's gradient to the input that was the largest, the first of several.

    ``grad[i] += grad_out[o]`` for the position i that `max_pool` took output o from
    """
    batch, out_d, out_h, out_w, C = grad_out.shape
    grad = np.zeros(x.shape)
    for n in range(batch):
        for od in range(out_d):
            for oh in range(out_h):
                for ow in range(out_w):
                    for c in range(C):
                        d, h, w = _largest(x, n, c, (od, oh, ow), size, strides, before)
                        grad[n, d, h, w, c] += grad_out[n, od, oh, ow, c]
    return grad


@njit
def _inside(o: int, n: int, size: int, stride: int, before: int) -> tuple[int, int]:
    """Find the first input position of window o and the one after its last, both held inside the axis."""
    start = o * stride - before
    return max(start, 0), min(start + size, n)


@njit
def average_pool(x: Array, size: Triple, strides: Triple, before: Triple, after: Triple) -> Array:
    """Average the values under each window (Keras: AveragePooling1D, AveragePooling2D, AveragePooling3D).

    ``out[o, c] = (sum over k of x[o * stride + k - before, c]) / (number of k inside the input)``

    Parameters
    ----------
    x : (N, D, H, W, C)
    size, strides, before, after : as in `max_pool`

    Returns
    -------
    out : (N, OD, OH, OW, C), lengths as in `max_pool`
    """
    batch, D, H, W, C = x.shape
    out_d = _conv_length(D, size[0], strides[0], 1, before[0], after[0])
    out_h = _conv_length(H, size[1], strides[1], 1, before[1], after[1])
    out_w = _conv_length(W, size[2], strides[2], 1, before[2], after[2])
    out = np.empty((batch, out_d, out_h, out_w, C))
    for n in range(batch):
        for od in range(out_d):
            d0, d1 = _inside(od, D, size[0], strides[0], before[0])
            for oh in range(out_h):
                h0, h1 = _inside(oh, H, size[1], strides[1], before[1])
                for ow in range(out_w):
                    w0, w1 = _inside(ow, W, size[2], strides[2], before[2])
                    for c in range(C):
                        total = 0.0
                        for d in range(d0, d1):
                            for h in range(h0, h1):
                                for w in range(w0, w1):
                                    total += x[n, d, h, w, c]
                        out[n, od, oh, ow, c] = total / ((d1 - d0) * (h1 - h0) * (w1 - w0))
    return out


@njit
def average_pool_grad(grad_out: Array, lengths: Triple, size: Triple, strides: Triple, before: Triple) -> Array:
    """Share each output's gradient among the inputs under its window.

    ``grad[i] += grad_out[o] / (number of k inside the input)`` for every position i under the window of output o
    """
    batch, out_d, out_h, out_w, C = grad_out.shape
    D, H, W = lengths
    grad = np.zeros((batch, D, H, W, C))
    for n in range(batch):
        for od in range(out_d):
            d0, d1 = _inside(od, D, size[0], strides[0], before[0])
            for oh in range(out_h):
                h0, h1 = _inside(oh, H, size[1], strides[1], before[1])
                for ow in range(out_w):
                    w0, w1 = _inside(ow, W, size[2], strides[2], before[2])
                    for c in range(C):
                        share = grad_out[n, od, oh, ow, c] / ((d1 - d0) * (h1 - h0) * (w1 - w0))
                        for d in range(d0, d1):
                            for h in range(h0, h1):
                                for w in range(w0, w1):
                                    grad[n, d, h, w, c] += share
    return grad

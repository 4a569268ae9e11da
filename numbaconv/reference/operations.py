"""The seven operations as textbook loops; the package says how to read them."""

import numpy as np
from numpy.typing import NDArray

from .compiled import njit

Array = NDArray[np.float64]
Triple = tuple[int, int, int]


@njit
def _conv_length(n: int, k: int, stride: int, dilation: int, before: int, after: int) -> int:
    """Count the positions, a stride apart, at which a dilated kernel of k taps lies wholly inside the padded axis."""
    return (n + before + after - (k - 1) * dilation - 1) // stride + 1


@njit
def conv(
    x: Array, weights: Array, bias: Array, strides: Triple, dilation: Triple, before: Triple, after: Triple
) -> Array:
    """Slide a kernel over the input and sum what lies under it (Keras: Conv1D, Conv2D, Conv3D).

    ``out[o, f] = bias[f] + sum over k, c of x[o * stride + k * dilation - before, c] * weights[k, c, f]``

    The kernel is not flipped: this is what signal processing calls a correlation.

    With more channels in x than in the weights, channels and filters fall into groups of equal size, in order: a filter
    sees the channels of its own group, and ``x[..., c]`` stands for number c of those (Krizhevsky, Sutskever and
    Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012).

    Parameters
    ----------
    x : (N, D, H, W, C)
    weights : (KD, KH, KW, C // groups, F)
    bias : (F,)
    strides, dilation : steps between neighbouring outputs, and between neighbouring taps
    before, after : zeros imagined in front of and behind each axis

    Returns
    -------
    out : (N, OD, OH, OW, F), with ``O = (n + before + after - (K - 1) * dilation - 1) // stride + 1`` on each axis
    """
    batch, D, H, W, C = x.shape
    kernel_d, kernel_h, kernel_w, group, F = weights.shape
    groups = C // group if group else 1
    out_d = _conv_length(D, kernel_d, strides[0], dilation[0], before[0], after[0])
    out_h = _conv_length(H, kernel_h, strides[1], dilation[1], before[1], after[1])
    out_w = _conv_length(W, kernel_w, strides[2], dilation[2], before[2], after[2])
    out = np.empty((batch, out_d, out_h, out_w, F))
    for n in range(batch):
        for od in range(out_d):
            for oh in range(out_h):
                for ow in range(out_w):
                    for f in range(F):
                        first = f // (F // groups) * group
                        total = bias[f]
                        for kd in range(kernel_d):
                            d = od * strides[0] + kd * dilation[0] - before[0]
                            for kh in range(kernel_h):
                                h = oh * strides[1] + kh * dilation[1] - before[1]
                                for kw in range(kernel_w):
                                    w = ow * strides[2] + kw * dilation[2] - before[2]
                                    if 0 <= d < D and 0 <= h < H and 0 <= w < W:
                                        for c in range(group):
                                            total += x[n, d, h, w, first + c] * weights[kd, kh, kw, c, f]
                        out[n, od, oh, ow, f] = total
    return out


@njit
def depthwise_conv(
    x: Array, weights: Array, bias: Array, strides: Triple, dilation: Triple, before: Triple, after: Triple
) -> Array:
    """Convolve each channel on its own with M kernels, mixing no channels (Keras: DepthwiseConv2D).

    ``out[o, c * M + m] = bias[c * M + m] + sum over k of x[o * stride + k * dilation - before, c] * weights[k, c, m]``

    This is `conv` with groups of one channel, each of which has M filters.

    Parameters
    ----------
    x : (N, D, H, W, C)
    weights : (KD, KH, KW, C, M), M the depth multiplier
    bias : (C * M,)
    strides, dilation, before, after : as in `conv`

    Returns
    -------
    out : (N, OD, OH, OW, C * M), lengths as in `conv`
    """
    kernel = weights.reshape((*weights.shape[:3], 1, len(bias)))
    return conv(x, kernel, bias, strides, dilation, before, after)


@njit
def separable_conv(
    x: Array,
    depthwise_weights: Array,
    pointwise_weights: Array,
    bias: Array,
    strides: Triple,
    dilation: Triple,
    before: Triple,
    after: Triple,
) -> Array:
    """Convolve each channel on its own, then mix the channels (Keras: SeparableConv1D, SeparableConv2D).

    ``out = conv(depthwise_conv(x, depthwise_weights), pointwise_weights) + bias``, with nothing between the two steps
    (Chollet, "Xception", 2017).

    Parameters
    ----------
    x : (N, D, H, W, C)
    depthwise_weights : (KD, KH, KW, C, M)
    pointwise_weights : (1, 1, 1, C * M, F)
    bias : (F,)
    strides, dilation, before, after : of the depthwise step, as in `conv`

    Returns
    -------
    out : (N, OD, OH, OW, F), lengths as in `conv`
    """
    ones, zeros = (1, 1, 1), (0, 0, 0)
    no_bias = np.zeros(pointwise_weights.shape[3])
    filtered = depthwise_conv(x, depthwise_weights, no_bias, strides, dilation, before, after)
    return conv(filtered, pointwise_weights, bias, ones, ones, zeros, zeros)


@njit
def conv_transpose(
    x: Array, weights: Array, bias: Array, strides: Triple, dilation: Triple, crop_before: Triple, out_lengths: Triple
) -> Array:
    """Scatter every input value through the kernel and add up the overlaps (Keras: Conv2DTranspose, Conv3DTranspose).

    ``out[i * stride + k * dilation - crop_before, f] += x[i, c] * weights[k, f, c]``, beginning with ``out = bias``

    With zero bias this is the adjoint of `conv` with the same weights, and so the gradient of `conv` with respect to
    its input (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016).

    Parameters
    ----------
    x : (N, D, H, W, C)
    weights : (KD, KH, KW, F, C), the output channels before the input channels
    bias : (F,)
    strides, dilation : steps between the places where neighbouring inputs land, and between neighbouring taps
    crop_before : positions cut from the front of each axis
    out_lengths : positions kept after that cut; those that no input reaches hold the bias

    Returns
    -------
    out : (N, *out_lengths, F)
    """
    batch, D, H, W, C = x.shape
    kernel_d, kernel_h, kernel_w, F, _ = weights.shape
    out_d, out_h, out_w = out_lengths
    out = np.empty((batch, out_d, out_h, out_w, F))
    for n in range(batch):
        for od in range(out_d):
            for oh in range(out_h):
                for ow in range(out_w):
                    for f in range(F):
                        out[n, od, oh, ow, f] = bias[f]
        for d in range(D):
            for h in range(H):
                for w in range(W):
                    for kd in range(kernel_d):
                        od = d * strides[0] + kd * dilation[0] - crop_before[0]
                        for kh in range(kernel_h):
                            oh = h * strides[1] + kh * dilation[1] - crop_before[1]
                            for kw in range(kernel_w):
                                ow = w * strides[2] + kw * dilation[2] - crop_before[2]
                                if 0 <= od < out_d and 0 <= oh < out_h and 0 <= ow < out_w:
                                    for f in range(F):
                                        for c in range(C):
                                            out[n, od, oh, ow, f] += x[n, d, h, w, c] * weights[kd, kh, kw, f, c]
    return out


@njit
def crop(x: Array, before: Triple, after: Triple) -> Array:
    """Cut positions off both ends of each axis (Keras: Cropping1D, Cropping2D, Cropping3D).

    ``out[o] = x[o + before]``

    Parameters
    ----------
    x : (N, D, H, W, C)
    before, after : positions cut from the front and from the back of each axis

    Returns
    -------
    out : (N, OD, OH, OW, C), with ``O = n - before - after`` on each axis
    """
    batch, D, H, W, C = x.shape
    out_d, out_h, out_w = D - before[0] - after[0], H - before[1] - after[1], W - before[2] - after[2]
    out = np.empty((batch, out_d, out_h, out_w, C))
    for n in range(batch):
        for od in range(out_d):
            for oh in range(out_h):
                for ow in range(out_w):
                    for c in range(C):
                        out[n, od, oh, ow, c] = x[n, od + before[0], oh + before[1], ow + before[2], c]
    return out


@njit
def zero_pad(x: Array, before: Triple, after: Triple) -> Array:
    """Add zeros at both ends of each axis (Keras: ZeroPadding1D, ZeroPadding2D, ZeroPadding3D).

    ``out[i + before] = x[i]``, and 0 elsewhere

    Parameters
    ----------
    x : (N, D, H, W, C)
    before, after : zeros put in front of and behind each axis

    Returns
    -------
    out : (N, OD, OH, OW, C), with ``O = n + before + after`` on each axis
    """
    batch, D, H, W, C = x.shape
    out_d, out_h, out_w = D + before[0] + after[0], H + before[1] + after[1], W + before[2] + after[2]
    out = np.zeros((batch, out_d, out_h, out_w, C))
    for n in range(batch):
        for d in range(D):
            for h in range(H):
                for w in range(W):
                    for c in range(C):
                        out[n, d + before[0], h + before[1], w + before[2], c] = x[n, d, h, w, c]
    return out


@njit
def upsample_nearest(x: Array, size: Triple) -> Array:
    """Repeat every position `size` times along each axis (Keras: UpSampling1D, UpSampling2D, UpSampling3D).

    ``out[o] = x[o // size]``

    Parameters
    ----------
    x : (N, D, H, W, C)
    size : repeats along depth, height and width

    Returns
    -------
    out : (N, D * size[0], H * size[1], W * size[2], C)
    """
    batch, D, H, W, C = x.shape
    out = np.empty((batch, D * size[0], H * size[1], W * size[2], C))
    for n in range(batch):
        for od in range(D * size[0]):
            for oh in range(H * size[1]):
                for ow in range(W * size[2]):
                    for c in range(C):
                        out[n, od, oh, ow, c] = x[n, od // size[0], oh // size[1], ow // size[2], c]
    return out


@njit
def _source_position(o: int, size: int, n: int) -> float:
    """Find the input coordinate under the centre of output o, held between the first and the last input position."""
    return max(0.0, min((o + 0.5) / size - 0.5, n - 1.0))


@njit
def _tent(distance: float) -> float:
    """Weigh an input by its distance: 1 on the spot, falling in a straight line to 0 one position away."""
    return 1.0 - abs(distance)


@njit
def upsample_bilinear(x: Array, size: Triple) -> Array:
    """Interpolate linearly between neighbours along each axis (Keras: UpSampling2D with interpolation="bilinear").

    Pixels are cells with a centre: output o lies over the input coordinate ``p = (o + 0.5) / size - 0.5``, held
    inside ``[0, n - 1]``. With i the whole part of p and f the rest,

    ``out[o] = (1 - f) * x[i] + f * x[i + 1]``

    and an input of weight zero is not read. A size of 1 therefore copies its axis.

    Parameters
    ----------
    x : (N, D, H, W, C)
    size : factors of depth, height and width

    Returns
    -------
    out : (N, D * size[0], H * size[1], W * size[2], C)
    """
    batch, D, H, W, C = x.shape
    out = np.empty((batch, D * size[0], H * size[1], W * size[2], C))
    for n in range(batch):
        for od in range(D * size[0]):
            at_d = _source_position(od, size[0], D)
            for oh in range(H * size[1]):
                at_h = _source_position(oh, size[1], H)
                for ow in range(W * size[2]):
                    at_w = _source_position(ow, size[2], W)
                    for c in range(C):
                        total = 0.0
                        for d in range(int(at_d), int(at_d) + 2):
                            for h in range(int(at_h), int(at_h) + 2):
                                for w in range(int(at_w), int(at_w) + 2):
                                    weight = _tent(at_d - d) * _tent(at_h - h) * _tent(at_w - w)
                                    if weight > 0.0:
                                        total += weight * x[n, d, h, w, c]
                        out[n, od, oh, ow, c] = total
    return out

"""Convolutions by weights that are infinite or NaN, which must not meet the zeros around the image: 0 * inf is NaN.

They take the arguments of `kernels.conv` and `kernels.depthwise`, and compute the same sums tap by tap, without
those taps that lie outside the image.
"""

import numpy as np
from numba import prange

from ..machine.compiler import compiled
from .plan.axes import BEFORE, OUT_STRIDE, STEP, STRIDE, STRIP_DILATION, D, H, N, W
from .strip import extent, locate


@compiled(parallel=True)
def conv_inside(x, weights, bias, floor, out, block_at, high, wide, axes, group, tasks, planar):
    """`kernels.conv.conv` for any weights; ``high`` and ``wide`` do not matter."""
    for task in prange(tasks):
        n, d, h, w, part = locate(np.int64(task), axes)
        for row in range(h, h + extent(axes, H, h)[0]):
            for column in range(w, w + extent(axes, W, w)[0]):
                first, at = _place(axes, n, d, row, column)
                for block in range(part * group, min((part + 1) * group, len(weights))):
                    for f in range(block_at[block, 1]):
                        total = bias[block_at[block, 2] + f]
                        for kd, kh, kw, x_d, x_h, x_w in _taps(x, weights, axes, first):
                            for c in range(x.shape[4]):
                                total += x[n, x_d, x_h, x_w, c] * weights[block, kd, kh, kw, c, f]
                        out[at + block_at[block, 0] + f] = floor if floor > total else total


@compiled(parallel=True)
def depthwise_inside(x, weights, bias, floor, out, channels, axes, group, tasks, planar):
    """`kernels.depthwise_conv.depthwise_conv` for any weights."""
    width, repeat = weights.shape[4], channels // x.shape[4]
    for task in prange(tasks):
        n, d, h, w, part = locate(np.int64(task), axes)
        for row in range(h, h + extent(axes, H, h)[0]):
            for column in range(w, w + extent(axes, W, w)[0]):
                first, at = _place(axes, n, d, row, column)
                for f in range(part * group * width, min((part + 1) * group * width, channels)):
                    total = bias[f]
                    for kd, kh, kw, x_d, x_h, x_w in _taps(x, weights, axes, first):
                        total += x[n, x_d, x_h, x_w, f // repeat] * weights[f // width, kd, kh, kw, f % width]
                    out[at + f] = floor if floor > total else total


@compiled
def _place(axes, n, d, h, w):
    """Input position (d, h, w) of a window's first tap, and the flat index of its output."""
    first = (
        d * axes[D, STRIDE] - axes[D, BEFORE],
        h * axes[H, STRIDE] - axes[H, BEFORE],
        w * axes[W, STRIDE] - axes[W, BEFORE],
    )
    at = n * axes[N, OUT_STRIDE] + d * axes[D, OUT_STRIDE] + h * axes[H, OUT_STRIDE] + w * axes[W, OUT_STRIDE]
    return first, at


@compiled
def _taps(x, weights, axes, first):
    """Each tap that lies inside the image, and its input position, for a window whose first tap reads ``first``."""
    for kd in range(weights.shape[1]):
        x_d = first[0] + kd * axes[D, STEP] * axes[D, STRIP_DILATION]
        for kh in range(weights.shape[2]):
            x_h = first[1] + kh * axes[H, STEP] * axes[H, STRIP_DILATION]
            for kw in range(weights.shape[3]):
                x_w = first[2] + kw * axes[W, STEP] * axes[W, STRIP_DILATION]
                if 0 <= x_d < x.shape[1] and 0 <= x_h < x.shape[2] and 0 <= x_w < x.shape[3]:
                    yield kd, kh, kw, x_d, x_h, x_w

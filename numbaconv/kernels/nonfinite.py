"""Convolutions by weights that are infinite or NaN, which must not meet the zeros around the image: 0 * inf is NaN.

They take the arguments of `kernels.conv` and `kernels.depthwise`, and compute the same sums tap by tap, without
those taps that lie outside the image.
"""

import numpy as np

from ..machine.compiler import compiled
from ..machine.words import prange
from .ending import end_value
from .plan.axes import DILATION, OUT_STRIDE, D, H, N, W
from .records import Epilogue
from .strip import first_input, locate
from .table import TASKS, WORK, panel_of, panels_of


@compiled(parallel=True)
def conv_inside(x, weights, epilogue, out, vecs, plan):
    """`kernels.conv.conv` for any weights, all of them in panels; ``vecs`` does not matter."""
    for task in prange(plan[WORK, TASKS]):
        _inside_task(np.int64(task), x, weights[0], Epilogue(*epilogue), out, plan)


@compiled(parallel=True)
def depthwise_inside(x, weights, epilogue, out, plan):
    """`kernels.depthwise.depthwise_conv` for any weights."""
    for task in prange(plan[WORK, TASKS]):
        _inside_task(np.int64(task), x, weights, Epilogue(*epilogue), out, plan)


@compiled
def _inside_task(task, x, weights, epilogue, out, plan):
    block = locate(task, plan)
    panels = panels_of(block, plan, weights)
    last = panel_of(panels, len(weights) - 1)
    for n, first, at in _windows(block, plan):
        for number in range(panels.first, panels.end):
            panel = panel_of(panels, number)
            for f in range(panel.count):
                total = epilogue.bias[panel.first + f]
                for kd, kh, kw, x_d, x_h, x_w in _taps(x, weights, plan, first):
                    if weights.ndim == 6:
                        for c in range(weights.shape[4]):
                            total += x[n, x_d, x_h, x_w, panel.channel + c] * weights[number, kd, kh, kw, c, f]
                    else:
                        channel = (panel.first + f) // ((last.first + last.count) // x.shape[4])
                        total += x[n, x_d, x_h, x_w, channel] * weights[number, kd, kh, kw, f]
                out[at + panel.place + f] = end_value(total, epilogue, at + panel.place + f)


@compiled
def _windows(block, axes):
    """Each window of a block: its image, the input position of its first tap, and the flat index of its output."""
    for n in range(block.n, block.n + block.images):
        for d in range(block.d, block.d + block.planes):
            for h in range(block.h, block.h + block.rows):
                for w in range(block.w, block.w + block.columns):
                    at = n * axes[N, OUT_STRIDE] + d * axes[D, OUT_STRIDE] + h * axes[H, OUT_STRIDE]
                    yield n, first_input(d, h, w, axes), at + w * axes[W, OUT_STRIDE]


@compiled
def _taps(x, weights, axes, first):
    """Each tap that lies inside the image, and its input position, for a window whose first tap reads ``first``."""
    for kd in range(weights.shape[1]):
        x_d = first[0] + kd * axes[D, DILATION]
        for kh in range(weights.shape[2]):
            x_h = first[1] + kh * axes[H, DILATION]
            for kw in range(weights.shape[3]):
                x_w = first[2] + kw * axes[W, DILATION]
                if 0 <= x_d < x.shape[1] and 0 <= x_h < x.shape[2] and 0 <= x_w < x.shape[3]:
                    yield kd, kh, kw, x_d, x_h, x_w

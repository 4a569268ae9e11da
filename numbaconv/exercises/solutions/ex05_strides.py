"""5. Strides.

With strides (2, 3) the window moves 2 rows down and 3 columns to the right at a time, and fewer outputs remain:

    out[h, w] = sum over kh, kw of x[2 * h + kh, 3 * w + kw] * weights[kh, kw]

The output's lengths are those of exercise 1, along each axis. One channel, no padding.
"""

import numpy as np


def conv2d_strided(x, weights, strides):
    """Shapes: ``x`` (H, W), ``weights`` (KH, KW); ``strides`` is a pair, of rows and of columns."""
    # Yours from here.
    kernel_h, kernel_w = weights.shape
    down, right = strides
    out = np.empty(((x.shape[0] - kernel_h) // down + 1, (x.shape[1] - kernel_w) // right + 1))
    for h in range(out.shape[0]):
        for w in range(out.shape[1]):
            window = x[h * down : h * down + kernel_h, w * right : w * right + kernel_w]
            out[h, w] = np.sum(window * weights)
    return out
    # To here.

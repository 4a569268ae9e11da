"""9. Depthwise convolution.

Each channel has a small kernel of its own, and no channel sees another:

    out[h, w, c] = sum over kh, kw of x[h + kh, w + kw, c] * weights[kh, kw, c]

Compare the number of multiplications with that of exercise 4: it is smaller by the number of filters.
"""

import numpy as np


def depthwise(x, weights):
    """Shapes: ``x`` (H, W, C), ``weights`` (KH, KW, C), output (H - KH + 1, W - KW + 1, C)."""
    # Yours from here.
    kernel_h, kernel_w, channels = weights.shape
    height, width = x.shape[0] - kernel_h + 1, x.shape[1] - kernel_w + 1
    out = np.zeros((height, width, channels))
    for kh in range(kernel_h):
        for kw in range(kernel_w):
            out += x[kh : kh + height, kw : kw + width] * weights[kh, kw]
    return out
    # To here.

"""4. Images with channels.

An image has a height, a width and channels: red, green and blue at first, then whatever earlier layers found. A filter
looks at all channels of its window, so it has a weight for each of them, and a layer has many filters. Each filter
makes one channel of the output:

    out[h, w, f] = bias[f] + sum over kh, kw, c of x[h + kh, w + kw, c] * weights[kh, kw, c, f]

No padding, stride 1. Six loops if you write them all; NumPy can do the inner three as one product and a sum.
"""

import numpy as np


def conv2d(x, weights, bias):
    """Shapes: ``x`` (H, W, C), ``weights`` (KH, KW, C, F), ``bias`` (F,), output (H - KH + 1, W - KW + 1, F)."""
    # Yours from here.
    kernel_h, kernel_w, _, filters = weights.shape
    out = np.empty((x.shape[0] - kernel_h + 1, x.shape[1] - kernel_w + 1, filters))
    for h in range(out.shape[0]):
        for w in range(out.shape[1]):
            window = x[h : h + kernel_h, w : w + kernel_w]
            for f in range(filters):
                out[h, w, f] = bias[f] + np.sum(window * weights[..., f])
    return out
    # To here.

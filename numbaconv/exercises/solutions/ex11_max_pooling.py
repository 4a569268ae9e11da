"""11. Max pooling.

Of each window, keep the largest value; each channel by itself. Windows of ``size`` by ``size`` pixels begin ``stride``
pixels apart, along both axes, and must lie wholly inside. Nothing is learned here: the layer only says *whether*
something was seen nearby, no longer exactly where.
"""

import numpy as np


def max_pool(x, size, stride):
    """``x`` has shape (H, W, C)."""
    # Yours from here.
    height, width = ((n - size) // stride + 1 for n in x.shape[:2])
    out = np.empty((height, width, x.shape[2]))
    for h in range(height):
        for w in range(width):
            window = x[h * stride : h * stride + size, w * stride : w * stride + size]
            out[h, w] = window.max(axis=(0, 1))
    return out
    # To here.

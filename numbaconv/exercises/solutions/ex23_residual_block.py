"""23. A residual network by hand.

Deep networks learn better if each block only has to learn what to *change*: its input is added to its output (He and
others, "Deep Residual Learning for Image Recognition", 2015). Take numbaconv's functions now, which are fast, and write
such a block:

    y = relu(conv(x, first) + first_bias)
    y = conv(y, second) + second_bias
    out = relu(y + shortcut)

The kernels are 3x3 with padding "same", and the first has the strides that are given. The shortcut is x itself, or,
where the shape changes, conv(x, projection) with a kernel of 1x1 and the same strides; then ``projection`` is not None.
relu(a) is max(a, 0).
"""

import numpy as np

from numbaconv import functional


def residual_block(x, first, first_bias, second, second_bias, projection=None, strides=1):
    """Shapes: ``x`` (N, H, W, C), ``first`` (3, 3, C, F), ``second`` (3, 3, F, F), ``projection`` (1, 1, C, F)."""
    # Yours from here.
    y = np.maximum(functional.conv(x, first, first_bias, strides, "same"), 0)
    y = functional.conv(y, second, second_bias, 1, "same")
    shortcut = x if projection is None else functional.conv(x, projection, None, strides, "same")
    return np.maximum(y + shortcut, 0)
    # To here.

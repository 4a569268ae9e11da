"""6. Dilation.

A dilated kernel leaves gaps between the inputs that it reads. With dilation 3 the taps lie 3 inputs apart, so a kernel
of 3 taps spans 7 inputs, and still has 3 weights:

    0 1 2 3 4 5 6
    ^     ^     ^

It sees far at no cost. How long is the output now? Work out first how many inputs a kernel spans.
"""

import numpy as np


def conv1d_dilated(x, weights, dilation):
    """``x`` has shape (n,), ``weights`` (taps,). No padding, stride 1."""
    # Yours from here.
    span = (len(weights) - 1) * dilation + 1
    out = np.zeros(len(x) - span + 1)
    for o in range(len(out)):
        for k in range(len(weights)):
            out[o] += x[o + k * dilation] * weights[k]
    return out
    # To here.

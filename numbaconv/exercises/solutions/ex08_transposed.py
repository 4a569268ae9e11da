"""8. Transposed convolution.

It goes the other way: each *input* lays a copy of the whole kernel, times itself, on the output, and the copies begin
``stride`` apart. Where they overlap they add up:

    out[i * stride + k] += x[i] * weights[k]

With stride 2 the output is about twice as long as the input, so such layers make images larger. Keras gives it
n * stride + max(taps - stride, 0) outputs: those that the copies reach, and 0 where the stride leaves gaps at the end.
"""

import numpy as np


def conv1d_transpose(x, weights, stride):
    """``x`` has shape (n,), ``weights`` (taps,)."""
    # Yours from here.
    taps = len(weights)
    out = np.zeros(len(x) * stride + max(taps - stride, 0))
    for i in range(len(x)):
        out[i * stride : i * stride + taps] += x[i] * weights
    return out
    # To here.

"""15. The way back to the weights.

The same convolution, out[o] = sum over k of x[o * stride + k] * weights[k], and the same ``grad``. How much does the
loss grow with each weight? weights[k] is used at every place, so what it does at all of them adds up.

With stride 1 this is a convolution once more: of what, with what?
"""

import numpy as np


def weight_gradient(x, grad, taps, stride):
    """``x`` has shape (n,), ``grad`` that of the output; return an array of shape (taps,)."""
    # Yours from here.
    out = np.zeros(taps)
    for k in range(taps):
        for o in range(len(grad)):
            out[k] += x[o * stride + k] * grad[o]
    return out
    # To here.

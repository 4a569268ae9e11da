"""3. Convolution along one axis.

At each place, multiply the inputs under the kernel by its weights and add up:

    out[o] = x[o] * weights[0] + x[o + 1] * weights[1] + ... + x[o + taps - 1] * weights[taps - 1]

The kernel is not turned round, as it would be in mathematics: neural networks call this a convolution, signal
processing calls it a correlation. Write the two loops: one over the outputs, one over the taps. No padding.
"""

import numpy as np


def conv1d(x, weights):
    """``x`` has shape (n,), ``weights`` (taps,); return an array of shape (n - taps + 1,)."""
    # Yours from here.
    taps = len(weights)
    out = np.zeros(len(x) - taps + 1)
    for o in range(len(out)):
        for k in range(taps):
            out[o] += x[o + k] * weights[k]
    return out
    # To here.

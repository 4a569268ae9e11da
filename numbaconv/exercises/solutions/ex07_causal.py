"""7. Causal convolution.

Sound and prices come one after the other, and a model that foretells them must not look ahead: output number o may
depend on the inputs 0 to o, never on a later one. So all the zeros stand before the input, just so many that there is
one output for each input. The last tap lies on the input itself, the others on earlier ones:

    out[o] = x[o] * weights[taps - 1] + x[o - dilation] * weights[taps - 2] + ...

Inputs before the first are 0. Stacked with dilations 1, 2, 4, 8, ... such layers make WaveNet (van den Oord and others,
2016).
"""

import numpy as np


def causal(x, weights, dilation):
    """``x`` has shape (n,), ``weights`` (taps,); the output has shape (n,)."""
    # Yours from here.
    taps = len(weights)
    out = np.zeros(len(x))
    for o in range(len(x)):
        for k in range(taps):
            i = o - (taps - 1 - k) * dilation
            if i >= 0:
                out[o] += x[i] * weights[k]
    return out
    # To here.

"""14. The way back to the input.

Exercise 3, with a stride: out[o] = sum over k of x[o * stride + k] * weights[k]. Later layers tell you ``grad``: how
much the loss grows with each out[o]. How much does it grow with each x[i]?

x[i] appears in out[o] with the weight number k = i - o * stride, if the kernel has one. So each grad[o] goes back to
the inputs that made out[o], times the weight on the way. You have written these loops before: see exercise 8. That is
where the name "transposed" comes from. Only the length differs: it is n, and where the stride leaves inputs over at the
end, no output read them, and their gradient is 0.
"""

import numpy as np


def input_gradient(grad, weights, n, stride):
    """``grad`` has the shape of the output, ``weights`` (taps,); return an array of shape (n,)."""
    # Yours from here.
    out = np.zeros(n)
    for o in range(len(grad)):
        for k in range(len(weights)):
            out[o * stride + k] += grad[o] * weights[k]
    return out
    # To here.

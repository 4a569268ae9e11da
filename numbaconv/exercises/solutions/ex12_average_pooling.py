"""12. Average pooling with padding.

The average of each window, with padding "same" as in exercise 2. The places outside the input are no zeros here: they
do not count at all. A window that holds two inputs and one place outside is divided by two.
"""

import numpy as np
from ex02_same_padding import same_padding


def average_pool(x, size, stride):
    """``x`` has shape (n,)."""
    # Yours from here.
    n = len(x)
    before, _ = same_padding(n, size, stride)
    firsts = range(-before, -before + -(-n // stride) * stride, stride)
    return np.array([x[max(first, 0) : first + size].mean() for first in firsts])
    # To here.

"""Arrays that begin with a cache line."""

from math import prod

import numpy as np

from .vectors import CACHE_LINE

# Elements below which an array need not be aligned.
SMALL = 1024


def aligned_empty(shape, dtype):
    """Like ``numpy.empty``, but beginning with a cache line, so that no vector straddles two of them.

    Small arrays begin anywhere: finding the place would take longer than it saves.
    """
    count, dtype = prod(shape), np.dtype(dtype)
    if count < SMALL:
        return np.empty(shape, dtype)
    memory = np.empty(count + CACHE_LINE // dtype.itemsize, dtype)
    start = -memory.__array_interface__["data"][0] % CACHE_LINE // dtype.itemsize
    return memory[start : start + count].reshape(shape)

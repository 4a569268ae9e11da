"""The normal distribution, which the activation gelu needs and NumPy does not have."""

import math

import numpy as np
from numba import prange

from ..machine.compiler import compiled

# Values that one task computes.
TASK_VALUES = 8192
SQRT_HALF = math.sqrt(0.5)


@compiled(parallel=True)
def fill_cdf(x, out):
    """``out[i]`` is the share of a standard normal distribution below ``x[i]``: ``erfc(-x[i] / sqrt(2)) / 2``.

    Parameters
    ----------
    x, out : arrays (V,)
        Whatever their dtype, all is computed in float64.

    Notes
    -----
    erfc is that of the C library, as in `math`: unlike erf it keeps its digits where it is small.
    """
    for task in prange(-(-x.size // TASK_VALUES)):
        start = np.int64(task) * TASK_VALUES
        for i in range(start, min(start + TASK_VALUES, x.size)):
            out[i] = 0.5 * math.erfc(-SQRT_HALF * np.float64(x[i]))


def normal_cdf(x):
    """The share of a standard normal distribution below each value.

    Returns
    -------
    array
        Of the shape and dtype of ``x``, with the digits of float64 at most.
    """
    dtype = np.float32 if x.itemsize <= 4 else np.float64
    flat = np.ascontiguousarray(x, dtype).ravel()
    out = np.empty_like(flat)
    fill_cdf(flat, out, serial=flat.size <= TASK_VALUES)
    return out.reshape(x.shape).astype(x.dtype, copy=False)

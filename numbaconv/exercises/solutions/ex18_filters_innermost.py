"""18. The order of the loops.

A processor multiplies 4, 8 or 16 numbers with one instruction, if they lie side by side in memory. In ``weights`` and
in ``out`` neighbouring filters do. So the loop over f must be the innermost: its turns are independent, all of them
use the same value of x, and the compiler makes vectors of them by itself.

Then no single variable can hold the sums: set out[h, w] to 0 and add into out[h, w, f]. Each sum is still added up in
the same order, so the results are the same, to the last bit.

The loops over pixels are written, with the rows on all cores. Write what happens to one pixel.
"""

import numba
import numpy as np


@numba.njit(fastmath={"contract"})
def pixel(x, weights, out, h, w):
    # Yours from here.
    out[h, w] = 0
    for kh in range(weights.shape[0]):
        for kw in range(weights.shape[1]):
            for c in range(weights.shape[2]):
                value = x[h + kh, w + kw, c]
                for f in range(weights.shape[3]):
                    out[h, w, f] += value * weights[kh, kw, c, f]
    # To here.


@numba.njit(parallel=True)
def conv(x, weights, out):
    """Shapes: ``x`` (H, W, C), ``weights`` (KH, KW, C, F), ``out`` (H - KH + 1, W - KW + 1, F), all float32."""
    for h in numba.prange(out.shape[0]):
        for w in range(out.shape[1]):
            pixel(x, weights, out, np.int64(h), w)

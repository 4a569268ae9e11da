"""Filters innermost: the loops in another order, so that each instruction works on a vector of filters.

A pixel's outputs for neighbouring filters lie side by side in memory, and so do the weights that they need. With the
loop over the filters innermost, each turn reads the next weight and adds to the next output. No turn waits for another,
and the compiler makes one instruction of as many turns as a vector register has room for. The value of the input is the
same for all of them. Every output still adds its products in the order of before, so that nothing needs to be allowed
to the compiler. What it can do depends on the order of the loops.

What limits it: loads and stores. For each multiply-add, the sum so far and the weights are loaded from the L1 cache and
the sum is stored again, and the arithmetic units wait.

Any shapes will do.
"""

import numba
import numpy as np


@numba.njit(fastmath={"contract"})
def pixel(x, weights, out, h, w):
    height, width, channels = x.shape
    out[h, w] = 0
    for kh in range(3):
        for kw in range(3):
            y, z = h + kh - 1, w + kw - 1
            if 0 <= y < height and 0 <= z < width:
                for c in range(channels):
                    value = x[y, z, c]
                    for f in range(weights.shape[3]):
                        out[h, w, f] += value * weights[kh, kw, c, f]


@numba.njit(parallel=True, fastmath={"contract"})
def conv(x, weights, out):
    for h in numba.prange(x.shape[0]):
        for w in range(x.shape[1]):
            pixel(x, weights, out, np.int64(h), w)


if __name__ == "__main__":
    from measure import report

    report(conv)

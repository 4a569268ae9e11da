"""Unrolled block: four pixels and four channels at a time, written out by hand, so that what was loaded is used again.

In the rung before, a weight is loaded for a single multiply-add. Here it serves four neighbouring pixels, and a sum is
loaded and stored once for four channels: sixteen multiply-adds need four weights, four sums loaded and four stored,
twelve accesses where they took forty-eight. The sixteen values of the input stay in registers through the whole loop
over the filters. All pixels of a block need their neighbours on both sides, so the first pixel of a row and the last
few are left to the rung before.

What limits it: the sums still travel between registers and L1 cache, once for every tap and four channels. Larger
blocks would need more registers for the input than there are, since each value is copied to all lanes of a vector; and
nobody would like to read them.

Channels in fours; any image and number of filters.
"""

import numba
import numpy as np
from filters_innermost import pixel


@numba.njit(fastmath={"contract"})
def four_pixels(x, weights, out, h, w):
    out[h, w : w + 4] = 0
    for kh in range(max(0, 1 - h), min(3, x.shape[0] + 1 - h)):
        for kw in range(3):
            y, z = h + kh - 1, w + kw - 1
            for c in range(0, x.shape[2], 4):
                a0, a1, a2, a3 = x[y, z, c], x[y, z, c + 1], x[y, z, c + 2], x[y, z, c + 3]
                b0, b1, b2, b3 = x[y, z + 1, c], x[y, z + 1, c + 1], x[y, z + 1, c + 2], x[y, z + 1, c + 3]
                c0, c1, c2, c3 = x[y, z + 2, c], x[y, z + 2, c + 1], x[y, z + 2, c + 2], x[y, z + 2, c + 3]
                d0, d1, d2, d3 = x[y, z + 3, c], x[y, z + 3, c + 1], x[y, z + 3, c + 2], x[y, z + 3, c + 3]
                for f in range(weights.shape[3]):
                    w0, w1 = weights[kh, kw, c, f], weights[kh, kw, c + 1, f]
                    w2, w3 = weights[kh, kw, c + 2, f], weights[kh, kw, c + 3, f]
                    out[h, w, f] += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
                    out[h, w + 1, f] += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
                    out[h, w + 2, f] += c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
                    out[h, w + 3, f] += d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3


@numba.njit(parallel=True, fastmath={"contract"})
def conv(x, weights, out):
    height, width, _ = x.shape
    for row in numba.prange(height):
        h, w = np.int64(row), 1
        pixel(x, weights, out, h, 0)
        while w + 4 < width:
            four_pixels(x, weights, out, h, w)
            w += 4
        while w < width:
            pixel(x, weights, out, h, w)
            w += 1


if __name__ == "__main__":
    from measure import report

    report(conv)

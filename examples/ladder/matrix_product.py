"""Matrix product: every window is copied into a row of a matrix, and a library multiplies it by the weights.

This is called im2col. A row holds the 3x3xC numbers that an output reads, one pixel after the other, and the weights
are already a matrix with a column for each filter. So the whole convolution is one product of matrices, which BLAS
libraries have made fast for decades: NumPy calls one. The loops that are left do nothing but copy.

What limits it: memory. Neighbouring windows share most of their inputs, so the matrix is nine times as large as the
image. Here it takes 7 MB, more than the caches near the cores hold: it is written to memory far away and read back from
there. The library copies it once more for its own kernel.

Any shapes will do.
"""

import numba
import numpy as np


@numba.njit(parallel=True)
def windows(x, rows):
    height, width, channels = x.shape
    for row in numba.prange(height):
        h = np.int64(row)
        for w in range(width):
            for kh in range(3):
                for kw in range(3):
                    y, z = h + kh - 1, w + kw - 1
                    part = rows[h * width + w, (kh * 3 + kw) * channels : (kh * 3 + kw + 1) * channels]
                    if 0 <= y < height and 0 <= z < width:
                        part[:] = x[y, z]
                    else:
                        part[:] = 0


def conv(x, weights, out):
    height, width, channels = x.shape
    filters = weights.shape[3]
    rows = np.empty((height * width, 9 * channels), x.dtype)
    windows(x, rows)
    np.matmul(rows, weights.reshape(-1, filters), out=out.reshape(-1, filters))


if __name__ == "__main__":
    from measure import report

    report(conv)

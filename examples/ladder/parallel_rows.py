"""Parallel rows: the same loops, the rows of the output spread over the cores.

`numba.prange` promises that the turns of a loop do not depend on each other, and with ``parallel=True`` Numba hands
them out to threads, one for each core. Every row of the output is computed by one thread alone, from input that nobody
changes, so no thread waits for another and the results are the same, bit for bit, whatever the number of cores. That is
why the rows are split and not the sum over the channels, whose parts would have to be added up in an agreed order.

What limits it: each core is as slow as before. The gain is the number of cores at the very most, less where there are
few rows: 7 rows on 4 cores take as long as 8 would.

Any shapes will do.
"""

import numba
import numpy as np


@numba.njit(parallel=True, fastmath={"contract"})
def conv(x, weights, out):
    height, width, channels = x.shape
    for row in numba.prange(height):
        # Numba counts in unsigned integers here, of which 0 - 1 is none.
        h = np.int64(row)
        for w in range(width):
            for f in range(weights.shape[3]):
                total = np.float32(0)
                for kh in range(3):
                    for kw in range(3):
                        y, z = h + kh - 1, w + kw - 1
                        if 0 <= y < height and 0 <= z < width:
                            for c in range(channels):
                                total += x[y, z, c] * weights[kh, kw, c, f]
                out[h, w, f] = total


if __name__ == "__main__":
    from measure import report

    report(conv)

"""Plain loops: the formula written down, as in the textbook.

Six loops, one for each index of the formula. The innermost one runs over the input channels and adds to a single
number, ``total``, which the compiler keeps in a register. `numba.njit` turns the function into machine code when it is
first called; interpreted, the same loops would take hundreds of times as long. The option ``"contract"`` allows a
product and a sum to become one instruction, a fused multiply-add; all rungs and the whole library are compiled with it.

What limits it: every addition to ``total`` has to wait some cycles for the one before, while the processor could start
new ones in every cycle, each of a whole vector of numbers. The compiler may not help: adding in another order would
round differently. Besides, the weights that the innermost loop reads lie F numbers apart in memory.

Any shapes will do.
"""

import numba
import numpy as np


@numba.njit(fastmath={"contract"})
def conv(x, weights, out):
    height, width, channels = x.shape
    for h in range(height):
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

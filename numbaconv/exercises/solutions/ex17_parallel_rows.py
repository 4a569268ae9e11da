"""17. Compiled, and on all cores.

From here on, speed counts. Numba compiles a function with plain loops to machine code; with ``parallel=True``, the
turns of a loop over `numba.prange` are shared out among the cores. Which loop may that be? Turns of one loop must not
write to the same place.

Write exercise 4 without a bias, with all loops written out, so that each row of the output is computed by one core:

    out[h, w, f] = sum over kh, kw, c of x[h + kh, w + kw, c] * weights[kh, kw, c, f]

``out`` is given, so nothing is returned. It holds anything at first: add up in a variable of its own, beginning with
np.float32(0), and write it to ``out`` once.
"""

import numba
import numpy as np


@numba.njit(parallel=True)
def conv(x, weights, out):
    """Shapes: ``x`` (H, W, C), ``weights`` (KH, KW, C, F), ``out`` (H - KH + 1, W - KW + 1, F), all float32."""
    # Yours from here.
    for h in numba.prange(out.shape[0]):
        for w in range(out.shape[1]):
            for f in range(out.shape[2]):
                total = np.float32(0)
                for kh in range(weights.shape[0]):
                    for kw in range(weights.shape[1]):
                        for c in range(weights.shape[2]):
                            total += x[h + kh, w + kw, c] * weights[kh, kw, c, f]
                out[h, w, f] = total
    # To here.

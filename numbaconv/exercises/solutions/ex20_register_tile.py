"""20. The sums stay in registers.

The best a sum can do is never to travel: to stay in a register of the processor from its first product to its last.
A compiler does not manage that for so many sums, so numbaconv has a type for it, the *tile*: ROWS pixels by WIDTH
filters, all in registers.

    tile = tile_rows(ROWS, VECS, zeros, 0)                        # a tile of zeros
    tile = tile_outer(tile, x, x_at, 0, shift, weights, at)       # adds the products of one tap and one channel
    tile_store(tile, out, out_at, 0, f, WIDTH)                    # stores the sums

`tile_outer` reads, for each row r of the tile, one value of x: that at place ``x_at[r] + shift``, counted along the
whole array as it lies in memory. It multiplies each by the WIDTH weights that begin at place ``at``. `tile_store`
writes row r from place ``out_at[r] + f`` on. So x_at[r] is where the window of pixel r begins, which is
(h * W + w) * C for x of shape (H, W, C); a tap lies (kh * W + kw) * C + c further, whichever the pixel. In the same
way, count where the weight of a tap, a channel and filter f lies in an array of shape (KH, KW, C, F): that is ``at``.

A tile is a value like a number: `tile_outer` returns a new one and leaves the old as it is. VECS is how many registers
make WIDTH numbers. The 0 in the first line is where to begin in ``zeros``, in the others where in x_at and out_at.

The loops and the places are written. What is missing is the innermost part: the tile's life. The output's width is a
multiple of ROWS, and the number of filters one of WIDTH.
"""

import numba
import numpy as np

from numbaconv.machine.tile import tile_outer, tile_rows, tile_store
from numbaconv.machine.vectors import TILE_ROWS as ROWS
from numbaconv.machine.vectors import TILE_VECS as VECS
from numbaconv.machine.vectors import panel_width

WIDTH = panel_width(np.dtype(np.float32).itemsize)


@numba.njit(parallel=True, fastmath={"contract"}, error_model="numpy")
def conv(x, weights, out):
    """Shapes: ``x`` (H, W, C), ``weights`` (KH, KW, C, F), ``out`` (H - KH + 1, W - KW + 1, F), all float32."""
    _, width, channels = x.shape
    kernel_h, kernel_w, _, filters = weights.shape
    for row in numba.prange(out.shape[0]):
        h = np.int64(row)
        x_at, out_at, zeros = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64), np.zeros(WIDTH, x.dtype)
        for w in range(0, out.shape[1], ROWS):
            for r in range(ROWS):
                x_at[r] = (h * width + w + r) * channels
                out_at[r] = (h * out.shape[1] + w + r) * filters
            for f in range(0, filters, WIDTH):
                # Yours from here.
                tile = tile_rows(ROWS, VECS, zeros, 0)
                for kh in range(kernel_h):
                    for kw in range(kernel_w):
                        shift = (kh * width + kw) * channels
                        at = (kh * kernel_w + kw) * channels * filters + f
                        for c in range(channels):
                            tile = tile_outer(tile, x, x_at, 0, shift + c, weights, at + c * filters)
                tile_store(tile, out, out_at, 0, f, WIDTH)
                # To here.

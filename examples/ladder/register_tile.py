"""Register tile: the sums stay in registers from the first product to the last.

On a processor with 32 vector registers of 16 floats, a tile is 14 pixels by 32 filters: 28 registers of sums, two for a
line of weights, one for a value of the input. ``tile_outer`` adds the products of one tap and channel: it loads two
vectors of weights and 14 values of the input, and starts 28 vector multiply-adds, none of which waits for another. Only
at the end are the sums stored. A compiler does not keep so much in registers by itself, so `numbaconv.machine.tile`
makes a type of it for Numba, and a tile reads like a number that holds many.

The input of all pixels of a tile is found by the same shift, so they and their neighbours must lie inside the row. Taps
above and below the image are skipped; the first and the last pixel of each row are left to an earlier rung.

What limits it: those two pixels cost several times their share of the work, and the last tile of a row has pixels to
spare. In layers with more filters, the lines of weights lie so far apart that they compete for places in the cache.

Filters in multiples of the tile's width (32 in the case above); any image and number of channels.
"""

import numba
import numpy as np
from filters_innermost import pixel

from numbaconv.machine.tile import tile_outer, tile_rows, tile_store
from numbaconv.machine.vectors import TILE_ROWS, TILE_VECS, panel_width

WIDTH = panel_width(np.dtype(np.float32).itemsize)


@numba.njit(parallel=True, fastmath={"contract"}, error_model="numpy")
def conv(x, weights, out):
    height, width, channels = x.shape
    filters = weights.shape[3]
    for row in numba.prange(height):
        h = np.int64(row)
        pixel(x, weights, out, h, 0)
        pixel(x, weights, out, h, width - 1)
        x_at, out_at, zeros = np.empty(TILE_ROWS, np.int64), np.empty(TILE_ROWS, np.int64), np.zeros(WIDTH, x.dtype)
        for w in range(1, width - 1, TILE_ROWS):
            for r in range(TILE_ROWS):
                # Rows that are left over compute the last pixel once more.
                place = h * width + min(w + r, width - 2)
                x_at[r], out_at[r] = place * channels, place * filters
            for f in range(0, filters, WIDTH):
                tile = tile_rows(TILE_ROWS, TILE_VECS, zeros, 0)
                for kh in range(max(0, 1 - h), min(3, height + 1 - h)):
                    for kw in range(3):
                        shift = ((kh - 1) * width + kw - 1) * channels
                        at = (kh * 3 + kw) * channels * filters + f
                        for c in range(channels):
                            tile = tile_outer(tile, x, x_at, 0, shift + c, weights, at + c * filters)
                tile_store(tile, out, out_at, 0, f, WIDTH)


if __name__ == "__main__":
    from measure import report

    report(conv)

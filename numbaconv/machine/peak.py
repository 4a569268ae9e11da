"""The machine's peak: the same tile updated over and over from a few lines that stay in the L1 cache."""

import time

import numba
import numpy as np
from numba import prange

from .compiler import compiled
from .tile import tile_outer, tile_rows, tile_store
from .vectors import TILE_ROWS, TILE_VECS, panel_width

STEPS = 16


@compiled(parallel=True)
def update_tiles(x, x_at, weights, out, out_at, zeros, rounds):
    """Update one tile per task ``rounds * STEPS`` times; task i stores to row i of ``out``."""
    for task in prange(out.shape[0]):
        tile = tile_rows(TILE_ROWS, TILE_VECS, zeros, 0)
        for _ in range(rounds):
            for step in range(STEPS):
                tile = tile_outer(tile, x, x_at, 0, step, weights, step * zeros.size)
        tile_store(tile, out, out_at, 0, np.int64(task) * out.shape[1], zeros.size)


def peak_flops(dtype: type = np.float32, seconds: float = 0.5) -> float:
    """Floating-point operations per second that the tile reaches on all cores, the best of several tries."""
    width = panel_width(np.dtype(dtype).itemsize)
    cores, rounds = numba.get_num_threads(), 20_000
    x, weights, zeros = np.ones(TILE_ROWS * STEPS, dtype), np.ones(STEPS * width, dtype), np.zeros(width, dtype)
    out = np.empty((cores, TILE_ROWS * width), dtype)
    places = np.arange(TILE_ROWS)
    update_tiles(x, places * STEPS, weights, out, places * width, zeros, 1)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        update_tiles(x, places * STEPS, weights, out, places * width, zeros, rounds)
        best = min(best, time.perf_counter() - start)
    return 2.0 * cores * rounds * STEPS * TILE_ROWS * width / best

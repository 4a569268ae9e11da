"""Weights for Winograd's convolution: the points, the matrix G that goes with them, and weights transformed by it."""

import functools
from typing import NamedTuple

import numpy as np
from numba import prange

from ...machine.aligned import aligned_empty
from ...machine.compiler import compiled
from ...machine.tile import tile_larger, tile_rows, tile_write
from ...machine.vectors import TILE_VECS
from ..pack import pack_blocks
from .trust import CHANNELS, IN, trust_limits

# Weights that one core transforms nearly as fast as several, which are worth no loop more to compile.
SMALL_WEIGHTS = 100_000

# The points, and the products of them that the transforms need; all are exact in float32.
A, B = 0.75, 1.5
AA, BB, AAA, BBB = A**2, B**2, A**3, B**3
SUM, PRODUCT = AA + BB, AA * BB


@functools.cache
def _kernel_matrix(taps):
    """G: each row holds the powers of a point, divided by its distances from the others; infinity's the highest."""
    points = np.array([0, A, -A, B, -B])
    distances = np.array([np.prod(np.delete(p - points, i)) for i, p in enumerate(points)])
    return np.vstack([np.vander(points, taps, increasing=True) / distances[:, None], np.eye(taps)[-1]])


class Transformed(NamedTuple):
    """Weights for `conv_winograd` and, if there are any, the limits that they set to its inputs."""

    blocks: np.ndarray
    limits: tuple[float, float, float] | None


def pack_winograd(weights, backwards=False):
    """Transform weights (1, k, k, C, F) to G g G^T.

    ``backwards`` takes the taps in reverse order along both axes.

    Returns
    -------
    Transformed
    """
    blocks = pack_blocks(weights[0])
    packed = aligned_empty((len(blocks), IN * IN, *blocks.shape[3:]), weights.dtype)
    count, taps, _, channels, width = blocks.shape
    sums = np.zeros((count, taps, taps, -(-channels // CHANNELS), width), weights.dtype)
    largest = np.zeros((count, width), weights.dtype)
    last = taps - 1 if backwards else 0
    matrix = _kernel_matrix(taps)
    transform_kernels(blocks, matrix, packed, last, sums, largest, serial=weights.size < SMALL_WEIGHTS)
    return Transformed(packed, trust_limits(sums, largest))


@compiled(parallel=True)
def transform_kernels(weights, matrix, packed, last, sums, largest):
    """``packed[b, i*6 + j, c] = sum over y, x of matrix[i, y] * matrix[j, x] * weights[b, y, x, c]``, a line each.

    Parameters
    ----------
    weights : array (blocks, k, k, C, VECS*LANES)
    matrix : array (6, k)
        G.
    packed : array (blocks, 36, C, VECS*LANES)
        Written in full.
    last : int
        The tap to begin with: 0, or the last one, and then in reverse order along both axes.
    sums : array (blocks, k, k, parts, VECS*LANES)
    largest : array (blocks, VECS*LANES)
        Zeros; get what `trust_limits` asks for.
    """
    (blocks, taps, _, channels, width), parts = weights.shape, sums.shape[3]
    for task in prange(blocks):
        block = np.int64(task)
        half, zeros = np.empty(taps * width, weights.dtype), np.zeros(width, weights.dtype)
        zero = tile_rows(1, TILE_VECS, zeros, 0)
        for c in range(channels):
            for tap in range(block * taps * taps, (block + 1) * taps * taps):
                line = tile_rows(1, TILE_VECS, weights, (tap * channels + c) * width)
                line, at = tile_larger(line, zero - line), (tap * parts + c // CHANNELS) * width
                tile_write(tile_rows(1, TILE_VECS, sums, at) + line, sums, at)
                tile_write(tile_larger(line, tile_rows(1, TILE_VECS, largest, block * width)), largest, block * width)
            for i in range(IN):
                for x in range(taps):
                    line = zero
                    for y in range(taps):
                        tap = (block * taps + abs(last - y)) * taps + abs(last - x)
                        line = line + matrix[i, y] * tile_rows(1, TILE_VECS, weights, (tap * channels + c) * width)
                    tile_write(line, half, x * width)
                for j in range(IN):
                    line = zero
                    for x in range(taps):
                        line = line + matrix[j, x] * tile_rows(1, TILE_VECS, half, x * width)
                    tile_write(line, packed, ((block * IN * IN + i * IN + j) * channels + c) * width)

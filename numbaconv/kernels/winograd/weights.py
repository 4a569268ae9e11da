"""Weights for Winograd's convolution: transformed by G along both axes, and what they allow of inputs."""

import functools
from typing import NamedTuple

import numpy as np
from numba import prange

from ...machine.aligned import aligned_empty
from ...machine.compiler import compiled
from ...machine.tile import tile_larger, tile_rows, tile_write
from ...machine.vectors import TILE_VECS
from ..pack import pack_panels
from ..records import Line
from .points import SCHEMES, weights_matrix
from .transform import weight_of
from .trust import CHANNELS, Limits, trust_limits

# Weights that one core transforms nearly as fast as several, which are worth no loop more to compile.
SMALL_WEIGHTS = 100_000


class Transformed(NamedTuple):
    """Weights for `conv_winograd` and, if there are any, the limits that they set to its inputs."""

    panels: np.ndarray
    limits: Limits | None


@functools.cache
def _matrix(scheme):
    return weights_matrix(scheme).astype(np.float64)


def pack_winograd(weights, backwards=False):
    """Transform weights (KD, k, k, C, F) to G g G^T.

    ``backwards`` takes the taps in reverse order along all axes.

    Returns
    -------
    Transformed
    """
    blocks = pack_panels(weights)
    count, depth, taps, _, channels, width = blocks.shape
    scheme, planes = SCHEMES[taps], count * depth
    packed = aligned_empty((count, scheme.inputs**2, depth, channels, width), weights.dtype)
    sums = np.zeros((planes, taps, taps, -(-channels // CHANNELS), width), weights.dtype)
    largest = np.zeros((planes, width), weights.dtype)
    blocks, serial = blocks.reshape(planes, *blocks.shape[2:]), weights.size < SMALL_WEIGHTS
    transform_weights(blocks, _matrix(scheme), packed, backwards, sums, largest, serial=serial)
    sums, largest = sums.reshape(count, depth * taps, *sums.shape[2:]), largest.reshape(count, depth, width)
    return Transformed(packed, trust_limits(sums, largest.max(1)))


@compiled(parallel=True)
def transform_weights(weights, matrix, packed, backwards, sums, largest):
    """``packed[p, i*n + j, z, c] = sum over y, x of matrix[i, y] * matrix[j, x] * weights[p, z, y, x, c]``, lines all.

    Parameters
    ----------
    weights : array (panels*KD, k, k, C, VECS*LANES)
    matrix : array (n, k)
        G.
    packed : array (panels, n*n, KD, C, VECS*LANES)
        Written in full.
    backwards : bool
        Whether to take the taps in reverse order along all axes.
    sums : array (panels*KD, k, k, parts, VECS*LANES)
    largest : array (panels*KD, VECS*LANES)
        Zeros; get what `trust_limits` asks for.
    """
    planes, taps, _, channels, width = weights.shape
    points, depth = len(matrix), packed.shape[2]
    for task in prange(planes):
        plane = np.int64(task)
        panel, z = plane // depth, plane % depth
        if backwards:
            z = depth - 1 - z
        _measure(weights, plane, sums, largest)
        half, zeros = np.empty(taps * width, weights.dtype), np.zeros(width, weights.dtype)
        zero, tap = tile_rows(1, TILE_VECS, zeros, 0), channels * width
        first, step = (taps * taps - 1, -tap) if backwards else (0, tap)
        for c in range(channels):
            at = (plane * taps * taps + first) * tap + c * width
            for i in range(points):
                for x in range(taps):
                    column = Line(weights, at + x * step, taps * step)
                    tile_write(weight_of(column, matrix, i, zero), half, x * width)
                for j in range(points):
                    to = (((panel * points + i) * points + j) * depth + z) * tap + c * width
                    tile_write(weight_of(Line(half, 0, width), matrix, j, zero), packed, to)


@compiled
def _measure(weights, panel, sums, largest):
    """The sums of absolute weights of a panel, and the largest of each filter."""
    _, taps, _, channels, width = weights.shape
    parts, zeros = sums.shape[3], np.zeros(width, weights.dtype)
    zero = tile_rows(1, TILE_VECS, zeros, 0)
    for c in range(channels):
        for tap in range(panel * taps * taps, (panel + 1) * taps * taps):
            line = tile_rows(1, TILE_VECS, weights, (tap * channels + c) * width)
            line, at = tile_larger(line, zero - line), (tap * parts + c // CHANNELS) * width
            tile_write(tile_rows(1, TILE_VECS, sums, at) + line, sums, at)
            tile_write(tile_larger(line, tile_rows(1, TILE_VECS, largest, panel * width)), largest, panel * width)

"""Weights for Winograd's convolution: transformed by G along both axes, and what they allow of inputs."""

import functools

import numpy as np

from ...machine.aligned import aligned_empty
from ...machine.compiler import compiled
from ...machine.lanes import line_less
from ...machine.tile import tile_rows, tile_write
from ...machine.vectors import TILE_VECS, panel_width
from ...machine.words import prange
from ...objects.tuples import NamedTuple
from ..records import Limits, Line
from .points import FLAT, schemes_for, weights_matrix
from .transform import weight_of
from .trust import CHANNELS, trust_limits

# Weights that one core transforms nearly as fast as several, which are worth no loop more to compile.
SMALL_WEIGHTS = 100_000


class Transformed(NamedTuple):
    """Weights for `conv_winograd` and, if there are any, the limits that they set to its inputs."""

    panels: np.ndarray
    limits: Limits | None


@functools.cache
def _matrix(scheme):
    return (np.ones((1, 1)) if scheme is FLAT else weights_matrix(scheme)).astype(np.float64)


def pack_winograd(weights, backwards=False):
    """Transform weights (KD, k, k, C, F) or (KD, 1, k, C, F) to G g G^T or g G^T: `Transformed`.

    ``backwards`` takes the taps in reverse order along all axes.
    """
    depth, *taps, channels, filters = weights.shape
    width, (along_h, along_w) = panel_width(weights.itemsize), schemes_for(*taps)
    count, parts = -(-filters // width), -(-channels // CHANNELS)
    if filters % width:
        # Lines are read whole, the last of each row too.
        padded = np.zeros((*weights.shape[:-1], count * width), weights.dtype)
        padded[..., :filters] = weights
        weights = padded
    packed = aligned_empty((count, along_h.inputs * along_w.inputs, depth, channels, width), weights.dtype)
    sums = np.zeros((count * depth * parts, taps[0] * taps[1], width), weights.dtype)
    largest = np.zeros((count * depth * parts, width), weights.dtype)
    serial = weights.size < SMALL_WEIGHTS
    sizes = np.empty(3)
    matrices = _matrix(along_h), _matrix(along_w)
    transform_weights(weights, matrices, packed, backwards, sums, largest, sizes, serial=serial)
    return Transformed(packed, trust_limits(*sizes.tolist()))


@compiled(parallel=True)
def transform_weights(weights, matrices, packed, backwards, sums, largest, sizes):
    """``packed[p, i*n + j, z, c] = sum over y, x of along_h[i, y] * along_w[j, x] * weights[z, y, x, c, p]``, of lines.

    The matrices are G along H and W. ``sums`` (panels*KD*parts, KH*KW, VECS*LANES) and ``largest`` (panels*KD*parts,
    VECS*LANES) are zeros, and get the sums of absolute weights of each tap and the largest, each part of `CHANNELS`
    channels its own; ``sizes`` get what `trust_limits` takes.
    """
    depth, rows, taps, channels, filters = weights.shape
    along_h, along_w = matrices
    points, width, tap = len(along_w), largest.shape[1], channels * filters
    parts = -(-channels // CHANNELS)
    for task in prange(len(largest)):
        row = np.int64(task)
        panel, z, part = row // (depth * parts), row // parts % depth, row % parts
        some = part * CHANNELS, min((part + 1) * CHANNELS, channels)
        begin = z * rows * taps * tap + panel * width
        taps_of = Line(weights, begin + some[0] * filters, tap)
        _measure(taps_of, filters, some[1] - some[0], row, sums, largest)
        first, step = begin, tap
        if backwards:
            first, step, z = begin + (rows * taps - 1) * tap, -tap, depth - 1 - z
        half, zeros = np.empty(taps * width, weights.dtype), np.zeros(width, weights.dtype)
        zero = tile_rows(1, TILE_VECS, zeros, 0)
        for c in range(*some):
            at = first + c * filters
            for i in range(len(along_h)):
                for x in range(taps):
                    column = Line(weights, at + x * step, taps * step)
                    tile_write(weight_of(column, along_h, i, zero), half, x * width)
                for j in range(points):
                    to = (((panel * len(along_h) + i) * points + j) * depth + z) * channels * width + c * width
                    tile_write(weight_of(Line(half, 0, width), along_w, j, zero), packed, to)
    _tell(sums, largest, len(packed), sizes)


@compiled
def _measure(taps, filters, channels, row, sums, largest):
    """The sums of absolute weights of each tap over so many channels, and the largest of each filter."""
    width = largest.shape[1]
    for c in range(channels):
        for tap in range(sums.shape[1]):
            line = abs(tile_rows(1, TILE_VECS, taps.array, taps.at + tap * taps.step + c * filters))
            at = (row * sums.shape[1] + tap) * width
            tile_write(tile_rows(1, TILE_VECS, sums, at) + line, sums, at)
            most = tile_rows(1, TILE_VECS, largest, row * width)
            tile_write(line_less(most, line, line, most), largest, row * width)


@compiled
def _tell(sums, largest, panels, sizes):
    """What `trust_limits` takes, from the sums and the largest weights of all parts of so many panels."""
    sizes[:] = 0, 1, 1
    parts, taps, width = len(sums) // panels, sums.shape[1], sums.shape[2]
    for panel in range(panels):
        for lane in range(width):
            total = most = largest.dtype.type(0)
            for row in range(panel * parts, (panel + 1) * parts):
                most = max(most, largest[row, lane])
                for tap in range(taps):
                    # Written so that it finds a NaN.
                    if not sums[row, tap, lane] < np.inf:
                        sizes[0] = np.inf
                    total = max(total, sums[row, tap, lane])
            if most > 0:
                sizes[0], sizes[1] = max(sizes[0], total / most), min(sizes[1], most)
            sizes[2] = max(sizes[2], most)

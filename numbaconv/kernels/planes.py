"""Swapping two axes: between channels first and channels last.

Of results with channels first, a task's outputs are transposed on their way from a buffer to the planes of channels.
"""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import copy
from ..machine.square import transpose_part, transpose_square
from ..machine.vectors import VECTOR_BYTES
from ..machine.words import prange

# Elements of a longer axis that are taken at a time where the other one is shorter than a square: all that is read or
# written stays in the L1 cache.
PART = 1024


@compiled
def plane_at(at, filters, positions):
    """Flat index in (N, F, D, H, W) of what lies at ``at``, with the first filter, in (N, D, H, W, F)."""
    window = at // filters
    return window // positions * filters * positions + window % positions


@compiled(counted=False)
def write_planes(buffer, start, width, count, channels, out, to, positions):
    """``out[to + c*positions + i] = buffer[start + i*width + c]`` for so many windows i and channels c."""
    side = VECTOR_BYTES // out.itemsize
    if 2 * min(count, channels) <= side:
        # The longer loop is the inner one.
        if count < channels:
            for i in range(count):
                for c in range(channels):
                    copy(out, to + c * positions + i, buffer, start + i * width + c, 1)
            return
        for c in range(channels):
            for i in range(count):
                copy(out, to + c * positions + i, buffer, start + i * width + c, 1)
        return
    if count < side or channels < side:
        for c in range(0, channels, side):
            for i in range(0, count, side):
                place, there = start + i * width + c, to + c * positions + i
                transpose_part(buffer, place, width, out, there, positions, count - i, channels - c)
        return
    # The last squares overlap those before them.
    for c in range(0, channels, side):
        c = min(c, channels - side)
        for i in range(0, count, side):
            i = min(i, count - side)
            transpose_square(buffer, start + i * width + c, width, out, to + c * positions + i, positions)


@compiled
def write_windows(buffer, first, width, places, panel, out_at, out):
    """Some of a block's windows, a line of the buffer each, to planes of the output: of whole images, or of one."""
    end = min(places.end, places.count)
    _, filters, positions = out.shape
    of_image, at = min(places.count, positions), places.first
    while at < end:
        count = min(end, (at // of_image + 1) * of_image) - at
        plane, start = plane_at(out_at[at], filters, positions), first + (at - places.first) * width
        write_planes(buffer, start, width, count, panel.count, out, plane + panel.place * positions, positions)
        at += count


@compiled(parallel=True)
def transpose(x, out):
    """``out[n, j, i] = x[n, i, j]`` for arrays (N, I, J) and (N, J, I), square by square. Bound by memory.

    The last squares overlap those before them.
    """
    batch, height, width = x.shape
    side = VECTOR_BYTES // x.itemsize
    # Parts of the longer axis, or of W where squares fit both.
    short = height < side or width < side
    along, part = height if short and width < height else width, PART if short else side
    parts = -(-along // part)
    for task in prange(batch * parts):
        n, first = np.int64(task) // parts, np.int64(task) % parts * part
        # The last square overlaps the one before it.
        first = first if short else min(first, width - side)
        rows, columns, top, left = height, min(part, width - first), 0, first
        if short and width < height:
            rows, columns, top, left = min(part, height - first), width, first, 0
        start, to = n * height * width + top * width + left, n * height * width + left * height + top
        write_planes(x, start, width, rows, columns, out, to, height)

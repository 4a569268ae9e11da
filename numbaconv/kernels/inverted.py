"""Inverted residual in one pass: what a convolution widens stays in the L2 cache while others filter and narrow it."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import RAMP, copy
from ..machine.words import prange
from .conv import tile_height
from .plan.axes import BEFORE, BLOCK, STRIDE, H, W
from .records import Epilogue, Inside, Panels, Places, Source
from .separable import pixels_at, separate, sum_pixels
from .strip import aligned, all_taps, count_blocks, locate, positions_inside, span
from .table import PANELS, TASKS, WORK


@compiled(parallel=True)
def inverted_conv(x, wide, depthwise, pointwise, epilogues, out, vecs, plan):
    """Convolve ``x`` with ``wide``, of one tap, and the results as `kernels.separable` does.

    The sums are those of two calls, in the same order. Every task takes blocks of rows one after the other; what two of
    them read is computed once, but where one task ends and another begins.

    Each of the three steps has an epilogue, of which only the last may have a residual. The plan is that of a separable
    convolution, but that its blocks are dealt out to TASKS, and that the panels of ``wide`` follow.
    """
    # Loops in parallel take no tuples of tuples.
    first, middle, last = epilogues
    for task in prange(plan[WORK, TASKS]):
        steps = Epilogue(*first), (Epilogue(*middle), Epilogue(*last))
        _inverted_task(np.int64(task), x, wide, (depthwise, pointwise), steps, out, vecs, plan)


@compiled
def _inverted_task(task, x, wide, weights, epilogues, out, vecs, plan):
    (depthwise, pointwise), (_, _, height, columns, channels) = weights, x.shape
    column, first = pointwise.shape[4], PANELS + len(depthwise) + len(pointwise)
    row, panels = columns * column, Panels((wide, wide), plan, first, 0, len(wide))
    left, right = positions_inside(-plan[W, BEFORE], 1, span(plan, W, plan[W, BLOCK]), columns)
    array, start = aligned(span(plan, H, plan[H, BLOCK]) * row, x)
    # The rows that are there: from `begun` to before `end` of an image.
    image, begun, end = np.int64(-1), np.int64(0), np.int64(0)
    blocks, tasks = count_blocks(plan[:WORK]), plan[WORK, TASKS]
    for number in range(task * blocks // tasks, (task + 1) * blocks // tasks):
        block = locate(number, plan)
        top = block.h * plan[H, STRIDE] - plan[H, BEFORE]
        low, high = positions_inside(top, 1, span(plan, H, block.rows), height)
        low, high = top + low, top + high
        if block.n != image or end < low:
            image, begun, end = block.n, low, low
        if begun < low:
            for kept in range(low, end):
                copy(array, start + (kept - low) * row, array, start + (kept - begun) * row, row)
            begun = low
        if end < high:
            pixels, count = (image * height + end) * columns, (high - end) * columns
            x_at = pixels_at(pixels * channels, channels, count, tile_height(vecs))
            to = pixels_at(start + (end - begun) * row, column, count, tile_height(vecs))
            there = Places(0, len(to) - RAMP, count, x_at, to)
            sum_pixels(x, there, panels, vecs, epilogues[0], array.reshape(-1))
            end = high
        inside, at = Inside(0, 1, low - top, high - top, left, right), start + (top - begun) * row
        source = Source(array, at - plan[W, BEFORE] * column, 0, 0, row, column, inside, 0, row, column, all_taps(plan))
        separate(source, block, depthwise, pointwise, epilogues[1], out, vecs, plan)

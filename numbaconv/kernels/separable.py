"""Separable convolution in one pass: what the depthwise step makes of a block of windows stays in the L2 cache.

So does what another convolution of one tap widens before, in an inverted residual.
"""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import RAMP, copy, ramp
from ..machine.vectors import TILE_ROWS, TILE_VECS
from ..machine.words import prange
from .conv import sum_windows
from .depthwise import filter_windows, input_of_panels
from .plan.axes import BEFORE, BLOCK, STRIDE, H, W
from .records import Epilogue, Inside, Panels, Places, Source, Steps
from .strip import aligned, all_taps, count_blocks, evenly, locate, pitch_of, places_of, positions_inside, span
from .table import PANELS, TASKS, WORK


@compiled(parallel=True)
def separable_conv(x, wide, depthwise, pointwise, epilogues, out, vecs, plan):
    """Convolve each channel of ``x`` by itself, and all of the results with one tap, every task on its own windows.

    ``out[n, q, f] = bias[f] + sum over c of between[n, q, c] * pointwise[c, f]``, ``between`` being what
    `kernels.depthwise` computes: the same sums in the same order as those of two calls. Where there are weights of one
    tap in ``wide``, what is filtered is not ``x``, but what `kernels.conv` makes of it with these.

    The weights are in panels, those of one tap (panels, 1, 1, 1, channels, VECS*LANES). Each of the three steps has an
    epilogue, of which only the last may have a residual. The plan is that of the depthwise step, but that the output
    strides are those of ``out``: from `flat_plan`, with the panels of ``depthwise``, ``pointwise`` and ``wide``.
    ``vecs`` is as long as the widest tile, and says how many vectors a row of this one has: of all machine code, little
    depends on it. All else is as `kernels.conv` takes it.
    """
    # Loops in parallel take no tuples of tuples.
    first, middle, last = epilogues
    for task in prange(plan[WORK, TASKS]):
        steps = Epilogue(*first), (Epilogue(*middle), Epilogue(*last))
        _separable_task(np.int64(task), x, wide, (depthwise, pointwise), steps, out, vecs, plan)


@compiled
def _separable_task(task, x, wide, weights, epilogues, out, vecs, plan):
    depthwise, pointwise = weights
    # Planes would not compile.
    if out.ndim == 1:  # noqa: SIM102
        if len(wide):
            _inverted_task(task, x, wide, weights, epilogues, out, vecs, plan)
            return
    block = locate(task, plan)
    source = input_of_panels(x, block, plan, Panels(depthwise, plan, PANELS, 0, len(depthwise)), (0,))
    separate(source, block, depthwise, pointwise, epilogues[1], out, vecs, plan)


@compiled
def _inverted_task(task, x, wide, weights, epilogues, out, vecs, plan):
    """Blocks of rows, one after the other; what two of them read is widened once, but between two tasks."""
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
            x_at = evenly(pixels * channels, channels, count, height_of(vecs))
            to = evenly(start + (end - begun) * row, column, count, height_of(vecs))
            there = Places(0, len(to) - RAMP, count, x_at, to)
            sum_pixels(x, there, panels, vecs, epilogues[0], array.reshape(-1))
            end = high
        inside, at = Inside(0, 1, low - top, high - top, left, right), start + (top - begun) * row
        source = Source(array, at - plan[W, BEFORE] * column, 0, 0, row, column, inside, 0, row, column, all_taps(plan))
        separate(source, block, depthwise, pointwise, epilogues[1], out, vecs, plan)


@compiled
def separate(source, block, depthwise, pointwise, epilogues, out, vecs, plan):
    """Both steps for a block whose input is at hand."""
    places, channels = places_of(block, plan, source, height_of(vecs)), pointwise.shape[4]
    # In between: pixels side by side, in as many axes as an image has, for which `sum_windows` may be there already.
    pitch = pitch_of(channels, source.array)
    between, start = aligned(places.count * pitch, source.array)
    between_at = evenly(start, pitch, places.count, height_of(vecs))

    there = Places(0, places.end, places.count, places.x_at, between_at)
    panels = Panels(depthwise, plan, PANELS, 0, len(depthwise))
    filter_windows(source, there, block, panels, epilogues[0], between.reshape(-1), (0,), plan)

    there = Places(0, places.end, places.count, between_at, places.out_at)
    panels = Panels((pointwise, pointwise), plan, PANELS + len(depthwise), 0, len(pointwise))
    sum_pixels(between, there, panels, vecs, epilogues[1], out)


@compiled
def sum_pixels(x, places, panels, vecs, epilogue, out):
    """A convolution of one tap, for windows each of which reads a pixel."""
    channels = panels.weights[0].shape[4]
    taps = np.empty(channels + 1 + RAMP, np.int64)
    ramp(taps, 0, 0, 1, channels + 1)
    steps = Steps(taps[: channels + 1], np.zeros(1, np.int64), 0, channels)
    sum_windows(x, places, steps, panels, vecs, vecs[0] == 1, epilogue, out)


@compiled
def height_of(vecs):
    """Rows of a tile that fills the registers, with as many vectors as ``vecs`` says."""
    return TILE_ROWS * TILE_VECS // vecs[0]

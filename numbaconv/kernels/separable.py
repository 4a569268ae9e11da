"""Separable convolution in one pass: what the depthwise step makes of a block of windows stays in the L2 cache."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import RAMP, ramp
from ..machine.words import prange
from .conv import sum_windows, tile_height
from .depthwise import filter_windows, input_of_panels
from .records import Epilogue, Panels, Places, Steps
from .strip import aligned_flat, locate, pitch_of, places_of
from .table import PANELS, TASKS, WORK


@compiled(parallel=True)
def separable_conv(x, depthwise, pointwise, middle, epilogue, out, vecs, plan):
    """Convolve each channel of ``x`` by itself, and all of the results with one tap, every task on its own windows.

    ``out[n, q, f] = bias[f] + sum over c of between[n, q, c] * pointwise[c, f]``, ``between`` being what
    `kernels.depthwise` computes: the same sums in the same order as those of two calls.

    The weights of both steps are in panels, those of the second (panels, 1, 1, 1, channels in between, VECS*LANES).
    ``middle`` has the fields of an `Epilogue` of the depthwise step, without a residual. The plan is that of the
    depthwise step, but that the output strides are those of ``out``: from `flat_plan`, with first the panels of
    ``depthwise``, then those of ``pointwise``. All else is as `kernels.conv` takes it.
    """
    for task in prange(plan[WORK, TASKS]):
        steps = Epilogue(*middle), Epilogue(*epilogue)
        _separable_task(np.int64(task), x, depthwise, pointwise, steps, out, vecs, plan)


@compiled
def _separable_task(task, x, depthwise, pointwise, epilogues, out, vecs, plan):
    block, channels = locate(task, plan), pointwise.shape[4]
    panels = Panels(depthwise, plan, PANELS, 0, len(depthwise))
    source = input_of_panels(x, block, plan, panels, (0,))
    places = places_of(block, plan, source, tile_height(vecs))

    # In between: pixels side by side, and spare windows that repeat the last one.
    pitch, last = pitch_of(channels, x), places.count - 1
    between, start = aligned_flat((last + 1) * pitch, x)
    between_at, taps = np.empty(places.end + RAMP, np.int64), np.empty(channels + 1 + RAMP, np.int64)
    ramp(between_at, 0, start, pitch, places.end)
    for spare in range(last + 1, places.end):
        between_at[spare] = between_at[last]
    ramp(taps, 0, 0, 1, channels + 1)
    steps = Steps(taps[: channels + 1], np.zeros(1, np.int64), 0, channels)

    there = Places(0, places.end, places.count, places.x_at, between_at)
    filter_windows(source, there, block, panels, epilogues[0], between, (0,), plan)

    there = Places(0, places.end, places.count, between_at, places.out_at)
    panels = Panels((pointwise, pointwise), plan, PANELS + len(depthwise), 0, len(pointwise))
    sum_windows(between, there, steps, panels, vecs, epilogues[1], out)

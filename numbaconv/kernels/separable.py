"""Separable convolution in one pass: what the depthwise step makes of a block of windows stays in the L2 cache."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import RAMP, ramp
from ..machine.words import prange
from .conv import sum_windows, tile_height
from .depthwise import filter_windows, input_of_panels
from .records import Epilogue, Panels, Places, Steps
from .strip import aligned, locate, pitch_of, places_of
from .table import PANELS, TASKS, WORK


@compiled(parallel=True)
def separable_conv(x, depthwise, pointwise, middle, epilogue, out, vecs, plan):
    """Convolve each channel of ``x`` by itself, and all of the results with one tap, every task on its own windows.

    ``out[n, q, f] = bias[f] + sum over c of between[n, q, c] * pointwise[c, f]``, ``between`` being what
    `kernels.depthwise` computes: the same sums in the same order as those of two calls.

    The weights of both steps are in panels, those of the second (panels, 1, 1, 1, channels in between, VECS*LANES).
    ``middle`` has the fields of an `Epilogue` of the depthwise step, without a residual. The plan is that of the
    depthwise step, but that the output strides are those of ``out``: from `flat_plan`, with first the panels of
    ``depthwise``, then those of ``pointwise``. ``vecs`` is as long as the widest tile, and says how many vectors a row
    of this one has: of all machine code, little depends on it. All else is as `kernels.conv` takes it.
    """
    for task in prange(plan[WORK, TASKS]):
        steps = Epilogue(*middle), Epilogue(*epilogue)
        _separable_task(np.int64(task), x, depthwise, pointwise, steps, out, vecs, plan)


@compiled
def _separable_task(task, x, depthwise, pointwise, epilogues, out, vecs, plan):
    block = locate(task, plan)
    source = input_of_panels(x, block, plan, Panels(depthwise, plan, PANELS, 0, len(depthwise)), (0,))
    if vecs[0] == 1:
        separate(source, block, depthwise, pointwise, epilogues, out, vecs[:1], plan)
    else:
        separate(source, block, depthwise, pointwise, epilogues, out, vecs, plan)


@compiled
def separate(source, block, depthwise, pointwise, epilogues, out, vecs, plan):
    """Both steps for a block whose input is at hand."""
    places, channels = places_of(block, plan, source, tile_height(vecs)), pointwise.shape[4]
    # In between: pixels side by side, in as many axes as an image has, for which `sum_windows` may be there already.
    pitch = pitch_of(channels, source.array)
    between, start = aligned(places.count * pitch, source.array)
    between_at = pixels_at(start, pitch, places.count, tile_height(vecs))

    there = Places(0, places.end, places.count, places.x_at, between_at)
    panels = Panels(depthwise, plan, PANELS, 0, len(depthwise))
    filter_windows(source, there, block, panels, epilogues[0], between.reshape(-1), (0,), plan)

    there = Places(0, places.end, places.count, between_at, places.out_at)
    panels = Panels((pointwise, pointwise), plan, PANELS + len(depthwise), 0, len(pointwise))
    sum_pixels(between, there, panels, vecs, epilogues[1], out)


@compiled
def pixels_at(first, step, count, tile_height):
    """Flat indices of pixels so far apart, and of spare ones that repeat the last, for whole tiles."""
    windows = -(-count // tile_height) * tile_height
    places = np.empty(windows + RAMP, np.int64)
    ramp(places, 0, first, step, count)
    for spare in range(count, windows):
        places[spare] = places[count - 1]
    return places


@compiled
def sum_pixels(x, places, panels, vecs, epilogue, out):
    """A convolution of one tap, for windows each of which reads a pixel."""
    channels = panels.weights[0].shape[4]
    taps = np.empty(channels + 1 + RAMP, np.int64)
    ramp(taps, 0, 0, 1, channels + 1)
    steps = Steps(taps[: channels + 1], np.zeros(1, np.int64), 0, channels)
    sum_windows(x, places, steps, panels, vecs, epilogue, out)

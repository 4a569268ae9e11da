"""Convolution to few filters: vectors run over what a window reads, and their lanes are added up at its end.

A tile as `kernels.conv` has it would leave unused the lanes for which there are no filters.
"""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import copy
from ..machine.square import tile_dots, tile_square, tile_totals
from ..machine.tile import lanes_of, tile_write
from ..machine.words import prange
from .ending import end_value
from .plan.axes import TAPS, W
from .planes import plane_at
from .records import Channels, Epilogue, Inside, Steps
from .strip import aligned_flat, input_of, locate, pitch_of, places_of, taps_inside
from .table import CHANNELS, TASKS, WORK, panel_of, panels_of


@compiled(parallel=True)
def conv_few(x, weights, epilogue, out, filters, plan):
    """Do what `kernels.conv.conv` does, for panels of few filters: ``filters`` is a tuple as long as one has.

    Bound by loads where there is one filter, by arithmetic from four on. The weights (panels, KD, KH, runs, lines,
    FILTERS*LANES) are from `pack_few`, the plan from `flat_plan`, with the channels of a branch in CHANNELS.
    """
    for task in prange(plan[WORK, TASKS]):
        _few_task(np.int64(task), x, weights, Epilogue(*epilogue), out, filters, plan)


@compiled
def _few_task(task, x, weights, epilogue, out, filters, plan):
    channels, block = plan[WORK, CHANNELS], locate(task, plan)
    panels, taps = panels_of(block, plan, weights), taps_inside(x, block, plan)
    if weights.shape[3] < plan[W, TAPS]:
        # Taps of a row are one run.
        taps = Inside(taps.front, taps.back, taps.top, taps.bottom, 0, plan[W, TAPS])
    first, last = panel_of(panels, panels.first).channel, panel_of(panels, panels.end - 1).channel
    source = input_of(x, block, plan, Channels(first, pitch_of(last - first + channels, x), 1), taps)
    rows = lanes_of(x) // len(filters)
    places, runs = places_of(block, plan, source, rows), _runs_of(source, weights, plan)
    line, start = aligned_flat(lanes_of(x), weights)
    for number in range(panels.first, panels.end):
        panel = panel_of(panels, number)
        for window in range(0, places.count, rows):
            totals = _sum_square(source.array, places.x_at, window, runs, panel, panel.channel - first, filters)
            tile_write(totals, line, start)
            for r in range(min(rows, places.count - window)):
                for f in range(panel.count):
                    i = start + r * len(filters) + f
                    # As in `tile_finish`, no zero has a sign.
                    total = line[i] + epilogue.bias[panel.first + f] + 0.0
                    to = _place(out, places.out_at[window + r], panel.place + f)
                    line[i] = end_value(total, epilogue, to)
                    copy(out, to, line, i, 1)


@compiled
def _place(out, at, filter):
    """Flat index of a filter's output of the window whose first output would be at ``at``, channels last."""
    if out.ndim == 1:
        return at + filter
    _, filters, positions = out.shape
    return plane_at(at, filters, positions) + filter * positions


@compiled
def _runs_of(source, weights, plan):
    """Runs of inputs that follow each other, as `Steps`: where they lie, where their weights, and how many they are."""
    taps, (_, _, taps_h, taps_w, lines, width) = source.taps, weights.shape
    joined = plan[W, TAPS] // taps_w
    left, right = taps.left // joined, -(-taps.right // joined)
    count = (taps.back - taps.front) * (taps.bottom - taps.top) * (right - left)
    shifts, starts, i = np.empty(count, np.int64), np.empty(count, np.int64), 0
    for kd in range(taps.front, taps.back):
        for kh in range(taps.top, taps.bottom):
            for kw in range(left, right):
                shifts[i] = source.start + kd * source.tap_plane + kh * source.tap_row + kw * source.tap_column
                starts[i] = ((kd * taps_h + kh) * taps_w + kw) * lines * width
                i += 1
    return Steps(shifts, starts, 0, joined * plan[WORK, CHANNELS])


@compiled
def _sum_square(x, x_at, window, runs, panel, channel, filters):
    """The line of sums of some windows, for each window those of all filters of a panel."""
    _, taps_d, taps_h, taps_w, lines, width = panel.weights.shape
    square, lanes = tile_square(x), lanes_of(x)
    for run in range(len(runs.shifts)):
        at = panel.number * taps_d * taps_h * taps_w * lines * width + runs.starts[run]
        shift = runs.shifts[run] + channel
        for _ in range(runs.end // lanes):
            square = tile_dots(square, filters, x, (x_at, window, shift), panel.weights, at, None)
            at, shift = at + width, shift + lanes
        if runs.end % lanes:
            square = tile_dots(square, filters, x, (x_at, window, shift), panel.weights, at, runs.end % lanes)
    return tile_totals(square)

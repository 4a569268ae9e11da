"""Convolution: forward pass in one, two and three dimensions, and of each phase of a transposed convolution."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import tile_finish
from ..machine.memory import RAMP, ask, opaque, ramp
from ..machine.tile import (
    FULL,
    RUN,
    is_narrow,
    lanes_of,
    tile_expect,
    tile_lines,
    tile_multiply,
    tile_outer,
    tile_outer_run,
    tile_rows,
    tile_store,
)
from ..machine.vectors import CACHE_WAY, LOW_ROWS, TILE_ROWS, TILE_VECS, most_low
from ..machine.words import prange
from .ending import end_line, ended, limits_of
from .plan.axes import MOST_STEPS
from .planes import write_windows
from .records import Channels, Epilogue, Line, Panels, Places, Steps
from .strip import aligned_flat, fill_taps, input_of, locate, pitch_of, places_of, taps_inside
from .table import COUNT, FIRST, PLACE, TASKS, WORK, panel_of, panels_of

# Windows that are summed up before they are transposed: whole tiles and whole squares.
CHUNK = 8 * TILE_ROWS
# Rows that are ended at a time.
PAIR = 2
# Of the L2 cache, what the weights of some panels may take, and what their outputs for some tiles may.
SHARE_BYTES = 256 * 1024
# Outputs that do not stay in the L2 cache, and steps of a tile that go by faster than the lines of one come from afar.
FAR_BYTES, SHORT_STEPS = 1024 * 1024, 48

_most_low = compiled(most_low)


@compiled(parallel=True)
def conv(x, weights, epilogue, out, vecs, plan):
    """Convolve ``x`` with ``weights`` into ``out``, every task on its own part of the output.

    ``out[n, q, f] = bias[f] + sum over k, c of x[n, q*stride + k*dilation - before, first + c] * weights[k, c, f]`` for
    each window q and tap k of the three spatial axes; outside the image x is 0. ``first`` is the first channel of the
    filter's branch.

    Bound by arithmetic from about 32 channels and filters on: a line of weights comes from L2 once per tile, a value
    of the strip from L1 once per tile and tap.

    ``x`` is (N, D, H, W, C) or, planar, (N, C, D, H, W, 1). The weights are two arrays (blocks, KD, KH, KW, C, width):
    first the filters of the first, as many whole panels as its blocks have, then those of the second; a block is as
    wide as a tile, or wider, which is how the weights of a layer lie. The epilogue has the fields of an `Epilogue`.
    ``out`` is (elements,) or, if ``x`` is planar, (N, F, D'*H'*W'), written at every window; the plan's strides tell
    where, for channels last. ``vecs`` is as long as a row of the tile has vectors; the plan is from `flat_plan`.
    """
    for task in prange(plan[WORK, TASKS]):
        _conv_task(np.int64(task), x, weights, Epilogue(*epilogue), out, vecs, plan)


@compiled(parallel=True)
def conv_at(x, weights, epilogue, out, vecs, plan, chosen):
    """`conv`, but of all tasks only those whose numbers are listed in ``chosen``."""
    for i in prange(len(chosen)):
        _conv_task(chosen[i], x, weights, Epilogue(*epilogue), out, vecs, plan)


@compiled
def _conv_task(task, x, weights, epilogue, out, vecs, plan):
    channels, block = weights[0].shape[4], locate(task, plan)
    panels = panels_of(block, plan, weights)
    first, last = panel_of(panels, panels.first).channel, panel_of(panels, panels.end - 1).channel
    count, taps = last - first + channels, taps_inside(x, block, plan)
    # Of one tap, half of a tile may share a set of the L1 cache.
    if count * x.itemsize % CACHE_WAY == 0 or weights[0].shape[1] * weights[0].shape[2] * weights[0].shape[3] > 1:
        count = pitch_of(count, x)
    read = Channels(first, count, 1)
    source = input_of(x, block, plan, read, taps)
    places, steps = places_of(block, plan, source, tile_height(vecs)), _steps_of(source, weights[0])
    sum_windows(source.array, places, steps, panels, vecs, None, epilogue, out)


@compiled
def _steps_of(source, weights):
    """The `Steps` of a block's windows: of the taps that read its source."""
    taps, (_, _, taps_h, taps_w, channels, _) = source.taps, weights.shape
    planes, rows, columns = taps.back - taps.front, taps.bottom - taps.top, taps.right - taps.left
    # Rows of taps, and planes, whose weights follow each other.
    joined = 1
    if columns == taps_w:
        joined = max(1, rows * planes if rows == taps_h else rows)
    count = planes * rows // joined if columns else 0
    shifts, starts = np.empty(planes * rows * columns * channels + 1, np.int64), np.empty(count, np.int64)
    fill_taps(shifts, source, channels)
    for run in range(count):
        row = run * joined
        kd, kh = taps.front + row // rows, taps.top + row % rows
        starts[run] = ((kd * taps_h + kh) * taps_w + taps.left) * channels
    return Steps(shifts, starts, 0, joined * columns * channels)


@compiled(inline=True)
def add_steps(tile, x, x_at, place, weights, lines, count):
    """A tile and so many steps that read neighbours; the place is ``(first, shift)``, lines are ``(at, pitch)``."""
    (first, shift), (at, pitch), done = place, lines, 0
    while is_narrow(tile) and done + RUN <= count:
        tile = tile_outer_run(tile, x, x_at, first, shift + done, weights, (at, pitch))
        at, done = at + RUN * pitch, done + RUN
    for step in range(done, count):
        tile = tile_outer(tile, x, x_at, first, shift + step, weights, at)
        at += pitch
    return tile


@compiled
def tile_height(vecs):
    """Rows of a tile that fills the registers."""
    return TILE_ROWS * TILE_VECS // len(vecs)


@compiled
def sum_windows(source, places, steps, panels, vecs, narrow, epilogue, out):
    """Some panels for all windows of a block, in a tile as wide as ``vecs`` or, if it is ``narrow``, of one vector.

    None has code for the former alone: Numba drops what is for others.

    ``steps`` are those of the first panel. They are changed where panels of other branches follow, which read other
    channels. Sums that a tile cannot end go by way of a buffer, and those for planes, whose windows are neighbours or
    all of several images, a chunk at a time, which stays in the L1 cache.
    """
    shifts, starts, length = steps.shifts, steps.starts, steps.end
    part = MOST_STEPS if len(starts) == 1 and length > 4 * MOST_STEPS else max(1, length)
    width = len(vecs) * lanes_of(source)
    if narrow is not None:  # noqa: SIM102
        if narrow:
            width = lanes_of(source)
    panel = panel_of(panels, panels.first)
    # Where there are more steps, the sums so far of all windows, panel by panel.
    room = places.end * width if part < length else 0
    sums, sums_at = np.empty((panels.end - panels.first) * room, source.dtype), np.empty(places.end + RAMP, np.int64)
    residual, ones = epilogue.residual, np.ones(width, source.dtype)
    buffer, buffer_first = aligned_flat(CHUNK * width, source)
    for first in range(0, max(1, length), part):
        now, last = Steps(shifts, starts, first, min(first + part, length)), first + part >= length
        number = panels.first
        while number < panels.end:
            before, panel = panel.channel, panel_of(panels, number)
            _move(shifts, panel.channel - before)
            at = (number - panels.first) * room
            start = Line(sums, at, width) if first else Line(epilogue.bias, 0, 0)
            # Of a residual, whole lines are read.
            whole = residual.size == 0 or panel.count == width
            plain = epilogue.slope == 1.0 and epilogue.function == 0 and whole
            direct = out.ndim == 1
            adds = plain and direct and first == 0 and residual.size > 0
            run = _run_of(panels, number, width, direct and room == 0, adds)
            chunk = max(1, places.end) if direct else CHUNK
            minimum, maximum = limits_of(epilogue, last and plain)
            ends = minimum, maximum, (adds, residual, places.out_at, ones)
            later = last and direct and not plain, Line(buffer, buffer_first, width), epilogue
            for begin in range(0, places.end, chunk):
                end, to, to_at = min(begin + chunk, places.end), sums, sums_at
                if last and direct:
                    if out.ndim == 1:
                        to, to_at = out, places.out_at
                elif last:
                    ramp(sums_at, begin, buffer_first - panel.place, width, end - begin)
                    to = buffer
                else:
                    ramp(sums_at, begin, at + begin * width - panel.place, width, end - begin)
                there = Places(begin, end, places.count, places.x_at, to_at)
                # In one place for each width, for LLVM would copy all of it to others.
                if narrow is None:
                    _sum_panels(source, there, now, run, vecs, start, (ends, later), to)
                elif narrow:
                    _sum_panels(source, there, now, run, vecs[:1], start, (ends, later), to)
                else:
                    _sum_panels(source, there, now, run, vecs, start, (ends, later), to)
                # Flat ones would not compile.
                if out.ndim == 3:  # noqa: SIM102
                    if last:
                        write_windows(buffer, buffer_first, width, there, panel, places.out_at, out)
            number += run.end - run.first


@compiled
def _run_of(panels, number, width, several, filled):
    """One of the `Panels`, or the ``several`` from it on in one array: of one branch, maybe only filled ones."""
    weights, more = panels.weights
    whole, end = len(weights) * (weights.shape[5] // width), number + 1
    first, last = panel_of(panels, number), min(whole, panels.end) if number < whole else panels.end
    while several and end < last:
        panel = panel_of(panels, end)
        if panel.channel != first.channel or (filled and panel.count < width):
            break
        end += 1
    if number < whole:
        return Panels(weights, panels.plan, panels.row, number, end)
    return Panels(more, panels.plan, panels.row + whole, number - whole, end - whole)


@compiled
def _move(shifts, channels):
    """Have all steps read other channels, so many further on."""
    if channels:
        for step in range(len(shifts)):
            shifts[step] += channels


@compiled
def _sum_panels(source, places, steps, panels, vecs, start, ends, out):
    """Panels for windows that begin with the lines of ``start``, one for each, or one for all, and maybe a residual.

    That is multiplied by ones: no intrinsic merely adds it. Nothing here stands for one array and then for another, for
    Numba would count references.
    """
    weights, plan, (ends, (later, buffer, epilogue)) = panels.weights, panels.plan, ends
    minimum, maximum, (adds, residual, out_at, ones) = ends
    _, taps_d, taps_h, taps_w, channels, pitch = weights.shape
    width = len(vecs) * lanes_of(source)
    together, size = pitch // width, taps_d * taps_h * taps_w * channels * pitch
    buffer_at = np.empty(tile_height(vecs) + RAMP, np.int64)
    ramp(buffer_at, 0, buffer.at, width, tile_height(vecs))
    to = buffer.array, buffer_at
    end = min(places.end, places.count)
    stretch, far, expects, follow = _turns_of(source, places, steps, panels, vecs, out)
    apart = _from(source, weights)
    for beginning in range(places.first, end, stretch):
        stop = min(beginning + stretch, end)
        # Of each line of them, so much with each tile.
        piece = -(-width // -(-(stop - beginning) // tile_height(vecs)))
        for number in range(panels.first, panels.end):
            row = panels.row + number
            count, place = plan[row, COUNT], plan[row, PLACE]
            at = number // together * size + number % together * width
            start_at, first = start.at if start.step else plan[row, FIRST], beginning
            # Vectors of no filters are left out. Where a residual is added, there are none.
            slim = len(vecs) > 1 and count <= lanes_of(source)
            more, next_at = far and panels.first < number < panels.end - 1, apart + at + size
            while first < stop:
                ahead = places.x_at[min(first + tile_height(vecs), end - 1)] + steps.shifts[steps.first], follow
                if more:
                    ahead = next_at, piece
                    next_at += piece * len(steps.starts) * (steps.end - steps.first)
                tall = stop - first > _most_low(tile_height(vecs))
                rows = tile_height(vecs) if tall else LOW_ROWS
                window = first, place, count
                if tall and slim:
                    if start.step:
                        half = tile_lines(TILE_ROWS, 1, start.array, start_at + first * start.step, start.step)
                    else:
                        half = tile_rows(TILE_ROWS, 1, start.array, start_at)
                    half = _sum_tile(half, source, places.x_at, first, steps, weights, (at, pitch), ahead)
                    _store(tile_finish(half, minimum, maximum), later, to, out, places.out_at, window)
                elif tall:
                    if start.step:
                        tile = tile_lines(FULL, vecs, start.array, start_at + first * start.step, start.step)
                    else:
                        tile = tile_rows(FULL, vecs, start.array, start_at)
                    if adds:
                        tile = tile_multiply(tile, residual, out_at, (first, place), ones, 0, (0,))
                    if expects:
                        tile_expect(tile, out, places.out_at, first, place)
                    tile = _sum_tile(tile, source, places.x_at, first, steps, weights, (at, pitch), ahead)
                    _store(tile_finish(tile, minimum, maximum), later, to, out, places.out_at, window)
                else:
                    low = tile_lines(LOW_ROWS, vecs, start.array, start_at + first * start.step, start.step)
                    if adds:
                        low = tile_multiply(low, residual, out_at, (first, place), ones, 0, (0,))
                    low = _sum_tile(low, source, places.x_at, first, steps, weights, (at, pitch), ahead)
                    _store(tile_finish(low, minimum, maximum), later, to, out, places.out_at, window)
                if later:
                    _end_tile(buffer, vecs, (rows, stop - first), epilogue, out, places.out_at, window)
                first += rows


@compiled
def _turns_of(source, places, steps, panels, vecs, out):
    """How panels and tiles take turns, and what is asked for meanwhile.

    That are windows from panel to panel, whether weights and outputs come from afar, and how far pixels that follow
    each other are read.
    """
    _, taps_d, taps_h, taps_w, channels, pitch = panels.weights.shape
    count, width, height = panels.end - panels.first, len(vecs) * lanes_of(source), tile_height(vecs)
    line, deep, stretch = count * width * source.itemsize, steps.end - steps.first, max(1, places.end)
    taken = line * len(steps.starts) * deep
    if count > 1 and taken <= SHARE_BYTES:
        # Panels write parts of the same cache lines and pages, which come and go once for all of them.
        stretch = height * max(1, SHARE_BYTES // (line * height))
    # Weights from far are asked for while the panel before theirs is in use, not the input, which L2 has by then.
    far = pitch == width and taken > SHARE_BYTES
    expects = out.size * out.itemsize > FAR_BYTES and len(steps.starts) * deep <= SHORT_STEPS
    # Pixels that lie side by side are read from one end to the other.
    follow = height if taps_d * taps_h * taps_w == 1 and deep == channels else 0
    return stretch, far, expects, follow


@compiled(inline=True)
def _store(tile, later, to, out, out_at, window):
    """A tile goes to the output or, if its sums end ``later``, to a buffer: an array, and the places of rows."""
    (first, place, count), (buffer, buffer_at) = window, to
    if later:
        tile_store(tile, buffer, buffer_at, 0, 0, TILE_VECS * lanes_of(buffer))
    else:
        tile_store(tile, out, out_at, first, place, count)


@compiled
def _from(a, b):
    """Elements from the beginning of one array to that of another."""
    return (np.int64(b.ctypes.data) - np.int64(a.ctypes.data)) // a.itemsize


@compiled(inline=True)
def _end_tile(buffer, vecs, height, epilogue, out, out_at, target):
    """A tile of so many rows, of which some are left to do, from the buffer to the output."""
    (rows, left), (first, place, count) = height, target
    step, pairs, lines = buffer.step, rows, min(rows, left)
    if epilogue.residual.size:
        # That of a row may lie where it goes: spare rows would read it a second time.
        pairs = 0
    else:
        lines = 0
    for pair in range(0, pairs, PAIR):
        # Of an odd number of rows, one is ended twice.
        row = min(pair, pairs - PAIR)
        tile = tile_lines(PAIR, vecs, buffer.array, buffer.at + row * step, step)
        tile = ended(tile, epilogue.slope, epilogue.function, epilogue.minimum, epilogue.maximum)
        tile_store(tile, out, out_at, first + row, place, count)
    for row in range(lines):
        at, to = buffer.at + row * step, out_at[first + row] + place
        for f in range(0, count, lanes_of(out)):
            end_line(tile_rows(1, 1, buffer.array, at + f), out, to + f, count - f, epilogue)


@compiled(inline=True)
def _sum_tile(tile, source, x_at, first, steps, weights, lines, ahead):
    """The tile, and all steps of its windows; meanwhile the input of the next tile is asked for."""
    (weights_at, pitch), (next_at, follow) = lines, ahead
    count, shift = steps.end - steps.first, steps.shifts[steps.first]
    for run in range(len(steps.starts)):
        at = weights_at + (steps.starts[run] + steps.first) * pitch
        # Unsigned, for Numba would look whether it is negative.
        step = np.uint64(steps.first + run * count)
        left = count
        while left > 0:
            while is_narrow(tile) and left >= RUN and steps.shifts[step + np.uint64(RUN - 1)] == shift + (RUN - 1):
                step, left = step + np.uint64(RUN), left - RUN
                for _ in range(RUN):
                    ask(source, next_at)
                    next_at += follow
                tile = tile_outer_run(tile, source, x_at, first, shift, weights, (at, pitch))
                at, shift = at + RUN * pitch, opaque(steps.shifts[step])
            if left > 0:
                step, left = step + np.uint64(1), left - 1
                ask(source, next_at)
                next_at += follow
                tile = tile_outer(tile, source, x_at, first, shift, weights, (at, pitch))
                # Read ahead: if all loads of a step waited for its shift, LLVM would do them first, and spill the tile.
                at, shift = at + pitch, opaque(steps.shifts[step])
    return tile

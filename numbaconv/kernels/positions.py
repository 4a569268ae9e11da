"""Convolution in branches of few channels and filters: vectors run over positions of planes, not over channels.

A tap reads as far from where the first tap does, whichever the window. So the windows of several rows are one run of
positions; what is computed for those between the rows, which are no windows, is left out.
"""

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import tile_finish
from ..machine.memory import RAMP, copy, ramp
from ..machine.tile import lanes_of, tile_rows, tile_scale, tile_store
from ..machine.words import prange
from .ending import end_rows, is_plain, limits_of
from .plan.axes import OUT_STRIDE, STRIP_STRIDE, TAPS, WINDOWS, D, H, N, W
from .planes import write_planes
from .records import Block, Channels, Epilogue, Line, Source
from .strip import aligned_flat, copy_apart, fill_strip, locate, pitch_of, strip_of, taps_inside
from .table import CHANNELS, COUNT, GROUP, PANELS, TASKS, WORK


@compiled(parallel=True)
def conv_positions(x, weights, epilogue, out, places, rows, vecs, plan):
    """Do what `kernels.conv.conv` and `kernels.depthwise.depthwise_conv` do, in tiles of so many rows and vectors.

    Bound by arithmetic where a tile has several filters, otherwise by loads, of which most cross cache lines.

    ``places`` (branches, filters) are where the weights of each branch's filters begin, of the last again and again, to
    whole tiles. From there on, those of each step lie a panel's width further. The plan is from `flat_plan`, with the
    channels of a branch in CHANNELS; its panels are branches.
    """
    # Groups of channels one after the other: what the first reads brings near what the others do.
    groups = len(places) // plan[WORK, GROUP]
    blocks = plan[WORK, TASKS] // groups
    for task in prange(plan[WORK, TASKS]):
        number = np.int64(task) % groups * blocks + np.int64(task) // groups
        _positions_task(number, x, weights, Epilogue(*epilogue), out, places, (rows, vecs), plan)


@compiled
def _positions_task(task, x, weights, epilogue, out, places, tile_shape, plan):
    rows, vecs = tile_shape
    block, channels, branches = locate(task, plan), plan[WORK, CHANNELS], plan[WORK, GROUP]
    first, chunk = block.part * branches, len(vecs) * lanes_of(x)
    filters, limits = plan[PANELS, COUNT], limits_of(epilogue, is_plain(epilogue))
    strip = _planes(x, out, block, first * channels, branches * channels, chunk, plan)
    shifts, weights_at = _steps_of(strip, weights, channels, plan)
    count = (block.rows - 1) * strip.row + (block.columns - 1) * plan[W, STRIP_STRIDE] + 1
    pitch = pitch_of(-(-count // chunk) * chunk, x)
    # Room for the spare rows of the last tile; those of others are written over.
    room = branches * filters + len(rows)
    sums, start = aligned_flat(room * pitch, x)
    numbers, sums_at = np.empty(room + RAMP, np.int64), np.empty(room + RAMP, np.int64)
    ramp(numbers, 0, 0, 1, room)
    ramp(sums_at, 0, start, pitch, room)
    zeros, ones = np.zeros(chunk, x.dtype), np.ones(chunk, x.dtype)
    for branch in range(branches):
        shift = branch * channels * strip.image
        for f in range(0, filters, len(rows)):
            row, weight = branch * filters + f, (first + branch) * places.shape[1] + f
            for at in range(0, count, chunk):
                tile = tile_rows(rows, vecs, zeros, 0)
                tile = tile_scale(tile, epilogue.bias, numbers, (row, first * filters), ones, 0, (0,))
                for i in range(len(shifts)):
                    x_at, place = at + shift + shifts[i], (weight, weights_at[i])
                    tile = tile_scale(tile, weights, places, place, strip.array, x_at, (0,))
                tile_store(tile_finish(tile, limits[0], limits[1]), sums, sums_at, row, at, chunk)
    lines, written = Line(sums, start, pitch), (first * filters, branches * filters)
    if out.ndim == 1:
        _write_pixels(lines, strip.row, block, *written, epilogue, out, plan)
    else:
        _write_planes(lines, strip.row, block, *written, out, plan)


@compiled
def _planes(x, out, block, first, count, spare, plan):
    """A strip with a plane for each of some channels, where others have images."""
    taps = taps_inside(x, block, plan)
    planes = Block(block.n, block.d, block.h, block.w, count, block.planes, block.rows, block.columns, 0)
    strip = strip_of(x, planes, plan, 1, taps, spare)
    array, start, image, plane, row, column, inside, tap_plane, tap_row, tap_column, _ = strip
    if out.ndim == 1:
        pixels = strip_of(x, block, plan, count, taps, 0)
        fill_strip(pixels, x, block, plan, Channels(first, count, 1))
        front, top, left = inside.front, inside.top, inside.left
        at = pixels.start + front * pixels.plane + top * pixels.row + left * count
        to = start + front * plane + top * row + left
        write_planes(pixels.array, at, count, (inside.back - front) * plane, count, array, to, image)
    else:
        for c in range(count):
            at = start + c * image
            one = Source(array, at, image, plane, row, column, inside, tap_plane, tap_row, tap_column, taps)
            fill_strip(one, x, block, plan, Channels(first + c, 1, 1))
    return strip


@compiled
def _steps_of(source, weights, channels, plan):
    """Where the windows read each channel of each tap, and how far from the first weights of a filter its own lie."""
    taps, width = source.taps, weights.shape[-1]
    count = (taps.back - taps.front) * (taps.bottom - taps.top) * (taps.right - taps.left) * channels
    shifts, weights_at, i = np.empty(count, np.int64), np.empty(count, np.int64), 0
    for kd in range(taps.front, taps.back):
        for kh in range(taps.top, taps.bottom):
            for kw in range(taps.left, taps.right):
                at = source.start + kd * source.tap_plane + kh * source.tap_row + kw * source.tap_column
                for c in range(channels):
                    shifts[i] = at + c * source.image
                    weights_at[i] = (((kd * plan[H, TAPS] + kh) * plan[W, TAPS] + kw) * channels + c) * width
                    i += 1
    return shifts, weights_at


@compiled
def _write_pixels(lines, row, block, first, filters, epilogue, out, plan):
    """Bring the windows of some filters, of each a line of positions, to an output with channels last."""
    sums, start, pitch = lines
    step, of_window = plan[W, STRIP_STRIDE], plan[W, OUT_STRIDE]
    to = block.n * plan[N, OUT_STRIDE] + block.d * plan[D, OUT_STRIDE] + block.w * of_window + first
    plain = is_plain(epilogue)
    # Of the last pixel, too, whole vectors are read.
    buffer, buffer_at = aligned_flat(0 if plain else block.columns * filters + lanes_of(sums), sums)
    for h in range(block.rows):
        at, there = start + h * row, to + (block.h + h) * plan[H, OUT_STRIDE]
        line, line_at, pixel = (out, there, of_window) if plain else (buffer, buffer_at, filters)
        if step == 1:
            write_planes(sums, at, pitch, filters, block.columns, line, line_at, pixel)
        else:
            for f in range(filters):
                for w in range(block.columns):
                    copy(line, line_at + w * pixel + f, sums, at + f * pitch + w * step, 1)
        if not plain:
            end_rows(Line(buffer, buffer_at, filters), Line(out, there, of_window), block.columns, filters, epilogue)


@compiled
def _write_planes(lines, row, block, first, filters, out, plan):
    """The same for an output with channels first."""
    step, columns = plan[W, STRIP_STRIDE], plan[W, WINDOWS]
    for f in range(filters):
        to = (block.n * out.shape[1] + first + f) * out.shape[2] + block.d * plan[H, WINDOWS] * columns + block.w
        for h in range(block.rows):
            at, there = lines.at + f * lines.step + h * row, to + (block.h + h) * columns
            if step == 1:
                copy(out, there, lines.array, at, block.columns)
            else:
                copy_apart(out, there, lines.array, at, block.columns, step)

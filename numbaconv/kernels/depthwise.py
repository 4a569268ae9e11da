"""Depthwise convolution: every channel is filtered by itself, so vectors of channels multiply elementwise."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.line import line_read, line_write
from ..machine.memory import RAMP, ask, ramp
from ..machine.slide import tile_slide
from ..machine.tile import lanes_of, tile_expect, tile_multiply, tile_rows, tile_store
from ..machine.vectors import CACHE_WAY, EDGE, SLIDE, SLIDE_ROWS, TILE_ROWS, TILE_VECS
from ..machine.words import prange
from .ending import end_windows, ended, within_tile
from .plan.axes import DILATION, OUT_STRIDE, STRIP_DILATION, STRIP_STRIDE, TAPS, WINDOWS, D, H, N, W
from .planes import write_windows
from .records import Channels, Epilogue, Inside, Line, Panel, Places, Source, Tiles
from .strip import (
    aligned_flat,
    all_taps,
    fill_strip,
    first_input,
    image_of,
    image_shape,
    input_of,
    locate,
    pitch_of,
    places_of,
    span,
    strip_of,
    taps_inside,
)
from .table import COUNT, FIRST, MEANS, TASKS, WORK, panel_of, panels_of

# A tuple as long as a tile of neighbouring windows takes taps of a row at once.
SEVERAL = (0,) * SLIDE
# As long as the tile has rows, and as that has which takes what whole ones leave over of a row, if they are few.
ROWS, LOW = (0,) * SLIDE_ROWS, (0,) * (SLIDE_ROWS // 2)
# Panels that such tiles take in turn, times rows of taps: pixels come from far whole, and so many rows stay in L1.
TOGETHER = 12
# Taps that had better read vectors across cache lines than have pixels brought to whole ones before.
ACROSS_TAPS = 24
# Outputs and inputs that come from so far that those of the next row are asked for.
FAR_BYTES = 3 * 1024 * 1024


@compiled(parallel=True)
def depthwise_conv(x, weights, epilogue, out, plan):
    """Filter each channel of ``x`` with its own kernels into ``out``, every task on its own part of the output.

    ``out[n, q, f] = bias[f] + sum over k of x[n, q*stride + k*dilation - before, f // multiplier] * weights[k, f]`` for
    each window q and tap k of the three spatial axes; outside the image x is 0.

    Bound by loads where each multiply-add reads its own vector of the strip, by arithmetic and memory alike where
    windows are neighbours and share what they read. The weights (panels, KD, KH, KW, VECS*LANES) are the filters,
    multiplier for each channel, in panels as wide as a tile, the last filled up with zeros; all else is as in
    `kernels.conv`. Where the plan has MEANS, tasks take whole rows of windows, and write the mean of each row, too: a
    line of filters for each row of all images.
    """
    for task in prange(plan[WORK, TASKS]):
        depthwise_task(np.int64(task), x, weights, Epilogue(*epilogue), out, (0,), plan)


@compiled(parallel=True)
def group_conv(x, weights, epilogue, out, group, plan):
    """`kernels.conv.conv` for groups of as many filters as channels, of which a vector holds some.

    A depthwise convolution for each channel of a group: the first one's for all of its filters, and so on, so that no
    lane is idle. Bound by arithmetic, and by the exchange of lanes, of which several taps have the use. The weights
    (panels, KD, KH, KW, GROUP*VECS*LANES) are from `pack_groups`; ``group`` is a tuple as long as one has channels.
    """
    for task in prange(plan[WORK, TASKS]):
        depthwise_task(np.int64(task), x, weights, Epilogue(*epilogue), out, group, plan)


@compiled
def depthwise_task(task, x, weights, epilogue, out, group, plan):
    """A task of `depthwise_conv` or `group_conv`."""
    block = locate(task, plan)
    panels = panels_of(block, plan, weights)
    source = input_of_panels(x, block, plan, panels, group)
    places = places_of(block, plan, source, TILE_ROWS)
    filter_windows(source, places, block, panels, epilogue, out, group, plan)
    # Planes would not compile.
    if out.ndim == 1:  # noqa: SIM102
        if plan[WORK, MEANS]:
            _mean_rows(block, panels, out, plan)


@compiled
def _mean_rows(block, panels, out, plan):
    """The mean of each row of a block, while its outputs are in the cache."""
    first, last = panel_of(panels, panels.first), panel_of(panels, panels.end - 1)
    end, width, share = last.place + last.count, TILE_VECS * lanes_of(out), 1 / block.columns
    filters = plan[len(plan) - 1, FIRST] + plan[len(plan) - 1, COUNT]
    for plane in range(block.images * block.planes):
        n, d = block.n + plane // block.planes, block.d + plane % block.planes
        for h in range(block.h, block.h + block.rows):
            at = n * plan[N, OUT_STRIDE] + d * plan[D, OUT_STRIDE] + h * plan[H, OUT_STRIDE]
            to = plan[WORK, MEANS] + ((n * plan[D, WINDOWS] + d) * plan[H, WINDOWS] + h) * filters
            for f in range(first.place, end, width):
                # Shares are added up, for sums may be too large.
                total = line_read(TILE_VECS, out, at + f, end - f) * share
                for w in range(1, block.columns):
                    total = total + line_read(TILE_VECS, out, at + w * plan[W, OUT_STRIDE] + f, end - f) * share
                line_write(total, out, to + f, end - f)


@compiled
def input_of_panels(x, block, axes, panels, group):
    """`input_of` for panels of channels, but that windows which are neighbours read the image even around its edges.

    The source begins where channel 0 of the output would read it, though it may hold only those of the panels. Vectors
    may read past the end of a pixel: what they make of it is not stored.
    """
    width, last = panels.weights.shape[4] // len(group), panel_of(panels, len(panels.weights) - 1)
    filters, channels = last.first + last.count, image_shape(x)[3]
    repeat, first, pixel = max(1, filters // channels), panels.first * width, channels * x.itemsize
    count, there = pitch_of((panels.end - panels.first) * width, x), False
    neighbours = _neighbours(axes, block)
    if x.ndim == 5 and repeat == 1:
        # Vectors may reach into the next pixel, where there is one. Of neighbours, each is taken by itself.
        lanes = width // TILE_VECS if neighbours else width
        reach = min(panels.end * width, -(-filters // lanes) * lanes)
        there = reach <= channels or _last_input(x, block, axes) + reach <= x.size
        # Pixels that lie far apart compete for the L1 cache, where many taps would find them again.
        near = pixel < CACHE_WAY // 2 or pixel % (CACHE_WAY // 4) > 0
        if there and near and neighbours:
            image = image_of(x, block, axes, 0, all_taps(axes))
            if max(image.inside.left, span(axes, W, block.columns) - image.inside.right) <= EDGE:
                return image
    taps = taps_inside(x, block, axes)
    if neighbours:
        # Where a tile looks for zeros, there are few.
        taps = Inside(taps.front, taps.back, taps.top, taps.bottom, 0, axes[W, TAPS])
    few = min(count, channels - first)
    fitting = neighbours or few % lanes_of(x) == 0 or axes[D, TAPS] * axes[H, TAPS] * axes[W, TAPS] <= ACROSS_TAPS
    fitting = fitting and pitch_of(few, x) == few
    if x.ndim == 5 and fitting and not there and count >= filters == channels:
        # Whole rows are copied at once.
        source = strip_of(x, block, axes, channels, taps, width)
        fill_strip(source, x, block, axes, Channels(0, channels, 1))
    else:
        source = input_of(x, block, axes, Channels(first, few if there and fitting else count, repeat), taps)
    array, start, image, plane, row, column, inside, tap_plane, tap_row, tap_column, taps = source
    start -= first
    return Source(array, start, image, plane, row, column, inside, tap_plane, tap_row, tap_column, taps)


@compiled
def _last_input(x, block, axes):
    """Flat index of the first channel of the last pixel that a block reads."""
    d, h, w = first_input(block.d + block.planes - 1, block.h + block.rows - 1, block.w + block.columns - 1, axes)
    d = min(d + (axes[D, TAPS] - 1) * axes[D, DILATION], x.shape[1] - 1)
    h = min(h + (axes[H, TAPS] - 1) * axes[H, DILATION], x.shape[2] - 1)
    w = min(w + (axes[W, TAPS] - 1) * axes[W, DILATION], x.shape[3] - 1)
    return ((((block.n + block.images - 1) * x.shape[1] + d) * x.shape[2] + h) * x.shape[3] + w) * x.shape[4]


@compiled
def _neighbours(axes, block):
    """Whether windows of a tile that a row of a block fills overlap, or lie side by side."""
    adjacent = axes[W, STRIP_DILATION] == 1 and axes[H, STRIP_DILATION] == 1
    return adjacent and block.images * block.planes == 1 and block.columns >= SLIDE_ROWS and axes[W, TAPS] >= SLIDE


@compiled
def filter_windows(source, places, block, panels, epilogue, out, group, axes):
    """Some panels of channels for all windows of a block.

    Sums that a residual is added to, and those for planes, go by way of a buffer for a panel.
    """
    width = panels.weights.shape[4] // len(group)
    direct = out.ndim == 1 and epilogue.residual.size == 0
    ending, room = (epilogue.bias, within_tile(epilogue)), 0 if direct else places.end
    buffer, start = aligned_flat(room * width, source.array)
    buffer_at = np.empty(room + RAMP, np.int64)
    slides = _neighbours(axes, block)
    step = max(1, TOGETHER // panels.weights.shape[2]) if direct and slides else 1
    for number in range(panels.first, panels.end, step):
        panel, last = panel_of(panels, number), panel_of(panels, min(number + step, panels.end) - 1)
        count = last.first + last.count - panel.first
        panel = Panel(panel.weights, number, panel.first, count, panel.place, panel.channel)
        ramp(buffer_at, 0, start - panel.place, width, room)
        to, to_at = buffer, buffer_at
        # Planes would not compile.
        if out.ndim == 1:  # noqa: SIM102
            if direct:
                to, to_at = out, places.out_at
        there = Places(places.first, places.end, places.count, places.x_at, to_at)
        if slides:
            _slide(source, there, block, panel, ending, to, group, axes)
        else:
            _gather(source, there, panel, ending, to, group)
        if not direct:
            _write(buffer, start, width, places, panel, epilogue, out)


@compiled
def _write(buffer, start, width, places, panel, epilogue, out):
    """All windows of a block from the buffer to the output."""
    if out.ndim == 1:
        end_windows(Line(buffer, start, width), places, panel, epilogue, out)
    else:
        write_windows(buffer, start, width, places, panel, places.out_at, out)


@compiled(inline=True)
def _gather(source, places, panel, ending, out, group):
    """A panel of channels, for windows that lie anywhere."""
    bias, (slope, function, minimum, maximum) = ending
    _, taps_d, taps_h, taps_w, pitch = panel.weights.shape
    taps = source.taps
    for first in range(places.first, places.end, TILE_ROWS):
        tile = tile_rows(TILE_ROWS, TILE_VECS, bias, panel.first)
        for kd in range(taps.front, taps.back):
            for kh in range(taps.top, taps.bottom):
                at = (((panel.number * taps_d + kd) * taps_h + kh) * taps_w + taps.left) * pitch
                start = source.start + kd * source.tap_plane + kh * source.tap_row + panel.first
                for kw in range(taps.left, taps.right):
                    shift = start + kw * source.tap_column
                    tile = tile_multiply(tile, source.array, places.x_at, (first, shift), panel.weights, at, group)
                    at += pitch
        tile = ended(tile, slope, function, minimum, maximum)
        tile_store(tile, out, places.out_at, first, panel.place, panel.count)


@compiled(inline=True)
def _slide(source, places, block, panel, ending, out, group, axes):
    """A panel of channels, or several, for rows of windows that are neighbours."""
    low, high, stride = source.inside.left, source.inside.right, axes[W, STRIP_STRIDE]
    taps, tiles, tile = panel.weights.shape[3], -(-block.columns // SLIDE_ROWS), SLIDE_ROWS * stride
    whole = min(tiles, -(-low // tile))
    # The last tile of a row reaches back to be full, perhaps as far as the edge: what two tiles compute is alike.
    all_inside = low <= block.columns * stride - tile and high == (block.columns - 1) * stride + taps
    end = tiles if all_inside else max(whole, (high + stride - tile - taps) // tile + 1)
    steps = axes[H, STRIP_STRIDE], stride
    # Groups have two halves of the rows take turns.
    if len(group) == 1 and 0 < block.columns % SLIDE_ROWS <= len(LOW):
        tiles -= 1
        end, number = min(end, tiles), -(-block.columns // len(LOW)) - 1
        low_tile = Tiles(number, number + 1, steps, (low, high))
        _slide_tiles(source, places, block, panel, ending, out, (LOW, group), low_tile)
    _slide_tiles(source, places, block, panel, ending, out, (ROWS, group), Tiles(0, whole, steps, (low, high)))
    _slide_tiles(source, places, block, panel, ending, out, (ROWS, group), Tiles(whole, end, steps, None))
    _slide_tiles(source, places, block, panel, ending, out, (ROWS, group), Tiles(end, tiles, steps, (low, high)))


@compiled
def _slide_tiles(source, places, block, panel, ending, out, shape, tiles):
    """Some tiles of each row of a block, a vector of channels at a time, which leaves registers for the weights.

    The shape is (ROWS, GROUP), two tuples of these lengths.
    """
    rows, group = shape
    array, x_at, weights, inside = source.array, places.x_at, panel.weights, source.inside
    bias, (slope, function, minimum, maximum) = ending
    _, taps_d, taps_h, taps_w, pitch = weights.shape
    # Known when compiling, so that no step divides.
    lanes, width = lanes_of(array), TILE_VECS * lanes_of(array)
    # Windows of a tile share what several taps at once read.
    step_h, stride = tiles.steps
    shared = taps_w - taps_w % SLIDE if stride == 1 else 0
    # Rows as short as a tile are too short for the processor to see where they go on. Some pixels share a set of L1.
    far = source.column * array.itemsize % (CACHE_WAY // 4) > 0
    expects, far = far and out.size * out.itemsize > FAR_BYTES, far and array.size * array.itemsize > FAR_BYTES
    for t in range(tiles.first, tiles.end):
        edge = min(t * len(rows), block.columns - len(rows))
        for h in range(block.rows):
            window, y = h * block.columns + edge, h * step_h
            low, high = max(0, inside.top - y), min(taps_h, inside.bottom - y)
            for c in range(0, panel.count, lanes):
                f = panel.first + c
                tile = tile_rows(rows, 1, bias, f)
                if expects and h + 1 < block.rows:
                    tile_expect(tile, out, places.out_at, window + block.columns, panel.place + c)
                if far and h + 1 < block.rows:
                    ahead = x_at[window] + source.start + (taps_h - 1 + step_h) * source.row + f
                    for column in range(0, (len(rows) - 1) * stride + taps_w):
                        ask(array, ahead + column * source.column)
                lines = (panel.number + c // width) * taps_d * taps_h * taps_w * pitch + c % width
                for kd in range(inside.front, inside.back):
                    for kh in range(low, high):
                        x_first = x_at[window] + source.start + kd * source.plane + kh * source.row + f
                        at = lines + (kd * taps_h + kh) * taps_w * pitch
                        for kw in range(0, shared, SLIDE):
                            x_lines = x_first + kw * source.column, source.column, edge + kw, 1
                            taps = at + kw * pitch, pitch
                            tile = tile_slide(tile, array, x_lines, weights, taps, tiles.columns, (SEVERAL, group))
                        for kw in range(shared, taps_w):
                            step, number = stride * source.column, stride * edge + kw
                            x_lines = x_first + kw * source.column, step, number, stride
                            taps = at + kw * pitch, pitch
                            tile = tile_slide(tile, array, x_lines, weights, taps, tiles.columns, ((0,), group))
                tile = ended(tile, slope, function, minimum, maximum)
                tile_store(tile, out, places.out_at, window, panel.place + c, panel.count - c)

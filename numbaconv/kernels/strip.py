"""What the sliding-window kernels share: a task's block of windows, and their input, in the image or in a strip."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.line import FOURTH, SECOND, THIRD, line_gather, line_read, line_write
from ..machine.memory import RAMP, clear, copy, ramp
from ..machine.square import transpose_part, transpose_square
from ..machine.tile import lanes_of
from ..machine.vectors import CACHE_LINE, CACHE_WAY, LINE, TILE_VECS, VECTOR_BYTES
from .plan.axes import (
    BEFORE,
    BLOCK,
    DILATION,
    OUT_STRIDE,
    RUN,
    STEP,
    STRIDE,
    STRIP_DILATION,
    STRIP_STRIDE,
    TAPS,
    WINDOWS,
    D,
    H,
    N,
    W,
)
from .records import Block, Inside, Places, Source

# Pixels past its end that filling a strip may write: those of a square of the smallest elements, less one.
OVERHANG = VECTOR_BYTES // 4 - 1
# Channels of which to copy more takes a call of the system's function, which begins slowly.
LONG = 256


@compiled
def locate(task, axes):
    """The block of windows of a task."""
    blocks = -(-axes[W, WINDOWS] // axes[W, BLOCK])
    w = task % blocks * axes[W, BLOCK]
    task //= blocks
    blocks = -(-axes[H, WINDOWS] // axes[H, BLOCK])
    h = task % blocks * axes[H, BLOCK]
    task //= blocks
    blocks = -(-axes[D, WINDOWS] // axes[D, BLOCK])
    d = task % blocks * axes[D, BLOCK]
    task //= blocks
    blocks = -(-axes[N, WINDOWS] // axes[N, BLOCK])
    n = task % blocks * axes[N, BLOCK]
    images = min(axes[N, BLOCK], axes[N, WINDOWS] - n)
    planes = min(axes[D, BLOCK], axes[D, WINDOWS] - d)
    rows = min(axes[H, BLOCK], axes[H, WINDOWS] - h)
    columns = min(axes[W, BLOCK], axes[W, WINDOWS] - w)
    return Block(n, d, h, w, images, planes, rows, columns, task // blocks)


@compiled
def count_blocks(axes):
    """Blocks of windows, over which `locate` runs with the first group of panels."""
    count = 1
    for axis in range(len(axes)):
        count *= -(-axes[axis, WINDOWS] // axes[axis, BLOCK])
    return count


@compiled
def span(axes, axis, windows):
    """Strip positions of neighbouring windows along an axis, for all taps."""
    return _positions(axes, axis, windows, 0, axes[axis, TAPS])[1]


@compiled
def _positions(axes, axis, windows, first, end):
    """The first strip position that some taps of neighbouring windows read, and the one after the last."""
    dilation, run = axes[axis, STRIP_DILATION], axes[axis, RUN]
    if run or first == end:
        return first * dilation, end * dilation
    return first * dilation, (windows - 1) * axes[axis, STRIP_STRIDE] + (end - 1) * dilation + 1


@compiled
def input_at(axes, axis, position):
    """Input positions from the first strip position to another."""
    run = axes[axis, RUN]
    if run:
        return position // run * axes[axis, DILATION] + position % run * axes[axis, STEP]
    return position * axes[axis, STEP]


@compiled
def aligned(count, like):
    """An array with room for ``count`` elements from a place on where a cache line begins, and that place."""
    array = np.empty((1, 1, 1, 1, count + CACHE_LINE // like.itemsize), like.dtype)
    return array, -array.ctypes.data % CACHE_LINE // like.itemsize


@compiled
def aligned_flat(count, like):
    """`aligned` as an array of one axis."""
    array = np.empty(count + CACHE_LINE // like.itemsize, like.dtype)
    return array, -array.ctypes.data % CACHE_LINE // like.itemsize


@compiled
def pitch_of(channels, like):
    """Channels that a pixel needs room for, so that those of a tile do not compete for one set of the L1 cache."""
    crowded = channels * like.itemsize % (CACHE_WAY // 2) == 0
    return channels + crowded * (CACHE_LINE // like.itemsize)


@compiled
def positions_inside(first, step, count, length):
    """Of ``count`` strip positions from image position ``first`` on, the first inside, and the one after the last."""
    low = min(count, max(0, -(first // step)))
    return low, max(low, min(count, -((first - length) // step)))


@compiled
def image_shape(x):
    """(D, H, W, C) of the images of ``x``: an array (N, D, H, W, C) or, planar, (N, C, D, H, W, 1)."""
    if x.ndim == 5:
        return x.shape[1:]
    return x.shape[2], x.shape[3], x.shape[4], x.shape[1]


@compiled
def _pixel_at(x, n, d, h, w):
    """Flat index of the first channel of a pixel."""
    if x.ndim == 5:
        return (((n * x.shape[1] + d) * x.shape[2] + h) * x.shape[3] + w) * x.shape[4]
    return ((n * x.shape[1] * x.shape[2] + d) * x.shape[3] + h) * x.shape[4] + w


@compiled
def first_input(d, h, w, axes):
    """Position (d, h, w) that the first tap of a window reads; it may lie outside the image."""
    return (
        d * axes[D, STRIDE] - axes[D, BEFORE],
        h * axes[H, STRIDE] - axes[H, BEFORE],
        w * axes[W, STRIDE] - axes[W, BEFORE],
    )


@compiled
def all_taps(axes):
    """Those of a kernel, wherever they read."""
    return Inside(0, axes[D, TAPS], 0, axes[H, TAPS], 0, axes[W, TAPS])


@compiled
def taps_inside(x, block, axes):
    """Taps that read inside the image for some window of a block: what the others would add is 0."""
    image_d, image_h, image_w, _ = image_shape(x)
    x_d, x_h, x_w = first_input(block.d, block.h, block.w, axes)
    front, back = _reaching(axes, D, x_d, block.planes, image_d)
    top, bottom = _reaching(axes, H, x_h, block.rows, image_h)
    left, right = _reaching(axes, W, x_w, block.columns, image_w)
    return Inside(front, back, top, bottom, left, right)


@compiled
def _reaching(axes, axis, first, windows, length):
    dilation, taps = axes[axis, DILATION], axes[axis, TAPS]
    low, _ = positions_inside(first + (windows - 1) * axes[axis, STRIDE], dilation, taps, length)
    _, high = positions_inside(first, dilation, taps, length)
    return min(low, high), high


@compiled
def _lie_inside(axes, axis, first, windows, low, high, length):
    """Whether all that these taps of some windows read lies inside the image."""
    dilation = axes[axis, DILATION]
    last = first + (windows - 1) * axes[axis, STRIDE] + (high - 1) * dilation
    return low == high or (first + low * dilation >= 0 and last < length)


@compiled
def image_of(x, block, axes, channel, taps):
    """The image as the `Source` of a block, from ``channel`` on."""
    _, image_d, image_h, image_w, image_c = x.shape
    x_d, x_h, x_w = first_input(block.d, block.h, block.w, axes)
    front, back = positions_inside(x_d, axes[D, STEP], span(axes, D, block.planes), image_d)
    top, bottom = positions_inside(x_h, axes[H, STEP], span(axes, H, block.rows), image_h)
    left, right = positions_inside(x_w, axes[W, STEP], span(axes, W, block.columns), image_w)
    row = image_w * image_c
    return Source(
        x,
        _pixel_at(x, block.n, x_d, x_h, x_w) + channel,
        image_d * image_h * row,
        axes[D, STEP] * image_h * row,
        axes[H, STEP] * row,
        axes[W, STEP] * image_c,
        Inside(front, back, top, bottom, left, right),
        axes[D, DILATION] * image_h * row,
        axes[H, DILATION] * row,
        axes[W, DILATION] * image_c,
        taps,
    )


@compiled
def input_of(x, block, axes, channels, taps):
    """The `Source` of a block, for some taps: the image if all lies inside, otherwise, and if planar, a new strip."""
    if x.ndim == 5 and channels.repeat == 1 and channels.first + channels.count <= x.shape[4]:
        x_d, x_h, x_w = first_input(block.d, block.h, block.w, axes)
        there = _lie_inside(axes, D, x_d, block.planes, taps.front, taps.back, x.shape[1])
        there = there and _lie_inside(axes, H, x_h, block.rows, taps.top, taps.bottom, x.shape[2])
        there = there and _lie_inside(axes, W, x_w, block.columns, taps.left, taps.right, x.shape[3])
        if there and (block.images == 1 or pitch_of(x[0].size, x) == x[0].size):
            return image_of(x, block, axes, channels.first, taps)
    strip = strip_of(x, block, axes, channels.count, taps, TILE_VECS * lanes_of(x))  # Vectors reach beyond.
    fill_strip(strip, x, block, axes, channels)
    return strip


@compiled
def strip_of(x, block, axes, column, taps, spare):
    """A new strip of a block, for some taps of so many channels, with room for spare values; `fill_strip` fills it."""
    front, back = _positions(axes, D, block.planes, taps.front, taps.back)
    top, bottom = _positions(axes, H, block.rows, taps.top, taps.bottom)
    left, right = _positions(axes, W, block.columns, taps.left, taps.right)
    row = (right - left) * column
    plane = (bottom - top) * row
    size = (back - front) * plane
    if block.images > 1:
        size = pitch_of(size, x)
    overhang = 0 if x.ndim == 5 else OVERHANG
    array, at = aligned(block.images * size + overhang * column + spare, x)
    inside = Inside(front, back, top, bottom, left, right)
    tap_row, tap_column = axes[H, STRIP_DILATION] * row, axes[W, STRIP_DILATION] * column
    tap_plane = axes[D, STRIP_DILATION] * plane
    start = at - front * plane - top * row - left * column
    return Source(array, start, size, plane, row, column, inside, tap_plane, tap_row, tap_column, taps)


@compiled
def fill_strip(strip, x, block, axes, channels):
    """Copy the input of a block into a strip; what lies outside the image becomes 0.

    It is written wherever ``inside``, and the pixels side by side; if ``x`` is planar, there must be room for
    `OVERHANG` pixels more, which may be written, too.
    """
    array, inside = strip.array, strip.inside
    image_d, image_h, image_w, image_c = image_shape(x)
    first_d, first_h, first_w = first_input(block.d, block.h, block.w, axes)
    step, run = axes[W, STEP], axes[W, RUN] or max(1, inside.right - inside.left)
    repeats = _repeats(channels)
    # Not in functions, of which each call would count references to arrays.
    joined, shift = step == 1 and channels.repeat == 1 and channels.first == 0 and channels.count == image_c, 0
    if x.ndim == 6:
        plane_size = image_d * image_h * image_w
        joined, shift = step == 1 and channels.count == 1, channels.first // channels.repeat * plane_size
    for i in range(block.images):
        for plane in range(inside.front, inside.back):
            x_d = first_d + input_at(axes, D, plane)
            for row in range(inside.top, inside.bottom):
                x_h = first_h + input_at(axes, H, row)
                there = 0 <= x_d < image_d and 0 <= x_h < image_h
                # In the order of the strip: what is written beyond the end of a run is covered by those that follow.
                for column in range(inside.left, inside.right, run):
                    at = strip.start + i * strip.image + plane * strip.plane + row * strip.row + column * channels.count
                    if not there:
                        clear(array, at, run * channels.count)
                        continue
                    x_w = first_w + input_at(axes, W, column)
                    left, right = positions_inside(x_w, step, run, image_w)
                    before, after = left * channels.count, right * channels.count
                    x_at = _pixel_at(x, block.n + i, x_d, x_h, x_w + left * step)
                    if joined:
                        copy(array, at + before, x, x_at + shift, after - before)
                    elif x.ndim == 5:
                        _fill_row(array, at + before, x, x_at, right - left, step, channels, repeats)
                    else:
                        _fill_row_planar(array, at + before, x, x_at, right - left, step, channels)
                    if right - left < run:
                        clear(array, at, before)
                        clear(array, at + after, run * channels.count - after)


@compiled
def _fill_row(strip, to, x, x_at, columns, step, channels, repeats):
    """A row of a strip from pixels that lie side by side, or a step apart, from the one at ``x_at`` on."""
    channel, count, repeat = channels
    image_c, x_at = x.shape[4], x_at + channel // repeat
    valid = min(count, image_c * repeat - channel)
    if count == 1:
        for column in range(columns):
            copy(strip, to + column, x, x_at + column * step * image_c, 1)
        return
    for _ in range(columns):
        if repeat == 1 and valid <= LONG:
            # Zeros behind them, too: to clear these by themselves would take a call.
            for j in range(0, count, lanes_of(x)):
                line_write(line_read(1, x, x_at + j, max(0, valid - j)), strip, to + j, count - j)
            to, x_at = to + count, x_at + step * image_c
            continue
        if repeat == 1:
            copy(strip, to, x, x_at, valid)
        else:
            for j in range(0, valid, LINE):
                line_write(line_gather(x, x_at, repeats, j, valid - j), strip, to + j, valid - j)
        if valid < count:
            clear(strip, to + valid, count - valid)
        to, x_at = to + count, x_at + step * image_c


@compiled
def _repeats(channels):
    """How far the channel that each value of a pixel is a copy of is from the first one."""
    table = np.empty(channels.count + LINE if channels.repeat > 1 else 0, np.int32)
    for j in range(len(table)):
        table[j] = (channels.first % channels.repeat + j) // channels.repeat
    return table


@compiled
def _fill_row_planar(strip, to, x, x_at, columns, step, channels):
    """`_fill_row` where each channel is an image of its own."""
    channel, count, repeat = channels
    pixels, side = x.shape[2] * x.shape[3] * x.shape[4], VECTOR_BYTES // x.itemsize
    if count == 1 and step > 1:
        copy_apart(strip, to, x, x_at + channel // repeat * pixels, columns, step)
        return
    valid = min(count, x.shape[1] * repeat - channel)
    plain = repeat == 1 and step == 1
    for left in range(0, columns, side):
        # A square of a row that is too short takes of the next row, too, which this one's end or that row covers later.
        left = max(0, min(left, columns - side))
        for top in range(0, valid, side):
            top = max(0, min(top, valid - side))
            at, there = x_at + (channel + top) * pixels + left, to + left * count + top
            if plain and valid >= side and at + (side - 1) * pixels + side <= x.size:
                transpose_square(x, at, pixels, strip, there, count)
                continue
            if plain and 2 * min(valid, columns) > side:
                transpose_part(x, at, pixels, strip, there, count, valid - top, columns - left)
                continue
            for j in range(top, min(top + side, valid)):
                at = x_at + (channel + j) // repeat * pixels
                for column in range(left, min(left + side, columns)):
                    copy(strip, to + column * count + j, x, at + column * step, 1)
    for column in range(columns):
        clear(strip, to + column * count + valid, count - valid)


@compiled
def copy_apart(out, to, x, at, count, step):
    """Copy so many values that lie a step apart."""
    if step > 4:
        for i in range(count):
            copy(out, to + i, x, at + i * step, 1)
        return
    for j in range(0, count, LINE):
        left = count - j
        if step == 2:
            line = line_gather(x, at, SECOND, j, left)
        elif step == 3:
            line = line_gather(x, at, THIRD, j, left)
        else:
            line = line_gather(x, at, FOURTH, j, left)
        line_write(line, out, to + j, left)


@compiled
def places_of(block, axes, source, tile_height):
    """The `Places` of a block's windows, image by image, plane by plane and row by row.

    Their number is rounded up to whole tiles; spare windows repeat the last one, so no remainder loop is needed.
    """
    x_plane, x_row = axes[D, STRIP_STRIDE] * source.plane, axes[H, STRIP_STRIDE] * source.row
    x_column = axes[W, STRIP_STRIDE] * source.column
    out_row, out_column = axes[H, OUT_STRIDE], axes[W, OUT_STRIDE]
    out_first = block.n * axes[N, OUT_STRIDE] + block.d * axes[D, OUT_STRIDE]
    out_first += block.h * out_row + block.w * out_column
    planes, rows, columns = block.planes, block.rows, block.columns
    count = block.images * planes * rows * columns
    windows = -(-count // tile_height) * tile_height
    x_at, out_at = np.empty(windows + RAMP, np.int64), np.empty(windows + RAMP, np.int64)
    for plane in range(block.images * planes):
        image, d = plane // planes, plane % planes
        x_first, to = image * source.image + d * x_plane, out_first + image * axes[N, OUT_STRIDE]
        to += d * axes[D, OUT_STRIDE]
        for row in range(rows):
            window = (plane * rows + row) * columns
            ramp(x_at, window, x_first + row * x_row, x_column, columns)
            ramp(out_at, window, to + row * out_row, out_column, columns)
    for spare in range(count, windows):
        x_at[spare], out_at[spare] = x_at[count - 1], out_at[count - 1]
    return Places(0, windows, count, x_at, out_at)


@compiled
def evenly(first, step, count, tile_height):
    """So many places at even distances, and spare ones that repeat the last, for whole tiles."""
    windows = -(-count // tile_height) * tile_height
    places = np.empty(windows + RAMP, np.int64)
    ramp(places, 0, first, step, count)
    for spare in range(count, windows):
        places[spare] = places[count - 1]
    return places


@compiled
def fill_taps(x_at, source, channels):
    """Where each tap of a source, and each of its first channels, reads it for a block's first window.

    The table is filled up with its last entry.
    """
    taps, i = source.taps, 0
    for kd in range(taps.front, taps.back):
        for kh in range(taps.top, taps.bottom):
            for kw in range(taps.left, taps.right):
                at = source.start + kd * source.tap_plane + kh * source.tap_row + kw * source.tap_column
                for c in range(channels):
                    x_at[i] = at + c
                    i += 1
    last = x_at[i - 1] if i else 0
    for spare in range(i, x_at.size):
        x_at[spare] = last

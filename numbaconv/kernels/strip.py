"""What the sliding-window kernels share: finding a task's place, and copying its input into a zero-padded strip."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import RAMP, clear, copy, ramp
from ..machine.square import transpose_square
from ..machine.vectors import CACHE_LINE, CACHE_WAY, VECTOR_BYTES
from .plan.axes import BEFORE, BLOCK, OUT_STRIDE, STEP, STRIDE, STRIP_DILATION, STRIP_STRIDE, TAPS, WINDOWS, D, H, N, W

# Pixels past its end that filling a strip may write: those of a square of the smallest elements, less one.
OVERHANG = VECTOR_BYTES // 4 - 1


@compiled
def locate(task, axes):
    """First window (n, d, h, w) of a block of windows, and what is left of ``task``: its group of output channels."""
    blocks = -(-axes[W, WINDOWS] // axes[W, BLOCK])
    w = task % blocks * axes[W, BLOCK]
    task //= blocks
    blocks = -(-axes[H, WINDOWS] // axes[H, BLOCK])
    h = task % blocks * axes[H, BLOCK]
    task //= blocks
    d = task % axes[D, WINDOWS]
    task //= axes[D, WINDOWS]
    blocks = -(-axes[N, WINDOWS] // axes[N, BLOCK])
    return task % blocks * axes[N, BLOCK], d, h, w, task // blocks


@compiled
def count_blocks(axes):
    """Blocks of windows, over which `locate` runs with the first group of output channels."""
    count = 1
    for axis in range(len(axes)):
        count *= -(-axes[axis, WINDOWS] // axes[axis, BLOCK])
    return count


@compiled
def extent(axes, axis, first):
    """Windows of the block that starts at ``first``, and the strip positions that they span."""
    windows = min(axes[axis, BLOCK], axes[axis, WINDOWS] - first)
    span = (windows - 1) * axes[axis, STRIP_STRIDE] + (axes[axis, TAPS] - 1) * axes[axis, STRIP_DILATION] + 1
    return windows, span


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
def spread(channels, like):
    """Channels that a pixel needs room for, so that those of a tile do not compete for one set of the L1 cache."""
    crowded = channels * like.itemsize % (CACHE_WAY // 2) == 0
    return channels + crowded * (CACHE_LINE // like.itemsize)


@compiled
def positions_inside(first, step, count, length):
    """Of ``count`` strip positions from image position ``first`` on, the first inside, and the one after the last."""
    low = min(count, max(0, -(first // step)))
    return low, max(low, min(count, -((first - length) // step)))


@compiled
def image_shape(x, planar):
    """(D, H, W, C) of the images of ``x``: an array (N, D, H, W, C), or (N, C, D, H, W) if ``planar`` is not None."""
    if planar is None:
        return x.shape[1:]
    return x.shape[2], x.shape[3], x.shape[4], x.shape[1]


@compiled
def fill_strip(strip, start, planes, rows, columns, channels, x, n, d, h, w, axes, channel, repeat, planar):
    """Copy the input of the block of windows at (n, d, h, w) into ``strip``; what lies outside the image becomes 0.

    Parameters
    ----------
    strip : array
        Written in full from flat index ``start`` on, as an array (planes, rows, columns, channels); if ``planar``,
        there must be room for `OVERHANG` pixels more, which may be written, too.
    x : array
        As `image_shape` says.
    channel, repeat : int
        Channel j of the strip is channel ``(channel + j) // repeat`` of ``x``: a depth multiplier repeats each channel.
        Channels past the last become 0.
    """
    image_d, image_h, image_w, image_c = image_shape(x, planar)
    valid = min(channels, image_c * repeat - channel)
    x_w, step = w * axes[W, STRIDE] - axes[W, BEFORE], axes[W, STEP]
    lo, hi = positions_inside(x_w, step, columns, image_w)
    for a in range(planes):
        x_d = d * axes[D, STRIDE] - axes[D, BEFORE] + a * axes[D, STEP]
        for r in range(rows):
            x_h = h * axes[H, STRIDE] - axes[H, BEFORE] + r * axes[H, STEP]
            line = start + (a * rows + r) * columns * channels
            if x_d < 0 or x_d >= image_d or x_h < 0 or x_h >= image_h:
                clear(strip, line, columns * channels)
                continue
            to, count, place = line + lo * channels, hi - lo, (n, x_d, x_h, x_w + lo * step)
            if planar is None:
                _fill_row(strip, to, count, channels, valid, x, place, step, channel, repeat)
            else:
                _fill_row_planar(strip, to, count, channels, valid, x, place, step, channel, repeat)
            clear(strip, line, lo * channels)
            clear(strip, line + hi * channels, (columns - hi) * channels)


@compiled
def _fill_row(strip, to, columns, channels, valid, x, place, step, channel, repeat):
    """A row of a strip from pixels that lie side by side, or a step apart, from ``place`` on."""
    n, d, h, w = place
    image_d, image_h, image_w, image_c = x.shape[1:]
    first = (((n * image_d + d) * image_h + h) * image_w + w) * image_c
    if repeat == 1 and step == 1 and valid == channels and channels == image_c:
        copy(strip, to, x, first, columns * channels)
        return
    for column in range(columns):
        if repeat == 1:
            copy(strip, to, x, first + column * step * image_c + channel, valid)
        else:
            for j in range(valid):
                strip[0, 0, 0, 0, to + j] = x[n, d, h, w + column * step, (channel + j) // repeat]
        clear(strip, to + valid, channels - valid)
        to += channels


@compiled
def _fill_row_planar(strip, to, columns, channels, valid, x, place, step, channel, repeat):
    """`_fill_row` where each channel is an image of its own."""
    n, d, h, w = place
    plane, side = x[0, 0].size, VECTOR_BYTES // x.itemsize
    first = ((n * x.shape[1] * x.shape[2] + d) * x.shape[3] + h) * x.shape[4] + w
    if channels == 1 and step == 1:
        copy(strip, to, x, first + channel // repeat * plane, columns)
        return
    squares = repeat == 1 and step == 1 and valid >= side
    for left in range(0, columns, side):
        # A square of a row that is too short takes of the next row, too, which this one's end or that row covers later.
        left = max(0, min(left, columns - side))
        for top in range(0, valid, side):
            top = max(0, min(top, valid - side))
            at = first + (channel + top) * plane + left
            if squares and at + (side - 1) * plane + side <= x.size:
                transpose_square(x, at, plane, strip, to + left * channels + top, channels)
                continue
            for j in range(top, min(top + side, valid)):
                at = first + (channel + j) // repeat * plane
                for column in range(left, min(left + side, columns)):
                    copy(strip, to + column * channels + j, x, at + column * step, 1)
    for column in range(columns):
        clear(strip, to + column * channels + valid, channels - valid)


@compiled
def image_of(x, n, d, h, w, axes, rows, columns, channel):
    """The image as input of the block of windows at (n, d, h, w), spanning so many rows and columns of a strip.

    Returns
    -------
    at, plane, row, column : int
        Flat index of the first value, which may lie outside, and elements from one strip position to the next along D,
        H and W.
    inside : tuple of int
        For D, H and W, the first strip position that lies in the image, and the one after the last.
    """
    _, image_d, image_h, image_w, image_c = x.shape
    x_d = d * axes[D, STRIDE] - axes[D, BEFORE]
    x_h = h * axes[H, STRIDE] - axes[H, BEFORE]
    x_w = w * axes[W, STRIDE] - axes[W, BEFORE]
    row = image_w * image_c
    at = ((n * image_d + x_d) * image_h + x_h) * row + x_w * image_c + channel
    low_d, high_d = positions_inside(x_d, axes[D, STEP], axes[D, TAPS], image_d)
    low_h, high_h = positions_inside(x_h, axes[H, STEP], rows, image_h)
    low_w, high_w = positions_inside(x_w, axes[W, STEP], columns, image_w)
    inside = low_d, high_d, low_h, high_h, low_w, high_w
    return at, axes[D, STEP] * image_h * row, axes[H, STEP] * row, axes[W, STEP] * image_c, inside


@compiled
def input_of(x, n, d, h, w, axes, rows, columns, channel, channels, repeat, planar):
    """Input of the block of windows at (n, d, h, w), spanning so many rows and columns of a strip.

    Where all of it lies in the image, that is the image itself, otherwise, and if ``planar``, a new strip.

    Returns
    -------
    source : array
    at, plane, row, column : int
        Flat index of the first value, and elements from one strip position to the next along D, H and W.
    """
    planes = axes[D, TAPS]
    if planar is None:
        at, plane, row, column, inside = image_of(x, n, d, h, w, axes, rows, columns, channel)
        if inside == (0, planes, 0, rows, 0, columns) and repeat == 1 and channel + channels <= x.shape[4]:
            return x, at, plane, row, column
    overhang = 0 if planar is None else OVERHANG
    strip, start = aligned((planes * rows * columns + overhang) * channels, x)
    fill_strip(strip, start, planes, rows, columns, channels, x, n, d, h, w, axes, channel, repeat, planar)
    return strip, start, rows * columns * channels, columns * channels, channels


@compiled
def input_of_images(x, images, n, d, h, w, axes, rows, columns, channel, channels, repeat):
    """`input_of` for the same block of so many images from n on.

    Returns
    -------
    source, at, plane, row, column
        As from `input_of`, for the first image.
    image : int
        Elements from one image to the next.
    """
    source, start, plane, row, column = input_of(x, n, d, h, w, axes, rows, columns, channel, channels, repeat, None)
    if images == 1 or source.ctypes.data == x.ctypes.data:
        return source, start, plane, row, column, x.size // x.shape[0]
    size = axes[D, TAPS] * plane
    strip, start = aligned(images * size, x)
    for i in range(images):
        at = start + i * size
        fill_strip(strip, at, axes[D, TAPS], rows, columns, channels, x, n + i, d, h, w, axes, channel, repeat, None)
    return strip, start, plane, row, column, size


@compiled
def places(n, d, h, w, axes, rows, columns, row_step, column_step, tile_rows):
    """For each window of a block, row by row: where its input starts in the source, and its output in ``out``.

    Returns
    -------
    windows : int
        Their number, rounded up to whole tiles, which so need no remainder: the last window is computed again, alike.
    x_at, out_at : int64 array
        At least as long.
    """
    x_row, x_column = axes[H, STRIP_STRIDE] * row_step, axes[W, STRIP_STRIDE] * column_step
    out_row, out_column = axes[H, OUT_STRIDE], axes[W, OUT_STRIDE]
    out_first = n * axes[N, OUT_STRIDE] + d * axes[D, OUT_STRIDE] + h * out_row + w * out_column
    windows = -(-rows * columns // tile_rows) * tile_rows
    x_at, out_at = np.empty(windows + RAMP, np.int64), np.empty(windows + RAMP, np.int64)
    for row in range(rows):
        ramp(x_at, row * columns, row * x_row, x_column, columns)
        ramp(out_at, row * columns, out_first + row * out_row, out_column, columns)
    last = rows * columns - 1
    for spare in range(last + 1, windows):
        x_at[spare], out_at[spare] = x_at[last], out_at[last]
    return windows, x_at, out_at


@compiled
def fill_taps(x_at, start, plane, row, column, channels, axes):
    """Where each tap of a kernel, and each of so many channels, reads the source for a block's first window.

    The table is filled up with its last entry.
    """
    i = 0
    for kd in range(axes[D, TAPS]):
        for kh in range(axes[H, TAPS]):
            for kw in range(axes[W, TAPS]):
                at = start + kd * plane + kh * row * axes[H, STRIP_DILATION] + kw * column * axes[W, STRIP_DILATION]
                for c in range(channels):
                    x_at[i] = at + c
                    i += 1
    for spare in range(i, x_at.size):
        x_at[spare] = x_at[i - 1]

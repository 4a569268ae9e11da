"""What the sliding-window kernels share: finding a task's place, and copying its input into a zero-padded strip."""

from .compiler import compiled
from .plan import (
    BEFORE,
    BLOCK,
    OUT_STRIDE,
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
    n = task % axes[N, WINDOWS]
    return n, d, h, w, task // axes[N, WINDOWS]


@compiled
def extent(axes, axis, first):
    """Windows of the block that starts at ``first``, and the strip positions that they span."""
    windows = min(axes[axis, BLOCK], axes[axis, WINDOWS] - first)
    span = (windows - 1) * axes[axis, STRIP_STRIDE] + (axes[axis, TAPS] - 1) * axes[axis, STRIP_DILATION] + 1
    return windows, span


@compiled
def fill_strip(strip, x, n, d, h, w, axes, channel, repeat):
    """Copy the input of the block of windows at (n, d, h, w) into ``strip``; what lies outside the image becomes 0.

    Parameters
    ----------
    strip : array (taps along D, rows, columns, channels)
        Written in full.
    x : array (N, D, H, W, C)
    channel, repeat : int
        Channel j of the strip is channel ``(channel + j) // repeat`` of ``x``: a depth multiplier repeats each channel.
        Channels past the last become 0.
    """
    image_d, image_h, image_w, image_c = x.shape[1:]
    columns, channels = strip.shape[2], strip.shape[3]
    valid = min(channels, image_c * repeat - channel)
    x_w, step = w * axes[W, STRIDE] - axes[W, BEFORE], axes[W, STEP]
    # Columns lo to hi of the strip lie inside the image.
    lo = min(columns, max(0, -(x_w // step)))
    hi = max(lo, min(columns, -((x_w - image_w) // step)))
    whole = valid == channels == image_c and repeat == 1 and step == 1
    source, target = x.reshape(-1), strip.reshape(-1)
    for a in range(strip.shape[0]):
        x_d = d * axes[D, STRIDE] - axes[D, BEFORE] + a * axes[D, STEP]
        for r in range(strip.shape[1]):
            x_h = h * axes[H, STRIDE] - axes[H, BEFORE] + r * axes[H, STEP]
            line = (a * strip.shape[1] + r) * columns * channels
            if x_d < 0 or x_d >= image_d or x_h < 0 or x_h >= image_h:
                target[line : line + columns * channels] = 0
                continue
            image = ((n * image_d + x_d) * image_h + x_h) * image_w * image_c
            target[line : line + lo * channels] = 0
            target[line + hi * channels : line + columns * channels] = 0
            if whole:
                # Neighbouring columns are neighbours in memory too: one long copy.
                start = image + (x_w + lo) * image_c
                target[line + lo * channels : line + hi * channels] = source[start : start + (hi - lo) * channels]
                continue
            for column in range(lo, hi):
                start = image + (x_w + column * step) * image_c
                place = line + column * channels
                if repeat == 1:
                    for j in range(valid):
                        target[place + j] = source[start + channel + j]
                else:
                    for j in range(valid):
                        target[place + j] = source[start + (channel + j) // repeat]
                target[place + valid : place + channels] = 0


@compiled
def fill_places(x_at, out_at, n, d, h, w, axes, rows, columns, strip_columns, channels):
    """For each window of a block, row by row: where its input starts in the strip, and its output in ``out``.

    The tables are filled up with the last window, so that tiles need no remainder: it is computed again, alike.
    """
    x_row = axes[H, STRIP_STRIDE] * strip_columns * channels
    x_column = axes[W, STRIP_STRIDE] * channels
    out_first = n * axes[N, OUT_STRIDE] + d * axes[D, OUT_STRIDE] + h * axes[H, OUT_STRIDE] + w * axes[W, OUT_STRIDE]
    for p in range(x_at.size):
        window = min(p, rows * columns - 1)
        row, column = window // columns, window % columns
        x_at[p] = row * x_row + column * x_column
        out_at[p] = out_first + row * axes[H, OUT_STRIDE] + column * axes[W, OUT_STRIDE]

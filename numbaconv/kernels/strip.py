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
    planes, rows, columns, channels = strip.shape
    valid = min(channels, x.shape[4] * repeat - channel)
    for a in range(planes):
        x_d = d * axes[D, STRIDE] - axes[D, BEFORE] + a * axes[D, STEP]
        for r in range(rows):
            x_h = h * axes[H, STRIDE] - axes[H, BEFORE] + r * axes[H, STEP]
            inside = 0 <= x_d < x.shape[1] and 0 <= x_h < x.shape[2]
            for column in range(columns):
                x_w = w * axes[W, STRIDE] - axes[W, BEFORE] + column * axes[W, STEP]
                if not inside or x_w < 0 or x_w >= x.shape[3]:
                    for j in range(channels):
                        strip[a, r, column, j] = 0
                    continue
                if repeat == 1:
                    for j in range(valid):
                        strip[a, r, column, j] = x[n, x_d, x_h, x_w, channel + j]
                else:
                    for j in range(valid):
                        strip[a, r, column, j] = x[n, x_d, x_h, x_w, (channel + j) // repeat]
                for j in range(valid, channels):
                    strip[a, r, column, j] = 0


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

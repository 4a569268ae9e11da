"""Gradients of pooling.

One spatial axis comes as (N, W, 1, 1, C), two as (N, H, 1, W, C): each task has a band along the first of them. A
window is known by its taps inside the image, in row-major order; what lies in the padding does not exist here.
"""

from math import ceil, prod

import numpy as np

from ..machine.compiler import compiled
from ..machine.line import line_first, line_lane, line_maximum, line_read, line_taps, line_where, line_write
from ..machine.memory import clear
from ..machine.tile import lanes_of
from ..machine.vectors import VECTOR_BYTES
from ..machine.words import prange

# Bands that a call should have for its cores to share, and what one may take of a core's L2 cache.
BANDS = 16
BAND_BYTES = 256 * 1024
# Bands of gradients are this many times as long as what two of them both have to look at.
LEAST_OVERLAPS = 8


@compiled(parallel=True)
def max_pool_grad(x, grad_out, out, ends, most, bands, vecs):
    """Gradient of `max_pool`: each window adds its own to the first of its largest values, a NaN being larger than all.

    Two passes over the taps of a window, the second adding to all of them: zeros but for the one. Where there are much
    fewer channels than taps, it adds one value after the other instead. Sums run through the windows in order, however
    the bands are cut.

    Each task clears and writes its own of the bands from `input_bands`, and looks at every window that reaches into it.
    ``ends`` are as for `max_pool`; a window has at most ``most`` taps, and ``vecs`` is as long as the vectors of
    channels that are looked at together.
    """
    for task in prange(x.shape[0] * len(bands)):
        _max_grad_band(np.int64(task), x, grad_out, out, ends, most, bands, vecs)


@compiled
def _max_grad_band(task, x, grad_out, out, ends, most, bands, vecs):
    _, depth, height, width, _ = grad_out.shape
    channels, step = x.shape[4], len(vecs) * VECTOR_BYTES // x.itemsize
    n, band, source = _band(task, bands, height * width * channels, depth)
    lo, hi = bands[band, 2], bands[band, 3]
    first, last = bands[band, 4], bands[band, 5]
    pixels = x.shape[2] * x.shape[3]
    start, count = (n * x.shape[1] + lo) * pixels, (hi - lo) * pixels
    if last - first == channels:
        clear(out, start * channels, count * channels)
    else:
        for pixel in range(start, start + count):
            clear(out, pixel * channels + first, last - first)
    taps, window, sums, grads = np.empty(most, np.int64), (0, 0, 0), out.reshape(-1), grad_out.reshape(-1)
    for d in range(bands[band, 0], bands[band, 1]):
        for h in range(depth, depth + height):
            for w in range(depth + height, len(ends)):
                at, window = _window(n, d, h, w, x.shape, ends, taps, window)
                plane = window[1] * window[2]
                for c in range(first, last, step):
                    best = line_read(vecs, x, at + c, last - c)
                    places = line_taps(best)
                    for k in range(1, window[0] * plane):
                        line = line_read(vecs, x, at + taps[k] + c, last - c)
                        places = line_first(places, best, line, k)
                        best = line_maximum(best, line)
                    front, back = max(lo - ends[d, 0], 0) * plane, min(hi - ends[d, 0], window[0]) * plane
                    together = min(step, last - c)
                    # Masked lines that overlap wait for each other.
                    if back - front > together * (1 if 2 * together <= lanes_of(x) else 3):
                        for lane in range(together):
                            k = np.int64(line_lane(places, lane))
                            if front <= k < back:
                                sums[at + taps[k] + c + lane] += grads[source + c + lane]
                        continue
                    grad = line_read(vecs, grad_out, source + c, last - c)
                    for k in range(front, back):
                        to = at + taps[k] + c
                        total = line_read(vecs, out, to, last - c) + line_where(places, k, grad)
                        line_write(total, out, to, last - c)
                source += channels


@compiled
def _band(task, bands, row, rows):
    """Image and band of a task, and where its first window's output lies among ``rows`` of ``row`` elements each."""
    n, band = task // len(bands), task % len(bands)
    return n, band, (n * rows + bands[band, 0]) * row


@compiled
def _window(n, d, h, w, shape, ends, taps, known):
    """Where the first tap of a window lies, and its extents; ``taps`` tells how far on the others are.

    ``d``, ``h`` and ``w`` are rows of ``ends``, and ``known`` are the extents that ``taps`` was last filled for.
    """
    _, _, rows, columns, channels = shape
    first_d, first_h, first_w = ends[d, 0], ends[h, 0], ends[w, 0]
    window = ends[d, 1] - first_d, ends[h, 1] - first_h, ends[w, 1] - first_w
    if window != known:
        k = 0
        for i in range(window[0]):
            for j in range(window[1]):
                for m in range(window[2]):
                    taps[k] = ((i * rows + j) * columns + m) * channels
                    k += 1
    return (((n * shape[1] + first_d) * rows + first_h) * columns + first_w) * channels, window


def input_bands(image, itemsize, ends, size, stride, step):
    """Bands of the input along the first axis, for gradients, and of channels where they are few: int64 (bands, 6).

    The first window that reaches into the band and the one after the last, its positions and channels likewise.
    ``ends``, ``size`` and ``stride`` are of windows along the first axis, and so many channels are looked at together.
    """
    batch, length, *others = image
    bands = max(ceil(BANDS / max(batch, 1)), ceil(length * prod(others) * itemsize / BAND_BYTES))
    rows = max(ceil(length / bands), LEAST_OVERLAPS * (size - stride))
    first = np.arange(0, length, ceil(rows / stride) * stride)
    last = np.append(first[1:], length)
    windows = np.searchsorted(ends[:, 1], first, "right"), np.searchsorted(ends[:, 0], last, "left")
    along = np.stack([*windows, first, last], 1)
    channels, most = others[-1], max(1, BANDS // max(1, batch * len(along)))
    share = ceil(channels / (step * most)) * step
    begin = np.arange(0, channels, max(share, 1))
    parts = np.stack([begin, np.minimum(begin + share, channels)], 1)
    return np.concatenate([np.repeat(along, len(parts), 0), np.tile(parts, (len(along), 1))], 1)

"""Transposed convolution that spreads inputs over the outputs, where gathering would waste lanes or meet padding.

Along D and H each row of outputs gathers from those rows of inputs that meet it, and no others. Along W each input
meets neighbouring outputs, one for each tap, and their filters lie side by side in memory: vectors run over taps and
filters together, so that few filters fill them. Where a row has one input, this is a plain matrix product.
"""

import numpy as np

from ..machine.compiler import compiled
from ..machine.memory import RAMP, copy, opaque, ramp
from ..machine.tile import FULL, tile_rows, tile_spread
from ..machine.words import prange
from ..objects.tuples import NamedTuple
from .conv import add_steps, tile_height
from .ending import end_rows, is_plain
from .plan.scatter import COLUMNS, CROP, DILATION, IMAGES, ROWS, STRIDE, TAPS, TASKS, WORK, D, H, W
from .records import Epilogue, Line
from .strip import aligned_flat


class Sums(NamedTuple):
    """Part of a row of outputs in some images, as it is summed up."""

    # Those of an image lie a pitch apart. A panel's width on either side takes what lies outside, and after all of them
    # is room for spare rows of a tile.
    array: np.ndarray
    start: int
    pitch: int
    # The images, values of their rows that lie before the part, and values of the part.
    n: int
    images: int
    first: int
    count: int


@compiled(parallel=True)
def scatter(x, weights, epilogue, out, vecs, plan):
    """Transposed convolution of ``x`` with ``weights`` into ``out``, every task on its own part of the output.

    ``out[n, o, f] = bias[f] + sum of x[n, i, c] * weights[k, c, f]`` over c and all inputs i and taps k of the three
    spatial axes with ``i*stride + k*dilation - crop == o``. Along W the dilation is 1.

    Bound by arithmetic from about 16 channels on: a row of a tile is added to the outputs once for each row of them.
    An output's sums are added in an order that shapes and the vector width decide, however the work is cut.

    The weights (panels, KD, KH, C, VECS*LANES) are the filters of all taps along W, side by side, in panels as wide as
    a tile, the last filled up. `kernels.plan.scatter` explains the plan; ``vecs`` is as long as a row of the tile has
    vectors.
    """
    for task in prange(plan[WORK, TASKS]):
        _scatter_task(np.int64(task), x, weights, Epilogue(*epilogue), out, vecs, plan)


@compiled
def _scatter_task(task, x, weights, epilogue, out, vecs, plan):
    batch, out_d, out_h, out_w, filters = out.shape
    columns, width = plan[WORK, COLUMNS], weights.shape[4]
    parts, bands = -(-out_w // columns), -(-out_d * out_h // plan[WORK, ROWS])
    left, band, n = task % parts * columns, task // parts % bands, task // parts // bands * plan[WORK, IMAGES]
    count = (min(left + columns, out_w) - left) * filters
    pitch, images = count + 2 * width, min(plan[WORK, IMAGES], batch - n)
    array, start = aligned_flat((images + 1) * pitch, x)
    sums = Sums(array, start + width, pitch, n, images, left * filters, count)
    bias = _repeated(epilogue.bias, filters, count)
    taps = np.empty((weights.shape[1] * weights.shape[2], 2), np.int64)
    for row in range(band * plan[WORK, ROWS], min((band + 1) * plan[WORK, ROWS], out_d * out_h)):
        d, h = row // out_h, row % out_h
        for i in range(images):
            copy(array, sums.start + i * pitch, bias, 0, count)
        meeting = _meeting(taps, x, weights, d, h, plan)
        _spread_row(x, weights, vecs, taps[:meeting], sums, filters, plan)
        for i in range(images):
            to = (((n + i) * out_d + d) * out_h + h) * out_w * filters + sums.first
            if is_plain(epilogue) and epilogue.minimum == -np.inf and epilogue.maximum == np.inf:
                copy(out, to, array, sums.start + i * pitch, count)
            else:
                end_rows(Line(array, sums.start + i * pitch, 0), Line(out, to, 0), 1, count, epilogue)


@compiled
def _repeated(values, period, count):
    """So many values, of which the first repeat."""
    line = np.empty(count, values.dtype)
    done = min(period, count)
    copy(line, 0, values, 0, done)
    while done < count:
        more = min(done, count - done)
        copy(line, done, line, 0, more)
        done += more
    return line


@compiled
def _meeting(taps, x, weights, d, h, plan):
    """List the rows of inputs that meet a row of outputs, flat index of the first and that of the taps' weights."""
    _, image_d, image_h, image_w, channels = x.shape
    count, width = 0, weights.shape[4]
    for kd in range(weights.shape[1]):
        x_d = d + plan[D, CROP] - kd * plan[D, DILATION]
        if x_d < 0 or x_d % plan[D, STRIDE] or x_d // plan[D, STRIDE] >= image_d:
            continue
        for kh in range(weights.shape[2]):
            x_h = h + plan[H, CROP] - kh * plan[H, DILATION]
            if x_h >= 0 and x_h % plan[H, STRIDE] == 0 and x_h // plan[H, STRIDE] < image_h:
                taps[count, 0] = (x_d // plan[D, STRIDE] * image_h + x_h // plan[H, STRIDE]) * image_w * channels
                taps[count, 1] = (kd * weights.shape[2] + kh) * channels * width
                count += 1
    return count


@compiled
def _spread_row(x, weights, vecs, taps, sums, filters, plan):
    """Add to a row of outputs what its inputs give."""
    panels, taps_d, taps_h, channels, width = weights.shape
    most = (
        sums.images * min(x.shape[3], (sums.count + width) // (plan[W, STRIDE] * filters) + 2)
        + tile_height(vecs)
        + RAMP
    )
    x_at, to = np.empty(most, np.int64), np.empty(most, np.int64)
    zeros = np.zeros(width, x.dtype)
    for panel in range(panels):
        lane = panel * width
        places = _list_inputs(x_at, to, x, sums, lane, width, filters, plan)
        for first in range(0, places, tile_height(vecs)):
            tile = tile_rows(FULL, vecs, zeros, 0)
            for t in range(len(taps)):
                shift, at = opaque(taps[t, 0]), lane * taps_d * taps_h * channels + taps[t, 1]
                tile = add_steps(tile, x, x_at, (first, shift), weights, (at, width), channels)
            tile_spread(tile, sums.array, to, first, plan[W, TAPS] * filters - lane)


@compiled
def _list_inputs(x_at, to, x, sums, lane, width, filters, plan):
    """List the inputs of a row whose lanes of a panel meet its outputs, where they lie, and where they are added.

    Neighbours, which would wait for each other's sums, stand apart in the list. The last is followed by spare ones.
    """
    _, image_d, image_h, image_w, channels = x.shape
    step, place = plan[W, STRIDE] * filters, lane - plan[W, CROP] * filters - sums.first
    first, end = max(0, -(width + place) // step + 1), min(image_w, -((place - sums.count) // step))
    apart, listed = min(image_w, -(-width // step)), 0
    for residue in range(apart):
        begin = first + (residue - first) % apart
        count = max(0, -((begin - end) // apart))
        for i in range(sums.images):
            at = ((sums.n + i) * image_d * image_h * image_w + begin) * channels
            ramp(x_at, listed, at, apart * channels, count)
            ramp(to, listed, sums.start + i * sums.pitch + place + begin * step, apart * step, count)
            listed += count
    for spare in range(listed, len(x_at) - RAMP):
        x_at[spare], to[spare] = x_at[listed - 1], sums.start - width + sums.images * sums.pitch
    return listed

"""Gradients of the weights of convolutions: the input, correlated with the gradient of the output over all windows."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.line import line_as, line_read, line_write
from ..machine.memory import ask, clear
from ..machine.slide import tile_slide_apart
from ..machine.tile import FULL, lanes_of, tile_add, tile_rows, tile_scale
from ..machine.vectors import SLIDE
from ..machine.words import prange
from .conv import tile_height
from .depthwise import depthwise_task
from .plan.axes import ANY_LENGTH, DILATION, STRIDE, STRIP_DILATION, STRIP_STRIDE, TAPS, WINDOWS, D, H, W
from .records import Block, Channels, Epilogue, Share
from .strip import (
    all_taps,
    count_blocks,
    fill_strip,
    first_input,
    image_of,
    input_at,
    input_of,
    locate,
    positions_inside,
    strip_of,
)
from .table import TASKS, WORK

# As many as neighbouring windows that a depthwise tile takes at once, and as its rows for the taps.
TOGETHER, ROWS = (0,) * 4, (0,) * SLIDE
# As many rows of a tile as read neighbours, if so many divide the channels.
NEAR = (0,) * 4
# Elements that a step of a tile at least moves on in what the next block reads.
AHEAD = 8


@compiled
def _share(task, sums, grad_out, axes, cut, branches, height):
    """The `Share` of a task: one for each group of panels and piece of their rows has the same blocks."""
    (blocks, group, pieces), (_, panels, rows, width) = cut, sums.shape
    parts, tiles, piece = panels // group, rows // height, task % pieces
    number, part = task // pieces // parts, task // pieces % parts
    branch, place = part // (parts // branches), part % (parts // branches)
    first = branch * (grad_out.shape[4] // branches) + place * group * width
    end = min((number + 1) * blocks, count_blocks(axes))
    sums_at = (number * panels + part * group) * rows * width
    begin, stop = tiles * piece // pieces * height, tiles * (piece + 1) // pieces * height
    for panel in range(group):
        clear(sums, sums_at + (panel * rows + begin) * width, (stop - begin) * width)
    return Share(number * blocks, end, branch, group, first, sums_at, begin, stop)


@compiled
def _tasks(sums, cut):
    return sums.shape[0] * (sums.shape[1] // cut[1]) * cut[2]


@compiled(parallel=True)
def conv_weight_grad(x, grad_out, sums, vecs, axes, grad_axes, cut, branches):
    """Sum what each window gave to its outputs, every task over windows of its own and into its own part of ``sums``.

    ``grad[k, c, f] = sum over n, q of x[n, q*stride + k*dilation - before, c] * grad_out[n, q, f]``, x being 0 outside
    the image; where there are branches, c and f are numbers within each.

    The product of two matrices, (taps x channels) x windows and windows x filters. Bound by arithmetic from about 100
    windows in a block on; fewer do not pay for adding a tile to its sum.

    The first of ``sums``, (splits, panels, rows, VECS*LANES), is written in full: for each share of the windows a sum
    of its own, its filters in panels as wide as a tile. Row ``((kd*KH + kh)*KW + kw)*C + c`` holds a tap's channel;
    rows that fill up the last tile mean nothing. The panels of a branch stand together, its last filled up. To the
    second, a float64 array (splits, panels, VECS*LANES) or of no elements, ``grad_out`` is added up for each filter,
    the gradient of a bias: all of it is near when it is copied. ``axes``, ``grad_axes`` and ``cut`` are of a `SumPlan`.
    """
    channels = x.shape[4] // branches
    for task in prange(_tasks(sums[0], cut)):
        share = _share(np.int64(task), sums[0], grad_out, axes, cut, branches, tile_height(vecs))
        read = Channels(share.branch * channels, channels, 1)
        _sum_windows(share, read, x, grad_out, sums, vecs, axes, grad_axes)


@compiled(parallel=True)
def add_shares(sums, out):
    """Add up what the shares of windows gave, in their order, and put the panels side by side.

    ``sums`` are those of `conv_weight_grad`. Each bundle of ``out``, (bundles, rows or fewer, outputs) and (bundles,
    outputs) or of no elements, has panels of its own.
    """
    (sums, totals), (out, bias) = sums, out
    _, panels, sum_rows, width = sums.shape
    bundles, rows, outputs = out.shape
    lanes, share = lanes_of(out), panels * sum_rows * width
    for task in prange(bundles * rows):
        bundle, row = np.int64(task) // rows, np.int64(task) % rows
        for first in range(0, outputs, lanes):
            at = ((bundle * (panels // bundles) + first // width) * sum_rows + row) * width + first % width
            line = line_read(1, sums, at, lanes)
            for more in range(at + share, sums.size, share):
                line = line + line_read(1, sums, more, lanes)
            line_write(line, out, np.int64(task) * outputs + first, outputs - first)
        if row == 0 and bias.size:
            for f in range(outputs):
                panel, total = bundle * (panels // bundles) + f // width, 0.0
                for split in range(len(totals)):
                    total += totals[split, panel, f % width]
                bias[bundle, f] = total


@compiled
def _add_lines(totals, at, block, grads, start, vecs):
    """Add up what a block's windows give to the filters of a panel, which begin at ``start``, in float64."""
    total = line_as(line_read(vecs, grads.array, 0, 0), totals)
    for i in range(block.images):
        for y in range(block.rows):
            place = start + i * grads.image + y * grads.row
            for _ in range(block.columns):
                total = total + line_as(line_read(vecs, grads.array, place, totals.shape[2]), totals)
                place += grads.column
    tile_add(total, totals, at)


@compiled
def _sum_windows(share, channels, x, grad_out, sums, vecs, axes, grad_axes):
    """A share of the windows, and channels of ``x``.

    Both are copied, the gradient for one panel and the input for few channels at a time: values that lie as far apart
    as pixels compete for a few sets of the L1 cache.
    """
    sums, totals = sums
    _, _, sum_rows, width = sums.shape
    x_at = np.empty(sum_rows, np.int64)
    zeros, count = np.zeros(width, x.dtype), share.group * width
    sums_of = -(-(share.end_row - share.first_row) // tile_height(vecs)) * share.group
    for task in range(share.first, share.end):
        block = locate(task, axes)
        grads = _strips(grad_out, block, grad_axes, Channels(share.filter, count, 1), vecs)
        source = _strips(x, block, axes, channels, (0,))
        _fill_rows(x_at, source, channels.count, block.images * source.image)
        after, windows = locate(min(task + 1, share.end - 1), axes), block.images * block.rows * block.columns
        turns = sums_of * windows
        grad_next, grad_end, grad_step = _ahead(grad_out, after, grad_axes, count, turns)
        x_next, x_end, x_step = _ahead(x, after, axes, channels.count, turns)
        steps = source.row * axes[H, STRIP_STRIDE], source.column * axes[W, STRIP_STRIDE], width
        for panel in range(share.group):
            images = panel * block.images, (panel + 1) * block.images
            if totals.size and share.first_row == 0:
                start = grads.start + images[0] * grads.image
                _add_lines(totals, share.sums_at // sum_rows + panel * width, block, grads, start, vecs)
            for first in range(share.first_row, share.end_row, tile_height(vecs)):
                tile = tile_rows(FULL, vecs, zeros, 0)
                grad_step, x_step = grad_step * (grad_next < grad_end), x_step * (x_next < x_end)
                ahead = (grad_out, grad_next, grad_step), (x, x_next, x_step)
                if channels.count % 4 or source.column % 4:
                    tile = _sum_tile(tile, source, (x_at, first, (0,)), grads, images, block, steps, ahead)
                else:
                    tile = _sum_tile(tile, source, (x_at, first, NEAR), grads, images, block, steps, ahead)
                grad_next, x_next = grad_next + grad_step * windows, x_next + x_step * windows
                tile_add(tile, sums, share.sums_at + (panel * sum_rows + first) * width)


@compiled
def _ahead(x, block, axes, channels, turns):
    """Where what a block reads begins and ends, and elements of it to ask for in each of so many turns.

    Nothing, where it does not lie in one piece.
    """
    d, h, _ = first_input(block.d, block.h, block.w, axes)
    at = ((block.n * x.shape[1] + max(0, d)) * x.shape[2] + max(0, h)) * x.shape[3] * x.shape[4]
    whole = channels >= x.shape[4] and block.columns == axes[W, WINDOWS]
    size = whole * block.images * block.rows * axes[H, STRIDE] * x.shape[3] * x.shape[4]
    return at, at + size, max(AHEAD, -(-size // max(1, turns)))


@compiled(inline=True)
def _sum_tile(tile, source, rows, grads, images, block, steps, ahead):
    """The tile, and all windows of a block; meanwhile it asks for parts of what the next one reads."""
    x_at, first, near = rows
    (grad_out, grad_next, grad_step), (x, x_next, x_step) = ahead
    for i in range(images[0], images[1]):
        for y in range(block.rows):
            at = grads.start + i * grads.image + y * grads.row
            shift = (i - images[0]) * source.image + y * steps[0]
            for _ in range(block.columns):
                tile = tile_scale(tile, source.array, x_at, (first, shift), grads.array, at, near)
                ask(grad_out, grad_next)
                ask(x, x_next)
                grad_next, x_next = grad_next + grad_step, x_next + x_step
                at, shift = at + steps[2], shift + steps[1]
    return tile


@compiled
def _strips(x, block, axes, channels, vecs):
    """Strips of so many vectors of channels each, or of all where these are fewer; they follow each other like images.

    Pixels are read once, from front to back: their parts are too short to be asked for ahead. Where one is a part, rows
    are copied.
    """
    few = min(channels.count, len(vecs) * lanes_of(x))
    images, parts = block.images, -(-channels.count // few)
    room = Block(block.n, block.d, block.h, block.w, parts * images, 1, block.rows, block.columns, block.part)
    source = strip_of(x, room, axes, few, all_taps(axes), 0)
    if few < lanes_of(x) or few == channels.count == x.shape[4]:
        fill_strip(source, x, block, axes, channels)
        return source
    array, inside, part = source.array, source.inside, images * source.image
    valid = min(channels.count, x.shape[4] - channels.first)
    first_d, first_h, first_w = first_input(block.d, block.h, block.w, axes)
    for i in range(images):
        for plane in range(inside.back):
            x_d = first_d + input_at(axes, D, plane)
            for row in range(inside.bottom):
                x_h = first_h + input_at(axes, H, row)
                there = 0 <= x_d < x.shape[1] and 0 <= x_h < x.shape[2]
                x_at = (((block.n + i) * x.shape[1] + x_d) * x.shape[2] + x_h) * x.shape[3]
                to = source.start + i * source.image + plane * source.plane + row * source.row
                for column in range(inside.right):
                    x_w = first_w + input_at(axes, W, column)
                    at = (x_at + x_w) * x.shape[4] + channels.first
                    read = valid if there and 0 <= x_w < x.shape[3] else 0
                    for j in range(0, channels.count, few):
                        line_write(line_read(vecs, x, at + j, max(0, read - j)), array, to + j // few * part, few)
                    to += few
    return source


@compiled
def _fill_rows(x_at, source, channels, part):
    """Where the first window reads each row of sums; those that fill up the last tile read what one does."""
    taps, few, i = source.taps, source.column, 0
    for kd in range(taps.back):
        for kh in range(taps.bottom):
            for kw in range(taps.right):
                at = source.start + kd * source.plane + kh * source.tap_row + kw * source.tap_column
                for c in range(channels):
                    x_at[i] = at + c // few * part + c % few
                    i += 1
    for spare in range(i, len(x_at)):
        x_at[spare] = x_at[0]


@compiled(parallel=True)
def depthwise_weight_grad(x, grad_out, sums, vecs, axes, grad_axes, cut, height):
    """`conv_weight_grad` of a depthwise convolution: each channel of ``x`` meets its own outputs only.

    ``grad[k, f] = sum over n, q of x[n, q*stride + k*dilation - before, f // multiplier] * grad_out[n, q, f]``

    The arguments are the same, ``grad_out`` with C*multiplier channels and the first of ``sums`` with a row for each
    tap; the taps along W are filled up to a multiple of `SLIDE`. ``height`` is a tuple as long as a tile has rows,
    `SLIDE` times the channels of a group: where these are several, as many as its filters, each row of sums becomes one
    for each.

    Bound by memory, where windows are neighbours and share what they read.
    """
    for task in prange(_tasks(sums[0], cut)):
        _sum_depthwise(np.int64(task), (x, grad_out, sums), vecs, axes, grad_axes, cut, height)


@compiled(parallel=True)
def depthwise_grads(x, grad_out, sums, vecs, axes, grad_axes, cut, last):
    """`depthwise_weight_grad` and, of the same task, a part of `depthwise_conv`: the gradient of the input.

    ``last`` are the height and, for that, the arguments behind ``grad_out``. What both read of it comes from far once.
    """
    height, (weights, epilogue, out, plan) = last
    tasks = _tasks(sums[0], cut)
    for task in prange(tasks):
        number = np.int64(task)
        _sum_depthwise(number, (x, grad_out, sums), vecs, axes, grad_axes, cut, height)
        for part in range(number * plan[WORK, TASKS] // tasks, (number + 1) * plan[WORK, TASKS] // tasks):
            depthwise_task(part, grad_out, weights, Epilogue(*epilogue), out, (0,), plan)


@compiled
def _sum_depthwise(task, arrays, vecs, axes, grad_axes, cut, height):
    """A task of `depthwise_weight_grad`."""
    x, grad_out, sums = arrays
    count, repeat = cut[1] * sums[0].shape[3], grad_out.shape[4] // x.shape[4]
    share = _share(task, sums[0], grad_out, axes, cut, 1, len(height))
    for number in range(share.first, share.end):
        block = locate(number, axes)
        grads = input_of(grad_out, block, grad_axes, Channels(share.filter, count, 1), all_taps(grad_axes))
        first, lengths = first_input(block.d, block.h, block.w, axes), x.shape[1:4]
        if repeat == 1 and share.filter + count <= x.shape[4]:
            source = image_of(x, block, axes, share.filter, all_taps(axes))
        else:
            source = input_of(x, block, axes, Channels(share.filter, count, repeat), all_taps(axes))
            first, lengths = (0, 0, 0), (ANY_LENGTH, ANY_LENGTH, ANY_LENGTH)
        _sum_lines(share, block, source, grads, (first, lengths), sums[0], (height, vecs), axes)
        if sums[1].size:
            _, _, sum_rows, width = sums[0].shape
            for f in range(0, count, width):
                _add_lines(sums[1], share.sums_at // sum_rows + f, block, grads, grads.start + f, vecs)


@compiled
def _sum_lines(share, block, source, grads, image, sums, tile, axes):
    """A block of a share: for each row of windows the rows of taps, whose sums stay in registers.

    Taps outside the image are left out; of this, what the first window reads first, and the lengths.
    """
    first, lengths = image
    _, _, sum_rows, width = sums.shape
    taps_h, pieces, zeros = axes[H, TAPS], -(-axes[W, TAPS] // SLIDE), np.zeros(width, sums.dtype)
    front, back = positions_inside(first[0], axes[D, DILATION], axes[D, TAPS], lengths[0])
    for f in range(0, share.group * width, width):
        for i in range(block.images):
            for y in range(block.rows):
                grads_at = grads.start + i * grads.image + y * grads.row + f
                x_at = source.start + i * source.image + y * axes[H, STRIP_STRIDE] * source.row + f
                top, bottom = positions_inside(first[1] + y * axes[H, STRIDE], axes[H, DILATION], taps_h, lengths[1])
                for kd in range(front, back):
                    for kh in range(top, bottom):
                        sums_at = share.sums_at + f * sum_rows + (kd * taps_h + kh) * pieces * len(tile[0]) * width
                        at = x_at + kd * source.plane + kh * source.tap_row, grads_at, sums_at
                        _sum_row((block.columns, first[2], lengths[2]), at, source, grads, sums, zeros, tile, axes)


@compiled(inline=True)
def _sum_row(row, at, source, grads, sums, zeros, tile, axes):
    """A row of windows for a row of taps, so many of these at a time: neighbours share what they read."""
    (columns, first, length), (x_at, grads_at, sums_at), (height, vecs) = row, at, tile
    taps, dilation, stride = axes[W, TAPS], axes[W, DILATION], axes[W, STRIDE]
    there, apart = axes[W, STRIP_STRIDE], axes[W, STRIP_DILATION]
    step, tap_column, left, right = source.column * there, source.tap_column, source.inside.left, source.inside.right
    for kw in range(0, taps, SLIDE):
        totals, z = tile_rows(height, vecs, zeros, 0), 0
        # Windows that read inside the image with all taps of a tile, even those that fill it up.
        low, high = positions_inside(kw * apart - left, there, columns, right - left - (SLIDE - 1) * apart)
        while z < columns:
            line, lines = x_at + z * step + kw * tap_column, (grads_at + z * grads.column, grads.column)
            if not low <= z < high:
                inside, x_lines = (
                    positions_inside(first + z * stride, dilation, taps, length),
                    (line, tap_column, kw, 1),
                )
                totals = tile_slide_apart(totals, source.array, x_lines, grads.array, lines, inside, ((0,), ROWS))
                z += 1
            elif step == tap_column and z + len(TOGETHER) <= high:
                x_lines = line, step, 0, 1
                totals = tile_slide_apart(totals, source.array, x_lines, grads.array, lines, None, (TOGETHER, ROWS))
                z += len(TOGETHER)
            else:
                x_lines = line, tap_column, 0, 1
                totals = tile_slide_apart(totals, source.array, x_lines, grads.array, lines, None, ((0,), ROWS))
                z += 1
        tile_add(totals, sums, sums_at + kw // SLIDE * len(height) * len(zeros))

"""The kernel: patches of the input are transformed, multiplied by the weights, summed up, and transformed back.

The products of one pair of points are a product of matrices, (patches x channels) times (channels x filters).
"""

import numpy as np

from ...machine.compiler import compiled
from ...machine.lanes import tile_clip
from ...machine.tile import (
    FULL,
    lanes_of,
    tile_add,
    tile_rows,
    tile_store,
    tile_write_part,
)
from ...machine.vectors import TILE_ROWS, TILE_VECS
from ...machine.words import prange
from ...objects.tuples import NamedTuple
from ..conv import add_steps
from ..ending import end_rows, is_plain, limits_of
from ..plan.axes import BLOCK, OUT_STRIDE, STEP, TAPS, WINDOWS, D, H, N, W
from ..planes import write_planes
from ..records import Block, Channels, Epilogue, Limits, Line, Panels, Places
from ..strip import aligned, aligned_flat, all_taps, image_shape, input_of, locate
from ..table import GROUP, PANELS, TASKS, WORK, panel_of
from .points import INPUTS, patch_room
from .table import HEIGHT, ORIGIN, PATCH, SHARES, WIDTH, count_tasks, lines_of, schemes_of, tasks_of
from .transform import Grid, along_h, along_w, outputs_of, transform_input, transform_output
from .trust import CHANNELS, Trust, find_doubtful, room_for_sums

# Patches whose products are kept at a time: as many as leave room for the weights in L2.
CHUNK = 32


class Values(NamedTuple):
    """Transformed patches: of each its values at all pairs of points, with all channels or filters side by side."""

    array: np.ndarray
    at: int
    # Elements from one patch to the next, and from one pair of points to the next.
    patch: int
    point: int


class Numbers(NamedTuple):
    """Numbers of patches: that of a block's first one, and how many further on the next image and the next row are."""

    first: int
    image: int
    row: int


class Outputs(NamedTuple):
    """Where the outputs of a block go, or those of one patch."""

    array: np.ndarray
    at: int
    # Elements from one image, row and column to the next.
    image: int
    row: int
    column: int
    # Numbers of rows and columns.
    rows: int
    columns: int


@compiled(parallel=True)
def conv_winograd(x, weights, epilogue, limits, out, doubtful, tile_shape, plans):
    """Convolve with kernels of 3 or 5 taps along W, and as many or one along H, every task on its part of the output.

    Taps along D, of which there may be several, are summed among the products.

    Strides are 1. An infinity or NaN spreads over all outputs whose inputs it is among, mostly as NaN, where the direct
    sum would confine it to the kernel's window. So does the rounding error of a large value: ``doubtful`` tells.

    Input, epilogue and output are as in `kernels.conv`, or the input is what `spread_patches` made of it, flat; only
    that has room for several taps along D. The weights (panels, points, KD, C, VECS*LANES) are from `pack_winograd`;
    the limits have the fields of the inputs' `Limits`. ``doubtful`` (patches,) becomes True for each patch that
    `find_doubtful` refuses: what ``out`` holds there is of no use. If it is empty, nobody asks, and all patches are
    computed. ``tile_shape`` is as long as the tile has rows; where these are more than `TILE_ROWS`, it is one vector
    wide, which holds all filters. The plans are from `winograd_table`, for each phase. All tasks are dealt out in
    SHARES runs: those of a run that take the same patches transform them once.
    """
    tasks = count_tasks(plans)
    shares = min(plans[0, WORK, SHARES], tasks)
    for task in prange(shares):
        share = np.int64(task)
        run = share * tasks // shares, (share + 1) * tasks // shares
        trust = Trust(doubtful, Limits(*limits))
        run_tasks(run, x, weights, Epilogue(*epilogue), trust, out, tile_shape, plans)


@compiled(parallel=True)
def spread_patches(x, values, limits, doubtful, plans):
    """Transform all patches of the input for `conv_winograd`, which then need not do so itself.

    Its other arguments are the same, to which limits and marks then mean nothing. The values, (patches * `patch_room`,)
    of them, are written wherever they are read.
    """
    for task in prange(count_tasks(plans)):
        number = np.int64(task)
        spread_tasks((number, number + 1), x, values, Trust(doubtful, Limits(*limits)), plans)


@compiled
def spread_tasks(run, x, values, trust, plans):
    """Those of a run, from its first to before its end."""
    lanes = lanes_of(x)
    array, at = aligned(INPUTS * INPUTS * lanes, x)
    scratch = Grid(array, at, INPUTS * lanes, lanes)
    inputs = _all_inputs(values, image_shape(x)[3], lines_of(plans[0]))
    for phase in range(len(plans)):
        plan = plans[phase]
        first, end = tasks_of(run, plan)
        for task in range(first, end):
            block = locate(task, plan)
            transform_inputs(x, block, inputs, inputs.point, _all_numbers(block, plan), scratch, trust, plan)
        run = run[0] - plan[WORK, TASKS], run[1] - plan[WORK, TASKS]


_patch_room = compiled(patch_room)


@compiled
def run_tasks(run, x, weights, epilogue, trust, out, tile_shape, plans):
    """Those of a run, from its first to before its end."""
    for phase in range(len(plans)):
        plan = plans[phase]
        _run_phase(tasks_of(run, plan), x, weights, epilogue, trust, out, tile_shape, plan)
        run = run[0] - plan[WORK, TASKS], run[1] - plan[WORK, TASKS]


@compiled
def _run_phase(run, x, weights, epilogue, trust, out, tile_shape, plan):
    panels, points, _, channels, _ = weights.shape
    lanes, group = lanes_of(x), plan[WORK, GROUP]
    parts = -(-panels // group)
    if x.ndim == 1:
        inputs = _all_inputs(x, channels, points // INPUTS)
    else:
        room = _patch_room(channels, lanes, points // INPUTS)
        array, at = aligned(plan[N, BLOCK] * plan[H, BLOCK] * plan[W, BLOCK] * room, x)
        inputs = Values(array, at, room, room // (points + 1))
    array, at = aligned(INPUTS * INPUTS * lanes, x)
    scratch = Grid(array, at, INPUTS * lanes, lanes)
    transformed, sound = -1, True
    for task in range(run[0], run[1]):
        place, part = task // parts, task % parts
        block = locate(place, plan)
        if x.ndim == 1:
            numbers = _all_numbers(block, plan)
        else:
            numbers = Numbers(0, block.rows * block.columns, block.columns)
            if transformed != place:
                sound = transform_inputs(x, block, inputs, inputs.point, numbers, scratch, trust, plan)
                transformed = place
        if sound:
            chosen = Panels(weights, plan, PANELS, part * group, min((part + 1) * group, panels))
            _sum_products(chosen, block, inputs, numbers, scratch, epilogue, out, tile_shape)


@compiled(inline=True)
def _all_inputs(values, channels, lines):
    """What `spread_patches` writes."""
    room = _patch_room(channels, lanes_of(values), lines)
    return Values(values, 0, room, room // (lines * INPUTS + 1))


@compiled
def _plane_patches(plan):
    """Patches of a plane, that is, at one position along D."""
    return plan[H, WINDOWS] * plan[W, WINDOWS]


@compiled(inline=True)
def _all_numbers(block, plan):
    """Numbers among all patches, those of a phase in an array (N, D, H, W), D as many as taps may read."""
    plane, columns = _plane_patches(plan), plan[W, WINDOWS]
    image = (plan[D, WINDOWS] + (plan[D, TAPS] - 1) * plan[D, STEP]) * plane
    first = plan[WORK, PATCH] + block.n * image + block.d * plane + block.h * columns + block.w
    return Numbers(first, image, columns)


@compiled(inline=True)
def transform_inputs(x, block, inputs, channels, numbers, scratch, trust, plan):
    """B^T d B, or d B, of all patches of a block, the place of each by its number, for whole vectors of channels.

    Returns whether any of the patches is worth computing; those that are not are marked as doubtful.
    """
    schemes = schemes_of(plan)
    height, width = schemes[0].outputs, schemes[1].outputs
    sound, sums = trust.doubtful.size == 0, room_for_sums(plan, block, x)
    for n in range(block.n, block.n + block.images):
        image = Block(n, block.d, block.h, block.w, 1, 1, block.rows, block.columns, 0)
        source = input_of(x, image, plan, Channels(0, channels, 1), all_taps(plan))
        for row in range(block.rows):
            if trust.doubtful.size:
                sound |= find_doubtful(source, channels, image, row, schemes, sums, trust, plan)
            for column in range(block.columns):
                corner = source.start + row * height * source.row + column * width * source.column
                patch_source = Grid(source.array, corner, source.row, source.column)
                patch = numbers.first + (n - block.n) * numbers.image + row * numbers.row + column
                _transform_patch(patch_source, channels, lines_of(plan), scratch, patch_of(inputs, patch))
    return sound


@compiled(inline=True)
def patch_of(values, number):
    """All values of a patch, as a grid."""
    return Grid(values.array, values.at + number * values.patch, INPUTS * values.point, values.point)


@compiled(inline=True)
def from_channel(grid, channel):
    return Grid(grid.array, grid.at + channel, grid.row, grid.column)


@compiled(inline=True)
def _transform_patch(source, channels, lines, scratch, to):
    """B^T d B for all channels of a patch, a vector of them at a time: along W, then along H, if there are lines."""
    for c in range(0, channels, lanes_of(scratch.array)):
        if lines == 1:
            transform_input(along_w(from_channel(source, c), 0), along_w(from_channel(to, c), 0))
            continue
        for row in range(INPUTS):
            transform_input(along_w(from_channel(source, c), row), along_w(scratch, row))
        for column in range(INPUTS):
            transform_input(along_h(scratch, column), along_h(from_channel(to, c), column))


@compiled(inline=True)
def _sum_products(panels, block, inputs, numbers, scratch, epilogue, out, tile_shape):
    """Outputs of some panels for all patches of a block."""
    plan, tile_height = panels.plan, len(tile_shape)
    width = lanes_of(inputs.array) * min(TILE_VECS, TILE_ROWS * TILE_VECS // tile_height)
    most = CHUNK // tile_height * tile_height
    places = _places(inputs, block, numbers, width, most, tile_height)
    plane, tap = most * width + lanes_of(inputs.array), plan[D, STEP] * _plane_patches(plan) * inputs.patch
    array, at = aligned(panels.weights.shape[1] * plane, panels.weights)
    products, plain = Values(array, at, width, plane), is_plain(epilogue)
    direct, outputs = plain and out.ndim == 1, _outputs(out, block, plan)
    buffer = outputs if direct else _buffer(outputs, block, width)
    ending = (epilogue.bias, *limits_of(epilogue, plain))
    for number in range(panels.first, panels.end):
        panel = panel_of(panels, number)
        to = _shifted(outputs, panel.place) if direct else buffer
        for first in range(0, places.count, most):
            end = min(first + most, places.count)
            chunk = Places(first, end, places.count, places.x_at, places.out_at)
            _multiply(inputs, tap, panel, chunk, products, tile_shape)
            _transform_outputs(products, chunk, block, scratch, ending, panel, to, plan)
        if not direct:
            _write_images(buffer, _shifted(outputs, panel.place), block, panel, epilogue, out, plan)


@compiled(inline=True)
def _places(inputs, block, numbers, width, most, tile_height):
    """Where each patch of a block finds its values, and its products among those of ``most`` patches."""
    patches = block.images * block.rows * block.columns
    filled = -(-patches // tile_height) * tile_height
    x_at, product_at = np.empty(filled, np.int64), np.empty(filled, np.int64)
    for patch in range(filled):
        rest, column = divmod(min(patch, patches - 1), block.columns)
        image, row = divmod(rest, block.rows)
        x_at[patch] = (numbers.first + image * numbers.image + row * numbers.row + column) * inputs.patch
        product_at[patch] = patch % most * width
    return Places(0, filled, patches, x_at, product_at)


@compiled(inline=True)
def _outputs(out, block, plan):
    """Where the outputs of a block go; of planes, only how many they are."""
    height, width = schemes_of(plan)
    rows = min(block.rows * height.outputs, plan[WORK, HEIGHT] - block.h * height.outputs)
    columns = min(block.columns * width.outputs, plan[WORK, WIDTH] - block.w * width.outputs)
    row, column = plan[H, OUT_STRIDE] // height.outputs, plan[W, OUT_STRIDE] // width.outputs
    at = plan[WORK, ORIGIN] + block.n * plan[N, OUT_STRIDE] + block.d * plan[D, OUT_STRIDE]
    at += block.h * plan[H, OUT_STRIDE] + block.w * plan[W, OUT_STRIDE]
    array = np.empty(0, out.dtype)
    if out.ndim == 1:
        array = out
    return Outputs(array, at, plan[N, OUT_STRIDE], row, column, rows, columns)


@compiled(inline=True)
def _buffer(outputs, block, width):
    """The same with room for one panel."""
    rows, columns = outputs.rows, outputs.columns
    buffer, at = aligned_flat(block.images * rows * columns * width, outputs.array)
    return Outputs(buffer, at, rows * columns * width, columns * width, width, rows, columns)


@compiled(inline=True)
def _shifted(outputs, place):
    array, at, image, row, column, rows, columns = outputs
    return Outputs(array, at + place, image, row, column, rows, columns)


@compiled(inline=True)
def _multiply(inputs, tap, panel, chunk, products, tile_shape):
    """For each pair of points, the values of a chunk of patches times the weights of a panel, summed over channels.

    And over the taps along D, which lie ``tap`` elements apart.
    """
    weights, width = panel.weights, products.patch
    points, depth, channels, pitch = weights.shape[1:]
    zeros = np.zeros(width, weights.dtype)
    for point in range(points):
        to = products.at + point * products.point
        for part in range(depth * -(-channels // CHANNELS)):
            z, begin = part % depth, part // depth * CHANNELS
            steps, shift = min(CHANNELS, channels - begin), inputs.at + point * inputs.point + z * tap + begin
            at = (((panel.number * points + point) * depth + z) * channels + begin) * pitch
            for first in range(chunk.first, chunk.end, len(tile_shape)):
                tile = tile_rows(tile_shape, FULL, zeros, 0)
                tile = add_steps(tile, inputs.array, chunk.x_at, (first, shift), weights, (at, pitch), steps)
                if part == 0:
                    tile_store(tile, products.array, chunk.out_at, first, to, width)
                else:
                    tile_add(tile, products.array, to + (first - chunk.first) * width)


@compiled(inline=True)
def _transform_outputs(products, chunk, block, scratch, ending, panel, outputs, plan):
    """A^T m A of the products of a chunk of patches, for one panel."""
    (height, width), columns = schemes_of(plan), block.columns
    for patch in range(chunk.first, chunk.end):
        image, rest = patch // (block.rows * columns), patch % (block.rows * columns)
        y, z = rest // columns * height.outputs, rest % columns * width.outputs
        at = outputs.at + image * outputs.image + y * outputs.row + z * outputs.column
        rows, some = min(height.outputs, outputs.rows - y), min(width.outputs, outputs.columns - z)
        to = Outputs(outputs.array, at, 0, outputs.row, outputs.column, rows, some)
        values = patch_of(products, patch - chunk.first)
        if lines_of(plan) == 1:
            _finish_line(values, width.outputs, ending, panel, to)
        else:
            _finish_patch(values, scratch, width.outputs, ending, panel, to)


@compiled(inline=True)
def _finish_patch(products, scratch, size, ending, panel, to):
    """A^T m A plus the bias for all filters of a patch, a vector of them at a time: along W, then along H."""
    lanes, count, (bias, low, high) = lanes_of(scratch.array), panel.count, ending
    for f in range(0, count, lanes):
        start, most = tile_rows(1, 1, bias, panel.first + f), count - f
        for i in range(INPUTS):
            transform_output(along_w(from_channel(products, f), i), size, along_w(scratch, i))
        for column in range(to.columns):
            sums, at = outputs_of(along_h(scratch, column), size), to.at + f + column * to.column
            _write_sums(sums, start, (low, high), Line(to.array, at, to.row), to.rows, most)


@compiled(inline=True)
def _finish_line(products, size, ending, panel, to):
    """The same where nothing was transformed along H."""
    bias, low, high = ending
    for f in range(0, panel.count, lanes_of(to.array)):
        start = tile_rows(1, 1, bias, panel.first + f)
        sums, line = outputs_of(along_w(from_channel(products, f), 0), size), Line(to.array, to.at + f, to.column)
        _write_sums(sums, start, (low, high), line, to.columns, panel.count - f)


@compiled(inline=True)
def _write_sums(sums, start, limits, to, count, most):
    """So many of four sums and the start to a line, at most so many filters of each."""
    (y0, y1, y2, y3), (low, high), (array, at, step) = sums, limits, to
    tile_write_part(tile_clip(start + y0, low, high), array, at, most)
    if count > 1:
        tile_write_part(tile_clip(start + y1, low, high), array, at + step, most)
    if count > 2:
        tile_write_part(tile_clip(start + y2, low, high), array, at + 2 * step, most)
    if count > 3:
        tile_write_part(tile_clip(start + y3, low, high), array, at + 3 * step, most)


@compiled
def _write_images(buffer, outputs, block, panel, epilogue, out, plan):
    """Outputs of a panel from the buffer, (images, rows, columns, width), to where they belong."""
    if out.ndim == 1:
        for image in range(block.images):
            for y in range(outputs.rows):
                at = buffer.at + image * buffer.image + y * buffer.row
                to = outputs.at + image * outputs.image + y * outputs.row
                line = Line(buffer.array, at, buffer.column)
                end_rows(line, Line(out, to, outputs.column), outputs.columns, panel.count, epilogue)
        return
    _, filters, positions = out.shape
    (along_h, along_w), width = schemes_of(plan), plan[WORK, WIDTH]
    first = (block.d * plan[WORK, HEIGHT] + block.h * along_h.outputs) * width + block.w * along_w.outputs
    # Whole rows follow each other without a gap.
    whole = outputs.columns == width
    rows, count = (1, outputs.rows * width) if whole else (outputs.rows, outputs.columns)
    for image in range(block.images):
        for y in range(rows):
            at = buffer.at + image * buffer.image + y * buffer.row
            to = ((block.n + image) * filters + panel.first) * positions + first + y * width
            write_planes(buffer.array, at, buffer.column, count, panel.count, out, to, positions)

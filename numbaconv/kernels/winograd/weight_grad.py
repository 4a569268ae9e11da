"""The gradient of 3x3 weights by fewer multiplications: `products` and its transforms, taken back.

Outputs of a patch are ``A^T [(G w G^T) * (B^T d B)] A``, summed over channels. So the gradient of ``w`` is ``G^T S G``,
where S is the sum over all patches of ``(A g A^T) * (B^T d B)``, and g are the gradients of a patch's outputs: for each
pair of points a product of matrices, (channels x patches) times (patches x filters).
"""

import numpy as np

from ...machine.compiler import compiled
from ...machine.memory import clear
from ...machine.tile import FULL, lanes_of, tile_add, tile_rows, tile_scale, tile_write, tile_write_part
from ...machine.words import prange
from ..plan.axes import BLOCK, H, N, W
from ..records import NO_LIMITS, Channels
from ..strip import aligned, all_taps, count_blocks, input_of, locate
from ..table import GROUP, WORK
from .points import INPUTS, A, B
from .products import Numbers, Values, from_channel, patch_of, transform_inputs
from .transform import AA, AAA, BB, BBB, Grid, along_h, along_w
from .trust import Trust

OUTPUTS, TAPS = 4, 3


@compiled(parallel=True)
def winograd_weight_grad(x, grad_out, sums, tile_shape, plan, grad_axes, share):
    """Add up S for each share of the patches, so many blocks of them.

    ``sums`` (shares, panels, 36, channels or more, LANES) is written in full: rows that fill up the last tile mean
    nothing. The plan is from `winograd_table`, in whose group are panels of one vector; ``grad_axes`` are the same
    blocks in the gradient of the output. ``tile_shape`` is as long as a tile of one vector has rows.
    """
    parts = sums.shape[1] // plan[WORK, GROUP]
    for task in prange(sums.shape[0] * parts):
        number, part = np.int64(task) // parts, np.int64(task) % parts
        blocks = number * share, min((number + 1) * share, count_blocks(plan[:WORK]))
        _sum_share(x, grad_out, sums, tile_shape, plan, grad_axes, blocks, (number, part))


@compiled
def _sum_share(x, grad_out, sums, tile_shape, plan, grad_axes, blocks, place):
    """Those of some blocks, for a group of panels."""
    _, panels, points, rows, lanes = sums.shape
    group, size = plan[WORK, GROUP], points * rows * lanes
    sums_at = (place[0] * panels + place[1] * group) * size
    patches = plan[N, BLOCK] * plan[H, BLOCK] * plan[W, BLOCK]
    inputs, grads = _room(patches, -(-x.shape[4] // lanes) * lanes, rows, x), _room(patches, group * lanes, 0, x)
    array, at = aligned(INPUTS * INPUTS * lanes, x)
    scratch, trust = Grid(array, at, INPUTS * lanes, lanes), Trust(np.empty(0, np.bool_), NO_LIMITS)
    x_at, zeros = np.arange(rows), np.zeros(lanes, x.dtype)
    for number in range(blocks[0], blocks[1]):
        block = locate(number, plan)
        numbers = Numbers(0, block.rows * block.columns, block.columns)
        transform_inputs(x, block, inputs, inputs.patch, numbers, scratch, trust, plan)
        _transform_grads(grad_out, block, grads, place[1] * group * lanes, scratch, grad_axes)
        patches = block.images * block.rows * block.columns
        for tile_number in range(group * points):
            panel, point = tile_number // points, tile_number % points
            for row in range(0, rows, len(tile_shape)):
                tile = tile_rows(tile_shape, FULL, zeros, 0)
                shift, line = inputs.at + point * inputs.point, grads.at + point * grads.point + panel * lanes
                for _ in range(patches):
                    tile = tile_scale(tile, inputs.array, x_at, (row, shift), grads.array, line, tile_shape)
                    shift, line = shift + inputs.patch, line + grads.patch
                to = sums_at + (tile_number * rows + row) * lanes
                if number == blocks[0]:
                    clear(sums, to, len(tile_shape) * lanes)
                tile_add(tile, sums, to)


@compiled(inline=True)
def _room(patches, channels, spare, like):
    """Room for the values of so many patches, those of a pair of points one behind the other, and for spare ones."""
    point = patches * channels + lanes_of(like)
    array, at = aligned(INPUTS * INPUTS * point + spare, like)
    return Values(array, at, channels, point)


@compiled(inline=True)
def _transform_grads(grad_out, block, grads, first, scratch, axes):
    """A g A^T of all patches of a block, for the filters of its panels from the first on; 0 beyond the outputs."""
    count = grads.patch
    source = input_of(grad_out, block, axes, Channels(first, count, 1), all_taps(axes))
    for patch in range(block.images * block.rows * block.columns):
        rest, column = divmod(patch, block.columns)
        image, row = divmod(rest, block.rows)
        at = source.start + image * source.image + OUTPUTS * (row * source.row + column * source.column)
        to = patch_of(grads, patch)
        for f in range(0, count, lanes_of(scratch.array)):
            there = Grid(source.array, at + f, source.row, source.column)
            for i in range(OUTPUTS):
                _transform_line(along_w(there, i), along_w(scratch, i))
            for i in range(INPUTS):
                _transform_line(along_h(scratch, i), along_h(from_channel(to, f), i))


@compiled(inline=True)
def _transform_line(outputs, to):
    """Write A g of a line of four vectors to another one of six: `outputs_of`, transposed."""
    array, at, step = outputs
    g0, g1 = tile_rows(1, 1, array, at), tile_rows(1, 1, array, at + step)
    g2, g3 = tile_rows(1, 1, array, at + 2 * step), tile_rows(1, 1, array, at + 3 * step)
    even_a, odd_a = g0 + AA * g2, A * g1 + AAA * g3
    even_b, odd_b = g0 + BB * g2, B * g1 + BBB * g3
    array, at, step = to
    tile_write(g0, array, at)
    tile_write(even_a + odd_a, array, at + step)
    tile_write(even_a - odd_a, array, at + 2 * step)
    tile_write(even_b + odd_b, array, at + 3 * step)
    tile_write(even_b - odd_b, array, at + 4 * step)
    tile_write(g3, array, at + 5 * step)


@compiled(parallel=True)
def finish_weight_grad(sums, matrix, out, sizes):
    """``out = G^T S G`` (9, C, F), S the sum over the shares of ``sums``, in their order; the matrix (6, 3) is G.

    S passes its rounding errors on to all taps, those of a large value to taps that never read it, too. So ``sizes``
    (2, C) are the largest value of S, and the largest gradient of the tap where that is least.
    """
    _, panels, points, rows, lanes = sums.shape
    _, channels, filters = out.shape
    for task in prange(channels):
        channel = np.int64(task)
        array, at = aligned((points + TAPS * INPUTS + 1) * lanes, sums)
        whole, half = Grid(array, at, INPUTS * lanes, lanes), Grid(array, at + points * lanes, INPUTS * lanes, lanes)
        flat, one = array[0, 0, 0, 0], half.at + TAPS * INPUTS * lanes
        # Of each lane the largest value of S, and then of each tap.
        most = np.zeros((1 + TAPS * TAPS) * lanes, sums.dtype)
        for panel in range(panels):
            count = min(lanes, filters - panel * lanes)
            for point in range(points):
                start = ((panel * points + point) * rows + channel) * lanes
                total = tile_rows(1, 1, sums, start)
                for more in range(start + panels * points * rows * lanes, sums.size, panels * points * rows * lanes):
                    total = total + tile_rows(1, 1, sums, more)
                tile_write(total, array, at + point * lanes)
                _raise(most, 0, flat, at + point * lanes, count)
            for tap in range(TAPS):
                for i in range(INPUTS):
                    tile_write(_weigh(along_h(whole, i), matrix, tap), array, half.at + (tap * INPUTS + i) * lanes)
                for other in range(TAPS):
                    number = tap * TAPS + other
                    gradients = _weigh(along_w(half, tap), matrix, other)
                    tile_write_part(gradients, out, (number * channels + channel) * filters + panel * lanes, count)
                    tile_write(gradients, array, one)
                    _raise(most, (1 + number) * lanes, flat, one, count)
        sizes[0, channel] = sizes[1, channel] = most[:lanes].max()
        for start in range(lanes, len(most), lanes):
            sizes[1, channel] = min(sizes[1, channel], most[start : start + lanes].max())


@compiled(inline=True)
def _raise(most, at, array, start, count):
    for f in range(count):
        most[at + f] = max(most[at + f], abs(array[start + f]))


@compiled(inline=True)
def _weigh(points, matrix, tap):
    """One value of G^T S of a line of six vectors."""
    array, at, step = points
    total = matrix[0, tap] * tile_rows(1, 1, array, at)
    for i in range(1, INPUTS):
        total = total + matrix[i, tap] * tile_rows(1, 1, array, at + i * step)
    return total

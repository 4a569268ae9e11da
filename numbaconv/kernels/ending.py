"""The end of a sum, as an `Epilogue` says: in a tile, where bias and limits are all, otherwise by way of a buffer."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import line_gate, line_keep, line_less, line_top, tile_clip
from ..machine.line import line_read, line_write
from ..machine.tile import lanes_of, tile_rows
from .records import Line
from .rules import HARD_SIGMOID, SILU

# What is below has a gate of 0, as far as that matters, and infinity times that is 0 too.
LOWEST, SIXTH = -87.0, 1 / 6


@compiled
def is_plain(epilogue):
    """Whether a tile can do it before it leaves the registers."""
    return epilogue.slope == 1.0 and epilogue.residual.size == 0 and epilogue.function == 0


@compiled
def within_tile(epilogue):
    """What `ended` takes of an epilogue where tiles are ended, in registers: nothing where a residual is to come."""
    if epilogue.residual.size:
        return 1.0, 0, -np.inf, np.inf
    return epilogue.slope, epilogue.function, epilogue.minimum, epilogue.maximum


@compiled
def limits_of(epilogue, last):
    """What sums are kept between on their way out of a tile: none where more is to come."""
    if last:
        return epilogue.minimum, epilogue.maximum
    return -np.inf, np.inf


@compiled
def end_value(total, epilogue, at):
    """A sum, bias and all, on its way to flat index ``at`` of the output."""
    if epilogue.residual.size:
        total += epilogue.residual[at]
    if epilogue.function:
        # A line of it.
        return line_top(activated(line_keep(tile_rows(1, 1, epilogue.bias, 0), 0, total), epilogue.function))
    value = epilogue.bias.dtype.type(epilogue.slope) * total if total < 0 else total
    value = epilogue.minimum if epilogue.minimum > value else value
    return epilogue.maximum if epilogue.maximum < value else value


@compiled(inline=True)
def activated(x, function):
    """What the activation of this number makes of a tile: within 5 units of rounding, but for numbers below 1e-35."""
    x = line_less(x, LOWEST, LOWEST, x)
    if function < HARD_SIGMOID:
        gate = line_gate(x, LOWEST)
    else:
        gate = x * SIXTH + 0.5
        gate = line_less(gate, 0.0, 0.0, line_less(1.0, gate, 1.0, gate))
    return x * gate if function % SILU == 0 else gate


@compiled
def end_windows(sums, places, panel, epilogue, out):
    """Sums of a panel for some windows, bias and all, a `Line` for each, to the output."""
    at, end = places.first, min(places.end, places.count)
    while at < end:
        to, rows = places.out_at[at], 1
        step = places.out_at[at + 1] - to if at + 1 < end else 0
        while at + rows < end and places.out_at[at + rows] == to + rows * step:
            rows += 1
        first = Line(sums.array, sums.at + (at - places.first) * sums.step, sums.step)
        end_rows(first, Line(out, to + panel.place, step), rows, panel.count, epilogue)
        at += rows


@compiled
def end_rows(sums, out, rows, count, epilogue):
    """So many lines of sums, bias and all, each of ``count`` values, to as many of the output."""
    for row in range(rows):
        at, to = sums.at + row * sums.step, out.at + row * out.step
        for f in range(0, count, lanes_of(sums.array)):
            end_line(tile_rows(1, 1, sums.array, at + f), out.array, to + f, count - f, epilogue)


@compiled(inline=True)
def end_line(line, out, to, count, epilogue):
    """A vector of sums, bias and all, to flat index ``to`` of ``out``, at most ``count`` of them."""
    if epilogue.residual.size:
        line = line + line_read(1, epilogue.residual, to, count)
    line = ended(line, epilogue.slope, epilogue.function, epilogue.minimum, epilogue.maximum)
    line_write(line, out, to, count)


@compiled(inline=True)
def ended(tile, slope, function, minimum, maximum):
    """What an epilogue makes of a tile, bias and residual added.

    Of numbers alone: around these branches Numba would count references to arrays.
    """
    if function:
        return activated(tile, function)
    if slope != 1.0:
        tile = line_less(tile, 0.0, slope * tile, tile)
    return tile_clip(tile, minimum, maximum)

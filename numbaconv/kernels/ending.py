"""The end of a sum, as an `Epilogue` says: in a tile, where bias and limits are all, otherwise by way of a buffer."""

import numpy as np

from ..machine.compiler import compiled
from ..machine.lanes import line_less
from ..machine.limits import tile_clip
from ..machine.line import line_read, line_write
from ..machine.tile import lanes_of, tile_rows
from .records import Epilogue


@compiled
def is_plain(epilogue):
    """Whether a tile can do it before it leaves the registers."""
    return epilogue.slope == 1.0 and epilogue.residual.size == 0


@compiled
def limits_of(epilogue, last):
    """What sums are kept between on their way out of a tile: none where more is to come."""
    if last:
        return epilogue.minimum, epilogue.maximum
    return -np.inf, np.inf


@compiled
def raw(epilogue):
    """The bias alone."""
    return Epilogue(epilogue.bias, -np.inf, np.inf, 1.0, epilogue.residual)


@compiled
def end_value(total, epilogue, at):
    """A sum, bias and all, on its way to flat index ``at`` of the output."""
    if epilogue.residual.size:
        total += epilogue.residual[at]
    value = epilogue.bias.dtype.type(epilogue.slope) * total if total < 0 else total
    value = epilogue.minimum if epilogue.minimum > value else value
    return epilogue.maximum if epilogue.maximum < value else value


@compiled
def end_row(sums, at, out, to, count, epilogue):
    """Sums of a window, bias and all, from flat index ``at`` of ``sums`` on to ``to`` of ``out``."""
    for f in range(0, count, lanes_of(sums)):
        end_line(tile_rows(1, 1, sums, at + f), out, to + f, count - f, epilogue)


@compiled
def end_line(line, out, to, count, epilogue):
    """A vector of sums, bias and all, to flat index ``to`` of ``out``, at most ``count`` of them."""
    if epilogue.residual.size:
        line = line + line_read(1, epilogue.residual, to, count)
    if epilogue.slope != 1.0:
        line = line_less(line, 0.0, epilogue.slope * line, line)
    line_write(tile_clip(line, epilogue.minimum, epilogue.maximum), out, to, count)

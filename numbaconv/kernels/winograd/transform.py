"""Transforms along one axis, and the axes that they are applied to.

Those of inputs and outputs, B^T d and A^T m, are written out for six inputs; `points` has the matrices. Rows for a
point and for its negative differ in the signs of odd powers alone, so their even and odd parts are computed once for
both. A test compares them with the matrices.
"""

import numpy as np

from ...machine.compiler import compiled
from ...machine.tile import tile_rows, tile_write
from ...machine.vectors import TILE_VECS
from ...objects.tuples import NamedTuple
from ..records import Line
from .points import A, B

# Products of the points; all are exact in float32.
AA, BB, AAA, BBB = A**2, B**2, A**3, B**3
SUM, PRODUCT = AA + BB, AA * BB


class Grid(NamedTuple):
    """Vectors of an array along H and W: the first at ``at``, ``row`` and ``column`` elements from one to the next."""

    array: np.ndarray
    at: int
    row: int
    column: int


@compiled(inline=True)
def along_h(grid, column):
    """A column of a grid, the line that a transform along H takes or makes."""
    return Line(grid.array, grid.at + column * grid.column, grid.row)


@compiled(inline=True)
def along_w(grid, row):
    """A row of a grid, the line that a transform along W takes or makes."""
    return Line(grid.array, grid.at + row * grid.row, grid.column)


@compiled
def _read(line):
    """Six vectors."""
    array, at, step = line
    return (
        tile_rows(1, 1, array, at),
        tile_rows(1, 1, array, at + step),
        tile_rows(1, 1, array, at + 2 * step),
        tile_rows(1, 1, array, at + 3 * step),
        tile_rows(1, 1, array, at + 4 * step),
        tile_rows(1, 1, array, at + 5 * step),
    )


@compiled(inline=True)
def transform_input(inputs, to):
    """Write B^T d of a line of six vectors to another one."""
    d0, d1, d2, d3, d4, d5 = _read(inputs)
    even_a, odd_a = d4 - BB * d2, A * (d3 - BB * d1)
    even_b, odd_b = d4 - AA * d2, B * (d3 - AA * d1)
    array, at, step = to
    tile_write(PRODUCT * d0 - SUM * d2 + d4, array, at)
    tile_write(even_a + odd_a, array, at + step)
    tile_write(even_a - odd_a, array, at + 2 * step)
    tile_write(even_b + odd_b, array, at + 3 * step)
    tile_write(even_b - odd_b, array, at + 4 * step)
    tile_write(PRODUCT * d1 - SUM * d3 + d5, array, at + 5 * step)


@compiled
def outputs_of(products, outputs):
    """A^T m of a line of six vectors: four of them, of which only the first two count if ``outputs`` is 2."""
    m0, m1, m2, m3, m4, m5 = _read(products)
    sum_a, difference_a, sum_b, difference_b = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    y1 = A * difference_a + B * difference_b
    return (
        m0 + sum_a + sum_b,
        y1 + m5 if outputs == 2 else y1,
        AA * sum_a + BB * sum_b,
        AAA * difference_a + BBB * difference_b + m5,
    )


@compiled(inline=True)
def transform_output(products, outputs, to):
    """Write what `outputs_of` returns to another line."""
    y0, y1, y2, y3 = outputs_of(products, outputs)
    array, at, step = to
    tile_write(y0, array, at)
    tile_write(y1, array, at + step)
    tile_write(y2, array, at + 2 * step)
    tile_write(y3, array, at + 3 * step)


@compiled(inline=True)
def weight_of(taps, matrix, point, zero):
    """One value of G g: a row of the matrix times a line of taps, each ``TILE_VECS`` vectors, as is ``zero``."""
    array, at, step = taps
    total = zero
    for tap in range(matrix.shape[1]):
        total = total + matrix[point, tap] * tile_rows(1, TILE_VECS, array, at + tap * step)
    return total

"""The points of Winograd's algorithm, and its three matrices along one axis, which follow from them.

Outputs y of a kernel g, from inputs d::

    y = A^T [(G g) * (B^T d)]        (* elementwise)

A kernel is a polynomial whose coefficients are its taps. G takes its values at some points, A those of a polynomial
whose coefficients are the outputs; the product of both has one coefficient for each input, and B interpolates it from
its values. What a convolution layer computes is the transpose of such a product, hence A^T and B^T. One of the points
is infinity, where the value of a polynomial is its highest coefficient. Any other points would do. These are 0, +-3/4
and +-3/2: the usual 0, +-1 and +-2 save a few multiplications, but their rounding errors are four times as large,
because the powers of these points stay closer to 1.

Four outputs of three taps:

>>> scheme = Scheme(outputs=4, taps=3)
>>> show(input_matrix(scheme))
 81/64       0  -45/16       0       1       0
     0  -27/16    -9/4     3/4       1       0
     0   27/16    -9/4    -3/4       1       0
     0  -27/32   -9/16     3/2       1       0
     0   27/32   -9/16    -3/2       1       0
     0   81/64       0  -45/16       0       1
>>> show(weights_matrix(scheme))
   64/81         0         0
-128/243    -32/81     -8/27
-128/243     32/81     -8/27
  32/243     16/81      8/27
  32/243    -16/81      8/27
       0         0         1
>>> show(output_matrix(scheme))
     1       1       1       1       1       0
     0     3/4    -3/4     3/2    -3/2       0
     0    9/16    9/16     9/4     9/4       0
     0   27/64  -27/64    27/8   -27/8       1

Two outputs of five taps have as many inputs, and so the same points and the same B^T:

>>> scheme = Scheme(outputs=2, taps=5)
>>> show(weights_matrix(scheme))
   64/81         0         0         0         0
-128/243    -32/81     -8/27      -2/9      -1/6
-128/243     32/81     -8/27       2/9      -1/6
  32/243     16/81      8/27       4/9       2/3
  32/243    -16/81      8/27      -4/9       2/3
       0         0         0         0         1
>>> show(output_matrix(scheme))
   1     1     1     1     1     0
   0   3/4  -3/4   3/2  -3/2     1
"""

import numpy as np

from ...objects.tuples import NamedTuple


class Scheme(NamedTuple):
    """Winograd's algorithm along one axis, where a patch has ``outputs`` windows of ``taps`` taps, one input apart."""

    outputs: int
    taps: int

    @property
    def inputs(self):
        """Inputs of a patch, which are also the multiplications that it takes."""
        return self.outputs + self.taps - 1


# By taps. The transforms of `transform.py` are written for the points of six inputs.
SCHEMES = {3: Scheme(4, 3), 5: Scheme(2, 5)}
# Along an axis that kernels have one tap along, nothing is transformed.
FLAT = Scheme(1, 1)
INPUTS = 6
A, B = 0.75, 1.5
# By inputs: the points beside infinity.
_POINTS = {INPUTS: (0, A, -A, B, -B)}


def _fraction(value):
    # Who predicts by kernels that were compiled before never asks.
    from fractions import Fraction

    return Fraction(value)


def output_matrix(scheme):
    """A^T (outputs, inputs): the powers of a point in each column."""
    return _powers(scheme, scheme.outputs).T


def weights_matrix(scheme):
    """G (inputs, taps): the powers of a point in each row, divided by its distances from the others."""
    points = _points(scheme)
    distances = [np.prod([p - q for q in points if q != p]) for p in points]
    return _powers(scheme, scheme.taps) / np.array([*distances, _fraction(1)])[:, None]


def input_matrix(scheme):
    """B^T (inputs, inputs): in each row, the polynomial that is 0 at all points but one, the row's own."""
    points = _points(scheme)
    rows = [_polynomial([q for q in points if q != p]) for p in points]
    return np.array([[*row, _fraction(0)] for row in rows] + [_polynomial(points)])


def schemes_for(*taps):
    """The schemes of kernels of so many taps along H and W."""
    height, width = taps
    return FLAT if height == 1 else SCHEMES[height], SCHEMES[width]


def show(matrix):
    """Print a matrix of fractions."""
    width = max(len(str(value)) for value in matrix.flat)
    for row in matrix:
        print("  ".join(str(value).rjust(width) for value in row))


def _points(scheme):
    return [_fraction(point) for point in _POINTS[scheme.inputs]]


def _powers(scheme, count):
    """For each point a row of its first powers; infinity has the highest of them alone."""
    highest = [_fraction(i == count - 1) for i in range(count)]
    return np.array([[point**i for i in range(count)] for point in _points(scheme)] + [highest])


def _polynomial(roots):
    """Coefficients of the product of ``x - root``, the constant first."""
    coefficients = [_fraction(1)]
    for root in roots:
        higher, lower = [_fraction(0), *coefficients], [*coefficients, _fraction(0)]
        coefficients = [h - root * low for h, low in zip(higher, lower, strict=True)]
    return coefficients


def patch_room(channels, lanes, lines):
    """Elements that a patch's values need room for which has so many lines of points."""
    # An odd number of lines, so that the patches of a tile lie in different sets of the L1 cache.
    return (lines * INPUTS + 1) * (-(-channels // lanes) * lanes)

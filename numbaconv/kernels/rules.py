"""What the kernels of activations compute, as records of numbers; by their types Numba tells them apart.

Each has at least one number, and all are floats: Numba takes no other records to a parallel loop.
"""

import math

from ..objects.tuples import NamedTuple

# Finite in float32: what is below has a gate of 0 in either dtype.
FAR = 3.4028234663852886e38
# Numbers of the activations that are the end of a sum too; each second one is x times the one before.
SIGMOID, SILU, HARD_SIGMOID, HARD_SILU = 1, 2, 3, 4


class Formula(NamedTuple):
    """A formula without numbers of its own."""

    one: float = 1.0


class Sigmoid(Formula):
    """``1 / (1 + exp(-x))``."""


class Tanh(Formula):
    """Hyperbolic tangent."""


class Exponential(Formula):
    """``exp(x)``."""


class Softplus(Formula):
    """``log(1 + exp(x))``."""


class LogSigmoid(Formula):
    """``-log(1 + exp(-x))``."""


class Softsign(Formula):
    """``x / (1 + |x|)``."""


class Silu(Formula):
    """``x * sigmoid(x)``; the gradient needs x."""


class Mish(Formula):
    """``x * tanh(softplus(x))``; the gradient needs x."""


class TanhShrink(Formula):
    """``x - tanh(x)``; the gradient needs x."""


class Gelu(Formula):
    """``x`` times the share of a standard normal distribution below it; the gradient needs x."""


class HardSigmoid(NamedTuple):
    """``x / divisor + 1/2``, cut off at 0 and 1."""

    divisor: float = 6.0


class HardSilu(NamedTuple):
    """``x * hard_sigmoid(x)``; the gradient needs x."""

    divisor: float = 6.0


class Elu(NamedTuple):
    """``scale * x`` above 0, ``low * (exp(x / width) - 1)`` below; ``at_zero`` is the slope there."""

    low: float = 1.0
    width: float = 1.0
    scale: float = 1.0
    at_zero: float = 1.0


class Pieces(NamedTuple):
    """Three lines ``slope * x + shift``, the middle one from ``low`` to ``high``; the outer ones of x cut off."""

    low: float
    high: float
    below: float
    below_shift: float
    inside: float
    above: float
    above_shift: float
    lowest: float
    highest: float


class Band(NamedTuple):
    """A gradient times ``inside`` where ``low < y < high``, elsewhere times ``outside``; NaN is no upper end."""

    low: float
    high: float
    inside: float
    outside: float


class Moved(Formula):
    """A gradient where y is not 0, elsewhere 0."""


class Clipped(Formula):
    """A gradient where x is from -1 to 1, elsewhere 0."""


class Sum(NamedTuple):
    """The sum of two arrays, but at least ``low``."""

    low: float = -math.inf


def pieces(
    low: float, high: float, below: tuple[float, float], inside: float = 1.0, above: tuple[float, float] = (1.0, 0.0)
) -> Pieces:
    """The rule of three lines: slope and shift of the outer ones, and the slope of the middle one through 0."""
    # A slope of 0 would make NaN of infinity.
    lowest, highest = (math.inf if slope else FAR for slope in (below[0], above[0]))
    return Pieces(low, high, *below, inside, *above, -lowest, highest)

"""Cases of the reference operations, and signals and kernels for numbers worked out by hand."""

import numpy as np
import pytest

ONES = (1, 1, 1)
ZEROS = (0, 0, 0)
INF = np.inf
# x shape, kernel, outputs (F or M), strides, dilation, before, after
CASES = {
    "one tap": ((2, 1, 1, 4, 3), (1, 1, 1), 2, ONES, ONES, ZEROS, ZEROS),
    "1D": ((2, 1, 1, 9, 2), (1, 1, 3), 3, (1, 1, 2), ONES, (0, 0, 1), (0, 0, 1)),
    "1D causal, dilated": ((1, 1, 1, 8, 2), (1, 1, 3), 2, ONES, (1, 1, 2), (0, 0, 4), ZEROS),
    "2D": ((2, 1, 6, 5, 3), (1, 3, 2), 2, ONES, ONES, (0, 1, 0), (0, 1, 1)),
    "2D strided and dilated": ((1, 1, 9, 8, 2), (1, 3, 2), 3, (1, 2, 3), (1, 2, 3), (0, 2, 1), (0, 1, 2)),
    "2D strides leave a rest": ((1, 1, 8, 9, 1), (1, 2, 3), 2, (1, 4, 5), ONES, ZEROS, ZEROS),
    "3D": ((2, 4, 3, 5, 2), (2, 3, 2), 3, (2, 1, 2), ONES, (0, 1, 0), (1, 1, 1)),
    "3D dilated": ((1, 6, 5, 4, 2), (3, 2, 2), 2, ONES, (2, 3, 1), ZEROS, ZEROS),
    "padding wider than the kernel": ((1, 1, 2, 3, 2), (1, 2, 2), 1, ONES, ONES, (0, 3, 4), (0, 4, 3)),
    "empty batch": ((0, 1, 4, 4, 2), (1, 2, 2), 3, ONES, ONES, ZEROS, ZEROS),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def line(values):
    """Make one signal of one channel."""
    return np.array(values, dtype=np.float64).reshape(1, 1, 1, -1, 1)


def taps(values):
    """Make a 1D kernel with one channel in and one out."""
    return np.array(values, dtype=np.float64).reshape(1, 1, -1, 1, 1)


def whole_numbers(shape, seed):
    """Draw small whole numbers: their sums are exact in any order, so comparisons need no tolerance."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float64)

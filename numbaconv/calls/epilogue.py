"""What happens to a sum before a kernel stores it: a bias is added, then a minimum holds."""

from math import inf
from typing import Any

import numpy as np

from ..common.arguments import check_bias
from ..machine.aligned import aligned_empty
from ..machine.vectors import panel_width

# A bias, filled up by a panel, and what smaller sums become: the fields of `kernels.records.Epilogue`.
Epilogue = tuple[np.ndarray, float]
# No sum is too small. For the activation relu it is 0.
NO_MINIMUM = -inf


def pack_bias(bias: Any, filters: int, dtype: np.dtype) -> np.ndarray:
    """A bias, zeros for None, filled up with zeros by one panel: a tile may begin at its last filter."""
    bias = check_bias(bias, filters, dtype)
    packed = aligned_empty((filters + panel_width(dtype.itemsize),), dtype)
    packed[:filters] = bias
    packed[filters:] = 0
    return packed


def plain_epilogue(bias: Any, filters: int, dtype: np.dtype) -> Epilogue:
    """A bias alone."""
    return pack_bias(bias, filters, dtype), NO_MINIMUM

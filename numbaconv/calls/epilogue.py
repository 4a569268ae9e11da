"""What happens to a sum before a kernel stores it: a bias is added, then a minimum holds."""

from math import inf
from typing import Any

import numpy as np

from ..common.arguments import check_bias
from ..kernels.pack import pack_panels

# A bias, filled up to whole panels, and what smaller sums become: the fields of `kernels.records.Epilogue`.
Epilogue = tuple[np.ndarray, float]
# No sum is too small. For the activation relu it is 0.
NO_MINIMUM = -inf


def pack_bias(bias: Any, filters: int, dtype: np.dtype) -> np.ndarray:
    """A bias, zeros for None, filled up to whole tiles."""
    return pack_panels(check_bias(bias, filters, dtype)).reshape(-1)


def plain_epilogue(bias: Any, filters: int, dtype: np.dtype) -> Epilogue:
    """A bias alone."""
    return pack_bias(bias, filters, dtype), NO_MINIMUM

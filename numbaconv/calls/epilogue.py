"""What a kernel does to its outputs before it stores them: adds a bias, and raises them to a floor."""

from math import inf
from typing import Any

import numpy as np

from ..common.arguments import check_bias
from ..kernels.pack import pack_panels

# For kernels: no output is too small. Theirs is 0 for the activation relu.
NO_FLOOR = -inf


def pack_bias(bias: Any, filters: int, dtype: np.dtype) -> np.ndarray:
    """A bias, zeros for None, filled up to whole tiles."""
    return pack_panels(check_bias(bias, filters, dtype)).reshape(-1)

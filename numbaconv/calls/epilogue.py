"""What happens to a sum before a kernel stores it: bias, residual, then a slope and two limits, or an activation."""

from functools import lru_cache
from math import inf
from typing import Any

import numpy as np

from ..common.again import repack
from ..common.arguments import check_bias
from ..machine.aligned import aligned_empty
from ..machine.vectors import panel_width

# The fields of `kernels.records.Epilogue`, the bias filled up by a panel.
Epilogue = tuple[np.ndarray, float, float, float, np.ndarray, int]
# No sum is too small. For the activation relu it is 0.
NO_MINIMUM = -inf
_NO_RESIDUAL = {size: np.empty(0, f"f{size}") for size in (4, 8)}


def epilogue_of(
    bias: np.ndarray,
    minimum: float = NO_MINIMUM,
    maximum: float = inf,
    slope: float = 1.0,
    function: int = 0,
    residual: np.ndarray | None = None,
) -> Epilogue:
    """An epilogue with a bias from `pack_bias`; a residual is an array of the output's shape, contiguous.

    ``function`` is the number of an activation among `kernels.rules`. Outputs with channels first take no slope, no
    activation and no residual.
    """
    if residual is None:
        return bias, minimum, maximum, slope, _NO_RESIDUAL[bias.itemsize], function
    return bias, minimum, maximum, slope, residual.reshape(-1), function


def ends_in_tiles(epilogue: Epilogue) -> bool:
    """Whether all that it does is to add a bias and to keep limits."""
    *_, slope, residual, function = epilogue
    return slope == 1 and residual.size == 0 and function == 0


@np.errstate(all="ignore")
def ended(epilogue: Epilogue, shape: tuple[int, ...]) -> np.ndarray:
    """What an epilogue without an activation makes of outputs that are sums of nothing, or of each pixel of them."""
    bias, minimum, maximum, slope, residual, _ = epilogue
    out = bias[: shape[-1]]
    if residual.size:
        out = out + residual.reshape(shape)
    if slope != 1:
        out = np.where(out < 0, bias.dtype.type(slope) * out, out)
    result: np.ndarray = np.minimum(np.maximum(out, minimum), maximum)
    return result


def pack_bias(bias: Any, filters: int, dtype: np.dtype) -> np.ndarray:
    """A bias filled up with zeros by one panel: a tile may begin at its last filter. All calls share those for None."""
    room = filters + panel_width(dtype.itemsize)
    if bias is None:
        return _zeros(room, dtype)
    bias = check_bias(bias, filters, dtype)
    packed = aligned_empty((room,), dtype)
    repack(np.copyto, packed[:filters], bias)
    repack(packed[filters:].fill, 0)
    return packed


@lru_cache(maxsize=64)
def _zeros(count: int, dtype: np.dtype) -> np.ndarray:
    zeros = aligned_empty((count,), dtype)
    zeros.fill(0)
    return zeros


@lru_cache(maxsize=64)
def no_epilogue(filters: int, dtype: np.dtype) -> Epilogue:
    """Sums as they are, an epilogue that may serve many calls."""
    return plain_epilogue(None, filters, dtype)


def plain_epilogue(bias: Any, filters: int, dtype: np.dtype) -> Epilogue:
    """A bias alone."""
    return epilogue_of(pack_bias(bias, filters, dtype))

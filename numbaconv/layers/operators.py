"""What ``x + y`` and its like make of tensors: new layers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.tensor import KerasTensor
from .merging import Add, Multiply, Subtract
from .pointwise import Rescaling


def _operator(layer: Any, rescaled: Callable[[float], tuple[float, float]]) -> Callable[[KerasTensor, Any], Any]:
    """Two tensors go through this layer, if there is one; a tensor and a number through a `Rescaling`.

    From the number ``rescaled`` makes the scale and the offset.
    """

    def method(x: KerasTensor, other: Any) -> Any:
        if layer is not None and isinstance(other, KerasTensor):
            return layer()([x, other])
        return Rescaling(*rescaled(float(other)))(x) if _is_number(other) else NotImplemented

    return method


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


METHODS: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("__add__", "__radd__"), _operator(Add, lambda n: (1.0, n))),
    **dict.fromkeys(("__mul__", "__rmul__"), _operator(Multiply, lambda n: (n, 0.0))),
    "__sub__": _operator(Subtract, lambda n: (1.0, -n)),
    "__rsub__": _operator(None, lambda n: (-1.0, n)),
    "__truediv__": _operator(None, lambda n: (1 / n, 0.0)),
}

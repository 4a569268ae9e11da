"""Layers of several inputs as functions, and what ``x + y`` and its like make of tensors: new layers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..common.words import Penalized, Unpack
from ..graph.tensor import OPERATORS, KerasTensor
from .joining import Concatenate, Dot
from .merging import Add, Average, Maximum, Minimum, Multiply, Subtract
from .pointwise import Rescaling


def add(inputs: Sequence[Any], **kwargs: "Unpack[Penalized]") -> Any:
    """The sum of several tensors or arrays (Keras's ``layers.add``): ``Add(**kwargs)(inputs)``."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: "Unpack[Penalized]") -> Any:
    """The difference of two tensors or arrays (Keras's ``layers.subtract``): ``Subtract(**kwargs)(inputs)``."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: "Unpack[Penalized]") -> Any:
    """The product of several tensors or arrays (Keras's ``layers.multiply``): ``Multiply(**kwargs)(inputs)``."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: "Unpack[Penalized]") -> Any:
    """The mean of several tensors or arrays (Keras's ``layers.average``): ``Average(**kwargs)(inputs)``."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: "Unpack[Penalized]") -> Any:
    """The largest of several tensors or arrays (Keras's ``layers.maximum``): ``Maximum(**kwargs)(inputs)``."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: "Unpack[Penalized]") -> Any:
    """The smallest of several tensors or arrays (Keras's ``layers.minimum``): ``Minimum(**kwargs)(inputs)``."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: "Unpack[Penalized]") -> Any:
    """Tensors or arrays side by side (Keras's ``layers.concatenate``): ``Concatenate(axis, **kwargs)(inputs)``."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: "Unpack[Penalized]") -> Any:
    """Sums of products of two tensors or arrays (Keras's ``layers.dot``): ``Dot(axes, **kwargs)(inputs)``."""
    return Dot(axes=axes, **kwargs)(inputs)


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


OPERATORS.update(
    {
        **dict.fromkeys(("__add__", "__radd__"), _operator(Add, lambda n: (1.0, n))),
        **dict.fromkeys(("__mul__", "__rmul__"), _operator(Multiply, lambda n: (n, 0.0))),
        "__sub__": _operator(Subtract, lambda n: (1.0, -n)),
        "__rsub__": _operator(None, lambda n: (-1.0, n)),
        "__truediv__": _operator(None, lambda n: (1 / n, 0.0)),
    }
)

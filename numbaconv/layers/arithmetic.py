"""Layers of several inputs as functions, and what ``x + y`` and its like make of tensors: new layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.tensor import OPERATORS, KerasTensor
from .joining import Concatenate, Dot
from .merging import Add, Average, Maximum, Minimum, Multiply, Subtract
from .pointwise import Rescaling

if TYPE_CHECKING:
    from ..common.words import Penalized, Unpack


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


def _sum(x: KerasTensor, other: Any) -> Any:
    return Add()([x, other]) if isinstance(other, KerasTensor) else _scaled(x, other, 1.0, 1.0)


def _difference(x: KerasTensor, other: Any) -> Any:
    return Subtract()([x, other]) if isinstance(other, KerasTensor) else _scaled(x, other, 1.0, -1.0)


def _product(x: KerasTensor, other: Any) -> Any:
    if isinstance(other, KerasTensor):
        return Multiply()([x, other])
    return Rescaling(float(other))(x) if _is_number(other) else NotImplemented


def _quotient(x: KerasTensor, other: Any) -> Any:
    return Rescaling(1 / float(other))(x) if _is_number(other) else NotImplemented


def _turned_difference(x: KerasTensor, other: Any) -> Any:
    return _scaled(x, other, -1.0, 1.0)


def _scaled(x: KerasTensor, other: Any, scale: float, sign: float) -> Any:
    return Rescaling(scale, sign * float(other))(x) if _is_number(other) else NotImplemented


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


OPERATORS.update(
    {
        **dict.fromkeys(("__add__", "__radd__"), _sum),
        **dict.fromkeys(("__mul__", "__rmul__"), _product),
        "__sub__": _difference,
        "__rsub__": _turned_difference,
        "__truediv__": _quotient,
    }
)

"""Layers of several inputs as functions."""

from collections.abc import Sequence
from typing import Any

from ..common.words import Penalized, Unpack
from .joining import Concatenate, Dot
from .merging import Add, Average, Maximum, Minimum, Multiply, Subtract


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

"""Initializers that draw nothing."""

import numpy as np

from ..objects.registry import number
from .base import Array, Initializer, Shape


class Zeros(Initializer):
    """All 0."""

    def _values(self, shape: Shape) -> Array:
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def _values(self, shape: Shape) -> Array:
        return np.ones(shape)


class Constant(Initializer):
    """All the same value.

    Parameters
    ----------
    value : float
        A finite number.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = number(value, "value")

    def _values(self, shape: Shape) -> Array:
        return np.full(shape, self.value)


class Identity(Initializer):
    """Identity matrix times `gain`, for shapes of two axes only.

    Parameters
    ----------
    gain : float
        Value on the diagonal.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = number(gain, "gain")

    def _values(self, shape: Shape) -> Array:
        if len(shape) != 2:
            raise ValueError(f"shape must have 2 axes to hold an identity matrix, got {shape!r}")
        return self.gain * np.eye(*shape)

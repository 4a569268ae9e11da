"""Numbers that count their multiplications."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Counted:
    """A number that counts the products of two such numbers; those with plain numbers, and sums, are not counted."""

    __array_ufunc__ = None

    def __init__(self, value: float, counts: list[int]) -> None:
        self.value, self.counts = value, counts

    def __add__(self, other: Any) -> Counted:
        return Counted(self.value + getattr(other, "value", other), self.counts)

    __radd__ = __add__

    def __neg__(self) -> Counted:
        return Counted(-self.value, self.counts)

    def __sub__(self, other: Any) -> Counted:
        return self + -other

    def __rsub__(self, other: Any) -> Counted:
        return -self + other

    def __mul__(self, other: Any) -> Counted:
        if isinstance(other, Counted):
            self.counts[0] += 1
        return Counted(self.value * getattr(other, "value", other), self.counts)

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> Counted:
        return self * (1 / other)

    def __float__(self) -> float:
        return self.value


def products_of(function: Callable[..., Any], *arrays: np.ndarray) -> int:
    """Count how often a function multiplies numbers of these arrays, or what it made of them, with each other."""
    counts = [0]
    counted = [np.empty(array.shape, object) for array in arrays]
    for numbers, array in zip(counted, arrays, strict=True):
        for place in np.ndindex(array.shape):
            numbers[place] = Counted(float(array[place]), counts)
    function(*counted)
    return counts[0]

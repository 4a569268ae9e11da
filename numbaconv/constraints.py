"""Projections applied to weights after an optimizer's update, by Keras's names.

A norm is Euclidean and taken along `axis`. For one norm per filter of a convolution kernel ``(*kernel_size, C, F)``
the axes are all but the last: ``axis=[0, 1, 2]`` for two spatial dimensions. As in Keras, `numbaconv.config.epsilon`
is added to a norm before dividing by it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numbaconv import config
from numbaconv.common.arrays import as_floats
from numbaconv.objects.registry import Configurable, Registry, integer, number

from .objects.public import publish

__all__ = [
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]
publish(__name__)

Array = NDArray[np.floating[Any]]
Norms = NDArray[np.float64]
Axis = int | Sequence[int]


class _OfNorms(Configurable):
    """Multiply weights so that their norms become others.

    Parameters
    ----------
    axis : int or sequence of int
        Axes along which a norm is taken.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; when weights are constrained, also if they have no such axis.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = tuple(map(_axis, axis)) if isinstance(axis, (tuple, list)) else _axis(axis)

    @np.errstate(all="ignore")
    def __call__(self, w: Array) -> Array:
        """Return the constrained weights: a new array of the shape and dtype of `w`."""
        w = as_floats(w, "w")
        # In float64, where the square of any float32 is finite.
        norms = np.sqrt(np.sum(np.square(w, dtype=np.float64), axis=self.axis, keepdims=True))
        return w * (self._wanted(norms) / (norms + config.epsilon())).astype(w.dtype)

    def _wanted(self, norms: Norms) -> Norms:
        """What the norms are to become."""
        raise NotImplementedError


def _axis(axis: Any) -> int:
    # NumPy's arrays have 64 axes at most.
    if not -64 <= integer(axis, "axis") < 64:
        raise ValueError(f"axis must be the number of an axis, got {axis!r}")
    return int(axis)


class MaxNorm(_OfNorms):
    """Shrink norms above a limit to the limit: ``w * min(norm, max_value) / (norm + epsilon)``.

    Parameters
    ----------
    max_value : float
        Largest norm allowed, not negative.
    """

    def __init__(self, max_value: float = 2.0, axis: Axis = 0) -> None:
        self.max_value = number(max_value, "max_value", minimum=0)
        super().__init__(axis)

    def _wanted(self, norms: Norms) -> Norms:
        return np.minimum(norms, self.max_value)


class NonNeg(Configurable):
    """Set negative weights to zero: ``max(w, 0)``."""

    @np.errstate(all="ignore")
    def __call__(self, w: Array) -> Array:
        """Return the constrained weights: a new array of the shape and dtype of `w`."""
        return np.maximum(as_floats(w, "w"), 0)


class UnitNorm(_OfNorms):
    """Bring every norm to one: ``w / (norm + epsilon)``."""

    def _wanted(self, norms: Norms) -> Norms:
        return np.ones_like(norms)


class MinMaxNorm(_OfNorms):
    """Move norms into an interval.

    The new norm is ``(1 - rate) * norm + rate * clip(norm, min_value, max_value)``, and `w` is multiplied by it and
    divided by ``norm + epsilon``.

    Parameters
    ----------
    min_value, max_value : float
        The interval, ``0 <= min_value <= max_value``.
    rate : float
        How far to move, from 0 (not at all) to 1 (into the interval at once).
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> None:
        self.min_value = number(min_value, "min_value", minimum=0)
        self.max_value = number(max_value, "max_value", minimum=self.min_value)
        self.rate = number(rate, "rate", minimum=0, maximum=1)
        super().__init__(axis)

    def _wanted(self, norms: Norms) -> Norms:
        return self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms


max_norm = MaxNorm
non_neg = NonNeg
unit_norm = UnitNorm
min_max_norm = MinMaxNorm

_REGISTRY = Registry("constraint", globals(), Configurable, "any function of one array, returned as it is")


@_REGISTRY.documented
def get(identifier: Any) -> Callable[[Array], Array] | None:
    """Return the constraint that `identifier` means.

    Returns
    -------
    callable or None
        Takes an array of weights and returns the constrained ones. None for None.
    """
    return None if identifier is None else _REGISTRY.get(identifier)


@_REGISTRY.documented
def serialize(constraint: Callable[[Array], Array] | None) -> dict[str, Any] | None:
    """Return the config from which `get` makes an equal constraint, None for None."""
    return None if constraint is None else _REGISTRY.serialize(constraint)

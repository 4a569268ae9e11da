"""Penalties on weights and activities, by Keras's names, and their gradients.

A penalty is one number, and should have all its digits: sums of many float32 terms are taken in float64.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numbaconv.common.arrays import as_floats
from numbaconv.objects.docstrings import as_in
from numbaconv.objects.registry import Configurable, Registry, number

from .objects.public import publish

__all__ = ["L1", "L1L2", "L2", "get", "gradient", "l1", "l1_l2", "l2", "serialize"]
publish(__name__)

Array = NDArray[np.floating[Any]]


class L1(Configurable):
    """Penalty ``l1 * sum(|x|)``.

    Parameters
    ----------
    l1 : float
        Factor, not negative.
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = number(l1, "l1", minimum=0)

    @np.errstate(all="ignore")
    def __call__(self, x: ArrayLike) -> float:
        """Return the penalty of an array of any shape."""
        return self.l1 * float(np.sum(np.abs(as_floats(x, "x")), dtype=np.float64))

    @np.errstate(all="ignore")
    def gradient(self, x: Array) -> Array:
        """Return ``l1 * sign(x)``, of the shape and dtype of `x`."""
        return self.l1 * np.sign(as_floats(x, "x"))


class L2(Configurable):
    """Penalty ``l2 * sum(x ** 2)``.

    Parameters
    ----------
    l2 : float
        Factor, not negative.
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = number(l2, "l2", minimum=0)

    @np.errstate(all="ignore")
    def __call__(self, x: ArrayLike) -> float:
        """Return the penalty of an array of any shape."""
        return self.l2 * float(np.sum(np.square(as_floats(x, "x"), dtype=np.float64)))

    @np.errstate(all="ignore")
    def gradient(self, x: Array) -> Array:
        """Return ``2 * l2 * x``, of the shape and dtype of `x`."""
        return (2 * self.l2) * as_floats(x, "x")


class L1L2(Configurable):
    """Penalty ``l1 * sum(|x|) + l2 * sum(x ** 2)``.

    Parameters
    ----------
    l1, l2 : float
        Factors, not negative. As in Keras they are 0 here and 0.01 in `l1_l2`.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = number(l1, "l1", minimum=0)
        self.l2 = number(l2, "l2", minimum=0)

    @np.errstate(all="ignore")
    def __call__(self, x: ArrayLike) -> float:
        """Return the penalty of an array of any shape."""
        # A factor of 0 leaves its term out: 0 * inf would be NaN.
        absolute = L1(self.l1)(x) if self.l1 else 0.0
        square = L2(self.l2)(x) if self.l2 else 0.0
        return absolute + square

    @np.errstate(all="ignore")
    def gradient(self, x: Array) -> Array:
        """Return ``l1 * sign(x) + 2 * l2 * x``, of the shape and dtype of `x`."""
        absolute = L1(self.l1).gradient(x)
        return absolute + L2(self.l2).gradient(x) if self.l2 else absolute


l1 = L1
l2 = L2


@as_in(L1L2)
def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Make an `L1L2` whose factors are 0.01 unless given."""
    return L1L2(l1, l2)


_REGISTRY = Registry("regularizer", globals(), Configurable, "any function of one array, returned as it is")


@_REGISTRY.documented
def get(identifier: Any) -> Callable[[Any], float] | None:
    """Return the regularizer that `identifier` means; those made of a name have factors of 0.01.

    Returns
    -------
    callable or None
        Takes an array and returns its penalty. None for None.
    """
    if isinstance(identifier, str) and identifier in ("l1_l2", "L1L2"):
        return l1_l2()
    return None if identifier is None else _REGISTRY.get(identifier)


@_REGISTRY.documented
def serialize(regularizer: Callable[[Any], float] | None) -> dict[str, Any] | None:
    """Return the config from which `get` makes an equal regularizer, None for None."""
    return None if regularizer is None else _REGISTRY.serialize(regularizer)


def gradient(regularizer: Any) -> Callable[[Array], Array]:
    """Return the function that gives the derivative of `regularizer`'s penalty.

    Parameters
    ----------
    regularizer : str, class, dict or callable
        What `get` takes, apart from None. A callable of the user's must have a method or attribute `gradient`.

    Returns
    -------
    callable
        Takes an array and returns one of its shape and dtype.

    Raises
    ------
    ValueError
        If it has no such attribute, or no regularizer has this name.
    TypeError
        If `regularizer` is none of these.
    """
    found = get(regularizer)
    derivative: Callable[[Array], Array] | None = getattr(found, "gradient", None)
    if not callable(derivative):
        raise ValueError(
            "regularizer must have an attribute 'gradient', a function of an array that returns the derivative of the "
            f"penalty with respect to it, got {found!r} without"
        )
    return derivative

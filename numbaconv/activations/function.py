"""What makes a function of one array an activation: checked input, and a gradient."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arrays import as_floats
from ..objects.docstrings import completed

Array = NDArray[np.floating[Any]]
Activation = Callable[..., Array]
# Takes the gradient with respect to an activation's output, and that output, or the input if it names it x.
Gradient = Callable[[Array, Array], Array]


# What all of them take and return.
_ARRAY = """
    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`.
    """


def activation(gradient: Callable[..., Array]) -> Callable[[Activation], Activation]:
    """Make a function an activation whose attribute `gradient` is this one, with the same settings."""

    def decorate(function: Activation) -> Activation:
        @wraps(function)
        def checked(x: Array, *settings: Any, **named: Any) -> Array:
            with np.errstate(all="ignore"):
                return function(as_floats(x, "x"), *settings, **named)

        checked.__doc__ = completed(function.__doc__ or "", list(signature(function).parameters), _ARRAY)
        checked.gradient = np.errstate(all="ignore")(gradient)  # type: ignore[attr-defined]
        return checked

    return decorate

"""What makes a function of one array an activation: checked input, and a gradient."""

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.again import remade
from ..common.arrays import as_floats
from ..objects.docstrings import completed, parameter_names

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

    Raises
    ------
    TypeError, ValueError
        If an argument is anything else.
    """


# From this number of values on a kernel takes less time; below it nothing is compiled.
LARGE = 4096
_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
Large = Callable[..., Array | None]


def by_rule(rule: Callable[..., Any], gradient_rule: Callable[..., Any] | None = None) -> tuple[Large, Large]:
    """What computes an activation and its gradient on large arrays, given its rule: a function of its settings."""
    # Numba takes records of floats only.
    made, gradient_made = (
        lru_cache(128)(lambda *settings, r=one, **named: _floats(r(*settings, **named)))
        for one in (rule, gradient_rule or rule)
    )

    def large(x: Array, *settings: Any, out: Array | None = None, **named: Any) -> Array | None:
        wanted = made(*settings, **named)
        return None if wanted is None else kernels().applied(wanted, x, out)

    large.takes_out = True  # type: ignore[attr-defined]

    def large_gradient(grad_out: Array, kept: Array, *settings: Any, **named: Any) -> Array | None:
        wanted = gradient_made(*settings, **named)
        return None if wanted is None else kernels().applied_back(wanted, kept, grad_out)

    return large, large_gradient


def _floats(rule: Any) -> Any:
    return None if rule is None else rule._make(map(float, rule))


@lru_cache(maxsize=1)
def kernels() -> Any:
    """The module of the kernels; Numba is loaded by those alone who need it."""
    from ..kernels import pointwise

    return pointwise


def takes(*arrays: Any) -> bool:
    """Whether kernels can do it: large arrays of one shape and dtype that they know, and a compiler."""
    first = arrays[0]
    if type(first) is not np.ndarray or first.size < LARGE or first.dtype not in _DTYPES:
        return False
    alike = all(type(x) is np.ndarray and x.dtype == first.dtype and x.shape == first.shape for x in arrays[1:])
    return alike and kernels().COMPILED


def activation(
    gradient: Callable[..., Array], large: tuple[Large, Large] | None = None
) -> Callable[[Activation], Activation]:
    """Make a function an activation whose attribute `gradient` is this one, with the same settings.

    ``large`` has the same two functions for large arrays; where they return None, they cannot do it.
    """

    def decorate(function: Activation) -> Activation:
        @lru_cache(128, typed=True)
        def check(axes: int, *settings: Any, **named: Any) -> None:
            """Raise what the function itself raises for settings of arrays with so many axes."""
            function(np.zeros((1,) * axes, np.float32), *settings, **named)

        @wraps(function)
        def checked(x: Array, *settings: Any, **named: Any) -> Array:
            x = as_floats(x, "x")
            if large is not None and takes(x):
                if settings or named:
                    known = all(isinstance(one, Hashable) for one in (*settings, *named.values()))
                    (check if known else check.__wrapped__)(x.ndim, *settings, **named)
                out = large[0](x, *settings, **named)
                if out is not None:
                    return out
            with np.errstate(all="ignore"):
                return remade(function, x, *settings, **named)

        @wraps(gradient)
        def derivative(grad_out: Array, kept: Array, *settings: Any, **named: Any) -> Array:
            out = large[1](grad_out, kept, *settings, **named) if large is not None and takes(kept, grad_out) else None
            if out is not None:
                return out
            with np.errstate(all="ignore"):
                return remade(gradient, grad_out, kept, *settings, **named)

        checked.__doc__ = completed(function.__doc__ or "", parameter_names(function), _ARRAY)
        checked.gradient = derivative  # type: ignore[attr-defined]
        # What writes a large array's results where it is told to.
        checked.into = large[0] if large and hasattr(large[0], "takes_out") else None  # type: ignore[attr-defined]
        return checked

    return decorate

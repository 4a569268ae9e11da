"""Activation functions by Keras's names, on NumPy arrays, and their gradients.

Every function maps a float array to an array of the same shape and dtype without changing its input. None of them
warns: what overflows becomes infinite, what has no value becomes NaN, and NaN stays NaN.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import as_floats, masked

Array = NDArray[np.floating[Any]]
Activation = Callable[[Array], Array]
# Takes the gradient with respect to an activation's output, and that output.
Gradient = Callable[[Array, Array], Array]

# The fixed point of mean 0 and variance 1 in Klambauer et al., "Self-Normalizing Neural Networks", 2017.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def _of_floats(function: Activation) -> Activation:
    @wraps(function)
    def checked(x: Array) -> Array:
        return function(as_floats(x, "x"))

    return checked


def linear(x: Array) -> Array:
    """Return `x` itself, not a copy.

    Parameters
    ----------
    x : ndarray

    Returns
    -------
    ndarray
        `x`.
    """
    return x


@_of_floats
def relu(x: Array) -> Array:
    """Rectified linear unit: ``max(x, 0)``.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`.
    """
    return np.maximum(x, 0)


@_of_floats
def elu(x: Array) -> Array:
    """Exponential linear unit: ``x`` if ``x > 0``, else ``exp(x) - 1``.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Notes
    -----
    Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2015, with alpha = 1.
    """
    return np.maximum(x, 0) + np.expm1(np.minimum(x, 0))


@_of_floats
def selu(x: Array) -> Array:
    """Scaled exponential linear unit: ``scale * x`` if ``x > 0``, else ``scale * alpha * (exp(x) - 1)``.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Notes
    -----
    Klambauer et al., "Self-Normalizing Neural Networks", 2017: alpha = 1.67326324, scale = 1.05070098.
    """
    with np.errstate(over="ignore"):
        return _SELU_SCALE * np.maximum(x, 0) + (_SELU_SCALE * _SELU_ALPHA) * np.expm1(np.minimum(x, 0))


@_of_floats
def softplus(x: Array) -> Array:
    """Smooth rectifier: ``log(1 + exp(x))``.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Notes
    -----
    Computed as ``max(x, 0) + log(1 + exp(-|x|))``, in which nothing overflows.
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@_of_floats
def softsign(x: Array) -> Array:
    """Ratio ``x / (1 + |x|)``, which tends to -1 and 1.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`. Infinite values give -1 and 1, where Keras gives NaN.
    """
    largest = np.finfo(x.dtype).max
    finite: Array = np.clip(x, -largest, largest)
    finite /= 1 + np.abs(finite)
    return finite


@_of_floats
def tanh(x: Array) -> Array:
    """Hyperbolic tangent.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`.
    """
    return np.tanh(x)


@_of_floats
def sigmoid(x: Array) -> Array:
    """Logistic function: ``1 / (1 + exp(-x))``.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Notes
    -----
    For negative `x` computed as ``exp(x) / (1 + exp(x))``: the exponent is never positive, so nothing overflows and
    the small values keep their digits.
    """
    decay: Array = np.exp(-np.abs(x))
    return np.where(x < 0, decay, 1) / (1 + decay)


@_of_floats
def hard_sigmoid(x: Array) -> Array:
    """Piecewise linear sigmoid: ``x / 6 + 1 / 2``, cut off at 0 and 1.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Notes
    -----
    The slope is Keras 3's. Keras 2 had 0.2.
    """
    return np.clip(x / 6 + 0.5, 0, 1)


@_of_floats
def exponential(x: Array) -> Array:
    """Exponential function.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    ndarray
        Shape and dtype of `x`; infinite where the value is beyond the dtype.
    """
    with np.errstate(over="ignore"):
        return np.exp(x)


@_of_floats
def softmax(x: Array) -> Array:
    """Positive weights that add up to 1 along the last axis: ``exp(x) / sum(exp(x))``.

    Parameters
    ----------
    x : ndarray of float
        At least one axis.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. A row that holds NaN or a positive infinity, or nothing but negative infinities,
        is NaN throughout.

    Notes
    -----
    The largest value of the row is subtracted first, so that nothing overflows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        weights: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


_FUNCTIONS: dict[str, Activation] = {
    function.__name__: function
    for function in (
        linear,
        relu,
        elu,
        selu,
        softplus,
        softsign,
        tanh,
        sigmoid,
        hard_sigmoid,
        exponential,
        softmax,
    )
}


# At their kinks these are TensorFlow's derivatives.
_GRADIENTS: dict[str, Gradient] = {
    "linear": lambda grad_out, y: grad_out,
    "relu": lambda grad_out, y: masked(y > 0, grad_out),
    "elu": lambda grad_out, y: grad_out * np.where(y < 0, y + 1, 1),
    "selu": lambda grad_out, y: grad_out * np.where(y < 0, y + _SELU_SCALE * _SELU_ALPHA, _SELU_SCALE),
    "softplus": lambda grad_out, y: grad_out * -np.expm1(-y),
    "softsign": lambda grad_out, y: grad_out * np.square(1 - np.abs(y)),
    "tanh": lambda grad_out, y: grad_out * ((1 - y) * (1 + y)),
    "sigmoid": lambda grad_out, y: grad_out * (y * (1 - y)),
    "hard_sigmoid": lambda grad_out, y: np.where((y > 0) & (y < 1), grad_out / 6, 0),
    "exponential": lambda grad_out, y: grad_out * y,
    "softmax": lambda grad_out, y: y * (grad_out - (grad_out * y).sum(axis=-1, keepdims=True)),
}


def gradient(activation: str | Activation | None) -> Gradient:
    """Return the function that takes a gradient back through `activation`.

    Parameters
    ----------
    activation : str, callable or None
        What `get` takes. A function of the user's must have an attribute `gradient`, which is returned.

    Returns
    -------
    callable
        ``gradient(activation)(grad_out, y)`` is the gradient with respect to `x`, where ``y = activation(x)`` and
        `grad_out` is the gradient with respect to `y`, both of one shape and dtype, as is the result. Neither is
        changed, and nothing warns; for `linear` the result is `grad_out` itself.

    Raises
    ------
    ValueError
        If no activation has this name, or a function of the user's has no such attribute.
    TypeError
        If `activation` is none of these.

    Notes
    -----
    The outputs are enough: ``tanh'(x) = 1 - y ** 2``, for example. Where rounding brings a bounded output to its
    limit, the gradient is 0.
    """
    function = get(activation)
    for name, built_in in _FUNCTIONS.items():
        if function is built_in:
            return np.errstate(all="ignore")(_GRADIENTS[name])
    own = getattr(function, "gradient", None)
    if not callable(own):
        raise ValueError(
            "activation must have an attribute 'gradient', a function (grad_out, y) that returns the gradient with "
            f"respect to x where y = activation(x), got {function!r} without"
        )
    derivative: Gradient = own
    return derivative


def get(identifier: str | Activation | None) -> Activation:
    """Return the activation function that `identifier` means.

    Parameters
    ----------
    identifier : str, callable or None
        A name such as "relu"; or any function of one array, which is returned as it is; None means `linear`.

    Returns
    -------
    callable
        Takes one array and returns one.

    Raises
    ------
    ValueError
        If no activation has this name.
    TypeError
        If `identifier` is none of these.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in _FUNCTIONS:
            raise ValueError(f"activation must be one of {', '.join(sorted(_FUNCTIONS))}, got {identifier!r}")
        return _FUNCTIONS[identifier]
    if isinstance(identifier, type) or not callable(identifier):
        raise TypeError(f"activation must be a name, a function of one array or None, got {identifier!r}")
    return identifier


def serialize(activation: Activation) -> str:
    """Return the name from which `get` gives `activation` back.

    Parameters
    ----------
    activation : callable
        One of this module's functions.

    Returns
    -------
    str
        Its name.

    Raises
    ------
    TypeError
        If it is any other callable, which no plain configuration can hold.
    """
    for name, function in _FUNCTIONS.items():
        if function is activation:
            return name
    raise TypeError(f"only the activations {', '.join(sorted(_FUNCTIONS))} can be put in a config, got {activation!r}")

"""Activations that let positive numbers pass, more or less as they are."""

import numpy as np

from ..common.arrays import masked
from ..objects.registry import number
from .function import Array, activation

# The fixed point of mean 0 and variance 1 in Klambauer et al., "Self-Normalizing Neural Networks", 2017.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805
_LEAK = 0.2


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


linear.gradient = lambda grad_out, y: grad_out  # type: ignore[attr-defined]


# At their kinks the gradients are TensorFlow's.
@activation(lambda grad_out, y: masked(y > 0, grad_out))
def relu(x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """Rectified linear unit: ``max(x, 0)``, or with the other arguments ``min(x, max_value)`` above the threshold.

    Parameters
    ----------
    negative_slope : float
        Not negative. Up to the threshold the result is ``negative_slope * (x - threshold)``.
    max_value : float, optional
        Not negative.
    threshold : float
        Not negative.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these.

    Notes
    -----
    A layer trains with ``"relu"``, which has none of these arguments. For others, give it a function of your own with a
    gradient, see `get`.
    """
    if negative_slope == threshold == 0 and max_value is None:
        return np.maximum(x, 0)
    slope = number(negative_slope, "negative_slope", minimum=0)
    threshold = number(threshold, "threshold", minimum=0)
    highest = None if max_value is None else number(max_value, "max_value", minimum=0)
    # Nothing is multiplied by a slope of 0, which would make NaN of infinity.
    below = slope * (x - threshold) if slope else 0
    return np.where(x <= threshold, below, np.minimum(x, highest) if highest is not None else x).astype(x.dtype)


@activation(lambda grad_out, y: grad_out * np.where(y < 0, y + 1, 1))
def elu(x: Array) -> Array:
    """Exponential linear unit: ``x`` if ``x > 0``, else ``exp(x) - 1``.

    Notes
    -----
    Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2015, with alpha = 1.
    """
    return np.maximum(x, 0) + np.expm1(np.minimum(x, 0))


@activation(lambda grad_out, y: grad_out * np.where(y < 0, y + _SELU_SCALE * _SELU_ALPHA, _SELU_SCALE))
def selu(x: Array) -> Array:
    """Scaled exponential linear unit: ``scale * x`` if ``x > 0``, else ``scale * alpha * (exp(x) - 1)``.

    Notes
    -----
    Klambauer et al., "Self-Normalizing Neural Networks", 2017: alpha = 1.67326324, scale = 1.05070098.
    """
    with np.errstate(over="ignore"):
        return _SELU_SCALE * np.maximum(x, 0) + (_SELU_SCALE * _SELU_ALPHA) * np.expm1(np.minimum(x, 0))


@activation(lambda grad_out, y: grad_out * -np.expm1(-y))
def softplus(x: Array) -> Array:
    """Smooth rectifier: ``log(1 + exp(x))``.

    Notes
    -----
    Computed as ``max(x, 0) + log(1 + exp(-|x|))``, in which nothing overflows.
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@activation(lambda grad_out, y: masked((y > 0) & (y < 6), grad_out))
def relu6(x: Array) -> Array:
    """Rectified linear unit with an upper limit: ``min(max(x, 0), 6)``."""
    return np.clip(x, 0, 6)


@activation(lambda grad_out, y: grad_out * np.where(y > 0, 1, _LEAK).astype(y.dtype))
def leaky_relu(x: Array, negative_slope: float = _LEAK) -> Array:
    """Rectified linear unit that lets a share of negative values pass: ``max(x, negative_slope * x)``.

    Parameters
    ----------
    negative_slope : float
        From 0 to 1.

    Notes
    -----
    A layer trains with ``"leaky_relu"``, whose slope is a fifth, as in Keras 3. For another one, give it a function of
    your own with a gradient, see `get`.
    """
    if negative_slope == 0:
        return np.maximum(x, 0)
    return np.maximum(x, number(negative_slope, "negative_slope", minimum=0, maximum=1) * x)


@activation(lambda grad_out, y: grad_out / (1 + 1 / np.square(y)))
def squareplus(x: Array) -> Array:
    """Smooth rectifier without exponentials: ``(x + sqrt(x ** 2 + 4)) / 2``.

    Notes
    -----
    For negative `x` computed as ``2 / (sqrt(x ** 2 + 4) - x)``, so that small values keep their digits.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.abs(x) + np.hypot(x, 2)
        return np.where(x > 0, size / 2, 2 / size)


@activation(lambda grad_out, y: masked(y != 0, grad_out))
def soft_shrink(x: Array) -> Array:
    """Bring every value nearer to 0 by 1/2, those within 1/2 to 0."""
    return x - np.clip(x, -0.5, 0.5)


@activation(lambda grad_out, y: masked(y != 0, grad_out))
def hard_shrink(x: Array) -> Array:
    """Set values from -1/2 to 1/2 to 0.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. NaN stays NaN, where Keras gives 0.
    """
    return np.where(np.abs(x) <= 0.5, 0, x)


@activation(lambda grad_out, x: grad_out * np.square(np.tanh(x)))
def tanh_shrink(x: Array) -> Array:
    """What `tanh` takes away: ``x - tanh(x)``."""
    return x - np.tanh(x)

"""Activations that let positive numbers pass, more or less as they are."""

import math
from typing import Any

import numpy as np

from ..common.arrays import masked
from ..kernels import rules
from ..objects.registry import number
from .function import Array, activation, by_rule

# The fixed point of mean 0 and variance 1 in Klambauer et al., "Self-Normalizing Neural Networks", 2017.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805
_LEAK = 0.2


def linear(x: Array) -> Array:
    """Return `x` itself, not a copy."""
    return x


linear.gradient = lambda grad_out, y: grad_out  # type: ignore[attr-defined]


# At their kinks the gradients are TensorFlow's, but for those at a max_value, where they are 0.
def _relu_gradient(
    grad_out: Array, y: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    grad = np.where(y > 0, grad_out, negative_slope * grad_out) if negative_slope else masked(y > 0, grad_out)
    return grad if max_value is None else masked(y < max_value, grad)


def _relu_rule(negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    if threshold:
        return None
    most, above = (math.inf, (1, 0)) if max_value is None else (max_value, (0, max_value))
    return rules.pieces(0, most, (negative_slope, 0), 1, above)


def _relu_gradient_rule(negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    if max_value is not None and negative_slope:
        return None
    return rules.Band(0, math.nan if max_value is None else max_value, 1, negative_slope)


@activation(_relu_gradient, by_rule(_relu_rule, _relu_gradient_rule))
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
    """
    if negative_slope == threshold == 0 and max_value is None:
        return np.maximum(x, 0)
    slope = number(negative_slope, "negative_slope", minimum=0)
    threshold = number(threshold, "threshold", minimum=0)
    highest = None if max_value is None else number(max_value, "max_value", minimum=0)
    # Nothing is multiplied by a slope of 0, which would make NaN of infinity.
    below = slope * (x - threshold) if slope else 0
    return np.where(x <= threshold, below, np.minimum(x, highest) if highest is not None else x).astype(x.dtype)


@activation(
    lambda grad_out, y, alpha=1.0: grad_out * np.where(y > 0, 1, y + alpha).astype(y.dtype),
    by_rule(lambda alpha=1.0: rules.Elu(alpha, 1, 1, alpha)),
)
def elu(x: Array, alpha: float = 1.0) -> Array:
    """Exponential linear unit: ``x`` if ``x > 0``, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    alpha : float
        Not negative.

    Notes
    -----
    Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2015.
    """
    factor = number(alpha, "alpha", minimum=0)
    out: Array = np.asarray(np.minimum(x, 0))
    np.expm1(out, out=out)
    if factor != 1:
        out *= factor
    out += np.maximum(x, 0)
    return out


@activation(
    lambda grad_out, y, alpha=1.0: grad_out * np.where(y > 0, 1, y / alpha + 1).astype(y.dtype),
    by_rule(lambda alpha=1.0: rules.Elu(alpha, alpha, 1, 1)),
)
def celu(x: Array, alpha: float = 1.0) -> Array:
    """Exponential linear unit of slope 1 at 0: ``x`` if ``x > 0``, else ``alpha * (exp(x / alpha) - 1)``.

    Parameters
    ----------
    alpha : float
        Positive.

    Notes
    -----
    Barron, "Continuously Differentiable Exponential Linear Units", 2017. With an alpha of 1 it is `elu`.
    """
    width = number(alpha, "alpha", above=0)
    out: Array = np.asarray(np.minimum(x, 0) / width)
    np.expm1(out, out=out)
    out *= width
    out += np.maximum(x, 0)
    return out


@activation(
    lambda grad_out, y: grad_out * np.where(y >= 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA).astype(y.dtype),
    by_rule(lambda: rules.Elu(_SELU_SCALE * _SELU_ALPHA, 1, _SELU_SCALE, _SELU_SCALE)),
)
def selu(x: Array) -> Array:
    """Scaled exponential linear unit: ``scale * x`` if ``x > 0``, else ``scale * alpha * (exp(x) - 1)``.

    Notes
    -----
    Klambauer et al., "Self-Normalizing Neural Networks", 2017: alpha = 1.67326324, scale = 1.05070098.
    """
    return _SELU_SCALE * np.maximum(x, 0) + (_SELU_SCALE * _SELU_ALPHA) * np.expm1(np.minimum(x, 0))


@activation(lambda grad_out, y: grad_out * -np.expm1(-y), by_rule(lambda: rules.Softplus()))
def softplus(x: Array) -> Array:
    """Smooth rectifier: ``log(1 + exp(x))``.

    Notes
    -----
    Computed as ``max(x, 0) + log(1 + exp(-|x|))``, in which nothing overflows.
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@activation(
    lambda grad_out, y: masked((y > 0) & (y < 6), grad_out),
    by_rule(lambda: rules.pieces(0, 6, (0, 0), 1, (0, 6)), lambda: rules.Band(0, 6, 1, 0)),
)
def relu6(x: Array) -> Array:
    """Rectified linear unit with an upper limit: ``min(max(x, 0), 6)``."""
    return np.clip(x, 0, 6)


@activation(
    lambda grad_out, y, negative_slope=_LEAK: grad_out * np.where(y > 0, 1, negative_slope).astype(y.dtype),
    by_rule(
        lambda negative_slope=_LEAK: rules.pieces(0, math.inf, (negative_slope, 0)),
        lambda negative_slope=_LEAK: rules.Band(0, math.nan, 1, negative_slope),
    ),
)
def leaky_relu(x: Array, negative_slope: float = _LEAK) -> Array:
    """Rectified linear unit that lets a share of negative values pass: ``x`` if ``x > 0``, else ``negative_slope * x``.

    Parameters
    ----------
    negative_slope : float
        Not negative.

    Notes
    -----
    The name ``"leaky_relu"`` has a slope of a fifth, the layer `LeakyReLU` one of 0.3, as in Keras 3.
    """
    slope = number(negative_slope, "negative_slope", minimum=0)
    # Nothing is multiplied by a slope of 0, which would make NaN of infinity.
    if slope == 0:
        return np.maximum(x, 0)
    return (np.maximum if slope <= 1 else np.minimum)(x, slope * x)


@activation(lambda grad_out, y, b=4: grad_out / (1 + b / 4 / np.square(y)))
def squareplus(x: Array, b: float = 4) -> Array:
    """Smooth rectifier without exponentials: ``(x + sqrt(x ** 2 + b)) / 2``.

    Parameters
    ----------
    b : float
        Positive.

    Notes
    -----
    For negative `x` computed as ``b / 2 / (sqrt(x ** 2 + b) - x)``, so that small values keep their digits.
    """
    width = number(b, "b", above=0)
    size = np.abs(x) + np.hypot(x, width**0.5)
    return np.where(x > 0, size / 2, width / 2 / size)


@activation(lambda grad_out, y: grad_out * np.sqrt(np.clip(y, 0, 1)))
def sparse_plus(x: Array) -> Array:
    """Smooth rectifier that is 0 below -1 and `x` above 1: ``(x + 1) ** 2 / 4`` in between."""
    return np.where(x < 1, np.square(np.clip(x, -1, 1) + 1) / 4, x)


@activation(
    lambda grad_out, y, threshold=0.5: masked(y != 0, grad_out),
    by_rule(
        lambda threshold=0.5: rules.pieces(-threshold, threshold, (1, threshold), 0, (1, -threshold)),
        lambda threshold=0.5: rules.Moved(),
    ),
)
def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    """Bring every value nearer to 0 by the threshold, those within it to 0.

    Parameters
    ----------
    threshold : float
        Not negative.
    """
    limit = number(threshold, "threshold", minimum=0)
    return x - np.clip(x, -limit, limit)


@activation(
    lambda grad_out, y, threshold=0.5: masked(y != 0, grad_out),
    by_rule(lambda threshold=0.5: rules.pieces(-threshold, threshold, (1, 0), 0), lambda threshold=0.5: rules.Moved()),
)
def hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    """Set values within the threshold to 0.

    Parameters
    ----------
    threshold : float
        Not negative.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. NaN stays NaN, where Keras gives 0.
    """
    return np.where(np.abs(x) <= number(threshold, "threshold", minimum=0), 0, x)


@activation(lambda grad_out, x: grad_out * np.square(np.tanh(x)), by_rule(lambda: rules.TanhShrink()))
def tanh_shrink(x: Array) -> Array:
    """What `tanh` takes away: ``x - tanh(x)``."""
    return x - np.tanh(x)

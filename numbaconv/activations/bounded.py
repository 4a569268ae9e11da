"""Activations with two limits, and those whose values are shares or the logarithms of shares."""

import numpy as np

from ..common.arrays import masked
from .function import Array, activation


@activation(lambda grad_out, y: grad_out * np.square(1 - np.abs(y)))
def softsign(x: Array) -> Array:
    """Ratio ``x / (1 + |x|)``, which tends to -1 and 1.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. Infinite values give -1 and 1, where Keras gives NaN.
    """
    largest = np.finfo(x.dtype).max
    finite: Array = np.clip(x, -largest, largest)
    finite /= 1 + np.abs(finite)
    return finite


@activation(lambda grad_out, y: grad_out * ((1 - y) * (1 + y)))
def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(x)


@activation(lambda grad_out, y: grad_out * (y * (1 - y)))
def sigmoid(x: Array) -> Array:
    """Logistic function: ``1 / (1 + exp(-x))``.

    Notes
    -----
    For negative `x` computed as ``exp(x) / (1 + exp(x))``: the exponent is never positive, so nothing overflows and
    the small values keep their digits.
    """
    decay: Array = np.exp(-np.abs(x))
    return np.where(x < 0, decay, 1) / (1 + decay)


@activation(lambda grad_out, y: np.where((y > 0) & (y < 1), grad_out / 6, 0))
def hard_sigmoid(x: Array) -> Array:
    """Piecewise linear sigmoid: ``x / 6 + 1 / 2``, cut off at 0 and 1.

    Notes
    -----
    The slope is Keras 3's. Keras 2 had 0.2.
    """
    return np.clip(x / 6 + 0.5, 0, 1)


@activation(lambda grad_out, y: grad_out * y)
def exponential(x: Array) -> Array:
    """Exponential function.

    Returns
    -------
    ndarray
        Shape and dtype of `x`; infinite where the value is beyond the dtype.
    """
    with np.errstate(over="ignore"):
        return np.exp(x)


@activation(lambda grad_out, y: y * (grad_out - (grad_out * y).sum(axis=-1, keepdims=True)))
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


@activation(lambda grad_out, x: masked(np.abs(x) <= 1, grad_out))
def hard_tanh(x: Array) -> Array:
    """Cut off at -1 and 1."""
    return np.clip(x, -1, 1)


@activation(lambda grad_out, y: grad_out * -np.expm1(y))
def log_sigmoid(x: Array) -> Array:
    """Logarithm of `sigmoid`: ``-log(1 + exp(-x))``.

    Notes
    -----
    Computed as ``min(x, 0) - log(1 + exp(-|x|))``, in which nothing overflows.
    """
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


@activation(lambda grad_out, y: grad_out - np.exp(y) * grad_out.sum(axis=-1, keepdims=True))
def log_softmax(x: Array) -> Array:
    """Logarithm of `softmax`: ``x - log(sum(exp(x)))`` along the last axis.

    Parameters
    ----------
    x : ndarray of float
        At least one axis.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. A row that `softmax` makes NaN is NaN here.

    Notes
    -----
    The largest value of the row is subtracted first, so that nothing overflows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        shifted: Array = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

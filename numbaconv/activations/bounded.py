"""Activations with two limits, and those whose values are shares or the logarithms of shares."""

from typing import Any

import numpy as np

from ..common.arrays import masked
from ..kernels import rules
from ..objects.docstrings import as_in
from ..objects.registry import integer
from .function import Array, Large, activation, by_rule


@activation(lambda grad_out, y: grad_out * np.square(1 - np.abs(y)), by_rule(lambda: rules.Softsign()))
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


@activation(lambda grad_out, y: grad_out * ((1 - y) * (1 + y)), by_rule(lambda: rules.Tanh()))
def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(x)


@activation(lambda grad_out, y: grad_out * (y * (1 - y)), by_rule(lambda: rules.Sigmoid()))
def sigmoid(x: Array) -> Array:
    """Logistic function: ``1 / (1 + exp(-x))``.

    Notes
    -----
    For negative `x` computed as ``exp(x) / (1 + exp(x))``: the exponent is never positive, so nothing overflows and
    the small values keep their digits.
    """
    decay: Array = np.exp(-np.abs(x))
    return np.where(x < 0, decay, 1) / (1 + decay)


@activation(lambda grad_out, y: np.where((y > 0) & (y < 1), grad_out / 6, 0), by_rule(lambda: rules.HardSigmoid(6)))
def hard_sigmoid(x: Array) -> Array:
    """Piecewise linear sigmoid: ``x / 6 + 1 / 2``, cut off at 0 and 1.

    Notes
    -----
    The slope is Keras 3's. Keras 2 had 0.2.
    """
    return np.clip(x / 6 + 0.5, 0, 1)


@activation(lambda grad_out, y: grad_out * y, by_rule(lambda: rules.Exponential()))
def exponential(x: Array) -> Array:
    """Exponential function.

    Returns
    -------
    ndarray
        Shape and dtype of `x`; infinite where the value is beyond the dtype.
    """
    return np.exp(x)


def _axes(x: Array, axis: Any) -> tuple[int, ...]:
    """The axes of an array that an argument names, each once."""
    axes = tuple(integer(one, "axis") for one in (axis if isinstance(axis, tuple | list) else (axis,)))
    if not all(-x.ndim <= one < x.ndim for one in axes) or not 0 < len(axes) == len({one % x.ndim for one in axes}):
        raise ValueError(f"axis must name axes of x, each of them once, for shape {x.shape}, got {axis!r}")
    return axes


def _by_rows(logarithm: bool) -> tuple[Large, Large]:
    """What computes `softmax`, or its logarithm, and its gradient on large arrays, over a single axis."""

    def large(x: Array, axis: Any = -1) -> Array | None:
        from ..kernels.shares import shares

        axes = _axes(x, axis)
        return shares(x, axes[0], logarithm) if len(axes) == 1 else None

    def large_gradient(grad_out: Array, y: Array, axis: Any = -1) -> Array | None:
        from ..kernels.shares import shares_back

        axes = _axes(y, axis)
        return shares_back(grad_out, y, axes[0], logarithm) if len(axes) == 1 else None

    return large, large_gradient


@activation(
    lambda grad_out, y, axis=-1: y * (grad_out - (grad_out * y).sum(axis=_axes(y, axis), keepdims=True)),
    _by_rows(False),
)
def softmax(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """Positive weights that add up to 1 along an axis, or over several: ``exp(x) / sum(exp(x))``.

    Parameters
    ----------
    x : ndarray of float
        At least one axis.
    axis : int or tuple of int
        One that `x` has, or several.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. A row that holds NaN or a positive infinity, or nothing but negative infinities,
        is NaN throughout.

    Raises
    ------
    TypeError, ValueError
        If `x` has no such axes.

    Notes
    -----
    The largest value of the row is subtracted first, so that nothing overflows.
    """
    axes = _axes(x, axis)
    weights: Array = x - x.max(axis=axes, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=axes, keepdims=True)
    return weights


def _sparsemax_gradient(grad_out: Array, y: Array, axis: int = -1) -> Array:
    left = y > 0
    grad = masked(left, grad_out)
    mean = grad.sum(axis=axis, keepdims=True) / np.maximum(left.sum(axis=axis, keepdims=True), 1)
    return masked(left, (grad - mean).astype(y.dtype))


@activation(_sparsemax_gradient)
def sparsemax(x: Array, axis: int = -1) -> Array:
    """Weights that add up to 1 along an axis, many of them 0: of all such weights those nearest to `x`.

    Parameters
    ----------
    x : ndarray of float
        At least one axis.
    axis : int
        One that `x` has.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. A row that `softmax` makes NaN is NaN here.

    Raises
    ------
    TypeError, ValueError
        If `x` has no such axis.

    Notes
    -----
    Martins and Astudillo, "From Softmax to Sparsemax", 2016: ``max(x - t, 0)``, and t follows from the largest values.
    Keras's values do not always add up to 1.
    """
    (place,) = _axes(x, (axis,))
    rows = np.moveaxis(x, place, -1)
    rows = rows - rows.max(axis=-1, keepdims=True)
    ordered = np.sort(rows, axis=-1)[..., ::-1]
    count = np.arange(1, rows.shape[-1] + 1, dtype=x.dtype)
    # What is subtracted if the so many largest values stay; it is right for the most that all stay positive.
    excess = ordered.cumsum(axis=-1) - 1
    most = np.maximum((ordered * count > excess).sum(axis=-1, keepdims=True), 1)
    out = np.maximum(rows - np.take_along_axis(excess, most - 1, axis=-1) / most.astype(x.dtype), 0)
    out[np.isnan(rows).any(axis=-1)] = np.nan
    return np.ascontiguousarray(np.moveaxis(out, -1, place))


@activation(lambda grad_out, y: np.where((y > 0) & (y < 1), grad_out / 2, 0), by_rule(lambda: rules.HardSigmoid(2)))
def sparse_sigmoid(x: Array) -> Array:
    """Piecewise linear sigmoid of slope 1/2: ``(x + 1) / 2``, cut off at 0 and 1."""
    return np.clip((x + 1) / 2, 0, 1)


@activation(
    lambda grad_out, x: masked(np.abs(x) <= 1, grad_out),
    by_rule(lambda: rules.pieces(-1, 1, (0, -1), 1, (0, 1)), lambda: rules.Clipped()),
)
def hard_tanh(x: Array) -> Array:
    """Cut off at -1 and 1."""
    return np.clip(x, -1, 1)


@activation(lambda grad_out, y: grad_out * -np.expm1(y), by_rule(lambda: rules.LogSigmoid()))
def log_sigmoid(x: Array) -> Array:
    """Logarithm of `sigmoid`: ``-log(1 + exp(-x))``.

    Notes
    -----
    Computed as ``min(x, 0) - log(1 + exp(-|x|))``, in which nothing overflows.
    """
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


@as_in(softmax)
@activation(
    lambda grad_out, y, axis=-1: grad_out - np.exp(y) * grad_out.sum(axis=_axes(y, axis), keepdims=True), _by_rows(True)
)
def log_softmax(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """Logarithm of `softmax`: ``x - log(sum(exp(x)))`` along an axis, or over several.

    Notes
    -----
    The largest value of the row is subtracted first, so that nothing overflows. A row that `softmax` makes NaN is NaN
    here.
    """
    axes = _axes(x, axis)
    shifted: Array = x - x.max(axis=axes, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=axes, keepdims=True))
    return shifted

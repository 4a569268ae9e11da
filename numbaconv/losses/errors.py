"""Losses of what is predicted beside what is right: functions of their difference."""

import numpy as np

from ..objects.registry import number
from .base import MEAN, Array, Loss, Terms


class MeanSquaredError(Loss):
    """Mean over the last axis of ``(y_pred - y_true) ** 2``."""

    def __init__(self, reduction: str = MEAN, name: str = "mean_squared_error") -> None:
        super().__init__(reduction, name)

    def _terms(self, target: Array, rows: Array) -> Terms:
        error = rows - target
        return np.square(error, dtype=np.float64).mean(axis=-1), error * (2 / rows.shape[-1])


class MeanAbsoluteError(Loss):
    """Mean over the last axis of ``|y_pred - y_true|``; the gradient is 0 where they are equal."""

    def __init__(self, reduction: str = MEAN, name: str = "mean_absolute_error") -> None:
        super().__init__(reduction, name)

    def _terms(self, target: Array, rows: Array) -> Terms:
        error = rows - target
        return np.abs(error).mean(axis=-1, dtype=np.float64), np.sign(error) / rows.shape[-1]


class Huber(Loss):
    """Mean over the last axis of ``error ** 2 / 2`` up to `delta`, and of ``delta * |error| - delta ** 2 / 2`` beyond.

    Parameters
    ----------
    delta : float
        Positive: where the parabola goes over into straight lines.

    Notes
    -----
    Huber, "Robust Estimation of a Location Parameter", 1964.
    """

    def __init__(self, delta: float = 1.0, reduction: str = MEAN, name: str = "huber_loss") -> None:
        super().__init__(reduction, name)
        self.delta = number(delta, "delta", above=0)

    def _terms(self, target: Array, rows: Array) -> Terms:
        error = rows - target
        # Its distance from the parabola's end is what the straight lines rise by.
        near = np.clip(error, -self.delta, self.delta)
        values = near * (error - near / 2)
        return values.mean(axis=-1, dtype=np.float64), near / rows.shape[-1]


class LogCosh(Loss):
    """Mean over the last axis of ``log(cosh(y_pred - y_true))``.

    Notes
    -----
    About ``error ** 2 / 2`` for small errors, and ``|error| - log(2)`` for large ones.
    """

    def __init__(self, reduction: str = MEAN, name: str = "log_cosh") -> None:
        super().__init__(reduction, name)

    def _terms(self, target: Array, rows: Array) -> Terms:
        error = rows - target
        size = np.abs(error, dtype=np.float64)
        # In float64, because small losses are what two nearly equal numbers differ by.
        values = size + np.log1p(np.exp(-2 * size)) - np.log(2)
        return values.mean(axis=-1), np.tanh(error) / rows.shape[-1]

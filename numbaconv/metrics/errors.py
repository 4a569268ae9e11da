"""Averages of how far predictions are from targets."""

import math

import numpy as np
from numpy.typing import ArrayLike

from ..common.targets import check_positions, check_targets
from .base import Metric


class MeanSquaredError(Metric):
    """Average of ``(y_pred - y_true) ** 2``."""

    direction = "down"

    def __init__(self, name: str = "mean_squared_error") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return _position_means(np.square(_errors(y_true, y_pred)))


class MeanAbsoluteError(Metric):
    """Average of ``|y_pred - y_true|``."""

    direction = "down"

    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return _position_means(np.abs(_errors(y_true, y_pred)))


class RootMeanSquaredError(Metric):
    """Square root of the average of ``(y_pred - y_true) ** 2`` over all batches."""

    direction = "down"
    _averages = False

    def __init__(self, name: str = "root_mean_squared_error") -> None:
        super().__init__(name)

    def result(self) -> float:
        """Return the root; NaN if negative weights have made the average negative."""
        mean = super().result()
        return math.sqrt(mean) if mean >= 0 else math.nan

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return np.square(_errors(y_true, y_pred))


def _errors(y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
    return np.subtract(y_pred, check_targets(y_true, y_pred.shape), dtype=np.float64)


def _position_means(values: np.ndarray) -> np.ndarray:
    check_positions(values)
    return values if values.ndim == 1 else values.mean(axis=-1)

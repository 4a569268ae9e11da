"""Shares of predictions that are right."""

import numpy as np
from numpy.typing import ArrayLike

from ..common.targets import check_labels, check_one_hot, check_positions, check_targets
from ..objects.registry import integer, number
from .base import Metric


class Accuracy(Metric):
    """Share of predictions that equal their targets, which `y_pred`'s dtype is applied to first."""

    direction = "up"

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        y_true = check_targets(y_true, y_pred.shape)
        return y_pred == (y_true.astype(y_pred.dtype) if y_pred.dtype.kind == "f" else y_true)


class BinaryAccuracy(Metric):
    """Share of predictions on the right side of a threshold: above it where the target is 1, otherwise not.

    Parameters
    ----------
    threshold : float
    """

    direction = "up"

    def __init__(self, name: str = "binary_accuracy", threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = number(threshold, "threshold")

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return (y_pred > self.threshold) == check_targets(y_true, y_pred.shape)


class CategoricalAccuracy(Metric):
    """Share of positions whose largest prediction and largest target have the same class; the first of equal ones."""

    direction = "up"

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return y_pred.argmax(axis=-1) == _largest(y_true, y_pred)


class SparseCategoricalAccuracy(Metric):
    """Share of positions whose largest prediction, the first of equal ones, is that of the labelled class."""

    direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return y_pred.argmax(axis=-1) == _labels(y_true, y_pred)


class TopKCategoricalAccuracy(Metric):
    """Share of positions where fewer than `k` predictions exceed that of the class with the largest target.

    Parameters
    ----------
    k : int
        At least 1.

    Notes
    -----
    A position with a NaN is a miss. In Keras an infinity makes a miss too; here it is a number like others.
    """

    direction = "up"

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy") -> None:
        super().__init__(name)
        self.k = _positive(k)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return _in_top(_largest(y_true, y_pred), y_pred, self.k)


class SparseTopKCategoricalAccuracy(Metric):
    """Share of positions where fewer than `k` predictions exceed that of the labelled class.

    Parameters
    ----------
    k : int
        At least 1.

    Notes
    -----
    NaN and infinities count as in `TopKCategoricalAccuracy`.
    """

    direction = "up"

    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy") -> None:
        super().__init__(name)
        self.k = _positive(k)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return _in_top(_labels(y_true, y_pred), y_pred, self.k)


def _largest(y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
    largest: np.ndarray = check_one_hot(y_true, y_pred.shape, check_positions(y_pred, classes=2)).argmax(axis=-1)
    return largest


def _labels(y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
    positions = check_positions(y_pred, classes=2)
    return check_labels(y_true, y_pred.shape, positions).reshape(positions)


def _in_top(labels: np.ndarray, y_pred: np.ndarray, k: int) -> np.ndarray:
    labelled = np.take_along_axis(y_pred, labels[..., None], axis=-1)
    return ((y_pred > labelled).sum(axis=-1) < k) & ~np.isnan(y_pred).any(axis=-1)


def _positive(k: int) -> int:
    if integer(k, "k") < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    return int(k)

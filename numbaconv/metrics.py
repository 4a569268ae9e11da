"""Metrics by Keras's names: averages that are kept up over many batches.

``update_state`` adds a batch, ``result`` is the average over all batches since ``reset_state``, and ``metric(y_true,
y_pred)`` is the first followed by the second. Sums are kept in float64.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import losses
from ._naming import Named
from ._registry import Configurable, Registry, integer, number
from ._targets import (
    check_labels,
    check_one_hot,
    check_positions,
    check_predictions,
    check_sample_weight,
    check_targets,
)


class Metric(Named, Configurable):
    """What all metrics share: the weighted average over samples, each of which is an average over its positions.

    Parameters
    ----------
    name : str

    Raises
    ------
    TypeError
        If `name` is no string, or empty.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.reset_state()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make a metric from what `get_config` returned, here or in Keras, whose "dtype" has no meaning here."""
        if isinstance(config, Mapping):
            config = {name: value for name, value in config.items() if name != "dtype"}
        return super().from_config(config)

    def reset_state(self) -> None:
        """Forget all batches."""
        self._total = self._count = 0.0

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add a batch.

        Parameters
        ----------
        y_true : array_like
            The shape of `y_pred`, give or take a last axis of 1. Labels of the sparse metrics: `y_pred`'s shape
            without the classes, or with 1 in their place.
        y_pred : array_like of shape (batch, ...)
        sample_weight : array_like, optional
            Weights of the samples, ``(batch,)``, or of all that is averaged; 1 stands for a whole axis.

        Raises
        ------
        TypeError
            If an argument does not hold real numbers.
        ValueError
            If a shape does not fit, a weight is not finite, or a label is not the number of a class.
        """
        with np.errstate(all="ignore"):
            values = self._values(y_true, check_predictions(y_pred))
            weights = check_sample_weight(sample_weight, values.shape)
            if values.size:
                per_sample = values.size // len(values)
                self._total += float(values.ravel() @ weights.ravel()) / per_sample
                self._count += float(weights.sum()) / per_sample

    def result(self) -> float:
        """Return the average over all batches; 0 if there are none, or their weights add up to 0."""
        return self._total / self._count if self._count else 0.0

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Add a batch and return the average over all batches."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        """What is averaged, beginning with the batch axis."""
        raise NotImplementedError(f"{type(self).__name__} must define _values")


class Accuracy(Metric):
    """Share of predictions that equal their targets, which `y_pred`'s dtype is applied to first.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        y_true = check_targets(y_true, y_pred.shape)
        return y_pred == (y_true.astype(y_pred.dtype) if y_pred.dtype.kind == "f" else y_true)


class BinaryAccuracy(Metric):
    """Share of predictions on the right side of a threshold: above it where the target is 1, otherwise not.

    Parameters
    ----------
    name : str
    threshold : float

    Raises
    ------
    TypeError, ValueError
        If `threshold` is not a finite number.
    """

    def __init__(self, name: str = "binary_accuracy", threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = number(threshold, "threshold")

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return (y_pred > self.threshold) == check_targets(y_true, y_pred.shape)


class CategoricalAccuracy(Metric):
    """Share of positions whose largest prediction and largest target have the same class; the first of equal ones.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return y_pred.argmax(axis=-1) == _largest(y_true, y_pred)


class SparseCategoricalAccuracy(Metric):
    """Share of positions whose largest prediction, the first of equal ones, is that of the labelled class.

    Parameters
    ----------
    name : str
    """

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
    name : str

    Raises
    ------
    TypeError, ValueError
        If `k` is no positive integer.

    Notes
    -----
    A position with a NaN is a miss. In Keras an infinity makes a miss too; here it is a number like others.
    """

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
    name : str

    Raises
    ------
    TypeError, ValueError
        If `k` is no positive integer.

    Notes
    -----
    NaN and infinities count as in `TopKCategoricalAccuracy`.
    """

    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy") -> None:
        super().__init__(name)
        self.k = _positive(k)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return _in_top(_labels(y_true, y_pred), y_pred, self.k)


class MeanSquaredError(Metric):
    """Average of ``(y_pred - y_true) ** 2``.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str = "mean_squared_error") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return _position_means(np.square(_errors(y_true, y_pred)))


class MeanAbsoluteError(Metric):
    """Average of ``|y_pred - y_true|``.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(name)

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return _position_means(np.abs(_errors(y_true, y_pred)))


class RootMeanSquaredError(Metric):
    """Square root of the average of ``(y_pred - y_true) ** 2`` over all batches.

    Parameters
    ----------
    name : str
    """

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


_REGISTRY = Registry(
    "metric",
    (
        Accuracy,
        BinaryAccuracy,
        CategoricalAccuracy,
        SparseCategoricalAccuracy,
        TopKCategoricalAccuracy,
        SparseTopKCategoricalAccuracy,
        MeanSquaredError,
        MeanAbsoluteError,
        RootMeanSquaredError,
    ),
    {
        **dict.fromkeys(("mse", "MSE"), MeanSquaredError),
        **dict.fromkeys(("mae", "MAE"), MeanAbsoluteError),
    },
)


def get(identifier: Any, loss: Any = None, output_shape: Sequence[int | None] | None = None) -> Any:
    """Return the metric that `identifier` means, None for None.

    Parameters
    ----------
    identifier : str, class, dict, object or None
        A name ("accuracy", "mse", "mean_squared_error", ... or a class name), which becomes the metric's name, as it
        does in Keras's ``compile``; a class, which is called without arguments; a dict with "class_name" and "config";
        or a callable object with the methods of `Metric`, returned as it is.
    loss : optional
        What `numbaconv.losses.get` takes. With `output_shape` it decides what "accuracy" or "acc" means.
    output_shape : sequence of int or None, optional
        The shape of the predictions, batch included.

    Raises
    ------
    ValueError
        If no metric has this name, or "accuracy" is to be decided without `loss` and `output_shape`.
    TypeError
        If `identifier` is none of these, or its config has unknown arguments.

    Notes
    -----
    "accuracy" is, as in Keras 3, `BinaryAccuracy` for a single output, otherwise `SparseCategoricalAccuracy` with the
    sparse loss and `CategoricalAccuracy` with any other. So it is for several outputs under `BinaryCrossentropy` too,
    where "binary_accuracy" may be what is wanted.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        ambiguous = identifier.lower() in ("accuracy", "acc")
        metric = _accuracy(losses.get(loss), output_shape) if ambiguous else _REGISTRY.get(identifier)
        metric.name = identifier
        return metric
    metric = _REGISTRY.get(identifier)
    if not hasattr(metric, "update_state"):
        raise TypeError(f"metric must have the methods of numbaconv.metrics.Metric, got {metric!r}")
    return metric


def _accuracy(loss: Any, output_shape: Sequence[int | None] | None) -> Metric:
    single = isinstance(loss, losses.BinaryCrossentropy) if output_shape is None else output_shape[-1] == 1
    if single:
        return BinaryAccuracy()
    if isinstance(loss, losses.SparseCategoricalCrossentropy):
        return SparseCategoricalAccuracy()
    if output_shape is None and not isinstance(loss, losses.CategoricalCrossentropy):
        raise ValueError(
            "'accuracy' must come with the output_shape or a crossentropy loss, or be one of binary_accuracy, "
            f"categorical_accuracy and sparse_categorical_accuracy, got loss={loss!r} and output_shape=None"
        )
    return CategoricalAccuracy()


def serialize(metric: Metric | None) -> dict[str, Any] | None:
    """Return the config from which `get` makes an equal metric that has counted nothing; None for None.

    Raises
    ------
    TypeError
        If it is no metric of this module.
    """
    return None if metric is None else _REGISTRY.serialize(metric)

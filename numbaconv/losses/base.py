"""From the losses of positions to one number, and to its gradient."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..common.arguments import as_numbers, cast, common_dtype
from ..common.targets import (
    aligned,
    as_rows,
    check_positions,
    check_predictions,
    check_sample_weight,
    check_targets,
    from_rows,
    function_values,
)
from ..objects.naming import Named
from ..objects.registry import Configurable
from ..objects.telling import Neutral

Array = NDArray[np.floating[Any]]
Weights = NDArray[np.float64]
Terms = tuple[Array, Array]

MEAN = "sum_over_batch_size"
REDUCTIONS = (MEAN, "mean", "mean_with_sample_weight", "sum")


class Loss(Named, Configurable):
    """What all losses share: from the losses of positions to one number.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "mean", "mean_with_sample_weight", "sum"}
        What the weighted sum is divided by: the number of positions, whatever they weigh (the first two); the sum of
        the weights of all positions; or nothing.
    name : str, optional
        None makes one of the class's name and a number.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: None and "none" are no reductions. When the loss is computed, also if the
        predictions have no such axis.
    """

    axis = -1
    _neutral: ClassVar[Neutral] = {"dtype": ((None, "float32", "float64"), "it is computed in that of the predictions")}

    def __init__(self, reduction: str = MEAN, name: str | None = None) -> None:
        super().__init__(name)
        if not isinstance(reduction, str) or reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
        self.reduction = reduction

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the loss alone; see `value_and_gradient`."""
        return self.value_and_gradient(y_true, y_pred, sample_weight)[0]

    def value_and_gradient(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Array]:
        """Return the loss and its derivative by every prediction.

        Parameters
        ----------
        y_true : array_like
            The shape of `y_pred`, give or take a last axis of 1. Labels of the sparse loss: `y_pred`'s shape without
            the classes, or with 1 in their place.
        y_pred : array_like of shape (batch, ..., outputs) or (batch,)
        sample_weight : array_like, optional
            Weights of the samples, ``(batch,)``, or of their positions, ``(batch, ...)``; 1 stands for a whole axis.

        Returns
        -------
        value : float
            Summed up in float64; 0 for an empty batch.
        gradient : ndarray
            A new array of the shape and dtype of `y_pred` (float64 if it is float64, otherwise float32).

        Raises
        ------
        TypeError
            If an argument does not hold real numbers.
        ValueError
            If a shape does not fit, a weight is not finite, or a target is not what the loss can compare.
        """
        y_pred = check_predictions(y_pred)
        y_pred = cast(y_pred, common_dtype(y_pred))
        with np.errstate(all="ignore"):
            target, positions = self._target(y_true, y_pred)
            weights = None if sample_weight is None else check_sample_weight(sample_weight, positions).ravel()
            axis = self._rows_axis(y_pred)
            value, gradient = self._mean(target, as_rows(y_pred, axis), weights)
        return value, from_rows(gradient, axis, y_pred.shape)

    def values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
        """Return the loss of each position, before any reduction: an array of shape (batch, ...).

        Raises
        ------
        TypeError, ValueError
            As from `value_and_gradient`.
        """
        y_pred = check_predictions(y_pred)
        y_pred = cast(y_pred, common_dtype(y_pred))
        with np.errstate(all="ignore"):
            target, positions = self._target(y_true, y_pred)
            values, _ = self._terms(target, as_rows(y_pred, self._rows_axis(y_pred)))
        return values.reshape(positions)

    def _rows_axis(self, y_pred: Array) -> int | tuple[int, ...]:
        """The axis or axes of the predictions that make up a row."""
        return self.axis

    def _target(self, y_true: ArrayLike, y_pred: Array) -> tuple[np.ndarray, tuple[int, ...]]:
        """Checked targets, one row or label per position, and the shape of all positions."""
        positions = check_positions(y_pred, self.axis)
        return as_rows(cast(check_targets(y_true, y_pred.shape), y_pred.dtype), self.axis), positions

    def _mean(self, target: np.ndarray, rows: Array, weights: Weights | None) -> tuple[float, Array]:
        """The loss of rows, and its gradient."""
        return self._reduced(*self._terms(target, rows), weights)

    def _reduced(self, values: Array, gradient: Array, weights: Weights | None) -> tuple[float, Array]:
        """The loss of so many values, and its gradient from a row for each of theirs, which is changed."""
        divisor = 1 if self.reduction == "sum" else max(len(values), 1)
        if weights is None:
            gradient /= divisor
            return float(values.sum(dtype=np.float64)) / divisor, gradient
        if self.reduction == "mean_with_sample_weight":
            divisor = weights.sum()
        weights = weights / divisor if divisor else np.zeros_like(weights)
        gradient *= weights.astype(gradient.dtype)[:, None]
        return float(values @ weights), gradient

    def _terms(self, target: np.ndarray, rows: Array) -> Terms:
        """The losses of rows, and the gradient of each by its row: a new array."""
        raise NotImplementedError(
            f"{type(self).__name__} must define value_and_gradient(y_true, y_pred, sample_weight=None), and __call__ "
            "where the loss alone is easier; or a function with an attribute 'gradient' is a loss, see losses.get"
        )


class FunctionLoss(Loss):
    """A function of the user's as a loss; see `numbaconv.losses.get`.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function: Any, reduction: str = MEAN) -> None:
        super().__init__(reduction, getattr(function, "__name__", type(function).__name__))
        self.function = function

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the loss alone, for which no gradient is needed."""
        return self._computed(y_true, y_pred, sample_weight, None)[0]

    def value_and_gradient(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Array]:
        """Return the loss and its derivative by every prediction; see `Loss`.

        Raises
        ------
        TypeError
            As from `Loss`.
        ValueError
            As from `Loss`, if the function has no `gradient`, or if one of the two returns an array that does not fit.
        """
        gradient = getattr(self.function, "gradient", None)
        if not callable(gradient):
            raise ValueError(
                "to train with it, the loss must have an attribute 'gradient', a function (y_true, y_pred) that "
                f"returns the derivative of its values by the predictions, got {self.function!r} without"
            )
        return self._computed(y_true, y_pred, sample_weight, gradient)

    def _computed(self, y_true: Any, y_pred: Any, sample_weight: Any, derive: Any) -> tuple[float, Array]:
        y_pred = check_predictions(y_pred)
        y_pred = cast(y_pred, common_dtype(y_pred))
        y_true = aligned(as_numbers(y_true, "y_true"), y_pred.shape)
        values = function_values(self.function, y_true, y_pred, self.name)
        weights = None if sample_weight is None else check_sample_weight(sample_weight, values.shape).ravel()
        gradient: Array = np.zeros_like(y_pred)
        if derive is not None:
            # A copy, because it is changed.
            gradient = np.array(as_numbers(derive(y_true, y_pred), f"the gradient of {self.name}"), y_pred.dtype)
            if gradient.shape != y_pred.shape:
                raise ValueError(
                    f"the gradient of {self.name} must have the shape of y_pred, {y_pred.shape}, got {gradient.shape}"
                )
        rows = gradient.reshape(values.size, gradient.size // max(values.size, 1))
        with np.errstate(all="ignore"):
            value, rows = self._reduced(values.ravel(), rows, weights)
        return value, rows.reshape(y_pred.shape)

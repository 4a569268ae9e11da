"""Losses by Keras's names, each with its gradient.

A loss is a function of targets and predictions: ``loss(y_true, y_pred)`` is one number, and
``loss.value_and_gradient(y_true, y_pred)`` adds the derivative of that number by every prediction, with which training
begins. Predictions have shape ``(batch, ..., outputs)``; every position ``(batch, ...)`` has a loss of its own, and
positions are averaged. Predictions of shape ``(batch,)`` are ``(batch, 1)``.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import config
from ._naming import Named
from ._registry import Configurable, Registry, integer, number
from ._targets import (
    as_rows,
    check_labels,
    check_one_hot,
    check_positions,
    check_predictions,
    check_sample_weight,
    check_shares,
    check_targets,
)
from .activations import sigmoid
from .arguments import cast, check_bool, common_dtype

Array = NDArray[np.floating[Any]]
Weights = NDArray[np.float64]
Terms = tuple[Array, Array]

_MEAN = "sum_over_batch_size"
_REDUCTIONS = (_MEAN, "mean", "mean_with_sample_weight", "sum")


class Loss(Named, Configurable):
    """What all losses share: from the losses of positions to one number.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "mean", "mean_with_sample_weight", "sum"}
        What the weighted sum is divided by: the number of positions, whatever they weigh (the first two); the sum of
        the weights of all positions; or nothing.
    name : str

    Raises
    ------
    TypeError, ValueError
        If `reduction` is none of these, None and "none" included, or `name` is no string.
    """

    axis = -1

    def __init__(self, reduction: str, name: str) -> None:
        super().__init__(name)
        if not isinstance(reduction, str) or reduction not in _REDUCTIONS:
            raise ValueError(f"reduction must be one of {', '.join(_REDUCTIONS)}, got {reduction!r}")
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
            rows = as_rows(y_pred, self.axis)
            value, gradient = self._mean(target, rows, weights)
        if self.axis != -1:
            gradient = np.moveaxis(gradient.reshape(*positions, rows.shape[-1]), -1, self.axis)
        return value, gradient.reshape(y_pred.shape)

    def _target(self, y_true: ArrayLike, y_pred: Array) -> tuple[np.ndarray, tuple[int, ...]]:
        """Checked targets, one row or label per position, and the shape of all positions."""
        positions = check_positions(y_pred, self.axis)
        return as_rows(cast(check_targets(y_true, y_pred.shape), y_pred.dtype), self.axis), positions

    def _mean(self, target: np.ndarray, rows: Array, weights: Weights | None) -> tuple[float, Array]:
        """The loss of rows, and its gradient."""
        values, gradient = self._terms(target, rows)
        divisor = 1 if self.reduction == "sum" else max(len(rows), 1)
        if weights is None:
            gradient /= divisor
            return float(values.sum(dtype=np.float64)) / divisor, gradient
        if self.reduction == "mean_with_sample_weight":
            divisor = weights.sum()
        weights = weights / divisor if divisor else np.zeros_like(weights)
        gradient *= weights.astype(rows.dtype)[:, None]
        return float(values @ weights), gradient

    def _terms(self, target: np.ndarray, rows: Array) -> Terms:
        """The losses of rows, and the gradient of each by its row: a new array."""
        raise NotImplementedError(f"{type(self).__name__} must define _terms")


class MeanSquaredError(Loss):
    """Mean over the last axis of ``(y_pred - y_true) ** 2``.

    Parameters
    ----------
    reduction, name : str
        See `Loss`.
    """

    def __init__(self, reduction: str = _MEAN, name: str = "mean_squared_error") -> None:
        super().__init__(reduction, name)

    def _terms(self, target: Array, rows: Array) -> Terms:
        error = rows - target
        return np.square(error, dtype=np.float64).mean(axis=-1), error * (2 / rows.shape[-1])


class MeanAbsoluteError(Loss):
    """Mean over the last axis of ``|y_pred - y_true|``; the gradient is 0 where they are equal.

    Parameters
    ----------
    reduction, name : str
        See `Loss`.
    """

    def __init__(self, reduction: str = _MEAN, name: str = "mean_absolute_error") -> None:
        super().__init__(reduction, name)

    def _terms(self, target: Array, rows: Array) -> Terms:
        error = rows - target
        return np.abs(error).mean(axis=-1, dtype=np.float64), np.sign(error) / rows.shape[-1]


class BinaryCrossentropy(Loss):
    """Mean over the axis of ``-y_true * log(p) - (1 - y_true) * log(1 - p)``.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are any numbers x with ``p = sigmoid(x)``, rather than p itself.
    label_smoothing : float
        From 0 to 1: how far targets, which are between 0 and 1, move towards 1/2.
    axis : int
        Not the batch axis.
    reduction, name : str
        See `Loss`.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these.

    Notes
    -----
    As in Keras, probabilities are brought between epsilon and 1 - epsilon (`numbaconv.config.epsilon`), and those
    beyond have gradient 0. Of logits nothing is cut off: ``max(x, 0) - x * y_true + log(1 + exp(-|x|))``. Keras, given
    the output of a sigmoid or softmax activation, goes back to the logits before it; here what is given is taken.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = _MEAN,
        name: str = "binary_crossentropy",
    ) -> None:
        super().__init__(reduction, name)
        self.from_logits = check_bool(from_logits, "from_logits")
        self.label_smoothing = number(label_smoothing, "label_smoothing", minimum=0, maximum=1)
        self.axis = integer(axis, "axis")

    def _target(self, y_true: ArrayLike, y_pred: Array) -> tuple[Array, tuple[int, ...]]:
        target, positions = super()._target(check_shares(y_true), y_pred)
        return _smooth(target, self.label_smoothing, 2), positions

    def _terms(self, target: Array, rows: Array) -> Terms:
        if self.from_logits:
            values = np.maximum(rows, 0) - rows * target + np.log1p(np.exp(-np.abs(rows)))
            gradient = sigmoid(rows) - target
        else:
            p = _clipped(rows)
            values = -target * np.log(p) - (1 - target) * np.log1p(-p)
            gradient = (p - target) / (p * (1 - p)) * (p == rows)
        return values.mean(axis=-1, dtype=np.float64), gradient / rows.shape[-1]


class CategoricalCrossentropy(Loss):
    """Sum over classes of ``-y_true * log(p)``, where targets have a value for every class.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are any numbers x with ``p = softmax(x)``. Otherwise they are divided by their sum.
    label_smoothing : float
        From 0 to 1: how far targets move towards one over the number of classes.
    axis : int
        The axis of the classes, at least two; not the batch axis.
    reduction, name : str
        See `Loss`.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these.

    Notes
    -----
    Probabilities are cut off, and taken as given, as in `BinaryCrossentropy`. Targets need not add up to 1: the
    gradient from logits is ``softmax(x) * sum(y_true) - y_true``, where TensorFlow leaves the sum out. A class whose
    target is 0 adds nothing, even if its logit is minus infinity.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = _MEAN,
        name: str = "categorical_crossentropy",
    ) -> None:
        super().__init__(reduction, name)
        self.from_logits = check_bool(from_logits, "from_logits")
        self.label_smoothing = number(label_smoothing, "label_smoothing", minimum=0, maximum=1)
        self.axis = integer(axis, "axis")

    def _target(self, y_true: ArrayLike, y_pred: Array) -> tuple[Array, tuple[int, ...]]:
        positions = check_positions(y_pred, self.axis, classes=2)
        target = as_rows(cast(check_one_hot(y_true, y_pred.shape, positions), y_pred.dtype), self.axis)
        return _smooth(target, self.label_smoothing, target.shape[-1]), positions

    def _terms(self, target: Array, rows: Array) -> Terms:
        if self.from_logits:
            shifted, powers, total = _exponentials(rows)
            logs = np.where(target == 0, 0, shifted - np.log(total))
            gradient = powers / total * target.sum(axis=-1, keepdims=True) - target
        else:
            total = rows.sum(axis=-1, keepdims=True)
            shares = rows / total
            p = _clipped(shares)
            logs = np.log(p)
            slopes = -target / p * (p == shares)
            gradient = (slopes - (slopes * shares).sum(axis=-1, keepdims=True)) / total
        return -(target * logs).sum(axis=-1), gradient


class SparseCategoricalCrossentropy(Loss):
    """Minus ``log(p[y_true])``, where targets are the numbers of classes.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are any numbers x with ``p = softmax(x)``, rather than p itself.
    ignore_class : int, optional
        Positions with this label, which may be any integer, are left out: gradient 0, and not counted.
    reduction : str
        See `Loss`.
    axis : int
        The axis of the classes, at least two; not the batch axis.
    name : str
        See `Loss`.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these.

    Notes
    -----
    Probabilities are cut off, and taken as given, as in `BinaryCrossentropy`. As in Keras on TensorFlow they are
    divided by their sum after that, in `CategoricalCrossentropy` before.
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str = _MEAN,
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(reduction, name)
        self.from_logits = check_bool(from_logits, "from_logits")
        self.ignore_class = None if ignore_class is None else integer(ignore_class, "ignore_class")
        self.axis = integer(axis, "axis")

    def _target(self, y_true: ArrayLike, y_pred: Array) -> tuple[NDArray[np.intp], tuple[int, ...]]:
        positions = check_positions(y_pred, self.axis, classes=2)
        return check_labels(y_true, y_pred.shape, positions, self.axis, self.ignore_class), positions

    def _mean(self, target: NDArray[np.intp], rows: Array, weights: Weights | None) -> tuple[float, Array]:
        if self.ignore_class is None:
            return super()._mean(target, rows, weights)
        kept = target != self.ignore_class
        gradient = np.zeros_like(rows)
        value, gradient[kept] = super()._mean(target[kept], rows[kept], None if weights is None else weights[kept])
        return value, gradient

    def _terms(self, target: NDArray[np.intp], rows: Array) -> Terms:
        labelled = np.arange(len(rows)), target
        if self.from_logits:
            shifted, gradient, total = _exponentials(rows)
            gradient /= total
            gradient[labelled] -= 1
            return np.log(total[:, 0]) - shifted[labelled], gradient
        p = _clipped(rows)
        total = p.sum(axis=-1)
        gradient = np.repeat(1 / total[:, None], rows.shape[-1], axis=-1)
        gradient[labelled] -= 1 / p[labelled]
        return np.log(total / p[labelled]), gradient * (p == rows)


def _smooth(target: Array, smoothing: float, classes: int) -> Array:
    return target * (1 - smoothing) + smoothing / classes if smoothing else target


def _clipped(p: Array) -> Array:
    return np.clip(p, config.epsilon(), 1 - config.epsilon())


def _exponentials(rows: Array) -> tuple[Array, Array, Array]:
    # Without the largest value no exponential overflows.
    shifted = rows - rows.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return shifted, powers, powers.sum(axis=-1, keepdims=True)


_REGISTRY = Registry(
    "loss",
    (MeanSquaredError, MeanAbsoluteError, BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy),
    {
        **dict.fromkeys(("mse", "MSE"), MeanSquaredError),
        **dict.fromkeys(("mae", "MAE"), MeanAbsoluteError),
        **dict.fromkeys(("bce", "BCE"), BinaryCrossentropy),
    },
)


def get(identifier: Any) -> Any:
    """Return the loss that `identifier` means, None for None.

    Parameters
    ----------
    identifier : str, class, dict, object or None
        A name ("mse", "mae", "bce", "mean_squared_error", ... or a class name); a class, which is called without
        arguments; a dict with "class_name" and "config"; or any callable object with a method `value_and_gradient` as
        `Loss` has it, returned as it is.

    Raises
    ------
    ValueError
        If no loss has this name.
    TypeError
        If `identifier` is none of these, or its config has unknown arguments.
    """
    if identifier is None:
        return None
    loss = _REGISTRY.get(identifier)
    if not hasattr(loss, "value_and_gradient"):
        raise TypeError(f"loss must have a method value_and_gradient(y_true, y_pred, sample_weight), got {loss!r}")
    return loss


def serialize(loss: Loss | None) -> dict[str, Any] | None:
    """Return the config from which `get` makes an equal loss, None for None.

    Raises
    ------
    TypeError
        If it is no loss of this module.
    """
    return None if loss is None else _REGISTRY.serialize(loss)

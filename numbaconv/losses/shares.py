"""Losses of predicted probabilities, or of their logits."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import config
from ..activations import sigmoid
from ..common.arguments import cast, check_bool
from ..common.targets import as_rows, check_labels, check_one_hot, check_positions, check_shares
from ..objects.registry import integer, number
from .base import MEAN, Array, Loss, Terms, Weights


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
        reduction: str = MEAN,
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
        reduction: str = MEAN,
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
    axis : int
        The axis of the classes, at least two; not the batch axis.

    Notes
    -----
    Probabilities are cut off, and taken as given, as in `BinaryCrossentropy`. As in Keras on TensorFlow they are
    divided by their sum after that, in `CategoricalCrossentropy` before.
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str = MEAN,
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


class KLDivergence(Loss):
    """Sum over the last axis of ``y_true * log(y_true / y_pred)``, with probabilities for both.

    Notes
    -----
    As in Keras, both are brought between epsilon (`numbaconv.config.epsilon`) and 1, and predictions beyond have
    gradient 0. Kullback and Leibler, "On Information and Sufficiency", 1951.
    """

    def __init__(self, reduction: str = MEAN, name: str = "kl_divergence") -> None:
        super().__init__(reduction, name)

    def _terms(self, target: Array, rows: Array) -> Terms:
        target, p = np.clip(target, config.epsilon(), 1), np.clip(rows, config.epsilon(), 1)
        return (target * np.log(target / p)).sum(axis=-1, dtype=np.float64), -target / p * (p == rows)

"""Losses of how far predictions agree with targets: by direction, by side, by overlap."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import config
from ..common.arguments import cast
from ..common.targets import as_rows, check_positions, check_targets
from ..objects.registry import integer
from .base import MEAN, Array, Loss, Terms


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between prediction and target: -1 for the same direction, 1 for opposite ones.

    Parameters
    ----------
    axis : int
        The axis of the vectors; not the batch axis.

    Notes
    -----
    As in Keras, lengths below epsilon (`numbaconv.config.epsilon`) count as epsilon, so that a vector of zeros has the
    value 0. The gradient there is 0: no direction is better than another.
    """

    def __init__(self, axis: int = -1, reduction: str = MEAN, name: str = "cosine_similarity") -> None:
        super().__init__(reduction, name)
        self.axis = integer(axis, "axis")

    def _terms(self, target: Array, rows: Array) -> Terms:
        target, _ = _directions(target)
        directions, lengths = _directions(rows)
        cosines = (target * directions).sum(axis=-1, keepdims=True)
        gradient = (cosines * directions - target) / lengths
        return -cosines[:, 0], gradient * (lengths > config.epsilon())


def _directions(rows: Array) -> tuple[Array, Array]:
    """Rows of length 1, and their lengths before; one that is too short stays shorter."""
    lengths = np.sqrt(np.square(rows).sum(axis=-1, keepdims=True))
    lengths = np.maximum(lengths, config.epsilon())
    return rows / lengths, lengths


class Hinge(Loss):
    """Mean over the last axis of ``max(1 - y_true * y_pred, 0)``, with targets of -1 and 1.

    Notes
    -----
    Where all targets of a batch are 0 or 1, zeros stand for -1. Predictions are any numbers, such as those of a layer
    without activation.
    """

    def __init__(self, reduction: str = MEAN, name: str = "hinge") -> None:
        super().__init__(reduction, name)

    def _target(self, y_true: ArrayLike, y_pred: Array) -> tuple[Array, tuple[int, ...]]:
        target, positions = super()._target(y_true, y_pred)
        return (2 * target - 1 if ((target == 0) | (target == 1)).all() else target), positions

    def _terms(self, target: Array, rows: Array) -> Terms:
        margin = 1 - target * rows
        slopes = -target * (margin >= 0)
        return np.maximum(margin, 0).mean(axis=-1, dtype=np.float64), slopes / rows.shape[-1]


class SquaredHinge(Hinge):
    """Mean over the last axis of ``max(1 - y_true * y_pred, 0) ** 2``, with targets as for `Hinge`."""

    def __init__(self, reduction: str = MEAN, name: str = "squared_hinge") -> None:
        super().__init__(reduction, name)

    def _terms(self, target: Array, rows: Array) -> Terms:
        margin = np.maximum(1 - target * rows, 0)
        return np.square(margin, dtype=np.float64).mean(axis=-1), -2 * target * margin / rows.shape[-1]


class CategoricalHinge(Loss):
    """How far the largest prediction of another class comes within 1 of that of the right one: ``max(1 + n - p, 0)``.

    ``p = sum(y_true * y_pred)`` and ``n = max((1 - y_true) * y_pred)`` over the last axis, with one-hot targets.

    Notes
    -----
    Of several largest predictions the first has the gradient. Weston and Watkins, "Support Vector Machines for
    Multi-Class Pattern Recognition", 1999.
    """

    def __init__(self, reduction: str = MEAN, name: str = "categorical_hinge") -> None:
        super().__init__(reduction, name)

    def _terms(self, target: Array, rows: Array) -> Terms:
        others = (1 - target) * rows
        largest = np.arange(len(rows)), others.argmax(axis=-1)
        margin = others[largest] - (target * rows).sum(axis=-1) + 1
        gradient = -target
        gradient[largest] += 1 - target[largest]
        return np.maximum(margin, 0), gradient * (margin >= 0)[:, None]


class Dice(Loss):
    """One minus the overlap of prediction and target: ``1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred))``.

    Parameters
    ----------
    axis : int or tuple of int, optional
        The axes that are summed over: (1, 2, 3) gives every image a loss of its own. None sums over all of them, the
        batch included.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these, or the predictions have no such axis; or for sample weights where one value
        stands for the whole batch.

    Notes
    -----
    As in Keras, epsilon (`numbaconv.config.epsilon`) is added to the denominator. Milletari et al., "V-Net: Fully
    Convolutional Neural Networks for Volumetric Medical Image Segmentation", 2016.
    """

    def __init__(self, reduction: str = MEAN, name: str = "dice", axis: int | Sequence[int] | None = None) -> None:
        super().__init__(reduction, name)
        self.axis: Any = axis
        if axis is not None:
            axes = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
            self.axis = tuple(integer(one, "axis") for one in axes)

    def _rows_axis(self, y_pred: Array) -> tuple[int, ...]:
        axes = range(y_pred.ndim) if self.axis is None else self.axis
        if not axes or not all(-y_pred.ndim <= axis < y_pred.ndim for axis in axes):
            raise ValueError(f"axis must hold axes of y_pred, got {self.axis} for shape {y_pred.shape}")
        places = tuple(axis % y_pred.ndim for axis in axes)
        if len(set(places)) < len(places):
            raise ValueError(f"axis must hold every axis once, got {self.axis} for shape {y_pred.shape}")
        return places

    def _target(self, y_true: ArrayLike, y_pred: Array) -> tuple[Array, tuple[int, ...]]:
        check_positions(y_pred)
        axes = self._rows_axis(y_pred)
        target = as_rows(cast(check_targets(y_true, y_pred.shape), y_pred.dtype), axes)
        return target, tuple(size for axis, size in enumerate(y_pred.shape) if axis not in axes)

    def _terms(self, target: Array, rows: Array) -> Terms:
        both = (target * rows).sum(axis=-1, keepdims=True, dtype=np.float64)
        total = (target.sum(axis=-1, dtype=np.float64) + rows.sum(axis=-1, dtype=np.float64))[:, None]
        total += config.epsilon()
        gradient = (2 * both / total - 2 * target) / total
        # An empty batch has no loss, even where it is one row.
        values = (1 - 2 * both[:, 0] / total[:, 0]) * (rows.shape[-1] > 0)
        return values, gradient.astype(rows.dtype)

"""Metrics of right and wrong decisions at thresholds: counts that are added up, of which only the result is a ratio."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import config
from ..activations import sigmoid
from ..common.arguments import check_bool
from ..common.arrays import as_floats
from ..common.targets import check_predictions, check_sample_weight, check_targets
from ..objects.docstrings import as_in
from ..objects.registry import integer, number
from .base import Metric

Counts = np.ndarray


class _Decisions(Metric):
    """Counts how many predictions of either kind of target lie above thresholds."""

    direction = "up"

    def reset_state(self) -> None:
        """Forget all batches."""
        # Weights of true and of false targets by how many thresholds their prediction exceeds, and by label.
        self._true: Counts = np.zeros((1, 1))
        self._false: Counts = np.zeros((1, 1))

    def _add(self, thresholds: Sequence[float], y_pred: np.ndarray, true: np.ndarray, weights: np.ndarray) -> None:
        """Add a batch (values, labels) whose thresholds rise."""
        # Thresholds in the predictions' dtype, as in Keras: 0.1 does not exceed 0.1.
        exceeded = np.searchsorted(np.array(thresholds, y_pred.dtype), y_pred)
        exceeded[np.isnan(y_pred)] = 0
        rows, labels = len(thresholds) + 1, y_pred.shape[-1]
        places = (exceeded * labels + np.arange(labels)).ravel()
        sums = [
            np.bincount(places, (weights * which).ravel(), rows * labels).reshape(rows, labels)
            for which in (true, ~true)
        ]
        if self._true.shape[-1] not in (1, labels):
            raise ValueError(f"y_pred must have {self._true.shape[-1]} labels as before, got {labels}")
        self._true, self._false = self._true + sums[0], self._false + sums[1]

    def _above(self, sums: Counts, thresholds: int) -> Counts:
        """What lies above each threshold, by label."""
        sums = np.broadcast_to(sums, (thresholds + 1, sums.shape[-1]))
        above: Counts = sums[:0:-1].cumsum(axis=0)[::-1]
        return above


class _Ratio(_Decisions):
    """What `Precision` and `Recall` share.

    Parameters
    ----------
    thresholds : float or list of float, optional
        From 0 to 1. None is 0.5, or no threshold with `top_k`. A list gives an array with a result for each.
    top_k : int, optional
        Only this number of largest predictions of the last axis count as above a threshold.
    class_id : int, optional
        The one class that counts, by its place on the last axis.
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.thresholds: Any = thresholds
        if thresholds is not None:
            given: Any = thresholds if isinstance(thresholds, list | tuple) else [thresholds]
            checked = [number(one, "thresholds", 0, 1) for one in given]
            if not checked:
                raise ValueError("thresholds must hold at least one number, got none")
            self.thresholds = checked if given is thresholds else checked[0]
        self.top_k = None if top_k is None else integer(top_k, "top_k")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        self.class_id = None if class_id is None else integer(class_id, "class_id")

    @as_in(Metric.update_state)
    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add a batch.

        Parameters
        ----------
        y_true : array_like
            The shape of `y_pred`, give or take a last axis of 1; anything but 0 is true.
        y_pred : array_like of shape (batch, ...)
        sample_weight : array_like, optional
            Weights of the samples, ``(batch,)``, or of all values; 1 stands for a whole axis.
        """
        y_pred, true, weights = _checked(y_true, y_pred, sample_weight)
        if self.top_k is not None:
            y_pred = _only_largest(y_pred, self.top_k)
        if self.class_id is not None:
            if y_pred.ndim == 1 or not 0 <= self.class_id < y_pred.shape[-1]:
                raise ValueError(f"class_id must be a class of y_pred, shape {y_pred.shape}, got {self.class_id}")
            y_pred, true, weights = (one[..., self.class_id] for one in (y_pred, true, weights))
        self._add(sorted(self._thresholds), *(one.reshape(one.size, 1) for one in (y_pred, true, weights)))

    @property
    def _thresholds(self) -> list[float]:
        if self.thresholds is None:
            return [0.5 if self.top_k is None else -np.inf]
        return self.thresholds if isinstance(self.thresholds, list) else [self.thresholds]

    def _positives(self, sums: Counts) -> Counts:
        """What lies above each threshold, in the order in which they were given."""
        above = np.empty(len(self._thresholds))
        above[np.argsort(self._thresholds)] = self._above(sums, len(above))[:, 0]
        return above

    def _result(self, part: Counts, whole: Counts) -> Any:
        ratio = _ratio(part, whole)
        return ratio if isinstance(self.thresholds, list) and len(ratio) > 1 else float(ratio[0])


class Precision(_Ratio):
    """Share of true targets among the predictions above a threshold: 0 if there are none."""

    def result(self) -> Any:
        """Return the share, or an array with one for each threshold."""
        true = self._positives(self._true)
        return self._result(true, true + self._positives(self._false))


class Recall(_Ratio):
    """Share of true targets whose prediction is above a threshold: 0 if there are none."""

    def result(self) -> Any:
        """Return the share, or an array with one for each threshold."""
        true = self._positives(self._true)
        return self._result(true, np.full_like(true, self._true.sum()))


class AUC(_Decisions):
    """Area under a curve of one rate over another, drawn through many thresholds.

    Parameters
    ----------
    num_thresholds : int
        At least 2: evenly spaced from 0 to 1.
    curve : {"ROC", "PR"}
        The share of true targets found over the share of false ones taken for true; or precision over recall.
    summation_method : {"interpolation", "minoring", "majoring"}
        Between two thresholds the curve runs on a line (of precision: with counts on a line), or at its lower or its
        higher end.
    thresholds : list of float, optional
        From 0 to 1, in place of evenly spaced ones; two beyond 0 and 1 are added.
    multi_label : bool
        Whether the labels of predictions ``(batch, labels)`` have a curve each, whose areas are averaged.
    num_labels : int, optional
        How many they are; only with `multi_label`.
    label_weights : list of float, optional
        Not negative: weights of the labels in this average; without `multi_label` of their values in the counts.
    from_logits : bool
        Whether predictions are logits. Otherwise they are probabilities, from 0 to 1.

    Notes
    -----
    Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves", 2006. In Keras predictions out of
    range are cut off at 0 and 1 without a word; here they are refused.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name)
        self.curve = _one_of(str(curve).upper(), "curve", ("ROC", "PR"))
        methods = ("interpolation", "minoring", "majoring")
        self.summation_method = _one_of(str(summation_method).lower(), "summation_method", methods)
        self.thresholds = None if thresholds is None else sorted(number(one, "thresholds", 0, 1) for one in thresholds)
        self.num_thresholds = integer(num_thresholds, "num_thresholds")
        if self.thresholds is not None:
            self.num_thresholds = len(self.thresholds) + 2
        if self.num_thresholds < 2:
            raise ValueError(f"num_thresholds must be at least 2, got {num_thresholds}")
        self.multi_label = check_bool(multi_label, "multi_label")
        self.num_labels = None if num_labels is None else integer(num_labels, "num_labels")
        if num_labels is not None and not multi_label:
            raise ValueError(f"num_labels must come with multi_label=True, got {num_labels} alone")
        self.label_weights = None
        if label_weights is not None:
            self.label_weights = [number(one, "label_weights", 0) for one in label_weights]
        self.from_logits = check_bool(from_logits, "from_logits")

    @as_in(_Ratio.update_state)
    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add a batch; as for `Precision`. Predictions below 0 or above 1 are refused, too."""
        y_pred, true, weights = _checked(y_true, y_pred, sample_weight)
        if self.from_logits:
            y_pred = sigmoid(y_pred)
        elif (wrong := (y_pred < 0) | (y_pred > 1)).any():
            raise ValueError(
                f"y_pred must be probabilities, from 0 to 1, got {y_pred[wrong][0]}; AUC(from_logits=True) takes logits"
            )
        if self.multi_label and (y_pred.ndim != 2 or self.num_labels not in (None, y_pred.shape[1])):
            wanted = f"(batch, {self.num_labels or 'labels'})"
            raise ValueError(f"y_pred must have shape {wanted} with multi_label, got {y_pred.shape}")
        if self.label_weights is not None:
            if y_pred.ndim == 1 or len(self.label_weights) != y_pred.shape[-1]:
                raise ValueError(f"label_weights must be one for each label of y_pred, shape {y_pred.shape}")
            if not self.multi_label:
                weights = weights * self.label_weights
        shape = y_pred.shape if self.multi_label else (y_pred.size, 1)
        middle = self.thresholds
        if middle is None:
            middle = [i / (self.num_thresholds - 1) for i in range(1, self.num_thresholds - 1)]
        # Every probability is above the first threshold and below the last, whatever rounding does.
        thresholds = [-config.epsilon(), *middle, 1 + config.epsilon()]
        self._add(thresholds, *(one.reshape(shape) for one in (y_pred, true, weights)))

    def result(self) -> float:
        """Return the area; 0 if there are no true targets, or for the curve "ROC" no false ones."""
        true = self._above(self._true, self.num_thresholds)
        false = self._above(self._false, self.num_thresholds)
        trues, falses = self._true.sum(axis=0), self._false.sum(axis=0)
        recall, precision = _ratio(true, trues), _ratio(true, true + false)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated(true, true + false, trues)
        else:
            across, up = (_ratio(false, falses), recall) if self.curve == "ROC" else (recall, precision)
            ends = np.stack([up[:-1], up[1:]])
            heights = {"interpolation": ends.mean(0), "minoring": ends.min(0), "majoring": ends.max(0)}
            areas = ((across[:-1] - across[1:]) * heights[self.summation_method]).sum(axis=0)
        if not self.multi_label or self.label_weights is None:
            return float(areas.mean())
        weights = np.array(self.label_weights)
        return float(_ratio((areas * weights).sum(), weights.sum()))


def _checked(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, which of their targets are true, and their weights, all of one shape."""
    y_pred = as_floats(check_predictions(y_pred), "y_pred")
    return y_pred, check_targets(y_true, y_pred.shape) != 0, check_sample_weight(sample_weight, y_pred.shape)


def _interpolated(true: Counts, above: Counts, trues: Counts) -> Counts:
    """The area under precision over recall, with straight counts between thresholds.

    There precision is ``(slope * p + rest) / p`` for `p` predictions above the threshold, and recall grows by ``slope``
    for each of them, so that the area is ``slope * (slope * (change of p) + rest * log(ratio of p))`` of all true
    targets.
    """
    risen, width = true[:-1] - true[1:], above[:-1] - above[1:]
    slope = _ratio(risen, width)
    rest = true[1:] - slope * above[1:]
    # Where nothing lies above the higher threshold, there is no rest.
    growth = np.where(above[1:] > 0, _ratio(above[:-1], above[1:]), 1)
    growth[growth <= 0] = 1
    area: Counts = _ratio(slope * (risen + rest * np.log(growth)), trues).sum(axis=0)
    return area


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The quotient; 0 where the divisor is."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole != 0)


def _only_largest(y_pred: np.ndarray, k: int) -> np.ndarray:
    """The largest values of the last axis, the first ones of equal; minus infinity for the others."""
    largest = np.argsort(-y_pred, axis=-1, kind="stable")[..., :k]
    left = np.full_like(y_pred, -np.inf)
    np.put_along_axis(left, largest, np.take_along_axis(y_pred, largest, -1), -1)
    return left


def _one_of(value: str, name: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    return value

"""Metrics of how well predicted and labelled sets agree, class by class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..common.arguments import as_numbers, check_bool
from ..common.targets import check_predictions, check_sample_weight, check_targets
from ..objects.docstrings import as_in
from ..objects.registry import integer, number
from .base import Metric


class FBetaScore(Metric):
    """Weighted harmonic mean of precision and recall: ``(1 + beta ** 2) * p * r / (beta ** 2 * p + r)``.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        None gives an array, one score for each class; the others one score: of all classes' counts together, the mean
        over classes, or their mean weighted by how many true targets they have.
    beta : float
        Positive: how many times more recall counts than precision.
    threshold : float, optional
        Above 0, at most 1: what predictions must exceed. None takes the largest of each example, unless it is 0.

    Notes
    -----
    Predictions and targets are ``(batch, classes)``. A class without any target or prediction has the score 0.
    """

    direction = "up"

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | None = None, name: str = "fbeta_score"
    ) -> None:
        super().__init__(name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"average must be None, 'micro', 'macro' or 'weighted', got {average!r}")
        self.average = average
        self.beta = number(beta, "beta", above=0)
        self.threshold = None if threshold is None else number(threshold, "threshold", above=0, maximum=1)

    def reset_state(self) -> None:
        """Forget all batches."""
        # By class: true targets found, predictions, true targets.
        self._counts: np.ndarray = np.zeros((3, 1))

    @as_in(Metric.update_state)
    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add a batch.

        Parameters
        ----------
        y_true, y_pred : array_like of shape (batch, classes)
        sample_weight : array_like of shape (batch,), optional
        """
        y_pred = check_predictions(y_pred)
        if y_pred.ndim != 2:
            raise ValueError(f"y_pred must have shape (batch, classes), got {y_pred.shape}")
        y_true = check_targets(y_true, y_pred.shape)
        weights = check_sample_weight(sample_weight, y_pred.shape[:1])
        if self.threshold is None:
            # As in Keras, where nothing is predicted, no class is.
            chosen = (y_pred == y_pred.max(axis=-1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            chosen = y_pred > self.threshold
        if self._counts.shape[1] not in (1, y_pred.shape[1]):
            raise ValueError(f"y_pred must have {self._counts.shape[1]} classes as before, got {y_pred.shape[1]}")
        counts = [weights @ np.asarray(which, np.float64) for which in (chosen * y_true, chosen, y_true)]
        self._counts = self._counts + np.stack(counts)

    def result(self) -> Any:
        """Return the score; an array with one for each class if `average` is None."""
        found, predicted, wanted = self._counts
        if self.average == "micro":
            found, predicted, wanted = found.sum(), predicted.sum(), wanted.sum()
        # What the mean comes to with found / predicted for precision and found / wanted for recall.
        whole = predicted + self.beta**2 * wanted
        scores = np.divide((1 + self.beta**2) * found, whole, out=np.zeros_like(whole), where=whole != 0)
        if self.average is None:
            return scores
        if self.average == "weighted":
            return float(scores @ wanted / wanted.sum()) if wanted.sum() else 0.0
        return float(np.mean(scores))


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall: `FBetaScore` with a beta of 1."""

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str = "f1_score") -> None:
        super().__init__(average, 1.0, threshold, name)


class IoU(Metric):
    """Intersection of predicted and labelled positions over their union, averaged over some classes.

    Parameters
    ----------
    num_classes : int
        How many classes labels and predictions have.
    target_class_ids : list of int
        The classes that are averaged; those that appear in neither labels nor predictions are left out.
    ignore_class : int, optional
        Positions with this label, which may be any integer, are left out.
    sparse_y_true, sparse_y_pred : bool
        Whether labels, or predictions, are numbers of classes; otherwise they have a value for each class, and the
        largest counts.
    axis : int
        The axis of these values.

    Notes
    -----
    Numbers of classes that are out of range, or no integers, are refused; Keras leaves out the former and cuts off the
    latter.
    """

    direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name)
        self.num_classes = integer(num_classes, "num_classes")
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        self.target_class_ids: Any = target_class_ids
        # All classes stay a range, because a list of a stranger's number of them could be endless.
        if not isinstance(target_class_ids, range):
            self.target_class_ids = [integer(one, "target_class_ids") for one in target_class_ids]
        ends = target_class_ids[::-1][:1] if isinstance(target_class_ids, range) else self.target_class_ids
        if not ends or not all(0 <= one < num_classes for one in ends):
            raise ValueError(
                f"target_class_ids must hold classes from 0 to {num_classes - 1}, got {self.target_class_ids}"
            )
        self.ignore_class = None if ignore_class is None else integer(ignore_class, "ignore_class")
        self.sparse_y_true = check_bool(sparse_y_true, "sparse_y_true")
        self.sparse_y_pred = check_bool(sparse_y_pred, "sparse_y_pred")
        self.axis = integer(axis, "axis")

    def reset_state(self) -> None:
        """Forget all batches."""
        # Weights by labelled and by predicted class.
        self._table: np.ndarray = np.zeros((1, 1))

    @as_in(Metric.update_state)
    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add a batch.

        Parameters
        ----------
        y_true, y_pred : array_like
            Numbers of classes, of the same shape, give or take a last axis of 1; or values for each class.
        sample_weight : array_like, optional
            Weights of the samples, ``(batch,)``, or of their positions; 1 stands for a whole axis.
        """
        predicted = self._classes(check_predictions(y_pred), "y_pred", self.sparse_y_pred)
        labelled = self._classes(as_numbers(y_true, "y_true"), "y_true", self.sparse_y_true)
        labelled = check_targets(labelled, predicted.shape)
        weights = check_sample_weight(sample_weight, predicted.shape)
        if self.ignore_class is not None:
            kept = labelled != self.ignore_class
            labelled, predicted, weights = labelled[kept], predicted[kept], weights[kept]
        for name, numbers in (("y_true", labelled), ("y_pred", predicted)):
            wrong = (numbers < 0) | (numbers >= self.num_classes)
            if wrong.any():
                raise ValueError(
                    f"{name} must hold classes from 0 to {self.num_classes - 1}, got {numbers[wrong].flat[0]}; "
                    "ignore_class leaves one label out"
                )
        places = (labelled * self.num_classes + predicted).ravel()
        table = np.bincount(places, weights.ravel(), self.num_classes**2)
        self._table = self._table + table.reshape(self.num_classes, self.num_classes)

    def _classes(self, values: np.ndarray, name: str, sparse: bool) -> np.ndarray:
        """The number of a class for each position."""
        if sparse:
            numbers = values.astype(np.intp)
            if not np.array_equal(numbers, values):
                raise ValueError(
                    f"{name} must hold numbers of classes, got {values[numbers != values].flat[0]}; "
                    f"sparse_{name}=False takes values for each class"
                )
            return numbers
        if not -values.ndim <= self.axis < values.ndim or values.shape[self.axis] != self.num_classes:
            raise ValueError(f"{name} must have {self.num_classes} classes on axis {self.axis}, got {values.shape}")
        return np.asarray(values.argmax(axis=self.axis))

    def result(self) -> float:
        """Return the average over the classes that appear; 0 if none does."""
        table = np.broadcast_to(self._table, (self.num_classes,) * 2)
        both = np.diagonal(table)[self.target_class_ids]
        union = (table.sum(axis=0) + table.sum(axis=1))[self.target_class_ids] - both
        appears = union > 0
        return float(np.mean(both[appears] / union[appears])) if appears.any() else 0.0


class MeanIoU(IoU):
    """Intersection of predicted and labelled positions over their union, averaged over all classes; see `IoU`."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        classes = range(integer(num_classes, "num_classes"))
        super().__init__(num_classes, classes, name, ignore_class, sparse_y_true, sparse_y_pred, axis)

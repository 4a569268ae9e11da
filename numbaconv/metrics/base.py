"""Metrics in general: averages that are kept up over many batches, and functions of the user's as metrics."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..common.arguments import as_numbers
from ..common.targets import check_predictions, check_sample_weight, function_values
from ..losses import Loss
from ..objects.naming import Named
from ..objects.registry import Configurable
from ..objects.telling import Neutral


class Metric(Named, Configurable):
    """What all metrics share: the weighted average over samples, each of which is an average over its positions.

    A metric of your own that keeps something else than a sum and a count defines `reset_state`, `update_state` and
    `result`, as in Keras.

    Parameters
    ----------
    name : str, optional
        None makes one of the class's name and a number: precision, precision_1, ...

    Attributes
    ----------
    direction : {"up", "down", None}
        Which way is better, for callbacks whose mode is "auto"; None says nothing.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """

    direction: ClassVar[str | None] = None
    _neutral: ClassVar[Neutral] = {"dtype": ((None, "float32", "float64"), "it is computed in that of the predictions")}

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.reset_state()

    @property
    def _averages(self) -> bool:
        """Whether it is a mean of values, in which masked steps do not count; of other metrics they do, as in Keras."""
        return type(self).update_state is Metric.update_state

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

    def result(self) -> Any:
        """Return the average over all batches; 0 if there are none, or their weights add up to 0."""
        return self._total / self._count if self._count else 0.0

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Add a batch and return what all batches come to."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        """What is averaged, beginning with the batch axis."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state, result and reset_state")


class FunctionMetric(Metric):
    """A function of the user's, or a loss, as a metric; see `numbaconv.metrics.get`.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function: Any) -> None:
        loss = isinstance(function, Loss)
        super().__init__(function.name if loss else getattr(function, "__name__", type(function).__name__))
        self.function = function
        self.direction = "down" if loss else None  # type: ignore[misc]

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        values = function_values(self.function, as_numbers(y_true, "y_true"), y_pred, self.name)
        # One number counts once for its batch, as in Keras.
        return values if values.ndim else values[None]

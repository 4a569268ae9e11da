"""The losses of Keras that are metrics too: averages of the losses of positions."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .. import losses
from ..common.arguments import check_bool
from ..objects.registry import integer, number
from .base import Metric


class _MeanLoss(Metric):
    """The average of a loss."""

    direction = "down"
    loss: ClassVar[Any]

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        settings = {name: getattr(self, name) for name in self._arguments() if name != "name"}
        values: np.ndarray = self.loss(**settings).values(y_true, y_pred)
        return values


class BinaryCrossentropy(_MeanLoss):
    """Average of `numbaconv.losses.BinaryCrossentropy`.

    Parameters
    ----------
    from_logits : bool
        As all others, see the loss.
    label_smoothing : float
    """

    loss = losses.BinaryCrossentropy

    def __init__(
        self, name: str = "binary_crossentropy", from_logits: bool = False, label_smoothing: float = 0
    ) -> None:
        super().__init__(name)
        self.from_logits = check_bool(from_logits, "from_logits")
        self.label_smoothing = number(label_smoothing, "label_smoothing", minimum=0, maximum=1)


class CategoricalCrossentropy(_MeanLoss):
    """Average of `numbaconv.losses.CategoricalCrossentropy`.

    Parameters
    ----------
    from_logits : bool
        As all others, see the loss.
    label_smoothing : float
    axis : int
    """

    loss = losses.CategoricalCrossentropy

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(name)
        self.from_logits = check_bool(from_logits, "from_logits")
        self.label_smoothing = number(label_smoothing, "label_smoothing", minimum=0, maximum=1)
        self.axis = integer(axis, "axis")


class KLDivergence(_MeanLoss):
    """Average of `numbaconv.losses.KLDivergence`."""

    loss = losses.KLDivergence

    def __init__(self, name: str = "kl_divergence") -> None:
        super().__init__(name)


class LogCoshError(_MeanLoss):
    """Average of `numbaconv.losses.LogCosh`."""

    loss = losses.LogCosh

    def __init__(self, name: str = "logcosh") -> None:
        super().__init__(name)


class Hinge(_MeanLoss):
    """Average of `numbaconv.losses.Hinge`."""

    loss = losses.Hinge

    def __init__(self, name: str = "hinge") -> None:
        super().__init__(name)


class SquaredHinge(_MeanLoss):
    """Average of `numbaconv.losses.SquaredHinge`."""

    loss = losses.SquaredHinge

    def __init__(self, name: str = "squared_hinge") -> None:
        super().__init__(name)


class CategoricalHinge(_MeanLoss):
    """Average of `numbaconv.losses.CategoricalHinge`."""

    loss = losses.CategoricalHinge

    def __init__(self, name: str = "categorical_hinge") -> None:
        super().__init__(name)


class CosineSimilarity(_MeanLoss):
    """Average cosine of the angle between prediction and target: 1 for the same direction, -1 for opposite ones.

    The loss of this name, `numbaconv.losses.CosineSimilarity`, is minus that.

    Parameters
    ----------
    axis : int
        The axis of the vectors; not the batch axis.
    """

    direction = "up"
    loss = losses.CosineSimilarity

    def __init__(self, name: str = "cosine_similarity", axis: int = -1) -> None:
        super().__init__(name)
        self.axis = integer(axis, "axis")

    def _values(self, y_true: ArrayLike, y_pred: np.ndarray) -> np.ndarray:
        return -super()._values(y_true, y_pred)

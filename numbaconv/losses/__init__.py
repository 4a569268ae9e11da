"""Losses by Keras's names, each with its gradient.

A loss is a function of targets and predictions: ``loss(y_true, y_pred)`` is one number, and
``loss.value_and_gradient(y_true, y_pred)`` adds the derivative of that number by every prediction, with which training
begins. Predictions have shape ``(batch, ..., outputs)``; every position ``(batch, ...)`` has a loss of its own, and
positions are averaged. Predictions of shape ``(batch,)`` are ``(batch, 1)``.
"""

from typing import Any

from ..objects.public import publish
from ..objects.registry import Registry
from .agreement import CategoricalHinge, CosineSimilarity, Dice, Hinge, SquaredHinge
from .base import FunctionLoss, Loss
from .errors import Huber, LogCosh, MeanAbsoluteError, MeanSquaredError
from .shares import BinaryCrossentropy, CategoricalCrossentropy, KLDivergence, SparseCategoricalCrossentropy

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "get",
    "serialize",
]
publish(__name__)

_REGISTRY = Registry(
    "loss",
    globals(),
    Loss,
    "an object with a method `value_and_gradient` as `Loss` has it, returned as it is; or a function "
    "``(y_true, y_pred)``",
    **dict.fromkeys(("mse", "MSE"), MeanSquaredError),
    **dict.fromkeys(("mae", "MAE"), MeanAbsoluteError),
    **dict.fromkeys(("bce", "BCE"), BinaryCrossentropy),
    **dict.fromkeys(("kld", "KLD", "kl_divergence", "kullback_leibler_divergence"), KLDivergence),
    logcosh=LogCosh,
)


@_REGISTRY.documented
def get(identifier: Any) -> Any:
    """Return the loss that `identifier` means, None for None.

    Returns
    -------
    Loss or None
        Made of a function, its reduction is "sum_over_batch_size".

    Notes
    -----
    A function returns the losses of positions, an array of the first axes of `y_pred`; or one number for the whole
    batch. To train, it must have an attribute `gradient`: a function ``(y_true, y_pred)`` that returns the derivative
    of the sum of these losses by every prediction, an array of the shape of `y_pred`. A last axis of 1 that targets
    lack or have too many is put right before, as in Keras.
    """
    loss = None if identifier is None else _REGISTRY.get(identifier)
    return loss if loss is None or hasattr(loss, "value_and_gradient") else FunctionLoss(loss)


@_REGISTRY.documented
def serialize(loss: Loss | None) -> dict[str, Any] | None:
    """Return the config from which `get` makes an equal loss, None for None."""
    return None if loss is None else _REGISTRY.serialize(loss)

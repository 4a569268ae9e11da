"""Metrics by Keras's names: averages and counts that are kept up over many batches.

``update_state`` adds a batch, ``result`` is what all batches since ``reset_state`` come to, and ``metric(y_true,
y_pred)`` is the first followed by the second. Sums are kept in float64.
"""

from collections.abc import Sequence
from typing import Any

from .. import losses
from ..objects.public import publish
from ..objects.registry import Registry
from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from .base import FunctionMetric, Metric
from .counts import AUC, Precision, Recall
from .errors import MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError
from .of_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    SquaredHinge,
)
from .overlap import F1Score, FBetaScore, IoU, MeanIoU

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanIoU",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "TopKCategoricalAccuracy",
    "get",
    "serialize",
]
publish(__name__)

_REGISTRY = Registry(
    "metric",
    globals(),
    Metric,
    "an object with the methods of `Metric`, returned as it is; or a function ``(y_true, y_pred)``, such as a loss",
    **dict.fromkeys(("mse", "MSE"), MeanSquaredError),
    **dict.fromkeys(("mae", "MAE"), MeanAbsoluteError),
    **dict.fromkeys(("bce", "BCE"), BinaryCrossentropy),
    f_beta_score=FBetaScore,
    kl_divergence=KLDivergence,
    logcosh=LogCoshError,
)


@_REGISTRY.documented
def get(identifier: Any, loss: Any = None, output_shape: Sequence[int | None] | None = None) -> Any:
    """Return the metric that `identifier` means, None for None.

    Parameters
    ----------
    loss : optional
        What `numbaconv.losses.get` takes. With `output_shape` it decides what "accuracy" or "acc" means.
    output_shape : sequence of int or None, optional
        The shape of the predictions, batch included.

    Returns
    -------
    Metric or None
        Made of a name, it bears this name, as in Keras's ``compile``.

    Raises
    ------
    ValueError
        If there is no such name, or "accuracy" is to be decided without `loss` and `output_shape`.
    TypeError
        If `identifier` is none of these, or its config lacks arguments or has unknown ones.

    Notes
    -----
    "accuracy" is, as in Keras 3, `BinaryAccuracy` for a single output, otherwise `SparseCategoricalAccuracy` with the
    sparse loss and `CategoricalAccuracy` with any other. So it is for several outputs under `BinaryCrossentropy` too,
    where "binary_accuracy" may be what is wanted.

    A function returns the values of positions, an array of the first axes of `y_pred`, which are averaged over all
    batches; or one number for the whole batch, and then the batches count alike. Its ``__name__`` is the metric's. A
    last axis of 1 that targets lack or have too many is put right before.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        ambiguous = identifier.lower() in ("accuracy", "acc")
        metric = _accuracy(losses.get(loss), output_shape) if ambiguous else _REGISTRY.get(identifier)
        metric.name = identifier
        return metric
    metric = _REGISTRY.get(identifier)
    return metric if hasattr(metric, "update_state") else FunctionMetric(metric)


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


@_REGISTRY.documented
def serialize(metric: Metric | None) -> dict[str, Any] | None:
    """Return the config from which `get` makes an equal metric that has counted nothing, None for None."""
    return None if metric is None else _REGISTRY.serialize(metric)

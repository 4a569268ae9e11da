"""Single steps of training and of evaluation, and the running means over many of them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .compiling import Compiled
from .examples import Examples
from .trainee import TrainedWeights


def train_step(model: Compiled, weights: TrainedWeights, batch: Examples, tally: "Tally", place: str) -> None:
    """Change the weights by one step, all or none, and count the loss and the predictions before it.

    Raises
    ------
    FloatingPointError
        If the loss, a weight, a statistic or the optimizer's state would not be finite.
    """
    before, state = weights.snapshot(), model.optimizer._state
    with model._named():
        try:
            out = model.forward(batch.x)
            loss, gradient = model.loss.value_and_gradient(batch.y, out, batch.weight)
            loss = float(loss) + weights.penalty()
            if not math.isfinite(loss):
                raise _NotFiniteError(f"the loss is {loss} in {place}")
            if spoilt := weights.spoilt(before):
                raise _not_finite(spoilt, place)
            tally.add(loss, batch.y, out)
            model.backward(gradient, input_grad=False)
            _update(model, weights, place)
        except BaseException as error:
            weights.restore(before)
            model.optimizer._state = state
            if isinstance(error, _NotFiniteError):
                raise FloatingPointError(f"{model._label}: {error}; {_reason(batch, model.weights)}") from None
            raise
        finally:
            weights.let_go()


def test_step(model: Compiled, batch: Examples, tally: "Tally") -> None:
    """Count the loss, penalties included, and the predictions."""
    with model._named():
        out = model(batch.x)
        loss = float(model.loss(batch.y, out, batch.weight)) + math.fsum(model.losses)
        tally.add(loss, batch.y, out)


class _NotFiniteError(Exception):
    """What a step has made infinite or NaN, or would."""


class Tally:
    """Means over the examples since it was made: of the loss and of the metrics."""

    def __init__(self, metrics: Sequence[Any]) -> None:
        self._metrics = metrics
        self._total, self._count = 0.0, 0
        for metric in metrics:
            metric.reset_state()

    def add(self, loss: float, y: np.ndarray, out: np.ndarray) -> None:
        """Count a batch."""
        self._total += loss * len(out)
        self._count += len(out)
        for metric in self._metrics:
            metric.update_state(y, out)

    def results(self) -> dict[str, float]:
        """The means by name, the loss first."""
        loss = self._total / max(self._count, 1)
        return {"loss": loss, **{metric.name: _plain(metric.result()) for metric in self._metrics}}


def _plain(result: Any) -> Any:
    """A float; or an array, of a metric with a value for each class or threshold."""
    return float(result) if np.ndim(result) == 0 else np.array(result)


def _update(model: Compiled, weights: TrainedWeights, place: str) -> None:
    new = model.optimizer.step(weights.values(), weights.gradients())
    if not model.optimizer._state.finite:
        raise _not_finite(model.optimizer._not_finite(new, weights.names), place)
    weights.assign(new)
    updated = weights.snapshot()
    weights.constrain()
    if spoilt := weights.spoilt(updated):
        raise _not_finite(spoilt, place)


def _not_finite(spoilt: list[str], place: str) -> _NotFiniteError:
    return _NotFiniteError(f"{' and '.join(spoilt)} would not be finite after {place}")


def _reason(batch: Examples, weights: list[np.ndarray]) -> str:
    """What may have made a loss or a weight infinite or NaN."""
    arrays = [("x", batch.x), ("y", batch.y), *(("weights", w) for w in weights)]
    culprits = {name: None for name, array in arrays if not np.isfinite(array).all()}
    found = f"NaN or infinities are in {' and '.join(culprits)}" if culprits else "all that came in is finite"
    advice = "A smaller learning rate, the optimizer's clipnorm, or inputs scaled to about 1 may help"
    return f"{found}. {advice}. The weights are those before this batch"

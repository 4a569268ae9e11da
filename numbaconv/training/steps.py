"""Single steps of training and of evaluation, and the running means over many of them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .compiling import Compiled
from .examples import Examples, labels
from .objective import Masks
from .trainee import TrainedWeights


def train_step(model: Compiled, weights: TrainedWeights, batch: Examples, tally: "Tally", place: str) -> None:
    """Change the weights by one step, all or none, and count the loss and the predictions before it.

    Raises FloatingPointError if the loss, a weight, a statistic or the optimizer's state would not be finite.
    """
    before, state = weights.snapshot(), model.optimizer._state
    with model._named():
        try:
            outs = model._separate(model._forward_of_step(batch.x))
            masks = model._masks
            loss, parts, gradients = model._objective.value_and_gradient(batch, outs, masks)
            loss += weights.penalty()
            if not math.isfinite(loss):
                raise _NotFiniteError(f"the loss is {loss} in {place}")
            if spoilt := weights.spoilt(before):
                raise _not_finite(spoilt, place)
            tally.add(loss, parts, batch, outs, masks)
            model._backward_of_step(model._joint(gradients))
            _update(model, weights, place)
        except BaseException as error:
            weights.restore(before)
            model.optimizer._state = state
            if isinstance(error, _NotFiniteError):
                raise FloatingPointError(f"{model._label}: {error}; {_reason(model, batch)}") from None
            raise
        finally:
            weights.let_go()


def test_step(model: Compiled, batch: Examples, tally: "Tally") -> None:
    """Count the loss, penalties included, and the predictions."""
    with model._named():
        out, masks = model._masked_call(batch.x)
        outs = model._separate(out)
        loss, parts = model._objective.value(batch, outs, masks)
        tally.add(loss + math.fsum(model.losses), parts, batch, outs, masks)


class _NotFiniteError(Exception):
    """What a step has made infinite or NaN, or would."""


class Tally:
    """Means over the examples since it was made: of the loss, of its parts where there are several, and of metrics."""

    def __init__(self, model: Compiled) -> None:
        self._objective, self._measures = model._objective, model._measures
        self._totals, self._count = [0.0] * (1 + len(self._objective.names)), 0
        for measure in self._measures:
            measure.metric.reset_state()

    def add(
        self, loss: float, parts: Sequence[float], batch: Examples, outs: Sequence[Any], masks: Masks = None
    ) -> None:
        """Count a batch."""
        count = len(batch)
        self._count += count
        # A single part is the loss.
        for i, value in enumerate((loss, *parts) if len(self._totals) > 1 else (loss,)):
            self._totals[i] += value * count
        self._objective.count(self._measures, batch, outs, masks)

    def results(self) -> dict[str, float]:
        """The means by name, the loss first."""
        means = [total / max(self._count, 1) for total in self._totals]
        results = dict(zip(("loss", *self._objective.names), means, strict=True))
        return results | {measure.name: _plain(measure.metric.result()) for measure in self._measures}


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


def _reason(model: Compiled, batch: Examples) -> str:
    """What may have made a loss or a weight infinite or NaN."""
    named = (labels("y", model.output_names), batch.ys), (labels("x", model.input_names), batch.xs)
    arrays = [("weights", w) for w in model.weights]
    for names, given in named:
        arrays = [*((name, one) for name, one in zip(names, given, strict=True) if one is not None), *arrays]
    culprits = {name: None for name, array in arrays if not np.isfinite(array).all()}
    found = f"NaN or infinities are in {' and '.join(culprits)}" if culprits else "all that came in is finite"
    advice = "A smaller learning rate, the optimizer's clipnorm, or inputs scaled to about 1 may help"
    return f"{found}. {advice}. The weights are those before this batch"

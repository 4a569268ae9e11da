"""What training makes smaller and what it measures: a loss and metrics for each output of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..objects.registry import number
from ..objects.tuples import NamedTuple
from .examples import Examples

# Which steps of each output count, None where all do.
Masks = Sequence[Any] | None
# Reductions that divide by the number of values, whatever their weights.
_MEANS = "sum_over_batch_size", "mean"


class Objective:
    """The losses of a model's outputs, each times its weight, added up; None for an output that has no loss.

    Its ``names`` are those of the losses that are told beside their sum, "output_loss", if there are several.
    """

    def __init__(self, found: Sequence[Any], weights: Sequence[float] | None, outputs: Sequence[str]) -> None:
        self.losses, self.weights, self.outputs = list(found), weights, list(outputs)
        factors = [None] * len(found) if weights is None else weights
        self._parts = [(i, loss, factors[i]) for i, loss in enumerate(found) if loss is not None]
        self.names = [f"{outputs[i]}_loss" for i, *_ in self._parts] if len(self._parts) > 1 else []

    def value_and_gradient(
        self, batch: Examples, outs: Sequence[Any], masks: Masks = None
    ) -> tuple[float, list[float], list[Any]]:
        """The sum, the losses without their weights, and gradients of the sum by each output, None without a loss."""
        total, values = 0.0, []
        gradients: list[Any] = [None] * len(outs)
        for i, loss, factor in self._parts:
            try:
                weights = _counting(batch, masks, i, getattr(loss, "reduction", _MEANS[0]) in _MEANS)
                value, gradient = loss.value_and_gradient(batch.ys[i], outs[i], weights)
            except (ValueError, TypeError) as error:
                raise said_of(self.outputs, i, error) from None
            values.append(float(value))
            total += values[-1] if factor is None else values[-1] * factor
            # As a number of Python's the factor leaves the dtype alone.
            gradients[i] = gradient if factor is None else gradient * factor
        return total, values, gradients

    def value(self, batch: Examples, outs: Sequence[Any], masks: Masks = None) -> tuple[float, list[float]]:
        """The same without gradients."""
        total, values = 0.0, []
        for i, loss, factor in self._parts:
            try:
                weights = _counting(batch, masks, i, getattr(loss, "reduction", _MEANS[0]) in _MEANS)
                values.append(float(loss(batch.ys[i], outs[i], weights)))
            except (ValueError, TypeError) as error:
                raise said_of(self.outputs, i, error) from None
            total += values[-1] if factor is None else values[-1] * factor
        return total, values

    def count(self, measures: Sequence["Measure"], batch: Examples, outs: Sequence[Any], masks: Masks = None) -> None:
        """Add a batch to what is measured."""
        for _, metric, i, weighted in measures:
            masked = masks is not None and masks[i] is not None and getattr(metric, "_averages", False)
            try:
                weights = _counting(batch if weighted else None, masks if masked else None, i, False)
                metric.update_state(batch.ys[i], outs[i], *(() if weights is None else (weights,)))
            except (ValueError, TypeError) as error:
                raise said_of(self.outputs, i, error) from None


def _counting(batch: Examples | None, masks: Masks, i: int, mean: bool) -> Any:
    """The weights of an output's examples, 0 where its mask says that a step does not count.

    So that a mean is that of the steps which do, they get a larger one, as in Keras.
    """
    weights, mask = None if batch is None else batch.weights[i], None if masks is None else masks[i]
    if mask is None:
        return weights
    factors = mask * (mask.size / max(np.count_nonzero(mask), 1) if mean else 1.0)
    if weights is None:
        return factors
    # A last axis of 1 may be too many.
    whole = weights[..., 0] if weights.ndim > mask.ndim else weights
    return whole.reshape(*whole.shape, *(1,) * (mask.ndim - whole.ndim)) * factors


class Measure(NamedTuple):
    """A metric of an output, and the name of its result."""

    name: str
    # "accuracy" until examples say which.
    metric: Any
    output: int
    # Whether it knows the weights of examples.
    weighted: bool

    def decided(self, objective: Objective, examples: Examples, shapes: Sequence[Any]) -> "Measure":
        """The same with a metric that fits the loss, the examples and the shapes of outputs."""
        if not isinstance(self.metric, str):
            return self
        from .. import losses, metrics

        loss, shape, y = objective.losses[self.output], shapes[self.output], examples.ys[self.output]
        if loss is None and y is not None and (y.ndim < len(shape) or y.shape[-1] < shape[-1]):
            # Without a loss to tell it, targets without the axis of classes are labels.
            loss = losses.SparseCategoricalCrossentropy()
        return self._replace(metric=metrics.get(self.metric, loss, shape))


def objective_of(loss: Any, loss_weights: Any, outputs: Sequence[str]) -> tuple[Any, Objective]:
    """The losses in the form in which they were given, and what they come to."""
    from .. import losses

    told: Any
    if _is_by_output(loss):
        found = [losses.get(one) for one in by_output(loss, outputs, "loss")]
        told = dict(zip(outputs, found, strict=True)) if isinstance(loss, Mapping) else found
        if len(outputs) == 1 or all(one is None for one in found):
            told = found[0]
    else:
        told = losses.get(loss)
        found = [told] * len(outputs)
    weights = None
    if loss_weights is not None:
        if len(outputs) == 1 and isinstance(loss_weights, int | float):
            loss_weights = [loss_weights]
        if not _is_by_output(loss_weights):
            kinds = f"a list of {len(outputs)} numbers, or a dict of them by {', '.join(outputs)}"
            raise TypeError(f"loss_weights must be {kinds}, got {loss_weights!r}")
        given = by_output(loss_weights, outputs, "loss_weights")
        weights = [1.0 if one is None else number(one, f"loss_weights of {outputs[i]}") for i, one in enumerate(given)]
    return told, Objective(found, weights, outputs)


def measures_of(given: Any, weighted: Any, outputs: Sequence[str], taken: Sequence[str]) -> list[Measure]:
    """The metrics of all outputs; ``taken`` are names that results have already."""
    from .. import metrics

    measures: list[Measure] = []
    for argument, value in (("metrics", given), ("weighted_metrics", weighted)):
        unweighted = [measure.name for measure in measures]
        for i, listed in enumerate(_metrics_by_output(value, outputs, argument)):
            prefix = f"{outputs[i]}_" if len(outputs) > 1 else ""
            for one in listed:
                metric = one if _undecided(one) else metrics.get(one)
                name = metric if isinstance(metric, str) else getattr(metric, "name", None)
                if prefix + str(name) in unweighted:
                    # As in Keras, where the same metric knows the weights of examples and does not.
                    name = f"weighted_{name}"
                measures.append(Measure(prefix + str(name), metric, i, argument == "weighted_metrics"))
        names = [*taken, *(measure.name for measure in measures)]
        if len(set(names)) < len(names) or any(measure.metric is None for measure in measures):
            reserved = " or ".join(map(repr, taken))
            raise ValueError(f"{argument} must have names of their own, none of them {reserved}, got {value!r}")
    objects = [measure.metric for measure in measures if not isinstance(measure.metric, str)]
    if len({id(one) for one in objects}) < len(objects):
        raise ValueError("metrics must be objects of their own, because each keeps a sum, but one was given twice")
    return measures


def by_output(given: Any, outputs: Sequence[str], argument: str) -> list[Any]:
    """What a list in the order of the outputs, or a dict by their names, has for each; None for those left out."""
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in outputs]
        if unknown:
            wrong = ", ".join(map(str, unknown))
            raise ValueError(f"{argument} must have names of outputs as keys, {', '.join(outputs)}, got {wrong}")
        return [given.get(name) for name in outputs]
    if len(given) != len(outputs):
        names = ", ".join(outputs)
        raise ValueError(f"{argument} must have {len(outputs)} parts, one for each of {names}, got {len(given)}")
    return list(given)


def said_of(outputs: Sequence[str], i: int, error: Exception) -> Exception:
    """The error, which says which of several outputs it is about."""
    if len(outputs) == 1:
        return error
    return (ValueError if isinstance(error, ValueError) else TypeError)(f"output {outputs[i]!r}: {error}")


def _metrics_by_output(given: Any, outputs: Sequence[str], argument: str) -> list[list[Any]]:
    if given is None:
        return [[] for _ in outputs]
    single = _is_metric(given)
    if len(outputs) == 1 and single:
        return [[given]]
    if not single and not isinstance(given, list | tuple | Mapping):
        raise TypeError(f"{argument} must be a list of metrics, got {given!r}")
    if len(outputs) == 1 and not isinstance(given, Mapping):
        # Keras takes a list in a list too.
        return [[one for part in given for one in (part if isinstance(part, list | tuple) else [part])]]
    if single:
        raise TypeError(
            f"{argument} must be a list with metrics for each of {', '.join(outputs)}, or a dict by these names, "
            f"got {given!r}"
        )
    listed = [] if not given else by_output(given, outputs, argument)
    return [[] if one is None else list(one) if isinstance(one, list | tuple) else [one] for one in listed]


def _is_metric(given: Any) -> bool:
    return isinstance(given, str | type) or _is_config(given) or callable(given)


def _is_config(given: Any) -> bool:
    return isinstance(given, Mapping) and "class_name" in given


def _is_by_output(given: Any) -> bool:
    return isinstance(given, list | tuple) or (isinstance(given, Mapping) and not _is_config(given))


def _undecided(metric: Any) -> bool:
    return isinstance(metric, str) and metric.lower() in ("accuracy", "acc")

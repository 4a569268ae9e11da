"""Single steps of training and of evaluation, and the running means over many of them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..layers import Layer
from .examples import Examples

if TYPE_CHECKING:
    from ..models import Sequential


class Route(NamedTuple):
    """The way back through the layers, found once for many steps."""

    # Index of the first layer that is trained; nothing before it needs gradients.
    first: int
    # From there on; with each layer the weights that the optimizer changes.
    trained: list[tuple[Layer, list[str]]]
    constrained: list[Layer]
    penalized: list[Layer]

    @property
    def names(self) -> list[str]:
        """Names of all weights that the optimizer changes."""
        return [f"{layer.name}/{name}" for layer, names in self.trained for name in names]


def route_through(layers: Sequence[Layer]) -> Route:
    """The way back through layers that are built, as their ``trainable`` is now."""
    trained = [(layer, layer._trained) for layer in layers if layer._trained]
    return Route(
        first=layers.index(trained[0][0]) if trained else len(layers),
        trained=trained,
        constrained=[layer for layer, names in trained if _has(layer, names, "constraint")],
        penalized=[
            layer
            for layer in layers
            if layer.activity_regularizer is not None or _has(layer, layer._trained, "regularizer")
        ],
    )


def train_step(model: "Sequential", route: Route, batch: Examples, tally: "Tally", place: str) -> None:
    """Change the weights by one step, all or none, and count the loss and the predictions before it.

    Raises
    ------
    FloatingPointError
        If the loss, a weight, a statistic or the optimizer's state would not be finite.
    """
    layers = model.layers
    before, state = [layer._weights for layer in layers], model.optimizer._state
    with model._named():
        try:
            out = batch.x
            for layer in layers:
                out = layer.forward(out)
            loss, gradient = model.loss.value_and_gradient(batch.y, out, batch.weight)
            loss = float(loss) + penalties(route.penalized)
            if not math.isfinite(loss):
                raise FloatingPointError(f"{model._label}: the loss is {loss} in {place}; {_reason(batch, before)}")
            _check_statistics(layers, before)
            tally.add(loss, batch.y, out)
            for layer in reversed(layers[route.first :]):
                gradient = layer.backward(gradient, input_grad=layer is not layers[route.first])
            _update(model, route)
        except BaseException as error:
            for layer, weights in zip(layers, before, strict=True):
                layer._weights = weights
            model.optimizer._state = state
            if isinstance(error, _NotFiniteError):
                found = f"{model._label}: {error} would not be finite after {place}"
                raise FloatingPointError(f"{found}; {_reason(batch, before)}") from None
            raise
        finally:
            # What layers before the first trained one keep is of no use.
            for layer in layers:
                layer._kept = None


def test_step(model: "Sequential", batch: Examples, tally: "Tally") -> None:
    """Count the loss, penalties included, and the predictions."""
    with model._named():
        out = model(batch.x)
        loss = float(model.loss(batch.y, out, batch.weight)) + penalties(model.layers)
        tally.add(loss, batch.y, out)


def penalties(layers: Sequence[Layer]) -> float:
    """The sum of the layers' losses."""
    return math.fsum(penalty for layer in layers for penalty in layer.losses)


class _NotFiniteError(Exception):
    """Names of what a step would spoil."""


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


def _update(model: "Sequential", route: Route) -> None:
    values = [layer._weights[name] for layer, names in route.trained for name in names]
    gradients = [gradient for layer, names in route.trained for gradient in _gradients(layer, names)]
    new = model.optimizer.step(values, gradients)
    if not model.optimizer._state.finite:
        raise _NotFiniteError(" and ".join(model.optimizer._not_finite(new, route.names)))
    assigned = iter(new)
    for layer, names in route.trained:
        layer._assign({name: next(assigned) for name in names})
    for layer in route.constrained:
        updated = layer._weights
        layer.apply_constraints()
        _check_finite(layer, updated)


def _check_statistics(layers: Sequence[Layer], before: list[dict[str, np.ndarray]]) -> None:
    """Raise if the forward pass has spoilt what layers count by themselves."""
    for layer, weights in zip(layers, before, strict=True):
        _check_finite(layer, weights)


def _check_finite(layer: Layer, before: dict[str, np.ndarray]) -> None:
    """Raise if weights that are not the ones of before are not finite."""
    changed = {name: w for name, w in layer._weights.items() if w is not before.get(name)}
    spoilt = [f"{layer.name}/{name}" for name, w in changed.items() if not np.isfinite(w).all()]
    if spoilt:
        raise _NotFiniteError(" and ".join(spoilt))


def _gradients(layer: Layer, names: list[str]) -> list[np.ndarray]:
    """The gradients that ``backward`` has set for the weights of these names."""
    if len(layer.gradients) != len(layer._weights):
        raise ValueError(
            f"{layer._label}: gradients must be a list of {len(layer._weights)} arrays, got {len(layer.gradients)}"
        )
    found = []
    for (name, weight), gradient in zip(layer._weights.items(), layer.gradients, strict=True):
        if name in names:
            if gradient is None and not layer.trainable:
                raise ValueError(f"{layer._label}: trainable must not change within an epoch, only where one begins")
            if not isinstance(gradient, np.ndarray) or gradient.shape != weight.shape:
                raise ValueError(
                    f"{layer._label}: the gradient of {name} must be an array of shape {weight.shape}, got "
                    f"{getattr(gradient, 'shape', gradient)}"
                )
            found.append(gradient)
    return found


def _has(layer: Layer, names: list[str], kind: str) -> bool:
    return any(layer._component(name, kind) is not None for name in names)


def _reason(batch: Examples, weights: list[dict[str, np.ndarray]]) -> str:
    """What may have made a loss or a weight infinite or NaN."""
    arrays = [("x", batch.x), ("y", batch.y), *(("weights", w) for named in weights for w in named.values())]
    culprits = {name: None for name, array in arrays if not np.isfinite(array).all()}
    found = f"NaN or infinities are in {' and '.join(culprits)}" if culprits else "all that came in is finite"
    advice = "A smaller learning rate, the optimizer's clipnorm, or inputs scaled to about 1 may help"
    return f"{found}. {advice}. The weights are those before this batch"

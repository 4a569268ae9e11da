"""The part of a model that does not depend on how its layers are connected: their weights, and the training of them.

What stands among a model's layers may be a model again, or hold layers of its own. Weights belong to the layers at the
end of all that, the leaves.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.arguments import check_bool
from ..graph.operation import OfLeaves
from ..layers import Layer
from ..layers.weights import frozen_parts
from ..training.trainee import TrainedWeights, Trainee


class Layered(OfLeaves, Trainee):
    """What a model has of its layers' weights."""

    # Whether all layers have their weights, and the tensors of inputs and outputs.
    built: Any
    inputs: Any
    outputs: Any

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self._nodes = []
        self._layers: list[Any] = []
        self._trainable = True

    @property
    def layers(self) -> list[Any]:
        """The layers in order, as a new list."""
        return list(self._layers)

    @property
    def trainable(self) -> bool:
        """Whether layers are trained. Setting it sets all of them; a layer that is set afterwards goes its own way."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        with self._named():
            self._trainable = check_bool(value, "trainable")
        for layer in self._layers:
            layer.trainable = self._trainable

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace all weights by arrays of the same shapes, in the order of `get_weights`.

        Raises
        ------
        ValueError, TypeError
            If the model is not built, or the number of arrays, a shape or a dtype is wrong; nothing is changed then.
        """
        with self._named():
            new = list(weights)
            if self.built:
                self._hand_out(new)
            elif new:
                raise ValueError("set_weights needs a built model: call it, or build(input_shape), first")

    def count_params(self) -> int:
        """Number of values in the weights of all layers.

        Raises
        ------
        ValueError
            If a layer is not built.
        """
        with self._named():
            return sum(layer.count_params() for layer in self._leaves())

    @property
    def gradients(self) -> list[np.ndarray | None]:
        """What the last `backward` has set: one for each of `weights`; None for those that training leaves alone."""
        return [gradient for layer in self._leaves() for gradient in layer.gradients]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_nodes": [], "_tape": None, "_masks": None, "_step": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"_nodes": [], **state})

    # -- for the model itself --------------------------------------------------------------------------------------

    @property
    def _only_moves(self) -> bool:
        """Whether no layer has weights or a dtype of its own."""
        return all(layer._only_moves for layer in self._layers)

    def _leaves(self) -> list[Any]:
        # Each once, though it may stand in several places.
        return list({id(leaf): leaf for layer in self._layers for leaf in layer._leaves()}.values())

    def _trained_weights(self) -> TrainedWeights:
        return LayerWeights(self._leaves())

    def _need_layers(self) -> None:
        """Raise ValueError if there is nothing to compute."""


class LayerWeights(TrainedWeights):
    """Those of layers that are built, of which there may come more."""

    def __init__(self, layers: list[Layer]) -> None:
        self._layers = layers
        # With each layer the names of the weights that the optimizer changes.
        pairs = [(layer, layer._trained) for layer in layers]
        self._trained = [(layer, names) for layer, names in pairs if names]
        self._constrained = [layer for layer, names in self._trained if _has(layer, names, "constraint")]
        self._penalized = [
            layer
            for layer, names in pairs
            if layer.activity_regularizer is not None or _has(layer, names, "regularizer")
        ]
        self.names = [f"{layer.name}/{name}" for layer, names in self._trained for name in names]

    def values(self) -> list[np.ndarray]:
        return [layer._weights[name] for layer, names in self._trained for name in names]

    def gradients(self) -> list[np.ndarray]:
        return [gradient for layer, names in self._trained for gradient in _gradients(layer, names)]

    def assign(self, values: Sequence[np.ndarray]) -> None:
        before = self.values()
        plain = (new.dtype == old.dtype and new.shape == old.shape for new, old in zip(values, before, strict=True))
        if len({old.dtype for old in before}) == 1 and all(plain) and all(new.flags.carray for new in values):
            # One piece of memory for all: of a small network's weights, each takes longer to find than to copy.
            parts = iter(frozen_parts(values))
            for layer, names in self._trained:
                layer._weights = {**layer._weights, **{name: next(parts) for name in names}}
            return
        assigned = iter(values)
        for layer, names in self._trained:
            layer._assign({name: next(assigned) for name in names})

    def constrain(self) -> None:
        for layer in self._constrained:
            layer.apply_constraints()

    def penalty(self) -> float:
        return math.fsum(penalty for layer in self._penalized for penalty in layer.losses)

    def snapshot(self) -> list[dict[str, np.ndarray]]:
        return [layer._weights for layer in self._layers]

    def restore(self, snapshot: list[dict[str, np.ndarray]]) -> None:
        for layer, weights in zip(self._layers, snapshot, strict=True):
            layer._weights = weights

    def spoilt(self, snapshot: list[dict[str, np.ndarray]]) -> list[str]:
        for layer, before in zip(self._layers, snapshot, strict=True):
            if layer._weights is before:
                continue
            changed = {name: w for name, w in layer._weights.items() if w is not before.get(name)}
            found = [f"{layer.name}/{name}" for name, w in changed.items() if not np.isfinite(w).all()]
            if found:
                return found
        return []

    def let_go(self) -> None:
        for layer in self._layers:
            layer._kept = None


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

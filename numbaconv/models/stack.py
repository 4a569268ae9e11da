"""The part of `Sequential` that is a stack of layers: adding them, and their shapes."""

from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from typing import Any

import numpy as np

from ..config import floatx
from ..graph.tensor import KerasTensor
from ..layers import Input, InputLayer, Layer
from ..layers.building import _building
from ..shapes import Shape, normalize_shape
from .layered import Layered
from .program import line


class Stack(Layered):
    """What `Sequential` has of the order of its layers."""

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self._input_shape: Shape | None = None
        self._line = line(())
        # The place of the input, and those of what each layer gives, once the model is built.
        self._tensors: list[KerasTensor] = []

    # -- the stack -------------------------------------------------------------------------------------------------

    def add(self, layer: Any) -> None:
        """Put a layer at the end, and build it if its input shape is known; where ``trainable`` is False, freeze it.

        Parameters
        ----------
        layer : Layer or model
            With a name that no other layer of the model has. Before the first one it may be an `Input`, which says what
            that is fed with.

        Raises
        ------
        TypeError
            If it is anything else.
        ValueError
            If the name is taken, or the layer cannot take the output of the one before; the model stays as it was.
        """
        self._extend([layer])

    def _extend(self, layers: Iterable[Any]) -> None:
        """Add several layers, one after the other."""
        shape: Any = self.output_shape if self._layers else self._input_shape
        names = {layer.name for layer in self._layers}
        for layer in layers:
            if isinstance(layer, KerasTensor):
                layer = layer._node.operation
            with self._named():
                if isinstance(layer, InputLayer):
                    self._begin(layer)
                    shape = self._input_shape
                    continue
                self._check_new(layer, names)
                if not (self._layers or self.built):
                    # That of a model is its own.
                    shape = layer.batch_input_shape if isinstance(layer, Layer) else layer.input_shape
                # build trusts the spatial sizes of a layer that is built already.
                after = None if shape is None else layer.compute_output_shape(shape)
                if self._layers:
                    layer._widen(self._layers[-1]._dtype)
                if shape is not None:
                    layer.build(shape)
            if not (self._layers or self.built):
                self._input_shape = shape
            if not self._trainable:
                layer.trainable = False
            self._layers.append(layer)
            names.add(layer.name)
            shape = after
        self._agree()
        self._connect_layers()

    def pop(self) -> Any:
        """Take off the last layer and return it; with the only layer, the input shape is forgotten too.

        Raises
        ------
        ValueError
            If there is none.
        """
        with self._named():
            self._need_layers()
        layer = self._layers.pop()
        if not self._layers:
            self._input_shape = None
        for tensor in self._tensors[len(self._layers) + 1 :]:
            layer._nodes.remove(tensor._node)
        del self._tensors[len(self._layers) + 1 if self._layers else 0 :]
        self._line = line(self._layers)
        return layer

    def _begin(self, layer: InputLayer) -> None:
        """Take the shape of an `Input` as that of what the first layer is fed with."""
        if self._layers or self.built:
            raise ValueError(f"an Input must come before all layers, got {layer!r} after them")
        self._input_shape = layer.batch_shape
        self._tensors = [layer.output]

    def _check_new(self, layer: Any, names: set[str]) -> None:
        if not isinstance(layer, Layer | Layered):
            raise TypeError(f"layer must be a layer of numbaconv.layers or a model, got {layer!r}")
        if layer is self or (layer.name in names and any(layer is other for other in self._layers)):
            raise ValueError(f"layer must be added once only, got {layer!r} again")
        if isinstance(layer, Layered) and len(layer.input_names) * len(layer.output_names) > 1:
            raise ValueError(f"layer must have one input and one output, got {layer!r}; Model connects others")
        if layer.name in names:
            raise ValueError(f"layer must have a name of its own, got a second {layer.name!r}; pass another name=")

    def _connect_layers(self) -> None:
        """Let the layers know their tensors, which other networks may begin or end at."""
        self._line = line(self._layers)
        if self._input_shape is None:
            return
        if not self._tensors:
            self._tensors = [Input(batch_shape=self._input_shape)]
        for layer in self._layers[len(self._tensors) - 1 :]:
            self._tensors.append(layer(self._tensors[-1]))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_tensors": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._connect_layers()

    # -- shapes ----------------------------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the input shape is known and all layers have their weights."""
        return self._input_shape is not None

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights of all layers for inputs of this shape, batch axis included.

        Raises
        ------
        ValueError
            If there are no layers, or one of them cannot take what it would get.
        """
        with self._named():
            self.compute_output_shape(input_shape)
            # Threads that share an unbuilt model get the same layers, each connected once.
            with _building:
                if self.built:
                    return
                self._agree()
                shape = first = normalize_shape(input_shape, "input_shape")
                for layer in self._layers:
                    layer.build(shape)
                    shape = layer.compute_output_shape(shape)
                self._input_shape = first
                self._connect_layers()

    @property
    def input(self) -> KerasTensor:
        """The tensor of the input; AttributeError before its shape is known."""
        return self._tensor(0)

    @property
    def output(self) -> KerasTensor:
        """The tensor of the output; AttributeError before the model is built."""
        return self._tensor(-1)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensor of the input, in a list."""
        return [self.input]

    @property
    def outputs(self) -> list[KerasTensor]:
        """The tensor of the output, in a list."""
        return [self.output]

    @property
    def input_shape(self) -> Shape | None:
        """Shape of the inputs with the batch axis; None before it is known."""
        return self._input_shape

    @property
    def output_shape(self) -> Shape | None:
        """Shape of the result for `input_shape`; None before that is known."""
        return None if self._input_shape is None else self.compute_output_shape(self._input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        """Shape of the result for an input of this shape, both with the batch axis; None stands for unknown.

        Raises
        ------
        ValueError
            If there are no layers, or one of them cannot take what it would get.
        """
        with self._named():
            self._need_layers()
            for layer in self._layers:
                input_shape = layer.compute_output_shape(input_shape)
            return tuple(input_shape)

    @property
    def output_names(self) -> list[str]:
        """The name of the output, which is that of the last layer."""
        return [layer.name for layer in self._layers[-1:]] or super().output_names

    # -- for the model itself --------------------------------------------------------------------------------------

    def _agree(self) -> None:
        """See that no layer whose dtype was left open rounds what a layer around it has in float64."""
        first = list(takewhile(lambda layer: layer._only_moves, self._layers))
        if len(first) < len(self._layers):
            for layer in first:
                layer._widen(self._layers[len(first)]._dtype)
        for before, layer in pairwise(self._layers):
            layer._widen(before._dtype)

    @property
    def _result_dtype(self) -> Any:
        return self._layers[-1]._result_dtype

    @property
    def _dtype(self) -> np.dtype:
        return self._layers[-1]._dtype if self._layers else np.dtype(floatx())

    def _tensor(self, place: int) -> KerasTensor:
        if not self._tensors:
            raise AttributeError(f"{self._label} has no tensors before it is built: call it, or build(input_shape)")
        return self._tensors[place]

    def _need_layers(self) -> None:
        if not self._layers:
            raise ValueError("the model has no layers: add one first")

"""The part of `Sequential` that is a stack of layers: adding them, and their shapes."""

from collections.abc import Sequence
from itertools import pairwise, takewhile

import numpy as np

from ..layers import Layer
from ..shapes import Shape, normalize_shape
from .layered import Layered


class Stack(Layered):
    """What `Sequential` has of the order of its layers."""

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self._input_shape: Shape | None = None

    # -- the stack -------------------------------------------------------------------------------------------------

    def add(self, layer: Layer) -> None:
        """Put a layer at the end, and build it if its input shape is known; where ``trainable`` is False, freeze it.

        Parameters
        ----------
        layer : Layer
            From `numbaconv.layers`, with a name that no other layer of the model has.

        Raises
        ------
        TypeError
            If it is anything else, such as another model.
        ValueError
            If the name is taken, or the layer cannot take the output of the one before; the model stays as it was.
        """
        with self._named():
            if not isinstance(layer, Layer):
                raise TypeError(f"layer must be a layer of numbaconv.layers, got {layer!r}")
            if any(layer is other for other in self._layers):
                raise ValueError(f"layer must be added once only, got {layer!r} again")
            if any(layer.name == other.name for other in self._layers):
                raise ValueError(f"layer must have a name of its own, got a second {layer.name!r}; pass another name=")
            shape = self.output_shape if self._layers else layer.batch_input_shape
            if shape is not None:
                # build trusts the spatial sizes of a layer that is built already.
                layer.compute_output_shape(shape)
            if self._layers:
                layer._widen(self._layers[-1]._dtype)
            if shape is not None:
                layer.build(shape)
        if not self._layers:
            self._input_shape = shape
        if not self._trainable:
            layer.trainable = False
        self._layers.append(layer)
        self._widen()

    def pop(self) -> Layer:
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
        return layer

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
            if self.built:
                return
            self._widen()
            shape = first = normalize_shape(input_shape, "input_shape")
            for layer in self._layers:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
            self._input_shape = first

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

    def explain(self, input_shape: Sequence[int | None] | None = None) -> str:
        """Say in plain sentences, one paragraph for each layer, how its output shape comes from what it is fed with.

        Parameters
        ----------
        input_shape : tuple of int or None, optional
            Of the model, batch axis included; None takes the model's own.

        Raises
        ------
        ValueError
            If no input shape is known, or one of the layers cannot take what it would get.
        """
        with self._named():
            shape = self._input_shape if input_shape is None else input_shape
            if shape is None:
                raise ValueError("input_shape must be given, because the model is not built")
            paragraphs = []
            for layer in self._layers:
                paragraphs.append(layer.explain(shape))
                shape = layer.compute_output_shape(shape)
            return "\n\n".join(paragraphs)

    # -- for the model itself --------------------------------------------------------------------------------------

    def _widen(self) -> None:
        """See that no layer whose dtype was left open rounds what a layer around it has in float64."""
        first = list(takewhile(lambda layer: layer._only_moves, self._layers))
        if len(first) < len(self._layers):
            for layer in first:
                layer._widen(self._layers[len(first)]._dtype)
        for before, layer in pairwise(self._layers):
            layer._widen(before._dtype)

    def _shape_for(self, x: np.ndarray) -> Shape:
        """Shape of the result for an array, of which alone an error speaks."""
        try:
            return self.compute_output_shape(x.shape)
        except ValueError as error:
            raise ValueError(str(error).replace("input_shape must", "x must")) from None

    @property
    def _result_dtype(self) -> str:
        return self._layers[-1].dtype

    def _need_layers(self) -> None:
        if not self._layers:
            raise ValueError("the model has no layers: add one first")

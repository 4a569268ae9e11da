"""Models made from models, or from their configurations."""

from collections.abc import Callable
from typing import Any, TypeVar

from ..common.structures import mapped
from ..layers import Input, InputLayer, Layer
from .configs import layer_config, layer_from_config
from .copies import connected_anew, is_slot, shared_places, sharing
from .model import Model
from .network import Network
from .sequential import Sequential

Made = TypeVar("Made", bound=Network)


def clone_model(model: Made, clone_function: Callable[[Any], Any] | None = None) -> Made:
    """Make a model with the layers of another one, and with weights of its own (Keras's ``models.clone_model``).

    Parameters
    ----------
    model : Model or Sequential
    clone_function : callable, optional
        Takes a layer or a model within and returns what stands in its place; by default one made from its
        configuration. Inputs are not asked about.

    Returns
    -------
    Model or Sequential
        With fresh weights. Layers that are shared are shared there too.

    Raises
    ------
    TypeError
        If the model is none of this library.

    Examples
    --------
    >>> from numbaconv.layers import Dense
    >>> from numbaconv.models import Sequential, clone_model
    >>> model = Sequential([Dense(2, input_shape=(3,))])
    >>> clone_model(model).count_params()
    8
    """
    if not isinstance(model, Model | Sequential):
        raise TypeError(f"model must be a Model or a Sequential, got {model!r}")
    if clone_function is not None:
        return _cloned(model, clone_function)
    made, shared = _cloned(model, _clone), shared_places(model)
    return sharing(made, shared) if shared else made


def _cloned(model: Any, clone: Callable[[Any], Any]) -> Any:
    if isinstance(model, Sequential):
        made = Sequential((clone(layer) for layer in model.layers), model.name)
        if model.input_shape is not None:
            made.build(model.input_shape)
        return made
    clones = {id(layer): clone(layer) for layer in model.layers if not isinstance(layer, InputLayer)}
    return _connected(model, clones)


def _clone(layer: Any) -> Any:
    return layer_from_config(layer_config(layer)) if isinstance(layer, Layer) else clone_model(layer)


def _connected(model: Model, clones: dict[int, Any]) -> Model:
    """The model with other layers in place of its own."""
    tensors = list(model._tensors)
    for slot, tensor in zip(model._steps.inputs, model.inputs, strict=True):
        tensors[slot] = Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor._node.operation.name)
    for step in model._steps.steps:
        clone = clones[id(step.operation)]
        if not clone.built:
            clone.build(*mapped(lambda slot: model._tensors[slot.number].shape, step.arguments, is_slot))
    connected_anew(model._steps, tensors, lambda operation: clones[id(operation)])
    inputs, outputs = (mapped(lambda slot: tensors[slot], model._places(one)) for one in (model.input, model.output))
    return Model(inputs, outputs, model.name)

"""Models of Keras's that are in memory; Keras itself is not imported."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...layers.building import unfilled
from ..copies import sharing, walked
from .architecture import MODELS, architecture_of
from .arguments import Reading
from .layouts import is_model, layers_of, leaves_of
from .loading import listed_by
from .making import Maker

if TYPE_CHECKING:
    from ..network import Network


def from_keras(model: Any, custom_objects: Mapping[str, Any] | None = None) -> "Network":
    """Make the model of this library that a model of Keras's in memory is.

    Parameters
    ----------
    model : keras.Model
        Built, of the functional API or Sequential, or of a class derived from these that has no ``call`` of its own.
        It is asked for ``to_json()``, ``layers`` and their ``get_weights()``; Keras is not imported.
    custom_objects : dict, optional
        As for `load_model`.

    Returns
    -------
    Model or Sequential
        With copies of the weights, not compiled.

    Raises
    ------
    TypeError
        If the model has no such methods.
    ValueError
        If it is not built, or has a layer or a setting that is not here; the message names the layer.

    Examples
    --------
    >>> import keras                                          # doctest: +SKIP
    >>> model = from_keras(keras.applications.MobileNetV2())  # doctest: +SKIP
    """
    if not all(hasattr(model, name) for name in ("to_json", "layers", "get_weights")):
        raise TypeError(f"model must be a model of Keras's, got {model!r}")
    entry = _whole(json.loads(model.to_json()), model, custom_objects or {})
    maker = Maker(Reading(str(entry.get("keras_version", "3")), custom_objects))
    with unfilled():
        made = maker.model(architecture_of(entry))
    if not made.built:
        raise ValueError("model must be built: call it, or give its first layer an Input")
    alike: dict[tuple[int, int], list[Any]] = {}
    for ours, theirs in list(_pairs(made, model, listed_by(maker))):
        arrays = iter(theirs.get_weights())
        leaves = leaves_of(ours)
        wanted = [[next(arrays, None) for _ in leaf.weights] for leaf in leaves]
        if next(arrays, None) is not None or any(one is None for listed in wanted for one in listed):
            raise ValueError(f"layer {theirs.name!r} must have {sum(map(len, wanted))} weights, as {ours!r} has")
        for i, (leaf, weights) in enumerate(zip(leaves, wanted, strict=True)):
            leaf.set_weights(weights)
            alike.setdefault((id(theirs), i), []).append(leaf)
    places = {id(leaf): i for i, leaf in enumerate(walked(made))}
    groups = [sorted(places[id(leaf)] for leaf in listed) for listed in alike.values()]
    shared = [[again, first] for first, *more in groups for again in more]
    return sharing(made, shared) if shared else made


def _whole(entry: dict[str, Any], model: Any, custom: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the layers that models of somebody's own class leave out of it, those of models within too."""
    kind = next((one for one in type(model).__mro__ if one.__name__ in MODELS), None)
    if kind is None or entry["class_name"] in custom:
        return entry
    if type(model).call is not getattr(kind, "call", None):
        own = f"{type(model).__name__} has a call of its own"
        raise ValueError(f"model {model.name!r} must be computed as its layers say, but {own}: make it in Python")
    if kind.__name__ == "Functional" and "input_layers" not in entry["config"]:
        # Of the same tensors, by the same layers.
        entry = {**entry, **json.loads(kind(model.input, model.output, name=model.name).to_json())}
    entries, named = entry["config"].get("layers", []), {layer.name: layer for layer in model.layers}
    theirs = [named.get(one.get("name")) for one in entries]
    if kind.__name__ == "Sequential":
        # An input is no layer of it.
        theirs = [None] * (len(entries) - len(model.layers)) + model.layers
    layers = [one if layer is None else _whole(one, layer, custom) for one, layer in zip(entries, theirs, strict=True)]
    return {**entry, "class_name": kind.__name__, "config": {**entry["config"], "layers": layers}}


def _pairs(ours: Any, theirs: Any, listed: Any) -> Iterator[tuple[Any, Any]]:
    """With each layer of ours that of Keras's, by name, those of networks within too."""
    named = {layer.name: layer for layer in theirs.layers}
    for layer in listed(ours):
        # Operations have none, and are no layers for Keras.
        if any(leaf.weights for leaf in leaves_of(layer, layers_of)):
            other = named.get(layer.name)
            if other is None:
                raise ValueError(f"model must have a layer {layer.name!r}, as its configuration says")
            if is_model(layer):
                yield from _pairs(layer, other, listed)
            else:
                yield layer, other

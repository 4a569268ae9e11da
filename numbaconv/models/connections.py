"""The configuration of a network: its layers, and which tensor of which call feeds which, in the form of Keras 3."""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from ..common.structures import leaves, mapped
from ..graph.tensor import KerasTensor
from .configs import check_keys, check_names, layer_config, layer_from_config

TENSOR = "__keras_tensor__"


def config_of(model: Any) -> dict[str, Any]:
    """The configuration of a model of connected layers."""
    # Layers may have been given other names.
    check_names(model.layers)
    own = {id(node) for node in (*(tensor._node for tensor in model.inputs), *model._own_nodes)}
    # Calls are counted in the order of the layer's own list, those outside the model left out.
    within = {id(layer): [node for node in layer._nodes if id(node) in own] for layer in model.layers}
    numbers = {id(node): i for nodes in within.values() for i, node in enumerate(nodes)}

    def place(tensor: KerasTensor) -> list[Any]:
        node = tensor._node
        return [node.operation.name, numbers[id(node)], node.outputs.index(tensor)]

    def told(value: Any) -> Any:
        if not isinstance(value, KerasTensor):
            return value
        place_of = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": place(value)}
        return {"class_name": TENSOR, "config": place_of}

    begins = {id(tensor._node) for tensor in model.inputs}
    entries = []
    for layer in model.layers:
        calls = [node for node in within[id(layer)] if id(node) not in begins]
        inbound = [
            {"args": mapped(told, list(node.arguments[0])), "kwargs": mapped(told, node.arguments[1])} for node in calls
        ]
        entries.append({**layer_config(layer), "name": layer.name, "inbound_nodes": inbound})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": entries,
        "input_layers": mapped(place, model.input),
        "output_layers": mapped(place, model.output),
    }


def from_config(cls: Any, config: Any, custom_objects: Any = None) -> Any:
    """The model that `config_of` described."""
    check_keys(config, "config", "name", "trainable", "layers", "input_layers", "output_layers")
    if not isinstance(config["layers"], list):
        raise ValueError(f"layers in config must be a list, got {config['layers']!r}")
    calls = []
    layers = {}
    for entry in config["layers"]:
        check_keys(entry, "a layer in config", "class_name", "config", "name", "inbound_nodes")
        layer = layer_from_config({key: entry[key] for key in ("class_name", "config")}, custom_objects)
        if layer.name in layers or layer.name != entry["name"]:
            raise ValueError(f"layers in config must have names of their own, got {entry['name']!r} again")
        layers[layer.name] = layer
        for one in entry["inbound_nodes"]:
            check_keys(one, "inbound_nodes in config", "args", "kwargs")
        calls.append([(one["args"], one["kwargs"]) for one in entry["inbound_nodes"]])
    found = connected(list(layers.values()), calls, _history)
    inputs, outputs = (mapped(found, config[key], _is_place) for key in ("input_layers", "output_layers"))
    model = cls(inputs, outputs, config["name"])
    # Each layer has its own, which may have been set since.
    model._trainable = bool(config["trainable"])
    return model


def connected(
    layers: list[Any], calls: list[list[tuple[Any, dict[str, Any]]]], place_of: Callable[[Any], list[Any] | None]
) -> Callable[[Any], KerasTensor]:
    """Call layers on each other's tensors, each as soon as what feeds it is there.

    For each layer there are its calls, with the positional and the keyword arguments of each. Where an argument stands
    for a tensor, ``place_of`` returns its place: the layer's name, the number of its call and that of the tensor,
    otherwise None. What is returned takes a place and returns the tensor there. Raises ValueError if a place does not
    exist, or calls wait for each other in a circle.
    """
    by_name = {layer.name: layer for layer in layers}
    # What a layer or a nested model was connected to before belongs to it alone.
    before = {layer.name: len(layer._nodes) if listed else 0 for layer, listed in zip(layers, calls, strict=True)}

    def tensor_at(place: Any) -> Any:
        name, call, number = _checked_place(place, by_name)
        nodes = by_name[name]._nodes[before[name] :]
        return nodes[call].outputs[number] if call < len(nodes) and number < len(nodes[call].outputs) else None

    def filled(arguments: Any) -> Any:
        def one(value: Any) -> Any:
            place = place_of(value)
            return value if place is None else tensor_at(place)

        return mapped(one, arguments, lambda value: place_of(value) is not None)

    def course(layer: Any, listed: list[Any]) -> Iterator[tuple[str, int]]:
        """Call a layer as often as it is listed; each call of another one that must come before is told."""
        for arguments in listed:
            for place in (place_of(one) for one in leaves(arguments, lambda one: place_of(one) is not None)):
                while place is not None and tensor_at(place) is None:
                    yield place[0], place[1]
            positional, keywords = filled(arguments)
            layer(*positional, **keywords)

    going = deque((layer, course(layer, listed)) for layer, listed in zip(layers, calls, strict=True))
    waiting: dict[tuple[str, int], list[Any]] = {}
    while going:
        layer, steps = going.popleft()
        done = len(layer._nodes)
        needed = next(steps, None)
        for node in range(done, len(layer._nodes)):
            going.extend(waiting.pop((layer.name, node - before[layer.name]), ()))
        if needed is not None:
            waiting.setdefault(needed, []).append((layer, steps))
    if waiting:
        names = ", ".join(layer.name for layer, _ in list(chain(*waiting.values()))[:5])
        raise ValueError(f"layers must not wait for each other or for what is not there, but these do: {names}")

    def found(place: Any) -> KerasTensor:
        tensor: KerasTensor | None = tensor_at(place)
        if tensor is None:
            raise ValueError(f"there is no tensor {place!r} in config")
        return tensor

    return found


def _history(value: Any) -> list[Any] | None:
    if isinstance(value, dict) and value.get("class_name") == TENSOR:
        check_keys(value["config"], "a tensor in config", "shape", "dtype", "keras_history")
        history: list[Any] = value["config"]["keras_history"]
        return history
    return None


def _is_place(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[0], str)


def _checked_place(place: Any, names: dict[str, Any]) -> tuple[str, int, int]:
    if not _is_place(place) or place[0] not in names or any(type(n) is not int or n < 0 for n in place[1:]):
        raise ValueError(f"a tensor in config must be a layer's name and two numbers, got {place!r}")
    name, call, number = place
    return name, call, number

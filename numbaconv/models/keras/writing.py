"""Models as files that Keras 3 reads: a ``.keras`` archive, or the weights alone."""

import importlib
import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from ...common.structures import leaves, mapped
from ...files import saving
from ..configs import OPERATION, is_modern
from ..connections import TENSOR
from .compiled import PAIRED
from .layouts import variables

# The version whose form the files have.
_VERSION = "3.15.0"
# Where Keras looks for classes, by what it is that has one.
_KINDS = ("layers", "initializers", "regularizers", "constraints", "optimizers", "schedules", "losses", "metrics")
_MODULES = {"schedules": "keras.optimizers.schedules"}
_MODELS = {"Functional": "keras.src.models.functional", "Sequential": "keras"}
# What an entry has; that of a layer in a layer says all of it already.
_ENTRY = {"class_name", "config", "module", "registered_name"}


def write(file: IO[bytes], model: Any) -> None:
    """Write a ``.keras`` archive.

    Raises TypeError if a setting is a function or an object of the user's, and ModuleNotFoundError if h5py is not
    installed.
    """
    config = json.dumps(model_config(model, model.get_compile_config()))
    weights = io.BytesIO()
    write_weights(weights, model)
    metadata = {"keras_version": _VERSION, "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S")}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights.getvalue())


def write_weights(file: IO[bytes], model: Any) -> None:
    """Write the weights, and the optimizer's state if there is one, as Keras 3 lays them out in HDF5."""
    with saving.h5py().File(file, "w") as hdf5:
        hdf5.create_group("layers")
        for variable in variables(model):
            hdf5[variable.path] = variable.layer._weights[variable.name]
        for i, array in enumerate(_state(model)):
            hdf5[f"optimizer/vars/{i}"] = array


def model_config(model: Any, training: dict[str, Any] | None = None) -> dict[str, Any]:
    """What config.json says of a model, and of its training."""
    kind = "Functional" if hasattr(model, "output_names") and hasattr(model, "_steps") else "Sequential"
    entry = _entry(kind, model.get_config())
    return {**entry, **({} if training is None else {"compile_config": _training(training)})}


def _training(training: dict[str, Any]) -> dict[str, Any]:
    told = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}
    return {"loss_weights": None, "weighted_metrics": None, **_with_modules(training), **told}


def _entry(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Keras's description of a layer or a model, for this library's own."""
    if name == OPERATION:
        return _operation_entry(config)
    if name not in _MODELS:
        return _layer_entry(name, config)
    layers = [_entry(one["class_name"], one["config"]) for one in config["layers"]]
    if name == "Functional":
        pairs = zip(layers, config["layers"], strict=True)
        layers = [{**entry, "name": one["name"], "inbound_nodes": _calls(one)} for entry, one in pairs]
        models = {one["name"] for one in config["layers"] if one["class_name"] == "Functional"}
        outputs = mapped(lambda place: _counted(place, models), config["output_layers"], _is_place)
        config = {**config, "output_layers": outputs}
    else:
        shape = config["build_input_shape"]
        if shape is not None:
            begin = {"batch_shape": shape, "dtype": _begin_dtype(config), "name": "input_layer"}
            layers.insert(0, _named("InputLayer", begin))
        config = {"name": config["name"], "trainable": config.get("trainable", True), "build_input_shape": shape}
    config = {**config, "layers": layers}
    return {"module": _MODELS[name], "class_name": name, "config": config, "registered_name": name}


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)


def _counted(place: list[Any], models: set[str]) -> list[Any]:
    # Where a network ends, Keras counts the calls of a functional model from 1.
    name, call, number = place
    return [name, call + (name in models), number]


def _begin_dtype(config: dict[str, Any]) -> str:
    """The dtype of the first layer, which may be within models."""
    first = config["layers"][0]["config"]
    return _begin_dtype(first) if "layers" in first else first["dtype"]


def _layer_entry(name: str, config: dict[str, Any]) -> dict[str, Any]:
    # Keras has inputs' shapes in InputLayers alone, and no choice of algorithms.
    kept = {key: value for key, value in config.items() if key not in ("batch_input_shape", "algorithm")}
    if name == "UpSampling1D":
        (kept["size"],) = kept["size"]
    return _named(name, {key: _with_modules(value) for key, value in kept.items()})


def _operation_entry(config: dict[str, Any]) -> dict[str, Any]:
    told = config["operation"]
    name, module = told["class_name"], told["module"]
    if not is_modern(told):
        raise TypeError(f"only operations of Keras 3 can be written for it, got {name} in {config['name']!r}")
    config = {"name": config["name"], **told["config"]}
    return {"module": module, "class_name": name, "config": config, "registered_name": told["registered_name"]}


def _calls(entry: dict[str, Any]) -> list[Any]:
    """How Keras calls a layer; an operation is called with settings, too."""
    nodes: list[Any] = entry["inbound_nodes"]
    if entry["class_name"] != OPERATION:
        return nodes
    told = entry["config"]["operation"]
    form = {key: told[key] for key in ("args", "kwargs")}
    calls = []
    for node in nodes:
        tensors = list(leaves(node["args"], _is_tensor))
        number = lambda one: int(one["config"]["keras_history"][0])  # noqa: E731
        filled = lambda one: tensors[number(one)] if _is_tensor(one) else one  # noqa: B023, E731
        calls.append(mapped(filled, form, _is_tensor))
    return calls


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == TENSOR


def _named(name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": _module(name), "class_name": name, "config": config, "registered_name": None}


def _with_modules(value: Any) -> Any:
    """Configurations within a configuration, each with the module that Keras looks its class up in."""
    if isinstance(value, list | tuple):
        return [_with_modules(one) for one in value]
    if not isinstance(value, dict):
        return value
    if {"class_name", "config"} <= set(value) <= _ENTRY and isinstance(value["config"], dict):
        if value["class_name"] in _MODELS or _module(value["class_name"]) == "keras.layers":
            return _entry(value["class_name"], value["config"])
        return _named(value["class_name"], _with_modules(value["config"]))
    return {key: _with_modules(one) for key, one in value.items()}


def _module(name: str) -> str:
    for kind in _KINDS:
        if hasattr(importlib.import_module(f"numbaconv.{kind}"), name):
            return _MODULES.get(kind, f"keras.{kind}")
    raise TypeError(f"only what Keras has too can be written for it, got {name}")


def _state(model: Any) -> Iterator[Any]:
    """The arrays that Keras keeps of an optimizer, in its order."""
    optimizer = model.optimizer
    if optimizer is None:
        return
    state = optimizer.get_state()
    yield state["iterations"]
    if not callable(optimizer._learning_rate):
        yield np.float32(optimizer.learning_rate)
    slots = list(optimizer._slot_names())
    count = sum(key.startswith(f"{slots[0]}/") for key in state) if slots else 0
    pair = slots[:2] if type(optimizer).__name__ in PAIRED else []
    for i in range(count):
        yield from (state[f"{slot}/{i}"] for slot in pair)
    for slot in slots[len(pair) :]:
        yield from (state[f"{slot}/{i}"] for i in range(count))
    if type(optimizer).__name__ == "Nadam" and optimizer.iterations:
        steps = np.arange(1, int(optimizer.iterations) + 1)
        yield np.float32(np.prod(optimizer.beta_1 * (1 - 0.5 * 0.96**steps)))

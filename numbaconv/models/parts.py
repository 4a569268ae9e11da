"""What a file holds of a model: its configuration, its weights, and what training goes on from.

The arrays ``0/kernel``, ``0/bias``, ``2/kernel``, ... are the weights, named after the layer's position and the weight.
From format 2 on ``optimizer/iterations``, ... are the state of the optimizer of a compiled model.
"""

from math import prod
from typing import Any

import numpy as np

from ..files.npz import Archive, Entry
from ..files.saving import CONFIG
from ..objects.version import __version__
from .configs import check_keys, check_model_keys, layer_from_config

FORMAT_VERSION = 2
_OPTIMIZER = "optimizer/"


def taken_apart(model: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a file holds of a model, as plain JSON types and as arrays by name."""
    config = {
        "format_version": FORMAT_VERSION,
        "library_version": __version__,
        "model": model.get_config(),
        "training": _training(model),
    }
    return config, {**_named_weights(model), **_optimizer_state(model)}


def put_together(model_class: Any, config: Any, archive: Archive) -> Any:
    """The model that was taken apart, of this class; arrays are read once their sizes are known to be right."""
    _check_version(config)
    trained = config["format_version"] > 1
    names = [name for name in archive.entries if name != CONFIG]
    states = [name for name in names if trained and name.startswith(_OPTIMIZER)]
    # Sizes come before arrays: nothing is read or built that the file cannot hold.
    wanted = _wanted(config["model"])
    _check_weights({name: archive.entries[name] for name in names if name not in states}, wanted)
    _check_state({name: archive.entries[name] for name in states}, wanted)
    model = model_class.from_config(_with_weights(config["model"], {n: archive.read(n) for n in wanted}))
    if trained:
        _set_training(model, config.get("training"), {name: archive.read(name) for name in states})
    return model


def _named_weights(model: Any) -> dict[str, np.ndarray]:
    # Positions, because a layer's name may hold characters that an archive's entry cannot.
    return {f"{i}/{name}": w for i, layer in enumerate(model.layers) for name, w in layer.named_weights.items()}


def _training(model: Any) -> dict[str, Any]:
    """What training goes on from besides weights and the optimizer's state, as plain JSON types."""
    states = {str(i): layer.get_state() for i, layer in enumerate(model.layers) if hasattr(layer, "get_state")}
    return {"compile": model.get_compile_config(), "stepped": model._stepped, "layers": states}


def _optimizer_state(model: Any) -> dict[str, np.ndarray]:
    state = {} if model.optimizer is None else model.optimizer.get_state()
    for name, array in state.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"the optimizer's state must be finite to be saved, got infinities or NaN in {name}; "
                "compile the model anew to save it"
            )
    return {f"{_OPTIMIZER}{name}": array for name, array in state.items()}


def _set_training(model: Any, training: Any, state: dict[str, np.ndarray]) -> None:
    """Give a loaded model what `_training` and `_optimizer_state` took from the saved one."""
    check_keys(training, "training", "compile", "stepped", "layers")
    if training["compile"] is not None:
        model.compile_from_config(training["compile"])
        model.optimizer.set_state({name.removeprefix(_OPTIMIZER): array for name, array in state.items()})
    elif state:
        raise ValueError(f"its model is not compiled, but it has {', '.join(state)}")
    stepped = training["stepped"]
    if stepped is not None and not (isinstance(stepped, list) and all(isinstance(name, str) for name in stepped)):
        raise ValueError(f"stepped must be a list of names of weights, got {stepped!r}")
    model._stepped = stepped
    stateful: dict[str, Any] = {str(i): layer for i, layer in enumerate(model.layers) if hasattr(layer, "get_state")}
    check_keys(training["layers"], "states of layers", *stateful)
    for i, layer in stateful.items():
        layer.set_state(training["layers"][i])


def _check_version(config: Any) -> None:
    """Raise ValueError unless the configuration is that of a model, in a format that this version knows."""
    version = config.get("format_version") if isinstance(config, dict) else None
    if type(version) is not int or version < 1 or "model" not in config:
        raise ValueError("its entry 'config' must be a JSON object with a format_version and a model")
    if version > FORMAT_VERSION:
        writer = config.get("library_version")
        raise ValueError(
            f"format_version must be at most {FORMAT_VERSION} for numbaconv {__version__}, got {version}, written by "
            f"numbaconv {writer}"
        )


def _entries_of_layers(config: Any) -> list[dict[str, Any]]:
    entries = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("config"), dict) for e in entries
    ):
        raise ValueError("its model must have a list of layers, each with a config")
    return entries


def _wanted(config: Any) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shapes and dtypes of the weights that a configuration asks for, by entry; nothing is built."""
    entries = _entries_of_layers(config)
    check_model_keys(config)
    shape = config["build_input_shape"]
    if shape is None:
        raise ValueError("its model must be that of a built model, with a build_input_shape")
    wanted = {}
    for i, entry in enumerate(entries):
        layer = layer_from_config({**entry, "config": {**entry["config"], "weights": None}})
        out_shape = layer.compute_output_shape(shape)
        sizes = layer._weight_shapes(layer._channels_of(tuple(shape)))
        wanted.update({f"{i}/{name}": (size, np.dtype(layer.dtype)) for name, size in sizes.items()})
        shape = out_shape
    return wanted


def _with_weights(config: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The configuration with each layer's arrays as its ``weights`` argument."""
    for i, entry in enumerate(config["layers"]):
        entry["config"]["weights"] = [array for name, array in arrays.items() if name.startswith(f"{i}/")]
    return config


def _check_weights(entries: dict[str, Entry], wanted: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
    """Raise ValueError unless the arrays are those that the model has, in name, order, shape and dtype."""
    if list(entries) != list(wanted):
        raise ValueError(f"its weights must be {list(wanted)}, got {list(entries)}")
    for name, (shape, dtype) in wanted.items():
        if entries[name].shape != shape:
            raise ValueError(f"its weight {name!r} must have shape {shape}, got {entries[name].shape}")
        # Either byte order will do: the machine that wrote the file may have had the other one.
        if entries[name].dtype.newbyteorder("=") != dtype:
            raise ValueError(f"its weight {name!r} must have dtype {dtype}, got {entries[name].dtype}")


def _check_state(entries: dict[str, Entry], wanted: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
    """Raise ValueError for entries that are larger than what an optimizer keeps of a weight."""
    most = 8 * max((prod(shape) for shape, _ in wanted.values()), default=1)
    for name, entry in entries.items():
        if entry.nbytes > most:
            raise ValueError(f"its entry {name!r} must have at most {most} bytes, got {entry.nbytes}")

"""What a file holds of a model: its configuration, its weights, and what training goes on from.

The arrays ``0/kernel``, ``0/bias``, ``2/kernel``, ... are the weights, named after the layer's position and the weight;
layers of layers count through. From format 2 on ``optimizer/iterations``, ... are the state of the optimizer of a
compiled model. Format 3 has models of all kinds, also within each other.
"""

from math import prod
from typing import Any

import numpy as np

from ..files.npz import Archive, Entry
from ..files.saving import CONFIG
from ..layers.building import unfilled
from ..objects.version import __version__
from .configs import MODELS, check_keys
from .copies import shared_places, sharing, walked

FORMAT_VERSION = 3
_OPTIMIZER = "optimizer/"


def taken_apart(model: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a file holds of a model, as plain JSON types and as arrays by name."""
    kind = next(name for name, cls in MODELS.items() if isinstance(model, cls))
    # What older versions have can be read by them.
    old = kind == "Sequential" and all(layer._leaves() == [layer] for layer in model.layers)
    config = {
        "format_version": 2 if old else FORMAT_VERSION,
        "library_version": __version__,
        "model": model.get_config(),
        "training": _training(model),
        **({} if old else {"kind": kind}),
        **({"shared": shared} if (shared := shared_places(model)) else {}),
    }
    return config, {**_named_weights(model), **_optimizer_state(model)}


def put_together(model_class: Any, config: Any, archive: Archive) -> Any:
    """The model that was taken apart, of this class; arrays are read once their sizes are known to be right."""
    _check_version(config)
    kind = config.get("kind", "Sequential")
    if kind not in MODELS or not issubclass(MODELS[kind], model_class):
        raise ValueError(f"its model must be a {model_class.__name__}, got a {kind}: load it with models.load_model")
    trained = config["format_version"] > 1
    names = [name for name in archive.entries if name != CONFIG]
    states = [name for name in names if trained and name.startswith(_OPTIMIZER)]
    # Sizes come before arrays: nothing is read that the model has no place for, and weights without values take none.
    with unfilled():
        model = _made(MODELS[kind], config["model"])
    if "shared" in config:
        model = sharing(model, _checked_places(config["shared"], len(walked(model))))
    wanted = {name: (w.shape, w.dtype) for name, w in _named_weights(model).items()}
    _check_weights({name: archive.entries[name] for name in names if name not in states}, wanted)
    _check_state({name: archive.entries[name] for name in states}, wanted)
    model.set_weights([archive.read(name) for name in wanted])
    if trained:
        _set_training(model, config.get("training"), {name: archive.read(name) for name in states})
    return model


def read_weights(model: Any, archive: Archive) -> None:
    """Give a built model the weights of one that was taken apart, and nothing else of it."""
    names = [name for name in archive.entries if name != CONFIG and not name.startswith(_OPTIMIZER)]
    wanted = {name: (w.shape, w.dtype) for name, w in _named_weights(model).items()}
    _check_weights({name: archive.entries[name] for name in names}, wanted)
    model.set_weights([archive.read(name) for name in wanted])


def _named_weights(model: Any) -> dict[str, np.ndarray]:
    # Positions, because a layer's name may hold characters that an archive's entry cannot.
    return {f"{i}/{name}": w for i, layer in enumerate(model._leaves()) for name, w in layer.named_weights.items()}


def _training(model: Any) -> dict[str, Any]:
    """What training goes on from besides weights and the optimizer's state, as plain JSON types."""
    states = {str(i): layer.get_state() for i, layer in enumerate(model._leaves()) if hasattr(layer, "get_state")}
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
    stateful: dict[str, Any] = {str(i): layer for i, layer in enumerate(model._leaves()) if hasattr(layer, "get_state")}
    given = training["layers"]
    if isinstance(given, dict):
        stateful = {i: layer for i, layer in stateful.items() if layer.always_saved or i in given}
    check_keys(given, "states of layers", *stateful)
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


def _made(cls: Any, config: Any) -> Any:
    """The model of a configuration, built; its weights have no values yet."""
    if not isinstance(config, dict):
        raise ValueError("its model must be a JSON object")
    model = cls.from_config(config)
    if not model.built:
        raise ValueError("its model must be that of a built model, with a build_input_shape")
    return model


def _checked_places(places: Any, count: int) -> list[list[int]]:
    """Pairs of places among so many layers, a later one and an earlier one."""
    for pair in places if isinstance(places, list) else [places]:
        if not (isinstance(pair, list) and [type(n) for n in pair] == [int, int] and 0 <= pair[1] < pair[0] < count):
            raise ValueError(f"shared must be pairs of places below {count}, the later one first, got {pair!r}")
    return list(places)


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

"""Models as files: one npz archive with the configuration as JSON text and the weights as arrays.

The entry ``config`` holds the JSON text; ``0/kernel``, ``0/bias``, ``2/kernel``, ... hold the weights, named after the
layer's position and the weight. From format 2 on ``optimizer/iterations``, ... hold the state of the optimizer of a
compiled model. Reached through `numbaconv.models.Sequential.save` and ``Sequential.load``.
"""

import json
import os
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from . import __version__, layers

if TYPE_CHECKING:
    from .models import Sequential

FORMAT_VERSION = 2
_OPTIMIZER = "optimizer/"
_CLASSES: dict[str, type[layers.Layer]] = {name: getattr(layers, name) for name in layers.__all__ if name != "Layer"}


def save(model: "Sequential", path: str | os.PathLike[str]) -> None:
    """Write a model to a file; see `numbaconv.models.Sequential.save`."""
    if not model.built:
        raise ValueError(f"Sequential {model.name!r}: save needs a built model: call it, or build(input_shape), first")
    header = {
        "format_version": FORMAT_VERSION,
        "library_version": __version__,
        "model": model.get_config(),
        "training": _training(model),
    }
    entries: dict[str, Any] = {"config": json.dumps(header), **_named_weights(model), **_optimizer_state(model)}
    # A link is written through, as by open().
    target = Path(os.path.realpath(Path(path)))
    temporary = target.with_name(f".numbaconv-{uuid.uuid4().hex}")
    try:
        # A file object, because np.savez adds a suffix to a name.
        with open(temporary, "xb") as file:
            np.savez(file, **entries)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str], model_class: "type[Sequential]") -> "Sequential":
    """Read a model from a file; see `numbaconv.models.Sequential.load`."""
    with open(Path(path), "rb") as file:
        try:
            header, arrays = _read(file)
            trained = header["format_version"] > 1
            state = {name: array for name, array in arrays.items() if trained and name.startswith(_OPTIMIZER)}
            arrays = {name: array for name, array in arrays.items() if name not in state}
            model = model_class.from_config(_with_weights(header["model"], arrays))
            _check_weights(model, arrays)
            if trained:
                _set_training(model, header.get("training"), state)
        except MemoryError:
            raise
        # A damaged or hostile file makes zipfile, zlib, NumPy and json raise errors of a dozen kinds.
        except Exception as error:
            raise ValueError(f"{os.fspath(path)!r} cannot be loaded as a model: {error}") from error
    return model


def layer_config(layer: layers.Layer) -> dict[str, Any]:
    """The class and the settings of a layer as plain JSON types."""
    name = type(layer).__name__
    if _CLASSES.get(name) is not type(layer):
        raise TypeError(f"only layers of numbaconv.layers can be put in a config, got {layer!r}")
    return {"class_name": name, "config": layer.get_config()}


def layer_from_config(entry: Any) -> layers.Layer:
    """The layer that `layer_config` described, with fresh weights."""
    check_keys(entry, "a layer in config", "class_name", "config")
    name, config = entry["class_name"], entry["config"]
    if not isinstance(name, str) or name not in _CLASSES:
        raise ValueError(f"class_name must be one of {', '.join(_CLASSES)}, got {name!r}")
    if not isinstance(config, dict):
        raise TypeError(f"config of a {name} must be a dict, got {config!r}")
    return _CLASSES[name].from_config(config)


def check_keys(config: Any, name: str, *keys: str) -> None:
    """Raise unless ``config`` is a dict with these keys and no others."""
    if not isinstance(config, dict):
        raise TypeError(f"{name} must be a dict, got {config!r}")
    if set(config) != set(keys):
        raise ValueError(f"{name} must have the keys {', '.join(keys)}, got {', '.join(map(str, config))}")


def _named_weights(model: "Sequential") -> dict[str, np.ndarray]:
    # Positions, because a layer's name may hold characters that an archive's entry cannot.
    return {f"{i}/{name}": w for i, layer in enumerate(model.layers) for name, w in layer.named_weights.items()}


def _training(model: "Sequential") -> dict[str, Any]:
    """What training goes on from besides weights and the optimizer's state, as plain JSON types."""
    states = {str(i): layer.get_state() for i, layer in enumerate(model.layers) if hasattr(layer, "get_state")}
    return {"compile": model.get_compile_config(), "stepped": model._stepped, "layers": states}


def _optimizer_state(model: "Sequential") -> dict[str, np.ndarray]:
    state = {} if model.optimizer is None else model.optimizer.get_state()
    for name, array in state.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"{model._label}: the optimizer's state must be finite to be saved, got infinities or NaN in {name}; "
                "compile the model anew to save it"
            )
    return {f"{_OPTIMIZER}{name}": array for name, array in state.items()}


def _set_training(model: "Sequential", training: Any, state: dict[str, np.ndarray]) -> None:
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


def _read(file: BinaryIO) -> tuple[Any, dict[str, np.ndarray]]:
    """The JSON text's content and the arrays by entry, not yet compared with each other."""
    if not zipfile.is_zipfile(file):
        raise ValueError("it is no zip archive, or is cut short")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        entries = {name: archive[name] for name in archive.files}
    text = entries.pop("config", None)
    if not isinstance(text, np.ndarray) or text.dtype.kind != "U" or text.ndim != 0:
        raise ValueError("it has no entry 'config' with a text in it")
    return _header(text.item()), entries


def _header(text: str) -> dict[str, Any]:
    """The content of the entry ``config``, of a format that this version knows."""
    try:
        header = json.loads(text)
    # RecursionError: brackets nested too deeply.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its entry 'config' is not valid JSON: {error}") from error
    version = header.get("format_version") if isinstance(header, dict) else None
    if type(version) is not int or version < 1 or "model" not in header:
        raise ValueError("its entry 'config' must be a JSON object with a format_version and a model")
    if version > FORMAT_VERSION:
        writer = header.get("library_version")
        raise ValueError(
            f"format_version must be at most {FORMAT_VERSION} for numbaconv {__version__}, got {version}, written by "
            f"numbaconv {writer}"
        )
    return header


def _with_weights(config: Any, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The configuration with each layer's arrays as its ``weights`` argument."""
    entries = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("config"), dict) for e in entries
    ):
        raise ValueError("its model must have a list of layers, each with a config")
    for i, entry in enumerate(entries):
        entry["config"]["weights"] = [array for name, array in arrays.items() if name.startswith(f"{i}/")]
    return config


def _check_weights(model: "Sequential", arrays: dict[str, np.ndarray]) -> None:
    """Raise ValueError unless the arrays are those that the model has, in name, order and dtype."""
    weights = _named_weights(model)
    if not model.built or list(arrays) != list(weights):
        raise ValueError(f"its weights must be {list(weights)} of a built model, got {list(arrays)}")
    for name, weight in weights.items():
        # Either byte order will do: the machine that wrote the file may have had the other one.
        if arrays[name].dtype.newbyteorder("=") != weight.dtype:
            raise ValueError(f"its weight {name!r} must have dtype {weight.dtype}, got {arrays[name].dtype}")

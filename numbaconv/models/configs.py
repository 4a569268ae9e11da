"""Configurations of models: what may stand in them, and the layers made from them."""

import importlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..layers.wrapping import Wrapper, config_of, kinds

# Models by the names that Keras's configurations have for them; `numbaconv.models` adds them.
MODELS: dict[str, Any] = {}
# What stands for the class of an operation of Keras's, which has Keras's description of it in place of settings.
OPERATION = "KerasOperation"


def layer_config(layer: Any) -> dict[str, Any]:
    """The class and the settings of a layer or a model as plain JSON types."""
    described = layer._described
    # Of operations that Keras 3 has not, many have become layers, which can be told.
    if described is not None and (is_modern(described) or type(layer) not in kinds().values()):
        return {"class_name": OPERATION, "config": {"name": layer.name, "operation": described}}
    told = config_of(layer)
    return {key: told[key] for key in ("class_name", "config")}


def layer_from_config(entry: Any, custom_objects: Any = None) -> Any:
    """The layer or model that `layer_config` described, with fresh weights."""
    check_keys(entry, "a layer in config", "class_name", "config")
    name, config = entry["class_name"], entry["config"]
    own = (custom_objects or {}).get(name) if isinstance(name, str) else None
    if own is not None:
        return own.from_config(config)
    if name == OPERATION:
        return operation_from(config)
    if not isinstance(name, str) or name not in kinds():
        raise ValueError(f"class_name must be one of {', '.join(kinds())}, got {name!r}")
    if name in MODELS:
        return MODELS[name].from_config(config, custom_objects)
    if not isinstance(config, dict):
        raise TypeError(f"config of a {name} must be a dict, got {config!r}")
    cls = kinds()[name]
    if issubclass(cls, Wrapper):
        config = {**config, **{one: _held(config[one], custom_objects) for one in cls._inner if config.get(one)}}
    return cls.from_config(config)


def _held(entry: Any, custom_objects: Any) -> Any:
    """The layer that another one holds; its entry says more of it, for Keras's sake."""
    known = {name: entry[name] for name in ("class_name", "config") if name in entry} if isinstance(entry, dict) else 0
    return layer_from_config(known, custom_objects)


def is_modern(described: dict[str, Any]) -> bool:
    """Whether Keras 3 has an operation of this description."""
    return str(described["module"]).startswith("keras.src.ops.")


def operation_from(config: Any) -> Any:
    """The layer that an operation of Keras's became, made anew."""
    check_keys(config, f"config of a {OPERATION}", "name", "operation")
    # Most networks do without all of them.
    made = importlib.import_module(f"{__package__}.keras.operations").described
    return made(config["name"], config["operation"])


def check_names(listed: Iterable[Any]) -> None:
    """Raise ValueError if two layers have the same name, by which connections and files tell them apart."""
    counts = Counter(layer.name for layer in listed)
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"layers must have names of their own, got several {twice!r}; pass another name= to one")


def check_keys(config: Any, name: str, *keys: str) -> None:
    """Raise unless ``config`` is a dict with these keys and no others."""
    if not isinstance(config, dict):
        raise TypeError(f"{name} must be a dict, got {config!r}")
    if set(config) != set(keys):
        raise ValueError(f"{name} must have the keys {', '.join(keys)}, got {', '.join(map(str, config))}")


def check_model_keys(config: Any) -> None:
    """Raise unless ``config`` is a dict with the keys of a model's configuration."""
    optional = ("trainable",) if isinstance(config, dict) and "trainable" in config else ()
    check_keys(config, "config", "build_input_shape", "layers", "name", *optional)

"""Configurations of models: what may stand in them, and the layers made from them."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..layers.wrapping import Wrapper, config_of, kinds

# Models by the names that Keras's configurations have for them; `numbaconv.models` adds them.
MODELS: dict[str, Any] = {}


def layer_config(layer: Any) -> dict[str, Any]:
    """The class and the settings of a layer or a model as plain JSON types."""
    told = config_of(layer)
    return {key: told[key] for key in ("class_name", "config")}


def layer_from_config(entry: Any, custom_objects: Any = None) -> Any:
    """The layer or model that `layer_config` described, with fresh weights."""
    check_keys(entry, "a layer in config", "class_name", "config")
    name, config = entry["class_name"], entry["config"]
    own = (custom_objects or {}).get(name) if isinstance(name, str) else None
    if own is not None:
        return own.from_config(config)
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

"""Configurations of models: what may stand in them, and the layers made from them."""

from typing import Any

from .. import layers

# By the names of the classes; `numbaconv.layers` has aliases besides.
_CLASSES: dict[str, type[layers.Layer]] = {
    cls.__name__: cls for cls in (getattr(layers, name) for name in layers.__all__) if cls is not layers.Layer
}


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


def check_model_keys(config: Any) -> None:
    """Raise unless ``config`` is a dict with the keys of a model's configuration."""
    optional = ("trainable",) if isinstance(config, dict) and "trainable" in config else ()
    check_keys(config, "config", "build_input_shape", "layers", "name", *optional)

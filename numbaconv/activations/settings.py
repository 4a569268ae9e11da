"""Activations with other settings than their own, such as a leaky rectifier of another slope."""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ..objects.strict import suggestion
from .bounded import log_softmax, softmax, sparsemax
from .function import Activation, Array, Gradient
from .rectifiers import elu, leaky_relu, relu

# Keras's layers that do the same as an activation, and what they call its arguments; values where theirs are others.
LAYERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ELU": (elu, {}),
    "LeakyReLU": (leaky_relu, {"negative_slope": 0.3}),
    "ReLU": (relu, {}),
    "Softmax": (softmax, {}),
}
# What a layer's config says besides, and Keras 2's name.
_OF_LAYERS = ("name", "trainable", "dtype", "batch_input_shape", "batch_shape")
_RENAMED = {"alpha": "negative_slope"}


class WithSettings:
    """An activation and values of its keyword arguments."""

    def __init__(self, function: Any, settings: tuple[tuple[str, Any], ...]) -> None:
        self.function, self.settings = function, settings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WithSettings) and (self.function, self.settings) == (other.function, other.settings)

    def __hash__(self) -> int:
        return hash((self.function, self.settings))

    def __repr__(self) -> str:
        return f"WithSettings(function={self.function!r}, settings={self.settings!r})"

    def __call__(self, x: Array) -> Array:
        out: Array = self.function(x, **dict(self.settings))
        return out

    @property
    def gradient(self) -> Gradient:
        derivative: Gradient = partial(self.function.gradient, **dict(self.settings))
        return derivative


def with_settings(function: Any, settings: Mapping[str, Any]) -> Activation:
    """An activation whose keyword arguments have these values; the function itself where those are its own.

    Raises TypeError or ValueError if it has no such argument, or not such values of it.
    """
    own = {name: one.default for name, one in inspect.signature(function).parameters.items() if name != "x"}
    unknown = [name for name in settings if name not in own]
    if unknown:
        near = suggestion(str(unknown[0]), own)
        raise TypeError(f"{function.__name__} takes {', '.join(own) or 'no settings'}, got {unknown[0]!r}{near}")
    plain = {name: _plain(value) for name, value in settings.items()}
    others = {name: value for name, value in plain.items() if not _same(value, own[name])}
    if not others:
        return function
    made = WithSettings(function, tuple(others.items()))
    # As many axes as an array can have of those that a setting may name.
    made(np.zeros((1,) * 32, np.float32))
    return made


def from_config(config: Mapping[str, Any]) -> Activation | str:
    """The activation that a config of Keras's describes: that of a layer, or of a function, then its name.

    Raises TypeError or ValueError if it describes neither.
    """
    name, settings = config.get("class_name"), config.get("config")
    if name == "function" and isinstance(settings, str):
        return settings
    if not isinstance(name, str) or name not in LAYERS or not isinstance(settings, Mapping | None):
        raise ValueError(
            f"activation must be a config of one of {', '.join(LAYERS)}, or of a function, got {dict(config)!r}"
        )
    function, own = LAYERS[name]
    given = {str(key): value for key, value in (settings or {}).items() if key not in _OF_LAYERS}
    if name == "LeakyReLU":
        given = {_RENAMED.get(key, key): value for key, value in given.items()}
    return with_settings(function, {**own, **given})


def to_config(activation: Any) -> dict[str, Any] | None:
    """The config from which `from_config` makes this activation; None where Keras has no layer for it."""
    if isinstance(activation, WithSettings):
        for name, (function, own) in LAYERS.items():
            if activation.function is function:
                defaults = {key: one.default for key, one in inspect.signature(function).parameters.items()}
                told = {**{key: defaults[key] for key in own}, **dict(activation.settings)}
                plain = {key: list(value) if isinstance(value, tuple) else value for key, value in told.items()}
                return {"module": "keras.layers", "class_name": name, "config": plain, "registered_name": None}
    return None


def meeting_axes(activation: Any, count: int) -> tuple[int, ...]:
    """Axes of an array of so many along which the values meet that an activation of ours makes others of."""
    own = isinstance(activation, WithSettings)
    function, settings = (activation.function, dict(activation.settings)) if own else (activation, {})
    if function not in (softmax, log_softmax, sparsemax):
        return ()
    axis = settings.get("axis", -1)
    return tuple(one % count for one in (axis if isinstance(axis, tuple) else (axis,)))


def _same(value: Any, own: Any) -> bool:
    # True is 1 for Python.
    return bool(value == own) and isinstance(value, bool) == isinstance(own, bool)


def _plain(value: Any) -> Any:
    """A setting without NumPy's types, whose numbers would decide the dtype of results."""
    if isinstance(value, tuple | list):
        return tuple(_plain(one) for one in value)
    return value.item() if isinstance(value, np.generic) else value

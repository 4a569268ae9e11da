"""From what a file says of a layer to the arguments of the layer here."""

import warnings
from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from typing import Any

import numpy as np

from ... import activations, constraints, initializers, regularizers
from ...activations.function import activation
from ...layers.arguments import argument_names, family_of

# Shapes are known from the connections, and weights never stand in a configuration.
_DROPPED = frozenset({"batch_input_shape", "batch_shape", "batch_size", "input_shape", "weights", "build_config"})
# Arguments that are not known here, and say nothing about results, whatever their value.
_SILENT = frozenset(
    {
        *("consume_less", "forget_bias_init", "implementation", "input_dim", "input_dtype", "input_length", "ragged"),
        *("sparse", "unroll", "use_cudnn", "use_legacy_config", "autocast", "lora_rank", "lora_alpha", "seed"),
        *("flash_attention", "noise_shape", "quantization_config", "virtual_batch_size", "renorm_momentum"),
        *("query_shape", "key_shape", "value_shape"),
    }
)
# What has no effect on results.
_UNUSED = initializers, regularizers, constraints
_HALF = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")


class Reading:
    """How the layers of one file of a version of Keras's are read; custom objects are by name."""

    def __init__(self, version: str, custom_objects: Mapping[str, Any] | None = None) -> None:
        self.old = version[:1] in "12"
        self.custom: Mapping[str, Any] = {} if custom_objects is None else custom_objects
        # Whether a warning said how a layer is read.
        self.warned = False
        self._said_half = False
        self._components: dict[tuple[str, str], Any] = {}

    def arguments(self, cls: Any, config: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a layer class for the configuration that a file has of it, in today's words.

        Raises ValueError if it asks for something that is not done here.
        """
        names, found = _names_of(cls), {}
        for key, value in config.items():
            family = family_of(key)
            if key == "dtype":
                found[key] = self.dtype(value)
            elif key in _DROPPED or (key == "name" and not value):
                continue
            elif key not in names:
                # One group is none, and what has no effect does no harm: separable layers have a kernel_initializer.
                harmless = (None, False, [], {}, *cls._neutral.get(key, ((),))[0])
                silent = key in _SILENT or family in _UNUSED
                if not silent and value not in harmless and (key, value) != ("groups", 1):
                    raise ValueError(f"{key} must not be {value!r}, because {cls.__name__} has no {key} here")
            elif family is activations:
                found[key] = self.activation(value)
            elif family is not None:
                # They are not needed to predict, so that an unknown one does no harm.
                component = self._component(family, value)
                if component is not None:
                    found[key] = component
            else:
                found[key] = value
        if "data_format" in names and found.get("data_format") is None:
            # What is computed must not depend on this library's settings.
            found["data_format"] = "channels_last"
        return found

    def _component(self, family: Any, value: Any) -> Any:
        """`known_component`, whose like is often the same: layers get copies of one, which are their own."""
        key = family.__name__, repr(value)
        if key not in self._components:
            self._components[key] = known_component(family, value)
        return copy(self._components[key])

    def activation(self, value: Any) -> Any:
        """The activation that a name or a configuration means."""
        if isinstance(value, dict) and isinstance(value.get("config"), str):
            # A function, as Keras 3 describes it.
            value = value["config"]
        if isinstance(value, dict) and value.get("class_name") in self.custom:
            return self.custom[value["class_name"]]
        if isinstance(value, str):
            short = value.rpartition(">")[2]
            if value in self.custom or short in self.custom:
                return self.custom[value if value in self.custom else short]
            value = short
            if value == "hard_sigmoid" and self.old:
                return old_hard_sigmoid
        try:
            return activations.get(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{error}; custom_objects={{'name': function}} gives a function by its name") from None

    def dtype(self, value: Any) -> str | None:
        """The dtype that a policy means: numbers of 16 bits are computed with 32, which is said once."""
        if isinstance(value, dict):
            config = value.get("config")
            value = config.get("name") if isinstance(config, dict) else None
        if value in _HALF:
            if not self._said_half:
                self.warned = self._said_half = True
                # Beyond this file: the user's own line.
                warnings.warn(f"{value} is computed in float32, with weights of float32", UserWarning, stacklevel=2)
            return "float32"
        if value not in (None, "float32", "float64"):
            raise ValueError(f"dtype must be float32 or float64, or a policy of 16 bits, got {value!r}")
        return value


@lru_cache(maxsize=256)
def _names_of(cls: Any) -> frozenset[str]:
    return frozenset(argument_names(cls))


def known_component(family: Any, value: Any) -> Any:
    """An initializer, a regularizer or a constraint; None for those that are not known here."""
    if isinstance(value, dict):
        config = value.get("config")
        if isinstance(config, dict):
            # Some versions say the dtype and axes, too.
            config = {k: v for k, v in config.items() if k not in ("dtype", "input_axes", "output_axes")}
            value = {"class_name": value.get("class_name"), "config": config}
    try:
        return family.get(value)
    except (ValueError, TypeError, KeyError):
        return None


def _old_gradient(grad_out: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where((y > 0) & (y < 1), grad_out * y.dtype.type(0.2), y.dtype.type(0))


@activation(_old_gradient)
def old_hard_sigmoid(x: np.ndarray) -> np.ndarray:
    """What ``hard_sigmoid`` was up to Keras 2: ``minimum(maximum(0.2 * x + 0.5, 0), 1)``; in Keras 3 it is steeper."""
    half, slope = x.dtype.type(0.5), x.dtype.type(0.2)
    return np.clip(slope * x + half, 0, 1)

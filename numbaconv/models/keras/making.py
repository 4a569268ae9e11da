"""From an architecture to a model of this library's layers."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ... import layers
from ...common.structures import leaves, mapped
from ...layers.base import Layer
from ...layers.merging import Merge
from ...layers.wrapping import kinds
from ..connections import connected
from ..model import Model
from ..sequential import Sequential
from .applications import APPLICATIONS
from .architecture import Architecture, Call, Part, Place, part_of
from .arguments import Reading
from .masks import used
from .old_names import renamed
from .operations import is_operation, operation

_WRAPPED = ("layer", "backward_layer")
# Layers of Keras's that hand on what they get, but in training.
_AT_RANDOM = {"AlphaDropout", "AugMix", "RandAugment"} | {
    f"Random{what}"
    for what in (
        *("Brightness", "ColorDegeneration", "ColorJitter", "Contrast", "ElasticTransform", "Erasing", "Flip"),
        *("GaussianBlur", "Grayscale", "Hue", "Invert", "Perspective", "Posterization", "Rotation", "Saturation"),
        *("Sharpness", "Shear", "Translation", "Zoom"),
    )
}


class Maker:
    """Makes models and layers, and remembers the order in which the file lists the layers of each model."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        # By the identity of a model.
        self.listed: dict[int, list[Any]] = {}
        # Of layers that are of another class here, by their identity.
        self.classes: dict[int, str] = {}

    def model(self, architecture: Architecture) -> Any:
        """The model that an architecture describes, built where it says of what shape its inputs are."""
        return self._sequential(architecture) if architecture.sequential else self._functional(architecture)

    def layer(self, part: Part) -> Any:
        """The layer or the model that a part describes."""
        made = self._layer(part)
        name = part.class_name.rpartition(">")[2]
        if part.inner is None and type(made).__name__ != name:
            self.classes[id(made)] = name
        return made

    def _layer(self, part: Part) -> Any:
        with _named(part):
            if part.inner is not None:
                model = self.model(part.inner._replace(name=part.name))
                if part.config.get("trainable") is False:
                    model._trainable = False
                return model
            own = self._custom_class(part)
            if own is not None:
                return self._custom_layer(own, part)
            if part.class_name in _AT_RANDOM:
                # Many networks begin with some of them, or have them between layers with selu.
                what = f"{part.class_name} changes what it gets in training alone"
                self.reading.warned = True
                warnings.warn(f"{what}: it is read as Identity, and fit does without", UserWarning, stacklevel=2)
                part = part._replace(class_name="Identity", config={"dtype": part.config.get("dtype")})
            class_name, config = renamed(part.class_name, part.config)
            if class_name == "InputLayer":
                return _input(config, part.name)
            if class_name == "Lambda":
                return self._lambda(part)
            # Keras 2 says of some that they are registered: Custom>CustomScaleLayer.
            cls: Any = kinds().get(class_name) or APPLICATIONS.get(class_name.removeprefix("Custom>"))
            if cls is None:
                given = f"custom_objects={{{part.class_name!r}: YourLayer}} gives its class, "
                given += "derived from numbaconv.layers.Layer"
                # Layers say whether they are trained.
                if "trainable" not in part.config and not self.reading.old:
                    raise ValueError(f"the operation {part.class_name} is not done here; if it is a layer, {given}")
                raise ValueError(f"{part.class_name} is no layer of numbaconv.layers: {given}")
            wrapped = {key: config[key] for key in _WRAPPED if isinstance(config.get(key), dict)}
            arguments = self.reading.arguments(cls, {**config, "name": part.name})
            arguments.update({key: self.layer(part_of(entry)) for key, entry in wrapped.items()})
            return cls(**arguments)

    def _sequential(self, architecture: Architecture) -> Any:
        made = [self.layer(part) for part in architecture.parts]
        model = Sequential(made, name=architecture.name)
        if architecture.input_shape is not None and not model.built:
            model.build(_shape(architecture.input_shape))
        self.listed[id(model)] = made
        return model

    def _functional(self, architecture: Architecture) -> Any:
        made, calls = [], []
        for part in used(architecture):
            with _named(part):
                if is_operation(part):
                    layer, called = operation(part)
                else:
                    layer, called = self.layer(part), part.calls
                made.append(layer)
                calls.append([_arguments(layer, call) for call in called])
        place_of: Callable[[Any], Any] = lambda value: list(value) if isinstance(value, Place) else None  # noqa: E731
        found = connected(made, calls, place_of)
        inputs, outputs = (
            mapped(lambda place: found(list(place)), one, lambda value: isinstance(value, Place))
            for one in (architecture.inputs, architecture.outputs)
        )
        model = Model(inputs, outputs, name=architecture.name)
        self.listed[id(model)] = made
        return model

    def _custom_class(self, part: Part) -> Any:
        registered = part.registered_name or ""
        for name in (part.class_name, registered, part.class_name.rpartition(">")[2], registered.rpartition(">")[2]):
            if name and isinstance(self.reading.custom.get(name), type):
                return self.reading.custom[name]
        return None

    def _custom_layer(self, cls: Any, part: Part) -> Any:
        if not issubclass(cls, Layer):
            raise ValueError(f"custom_objects must have a class derived from numbaconv.layers.Layer, got {cls!r}")
        config = {**part.config, "name": part.name}
        if "dtype" in config:
            config["dtype"] = self.reading.dtype(config["dtype"])
        return cls.from_config({key: value for key, value in config.items() if key != "build_config"})

    def _lambda(self, part: Part) -> Any:
        function = self.reading.custom.get(part.name)
        if not callable(function):
            raise ValueError(
                f"a Lambda is code, which is not run out of a file: custom_objects={{{part.name!r}: function}} gives "
                "the function"
            )
        return layers.Lambda(function, name=part.name, trainable=part.config.get("trainable", True))


@contextmanager
def _named(part: Part) -> Iterator[None]:
    """Put the name of the layer in front of what is wrong with it, once."""
    try:
        yield
    except (ValueError, TypeError) as error:
        label = f"layer {part.name!r} ({part.class_name})"
        text = str(error)
        raise ValueError(text if text.startswith("layer ") else f"{label}: {text}") from error


def _input(config: dict[str, Any], name: str) -> Any:
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if shape is None:
        raise ValueError("an input must have a batch_shape")
    dtype = config.get("dtype") or config.get("input_dtype")
    if isinstance(dtype, dict):
        dtype = (dtype.get("config") or {}).get("name")
    # What a policy of 16 bits takes in is cast anyway.
    known = isinstance(dtype, str) and "float16" not in dtype
    return layers.InputLayer(batch_shape=_shape(shape), dtype=dtype if known else None, name=name)


def _shape(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or not all(n is None or type(n) is int for n in value):
        raise ValueError(f"the shape of an input must be a list of sizes (None where unknown), got {value!r}")
    return tuple(value)


def _arguments(layer: Any, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a layer is called with here."""
    positional = list(call.arguments)
    # Keras says for each input of a model that it has no mask.
    keywords = {key: value for key, value in call.keywords.items() if any(one is not None for one in leaves(value))}
    if "training" in keywords:
        # A part that is always computed as outside training, or never; old files have numbers.
        if keywords["training"] not in (False, True):
            raise ValueError(f"training must be True or False in the call of a layer, got {keywords['training']!r}")
        keywords["training"] = bool(keywords["training"])
    if positional and isinstance(positional[0], Place) and isinstance(layer, Merge):
        positional[0] = [positional[0]]
    return tuple(positional), keywords

"""What a Keras configuration says of a network, the same for every version of Keras: layers, and who feeds whom."""

from collections.abc import Iterator
from typing import Any

from ...common.structures import leaves, mapped
from ...objects.tuples import NamedTuple

MODELS = ("Functional", "Model", "Sequential")
_TENSOR = "__keras_tensor__"
_CLASS = "registered_name", "module"


class Place(NamedTuple):
    """Where a tensor comes from: a layer, one of its calls, and one of the results of that."""

    layer: str
    call: int
    number: int


class Call(NamedTuple):
    """One call of a layer; a `Place` stands wherever a tensor goes."""

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


class Part(NamedTuple):
    """A layer, a model or an operation of a network, as its file describes it.

    ``config`` is Keras's own, in the words of the version that wrote it. A model has its parts in ``inner``.
    """

    class_name: str
    name: str
    config: dict[str, Any]
    calls: tuple[Call, ...] = ()
    inner: "Architecture | None" = None
    registered_name: str | None = None
    # Where Keras 3 looks up its class.
    module: str | None = None


class Constant(list):
    """An array that stands in a call, as lists of numbers."""

    dtype: str = "float32"


class Architecture(NamedTuple):
    """A network: a line of layers if it is sequential, otherwise the structures of places where it begins and ends."""

    name: str | None
    sequential: bool
    parts: tuple[Part, ...]
    inputs: Any = None
    outputs: Any = None
    # Of a sequential network, with the batch axis.
    input_shape: Any = None


def architecture_of(entry: Any) -> Architecture:
    """The network that a model's ``class_name`` and ``config`` describe.

    Raises ValueError if they are not those of a model, or lack what belongs to one.
    """
    class_name, config = checked(entry, "the model")
    if class_name == "Sequential" or isinstance(config, list):
        return _sequential(config)
    if not isinstance(config, dict) or "layers" not in config or "input_layers" not in config:
        kinds = ", ".join(MODELS)
        raise ValueError(
            f"its model must be one of {kinds}, got {class_name!r}, whose code is not in the file: make the model in "
            "Python, and load its weights"
        )
    entries = _listed(config["layers"], "layers")
    for one in entries:
        checked(one, "a layer")
    names = [one.get("name") or _config_of(one).get("name") for one in entries]
    if len(set(map(str, names))) < len(entries):
        raise ValueError("its layers must have names of their own")
    known = set(names)
    parts = tuple(part_of(one, known) for one in entries)
    ends = [_ends(config.get(key), known, key) for key in ("input_layers", "output_layers")]
    modern = any(isinstance(node, dict) for one in entries for node in one.get("inbound_nodes") or [])
    return _counted(Architecture(config.get("name"), False, parts, *ends), modern)


def part_of(entry: Any, names: Any = frozenset()) -> Part:
    """The layer or model that an entry describes, among others of these names."""
    class_name, config = checked(entry, "a layer")
    name = entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or class_name.lower()
    if not isinstance(name, str):
        raise ValueError(f"the name of a layer must be a text, got {name!r}")
    calls = tuple(_call(node, class_name, names) for node in _listed(entry.get("inbound_nodes") or [], "inbound_nodes"))
    inner = None
    if class_name in MODELS or (isinstance(config, dict) and "input_layers" in config):
        inner = architecture_of(entry)
        config = config if isinstance(config, dict) else {}
    if not isinstance(config, dict):
        raise ValueError(f"layer {name!r} ({class_name}): config must be a dict, got {config!r}")
    registered, module = (entry.get(key) if isinstance(entry.get(key), str) else None for key in _CLASS)
    return Part(class_name, name, config, calls, inner, registered, module)


def checked(entry: Any, what: str) -> tuple[str, Any]:
    """The class and the configuration of an entry."""
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str) or "config" not in entry:
        raise ValueError(f"{what} must have a class_name and a config, got {str(entry)[:80]}")
    return entry["class_name"], entry["config"]


def places(value: Any) -> Iterator[Place]:
    """The places in a structure."""
    return (one for one in leaves(value, _is_filled) if _is_filled(one))


def _sequential(config: Any) -> Architecture:
    settings = config if isinstance(config, dict) else {"layers": config}
    parts = [part_of(entry) for entry in _listed(settings.get("layers"), "layers")]
    shape = settings.get("build_input_shape")
    first = parts[0].config if parts else {}
    for key in ("batch_shape", "batch_input_shape"):
        shape = first.get(key) or shape
    if shape is None and parts and parts[0].inner is not None:
        shape = parts[0].inner.input_shape
    if parts and parts[0].class_name == "InputLayer":
        parts = parts[1:]
    return Architecture(settings.get("name"), True, tuple(parts), input_shape=shape)


def _counted(found: Architecture, modern: bool) -> Architecture:
    """With the calls of models counted from 0; and, of an old file, with no lists of one where it begins and ends.

    Keras 2 counts those of most models from 1 and those of all layers from 0. Keras 3 counts calls of functional models
    from 1 where the network ends, and from 0 within it.
    """
    ends = [found.inputs, found.outputs]
    if modern:
        first = {part.name: 1 for part in found.parts if part.inner is not None and not part.inner.sequential}
        return found._replace(outputs=_moved(found.outputs, first))
    models = {part.name for part in found.parts if part.inner is not None}
    numbers: dict[str, list[int]] = {}
    for place in places([ends, [[*call] for part in found.parts for call in part.calls]]):
        numbers.setdefault(place.layer, []).append(place.call)
    first = {name: min(listed) for name, listed in numbers.items() if name in models}
    parts = tuple(
        part._replace(calls=tuple(Call(*_moved([*call], first)) for call in part.calls)) for part in found.parts
    )
    ends = [_moved(one[0] if isinstance(one, list) and len(one) == 1 else one, first) for one in ends]
    return found._replace(parts=parts, inputs=ends[0], outputs=ends[1])


def _moved(structure: Any, first: dict[str, int]) -> Any:
    """With the numbers of calls of some parts less by that of their first."""

    def moved(value: Any) -> Any:
        if not _is_filled(value):
            return value
        return value._replace(call=max(value.call - first.get(value.layer, 0), 0))

    return mapped(moved, structure, _is_filled)


def _is_filled(value: Any) -> bool:
    return isinstance(value, Place)


def _config_of(entry: dict[str, Any]) -> dict[str, Any]:
    config = entry.get("config")
    return config if isinstance(config, dict) else {}


def _listed(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {str(value)[:80]}")
    return value


# -- connections ---------------------------------------------------------------------------------------------------


def _call(node: Any, class_name: str, names: Any) -> Call:
    if isinstance(node, dict) and "args" in node:
        arguments, keywords = (_filled(node.get(key)) for key in ("args", "kwargs"))
        return Call(tuple(_listed(arguments, "args")), keywords or {})
    return _old_call(node, names)


def _filled(value: Any) -> Any:
    """A structure of Keras 3 with a place wherever it has a tensor, and with slices."""
    if isinstance(value, list):
        return [_filled(one) for one in value]
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if kind == _TENSOR:
        history: Any = config.get("keras_history") if isinstance(config, dict) else None
        if not _is_place(history):
            raise ValueError(f"keras_history must be a layer's name and two numbers, got {history!r}")
        name, call, number = history
        return Place(name, call, number)
    if kind == "__slice__" and isinstance(config, dict):
        return slice(config.get("start"), config.get("stop"), config.get("step"))
    if kind == "__ellipsis__":
        return Ellipsis
    if kind in ("__tensor__", "__numpy__") and isinstance(config, dict):
        found = config.get("value")
        if isinstance(found, list):
            found = Constant(found)
            found.dtype = str(config.get("dtype"))
        return found
    return {key: _filled(one) for key, one in value.items()}


def told(value: Any) -> Any:
    """What stands in a call, as a configuration of Keras 3 says it."""
    if isinstance(value, Place):
        return {"class_name": _TENSOR, "config": {"keras_history": list(value)}}
    if isinstance(value, slice):
        config = {"start": value.start, "stop": value.stop, "step": value.step}
        return {"class_name": "__slice__", "config": config}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, Constant):
        return {"class_name": "__numpy__", "config": {"value": list(value), "dtype": value.dtype}}
    if isinstance(value, dict):
        return {key: told(one) for key, one in value.items()}
    return [told(one) for one in value] if isinstance(value, list | tuple) else value


def _old_call(node: Any, names: Any) -> Call:
    """A call of Keras 1 or 2: lists of a layer's name, two numbers and keywords, which may name tensors, too."""
    keywords: dict[str, Any] = {}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        if not isinstance(value, list):
            return value
        if value[:1] == ["_CONSTANT_VALUE"] and len(value) >= 3:
            taken(value[3:])
            return value[2]
        if _is_place(value[:3]) and value[0] in names and len(value) in (3, 4):
            taken(value[3:])
            return Place(*value[:3])
        return [filled(one) for one in value]

    def taken(more: list[Any]) -> None:
        for one in more:
            if not isinstance(one, dict):
                raise ValueError(f"what a layer is called with must be a dict, got {one!r}")
            keywords.update({key: filled(value) for key, value in one.items()})

    found = filled(node)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not any(True for _ in places([found, keywords])):
        raise ValueError(f"inbound_nodes must name layers of the model, got {str(node)[:80]}")
    return Call((found,), keywords)


def _ends(value: Any, names: Any, key: str) -> Any:
    """Where a model begins or ends, as a place or a structure of places."""

    def filled(one: Any) -> Any:
        if _is_place(one) and one[0] in names:
            return Place(*one)
        if isinstance(one, dict):
            return {name: filled(part) for name, part in one.items()}
        if not isinstance(one, list) or not one:
            raise ValueError(f"{key} must name layers of the model, got {one!r}")
        return [filled(part) for part in one]

    return filled(value)


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and all(type(n) is int and n >= 0 for n in value[1:])
    )

"""Operations of Keras 3 and of TensorFlow that stand in a network without a layer: each becomes a layer.

TensorFlow's have names such as ``tf.math.reduce_mean`` or ``AddV2``, Keras's are classes such as ``Mean``. Each has a
handler here, which gets what the operation is called with and its settings, and returns a layer and what that is called
with. What has none is refused by name.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import activations, layers
from ...activations.settings import with_settings
from .architecture import Call, Part, Place, places
from .array_operations import ArrayOperation, indexed, padded, reduced, transposed

# Ways in which TensorFlow 2 wrote down what is no layer.
_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
# The result is that of an activation.
_ACTIVATIONS = {
    **{name: name for name in activations.__all__ if hasattr(vars(activations)[name], "gradient")},
    "exp": "exponential",
    "identity": "linear",
    "stop_gradient": "linear",
}
# Their first setting, which may also be given by its place, and the names that it has in other versions.
_SETTINGS = {
    **dict.fromkeys(("elu", "celu"), ("alpha",)),
    **dict.fromkeys(("leaky_relu", "relu"), ("negative_slope", "alpha")),
    **dict.fromkeys(("softmax", "log_softmax", "sparsemax"), ("axis",)),
    "gelu": ("approximate",),
}
_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "abs": np.abs,
    "absolute": np.abs,
    "log": np.log,
    "negative": np.negative,
    "neg": np.negative,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sqrt": np.sqrt,
    "square": np.square,
}
_BINARY = {
    **dict.fromkeys(("add", "__add__", "__radd__"), "add"),
    **dict.fromkeys(("sub", "subtract", "__sub__"), "subtract"),
    **dict.fromkeys(("mul", "multiply", "__mul__", "__rmul__"), "multiply"),
    **dict.fromkeys(("div", "divide", "truediv", "true_divide", "real_div", "__truediv__"), "divide"),
    **{name: name for name in ("maximum", "minimum")},
    **dict.fromkeys(("pow", "power"), "power"),
}
_LAYERS = {"add": "Add", "subtract": "Subtract", "multiply": "Multiply", "maximum": "Maximum", "minimum": "Minimum"}
_REDUCTIONS = {
    **{name: name for name in ("max", "mean", "min", "sum", "prod")},
    **{f"reduce_{name}": name for name in ("max", "mean", "min", "sum", "prod")},
    **{"amax": "max", "amin": "min", "average": "mean"},
}
# A layer, and what it is called with.
Made = tuple[Any, Any]


def is_operation(part: Part) -> bool:
    """Whether a part is an operation, and no layer: some classes of Keras 3 have the name of a layer."""
    if part.class_name in _TENSORFLOW:
        return True
    if _plain(part.class_name) not in HANDLERS or part.inner is not None:
        return False
    if not hasattr(layers, part.class_name):
        return True
    # A layer says whether it is trained, and one that merges is called with a list.
    several = any(len(call.arguments) > 1 for call in part.calls)
    alone = part.class_name == "Average" and any(isinstance(call.arguments[0], Place) for call in part.calls)
    return "trainable" not in part.config and (several or alone or "newshape" in part.config)


def operation(part: Part) -> tuple[Any, tuple[Call, ...]]:
    """The layer that does what an operation does, and its calls.

    Raises ValueError if the operation is not done here.
    """
    name = _operation_name(part)
    handler = HANDLERS.get(_plain(name))
    if handler is None:
        raise ValueError(f"the operation {name} is not done here")
    if len(part.calls) != 1:
        raise ValueError(f"the operation {name} must be called once, got {len(part.calls)} calls")
    given = _given(part)
    layer, called = handler(_plain(name), part.name, given)
    rest = given.rest()
    if rest:
        told = ", ".join(f"{key}={value!r}" for key, value in rest.items())
        raise ValueError(f"the operation {name} is not done here with {told}")
    return layer, (Call((called,), {}),)


# -- what an operation is given ------------------------------------------------------------------------------------


class Given:
    """What an operation is called with and its settings; a handler takes what it knows."""

    def __init__(self, arguments: list[Any], settings: dict[str, Any]) -> None:
        self.arguments, self.settings = arguments, settings
        self._places: set[int] = set()

    def take(self, place: int, *names: str, default: Any = None) -> Any:
        """An argument that is given by its place or by one of some names."""
        found = [value for name in names if (value := self.settings.pop(name, None)) is not None]
        if len(self.arguments) > place:
            self._places.add(place)
            return self.arguments[place]
        return found[0] if found else default

    def all(self) -> list[Any]:
        """All that is given by its place."""
        self._places.update(range(len(self.arguments)))
        return self.arguments

    def rest(self) -> dict[str, Any]:
        """What nobody took, and asks for something."""
        left = {f"argument {i}": one for i, one in enumerate(self.arguments) if i not in self._places}
        rest = {
            name: one for name, one in {**left, **self.settings}.items() if one not in (None, []) and one is not False
        }
        if "float" in str(rest.get("dtype")):
            del rest["dtype"]
        return rest


def _operation_name(part: Part) -> str:
    if part.class_name == "TensorFlowOpLayer":
        return str(_node(part).get("op"))
    if part.class_name in _TENSORFLOW:
        return str(part.config.get("function"))
    return part.class_name


def _plain(name: str) -> str:
    """A name without modules and versions, in small letters: AddV2 is add, math.reduce_mean is reduce_mean."""
    last = name.rpartition(".")[2].removesuffix("V2").removesuffix("_v2")
    words = last if "_" in last else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last)
    return words.lower()


def _node(part: Part) -> dict[str, Any]:
    node = part.config.get("node_def")
    try:
        node = json.loads(node) if isinstance(node, str) else node
    except ValueError:
        node = None
    if not isinstance(node, dict):
        raise ValueError("node_def must be an operation of TensorFlow's in JSON")
    return node


def _given(part: Part) -> Given:
    """What an operation is given, the same for all ways to write it down."""
    (call,) = part.calls
    config = {key: value for key, value in part.config.items() if key not in ("name", "trainable", "function")}
    if part.class_name == "TensorFlowOpLayer":
        # Tensors in order; constants fill the numbers between.
        found = [call.arguments[0]] if isinstance(call.arguments[0], Place) else list(call.arguments[0])
        constants = part.config.get("constants") or {}
        for number in sorted(constants, key=int):
            found.insert(int(number), constants[number])
        attributes = _node(part).get("attr") or {}
        config = {_plain(key): _value(value) for key, value in attributes.items() if key != "N"}
        return Given(found, {**config, "dtype": _type(attributes.get("DstT"))})
    if part.class_name in _TENSORFLOW:
        # That of the layer, and not of the operation.
        config.pop("dtype", None)
    settings = {**config, **call.keywords}
    return Given(list(call.arguments), {key: value for key, value in settings.items() if key != "name"})


def _value(value: Any) -> Any:
    """An attribute of TensorFlow's: {"b": True}, {"list": {"i": ["1"]}}; None if it is a type or another kind."""
    if not isinstance(value, dict):
        return value
    if "list" in value:
        return [int(one) for one in (value["list"] or {}).get("i", [])]
    return int(value["i"]) if "i" in value else value.get("b") or value.get("f")


def _type(value: Any) -> Any:
    return value["type"].removeprefix("DT_").lower() if isinstance(value, dict) and "type" in value else None


def _integers(value: Any, name: str) -> tuple[int, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(type(one) is int for one in values):
        raise ValueError(f"{name} must be whole numbers that are known, got {value!r}")
    return tuple(values)


# -- handlers ------------------------------------------------------------------------------------------------------


def _activation(plain: str, name: str, given: Given) -> Made:
    x = _first(given)
    kind = _ACTIVATIONS.get(plain, plain)
    known = _SETTINGS.get(kind, ())
    if "axis" in known and "axis" in given.settings and given.settings["axis"] is None:
        raise ValueError("axis must be a number, because the batch is not reduced")
    value = given.take(1, *known) if known else None
    settings = {} if value is None else {known[0]: value}
    settings.update({key: given.take(len(given.arguments), key) for key in given.rest()})
    if kind == "softmax" and settings.get("axis", -1) != -1:
        return layers.Softmax(axis=settings["axis"], name=name), x
    function = with_settings(vars(activations)[kind], settings)
    return layers.Activation(function, name=name), x


def _function(plain: str, name: str, given: Given) -> Made:
    return ArrayOperation(_FUNCTIONS[plain], name=name), _first(given)


def _cast(plain: str, name: str, given: Given) -> Made:
    x, dtype = _first(given), given.take(1, "dtype")
    if dtype is not None and "float" not in str(dtype):
        raise ValueError(f"cast must be to a float type, since no others are computed here, got {dtype!r}")
    return layers.Activation("linear", name=name), x


def _first(given: Given) -> Any:
    found = given.take(0, "x", "input", "features", "inputs", "tensor", "values", "logits", "a")
    if not any(True for _ in places(found)):
        raise ValueError("an operation must be called with what a layer gives")
    return found


def _binary(plain: str, name: str, given: Given) -> Made:
    kind = _BINARY[plain]
    a, b = given.take(0, "x1", "x"), given.take(1, "x2", "y")
    if isinstance(a, Place) and isinstance(b, Place):
        if kind not in _LAYERS:
            raise ValueError(f"{plain} must have a number in one of its places")
        return getattr(layers, _LAYERS[kind])(name=name), [a, b]
    turned = isinstance(b, Place)
    place, constant = (b, a) if turned else (a, b)
    if not isinstance(place, Place) or not isinstance(constant, int | float | list):
        raise ValueError(f"{plain} must be called with what a layer gives and a number, got {constant!r}")
    if isinstance(constant, list) or kind in ("maximum", "minimum", "power") or (turned and kind == "divide"):
        return _with_constant(kind, name, np.asarray(constant, np.float64), turned), place
    if kind == "divide" and not constant:
        raise ValueError("divide must not have a divisor of 0")
    scale, offset = {
        "add": (1.0, constant),
        "subtract": (-1.0, constant) if turned else (1.0, -constant),
        "multiply": (constant, 0.0),
        "divide": (1 / (constant or 1), 0.0),
    }[kind]
    return layers.Rescaling(float(scale), float(offset), name=name), place


def _with_constant(kind: str, name: str, constant: np.ndarray, turned: bool) -> Any:
    function = getattr(np, kind)

    def compute(x: np.ndarray) -> np.ndarray:
        fitting = constant.astype(x.dtype)
        found: np.ndarray = function(fitting, x) if turned else function(x, fitting)
        return found

    def shape(given: tuple[int | None, ...]) -> tuple[int | None, ...]:
        # Sizes that are not known stay so, and the constant is repeated.
        full = np.broadcast_shapes(constant.shape, tuple(1 if n is None else n for n in given))
        if len(full) != len(given):
            raise ValueError(f"a constant must have at most {len(given)} axes, got shape {constant.shape}")
        return tuple(None if n is None else size for n, size in zip(given, full, strict=True))

    return ArrayOperation(compute, shape, name=name)


def _reduction(plain: str, name: str, given: Given) -> Made:
    x, axes = _first(given), given.take(1, "axis", "reduction_indices")
    if axes is None:
        raise ValueError(f"{plain} must have axes, because the batch is not reduced")
    keep = bool(given.take(2, "keepdims", "keep_dims", default=False))
    return reduced(_REDUCTIONS[plain], _integers(axes, "axis"), keep, name), x


def _reshape(plain: str, name: str, given: Given) -> Made:
    x, target = _first(given), given.take(1, "newshape", "shape")
    sizes = [-1 if one is None else one for one in target] if isinstance(target, list | tuple) else target
    _, *rest = _integers(sizes, "newshape")
    return layers.Reshape(tuple(rest), name=name), x


def _transpose(plain: str, name: str, given: Given) -> Made:
    x, order = _first(given), given.take(1, "axes", "perm")
    return transposed(None if order is None else _integers(order, "perm"), name), x


def _squeeze(plain: str, name: str, given: Given) -> Made:
    x, axes = _first(given), given.take(1, "axis", "squeeze_dims")
    if axes in (None, []):
        raise ValueError("squeeze must have an axis")
    dropped = _integers(axes, "axis")

    def index(count: int) -> list[Any]:
        places = {axis % count for axis in dropped}
        return [0 if axis in places else slice(None) for axis in range(count)]

    return indexed(index, name), x


def _expand(plain: str, name: str, given: Given) -> Made:
    x = _first(given)
    new = _integers(given.take(1, "axis", "dim"), "axis")

    def index(count: int) -> list[Any]:
        total = count + len(new)
        places = {axis % total for axis in new}
        return [None if axis in places else slice(None) for axis in range(total)]

    return indexed(index, name), x


def _pad(plain: str, name: str, given: Given) -> Made:
    x, widths = _first(given), given.take(1, "pad_width", "paddings")
    mode, value = given.take(len(given.arguments), "mode"), given.take(2, "constant_values")
    if mode not in (None, "constant", "CONSTANT"):
        raise ValueError(f"mode must be 'constant', got {mode!r}")
    if not isinstance(widths, list | tuple):
        raise ValueError(f"the padding must be two numbers for each axis, got {widths!r}")
    pairs = [_integers(one, "padding") for one in widths]
    return padded(pairs, float(value or 0), name), x


def _concatenate(plain: str, name: str, given: Given) -> Made:
    axis = given.settings.pop("axis", -1)
    *values, last = [*given.all(), given.settings.pop("values", None)]
    if last is not None:
        values = last
    elif isinstance(values[0], list):
        # The list, and maybe the axis.
        values, axis = values[0], (*values[1:], axis)[0]
    elif not isinstance(values[-1], Place):
        # TensorFlow's node has them one after the other.
        *values, axis = values
    (along,) = _integers(axis, "axis")
    return layers.Concatenate(axis=along, name=name), values


def _item(plain: str, name: str, given: Given) -> Made:
    x, spec = _first(given), given.take(1, "key", "slice_spec")
    parts = [_index(one) for one in (spec if isinstance(spec, list | tuple) else [spec])]

    def index(count: int) -> list[Any]:
        given = sum(1 for one in parts if one is not None and one is not Ellipsis)
        rest = [slice(None)] * (count - given)
        if Ellipsis in parts:
            at = parts.index(Ellipsis)
            return [*parts[:at], *rest, *parts[at + 1 :]]
        return [*parts, *rest]

    return indexed(index, name), x


def _index(one: Any) -> Any:
    if isinstance(one, dict):
        if one.get("class_name") == "__ellipsis__":
            return Ellipsis
        one = slice(one.get("start"), one.get("stop"), one.get("step")) if "start" in one else one.get("value")
    numbers = (one.start, one.stop, one.step) if isinstance(one, slice) else (one,)
    if one is not Ellipsis and not all(n is None or type(n) is int for n in numbers):
        raise ValueError(f"an index must be whole numbers or slices of those, got {one!r}")
    return one


def _clip(plain: str, name: str, given: Given) -> Made:
    x = _first(given)
    low, high = given.take(1, "x_min", "clip_value_min"), given.take(2, "x_max", "clip_value_max")
    if not all(isinstance(one, int | float) for one in (low, high)):
        raise ValueError(f"clip must have two numbers, got {low!r} and {high!r}")
    return ArrayOperation(lambda x: np.clip(x, low, high), name=name), x


Handler = Callable[[str, str, Given], Made]
HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_ACTIVATIONS, _activation),
    **dict.fromkeys(_FUNCTIONS, _function),
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(("concat", "concatenate"), _concatenate),
    **dict.fromkeys(("clip", "clip_by_value"), _clip),
    **dict.fromkeys(("getitem", "get_item", "__getitem__"), _item),
    "average": _reduction,
    "cast": _cast,
    "expand_dims": _expand,
    "pad": _pad,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "transpose": _transpose,
}

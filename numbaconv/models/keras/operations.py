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

from ... import layers
from .architecture import Call, Part, Place, places
from .array_operations import ArrayOperation, indexed, padded, reduced, transposed

# Ways in which TensorFlow 2 wrote down what is no layer.
_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
# The result is that of an activation.
_ACTIVATIONS = {
    **{name: name for name in ("elu", "gelu", "leaky_relu", "relu", "relu6", "selu", "sigmoid", "softmax", "softplus")},
    **{
        name: name for name in ("hard_sigmoid", "hard_silu", "log_softmax", "mish", "silu", "softsign", "swish", "tanh")
    },
    "exp": "exponential",
    "hard_swish": "hard_silu",
    "identity": "linear",
    "cast": "linear",
    "stop_gradient": "linear",
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
    **dict.fromkeys(("amax",), "max"),
    **dict.fromkeys(("amin",), "min"),
}
# A layer, and what it is called with.
Made = tuple[Any, Any]


def is_operation(part: Part) -> bool:
    """Whether a part is an operation, and no layer: some classes of Keras 3 have the name of a layer."""
    if part.class_name in _TENSORFLOW:
        return True
    if _plain(part.class_name) not in HANDLERS or part.inner is not None:
        return False
    # A layer is called with one thing, and says whether it is trained.
    several = any(len(call.arguments) > 1 for call in part.calls)
    return not hasattr(layers, part.class_name) or ("trainable" not in part.config and several)


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
    arguments, settings = _given(part)
    layer, called = handler(_plain(name), part.name, arguments, settings)
    return layer, (Call((called,), {}),)


# -- what an operation is given ------------------------------------------------------------------------------------


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


def _given(part: Part) -> tuple[list[Any], dict[str, Any]]:
    """The positional arguments and the settings of an operation, the same for all ways to write them down."""
    (call,) = part.calls
    if part.class_name == "TensorFlowOpLayer":
        # Tensors in order; constants fill the numbers between.
        found = [call.arguments[0]] if isinstance(call.arguments[0], Place) else list(call.arguments[0])
        constants = part.config.get("constants") or {}
        for number in sorted(constants, key=int):
            found.insert(int(number), constants[number])
        attributes = _node(part).get("attr") or {}
        return found, {_plain(key): _value(value) for key, value in attributes.items()}
    settings = {key: value for key, value in {**part.config, **call.keywords}.items() if key not in _NEITHER}
    return list(call.arguments), settings


_NEITHER = ("name", "trainable", "dtype", "function")


def _value(value: Any) -> Any:
    """An attribute of TensorFlow's: {"b": True}, {"list": {"i": ["1"]}}."""
    if not isinstance(value, dict):
        return value
    if "list" in value:
        return [int(one) for one in (value["list"] or {}).get("i", [])]
    return int(value["i"]) if "i" in value else value.get("b", value.get("f"))


def _argument(arguments: list[Any], settings: dict[str, Any], place: int, *names: str, default: Any = None) -> Any:
    """An argument that is given by its place or by one of some names."""
    if len(arguments) > place:
        return arguments[place]
    return next((settings[name] for name in names if settings.get(name) is not None), default)


def _integers(value: Any, name: str) -> tuple[int, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(type(one) is int for one in values):
        raise ValueError(f"{name} must be whole numbers that are known, got {value!r}")
    return tuple(values)


# -- handlers ------------------------------------------------------------------------------------------------------


def _activation(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    if plain == "softmax":
        axis = _argument(arguments, settings, 1, "axis", default=-1)
        if axis != -1:
            return layers.Softmax(axis=axis, name=name), _first(arguments, settings)
    return layers.Activation(_ACTIVATIONS[plain], name=name), _first(arguments, settings)


def _function(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    return ArrayOperation(_FUNCTIONS[plain], name=name), _first(arguments, settings)


def _first(arguments: list[Any], settings: dict[str, Any]) -> Any:
    found = _argument(arguments, settings, 0, "x", "input", "features", "inputs", "tensor", "values", "logits", "a")
    if not any(True for _ in places(found)):
        raise ValueError("an operation must be called with what a layer gives")
    return found


def _binary(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    kind = _BINARY[plain]
    a = _argument(arguments, settings, 0, "x1", "x")
    b = _argument(arguments, settings, 1, "x2", "y")
    if isinstance(a, Place) and isinstance(b, Place):
        if kind not in _LAYERS:
            raise ValueError(f"{plain} must have a number in the second place")
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


def _reduction(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    axes = _argument(arguments, settings, 1, "axis", "reduction_indices")
    if axes is None:
        raise ValueError(f"{plain} must have axes, because the batch is not reduced")
    keep = bool(_argument(arguments, settings, 2, "keepdims", "keep_dims", default=False))
    return reduced(_REDUCTIONS[plain], _integers(axes, "axis"), keep, name), _first(arguments, settings)


def _reshape(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    target = _argument(arguments, settings, 1, "newshape", "shape")
    sizes = [-1 if one is None else one for one in target] if isinstance(target, list | tuple) else target
    _, *rest = _integers(sizes, "newshape")
    return layers.Reshape(tuple(rest), name=name), _first(arguments, settings)


def _transpose(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    order = _argument(arguments, settings, 1, "axes", "perm")
    return transposed(None if order is None else _integers(order, "perm"), name), _first(arguments, settings)


def _squeeze(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    axes = _argument(arguments, settings, 1, "axis", "squeeze_dims")
    if axes in (None, []):
        raise ValueError("squeeze must have an axis")
    dropped = _integers(axes, "axis")

    def index(count: int) -> list[Any]:
        places = {axis % count for axis in dropped}
        return [0 if axis in places else slice(None) for axis in range(count)]

    return indexed(index, name), _first(arguments, settings)


def _expand(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    (axis,) = _integers(_argument(arguments, settings, 1, "axis", "dim"), "axis")

    def index(count: int) -> list[Any]:
        found: list[Any] = [slice(None)] * count
        found.insert(axis % (count + 1), None)
        return found

    return indexed(index, name), _first(arguments, settings)


def _pad(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    widths = _argument(arguments, settings, 1, "pad_width", "paddings")
    if settings.get("mode") not in (None, "constant", "CONSTANT"):
        raise ValueError(f"mode must be 'constant', got {settings['mode']!r}")
    value = _argument(arguments, settings, 2, "constant_values")
    if not isinstance(widths, list | tuple):
        raise ValueError(f"the padding must be two numbers for each axis, got {widths!r}")
    pairs = [_integers(one, "padding") for one in widths]
    return padded(pairs, float(value or 0), name), _first(arguments, settings)


def _concatenate(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    if arguments and isinstance(arguments[0], list):
        values, axis = arguments[0], _argument(arguments, settings, 1, "axis", default=-1)
    elif all(isinstance(one, Place) for one in arguments[:-1]):
        # TensorFlow's node has them one after the other.
        *values, axis = arguments
    if "values" in settings:
        values, axis = settings["values"], settings.get("axis", -1)
    (along,) = _integers(axis, "axis")
    return layers.Concatenate(axis=along, name=name), values


def _item(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    spec = _argument(arguments, settings, 1, "key", "slice_spec")
    parts = [_index(one) for one in (spec if isinstance(spec, list | tuple) else [spec])]

    def index(count: int) -> list[Any]:
        given = sum(1 for one in parts if one is not None and one is not Ellipsis)
        rest = [slice(None)] * (count - given)
        if Ellipsis in parts:
            at = parts.index(Ellipsis)
            return [*parts[:at], *rest, *parts[at + 1 :]]
        return [*parts, *rest]

    return indexed(index, name), _first(arguments, settings)


def _index(one: Any) -> Any:
    if isinstance(one, dict):
        one = slice(one.get("start"), one.get("stop"), one.get("step")) if "start" in one else one.get("value")
        one = Ellipsis if isinstance(one, dict) else one
    numbers = (one.start, one.stop, one.step) if isinstance(one, slice) else (one,)
    if one is not Ellipsis and not all(n is None or type(n) is int for n in numbers):
        raise ValueError(f"an index must be whole numbers or slices of those, got {one!r}")
    return one


def _clip(plain: str, name: str, arguments: list[Any], settings: dict[str, Any]) -> Made:
    low = _argument(arguments, settings, 1, "x_min", "clip_value_min")
    high = _argument(arguments, settings, 2, "x_max", "clip_value_max")
    if not all(isinstance(one, int | float) for one in (low, high)):
        raise ValueError(f"clip must have two numbers, got {low!r} and {high!r}")
    return ArrayOperation(lambda x: np.clip(x, low, high), name=name), _first(arguments, settings)


Handler = Callable[[str, str, list[Any], dict[str, Any]], Made]
HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_ACTIVATIONS, _activation),
    **dict.fromkeys(_FUNCTIONS, _function),
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(("concat", "concatenate"), _concatenate),
    **dict.fromkeys(("clip", "clip_by_value"), _clip),
    **dict.fromkeys(("getitem", "get_item", "__getitem__"), _item),
    "expand_dims": _expand,
    "pad": _pad,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "transpose": _transpose,
}

"""Operations of Keras 3 and of TensorFlow that stand in a network without a layer: each becomes a layer.

TensorFlow's have names such as ``tf.math.reduce_mean`` or ``AddV2``, Keras's are classes such as ``Mean``. Each has a
handler here, which gets what the operation is called with and its settings, and returns a layer and what that is called
with. What has none is refused by name.
"""

import json
import math
import re
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import activations, layers
from ...activations.settings import WithSettings, to_config, with_settings
from ..configs import check_keys
from . import contractions, moving
from .architecture import Call, Part, Place, part_of
from .array_operations import OF_TWO, ArrayOperation, OfTwo, Unwritten, along, both, reduced
from .choices import chosen, gated, gray, taken
from .descriptions import ENTRY, description_of
from .given import Given, Handler, Made, first, integers

# Ways in which TensorFlow 2 wrote down what is no layer.
_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
# The result is that of an activation.
_ACTIVATIONS = {
    **{name: name for name in activations.__all__ if hasattr(vars(activations)[name], "gradient")},
    "exp": "exponential",
    "identity": "linear",
}
# Their first setting, which may also be given by its place, and the names that it has in other versions.
_SETTINGS = {
    **dict.fromkeys(("elu", "celu"), ("alpha",)),
    **dict.fromkeys(("leaky_relu", "relu"), ("negative_slope", "alpha")),
    **dict.fromkeys(("softmax", "log_softmax", "sparsemax"), ("axis",)),
    "gelu": ("approximate",),
}
# Functions of one array, value by value, and their slopes, of it and the result.
_FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    **dict.fromkeys(("abs", "absolute"), (np.abs, lambda x, y: np.sign(x))),
    **{name: (getattr(np, name), lambda x, y: 0) for name in ("ceil", "floor", "isnan", "round", "sign")},
    **dict.fromkeys(("negative", "neg"), (np.negative, lambda x, y: -1)),
    "arctan": (np.arctan, lambda x, y: 1 / (1 + x * x)),
    "cos": (np.cos, lambda x, y: -np.sin(x)),
    "cosh": (np.cosh, lambda x, y: np.sinh(x)),
    "erf": (np.vectorize(math.erf, [np.float64]), lambda x, y: np.exp(-x * x) * (2 / math.sqrt(math.pi))),
    "expm1": (np.expm1, lambda x, y: y + 1),
    "log": (np.log, lambda x, y: 1 / x),
    "log10": (np.log10, lambda x, y: np.log10(np.e) / x),
    "log1p": (np.log1p, lambda x, y: 1 / (1 + x)),
    "log2": (np.log2, lambda x, y: np.log2(np.e) / x),
    "reciprocal": (np.reciprocal, lambda x, y: -y * y),
    "rsqrt": (lambda x: 1 / np.sqrt(x), lambda x, y: -y / (2 * x)),
    "sin": (np.sin, lambda x, y: np.cos(x)),
    "sinh": (np.sinh, lambda x, y: np.cosh(x)),
    "sqrt": (np.sqrt, lambda x, y: 0.5 / y),
    "square": (np.square, lambda x, y: 2 * x),
    "stop_gradient": (np.asarray, lambda x, y: 0),
}
_BINARY = {
    **dict.fromkeys(("add", "__add__", "__radd__"), "add"),
    **dict.fromkeys(("sub", "subtract", "__sub__"), "subtract"),
    **dict.fromkeys(("mul", "multiply", "__mul__", "__rmul__"), "multiply"),
    **dict.fromkeys(("div", "divide", "truediv", "true_divide", "real_div", "__truediv__"), "divide"),
    **{name: name for name in ("maximum", "minimum")},
    **dict.fromkeys(("arctan2", "atan2"), "arctan2"),
    **dict.fromkeys(("pow", "power"), "power"),
    **{name: name for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")},
}
_LAYERS: dict[str, Any] = {
    **{name: getattr(layers, name.title()) for name in ("add", "subtract", "multiply", "maximum", "minimum")},
}
_REDUCTIONS = {
    **{name: name for name in ("max", "mean", "min", "sum", "prod", "std", "var")},
    **{f"reduce_{name}": name for name in ("max", "mean", "min", "sum", "prod", "std")},
    **{"norm": "norm", "euclidean_norm": "norm", "logsumexp": "logsumexp", "reduce_logsumexp": "logsumexp"},
    **{"argmax": "argmax", "argmin": "argmin", "arg_max": "argmax", "arg_min": "argmin"},
    **{"amax": "max", "amin": "min", "average": "mean", "reduce_variance": "var"},
}


class _Activation(Unwritten, layers.Activation):
    """One with settings, for which Keras has no layer."""


def is_operation(part: Part) -> bool:
    """Whether a part is an operation, and no layer: some classes of Keras 3 have the name of a layer."""
    if part.class_name in _TENSORFLOW:
        return True
    if str(part.module).startswith("keras.src.ops."):
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
    calls, descriptions = [], []
    for call in part.calls:
        given = _given(part, call)
        layer, called = handler(_plain(name), part.name, given)
        rest = given.rest()
        if rest:
            told = ", ".join(f"{key}={value!r}" for key, value in rest.items())
            raise ValueError(f"the operation {name} is not done here with {told}")
        calls.append(Call((called,), {}))
        descriptions.append(description_of(part, call, called))
    if not calls or any(one != descriptions[0] for one in descriptions):
        raise ValueError(f"the operation {name} must be called, each time with the same settings")
    # To cast what is of this type already hands it on with its mask.
    if handler is not _cast:
        layer._described = descriptions[0]
    return layer, tuple(calls)


def described(name: str, description: Any) -> Any:
    """The layer of an operation that has this description."""
    check_keys(description, "operation in config", *ENTRY, "args", "kwargs")
    entry = {key: description[key] for key in ENTRY}
    node = {key: description[key] for key in ("args", "kwargs")}
    return operation(part_of({**entry, "name": name, "inbound_nodes": [node]}))[0]


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


def _given(part: Part, call: Call) -> Given:
    """What an operation is given in a call, the same for all ways to write it down."""
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
    if "s" in value:
        return b64decode(value["s"]).decode()
    return int(value["i"]) if "i" in value else value.get("b") or value.get("f")


def _type(value: Any) -> Any:
    return value["type"].removeprefix("DT_").lower() if isinstance(value, dict) and "type" in value else None


# -- handlers ------------------------------------------------------------------------------------------------------


def _activation(plain: str, name: str, given: Given) -> Made:
    x = first(given)
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
    unnamed = isinstance(function, WithSettings) and to_config(function) is None
    return (_Activation if unnamed else layers.Activation)(function, name=name), x


def _function(plain: str, name: str, given: Given) -> Made:
    function, slope = _FUNCTIONS[plain]
    if given.take(1, "decimals", default=0):
        raise ValueError("decimals must be 0")
    back = lambda x, out, grad_out: grad_out * slope(x, out)  # noqa: E731
    return ArrayOperation(function, back=back, name=name), first(given)


def _cast(plain: str, name: str, given: Given) -> Made:
    x, dtype = first(given), given.take(1, "dtype")
    if dtype is not None and "float" not in str(dtype):
        raise ValueError(f"cast must be to a float type, since no others are computed here, got {dtype!r}")
    return layers.Activation("linear", name=name), x


def _binary(plain: str, name: str, given: Given) -> Made:
    kind = _BINARY[plain]
    a, b = given.take(0, "x1", "x", "value"), given.take(1, "x2", "y", "bias")
    if isinstance(a, Place) and isinstance(b, Place):
        return (_LAYERS[kind](name=name) if kind in _LAYERS else OfTwo(kind, name=name)), [a, b]
    turned = isinstance(b, Place)
    place, constant = (b, a) if turned else (a, b)
    if not isinstance(place, Place) or not isinstance(constant, int | float | list):
        raise ValueError(f"{plain} must be called with what a layer gives and a number, got {constant!r}")
    scaled = ("add", "subtract", "multiply", *(() if turned else ("divide",)))
    if isinstance(constant, list) or kind not in scaled:
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


def _bias(plain: str, name: str, given: Given) -> Made:
    data_format = given.take(2, "data_format", default="NHWC")
    if not str(data_format).startswith("N") or str(data_format).startswith("NC"):
        raise ValueError(f"data_format must have the channels last, got {data_format!r}")
    return _binary("add", name, given)


def _with_constant(kind: str, name: str, constant: np.ndarray, turned: bool) -> Any:
    function, *slopes = OF_TWO[kind]

    def pair(x: np.ndarray) -> tuple[np.ndarray, ...]:
        fitting = constant.astype(x.dtype)
        return (fitting, x) if turned else (x, fitting)

    def back(x: np.ndarray, out: np.ndarray, grad_out: np.ndarray) -> np.ndarray:
        grad: np.ndarray = grad_out * slopes[turned](*pair(x), out)
        repeated = tuple(i for i, (n, size) in enumerate(zip(x.shape, grad.shape, strict=True)) if n != size)
        return grad.sum(repeated, keepdims=True)

    def shape(given: tuple[int | None, ...]) -> tuple[int | None, ...]:
        # Sizes that are not known stay so, and the constant is repeated.
        full = np.broadcast_shapes(constant.shape, tuple(1 if n is None else n for n in given))
        if len(full) != len(given):
            raise ValueError(f"a constant must have at most {len(given)} axes, got shape {constant.shape}")
        return tuple(None if n is None else size for n, size in zip(given, full, strict=True))

    return ArrayOperation(lambda x: function(*pair(x)), shape, back, name=name)


def _reduction(plain: str, name: str, given: Given) -> Made:
    x, axes = first(given), given.take(2 if plain == "norm" else 1, "axis", "reduction_indices")
    if axes is None:
        raise ValueError(f"{plain} must have axes, because the batch is not reduced")
    # All numbers are floats here.
    given.settings.pop("output_type", None)
    keep = bool(given.take(3 if plain == "norm" else 2, "keepdims", "keep_dims", default=False))
    order = given.take(1, "ord") if plain == "norm" else None
    if order not in (None, 2):
        raise ValueError(f"ord must be 2, got {order!r}")
    return reduced(_REDUCTIONS[plain], integers(axes, "axis"), keep, name), x


def _moments(plain: str, name: str, given: Given) -> Made:
    x, axes = first(given), integers(given.take(1, "axes"), "axes")
    keep = bool(given.take(3, "keepdims", "keep_dims", default=False))
    return both(reduced("mean", axes, keep, f"{name}_mean"), reduced("var", axes, keep, f"{name}_var"), name), x


def _normalize(plain: str, name: str, given: Given) -> Made:
    x, axes = first(given), integers(given.take(1, "axis", default=-1), "axis")
    least, order = given.take(2, "epsilon"), given.take(3, "order", default=2)
    if order != 2:
        raise ValueError(f"order must be 2, got {order!r}")
    # TensorFlow's is of the sum of squares.
    least = (least or 1e-7) ** 2 if plain == "normalize" else least or 1e-12

    def length(x: np.ndarray) -> Any:
        return np.sqrt(np.maximum(np.square(x).sum(axes, keepdims=True, dtype=np.float64), least))

    def back(x: np.ndarray, out: np.ndarray, grad_out: np.ndarray) -> np.ndarray:
        n = length(x)
        along = (out * grad_out).sum(axes, keepdims=True) * (n * n > least)
        found: np.ndarray = (grad_out - out * along) / n
        return found

    return ArrayOperation(lambda x: x / length(x), back=back, name=name), x


def _clip(plain: str, name: str, given: Given) -> Made:
    x = first(given)
    low, high = given.take(1, "x_min", "clip_value_min"), given.take(2, "x_max", "clip_value_max")
    if not all(isinstance(one, int | float) for one in (low, high)):
        raise ValueError(f"clip must have two numbers, got {low!r} and {high!r}")
    back = lambda x, out, grad_out: grad_out * ((x >= low) & (x <= high))  # noqa: E731
    return ArrayOperation(lambda x: np.clip(x, low, high), back=back, name=name), x


def _one_hot(plain: str, name: str, given: Given) -> Made:
    x, (count,) = first(given), integers(given.take(1, "num_classes", "depth"), "num_classes")
    if given.take(2, "axis", default=-1) != -1:
        raise ValueError("axis must be -1")
    return ArrayOperation(lambda x: x[..., None] == np.arange(count), lambda given: (*given, count), name=name), x


def _cumsum(plain: str, name: str, given: Given) -> Made:
    x, (axis,) = first(given), integers(given.take(1, "axis"), "axis")
    back = lambda x, out, grad_out: np.flip(np.cumsum(np.flip(grad_out, axis), axis), axis)  # noqa: E731
    return along(lambda x: np.cumsum(x, axis), (axis,), 1, name, back), x


def _pool(plain: str, name: str, given: Given) -> Made:
    x, size = first(given), given.take(1, "pool_size", "ksize")
    rank = len(size) if isinstance(size, list | tuple) else 2
    kind = "MaxPooling" if plain == "max_pool" else "AveragePooling"
    strides, padding = given.take(2, "strides"), given.take(3, "padding", default="valid")
    told = given.take(4, "data_format") or "channels_last"
    layer: Any = getattr(layers, f"{kind}{rank}D", None)
    if layer is None or told != "channels_last":
        raise ValueError(f"{plain} must be along 1 to 3 axes with the channels last, got {size!r}, {told!r}")
    return layer(size, strides, padding, data_format=told, name=name), x


def _where(plain: str, name: str, given: Given) -> Made:
    parts = [given.take(i, *names) for i, names in enumerate((("condition",), ("x1", "x"), ("x2", "y")))]
    tensors = [one for one in parts if isinstance(one, Place)]
    if len(tensors) < 2 or not all(isinstance(one, Place | int | float) for one in parts):
        raise ValueError("where must be called with what layers give, and one number at most")
    return chosen([None if isinstance(one, Place) else one for one in parts], name), tensors


def _glu(plain: str, name: str, given: Given) -> Made:
    x, (axis,) = first(given), integers(given.take(1, "axis", default=-1), "axis")
    return gated(axis, name), x


def _take(plain: str, name: str, given: Given) -> Made:
    x, at, (axis,) = first(given), np.asarray(given.take(1, "indices")), integers(given.take(2, "axis"), "axis")
    integers(at.ravel().tolist(), "indices")
    return taken(at, axis, name), x


def _gray(plain: str, name: str, given: Given) -> Made:
    if given.take(1, "data_format") not in (None, "channels_last"):
        raise ValueError("data_format must be 'channels_last'")
    return gray(name), first(given)


HANDLERS: dict[str, Handler] = {
    **contractions.HANDLERS,
    **moving.HANDLERS,
    **dict.fromkeys(_ACTIVATIONS, _activation),
    **dict.fromkeys(_FUNCTIONS, _function),
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(("clip", "clip_by_value"), _clip),
    **dict.fromkeys(("l2_normalize", "normalize"), _normalize),
    **dict.fromkeys(("max_pool", "average_pool"), _pool),
    "average": _reduction,
    "bias_add": _bias,
    "cast": _cast,
    "cumsum": _cumsum,
    "glu": _glu,
    "moments": _moments,
    "one_hot": _one_hot,
    **dict.fromkeys(("rgb_to_grayscale", "rgbto_grayscale"), _gray),
    "take": _take,
    **dict.fromkeys(("where", "select"), _where),
}

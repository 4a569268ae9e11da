"""Keras 3 on the TensorFlow CPU backend, and the few places where it has to be asked in another way.

Values are always computed channels last, whatever the configuration says: TensorFlow's CPU kernels lack most
channels-first operations. The input is transposed on the way in and the output on the way out, and only then activated,
because softmax acts on the last axis of the user's layout.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from .random_configurations import WEIGHTED, Config, data_format

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
# oneDNN announces itself on stderr and rounds differently from one processor to the next.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras", minversion="3.0")

Shape = tuple[int | None, ...]

CHANNELS_LAST_AND_BARE = {"data_format": "channels_last", "activation": None}
PAGE_ARGUMENTS = [
    *("filters", "kernel_size", "strides", "padding", "output_padding", "data_format", "dilation_rate"),
    *(
        "depth_multiplier",
        "groups",
        "use_bias",
        "activation",
        "size",
        "interpolation",
        "cropping",
        "pool_size",
        "keepdims",
    ),
]
# Arguments that Keras 3 has and the page has not.
NOT_ON_THE_PAGE = {("Conv3DTranspose", "dilation_rate"), ("ZeroPadding1D", "data_format")}


def page_arguments(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Of a Keras layer's own configuration, the arguments on the page that decide what the layer computes."""
    return {key: config[key] for key in PAGE_ARGUMENTS if key in config and (name, key) not in NOT_ON_THE_PAGE}


class KerasRefusalError(Exception):
    """Keras raised, be it a considered refusal or a crash of TensorFlow's."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, which are errors in this project: those of Keras are not ours to fix."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def plain(value: Any) -> Any:
    """The argument without NumPy integers, which Keras refuses and the specification accepts."""
    if isinstance(value, np.integer):
        return int(value)
    return type(value)(plain(entry) for entry in value) if isinstance(value, tuple | list) else value


def keras_layer(config: Config, weights: list[np.ndarray] | None = None, **changes: Any) -> Any:
    """Keras's layer for the configuration, built for its input shape, with the weights if there are any."""
    arguments = {name: plain(value) for name, value in config["kwargs"].items()}
    layer = getattr(keras.layers, config["layer"])(dtype=config["dtype"], **{**arguments, **changes})
    shape = config["shape"]
    if changes and data_format(config) == "channels_first":
        shape = (shape[0], *shape[2:], shape[1])
    layer.build(shape)
    if weights is not None:
        layer.set_weights(weights)
    return layer


def declared(config: Config) -> tuple[Shape, list[tuple[int, ...]]]:
    """Keras's compute_output_shape and the shapes of its weights, in the configuration's own data format."""
    try:
        layer = keras_layer(config)
        return tuple(layer.compute_output_shape(config["shape"])), [tuple(w.shape) for w in layer.weights]
    except Exception as error:
        raise KerasRefusalError(str(error)) from error


def output(config: Config, x: np.ndarray, weights: list[np.ndarray]) -> tuple[np.ndarray, str]:
    """What Keras computes for `x`, both in the configuration's own data format, and how it was asked."""
    first = data_format(config) == "channels_first"
    changes = {name: value for name, value in CHANNELS_LAST_AND_BARE.items() if name in config["kwargs"]}
    activation = keras.activations.get(config["kwargs"].get("activation"))
    try:
        with quiet():
            layer = keras_layer(config, weights, **changes)
            y, how = _call(config, layer, np.ascontiguousarray(np.moveaxis(x, 1, -1)) if first else x, weights)
            y = np.ascontiguousarray(np.moveaxis(y, -1, 1)) if first else y
            return np.asarray(activation(keras.ops.convert_to_tensor(y))), how
    except Exception as error:
        raise KerasRefusalError(str(error)) from error


def _call(config: Config, layer: Any, x: np.ndarray, weights: list[np.ndarray]) -> tuple[np.ndarray, str]:
    for reason, applies, another_way in KERAS_CANNOT if config["invalid"] is None else []:
        if applies(layer, x.shape[1:-1]):
            return another_way(layer, x, weights), reason
    return np.asarray(layer(x)), "asked directly"


# Where Keras cannot compute well-defined mathematics, and how the same numbers are had from other Keras operations.


Lengths = tuple[int, ...]


def _extents(layer: Any) -> list[int]:
    return [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]


def _same_padding(layer: Any, lengths: Lengths) -> list[int]:
    """The zeros that "same" needs on each axis; below zero where the strides leave the end of the input unread."""
    axes = zip(lengths, layer.strides, _extents(layer), strict=True)
    return [(-(-n // s) - 1) * s + extent - n for n, s, extent in axes]


def _same_ends_one_short(layer: Any, lengths: Lengths) -> bool:
    if not hasattr(layer, "output_padding") or layer.output_padding is None or layer.padding != "same":
        return False
    axes = zip(_extents(layer), layer.output_padding, strict=True)
    return any(extent % 2 == 0 and more == 0 for extent, more in axes)


def _dilated_transpose(layer: Any, lengths: Lengths) -> bool:
    return _is(layer, "Conv1DTranspose", "Conv2DTranspose") and max(layer.dilation_rate) > 1


def _unequal_strides(layer: Any, lengths: Lengths) -> bool:
    return _is(layer, "DepthwiseConv2D", "SeparableConv2D") and len(set(layer.strides)) > 1


def _negative_padding(layer: Any, lengths: Lengths) -> bool:
    return _is(layer, "Conv3D") and layer.padding == "same" and min(_same_padding(layer, lengths)) < -1


def _is(layer: Any, *names: str) -> bool:
    return type(layer).__name__ in names


def _with_bias(layer: Any, y: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    return y + weights[-1] if layer.use_bias else y


def scatter_then_cut(layer: Any, x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """A valid transposed convolution, the zeros of the dilation written into its kernel, cut to length afterwards."""
    extents = _extents(layer)
    kernel = np.zeros((*extents, *weights[0].shape[-2:]), weights[0].dtype)
    kernel[tuple(slice(None, None, d) for d in layer.dilation_rate)] = weights[0]
    y = np.asarray(keras.ops.conv_transpose(x, kernel, strides=layer.strides, padding="valid"))
    lengths = layer.compute_output_shape(x.shape)[1:-1]
    for axis, (n, length, stride, extent) in enumerate(
        zip(x.shape[1:-1], lengths, layer.strides, extents, strict=True), start=1
    ):
        natural = (n - 1) * stride + extent
        front = max(natural - length, 0) // 2 if layer.padding == "same" else 0
        y = np.take(y, range(front, min(front + length, y.shape[axis])), axis)
        missing = [(0, 0)] * y.ndim
        missing[axis] = (0, length - y.shape[axis])
        y = np.pad(y, missing)
    return _with_bias(layer, y, weights)


def _padded(layer: Any, x: np.ndarray) -> np.ndarray:
    if layer.padding != "same":
        return x
    total = [max(t, 0) for t in _same_padding(layer, x.shape[1:-1])]
    return np.pad(x, [(0, 0), *((t // 2, t - t // 2) for t in total), (0, 0)])


def padded_beforehand(layer: Any, x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    padded = keras.ops.convert_to_tensor(_padded(layer, x))
    y = keras.ops.conv(padded, weights[0], layer.strides, "valid", dilation_rate=layer.dilation_rate)
    return _with_bias(layer, np.asarray(y), weights)


def every_stride_apart(layer: Any, x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """The depthwise step with strides of one over a padded input, then every stride-th position of it."""
    y = keras.ops.depthwise_conv(_padded(layer, x), weights[0], padding="valid", dilation_rate=layer.dilation_rate)
    y = np.ascontiguousarray(np.asarray(y)[:, :: layer.strides[0], :: layer.strides[1]])
    if hasattr(layer, "pointwise_kernel"):
        y = np.asarray(keras.ops.conv(keras.ops.convert_to_tensor(y), weights[1]))
    return _with_bias(layer, y, weights)


AnotherWay = Callable[[Any, np.ndarray, list[np.ndarray]], np.ndarray]
KERAS_CANNOT: list[tuple[str, Callable[[Any, Lengths], bool], AnotherWay]] = [
    # TensorFlow expects ceil(output / stride) inputs, one fewer than there are.
    ("transposed, same, even kernel, output_padding 0: TensorFlow refuses", _same_ends_one_short, scatter_then_cut),
    ("transposed with dilation: TensorFlow has no CPU kernel", _dilated_transpose, scatter_then_cut),
    ("depthwise with unequal strides: TensorFlow has no CPU kernel", _unequal_strides, every_stride_apart),
    # The strides leave two or more positions unread, and TensorFlow then leaves half of them at the front.
    ("Conv3D, same, strides beyond the kernel: TensorFlow's values are wrong", _negative_padding, padded_beforehand),
]

# Where Keras computes something and the specification wants a refusal.
WE_REFUSE: list[tuple[str, Callable[[Config], bool]]] = [
    (
        "strides with dilation in a depthwise or separable layer: the page calls them incompatible",
        lambda config: (
            config["invalid"] == "strides with dilation" and config["layer"].startswith(("Depthwise", "Separable"))
        ),
    ),
]


def random_arrays(config: Config, shapes: list[tuple[int, ...]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """An input, and weights that keep the outputs near one so that a tolerance means the same everywhere."""
    rng = np.random.default_rng([config["seed"], 1])
    dtype = config["dtype"]
    shape = config["shape"]
    if config["invalid"] == "changed channels":
        axis = 1 if data_format(config) == "channels_first" else len(shape) - 1
        shape = (*shape[:axis], shape[axis] + 1, *shape[axis + 1 :])
    x = rng.standard_normal(shape).astype(dtype)
    if config["strided"]:
        x = np.asfortranarray(x)[..., ::-1]
    weights = []
    for index, weight_shape in enumerate(shapes):
        fan_in = np.prod(weight_shape[:-2])
        if config["layer"].endswith("Transpose"):
            fan_in *= weight_shape[-1]
        elif len(weight_shape) > 1 and (index or "Separable" not in config["layer"]) and "Depth" not in config["layer"]:
            fan_in *= weight_shape[-2]
        weights.append((rng.standard_normal(weight_shape) / np.sqrt(fan_in)).astype(dtype))
    return x, weights


def tolerance(config: Config) -> float:
    """The largest error allowed, relative to the largest output; zero where the layer only moves values."""
    if str(config["kwargs"].get("interpolation", "nearest")).lower() != "nearest":
        return 1e-5  # TensorFlow interpolates in float32 whatever it is given.
    if config["layer"] not in WEIGHTED:
        return 0.0
    return {"float32": 1e-5, "float64": 1e-10}[config["dtype"]]

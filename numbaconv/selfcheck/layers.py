"""Every layer against the textbook's loops on this machine: results, gradients, both precisions, both data formats."""

from collections.abc import Callable, Iterator
from functools import partial, singledispatch
from math import erfc, pi, prod, sqrt
from typing import Any

import numpy as np

from .. import layers, models, optimizers
from ..layers.arguments import argument_names
from ..layers.conv import Conv
from ..layers.merging import Merge
from ..layers.moving import Cropping, UpSampling, ZeroPadding
from ..layers.pooling import GlobalPooling, Pooling
from ..layers.resizing import OneSize
from ..layers.separable import DepthwiseConv, SeparableConv
from ..layers.transposed import ConvTranspose
from ..machine import threads
from ..objects.tuples import NamedTuple
from . import normalization, pairs, sequences, small_layers, textbook
from .small_layers import Array, Expected

# Of the largest value; Winograd's convolutions need that much.
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


class Check(NamedTuple):
    """A layer and the shape of one of its inputs, channels last."""

    name: str
    shape: tuple[int, ...]
    arguments: dict[str, Any]


def _checks() -> Iterator[Check]:
    lengths = {1: (11,), 2: (9, 8), 3: (5, 6, 7)}
    for rank, positions in lengths.items():
        shape = (2, *positions, 5)
        for kind in ("Max", "Average"):
            yield Check(f"{kind}Pooling{rank}D", shape, {"pool_size": 3, "strides": 2, "padding": "same"})
            yield Check(f"Global{kind}Pooling{rank}D", shape, {})
        yield Check(f"Cropping{rank}D", shape, {"cropping": 1})
        yield Check(f"ZeroPadding{rank}D", shape, {"padding": 2})
        yield Check(f"UpSampling{rank}D", shape, {"size": 2})
        yield Check(f"Conv{rank}D", shape, {"filters": 37, "kernel_size": 3, "strides": 2, "padding": "same"})
        arguments = {"filters": 7, "kernel_size": 3, "strides": 2, "padding": "same"}
        yield Check(f"Conv{rank}DTranspose", shape, arguments)
        if rank < 3:
            arguments = {"filters": 7, "kernel_size": 3, "depth_multiplier": 2, "padding": "same"}
            yield Check(f"SeparableConv{rank}D", shape, arguments)
        # Of few filters and of many, and a filter or two for each channel.
        shape, arguments = (2, *positions, 6), {"kernel_size": 3, "padding": "same"}
        for filters, groups in (6, 3), (38, 2), (12, 6):
            yield Check(f"Conv{rank}D", shape, {"filters": filters, "groups": groups, **arguments})
    image = (2, 9, 8, 5)
    for kind in ("bilinear", "bicubic", "lanczos3"):
        yield Check("UpSampling2D", image, {"size": (2, 3), "interpolation": kind})
    size = {"height": 5, "width": 11}
    yield Check("Resizing", image, {**size, "interpolation": "lanczos5", "antialias": True})
    yield Check("Resizing", image, {**size, "interpolation": "area", "pad_to_aspect_ratio": True, "fill_value": 2})
    yield Check("CenterCrop", image, {**size, "width": 5})
    yield Check("CenterCrop", image, size)
    yield Check("Conv1D", (2, 11, 5), {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2})
    yield Check("DepthwiseConv1D", (2, 11, 5), {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"})
    yield Check("DepthwiseConv2D", image, {"kernel_size": (3, 2), "depth_multiplier": 2, "strides": 2})
    yield Check("DepthwiseConv2D", image, {"kernel_size": 3, "dilation_rate": 2})
    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
        yield Check(name, image, {})
    yield Check("Dot", (2, 9, 5), {"axes": 2})
    yield Check("Attention", (2, 9, 5), {})
    yield Check("AdditiveAttention", (2, 9, 5), {"use_scale": False})
    # Large enough for several cores.
    large = (1, 20, 18, 16)
    for algorithm in ("direct", "winograd"):
        for taps in (3, 5):
            arguments = {"filters": 37, "kernel_size": taps, "padding": "same", "algorithm": algorithm}
            yield Check("Conv2D", large, arguments)
    # Few filters and many, where the result of channels_first is written to its planes at once.
    yield Check("Conv2D", (1, 40, 40, 16), {"filters": 2, "kernel_size": 3, "strides": 2})
    for filters in (2, 37):
        yield Check("SeparableConv2D", (1, 20, 18, 20), {"filters": filters, "kernel_size": 3})
    yield Check("DepthwiseConv2D", (1, 40, 40, 32), {"kernel_size": 3, "padding": "same"})
    yield Check("Conv2DTranspose", large, {"filters": 37, "kernel_size": 3, "algorithm": "winograd"})
    yield Check("Dense", (3, 4, 5), {"units": 37})
    yield Check("Flatten", image, {})
    yield Check("Activation", image, {"activation": "relu"})
    yield Check("Activation", image, {"activation": "gelu"})
    yield Check("Dropout", image, {"rate": 0.25, "seed": 1})
    yield Check("BatchNormalization", image, {})
    yield from (Check(*one) for one in (*small_layers.CHECKS, *normalization.CHECKS))
    sequence = (2, 6, 5)
    for name in ("SimpleRNN", "LSTM", "GRU"):
        yield Check(name, sequence, {"units": 4, "return_sequences": True})
    for rank in (1, 2, 3):
        cell: dict[str, Any] = {"filters": 3, "kernel_size": (3, 2, 2)[:rank], "return_sequences": True}
        yield Check(f"ConvLSTM{rank}D", (2, 3, *(5, 4, 3)[:rank], 2), cell)
    yield Check("Bidirectional", sequence, {"layer": ("GRU", {"units": 3, "return_sequences": True})})
    yield Check("MultiHeadAttention", sequence, {"num_heads": 3, "key_dim": 4})
    yield Check("Embedding", (3, 4), {"input_dim": 7, "output_dim": 5})
    yield Check("Masking", sequence, {"mask_value": 0.5})
    yield Check("TimeDistributed", (2, 3, 4, 5), {"layer": ("Dense", {"units": 7})})


def check_layers() -> Iterator[tuple[str, list[str]]]:
    """Check one layer class after the other: its name, and what is wrong with it, with the settings that show it."""
    checks: dict[str, list[Check]] = {}
    for check in _checks():
        checks.setdefault(check.name, []).append(check)
    for name, members in sorted(checks.items()):
        faults = []
        for check in members:
            given = ", ".join(f"{k}={v!r}" for k, v in check.arguments.items())
            for dtype in TOLERANCE:
                for data_format in _formats(check):
                    settings = f"{name}({given}), {dtype}, {data_format}"
                    # Whatever happens is to be told, and the other layers are to be looked at.
                    try:
                        faults += [f"{settings}: {fault}" for fault in _compare(check, dtype, data_format)]
                    except Exception as error:
                        faults.append(f"{settings}: {type(error).__name__}: {error}")
        yield name, faults


def call_rare_kernels() -> None:
    """Call layers with what has kernels of its own, and would take the check's loops long or have no use for them.

    That are long windows of few filters, weights that are infinite, values far above all others in images large enough
    for Winograd's algorithm, volumes that are, branches of few channels, few rows of many features, planes of one
    window, taps that lie far apart, activations of arrays that NumPy would take long for, and what networks join.
    """
    for dtype in TOLERANCE:
        rows = np.ones((2, 60, 60), dtype)
        for activation in ("relu", "sigmoid", "softmax", "log_softmax"):
            activating = layers.Activation(activation, dtype=dtype)
            activating.backward(activating.forward(rows))
        for amsgrad in (False, True):
            for weights in (rows[0], np.ones((200, 100), dtype)):
                optimizers.Adam(amsgrad=amsgrad).step([weights], [weights])
        for length in (5, 60):
            layers.GlobalAveragePooling1D("channels_first", dtype=dtype)(rows[..., :length])
        layers.GlobalMaxPooling1D("channels_first", dtype=dtype)(rows)
        layers.GlobalAveragePooling1D(dtype=dtype)(rows)
        layers.GlobalMaxPooling1D(dtype=dtype)(rows)
        shares = layers.Softmax(1, dtype=dtype)
        shares.backward(shares.forward(rows))
        for count in (1, 2):
            dense = layers.Dense(64, dtype=dtype)
            dense.backward(dense.forward(rows[0, :count]))
        for layer in (
            layers.Conv2D(2, 3, padding="same", dtype=dtype),
            layers.Conv2D(37, 3, padding="same", dtype=dtype),
            layers.DepthwiseConv2D(3, padding="same", dtype=dtype),
        ):
            x = np.ones((1, 4, 4, 2), dtype)
            layer.build(x.shape)
            layer.set_weights([np.full(w.shape, np.inf) for w in layer.weights])
            layer(x)
        _call_rare_kernels_of_images(dtype, rows)


def _call_rare_kernels_of_images(dtype: str, rows: Array) -> None:
    """Those that images have, large enough or in planes, and what networks join."""
    image = np.ones((1, 56, 56, 64), dtype)
    image[0, 0, 0, 0] = 1e20
    large = layers.Conv2D(64, 3, padding="same", dtype=dtype)
    large.backward(large.forward(image))
    layers.GlobalAveragePooling2D(dtype=dtype)(image)
    layers.GlobalMaxPooling2D(dtype=dtype)(image)
    pooling = layers.MaxPooling2D(dtype=dtype)
    pooling.backward(pooling.forward(image))
    planes = np.ascontiguousarray(np.moveaxis(image, -1, 1))
    for data_format in ("channels_last", "channels_first"):
        last = data_format == "channels_last"
        thin, wide = (image[..., :n] if last else planes[:, :n] for n in (3, 16))
        layers.ZeroPadding2D(data_format=data_format, dtype=dtype)(wide)
        for each in (1, 4):
            for size in (1, 3):
                layers.DepthwiseConv2D(size, depth_multiplier=each, data_format=data_format, dtype=dtype)(thin)
            layers.Conv2D(8 * each, 3, groups=8, data_format=data_format, dtype=dtype)(wide)
    for each in (2, 4, 8):
        grouped = layers.Conv2D(64, 3, 2, groups=64 // each, dtype=dtype)
        grouped.backward(grouped.forward(image))
    whole = layers.Input(image.shape[1:], dtype=dtype)
    total = layers.ReLU(dtype=dtype)(layers.Add(dtype=dtype)([whole, whole]))
    residual = models.Model(whole, layers.Add(dtype=dtype)([total, total]))
    residual.backward(residual.forward(image))
    normal = models.Sequential([layers.BatchNormalization(dtype=dtype), layers.ReLU(dtype=dtype)])
    normal.backward(normal.forward(normal(rows)))
    volume = np.ones((1, 3, 20, 20, 16), dtype)
    for filters in (16, 64):
        layers.Conv2D(filters, 3, padding="same", data_format="channels_first", dtype=dtype)(planes)
        layers.Conv3D(filters, 3, padding="same", dtype=dtype)(volume)
        across = volume.reshape(1, 16, 3, 20, 20)
        layers.Conv3D(filters, 3, padding="same", data_format="channels_first", dtype=dtype)(across)
    layers.Conv2D(7, 1, data_format="channels_first", dtype=dtype)(planes[:, :16, :16, :16])
    for filters in (1, 4, 6, 12):
        few = layers.Conv2D(filters, 3, dtype=dtype)
        of_planes = layers.Conv2D(filters, 3, data_format="channels_first", dtype=dtype)
        for length in (8, 56):
            few(image[:, :length, :length])
            of_planes(planes[:, :, :length, :length])
    for filters in (2, 20):
        layers.Conv2DTranspose(filters, 5, dilation_rate=6, dtype=dtype)(image[:, :4, :4])
    layers.Conv1DTranspose(2, 3, dtype=dtype)(image[0, :2, :8, :3])
    given = layers.Input(image.shape[1:])
    gates = layers.GlobalAveragePooling2D(keepdims=True, dtype=dtype)(given)
    gates = layers.Conv2D(64, 1, activation="sigmoid", dtype=dtype)(gates)
    gated = layers.Multiply(dtype=dtype)([given, gates])
    models.Model(given, layers.Conv2D(64, 1, dtype=dtype)(gated))(image)
    images = np.repeat(image[..., :16], 2 * threads.count(), axis=0)
    depthwise = layers.DepthwiseConv2D(3, dtype=dtype)
    depthwise.backward(depthwise.forward(images))
    given = layers.Input(images.shape[1:])
    wide = layers.DepthwiseConv2D(3, padding="same", dtype=dtype)(layers.Conv2D(96, 1, dtype=dtype)(given))
    models.Model(given, layers.Conv2D(24, 1, dtype=dtype)(wide))(images)


def _formats(check: Check) -> tuple[str, ...]:
    cls = getattr(layers, check.name)
    both = "data_format" in argument_names(cls) or cls is layers.BatchNormalization
    return ("channels_last", "channels_first") if both else ("channels_last",)


def _make(check: Check, dtype: str, data_format: str) -> Any:
    cls, arguments = getattr(layers, check.name), {**check.arguments, "dtype": dtype}
    if cls is layers.BatchNormalization:
        arguments["axis"] = 1 if data_format == "channels_first" else -1
    elif "data_format" in argument_names(cls):
        arguments["data_format"] = data_format
    if "layer" in arguments:
        name, inner = arguments["layer"]
        arguments["layer"] = getattr(layers, name)(**inner, dtype=dtype)
    layer = cls(**arguments)
    return pairs.Pair(layer) if isinstance(layer, Merge) else layer


def _compare(check: Check, dtype: str, data_format: str) -> list[str]:
    """What of a layer is not as it should be."""
    rng = np.random.default_rng(list(check.name.encode()))
    layer, x = _make(check, dtype, data_format), rng.standard_normal(check.shape, np.float32)
    first = data_format == "channels_first"
    if isinstance(layer, sequences.KINDS):
        found = (_fault(*one, dtype) for one in sequences.compared(layer, check.shape, rng))
        return [fault for fault in found if fault]

    def theirs(array: Array) -> Array:
        """In the layer's format and precision, and as contiguous as users' arrays are."""
        return np.array(np.moveaxis(array, -1, 1) if first and array.ndim > 2 else array, dtype, order="C")

    def last(array: Array) -> Array:
        return np.moveaxis(array, 1, -1) if first and array.ndim > 2 else array

    given = theirs(x)
    layer.build(given.shape)
    # Positive ones, as variances are among them.
    weights = [rng.uniform(0.1, 1, w.shape).astype(np.float32) for w in layer.weights]
    layer.set_weights(weights)
    exact, operands = x.astype(float), [w.astype(float) for w in weights]
    wanted, _ = _expected(layer, exact, operands, False)
    fault = _fault("result", last(layer(given)), wanted, dtype)
    wanted, back = _expected(layer, exact, operands, True)
    fault = fault or _fault("result in training", last(layer.forward(given)), wanted, dtype)
    if fault:
        return [fault]
    grad = rng.standard_normal(wanted.shape, np.float32)
    grad_x = layer.backward(theirs(grad))
    wanted, *wanted_weights = back(grad.astype(float))
    faults = [_fault("gradient of the input", last(grad_x), wanted, dtype)]
    trained = (
        (name, found) for name, found in zip(layer.named_weights, layer.gradients, strict=True) if found is not None
    )
    for (name, found), wanted in zip(trained, wanted_weights, strict=True):
        faults.append(_fault(f"gradient of {name}", found, wanted, dtype))
    return [fault for fault in faults if fault]


def _fault(name: str, found: Array, wanted: Array, dtype: str) -> str | None:
    if found.shape != wanted.shape:
        return f"{name} has shape {found.shape} instead of {wanted.shape}"
    if found.dtype != dtype:
        return f"{name} is {found.dtype}"
    share = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    return None if share <= TOLERANCE[dtype] else f"{name} is off by {share:.1e} of the largest value"


@singledispatch
def _expected(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    """What a layer makes of an array, float64 and channels last."""
    raise NotImplementedError(f"no reference for {type(layer).__name__}")


def _by_textbook(operation: str, *settings: str) -> Callable[..., Expected]:
    """What an operation with these settings of a layer makes."""

    def expected(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
        name, arrays = operation.format(layer), [x, *weights]
        given = {setting: getattr(layer, setting) for setting in settings}
        return textbook.result(name, arrays, **given), partial(textbook.gradients, name, arrays, **given)

    return expected


_WINDOW = ("strides", "padding", "dilation_rate")
_OPERATIONS: dict[type, Callable[..., Expected]] = {
    Conv: _by_textbook("conv", *_WINDOW),
    ConvTranspose: _by_textbook("conv_transpose", *_WINDOW),
    DepthwiseConv: _by_textbook("depthwise_conv", *_WINDOW),
    SeparableConv: _by_textbook("separable_conv", *_WINDOW),
    Cropping: _by_textbook("crop", "cropping"),
    ZeroPadding: _by_textbook("zero_pad", "padding"),
    UpSampling: _by_textbook("upsample", "size", "interpolation"),
    Pooling: _by_textbook("{0.kind}_pool", "pool_size", "strides", "padding"),
    OneSize: lambda layer, x, weights, training: textbook.resized(layer, x),
    pairs.Pair: lambda layer, x, weights, training: pairs.expected(type(layer.layer).__name__, x),
    layers.Flatten: lambda layer, x, weights, training: (x.reshape(len(x), -1), lambda grad: [grad.reshape(x.shape)]),
}
for _cls, _function in (_OPERATIONS | small_layers.EXPECTED | normalization.EXPECTED).items():
    _expected.register(_cls)(_function)


@_expected.register
def _(layer: GlobalPooling, x: Array, weights: list[Array], training: bool) -> Expected:
    operation, size = f"{layer.kind}_pool", x.shape[1:-1]
    out = textbook.result(operation, [x], pool_size=size)
    return out.reshape(len(x), x.shape[-1]), lambda grad: textbook.gradients(
        operation, [x], grad.reshape(out.shape), pool_size=size
    )


@_expected.register
def _(layer: layers.Dense, x: Array, weights: list[Array], training: bool) -> Expected:
    kernel, bias = weights
    rows = x.reshape(prod(x.shape[:-1]), x.shape[-1])

    def back(grad: Array) -> list[Array]:
        flat = grad.reshape(len(rows), layer.units)
        return [(flat @ kernel.T).reshape(x.shape), rows.T @ flat, flat.sum(axis=0)]

    return (rows @ kernel + bias).reshape(*x.shape[:-1], layer.units), back


@_expected.register
def _(layer: layers.TimeDistributed, x: Array, weights: list[Array], training: bool) -> Expected:
    out, back = _expected(layer.layer, x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), weights, training)

    def folded_back(grad: Array) -> list[Array]:
        grad_x, *others = back(grad.reshape(out.shape))
        return [grad_x.reshape(x.shape), *others]

    return out.reshape(*x.shape[:2], *out.shape[1:]), folded_back


@_expected.register
def _(layer: layers.Activation, x: Array, weights: list[Array], training: bool) -> Expected:
    if layer.get_config()["activation"] == "relu":
        return np.where(x > 0, x, 0), lambda grad: [np.where(x > 0, grad, 0)]
    share = np.vectorize(erfc)(-x / sqrt(2)) / 2
    return x * share, lambda grad: [grad * (share + x * np.exp(-(x**2) / 2) / sqrt(2 * pi))]


@_expected.register
def _(layer: layers.Dropout, x: Array, weights: list[Array], training: bool) -> Expected:
    left = np.random.default_rng(layer.seed).random(x.shape, np.float32) >= layer.rate
    factor = left / (1 - layer.rate)
    return x * factor if training else x, lambda grad: [grad * factor]


@_expected.register
def _(layer: layers.BatchNormalization, x: Array, weights: list[Array], training: bool) -> Expected:
    gamma, beta, mean, variance = weights
    axes = tuple(range(x.ndim - 1))
    if training:
        mean, variance = x.mean(axis=axes), x.var(axis=axes)
    deviation = np.sqrt(variance + layer.epsilon)
    normal = (x - mean) / deviation

    def back(grad: Array) -> list[Array]:
        # Through the mean and the variance of the batch too.
        through = grad - grad.mean(axis=axes) - normal * (grad * normal).mean(axis=axes)
        return [gamma / deviation * through, (grad * normal).sum(axis=axes), grad.sum(axis=axes)]

    return normal * gamma + beta, back

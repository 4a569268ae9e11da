"""Arbitrary arguments for everything public: only ValueError, TypeError, MemoryError or a right result may come out.

Arguments fit together but for one or two odd ones, so that they get far. What is new in a public module is drawn too.
``pytest --hypothesis-profile=nightly`` draws 20,000 examples for each test; `test_fuzz_process` would see a crash.
"""

import json

import numpy as np
import pytest
from cases import LAYERS, Case, assert_close, operands, reference_gradients, reference_result, to_format
from fuzzing import (
    MARKS,
    ODD,
    ODD_JSON,
    attempt,
    needed,
    parameters,
    per_axis,
    same,
    snapshot,
    spoiled,
    spoiled_shape,
    values,
)
from fuzzing import operands as arguments_of
from hypothesis import given
from hypothesis import strategies as st

from numbaconv import activations, config, functional, layers, regularizers, shapes
from numbaconv.calls.packed import Packed

pytestmark = MARKS


# -- functional --------------------------------------------------------------------------------------------------------


def finite(*arrays):
    return all(np.isfinite(a).all() for a in arrays)


def plain(thing):
    """The values of an array of whatever kind, or of packed weights."""
    if isinstance(thing, Packed):
        return thing._weights.reshape(thing.shape).astype(np.float64)
    return np.asarray(getattr(thing, "array", thing), np.float64)


def case_of(operation, a):
    """The case of `cases` that a call of an operation was, and its operands, channels last."""
    kernels = [a[name] for name in ("weights", "depthwise_weights", "pointwise_weights") if name in a]
    x, *kernels = (plain(k) for k in (a["x"], *kernels))
    first = config.image_data_format() if a["data_format"] is None else a["data_format"].lower()
    x = np.moveaxis(x, 1, -1) if first == "channels_first" else x
    settings = {
        name: a[name].lower() if isinstance(a[name], str) else a[name]
        for name in ("strides", "padding", "dilation_rate", "output_padding", "cropping", "size", "interpolation")
        if name in a
    }
    last = kernels[-1].shape if kernels else (0, 0)
    filters = last[-2] if operation == "conv_transpose" else last[-1]
    multiplier = kernels[0].shape[-1] if operation in ("depthwise_conv", "separable_conv") else 1
    kernel_size = kernels[0].shape[:-2] if kernels else ()
    case = Case("fuzz", operation, x.shape, kernel_size, filters, multiplier, settings)
    out = x.shape[-1] * multiplier if operation == "depthwise_conv" else filters
    bias = a.get("bias")
    biases = [np.zeros(out) if bias is None else plain(bias)] if kernels else []
    return case, [x, *kernels, *biases], first


def compare(operation, a, result):
    if operation.startswith("pack"):
        assert isinstance(result, Packed)
    elif operation in ("conv", "depthwise_conv", "separable_conv", "conv_transpose", "crop", "zero_pad", "upsample"):
        case, arrays, data_format = case_of(operation, a)
        assert result.dtype in (np.float32, np.float64)
        if finite(*arrays) and np.abs(np.concatenate([x.ravel() for x in arrays])).max(initial=0) < 1e15:
            assert_close(result, to_format(reference_result(case, arrays), data_format), 1e-4)
    elif operation == "separable_conv_grad":
        assert [np.shape(r) for r in result] == [np.shape(getattr(a[n], "array", a[n])) for n in list(a)[:3]]
    elif "x_shape" in a:
        assert result.shape == tuple(a["x_shape"])
    else:
        assert isinstance(result, np.ndarray)


@given(st.data())
def test_functional(data):
    operation = data.draw(st.sampled_from(functional.__all__))
    a = data.draw(spoiled(data.draw(arguments_of(operation))))
    before = snapshot(a)
    result = attempt(getattr(functional, operation), **a)
    assert same(before, snapshot(a))
    if result is not None:
        compare(operation, a, result)


@pytest.mark.double
@given(st.data())
def test_gradients_of_functional(data):
    """Where everything fits, gradients are the reference's."""
    operation = data.draw(st.sampled_from(["conv", "depthwise_conv", "conv_transpose"]))
    a = data.draw(arguments_of(operation))
    if attempt(getattr(functional, operation), **a) is None:
        return
    case, arrays, data_format = case_of(operation, a)
    grad_out = operands(Case("fuzz", "crop", np.shape(reference_result(case, arrays))))[0]
    wanted = reference_gradients(case, arrays, grad_out)
    settings = {k: v for k, v in a.items() if k in ("strides", "padding", "dilation_rate", "output_padding")}
    given_ = to_format(grad_out, data_format), {**settings, "data_format": data_format}
    x = to_format(arrays[0], data_format)
    grad_x = getattr(functional, f"{operation}_input_grad")(given_[0], arrays[1], x.shape, **given_[1])
    assert_close(grad_x, to_format(wanted["x"], data_format), 1e-9)
    grad = getattr(functional, f"{operation}_weight_grad")(x, given_[0], case.kernel_size, **given_[1])
    assert_close(grad, next(v for k, v in wanted.items() if k not in ("x", "bias")), 1e-9)


# -- shapes ------------------------------------------------------------------------------------------------------------

LENGTH = st.one_of(st.integers(1, 9), st.none())
SHAPE_ARGUMENTS = {
    "input_length": LENGTH,
    "output_length": LENGTH,
    "dim_size": LENGTH,
    "padding": st.sampled_from(["valid", "same"]),
    "data_format": st.sampled_from(["channels_last", "channels_first"]),
    "keepdims": st.booleans(),
    "output_padding": st.sampled_from([None, 0, 1]),
    "value": st.sampled_from(["same", "channels_last", 1, (1, 2), ((1, 2), (0, 1))]),
    "allowed": st.just(("valid", "same", "causal")),
    "name": st.just("strides"),
    "n": st.integers(1, 3),
    "allow_zero": st.booleans(),
    "cropping": st.sampled_from([0, 1, (1, 0)]),
    "layer": st.builds(layers.Conv2D, st.integers(1, 3), st.integers(1, 3)),
    "layers": st.lists(st.builds(layers.MaxPooling2D, st.integers(1, 3)), max_size=2),
    "input_shape": st.lists(LENGTH, min_size=4, max_size=4).map(tuple),
}


@given(st.data())
def test_shapes(data):
    name = data.draw(st.sampled_from([n for n in shapes.__all__ if n not in ("Length", "Shape", "ReceptiveField")]))
    function = getattr(shapes, name)
    a = {p: data.draw(SHAPE_ARGUMENTS.get(p, st.integers(1, 4))) for p in parameters(function)}
    result = attempt(function, **data.draw(spoiled(a)))
    if name.endswith("_output_shape") and result is not None:
        assert all(n is None or (type(n) is int and n >= 0) for n in result)
        assert len(result) >= 2


# -- layers ------------------------------------------------------------------------------------------------------------

NAMES_OF = {
    "activation": [None, "relu", "softmax", "elu"],
    "initializer": ["zeros", "glorot_uniform", {"class_name": "Constant", "config": {"value": 0.5}}],
    "regularizer": [None, "l2", regularizers.L1(0.1)],
    "constraint": [None, "non_neg", "max_norm"],
}


def layer_arguments(draw, cls):
    rank = cls.rank or draw(st.integers(1, 3))
    a = {
        "filters": draw(st.integers(1, 3)),
        "units": draw(st.integers(1, 3)),
        "depth_multiplier": draw(st.integers(1, 2)),
        "rate": draw(st.sampled_from([0.0, 0.5, 1])),
        "noise_shape": None,
        "seed": draw(st.sampled_from([None, 0, -1])),
        "data_format": draw(st.sampled_from([None, "channels_last", "channels_first"])),
        "padding": draw(st.sampled_from(["valid", "same"])),
        "output_padding": None,
        "algorithm": "auto",
        "interpolation": draw(st.sampled_from(["nearest", "bilinear", "lanczos3"])),
        "axis": draw(st.sampled_from([-1, 1, 2])),
        "groups": draw(st.sampled_from([-1, 1, 2])),
        "height": draw(st.integers(1, 9)),
        "width": draw(st.integers(1, 9)),
        "antialias": draw(st.booleans()),
        "crop_to_aspect_ratio": draw(st.booleans()),
        "pad_to_aspect_ratio": draw(st.booleans()),
        "fill_mode": "constant",
        "fill_value": 1.5,
        "mean": draw(st.sampled_from([None, 0.5])),
        "variance": draw(st.sampled_from([None, 2])),
        "invert": draw(st.booleans()),
        "momentum": 0.9,
        "epsilon": 0.001,
        "cropping": per_axis(draw, rank, 0, 1),
        "activation": draw(st.sampled_from(NAMES_OF["activation"][1:])),
        "target_shape": draw(st.sampled_from([(-1,), (2, -1), (3, 2)])),
        "dims": draw(st.permutations(range(1, rank + 2))),
        "n": draw(st.integers(1, 3)),
        "stddev": draw(st.sampled_from([0.0, 0.5, 2])),
        "alpha": 0.5,
        "negative_slope": 0.25,
        "max_value": draw(st.sampled_from([None, 1.5])),
        "shared_axes": draw(st.sampled_from([None, 1, [1]])),
        "function": np.abs,
    }
    if cls is layers.Rescaling:
        a |= {"scale": draw(st.sampled_from([0.5, [1, 2]])), "offset": 1}
    if "ZeroPadding" in cls.__name__:
        a["padding"] = per_axis(draw, rank, 0, 2)
    for name in ("kernel_size", "pool_size", "size", "strides"):
        a[name] = per_axis(draw, rank, 1, 3)
    a["dilation_rate"] = 1 if draw(st.booleans()) else per_axis(draw, rank, 1, 2)
    taken = parameters(cls)
    if cls in (layers.Conv1D, layers.SeparableConv1D, layers.Conv2DTranspose):
        taken += [p for p in parameters(cls.__mro__[1]) if p not in taken]
    return {
        p: draw(st.sampled_from(NAMES_OF[p.rpartition("_")[2]]))
        if p.rpartition("_")[2] in NAMES_OF and p not in a
        else a.get(p, True)
        for p in taken
        if draw(st.booleans()) or p in needed(cls)
    }, rank


COMMON = {"input_shape": (4, 4), "batch_input_shape": None, "batch_size": None, "dtype": "float64", "name": "odd"}
COMMON |= {"trainable": False, "weights": None}


def layer_result(layer, x, out):
    """Compare what a layer returned with the reference."""
    assert out.dtype == layer.dtype
    assert out.shape == layer.compute_output_shape(x.shape)
    assert out.flags.c_contiguous
    operation = {
        "Conv": "conv",
        "DepthwiseConv": "depthwise_conv",
        "SeparableConv": "separable_conv",
        "Cropping": "crop",
        "ZeroPadding": "zero_pad",
        "UpSampling": "upsample",
        "ConvTranspose": "conv_transpose",
    }.get(type(layer).__name__.replace("1D", "").replace("2D", "").replace("3D", ""))
    if operation and getattr(layer, "activation", activations.linear) is activations.linear:
        weights = {
            "depthwise_conv": {"depthwise_kernel": "weights"},
            "separable_conv": {"depthwise_kernel": "depthwise_weights", "pointwise_kernel": "pointwise_weights"},
        }.get(operation, {"kernel": "weights"})
        a = {n: getattr(layer, n) for n in parameters(getattr(functional, operation)) if hasattr(layer, n)}
        a |= {new: layer.named_weights[old] for old, new in weights.items() if old in layer.named_weights}
        compare(operation, {**a, "x": x, "bias": layer.named_weights.get("bias")}, out)


@given(st.data())
def test_layers(data):
    cls = getattr(layers, data.draw(st.sampled_from(LAYERS)))
    a, rank = layer_arguments(data.draw, cls)
    if data.draw(st.booleans()):
        common = data.draw(spoiled(COMMON, 1))
        chosen = data.draw(st.lists(st.sampled_from(sorted(common)), max_size=2, unique=True))
        a |= {name: common[name] for name in chosen}
    layer = attempt(cls, **data.draw(spoiled(a)))
    if layer is None:
        return
    shape = (
        data.draw(st.integers(0, 2)),
        *data.draw(st.tuples(*[st.integers(1, 6)] * rank)),
        data.draw(st.integers(1, 3)),
    )
    x = values(data.draw, shape)
    before = x.copy()
    for step in data.draw(st.lists(st.sampled_from(range(10)), min_size=1, max_size=4)):
        odd = data.draw(st.one_of(st.just(None), ODD)) if step else None
        given_ = x if odd is None else odd
        if step == 0:
            out = attempt(layer, x)
            if out is not None:
                layer_result(layer, x, out)
        elif step == 1:
            attempt(layer, given_)
        elif step == 2:
            attempt(layer.build, shape if odd is None else data.draw(spoiled_shape(shape)))
        elif step == 3:
            attempt(layer.compute_output_shape, shape if odd is None else odd)
            attempt(layer.explain, data.draw(spoiled_shape(shape)))
        elif step == 4:
            weights = layer.weights
            if attempt(layer.set_weights, [w * 2 for w in weights] if odd is None else odd) is None and odd is not None:
                assert len(layer.weights) == len(weights)
        elif step == 5:
            out = attempt(layer.forward, given_)
            attempt(layer.backward, out if out is not None and odd is None else odd)
            for w, g in zip(layer.weights, layer.gradients, strict=False):
                assert g is None or g.shape == w.shape
        elif step == 6:
            changed = attempt(layer.get_config)
            if changed:
                again = cls.from_config(json.loads(json.dumps(changed)))
                assert again.get_config() == changed
                attempt(cls.from_config, data.draw(spoiled(changed, 2, ODD_JSON)))
        elif step == 7:
            attempt(layer.apply_constraints)
            attempt(lambda: layer.losses)
            attempt(layer.count_params)
            repr(layer)
        elif step == 9:
            # Kernels read whatever they are given: call must not give them what does not fit.
            like = data.draw(st.sampled_from([x, x.astype(layer.dtype), x.astype(layer.dtype)[..., :1]]))
            attempt(layer.call, like if odd is None else odd)
        elif step == 8 and layer.built and layer.named_weights:
            attempt(setattr, layer, data.draw(st.sampled_from(sorted(layer.named_weights))), given_)
    assert same([before], [x])

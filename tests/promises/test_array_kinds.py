"""Every function and every layer on arrays of every kind: the right result or an error that names the argument."""

import inspect

import numpy as np
import pytest
from array_kinds import READ, REFUSED, Frame, mapped
from cases import LAYERS

from numbaconv import functional, layers
from numbaconv.common.arguments import as_numbers, cast

pytestmark = pytest.mark.situation("arrays of every kind")

X, W, DEPTHWISE, POINTWISE = (1, 6, 5, 3), (2, 2, 3, 3), (2, 2, 3, 1), (1, 1, 3, 4)
OUT, BIAS = (1, 5, 4, 3), (3,)
POOLED = (1, 3, 2, 3)
# For each function the shapes of its arrays, in the order of its arguments, and its other arguments.
FUNCTIONS = {
    "conv": ([X, W, BIAS], {}),
    "conv_input_grad": ([OUT, W], {"x_shape": X}),
    "conv_weight_grad": ([X, OUT], {"kernel_size": 2}),
    "depthwise_conv": ([X, DEPTHWISE, BIAS], {}),
    "depthwise_conv_input_grad": ([OUT, DEPTHWISE], {"x_shape": X}),
    "depthwise_conv_weight_grad": ([X, OUT], {"kernel_size": 2}),
    "separable_conv": ([X, DEPTHWISE, POINTWISE, (4,)], {}),
    "separable_conv_grad": ([X, DEPTHWISE, POINTWISE, (1, 5, 4, 4)], {}),
    "conv_transpose": ([OUT, W, BIAS], {}),
    "conv_transpose_input_grad": ([X, W], {"x_shape": OUT}),
    "conv_transpose_weight_grad": ([OUT, X], {"kernel_size": 2}),
    "crop": ([X], {"cropping": 1}),
    "crop_grad": ([X], {"cropping": 1}),
    "zero_pad": ([X], {"padding": 1}),
    "zero_pad_grad": ([X], {"padding": 1}),
    "upsample": ([X], {"size": 2}),
    "upsample_grad": ([(1, 6, 4, 3)], {"size": 2}),
    "max_pool": ([X], {"pool_size": 2}),
    "max_pool_grad": ([X, POOLED], {"pool_size": 2}),
    "average_pool": ([X], {"pool_size": 2}),
    "average_pool_grad": ([POOLED], {"x_shape": X, "pool_size": 2}),
    "pack_conv": ([W], {}),
    "pack_depthwise_conv": ([DEPTHWISE], {}),
    "pack_conv_transpose": ([W], {}),
}
# Arguments of layers besides those they can do without.
NEEDED = {
    "filters": 3,
    "kernel_size": 2,
    "units": 3,
    "rate": 0.5,
    "activation": "softplus",
    "stddev": 0.5,
    "scale": 0.5,
    "target_shape": (-1, 6),
    "dims": (2, 1),
    "n": 2,
    "height": 3,
    "width": 4,
    "function": np.abs,
}
# What makes a layer fit the example, and repeatable; a weight that is a single number has no kinds of arrays.
FITTING = {
    "GroupNormalization": {"groups": 3},
    "Lambda": {"gradient": lambda grad_out, x: grad_out * (x > 0)},
    "Normalization": {"mean": 0.5, "variance": 4},
    **{name: {"rate": 0.0} for name in ("GaussianDropout", *(f"SpatialDropout{n}D" for n in (1, 2, 3)))},
    "GaussianNoise": {"stddev": 0},
}


def naturals(shape):
    return np.random.default_rng(len(shape)).integers(0, 6, shape).astype(np.float64)


def content(thing):
    """The values of an array of whatever kind as a plain array of float32, or float64 where that is what it holds."""
    array = np.asarray(getattr(thing, "array", thing))
    wide = array.dtype.kind == "f" and array.dtype.itemsize >= 8
    with np.errstate(over="ignore"):
        return np.array(array, np.float64 if wide else np.float32, order="C")


def bits(result):
    """All arrays of a result, with their dtypes."""
    if isinstance(result, functional.pack_conv(naturals(W)).__class__):
        result = result.panels
    results = result if isinstance(result, tuple | list) else [result]
    return [(r.dtype, r.shape, r.tobytes()) for r in results]


def kinds(folder):
    yield from READ.items()
    yield "memory-mapped", lambda a: mapped(a, folder)


def unchanged(thing, before):
    array = getattr(thing, "array", thing)
    return not isinstance(array, np.ndarray) or array.tobytes() == before


def image_of(thing):
    array = getattr(thing, "array", thing)
    return array.tobytes() if isinstance(array, np.ndarray) else None


def test_the_table_has_every_function():
    assert set(FUNCTIONS) == set(functional.__all__)


@pytest.mark.filterwarnings("ignore:.*dtype metadata.*:UserWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_read(name, dtype, tmp_path):
    function, (shapes, settings) = getattr(functional, name), FUNCTIONS[name]
    plain = [naturals(shape).astype(np.float32) for shape in shapes]
    for place in range(len(shapes)):
        for kind, make in kinds(tmp_path):
            thing = make(naturals(shapes[place]).astype(dtype))
            if content(thing).dtype != dtype:
                continue
            before = image_of(thing)
            given = [thing if i == place else a for i, a in enumerate(plain)]
            right = [content(thing) if i == place else a for i, a in enumerate(plain)]
            result = function(*given, **settings)
            assert bits(result) == bits(function(*right, **settings)), (place, kind)
            assert unchanged(thing, before), (place, kind)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_refuse(name):
    function, (shapes, settings) = getattr(functional, name), FUNCTIONS[name]
    arguments = list(inspect.signature(function).parameters)
    plain = [naturals(shape).astype(np.float32) for shape in shapes]
    for place, shape in enumerate(shapes):
        for kind, (make, error, said) in REFUSED.items():
            given = [make(naturals(shape)) if i == place else a for i, a in enumerate(plain)]
            if arguments[place] == "bias" and given[place] is None:
                continue
            with pytest.raises(error, match=rf"(?s){said}") as caught:
                function(*given, **settings)
            assert arguments[place] in str(caught.value), (place, kind)


def layer_of(name):
    cls = getattr(layers, name)
    needed = inspect.signature(cls).parameters
    required = {k: v for k, v in NEEDED.items() if k in needed and needed[k].default is inspect.Parameter.empty}
    layer = cls(**{**required, **FITTING.get(name, {})})
    rank = 0 if name == "RepeatVector" else 1 if layer.rank is None else layer.rank
    shape = (2, *(4, 5, 6)[:rank], 3)
    layer.build(shape)
    layer.set_weights([0.25 + naturals(w.shape) for w in layer.weights])
    return layer, shape


def both_ways(layer, x, grad):
    layer.forward(x)
    return [layer(x), layer.backward(grad), *(g for g in layer.gradients if g is not None)]


@pytest.mark.filterwarnings("ignore:.*dtype metadata.*:UserWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_layers_read(name, tmp_path):
    layer, shape = layer_of(name)
    if name == "Dropout":
        layer.rate = 0.0
    out_shape = layer.compute_output_shape(shape)
    for kind, make in kinds(tmp_path):
        thing, grad = make(naturals(shape)), make(naturals(out_shape))
        before = image_of(thing), image_of(grad)
        weights = layer.get_weights()
        result = bits(both_ways(layer, thing, grad))
        layer.set_weights(weights)
        right = (cast(content(a), np.float32) for a in (thing, grad))
        assert result == bits(both_ways(layer, *right)), kind
        layer.set_weights(weights)
        assert unchanged(thing, before[0]), kind
        assert unchanged(grad, before[1]), kind
        for weight in layer.named_weights:
            value = make(naturals(layer.named_weights[weight].shape))
            setattr(layer, weight, value)
            assert np.array_equal(layer.named_weights[weight], cast(content(value), np.float32))
        layer.set_weights(weights)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_refuse(name):
    layer, shape = layer_of(name)
    out_shape = layer.compute_output_shape(shape)
    for kind, (make, error, said) in REFUSED.items():
        if layer.rank is None and kind == "six axes":
            continue
        for use in (layer, layer.forward):
            with pytest.raises(error, match=rf"(?s){layer.name}.*{said}") as caught:
                use(make(naturals(shape)))
            assert "x must" in str(caught.value), kind
        layer.forward(naturals(shape))
        with pytest.raises(error, match=rf"(?s){layer.name}.*grad_out.*{said}"):
            layer.backward(make(naturals(out_shape)))
        before = layer.weights
        for weight, value in layer.named_weights.items():
            with pytest.raises(error, match=rf"(?s){weight}.*{said}"):
                setattr(layer, weight, make(naturals(value.shape)))
            values = [make(naturals(w.shape)) if n == weight else w for n, w in layer.named_weights.items()]
            with pytest.raises(error, match=rf"(?s){weight}.*{said}"):
                layer.set_weights(values)
        assert all(a is b for a, b in zip(before, layer.weights, strict=True)), kind


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_matrices_have_two_axes():
    matrix = np.asmatrix(naturals((4, 3)))
    layer = layers.Dense(2)
    assert np.array_equal(layer(matrix), layer(np.asarray(matrix)))
    assert type(layer(matrix)) is np.ndarray
    with pytest.raises(ValueError, match=r"3 to 5 axes.*\(4, 3\)"):
        functional.crop(matrix, 0)


def test_values_beyond_float32_are_infinite_and_nothing_warns():
    big = np.array([1e39, -1e300, 1e-60, np.nan, 2.0])[None, :, None]
    with np.errstate(all="raise"):
        out = layers.Cropping1D(0)(big)
    assert np.array_equal(out.ravel(), np.float32([np.inf, -np.inf, 0, np.nan, 2]), equal_nan=True)
    beyond = np.longdouble(2) ** 16000 * np.ones((1, 2, 1), np.longdouble)
    assert np.isinf(functional.crop(beyond, 0)).all()


def test_signalling_nan_does_not_warn():
    signalling = np.array([0x7FF4000000000000], np.uint64).view(np.float64)[None, :, None]
    assert np.isnan(layers.Cropping1D(0)(signalling)).all()


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_of_64_bits_are_rounded_once(dtype):
    values = np.array([np.iinfo(dtype).max, 2**53 + 1, 2**24 + 1, 0], dtype)[None, :, None]
    assert np.array_equal(functional.crop(values, 0), values.astype(np.float32))
    assert np.array_equal(layers.Cropping1D(0, dtype="float64")(values), values.astype(np.float64))


def test_messages_are_short():
    with pytest.raises(TypeError) as caught:
        as_numbers(Frame(RuntimeError("x" * 100)), "x")
    assert len(str(caught.value)) < 1000
    with pytest.raises(ValueError, match="must be an array") as caught:
        as_numbers([[0.0] * 10_000, [1.0]], "x")
    assert len(str(caught.value)) < 1000


def test_torch():
    torch = pytest.importorskip("torch")
    x = torch.arange(24.0).reshape(1, 4, 3, 2)
    wanted = functional.crop(x.numpy(), 1)
    assert np.array_equal(functional.crop(x, 1), wanted)
    assert np.array_equal(functional.crop(x.to(torch.int16), 1), wanted)
    assert np.array_equal(functional.crop(x.permute(0, 2, 1, 3).permute(0, 2, 1, 3), 1), wanted)
    refused = {
        "grad": x.clone().requires_grad_(),
        "meta": x.to("meta"),
        "bfloat16": x.to(torch.bfloat16),
        "sparse": x.to_sparse(),
        "complex": x * 1j,
    }
    for tensor in refused.values():
        with pytest.raises((TypeError, ValueError), match="x must"):
            functional.crop(tensor, 1)


def test_jax():
    jax = pytest.importorskip("jax")
    x = jax.numpy.arange(24.0).reshape(1, 4, 3, 2)
    assert np.array_equal(functional.crop(x, 1), functional.crop(np.asarray(x), 1))
    with pytest.raises(TypeError, match="x must hold real numbers"):
        functional.crop(x.astype("bfloat16"), 1)

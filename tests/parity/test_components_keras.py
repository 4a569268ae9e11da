"""Activations, initializers, regularizers and constraints beside Keras 3."""

import inspect
import math

import numpy as np
import pytest

from numbaconv import activations, constraints, initializers, regularizers

# Of TensorFlow's float64 functions: the slope, and the root of 2.
CONSTANTS_IN_FLOAT32 = ("leaky_relu", "gelu")


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("linear", [math.inf, -math.inf, math.nan]),
        ("relu", [math.inf, -math.inf, math.nan]),
        ("elu", [math.inf, -math.inf, math.nan]),
        ("selu", [math.inf, -math.inf, math.nan]),
        ("softplus", [math.inf, -math.inf, math.nan]),
        ("softsign", [math.nan]),  # Keras has NaN at the infinities, where the limits are 1 and -1.
        ("tanh", [math.inf, -math.inf, math.nan]),
        ("sigmoid", [math.inf, -math.inf, math.nan]),
        ("hard_sigmoid", [math.inf, -math.inf, math.nan]),
        ("exponential", [math.inf, -math.inf, math.nan]),
        ("softmax", [-math.inf]),  # Keras leaves parts of a row with NaN or inf at 0.
        ("relu6", [math.inf, -math.inf, math.nan]),
        ("leaky_relu", [math.inf, -math.inf, math.nan]),
        ("celu", [math.inf, -math.inf, math.nan]),
        ("squareplus", [math.inf, math.nan]),  # -inf + inf is NaN in Keras.
        ("hard_shrink", [math.inf, -math.inf]),  # A NaN becomes 0 in Keras.
        ("soft_shrink", [math.inf, -math.inf]),
        ("tanh_shrink", [math.inf, -math.inf, math.nan]),
        ("hard_tanh", [math.inf, -math.inf, math.nan]),
        ("log_sigmoid", [math.inf, -math.inf, math.nan]),
        ("log_softmax", [-math.inf]),
        # At -inf they are NaN in Keras, where the limit is 0.
        ("silu", [math.inf, math.nan]),
        ("swish", [math.inf, math.nan]),
        ("hard_silu", [math.inf, math.nan]),
        ("hard_swish", [math.inf, math.nan]),
        ("gelu", [math.inf, math.nan]),
        ("mish", [math.inf, math.nan]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation(keras, name, edges, dtype):
    x = np.concatenate([np.linspace(-30, 30, 995), [0, -0.0, 1e-6, -1e-6, 200, 1e4, -1e4], edges]).astype(dtype)[None]
    expected = np.asarray(getattr(keras.activations, name)(x))
    # The absolute tolerance is for TensorFlow's elu and selu, which lose digits of exp(x) - 1 near 0.
    rtol, atol = (5e-6, 1e-7) if dtype == "float32" or name in CONSTANTS_IN_FLOAT32 else (1e-12, 1e-16)
    if name == "squareplus":
        # x + sqrt(x ** 2 + 4) loses digits there for negative x.
        atol = 1e4 * np.finfo(dtype).eps
    np.testing.assert_allclose(activations.get(name)(x), expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("relu", (0.1,)),
        ("relu", (0, 6)),
        ("relu", (0, 1.5, 0.5)),
        ("relu", (0.25, 1.5, 0.5)),
        ("relu", (0.25, None, 0.5)),
        ("leaky_relu", (0.1,)),
        ("leaky_relu", (2.0,)),
        ("elu", (0.5,)),
        ("celu", (0.5,)),
        ("softmax", (0,)),
        ("log_softmax", (0,)),
        ("gelu", (True,)),
        ("squareplus", (9,)),
        ("soft_shrink", (0.75,)),
        ("hard_shrink", (0.75,)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_with_settings(keras, name, settings, dtype):
    x = np.array([-3, -0.5, -0.0, 0, 0.25, 0.5, 1, 1.5, 2, 7], dtype).reshape(2, 5)
    out = getattr(activations, name)(x, *settings)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, np.asarray(getattr(keras.activations, name)(x, *settings)), rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("layer", ["LeakyReLU", "ELU", "ReLU", "Softmax"])
def test_activations_of_layers(keras, layer):
    settings = {"LeakyReLU": (0.125,), "ELU": (0.5,), "ReLU": (2.0, 0.25, 0.5), "Softmax": (1,)}[layer]
    theirs = getattr(keras.layers, layer)(*settings)
    x = np.linspace(-3, 3, 12, dtype="float32").reshape(2, 2, 3)
    ours = activations.get(keras.saving.serialize_keras_object(theirs))
    assert ours == activations.get(theirs)
    np.testing.assert_allclose(ours(x), np.asarray(theirs(x)), rtol=1e-6)
    again = keras.activations.get(activations.serialize(ours))
    np.testing.assert_allclose(np.asarray(again(x)), np.asarray(theirs(x)), rtol=1e-6)
    function = keras.saving.serialize_keras_object(keras.activations.mish)
    assert activations.get(function) is activations.mish


@pytest.mark.parametrize("name", [*activations._FUNCTIONS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_gradient(keras, name, dtype):
    tf = pytest.importorskip("tensorflow")
    # Kinks are at 0, -3 and 3, at 1/2, 1 and 6.
    edges = [0, -0.0, 3, -3, 0.5, -0.5, 1, -1, 6, 1e-6, -1e-6, 80, 1e4, -1e4]
    x = np.concatenate([np.linspace(-30, 30, 994), edges]).astype(dtype)[None]
    if name == "celu":
        # Keras adds the slopes of both sides there.
        x[x == 0] = 0.25
    grad_out = np.random.default_rng(0).normal(size=x.shape).astype(dtype)
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = getattr(keras.activations, name)(inputs)
    expected = np.asarray(tape.gradient(y, inputs, output_gradients=tf.constant(grad_out)))
    function = activations.get(name)
    grad_x = activations.gradient(name)(grad_out, x if activations.of_input(function) else function(x))
    tolerance = 2e-6 if dtype == "float32" or name in CONSTANTS_IN_FLOAT32 else 4e-15
    if name == "mish":
        # 1 - tanh(...) ** 2 loses digits there where x is large.
        tolerance *= 10
    np.testing.assert_allclose(grad_x, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "arguments"), [("L1", {"l1": 0.3}), ("L2", {"l2": 0.7}), ("L1L2", {"l1": 0.3, "l2": 0.7}), ("L1", {})]
)
def test_regularizer(keras, name, arguments):
    w = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype("float32")
    expected = float(getattr(keras.regularizers, name)(**arguments)(w))
    assert getattr(regularizers, name)(**arguments)(w) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments"), [("L1", {"l1": 0.3}), ("L2", {"l2": 0.7}), ("L1L2", {"l1": 0.3, "l2": 0.7})]
)
def test_regularizer_gradient(keras, name, arguments):
    tf = pytest.importorskip("tensorflow")
    w = np.concatenate([[0], np.random.default_rng(0).normal(size=99)]).astype("float32")
    variable = tf.Variable(w)
    with tf.GradientTape() as tape:
        penalty = getattr(keras.regularizers, name)(**arguments)(variable)
    expected = np.asarray(tape.gradient(penalty, variable))
    np.testing.assert_allclose(getattr(regularizers, name)(**arguments).gradient(w), expected, rtol=1e-6)


@pytest.mark.parametrize("axis", [0, -1, [0, 1, 2]])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("MaxNorm", {}),
        ("MaxNorm", {"max_value": 0.5}),
        ("UnitNorm", {}),
        ("MinMaxNorm", {}),
        ("MinMaxNorm", {"min_value": 2.0, "max_value": 3.0, "rate": 0.25}),
    ],
)
def test_constraint(keras, name, arguments, axis):
    w = np.random.default_rng(1).normal(size=(3, 3, 4, 5)).astype("float32")
    expected = np.asarray(getattr(keras.constraints, name)(**arguments, axis=axis)(w))
    np.testing.assert_allclose(getattr(constraints, name)(**arguments, axis=axis)(w), expected, rtol=1e-5)


def test_non_neg(keras):
    w = np.array([-math.inf, -1, 0, 1, math.inf, math.nan], "float32")
    np.testing.assert_array_equal(constraints.NonNeg()(w), np.asarray(keras.constraints.NonNeg()(w)))


# 21600 values each: the standard error of a quantile here is under 2 % of the deviation, the tolerance four times that.
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomNormal", {}),
        ("RandomUniform", {}),
        ("TruncatedNormal", {}),
        ("VarianceScaling", {}),
        ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"}),
        ("VarianceScaling", {"input_axes": [2], "output_axes": [3]}),
        ("GlorotNormal", {}),
        ("GlorotUniform", {}),
        ("HeNormal", {}),
        ("HeUniform", {}),
        ("LecunNormal", {}),
        ("LecunUniform", {}),
        ("Orthogonal", {"gain": 2.0}),
    ],
)
def test_distribution(keras, name, arguments):
    shape = (3, 3, 40, 60)
    ours = getattr(initializers, name)(**arguments, seed=1)(shape)
    theirs = np.asarray(getattr(keras.initializers, name)(**arguments, seed=1)(shape))
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03)
    steps = np.linspace(0.02, 0.98, 25)
    np.testing.assert_allclose(np.quantile(ours, steps), np.quantile(theirs, steps), rtol=0, atol=0.08 * theirs.std())


CLASSES = [
    *[(initializers, name) for name in ("Zeros", "Ones", "Constant", "Identity", "RandomNormal", "RandomUniform")],
    *[(initializers, name) for name in ("TruncatedNormal", "VarianceScaling", "GlorotNormal", "GlorotUniform")],
    *[(initializers, name) for name in ("HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Orthogonal")],
    *[(regularizers, name) for name in ("L1", "L2", "L1L2")],
    *[(constraints, name) for name in ("MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm")],
]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_arguments_and_defaults(keras, module, name):
    def arguments(cls):
        return [(one.name, one.default) for one in inspect.signature(cls).parameters.values() if one.name != "seed"]

    theirs = getattr(getattr(keras, module.__name__.rpartition(".")[2]), name)
    ours = getattr(module, name)
    # A Keras class without arguments shows the ones of object: (*args, **kwargs).
    expected = [] if theirs.__init__ is object.__init__ else arguments(theirs)
    assert arguments(ours) == expected
    assert ("seed" in ours().get_config()) == ("seed" in theirs().get_config())


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_configs_cross_over(keras, module, name):
    family = getattr(keras, module.__name__.rpartition(".")[2])
    ours = getattr(module, name)()
    assert module.get(family.serialize(getattr(family, name)())).get_config() == pytest.approx(ours.get_config())
    assert type(family.get(module.serialize(ours))) is getattr(family, name)

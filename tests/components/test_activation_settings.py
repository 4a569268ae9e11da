"""Activations with other settings than their own: values, gradients, and the forms in which Keras's files hold them."""

import copy
import json
import math
import pickle
from functools import partial

import numpy as np
import pytest

from numbaconv import activations, layers
from numbaconv.activations.settings import with_settings

INF = math.inf
# A function, settings of it, an input, and by hand the result and the derivative there.
BY_HAND = [
    ("relu", {"negative_slope": 0.5}, [-4, 3, INF, -INF], [-2, 3, INF, -INF], [0.5, 1, 1, 0.5]),
    ("relu", {"max_value": 2}, [-4, 1, 3, INF], [0, 1, 2, 2], [0, 1, 0, 0]),
    ("relu", {"threshold": 1}, [-4, 0.5, 3], [0, 0, 3], [0, 0, 1]),
    (
        "relu",
        {"negative_slope": 0.5, "max_value": 4, "threshold": 1},
        [-3, 0, 2, 5],
        [-2, -0.5, 2, 4],
        [0.5, 0.5, 1, 0],
    ),
    ("relu", {"max_value": 0, "negative_slope": 2}, [-3, 1], [-6, 0], [2, 0]),
    ("leaky_relu", {"negative_slope": 0}, [-4, 3, -INF], [0, 3, 0], [0, 1, 0]),
    ("leaky_relu", {"negative_slope": 3}, [-4, 3, -INF], [-12, 3, -INF], [3, 1, 3]),
    ("elu", {"alpha": 2}, [-math.log(2), 3, -INF], [-1, 3, -2], [1, 1, 0]),
    ("elu", {"alpha": 0}, [-5, 3, -INF], [0, 3, 0], [0, 1, 0]),
    ("celu", {"alpha": 2}, [-2 * math.log(2), 3, -INF], [-1, 3, -2], [0.5, 1, 0]),
    ("squareplus", {"b": 9}, [-4, 0, 4], [0.5, 1.5, 4.5], [0.1, 0.5, 0.9]),
    ("soft_shrink", {"threshold": 2}, [-3, 1, 5], [-1, 0, 3], [1, 0, 1]),
    ("hard_shrink", {"threshold": 2}, [-3, 1, 5], [-3, 0, 5], [1, 0, 1]),
    (
        "gelu",
        {"approximate": True},
        [0, 1, INF, -INF],
        [0, 0.8411919906082768, INF, 0],
        [0.5, 1.0829640838457826, 1, 0],
    ),
]


def gradient_of(activation, grad_out, x):
    of = x if activations.of_input(activation) else activation(x)
    return activations.gradient(activation)(grad_out, of)


@pytest.mark.parametrize(("name", "settings", "x", "expected", "slope"), BY_HAND)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_by_hand(name, settings, x, expected, slope, dtype):
    function = getattr(activations, name)
    # NumPy's numbers decide no dtype.
    activation = activations.get(partial(function, **{key: np.float64(value) for key, value in settings.items()}))
    x = np.array([x], dtype)
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    for out in (activation(x), function(x, **settings)):
        assert out.dtype == dtype
        np.testing.assert_allclose(out, [expected], rtol=tolerance)
    grad = gradient_of(activation, np.full_like(x, 2), x)
    assert grad.dtype == dtype
    np.testing.assert_allclose(grad, 2 * np.array([slope]), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1, (0, 2), (1, -1), [0, 1, 2]])
def test_softmax_over_other_axes(name, axis):
    x, grad_out = np.random.default_rng(0).standard_normal((2, 3, 4, 2))
    axes = tuple(axis) if isinstance(axis, list) else axis
    shares = np.exp(x) / np.exp(x).sum(axis=axes, keepdims=True)
    activation = activations.get(partial(getattr(activations, name), axis=axis))
    np.testing.assert_allclose(activation(x), np.log(shares) if name == "log_softmax" else shares, rtol=1e-13)
    found, step = gradient_of(activation, grad_out, x), 1e-6
    for i in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[i] = step
        wanted = ((activation(x + shift) - activation(x - shift)) * grad_out).sum() / (2 * step)
        np.testing.assert_allclose(found[i], wanted, rtol=1e-6, atol=1e-8)


def test_approximate_gelu():
    x, grad_out = 5 * np.random.default_rng(0).standard_normal((2, 500))
    activation = activations.get(partial(activations.gelu, approximate=True))
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    np.testing.assert_allclose(activation(x), x * (1 + np.tanh(inner)) / 2, rtol=1e-12, atol=1e-14)
    slope = (1 + np.tanh(inner)) / 2 + x / 2 / np.cosh(inner) ** 2 * math.sqrt(2 / math.pi) * (1 + 0.134145 * x**2)
    np.testing.assert_allclose(gradient_of(activation, grad_out, x), grad_out * slope, rtol=1e-11, atol=1e-14)
    with np.errstate(all="raise"):
        assert np.abs(activation(x) - activations.gelu(x)).max() < 5e-4


FORMS = [
    ({"class_name": "LeakyReLU", "config": {"name": "l", "trainable": True, "negative_slope": 0.25}}, [-1, 4]),
    ({"class_name": "LeakyReLU", "config": {"alpha": 0.25, "dtype": "float32"}}, [-1, 4]),
    ({"class_name": "LeakyReLU", "config": {}}, [-1.2, 4]),
    ({"module": "keras.layers", "class_name": "ReLU", "config": {"max_value": 3.0}, "registered_name": None}, [0, 3]),
    ({"class_name": "ELU", "config": {"alpha": 0.5}}, [0.5 * math.expm1(-4), 4]),
    ({"class_name": "Softmax", "config": {"axis": [1]}}, [1 / (1 + math.exp(8)), 1 / (1 + math.exp(-8))]),
    ({"class_name": "ReLU"}, [0, 4]),
    ({"module": "builtins", "class_name": "function", "config": "relu6", "registered_name": "function"}, [0, 4]),
    (partial(activations.leaky_relu, negative_slope=np.float32(0.5)), [-2, 4]),
]


@pytest.mark.parametrize(("form", "expected"), FORMS)
def test_forms_and_back(form, expected):
    x = np.array([[-4.0, 4.0]])
    activation = activations.get(form)
    np.testing.assert_allclose(activation(x), [expected])
    told = activations.serialize(activation)
    again = activations.get(json.loads(json.dumps(told)))
    assert again == activation
    assert activations.serialize(again) == told
    for twin in (copy.deepcopy(activation), pickle.loads(pickle.dumps(activation))):
        assert twin == activation


def test_own_settings_are_the_function_itself():
    assert activations.get(partial(activations.relu, negative_slope=0)) is activations.relu
    assert activations.get({"class_name": "ELU", "config": {"alpha": 1}}) is activations.elu
    assert activations.get({"class_name": "Softmax", "config": {"axis": -1}}) is activations.softmax
    assert activations.get(partial(activations.gelu, approximate=False)) is activations.gelu
    user = partial(np.add, 1)
    assert activations.get(user) is user


def test_a_layer_trains_through_them():
    layer = layers.Dense(1, {"class_name": "LeakyReLU", "config": {"negative_slope": 0.5}}, weights=[[[2]], [0]])
    np.testing.assert_array_equal(layer.forward([[-3], [1]]), [[-3], [2]])
    np.testing.assert_array_equal(layer.backward([[1], [1]]), [[1], [2]])
    twin = layers.Dense.from_config(json.loads(json.dumps(layer.get_config())))
    assert twin.activation == layer.activation


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"class_name": "PReLU", "config": {}}, ValueError, "ELU, LeakyReLU, ReLU, Softmax, or of a function"),
        ({"config": {}}, ValueError, "activation must be a config"),
        ({"class_name": ["ReLU"], "config": {}}, ValueError, "activation must be a config"),
        ({"class_name": "ReLU", "config": 3}, ValueError, "activation must be a config"),
        ({"class_name": "function", "config": "relux"}, ValueError, "got 'relux'; did you mean 'relu6'|'relu'"),
        ({"class_name": "ReLU", "config": {"max_valeu": 3}}, TypeError, "relu takes .*did you mean 'max_value'"),
        ({"class_name": "ReLU", "config": {"max_value": -3}}, ValueError, "max_value must be a finite number >= 0"),
        ({"class_name": "ReLU", "config": {"threshold": [1]}}, TypeError, "threshold must be a finite number"),
        ({"class_name": "ReLU", "config": {"threshold": {"a": 1}}}, TypeError, "threshold must be a finite number"),
        ({"class_name": "ELU", "config": {"alpha": True}}, TypeError, "alpha must be a finite number"),
        ({"class_name": "Softmax", "config": {"axis": "last"}}, TypeError, "axis must be an integer"),
        (
            {"class_name": "Softmax", "config": {"axis": [1, 1]}},
            ValueError,
            "axis must name axes of x, each of them once",
        ),
        ({"class_name": "Softmax", "config": {"axis": []}}, ValueError, "axis must name axes"),
        (partial(activations.tanh, alpha=1), TypeError, "tanh takes no settings, got 'alpha'"),
        (partial(activations.celu, alpha=0), ValueError, "alpha must be a finite number > 0"),
    ],
)
def test_mistakes_are_named(wrong, error, said):
    with pytest.raises(error, match=said):
        activations.get(wrong)


def test_only_what_keras_has_a_layer_for_can_be_put_in_a_config():
    with pytest.raises(TypeError, match="can be put in a config"):
        activations.serialize(with_settings(activations.gelu, {"approximate": True}))

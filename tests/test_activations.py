"""Activations: definitions, extremes, names and errors."""

import math

import numpy as np
import pytest

from numbaconv import activations

ACTIVATIONS = [
    "linear",
    "relu",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "tanh",
    "sigmoid",
    "hard_sigmoid",
    "exponential",
    "softmax",
]
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("linear", [-2, 0, 3], [-2, 0, 3]),
        ("relu", [-2, 0, 3], [0, 0, 3]),
        ("elu", [-math.log(2), 0, 3], [-0.5, 0, 3]),
        ("selu", [-math.log(2), 0, 2], [-0.5 * 1.0507009873554805 * 1.6732632423543772, 0, 2.101401974710961]),
        ("softplus", [0, math.log(3)], [math.log(2), math.log(4)]),
        ("softsign", [-3, 0, 1], [-0.75, 0, 0.5]),
        ("tanh", [-math.log(2), 0, math.log(2)], [-0.6, 0, 0.6]),
        ("sigmoid", [-math.log(3), 0, math.log(3)], [0.25, 0.5, 0.75]),
        ("hard_sigmoid", [-4, -3, -1.5, 0, 3, 4], [0, 0, 0.25, 0.5, 1, 1]),
        ("exponential", [-math.log(2), 0, math.log(5)], [0.5, 1, 5]),
        ("softmax", [0, math.log(2), math.log(5)], [0.125, 0.25, 0.625]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_by_hand(name, x, expected, dtype):
    x = np.array([x], dtype)
    before = x.copy()
    y = activations.get(name)(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [expected], rtol=1e-6 if dtype == "float32" else 1e-14)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [INF, -INF, NAN, 1e4, -1e4]),
        ("relu", [INF, 0, NAN, 1e4, 0]),
        ("elu", [INF, -1, NAN, 1e4, -1]),
        ("selu", [INF, -1.7580993408473766, NAN, 10507.009873554805, -1.7580993408473766]),
        ("softplus", [INF, 0, NAN, 1e4, 0]),
        ("softsign", [1, -1, NAN, 1e4 / 10001, -1e4 / 10001]),
        ("tanh", [1, -1, NAN, 1, -1]),
        ("sigmoid", [1, 0, NAN, 1, 0]),
        ("hard_sigmoid", [1, 0, NAN, 1, 0]),
        ("exponential", [INF, 0, NAN, INF, 0]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_at_the_extremes(name, expected, dtype):
    y = activations.get(name)(np.array([INF, -INF, NAN, 1e4, -1e4], dtype))
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_activations_keep_small_values():
    x = np.array([-1e-10, 1e-10])
    np.testing.assert_allclose(activations.elu(x), x, rtol=1e-9)
    np.testing.assert_allclose(activations.softsign(x), x, rtol=1e-9)
    np.testing.assert_allclose(activations.softplus(np.array([-80.0])), math.exp(-80), rtol=1e-14)
    np.testing.assert_allclose(activations.sigmoid(np.array([-80.0])), math.exp(-80), rtol=1e-14)


def test_softmax_acts_on_the_last_axis_and_does_not_overflow():
    x = np.array([[1e4, 1e4], [-1e4, 0], [-INF, 3]], "float32").reshape(3, 1, 2)
    np.testing.assert_array_equal(activations.softmax(x)[:, 0], [[0.5, 0.5], [0, 1], [0, 1]])
    impossible = activations.softmax(np.array([[NAN, 1], [INF, 1], [-INF, -INF]]))
    assert np.isnan(impossible).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_of_an_empty_batch(name):
    assert activations.get(name)(np.zeros((0, 4, 3), "float32")).shape == (0, 4, 3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_names_round_trip(name):
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.get(function) is function
    assert activations.serialize(function) == name


def test_activation_identifiers():
    def double(x):
        return 2 * x

    assert activations.get(None) is activations.linear
    assert activations.get(double) is double
    with pytest.raises(ValueError, match=r"must be one of elu, .*tanh, got 'relu7'"):
        activations.get("relu7")
    for wrong in (3, {"class_name": "relu"}, float):
        with pytest.raises(TypeError, match="activation must be a name"):
            activations.get(wrong)
    with pytest.raises(TypeError, match="double"):
        activations.serialize(double)

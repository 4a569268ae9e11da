"""Activations: definitions, extremes, gradients, names and errors."""

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
    largest = np.finfo("float32").max
    np.testing.assert_array_equal(activations.softmax(np.array([largest, -largest], "float32")), [1, 0])
    impossible = activations.softmax(np.array([[NAN, 1], [INF, 1], [-INF, -INF]]))
    assert np.isnan(impossible).all()


# x, and the derivative there, kinks included.
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("relu", [-2, 0, 3], [0, 0, 1]),
        ("elu", [-math.log(2), 0, 3], [0.5, 1, 1]),
        ("selu", [-math.log(2), 0, 2], [0.5 * 1.7580993408473766, 1.0507009873554805, 1.0507009873554805]),
        ("softplus", [0, math.log(3)], [0.5, 0.75]),
        ("softsign", [-3, 0, 1], [0.0625, 1, 0.25]),
        ("tanh", [-math.log(2), 0, math.log(2)], [0.64, 1, 0.64]),
        ("sigmoid", [-math.log(3), 0, math.log(3)], [0.1875, 0.25, 0.1875]),
        ("hard_sigmoid", [-4, -3, -1.5, 0, 3, 4], [0, 0, 1 / 6, 1 / 6, 0, 0]),
        ("exponential", [-math.log(2), 0, math.log(5)], [0.5, 1, 5]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_by_hand(name, x, expected, dtype):
    y = activations.get(name)(np.array([x], dtype))
    grad_out = np.full_like(y, -2)
    y.flags.writeable = grad_out.flags.writeable = False
    grad_x = activations.gradient(name)(grad_out, y)
    assert grad_x.dtype == dtype
    np.testing.assert_allclose(grad_x, -2 * np.array([expected]), rtol=1e-6 if dtype == "float32" else 1e-14)


def test_gradient_of_softmax_by_hand():
    y = activations.softmax(np.array([[0, math.log(3)], [0, 0]]))
    grad_x = activations.gradient(activations.softmax)(np.array([[1.0, 3.0], [5.0, 1.0]]), y)
    np.testing.assert_allclose(grad_x, [[-0.375, 0.375], [1, -1]], rtol=1e-14)


def test_gradient_of_linear_is_the_argument_itself():
    grad_out = np.ones((2, 3))
    for linear in (None, "linear", activations.linear):
        assert activations.gradient(linear)(grad_out, np.zeros((2, 3))) is grad_out


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradient_beside_finite_differences(name):
    function, rng = activations.get(name), np.random.default_rng(0)
    x, grad_out = rng.normal(0, 4, (3, 2, 5)), rng.normal(size=(3, 2, 5))
    expected, step = np.empty_like(x), 1e-6
    for i in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        expected[i] = np.sum(grad_out * (function(above) - function(below))) / (2 * step)
    np.testing.assert_allclose(activations.gradient(name)(grad_out, function(x)), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("relu", "torch.relu(x)"),
        ("elu", "torch.nn.functional.elu(x)"),
        ("selu", "torch.selu(x)"),
        ("softplus", "torch.logaddexp(x, 0 * x)"),
        ("softsign", "torch.nn.functional.softsign(x)"),
        ("tanh", "torch.tanh(x)"),
        ("sigmoid", "torch.sigmoid(x)"),
        ("hard_sigmoid", "torch.clamp(x / 6 + 0.5, 0, 1)"),  # PyTorch's own takes a sixth from float32.
        ("exponential", "torch.exp(x)"),
        ("softmax", "torch.softmax(x, dim=-1)"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1, 10, 1e4])
def test_gradient_beside_torch(name, theirs, dtype, scale):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    values = (scale * rng.normal(size=(20, 3, 7))).astype(dtype)
    if name == "exponential":
        values = -np.abs(values)
    grad_out = rng.normal(size=values.shape).astype(dtype)
    x = torch.tensor(values, requires_grad=True)
    eval(theirs, {"torch": torch, "x": x}).backward(torch.tensor(grad_out))
    grad_x = activations.gradient(name)(grad_out, activations.get(name)(values))
    # Relative to the slope of 1; what is left of it near a limit has the digits that the output has.
    tolerance = 2e-6 if dtype == "float32" else 4e-15
    np.testing.assert_allclose(grad_x, x.grad.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_warns_of_nothing(name, dtype):
    largest = np.finfo(dtype).max
    x = np.array([INF, -INF, NAN, 1e4, -1e4, 1e-310, -1e-30, largest, -largest, 0], dtype)
    y = activations.get(name)(x[None])
    for value in (0, 1, INF, NAN, largest, -largest):
        grad_x = activations.gradient(name)(np.full_like(y, value), y)
        assert (grad_x.shape, grad_x.dtype) == (y.shape, y.dtype)
    if name not in ("linear", "exponential", "softmax"):
        finite = activations.gradient(name)(np.ones_like(y), y)[0, [0, 1, 3, 4, 5, 6, 7, 8, 9]]
        assert (finite >= 0).all()
        assert (finite <= 1.7580993408473768).all()


def test_gradient_of_a_function_of_the_users():
    def double(x):
        return 2 * x

    with pytest.raises(ValueError, match=r"activation must have an attribute 'gradient', .*\(grad_out, y\).*double"):
        activations.gradient(double)
    double.gradient = lambda grad_out, y: 2 * grad_out
    assert activations.gradient(double) is double.gradient
    with pytest.raises(ValueError, match=r"must be one of elu, .*, got 'relu7'"):
        activations.gradient("relu7")


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

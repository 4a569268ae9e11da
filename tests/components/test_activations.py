"""Activations: definitions, extremes, gradients, names and errors."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

from numbaconv import activations

ACTIVATIONS = [
    "linear",
    "relu",
    "elu",
    "celu",
    "selu",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "tanh",
    "sigmoid",
    "hard_sigmoid",
    "exponential",
    "softmax",
    "relu6",
    "leaky_relu",
    "squareplus",
    "hard_shrink",
    "soft_shrink",
    "tanh_shrink",
    "hard_tanh",
    "log_sigmoid",
    "log_softmax",
    "silu",
    "hard_silu",
    "gelu",
    "mish",
]
# They are negative in between, and steeper than 1 beyond that.
DIPS = ("silu", "hard_silu", "gelu", "mish")
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("linear", [-2, 0, 3], [-2, 0, 3]),
        ("relu", [-2, 0, 3], [0, 0, 3]),
        ("elu", [-math.log(2), 0, 3], [-0.5, 0, 3]),
        ("celu", [-math.log(2), 0, 3], [-0.5, 0, 3]),
        ("sparse_plus", [-2, -1, 0, 0.5, 1, 3], [0, 0, 0.25, 0.5625, 1, 3]),
        ("sparse_sigmoid", [-2, -1, 0.5, 1, 2], [0, 0, 0.75, 1, 1]),
        ("sparsemax", [0.5, 0.25, -3, 0.5], [5 / 12, 1 / 6, 0, 5 / 12]),
        ("selu", [-math.log(2), 0, 2], [-0.5 * 1.0507009873554805 * 1.6732632423543772, 0, 2.101401974710961]),
        ("softplus", [0, math.log(3)], [math.log(2), math.log(4)]),
        ("softsign", [-3, 0, 1], [-0.75, 0, 0.5]),
        ("tanh", [-math.log(2), 0, math.log(2)], [-0.6, 0, 0.6]),
        ("sigmoid", [-math.log(3), 0, math.log(3)], [0.25, 0.5, 0.75]),
        ("hard_sigmoid", [-4, -3, -1.5, 0, 3, 4], [0, 0, 0.25, 0.5, 1, 1]),
        ("exponential", [-math.log(2), 0, math.log(5)], [0.5, 1, 5]),
        ("softmax", [0, math.log(2), math.log(5)], [0.125, 0.25, 0.625]),
        ("relu6", [-2, 0, 3, 6, 7], [0, 0, 3, 6, 6]),
        ("leaky_relu", [-5, 0, 3], [-1, 0, 3]),
        ("squareplus", [-1.5, 0, 1.5], [0.5, 1, 2]),
        ("hard_shrink", [-2, -0.5, 0.25, 0.5, 3], [-2, 0, 0, 0, 3]),
        ("soft_shrink", [-2, -0.5, 0.25, 0.5, 3], [-1.5, 0, 0, 0, 2.5]),
        ("tanh_shrink", [-math.log(2), 0], [0.6 - math.log(2), 0]),
        ("hard_tanh", [-2, -1, 0.5, 3], [-1, -1, 0.5, 1]),
        ("log_sigmoid", [0, math.log(3)], [-math.log(2), math.log(0.75)]),
        ("log_softmax", [0, math.log(2), math.log(5)], [-math.log(8), -math.log(4), math.log(0.625)]),
        ("silu", [-math.log(3), 0, math.log(3)], [-math.log(3) / 4, 0, 0.75 * math.log(3)]),
        ("hard_silu", [-4, -3, -1.5, 0, 3, 4], [0, 0, -0.375, 0, 3, 4]),
        ("gelu", [-1, 0, 2], [-math.erfc(math.sqrt(0.5)) / 2, 0, math.erfc(-math.sqrt(2))]),
        ("mish", [-math.log(2), 0, 1], [-math.log(2) * 5 / 13, 0, 0.8650983882673103]),
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
        ("celu", [INF, -1, NAN, 1e4, -1]),
        ("sparse_plus", [INF, 0, NAN, 1e4, 0]),
        ("sparse_sigmoid", [1, 0, NAN, 1, 0]),
        ("selu", [INF, -1.7580993408473766, NAN, 10507.009873554805, -1.7580993408473766]),
        ("softplus", [INF, 0, NAN, 1e4, 0]),
        ("softsign", [1, -1, NAN, 1e4 / 10001, -1e4 / 10001]),
        ("tanh", [1, -1, NAN, 1, -1]),
        ("sigmoid", [1, 0, NAN, 1, 0]),
        ("hard_sigmoid", [1, 0, NAN, 1, 0]),
        ("exponential", [INF, 0, NAN, INF, 0]),
        ("relu6", [6, 0, NAN, 6, 0]),
        ("leaky_relu", [INF, -INF, NAN, 1e4, -2e3]),
        ("squareplus", [INF, 0, NAN, 1e4, 1e-4]),
        ("hard_shrink", [INF, -INF, NAN, 1e4, -1e4]),
        ("soft_shrink", [INF, -INF, NAN, 9999.5, -9999.5]),
        ("tanh_shrink", [INF, -INF, NAN, 9999, -9999]),
        ("hard_tanh", [1, -1, NAN, 1, -1]),
        ("log_sigmoid", [0, -INF, NAN, 0, -1e4]),
        ("silu", [INF, 0, NAN, 1e4, 0]),
        ("hard_silu", [INF, 0, NAN, 1e4, 0]),
        ("gelu", [INF, 0, NAN, 1e4, 0]),
        ("mish", [INF, 0, NAN, 1e4, 0]),
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
    np.testing.assert_allclose(activations.log_sigmoid(np.array([80.0])), -math.exp(-80), rtol=1e-14)
    np.testing.assert_allclose(activations.squareplus(np.array([-1e10])), 1e-10, rtol=1e-14)
    for name in ("silu", "mish"):
        np.testing.assert_allclose(activations.get(name)(np.array([-80.0])), -80 * math.exp(-80), rtol=1e-14)


def test_softmax_acts_on_the_last_axis_and_does_not_overflow():
    x = np.array([[1e4, 1e4], [-1e4, 0], [-INF, 3]], "float32").reshape(3, 1, 2)
    np.testing.assert_array_equal(activations.softmax(x)[:, 0], [[0.5, 0.5], [0, 1], [0, 1]])
    largest = np.finfo("float32").max
    np.testing.assert_array_equal(activations.softmax(np.array([largest, -largest], "float32")), [1, 0])
    for function in (activations.softmax, activations.log_softmax):
        assert np.isnan(function(np.array([[NAN, 1], [INF, 1], [-INF, -INF]]))).all()
    np.testing.assert_array_equal(activations.log_softmax(x)[1:, 0], [[-1e4, 0], [-INF, 0]])


def test_sparsemax_is_the_nearest_of_all_shares():
    x = np.random.default_rng(5).normal(0, 2, (40, 3))
    shares = np.array([[i, j, 200 - i - j] for i in range(201) for j in range(201 - i)]) / 200
    nearest = shares[np.square(x[:, None] - shares).sum(axis=-1).argmin(axis=-1)]
    np.testing.assert_allclose(activations.sparsemax(x), nearest, atol=0.01)
    np.testing.assert_array_equal(activations.sparsemax(x.T, axis=0), activations.sparsemax(x).T)
    np.testing.assert_array_equal(activations.sparsemax(np.array([[-INF, 0], [-INF, -INF]])), [[0, 1], [NAN, NAN]])
    np.testing.assert_array_equal(activations.sparsemax(np.array([[INF, 0], [NAN, 0]])), np.full((2, 2), NAN))
    with pytest.raises(TypeError, match="axis must be an integer"):
        activations.sparsemax(x, (0, 1))


def test_relu_with_settings():
    x = np.array([-np.inf, -2, 0.5, 0.75, 3, np.inf, np.nan])
    np.testing.assert_array_equal(activations.relu(x, max_value=2, threshold=0.5), [0, 0, 0, 0.75, 2, 2, np.nan])
    np.testing.assert_array_equal(activations.relu(x, negative_slope=0.5), [-np.inf, -1, 0.5, 0.75, 3, np.inf, np.nan])
    np.testing.assert_array_equal(activations.leaky_relu(x, 0), [0, 0, 0.5, 0.75, 3, np.inf, np.nan])
    np.testing.assert_array_equal(activations.leaky_relu(x, 0.5), activations.relu(x, 0.5))
    for wrong in ({"negative_slope": -1}, {"max_value": -1}, {"threshold": np.nan}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a finite number >= 0"):
            activations.relu(x, **wrong)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_beside_longer_arithmetic(dtype):
    x = np.concatenate([np.linspace(-6, 6, 241), [-1e-30, 1e-30, 1e-5, -9, 12]]).astype(dtype)
    expected = [float(Decimal(float(v)) * normal_share(Decimal(float(v)))) for v in x]
    units = np.abs(activations.gelu(x) - expected) / np.abs(expected).clip(1e-300) / np.finfo(dtype).eps
    assert (units <= 4 + np.square(np.minimum(x, 0))).all()


def normal_share(x):
    """The share of a standard normal distribution below a number, in 60 digits."""
    getcontext().prec = 60
    # Marsaglia, "Evaluating the Normal Distribution", 2004: the terms have one sign.
    term = total = abs(x)
    k = 1
    while term > total * Decimal(10) ** -58:
        k += 2
        term *= x * x / k
        total += term
    two_pi = 2 * Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
    share = total * (-x * x / 2).exp() / two_pi.sqrt()
    return Decimal("0.5") + (share if x > 0 else -share)


@pytest.mark.parametrize("shape", [(3, 5, 7), (20_001,), (2, 0)])
def test_gelu_of_any_array(shape, each_thread_count):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    results = [activations.gelu(x).tobytes() for _ in each_thread_count()]
    assert len(set(results)) == 1
    assert activations.gelu(x).shape == shape
    np.testing.assert_array_equal(activations.gelu(x[..., ::2]), activations.gelu(x)[..., ::2])
    halves = activations.gelu(x.astype("float16"))
    assert halves.dtype == "float16"
    np.testing.assert_allclose(halves, activations.gelu(x), rtol=2e-2, atol=1e-3)


def kept(name, x):
    """What the gradient is worked out from."""
    function = activations.get(name)
    return x if activations.of_input(function) else function(x)


# x, and the derivative there, kinks included.
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("relu", [-2, 0, 3], [0, 0, 1]),
        ("elu", [-math.log(2), 0, 3], [0.5, 1, 1]),
        ("celu", [-math.log(2), 0, 3], [0.5, 1, 1]),
        ("sparse_plus", [-2, -1, 0, 0.5, 1, 3], [0, 0, 0.5, 0.75, 1, 1]),
        ("sparse_sigmoid", [-2, -1, 0.5, 1, 2], [0, 0, 0.5, 0, 0]),
        ("sparsemax", [0.5, 0.25, -3, 0.5], [0, 0, 0, 0]),
        ("selu", [-math.log(2), 0, 2], [0.5 * 1.7580993408473766, 1.0507009873554805, 1.0507009873554805]),
        ("softplus", [0, math.log(3)], [0.5, 0.75]),
        ("softsign", [-3, 0, 1], [0.0625, 1, 0.25]),
        ("tanh", [-math.log(2), 0, math.log(2)], [0.64, 1, 0.64]),
        ("sigmoid", [-math.log(3), 0, math.log(3)], [0.1875, 0.25, 0.1875]),
        ("hard_sigmoid", [-4, -3, -1.5, 0, 3, 4], [0, 0, 1 / 6, 1 / 6, 0, 0]),
        ("exponential", [-math.log(2), 0, math.log(5)], [0.5, 1, 5]),
        ("relu6", [-2, 0, 3, 6, 7], [0, 0, 1, 0, 0]),
        ("leaky_relu", [-5, 0, 3], [0.2, 0.2, 1]),
        ("squareplus", [-1.5, 0, 1.5], [0.2, 0.5, 0.8]),
        ("hard_shrink", [-2, -0.5, 0.25, 0.5, 3], [1, 0, 0, 0, 1]),
        ("soft_shrink", [-2, -0.5, 0.25, 0.5, 3], [1, 0, 0, 0, 1]),
        ("tanh_shrink", [-math.log(2), 0], [0.36, 0]),
        ("hard_tanh", [-2, -1, 0.5, 3], [0, 1, 1, 0]),
        ("log_sigmoid", [0, math.log(3)], [0.5, 0.25]),
        ("silu", [-math.log(3), 0, math.log(3)], [(4 - 3 * math.log(3)) / 16, 0.5, (12 + 3 * math.log(3)) / 16]),
        ("hard_silu", [-4, -3, -1.5, 0, 3, 4], [0, 0, 0, 0.5, 1, 1]),
        ("gelu", [0], [0.5]),
        ("mish", [0], [0.6]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_by_hand(name, x, expected, dtype):
    y = kept(name, np.array([x], dtype))
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
    np.testing.assert_allclose(activations.gradient(name)(grad_out, kept(name, x)), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("relu", "torch.relu(x)"),
        ("elu", "torch.nn.functional.elu(x)"),
        ("celu", "torch.nn.functional.celu(x)"),
        ("selu", "torch.selu(x)"),
        ("softplus", "torch.logaddexp(x, 0 * x)"),
        ("softsign", "torch.nn.functional.softsign(x)"),
        ("tanh", "torch.tanh(x)"),
        ("sigmoid", "torch.sigmoid(x)"),
        ("hard_sigmoid", "torch.clamp(x / 6 + 0.5, 0, 1)"),  # PyTorch's own takes a sixth from float32.
        ("exponential", "torch.exp(x)"),
        ("softmax", "torch.softmax(x, dim=-1)"),
        ("relu6", "torch.nn.functional.relu6(x)"),
        ("leaky_relu", "torch.nn.functional.leaky_relu(x, 0.2)"),
        ("hard_shrink", "torch.nn.functional.hardshrink(x)"),
        ("soft_shrink", "torch.nn.functional.softshrink(x)"),
        ("tanh_shrink", "torch.nn.functional.tanhshrink(x)"),
        ("hard_tanh", "torch.nn.functional.hardtanh(x)"),
        ("log_sigmoid", "torch.nn.functional.logsigmoid(x)"),
        ("log_softmax", "torch.log_softmax(x, dim=-1)"),
        ("silu", "torch.nn.functional.silu(x)"),
        ("hard_silu", "torch.nn.functional.hardswish(x)"),
        ("gelu", "torch.nn.functional.gelu(x)"),
        ("mish", "torch.nn.functional.mish(x)"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_beside_torch(name, theirs, dtype):
    torch = pytest.importorskip("torch")
    for scale in (1, 10, 1e4):
        rng = np.random.default_rng(1)
        values = (scale * rng.normal(size=(20, 3, 7))).astype(dtype)
        if name == "exponential":
            values = -np.abs(values)
        grad_out = rng.normal(size=values.shape).astype(dtype)
        x = torch.tensor(values, requires_grad=True)
        eval(theirs, {"torch": torch, "x": x}).backward(torch.tensor(grad_out))
        grad_x = activations.gradient(name)(grad_out, kept(name, values))
        # Relative to the slope of 1; what is left of it near a limit has the digits that the output has.
        tolerance = 2e-6 if dtype == "float32" else 4e-15
        np.testing.assert_allclose(grad_x, x.grad.numpy(), rtol=tolerance, atol=tolerance, err_msg=f"scale {scale}")


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_warns_of_nothing(name, dtype):
    largest = np.finfo(dtype).max
    x = np.array([INF, -INF, NAN, 1e4, -1e4, 1e-310, -1e-30, largest, -largest, 0], dtype)
    y = kept(name, x[None])
    for value in (0, 1, INF, NAN, largest, -largest):
        grad_x = activations.gradient(name)(np.full_like(y, value), y)
        assert (grad_x.shape, grad_x.dtype) == (y.shape, y.dtype)
    if name not in ("linear", "exponential", "softmax", "log_softmax", "sparsemax", *DIPS):
        finite = activations.gradient(name)(np.ones_like(y), y)[0, [0, 1, 3, 4, 5, 6, 7, 8, 9]]
        assert (finite >= 0).all()
        assert (finite <= 1.7580993408473768).all()
    if name in DIPS:
        np.testing.assert_allclose(activations.gradient(name)(np.ones_like(y), y)[0, :2], [1, 0])
        assert np.isfinite(activations.gradient(name)(np.ones_like(y), y)[0, 3:]).all()


def test_gradient_of_a_function_of_the_users():
    def double(x):
        return 2 * x

    with pytest.raises(ValueError, match=r"activation must have an attribute 'gradient', .*\(grad_out, y\).*double"):
        activations.gradient(double)
    double.gradient = lambda grad_out, y: 2 * grad_out
    assert activations.gradient(double) is double.gradient
    assert not activations.of_input(double)
    double.gradient = lambda grad_out, x: 2 * grad_out
    assert activations.of_input(double)
    double.gradient = np.multiply
    assert not activations.of_input(double)
    assert not activations.of_input(np.tanh)
    with pytest.raises(ValueError, match=r"must be one of celu, elu, .*, got 'relu7'"):
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


@pytest.mark.parametrize(("alias", "name"), [("swish", "silu"), ("hard_swish", "hard_silu")])
def test_aliases(alias, name):
    assert activations.get(alias) is getattr(activations, alias) is activations.get(name)
    assert activations.serialize(activations.get(alias)) == name


def test_activation_identifiers():
    def double(x):
        return 2 * x

    assert activations.get(None) is activations.linear
    assert activations.get(double) is double
    with pytest.raises(ValueError, match=r"must be one of celu, elu, .*tanh_shrink, got 'relu7'"):
        activations.get("relu7")
    for wrong in (3, float):
        with pytest.raises(TypeError, match="activation must be a name"):
            activations.get(wrong)
    with pytest.raises(TypeError, match="double"):
        activations.serialize(double)

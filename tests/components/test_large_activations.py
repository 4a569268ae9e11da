"""Activations of large arrays, which kernels compute: beside the formulas, at the extremes, everywhere in an array."""

import numpy as np
import pytest
from test_activations import ACTIVATIONS, INF, NAN

from numbaconv import activations
from numbaconv.activations import function

LARGE = function.LARGE
SETTINGS = {
    "relu": [{"negative_slope": 0.5}, {"max_value": 2.0}, {"max_value": 2.0, "threshold": 0.25}],
    "elu": [{"alpha": 0.5}, {"alpha": 0}],
    "celu": [{"alpha": 3.0}],
    "leaky_relu": [{"negative_slope": 0}, {"negative_slope": 2}],
    "soft_shrink": [{"threshold": 1}],
    "hard_shrink": [{"threshold": 0}],
    "softmax": [{"axis": 0}, {"axis": (0, 1)}],
    "log_softmax": [{"axis": 0}],
}
RARE = ("linear", "sparsemax", "sparse_plus", "squareplus")
CASES = [(name, settings) for name in ACTIVATIONS if name not in RARE for settings in ({}, *SETTINGS.get(name, ()))]
# Made of comparisons, products and sums alone, which round alike in both dtypes.
PLAIN = ("relu", "leaky_relu", "relu6", "hard_sigmoid", "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink")
PLAIN = (*PLAIN, "softsign", "sparse_sigmoid")
# Made of one of the others: sigmoid, softplus and tanh.
MADE = ("silu", "log_sigmoid", "tanh_shrink")
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def by_formula(call, *args, **settings):
    """What the formula makes of the arguments, of any size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function, "LARGE", 1 << 60)
        return call(*args, **settings)


def values(dtype, rng):
    """Rows of values of many sizes, and of all that is special; an odd number of them."""
    largest, least = np.finfo(dtype).max, np.finfo(dtype).tiny
    special = [0, -0.0, INF, -INF, NAN, largest, -largest, least, -least, least / 8, -least / 8]
    x = rng.standard_normal((67, 71)) * 10.0 ** rng.integers(-3, 3, (67, 71))
    x[7, : len(special)] = special
    x[8, :9] = [0.5, -0.5, 1, -1, 3, -3, 6, -6, 0.25]
    return x.astype(dtype)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "dtype"),
    [
        pytest.param(*case, dtype, marks=pytest.mark.nightly if dtype == "float64" and case[0] in PLAIN + MADE else ())
        for case in CASES
        for dtype in ("float32", "float64")
    ],
)
def test_large_arrays_beside_the_formulas(name, settings, dtype):
    rng = np.random.default_rng(3)
    call, x = activations.get(name), values(dtype, rng)
    y = call(x, **settings)
    unit = np.finfo(dtype).eps
    # In more digits where there are some, since both sides round.
    wider = np.float64 if dtype == "float32" and name != "gelu" else dtype
    with np.errstate(all="ignore"):
        right = by_formula(call, x.astype(wider), **settings).astype(dtype)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    finite, rounds = np.isfinite(right), 40 if "softmax" in name else 4
    np.testing.assert_array_equal(y[~finite], right[~finite])
    size = np.abs(right[finite]) + np.minimum(np.abs(x[finite]), 1)
    np.testing.assert_array_less(np.abs(y[finite] - right[finite]), rounds * unit * size + 2 * np.finfo(dtype).tiny)

    grad_out = rng.standard_normal(x.shape).astype(dtype)
    kept = x if activations.of_input(call) else y
    grad = activations.gradient(call)(grad_out, kept, **settings)
    right = by_formula(activations.gradient(call), grad_out, kept, **settings)
    assert (grad.shape, grad.dtype) == (x.shape, dtype)
    np.testing.assert_allclose(grad, right, rtol=40 * unit, atol=200 * unit if "softmax" in name else 20 * unit)


@by_dtype
def test_exponentials_within_a_unit_of_rounding(dtype):
    low, high = (-105, 89.5) if dtype == "float32" else (-746, 710)
    x = np.random.default_rng(0).uniform(low, high, 40_000).astype(dtype)
    with np.errstate(over="ignore"):
        right = np.exp(x.astype(np.longdouble))
        y = activations.exponential(x)
        unit = np.maximum(right * np.finfo(dtype).eps, np.finfo(dtype).smallest_subnormal)
        np.testing.assert_array_less(np.abs(y - right)[np.isfinite(y)], (1.01 * unit)[np.isfinite(y)])
        np.testing.assert_array_equal(np.isinf(y), right > np.finfo(dtype).max)


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_bits_depend_on_neither_place_nor_threads(name, each_thread_count):
    x = np.random.default_rng(1).standard_normal((3000, 13)).astype("float32")
    grad_out, call = x[::-1].copy(), activations.get(name)
    results = set()
    for _ in each_thread_count():
        y = call(x)
        results.add((y.tobytes(), activations.gradient(call)(grad_out, y).tobytes()))
    assert len(results) == 1
    for rows in (1, 7, 2000):
        np.testing.assert_array_equal(call(x[rows:]), y[rows:])
        np.testing.assert_array_equal(call(x[:-rows]), y[:-rows])


def test_arrays_of_any_kind():
    x = np.random.default_rng(2).standard_normal((200, 64)).astype("float32")
    y = activations.sigmoid(x)
    assert x.size > LARGE
    frozen = x.copy()
    frozen.flags.writeable = False
    for other in (frozen, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(activations.sigmoid(other), y)
    for dtype in ("float16", ">f4", "int32"):
        out = activations.sigmoid(x.astype(dtype))
        np.testing.assert_allclose(out, activations.sigmoid(x.astype(dtype).astype("float32")), rtol=2e-3)
    assert activations.sigmoid(np.zeros((0, LARGE), "float32")).shape == (0, LARGE)


def test_a_share_of_one_value():
    x = np.zeros((3, LARGE, 1), "float32")
    x[1, 5:8, 0] = INF, -INF, NAN
    wanted = np.where(np.isfinite(x), 1, NAN)
    for axis in (-1, 2):
        np.testing.assert_array_equal(activations.softmax(x, axis=axis), wanted)
        np.testing.assert_array_equal(activations.log_softmax(x, axis=axis), wanted - 1)


def test_settings_are_checked():
    x = np.zeros((2, LARGE), "float32")
    with pytest.raises(ValueError, match="alpha must be a finite number >= 0"):
        activations.elu(x, alpha=-1)
    activations.elu(x, alpha=1.0)
    with pytest.raises(TypeError, match="alpha must be a finite number"):
        activations.elu(x, alpha=True)
    np.testing.assert_array_equal(activations.softmax(x, [1]), activations.softmax(x, 1))
    with pytest.raises(ValueError, match="axis must name axes"):
        activations.softmax(x, axis=2)
    with pytest.raises(ValueError, match="axis must name axes"):
        activations.log_softmax(x, axis=(0, -2))

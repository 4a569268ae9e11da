"""Gradients of dense layers, whose matrices are small in one way or in none, beside NumPy's products."""

import numpy as np
import pytest

from numbaconv import functional, layers
from numbaconv.calls.conv import dense_call
from numbaconv.calls.gradients import SumCall, conv_grad, dense_grad
from numbaconv.calls.packed import Packed
from numbaconv.calls.products import ProductCall, ProductInputCall
from numbaconv.calls.window import window_of

# Rows, features and units: few of each, none, numbers that leave vectors and tiles unfilled, and tasks for all cores.
SIZES = [
    *[(1, 1, 1), (0, 3, 5), (1, 33, 140), (1, 300, 17), (3, 50, 9), (4, 31, 257), (8, 200, 3), (9, 64, 3), (90, 70, 1)],
    *[(30, 2, 8), (70, 40, 30), (200, 5, 67), (20, 11, 70), (1, 900, 700), (4, 900, 700), (9, 130, 700), (700, 900, 8)],
    *[(150, 4, 3000), (300, 12, 1100)],
]


def gradients(x, weights, grad):
    """Those of the weights and of the input."""
    call = dense_grad(*x.shape, weights.shape[1], x.itemsize)
    image, windows = (array[None, None, None] for array in (x, grad))
    packed = Packed("conv_transpose", weights[None], ((1,), (1,)))
    return call.weights(image, windows), call.input(windows, packed).reshape(x.shape)


def operands(rows, features, units, dtype):
    rng = np.random.default_rng(rows + features + units)
    return [rng.standard_normal(shape).astype(dtype) for shape in ((rows, features), (features, units), (rows, units))]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_are_products(sizes, dtype, poisoned):
    x, weights, grad = operands(*sizes, dtype)
    of_weights, of_input = gradients(x, weights, grad)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    wide = [array.astype(np.float64) for array in (x, weights, grad)]
    np.testing.assert_allclose(of_weights, wide[0].T @ wide[2], rtol=tolerance, atol=tolerance * 30)
    np.testing.assert_allclose(of_input, wide[2] @ wide[1].T, rtol=tolerance, atol=tolerance * 30)


@pytest.mark.parametrize("sizes", SIZES[-6:], ids=str)
def test_threads_do_not_change_a_bit(sizes, each_thread_count):
    x, weights, grad = operands(*sizes, np.float32)
    found = [[one.tobytes() for one in gradients(x, weights, grad)] for _ in each_thread_count()]
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("sizes", SIZES[2:], ids=str)
def test_infinities_and_nan_stay_in_their_rows_and_columns(sizes):
    x, weights, grad = operands(*sizes, np.float32)
    x[-1, -1], weights[-1, 0], grad[0, -1] = np.inf, -np.inf, np.nan
    with np.errstate(invalid="ignore"):
        wanted = x.T @ grad, grad @ weights.T
    for found, right in zip(gradients(x, weights, grad), wanted, strict=True):
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(right))


@pytest.mark.parametrize("channels_filters", [(1, 1), (3, 8), (5, 4), (16, 40), (40, 12), (64, 3)], ids=str)
@pytest.mark.parametrize("lengths", [(3, 3), (15, 10), (70, 90)], ids=str)
def test_planes_of_pixels_have_the_bits_of_pixels(channels_filters, lengths, poisoned, each_thread_count):
    rng = np.random.default_rng(1)
    shape, bias = (2, *lengths, channels_filters[0]), rng.standard_normal(channels_filters[1]).astype("f4")
    x, weights = (rng.standard_normal(s).astype("f4") for s in (shape, (1, 1, *channels_filters)))
    wanted = np.ascontiguousarray(np.moveaxis(functional.conv(x, weights, bias), -1, 1))
    np.testing.assert_allclose(wanted, np.moveaxis(x @ weights[0, 0] + bias, -1, 1), rtol=0, atol=1e-4)
    planes = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    for _ in each_thread_count():
        assert functional.conv(planes, weights, bias, data_format="channels_first").tobytes() == wanted.tobytes()


def test_sums_of_few_windows_are_products_whatever_the_input_is(each_thread_count):
    for sizes, sums in (((1, 5, 64, 2), ProductCall), ((1, 5, 8, 2), SumCall), ((5, 4, 64, 3), SumCall)):
        n, k, channels, filters = sizes
        call = conv_grad((n, 4, 4, channels), (k, k, channels, filters), 4, window_of((k, k), 1, "same"))
        assert type(call.sum_call) is sums
        assert not isinstance(call.input_call, ProductInputCall)
    rng = np.random.default_rng(2)
    x, grad = (rng.standard_normal((2, 3, 5, c)).astype("f4") for c in (66, 3))
    padded = np.pad(x.astype("f8"), ((0, 0), (2, 2), (1, 2), (0, 0)))
    read = np.lib.stride_tricks.sliding_window_view(padded, (3, 5), axis=(1, 2))
    wanted = np.einsum("nklchw,nhwf->klcf", read, grad)
    found = [functional.conv_weight_grad(x, grad, (5, 4), padding="same") for _ in each_thread_count()]
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())
    assert all(one.tobytes() == found[0].tobytes() for one in found)


@pytest.mark.parametrize("features, units", [(7, 5), (30, 128), (33, 129), (600, 300), (1, 2000)])
def test_few_rows_take_weights_as_they_lie_with_the_bits_of_many(features, units, poisoned):
    rng = np.random.default_rng(0)
    layer = layers.Dense(units, activation="relu")
    x = rng.standard_normal((40, features)).astype("f4")
    layer.build(x.shape)
    weights = [rng.standard_normal(w.shape).astype("f4") for w in layer.weights]
    weights[0][0, -1] = np.inf
    layer.set_weights(weights)
    expected = layer(x)
    for rows in (1, 2, 3):
        assert dense_call(rows, features, units, 4).rows == ((rows, features, units) if rows < 3 else None)
        np.testing.assert_array_equal(layer(x[:rows]), expected[:rows])


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_products_that_are_added_up_may_have_few_rows(batch):
    x, weights = np.arange(3, 3 + batch).reshape(batch, 1, 1, 1, 1), np.arange(1, 4).reshape(1, 1, 3, 1, 1)
    found = functional.conv_transpose(
        x.astype(np.float32), weights.astype(np.float32), strides=(1, 1, 3), dilation_rate=(1, 1, 2)
    )
    wanted = np.zeros((batch, 1, 1, 5, 1))
    wanted[:, 0, 0, ::2, 0] = x[:, 0, 0, 0] * weights.ravel()
    np.testing.assert_array_equal(found, wanted)

"""`numbaconv.utils` beside Keras 3."""

import numpy as np
import pytest

from numbaconv import utils


@pytest.mark.parametrize(
    "arguments",
    [
        ([0, 1, 2, 3],),
        ([0, 1, 2, 3], 4),
        ([[1], [0], [5]],),
        ([[1], [0], [5]], 9),
        (np.arange(6).reshape(2, 3) % 4,),
        (np.arange(6).reshape(2, 3, 1) % 4, 5),
        (np.array([[3]], "uint8"),),
        ([[[2]]],),
        (3,),
        ([1.0, 0.0],),
        (np.zeros((0,), int), 2),
        (np.array([True, False]),),
    ],
    ids=repr,
)
def test_to_categorical(keras, arguments):
    expected = keras.utils.to_categorical(*arguments)
    out = utils.to_categorical(*arguments)
    np.testing.assert_array_equal(out, expected)
    assert out.dtype == expected.dtype


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("axis", [-1, 1, 2, -3])
@pytest.mark.parametrize("order", [1, 2, 3, 0.5, 0, -1, np.inf, -np.inf])
def test_normalize(keras, dtype, axis, order):
    x = np.random.default_rng(0).integers(-5, 6, (3, 4, 5)).astype(dtype)
    x[1] = 0
    with np.errstate(divide="ignore"):
        expected = keras.utils.normalize(x, axis, order)
    out = utils.normalize(x, axis, order)
    assert out.dtype == expected.dtype
    np.testing.assert_allclose(out, expected, rtol=2e-6 if dtype == "float32" else 1e-14)


def test_normalize_axis_0_is_what_keras_has_for_the_same_axis_from_the_end(keras):
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    np.testing.assert_allclose(utils.normalize(x, 0), keras.utils.normalize(x, -3), rtol=1e-14)

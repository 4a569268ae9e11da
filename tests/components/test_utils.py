"""`numbaconv.utils`: random numbers that can be had again, labels as vectors, vectors of length 1."""

import random
import re
import subprocess
import sys

import numpy as np
import pytest

from numbaconv import initializers, layers, utils
from numbaconv.models import Sequential

RANDOM = [name for name, cls in initializers._REGISTRY.classes.items() if "seed" in cls._arguments()]
X = np.linspace(-1, 1, 40 * 12).reshape(40, 12)
Y = np.arange(40) % 3

# A training without a seed of its own, whose weights are printed as bytes.
PROGRAM = """
import numpy as np, sys
from numbaconv import layers, models, utils
utils.set_random_seed(7)
model = models.Sequential([layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(3, "softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
model.fit(np.linspace(-1, 1, 40 * 12).reshape(40, 12), np.arange(40) % 3, batch_size=8, epochs=2, verbose=0)
print(b"".join(w.tobytes() for w in model.get_weights()).hex())
"""


@pytest.fixture(autouse=True)
def unseeded(monkeypatch):
    """What a test seeds is as it was, afterwards."""
    monkeypatch.setattr("numbaconv.common.random._source", None)
    kept, numpys = random.getstate(), np.random.get_state()
    yield
    random.setstate(kept)
    np.random.set_state(numpys)


def small_model():
    model = Sequential([layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def trained(**arguments):
    model = small_model()
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, **arguments)
    return b"".join(w.tobytes() for w in model.get_weights())


@pytest.mark.parametrize("name", RANDOM)
def test_initializers_repeat_after_the_seed_and_differ_from_each_other(name):
    initializer = getattr(initializers, name)()

    def draws():
        return [initializer((5, 4)).tobytes() for _ in range(3)]

    utils.set_random_seed(1)
    first = draws()
    assert len(set(first)) == 3
    utils.set_random_seed(1)
    assert draws() == first
    utils.set_random_seed(2)
    assert not set(draws()) & set(first)


def test_random_initializers_were_found():
    assert len(RANDOM) == 11


def test_no_two_weights_of_a_model_are_alike():
    utils.set_random_seed(0)
    model = Sequential([layers.Dense(6, bias_initializer="random_normal", input_shape=(6,)), layers.Dense(6)])
    model.add(layers.Dense(6))
    kernels = {w.tobytes() for w in model.get_weights() if w.ndim == 2}
    assert len(kernels) == 3


def test_dropout_repeats_and_two_layers_differ():
    def masks():
        x = np.ones((4, 50), np.float32)
        return [layer._forward(layer._ready(x))[0].tobytes() for layer in (layers.Dropout(0.5), layers.Dropout(0.5))]

    utils.set_random_seed(3)
    first = masks()
    assert first[0] != first[1]
    utils.set_random_seed(3)
    assert masks() == first


def test_seeds_of_their_own_stay_what_they_were():
    before = initializers.GlorotUniform(seed=5)((3, 3))
    utils.set_random_seed(0)
    np.testing.assert_array_equal(initializers.GlorotUniform(seed=5)((3, 3)), before)


def test_training_repeats_in_this_process_and_another(each_thread_count):
    results = set()
    for _ in each_thread_count():
        utils.set_random_seed(7)
        results.add(trained().hex())
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert {done.stdout.strip()} == results
    assert trained().hex() not in results


def test_only_the_order_of_examples_is_left_to_chance():
    def orders():
        model = Sequential([layers.Dense(3, kernel_initializer="zeros", input_shape=(12,))])
        model.compile("sgd", "mean_squared_error")
        model.fit(X, X[:, :3], batch_size=7, verbose=0)
        return model.get_weights()[0].tobytes()

    utils.set_random_seed(0)
    first, second = orders(), orders()
    assert first != second
    utils.set_random_seed(0)
    assert [orders(), orders()] == [first, second]


def test_a_saved_training_goes_on_to_the_same_bits(tmp_path):
    utils.set_random_seed(11)
    whole = small_model()
    whole.fit(X, Y, batch_size=8, epochs=4, verbose=0, seed=1)
    utils.set_random_seed(11)
    half = small_model()
    half.fit(X, Y, batch_size=8, epochs=2, verbose=0, seed=1)
    half.save(tmp_path / "half.npz")
    utils.set_random_seed(999)
    loaded = Sequential.load(tmp_path / "half.npz")
    loaded.fit(X, Y, batch_size=8, epochs=4, initial_epoch=2, verbose=0, seed=1)
    for ours, theirs in zip(loaded.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_global_states_are_seeded():
    utils.set_random_seed(np.int64(5))
    drawn = random.random(), np.random.rand()
    random.seed(5)
    np.random.seed(5)
    assert drawn == (random.random(), np.random.rand())


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (2**32, ValueError), (1.0, TypeError), (None, TypeError), (True, TypeError)]
)
def test_a_wrong_seed_changes_nothing(seed, error):
    utils.set_random_seed(4)
    expected = random.random(), np.random.rand(), initializers.RandomNormal()((2,)).tobytes()
    utils.set_random_seed(4)
    with pytest.raises(error, match="seed must be"):
        utils.set_random_seed(seed)
    assert (random.random(), np.random.rand(), initializers.RandomNormal()((2,)).tobytes()) == expected


def test_labels_by_hand():
    out = utils.to_categorical([[0], [2], [1]])
    np.testing.assert_array_equal(out, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert out.dtype == np.float64
    np.testing.assert_array_equal(utils.to_categorical(np.array([True, False])), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(utils.to_categorical([1.0, 0.0], np.int8(3)), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(utils.to_categorical(2), [0, 0, 1])
    assert utils.to_categorical(np.zeros((0, 4), int), 3).shape == (0, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1, -1],), ValueError, "whole numbers >= 0, got -1 at index (2,)"),
        (([0.5],), ValueError, "whole numbers >= 0, got 0.5"),
        (([np.nan],), ValueError, "whole numbers >= 0, got nan"),
        (([np.inf],), ValueError, "whole numbers >= 0, got inf"),
        (([2**63],), ValueError, "whole numbers >= 0, got 9223372036854775808"),
        (([2**62],), ValueError, "the result must have at most"),
        (([[0], [3]], 3), ValueError, "below num_classes, 3, got 3 at index (1,)"),
        (([0], 0), ValueError, "num_classes must be positive, got 0"),
        (([0], 2.0), TypeError, "num_classes must be an integer, got 2.0"),
        (([],), ValueError, "num_classes must be given"),
        ((["a"],), TypeError, "x must hold real numbers"),
    ],
)
def test_labels_that_are_none(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        utils.to_categorical(*arguments)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1.0, 2.0**120, 2.0**-120])
@pytest.mark.parametrize(("axis", "expected"), [(0, [[1, 0], [0, 1]]), (1, [[1, 0], [0, 1]]), (-1, [[1, 0], [0, 1]])])
def test_vectors_of_length_one(dtype, scale, axis, expected):
    x = np.array([[3, 0], [0, 5]], dtype) * np.dtype(dtype).type(scale)
    out = utils.normalize(x, axis)
    np.testing.assert_array_equal(out, expected)
    assert out.dtype == dtype


@pytest.mark.parametrize(
    ("order", "expected"), [(1, [3 / 7, -4 / 7]), (2, [0.6, -0.8]), (np.inf, [0.75, -1]), (0, [1.5, -2])]
)
def test_lengths_of_other_orders(order, expected):
    np.testing.assert_allclose(utils.normalize([[3, -4], [0, 0]], order=order), [expected, [0, 0]], rtol=1e-15)


def test_axes_are_told_apart():
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose((utils.normalize(x, 0) ** 2).sum(0), 1)
    np.testing.assert_allclose((utils.normalize(x, 1) ** 2).sum(1), 1)
    assert np.isnan(utils.normalize([[1, np.nan], [1, 0]])).tolist() == [[True, True], [False, False]]
    assert utils.normalize(np.zeros((0, 3), np.float32)).shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1, 2], 1), ValueError, "axis must be an axis of x, whose shape is (2,), got 1"),
        ((3.0,), ValueError, "axis must be an axis of x"),
        (([1, 2], None), TypeError, "axis must be an integer"),
        (([1, 2], -1, "fro"), TypeError, "order must be a number, got 'fro'"),
        (([1, 2], -1, np.nan), ValueError, "order must be a number, got nan"),
        (([1j],), TypeError, "x must hold real numbers"),
    ],
)
def test_what_has_no_length(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        utils.normalize(*arguments)

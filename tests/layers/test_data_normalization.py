"""Normalization: what `adapt` finds, values, gradients, configurations, files and what it refuses."""

import json
import pickle

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv.calls import normalizing
from numbaconv.layers import Normalization, data_normalization
from numbaconv.models import Sequential

by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Results begin as NaN everywhere, and even few data are several blocks."""
    monkeypatch.setattr(normalizing, "aligned_empty", lambda shape, dtype: np.full(shape, np.nan, dtype))
    monkeypatch.setattr(data_normalization, "BLOCK_VALUES", 50)


def example(shape, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) * rng.uniform(0.5, 3, shape[1:]) + rng.normal(0, 5, shape[1:])


def test_by_hand():
    layer = Normalization()
    layer.adapt([[1, 10], [5, 10], [3, 40]])
    np.testing.assert_array_equal(layer.adapt_mean, [3, 20])
    np.testing.assert_allclose(layer.adapt_variance, [8 / 3, 200], rtol=1e-7)
    given = Normalization(mean=[3, 20], variance=[4, 100])
    np.testing.assert_allclose(given.forward([[5, 0], [3, 30]]), [[1, -2], [0, 1]], rtol=1e-7)
    np.testing.assert_allclose(given.backward([[4, 10], [0, 1]]), [[2, 1], [0, 0.1]], rtol=1e-7)
    np.testing.assert_allclose(Normalization(mean=3, variance=4, invert=True)([[1, -2]]), [[5, -1]], rtol=1e-7)
    # A deviation of 0 counts as 1e-7.
    np.testing.assert_allclose(Normalization(mean=1, variance=0)([[1, 2]]), [[0, 1e7]], rtol=1e-6)
    assert given.weights == []


AXES = [
    ((9, 4), -1),
    ((9, 3, 4), [1, 2]),
    ((9, 3, 4), None),
    ((9, 3, 4, 5), -3),
    ((9, 3, 4, 5), [3, 1]),
    ((9, 3, 1, 5), (-2,)),
    ((70, 1), []),
]


@by_dtype
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_values_and_what_adapt_finds(shape, axis, dtype):
    tolerance = {"rtol": 2e-6, "atol": 2e-6} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}
    data = example(shape).astype(dtype)
    kept = {a % len(shape) for a in ([] if axis is None else axis if isinstance(axis, list | tuple) else [axis])}
    others = tuple(i for i in range(len(shape)) if i not in kept)
    mean, variance = (f(data, others, dtype=float, keepdims=True) for f in (np.mean, np.var))
    layer = Normalization(axis, dtype=dtype)
    layer.adapt(data)
    sizes = tuple(shape[i] for i in sorted(kept))
    assert [w.shape for w in layer.get_weights()] == [sizes, sizes, ()]
    np.testing.assert_allclose(layer.adapt_mean, mean.reshape(sizes), **tolerance)
    np.testing.assert_allclose(layer.adapt_variance, variance.reshape(sizes), **tolerance)
    for x in (data, data[:2], np.asfortranarray(data)):
        wanted = (x - mean) / np.sqrt(variance)
        for out in (layer(x), layer.forward(x)):
            assert (out.dtype, out.shape) == (np.dtype(dtype), layer.compute_output_shape(x.shape))
            np.testing.assert_allclose(out, wanted, **tolerance)
    layer.invert = True
    np.testing.assert_allclose(layer(wanted), data, rtol=1e-5, atol=1e-5)
    given = Normalization(axis, mean.reshape(sizes), variance.reshape(sizes).tolist(), dtype=dtype)
    np.testing.assert_allclose(given(data), wanted, **tolerance)


@pytest.mark.parametrize("settings", [{}, {"invert": True}, {"mean": [1, 2, 3], "variance": [4, 5, 6]}])
def test_gradients(settings):
    layer = Normalization(dtype=float, **settings)
    if "mean" not in settings:
        layer.adapt(example((8, 2, 3)))
    assert_gradients(layer, example((2, 2, 3)))
    assert layer.trainable_weights == []


def test_batches_add_up_to_the_whole():
    data = example((20, 3, 2))
    whole = Normalization(dtype=float)
    whole.adapt(data)
    batches = [data[:1], data[1:1], data[1:12], data[12:]]
    for given in (batches, iter(batches), ((batch, batch[:, 0]) for batch in batches), tuple(batches)):
        layer = Normalization(dtype=float)
        layer.adapt(given)
        for found, wanted in zip(layer.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-13)
    layer.adapt(data + 1)
    np.testing.assert_allclose(layer.adapt_mean, whole.adapt_mean + 1, rtol=1e-13)


def test_a_large_mean_takes_no_digits():
    small = np.random.default_rng(1).standard_normal((500, 2)).astype(np.float32) * 2.0**-8
    data = (small + np.float32(2**14)).astype(np.float32)
    layer = Normalization(axis=None)
    layer.adapt(data)
    np.testing.assert_allclose(layer.adapt_variance, data.astype(float).var(), rtol=1e-6)


def test_one_axis_of_data():
    layer = Normalization(None, input_shape=(1,))
    layer.adapt(np.array([1.0, 3.0]))
    np.testing.assert_array_equal(layer([[2], [4]]), [[0], [2]])


def test_new_statistics_act_at_once_and_travel(tmp_path):
    data = example((9, 4))
    layer = Normalization(input_shape=(4,))
    model = Sequential([layer])
    np.testing.assert_array_equal(model(data), data.astype(np.float32))
    layer.adapt(data)
    out = model(data)
    assert abs(out).max() < 4
    alone = layer(data)
    np.testing.assert_allclose(out, alone, rtol=1e-5, atol=1e-5)
    assert pickle.loads(pickle.dumps(layer))(data).tobytes() == alone.tobytes()
    model.save(tmp_path / "model")
    assert Sequential.load(tmp_path / "model")(data).tobytes() == out.tobytes()
    layer.adapt_mean = layer.adapt_mean + 1
    np.testing.assert_allclose(layer(data), out - 1 / np.sqrt(layer.adapt_variance), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 3), (0, 4, 3), (2, 0, 3)])
def test_empty_batch(shape):
    layer = Normalization()
    assert layer(np.empty(shape)).shape == layer.forward(np.empty(shape)).shape == shape
    assert layer.backward(np.empty(shape)).shape == shape


def test_configuration_round_trip():
    arguments = {"axis": [1, 2], "mean": [[1.0, 2.5]], "variance": [[3.0, 4.0]], "invert": True}
    layer = Normalization(**arguments, dtype="float64", trainable=False, input_shape=(3, 2))
    config = json.loads(json.dumps(layer.get_config()))
    assert {name: config[name] for name in arguments} == arguments
    twin = Normalization.from_config(config)
    assert twin.get_config() == config
    x = example((2, 3, 2))
    assert twin(x).tobytes() == layer(x).tobytes()
    usual = json.loads(json.dumps(Normalization().get_config()))
    assert [usual[name] for name in arguments] == [[-1], None, None, False]
    assert json.loads(json.dumps(Normalization(None).get_config()))["axis"] == []


# What is called, the error, and what its message must hold: argument, what came, what would be right.
REFUSED = {
    "mean alone": (lambda: Normalization(mean=1), ValueError, ("mean and variance", "together", "got 1 and None")),
    "mean no numbers": (lambda: Normalization(mean="a", variance=1), TypeError, ("mean", "real numbers")),
    "mean of another size": (
        lambda: Normalization(mean=[1, 2], variance=[1, 2])(np.ones((2, 3))),
        ValueError,
        ("mean", "broadcast", "(3,)", "got (2,)"),
    ),
    "mean of more axes": (
        lambda: Normalization(mean=[[1, 2, 3]], variance=1).build((None, 3)),
        ValueError,
        ("mean", "(3,)", "got (1, 3)"),
    ),
    "invert": (lambda: Normalization(invert=1), TypeError, ("invert", "True or False", "got 1")),
    "axis of the batch": (lambda: Normalization(0)(np.ones((2, 3))), ValueError, ("axis", "batch first", "[0]")),
    "axis no integer": (lambda: Normalization(1.5), TypeError, ("axis", "integer", "1.5")),
    "unknown size": (lambda: Normalization().build((None, None)), ValueError, ("axis [-1]", "known", "unknown")),
    "other sizes": (
        lambda: (layer := Normalization(), layer(np.ones((2, 3))), layer(np.ones((2, 4)))),
        ValueError,
        ("x must have 3 on axis [-1]", "got 4"),
    ),
    "adapt to other sizes": (
        lambda: (layer := Normalization(), layer(np.ones((2, 3))), layer.adapt([np.ones((2, 3)), np.ones((2, 4))])),
        ValueError,
        ("data must have 3 on axis [-1]", "got 4"),
    ),
    "adapt where all is given": (
        lambda: Normalization(mean=1, variance=1).adapt(np.ones((2, 3))),
        ValueError,
        ("adapt", "mean and variance are given"),
    ),
    "adapt to nothing": (lambda: Normalization().adapt(np.ones((0, 3))), ValueError, ("data", "at least one", "none")),
    "adapt to no batch": (lambda: Normalization().adapt(iter([])), ValueError, ("data", "at least one", "none")),
    "adapt to one axis": (lambda: Normalization().adapt(np.ones(3)), ValueError, ("data", "2 axes", "(3,)")),
    "adapt to no numbers": (lambda: Normalization().adapt(["a"]), TypeError, ("data", "real numbers")),
    "adapt to a number": (lambda: Normalization().adapt(3), ValueError, ("data", "2 axes", "()")),
}


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert message.startswith("Normalization 'normalization")
    assert all(part in message for part in said), message


def test_a_mistake_in_later_batches_changes_nothing():
    layer = Normalization()
    layer.adapt(example((5, 3)))
    before = [w.tobytes() for w in layer.get_weights()]
    with pytest.raises(TypeError, match="real numbers"):
        layer.adapt([np.ones((2, 3)), np.array([["a"] * 3])])
    assert [w.tobytes() for w in layer.get_weights()] == before

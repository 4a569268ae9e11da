"""BatchNormalization: values, statistics, gradients, configurations, what it refuses, and its kernels."""

import copy
import json
import pickle

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv.calls import normalizing
from numbaconv.layers import BatchNormalization, Conv2D
from numbaconv.models import Sequential

# Shapes and the axis of the channels: few and many, last and first, of one task and of several, rows of all kinds.
SHAPES = {
    "one value each": ((2, 1), -1),
    "one long channel": ((1, 1, 300), 1),
    "very many channels": ((5, 5003), -1),
    "very long channels": ((2, 3, 5003), 1),
    "features": ((30, 5), -1),
    "features, by number": ((30, 70), 1),
    "steps": ((3, 50, 4), -1),
    "image": ((2, 64, 65, 20), -1),
    "image, last axis by number": ((4, 5, 6, 3), 3),
    "many channels": ((1, 5, 5, 3000), -1),
    "channels first": ((3, 7, 64, 48), 1),
    "channels first, negative": ((2, 3, 6), -2),
    "in the middle": ((2, 3, 5, 7), 2),
    "in the middle, in a list": ((3, 40, 6, 70), [-2]),
    "channels first, 7x7": ((5, 130, 7, 7), 1),
    "channels first, length a prime": ((2, 3, 1031), 1),
    "channels first, one position": ((4, 6, 1, 1), 1),
    "volume": ((2, 3, 4, 5, 6), -4),
    "volume, odd lengths, few channels": ((1, 19, 21, 23, 3), -1),
}
by_shape = pytest.mark.parametrize(("shape", "axis"), SHAPES.values(), ids=SHAPES)
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")


@pytest.fixture(autouse=True)
def poisoned_results(monkeypatch):
    """Results begin as NaN everywhere, where usually nobody knows as what."""
    monkeypatch.setattr(normalizing, "aligned_empty", lambda shape, dtype: np.full(shape, np.nan, dtype))


def only(axis):
    """The axis that a list of one means."""
    return axis[0] if isinstance(axis, list) else axis


def example(shape, axis=-1, seed=1):
    """An input whose channels differ in mean and deviation, and weights for it."""
    axis = only(axis)
    rng = np.random.default_rng(seed)
    channels = shape[axis]
    x = np.moveaxis(rng.standard_normal(shape), axis, -1) * rng.uniform(0.5, 3, channels) + rng.normal(0, 5, channels)
    return np.moveaxis(x, -1, axis), [rng.uniform(0.5, 2, channels) for _ in WEIGHTS]


def normalized(x, axis, mean, variance, gamma, beta, epsilon=0.001):
    """The formula as it stands, in float64."""
    along = [-1 if i == only(axis) % x.ndim else 1 for i in range(x.ndim)]
    mean, variance, gamma, beta = (np.reshape(a, along).astype(float) for a in (mean, variance, gamma, beta))
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def moments_of(x, axis):
    others = tuple(i for i in range(x.ndim) if i != only(axis) % x.ndim)
    return x.mean(others, dtype=float), x.var(others, dtype=float)


def test_by_hand():
    layer = BatchNormalization(momentum=0.75, epsilon=0, weights=[[2], [1], [4], [8]])
    np.testing.assert_array_equal(layer.forward([[1], [5]]), [[-1], [3]])
    assert layer.moving_mean == 0.75 * 4 + 0.25 * 3
    assert layer.moving_variance == 0.75 * 8 + 0.25 * 4
    # Any gradient along (1, 1) or along x - mean changes nothing before the normalization.
    np.testing.assert_array_equal(layer.backward([[3], [7]]), [[0], [0]])
    assert [grad if grad is None else grad.tolist() for grad in layer.gradients] == [[4], [10], None, None]
    layer.set_weights([[2], [1], [3], [16]])
    np.testing.assert_array_equal(layer([[1], [5]]), [[0], [2]])
    assert (layer.moving_mean, layer.moving_variance) == (3, 16)


@by_dtype
@by_shape
def test_values_and_statistics(shape, axis, dtype):
    tolerance = {"rtol": 2e-6, "atol": 2e-6} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}
    x, weights = example(shape, axis)
    x = x.astype(dtype)
    before = x.copy()
    layer = BatchNormalization(axis, momentum=0.9, weights=weights, dtype=dtype)
    gamma, beta, moving_mean, moving_variance = weights
    for given in (x, np.asfortranarray(x)):
        out = layer(given)
        assert out.flags.c_contiguous
        assert (out.dtype, out.shape) == (np.dtype(dtype), layer.compute_output_shape(shape))
        np.testing.assert_allclose(out, normalized(x, axis, moving_mean, moving_variance, gamma, beta), **tolerance)
    mean, variance = moments_of(x, axis)
    out = layer.forward(x)
    np.testing.assert_allclose(out, normalized(x, axis, mean, variance, gamma, beta), **tolerance)
    np.testing.assert_allclose(layer.moving_mean, 0.9 * moving_mean + 0.1 * mean, **tolerance)
    np.testing.assert_allclose(layer.moving_variance, 0.9 * moving_variance + 0.1 * variance, **tolerance)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("settings", [{}, {"center": False}, {"scale": False}, {"center": False, "scale": False}])
@pytest.mark.parametrize(("shape", "axis"), [((5, 3), -1), ((2, 3, 4), -1), ((2, 2, 3, 2), 1), ((2, 3, 67), 1)])
def test_gradients(shape, axis, settings):
    x, _ = example(shape, axis)
    penalties = {"gamma_regularizer": "l2", "beta_regularizer": "l1"}
    layer = BatchNormalization(axis, gamma_initializer="he_normal", dtype=float, **settings, **penalties)
    layer.build(shape)
    assert list(layer.named_weights) == [
        w for w in WEIGHTS if settings.get({"gamma": "scale", "beta": "center"}.get(w), True)
    ]
    if layer.beta is not None:
        layer.beta = np.array([0.3, -2, 1, -0.1])[: shape[axis]]
    assert_gradients(layer, x)


@pytest.mark.double
@by_shape
def test_gradients_of_float32(shape, axis):
    x, weights = example(shape, axis)
    grads = []
    for dtype in ("float64", "float32"):
        layer = BatchNormalization(axis, weights=weights, dtype=dtype)
        layer.forward(x.astype(np.float32))
        grad_x = layer.backward(np.sin(x))
        assert (grad_x.dtype, grad_x.shape) == (np.dtype(dtype), shape)
        grads.append([grad_x, *layer.gradients[:2]])
    for double, single in zip(*grads, strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-5, atol=2e-6 * np.abs(double).max())


def test_statistics_follow_over_several_steps():
    layer = BatchNormalization(momentum=0.7, weights=example((4, 3))[1])
    layer.build((None, 3))
    mean, variance = layer.get_weights()[2:]
    for step in range(5):
        x = example((20, 3), seed=step)[0].astype(np.float32)
        layer.forward(x)
        layer.backward(x)
        mean, variance = 0.7 * mean + 0.3 * x.mean(0), 0.7 * variance + 0.3 * x.var(0)
        np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)
        np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)
        layer.forward(x, training=False), layer(x)
    gamma, beta, *moving = layer.get_weights()
    np.testing.assert_allclose(layer(x), normalized(x, -1, *moving, gamma, beta), rtol=1e-5, atol=1e-6)


@by_dtype
@pytest.mark.parametrize("axis", [-1, 1])
def test_a_large_mean_takes_no_digits(dtype, axis):
    deviation = np.random.default_rng(3).standard_normal((4, 500, 64)) * 2.0 ** -np.arange(8).repeat(8)
    x = np.moveaxis((deviation + 4096).astype(dtype), -1, axis)
    # Exact, and the same to a normalization.
    small = x - x.dtype.type(4096)
    mean, variance = moments_of(small, axis)
    layer = BatchNormalization(axis, epsilon=0, momentum=0, dtype=dtype)
    out = layer.forward(x)
    rtol = 1e-6 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=rtol)
    np.testing.assert_allclose(out, normalized(small, axis, mean, variance, 1, 0, 0), rtol=rtol, atol=rtol)
    grad_out = np.sin(np.arange(x.size)).reshape(x.shape)
    grad_x = layer.backward(grad_out)
    layer.forward(small)
    np.testing.assert_allclose(grad_x, layer.backward(grad_out), rtol=rtol, atol=rtol * np.abs(grad_x).max())


def test_constant_channels_become_beta():
    layer = BatchNormalization(momentum=0, weights=[[2, 3], [5, 7], [1, 1], [1, 1]])
    out = layer.forward(np.full((999, 2), (1e7, 0.1)))
    np.testing.assert_allclose(out, np.full((999, 2), (5, 7)), rtol=1e-6)
    np.testing.assert_array_equal(layer.moving_variance, [0, 0])


def test_frozen_layers_use_and_keep_the_moving_statistics():
    x, weights = example((3, 4, 5))
    layer = BatchNormalization(weights=weights, dtype=float, trainable=False)
    out = layer.forward(x)
    assert out.tobytes() == layer(x).tobytes()
    grad_x = layer.backward(np.ones_like(x))
    np.testing.assert_allclose(grad_x, np.broadcast_to(weights[0] / np.sqrt(weights[3] + 0.001), x.shape))
    assert layer.gradients == [None] * 4
    np.testing.assert_array_equal(layer.get_weights(), weights)
    layer.trainable = True
    assert layer.forward(x).tobytes() != out.tobytes()
    assert len(layer.trainable_weights) == len(layer.non_trainable_weights) == 2


def test_new_weights_act_at_once():
    x, weights = example((3, 4, 5))
    layer = BatchNormalization(weights=weights)
    out = layer(x)
    twins = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    layer.beta = weights[1] + 1
    np.testing.assert_allclose(layer(x), out + 1, rtol=1e-5, atol=1e-5)
    layer.moving_mean = weights[2] + 1e3
    assert abs(layer(x) - out).min() > 100
    for twin in twins:
        assert twin(x).tobytes() == out.tobytes()
        twin.gamma = np.zeros(5)
        np.testing.assert_allclose(twin(x), np.broadcast_to(weights[1], x.shape), rtol=1e-6)


@pytest.mark.parametrize(("shape", "axis"), [((0, 3), -1), ((0, 4, 3), -1), ((0, 3, 4, 5), 1), ((2, 3, 0), 1)])
def test_empty_batch(shape, axis):
    layer = BatchNormalization(axis)
    assert layer(np.empty(shape)).shape == layer.forward(np.empty(shape)).shape == shape
    assert layer.backward(np.empty(shape)).shape == shape
    np.testing.assert_array_equal(layer.gradients[0], np.zeros(3))
    np.testing.assert_array_equal(layer.get_weights(), [[1] * 3, [0] * 3, [0] * 3, [1] * 3])


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_any_axis_is_like_the_last(axis):
    x, weights = example((3, 4, 5, 6), axis)
    layer, last = (BatchNormalization(a, weights=weights, dtype=float) for a in (axis, -1))
    moved = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    np.testing.assert_allclose(np.moveaxis(layer.forward(x), axis, -1), last.forward(moved), rtol=1e-12)
    grads = np.moveaxis(layer.backward(np.sin(x)), axis, -1), last.backward(np.sin(moved))
    np.testing.assert_allclose(*grads, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.get_weights(), last.get_weights(), rtol=1e-13)


def test_old_arguments_that_ask_for_nothing():
    config = {"axis": [3], "fused": True, "virtual_batch_size": None, "adjustment": None, "renorm": False}
    layer = BatchNormalization.from_config(config)
    assert layer.axis == layer.get_config()["axis"] == 3
    with pytest.raises(TypeError, match=r"virtual_batch_size must be None, .* got 4"):
        BatchNormalization(virtual_batch_size=4)


def test_infinities_stay_in_their_channel_without_warnings():
    x = np.ones((4, 3), np.float32) * [[1], [2], [3], [4]]
    x[1, 0], x[2, 1] = np.inf, np.nan
    layer = BatchNormalization(momentum=0)
    for run in (layer, layer.forward, layer):
        out = run(x)
        assert np.isfinite(out[:, 2]).all()
        assert not np.isfinite(out[1, 0])
        assert np.isnan(out[2, 1])
    layer.forward(x)
    assert np.isfinite(layer.backward(x)[:, 2]).all()
    layer.set_weights([[1] * 3, [0] * 3, [np.inf, 0, 0], [1, -1, np.inf]])
    np.testing.assert_array_equal(layer(np.ones((1, 3))), [[-np.inf, np.nan, 0]])


@by_shape
def test_bits_do_not_depend_on_threads(shape, axis, each_thread_count):
    x, weights = example(shape, axis)
    results = set()
    for _ in each_thread_count():
        layer = BatchNormalization(axis, weights=weights)
        out = layer.forward(x)
        arrays = [layer(x), out, layer.backward(np.cos(x)), *layer.gradients[:2], *layer.weights]
        results.add(b"".join(array.tobytes() for array in arrays))
    assert len(results) == 1


def test_rows_of_several_tasks_are_tested():
    kinds = set()
    for shape, axis in SHAPES.values():
        axis = only(axis) % len(shape)
        outer, inner = (int(np.prod(part)) for part in (shape[:axis], shape[axis + 1 :]))
        grid = normalizing.make_grid((outer, shape[axis], inner), 4)
        _, step, (rows, columns, width) = grid.how
        size = int(np.prod(shape))
        kinds.add((step == 0, "rows" if size > rows * width else "one", "columns" if width > columns else "one"))
        kinds |= {grid.serial, "short" if size % width else "whole"}
    assert {True, False, "short", "whole"} <= kinds
    for planes in (True, False):
        assert {(planes, "rows", "one"), (planes, "one", "one")} <= kinds
        assert any(kind[0] is planes and kind[2] == "columns" for kind in kinds - {True, False, "short", "whole"})


def test_configuration_round_trip():
    arguments = {
        "axis": 1,
        "momentum": 0.5,
        "epsilon": 0.25,
        "center": False,
        "scale": False,
        "beta_initializer": "ones",
        "gamma_initializer": "zeros",
        "moving_mean_initializer": "ones",
        "moving_variance_initializer": "zeros",
        "beta_regularizer": "l1",
        "gamma_regularizer": "l2",
        "beta_constraint": "non_neg",
        "gamma_constraint": "unit_norm",
    }
    layer = BatchNormalization(**arguments, dtype="float64", trainable=False, input_shape=(3, 4))
    config = json.loads(json.dumps(layer.get_config()))
    assert BatchNormalization.from_config(config).get_config() == config
    by_position = BatchNormalization(*arguments.values()).get_config()
    assert {name: by_position[name] for name in arguments} == {name: config[name] for name in arguments}
    usual = BatchNormalization().get_config()
    assert not [name for name in arguments if usual[name] == config[name]]


def test_initializers_regularizers_and_constraints_meet_their_weights():
    layer = BatchNormalization(
        gamma_regularizer="l2",
        beta_regularizer="l1",
        gamma_constraint="non_neg",
        beta_initializer="ones",
        moving_mean_initializer="ones",
    )
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.get_weights(), np.ones((4, 2)))
    layer.gamma, layer.beta = [-3, 1], [-1, 0]
    assert layer.losses == pytest.approx([0.01 * 10, 0.01 * 1])
    layer.apply_constraints()
    np.testing.assert_array_equal([layer.gamma, layer.beta], [[0, 1], [-1, 0]])


def test_a_model_with_it_is_saved(tmp_path):
    model = Sequential([Conv2D(3, 2, input_shape=(6, 5, 2)), BatchNormalization(momentum=0.5)])
    x = example((3, 6, 5, 2))[0]
    model.layers[1].forward(model.layers[0](x))
    model.save(tmp_path / "model")
    assert Sequential.load(tmp_path / "model")(x).tobytes() == model(x).tobytes()
    assert model.explain().endswith(
        "BatchNormalization turns (None, 5, 4, 3) into (None, 5, 4, 3).\nevery value keeps its place."
    )


# What is called, the error, and what its message must hold: argument, what came, what would be right.
REFUSED = {
    "axis of the batch": (
        lambda: BatchNormalization(0)(np.ones((2, 3))),
        ValueError,
        ("axis", "from 1 to 1", "the batch first", "got 0"),
    ),
    "axis of the batch, negative": (
        lambda: BatchNormalization(-3).compute_output_shape((None, 4, 5)),
        ValueError,
        ("axis", "from -2 to -1", "got -3"),
    ),
    "axis beyond the input": (lambda: BatchNormalization(3)(np.ones((2, 3, 4))), ValueError, ("from 1 to 2", "got 3")),
    "axis before the input": (lambda: BatchNormalization(-3)(np.ones((2, 3))), ValueError, ("2 axes", "got -3")),
    "axis of another number of axes": (
        lambda: (layer := BatchNormalization(3), layer(np.ones((2, 3, 5, 4))), layer(np.ones((2, 3, 4)))),
        ValueError,
        ("axis", "3 axes", "got 3"),
    ),
    "axes": (lambda: BatchNormalization([1, 2]), TypeError, ("axis", "integer", "[1, 2]")),
    "axis no integer": (lambda: BatchNormalization(1.0), TypeError, ("axis", "integer", "1.0")),
    "momentum": (lambda: BatchNormalization(momentum=1.5), ValueError, ("momentum", "<= 1", "1.5")),
    "epsilon": (lambda: BatchNormalization(epsilon=-1), ValueError, ("epsilon", ">= 0", "-1")),
    "center": (lambda: BatchNormalization(center=0), TypeError, ("center", "True or False", "0")),
    "scale": (lambda: BatchNormalization(scale="yes"), TypeError, ("scale", "True or False", "'yes'")),
    "unknown channels": (
        lambda: BatchNormalization(1).build((None, None, 3)),
        ValueError,
        ("axis 1", "known", "unknown"),
    ),
    "other channels": (
        lambda: (layer := BatchNormalization(1), layer(np.ones((2, 3, 4))), layer(np.ones((2, 4, 4)))),
        ValueError,
        ("x must have 3 on axis 1", "got 4", "(2, 4, 4)"),
    ),
    "other channels of a shape": (
        lambda: (layer := BatchNormalization(-2), layer(np.ones((2, 3, 4))), layer.compute_output_shape((2, 4, 4))),
        ValueError,
        ("input_shape must have 3 on axis -2", "got 4", "(2, 4, 4)"),
    ),
    "one axis": (lambda: BatchNormalization()(np.ones(3)), ValueError, ("x", "at least 2 axes", "(3,)")),
    "backward first": (lambda: BatchNormalization().backward([[1]]), ValueError, ("backward", "forward")),
    "gradient of another shape": (
        lambda: (layer := BatchNormalization(), layer.forward(np.ones((2, 3))), layer.backward(np.ones((3, 2)))),
        ValueError,
        ("grad_out", "(2, 3)", "(3, 2)"),
    ),
}


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert message.startswith("BatchNormalization 'batch_normalization")
    assert all(part in message for part in said), message

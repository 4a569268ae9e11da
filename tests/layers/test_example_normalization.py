"""LayerNormalization, GroupNormalization and UnitNormalization: values, gradients, configurations, what they refuse."""

import json

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv.calls import standardizing
from numbaconv.layers import (
    BatchNormalization,
    Conv1D,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from numbaconv.models import Sequential

by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCE = {"float32": {"rtol": 2e-6, "atol": 2e-6}, "float64": {"rtol": 1e-12, "atol": 1e-12}}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Results begin as NaN everywhere, and even small arrays are several blocks."""
    monkeypatch.setattr(standardizing, "aligned_empty", lambda shape, dtype: np.full(shape, np.nan, dtype))
    monkeypatch.setattr(standardizing, "BLOCK_VALUES", 20)


def example(shape, seed=1):
    return np.random.default_rng(seed).normal(3, 2, shape)


def learned(layer, shape):
    """Build the layer with weights of its own, and return them."""
    layer.build(shape)
    rng = np.random.default_rng(2)
    layer.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in layer.weights])
    return layer.get_weights()


def normalized(x, axes, epsilon=0.001):
    """The formula as it stands."""
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_layer_normalization_by_hand():
    layer = LayerNormalization(epsilon=0, weights=[[1, 2, 3, 4], [10, 20, 30, 40]])
    # Means 5 and 2, deviations 2 and 1.
    x = [[3, 7, 3, 7], [1, 3, 1, 3]]
    np.testing.assert_array_equal(layer.forward(x), [[9, 22, 27, 44], [9, 22, 27, 44]])
    # g = gamma * grad = (1, 0, 0, 0) and (0, 2, 0, -4): means 1/4, -1/2; of g * normal, -1/4, -1/2.
    grad_x = layer.backward([[1, 0, 0, 0], [0, 1, 0, -1]])
    np.testing.assert_array_equal(grad_x, [[0.25, 0, -0.25, 0], [0, 3, 0, -3]])
    gamma, beta = layer.gradients
    np.testing.assert_array_equal(gamma, [-1, 1, 0, -1])
    np.testing.assert_array_equal(beta, [1, 1, 0, -1])


def test_group_normalization_by_hand():
    layer = GroupNormalization(2, epsilon=0, weights=[[1, 2, 3, 4], [0, 0, 10, 10]])
    # Two positions of four channels: the first two are 1 and 3, the others 10 and 30.
    x = [[[1, 3, 10, 10], [3, 1, 30, 30]]]
    np.testing.assert_array_equal(layer.forward(x), [[[-1, 2, 7, 6], [1, -2, 13, 14]]])
    # Of the first group, g has the mean 1, and g * normal -1: what is left is g - 1 + normal, over a deviation of 1.
    grad_x = layer.backward([[[4, 0, 0, 0], [0, 0, 0, 0]]])
    np.testing.assert_array_equal(grad_x, [[[2, 0, 0, 0], [0, -2, 0, 0]]])
    gamma, beta = layer.gradients
    np.testing.assert_array_equal(gamma, [-4, 0, 0, 0])
    np.testing.assert_array_equal(beta, [4, 0, 0, 0])


def test_unit_normalization_by_hand():
    layer = UnitNormalization()
    np.testing.assert_allclose(layer.forward([[3, 4], [0, 0]]), [[0.6, 0.8], [0, 0]], rtol=1e-7)
    np.testing.assert_allclose(layer.backward([[5, 0], [1, 0]]), [[0.64, -0.48], [1e12, 0]], rtol=1e-6)
    np.testing.assert_allclose(UnitNormalization(0)([[3, 0], [4, 2]]), [[0.6, 0], [0.8, 1]], rtol=1e-7)


# -- values ------------------------------------------------------------------------------------------------------------

LAYER_AXES = [
    ((7, 5), -1),
    ((3, 4, 6), -1),
    ((3, 4, 6), 1),
    ((3, 4, 5, 6), (1, 2)),
    ((3, 4, 5, 6), [-1, -2, -3]),
    ((3, 4, 5, 2), [3, 1]),
    ((2, 3, 1, 2, 4), -4),
    ((1, 3), -1),
]


@by_dtype
@pytest.mark.parametrize(("shape", "axis"), LAYER_AXES)
def test_layer_normalization(shape, axis, dtype):
    layer = LayerNormalization(axis, epsilon=0.01, dtype=dtype)
    gamma, beta = learned(layer, (None, *shape[1:]))
    x = example(shape).astype(dtype)
    axes = tuple(sorted(a % len(shape) for a in (axis if isinstance(axis, tuple | list) else [axis])))
    along = [shape[i] if i in axes else 1 for i in range(len(shape))]
    wanted = normalized(x.astype(float), axes, 0.01) * gamma.reshape(along) + beta.reshape(along)
    for given in (x, np.asfortranarray(x)):
        for out in (layer(given), layer.forward(given)):
            assert (out.dtype, out.shape) == (np.dtype(dtype), layer.compute_output_shape(shape))
            np.testing.assert_allclose(out, wanted, **TOLERANCE[dtype])
    assert gamma.shape == tuple(shape[i] for i in axes)


@by_dtype
@pytest.mark.parametrize(
    ("shape", "axis", "groups"),
    [
        ((3, 5, 6), -1, 2),
        ((3, 4, 5, 6), -1, 3),
        ((3, 6, 5, 4), 1, 3),
        ((3, 4, 6, 5), 2, 2),
        ((2, 3, 6, 2), [-2], 6),
        ((5, 6), -1, 2),
        ((3, 2, 4, 6), -1, -1),
        ((3, 2, 4, 6), -1, 1),
    ],
)
def test_group_normalization(shape, axis, groups, dtype):
    layer = GroupNormalization(groups, axis, epsilon=0.01, dtype=dtype)
    gamma, beta = learned(layer, shape)
    x = example(shape).astype(dtype)
    place = axis[0] if isinstance(axis, list) else axis
    moved = np.moveaxis(x, place, -1).astype(float)
    parts = np.split(moved, moved.shape[-1] if groups == -1 else groups, axis=-1)
    others = tuple(range(1, len(shape)))
    wanted = np.concatenate([normalized(part, others, 0.01) for part in parts], axis=-1) * gamma + beta
    for out in (layer(x), layer.forward(np.asfortranarray(x))):
        assert out.dtype == dtype
        np.testing.assert_allclose(np.moveaxis(out, place, -1), wanted, **TOLERANCE[dtype])


@by_dtype
@pytest.mark.parametrize("axis", [-1, 1, 0, (1, 3), [0, 2], [-1, -2, -3, -4]])
def test_unit_normalization(axis, dtype):
    x = example((3, 4, 5, 6)).astype(dtype)
    norm = np.sqrt((x.astype(float) ** 2).sum(tuple(axis) if isinstance(axis, list) else axis, keepdims=True))
    layer = UnitNormalization(axis, dtype=dtype)
    for out in (layer(x), layer.forward(np.asfortranarray(x))):
        np.testing.assert_allclose(out, x / norm, **TOLERANCE[dtype])
    assert layer.weights == []


def test_a_group_of_each_channel_is_batch_normalization_of_one_example():
    x = example((1, 4, 5, 6))
    wanted = BatchNormalization(dtype=float).forward(x)
    np.testing.assert_allclose(GroupNormalization(-1, dtype=float)(x), wanted, rtol=1e-10)


@by_dtype
@pytest.mark.parametrize("make", [LayerNormalization, lambda **k: GroupNormalization(1, **k)])
def test_a_large_mean_and_many_values_take_no_digits(make, dtype):
    small = np.random.default_rng(3).standard_normal((2, 100_000)).astype(np.float32) * 2.0**-4
    small = (small + np.float32(2**12)) - np.float32(2**12)
    layer = make(epsilon=0, dtype=dtype)
    tolerance = {"rtol": 1e-6, "atol": 1e-7} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-10}
    np.testing.assert_allclose(layer(small + np.float32(2**12)), normalized(small.astype(float), 1, 0), **tolerance)


# -- gradients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"center": False}, {"scale": False}, {"center": False, "scale": False}])
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (LayerNormalization, (5, 3)),
        (lambda **k: LayerNormalization([1, 3], **k), (2, 3, 2, 2)),
        (lambda **k: LayerNormalization(1, **k), (3, 3, 4)),
        (lambda **k: GroupNormalization(2, **k), (2, 3, 4)),
        (lambda **k: GroupNormalization(2, 1, **k), (3, 4, 2, 2)),
    ],
)
def test_gradients(make, shape, settings):
    penalties = {"gamma_regularizer": "l2", "beta_regularizer": "l1"}
    layer = make(dtype=float, gamma_initializer="he_normal", **settings, **penalties)
    layer.build(shape)
    assert list(layer.named_weights) == [
        name for name, wanted in (("gamma", "scale"), ("beta", "center")) if settings.get(wanted, True)
    ]
    if layer.beta is not None:
        layer.beta = np.sin(1 + np.arange(layer.beta.size)).reshape(layer.beta.shape)
    assert_gradients(layer, example(shape))


@pytest.mark.parametrize("axis", [-1, [-1, 1], [1, 2]])
def test_gradients_of_rms_normalization(axis):
    assert_gradients(RMSNormalization(axis, 0.1, dtype=float), example((3, 4, 4)))


@pytest.mark.parametrize("axis", [-1, 1, 0, [1, 2]])
def test_gradients_of_unit_normalization(axis):
    assert_gradients(UnitNormalization(axis, dtype=float), example((3, 4, 2)))


def test_bits_do_not_depend_on_where_arrays_lie():
    x, results = example((6, 5, 4)).astype(np.float32), set()
    layer = GroupNormalization(2)
    for shift in range(4):
        memory = np.empty(x.size + 4, np.float32)[shift : shift + x.size].reshape(x.shape)
        memory[...] = x
        out = layer.forward(memory)
        results.add(out.tobytes() + layer.backward(np.sin(out)).tobytes() + layer.gradients[0].tobytes())
    assert len(results) == 1


@pytest.mark.parametrize(
    "make", [LayerNormalization, lambda: GroupNormalization(1), RMSNormalization, UnitNormalization]
)
def test_empty_batches_and_infinities(make):
    layer = make()
    empty = np.empty((0, 2, 3))
    assert layer(empty).shape == layer.forward(empty).shape == layer.backward(empty).shape == empty.shape
    assert all(not gradient.any() for gradient in layer.gradients)
    x = example((3, 2, 3))
    x[1] = np.inf
    assert np.isfinite(layer.forward(x)[::2]).all()
    assert np.isfinite(layer.backward(x)[::2]).all()


@pytest.mark.parametrize("layer", [LayerNormalization(trainable=False), GroupNormalization(3, trainable=False)])
def test_frozen_layers_still_hand_gradients_down(layer):
    x = example((2, 3))
    layer.forward(x)
    assert np.isfinite(layer.backward(x)).all()
    assert layer.gradients == [None, None]


# -- configurations ----------------------------------------------------------------------------------------------------

COMMON = {
    "epsilon": 0.25,
    "center": False,
    "scale": False,
    "beta_initializer": "ones",
    "gamma_initializer": "zeros",
    "beta_regularizer": "l1",
    "gamma_regularizer": "l2",
    "beta_constraint": "non_neg",
    "gamma_constraint": "unit_norm",
}


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (LayerNormalization, {"axis": [1, 2], **COMMON}),
        (GroupNormalization, {"groups": 3, "axis": 1, **COMMON}),
        (RMSNormalization, {"axis": [1], "epsilon": 0.1}),
        (UnitNormalization, {"axis": [1]}),
    ],
)
def test_configuration_round_trip(cls, arguments):
    layer = cls(**arguments, dtype="float64", trainable=False, input_shape=(3, 4))
    config = json.loads(json.dumps(layer.get_config()))
    assert cls.from_config(config).get_config() == config
    assert config["axis"] == arguments["axis"]
    by_position = cls(*arguments.values()).get_config()
    assert {name: by_position[name] for name in arguments} == {name: config[name] for name in arguments}
    usual = cls().get_config()
    assert not [name for name in arguments if usual[name] == config[name]]


def test_old_arguments_that_ask_for_nothing():
    assert LayerNormalization(rms_scaling=False).axis == -1
    with pytest.raises(TypeError, match="rms_scaling must be False"):
        LayerNormalization(rms_scaling=True)


# What is called, the error, and what its message must hold: argument, what came, what would be right.
REFUSED = {
    "axis of the batch": (lambda: LayerNormalization(0)(np.ones((2, 3))), ValueError, ("axis", "batch first", "got 0")),
    "axis twice": (
        lambda: LayerNormalization((1, -2))(np.ones((2, 3, 4))),
        ValueError,
        ("axis", "from 1 to 2", "twice", "[-2, 1]"),
    ),
    "no axis": (lambda: LayerNormalization([]), ValueError, ("axis", "one or more")),
    "axis no integer": (lambda: LayerNormalization([1, "2"]), TypeError, ("axis", "integer", "'2'")),
    "unknown size": (lambda: LayerNormalization(1).build((4, None, 3)), ValueError, ("axis 1", "known", "unknown")),
    "size zero": (lambda: LayerNormalization()(np.ones((2, 0))), ValueError, ("axis -1", "positive", "(0,)")),
    "other sizes": (
        lambda: (layer := LayerNormalization((1, 2)), layer(np.ones((2, 3, 4))), layer(np.ones((2, 3, 5)))),
        ValueError,
        ("x must have (3, 4) on axis [1, 2]", "got (3, 5)"),
    ),
    "other sizes of a shape": (
        lambda: (layer := LayerNormalization(), layer(np.ones((2, 3))), layer.compute_output_shape((2, 4))),
        ValueError,
        ("input_shape must have 3 on axis -1", "got 4"),
    ),
    "epsilon": (lambda: LayerNormalization(epsilon=-1), ValueError, ("epsilon", ">= 0", "-1")),
    "center": (lambda: LayerNormalization(center=0), TypeError, ("center", "True or False", "0")),
    "groups zero": (lambda: GroupNormalization(0), ValueError, ("groups", "-1", "got 0")),
    "groups float": (lambda: GroupNormalization(2.0), TypeError, ("groups", "integer", "2.0")),
    "groups that do not divide": (
        lambda: GroupNormalization(4)(np.ones((2, 6))),
        ValueError,
        ("groups must divide", "6", "got 4"),
    ),
    "more groups than channels": (
        lambda: GroupNormalization().compute_output_shape((None, 16)),
        ValueError,
        ("groups must divide", "16", "got 32"),
    ),
    "groups without weights": (
        lambda: (
            layer := GroupNormalization(2, center=False, scale=False),
            layer(np.ones((1, 4))),
            layer(np.ones((1, 5))),
        ),
        ValueError,
        ("groups must divide", "5", "got 2"),
    ),
    "axes of groups": (lambda: GroupNormalization(2, [1, 2]), TypeError, ("axis", "integer", "[1, 2]")),
    "axis beyond": (lambda: UnitNormalization(2)(np.ones((2, 3))), ValueError, ("axis", "from 0 to 1", "got 2")),
    "axis before": (
        lambda: UnitNormalization(-3).compute_output_shape((2, 3)),
        ValueError,
        ("axis", "from -2 to -1", "-3"),
    ),
    "axis of a norm": (lambda: UnitNormalization("last"), TypeError, ("axis", "integer", "'last'")),
}


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert message.split()[0].strip(":") in ("LayerNormalization", "GroupNormalization", "UnitNormalization")
    assert all(part in message for part in said), message


@pytest.mark.parametrize(
    ("layer", "mixes"),
    [
        (LayerNormalization(), False),
        (LayerNormalization([1]), False),
        (LayerNormalization([-1, -2]), True),
        (UnitNormalization(2), True),
        (GroupNormalization(1), True),
    ],
)
def test_where_positions_meet_there_is_no_receptive_field(layer, mixes):
    model = Sequential([Conv1D(4, 3, input_shape=(9, 2)), layer])
    if mixes:
        with pytest.raises(TypeError, match=type(layer).__name__):
            model.receptive_field()
    else:
        assert model.receptive_field()[0].size == 3

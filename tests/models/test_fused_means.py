"""Means of rows that a depthwise convolution writes behind its result, for the pooling of whole images after it."""

import numba
import numpy as np
import pytest
from test_fused_networks import TOLERANCE, filled, layer_by_layer
from test_fused_rules import same_kinds

from numbaconv import layers
from numbaconv.models import Model
from numbaconv.models.fused.running import fused

BOTH = ["depthwise", "pool"]


def block(shape=(24, 19, 24), filters=20, dtype="float32", **settings):
    """Gates for what a depthwise convolution makes, and a convolution of one tap after them."""
    given, settings = layers.Input(shape, dtype=dtype), {"kernel_size": 3, "padding": "same", **settings}
    x = layers.DepthwiseConv2D(**settings, dtype=dtype)(given)
    x = layers.BatchNormalization(dtype=dtype)(x)
    gates = layers.GlobalAveragePooling2D(keepdims=True, dtype=dtype)(x)
    gates = layers.Conv2D(x.shape[-1], 1, activation="sigmoid", dtype=dtype)(gates)
    x = layers.Conv2D(filters, 1, dtype=dtype)(layers.Multiply(dtype=dtype)([x, gates]))
    return filled(Model(given, x), np.random.default_rng(1), dtype)


def images(shape=(24, 19, 24), batch=1, dtype="float32"):
    return np.random.default_rng(0).normal(1.0, size=(batch, *shape)).astype(dtype)


def kinds(model, x):
    """Those of the stages that write or read means."""
    turns = fused(model._program()).runner([x.shape]).turns
    return [turn.stage.kind for turn in turns if turn.stage.means]


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.double)])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((24, 19, 24), {}),
        ((7, 7, 80), {"kernel_size": 5}),
        ((31, 45, 33), {"strides": 2}),
        ((25, 15, 24), {"depth_multiplier": 2, "padding": "valid"}),
        ((25, 15, 6), {"depth_multiplier": 16}),
        ((18, 1, 40), {}),
        ((40, 40, 16), {"dilation_rate": 3}),
        ((9, 9, 120), {"filters": 300}),
    ],
    ids=str,
)
def test_the_mean_of_means(shape, settings, batch, dtype, monkeypatch):
    model, x = block(shape, dtype=dtype, **settings), images(shape, batch, dtype)
    # Of depth multipliers, another kernel may be faster.
    assert kinds(model, x) == BOTH or (kinds(model, x) == [] and "depth_multiplier" in settings)
    wanted, before = [layer_by_layer(monkeypatch, model, one) for one in (x, -x)], numba.get_num_threads()
    found = [model(x)]
    for count in (before, 1, before, before):
        numba.set_num_threads(count)
        for one, right in zip((x, -x), wanted, strict=True):
            assert np.abs(model(one) - right).max() <= TOLERANCE[dtype] * np.abs(right).max()
        found.append(model(x))
    numba.set_num_threads(before)
    for one in found:
        np.testing.assert_array_equal(one, found[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38, 1e-44])
def test_weights_and_values_that_are_special(value, monkeypatch):
    model, x = block(), images()
    for layer, at in ((model.layers[1], 40), (model.layers[4], 7)):
        kept = layer.get_weights()
        layer.set_weights([np.where(np.arange(w.size).reshape(w.shape) == at, value, w) for w in kept])
        for _ in range(3):
            same_kinds(model(x), layer_by_layer(monkeypatch, model, x))
        layer.set_weights(kept)
        same_kinds(model(x), layer_by_layer(monkeypatch, model, x))
    x[0, 5, 6, 7] = value
    for _ in range(3):
        same_kinds(model(x), layer_by_layer(monkeypatch, model, x))


def test_rows_whose_sum_is_too_large(monkeypatch):
    given = layers.Input((24, 19, 24))
    x = layers.DepthwiseConv2D(3, padding="same")(given)
    mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
    model = filled(
        Model(given, layers.Multiply()([x, layers.Rescaling(1e-38)(mean)])), np.random.default_rng(1), "float32"
    )
    x = images() * np.float32(3e37)
    assert kinds(model, x) == BOTH
    wanted = layer_by_layer(monkeypatch, model, x)
    assert np.isfinite(wanted).all()
    same_kinds(model(x), wanted)


def with_readers(*readers):
    given = layers.Input((24, 19, 24))
    x = layers.DepthwiseConv2D(3, padding="same")(given)
    return filled(Model(given, [reader(x) for reader in readers]), np.random.default_rng(1), "float32")


@pytest.mark.parametrize(
    "model",
    [
        with_readers(layers.GlobalAveragePooling2D(), layers.Conv2D(8, 3)),
        with_readers(layers.GlobalAveragePooling2D(), layers.ReLU()),
        with_readers(layers.GlobalAveragePooling2D(), layers.Activation("linear")),
        with_readers(layers.GlobalAveragePooling2D(), layers.Flatten()),
        with_readers(layers.GlobalMaxPooling2D()),
        with_readers(layers.AveragePooling2D((24, 19))),
        block((16, 19, 24)),
    ],
    ids=["convolution", "activation", "result", "view", "largest", "of windows", "few rows"],
)
def test_others_do_without(model, monkeypatch):
    x = images(model.input_shape[1:])
    assert not kinds(model, x)
    wanted = layer_by_layer(monkeypatch, model, x)
    for _ in range(3):
        for one, right in zip(
            *([value] if isinstance(value, np.ndarray) else value for value in (model(x), wanted)), strict=True
        ):
            same_kinds(one, right)


def test_a_mean_alone(monkeypatch):
    model, x = with_readers(layers.GlobalAveragePooling2D()), images()
    assert kinds(model, x) == BOTH
    wanted = layer_by_layer(monkeypatch, model, x)
    for _ in range(3):
        same_kinds(model(x), wanted)

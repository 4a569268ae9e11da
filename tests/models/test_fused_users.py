"""The program of `predict` where users have a say: functions of their own, and networks within that are not to join."""

import numpy as np
import pytest
from test_fused_networks import filled, layer_by_layer

from numbaconv import layers
from numbaconv.models import Model, Sequential
from numbaconv.models.fused.running import fused

SHAPE = (9, 11, 8)


def in_place(x):
    np.multiply(x, 0.5, out=x)
    x += 1
    return x


def same(x):
    return layers.Conv2D(8, 3, padding="same")(x)


BESIDE = {
    "the input": lambda x: [x, layers.Activation(in_place)(x)],
    "a layer": lambda x: [y := same(x), layers.Activation(in_place)(y), same(y)],
    "what does nothing": lambda x: [y := same(x), layers.Activation(in_place)(layers.Dropout(0.5)(y))],
    "another shape": lambda x: [
        layers.Flatten()(y := same(x)),
        layers.Activation(in_place)(layers.Flatten()(y)),
    ],
    "its own": lambda x: [x, layers.Conv2D(8, 3, padding="same", activation=in_place)(x)],
}


@pytest.mark.parametrize("made", BESIDE.values(), ids=BESIDE)
def test_a_function_that_works_in_place_changes_nothing_that_others_read(made, monkeypatch):
    given = layers.Input(SHAPE)
    model = filled(Model(given, layers.Add()(made(given))), np.random.default_rng(0), "float32")
    x = np.random.default_rng(1).standard_normal((2, *SHAPE)).astype(np.float32)
    before = x.copy()
    wanted, found = layer_by_layer(monkeypatch, model, x), model(x)
    np.testing.assert_array_equal(x, before)
    assert np.abs(found - wanted).max() < 1e-5
    for layer in model.layers:
        if getattr(layer, "activation", None) is in_place:
            layer.activation = lambda values: values * np.float32(0.5) + 1
    assert np.abs(found - model(x)).max() < 1e-5


def kinds(model):
    return [turn.stage.kind for turn in fused(model._program()).runner([(1, *SHAPE)]).turns]


def test_a_network_within_that_is_not_to_be_joined_computes_layer_by_layer():
    inner = Sequential([layers.Input(SHAPE), layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU()])
    outer = filled(Sequential([layers.Input(SHAPE), inner, layers.ReLU(6.0)]), np.random.default_rng(0), "float32")
    x = np.random.default_rng(1).standard_normal((1, *SHAPE)).astype(np.float32)
    joined = outer(x)
    assert kinds(outer) == ["conv", "clip"]
    inner.fuse = False
    apart = outer(x)
    assert kinds(outer) == ["layer", "clip"]
    # Not a bit is another than those of its layers.
    wanted = x
    for layer in inner.layers:
        wanted = layer(wanted)
    np.testing.assert_array_equal(apart, np.minimum(wanted, 6))
    inner.fuse = True
    assert kinds(outer) == ["conv", "clip"]
    np.testing.assert_array_equal(outer(x), joined)

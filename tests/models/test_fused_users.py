"""The program of `predict` where users have a say: functions of their own, and networks within that are not to join."""

import numpy as np
import pytest
from test_fused_networks import filled, layer_by_layer
from test_fused_rules import close, image

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


def test_users_code_may_keep_what_it_sees():
    seen = []

    class Looking(layers.Layer):
        def compute_output_shape(self, input_shape):
            return input_shape

        def call(self, x):
            seen.append(x)
            return x

    given = layers.Input((12, 12, 8))
    model = Model(given, layers.Conv2D(3, 1)(Looking()(layers.Conv2D(8, 3)(given))))
    model(np.ones((1, 12, 12, 8), "f4"))
    before = seen[-1].copy()
    model(np.zeros((1, 12, 12, 8), "f4"))
    np.testing.assert_array_equal(seen[-2], before)


class Rearranging(layers.Layer):
    """Takes pixels of a column for neighbours in a row, or of each column only the first ones."""

    def __init__(self, factor, drops, **kwargs):
        super().__init__(**kwargs)
        self.factor, self.drops = factor, drops

    def compute_output_shape(self, input_shape):
        n, height, width, channels = input_shape
        return n, height // self.factor, width * (1 if self.drops else self.factor), channels

    def call(self, x):
        if self.drops:
            return x[:, : x.shape[1] // self.factor]
        return x.reshape(self.compute_output_shape(x.shape))


@pytest.mark.parametrize("after", [layers.Conv2D(4, 3), layers.MaxPooling2D(2)])
@pytest.mark.parametrize("drops", [False, True])
def test_shapes_follow_what_a_users_layer_has_of_its_own(drops, after, monkeypatch):
    own = Rearranging(1, drops)
    model = Sequential(
        [layers.Input((8, 12, 3)), layers.Conv2D(4, 1), own, type(after).from_config(after.get_config())]
    )
    x = image()[:, :8, :12, :3]
    for factor in (1, 2, 2, 1):
        own.factor = factor
        explained = model.explain_program(x.shape, measure=True)
        wanted = layer_by_layer(monkeypatch, model, x)
        found = model(x)
        assert found.shape == wanted.shape == explained[-1].output_shape
        close(found, wanted)


def test_a_network_within_of_a_users_class_is_called():
    class Doubling(Sequential):
        def __call__(self, x, training=None, mask=None):
            seen.append(x)
            out = super().__call__(x, training=training, mask=mask)
            return 2 * out if isinstance(out, np.ndarray) else out

    seen = []
    given = layers.Input((12, 12, 8))
    before, within = layers.Conv2D(8, 3), Doubling([layers.Input((10, 10, 8)), layers.Conv2D(4, 1)])
    model = Model(given, layers.Conv2D(3, 1, use_bias=False)(within(before(given))))
    x = image()[:, :12, :12, :8]
    plain = model.layers[-1](within.layers[-1](before(x)))
    seen.clear()
    close(model(x), 2 * plain)
    close(model.predict_tiled(x, None, verbose=0), 2 * plain)
    with pytest.raises(ValueError, match="cannot be computed in parts"):
        model.predict_tiled(x, 4, verbose=0)
    # It may keep what it sees.
    kept = seen[-1].copy()
    model(2 * x)
    np.testing.assert_array_equal(seen[0], kept)

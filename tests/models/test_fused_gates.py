"""What blocks of MobileNets are made of: gates that move to weights, pixels with room for vectors, small results."""

import numpy as np
import pytest
from test_fused_networks import filled, layer_by_layer
from test_fused_rules import close, same_kinds

from numbaconv import layers
from numbaconv.calls.pooling import PartsCall
from numbaconv.machine.vectors import VECTOR_BYTES
from numbaconv.models import Model
from numbaconv.models.fused.running import fused

SHAPE = (20, 18, 24)
BOUNDED = {
    "sigmoid": [layers.Activation("sigmoid")],
    "hard_sigmoid": [layers.Activation("hard_sigmoid")],
    "three layers": [layers.Rescaling(1.0, 3.0), layers.ReLU(6.0), layers.Rescaling(1 / 6)],
}


def images(batch=1):
    return np.random.default_rng(0).normal(size=(batch, *SHAPE)).astype(np.float32)


def squeeze_and_excite(end, filters=20, stride=1):
    """A block with a way around it, whose gates end with these layers."""
    given = layers.Input(SHAPE)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(given)
    gates = layers.Conv2D(4, 1, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    gates = layers.Conv2D(SHAPE[-1], 1)(gates)
    for layer in end:
        gates = type(layer).from_config(layer.get_config())(gates)
    x = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides=stride)(layers.Multiply()([gates, x])))
    if filters == SHAPE[-1]:
        x = layers.ReLU()(layers.Add()([x, given]))
    return filled(Model(given, x), np.random.default_rng(1), "float32")


def kinds(model, x):
    return [turn.stage.kind for turn in fused(model._program()).runner([x.shape]).turns]


@pytest.mark.parametrize("filters", [20, 24])
@pytest.mark.parametrize("end", BOUNDED)
def test_gates_move_to_weights(end, filters, monkeypatch):
    model, x = squeeze_and_excite(BOUNDED[end], filters), images()
    assert "weigh" in kinds(model, x) and "multiply" not in kinds(model, x)
    wanted = [layer_by_layer(monkeypatch, model, one) for one in (x, -x)]
    for _ in range(2):
        for one, right in zip((x, -x), wanted, strict=True):
            close(model(one), right)
    assert "scale_lines" in str(model.explain_program(x.shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_gates_of_weights_that_are_not_finite(value, monkeypatch):
    model, x = squeeze_and_excite(BOUNDED["sigmoid"]), images()
    for layer in model.layers:
        if not layer.get_weights():
            continue
        kept = layer.get_weights()
        layer.set_weights([np.where(np.arange(w.size).reshape(w.shape) == 1, value, w) for w in kept])
        for _ in range(3):
            same_kinds(model(x), layer_by_layer(monkeypatch, model, x))
        layer.set_weights(kept)
        close(model(x), layer_by_layer(monkeypatch, model, x))


def of_another_image():
    given, other = layers.Input(SHAPE), layers.Input((1, 1, SHAPE[-1]))
    gates = layers.Conv2D(SHAPE[-1], 1, activation="sigmoid")(other)
    x = layers.Conv2D(20, 1)(layers.Multiply()([layers.ReLU()(given), gates]))
    return filled(Model([given, other], x), np.random.default_rng(1), "float32")


@pytest.mark.parametrize(
    "model, inputs",
    [
        (squeeze_and_excite([layers.ReLU()]), images()),
        (squeeze_and_excite(BOUNDED["sigmoid"]), images(2)),
        (squeeze_and_excite(BOUNDED["sigmoid"], stride=2), images()),
        (squeeze_and_excite(BOUNDED["sigmoid"], 400), images()),
        (of_another_image(), [images(), images()[:, :1, :1]]),
    ],
    ids=["gates that may be large", "two images", "strides", "more weights than pixels", "a tile may have them"],
)
def test_gates_that_stay(model, inputs, monkeypatch):
    shapes = [one.shape for one in (inputs if isinstance(inputs, list) else [inputs])]
    assert "multiply" in [turn.stage.kind for turn in fused(model._program()).runner(shapes).turns]
    close(model(inputs), layer_by_layer(monkeypatch, model, inputs))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("after", [[], [layers.Conv2D(16, 1)]], ids=["alone", "pair"])
def test_pixels_with_room_for_vectors(after, stride, monkeypatch):
    lanes = VECTOR_BYTES // 4
    given = layers.Input((33, 31, 8))
    x = layers.Conv2D(3 * lanes + lanes // 2, 1, activation="relu6")(given)
    x = layers.DepthwiseConv2D(3, strides=stride, padding="same")(x)
    for layer in after:
        x = type(layer).from_config(layer.get_config())(x)
    model = filled(Model(given, x), np.random.default_rng(1), "float32")
    x = np.random.default_rng(2).normal(size=(2, 33, 31, 8)).astype(np.float32)
    first, *_ = fused(model._program()).runner([x.shape]).turns
    assert first.shape == (2 * 33 * 31 * 4 * lanes,)
    for _ in range(3):
        np.testing.assert_array_equal(model(x), layer_by_layer(monkeypatch, model, x))
    for layer in model.layers[1:]:
        kernel, *more = layer.get_weights()
        for value in (np.nan, np.inf):
            layer.set_weights([np.where(np.arange(kernel.size).reshape(kernel.shape) == 9, value, kernel), *more])
            same_kinds(model(x), layer_by_layer(monkeypatch, model, x))
        layer.set_weights([kernel, *more])


@pytest.mark.parametrize("multiplier", [2, 3])
@pytest.mark.parametrize("after", [[], [layers.Conv2D(16, 1)]], ids=["alone", "pair"])
def test_several_filters_of_a_channel(after, multiplier, monkeypatch):
    """They read copies of a channel, of which pixels with room for vectors would have others."""
    given = layers.Input((15, 12, 8))
    x = layers.Conv2D(VECTOR_BYTES // 4 * 3 // 2, 1)(given)
    x = layers.DepthwiseConv2D(3, depth_multiplier=multiplier, padding="same")(x)
    for layer in after:
        x = type(layer).from_config(layer.get_config())(x)
    model = filled(Model(given, x), np.random.default_rng(1), "float32")
    x = np.random.default_rng(2).normal(size=(2, 15, 12, 8)).astype(np.float32)
    wanted = layer_by_layer(monkeypatch, model, x)
    for _ in range(3):
        close(model(x), wanted)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("columns", [3, 4, 20])
def test_zeros_around_neighbours(columns, stride, monkeypatch):
    """Tiles look for them at their ends alone, where there are few."""
    given = layers.Input((15, 29, 8))
    x = layers.ZeroPadding2D(((1, 2), (columns, columns)))(layers.Conv2D(VECTOR_BYTES // 4, 1)(given))
    model = filled(Model(given, layers.DepthwiseConv2D(3, strides=stride)(x)), np.random.default_rng(1), "float32")
    x = np.random.default_rng(2).normal(size=(2, 15, 29, 8)).astype(np.float32)
    assert kinds(model, x) == ["conv", "depthwise"]
    wanted = layer_by_layer(monkeypatch, model, x)
    for _ in range(3):
        np.testing.assert_array_equal(model(x), wanted)


@pytest.mark.parametrize("pool", [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D])
def test_windows_in_parts(pool, monkeypatch):
    given = layers.Input((64, 60, 8))
    model = Model(given, pool()(layers.Conv2D(40, 1)(given)))
    model = filled(model, np.random.default_rng(1), "float32")
    x = np.random.default_rng(2).normal(size=(1, 64, 60, 8)).astype(np.float32)
    assert isinstance(fused(model._program()).runner([x.shape]).turns[-1].call, PartsCall)
    wanted = layer_by_layer(monkeypatch, model, x)
    for _ in range(3):
        close(model(x), wanted)
    close(model(-x), layer_by_layer(monkeypatch, model, -x))


def test_small_results_are_the_callers():
    given = layers.Input(SHAPE)
    mean = layers.Dense(6)(layers.GlobalAveragePooling2D()(layers.Conv2D(16, 1)(given)))
    model = filled(Model(given, [mean, layers.Reshape((2, 3))(mean), mean]), np.random.default_rng(1), "float32")
    x = images()
    first = model(x)
    kept = [one.copy() for one in first]
    for i in range(4):
        again = model(x + i + 1)
        assert not any(np.may_share_memory(a, b) for a in again for b in (*first, *again) if a is not b)
        for one, value in zip(first, kept, strict=True):
            np.testing.assert_array_equal(one, value)


def test_all_is_repeated():
    given = layers.Input(SHAPE)
    x = layers.UpSampling2D()(layers.MaxPooling2D()(layers.Conv2D(16, 1)(given)))
    x = layers.ReLU()(layers.ZeroPadding2D(1)(layers.ReLU(4.0)(x)))
    gates = layers.Reshape((1, 1, 16))(layers.Dense(16, "sigmoid")(layers.GlobalAveragePooling2D()(x)))
    x = layers.Conv2D(8, 1)(layers.Multiply()([x, gates]))
    model = filled(Model(given, layers.GlobalAveragePooling2D()(x)), np.random.default_rng(1), "float32")
    wanted = model(images())
    for _ in range(2):
        np.testing.assert_array_equal(model(images()), wanted)
    (arena,) = fused(model._program())._arenas
    (laid,) = arena._laid.values()
    assert not [turn.stage.kind for turn, _, calls in laid.steps if calls is None]

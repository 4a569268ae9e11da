"""The program of `predict`: strides that move back to what computes the pixels between for nobody."""

import numpy as np
import pytest
from test_fused_networks import filled, layer_by_layer
from test_fused_rules import close, kinds_of, same_kinds

from numbaconv import layers
from numbaconv.models import Model
from numbaconv.models.fused.running import fused


def residual(shape, stride=2, padding="same", window=3):
    """A block whose result is read at each s-th pixel by a convolution and by pooling."""
    given = layers.Input(shape)
    x = layers.Conv2D(16, 1, activation="relu")(given)
    y = layers.BatchNormalization()(layers.Conv2D(8, window, padding=padding)(x))
    y = layers.Conv2D(16, 1)(layers.ReLU()(y))
    if padding == "valid":
        x = layers.Cropping2D(((0, window - 1), (window - 1, 0)))(x)
    y = layers.ReLU()(layers.Add()([y, x]))
    ends = layers.Conv2D(6, 1, strides=stride, padding=padding)(y), layers.MaxPooling2D(1, stride)(y)
    ends = [ends[0], layers.Conv2D(5, 1)(ends[1])]
    return filled(Model(given, ends), np.random.default_rng(0), "float32")


def picture(*shape):
    return np.random.default_rng(1).standard_normal((2, *shape)).astype("f4")


def shapes_of(model, x):
    runner = fused(model._program()).runner([x.shape])
    return [(turn.stage.kind, runner.shapes[turn.outputs[0]][1:3]) for turn in runner.turns]


@pytest.mark.parametrize(
    "side, stride, padding, window",
    [((14, 14), 2, "same", 3), ((15, 9), (2, 3), "same", 3), ((12, 13), 2, "valid", 3), ((9, 14), 3, "same", 2)],
)
def test_strides_move_back(side, stride, padding, window, monkeypatch):
    model, x = residual((*side, 8), stride, padding, window), picture(*side, 8)
    found, wanted = model(x), layer_by_layer(monkeypatch, model, x)
    for one, other in zip(found, wanted, strict=True):
        close(one, other)
    few = found[0].shape[1:3]
    # The convolution before all, maybe what is cropped of it, the block, what is added in it, and the ends.
    kinds, sizes = zip(*shapes_of(model, x), strict=True)
    assert sorted(kinds) == sorted([*["conv"] * 5, "thin", "view", *["layer"] * (padding == "valid")])
    assert sizes.count(few) == 6
    rows = model.explain_program(x.shape)
    work = 8 * 16 * np.prod(side) + (16 * 8 * window**2 + 8 * 16 + 16 * 11) * np.prod(few)
    assert sum(row.multiplications for row in rows) == 2 * work


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_special_values(value, monkeypatch):
    model, x = residual((14, 13, 8)), picture(14, 13, 8)
    x[0, 4, 4, 1] = x[1, 5, 7, 2] = value
    for layer in (None, *(layer for layer in model.layers if layer.get_weights())):
        before = layer.get_weights() if layer else []
        if layer:
            changed = [weight.copy() for weight in before]
            changed[0].flat[1] = value
            layer.set_weights(changed)
        for one, other in zip(model(x), layer_by_layer(monkeypatch, model, x), strict=True):
            same_kinds(one, other)
        if layer:
            layer.set_weights(before)


@pytest.mark.parametrize(
    "ends",
    [
        lambda y: [layers.Conv2D(3, 1, strides=2)(y), layers.Conv2D(3, 1)(y)],
        lambda y: [layers.Conv2D(3, 1, strides=2)(y), layers.Conv2D(3, 1, strides=3)(y)],
        lambda y: [layers.Conv2D(3, 3, strides=2)(y)],
        lambda y: [layers.Conv2D(3, 1, strides=2)(layers.ZeroPadding2D(1)(y))],
        lambda y: [layers.Conv2D(3, 1, strides=2)(y), y],
        lambda y: [layers.Add()([layers.Conv2D(8, 1)(y), y])],
    ],
    ids=["all pixels", "other strides", "windows", "padding", "the result", "added to itself"],
)
def test_strides_stay_where_other_pixels_are_read(ends, monkeypatch):
    given = layers.Input((12, 12, 8))
    model = Model(given, ends(layers.Conv2D(8, 3)(given)))
    filled(model, np.random.default_rng(0), "float32")
    x = picture(12, 12, 8)
    assert shapes_of(model, x)[0] == ("conv", (10, 10)) and "thin" not in kinds_of(model, x)
    wanted, found = layer_by_layer(monkeypatch, model, x), model(x)
    for one, other in zip(*(got if isinstance(got, list) else [got] for got in (found, wanted)), strict=True):
        close(one, other)

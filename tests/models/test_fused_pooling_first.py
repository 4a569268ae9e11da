"""The program of `predict`: averages that are taken before a convolution of one tap."""

import numpy as np
import pytest
from test_fused_networks import filled, layer_by_layer
from test_fused_rules import close, kinds_of, same_kinds
from test_fused_strides import picture

from numbaconv import layers
from numbaconv.models import Model, Sequential
from numbaconv.models.fused import reading


def line(shape, *parts):
    return filled(Sequential([layers.Input(shape), *parts]), np.random.default_rng(0), "float32")


@pytest.mark.parametrize(
    "shape, parts, kinds",
    [
        ((13, 12, 40), [layers.Conv2D(8, 1), layers.AveragePooling2D(2)], ["pool", "conv"]),
        (
            (13, 12, 40),
            [
                *(layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(20, 1)),
                *(layers.AveragePooling2D(3, 2, padding="same"), layers.BatchNormalization(), layers.ReLU()),
            ],
            ["scale", "pool", "conv"],
        ),
        (
            (8, 13, 12),
            [
                layers.Conv2D(5, 1, data_format="channels_first"),
                layers.AveragePooling2D((1, 3), data_format="channels_first"),
            ],
            ["pool", "conv"],
        ),
        ((31, 8), [layers.Conv1D(5, 1, padding="causal", groups=1), layers.AveragePooling1D(4, 3)], ["pool", "conv"]),
        ((6, 7, 8, 8), [layers.Conv3D(4, 1, groups=2), layers.AveragePooling3D(2)], ["pool", "conv"]),
        (
            (24, 24, 8),
            [layers.Conv2D(4, 1), layers.AveragePooling2D(2), layers.Conv2D(6, 1), layers.AveragePooling2D(2)],
            ["pool", "conv", "pool", "conv"],
        ),
        (
            (24, 24, 8),
            [layers.Conv2D(4, 1), layers.AveragePooling2D(2), layers.AveragePooling2D(2)],
            ["pool", "conv", "pool"],
        ),
        ((12, 12, 8), [layers.Conv2D(4, 1), layers.AveragePooling2D(3, 1)], ["conv", "pool"]),
        ((12, 12, 8), [layers.Conv2D(4, 1), layers.MaxPooling2D(2)], ["conv", "pool"]),
        ((12, 12, 8), [layers.Conv2D(4, 1, activation="relu"), layers.AveragePooling2D(2)], ["conv", "pool"]),
        ((12, 12, 8), [layers.Conv2D(4, 3), layers.AveragePooling2D(2)], ["conv", "pool"]),
        ((12, 12, 8), [layers.Conv2D(4, 1, strides=2), layers.AveragePooling2D(2)], ["conv", "pool"]),
        ((12, 12, 8), [layers.Conv2D(4, 1), layers.GlobalAveragePooling2D()], ["conv", "pool"]),
        (
            (12, 12, 8),
            [layers.Conv2D(4, 1), layers.AveragePooling2D(2, data_format="channels_first")],
            ["conv", "pool"],
        ),
    ],
)
def test_which_change_places(shape, parts, kinds, monkeypatch):
    model, x = line(shape, *parts), picture(*shape)
    close(model(x), layer_by_layer(monkeypatch, model, x))
    assert kinds_of(model, x) == kinds


def test_where_others_read_the_convolution(monkeypatch):
    given = layers.Input((12, 12, 8))
    y = layers.Conv2D(8, 1)(given)
    model, x = Model(given, [layers.AveragePooling2D(2)(y), y]), picture(12, 12, 8)
    assert kinds_of(model, x) == ["conv", "pool"]
    for one, other in zip(model(x), layer_by_layer(monkeypatch, model, x), strict=True):
        close(one, other)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_special_values(value, monkeypatch):
    parts = (
        layers.Conv2D(8, 1),
        layers.AveragePooling2D(2),
        layers.ReLU(),
        layers.DepthwiseConv2D(3),
        layers.Conv2D(4, 1),
    )
    model, x = line((14, 13, 8), *parts), picture(14, 13, 8)
    x[0, 4, 4, 1], x[1, 5, 7, 2], x[0, 8, 8] = value, value, 0
    weights = model.get_weights()
    for changed in (None, 0, 1):
        model.set_weights(weights)
        if changed is not None:
            some = [weight.copy() for weight in weights]
            some[changed].flat[2] = value
            model.set_weights(some)
        for _ in range(3):
            same_kinds(model(x), layer_by_layer(monkeypatch, model, x))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_tiles_are_the_whole(padding):
    parts = (
        layers.Conv2D(9, 3),
        layers.Conv2D(8, 1),
        layers.AveragePooling2D(3, 2, padding=padding),
        layers.Conv2D(4, 3),
    )
    model, x = line((None, None, 3), *parts), picture(43, 38, 3)
    np.testing.assert_array_equal(model.predict_tiled(x, tile=(7, 5)), model(x))


def test_the_program_stays_where_weights_are_infinite(monkeypatch):
    """The plain network takes its place for as long as they are."""
    model, x = line((12, 12, 8), layers.Conv2D(8, 1), layers.AveragePooling2D(2)), picture(12, 12, 8)
    weights = model.get_weights()
    usual = model(x)
    made = []
    read = reading.Read.__init__
    monkeypatch.setattr(reading.Read, "__init__", lambda own, *args: made.append(1) or read(own, *args))
    model.set_weights([np.full_like(weights[0], np.inf), weights[1]])
    for _ in range(3):
        same_kinds(model(x), layer_by_layer(monkeypatch, model, x))
    before = len(made)
    for _ in range(3):
        model(x)
    assert len(made) == before
    model.set_weights(weights)
    np.testing.assert_array_equal(model(x), usual)

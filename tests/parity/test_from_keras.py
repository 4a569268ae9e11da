"""Models of Keras's in memory become models of this library."""

import sys

import numpy as np
import pytest

from numbaconv import models

from .keras_oracle import keras

X = np.random.default_rng(0).normal(size=(3, 12, 12, 3)).astype(np.float32)
L = keras.layers


def nested():
    x = keras.Input((12, 12, 3))
    inner = keras.Sequential([L.Conv2D(4, 3, padding="same"), L.BatchNormalization()], name="inner")
    y = L.Add()([inner(x), L.Conv2D(4, 1)(x)])
    steps = L.Reshape((12, 48))(y)
    states = L.Bidirectional(L.LSTM(3, return_sequences=True))(steps)
    attended = L.MultiHeadAttention(2, 4)(states, states)
    shared = L.Dense(2)
    return keras.Model(x, [shared(L.GlobalAveragePooling1D()(attended)), shared(L.TimeDistributed(L.Dense(6))(states))])


def line():
    return keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(4, 3), L.Dropout(0.5), L.Flatten(), L.Dense(2)])


@pytest.mark.parametrize("made", [nested, line])
def test_they_compute_the_same(made):
    theirs = made()
    rng = np.random.default_rng(1)
    theirs.set_weights([rng.uniform(0.1, 1, w.shape) for w in theirs.get_weights()])
    ours = models.from_keras(theirs)
    found, wanted = ours(X), theirs.predict(X, verbose=0)
    for a, b in zip(*(one if isinstance(one, list) else [one] for one in (found, wanted)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * abs(b).max())
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]


def test_what_is_refused():
    with pytest.raises(TypeError, match="model of Keras's"):
        models.from_keras("model.keras")
    with pytest.raises(ValueError, match="must be built"):
        models.from_keras(keras.Sequential([L.Dense(2)]))


def test_keras_is_not_imported_here():
    assert "keras" not in vars(sys.modules["numbaconv.models.keras.memory"])

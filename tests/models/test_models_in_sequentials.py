"""Models of the functional API as layers of a Sequential."""

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.layers import Dense, Input
from numbaconv.models import Model, Sequential, clone_model, load_model, model_from_json

X = np.random.default_rng(0).normal(size=(4, 3))
Y = np.random.default_rng(1).normal(size=(4, 2))


def features(dtype=None):
    x = Input((3,))
    return Model(x, layers.Add()([Dense(3, dtype=dtype, name="a")(x), Dense(3, dtype=dtype, name="b")(x)]), name="in")


@pytest.mark.parametrize("first", [[], [Input((3,))], [Dense(3, name="before")]], ids=len)
def test_layers_follow_a_model(first):
    model = Sequential([*first, features(), Dense(2, name="after")])
    assert model(X).shape == (4, 2) and model.built
    assert [layer.name for layer in model.layers][-2:] == ["in", "after"]
    within, after = model.layers[-2:]
    np.testing.assert_array_equal(model(X), after(within(model.layers[0](X) if len(model.layers) > 2 else X)))


def test_training_reaches_all_of_them():
    model = Sequential([features(), Dense(2)])
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert not any(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_copies_and_files(tmp_path):
    model = Sequential([features(), Dense(2)])
    model.save(tmp_path / "m.npz")
    copies = [clone_model(model), Sequential.from_config(model.get_config()), model_from_json(model.to_json())]
    for made in (load_model(tmp_path / "m.npz"), *copies):
        made.set_weights(model.get_weights())
        np.testing.assert_array_equal(made(X), model(X))


def test_wider_numbers_stay_wide():
    model = Sequential([features("float64"), Dense(2)])
    assert model(X).dtype == np.float64


def test_an_empty_sequential_says_what_it_lacks():
    with pytest.raises(ValueError, match="has no layers"):
        Sequential([Sequential([]), Dense(2)])(X)

"""Files written here, read by Keras 3: models of every layer, networks, weights alone, and the state of training."""

import warnings

import numpy as np
import pytest
from cases import ALL_LAYERS
from setting_cases import make

import numbaconv as nc
from numbaconv import layers, models, optimizers
from numbaconv.layers import Add, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input
from numbaconv.models.keras.writing import _entry

from .keras_oracle import keras, quiet

# Keras's own, about NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.random.default_rng(0).normal(size=(8, 6, 6, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
MADE = {
    "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(3)),
    "Dot": lambda: layers.Dot(axes=1),
    "Embedding": lambda: layers.Embedding(7, 3),
    "MultiHeadAttention": lambda: layers.MultiHeadAttention(2, 3),
    "TimeDistributed": lambda: layers.TimeDistributed(Dense(3)),
}


@pytest.mark.parametrize("name", [name for name in ALL_LAYERS if name != "Lambda"])
def test_keras_makes_the_same_layer_of_each_entry(name):
    layer = MADE[name]() if name in MADE else make(name)
    theirs = keras.layers.deserialize(_entry(name, layer.get_config()))
    assert type(theirs).__name__ == name
    assert theirs.supports_masking == layer.supports_masking
    again = type(layer).from_config(theirs.get_config())
    assert {**again.get_config(), "name": ""} == {**layer.get_config(), "name": ""}


def network():
    x = Input((6, 6, 3), name="x")
    y = Conv2D(3, 3, padding="same", activation="relu", name="conv", kernel_regularizer="l2")(x)
    y = Add(name="add")([x, BatchNormalization(name="norm")(y)])
    shared = Dense(2, name="shared")
    inner = models.Sequential([Dense(3, activation="gelu"), Dropout(0.0), Dense(2)], name="inner")
    flat = Flatten(name="flat")(y)
    return nc.Model(x, Add(name="sum")([shared(inner(flat)), shared(Dense(2, name="head")(flat))]), name="net")


def line():
    return models.Sequential(
        # A bias before the normalization has a gradient of 0 and of rounding errors, which some optimizers enlarge.
        [Conv2D(4, 3, input_shape=(6, 6, 3), use_bias=False), BatchNormalization(), Flatten(), Dense(3), Dense(2)],
        name="line",
    )


def operations():
    x = keras.Input((6, 6, 3), name="x")
    y = keras.layers.Conv2D(4, 3, padding="same", name="conv")(x)
    y = y * keras.ops.sigmoid(keras.ops.mean(y, (1, 2), keepdims=True)) / 2 + np.arange(4, dtype="float32")
    y = keras.ops.concatenate([y[:, ::2], keras.ops.gelu(y[:, 1::2])], axis=-1)
    return models.from_keras(keras.Model(x, keras.layers.Dense(2, name="out")(keras.layers.Flatten()(y)), name="ops"))


def trained(model, optimizer):
    model.compile(optimizer, "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return model


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.01),
    "momentum": lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 3, 0.9)),
    "adamw": lambda: optimizers.AdamW(0.01),
    "adamax": lambda: optimizers.Adamax(0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "adagrad": lambda: optimizers.Adagrad(0.01),
    "adadelta": lambda: optimizers.Adadelta(0.1),
    "lion": lambda: optimizers.Lion(0.001),
}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_keras_goes_on_training(optimizer, tmp_path):
    # Keras numbers names that are not given.
    keras.Variable(0.0)
    model = trained(line(), OPTIMIZERS[optimizer]())
    model.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), theirs.get_weights(), strict=True))
    with quiet():
        theirs.save(tmp_path / "t.keras")
        theirs.save(tmp_path / "t.h5")
    state = model.optimizer.get_state()
    for path in ("m.keras", "t.keras", "t.h5"):
        found = models.load_model(tmp_path / path).optimizer.get_state()
        assert found.keys() == state.keys()
        assert all(np.array_equal(found[key], state[key]) for key in state)
    for one in (model, theirs):
        with quiet():
            one.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_optimizer_has_a_state_before_the_first_step(optimizer, tmp_path):
    model = line()
    model.compile(OPTIMIZERS[optimizer](), "mse")
    model.save(tmp_path / "m.keras")
    with quiet():
        keras.models.load_model(tmp_path / "m.keras").save(tmp_path / "t.keras")
    for path in ("m.keras", "t.keras"):
        found = models.load_model(tmp_path / path).optimizer
        assert (found._slot_names(), found.iterations) == (model.optimizer._slot_names(), 0)


@pytest.mark.parametrize("made", [network, line, operations])
def test_there_and_back_no_bit_changes(made, tmp_path):
    model = trained(made(), "adam")
    model.save(tmp_path / "a.keras")
    theirs = keras.models.load_model(tmp_path / "a.keras")
    np.testing.assert_allclose(theirs(X), model(X), rtol=1e-4, atol=1e-5)
    theirs.save(tmp_path / "b.keras")
    for path in ("a.keras", "b.keras"):
        back = models.load_model(tmp_path / path)
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), back.get_weights(), strict=True))
        assert [layer.name for layer in back.layers] == [layer.name for layer in model.layers]
        np.testing.assert_array_equal(back(X), model(X))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_calls_of_a_model_in_another(order, tmp_path):
    x, y = Input((3,), name="x"), Input((3,), name="y")
    start = Input((3,))
    shared = nc.Model(start, Dense(2)(start), name="shared")
    found = [shared(x), shared(y)]
    model = nc.Model([x, y], [Add(name="sum")(found), *(found[call] for call in order)])
    values = [np.ones((1, 3), np.float32), np.full((1, 3), 2, np.float32)]
    model.save(tmp_path / "m.keras")
    told = keras.models.model_from_json(model.to_json())
    told.set_weights(model.get_weights())
    for theirs in (keras.models.load_model(tmp_path / "m.keras"), told):
        for a, b in zip(theirs(values), model(values), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)
        for a, b in zip(models.from_keras(theirs)(values), model(values), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("model", [network(), line(), models.Sequential([Dense(3)])], ids=["network", "line", "open"])
def test_keras_reads_the_json(model):
    theirs = keras.models.model_from_json(model.to_json())
    assert [layer.name for layer in theirs.layers] == [layer.name for layer in model.layers]
    assert theirs.count_params() == model.count_params() if model.built else not theirs.built


@pytest.mark.parametrize("made", [network, line])
def test_weights_alone(made, tmp_path):
    model = made()
    model.save_weights(tmp_path / "m.weights.h5")
    model.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    theirs.set_weights([0 * w for w in theirs.get_weights()])
    theirs.load_weights(tmp_path / "m.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), theirs.get_weights(), strict=True))
    other = models.clone_model(model)
    other.load_weights(tmp_path / "m.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
    theirs.save_weights(tmp_path / "t.weights.h5")
    other.load_weights(tmp_path / "t.weights.h5")


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.keras"):
        line().save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match=r"must end in \.weights\.h5"):
        line().save_weights(tmp_path / "m.h5")
    with pytest.raises(FileExistsError):
        (tmp_path / "m.keras").write_bytes(b"")
        line().save(tmp_path / "m.keras", overwrite=False)
    x = Input((3,))
    with pytest.raises(TypeError):
        nc.Model(x, layers.Lambda(lambda x: x)(x)).save(tmp_path / "m.keras")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.keras"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line().save(tmp_path / "m.keras")

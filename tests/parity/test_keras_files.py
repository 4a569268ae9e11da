"""Files that Keras writes today, in all its formats: the same outputs here, and every weight to the last bit."""

import warnings

import numpy as np
import pytest

from numbaconv.models import load_model

from .keras_oracle import keras, quiet

L = keras.layers


def branches():
    image, vector = L.Input((8, 6, 3), name="image"), L.Input((5,), name="vector")
    shared = L.Conv2D(3, 3, padding="same", name="shared")
    once = shared(image)
    joined = L.Concatenate()([once, shared(once)])
    joined = L.Dropout(0.3)(L.BatchNormalization(scale=False)(joined))
    inner = keras.Sequential([L.Input((8, 6, 6)), L.Conv2D(3, 1), L.ReLU(), L.BatchNormalization()], name="inner")
    start = L.Input((8, 6, 3))
    deep = keras.Model(start, L.Conv2D(2, 3)(L.DepthwiseConv2D(3)(start)), name="deep")
    both = L.Concatenate()([L.Flatten()(deep(inner(joined))), L.Dense(4)(vector)])
    return keras.Model([image, vector], [L.Dense(2, activation="softmax", name="classes")(both), inner(joined)])


def operations():
    x = L.Input((8, 6, 4))
    ops = keras.ops
    y = ops.add(x[:, 1:, :, :3], 0.5) * 2.0 - 1.0
    y = ops.relu6(ops.transpose(y, (0, 2, 1, 3))) + ops.mean(y, axis=[1, 2], keepdims=True)
    y = ops.concatenate([y, ops.sigmoid(y)], axis=-1)
    return keras.Model(x, [L.Conv2D(2, 1)(ops.pad(y, [[0, 0], [1, 1], [0, 2], [0, 0]])), ops.max(y, axis=3)])


def sequences():
    x = L.Input((7, 3))
    y = L.Bidirectional(L.LSTM(4, return_sequences=True))(L.Masking()(x))
    y = L.GRU(5, return_sequences=True)(L.TimeDistributed(L.Dense(3))(y))
    y = L.LayerNormalization()(L.MultiHeadAttention(2, 3)(y, y))
    return keras.Model(x, L.SimpleRNN(3)(y))


def lines():
    inner = keras.Sequential([L.Dense(3), L.PReLU()])
    return keras.Sequential([L.Input((4,)), inner, keras.Sequential([L.Dense(3, activation="elu")]), L.Dense(1)])


def images():
    layers = [L.SeparableConv2D(6, 3), L.BatchNormalization(), L.Conv2DTranspose(3, 3, 2), L.LeakyReLU(0.1)]
    layers += [
        L.GroupNormalization(3),
        L.UpSampling2D(2, interpolation="bilinear"),
        L.ZeroPadding2D(1),
        L.MaxPooling2D(),
    ]
    layers += [L.Conv2D(4, 3, groups=1, activation="swish"), L.GlobalAveragePooling2D(), L.Dense(2)]
    return keras.Sequential([L.Input((10, 9, 3)), *layers])


MAKERS = [branches, operations, sequences, lines, images]


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def model(request):
    keras.utils.set_random_seed(0)
    made = request.param()
    rng = np.random.default_rng(0)
    # Statistics and biases begin as zeros and ones.
    made.set_weights([w + rng.uniform(0, 0.3, w.shape).astype(w.dtype) for w in made.get_weights()])
    return made


def outputs(model, xs):
    found = model(xs if len(xs) > 1 else xs[0])
    return [np.asarray(one) for one in (found if isinstance(found, list | tuple) else [found])]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_models(model, suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    with quiet():
        model.save(path)
    ours = load_model(path)
    rng = np.random.default_rng(1)
    xs = [rng.standard_normal((2, *tensor.shape[1:])).astype("f4") for tensor in model.inputs]
    xs[0][1, -2:] = 0
    for found, wanted in zip(outputs(ours, xs), outputs(model, xs), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    assert ours.count_params() == model.count_params()


def test_weights_alone(model, tmp_path):
    with quiet():
        model.save(tmp_path / "model.keras")
        model.save_weights(tmp_path / "saved.weights.h5")
    ours = load_model(tmp_path / "model.keras")
    wanted = ours.get_weights()
    ours.set_weights([np.zeros_like(w) for w in wanted])
    ours.load_weights(tmp_path / "saved.weights.h5")
    for found, one in zip(ours.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(found, one)


def test_names_of_groups_are_those_of_keras():
    from numbaconv.models.keras.layouts import snake_case

    to_snake_case = keras.src.utils.naming.to_snake_case
    names = [name for name in dir(L) if isinstance(getattr(L, name), type)]
    assert len(names) > 100
    for name in names:
        assert snake_case(name) == to_snake_case(name)


def test_training_goes_on(tmp_path):
    model = keras.Sequential([L.Input((4,)), L.Dense(3, activation="tanh"), L.BatchNormalization(), L.Dense(2)])
    model.compile(keras.optimizers.Adam(0.05), "mse", metrics=["mae"])
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 4)).astype("f4"), rng.standard_normal((16, 2)).astype("f4")
    files = [tmp_path / f"model{suffix}" for suffix in (".keras", ".h5")]
    with quiet():
        model.fit(x, y, epochs=3, verbose=0)
        for file in files:
            model.save(file)
        wanted = model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0).history
    for file in files:
        ours = load_model(file)
        assert ours.optimizer.iterations == 3
        found = ours.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0).history
        np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=1e-4)
        np.testing.assert_allclose(found["mae"], wanted["mae"], rtol=1e-4)


def test_layers_that_change_values_in_training_alone_hand_them_on(tmp_path):
    at_random = [L.RandomFlip("horizontal"), L.RandomRotation(0.1), L.RandomZoom(0.2), L.RandomContrast(0.1)]
    at_random += [L.RandomTranslation(0.1, 0.1), L.RandomBrightness(0.1), L.AlphaDropout(0.1)]
    with quiet():
        model = keras.Sequential([L.Input((8, 6, 3)), *at_random, L.Rescaling(1 / 255), L.Conv2D(2, 3)])
        model.save(tmp_path / "a.keras")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        here = load_model(tmp_path / "a.keras")
    assert [str(one.message).split(":")[0] for one in found] == [
        f"{type(layer).__name__} changes what it gets in training alone" for layer in at_random
    ]
    x = np.random.default_rng(0).integers(0, 255, (2, 8, 6, 3)).astype(np.float32)
    with quiet():
        expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(here.predict(x), expected, atol=1e-5)
    assert [layer.name for layer in here.layers] == [layer.name for layer in model.layers]

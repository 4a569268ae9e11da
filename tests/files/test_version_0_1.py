"""A model that version 0.1 has saved in the course of training: it predicts what it did, and its training goes on.

`made` is how the file was made: ``made().save("version_0_1.npz")``, and of the result of ``predict(X[:2])``
"version_0_1_out.npy".
"""

from pathlib import Path

import numpy as np
import pytest

from numbaconv import initializers, layers, metrics, optimizers, schedules
from numbaconv.models import Sequential

HERE = Path(__file__).parent
# Machines with other vector widths sum in another order.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
# Adam divides a gradient by its size, and so its rounding error: the file's weights are 3e-5 from those of float64.
TRAINED = {"rtol": 1e-5, "atol": 5e-5}


def untrained():
    return Sequential(
        [
            layers.Conv2D(
                4,
                3,
                padding="same",
                activation="relu",
                kernel_regularizer="l2",
                bias_constraint="max_norm",
                input_shape=(8, 8, 3),
                name="conv",
            ),
            layers.BatchNormalization(name="norm"),
            layers.SeparableConv2D(6, 3, padding="same", activation="gelu", name="separable"),
            layers.MaxPooling2D(2, name="pool"),
            layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
            layers.Conv2DTranspose(4, 2, strides=2, activation="tanh", name="transposed"),
            layers.UpSampling2D(2, interpolation="bilinear", name="up"),
            layers.Cropping2D(1, name="crop"),
            layers.ZeroPadding2D(1, name="zeros"),
            layers.AveragePooling2D(2, name="average"),
            layers.Dropout(0.2, seed=7, name="dropout"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, activation="softmax", kernel_initializer=initializers.HeNormal(seed=1), name="dense"),
        ],
        name="before_the_rooms",
    )


def examples(rng):
    return rng.standard_normal((12, 8, 8, 3)).astype("float32"), rng.integers(5, size=12)


def made():
    model, rng = untrained(), np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 0.3, w.shape) for w in model.get_weights()])
    model.compile(
        optimizers.Adam(schedules.ExponentialDecay(0.01, 10, 0.9)),
        "sparse_categorical_crossentropy",
        ["accuracy", metrics.SparseTopKCategoricalAccuracy(2)],
    )
    model.fit(*examples(rng), epochs=1, batch_size=6, verbose=0, seed=1)
    return model


@pytest.fixture(scope="module")
def new():
    return made()


@pytest.fixture
def old():
    return Sequential.load(HERE / "version_0_1.npz")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    for w in untrained().weights:
        rng.uniform(0.1, 0.3, w.shape)
    return examples(rng)


def test_it_predicts_what_it_did(old, data):
    np.testing.assert_allclose(old.predict(data[0][:2], verbose=0), np.load(HERE / "version_0_1_out.npy"), **CLOSE)


def test_it_is_what_is_made_today(old, new):
    assert old.get_config() == new.get_config()
    assert old.get_compile_config() == new.get_compile_config()
    for one, other in zip(old.weights, new.weights, strict=True):
        np.testing.assert_allclose(one, other, **TRAINED)
    wanted = new.optimizer.get_state()
    assert list(old.optimizer.get_state()) == list(wanted)
    for name, array in old.optimizer.get_state().items():
        np.testing.assert_allclose(array, wanted[name], **CLOSE, err_msg=name)
    assert old.layers[10].get_state() == new.layers[10].get_state()


def test_its_training_goes_on(old, data):
    assert old.optimizer.iterations == 2
    assert old.optimizer.learning_rate == pytest.approx(0.01 * 0.9**0.2)
    new = made()
    arguments = {"epochs": 3, "initial_epoch": 1, "batch_size": 6, "verbose": 0, "seed": 1}
    found, wanted = (model.fit(*data, **arguments).history for model in (old, new))
    assert list(found) == ["loss", "accuracy", "sparse_top_k_categorical_accuracy"]
    np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=1e-4)
    assert old.optimizer.iterations == 6
    for one, other in zip(old.weights, new.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_saved_again_it_is_the_same(old, data, tmp_path):
    old.save(tmp_path / "again")
    again = Sequential.load(tmp_path / "again")
    assert again.predict(data[0], verbose=0).tobytes() == old.predict(data[0], verbose=0).tobytes()
    assert again.get_compile_config() == old.get_compile_config()

"""Files of Keras 1, made by hand: its words, its kernels and those of Theano."""

import numpy as np
import pytest

pytest.importorskip("h5py")

from keras_files import functional, input_layer, layer, legacy

from numbaconv import layers
from numbaconv.models import Sequential, load_model

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.uniform(-1, 1, shape).astype("f4")


KERNEL, BIAS = random(3, 3, 2, 4), random(4)
WEIGHTS = {"c": {"kernel": KERNEL, "bias": BIAS}}
X = random(2, 6, 5, 2)


def conv(x=X, kernel=KERNEL, bias=BIAS, **settings):
    return layers.Conv2D(kernel.shape[-1], kernel.shape[:2], weights=[kernel, bias], **settings)(x)


def entry(class_name, **config):
    return {"class_name": class_name, "config": config}


def keras_1(tmp_path, entries, weights, version="1.2.2", backend="tensorflow"):
    return load_model(
        legacy(tmp_path / "m", {"class_name": "Sequential", "config": entries}, weights, version, backend)
    )


OLD_2D = {"nb_filter": 4, "nb_row": 3, "nb_col": 3, "border_mode": "same", "subsample": [2, 1], "bias": True}


def test_words_of_keras_1(tmp_path):
    entries = [
        entry(
            "Convolution2D", name="c", batch_input_shape=[None, 6, 5, 2], dim_ordering="tf", init="uniform", **OLD_2D
        ),
        entry("MaxPooling2D", name="p", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering="tf"),
        entry("Dropout", name="o", p=0.5),
        entry("BatchNormalization", name="b", axis=-1, epsilon=0.01, mode=0, momentum=0.9),
        entry("Flatten", name="f"),
        entry(
            "Dense", name="d", output_dim=3, init="glorot_uniform", W_regularizer={"name": "L2", "l2": 0.1}, bias=True
        ),
    ]
    weights = {
        **WEIGHTS,
        "b": {name: random(4) + 2 for name in ("gamma", "beta", "running_mean", "running_std")},
        "d": {"W": random(8, 3), "b": random(3)},
    }
    model = keras_1(tmp_path, entries, weights)
    made = Sequential(
        [
            layers.Conv2D(4, 3, (2, 1), "same", input_shape=(6, 5, 2)),
            layers.MaxPooling2D(),
            layers.BatchNormalization(epsilon=0.01),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    made.set_weights([array for arrays in weights.values() for array in arrays.values()])
    np.testing.assert_array_equal(model(X), made(X))
    assert model.layers[2].rate == 0.5


SIDES = {"left_pad": 1, "right_pad": 2}


@pytest.mark.parametrize(
    ("class_name", "padding", "pairs"),
    [
        ("ZeroPadding1D", SIDES, [(1, 2)]),
        ("ZeroPadding2D", {**SIDES, "top_pad": 3}, [(3, 0), (1, 2)]),
        ("ZeroPadding2D", [3, 0, 1, 2], [(3, 0), (1, 2)]),
        ("ZeroPadding2D", [3, 1], [(3, 3), (1, 1)]),
    ],
)
def test_padding_of_keras_1(tmp_path, class_name, padding, pairs):
    x = X if len(pairs) == 2 else X[:, 0]
    wanted = np.pad(x, [(0, 0), *pairs, (0, 0)])
    model = keras_1(
        tmp_path, [entry(class_name, name="p", batch_input_shape=[None, *x.shape[1:]], padding=padding)], {}
    )
    np.testing.assert_array_equal(model(x), wanted)


def test_kernels_of_one_axis_had_two(tmp_path):
    entries = [
        entry(
            "Convolution1D",
            **{"name": "c", "batch_input_shape": [None, None, 2], "nb_filter": 4, "filter_length": 3},
            **{
                "border_mode": "valid",
                "subsample_length": 2,
                "input_dim": 2,
                "input_length": None,
                "activation": "relu",
            },
        ),
        entry("MaxPooling1D", name="p", pool_length=2, stride=2, border_mode="valid"),
    ]
    kernel, x = random(3, 2, 4), random(2, 9, 2)
    model = keras_1(tmp_path, entries, {"c": {"W": kernel[:, None], "b": BIAS}, "p": {}})
    plain = layers.Conv1D(4, 3, 2, activation="relu", weights=[kernel, BIAS])(x)
    np.testing.assert_array_equal(model(x), layers.MaxPooling1D()(plain))


@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
def test_kernels_of_theano(tmp_path, backend):
    x = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    settings = {**OLD_2D, "dim_ordering": "th", "subsample": [1, 1]}
    entries = [entry("Convolution2D", name="c", batch_input_shape=[None, 2, 6, 5], **settings)]
    stored = KERNEL[::-1, ::-1] if backend == "theano" else KERNEL
    model = keras_1(tmp_path, entries, {"c": {"W": stored.transpose(3, 2, 0, 1), "b": BIAS}}, backend=backend)
    np.testing.assert_array_equal(model(x), conv(x, padding="same", data_format="channels_first"))


def test_a_file_that_does_not_say_its_backend_is_warned_of(tmp_path):
    entries = [entry("Convolution2D", name="c", batch_input_shape=[None, 6, 5, 2], dim_ordering="tf", **OLD_2D)]
    with pytest.warns(UserWarning, match="Theano or TensorFlow"):
        keras_1(tmp_path, entries, {"c": {"W": KERNEL, "b": BIAS}}, version=None, backend=None)


def test_merges_of_keras_1(tmp_path):
    parts = [
        input_layer("x", 6, 5, 2),
        layer("Convolution2D", "c", "x", dim_ordering="tf", **OLD_2D),
        layer("Merge", "m", "c", "c", mode="concat", concat_axis=-1, mode_type="raw", output_shape=None),
        layer("Merge", "s", "m", "m", mode="sum", mode_type="raw"),
    ]
    path = legacy(tmp_path / "m", functional(parts, ["x"], ["s"]), WEIGHTS, "1.1.0")
    once = conv(padding="same", strides=(2, 1))
    np.testing.assert_array_equal(load_model(path)(X), 2 * np.concatenate([once, once], -1))
    parts[3]["config"]["mode"] = "code"
    with pytest.raises(ValueError, match=r"layer 's' \(Merge\): mode must be one of"):
        load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["s"]), WEIGHTS, "1.1.0"))

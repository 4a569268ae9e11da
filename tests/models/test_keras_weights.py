"""Weights in both of Keras's layouts, with their model and alone: all of them, none too many, each of its shape."""

import json
import zipfile

import numpy as np
import pytest

pytest.importorskip("h5py")

from keras_files import arrays_of, functional, input_layer, layer, legacy, modern

from numbaconv import layers
from numbaconv.models import Model, load_model, model_from_json

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.uniform(-1, 1, shape).astype("f4")


KERNEL, BIAS, SECOND = random(3, 3, 2, 4), random(4), random(1, 1, 4, 3)
X = random(2, 6, 5, 2)
CONV = {"filters": 4, "kernel_size": [3, 3], "padding": "valid"}
WEIGHTS = {"c": {"kernel": KERNEL, "bias": BIAS}}


def conv(x=X, kernel=KERNEL, bias=BIAS):
    return layers.Conv2D(kernel.shape[-1], kernel.shape[:2], weights=[kernel, bias])(x)


# -- .keras ------------------------------------------------------------------------------------------------------------


def modern_config(module="keras.src.engine.functional"):
    parts = [
        {**input_layer("x", 6, 5, 2), "module": "keras.layers", "registered_name": None},
        {**layer("Conv2D", "first", "x", **CONV), "module": "nowhere.to.be.found", "build_config": {"input_shape": []}},
        {**layer("Conv2D", "second", "first", filters=3, kernel_size=[1, 1]), "module": "keras.layers"},
    ]
    return functional(parts, ["x"], ["second"], "Functional", module=module)


MODERN = {
    "layers/conv2d/vars/0": KERNEL,
    "layers/conv2d/vars/1": BIAS,
    "layers/conv2d_1/vars/0": SECOND,
    "layers/conv2d_1/vars/1": BIAS[:3],
    "optimizer/vars/0": 7,
}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_classes_count_and_modules_do_not(tmp_path, compression):
    model = load_model(modern(tmp_path / "m", modern_config(), MODERN, "2.15.0", compression))
    np.testing.assert_array_equal(model(X), conv(conv(), SECOND, BIAS[:3]))
    assert isinstance(model, Model) and [one.name for one in model.layers] == ["x", "first", "second"]


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.txt", "m"])
def test_content_counts_and_not_the_name(tmp_path, name):
    wanted = conv(conv(), SECOND, BIAS[:3])
    np.testing.assert_array_equal(load_model(modern(tmp_path / name, modern_config(), MODERN))(X), wanted)
    weights = {"first": WEIGHTS["c"], "second": {"kernel": SECOND, "bias": BIAS[:3]}}
    np.testing.assert_array_equal(load_model(legacy(tmp_path / name, modern_config(), weights))(X), wanted)
    (tmp_path / name).write_text(json.dumps(modern_config()))
    assert load_model(tmp_path / name).count_params() == 91


def test_an_architecture_alone(tmp_path):
    model = load_model(legacy(tmp_path / "m", modern_config()))
    assert model.count_params() == 91 and np.ptp(model.get_weights()[0]) > 0
    again = model_from_json(model.to_json())
    assert again.get_config() == model.get_config()


# -- weights alone -----------------------------------------------------------------------------------------------------


def model_here():
    x = layers.Input((6, 5, 2))
    return Model(x, layers.Conv2D(3, 1, name="second")(layers.Conv2D(4, 3, name="first")(x)))


LEGACY = {"first": WEIGHTS["c"], "second": {"kernel": SECOND, "bias": BIAS[:3]}}


def test_weights_alone(tmp_path):
    wanted = conv(conv(), SECOND, BIAS[:3])
    (tmp_path / "w.weights.h5").write_bytes(arrays_of(MODERN))
    other = {f"other_{name}": arrays for name, arrays in LEGACY.items()}
    for path in (
        tmp_path / "w.weights.h5",
        modern(tmp_path / "m", modern_config(), MODERN),
        legacy(tmp_path / "l", None, LEGACY),
        legacy(tmp_path / "o", None, other),
        legacy(tmp_path / "r", None, dict(reversed(LEGACY.items()))),
    ):
        model = model_here()
        model.load_weights(path)
        np.testing.assert_array_equal(model(X), wanted)
    with pytest.raises(ValueError, match="holds weights alone"):
        load_model(tmp_path / "l")
    model.save(tmp_path / "own.npz")
    fresh = model_here()
    fresh.load_weights(tmp_path / "own.npz")
    np.testing.assert_array_equal(fresh(X), wanted)
    np.testing.assert_array_equal(load_model(tmp_path / "own.npz")(X), wanted)


def test_weights_by_name(tmp_path):
    path = legacy(tmp_path / "l", None, {"unknown": {"w": [1]}, "first": WEIGHTS["c"], "second": {"kernel": [1]}})
    model = model_here()
    before = model.get_weights()
    with pytest.raises(ValueError, match="layer 'second' must have 2 weights"):
        model.load_weights(path, by_name=True)
    with pytest.raises(ValueError, match="skip_mismatch must come with by_name"):
        model.load_weights(path, skip_mismatch=True)
    assert all(map(np.array_equal, before, model.get_weights()))
    with pytest.warns(UserWarning, match="layer 'second' must have 2 weights"):
        model.load_weights(path, by_name=True, skip_mismatch=True)
    np.testing.assert_array_equal(model.layers[1].kernel, KERNEL)
    np.testing.assert_array_equal(model.layers[2].kernel, before[2])


WRONG = {
    "missing": (
        lambda w: w.pop("layers/conv2d_1/vars/1"),
        "'bias' of layer 'second' must be at 'layers/conv2d_1/vars/1'",
    ),
    "surplus": (
        lambda w: w.update({"layers/conv2d_2/vars/0": BIAS}),
        "no more weights than the model, got layers/conv2d_2",
    ),
    "another": (
        lambda w: w.update({"layers/conv2d/vars/0": KERNEL[1:]}),
        r"'kernel' of layer 'first' must have shape \(3",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_weights_of_keras_3(tmp_path, wrong):
    spoil, said = WRONG[wrong]
    arrays = dict(MODERN)
    spoil(arrays)
    with pytest.raises(ValueError, match=f"m' cannot be loaded as a model: .*{said}"):
        load_model(modern(tmp_path / "m", modern_config(), arrays))
    model = model_here()
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"m' cannot be read as weights: .*{said}"):
        model.load_weights(tmp_path / "m")
    assert all(map(np.array_equal, before, model.get_weights()))


OLD_WRONG = {
    "missing layer": (lambda w: w.pop("second"), "weights for 2 layers, got 1: second missing"),
    "surplus layer": (lambda w: w.update(more={"kernel": BIAS}), "more too many"),
    "missing weight": (lambda w: w["first"].pop("bias"), "layer 'first' must have 2 weights"),
    "another shape": (
        lambda w: w["first"].update(kernel=KERNEL[1:]),
        r"'first' must have shape \(3, 3, 2, 4\), got \(2",
    ),
}


@pytest.mark.parametrize("wrong", OLD_WRONG)
def test_wrong_weights_of_older_files(tmp_path, wrong):
    spoil, said = OLD_WRONG[wrong]
    weights = {name: dict(arrays) for name, arrays in LEGACY.items()}
    spoil(weights)
    with pytest.raises(ValueError, match=f"m' cannot be loaded as a model: .*{said}"):
        load_model(legacy(tmp_path / "m", modern_config(), weights))


def test_where_random_numbers_have_got_to_is_no_weight(tmp_path):
    arrays = {**MODERN, "layers/dropout/seed_generator/vars/0": [1, 2], "layers/dropout/vars/0": np.int64(7)}
    model = load_model(modern(tmp_path / "m", modern_config(), arrays))
    np.testing.assert_array_equal(model(X), conv(conv(), SECOND, BIAS[:3]))


def test_the_mean_and_variance_of_a_data_set(tmp_path):
    parts = [input_layer("x", 2), layer("Normalization", "n", "x", axis=[-1])]
    weights = {"mean": [1, 2], "variance": [4, 9], "count": 7}
    path = legacy(tmp_path / "m", functional(parts, ["x"], ["n"], "Functional"), {"n": weights}, "2.9.0")
    np.testing.assert_allclose(load_model(path)([[3, 5]]), [[1, 1]], rtol=1e-6)

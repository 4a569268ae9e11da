"""Sequential: the stack, its shapes, weights and predictions, and models as files."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from numbaconv import __version__
from numbaconv.layers import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Cropping1D,
    Cropping2D,
    DepthwiseConv2D,
    SeparableConv2D,
    UpSampling2D,
    ZeroPadding2D,
)
from numbaconv.models import Sequential

SHAPE = (None, 6, 5, 2)


def small(**first):
    """A model of three layers for inputs of two channels."""
    return Sequential([Conv2D(3, 2, name="a", **first), Cropping2D(((0, 1), (1, 0)), name="b"), Conv2D(2, 1, name="c")])


def built():
    model = small(input_shape=SHAPE[1:])
    model.set_weights([np.random.default_rng(i).normal(size=w.shape) for i, w in enumerate(model.weights)])
    return model


def batch(n=3, shape=SHAPE[1:]):
    return np.random.default_rng(7).normal(size=(n, *shape)).astype(np.float32)


def one_by_one(model, x):
    for layer in model.layers:
        x = layer(x)
    return x


# -- the stack ---------------------------------------------------------------------------------------------------------


def test_example_of_the_keras_page():
    # Crop the input 2D images or feature maps
    model = Sequential()
    model.add(Cropping2D(cropping=((2, 2), (4, 4)), input_shape=(28, 28, 3)))
    # now model.output_shape == (None, 24, 20, 3)
    assert model.output_shape == (None, 24, 20, 3)
    model.add(Conv2D(64, (3, 3), padding="same"))
    model.add(Cropping2D(cropping=((2, 2), (2, 2))))
    # now model.output_shape == (None, 20, 16, 64)
    assert model.output_shape == (None, 20, 16, 64)
    assert model.input_shape == (None, 28, 28, 3)
    assert model(np.ones((1, 28, 28, 3))).shape == (1, 20, 16, 64)


def test_default_names_count_up():
    first, second = Sequential(), Sequential()
    stem, number = second.name.rsplit("_", 1)
    assert stem == "sequential"
    assert first.name == (f"sequential_{int(number) - 1}" if int(number) > 1 else "sequential")
    assert Sequential(name="mine").name == "mine"


def test_layers_is_a_copy():
    model = small()
    model.layers.clear()
    assert [layer.name for layer in model.layers] == ["a", "b", "c"]
    assert repr(model) == f"<Sequential {model.name!r}, 3 layers, not built>"


def test_pop():
    model = built()
    assert model.pop().name == "c"
    assert model.output_shape == (None, 4, 3, 3)
    model.pop(), model.pop()
    assert model.input_shape is None
    assert not model.built
    with pytest.raises(ValueError, match=rf"{model.name}.*no layers"):
        model.pop()
    model.add(Conv1D(1, 1, input_shape=(4, 1)))
    assert model.output_shape == (None, 4, 1)


def test_a_layer_added_to_a_built_model_is_built_at_once():
    model = small()
    model(batch())
    model.add(layer := Conv2D(4, 2, name="d"))
    assert layer.built
    assert model.output_shape == (None, 3, 2, 4)


@pytest.mark.parametrize("make", [small, built])
@pytest.mark.parametrize(
    ("layer", "kind", "said"),
    [
        ("conv2d", TypeError, "layer must be a layer of numbaconv.layers, got 'conv2d'"),
        (Conv2D, TypeError, "layer must be a layer"),
        (Sequential(name="inner"), TypeError, "inner"),
        (None, TypeError, "None"),
        (Cropping2D(name="b"), ValueError, "second 'b'"),
    ],
)
def test_what_cannot_be_added(make, layer, kind, said):
    model = make()
    before = model.layers
    with pytest.raises(kind, match=rf"Sequential '{model.name}': .*{said}"):
        model.add(layer)
    assert model.layers == before


def test_a_layer_cannot_be_added_twice():
    model = small()
    with pytest.raises(ValueError, match=r"once only.*'b'"):
        model.add(model.layers[1])
    assert len(model.layers) == 3


def layer_for_five_channels():
    layer = Conv2D(1, 1, name="misfit")
    layer.build((None, 9, 9, 5))
    return layer


def layer_for_large_images():
    layer = Cropping2D(4, name="misfit")
    layer.build((None, 9, 9, 2))
    return layer


@pytest.mark.parametrize(
    "make",
    [
        lambda: Conv1D(1, 1, name="misfit"),
        lambda: Conv2D(1, 9, name="misfit"),
        lambda: Conv2D(1, 1, name="misfit", weights=[np.ones(3)]),
        layer_for_five_channels,
        layer_for_large_images,
    ],
)
def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was(make):
    model, x = built(), batch()
    before = model(x)
    with pytest.raises(ValueError, match=rf"Sequential '{model.name}': (Conv1D|Conv2D|Cropping2D) 'misfit': "):
        model.add(make())
    assert len(model.layers) == 3
    assert model.output_shape == (None, 4, 3, 2)
    assert np.array_equal(model(x), before)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": 3}, "name must be a non-empty string, got 3"),
        ({"name": ""}, "name must be"),
        ({"layers": 3}, "layers must be a list of layers, got 3"),
        ({"layers": [3]}, "layer must be a layer"),
    ],
)
def test_bad_arguments(arguments, said):
    with pytest.raises(TypeError, match=said):
        Sequential(**arguments)


def test_an_empty_model_says_so():
    model = Sequential(name="empty")
    for use in (model, model.predict, model.build, model.compute_output_shape):
        with pytest.raises(ValueError, match="Sequential 'empty': the model has no layers"):
            use(np.zeros(SHAPE[1:]))
    assert model.output_shape is None
    assert model.weights == []


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_shapes_are_unknown_until_the_first_call():
    model = small()
    assert (model.built, model.input_shape, model.output_shape) == (False, None, None)
    model(batch())
    assert (model.built, model.input_shape, model.output_shape) == (True, SHAPE, (None, 4, 3, 2))


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ({"input_shape": (6, 5, 2)}, (None, 6, 5, 2)),
        ({"input_shape": (None, None, 2)}, (None, None, None, 2)),
        ({"input_shape": (6, 5, 2), "batch_size": 4}, (4, 6, 5, 2)),
        ({"batch_input_shape": (4, 6, 5, 2)}, (4, 6, 5, 2)),
    ],
)
def test_the_first_layer_declares_the_input_shape(first, expected):
    model = small(**first)
    assert model.built
    assert model.input_shape == expected
    assert model.output_shape == model.compute_output_shape(expected)
    assert model(batch()).shape == (3, 4, 3, 2)


def test_build():
    model = small()
    model.build([None, 6, 5, 2])
    assert model.input_shape == SHAPE
    weights = model.get_weights()
    model.build((8, 9, 9, 2))
    assert all(map(np.array_equal, model.weights, weights))
    with pytest.raises(ValueError, match=r"'a'.*2 channels"):
        model.build((None, 6, 5, 3))
    with pytest.raises(ValueError, match="number of channels must be known"):
        small().build((None, 6, 5, None))


def test_a_shape_that_a_later_layer_cannot_take_builds_none():
    model = small()
    with pytest.raises(ValueError, match="Cropping2D 'b'"):
        model(np.zeros((1, 2, 2, 7)))
    assert not any(layer.built for layer in model.layers)
    assert model(batch()).shape == (3, 4, 3, 2)


def test_explain_joins_the_layers():
    model = built()
    paragraphs = model.explain().split("\n\n")
    assert paragraphs[0] == model.layers[0].explain(SHAPE)
    assert paragraphs[1] == model.layers[1].explain((None, 5, 4, 3))
    assert len(paragraphs) == 3
    assert "(1, 9, 9, 2)" in model.explain((1, 9, 9, 2))
    with pytest.raises(ValueError, match="input_shape must be given"):
        small().explain()


# -- use ---------------------------------------------------------------------------------------------------------------


def test_a_call_is_the_layers_in_turn():
    model, x = built(), batch()
    before = x.copy()
    out = model(x)
    assert np.array_equal(out, one_by_one(model, x))
    assert np.array_equal(x, before)
    assert model(x.tolist()).dtype == np.float32


def test_other_sizes_but_the_same_channels():
    model = built()
    assert model(batch(2, (9, 8, 2))).shape == (2, 7, 6, 2)
    with pytest.raises(ValueError, match=rf"Sequential '{model.name}': Conv2D 'a': x must have 2 channels"):
        model(batch(2, (6, 5, 3)))
    with pytest.raises(ValueError, match="'a': x must have 4 axes"):
        model(np.zeros(3))
    with pytest.raises(TypeError, match="real numbers"):
        model("picture")


@pytest.mark.parametrize("batch_size", [1, 2, 3, 32, np.int64(2)])
@pytest.mark.parametrize("make", [small, built])
def test_predict_is_the_call(make, batch_size):
    model, x = make(), batch()
    out = model.predict(x, batch_size=batch_size)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, model(x), rtol=1e-6, atol=1e-6)


def test_predict_takes_so_many_at_a_time(monkeypatch):
    model, seen = built(), []
    monkeypatch.setattr(model.layers[0], "_after_call", lambda out: seen.append(len(out)))
    model.predict(batch(5), batch_size=2)
    assert seen == [2, 2, 1]


def test_the_result_has_the_last_layers_dtype():
    model = Sequential([Conv2D(2, 1), Conv2D(2, 1, dtype="float64")])
    assert model.predict(batch()).dtype == model(batch()).dtype == np.float64


@pytest.mark.parametrize("make", [small, built])
def test_an_empty_batch(make):
    model = make()
    assert model.predict(batch(0)).shape == (0, 4, 3, 2)
    assert model(batch(0)).shape == (0, 4, 3, 2)


@pytest.mark.parametrize(
    "arguments", [{"batch_size": 0}, {"batch_size": 2.0}, {"batch_size": True}, {"verbose": 3}, {"verbose": "loud"}]
)
def test_predict_refuses(arguments):
    (name,) = arguments
    model = built()
    with pytest.raises(ValueError, match=f"{name} must be"):
        model.predict(batch(), **arguments)


@pytest.mark.parametrize(("verbose", "shown"), [(0, False), ("auto", False), (1, True)])
def test_the_progress_bar(capsys, verbose, shown):
    model = built()
    model.predict(batch(), batch_size=1, verbose=verbose)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("3/3" in err and model.name in err) is shown


def test_the_progress_bar_appears_when_it_takes_long(capsys, monkeypatch):
    monkeypatch.setattr("numbaconv.models._PATIENCE", 1e-9)
    built().predict(batch(), batch_size=1)
    assert "/3" in capsys.readouterr().err


def test_losses_of_all_layers():
    model = Sequential([Conv2D(1, 1, kernel_regularizer="l2"), Cropping2D(1), Conv2D(1, 1, bias_regularizer="l1")])
    assert model.losses == []
    model.build(SHAPE)
    model.set_weights([np.ones((1, 1, 2, 1)), [0], np.ones((1, 1, 1, 1)), [5]])
    assert model.losses == pytest.approx([0.02, 0.05])


def test_summary():
    lines = []
    model = Sequential([Conv2D(300, 3, name="a", input_shape=(9, 9, 2)), Cropping2D(name="bb")], name="m")
    model.summary(print_fn=lines.append)
    (text,) = lines
    rows = text.split("\n")
    assert rows[0] == "Sequential 'm'"
    assert [rows[2], *rows[4:6]] == [
        "Layer (class)    Output shape       Parameters",
        "a (Conv2D)       (None, 7, 7, 300)       5,700",
        "bb (Cropping2D)  (None, 7, 7, 300)           0",
    ]
    assert len({len(row) for row in rows[1:7]}) == 1
    assert rows[-1] == "Total: 5,700 parameters, 5,700 trainable, 0 not trainable"


def test_summary_of_a_model_that_is_not_built(capsys):
    small().summary()
    text = capsys.readouterr().out
    assert text.count("not built") == 3
    assert text.count(" ? ") == 3
    assert text.rstrip().endswith("Not built: the first call, or build(input_shape), creates the weights")
    Sequential().summary()
    assert "Not built" in capsys.readouterr().out


# -- weights -----------------------------------------------------------------------------------------------------------


def test_weights_in_order():
    model = built()
    assert [w.shape for w in model.weights] == [(2, 2, 2, 3), (3,), (1, 1, 3, 2), (2,)]
    assert model.count_params() == 24 + 3 + 6 + 2
    assert not any(w.flags.writeable for w in model.weights)
    copies = model.get_weights()
    copies[0][:] = 0
    assert model.weights[0].any()


def test_trainable_weights():
    model = Sequential([Conv2D(1, 1, input_shape=(3, 3, 1)), Conv2D(1, 1, trainable=False, use_bias=False)])
    assert len(model.trainable_weights) == 2
    assert len(model.non_trainable_weights) == 1
    lines = []
    model.summary(lines.append)
    assert lines[0].endswith("Total: 3 parameters, 2 trainable, 1 not trainable")


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda w: w[:-1], ValueError, "list of 4 arrays, got 3"),
        (lambda w: [*w[:-1], np.zeros(3)], ValueError, r"'c': bias must have shape \(2,\), got \(3,\)"),
        (lambda w: [*w[:-1], ["x", "y"]], TypeError, "'c': bias must hold real numbers"),
    ],
)
def test_set_weights_changes_all_or_none(change, kind, said):
    model, x = built(), batch()
    before, out = model.get_weights(), model(x)
    with pytest.raises(kind, match=said):
        model.set_weights(change([w + 1 for w in before]))
    assert all(map(np.array_equal, model.weights, before))
    assert np.array_equal(model(x), out)


def test_weights_of_a_model_that_is_not_built():
    model = small()
    with pytest.raises(ValueError, match="needs a built model"):
        model.set_weights([])
    with pytest.raises(ValueError, match="'a': count_params needs a built layer"):
        model.count_params()


# -- configuration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [small, built, Sequential, lambda: small(batch_input_shape=(4, 6, 5, 2))])
def test_configuration_round_trip(make):
    model = make()
    config = json.loads(json.dumps(model.get_config()))
    assert config == model.get_config()
    again = Sequential.from_config(config)
    assert again.get_config() == config
    assert again.input_shape == model.input_shape
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


class Mine(Cropping2D):
    """A class that the package does not know."""


class Cropping3D(Cropping2D):
    """One that only has the name of a class that it knows."""


@pytest.mark.parametrize("layer", [Mine(), Cropping3D(), Conv2D(1, 1, activation=np.sin)])
def test_what_a_configuration_cannot_hold(layer, tmp_path):
    model = Sequential([layer])
    with pytest.raises(TypeError, match="can be put in a config"):
        model.get_config()
    model.build(SHAPE)
    with pytest.raises(TypeError, match="can be put in a config"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def spoiled(**changes):
    """A good configuration, but for these keys."""
    return {**built().get_config(), **changes}


def with_layer(**changes):
    first, *rest = built().get_config()["layers"]
    return spoiled(layers=[{**first, **changes}, *rest])


def with_setting(**changes):
    return with_layer(config={**built().get_config()["layers"][0]["config"], **changes})


# With each configuration what the error must say.
SPOILED_CONFIGS = {
    "not a dict": ([], "config must be a dict|must have a list of layers"),
    "no layers": ({"name": "m"}, "must have the keys|must have a list of layers"),
    "layers not a list": (spoiled(layers={}), "layers in config must be a list|must have a list of layers"),
    "unknown key": (spoiled(code="x"), "must have the keys build_input_shape, layers, name, got .*code"),
    "bad name": (spoiled(name=3), "name must be a non-empty string, got 3"),
    "bad shape": (spoiled(build_input_shape=3), "input_shape must be a tuple of 4 sizes"),
    "other shape": (spoiled(build_input_shape=[None, 6, 5, 9]), "'a': input_shape must have 2 channels"),
    "layer not a dict": (spoiled(layers=["Conv2D"]), "must be a dict, got 'Conv2D'|each with a config"),
    "no layer config": (spoiled(layers=[{"class_name": "Conv2D"}]), "keys class_name, config|each with a config"),
    "layer config not a dict": (with_layer(config=[]), "config of a Conv2D must be a dict|each with a config"),
    "two of a name": (with_setting(name="b"), "second 'b'"),
    "unknown class": (with_layer(class_name="Dense"), "class_name must be one of Conv1D, .*, got 'Dense'"),
    "the base class": (with_layer(class_name="Layer"), "got 'Layer'"),
    "a model": (with_layer(class_name="Sequential"), "got 'Sequential'"),
    "a module": (with_layer(class_name="base"), "got 'base'"),
    "class not a name": (with_layer(class_name=["Conv2D"]), "class_name must be one of"),
    "unknown setting": (with_setting(code="x"), "Conv2D: unknown argument code"),
    "bad setting": (with_setting(filters=-1), "'a': filters must be"),
    "unknown activation": (with_setting(activation="os.system"), "'a': .*'os.system'"),
    "unknown initializer": (with_setting(kernel_initializer={"class_name": "eval", "config": {}}), "'a': .*'eval'"),
}


@pytest.mark.parametrize(("config", "said"), SPOILED_CONFIGS.values(), ids=SPOILED_CONFIGS)
def test_spoiled_configurations(config, said):
    with pytest.raises((ValueError, TypeError), match=said):
        Sequential.from_config(config)


# -- files -------------------------------------------------------------------------------------------------------------


def many_kinds():
    return Sequential(
        [
            ZeroPadding2D(1, input_shape=(5, 5, 2)),
            Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
            DepthwiseConv2D(2, depth_multiplier=2, use_bias=False),
            UpSampling2D(2, interpolation="bilinear"),
            SeparableConv2D(3, 2, dtype="float64", trainable=False),
            Conv2DTranspose(2, 2, strides=2, activation="softmax"),
        ],
        name="all",
    )


MODELS = {
    "called": small,
    "declared": built,
    "odd names": lambda: Sequential([Conv2D(1, 1, name=n) for n in ("../a/b", "\0", "config", "\ud800", "file")]),
    "no weights": lambda: Sequential([Cropping2D(1), Cropping2D(((1, 0), (0, 0)), data_format="channels_first")]),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_loaded_model_is_the_saved_one(tmp_path, make, kind):
    model, x = make(), batch()
    out = model(x)
    path = tmp_path / "model.of mine"
    model.save(kind(path))
    assert list(tmp_path.iterdir()) == [path]
    again = Sequential.load(kind(path))
    assert again.get_config() == model.get_config()
    assert again.input_shape == model.input_shape
    assert np.array_equal(again(x), out)


def test_all_kinds_of_layers_are_saved(tmp_path):
    model = many_kinds()
    model.save(tmp_path / "model")
    again = Sequential.load(tmp_path / "model")
    assert again.get_config() == model.get_config()
    assert all(map(np.array_equal, again.weights, model.weights))
    assert [w.dtype for w in again.weights] == [w.dtype for w in model.weights]
    assert len(again.trainable_weights) == len(model.trainable_weights)


def test_special_values_survive(tmp_path):
    model = Sequential([Conv2D(4, 1, input_shape=(1, 1, 1), use_bias=False)])
    model.set_weights([np.array([np.nan, np.inf, -0.0, 1e-45], np.float32).reshape(1, 1, 1, 4)])
    model.save(tmp_path / "model")
    assert Sequential.load(tmp_path / "model").weights[0].tobytes() == model.weights[0].tobytes()


def test_the_file_is_plain_npz(tmp_path):
    built().save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as archive:
        assert archive.files == ["config", "0/kernel", "0/bias", "2/kernel", "2/bias"]
        header = json.loads(archive["config"].item())
    assert (header["format_version"], header["library_version"]) == (1, __version__)


def test_a_model_that_is_not_built_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="save needs a built model"):
        small().save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model"
    built().save(path)
    before = path.read_bytes()

    def interrupted(file, **entries):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        built().save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_old_file_is_replaced_through_a_link(tmp_path):
    path, link = tmp_path / "model", tmp_path / "link"
    path.write_text("old")
    link.symlink_to(path)
    built().save(link)
    assert link.is_symlink()
    assert Sequential.load(path).count_params() == 35


def test_errors_of_the_file_system_are_passed_on(tmp_path):
    with pytest.raises(FileNotFoundError):
        Sequential.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        built().save(tmp_path / "none" / "model")
    with pytest.raises(OSError, match=os.sep):
        built().save(tmp_path)
    with pytest.raises(TypeError):
        built().save(3)


def entries_of(path):
    with np.load(path) as archive:
        return dict(archive)


def header_with(entries, **changes):
    return {**entries, "config": np.array(json.dumps({**json.loads(entries["config"].item()), **changes}))}


def without(entries, name):
    return {key: value for key, value in entries.items() if key != name}


# Each takes the entries of a good file; with them what the error must say.
SPOILED_ENTRIES = {
    "no config": (lambda e: without(e, "config"), "no entry 'config'"),
    "config of numbers": (lambda e: {**e, "config": np.zeros(3)}, "no entry 'config'"),
    "config of bytes": (lambda e: {**e, "config": np.array(b"{}")}, "no entry 'config'"),
    "bad JSON": (lambda e: {**e, "config": np.array("{'a': 1}")}, "not valid JSON"),
    "deep JSON": (lambda e: {**e, "config": np.array("[" * 100_000)}, "not valid JSON"),
    "JSON but no object": (lambda e: {**e, "config": np.array("[]")}, "JSON object"),
    "no version": (lambda e: header_with(e, format_version=None), "format_version"),
    "boolean version": (lambda e: header_with(e, format_version=True), "format_version"),
    "newer version": (
        lambda e: header_with(e, format_version=2, library_version="9.9"),
        f"at most 1 for numbaconv {__version__}, got 2, written by numbaconv 9.9",
    ),
    "missing array": (lambda e: without(e, "2/bias"), "Conv2D 'c': weights must"),
    "missing layer": (lambda e: {k: v for k, v in e.items() if k[0] != "2"}, "Conv2D 'c': weights must"),
    "extra array": (lambda e: {**e, "0/more": np.zeros(3)}, "Conv2D 'a'.*got 3"),
    "array for a layer without": (lambda e: {**e, "1/kernel": np.zeros(3)}, "Cropping2D 'b'.*got 1"),
    "array for no layer": (lambda e: {**e, "3/kernel": np.zeros(3)}, "its weights must be .*got .*3/kernel"),
    "array without a layer": (lambda e: {**e, "kernel": np.zeros(3)}, "its weights must be .*got .*'kernel'"),
    "other name": (lambda e: {**without(e, "2/bias"), "2/offset": e["2/bias"]}, "its weights must be .*got .*2/offset"),
    "wrong shape": (lambda e: {**e, "2/bias": np.zeros(3, np.float32)}, r"'c': bias must have shape \(2,\)"),
    "wrong dtype": (lambda e: {**e, "2/bias": np.zeros(2)}, "'2/bias' must have dtype float32, got float64"),
    "text": (lambda e: {**e, "2/bias": np.array(["a", "b"])}, "'c': bias must hold real numbers"),
}


@pytest.fixture
def path(tmp_path):
    built().save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(("spoil", "said"), SPOILED_ENTRIES.values(), ids=SPOILED_ENTRIES)
def test_spoiled_entries(path, spoil, said):
    entries = spoil(entries_of(path))
    with open(path, "wb") as file:
        np.savez(file, **entries)
    with pytest.raises(ValueError, match=rf"{path}' cannot be loaded as a model: .*{said}"):
        Sequential.load(path)


@pytest.mark.parametrize(("config", "said"), SPOILED_CONFIGS.values(), ids=SPOILED_CONFIGS)
def test_spoiled_configurations_in_files(path, config, said):
    entries = header_with(entries_of(path), model=config)
    with open(path, "wb") as file:
        np.savez(file, **entries)
    with pytest.raises(ValueError, match=rf"{path}' cannot be loaded as a model: .*({said})"):
        Sequential.load(path)


def test_a_configuration_of_a_model_that_is_not_built(path):
    entries = header_with(entries_of(path), model=small().get_config())
    with open(path, "wb") as file:
        np.savez(file, **entries)
    with pytest.raises(ValueError, match="of a built model"):
        Sequential.load(path)


def test_the_other_byte_order_is_read(path):
    model = Sequential.load(path)
    entries = entries_of(path)
    for name in without(entries, "config"):
        entries[name] = entries[name].astype(entries[name].dtype.newbyteorder())
    with open(path, "wb") as file:
        np.savez(file, **entries)
    assert all(map(np.array_equal, Sequential.load(path).weights, model.weights))


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"text", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)])
def test_files_of_other_kinds(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path}' cannot be loaded"):
        Sequential.load(path)


def test_a_plain_array_is_no_model(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="no zip archive"):
        Sequential.load(path)


def test_truncated_files(path):
    content = path.read_bytes()
    for size in range(0, len(content), 97):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=f"{path}' cannot be loaded"):
            Sequential.load(path)


def test_a_flipped_byte_is_noticed_or_harmless(path):
    model, content = Sequential.load(path), path.read_bytes()
    noticed = 0
    for position in range(0, len(content), 31):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        try:
            again = Sequential.load(path)
        except ValueError as error:
            noticed += str(path) in str(error)
        else:
            assert all(map(np.array_equal, again.weights, model.weights))
    assert noticed


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


def test_a_pickle_is_not_executed(path, tmp_path):
    marker = tmp_path / "executed"
    path.write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(ValueError, match=f"{path}' cannot be loaded"):
        Sequential.load(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["config", "0/kernel"])
def test_a_pickle_among_the_entries_is_not_executed(path, tmp_path, name):
    marker = tmp_path / "executed"
    entries = {**entries_of(path), name: np.array([Payload(marker)], dtype=object)}
    with open(path, "wb") as file:
        np.savez(file, **entries)
    with pytest.raises(ValueError, match=f"{path}' cannot be loaded.*pickle"):
        Sequential.load(path)
    assert not marker.exists()


def test_entries_that_are_no_arrays(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("0/code.py", "print()")
    with pytest.raises(ValueError, match=f"{path}' cannot be loaded"):
        Sequential.load(path)


def test_one_dimensional_models_too(tmp_path):
    model = Sequential([Conv1D(2, 3, padding="causal", input_shape=(8, 1)), Cropping1D(1)])
    model.save(tmp_path / "model")
    assert Sequential.load(tmp_path / "model").output_shape == (None, 6, 2)

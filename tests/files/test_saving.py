"""Configurations and files of models: what they hold, and what damaged or hostile ones may not do."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_models import SHAPE, batch, built, small

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
    "not a dict": ([], "config must be a dict|must be a JSON object"),
    "no layers": ({"name": "m"}, "must have the keys|must have a list of layers"),
    "layers not a list": (spoiled(layers={}), "layers in config must be a list|must have a list of layers"),
    "unknown key": (spoiled(code="x"), "must have the keys build_input_shape, layers, name, got .*code"),
    "bad name": (spoiled(name=3), "name must be a non-empty string, got 3"),
    "bad shape": (spoiled(build_input_shape=3), "input_shape must be a tuple of 4 sizes"),
    "other shape": (
        spoiled(build_input_shape=[None, 6, 5, 9]),
        "'a': input_shape must have 2 channels|'0/kernel' must have",
    ),
    "layer not a dict": (spoiled(layers=["Conv2D"]), "must be a dict, got 'Conv2D'|each with a config"),
    "no layer config": (spoiled(layers=[{"class_name": "Conv2D"}]), "keys class_name, config|each with a config"),
    "layer config not a dict": (with_layer(config=[]), "config of a Conv2D must be a dict|each with a config"),
    "two of a name": (with_setting(name="b"), "second 'b'"),
    "unknown class": (with_layer(class_name="LambdaX"), "class_name must be one of .*, got .LambdaX."),
    "the base class": (with_layer(class_name="Layer"), "got 'Layer'"),
    "a layer as a model": (
        with_layer(class_name="Sequential"),
        "keys build_input_shape, layers",
    ),
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
    assert (header["format_version"], header["library_version"]) == (2, __version__)


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
        lambda e: header_with(e, format_version=4, library_version="9.9"),
        f"at most 3 for numbaconv {__version__}, got 4, written by numbaconv 9.9",
    ),
    "missing array": (lambda e: without(e, "2/bias"), "its weights must be .*2/bias.*got .*2/kernel'\\]"),
    "missing layer": (lambda e: {k: v for k, v in e.items() if k[0] != "2"}, "its weights must be .*got .*0/bias'\\]"),
    "extra array": (lambda e: {**e, "0/more": np.zeros(3)}, "its weights must be .*got .*0/more"),
    "array for a layer without": (lambda e: {**e, "1/kernel": np.zeros(3)}, "its weights must be .*got .*1/kernel"),
    "array for no layer": (lambda e: {**e, "3/kernel": np.zeros(3)}, "its weights must be .*got .*3/kernel"),
    "array without a layer": (lambda e: {**e, "kernel": np.zeros(3)}, "its weights must be .*got .*'kernel'"),
    "other name": (lambda e: {**without(e, "2/bias"), "2/offset": e["2/bias"]}, "its weights must be .*got .*2/offset"),
    "wrong shape": (lambda e: {**e, "2/bias": np.zeros(3, np.float32)}, r"'2/bias' must have shape \(2,\), got \(3,\)"),
    "wrong dtype": (lambda e: {**e, "2/bias": np.zeros(2)}, "'2/bias' must have dtype float32, got float64"),
    "text": (lambda e: {**e, "2/bias": np.array(["a", "b"])}, "'2/bias' must have dtype float32, got <U1"),
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

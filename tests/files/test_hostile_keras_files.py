"""Files of Keras's that are damaged or made to do harm: an error that names the file, soon and without much memory."""

import gc
import json
import os
import pickle
import re
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from fuzzing import spoiled_json
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("h5py")

import h5py
from keras_files import arrays_of, functional, input_layer, layer, legacy, modern

from numbaconv.layers import Input, ReLU
from numbaconv.models import Sequential, load_model, model_from_json

pytestmark = pytest.mark.situation("damaged or hostile files")

RNG = np.random.default_rng(0)
PARTS = [
    input_layer("x", 6, 5, 2),
    layer("Conv2D", "c", "x", filters=3, kernel_size=[3, 3], activation="relu", padding="same"),
    layer("BatchNormalization", "b", "c", axis=[3]),
    layer("Add", "a", "c", "b"),
    layer("Flatten", "f", "a"),
    layer("Dense", "d", "f", units=2, activation="softmax"),
]
CONFIG = functional(PARTS, ["x"], ["d"], "Functional")
TRAINING = {"optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1}}, "loss": "mse", "metrics": ["mae"]}
NORMALIZATION = {name: RNG.random(3) for name in ("gamma", "beta", "moving_mean", "moving_variance")}
WEIGHTS = {
    "c": {"kernel": RNG.random((3, 3, 2, 3)), "bias": RNG.random(3)},
    "b": NORMALIZATION,
    "d": {"kernel": RNG.random((90, 2)), "bias": RNG.random(2)},
}
GROUPS = {"c": "conv2d", "b": "batch_normalization", "d": "dense"}
ARRAYS = {
    f"layers/{GROUPS[name]}/vars/{i}": array
    for name, arrays in WEIGHTS.items()
    for i, array in enumerate(arrays.values())
}


def write_legacy(path, config=CONFIG, weights=WEIGHTS):
    return legacy(path, config, weights, "2.3.0", training_config=TRAINING)


def write_stored(path, config=CONFIG, arrays=ARRAYS):
    return modern(path, {**config, "compile_config": TRAINING} if isinstance(config, dict) else config, arrays)


def write_deflated(path, config=CONFIG, arrays=ARRAYS):
    return modern(path, config, arrays, compression=zipfile.ZIP_DEFLATED)


WRITERS = {"h5": write_legacy, "stored": write_stored, "deflated": write_deflated}


@pytest.fixture(params=WRITERS)
def good(request, tmp_path):
    return WRITERS[request.param](tmp_path / "model")


@pytest.fixture(autouse=True)
def nothing_is_executed(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("executed")

    for module, names in ((pickle, ("load", "loads", "Unpickler")), (os, ("system", "popen"))):
        for name in names:
            monkeypatch.setattr(module, name, refuse)


def refused(path, said=""):
    tracemalloc.start()
    begin = time.monotonic()
    try:
        with pytest.raises(
            ValueError, match=rf"(?s)^{re.escape(repr(str(path)))} cannot be loaded as a model: .*{said}"
        ):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    # A hang would be hours.
    assert time.monotonic() - begin < 30


def harmless(path):
    """Loading gives a model that can be used, or an error that names the file."""
    try:
        model = load_model(path)
    except (ValueError, UserWarning) as error:
        assert str(path) in str(error) or isinstance(error, UserWarning)
        return False
    return model.built in (True, False)


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [6, pytest.param(25, marks=pytest.mark.slow)])
def test_cut_short(good, parts):
    content = good.read_bytes()
    for size in [0, 1, 7, 8, 100, *range(200, len(content) - 1, len(content) // parts)]:
        good.write_bytes(content[:size])
        refused(good)


@pytest.mark.parametrize("times", [12, pytest.param(1000, marks=pytest.mark.slow)])
def test_flipped_bytes(good, times):
    content, rng = good.read_bytes(), np.random.default_rng(times)
    noticed = 0
    for i in range(times):
        spoiled = bytearray(content)
        for place in rng.integers(len(content), size=(1, 8, 50)[i % 3]):
            spoiled[place] ^= int(rng.integers(1, 256))
        good.write_bytes(spoiled)
        noticed += not harmless(good)
    assert noticed > times // 4


def test_noise(tmp_path):
    path = tmp_path / "model"
    for size in (0, 1, 30, 1000, 100_000):
        for start in (b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0", b"{"):
            path.write_bytes(start + RNG.bytes(size))
            refused(path)


# -- architectures -----------------------------------------------------------------------------------------------------


def changed(place, value):
    """The configuration with another value in one place."""
    config = json.loads(json.dumps(CONFIG))
    part = config["config"]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return config


HOSTILE = {
    "circle": (("layers", 1, "inbound_nodes"), [[["d", 0, 0, {}]]], "wait for each other"),
    "itself": (("layers", 2, "inbound_nodes"), [[["b", 0, 0, {}]]], "wait for each other"),
    "nobody": (("layers", 2, "inbound_nodes"), [[["nobody", 0, 0, {}]]], "must name layers of the model"),
    "call that is not there": (("layers", 2, "inbound_nodes"), [[["c", 1, 0, {}]]], "wait for"),
    "tensor that is not there": (("layers", 2, "inbound_nodes"), [[["c", 0, 7, {}]]], "wait for"),
    "output of nobody": (("output_layers",), [["nobody", 0, 0]], "must name layers"),
    "no output": (("output_layers",), [], "must name layers"),
    "names twice": (("layers", 2, "name"), "c", "names of their own"),
    "billions of filters": (("layers", 1, "config", "filters"), 10**9, ""),
    "filters beyond all sizes": (("layers", 1, "config", "filters"), 10**30, ""),
    "a huge kernel": (("layers", 1, "config", "kernel_size"), [10**9, 10**9], ""),
    "a huge input": (("layers", 0, "config", "batch_input_shape"), [None, 10**9, 10**9, 2], ""),
    "an input of text": (("layers", 0, "config", "batch_input_shape"), "abc", "list of sizes"),
    "negative": (("layers", 5, "config", "units"), -2, r"layer 'd' \(Dense\)"),
    "a path for a class": (("layers", 1, "class_name"), "os.system", r"os\.system is (not done here|no layer)"),
    "a config that is none": (("layers", 1, "config"), "rm", "config must be a dict"),
    "layers that are none": (("layers",), {"a": 1}, "must be a list"),
    "a layer that is none": (("layers", 3), 7, "must have a class_name"),
    "weights in the config": (("layers", 5, "config", "weights"), [[1]], None),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("write", [write_deflated, pytest.param(write_legacy, marks=pytest.mark.slow)])
def test_architectures(tmp_path, case, write):
    place, value, said = HOSTILE[case]
    path = write(tmp_path / "model", changed(place, value))
    if said is None:
        assert load_model(path).output_shape == (None, 2)
    else:
        refused(path, said)


def test_an_absurd_architecture_draws_nothing():
    for units in (10**9, 10**12):
        with pytest.raises(ValueError, match=r"must have at most|too big|too large|maximum"):
            model_from_json(json.dumps(changed(("layers", 5, "config", "units"), units)))


def test_models_nested_too_deeply(tmp_path):
    text = '{"class_name": "Sequential", "config": {"layers": [' * 3000 + "]}}" * 3000
    refused(modern(tmp_path / "model", text, ARRAYS))
    config = {"class_name": "Dense", "config": {"units": 1}}
    for _ in range(150):
        config = {"class_name": "Sequential", "config": {"layers": [config]}}
    harmless(modern(tmp_path / "model", config, ARRAYS))
    nested = json.dumps(config)
    # The first is too deep for what makes models, up to Python 3.11, and the others for all, or for the parser.
    for levels in (150, 1000, 3000) if sys.version_info < (3, 12) else (1000, 3000):
        text = '{"class_name": "Sequential", "config": {"layers": [' * levels + nested + "]}}" * levels
        with pytest.raises(ValueError, match=r"json_string (describes no model|is not valid JSON)"):
            model_from_json(text)


def test_groups_that_are_reached_by_very_many_ways(tmp_path, monkeypatch):
    monkeypatch.setattr("numbaconv.models.keras.weights._MOST_ARRAYS", 1000)

    def fill(tree):
        for i in range(50):
            tree.create_group(f"groups/{i}")
        for i in range(49):
            tree[f"groups/{i}/a"] = tree[f"groups/{i}/b"] = tree[f"groups/{i + 1}"]
        tree["layers"] = tree["groups/0"]

    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as tree:
        fill(tree)
    model = Sequential([Input((2,)), ReLU()])
    with pytest.raises(ValueError, match="groups and arrays"):
        model.load_weights(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzzed")


def spoiled(folder, data):
    config = data.draw(spoiled_json({**CONFIG, "compile_config": TRAINING}))
    harmless(modern(folder / "model", config if isinstance(config, str) else json.dumps(config), ARRAYS))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=10)
@given(st.data())
def test_arbitrary_configurations(folder, data):
    spoiled(folder, data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@settings(max_examples=max(300, settings.default.max_examples // 20))
@given(st.data())
def test_many_arbitrary_configurations(folder, data):
    spoiled(folder, data)


# -- archives ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../evil", "..\\evil", "C:evil"])
def test_names_that_lead_out_of_the_folder(tmp_path, name):
    refused(modern(tmp_path / "model", CONFIG, ARRAYS, **{name: b"evil"}), "must not lead out")


def test_weights_that_inflate(tmp_path):
    arrays = {**ARRAYS, "optimizer/vars/0": np.zeros(6_000_000)}
    refused(modern(tmp_path / "model", CONFIG, arrays, compression=zipfile.ZIP_DEFLATED), "must have at most")


def test_a_text_that_inflates(tmp_path):
    text = json.dumps({**CONFIG, "more": " " * 20_000_000})
    refused(modern(tmp_path / "model", text, ARRAYS, compression=zipfile.ZIP_DEFLATED), "must have at most")


def test_archives_of_something_else(tmp_path):
    path = tmp_path / "model"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<xml/>")
    refused(path, "must have an entry 'config.json'")
    with zipfile.ZipFile(path, "w") as archive:
        # As Keras splits the weights of large models.
        for name in ("model.weights.json", "model_00000.weights.h5"):
            archive.writestr(name, "{}")
        archive.writestr("config.json", json.dumps(CONFIG))
    refused(path, "must have an entry 'model.weights.h5'; weights in several files are not read")
    refused(modern(path, CONFIG, {}), "must have the weights of its layers")
    refused(modern(path, CONFIG, b"no HDF5"), "no HDF5 file")
    refused(modern(path, "[]", ARRAYS), "class_name")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_entries_of_one_name(tmp_path):
    path = write_stored(tmp_path / "model")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")
    refused(path, "same name")


# -- what is no file ---------------------------------------------------------------------------------------------------


def test_checkpoints_of_tensorflow(tmp_path):
    for suffix in ("index", "data-00000-of-00001"):
        (tmp_path / f"best.ckpt.{suffix}").touch()
    refused(tmp_path / "best.ckpt", "checkpoint of TensorFlow's")


def test_folders_pipes_and_devices(tmp_path):
    refused(tmp_path, "folder, such as TensorFlow's SavedModel")
    refused("/dev/zero", "no regular file")
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nothing")


@pytest.mark.slow
def test_a_hundred_files_leave_nothing_behind(tmp_path):
    paths = [write_legacy(tmp_path / "a"), write_stored(tmp_path / "b"), write_deflated(tmp_path / "c")]
    (tmp_path / "d").write_bytes(arrays_of({"layers/conv2d/vars/0": [1.0]}))
    load = [*paths, tmp_path / "d"]
    for path in load:
        harmless(path)
    handles = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    tracemalloc.start()
    try:
        for i in range(100):
            harmless(load[i % 4])
            if i == 20:
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
        # The nodes of a network and its tensors know each other.
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()
    if handles is not None:
        assert len(os.listdir("/proc/self/fd")) == handles

"""Networks that an earlier process has read and planned: the same to the last bit, and never those of other files."""

import os
import zipfile

import graphs
import numpy as np
import pytest
from situations import run
from test_fused_networks import drawn

from numbaconv import config, layers, utils
from numbaconv.files import keras_file
from numbaconv.layers import Add, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Dropout, Flatten, Input, ReLU
from numbaconv.machine import start
from numbaconv.machine.sources import Sources, all_sources
from numbaconv.models import Model, Sequential, kept, load_model

pytest.importorskip("h5py")
pytestmark = pytest.mark.skipif(start.host() is None, reason="networks are kept where machine code is")


class Own(Sources):
    """The sources, with a folder of a test's own."""

    def places(self):
        return iter([self.folder])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    sources = Own("numbaconv")
    sources.folder = tmp_path / "kept"
    # It takes half a second to work out.
    sources.fingerprint = all_sources().fingerprint
    monkeypatch.setattr(kept, "_SOURCES", sources)
    monkeypatch.setattr(kept, "SETTLED", -1)
    return sources.folder


def network(scale=1.0):
    x = Input((12, 10, 3))
    y = ReLU(6.0, name="bounded")(BatchNormalization(name="norm")(Conv2D(8, 3, padding="same", name="conv")(x)))
    y = Add(name="sum")([y, ReLU(name="relu")(DepthwiseConv2D(3, padding="same", name="depthwise")(y))])
    model = Model(x, Dense(4, name="dense")(Flatten(name="flat")(Dropout(0.5, name="dropped")(y))), name="all")
    rng = np.random.default_rng(0)
    model.set_weights([scale * rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


X = np.random.default_rng(1).random((2, 12, 10, 3), "float32")


def saved(tmp_path, model=None, name="model.keras"):
    (network() if model is None else model).save(tmp_path / name)
    return tmp_path / name


def plainly(path, **arguments):
    """The model, read as if none were kept."""
    with pytest.MonkeyPatch.context() as context:
        context.setenv("NUMBACONV_CACHE", "0")
        return load_model(path, **arguments)


def at_once(path, **arguments):
    """The model, which must be kept."""
    with pytest.MonkeyPatch.context() as context:
        context.setattr(keras_file, "opened", None)
        return load_model(path, **arguments)


def test_a_kept_network_is_the_same(tmp_path, monkeypatch):
    path = saved(tmp_path)
    wanted = plainly(path)
    first = load_model(path)
    for model in (first, at_once(path)):
        for x in (X, X[:1]):
            # The third call repeats what the second one has written down.
            for _ in range(3):
                np.testing.assert_array_equal(model(x), wanted(x))
    again = at_once(path)
    monkeypatch.setattr("numbaconv.models.fused.reading.Read", None)
    np.testing.assert_array_equal(again(X), wanted(X))
    np.testing.assert_array_equal(again(X[:1]), wanted(X[:1]))
    assert again.to_json() == wanted.to_json()
    for array in again.weights:
        while isinstance(array, np.ndarray):
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
            array = array.base
        assert memoryview(array).readonly


def test_it_trains_as_the_plain_one_does(tmp_path):
    path = saved(tmp_path)
    load_model(path)(X)
    results = []
    for read in (plainly, at_once, at_once):
        utils.set_random_seed(3)
        model = read(path)
        model.compile("sgd", "mse")
        model.fit(X, np.ones((2, 4)), epochs=2, verbose=0)
        results.append(model(X))
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_layers_draw_other_numbers_each_time(tmp_path):
    path = saved(tmp_path)
    several = [load_model(path), at_once(path), at_once(path)]
    ones = np.ones((1, 1000), "float32")
    masks = {model.get_layer("dropped")(ones, training=True).tobytes() for model in several}
    assert len(masks) == 3


@pytest.mark.parametrize("seed", range(8))
def test_random_networks(seed, tmp_path):
    graph, model, x, other = drawn(seed)
    path = saved(tmp_path, model)
    wanted = [graphs.flat(plainly(path)(one), graph["output_form"]) for one in (x, other)]
    for _ in range(3):
        again = load_model(path)
        for one, want in zip((x, other) * 2, wanted * 2, strict=True):
            for ours, plain in zip(graphs.flat(again(one), graph["output_form"]), want, strict=True):
                np.testing.assert_array_equal(ours, plain)


def test_other_weights_are_another_network(tmp_path):
    path = saved(tmp_path)
    load_model(path)(X)
    before = at_once(path)(X)
    os.replace(saved(tmp_path, network(0.5), "other.keras"), path)
    after = load_model(path)(X)
    assert not np.array_equal(after, before)
    np.testing.assert_array_equal(after, plainly(path)(X))


def test_a_damaged_file_is_refused_though_its_network_is_kept(tmp_path):
    path = saved(tmp_path)
    load_model(path)(X)
    content = bytearray(path.read_bytes())
    weight = at_once(path).get_layer("conv").kernel.tobytes()
    content[content.index(weight) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_model(path)


def test_a_file_that_was_just_written_is_not_kept(tmp_path, monkeypatch, folder):
    """Who writes within the same tick of the clock could not be told from who wrote before."""
    monkeypatch.setattr(kept, "SETTLED", 2.0)
    load_model(saved(tmp_path))(X)
    assert not list(folder.glob("network.*"))


@pytest.mark.parametrize("change", ["code", "floatx", "host"])
def test_nothing_is_kept_for_others(tmp_path, monkeypatch, change):
    path = saved(tmp_path)
    load_model(path)(X)
    at_once(path)
    if change == "code":
        kept._SOURCES.__dict__["fingerprint"] = "0" * 64
    elif change == "floatx":
        monkeypatch.setattr(config, "_floatx", "float64")
    else:
        monkeypatch.setattr(kept, "HOST", kept.HOST._replace(serial_work=1))
    with pytest.raises(TypeError):
        at_once(path)


def test_changed_sources_keep_nothing(tmp_path, monkeypatch, folder):
    monkeypatch.setattr(Own, "unchanged", lambda self: False)
    load_model(saved(tmp_path))(X)
    assert not list(folder.glob("network.*"))


@pytest.mark.parametrize("damage", ["half", "one bit", "gone"])
@pytest.mark.situation("damaged cache files")
def test_damaged_networks_are_read_anew(tmp_path, folder, damage):
    path = saved(tmp_path)
    wanted = load_model(path)(X)
    (file,) = folder.glob("network.*")
    content, middle = file.read_bytes(), file.stat().st_size // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    file.write_bytes(content[:middle] if damage == "half" else changed)
    if damage == "gone":
        file.unlink()
    with pytest.raises(TypeError):
        at_once(path)
    np.testing.assert_array_equal(load_model(path)(X), wanted)
    np.testing.assert_array_equal(at_once(path)(X), wanted)


def test_changed_settings_are_heeded(tmp_path):
    path = saved(tmp_path)
    load_model(path)(X)
    wanted, model = plainly(path), at_once(path)
    for one in (wanted, model):
        one.get_layer("conv").strides = 1
        one.get_layer("bounded").max_value = 0.5
    np.testing.assert_array_equal(model(X), wanted(X))
    # What was planned for other settings is not kept.
    np.testing.assert_array_equal(at_once(path)(X), plainly(path)(X))


def test_a_name_that_the_user_gives_is_not_kept(tmp_path):
    path = saved(tmp_path)
    model = load_model(path)
    model.name, model.fuse = "mine", True
    model.get_layer("conv").trainable = False
    model(X)
    again = at_once(path)
    assert again.name == "all" and again.get_layer("conv").trainable


def test_what_a_network_is_compiled_with_is_read_anew(tmp_path):
    model = network()
    model.compile("adam", "mse")
    path = saved(tmp_path, model)
    load_model(path, compile=False)
    assert at_once(path, compile=False).optimizer is None
    assert load_model(path).optimizer is not None


def test_networks_with_objects_of_the_users_are_read_anew(tmp_path):
    class Mine(layers.ReLU):
        def call(self, x):
            return x + 1

    path = saved(tmp_path)
    load_model(path)
    assert type(load_model(path, {"ReLU": Mine}).get_layer("relu")) is Mine
    assert type(at_once(path).get_layer("relu")) is ReLU


def test_what_is_compressed_is_read_anew(tmp_path, folder):
    path = saved(tmp_path)
    packed = tmp_path / "packed.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    np.testing.assert_array_equal(load_model(packed)(X), plainly(path)(X))
    assert not list(folder.glob("network.*"))


def test_networks_with_shared_layers_are_read_anew(tmp_path, folder):
    x, again = Input((4,)), Dense(4, name="twice")
    path = saved(tmp_path, Model(x, Add(name="sum")([again(x), again(again(x))]), name="all"))
    assert load_model(path).to_json() == load_model(path).to_json()
    assert not list(folder.glob("network.*"))


def test_few_networks_are_kept(tmp_path, monkeypatch, folder):
    monkeypatch.setattr(kept, "_MOST", 2)
    for i in range(4):
        load_model(saved(tmp_path, Sequential([Dense(1, input_shape=(i + 1,), name="d")], name="s")))
    assert len(list(folder.glob("network.*"))) == 2


def test_the_second_process_neither_reads_nor_plans(tmp_path):
    path = saved(tmp_path)
    code = f"""
import pathlib, sys
import numpy as np
from numbaconv.models import kept, load_model
kept.SETTLED = -1
kept._SOURCES.places = lambda: iter([pathlib.Path({str(tmp_path / "apart")!r})])
x = np.linspace(0, 1, 720, dtype="float32").reshape(2, 12, 10, 3)
print(load_model({str(path)!r})(x).tobytes().hex())
"""
    # Machine code is where all tests have theirs.
    first, _ = run(code)
    needless = {"numba", "numpy.random", "zipfile", "numbaconv.models.keras", "numbaconv.files"}
    again, _ = run(f"{code}assert not {needless} & set(sys.modules)")
    assert again == first
    assert list((tmp_path / "apart").glob("network.*"))

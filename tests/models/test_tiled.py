"""Tiles together are the whole: of random networks, at every edge, and whatever happens in between."""

import os
import random
import signal
import tracemalloc

import graphs
import numba
import numpy as np
import pytest

import numbaconv
from numbaconv import config
from numbaconv.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Cropping2D,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Layer,
    MaxPooling2D,
    MaxPooling3D,
    Multiply,
    SeparableConv2D,
    Softmax,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding2D,
)
from numbaconv.machine.recycling import give_back
from numbaconv.models import Model, Sequential
from numbaconv.models.tiling import Tiles, _Images


def inside(model):
    """The layers of a network, those of the networks within among them."""
    return [leaf for layer in model.layers for leaf in (inside(layer) if hasattr(layer, "layers") else [layer])]


def random_network(seed):
    """A random network, and inputs for it, with every sum in one order."""
    graph = graphs.graph_of(seed)
    model = graphs.build(graph, numbaconv)
    for layer in inside(model):
        if hasattr(layer, "algorithm"):
            layer.algorithm = "direct"
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.5, 1, w.shape) for w in model.get_weights()])
    arrays = [rng.standard_normal((2, *one["actual"])).astype(graph["dtype"]) for one in graph["inputs"]]
    return model, model._given(graphs.formed(arrays, graph["input_form"], graph["name"]))


def compare(seed):
    """Whether the network of a seed has an output that can be cut; if so, its tiles were the whole."""
    model, arrays = random_network(seed)
    x = arrays if len(arrays) > 1 else arrays[0]
    draw = random.Random(seed)
    for tensor in model._tensors[: len(arrays) - 1 : -1]:
        if len(tensor.shape) < 3:
            continue
        part = Model(model.inputs, tensor)
        whole = part(x)
        longest = max(whole.shape[1:])
        try:
            found = part.predict_tiled(x, draw.choice([1, 2, 3, longest // 2 + 1, longest + 3]))
        except ValueError as error:
            assert "cannot be computed in parts" in str(error), error
            continue
        # Of float64, averages are added up in another order where a window is as large as the image.
        averages = any("AveragePooling" in type(layer).__name__ for layer in inside(part))
        slack = 1e-13 if averages and whole.dtype == "float64" else 0
        np.testing.assert_allclose(found, whole, slack, slack, err_msg=f"seed {seed}")
        return True
    return False


@pytest.fixture(params=[True, False], ids=["joined", "one by one"])
def layers_joined(request):
    """Layers run one by one too, as those do that make masks."""
    config.set_fuse(request.param)
    yield
    config.set_fuse(True)


@pytest.mark.usefixtures("layers_joined")
def test_random_networks():
    assert sum(compare(seed) for seed in range(3)) > 1


@pytest.mark.slow
@pytest.mark.usefixtures("layers_joined")
def test_many_random_networks(pytestconfig):
    nightly = pytestconfig.getoption("--hypothesis-profile") == "nightly"
    count = int(os.environ.get("NUMBACONV_TILED_EXAMPLES", "660" if nightly else "330"))
    # Seeds whose tiles once were not the whole: products of whole axes, and a part that nothing is taken of.
    assert sum(compare(seed) for seed in (683, 742, 748, *range(3, count))) >= 0.8 * count


def unet(channels=3, first=4, data_format="channels_last"):
    """Three levels; convolutions of several kinds."""
    settings = {"padding": "same", "data_format": data_format}
    axis = -1 if data_format == "channels_last" else 1
    x = Input((None, None, channels) if axis == -1 else (channels, None, None))

    def block(y, filters):
        y = Conv2D(filters, 3, activation="relu", algorithm="direct", **settings)(y)
        y = BatchNormalization(axis=axis)(y)
        return Activation("gelu")(DepthwiseConv2D(3, **settings)(y))

    one = block(x, first)
    two = block(MaxPooling2D(2, data_format=data_format)(one), 2 * first)
    low = block(AveragePooling2D(3, 2, **settings)(two), 3 * first)
    up = UpSampling2D(2, data_format=data_format)(low)
    two = SeparableConv2D(first, 3, **settings)(Concatenate(axis)([two, up]))
    up = Conv2DTranspose(first, 3, strides=2, algorithm="direct", **settings)(two)
    return Model(x, Conv2D(2, 1, data_format=data_format)(Add()([one, up])))


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("tile", [(1, 6), 7, (3, 100), (None, 5), 64])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_network_of_three_levels(tile, data_format):
    model = unet(data_format=data_format)
    x = images(1, 12, 20, 3) if data_format == "channels_last" else images(1, 3, 12, 20)
    np.testing.assert_array_equal(model.predict_tiled(x, tile), model(x))


def test_winograds_patches_may_begin_elsewhere():
    model = Sequential([Conv2D(32, 3, padding="same", activation="relu"), Conv2D(32, 3, padding="same")])
    x = images(1, 50, 70, 32)
    whole = model(x)
    found = model.predict_tiled(x, 24)
    assert np.abs(found - whole).max() <= 1e-5 * np.abs(whole).max()


@pytest.mark.parametrize("tile", [1, 2, 5, 9])
@pytest.mark.parametrize(
    "layers",
    [
        [ZeroPadding2D(((5, 0), (1, 7))), Conv2D(2, 3)],
        [Cropping2D(((1, 2), (0, 3))), UpSampling2D((2, 3)), Conv2D(2, 2, strides=2, padding="same")],
        [Conv2DTranspose(2, 2, strides=(5, 3), padding="same", algorithm="direct"), ZeroPadding2D(4)],
        [Conv2DTranspose(2, 3, strides=3, output_padding=2, algorithm="direct"), MaxPooling2D(4, 3, padding="same")],
        [Conv2D(3, 5, strides=3, padding="same", activation="softmax"), UpSampling2D(3)],
        [Conv2D(3, (2, 4), dilation_rate=(5, 3), padding="same"), Softmax(axis=3)],
    ],
)
def test_small_stacks(layers, tile):
    model = Sequential(layers)
    x = images(1, 11, 8, 2)
    np.testing.assert_array_equal(model.predict_tiled(x, tile), model(x))


@pytest.mark.parametrize("interpolation", ["bilinear", "lanczos3"])
def test_interpolation(interpolation):
    model = Sequential([Conv2D(3, 3, padding="same"), UpSampling2D((2, 3), interpolation=interpolation), Conv2D(1, 2)])
    x = images(1, 14, 9, 2)
    whole = model(x)
    for tile in (2, 5, (None, 7)):
        np.testing.assert_array_equal(model.predict_tiled(x, tile), whole)


def test_other_ranks():
    causal = Sequential([Conv1D(3, 3, padding="causal", dilation_rate=4), Conv1D(1, 2, strides=2, padding="same")])
    x = images(3, 41, 2)
    assert causal.predict_tiled(x[0], 6).shape == (21, 1)
    np.testing.assert_array_equal(causal.predict_tiled(x, 6), causal(x))
    np.testing.assert_array_equal(causal.predict_tiled(x[0], 6), causal(x)[0])
    volume = Sequential([Conv3D(2, 3, padding="same"), MaxPooling3D(2, padding="same"), UpSampling3D(2)])
    x = images(1, 5, 6, 7, 1)
    np.testing.assert_array_equal(volume.predict_tiled(x, (2, None, 3)), volume(x))


def test_beside_each_other_and_repeated():
    x, row = Input((9, 8, 2)), Input((1, 8, 2), name="row")
    tall = Concatenate(1)([x, ZeroPadding2D(1)(Cropping2D(1)(x))])
    model = Model([x, row], Conv2D(1, 3, padding="same")(Multiply()([tall, row])))
    arrays = [images(2, 9, 8, 2), images(2, 1, 8, 2, seed=1)]
    for tile in (1, 4, 13):
        np.testing.assert_array_equal(model.predict_tiled(arrays, tile), model(arrays))


def test_a_model_made_for_small_images_takes_others():
    block = Sequential([Conv2D(3, 3, padding="same"), Activation("relu")])
    x = Input((8, 8, 3))
    small = Model(x, Add()([x, block(block(x))]))
    large = Input((None, None, 3))
    whole = Model(large, Add()([large, block(block(large))]))
    array = images(1, 20, 33, 3)
    np.testing.assert_array_equal(small.predict_tiled(array, 9), whole(array))


def test_what_can_be_sliced(tmp_path):
    model, x = unet(), images(1, 24, 32, 3)
    whole = model(x)
    stored = np.memmap(tmp_path / "x", "float32", "w+", shape=x.shape)
    stored[:] = x
    out = np.memmap(tmp_path / "out", "float64", "w+", shape=whole.shape)
    assert model.predict_tiled(stored, 8, out) is out
    np.testing.assert_array_equal(out, whole)
    np.testing.assert_array_equal(model.predict_tiled(x.tolist(), 8), whole)
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "file", "w") as file:
        file["x"] = (x[0] * 20).astype("int8")
        result = file.create_dataset("out", whole.shape[1:], "float32")
        model.predict_tiled(file["x"], 8, result)
        np.testing.assert_array_equal(result[:], model(file["x"][:][None].astype("float32"))[0])


class Watched:
    """An array that tells how much of it was read and written, and may fail."""

    def __init__(self, array, fails_at=None, error=None):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.read, self.written, self.fails_at, self.error = [], 0, fails_at, error

    def __getitem__(self, index):
        self.read.append(self.array[index].shape)
        return self.array[index]

    def __setitem__(self, index, value):
        if self.written == self.fails_at:
            raise self.error
        self.written += 1
        self.array[index] = value


def test_tiles_are_as_large_as_memory_allows():
    model, x = unet(), Watched(images(2, 32, 100, 3))
    whole = model(x.array)
    np.testing.assert_array_equal(model.predict_tiled(x, memory=120_000), whole)
    assert 2 * 4 < len(x.read) < 60
    assert max(shape[1] * shape[2] for shape in x.read) < 32 * 100
    x.read.clear()
    model.predict_tiled(x)
    assert x.read == [x.shape]
    with pytest.raises(ValueError, match=r"memory must be at least \d+ bytes, for a single output, got 100"):
        model.predict_tiled(x, memory=100)


@pytest.mark.parametrize("joined", [True, pytest.param(False, marks=pytest.mark.double)])
def test_no_more_memory_is_taken_than_may_be(joined, all_memory_is_traced):
    # Images as bytes are read beside what becomes of them; layers of two dtypes run one by one.
    model, x, memory = unet(first=8), np.ones((1, 640, 640, 3), "uint8"), 17_600_000
    if not joined:
        model, x, memory = volume(), images(1, 96, 96, 96, 2), 18_600_000
    x, out = Watched(x), Watched(np.empty(model.compute_output_shape(x.shape), "float32"))
    # What is kept of kernels is no part of it.
    model.predict_tiled(x, out=out, memory=memory)
    # Tiles that nearly fill it: it is their memory that is seen, not what rounding leaves.
    assert len(x.read) == (4 if joined else 8)
    give_back()
    tracemalloc.start()
    try:
        model.predict_tiled(x, out=out, memory=memory)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # What kernels need besides follows the processor's caches.
    assert 0.7 * memory < peak < memory + 2_000_000 * numba.get_num_threads()


def volume():
    return Sequential([Conv3D(8, 3, padding="same"), MaxPooling3D(3, 1), Conv3D(4, 3, dtype="float64")])


def test_tiles_of_one_form_share_what_is_prepared():
    tiled = _Images(unet(), images(1, 96, 96, 3))
    for rows, ends in Tiles(tiled.out_shape, (1, 2), (16, 16), 1).after(0):
        tiled.compute(rows, ends)
    # Corners, edges and the middle; tiles next to an edge that reach to it.
    assert len(tiled.parts._made) <= 25


def test_what_stops_it_leaves_whole_tiles(capfd):
    model, x = unet(), images(1, 24, 32, 3)
    whole = model(x)
    out = Watched(np.full(whole.shape, np.nan, "float32"), 5, OSError(28, "No space left on device"))
    told = "No space left on device; 5 of 12 tiles are done, of 8 x 8 outputs each: the same call with resume=5"
    with pytest.raises(OSError, match=told) as caught:
        model.predict_tiled(x, 8, out)
    assert caught.value.errno == 28
    np.testing.assert_array_equal(out.array[:, :8], whole[:, :8])
    assert np.isnan(out.array[:, 16:]).all()
    again = Watched(out.array)
    model.predict_tiled(x, 8, again, resume=5, verbose=1)
    np.testing.assert_array_equal(out.array, whole)
    assert again.written == 7
    assert "12/12" in capfd.readouterr().err


def test_what_hdf5_refuses(tmp_path):
    h5py = pytest.importorskip("h5py")
    model, x = Sequential([Conv2D(1, 1)]), images(8, 8, 2)
    with h5py.File(tmp_path / "file", "w") as file:
        file.create_dataset("out", (8, 8, 1), "float32")
    with h5py.File(tmp_path / "file") as file, pytest.raises(ValueError, match="out must be writable"):
        model.predict_tiled(x, 4, file["out"])
    # Libraries raise errors without a number too.
    failing = Watched(np.zeros((8, 8, 1), "float32"), 1, OSError("no room"))
    with pytest.raises(OSError, match=r"^no room; 1 of 4 tiles are done"):
        model.predict_tiled(x, 4, failing)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to take room on a disk")
def test_room_for_a_memory_map_is_taken_before(tmp_path, monkeypatch):
    model, x = Sequential([Conv2D(1, 1)]), images(64, 64, 2)
    out = np.memmap(tmp_path / "out", "float32", "w+", shape=(64, 64, 1))
    assert os.stat(tmp_path / "out").st_blocks * 512 < out.nbytes
    model.predict_tiled(x, 4, Watched(np.zeros((64, 64, 1))))
    model.predict_tiled(x, 64, out)
    assert os.stat(tmp_path / "out").st_blocks * 512 >= out.nbytes

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device: out takes 16,384 bytes, and none .* done"):
        model.predict_tiled(x, 64, out)


def test_ctrl_c_finishes_the_tile():
    class Interrupting(Watched):
        def __setitem__(self, index, value):
            if self.written == 4:
                signal.raise_signal(signal.SIGINT)
            super().__setitem__(index, value)

    model, x = unet(), images(1, 24, 32, 3)
    out = Interrupting(np.full((1, 24, 32, 2), np.nan, "float32"))
    with pytest.raises(KeyboardInterrupt, match="5 of 12 tiles are done, of 8 x 8 outputs each") as caught:
        model.predict_tiled(x, 8, out)
    stopped = caught.value
    assert stopped.out is out
    assert not np.isnan(out.array[:, 8:16, :8]).any()
    model.predict_tiled(x, stopped.tile, out.array, resume=stopped.done)
    np.testing.assert_array_equal(out.array, model(x))


class Own(Layer):
    def call(self, x):
        return x - x.mean()

    def compute_output_shape(self, input_shape):
        return input_shape


def test_what_has_no_regions():
    x = Input((12, 12, 3))
    y = Conv2D(4, 3, padding="same")(x)
    squeezed = Multiply()([y, GlobalAveragePooling2D(keepdims=True, name="squeeze")(y)])
    array = images(1, 12, 12, 3)
    for model, told in [
        (Model(x, squeezed), "GlobalAveragePooling2D 'squeeze' cannot be computed in parts: it may read the whole"),
        (Model(x, Softmax(axis=2, name="rows")(y)), "Softmax 'rows' cannot be computed in parts along axis 2"),
        (Model(x, Flatten(name="flat")(y)), "Flatten 'flat' cannot be computed in parts: it keeps no positions"),
        (Model(x, UpSampling2D(2, interpolation="bicubic", name="cubic")(y)), "UpSampling2D 'cubic' cannot be"),
        (Model(x, Own(name="own")(y)), "Own 'own' cannot be computed in parts along axis 1"),
    ]:
        with pytest.raises(ValueError, match=told):
            model.predict_tiled(array, 4)
    # Along an axis that is not cut nothing is refused.
    rows = Model(x, Softmax(axis=2)(y))
    np.testing.assert_array_equal(rows.predict_tiled(array, (5, None)), rows(array))
    np.testing.assert_array_equal(Model(x, squeezed).predict_tiled(array), Model(x, squeezed)(array))


def test_what_is_refused():
    model, x = unet(), images(1, 16, 16, 3)
    locked, right = np.zeros((1, 16, 16, 2), "float32"), np.zeros((1, 16, 16, 2))
    locked.flags.writeable = False
    two = Model(model.input, [model.output, model.layers[1].output])
    for asked, settings, told in [
        (model, {"tile": 0}, "tile must be a positive integer, or 2 of them or None, got 0"),
        (model, {"tile": (4, 4, 4)}, "tile must be a positive integer"),
        (model, {"out": np.zeros((1, 16, 15, 2))}, r"out must have shape \(1, 16, 16, 2\)"),
        (model, {"out": [0]}, "out must have shape .* got list of shape None"),
        (model, {"out": np.zeros((1, 16, 16, 2), "uint8")}, "out must hold float32 or other floats"),
        (model, {"out": locked}, "out must be writable"),
        (model, {"memory": 0}, "memory must be a positive integer"),
        (model, {"resume": 2}, "resume needs the out"),
        (model, {"out": right, "resume": 5}, "resume must be .* 0 to 4, got 5"),
        (model, {"verbose": 3}, "verbose must be"),
        (two, {}, "one output is computed"),
        (Sequential([]), {}, "has no layers"),
    ]:
        with pytest.raises(ValueError, match=told):
            asked.predict_tiled(x, **{"tile": 8, **settings})
    short, unknown = Watched(x), Watched(x)
    short.array, unknown.shape = x[:, :, :12], (1, None, 16, 3)
    for wrong, told in [
        (short, r"x must give what is asked for, \(1, 16, 16, 3\), got \(1, 16, 12, 3\)"),
        (unknown, r"x must have known lengths and take slices, got Watched of shape \(1, None, 16, 3\)"),
    ]:
        with pytest.raises(ValueError, match=told):
            model.predict_tiled(wrong)
    for wrong, told in [(x[0, 0], r"x must have \[4\] axes, or one less"), (x[..., :2], "must have 3 channels")]:
        with pytest.raises(ValueError, match=told):
            model.predict_tiled(wrong, 8)
    with pytest.raises(ValueError, match="out must not share memory with x"):
        Sequential([Conv2D(3, 1)]).predict_tiled(x, 8, x)

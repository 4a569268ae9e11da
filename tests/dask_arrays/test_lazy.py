"""Dask arrays through networks: right numbers, lazily, from no more blocks than needed, in one core for each task."""

import sys

import numba
import numpy as np
import pytest

import numbaconv.dask
from numbaconv import config, functional
from numbaconv.dask import predicting, tasks
from numbaconv.layers import (
    Add,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    Multiply,
    Permute,
    Softmax,
    UpSampling2D,
)
from numbaconv.models import Model, Sequential
from numbaconv.models.regions import PartProgram

da = pytest.importorskip("dask.array")


@pytest.fixture(autouse=True)
def each_layer_by_itself():
    """Layers that are joined add up in another order."""
    config.set_fuse(False)
    yield
    config.set_fuse(True)


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def hourglass(data_format="channels_last"):
    """Down to half the size and back, with a way around."""
    settings = {"padding": "same", "algorithm": "direct", "data_format": data_format}
    axis = -1 if data_format == "channels_last" else 1
    x = Input((None, None, 2) if axis == -1 else (2, None, None))
    first = Conv2D(3, 3, activation="relu", **settings)(x)
    low = Conv2D(4, 3, **settings)(MaxPooling2D(2, data_format=data_format)(first))
    both = Concatenate(axis)([first, Conv2DTranspose(3, 4, 2, **settings)(low)])
    return Model(x, Conv2D(2, 3, **settings)(both))


def lazily(x, chunks, read=None):
    """A Dask array, and where ``read`` is a list, its blocks tell there that they are read."""

    def block(block_info=None):
        (place,) = [one for key, one in block_info.items() if key is None]
        if read is not None:
            read.append(place["chunk-location"])
        return x[tuple(slice(*pair) for pair in place["array-location"])]

    whole = da.core.normalize_chunks(chunks, x.shape)
    return da.map_blocks(block, chunks=whole, dtype=x.dtype, meta=np.empty((0,) * x.ndim, x.dtype))


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_network(data_format, scheduler):
    model = hourglass(data_format)
    shape = (2, 22, 34, 2) if data_format == "channels_last" else (2, 2, 22, 34)
    x = images(*shape)
    whole = model(x)
    # Over channels too, and of sizes that no stride divides.
    array = da.from_array(x, chunks=(1, 1, 7, 11) if data_format == "channels_first" else (1, 7, 11, 1))
    for chunks in (None, 5, (2, -1, 9, 13)):
        lazy = numbaconv.dask.predict(model, array, chunks)
        assert (lazy.shape, lazy.dtype) == (whole.shape, whole.dtype)
        np.testing.assert_array_equal(lazy.compute(scheduler=scheduler, num_workers=4), whole)
    alone = numbaconv.dask.predict(model, array[1], 8)
    np.testing.assert_array_equal(alone.compute(scheduler=scheduler), whole[1])


def test_chunks_follow_those_of_the_array():
    model = Sequential([Conv2D(3, 3, strides=2, padding="same"), UpSampling2D(3)])
    array = da.zeros((5, 80, 60, 2), chunks=((2, 3), (30, 10, 40), 20, 1))
    lazy = numbaconv.dask.predict(model, array)
    assert lazy.chunks == ((2, 3), (45, 15, 60), (30, 30, 30), (3,))
    # Nobody reads a hundred pixels around chunks of five.
    wide = Sequential([Conv2D(1, 3, padding="same", dilation_rate=20) for _ in range(2)])
    lazy = numbaconv.dask.predict(wide, da.zeros((1, 400, 203, 1), chunks=(1, 5, 200, 1)))
    assert lazy.chunks == ((1,), (80,) * 5, (203,), (1,))
    assert numbaconv.dask.predict(wide, array[..., :1], {1: 7, 2: 9}).chunks[1][:2] == (7, 7)
    # Without positions: each example as a whole, in as many chunks as the array has of these.
    flat = Sequential([Flatten(), Dense(4)])
    lazy = numbaconv.dask.predict(flat, array)
    assert lazy.chunks == ((2, 3), (4,))
    np.testing.assert_allclose(lazy.compute(), flat(np.zeros(array.shape)))


def test_slices_compute_only_what_they_need():
    model = Sequential([Conv2D(2, 3, padding="same"), Conv2D(1, 3, padding="same")])
    x, read = images(1, 60, 60, 2), []
    lazy = numbaconv.dask.predict(model, lazily(x, (1, 10, 10, 2), read))
    assert read == []
    whole = model(x)
    np.testing.assert_allclose(lazy[0, 12:15, 31:33].compute(), whole[0, 12:15, 31:33], atol=1e-5)
    # One chunk, and the eight around it.
    assert sorted(read) == [(0, row, column, 0) for row in (0, 1, 2) for column in (2, 3, 4)]
    read.clear()
    lazy[0, 0, 0].compute()
    assert sorted(read) == [(0, row, column, 0) for row in (0, 1) for column in (0, 1)]


def test_a_large_image_is_planned_axis_by_axis(monkeypatch):
    asked = []
    reads = PartProgram.reads
    monkeypatch.setattr(PartProgram, "reads", lambda self, ends: asked.append(ends) or reads(self, ends))
    lazy = numbaconv.dask.predict(hourglass(), da.zeros((1, 300_000, 200_000, 2), chunks=(1, 10_000, 10_000, 2)))
    assert lazy.numblocks == (1, 30, 20, 1)
    assert len(asked) < 30 + 20 + 5
    # Where axes change places, each chunk is asked for.
    x = Input((None, None, 2))
    turned = Model(x, Add()([Conv2D(2, 3, padding="same", algorithm="direct")(x), Permute((2, 1, 3))(x)]))
    array = images(1, 24, 24, 2)
    lazy = numbaconv.dask.predict(turned, da.from_array(array, chunks=(1, 9, 10, 2)), (1, 5, 8, 2))
    np.testing.assert_array_equal(lazy.compute(), turned(array))


def test_several_inputs():
    one, other = Input((None, None, 2), name="one"), Input((None, None, 2), name="other")
    model = Model([one, other], Multiply()([Conv2D(2, 3, padding="same", algorithm="direct")(one), other]))
    x = {"one": images(1, 20, 30, 2), "other": images(1, 20, 30, 2, seed=1)}
    lazy = numbaconv.dask.predict(model, {"one": da.from_array(x["one"], chunks=7), "other": x["other"]})
    assert lazy.chunks[1] == (7, 7, 6)
    np.testing.assert_array_equal(lazy.compute(), model(x))


def test_a_network_is_what_it_was_and_travels_as_bytes():
    model = Sequential([Conv2D(64, 3, padding="same"), Conv2D(2, 3, padding="same")])
    x = images(1, 12, 12, 32)
    whole = model(x)
    lazy = numbaconv.dask.predict(model, da.from_array(x, chunks=6))
    model.set_weights([0 * w for w in model.get_weights()])
    np.testing.assert_allclose(lazy.compute(), whole, atol=1e-5)
    (network,) = {id(one): one for one in _networks(lazy)}.values()
    assert len(network.program) < 1.1 * 4 * model.count_params() + 10_000
    tasks._unpacked.clear()
    lazy.compute(scheduler="threads", num_workers=4)
    assert len(tasks._unpacked) == 1


def _networks(lazy):
    values = (getattr(task, "value", task) for task in dict(lazy.dask).values())
    return [one for one in values if isinstance(one, tasks.Network)]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_task_takes_as_many_cores_as_it_is_given(threads, monkeypatch):
    counts, run, before = [], PartProgram.run, numba.get_num_threads()
    monkeypatch.setattr(PartProgram, "run", lambda *a: counts.append(numba.get_num_threads()) or run(*a))
    lazy = numbaconv.dask.predict(hourglass(), da.zeros((1, 40, 40, 2), chunks=20), threads=threads)
    for scheduler in ("synchronous", "threads"):
        lazy.compute(scheduler=scheduler)
        assert numba.get_num_threads() == before
    assert counts == [min(threads, numba.config.NUMBA_NUM_THREADS)] * 8


WEIGHTS = np.random.default_rng(3).standard_normal


@pytest.mark.parametrize(
    ("name", "shape", "operands", "settings"),
    [
        ("conv", (1, 23, 19, 4), [(3, 3, 4, 5), (5,)], {"strides": 2, "dilation_rate": 3, "padding": "same"}),
        ("conv", (2, 41, 4), [(3, 2, 6)], {"padding": "causal", "dilation_rate": 2}),
        ("conv", (1, 3, 7, 8, 6), [(2, 3, 3, 3, 2), (2,)], {"data_format": "channels_first"}),
        ("depthwise_conv", (1, 23, 19, 4), [(3, 5, 4, 2)], {"strides": 2, "padding": "same"}),
        ("depthwise_conv", (1, 9, 8, 7, 2), [(3, 3, 3, 2, 1), (2,)], {"dilation_rate": 2}),
        ("conv_transpose", (1, 13, 9, 4), [(3, 3, 2, 4), (2,)], {"strides": (3, 2), "output_padding": 1}),
        ("conv_transpose", (1, 5, 6, 7, 2), [(2, 2, 2, 3, 2)], {"strides": 2, "dilation_rate": 2, "padding": "same"}),
        ("max_pool", (1, 23, 19, 3), [], {"pool_size": 3, "strides": 2, "padding": "same"}),
        ("average_pool", (1, 23, 19, 3), [], {"pool_size": (2, 5)}),
        ("average_pool", (1, 3, 23), [], {"pool_size": 3, "data_format": "channels_first"}),
        ("upsample", (1, 9, 8, 3), [], {"size": (2, 3), "interpolation": "bilinear"}),
        ("upsample", (1, 3, 9), [], {"size": 3, "data_format": "channels_first"}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operations(name, shape, operands, settings, dtype):
    x, arrays = WEIGHTS(shape).astype(dtype), [WEIGHTS(one).astype("float32") for one in operands]
    settings |= {"algorithm": "direct"} if name in ("conv", "conv_transpose") else {}
    whole = getattr(functional, name)(x, *arrays, **settings)
    lazy = getattr(numbaconv.dask, name)(da.from_array(x, chunks=5), *arrays, **settings, chunks=4)
    assert (lazy.shape, lazy.dtype) == (whole.shape, whole.dtype)
    # Bilinear shares are added up in an order that depends on where an image begins.
    slack = 1e-13 if "interpolation" in settings and dtype == "float64" else 0
    np.testing.assert_allclose(lazy.compute(), whole, slack, slack)


@pytest.mark.slow
def test_names_of_axes_stay():
    xarray = pytest.importorskip("xarray")
    x = images(2, 20, 30, 2)
    steps = {"time": [7, 9], "y": np.arange(20) / 2, "x": np.arange(30), "band": ["red", "blue"]}
    named = xarray.DataArray(da.from_array(x, chunks=10), steps, ("time", "y", "x", "band"), "field", {"unit": "mm"})
    found = numbaconv.dask.predict(hourglass(), named)
    assert (found.dims, found.name, found.attrs) == (named.dims, "field", {"unit": "mm"})
    assert set(found.coords) == {"time", "y", "x", "band"}
    assert isinstance(found.data, da.Array)
    small = numbaconv.dask.max_pool(named.isel(time=0, drop=True).expand_dims("time"), 2)
    assert (small.sizes["y"], set(small.coords)) == (10, {"band"})


def test_what_is_refused():
    model, x = hourglass(), da.zeros((1, 16, 16, 2), chunks=8)
    unknown = da.from_array(images(1, 16, 16, 2), chunks=(1, 8, 16, 2))[:, da.from_array(np.ones(16, bool), chunks=8)]
    y = Input((16, 16, 2))
    wide = Model(y, Softmax(axis=2, name="rows")(y))
    squeezed = Model(y, Multiply()([y, GlobalAveragePooling2D(keepdims=True, name="squeeze")(y)]))
    weights = np.zeros((3, 3, 2, 4), "float32")
    for call, error, told in [
        (lambda: numbaconv.dask.predict(model, unknown), ValueError, r"array must have known lengths.*compute_chunk"),
        (lambda: numbaconv.dask.predict(model, x.astype(complex)), TypeError, "must hold real numbers, got complex128"),
        (lambda: numbaconv.dask.predict(model, x[..., :1]), ValueError, "2 channels"),
        (lambda: numbaconv.dask.predict(model, x[0, 0]), ValueError, "must have .* axes"),
        (lambda: numbaconv.dask.predict(model, x, (3, 3)), ValueError, "(?i)chunks"),
        (lambda: numbaconv.dask.predict(model, x, threads=0), ValueError, "threads must be a positive integer"),
        (lambda: numbaconv.dask.predict(wide, x), ValueError, "'rows' cannot be computed in parts along axis 2"),
        (lambda: numbaconv.dask.predict(squeezed, x), ValueError, "'squeeze' cannot be computed in parts"),
        (lambda: numbaconv.dask.conv(x, weights[0]), ValueError, "weights must have 2 kernel axes"),
        (lambda: numbaconv.dask.conv(x, weights[:, :, :1].repeat(5, 2)), ValueError, "channels"),
        (lambda: numbaconv.dask.conv(x, weights, padding="causal"), ValueError, "padding"),
        (lambda: numbaconv.dask.upsample(x, 2, "cubic"), ValueError, "interpolation"),
    ]:
        with pytest.raises(error, match=told):
            call()
    # Along an axis in one chunk nothing is refused.
    for one, chunks in ((wide, (1, 4, -1, -1)), (squeezed, -1)):
        np.testing.assert_array_equal(numbaconv.dask.predict(one, x, chunks).compute(), one(np.zeros(x.shape)))


def test_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.array", None)
    told = r'numbaconv.dask needs Dask: python -m pip install "numbaconv\[dask\]"'
    with pytest.raises(ModuleNotFoundError, match=told):
        predicting.predict(hourglass(), images(1, 8, 8, 2))

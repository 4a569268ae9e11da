"""Calls, new layers, training, files and threads leave memory, file descriptors and threads as they were."""

import functools
import gc
import importlib
import itertools
import os
import pkgutil
import sys
import threading
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from cases import LAYERS

import numbaconv
from numbaconv import functional, layers
from numbaconv.models import Model, Sequential

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self"),
    pytest.mark.usefixtures("loaded_is_no_garbage"),
]
leaks = pytest.mark.situation("leaks")

MB = 2**20
# What a process's memory may grow by that is nobody's leak: an allocator's pools and the interpreter's caches.
NOISE = MB / 4
ROUNDS = 3
IMAGES = {1: (2, 9, 3), 2: (2, 9, 8, 3), 3: (1, 5, 6, 4, 3)}
ARGUMENTS = {
    "Activation": ("softmax",),
    "BatchNormalization": (),
    "CenterCrop": (4, 5),
    "Dense": (4,),
    "Depthwise": (3,),
    "Dropout": (0.5,),
    **dict.fromkeys(("ActivityRegularization", "ELU", "Identity", "LeakyReLU", "PReLU", "ReLU", "Softmax"), ()),
    "Flatten": (),
    "Gaussian": (0.5,),
    "GroupNormalization": (3,),
    "Lambda": (np.square,),
    "Permute": ((3, 1, 2),),
    "Rescaling": (0.5,),
    "Resizing": (4, 5),
    "Reshape": ((-1, 4),),
    "Spatial": (0.5,),
    "LayerNormalization": (),
    "Normalization": (),
    "Conv": (4, 3),
    "Cropping": (1,),
    "Separable": (4, 3),
    "RMSNormalization": (),
    "UnitNormalization": (),
}
MANY = [pytest.param(1000, id="fewer"), pytest.param(10_000, id="all", marks=pytest.mark.nightly)]
# Settings of new layers: none is like another one.
BUILDS = [
    lambda i: (layers.Conv1D(1 + i % 7, 1 + i % 3), (1, 5 + i, 1 + i % 5)),
    lambda i: (layers.Conv2D(1 + i % 9, 3, padding="same"), (1, 3 + i % 40, 3 + i // 40, 1 + i % 5)),
    lambda i: (layers.Conv2D(17, 3, padding="same"), (2, 7 + i % 30, 7 + i // 30, 16)),
    lambda i: (layers.Conv2DTranspose(1 + i % 4, 2, 2), (1, 2 + i % 40, 2 + i // 40, 1 + i % 5)),
    lambda i: (layers.SeparableConv2D(1 + i % 4, 3), (1, 3 + i % 40, 3 + i // 40, 1 + i % 5)),
    lambda i: (layers.MaxPooling2D(1 + i % 3), (1, 3 + i % 40, 3 + i // 40, 1 + i % 5)),
    lambda i: (layers.UpSampling2D(1 + i % 3, interpolation="bilinear"), (1, 1 + i % 40, 1 + i // 40, 2)),
    lambda i: (layers.Resizing(1 + i % 40, 7, "lanczos3"), (1, 5, 3, 2)),
    lambda i: (layers.BatchNormalization(), (2, 1 + i % 40, 1 + i // 40, 2)),
    lambda i: (layers.Dense(1 + i % 9), (1 + i, 1 + i % 7)),
]
QUICK = ("Conv1D", "MaxPooling2D")
BUILDS = [
    pytest.param(build, id=name, marks=[] if name in QUICK else pytest.mark.slow)
    for build in BUILDS
    for name in [type(build(0)[0]).__name__]
]


def make(name, dtype):
    """A small layer of a class and an input for it."""
    stem, rank = name.rstrip("D123"), int(name[-2]) if name[-1] == "D" else 2
    rank = int(name[4]) if name.endswith("Transpose") else rank
    found = [value for start, value in ARGUMENTS.items() if stem.startswith(start)]
    arguments = found[0] if found else (2,) if "Global" not in stem and "Zero" not in stem else ()
    shape = (2, 3) if name == "RepeatVector" else IMAGES[rank]
    return getattr(layers, name)(*arguments, dtype=dtype), np.ones(shape, dtype)


def held():
    """Bytes in memory, objects of the interpreter, open files and threads."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, sys.getallocatedblocks(), len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def assert_level(work, count, record_property, warm_up=None, noise=NOISE):
    """Do ``work(i)`` so often, once it has been done some times, in rounds: what leaks grows in every one of them."""
    warm_up = warm_up or max(20, count // 10)
    for i in range(warm_up):
        work(i)
    size, states = count // ROUNDS, [held()]
    for start in range(warm_up, warm_up + ROUNDS * size, size):
        for i in range(start, start + size):
            work(i)
        states.append(held())
    grown = ([b - a for a, b in zip(old, new, strict=True)] for old, new in itertools.pairwise(states))
    memory, blocks, files, threads = (min(each) for each in zip(*grown, strict=True))
    record_property("repetitions", ROUNDS * size)
    record_property("largest growth of a round in MB", max(memory, 0) / MB)
    assert memory <= noise
    # A leak keeps an object in every repetition, or more; caches of the interpreter fill up slowly.
    assert blocks < 3 / 4 * size
    assert files <= 0
    assert threads <= 0


@functools.cache
def _caches():
    """Name and function of all that remember; to look for them takes longer than to build many a layer."""
    return [
        (f"{info.name}.{name}", function)
        for info in pkgutil.walk_packages(numbaconv.__path__, "numbaconv.")
        for name, function in vars(importlib.import_module(info.name)).items()
        if hasattr(function, "cache_parameters")
    ]


@leaks
def test_caches_are_bounded():
    found = {name.rpartition(".")[2]: f for name, f in _caches() if f.cache_parameters()["maxsize"] is None}
    # Those that take nothing hold one value.
    unbounded = {name for name, f in found.items() if signature(f).parameters}
    # For each matrix of Winograd's schemes, each floor and kernel, each target that Numba compiles for, and each number
    # of values that named tuples have.
    assert unbounded == {
        "_matrix",
        "_sources",
        "stem_of",
        "_part_context",
        "_remembering",
        "_of_operators",
        "_counting",
        "_maker",
    }


@leaks
@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_calls(name, dtype, count, record_property):
    layer, x = make(name, dtype)
    assert_level(lambda i: layer(x), count, record_property)


@leaks
@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(
    "count", [pytest.param(300, id="fewer"), pytest.param(1050, id="all", marks=pytest.mark.nightly)]
)
def test_builds(build, count, record_property):
    """New layers of ever new shapes, with the caches, which are bounded, emptied now and then."""

    def work(i):
        layer, shape = build(i)
        x = np.ones(shape, np.float32)
        layer(x)
        layer.forward(x)
        layer.backward(np.ones(layer.compute_output_shape(shape), np.float32))
        if i % 50 == 49:
            for _, function in _caches():
                if function.cache_parameters()["maxsize"]:
                    function.cache_clear()

    # Rounds end when the caches have just been emptied. A process that has done nothing else keeps what it frees, of
    # each size, for its first hundreds of layers.
    assert_level(work, count, record_property, warm_up=400)


@leaks
@pytest.mark.nightly
def test_full_caches(record_property):
    """Once the caches are full, new shapes take the place of old ones."""
    limit = max(f.cache_parameters()["maxsize"] or 0 for _, f in _caches())
    kernel = np.ones((3, 1, 2), np.float32)

    def work(i):
        functional.conv(np.ones((1, 3 + i, 1), np.float32), kernel)

    assert_level(work, 1000, record_property, warm_up=limit + 100)


@leaks
def test_one_layer_of_ever_new_shapes(record_property):
    layer = layers.Conv1D(2, 3)
    # A layer forgets its calls when it has 256 of them.
    assert_level(lambda i: layer(np.ones((1, 3 + i % 400, 1), np.float32)), 3 * 768, record_property, warm_up=768)


@leaks
@pytest.mark.parametrize("shapes", [1, pytest.param(100, marks=pytest.mark.slow)])
def test_programs(shapes, record_property):
    """A network remembers 64 shapes; it gives what lay in memory for others back."""
    x = inputs = layers.Input((None, None, 8))
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.Add()([layers.Conv2D(8, 1, activation="relu")(y), x])
    x = layers.Concatenate()([layers.Conv2D(16, 3, padding="same")(x), layers.MaxPooling2D(3, 1, padding="same")(x)])
    model = Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))

    def work(i):
        model(np.ones((1, 16 + i % shapes, 40, 8), np.float32))

    assert_level(work, 1000, record_property, warm_up=2 * shapes + 100)


def trained():
    model = Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    rng = np.random.default_rng(0)
    return model, rng.random((8, 8, 8, 3), np.float32), rng.integers(2, size=8)


@leaks
@pytest.mark.parametrize("count", [pytest.param(1000, id="fewer", marks=pytest.mark.slow), MANY[1]])
def test_training_steps(count, record_property):
    model, x, y = trained()
    assert_level(lambda i: model.train_on_batch(x, y), count, record_property, warm_up=1000)


@leaks
@pytest.mark.slow
def test_fit_evaluate_and_predict(record_property):
    model, x, y = trained()

    def work(i):
        model.fit(x, y, batch_size=4, epochs=2, validation_split=0.25, verbose=0)
        model.evaluate(x, y, verbose=0)
        model.predict(x, verbose=0)

    assert_level(work, 300, record_property, warm_up=300)


@leaks
@pytest.mark.slow
def test_saving_and_loading(tmp_path, record_property):
    model, x, _ = trained()
    model(x)

    def work(i):
        model.save(tmp_path / "model.npz")
        Sequential.load(tmp_path / "model.npz")(x)

    assert_level(work, 300, record_property, warm_up=300)


@leaks
def test_weights_that_change(record_property):
    """Packed weights go with the weights that they were made of."""
    layer, x = layers.Conv2D(64, 3, padding="same"), np.ones((1, 12, 12, 64), np.float32)
    layer(x)
    weights = layer.get_weights()

    def work(i):
        layer.set_weights(weights)
        layer(x)

    assert_level(work, 200, record_property)


@leaks
def test_calls_that_fail(record_property):
    layer, x = layers.Conv2D(4, 3), np.ones((1, 9, 9, 3), np.float32)
    layer(x)

    def work(i):
        for wrong in (x[0], x[..., :2], "text", x[:, :2]):
            with pytest.raises((ValueError, TypeError)):
                layer(wrong)

    assert_level(work, 200, record_property)


@leaks
def test_short_lived_threads(record_property):
    layer, x = layers.Conv2D(32, 3), np.ones((2, 40, 40, 16), np.float32)
    layer(x)

    def work(i):
        thread = threading.Thread(target=layer, args=(x,))
        thread.start()
        thread.join()

    # Allocators keep a pool for each thread, and make new ones for a while.
    assert_level(work, 900, record_property, noise=4 * MB)


LEAKS = {
    "objects": lambda kept, folder: kept.append(object()),
    "memory": lambda kept, folder: kept.append(np.ones(2000)),
    "files": lambda kept, folder: kept.append((folder / "file").open("w")),
    "threads": lambda kept, folder: kept.append(threading.Timer(60, print)) or kept[-1].start(),
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_leak_is_found(leak, tmp_path):
    kept = []
    try:
        with pytest.raises(AssertionError):
            assert_level(lambda i: leak(kept, tmp_path), 90, lambda *_: None)
    finally:
        for thing in kept:
            getattr(thing, "close", getattr(thing, "cancel", int))()

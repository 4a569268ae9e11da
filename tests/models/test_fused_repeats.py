"""From their third run on, programs of `predict` repeat calls of kernels that were written down."""

import threading
import weakref

import numpy as np
from test_fused_networks import filled

from numbaconv import layers
from numbaconv.machine import threads
from numbaconv.models import Model, Sequential
from numbaconv.models.fused import arena
from numbaconv.models.fused.running import fused


def network():
    """Convolutions with views, gates, a residual, parts side by side, and Winograd's algorithm between them."""
    inputs = layers.Input((12, 12, 8))
    x = layers.Conv2D(16, 1, activation="relu")(inputs)
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x))
    gates = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gates = layers.Conv2D(16, 1, activation="sigmoid")(layers.Reshape((1, 1, 16))(gates))
    x = layers.Add()([layers.Conv2D(16, 1)(layers.Multiply()([y, gates])), x])
    x = layers.Conv2D(16, 3, padding="same")(x)
    x = layers.Concatenate()([layers.Conv2D(8, 1)(x), layers.MaxPooling2D(3, 1, padding="same")(x)])
    outputs = layers.Dense(5)(layers.Flatten()(layers.Conv2D(4, 1)(x)))
    return filled(Model(inputs, outputs), np.random.default_rng(0), "float32")


def images(count):
    return [np.random.default_rng(i).normal(size=(1, 12, 12, 8)).astype(np.float32) for i in range(count)]


def plain(model, x):
    model.fuse = False
    result = model(x)
    model.fuse = True
    return result


def repeated(model):
    """For each turn whether its calls are repeated."""
    (one,) = fused(model._program())._arenas
    return [calls is not None for laid in one._laid.values() for _, _, calls in laid.steps]


def repeated_calls(model):
    (one,) = fused(model._program())._arenas
    return [call for laid in one._laid.values() for _, _, calls in laid.steps for call in calls or ()]


def check(model, x, wanted):
    np.testing.assert_allclose(model(x), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_each_call_has_its_own_input():
    model, xs = network(), images(5)
    wanted = [plain(model, x) for x in xs]
    results = [model(x) for x in xs]
    assert sum(repeated(model)) > len(repeated(model)) / 2
    assert not any(hasattr(kernel, "overloads") for kernel, _ in repeated_calls(model))
    for one, right, x in zip(results, wanted, xs, strict=True):
        # Results that were given out are not written again.
        np.testing.assert_allclose(one, right, rtol=0, atol=1e-5 * np.abs(right).max())
        np.testing.assert_array_equal(model(x), one)


def test_both_passes_of_separable_convolutions_are_repeated_in_the_same_memory():
    separable = [layers.SeparableConv2D(900, 3, padding="same") for _ in range(2)]
    model = Sequential([layers.Input((4, 5, 600)), *separable, layers.Conv2D(3, 1)])
    xs = [np.random.default_rng(i).normal(size=(1, 4, 5, 600)).astype(np.float32) for i in range(4)]
    for x in xs:
        check(model, x, plain(model, x))
    assert all(repeated(model)[:2])
    assert len(repeated_calls(model)) == 5
    runner = fused(model._program()).runner([(1, 4, 5, 600)])
    rooms = [turn.between for turn in runner.turns if turn.between]
    assert [count for _, count in rooms] == [4 * 5 * 600, 4 * 5 * 900]
    assert runner.room < 4 * (sum(count for _, count in rooms) + 2 * 4 * 5 * 900)
    for layer in separable:
        layer.set_weights([2 * w + 0.5 for w in layer.get_weights()])
        check(model, xs[0], plain(model, xs[0]))


def test_doubtful_patches_of_a_repeated_call_are_computed_anew():
    rng = np.random.default_rng(0)
    inputs = layers.Input((24, 24, 16))
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(32, 3, padding="same")(layers.Add()([layers.Conv2D(32, 3, padding="same")(x), x]))
    model = filled(Model(inputs, layers.Conv2D(3, 1)(x)), rng, "float32")
    x = rng.normal(size=(1, 24, 24, 16)).astype(np.float32)
    far = x.copy()
    far[0, 5, 7, 3], far[0, 20, 2, 0] = 1e12, np.inf
    first = model(x)
    fresh = model(far)
    for _ in range(3):
        # Marks of one call are gone in the next.
        np.testing.assert_array_equal(model(x), first)
        np.testing.assert_array_equal(model(far), fresh)
    assert all(repeated(model))
    kinds = [type(turn.call).__name__ for turn in fused(model._program()).runner([x.shape]).turns]
    assert kinds.count("WinogradCall") == 3
    check(model, x, plain(model, x))
    np.testing.assert_allclose(fresh, plain(model, far), rtol=1e-4, atol=1e-3)


def test_weights_that_change():
    model, (x, *_) = network(), images(1)
    for layer in (model.layers[1], model.layers[3], model.layers[-1]):
        for _ in range(3):
            model(x)
        layer.set_weights([2 * w + 0.5 for w in layer.get_weights()])
        check(model, x, plain(model, x))
        kernel = next(iter(layer._weights))
        layer.set_weights([np.full_like(w, np.nan if i == 0 else 1.0) for i, w in enumerate(layer.get_weights())])
        with np.errstate(all="ignore"):
            for _ in range(3):
                np.testing.assert_array_equal(np.isnan(model(x)), np.isnan(plain(model, x)), err_msg=kernel)
        filled(model, np.random.default_rng(0), "float32")


def test_several_shapes_share_memory():
    model = network()
    small, large = (np.ones((n, 12, 12, 8), np.float32) for n in (1, 3))
    for _ in range(4):
        for x in (small, large):
            check(model, x, plain(model, x))


def test_several_threads():
    model, xs = network(), images(4)
    wanted, results = [plain(model, x) for x in xs], {}

    def run(i):
        results[i] = [model(xs[i]) for _ in range(20)]

    running = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    for i, right in enumerate(wanted):
        for one in results[i]:
            np.testing.assert_allclose(one, right, rtol=0, atol=1e-5 * np.abs(right).max())


def test_a_process_that_must_do_without_threads(monkeypatch):
    model, (x, *_) = network(), images(1)
    monkeypatch.setattr(arena, "door", lambda kernel, arguments: kernel)
    first, *_ = [model(x) for _ in range(3)]
    monkeypatch.setattr(threads, "alone", True)
    for _ in range(3):
        np.testing.assert_array_equal(model(x), first)
    calls = repeated_calls(model)
    assert calls and all(serial for _, (serial, *_) in calls)


def test_calls_that_read_the_input_are_repeated_with_that_of_each_call():
    model, xs = network(), images(4)
    wanted = [plain(model, x) for x in xs]
    for x in xs[:3]:
        model(x)
    assert repeated(model)[0]
    # Such arrays are types of their own to kernels.
    fixed = xs[3].copy()
    fixed.flags.writeable = False
    bytes_of_it = np.empty(xs[3].nbytes + 1, np.uint8)[1:]
    unaligned = bytes_of_it.view(np.float32).reshape(xs[3].shape)
    unaligned[...] = xs[3]
    for x in (fixed, xs[3][:, ::-1].copy()[:, ::-1], unaligned, xs[3].astype(np.float64), xs[3]):
        check(model, x, wanted[3])


def test_no_input_is_kept():
    model = network()
    for x in images(4):
        model(x)
        last = weakref.ref(x)
        del x
    assert last() is None


def test_an_input_in_the_memory_of_a_weight():
    inputs = layers.Input((8,))
    model = Model(inputs, layers.Dense(8)(inputs))
    weights = model.layers[-1].get_weights()[0]
    other = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    for x in (weights, weights, weights, other):
        check(model, x, plain(model, x))


def test_inputs_that_are_one_array():
    one, two = layers.Input((6, 6, 8)), layers.Input((6, 6, 8))
    model = filled(
        Model([one, two], layers.Add()([layers.Conv2D(8, 3, padding="same")(one), two])),
        np.random.default_rng(0),
        "float32",
    )
    a, b = np.random.default_rng(0).normal(size=(2, 1, 6, 6, 8)).astype(np.float32)
    for x in ([a, a], [a, a], [a, a], [a, b], [b, a]):
        check(model, x, plain(model, x))

"""Calls that are written down give what the layer gave before, whatever changes between them."""

import gc
import threading
import weakref

import numba
import numpy as np
import pytest
from layer_cases import every_class, example, make

from numbaconv import activations, layers, models
from numbaconv.calls import written as calls_written
from numbaconv.calls.written import written
from numbaconv.layers import repeating
from numbaconv.machine import threads as machine_threads

TIMES = repeating.MANY_CALLS + 2
STRIDED = [
    layers.Conv2D(5, 3, padding="same", activation="relu"),
    layers.Conv2D(20, 3, padding="same", data_format="channels_first"),
    layers.Conv2D(4, 2, groups=2, strides=2),
    layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
    layers.Conv2DTranspose(3, 2, strides=3),
    layers.Conv2DTranspose(3, 3, strides=2, activation="relu"),
    layers.Conv2DTranspose(2, 3, padding="same", data_format="channels_first"),
    layers.UpSampling2D(2, interpolation="bilinear"),
    layers.BatchNormalization(axis=1),
]


def _calls(layer):
    return [call for call in layer._written[2].values() if callable(call)]


def _poison(layer):
    """Have memory of calls that are written down begin as NaN."""
    for call in _calls(layer):
        for name in ("empty", "aligned_empty"):
            call.__globals__[name] = calls_written._poisoned


def _check(layer, x):
    inputs = [x, x[::-1].copy(), np.full_like(x, 0.5), -x]
    fresh = type(layer).from_config(layer.get_config())
    fresh.build(x.shape)
    fresh.set_weights(layer.get_weights())
    wanted = [fresh.call(one) for one in inputs]
    for _ in range(TIMES):
        layer(x)
    _poison(layer)
    for one, right in zip(inputs, wanted, strict=True):
        out = layer(one)
        assert out.shape == right.shape
        assert out.dtype == right.dtype
        assert out.flags.carray
        assert out.tobytes() == right.tobytes()


@every_class
def test_each_layer_repeats_its_bits(name):
    layer = make(name)
    x = example(layer, 4)
    layer.build(x.shape)
    _check(layer, x)
    assert _calls(layer)


@pytest.mark.parametrize("values", [60, 6000, 60_000])
@pytest.mark.parametrize("name", [name for name in activations.__all__ if hasattr(vars(activations)[name], "gradient")])
def test_activations_repeat_their_bits(name, values):
    layer = layers.Activation(name)
    x = np.random.default_rng(0).standard_normal((4, values // 20, 5)).astype(np.float32)
    layer.build(x.shape)
    _check(layer, x)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
@pytest.mark.parametrize("activation", ["tanh", "gelu", "softmax", "log_softmax"])
def test_what_ends_with_an_activation_repeats_its_bits(activation, axis):
    x = np.random.default_rng(0).standard_normal((2, 30, 31, 12)).astype(np.float32)
    for layer in (layers.Conv2D(8, 2, activation=activation), layers.Dense(8, activation), layers.Softmax(axis)):
        for one in (x, x[:1, :2, :2].copy()):
            layer.build(one.shape)
            _check(layer, one)


@pytest.mark.parametrize("layer", STRIDED, ids=lambda layer: repr(layer)[1:14])
def test_settings_repeat_their_bits(layer):
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 4)).astype(np.float32)
    layer.build(x.shape)
    _check(layer, x)


@pytest.mark.parametrize("shape", [(1, 5), (3, 7), (2, 3, 5)])
def test_dense_repeats_its_bits(shape):
    layer = layers.Dense(6, activation="relu")
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    layer.build(x.shape)
    _check(layer, x)
    assert _calls(layer)


def _conv():
    layer, x = layers.Conv2D(4, 3, padding="same"), np.random.default_rng(1).standard_normal((1, 6, 6, 4), np.float32)
    for _ in range(TIMES):
        layer(x)
    assert _calls(layer)
    return layer, x


def test_changed_weights_and_settings_count_at_once():
    layer, x = _conv()
    before = layer(x)
    layer.kernel = 2 * layer.kernel
    np.testing.assert_allclose(layer(x), 2 * before, rtol=1e-5)
    for _ in range(TIMES):
        layer(x)
    layer.activation = "relu"
    assert layer(x).min() == 0
    for _ in range(TIMES):
        layer(x)
    layer.activation = "tanh"
    assert 0.9 < np.abs(layer(x)).max() <= 1
    layer.activation, layer.strides = None, 2
    assert layer(x).shape == (1, 3, 3, 4)


@pytest.mark.parametrize(
    "inner",
    [
        lambda: layers.Activation("tanh"),
        lambda: layers.BatchNormalization(),
        lambda: layers.Conv2D(16, 1),
        lambda: layers.AveragePooling2D(3, 1, "same"),
        lambda: models.Sequential([layers.Dense(16)]),
    ],
)
@pytest.mark.parametrize("make", [lambda f: layers.Conv2D(16, 3, activation=f), lambda f: layers.Dense(16, f)])
def test_layers_and_methods_that_are_activations_are_called_each_time(make, inner):
    layer, x = make(inner()), np.random.default_rng(0).standard_normal((2, 20, 20, 16), np.float32)
    first = layer(x).copy()
    for _ in range(2 * TIMES):
        np.testing.assert_array_equal(layer(x), first)


def test_settings_of_a_layer_whose_method_is_an_activation_count_at_once():
    inner, x = layers.ReLU(), np.random.default_rng(0).standard_normal((64, 128), np.float32)
    inner.build(x.shape)
    both = layers.Dense(128, inner.call), layers.Activation(inner.call)
    for _ in range(TIMES):
        assert min(layer(x).max() for layer in both) > 0.5
    inner.max_value = 0.25
    assert [layer(x).max() for layer in both] == [0.25, 0.25]


def test_a_call_that_is_not_what_was_written_down_is_not_kept(monkeypatch):
    monkeypatch.setattr(calls_written, "door", lambda function, arguments: lambda *args: None)
    layer, x = layers.Conv2D(4, 3), np.random.default_rng(1).standard_normal((1, 6, 6, 4), np.float32)
    first = layer(x).copy()
    for _ in range(TIMES):
        np.testing.assert_array_equal(layer(x), first)
    assert layer._written[2] == {x.shape: None}


def test_what_was_written_down_is_let_go_with_its_weights():
    layer, x = _conv()
    (gone,) = map(weakref.ref, _calls(layer))
    gc.disable()
    try:
        layer.kernel = -layer.kernel
        assert gone() is None
    finally:
        gc.enable()
    layer(x)


def test_weights_that_are_often_replaced_are_written_down_later():
    layer, x = _conv()
    for many in (8, 16, 32, 64, 64):
        layer.kernel = -layer.kernel
        for _ in range(many):
            layer(x)
        assert not _calls(layer)
        layer(x)
        assert _calls(layer)
    layer.padding = "valid"
    for _ in range(TIMES):
        layer(x)
    assert _calls(layer)


def test_weights_that_are_not_finite_count_at_once():
    layer, x = _conv()
    kernel = np.array(layer.kernel)
    kernel[0, 0, 0, 0] = np.inf
    layer.kernel = kernel
    wanted = layer.call(x)
    for _ in range(TIMES):
        np.testing.assert_array_equal(layer(x), wanted)


def test_a_penalty_on_results_is_reported_for_each_call():
    layer, x = _conv()
    layer.activity_regularizer = "l2"
    for _ in range(TIMES):
        layer(x)
    once = layer.losses
    layer(2 * x)
    assert once != layer.losses


@pytest.mark.parametrize(
    "changed",
    [
        lambda x: x[:, ::-1],
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(np.float64),
        lambda x: x.astype(">f4"),
        lambda x: x.tolist(),
        lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
        lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
        lambda x: x.view(np.recarray),
        lambda x: x.astype(np.int16),
        lambda x: np.concatenate([x, x])[:1],
    ],
)
def test_other_kinds_of_arrays_are_taken_too(changed):
    layer, x = _conv()
    given = changed(x)
    wanted = layer.call(np.array(np.asarray(given).tolist(), np.float32))
    np.testing.assert_array_equal(layer(given), wanted)


def test_wrong_shapes_are_refused_as_before():
    layer, x = _conv()
    with pytest.raises(ValueError, match="channels"):
        layer(x[..., :3].copy())
    with pytest.raises(ValueError, match="axes"):
        layer(x[0])


def test_results_are_new_each_time_and_what_is_kept_is_bounded():
    layer, x = _conv()
    assert not np.may_share_memory(layer(x), layer(x))
    for n in range(1, repeating.MOST_CALLS + 20):
        layer(np.zeros((1, 3, n, 4), np.float32))
    assert len(layer._written[2]) <= repeating.MOST_CALLS


def test_calls_of_classes_of_the_user_are_never_written_down():
    class Mine(layers.Conv2D):
        def call(self, x):
            return super().call(x) + np.random.default_rng().random()

    layer, x = Mine(4, 3), np.ones((1, 6, 6, 4), np.float32)
    for _ in range(TIMES):
        layer(x)
    assert not _calls(layer)
    assert not np.array_equal(layer(x), layer(x))


SHARED = [
    (layers.Conv2D(64, 3, padding="same"), (64, 64, 32)),
    (layers.Conv2D(64, 3, padding="same", data_format="channels_first"), (32, 64, 64)),
    (layers.Conv2D(32, 3, padding="same", dilation_rate=2), (64, 64, 32)),
    (layers.Conv2D(32, 3, padding="same", algorithm="direct"), (64, 64, 32)),
    (layers.Conv2D(32, 3, padding="same", activation="relu"), (112, 112, 3)),
    (layers.Conv2D(40, 1, data_format="channels_first"), (32, 64, 64)),
    (layers.Conv2D(64, 3, groups=16), (64, 64, 64)),
    (layers.DepthwiseConv2D(3, padding="same"), (112, 112, 40)),
    (layers.Conv2DTranspose(32, 3, strides=2), (40, 40, 40)),
    (layers.Conv2DTranspose(32, 2, strides=3), (40, 40, 40)),
    (layers.SeparableConv2D(40, 3), (64, 64, 40)),
    (layers.AveragePooling2D(3, 1), (112, 112, 40)),
    (layers.UpSampling2D(2, interpolation="bilinear"), (112, 112, 40)),
    (layers.ZeroPadding2D(1), (112, 112, 40)),
    (layers.BatchNormalization(), (112, 112, 40)),
    (layers.Dense(256), (900, 256)),
]


@pytest.mark.parametrize(("layer", "shape"), SHARED, ids=lambda value: repr(value)[1:14])
def test_calls_that_threads_share_repeat_their_bits(layer, shape):
    x = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    layer.build(x.shape)
    _check(layer, x)


def _shared():
    layer = layers.Conv2D(64, 3, padding="same")
    x = np.random.default_rng(0).standard_normal((1, 64, 64, 32)).astype(np.float32)
    for _ in range(TIMES):
        layer(x)
    return layer, x


def test_patches_that_are_doubtful_are_computed_anew_each_time():
    layer, x = _shared()
    assert _calls(layer)
    doubtful = x.copy()
    doubtful[0, 5, 5, 3] = 1e30
    doubtful[0, 40, 50, 3] = np.inf
    wanted = layer.call(doubtful), layer.call(x)
    _poison(layer)
    for _ in range(3):
        for one, right in zip((doubtful, x), wanted, strict=True):
            assert layer(one).tobytes() == right.tobytes()


def test_with_other_threads_nothing_that_is_written_down_is_called(monkeypatch):
    layer, x = _shared()
    (call,) = _calls(layer)
    wanted, threads_now = layer.call(x), numba.get_num_threads()
    assert call(x).tobytes() == wanted.tobytes()
    numba.set_num_threads(1)
    try:
        assert (call(x) is None) == (threads_now > 1)
        assert layer(x).tobytes() == wanted.tobytes()
    finally:
        numba.set_num_threads(threads_now)
    monkeypatch.setattr(machine_threads, "alone", True)
    assert call(x) is None
    assert layer(x).tobytes() == wanted.tobytes()


def test_what_takes_long_is_not_written_down(monkeypatch):
    monkeypatch.setattr(calls_written, "MOST_VALUES", 64 * 64 * 96)
    layer, _ = _shared()
    assert not _calls(layer)


def test_what_numpy_changes_between_kernels_is_not_taken_for_a_constant():
    layer, x = _conv()
    wider = layers.Conv2D(4, 1)
    wider.build(x.shape)
    assert written(lambda x: layer.call(x + 1), x) is None
    assert written(lambda x: layer.call(x) + 1, x) is None
    # Its weights are packed meanwhile.
    assert written(lambda x: wider.call(layer.call(x)), x) is None
    assert written(lambda x: wider.call(layer.call(x)), x) is not None


def test_threads_may_call_while_weights_change():
    layer, x = _conv()
    base_kernel, wrong = np.array(layer.kernel), []
    rights = [layer.call(x)]
    layer.kernel = -base_kernel
    rights.append(layer.call(x))
    stop = threading.Event()

    def call():
        while not stop.is_set():
            out = layer(x)
            if not any(np.array_equal(out, right) for right in rights):
                wrong.append(out)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(200):
        layer.kernel = base_kernel if i % 2 else -base_kernel
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong

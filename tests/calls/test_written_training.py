"""Forward and backward that are written down give what the layer gave before, whatever changes between them."""

import copy
import gc
import pickle
import weakref
from contextlib import nullcontext

import numpy as np
import pytest
from layer_cases import every_class, example, make

from numbaconv import layers
from numbaconv.calls import written as calls_written
from numbaconv.calls.written import Step
from numbaconv.common.again import UnlikeError
from numbaconv.layers import repeating

STEPS = repeating.MANY_STEPS + 2
MORE = [
    layers.Conv2D(5, 3, padding="same", activation="relu"),
    layers.Conv2D(20, 3, padding="same", data_format="channels_first", activation="tanh"),
    layers.Conv2D(4, 3, groups=2, strides=2, activation="gelu"),
    layers.Conv2D(4, 3, groups=4, padding="same"),
    layers.Conv2D(33, 2, use_bias=False),
    layers.Conv2D(40, 4, padding="same", dilation_rate=2),
    layers.Conv2D(1, 1, activation="sigmoid"),
    layers.Conv2D(128, 1, data_format="channels_first"),
    layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", strides=2),
    layers.DepthwiseConv2D(1, data_format="channels_first"),
    layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2),
    layers.Conv2DTranspose(3, 2, strides=3),
    layers.Conv2DTranspose(3, 3, strides=2, activation="relu", output_padding=1),
    layers.Conv2DTranspose(200, 2, dilation_rate=2),
    layers.MaxPooling2D(3, 2, padding="same", data_format="channels_first"),
    layers.AveragePooling2D(3, 1, padding="same"),
    layers.UpSampling2D(2, interpolation="bilinear"),
    layers.BatchNormalization(axis=1),
    layers.BatchNormalization(center=False),
    layers.Dense(70, activation="relu"),
    layers.Dense(3, activation="softmax", use_bias=False),
    layers.Softmax(axis=(1, 2)),
    layers.Activation("log_softmax"),
    layers.Conv2D(5, 3, trainable=False),
    layers.BatchNormalization(trainable=False),
]


def _steps(layer):
    return [step for step in layer._steps[1].values() if isinstance(step, Step)]


def _drawn(layer, shape, rng):
    shapes = shape, layer.compute_output_shape(shape), *(w.shape for w in layer.weights)
    x, grad, *weights = (rng.standard_normal(size).astype(layer.dtype) for size in shapes)
    return x, grad, [np.abs(w) for w in weights]


def _stepped(layer, shape, rng, **how):
    x, grad, weights = _drawn(layer, shape, rng)
    layer.set_weights(weights)
    out = layer.forward(x)
    return [out, layer.backward(grad, **how), *layer.gradients, *layer.weights]


def _check_steps(layer, shape, **how):
    """A layer that has taken some steps does what one that takes its first step does."""
    layer.build(shape)
    for i in range(STEPS):
        _stepped(layer, shape, np.random.default_rng(i), **how)
    for step in _steps(layer):
        for name in ("empty", "aligned_empty"):
            step.forward.__globals__[name] = calls_written._poisoned
    for i in range(3):
        fresh = type(layer).from_config(layer.get_config())
        fresh.build(shape)
        wanted, found = (_stepped(one, shape, np.random.default_rng(9 + i), **how) for one in (fresh, layer))
        for one, right in zip(found, wanted, strict=True):
            assert (one is None) == (right is None)
            if one is not None:
                assert (one.shape, one.dtype, one.tobytes()) == (right.shape, right.dtype, right.tobytes())


@every_class
def test_each_layer_repeats_the_bits_of_its_steps(name):
    layer = make(name)
    _check_steps(layer, example(layer, 4).shape)
    assert bool(_steps(layer)) == bool(layer._repeats)


@pytest.mark.parametrize("input_grad", [True, False])
@pytest.mark.parametrize("layer", MORE, ids=lambda layer: repr(layer)[1:14])
def test_settings_repeat_the_bits_of_steps(layer, input_grad):
    # Each test has a layer of its own.
    layer = type(layer).from_config(layer.get_config())
    _check_steps(layer, (2, 6, 8, 4), input_grad=input_grad)
    # Factors of inference are made by NumPy.
    assert bool(_steps(layer)) == (layer.trainable or not isinstance(layer, layers.BatchNormalization))


def _training():
    layer, rng, shape = layers.Conv2D(4, 3, padding="same"), np.random.default_rng(1), (1, 6, 6, 4)
    layer.build(shape)
    for _ in range(STEPS):
        _stepped(layer, shape, rng)
    assert _steps(layer)
    return layer, *_drawn(layer, shape, rng)


def _plainly(layer, x, grad):
    fresh = type(layer).from_config(layer.get_config())
    fresh.build(x.shape)
    fresh.set_weights(layer.get_weights())
    return [fresh.forward(x), fresh.backward(grad), *fresh.gradients]


@pytest.mark.parametrize(
    "changed",
    [
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(np.float64),
        lambda x: x.astype(">f4"),
        lambda x: x.tolist(),
        lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
        lambda x: x.view(np.recarray),
    ],
)
def test_steps_take_other_kinds_of_arrays_too(changed):
    layer, x, grad, _ = _training()
    right = _plainly(layer, x, grad)
    for one, other in ((changed(x), grad), (x, changed(grad)), (changed(x), changed(grad))):
        found = [layer.forward(one), layer.backward(other), *layer.gradients]
        assert all(np.array_equal(a, b) for a, b in zip(found, right, strict=True))
    assert _steps(layer)


def test_steps_refuse_what_they_refused_before():
    layer, x, grad, weights = _training()
    layer.forward(x)
    with pytest.raises(ValueError, match="grad_out must have shape"):
        layer.backward(grad[..., :3])
    layer.forward(x)
    layer.kernel = 2 * layer.kernel
    with pytest.raises(ValueError, match="weights must not change between forward and backward, but kernel did"):
        layer.backward(grad)
    layer.set_weights(weights)
    layer.forward(x)
    layer.backward(grad)
    with pytest.raises(ValueError, match="backward needs a forward"):
        layer.backward(grad)
    layer.forward(x)
    layer.strides = 1
    with pytest.raises(ValueError, match="backward needs a forward"):
        layer.backward(grad)


def test_a_step_may_end_in_another_way_than_those_before():
    layer, x, grad, _ = _training()
    right = _plainly(layer, x, grad)
    layer.forward(x)
    assert layer.backward(grad, input_grad=False) is None
    assert np.array_equal(layer.gradients[0], right[2])
    assert np.array_equal(layer(x), right[0])


@pytest.mark.parametrize("first", [True, False])
def test_steps_with_and_without_a_gradient_of_the_input_take_turns(first):
    layer, rng, shape = layers.Conv2D(3, 2), np.random.default_rng(0), (2, 5, 6, 4)
    layer.build(shape)
    for _ in range(STEPS):
        _stepped(layer, shape, rng, input_grad=first)
    for wanted in (not first, first, not first):
        fresh = layers.Conv2D(3, 2)
        fresh.build(shape)
        rights = _stepped(fresh, shape, np.random.default_rng(1), input_grad=wanted)
        for one, right in zip(_stepped(layer, shape, np.random.default_rng(1), input_grad=wanted), rights, strict=True):
            np.testing.assert_array_equal(one, right)
        assert _steps(layer)[0].input_grad


@pytest.mark.parametrize("interrupted", [False, True])
def test_statistics_follow_once_however_a_step_ends(interrupted, monkeypatch):
    layer, shape = layers.BatchNormalization(), (3, 5, 4)
    layer.build(shape)
    for i in range(STEPS):
        _stepped(layer, shape, np.random.default_rng(i))
    assert _steps(layer)
    x, grad, weights = _drawn(layer, shape, np.random.default_rng(8))
    layer.set_weights(weights)
    layer.forward(x)
    # Steps that values do not suit are taken plainly.
    (step,) = _steps(layer)

    def refuse(*_):
        raise UnlikeError

    layer._kept = layer._kept._replace(step=step._replace(backward=refuse))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) if interrupted else nullcontext():
        if interrupted:
            forward = layers.BatchNormalization._forward

            def stopped(self, x):
                forward(self, x)
                raise KeyboardInterrupt

            patch.setattr(layers.BatchNormalization, "_forward", stopped)
        layer.backward(grad)
    fresh = layers.BatchNormalization()
    fresh.build(shape)
    fresh.set_weights(weights)
    fresh.forward(x)
    for one, right in zip(layer.weights, fresh.weights, strict=True):
        np.testing.assert_array_equal(one, right)


def test_settings_and_penalties_count_in_the_next_step():
    layer, x, grad, _ = _training()
    layer.forward(x)
    layer.backward(grad)
    before = layer.gradients[0]
    layer.kernel_regularizer = "l2"
    for _ in range(STEPS):
        layer.forward(x)
        layer.backward(grad)
        np.testing.assert_allclose(layer.gradients[0], before + 0.02 * layer.kernel, rtol=1e-4, atol=1e-5)
    layer.kernel_regularizer, layer.trainable = None, False
    for _ in range(STEPS):
        layer.forward(x)
        layer.backward(grad)
        assert layer.gradients == [None, None]


@pytest.mark.parametrize("value", [np.inf, np.nan, -np.inf])
def test_steps_with_weights_that_are_not_finite(value):
    layer, x, grad, _ = _training()
    kernel = np.array(layer.kernel)
    kernel[0, 0, 0, 0] = value
    layer.kernel = kernel
    right = _plainly(layer, x, grad)
    for _ in range(2):
        found = [layer.forward(x), layer.backward(grad), *layer.gradients]
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, right, strict=True))


def test_steps_of_classes_and_functions_of_the_user_are_never_written_down():
    class Mine(layers.Dense):
        def call(self, x):
            return super().call(x)

    for layer in (Mine(3), layers.Dense(3, activation=lambda x: x), layers.Dense(3, activity_regularizer="l2")):
        layer.build((2, 4))
        for _ in range(STEPS):
            layer.forward(np.ones((2, 4), np.float32))
            if layer.activity_regularizer is not None:
                layer.backward(np.ones((2, 3), np.float32))
        assert not _steps(layer)


def test_steps_of_many_shapes_are_forgotten_and_copies_begin_anew():
    layer, *_ = _training()
    for other in (pickle.loads(pickle.dumps(layer)), layers.Conv2D.from_config(layer.get_config())):
        assert not _steps(other)
    for n in range(7, repeating.MOST_CALLS + 20):
        layer.forward(np.zeros((1, 1, n, 4), np.float32))
        layer.backward(np.zeros((1, 1, n, 4), np.float32))
    assert len(layer._steps[1]) <= repeating.MOST_CALLS


def test_large_steps_depend_on_the_number_of_threads(each_thread_count):
    layer, x = layers.Conv2D(16, 3), np.random.default_rng(0).standard_normal((2, 64, 64, 16)).astype(np.float32)
    for _ in range(STEPS):
        grad = layer.forward(x)
        layer.backward(grad)
    right = _plainly(layer, x, grad)
    found = [layer.forward(x), layer.backward(grad), *layer.gradients]
    assert all(np.array_equal(a, b) for a, b in zip(found, right, strict=True))


def test_steps_are_let_go_with_the_settings_they_are_for():
    layer, x, *_ = _training()
    (step,) = _steps(layer)
    gone = [weakref.ref(step.forward), weakref.ref(step.backward)]
    del step
    gc.disable()
    try:
        layer.padding = "valid"
        layer.forward(x)
        layer.backward(np.ones((1, 4, 4, 4), np.float32))
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_arrays_out_of_copies_go_on_written_down(monkeypatch, copied):
    layer, x, grad, _ = _training()
    for one, (xs, grads) in ((copied(layer), (x, grad)), (layer, copied((x, grad)))):
        for _ in range(STEPS):
            one(x)
            one.forward(x)
            one.backward(grad)
        right = [one(x), one.forward(x), one.backward(grad)]
        with monkeypatch.context() as patch:
            for name in ("call", "_forward", "_backward"):
                patch.setattr(layers.Conv2D, name, None)
            for found, wanted in zip([one(xs), one.forward(xs), one.backward(grads)], right, strict=True):
                np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("changed", [lambda grad: grad.astype(np.float64), lambda grad: grad.tolist()])
def test_other_kinds_of_gradients_need_no_second_forward(monkeypatch, changed):
    layer, x, grad, _ = _training()
    right = _plainly(layer, x, grad)[1:]
    layer.forward(x)
    with monkeypatch.context() as patch:
        patch.setattr(layers.Conv2D, "_forward", None)
        found = [layer.backward(changed(grad)), *layer.gradients]
    assert all(np.array_equal(a, b) for a, b in zip(found, right, strict=True))


@np.errstate(all="raise")
def test_gradients_too_large_for_the_dtype_are_infinite_without_a_word():
    layer, x = layers.BatchNormalization(), np.random.default_rng(0).standard_normal((8, 5, 4)).astype(np.float32)
    for _ in range(STEPS):
        layer.forward(x)
        layer.backward(np.full_like(x, 3e38))
        assert np.isinf(layer.gradients[1]).all()
    assert _steps(layer)

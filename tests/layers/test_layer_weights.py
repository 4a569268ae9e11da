"""The weights of layers: order, initial values, protection from change, penalties and constraints."""

import copy
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cases import FORMATS, assert_close
from layer_cases import SIGNATURES, every_class, every_weighted, example, make

from numbaconv import layers
from numbaconv.layers.repeating import MOST_CALLS


@every_weighted
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("data_format", FORMATS)
def test_weights_in_keras_order(name, use_bias, data_format):
    multiplier = {"depth_multiplier": 2} if "depth_multiplier" in SIGNATURES[name][1] else {}
    layer = make(name, use_bias=use_bias, data_format=data_format, **multiplier)
    assert layer.get_weights() == layer.weights == []
    layer(example(layer))
    k = (2,) * layer.rank
    shapes = {
        "Conv": {"kernel": (*k, 3, 4), "bias": (4,)},
        "Transpose": {"kernel": (*k, 4, 3), "bias": (4,)},
        "Depthwise": {"depthwise_kernel": (*k, 3, 2), "bias": (6,)},
        "Separable": {
            "depthwise_kernel": (*k, 3, 2),
            "pointwise_kernel": (*(1,) * layer.rank, 6, 4),
            "bias": (4,),
        },
    }[next(kind for kind in ("Transpose", "Depthwise", "Separable", "Conv") if kind in name)]
    if not use_bias:
        del shapes["bias"]
        assert layer.bias is None
    assert [w.shape for w in layer.weights] == [w.shape for w in layer.get_weights()] == list(shapes.values())
    assert all(getattr(layer, weight) is w for weight, w in zip(shapes, layer.weights, strict=True))
    assert layer.count_params() == sum(int(np.prod(shape)) for shape in shapes.values())
    assert all(w.dtype == np.float32 for w in layer.weights)
    if use_bias:
        assert not layer.bias.any()
    assert layer.weights[0].any()


@every_class
def test_layers_without_weights_have_none(name):
    if SIGNATURES[name][0]:
        return
    layer = make(name)
    layer(example(layer))
    assert layer.weights == layer.get_weights() == layer.trainable_weights == layer.losses == []
    assert layer.count_params() == 0
    layer.set_weights([])


@every_weighted
def test_trainable(name):
    layer = make(name)
    layer(example(layer))
    assert len(layer.trainable_weights) == len(layer.weights)
    assert layer.non_trainable_weights == []
    layer.trainable = False
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == len(layer.weights)


@every_weighted
def test_initial_weights(name):
    first = make(name)
    first(example(first))
    drawn = [np.full(w.shape, i + 0.5) for i, w in enumerate(first.weights)]
    layer = make(name, weights=drawn)
    out = layer(example(layer))
    for w, d in zip(layer.get_weights(), drawn, strict=True):
        np.testing.assert_array_equal(w, d)
    first.set_weights(drawn)
    assert first(example(first)).tobytes() == out.tobytes()


@every_weighted
def test_initial_weights_that_do_not_fit_are_refused_each_time(name):
    layer = make(name, weights=[np.zeros(1)])
    for _ in range(2):
        with pytest.raises(ValueError, match="weights must be"):
            layer(example(layer))


@every_weighted
def test_weights_cannot_be_changed_in_place(name):
    layer = make(name)
    out = layer(example(layer))
    for weight in layer.weights:
        array = weight
        while isinstance(array, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
            array = array.base
        assert memoryview(array).readonly
    with pytest.raises(AttributeError):
        layer.weights = []
    for copied in layer.get_weights():
        copied[...] = 0
    layer.weights.clear()
    assert layer(example(layer)).tobytes() == out.tobytes()


@every_weighted
def test_new_weights_act_at_once_and_are_copied(name):
    layer = make(name)
    x = example(layer)
    layer(x)
    given = [np.ones(w.shape, np.float32) for w in layer.weights]
    layer.set_weights(given)
    twin = make(name, weights=given)
    out = layer(x)
    assert out.tobytes() == twin(x).tobytes()
    for array in given:
        array[...] = 7
    assert layer(x).tobytes() == out.tobytes()
    layer.bias = np.full_like(given[-1], 5)
    np.testing.assert_allclose(layer(x), out + 4, rtol=1e-5, atol=1e-5)
    kernel = next(weight for weight in ("kernel", "depthwise_kernel") if hasattr(layer, weight))
    setattr(layer, kernel, np.zeros(given[0].shape))
    np.testing.assert_array_equal(layer(x), np.full_like(out, 5))


@every_weighted
def test_refused_weights_change_nothing(name):
    layer = make(name)
    x = example(layer)
    out = layer(x)
    before = layer.get_weights()
    ones = [np.ones(w.shape) for w in before]
    for wrong in (ones[:-1], [*ones, ones[0]], [*ones[:-1], np.ones((1, 1))], [ones[0].ravel(), *ones[1:]]):
        with pytest.raises(ValueError, match=layer.name):
            layer.set_weights(wrong)
    with pytest.raises(TypeError, match=layer.name):
        layer.set_weights([*ones[:-1], ones[-1].astype(complex)])
    with pytest.raises(ValueError, match="bias must have shape"):
        layer.bias = np.ones(99)
    assert [w.tolist() for w in layer.weights] == [w.tolist() for w in before]
    assert layer(x).tobytes() == out.tobytes()


@every_weighted
def test_penalties(name):
    kinds = [argument for argument in SIGNATURES[name][1] if argument.endswith("_regularizer")]
    layer = make(name, **dict.fromkeys(kinds, "l2"), bias_initializer="ones")
    x = example(layer)
    assert layer.losses == []
    layer.build(x.shape)
    on_weights = [0.01 * float((w.astype(np.float64) ** 2).sum()) for w in layer.weights]
    np.testing.assert_allclose(layer.losses, on_weights, rtol=1e-6)
    out = layer(x)
    activity = 0.01 * float((out.astype(np.float64) ** 2).sum()) / len(x)
    np.testing.assert_allclose(layer.losses, [*on_weights, activity], rtol=1e-6)
    layer(x[:1])
    assert layer.losses[-1] != pytest.approx(activity)
    layer(x[:0])
    assert layer.losses[-1] == 0
    assert all(isinstance(loss, float) for loss in layer.losses)


def test_activity_penalty_counts_the_activated_output():
    layer = layers.Conv2D(4, 2, activation="relu", activity_regularizer=lambda a: np.abs(a).sum())
    out = layer(example(layer))
    assert layer.losses == pytest.approx([out.sum() / 2])


@every_weighted
def test_constraints_act_only_when_asked_to(name):
    kinds = [argument for argument in SIGNATURES[name][1] if argument.endswith("_constraint")]
    layer = make(name, **dict.fromkeys(kinds, "non_neg"))
    x = example(layer)
    layer(x)
    mixed = [np.linspace(-1, 1, w.size).reshape(w.shape) for w in layer.weights]
    layer.set_weights(mixed)
    out = layer(x)
    assert all(w.min() == -1 for w in layer.weights)
    layer.apply_constraints()
    for w, m in zip(layer.weights, mixed, strict=True):
        np.testing.assert_array_equal(w, np.maximum(m.astype(np.float32), 0))
    assert layer(x).tobytes() != out.tobytes()
    assert layer(x).tobytes() == make(name, weights=[np.maximum(m, 0) for m in mixed])(x).tobytes()


def test_a_layer_keeps_its_channels():
    layer = layers.Conv2D(4, 2)
    layer.build((None, None, None, 3))
    layer.build((5, 8, 9, 3))
    assert layer(np.ones((1, 12, 4, 3))).shape == (1, 11, 3, 4)
    assert layer.input_shape == (None, None, None, 3)


@every_class
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_compute_the_same(name, duplicate):
    layer = make(name)
    x = example(layer)
    out = layer(x)
    twin = duplicate(layer)
    assert twin(x).tobytes() == out.tobytes()
    assert not any(w.flags.writeable for w in twin.weights)


@every_weighted
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_have_weights_of_their_own(name, duplicate):
    layer = make(name)
    x = example(layer)
    out = layer(x)
    twin = duplicate(layer)
    twin.set_weights([np.zeros(w.shape) for w in twin.weights])
    assert not twin(x).any()
    assert layer(x).tobytes() == out.tobytes()


@every_weighted
def test_any_number_of_input_shapes(name):
    layer = make(name)
    x = np.tile(example(layer), (MOST_CALLS, *(1,) * (layer.rank + 1)))
    out, first = layer(x), []
    # More than a layer remembers, and each again once it is forgotten.
    for batch in range(MOST_CALLS + 20):
        first.append(layer(x[:batch]))
        # What computes a result fastest, and so its last bits, may depend on the batch.
        assert_close(first[-1], out[:batch], 1e-5)
        assert len(layer._calls) <= MOST_CALLS
    for batch, wanted in enumerate(first):
        assert layer(x[:batch]).tobytes() == wanted.tobytes()
        assert len(layer._calls) <= MOST_CALLS


@every_weighted
@pytest.mark.parametrize("activation", [lambda a: a[..., :1], lambda a: a.sum(), lambda a: a[:, None]])
def test_activations_must_keep_the_shape(name, activation):
    layer = make(name, activation=activation)
    x = example(layer)
    shape = layer.compute_output_shape(x.shape)
    with pytest.raises(ValueError) as raised:
        layer(x)
    message = str(raised.value)
    assert layer.name in message
    assert "activation" in message
    assert str(shape) in message
    assert str(activation(np.zeros(shape)).shape) in message


def test_threads_that_share_an_unbuilt_layer_agree():
    x = np.ones((1, 4, 4, 2), np.float32)
    for _ in range(5):

        def slow(shape, dtype):
            time.sleep(0.01)
            return np.random.default_rng().random(shape).astype(dtype)

        layer = layers.Conv2D(3, 2, kernel_initializer=slow)
        with ThreadPoolExecutor(4) as pool:
            outs = list(pool.map(lambda _, layer=layer: layer(x), range(4)))
        now = layer(x)
        assert all(out.tobytes() == now.tobytes() for out in outs)
        again = layers.Conv2D(3, 2, weights=layer.get_weights())
        assert again(x).tobytes() == now.tobytes()

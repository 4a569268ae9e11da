"""TimeDistributed and Bidirectional: what they hold, and gradients through the layer that each step gets."""

import copy
import json

import numpy as np
import pytest
from differences import numeric

from numbaconv import layers
from numbaconv.layers import GRU, LSTM, BatchNormalization, Bidirectional, Conv1D, Dense, Dropout, TimeDistributed
from numbaconv.models import Model, Sequential

RNG = np.random.default_rng(6)
X = RNG.standard_normal((2, 3, 5, 4))


def inner_model(**settings):
    return Sequential([Conv1D(3, 2, **settings), layers.Flatten(), Dense(2, "tanh", **settings)])


INNER = {
    "Dense": lambda **k: Dense(3, "tanh", kernel_regularizer="l2", **k),
    "Conv1D": lambda **k: Conv1D(2, 2, activation="relu", **k),
    "Flatten": lambda **k: layers.Flatten(**k),
    "Sequential": inner_model,
    "TimeDistributed": lambda **k: TimeDistributed(Dense(2, **k)),
}


@pytest.mark.parametrize("make", INNER.values(), ids=INNER)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_step_for_itself(make, dtype):
    layer = TimeDistributed(make(dtype=dtype))
    out = layer(X)
    assert out.dtype == dtype
    wanted = np.stack([layer.layer(X[:, i]) for i in range(3)], axis=1)
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape(X.shape) == out.shape
    assert layer.compute_output_shape((None, None, 5, 4)) == (None, None, *out.shape[2:])
    assert layer(X[:0]).shape == (0, *out.shape[1:])
    assert layer(X[:, :0]).shape == (2, 0, *out.shape[2:])
    assert str(out.shape) in layer.explain(X.shape)
    assert layer(X, training=True).tobytes() == layer.forward(X).tobytes() == out.tobytes()


@pytest.mark.double
@pytest.mark.parametrize("make", INNER.values(), ids=INNER)
def test_gradients(make):
    layer = TimeDistributed(make(dtype="float64"))
    grad_out = RNG.standard_normal(layer(X).shape)
    layer.forward(X)
    grad_x = layer.backward(grad_out)
    gradients = layer.gradients
    np.testing.assert_allclose(grad_x, numeric(lambda x: (layer(x) * grad_out).sum(), X), rtol=1e-6, atol=1e-7)
    weights = layer.get_weights()
    assert len(gradients) == len(weights)
    for place, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):

        def loss_of(value, place=place):
            layer.set_weights([*weights[:place], value, *weights[place + 1 :]])
            return (layer(X) * grad_out).sum() + sum(layer.losses)

        np.testing.assert_allclose(gradient, numeric(loss_of, weight), rtol=1e-6, atol=1e-7)
    layer.forward(X)
    assert layer.backward(grad_out, input_grad=False) is None
    with pytest.raises(ValueError, match="backward needs a forward"):
        layer.backward(grad_out)
    layer.forward(X)
    with pytest.raises(ValueError, match=r"grad_out must have shape .*, got \(2,\)"):
        layer.backward(np.ones(2))


def test_training_as_without_the_wrapper():
    """Dense acts on the last axis, so that it is its own TimeDistributed."""
    x, y = RNG.standard_normal((8, 3, 4)), RNG.standard_normal((8, 3, 2))
    weights = [RNG.standard_normal((4, 2)), np.zeros(2)]
    models = [
        Sequential([layer, Dropout(0.5, seed=2)])
        for layer in (Dense(2, weights=weights), TimeDistributed(Dense(2, weights=weights)))
    ]
    losses = []
    for model in models:
        model.compile("adam", "mse")
        losses.append(model.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    np.testing.assert_allclose(models[0].get_weights()[0], models[1].get_weights()[0], rtol=1e-4, atol=1e-6)


def test_all_steps_are_one_batch_of_batch_normalization():
    layer, plain = TimeDistributed(BatchNormalization(momentum=0)), BatchNormalization(momentum=0)
    x = X[..., 0]
    np.testing.assert_array_equal(layer(x, training=True), plain(x, training=True))
    np.testing.assert_array_equal(layer.get_weights()[2], plain.get_weights()[2])
    assert len(layer.trainable_weights) == len(layer.non_trainable_weights) == 2


def test_masks_of_each_step():
    inner = layers.SimpleRNN(1, "linear", weights=[[[2]], [[3]], [1]])
    layer = TimeDistributed(inner)
    x = np.array([[[[1.0], [2]], [[3], [4]]]])
    assert layer(x).tolist() == [[[14], [30]]]
    mask = np.array([[[True, False], [False, True]]])
    assert layer(x, mask=mask).tolist() == [[[3], [9]]]
    assert layer(x, mask=mask[..., 0]).tolist() == [[[14], [30]]]
    assert layer.compute_mask(x, "mask") == "mask"
    assert Sequential([layers.Masking(2), layer])(x).tolist() == [[[3], [30]]]


def test_what_is_held_can_be_frozen():
    layer = TimeDistributed(Dense(2), trainable=False)
    layer.build((None, 3, 4))
    assert not layer.layer.trainable
    assert layer.trainable_weights == []
    layer.trainable = True
    assert layer.layer.trainable
    assert len(layer.trainable_weights) == 2
    both = Bidirectional(LSTM(2))
    both.trainable = False
    assert not both.forward_layer.trainable
    assert not both.backward_layer.trainable


def test_weights_are_set_all_or_none():
    layer = TimeDistributed(inner_model())
    with pytest.raises(ValueError, match="set_weights needs a built layer"):
        layer.set_weights([np.ones(1)])
    layer.build((None, 3, 5, 4))
    before = layer.get_weights()
    with pytest.raises(ValueError, match="must have shape"):
        layer.set_weights([w + 1 for w in before[:-1]] + [np.ones(9)])
    for one, other in zip(layer.get_weights(), before, strict=True):
        assert one.tobytes() == other.tobytes()
    with pytest.raises(ValueError, match="a list of 4 arrays"):
        layer.set_weights(before[1:])
    assert layer.count_params() == sum(w.size for w in before)
    made = TimeDistributed(inner_model(), weights=[w * 0 + 0.5 for w in before])
    assert {w.min() for w in (made(X), made)[1].weights} == {0.5}


def test_bidirectional_by_hand():
    def cell(**settings):
        return layers.SimpleRNN(1, "linear", **settings)

    weights = [[[2]], [[3]], [1], [[1]], [[1]], [0]]
    x = [[[1], [2], [3]]]
    modes = {"concat": [[49, 6]], "sum": [[55]], "mul": [[294]], "ave": [[27.5]]}
    for mode, wanted in modes.items():
        assert Bidirectional(cell(), mode, weights)(x).tolist() == wanted
    assert [one.tolist() for one in Bidirectional(cell(), None, weights)(x)] == [[[49]], [[6]]]
    layer = Bidirectional(cell(return_sequences=True, return_state=True), weights=weights)
    out, forth, back = layer(x, mask=[[True, True, False]])
    assert out.tolist() == [[[3, 3], [14, 2], [0, 0]]]
    assert (forth.tolist(), back.tolist()) == ([[14]], [[3]])
    assert layer.compute_mask(x, "mask") == ["mask", None, None]
    assert layer.compute_output_shape((None, 3, 1)) == [(None, 3, 2), (None, 1), (None, 1)]


def test_bidirectional_copies_its_layer():
    layer = LSTM(2, name="mine")
    first, second = Bidirectional(layer), Bidirectional(layer)
    assert first.forward_layer.name == "forward_mine"
    assert first.backward_layer.name == "backward_mine"
    x = np.ones((1, 2, 3))
    first(x), second(x)
    assert not layer.built
    assert not np.array_equal(first.weights[0], second.weights[0])
    own = GRU(2, go_backwards=True, return_sequences=True)
    held = Bidirectional(GRU(2, return_sequences=True), backward_layer=own)
    assert held.backward_layer is own
    assert own.zero_output_for_mask


@pytest.mark.parametrize(
    "make",
    [
        *(lambda make=make: TimeDistributed(make(), name="mine") for make in INNER.values()),
        lambda: Bidirectional(GRU(3), name="mine"),
        lambda: Bidirectional(LSTM(3), "mul", backward_layer=LSTM(3, "relu", go_backwards=True), name="mine"),
    ],
)
def test_configurations(make, tmp_path):
    layer = make()
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    assert twin.get_config() == layer.get_config()
    x = X if isinstance(layer, TimeDistributed) else X[0]
    model = Sequential([layer])
    wanted = model(x)
    model.save(tmp_path / "model.npz")
    assert Sequential.load(tmp_path / "model.npz")(x).tobytes() == wanted.tobytes()
    assert copy.deepcopy(model)(x).tobytes() == wanted.tobytes()
    entry = layers.Input(x.shape[1:])
    again = Model(entry, twin(entry))
    again.set_weights(model.get_weights())
    assert again(x).tobytes() == wanted.tobytes()


class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


def test_a_users_layer_inside():
    layer = TimeDistributed(Doubled())
    assert layer([[[1.0]], [[2]]]).tolist() == [[[2]], [[4]]]
    with pytest.raises(TypeError, match="can be put in a config"):
        layer.get_config()
    model = Sequential([TimeDistributed(Dense(1))])
    config = model.get_config()
    config["layers"][0]["config"]["layer"] = {"class_name": "Doubled", "config": {"name": "d"}}
    twin = Sequential.from_config(config, {"Doubled": Doubled})
    assert twin([[[1.0]], [[2]]]).tolist() == [[[2]], [[4]]]


REFUSED = {
    "no layer": (lambda: TimeDistributed("Dense"), TypeError, ("layer must be a layer or a model", "'Dense'")),
    "no recurrent one": (lambda: Bidirectional(Dense(2)), TypeError, ("SimpleRNN, LSTM or GRU", "Dense")),
    "merge_mode": (lambda: Bidirectional(GRU(2), "max"), ValueError, ("merge_mode", "'concat'", "'max'")),
    "twice forwards": (
        lambda: Bidirectional(GRU(2), backward_layer=GRU(2)),
        ValueError,
        ("go backwards", "go_backwards=False twice"),
    ),
    "different results": (
        lambda: Bidirectional(GRU(2), backward_layer=GRU(2, return_state=True, go_backwards=True)),
        ValueError,
        ("return_state", "must be the same", "False and True"),
    ),
    "different units": (
        lambda: Bidirectional(GRU(2), "sum", backward_layer=GRU(3, go_backwards=True))(np.ones((1, 2, 3))),
        ValueError,
        ("units", "'sum'"),
    ),
    "states": (
        lambda: Bidirectional(LSTM(2))(np.ones((1, 2, 3)), initial_state=[np.ones((1, 2))] * 3),
        ValueError,
        ("initial_state must be a list of 4",),
    ),
    "two axes": (lambda: TimeDistributed(Dense(2))(np.ones((2, 3))), ValueError, ("at least 3", "(2, 3)")),
    "penalty outside": (
        lambda: TimeDistributed(Dense(2), activity_regularizer="l2"),
        ValueError,
        ("activity_regularizer", "inside"),
    ),
    "another layer": (lambda: change(TimeDistributed(Dense(2)), "layer", Dense(3)), ValueError, ("make a new layer",)),
    "unknown class": (
        lambda: TimeDistributed.from_config({"layer": {"class_name": "Dens", "config": {}}}),
        ValueError,
        ("class_name", "Dense", "'Dens'"),
    ),
    "no config": (lambda: TimeDistributed.from_config({"layer": "Dense"}), TypeError, ("class_name", "'Dense'")),
}


def change(layer, name, value):
    setattr(layer, name, value)


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert all(part in message for part in said), message

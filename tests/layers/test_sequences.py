"""Layers over the steps of sequences: by hand, with masks and states, and what training says of them."""

import copy
import pickle

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.layers import GRU, LSTM, Dense, Embedding, Input, Masking, MultiHeadAttention, SimpleRNN
from numbaconv.models import Model, Sequential, clone_model

X = [[[1], [2], [3]]]


def simple(**settings):
    """``h = 2 * x + 3 * h + 1``."""
    return SimpleRNN(1, "linear", weights=[[[2]], [[3]], [1]], **settings)


# -- recurrent layers by hand ------------------------------------------------------------------------------------------


def test_simple_rnn_by_hand():
    assert simple()(X).tolist() == [[49]]
    assert simple(return_sequences=True)(X).tolist() == [[[3], [14], [49]]]
    assert simple(return_sequences=True, go_backwards=True)(X).tolist() == [[[7], [26], [81]]]
    assert [out.tolist() for out in simple(return_state=True)(X)] == [[[49]], [[49]]]
    assert simple()(X, initial_state=np.array([[10]])).tolist() == [[6 + 3 * (4 + 3 * 33 + 1) + 1]]
    assert SimpleRNN(1, "relu", use_bias=False, weights=[[[-1]], [[3]]])(X).tolist() == [[0]]


def test_masked_steps_are_passed_over():
    mask = [[True, False, True]]
    assert simple()(X, mask=mask).tolist() == [[16]]
    layer = simple(return_sequences=True)
    assert layer(X, mask=mask).tolist() == [[[3], [3], [16]]]
    assert layer(X, mask=np.array([[0, 1, 0]])).tolist() == [[[0], [5], [5]]]
    assert layer(X, mask=[[False] * 3], initial_state=np.array([[10]])).tolist() == [[[0], [0], [0]]]
    zero = simple(return_sequences=True, zero_output_for_mask=True, return_state=True)
    out, state = zero([[[1], [2], [np.nan]]], mask=[[True, True, False]])
    assert out.tolist() == [[[3], [14], [0]]]
    assert state.tolist() == [[14]]
    assert zero.compute_mask(X, "mask") == ["mask", None]
    assert simple().compute_mask(X, "mask") is None


def test_lstm_by_hand():
    weights = [[[1, 2, 3, 4]], [[1, 0, 0, 0]], [0, 0, 0, 0]]
    layer = LSTM(1, "linear", "linear", weights=weights, return_sequences=True, return_state=True)
    out, h, c = layer([[[1], [2]]])
    # c = 0 * 2 + 1 * 3, h = 4 * 3; then i = 2 + 12, c = 3 * 4 + 14 * 6, h = 8 * 96.
    assert out.tolist() == [[[12], [768]]]
    assert h.tolist() == [[768]]
    assert c.tolist() == [[96]]
    (again, *_), first = layer([[[2]]], initial_state=[[[12]], [[3]]]), out[:, :1]
    assert again.tolist() == [[[768]]]
    assert first.tolist() == [[[12]]]


def test_the_forget_bias_begins_as_one():
    for begin, wanted in ((True, [2, 2, 1, 1, 2, 2, 2, 2]), (False, [2] * 8)):
        layer = LSTM(2, bias_initializer=lambda shape, dtype: np.full(shape, 2, dtype), unit_forget_bias=begin)
        layer.build((None, None, 3))
        assert layer.bias.tolist() == wanted


@pytest.mark.parametrize(("reset_after", "wanted"), [(True, [6.5, -775.125]), (False, [4, -152])])
def test_gru_by_hand(reset_after, wanted):
    # z = 0.5 * x + h, r = 2 * x + h; with reset_after n = 3 * x + r * (h + 5), otherwise 3 * x + r * h + 5.
    bias = [[0, 0, 0], [0, 0, 5]] if reset_after else [0, 0, 5]
    layer = GRU(1, "linear", "linear", weights=[[[0.5, 2, 3]], [[1, 1, 1]], bias], reset_after=reset_after)
    layer.return_sequences = True
    assert layer([[[1], [2]]]).ravel().tolist() == wanted


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(0, 3, 2), (1, 1, 2), (3, 0, 2), (2, 4, 2)])
def test_shapes_and_dtypes(kind, dtype, shape):
    for sequences in (False, True):
        layer = kind(3, return_sequences=sequences, return_state=True, dtype=dtype)
        found = layer(np.ones(shape))
        assert [one.shape for one in found] == layer.compute_output_shape(shape)
        assert {one.dtype for one in found} == {np.dtype(dtype)}
        assert layer.compute_output_shape((None, None, 2))[0] == ((None, None, 3) if sequences else (None, 3))
        assert not any(np.may_share_memory(found[0], one) for one in found[1:])
        assert "3 units" in layer.explain(shape)


def test_arguments_that_change_nothing():
    x = np.random.default_rng(1).standard_normal((2, 4, 3))
    wanted = LSTM(2, kernel_initializer="ones", recurrent_initializer="ones")(x)
    settings = {"unroll": True, "use_cudnn": False, "dropout": 0.5, "recurrent_dropout": 0.5, "seed": 3}
    old = {"time_major": False, "implementation": 2, "stateful": False, "autocast": True}
    layer = LSTM(2, kernel_initializer="ones", recurrent_initializer="ones", **settings, **old)
    assert layer(x).tobytes() == wanted.tobytes()
    assert Embedding(3, 2, input_length=10).get_config() == Embedding(3, 2, name="embedding").get_config() | {
        "name": layer_name(Embedding(3, 2, input_length=None), -1)
    }


def layer_name(layer, step):
    """The name that the class's layer before or after this one had."""
    stem, _, number = layer.name.rpartition("_")
    return f"{stem}_{int(number) + step}" if int(number) + step else stem


def test_what_a_function_of_the_users_activates():
    layer = SimpleRNN(1, lambda x: x * 10, use_bias=False, weights=[[[1]], [[0]]])
    assert layer(X).tolist() == [[30]]


# -- Embedding and Masking ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "bool"])
def test_embedding_by_hand(dtype):
    layer = Embedding(3, 2, weights=[[[1, 2], [3, 4], [5, 6]]])
    ids = np.array([[0, 1], [1, 0]], dtype)
    assert layer(ids).tolist() == [[[1, 2], [3, 4]], [[3, 4], [1, 2]]]
    assert layer(ids[0]).tolist() == [[1, 2], [3, 4]]
    assert layer(ids[:0]).shape == (0, 2, 2)
    assert layer.compute_output_shape((None, 7)) == (None, 7, 2)
    assert layer.compute_mask(ids) is None
    assert Embedding(3, 2, mask_zero=True).compute_mask(ids).tolist() == [[False, True], [True, False]]


def test_masking_by_hand():
    x = [[[2, 2], [2, 3], [np.nan, 2]]]
    layer = Masking(2)
    np.testing.assert_array_equal(layer(x), [[[0, 0], [2, 3], [np.nan, 2]]])
    assert layer.compute_mask(x).tolist() == [[False, True, True]]
    assert layer.compute_mask(x, mask=[[True, False, True]]).tolist() == [[False, True, True]]


def test_masks_reach_the_layers_behind():
    """In the middle of a sequence and at its end; a convolution hands none on."""
    steps = np.array([[[1.0], [0], [3]], [[1], [2], [0]]])
    wanted = [[2 * 3 + 3 * 3 + 1], [14]]
    assert Sequential([Masking(), simple()])(steps).tolist() == wanted
    assert (
        Sequential([Masking(), layers.Dropout(0.5), Dense(1, weights=[[[1]], [0]]), simple()])(steps).tolist() == wanted
    )
    conv = layers.Conv1D(1, 1, weights=[[[[1]]], [0]])
    assert Sequential([Masking(), conv, simple()])(steps).tolist() == [[2 * 3 + 3 * (3 * 3 + 1) + 1], [43]]
    ids = np.array([[2, 0, 1], [1, 2, 0]])
    embedding = Embedding(3, 1, mask_zero=True, weights=[[[9], [1], [2]]])
    assert Sequential([embedding, simple()])(ids).tolist() == [[2 + 15 + 1], [4 + 9 + 1]]
    embedding.mask_zero = False
    assert Sequential([embedding, simple()])(ids)[0].tolist() == [2 + 3 * (18 + 15 + 1) + 1]


def test_an_average_of_steps_that_count():
    x = np.array([[[1.0, 2], [3, 4], [5, 6]], [[1, 1], [1, 1], [np.nan, 7]]])
    mask = np.array([[True, False, True], [True, True, False]])
    layer = layers.GlobalAveragePooling1D(dtype="float64")
    assert layer(x, mask=mask).tolist() == [[3, 4], [1, 1]]
    first = layers.GlobalAveragePooling1D("channels_first", keepdims=True)
    assert first(np.moveaxis(x, 1, 2), mask=mask).tolist() == [[[3], [4]], [[1], [1]]]
    assert np.isnan(layer(x, mask=np.zeros((2, 3), bool))).all()
    model = Sequential([Masking(7), layers.GlobalAveragePooling1D()])
    assert model([[[1, 1], [7, 7], [4, 7]]]).tolist() == [[2.5, 4]]
    _, kept = layer._forward(x, mask)
    grad, _ = layer._backward(kept, np.array([[2.0, 4], [6, 8]]), True)
    assert grad.tolist() == [[[1, 2], [0, 0], [1, 2]], [[3, 4], [3, 4], [0, 0]]]
    with pytest.raises(ValueError, match=r"mask must be an array of bools of shape \(2, 3\)"):
        layer(x, mask=np.ones((3, 2)))


# -- MultiHeadAttention ------------------------------------------------------------------------------------------------


def test_attention_by_hand():
    layer = MultiHeadAttention(1, 1, use_bias=False, weights=[[[[1]]], [[[1]]], [[[1]]], [[[1]]]])
    query, value, key = [[[0], [np.log(2)], [0]]], [[[6], [0], [3]]], [[[0], [1], [1]]]
    out, scores = layer(query, value, key, return_attention_scores=True)
    np.testing.assert_allclose(scores[0, 0], [[1 / 3] * 3, [0.2, 0.4, 0.4], [1 / 3] * 3], rtol=1e-6)
    np.testing.assert_allclose(out, [[[3], [2.4], [3]]], rtol=1e-6)
    np.testing.assert_allclose(layer(query, value, key, use_causal_mask=True), [[[6], [2], [3]]], rtol=1e-6)
    some = layer(query, value, key, attention_mask=np.array([[[0, 1, 0], [0, 0, 1], [1, 1, 0]]]))
    np.testing.assert_allclose(some, [[[0], [3], [3]]], rtol=1e-6)
    np.testing.assert_allclose(layer(query, value, key, value_mask=[[1, 0, 0]]), [[[6]] * 3], rtol=1e-6)
    # A position that may read nothing: the average of all, or 0 where scores are asked for, as in Keras.
    np.testing.assert_allclose(layer(query, value, key, query_mask=[[0, 1, 1]])[0, 0], [3], rtol=1e-6)
    assert layer(query, value, key, query_mask=[[0, 1, 1]], return_attention_scores=True)[0][0, 0] == 0


def test_two_heads_are_added():
    kernels = [np.ones((1, 2, 1))] * 2 + [np.array([[[1], [10]]]), np.array([[[1]], [[2]]])]
    layer = MultiHeadAttention(2, 1, use_bias=False, weights=kernels)
    assert layer([[[0]]], [[[3]]]).tolist() == [[[3 + 2 * 30]]]
    assert layer.value_dim == 1
    assert layer.compute_output_shape((None, 4, 1), (None, None, 1)) == (None, 4, 1)
    assert MultiHeadAttention(2, 3, output_shape=5).compute_output_shape((2, 4, 1), (2, 3, 7)) == (2, 4, 5)
    assert "(2, 4, 1)" in layer.explain((2, 4, 1), (2, 3, 1))


def test_attention_in_a_network():
    query, value = Input((3, 2)), Input((None, 4))
    layer = MultiHeadAttention(2, 3)
    out, scores = layer(query, value, return_attention_scores=True, use_causal_mask=True)
    assert out.shape == (None, 3, 2)
    assert scores.shape == (None, 2, 3, None)
    model = Model([query, value], [out, scores])
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((5, 3, 2)), rng.standard_normal((5, 4, 4))]
    wanted = layer(*arrays, return_attention_scores=True, use_causal_mask=True)
    for one, other in zip(model(arrays), wanted, strict=True):
        assert one.tobytes() == other.tobytes()
    twin = Model.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    assert twin(arrays)[0].tobytes() == wanted[0].tobytes()
    clone = clone_model(model)
    clone.set_weights(model.get_weights())
    assert clone(arrays)[1].tobytes() == wanted[1].tobytes()
    assert "a query of (None, 3, 2) and a value of (None, None, 4)" in model.explain()
    layer.trainable = False
    told = []
    model.summary(told.append)
    assert "(None, 3, 2)" in told[0]


def test_states_in_a_network():
    x, begin = Input((4, 2)), Input((3,))
    layer = GRU(3, return_state=True)
    out, state = layer(x, initial_state=begin)
    assert out.shape == state.shape == (None, 3)
    model = Model([x, begin], [out, state])
    arrays = [np.ones((2, 4, 2)), np.full((2, 3), 0.5)]
    wanted = layer(arrays[0], initial_state=arrays[1])[0]
    assert model(arrays)[0].tobytes() == layer(arrays)[0].tobytes() == wanted.tobytes()
    assert np.abs(wanted - layer(arrays[0])[0]).max() > 1e-3


# -- training ----------------------------------------------------------------------------------------------------------


def test_layers_behind_are_trained():
    rng = np.random.default_rng(4)
    ids, y = rng.integers(0, 5, (40, 6)), rng.standard_normal((40, 1))
    front = [
        Embedding(5, 3, mask_zero=True, trainable=False),
        layers.Bidirectional(LSTM(4, return_sequences=True), trainable=False),
        layers.GlobalAveragePooling1D(),
    ]
    model = Sequential([*front, Dense(1)])
    model.compile("sgd", "mse")
    model.build(ids.shape)
    before = [w.tobytes() for layer in front for w in layer.weights]
    assert len(before) == 7
    losses = model.fit(ids, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert [w.tobytes() for layer in front for w in layer.weights] == before
    # As the layer behind alone, for what it gets.
    last = Dense(1, weights=model.layers[-1].get_weights())
    inner = Sequential(front)(ids)
    model.forward(ids), last.forward(inner)
    grad = np.ones((40, 1))
    model.backward(grad, input_grad=False), last.backward(grad)
    np.testing.assert_allclose(model.gradients[-2], last.gradients[0], rtol=1e-5)


TRAINED = {
    "trainable": (lambda: LSTM(2, name="mine"), (3, 4), r"LSTM 'mine': trainable must be False in training"),
    "Embedding": (lambda: Embedding(9, 2, name="mine"), None, r"Embedding 'mine': trainable must be False"),
    "Bidirectional": (
        lambda: layers.Bidirectional(GRU(2), name="mine"),
        (3, 4),
        r"Bidirectional 'mine': trainable must be False",
    ),
    "TimeDistributed": (
        lambda: layers.TimeDistributed(SimpleRNN(2, name="mine")),
        (2, 3, 4),
        r"TimeDistributed 'time.*': SimpleRNN 'mine': trainable must be False",
    ),
    "a layer before": (
        lambda: Sequential([Dense(3), GRU(2, trainable=False, name="mine")]),
        (3, 4),
        r"GRU 'mine': no layer before it can be trained",
    ),
    "dropout": (
        lambda: SimpleRNN(2, dropout=0.5, trainable=False, name="mine"),
        (3, 4),
        r"SimpleRNN 'mine': dropout must be 0 in training",
    ),
    "dropout inside": (
        lambda: layers.Bidirectional(GRU(2, recurrent_dropout=0.5), trainable=False, name="mine"),
        (3, 4),
        r"Bidirectional 'mine': recurrent_dropout must be 0",
    ),
}


@pytest.mark.parametrize(("make", "shape", "said"), TRAINED.values(), ids=TRAINED)
def test_training_names_the_layer(make, shape, said):
    x = np.ones((2, *shape)) if shape else np.ones((2, 3), int)
    model = Sequential([make(), layers.Flatten(), Dense(1)])
    model.compile("sgd", "mse")
    assert model.predict(x, verbose=0).shape == (2, 1)
    before = [w.tobytes() for w in model.weights]
    with pytest.raises(ValueError, match=said) as raised:
        model.fit(x, np.ones((2, 1)), verbose=0)
    assert "prediction only" in str(raised.value)
    assert [w.tobytes() for w in model.weights] == before


# -- what all of them have ---------------------------------------------------------------------------------------------

MADE = {
    "simple": (lambda **k: SimpleRNN(3, return_sequences=True, **k), (2, 4, 3)),
    "lstm": (lambda **k: LSTM(3, kernel_regularizer="l2", **k), (2, 4, 3)),
    "gru": (lambda **k: GRU(3, return_state=True, **k), (2, 4, 3)),
    "bidirectional": (lambda **k: layers.Bidirectional(LSTM(3), "sum", **k), (2, 4, 3)),
    "embedding": (lambda **k: Embedding(5, 3, **k), (2, 4)),
    "masking": (lambda **k: Masking(3.0, **k), (2, 4, 3)),
}


@pytest.mark.parametrize(("make", "shape"), MADE.values(), ids=MADE)
def test_copies_files_and_settings(make, shape, tmp_path):
    x = np.random.default_rng(1).integers(0, 5, shape)
    layer = make(name="mine", trainable=False)
    first = layer(x)
    wanted = [one.tobytes() for one in (first if isinstance(first, list) else [first])]

    def found(other):
        out = other(x)
        return [one.tobytes() for one in (out if isinstance(out, list) else [out])]

    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert found(twin) == wanted
    twin = type(layer).from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    twin.build(x.shape)
    twin.set_weights(layer.get_weights())
    assert found(twin) == wanted
    assert found(make(weights=layer.get_weights() or None)) == wanted
    assert [w.shape for w in layer.get_weights()] == [w.shape for w in layer.named_weights.values()]
    assert layer.count_params() == sum(w.size for w in layer.weights)
    assert layer.trainable_weights == []
    layer.trainable = True
    assert len(layer.trainable_weights) == len(layer.weights)
    if len(wanted) == 1:
        model = Sequential([layer, layers.Flatten()])
        model.build(x.shape)
        model.save(tmp_path / "model.npz")
        assert Sequential.load(tmp_path / "model.npz")(x).tobytes() == model(x).tobytes()


REFUSED = {
    "units": (lambda: LSTM(0), ValueError, ("LSTM", "units", "got 0")),
    "stateful": (lambda: GRU(2, stateful=True), ValueError, ("stateful must be False", "initial_state")),
    "time_major": (lambda: LSTM(2, time_major=True), TypeError, ("time_major must be False", "True")),
    "dropout": (lambda: LSTM(2, dropout=2), ValueError, ("dropout", "<= 1", "2")),
    "use_cudnn": (lambda: LSTM(2, use_cudnn="no"), TypeError, ("use_cudnn", "'no'")),
    "axes": (lambda: LSTM(2)(np.ones((2, 3))), ValueError, ("3 axes", "steps", "(2, 3)")),
    "features": (lambda: built(LSTM(2))(np.ones((2, 3, 5))), ValueError, ("4 channels", "(2, 3, 5)")),
    "mask": (lambda: LSTM(2)(np.ones((2, 3, 4)), mask=np.ones((3, 2))), ValueError, ("mask", "(2, 3)", "(3, 2)")),
    "state": (
        lambda: LSTM(2)(np.ones((2, 3, 4)), initial_state=np.ones((2, 2))),
        ValueError,
        ("initial_state must be 2", "(2, 2)"),
    ),
    "shape of a state": (
        lambda: GRU(2)(np.ones((2, 3, 4)), initial_state=np.ones((2, 3))),
        ValueError,
        ("initial_state", "(2, 2)", "(2, 3)"),
    ),
    "id too large": (lambda: Embedding(3, 2)([[0, 3]]), ValueError, ("whole numbers from 0 to 2", "got 3 at (0, 1)")),
    "negative id": (lambda: Embedding(3, 2)([[-1, 0]]), ValueError, ("from 0 to 2", "got -1 at (0, 0)")),
    "id between": (lambda: Embedding(3, 2)([[0.5]]), ValueError, ("whole numbers", "got 0.5")),
    "no id": (lambda: Embedding(3, 2)([[np.nan]]), ValueError, ("whole numbers", "got nan")),
    "large id": (lambda: Embedding(3, 2)(np.array([[2**63]], np.uint64)), ValueError, (f"got {2**63}",)),
    "input_dim": (lambda: Embedding(0, 2), ValueError, ("input_dim", "got 0")),
    "input_length": (lambda: Embedding(3, 2, input_length="all"), TypeError, ("None or an integer", "'all'")),
    "mask_value": (lambda: Masking("no"), TypeError, ("mask_value", "'no'")),
    "heads": (lambda: MultiHeadAttention(0, 2), ValueError, ("num_heads", "got 0")),
    "attention_axes": (
        lambda: MultiHeadAttention(1, 2, attention_axes=3)(np.ones((2, 3, 4)), np.ones((2, 3, 4))),
        ValueError,
        ("attention_axes", "(3,)"),
    ),
    "value and key": (
        lambda: MultiHeadAttention(1, 2)(np.ones((2, 3, 4)), np.ones((2, 3, 4)), np.ones((2, 5, 4))),
        ValueError,
        ("value and key the same positions", "(2, 5, 4)"),
    ),
    "attention_mask": (
        lambda: MultiHeadAttention(1, 2)(
            np.ones((2, 3, 4)), np.ones((2, 3, 4)), attention_mask=np.ones((2, 4, 3)), use_causal_mask=True
        ),
        ValueError,
        ("masks must fit", "(2, 4, 3)"),
    ),
    "examples": (
        lambda: MultiHeadAttention(1, 2)(np.ones((2, 3, 4)), np.ones((3, 3, 4))),
        ValueError,
        ("as many examples", "2 and 3"),
    ),
}


def built(layer):
    layer.build((None, None, 4))
    return layer


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert message.split()[0].strip(":") in ("SimpleRNN", "LSTM", "GRU", "Embedding", "Masking", "MultiHeadAttention")
    assert all(part in message for part in said), message

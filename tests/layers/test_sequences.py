"""Layers over the steps of sequences by hand: with masks, with states, and in networks."""

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

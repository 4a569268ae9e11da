"""Gradients of layers over the steps of sequences, by difference quotients: dropout, states, penalties, lists."""

import copy
import itertools

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.layers import GRU, LSTM, Dense, Embedding, Input, Masking, MultiHeadAttention, SimpleRNN
from numbaconv.models import Model, Sequential

MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
BOTH = {"dropout": 0.3, "recurrent_dropout": 0.4}
RECURRENT = {
    "simple": lambda **k: SimpleRNN(3, **k, **BOTH),
    "lstm": lambda **k: LSTM(3, **k, **BOTH),
    "lstm, input alone": lambda **k: LSTM(3, dropout=0.5, **k),
    "gru": lambda **k: GRU(3, **k, **BOTH),
    "gru, reset before": lambda **k: GRU(3, reset_after=False, **k, **BOTH),
    "gru, without bias": lambda **k: GRU(3, use_bias=False, reset_after=False, recurrent_dropout=0.4, **k),
    "both directions": lambda **k: layers.Bidirectional(GRU(3, return_sequences=True, **k, **BOTH), "mul"),
}


def as_list(value):
    return list(value) if isinstance(value, list | tuple) else [value]


def check(layer, inputs, **keywords):
    """Compare all gradients in a direction with the difference of two calls that draw the same numbers."""
    rng = np.random.default_rng(7)
    layer.set_weights([rng.uniform(-1, 1, w.shape) for w in layer.get_weights()])
    start = copy.deepcopy(layer)

    def outs(at, weights):
        twin = copy.deepcopy(start)
        twin.set_weights(weights)
        return as_list(twin._trace(*at, **keywords)[0])

    out, kept = layer._trace(*inputs, **keywords)
    grads_out = [rng.standard_normal(one.shape) for one in as_list(out)]
    gradients = layers.learning.Gradients()
    grads = layer._take_back(kept, grads_out if isinstance(out, list) else grads_out[0], True, gradients)
    layer._settle(gradients)
    weights = layer.get_weights()
    for place in (None, *range(len(weights))):
        moves, shifts = [np.zeros_like(x) for x in inputs], [np.zeros_like(w) for w in weights]
        for one in moves if place is None else [shifts[place]]:
            one[...] = rng.standard_normal(one.shape)
        above, below = (
            outs(
                [x + step * one for x, one in zip(inputs, moves, strict=True)],
                [w + step * one for w, one in zip(weights, shifts, strict=True)],
            )
            for step in (1e-6, -1e-6)
        )
        wanted = sum(((a - b) * grad).sum() / 2e-6 for a, b, grad in zip(above, below, grads_out, strict=True))
        pairs = zip(as_list(grads), moves, strict=True) if place is None else [(layer.gradients[place], shifts[place])]
        assert sum((grad * move).sum() for grad, move in pairs) == pytest.approx(wanted, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("make", RECURRENT.values(), ids=RECURRENT)
def test_recurrent_layers_with_dropout(make):
    x = np.random.default_rng(1).standard_normal((3, 4, 2))
    for masked in (False, True):
        layer = make(dtype="float64")
        layer.build(x.shape)
        check(layer, [x], **({"mask": MASK} if masked else {}))


@pytest.mark.parametrize("settings", [{"dropout": 0.4}, {"dropout": 0.4, "use_gate": True, "value_dim": 3}])
def test_attention_with_dropout(settings):
    rng = np.random.default_rng(1)
    query, value, key = (rng.standard_normal(shape) for shape in ((2, 4, 5), (2, 3, 6), (2, 3, 7)))
    layer = MultiHeadAttention(2, 2, dtype="float64", **settings)
    layer.build(query.shape, value.shape, key.shape)
    check(layer, [query, value, key], return_attention_scores=True, use_causal_mask=True)


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_attention_without_heads_with_dropout(name):
    rng = np.random.default_rng(1)
    x = [rng.standard_normal((2, n, 3)) for n in (4, 5)]
    layer = getattr(layers, name)(dropout=0.4, dtype="float64")
    outs = {layer(x, training=True).tobytes() for _ in range(4)}
    assert len(outs) == 4
    twin = copy.deepcopy(layer)
    out, grad = layer.forward(x), rng.standard_normal((2, 4, 3))
    grads, moves = layer.backward(grad), [rng.standard_normal(one.shape) for one in x]
    above, below = (
        copy.deepcopy(twin).forward([a + sign * 1e-6 * b for a, b in zip(x, moves, strict=True)]) for sign in (1, -1)
    )
    wanted = ((above - below) * grad).sum() / 2e-6
    assert sum((a * b).sum() for a, b in zip(grads, moves, strict=True)) == pytest.approx(wanted, rel=1e-6)
    assert out.shape == (2, 4, 3)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions_with_dropout_in_both_formats(rank):
    make = getattr(layers, f"ConvLSTM{rank}D")
    last, first = (
        make(
            2,
            2,
            padding="same",
            return_sequences=True,
            return_state=True,
            data_format=data_format,
            dtype="float64",
            **kept,
        )
        for data_format, kept in (("channels_last", BOTH), ("channels_first", {}))
    )
    x = np.random.default_rng(1).standard_normal((3, 4, *(4, 3, 2)[:rank], 3))
    last.build(x.shape)
    check(last, [x], mask=MASK)
    y = np.moveaxis(x, -1, 2)
    first.build(y.shape)
    first.set_weights(last.get_weights())
    outs = first(y, mask=MASK)
    assert [out.shape for out in outs] == first.compute_output_shape(y.shape)
    for one, other, axis in zip(last(x, mask=MASK), outs, (2, 1, 1), strict=True):
        np.testing.assert_array_equal(np.moveaxis(one, -1, axis), other)
    grads = [np.random.default_rng(i).standard_normal(out.shape) for i, out in enumerate(outs)]
    first.forward(y)
    found = first.backward(grads)
    last.dropout = last.recurrent_dropout = 0
    last.forward(x)
    wanted = last.backward([np.moveaxis(one, axis, -1) for one, axis in zip(grads, (2, 1, 1), strict=True)])
    np.testing.assert_allclose(np.moveaxis(found, 2, -1), wanted, rtol=1e-10)
    for one, other in zip(first.gradients, last.gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_dropout_is_the_same_in_every_step_and_enlarges_the_rest():
    layer = SimpleRNN(1, "linear", use_bias=False, dropout=0.5, return_sequences=True, seed=3)
    layer.build((None, None, 1))
    layer.set_weights([[[1.0]], [[0.0]]])
    x = np.ones((64, 3, 1), np.float32)
    out = layer(x, training=True)
    assert set(out.ravel()) == {0.0, 2.0}
    assert (out == out[:, :1]).all()
    np.testing.assert_array_equal(layer(x), x)
    again = SimpleRNN(1, "linear", use_bias=False, dropout=0.5, return_sequences=True, seed=3, weights=layer.weights)
    np.testing.assert_array_equal(again(x, training=True), out)


def test_embedding_and_masking_by_hand():
    layer = Embedding(4, 2, weights=[np.zeros((4, 2))], embeddings_regularizer=None)
    layer.forward([[1, 3, 1], [0, 1, 3]])
    grad = np.arange(12.0).reshape(2, 3, 2)
    assert layer.backward(grad) is None
    assert layer.gradients[0].tolist() == [[6, 7], [12, 15], [0, 0], [12, 14]]
    masking = Masking()
    masking.forward(np.array([[[1, 0], [0, 0]]]))
    assert masking.backward(np.array([[[2, 3], [4, 5]]])).tolist() == [[[2, 3], [0, 0]]]


def test_states_and_results_share_their_gradients():
    """A state that the next layer begins with, an unread state, and penalties on all of them."""
    rng = np.random.default_rng(2)
    x, y = Input((4, 2)), Input((3, 2))
    _, h, c = LSTM(3, return_state=True, activity_regularizer="l2")(x)
    out, *_ = GRU(3, return_sequences=True, return_state=True)(y, initial_state=h)
    model = Model([x, y], Dense(1)(layers.Bidirectional(SimpleRNN(2, return_sequences=True), "sum")(out)))
    model.set_weights([rng.uniform(-1, 1, w.shape) for w in model.get_weights()])
    given = [rng.standard_normal((5, *t.shape[1:])).astype(np.float32) for t in (x, y)]
    assert c.shape == (None, 3)

    def loss(weights, arrays):
        model.set_weights(weights)
        out = model.forward(arrays)
        return float((out.astype(float) ** 2).sum()) / 2 + sum(model.losses)

    weights = model.get_weights()
    loss(weights, given)
    grads = model.backward(model.forward(given))
    pairs = list(zip(model.gradients, weights, strict=True))
    assert all(grad.shape == w.shape for grad, w in [*pairs, *zip(grads, given, strict=True)])
    for i in (0, 1, 3, 7, len(weights) - 1):
        shift = rng.standard_normal(weights[i].shape).astype(np.float32) * 1e-2
        ends = [loss([w + sign * shift if j == i else w for j, w in enumerate(weights)], given) for sign in (1, -1)]
        assert (pairs[i][0] * shift).sum() == pytest.approx((ends[0] - ends[1]) / 2, rel=2e-2, abs=2e-3)


def test_a_gradient_for_each_of_several_results():
    layer = LSTM(2, return_state=True)
    layer.forward(np.ones((3, 4, 2)))
    with pytest.raises(ValueError, match="grad_out must be a list of 3 arrays, as forward's result"):
        layer.backward(np.ones((3, 2)))
    layer.forward(np.ones((3, 4, 2)))
    whole = layer.backward([np.ones((3, 2)), None, None])
    layer.forward(np.ones((3, 4, 2)))
    np.testing.assert_array_equal(layer.backward([None, np.ones((3, 2)), None]), whole)


def test_masked_steps_count_neither_in_losses_nor_in_means():
    ids = np.array([[1, 2, 0], [3, 0, 0], [0, 0, 0]])
    y = np.array([[0.0, 1.0, 5.0], [2.0, 7.0, 9.0], [4.0, 4.0, 4.0]])[..., None]
    model = Sequential([Embedding(4, 1, mask_zero=True, weights=[[[0], [1], [2], [3]]])])
    model.compile("sgd", "mse", metrics=["mae", "precision"])
    model.build(ids.shape)
    squares, sizes = [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]
    found = model.evaluate(ids, y, verbose=0, return_dict=True, batch_size=3)
    assert found["loss"] == pytest.approx(np.mean(squares))
    assert found["mae"] == pytest.approx(np.mean(sizes))
    weighted = model.evaluate(ids, y, verbose=0, sample_weight=np.array([2.0, 0.5, 9.0]), return_dict=True)
    assert weighted["loss"] == pytest.approx((2 + 2 + 0.5) / 3)
    model.train_on_batch(ids, y)
    # 2 (prediction - target) / 3 steps, times the rate.
    np.testing.assert_allclose(model.get_weights()[0].ravel(), [0, 1 - 0.02 / 3, 2 - 0.02 / 3, 3 - 0.02 / 3], rtol=1e-6)


def test_saved_dropout_goes_on(tmp_path):
    x, y = np.random.default_rng(0).standard_normal((2, 6, 4, 2))
    model = Sequential([LSTM(2, dropout=0.5, return_sequences=True, seed=1)])
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0, shuffle=False)
    model.save(tmp_path / "half.npz")
    twin = Sequential.load(tmp_path / "half.npz")
    for one in (model, twin):
        one.fit(x, y, verbose=0, shuffle=False)
    pairs = itertools.zip_longest(model.get_weights(), twin.get_weights())
    assert all(a.tobytes() == b.tobytes() for a, b in pairs)

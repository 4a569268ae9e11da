"""Layers over the steps of sequences beside Keras's: gradients, and training with masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.graph.operation import Gradients
from numbaconv.models import from_keras
from numbaconv.optimizers import SGD

from .keras_oracle import keras, quiet
from .test_sequences import CELLS, HEADS, MASK, READS, alike, assert_alike, choices, normal

CONVOLVED: list[tuple[int, dict[str, Any]]] = [
    (1, {"dilation_rate": 2, "use_bias": False}),
    (2, {"strides": 2, "padding": "same"}),
    (2, {"recurrent_activation": "hard_sigmoid"}),
    (3, {}),
]


def assert_gradients_alike(
    ours: Any, theirs: Any, inputs: list[np.ndarray], state: Any = None, **keywords: Any
) -> None:
    """Compare results and all gradients of two layers with the same weights."""
    tf = pytest.importorskip("tensorflow")
    given, begin = [[tf.constant(one) for one in arrays] for arrays in (inputs, state or [])]
    more: list[dict[str, Any]] = [{"initial_state": one} if state else {} for one in (begin, state)]
    with tf.GradientTape() as tape:
        tape.watch([*given, *begin])
        wanted = theirs(*given, **keywords, **more[0])
        outs = list(wanted) if isinstance(wanted, tuple | list) else [wanted]
        weigh = [normal(*out.shape) for out in outs]
        loss = sum(tf.reduce_sum(out * one) for out, one in zip(outs, weigh, strict=True))
    expected = tape.gradient(loss, [*given, *begin, *(w.value for w in theirs.trainable_variables)])
    found, kept = ours._trace(*inputs, training=False, **keywords, **more[1])
    assert_alike(found, wanted, 1e-4)
    gradients = Gradients()
    grads = ours._take_back(kept, weigh if isinstance(found, list) else weigh[0], True, gradients)
    ours._settle(gradients)
    every = [*(grads if isinstance(grads, list) else [grads]), *ours.gradients]
    for one, other in zip(every, expected, strict=True):
        if other is None:
            assert one is None or not one.any()
        else:
            np.testing.assert_allclose(one, tf.convert_to_tensor(other), rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize(("name", "settings"), [(name, one) for name in CELLS for one in CELLS[name]])
def test_gradients_of_recurrent_layers(name: str, settings: dict[str, Any]) -> None:
    x = normal(4, 5, 2)
    # Each choice of three of the flags, masks and states is there.
    for sequences, state, back, masked, begun in choices(5)[::2]:
        flags = {"return_sequences": sequences, "return_state": state, "go_backwards": back}
        with quiet():
            ours, theirs = (
                getattr(module, name)(3, zero_output_for_mask=back != state, **settings, **flags)
                for module in (layers, keras.layers)
            )
            alike(ours, theirs, x.shape)
            begin = [normal(4, 3) * i for i in range(1, ours.states + 1)] if begun else None
            assert_gradients_alike(ours, theirs, [x], begin, **({"mask": MASK} if masked else {}))


@pytest.mark.parametrize(("rank", "settings"), CONVOLVED)
def test_recurrent_convolutions(rank: int, settings: dict[str, Any]) -> None:
    x = normal(4, 5, *(6, 5, 4)[:rank], 2)
    for sequences, state, masked, begun in choices(4)[::3]:
        flags = {"return_sequences": sequences, "return_state": state, "go_backwards": masked != begun}
        with quiet():
            ours, theirs = (
                getattr(module, f"ConvLSTM{rank}D")(3, (3, 2, 2)[:rank], **settings, **flags)
                for module in (layers, keras.layers)
            )
            alike(ours, theirs, x.shape)
            found, wanted = (one.compute_output_shape(x.shape) for one in (ours, theirs))
            assert [*map(tuple, found)] == [*map(tuple, wanted)] if state else found == wanted
            size = (found[-1] if state else (4, *found[1 + sequences :]))[1:]
            begin = [normal(4, *size) * i for i in (1, 2)] if begun else None
            assert_gradients_alike(ours, theirs, [x], begin, **({"mask": MASK} if masked else {}))


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
def test_gradients_of_both_directions(merge_mode: str | None) -> None:
    x = normal(4, 5, 2)
    for sequences, state, masked, begun in choices(4)[:: 1 if merge_mode is None else 3]:
        with quiet():
            ours, theirs = (
                module.Bidirectional(module.LSTM(3, return_sequences=sequences, return_state=state), merge_mode)
                for module in (layers, keras.layers)
            )
            alike(ours, theirs, x.shape)
            begin = [normal(4, 3) * i for i in range(1, 5)] if begun else None
            assert_gradients_alike(ours, theirs, [x], begin, **({"mask": MASK} if masked else {}))


@pytest.mark.parametrize("settings", HEADS)
def test_gradients_of_heads(settings: dict[str, Any]) -> None:
    with quiet():
        for count, (name, read) in enumerate(READS.items()):
            inputs = [normal(2, 4, 5), normal(2, 3, 6), normal(2, 3, 7)][: 2 + count % 2]
            ours, theirs = (module.MultiHeadAttention(**settings) for module in (layers, keras.layers))
            shapes = [one.shape for one in inputs]
            alike(ours, theirs, *shapes, *shapes[1:][: 3 - len(shapes)])
            scores = {"return_attention_scores": True} if name in ("all", "mask") else {}
            assert_gradients_alike(ours, theirs, inputs, **read, **scores)


def networks() -> Iterator[tuple[Any, Any]]:
    """Networks of Keras's as people write them, with what they learn from."""
    k = keras.layers
    words = [keras.Input((7,), dtype="int32") for _ in range(4)]
    marked = k.Embedding(11, 4, mask_zero=True)
    yield keras.Model(words[0], k.Dense(3, activation="softmax")(k.LSTM(5, return_sequences=True)(marked(words[0])))), 7
    yield keras.Model(words[1], k.Dense(3, activation="softmax")(k.Bidirectional(k.GRU(5))(marked(words[1])))), None
    e = k.Embedding(11, 4)(words[2])
    a = k.LayerNormalization()(k.Add()([k.MultiHeadAttention(2, 3)(e, e), e]))
    b = k.LayerNormalization()(k.Add()([a, k.Dense(4)(k.Dense(8, activation="relu")(a))]))
    yield keras.Model(words[2], k.Dense(3, activation="softmax")(k.GlobalAveragePooling1D()(b))), None
    e = marked(words[3])
    _, h, c = k.LSTM(5, return_state=True)(e)
    d = k.LSTM(5, return_sequences=True)(k.Masking()(k.Dense(3)(e)), initial_state=[h, c])
    yield (
        keras.Model(words[3], k.TimeDistributed(k.Dense(3, activation="softmax"))(k.Attention()([d, k.Dense(5)(e)]))),
        7,
    )


def test_networks_of_sequences_are_trained() -> None:
    """Losses, metrics and weights, with steps that are masked."""
    rng = np.random.default_rng(1)
    ids = rng.integers(1, 11, (12, 7))
    ids[::3, -2:] = ids[1, 0] = 0
    for theirs, steps in networks():
        y = rng.integers(0, 3, (12,) if steps is None else (12, steps))
        ours = from_keras(theirs)
        for model, optimizer in ((theirs, keras.optimizers.SGD(0.5)), (ours, SGD(0.5))):
            model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        theirs.run_eagerly = True
        histories = [m.fit(ids, y, epochs=2, batch_size=5, shuffle=False, verbose=0).history for m in (ours, theirs)]
        for name, values in histories[1].items():
            np.testing.assert_allclose(histories[0][name], values, rtol=1e-3)
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=5e-3, atol=1e-4)
        np.testing.assert_allclose(ours.evaluate(ids, y, verbose=0), theirs.evaluate(ids, y, verbose=0), rtol=1e-3)


def test_masks_reach_what_they_reach_in_keras() -> None:
    """A sequence beside a state, a mask that is handed over, and what attention has read."""
    rng, k = np.random.default_rng(2), keras.layers
    inputs = words, state, told = keras.Input((4,), dtype="int32"), keras.Input((4,)), keras.Input((4,), dtype="bool")
    x = k.Embedding(5, 4, mask_zero=True)(words)
    begun, handed, read, again, behind = (k.GRU(4, return_sequences=True) for _ in range(5))
    total = k.Add()([x, k.MultiHeadAttention(2, 3)(x, x)])
    beside = k.Embedding(5, 4, mask_zero=True)(words)
    outs = [begun(beside, initial_state=state), handed(x, mask=told), read(x), again(total)]
    theirs = keras.Model(inputs, [*outs, behind(k.MultiHeadAttention(2, 3)(total, x)), total])
    given = [rng.integers(0, 5, (6, 4)), normal(6, 4), rng.random((6, 4)) < 0.5]
    ours, y = from_keras(theirs), [normal(6, 4, 4)] * 6
    for one, wanted in zip(ours.predict(given, verbose=0), theirs.predict(given, verbose=0), strict=True):
        assert_alike(one, wanted, 1e-4)
    alone = keras.Model([told, state], k.SimpleRNN(4, return_sequences=True)(k.Reshape((4, 1))(state), mask=told))
    assert_evaluated_alike(ours, theirs, given, y)
    assert_evaluated_alike(from_keras(alone), alone, given[:0:-1], y[0])


def assert_evaluated_alike(ours: Any, theirs: Any, x: Any, y: Any) -> None:
    for model in (ours, theirs):
        model.compile("sgd", "mse")
    found, wanted = (model.evaluate(x, y, verbose=0, return_dict=True) for model in (ours, theirs))
    assert found == pytest.approx(wanted, rel=1e-4)

"""Attention and AdditiveAttention beside Keras: results and gradients, with masks and without; and in a network."""

import numpy as np
import pytest

from numbaconv import layers, models

from .keras_oracle import keras

RNG = np.random.default_rng(0)
QUERY, VALUE, KEY, LIKE = (
    RNG.normal(size=shape).astype(np.float32) for shape in ((2, 4, 5), (2, 6, 7), (2, 6, 5), (2, 6, 5))
)
MASKS = np.array([[1, 1, 0, 1], [1, 0, 1, 1]], bool), np.array([[1, 1, 0, 1, 1, 1], [0, 0, 1, 1, 1, 0]], bool)
SETTINGS = [
    ("Attention", {}),
    ("Attention", {"use_scale": True}),
    ("Attention", {"score_mode": "concat"}),
    ("Attention", {"score_mode": "concat", "use_scale": True}),
    ("AdditiveAttention", {}),
    ("AdditiveAttention", {"use_scale": False}),
]


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
@pytest.mark.parametrize("given", [[QUERY, LIKE], [QUERY, VALUE, KEY]], ids=["two", "three"])
@pytest.mark.parametrize("masked", [(), (0, 1), (0,), (1,)])
def test_results_and_gradients(name, settings, given, masked):
    tf = pytest.importorskip("tensorflow")
    theirs, ours = (getattr(module, name)(**settings) for module in (keras.layers, layers))
    for layer in (theirs, ours):
        layer.build([x.shape for x in given])
    weights = [RNG.normal(size=w.shape).astype(np.float32) for w in theirs.get_weights()]
    for layer in (theirs, ours):
        layer.set_weights(weights)
    mask = [one if i in masked else None for i, one in enumerate(MASKS)] if masked else None
    # Each of them with and without each of the others.
    named = {"return_attention_scores": sum(masked) == 1, "use_causal_mask": len(given) == 3}
    flags = {name: True for name, one in named.items() if one}
    tensors = [tf.constant(x) for x in given]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        wanted = theirs(tensors, mask=mask, **flags)
        wanted = list(wanted) if isinstance(wanted, tuple) else [wanted]
        weigh = [RNG.normal(size=one.shape).astype(np.float32) for one in wanted]
        loss = sum(tf.reduce_sum(one * by) for one, by in zip(wanted, weigh, strict=True))
    expected = tape.gradient(loss, [*tensors, *(w.value for w in theirs.trainable_weights)])
    out, kept = ours._forward(given, mask, **flags)
    same, shapes = ours(given, mask=mask, **flags), ours._called_shape([[x.shape for x in given]], flags)
    several = isinstance(out, list)
    for one, other, shape, like in zip(*(x if several else [x] for x in (out, same, shapes)), wanted, strict=True):
        np.testing.assert_allclose(one, like, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(one, other)
        assert one.shape == shape
    grads, of_weights = ours._backward(kept, weigh if several else weigh[0], True)
    for found, one in zip([*grads, *of_weights.values()], expected, strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_a_network_is_trained_and_saved(tmp_path):
    x = keras.Input((8, 3))
    query, value = (keras.layers.Dense(4, activation="tanh")(x) for _ in range(2))
    read, scores = keras.layers.Attention(use_scale=True)([query, value], return_attention_scores=True)
    far = keras.layers.AdditiveAttention()([read, query, value], use_causal_mask=True)
    theirs = keras.Model(x, keras.layers.Dense(2)(keras.layers.Dot((2, 1))([scores, far])))
    theirs.save(tmp_path / "theirs.keras")
    ours = models.load_model(tmp_path / "theirs.keras")
    images, wanted = (RNG.normal(size=(4, 8, n)).astype(np.float32) for n in (3, 2))
    np.testing.assert_allclose(ours(images), theirs(images), rtol=1e-4, atol=1e-5)
    for model in (theirs, ours):
        model.compile("sgd", "mse")
        model.fit(images, wanted, batch_size=4, epochs=3, shuffle=False, verbose=0)
    for found, one in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-4, atol=1e-5)
    ours.save(tmp_path / "ours.keras")
    np.testing.assert_array_equal(models.load_model(tmp_path / "ours.keras", compile=False)(images), ours(images))
    again = keras.models.load_model(tmp_path / "ours.keras")(images)
    np.testing.assert_allclose(again, ours(images), rtol=1e-4, atol=1e-5)


def test_masks_come_from_the_layers_before():
    ids = keras.Input((6,), dtype="int32")
    steps = keras.layers.Embedding(5, 4, mask_zero=True)(ids)
    read = keras.layers.Attention()([keras.layers.Dense(4)(steps), steps])
    theirs = keras.Model(ids, keras.layers.GlobalAveragePooling1D()(read))
    given = np.array([[1, 2, 3, 0, 0, 0], [4, 0, 2, 1, 1, 0]])
    found = models.from_keras(theirs)(given)
    np.testing.assert_allclose(found, theirs(given), rtol=1e-4, atol=1e-6)


def test_lengths_must_fit():
    with pytest.raises(ValueError, match="vectors of one length"):
        layers.Attention()([QUERY, VALUE])

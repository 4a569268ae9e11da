"""Models of Keras's in memory become models of this library."""

import sys

import numpy as np
import pytest

from numbaconv import models

from .keras_oracle import keras

X = np.random.default_rng(0).normal(size=(3, 12, 12, 3)).astype(np.float32)
L = keras.layers


def nested():
    x = keras.Input((12, 12, 3))
    inner = keras.Sequential([L.Conv2D(4, 3, padding="same"), L.BatchNormalization()], name="inner")
    y = L.Add()([inner(x), L.Conv2D(4, 1)(x)])
    steps = L.Reshape((12, 48))(y)
    states = L.Bidirectional(L.LSTM(3, return_sequences=True))(steps)
    attended = L.MultiHeadAttention(2, 4)(states, states)
    shared = L.Dense(2)
    return keras.Model(x, [shared(L.GlobalAveragePooling1D()(attended)), shared(L.TimeDistributed(L.Dense(6))(states))])


def line():
    return keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(4, 3), L.Dropout(0.5), L.Flatten(), L.Dense(2)])


@pytest.mark.parametrize("made", [nested, line])
def test_they_compute_the_same(made):
    theirs = made()
    rng = np.random.default_rng(1)
    theirs.set_weights([rng.uniform(0.1, 1, w.shape) for w in theirs.get_weights()])
    ours = models.from_keras(theirs)
    found, wanted = ours(X), theirs(X)
    for a, b in zip(*(one if isinstance(one, list) else [one] for one in (found, wanted)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]


M = np.random.default_rng(3).normal(size=(12, 12)).astype(np.float32)
OPERATIONS = {
    "leaky_relu": lambda ops, x: ops.leaky_relu(x, 0.3),
    "elu": lambda ops, x: ops.elu(x, alpha=0.5),
    "celu": lambda ops, x: ops.celu(x, 0.5),
    "gelu": lambda ops, x: ops.gelu(x),
    "gelu exactly": lambda ops, x: ops.gelu(x, approximate=False),
    "log_softmax": lambda ops, x: ops.log_softmax(x, axis=1),
    "softmax": lambda ops, x: ops.softmax(x, axis=2),
    "soft_shrink": lambda ops, x: ops.soft_shrink(x, 0.2),
    "squareplus": lambda ops, x: ops.squareplus(x, b=3),
    "cast": lambda ops, x: ops.cast(x, "float32"),
    "reshape": lambda ops, x: ops.reshape(x, (-1, 36, 12)),
    "expand_dims": lambda ops, x: ops.expand_dims(x, (1, -1)),
    "average": lambda ops, x: ops.average(x, axis=1),
    "concatenate": lambda ops, x: ops.concatenate([x, x], axis=1),
    "pad": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 0), (1, 0)), constant_values=3),
    "arithmetic": lambda ops, x: ops.maximum((1 - 2 * x) / 3 + np.arange(3, dtype="float32"), 0.1),
    "reflecting pad": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0)), mode="reflect"),
    "symmetric pad": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0)), mode="symmetric"),
    "quotient": lambda ops, x: (x - ops.mean(x, (1, 2), keepdims=True)) / ops.sqrt(ops.var(x, (1, 2), keepdims=True)),
    "power": lambda ops, x: ops.power(ops.sigmoid(x), x),
    "moments": lambda ops, x: ops.add(*ops.moments(x, axes=[1, 2], keepdims=True)) + ops.std(x, axis=-1, keepdims=True),
    "split": lambda ops, x: ops.concatenate(ops.split(x, [1, 2], axis=-1)[::-1] + ops.split(x, 3, axis=3)),
    "stack": lambda ops, x: ops.stack([*ops.unstack(x, axis=1)[:2], x[:, 0]], axis=2),
    "tiles": lambda ops, x: ops.repeat(ops.tile(ops.flip(ops.roll(x, 1, axis=2), axis=1), [1, 2, 1, 1]), 2, axis=2),
    "axes": lambda ops, x: ops.swapaxes(ops.moveaxis(x, -1, 1), 2, -1),
    "normalize": lambda ops, x: ops.normalize(x, axis=-1),
    "matmul": lambda ops, x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))),
    "matmul of constants": lambda ops, x: ops.matmul(ops.matmul(M[:5], x[:, 0]), M[:3, :2]) @ M[:2],
    "einsum": lambda ops, x: ops.einsum("bhwc,bkwd->bhkc", x, ops.einsum("bhwc->bcwh", x)),
    "einsum of matrices": lambda ops, x: (
        ops.einsum("bij,bkj->bik", x[:, 0], x[:, :, 0]) + ops.einsum("bhwc->bh", x)[:, None]
    ),
    "resize": lambda ops, x: ops.image.resize(x, (9, 4), interpolation="bicubic"),
    "item": lambda ops, x: ops.max(x[:, 1:, None, -1], axis=-1, keepdims=True),
    "least": lambda ops, x: ops.min(x, axis=(1, 2)) + ops.max(ops.relu(x), axis=(1, 2)),
    "norm": lambda ops, x: ops.norm(x, axis=-1, keepdims=True) + ops.norm(x, 2, 3, keepdims=True),
    "logsumexp": lambda ops, x: ops.logsumexp(20 * x, axis=(1, 2)),
    "cumsum": lambda ops, x: ops.cumsum(x, axis=2),
    "comparisons": lambda ops, x: x * ops.cast(x > 0.1, "float32") + ops.cast(ops.less_equal(x, x[:, :1]), "float32"),
    "pools": lambda ops, x: ops.max_pool(x, 3, 1, "same") + ops.average_pool(x, (2, 2), strides=1, padding="same"),
    "functions": lambda ops, x: ops.arctan(x) + ops.sinh(x) * ops.cos(x) - ops.log1p(ops.abs(x)) + ops.expm1(x),
    "more functions": lambda ops, x: ops.reciprocal(ops.cosh(x)) * ops.log2(2 + ops.square(x)) + ops.round(x),
    "logarithms": lambda ops, x: ops.log(1 + ops.abs(x)) - ops.log10(2 + ops.abs(x)) * ops.rsqrt(1 + ops.square(x)),
    "of constants": lambda ops, x: (2 / (3 + ops.abs(x))) ** 1.5 + ops.minimum(np.float32([0.5, 0.2, 0.7]), x[..., :1]),
    "where": lambda ops, x: ops.where(x[..., :1] > 0, x, 0.1 * x) + ops.where(x < 0.2, 1.0, x),
    "glu": lambda ops, x: ops.glu(x, axis=1) + ops.expand_dims(ops.take(x, -1, axis=1), 1),
    "take": lambda ops, x: ops.take(ops.take(x, [2, 0, -1, 2], axis=-1), [[0, 3], [1, 1]], axis=1),
    "gray": lambda ops, x: ops.image.rgb_to_grayscale(x) + ops.image.rgb_to_grayscale(x[..., :1]),
    "angles": lambda ops, x: ops.arctan2(x, x[:, ::-1]) + ops.arctan2(x, 0.5) + ops.erf(x),
    "places": lambda ops, x: x * (ops.argmax(ops.relu(-x), -1, keepdims=True) - ops.argmin(x, 1)[:, None] + 0.0),
    "stop_gradient": lambda ops, x: x * ops.stop_gradient(x),
    "clip": lambda ops, x: ops.clip(ops.relu(x), 0, 0.5),
}
REFUSED = {
    "with initial=1": lambda ops, x: ops.max(x, axis=1, initial=1),
    "float type.*'int32'": lambda ops, x: ops.cast(x, "int32"),
    "axis must be a number": lambda ops, x: ops.log_softmax(x, axis=None),
    "average must have axes": lambda ops, x: ops.average(x),
    "einsum must be of one array": lambda ops, x: ops.einsum("bhwc,bhwd->hcd", x, x),
    "must be below 3": lambda ops, x: ops.take(x, [0, 3], axis=-1),
}


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("case", OPERATIONS)
def test_operations_count_with_their_settings(case, tmp_path):
    x = keras.Input(X.shape[1:])
    theirs = keras.Model(x, OPERATIONS[case](keras.ops, L.Conv2D(3, 1)(x)))
    theirs.save(tmp_path / "theirs.keras")
    wanted = np.asarray(theirs(X))
    for ours in (models.from_keras(theirs), models.load_model(tmp_path / "theirs.keras")):
        np.testing.assert_allclose(ours(X), wanted, rtol=1e-5, atol=1e-5)
    ours.save(tmp_path / "ours.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "ours.keras")(X), wanted)
    ours.save(tmp_path / "ours.npz")
    for path in ("ours.keras", "ours.npz"):
        np.testing.assert_array_equal(models.load_model(tmp_path / path)(X), ours(X))
    tf = pytest.importorskip("tensorflow")
    with tf.GradientTape() as tape:
        images = tf.Variable(X)
        # Not all outputs count for the same.
        weigh = np.random.default_rng(2).normal(size=wanted.shape).astype(np.float32)
        loss = tf.reduce_sum(theirs(images) * weigh)
    ours.forward(X)
    expected = tape.gradient(loss, images).numpy()
    np.testing.assert_allclose(ours.backward(weigh), expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("said", REFUSED)
def test_settings_that_are_not_done_are_refused(said):
    x = keras.Input(X.shape[1:])
    theirs = keras.Model(x, REFUSED[said](keras.ops, x))
    with pytest.raises(ValueError, match=said):
        models.from_keras(theirs)


STEPS = {
    "scaled": lambda ops, ids, x: x * 2.0,
    "added": lambda ops, ids, x: x + x,
    "put together": lambda ops, ids, x: ops.concatenate([x, x], axis=-1),
    "cast": lambda ops, ids, x: ops.cast(x, "float32"),
    "layer": lambda ops, ids, x: L.Add()([x, L.Dense(4)(x)]),
    "layer of a sum": lambda ops, ids, x: L.Dense(4)(x + x),
    "handed on": lambda ops, ids, x: (x * 2.0, {"mask": ops.not_equal(ids, 0)}),
}


@pytest.mark.parametrize("case", STEPS)
def test_masks_end_at_operations(case, tmp_path):
    ids = keras.Input((5,), dtype="int32")
    steps = STEPS[case](keras.ops, ids, L.Embedding(6, 4, mask_zero=True)(ids))
    steps, keywords = steps if isinstance(steps, tuple) else (steps, {})
    theirs = keras.Model(ids, L.GlobalAveragePooling1D()(steps, **keywords))
    given = np.array([[1, 2, 3, 0, 0], [4, 1, 0, 0, 0], [2, 2, 2, 2, 1]])
    wanted = np.asarray(theirs(given))
    ours = models.from_keras(theirs)
    np.testing.assert_allclose(ours(given), wanted, rtol=1e-5, atol=1e-6)
    ours.save(tmp_path / "ours.keras")
    for back in (models.load_model(tmp_path / "ours.keras"), models.clone_model(ours)):
        back.set_weights(ours.get_weights())
        np.testing.assert_array_equal(back(given), ours(given))
    again = keras.models.load_model(tmp_path / "ours.keras")
    np.testing.assert_allclose(again(given), wanted, rtol=1e-5, atol=1e-6)


class Own(keras.Model):
    """Its configuration is its arguments', and so not a network."""

    def __init__(self, units=2, **settings):
        x = keras.Input((4,))
        super().__init__(x, L.Dense(units)(x), **settings)
        self.units = units

    def get_config(self):
        return {"units": self.units}


class OwnLine(keras.Sequential):
    def __init__(self):
        super().__init__([keras.Input((4,)), Own(4), L.Dense(2)])


class OwnCall(Own):
    def call(self, x):
        return 2 * super().call(x)


def test_models_of_classes_of_their_own():
    x = keras.Input((4,))
    theirs = keras.Model(x, Own(3)(x) + L.Dense(3)(OwnLine()(x)))
    ours = models.from_keras(theirs)
    np.testing.assert_allclose(ours(X[0, :, :4, 0]), theirs(X[0, :, :4, 0]), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="OwnCall has a call of its own"):
        models.from_keras(OwnCall())


def test_what_is_refused():
    with pytest.raises(TypeError, match="model of Keras's"):
        models.from_keras("model.keras")
    with pytest.raises(ValueError, match="must be built"):
        models.from_keras(keras.Sequential([L.Dense(2)]))


def test_keras_is_not_imported_here():
    assert "keras" not in vars(sys.modules["numbaconv.models.keras.memory"])

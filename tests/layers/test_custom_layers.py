"""Layers of the user's own: the hooks by Keras's names, in calls, models and training."""

import copy
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from numbaconv.layers import Conv2D, Dense, Flatten, Layer
from numbaconv.models import Sequential

X = np.random.default_rng(0).normal(size=(5, 4))


class Scale(Layer):
    """``x * scale + shift``, as a page about Keras's layers may have it."""

    def __init__(self, power=1, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", regularizer="l2", trainable=True)
        self.shift = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="offset", constraint="non_neg")

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        self.x = x
        return x * self.scale + self.shift

    def backward(self, grad_out):
        return grad_out * self.scale, {"scale": (grad_out * self.x).sum(0), "offset": grad_out.sum(0)}


class Noise(Layer):
    """Adds what it is given in training, and counts how often."""

    def build(self, input_shape):
        self.times = self.add_weight(name="times", initializer="zeros", trainable=False)

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x, training=False):
        if training:
            self.times = self.times + 1
        return x + 0.5 if training else x

    def backward(self, grad_out):
        return grad_out


def trained(**settings):
    model = Sequential([Noise(**settings), Dense(3, **settings), Scale(**settings), Dense(1, **settings)])
    model.compile("sgd", "mse")
    return model


def test_a_layer_is_built_once_and_called():
    layer = Scale(name="s", dtype="float64")
    assert layer.weights == []
    out = layer(X)
    assert np.array_equal(out, X)
    assert not np.may_share_memory(out, X)
    assert layer.built
    assert layer.input_shape == (None, 4)
    assert layer.output_shape == (None, 4)
    assert list(layer.named_weights) == ["weight_0", "offset"]
    assert layer.count_params() == 8
    layer.set_weights([np.full(4, 2), np.ones(4)])
    assert np.array_equal(layer(X), 2 * X + 1)
    assert layer.scale is layer.weights[0]
    layer.build((None, 4))
    assert np.array_equal(layer(X), 2 * X + 1)
    assert layer.losses == [pytest.approx(0.01 * 16)]
    assert layer.explain((None, 4)) == "Scale turns (None, 4) into (None, 4)."
    assert layer(X[0:0]).shape == (0, 4)
    twin = Scale(weights=[np.full(4, 3), np.ones(4)], input_shape=(4,))
    assert np.array_equal(Sequential([twin])(X.astype(np.float32)), 3 * X.astype(np.float32) + 1)


def test_attributes_are_the_weights_of_the_moment():
    layer = Scale(dtype="float64")
    layer.build((None, 4))
    layer.scale = np.arange(4)
    assert np.array_equal(layer.weights[0], layer.scale)
    assert np.array_equal(layer(X), X * np.arange(4))
    with pytest.raises(ValueError, match=r"Scale .*weight_0 must have shape \(4,\), got \(5,\)"):
        layer.scale = np.ones(5)
    with pytest.raises(ValueError, match="read-only"):
        layer.shift[0] = 1
    layer.shift = -np.ones(4)
    layer.apply_constraints()
    assert np.array_equal(layer.shift, np.zeros(4))
    other = Scale()
    with pytest.raises(AttributeError, match="'Scale' object has no attribute 'scale'"):
        _ = other.scale
    for twin in (copy.deepcopy(layer), copy.copy(layer), pickle.loads(pickle.dumps(layer))):
        assert np.array_equal(twin.scale, np.arange(4))
        twin.scale = np.ones(4)
        assert np.array_equal(twin(X), X)
        assert np.array_equal(layer.scale, np.arange(4))


def test_a_pickled_layer_in_another_process(tmp_path):
    layer = Scale()
    layer(X)
    (tmp_path / "layer").write_bytes(pickle.dumps(layer))
    code = (
        "import pickle, sys; sys.path[:0] = sys.argv[1:2]; print(pickle.load(open(sys.argv[2], 'rb')).scale.tolist())"
    )
    run = [sys.executable, "-c", code, os.path.dirname(__file__), str(tmp_path / "layer")]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[1.0, 1.0, 1.0, 1.0]\n"


def test_gradients_are_slopes():
    layer = Scale(dtype="float64", activity_regularizer="l2")
    layer.build(X.shape)
    layer.set_weights([np.arange(1.0, 5), np.arange(4.0)])
    grad_out = np.cos(X)

    def loss(x, *weights):
        layer.set_weights(weights)
        return float((layer(x) * grad_out).sum()) + sum(layer.losses)

    weights = layer.get_weights()
    layer.forward(X)
    gradients = [layer.backward(grad_out), *layer.gradients]
    for i, gradient in enumerate(gradients):
        moved = [
            [
                a + step * np.sin(np.arange(a.size)).reshape(a.shape) if i == k else a
                for k, a in enumerate([X, *weights])
            ]
            for step in (1e-6, -1e-6)
        ]
        slope = (loss(*moved[0]) - loss(*moved[1])) / 2e-6
        assert slope == pytest.approx(
            (gradient * np.sin(np.arange(gradient.size)).reshape(gradient.shape)).sum(), rel=1e-6
        )


def test_training_a_model():
    model = trained()
    y = X @ np.arange(4.0)[:, None]
    before = model.evaluate(X, y, verbose=0)
    history = model.fit(X, y, epochs=4, verbose=0, batch_size=5)
    assert len(model.weights) == 7
    assert model.layers[0].times == 4
    assert model.layers[0].non_trainable_weights[0] == 4
    assert not np.array_equal(model.layers[2].scale, np.ones(3))
    assert (model.layers[2].shift >= 0).all()
    assert history.history["loss"][-1] != before
    assert np.array_equal(model(X), model.predict(X, verbose=0))
    said = []
    model.summary(said.append)
    assert "(Scale)" in said[0]
    assert model(X, training=True).shape == (5, 1)
    assert model.layers[0].times == 5
    model.trainable = False
    assert model.trainable_weights == []


def test_training_is_that_of_a_layer_of_the_library():
    rng = np.random.default_rng(1)
    kernel, bias = rng.normal(size=(4, 4)), rng.normal(size=4)

    class Own(Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight(name="kernel", shape=(4, 4), regularizer="l2")
            self.b = self.add_weight(shape=4, initializer="zeros")

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 4)

        def call(self, x):
            self.x = x
            return x @ self.kernel + self.b

        def backward(self, grad_out):
            return grad_out @ self.kernel.T, {"kernel": self.x.T @ grad_out, "b": grad_out.sum(axis=0)}

    found = []
    for layer in (Own(dtype="float64"), Dense(4, kernel_regularizer="l2", dtype="float64")):
        model = Sequential([layer, Dense(1, weights=[np.ones((4, 1)), [0.5]], dtype="float64")])
        model.build((None, 4))
        layer.set_weights([kernel, bias])
        model.compile("adam", "mse")
        model.fit(X, X[:, :1], epochs=3, verbose=0, shuffle=False)
        found.append([*model.get_weights(), model.predict(X, verbose=0)])
    for own, library in zip(*found, strict=True):
        np.testing.assert_allclose(own, library, rtol=1e-12)


def test_files_hold_the_librarys_layers_alone(tmp_path):
    model = trained()
    model(X)
    with pytest.raises(TypeError, match=r"only layers of numbaconv.layers can be put in a config, got <Noise"):
        model.save(tmp_path / "m.npz")
    assert list(tmp_path.iterdir()) == []
    twin = trained()
    twin(X)
    twin.set_weights(model.get_weights())
    assert np.array_equal(twin(X), model(X))
    assert Scale.from_config(Scale(power=3, name="s").get_config()).power == 3


class Shifted(Conv2D):
    """A layer of the library with a weight more."""

    def build(self, input_shape):
        super().build(input_shape)
        self.before = self.add_weight(name="before", initializer="zeros")

    def call(self, x):
        return super().call(x) + self.before

    def backward(self, grad_out):
        grad_x, gradients = super().backward(grad_out)
        return grad_x, {**gradients, "before": grad_out.sum()}


class Further(Shifted):
    def build(self, input_shape):
        super().build(input_shape)
        self.after = self.add_weight(name="after", initializer="ones")

    def backward(self, grad_out):
        grad_x, gradients = super().backward(grad_out)
        return grad_x, {**gradients, "after": np.zeros(())}


def test_layers_of_the_library_with_something_added():
    x = np.random.default_rng(2).normal(size=(2, 5, 5, 1)).astype(np.float32)
    plain = Conv2D(2, 3)
    out = plain.forward(x)
    grad_x = plain.backward(out)
    layer = Further(2, 3, weights=[*plain.get_weights(), 1, 1])
    layer.build(x.shape)
    assert list(layer.named_weights) == ["kernel", "bias", "before", "after"]
    np.testing.assert_allclose(layer(x), out + 1, rtol=1e-6)
    layer.forward(x)
    np.testing.assert_array_equal(layer.backward(out), grad_x)
    assert [g.tobytes() for g in layer.gradients[:2]] == [g.tobytes() for g in plain.gradients]
    assert [g.shape for g in layer.gradients[2:]] == [(), ()]
    layer.strides = 2
    assert layer(x).shape == (2, 2, 2, 2)
    model = Sequential([Further(2, 3), Flatten(), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.ones(2), verbose=0)
    assert model.layers[0].before != 0
    assert model.layers[0].after == 1


class OnlyShape(Layer):
    def compute_output_shape(self, input_shape):
        return input_shape


class NoBackward(OnlyShape):
    def call(self, x):
        return x


def method(name, function):
    return type("Own", (NoBackward,), {name: function})


def test_a_method_that_is_missing_is_named():
    with pytest.raises(NotImplementedError, match=r"Layer 'layer.*must define compute_output_shape\(input_shape\)"):
        Layer()(X)
    for use in (lambda layer: layer(X), lambda layer: layer.forward(X), lambda layer: layer(X, training=True)):
        with pytest.raises(NotImplementedError, match=r"OnlyShape 'o' must define call\(x\)"):
            use(OnlyShape(name="o"))
    model = Sequential([Dense(2), NoBackward(name="n")])
    model.compile("sgd", "mse")
    with pytest.raises(NotImplementedError, match=r"NoBackward 'n' must define backward\(grad_out\) to be trained"):
        model.fit(X, X[:, :2], verbose=0)


def failing(self, input_shape):
    self.a = self.add_weight(name="a", shape=2)
    raise ValueError("no")


@pytest.mark.parametrize(
    ("cls", "kind", "said"),
    [
        (method("call", lambda self, x: x[:, 1:]), ValueError, r"call must return shape \(5, 4\), .* got \(5, 3\)"),
        (method("call", lambda self, x: "text"), TypeError, "what call returns must"),
        (method("build", failing), ValueError, "Own 'o': no"),
        (method("build", lambda self, s: self.add_weight(shape=-1)), ValueError, "shape must be"),
        (
            method("build", lambda self, s: self.add_weight(dtype="float64")),
            ValueError,
            "dtype must be that of the layer",
        ),
        (method("build", lambda self, s: self.add_weight(name="")), ValueError, "name must be"),
        (
            method("build", lambda self, s: self.add_weight(initializer="onez")),
            ValueError,
            "initializer must be one of",
        ),
        (
            method("build", lambda self, s: [self.add_weight(name="a") for _ in "ab"]),
            ValueError,
            "that no other weight has",
        ),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(cls, kind, said):
    layer = cls(name="o")
    for _ in range(2):
        with pytest.raises(kind, match=said):
            layer(X)
    assert layer.weights == []


@pytest.mark.parametrize(
    ("result", "kind", "said"),
    [
        (lambda g: g[1:], ValueError, r"backward must return a gradient of the input of shape \(5, 4\), got \(4, 4\)"),
        (lambda g: (g, [g]), TypeError, "backward must return the gradient of the input, or a tuple"),
        (lambda g: (g, {"a": g}), ValueError, r"a gradient of a of shape \(2,\), got \(5, 4\)"),
        (lambda g: g, ValueError, r"backward must return gradients of \['a'\], got those of \[\]"),
    ],
)
def test_what_backward_must_return(result, kind, said):
    class Own(NoBackward):
        def build(self, input_shape):
            self.add_weight(name="a", shape=2)

        def backward(self, grad_out):
            return result(grad_out)

    layer = Own(name="o")
    layer.forward(X)
    with pytest.raises(kind, match=said):
        layer.backward(X)


def test_weights_come_before_the_first_call():
    layer = Scale()
    layer(X)
    with pytest.raises(ValueError, match="add_weight must be called in build"):
        layer.add_weight()

    class Early(NoBackward):
        def __init__(self):
            super().__init__()
            self.w = self.add_weight(shape=(2,), initializer="ones")

    layer = Early()
    assert layer.w.tolist() == [1, 1]
    layer(X)
    assert len(layer.weights) == 1


def test_threads_build_a_layer_once():
    class Slow(Scale):
        def build(self, input_shape):
            entered.append(threading.get_ident())
            time.sleep(0.05)
            super().build(input_shape)

    entered, layer = [], Slow()
    threads = [threading.Thread(target=layer.build, args=((None, 4),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entered) == 1
    assert len(layer.weights) == 2


def test_a_models_dtype_is_that_of_its_own_layers():
    model = Sequential([NoBackward(), Scale(dtype="float64"), NoBackward()])
    assert [layer.dtype for layer in model.layers] == ["float64"] * 3

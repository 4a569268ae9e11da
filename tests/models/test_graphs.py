"""Networks of any form: against the same arithmetic by hand, and against the rules of calculus by differences."""

import copy
import pickle
import threading

import numpy as np
import pytest

import numbaconv as nc
from numbaconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Layer,
    Multiply,
)
from numbaconv.models import Model, Sequential, clone_model, model_from_json

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))


def dense(units, name=None, **settings):
    return Dense(units, activation="tanh", dtype="float64", name=name, **settings)


def branches():
    """A shared layer, a nested model that is shared too, two inputs, three outputs."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = dense(4, "shared")
    inner = Sequential([dense(3, "first"), dense(4, "second")], name="inner")
    left, right = shared(a), shared(b)
    joined = Concatenate(name="joined", dtype="float64")([inner(left), inner(right), a])
    end = dense(2, "end")(joined)
    return Model([a, b], [end, Add(name="sum", dtype="float64")([left, right]), joined])


def by_hand(model, a, b):
    def apply(layer, x):
        return np.tanh(x @ layer.kernel + layer.bias)

    shared, (first, second), end = model.get_layer("shared"), model.get_layer("inner").layers, model.get_layer("end")
    left, right = apply(shared, a), apply(shared, b)
    inner = [apply(second, apply(first, x)) for x in (left, right)]
    joined = np.concatenate([*inner, a], axis=-1)
    return [apply(end, joined), left + right, joined]


def test_values_are_those_of_the_arithmetic():
    model, (a, b) = branches(), RNG.normal(size=(2, 3, 4))
    for outputs in (model([a, b]), model({"b": b, "a": a}), model.forward([a, b]), model([a, b], training=True)):
        for found, wanted in zip(outputs, by_hand(model, a, b), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert model.output_shape == [(None, 2), (None, 4), (None, 12)]
    assert model.compute_output_shape([(5, 4), (5, 4)]) == [(5, 2), (5, 4), (5, 12)]
    assert [layer.name for layer in model.layers] == ["a", "b", "shared", "inner", "joined", "end", "sum"]
    assert model.input_names == ["a", "b"]
    assert model.output_names == ["end", "sum", "joined"]


@pytest.mark.double
@pytest.mark.parametrize("missing", [None, 0, 1, 2])
def test_gradients_by_differences(missing):
    model, xs = branches(), list(RNG.normal(size=(2, 3, 4)))
    towards = [RNG.normal(size=out.shape) for out in model(xs)]
    if missing is not None:
        towards[missing] = None

    def loss():
        return sum((out * t).sum() for out, t in zip(model(xs), towards, strict=True) if t is not None)

    model.forward(xs)
    found = model.backward(towards)
    for x, grad in zip(xs, found, strict=True):
        for at in [(0, 0), (2, 3)]:
            before = x[at]
            x[at] = before + 1e-6
            above = loss()
            x[at] = before - 1e-6
            assert grad[at] == pytest.approx((above - loss()) / 2e-6, abs=1e-7)
            x[at] = before
    for i, grad in enumerate(model.gradients):
        weights = model.get_weights()
        at = tuple(n - 1 for n in grad.shape)
        before = weights[i][at]
        losses = []
        for step in (1e-6, -1e-6):
            weights[i][at] = before + step
            model.set_weights(weights)
            losses.append(loss())
        weights[i][at] = before
        model.set_weights(weights)
        assert grad[at] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-7)


def test_penalties_of_shared_weights_count_once():
    x = Input((2,))
    layer = Dense(2, kernel_regularizer="l2", use_bias=False, dtype="float64")
    model = Model(x, Add(dtype="float64")([layer(x), layer(x)]))
    kernel = layer.kernel
    one = np.ones((1, 2))
    model.forward(one)
    model.backward(np.zeros((1, 2)))
    np.testing.assert_allclose(model.gradients[0], 0.02 * kernel)
    assert model.losses == [pytest.approx(0.01 * (kernel**2).sum())]


def test_activity_penalties_of_a_shared_layer_add_up():
    x = Input((2,))
    layer = Activation("linear", activity_regularizer="l2", dtype="float64")
    model = Model(x, Add(dtype="float64")([layer(x), layer(Activation("relu", dtype="float64")(x))]))
    given = np.array([[3.0, -1.0]])
    model.forward(given)
    assert model.losses == [pytest.approx(0.01 * (10 + 9))]
    np.testing.assert_allclose(model.backward(np.zeros((1, 2))), 0.02 * np.array([[6.0, -1.0]]))
    model(given)
    assert model.losses == [pytest.approx(0.01 * (10 + 9))]


def test_what_no_output_depends_on():
    a, b = Input((2,)), Input((2,))
    model = Model([a, b], [Dense(1, name="x")(a), Dense(1, name="y")(b)])
    model.forward([np.ones((1, 2)), np.ones((1, 2))])
    first, second = model.backward([[[1.0]], None])
    assert first.shape == (1, 2)
    assert second is None
    assert [bool(grad.any()) for grad in model.gradients] == [True, True, False, False]


def test_an_input_that_is_an_output_and_a_tensor_used_twice():
    x = Input((4,))
    model = Model(x, [x, Add()([x, x]), Multiply()([x, x])])
    same, double, square = model(X)
    np.testing.assert_allclose(same, X, rtol=1e-6)
    np.testing.assert_allclose(double, 2 * X, rtol=1e-6)
    model.forward(X)
    np.testing.assert_allclose(model.backward([np.ones_like(X)] * 3), 1 + 2 + 2 * X, rtol=1e-5)
    np.testing.assert_allclose(square, X * X, rtol=1e-6)
    # What comes out is new, whatever it is.
    given = X.astype(np.float32)
    for out in model(given):
        assert out.dtype == np.float32
        out[...] = np.nan
    assert np.isfinite(given).all()


def test_settings_that_change_shapes_act_in_networks_too():
    x = Input((6, 6, 2))
    layer = Conv2D(3, 3)
    model = Model(x, GlobalAveragePooling2D(keepdims=True)(layer(x)))
    line = Model(x, layer(x))
    assert line.output_shape == (None, 4, 4, 3)
    layer.strides = 2
    assert line.output_shape == (None, 2, 2, 3)
    assert line(np.ones((1, 6, 6, 2))).shape == line.predict(np.ones((1, 6, 6, 2)), verbose=0).shape == (1, 2, 2, 3)
    assert model.output_shape == (None, 1, 1, 3)


def test_a_dict_of_outputs():
    x = Input((4,))
    model = Model({"in": x}, {"b": Dense(1)(x), "a": Dense(2)(x)})
    out = model({"in": X})
    assert {name: one.shape for name, one in out.items()} == {"b": (3, 1), "a": (3, 2)}
    assert model.output_names == ["a", "b"]
    model.forward({"in": X})
    assert model.backward({"a": np.ones((3, 2)), "b": np.ones((3, 1))}).shape == X.shape


def residual():
    x = Input((6, 6, 2), name="x")
    y = Conv2D(2, 3, padding="same", use_bias=False, name="conv")(x)
    y = BatchNormalization(name="norm")(y)
    y = Activation("relu", name="relu")(Add(name="add")([x, y]))
    return Model(x, Dense(3, name="dense")(GlobalAveragePooling2D(name="mean")(y)), name="residual")


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "config": lambda model: type(model).from_config(model.get_config()),
    "json": lambda model: model_from_json(model.to_json()),
    "clone": clone_model,
}


@pytest.mark.parametrize("made", [branches, residual])
@pytest.mark.parametrize("name", COPIES)
def test_copies(made, name, tmp_path):
    model = made()
    other = COPIES[name](model)
    assert not {id(layer) for layer in model._leaves()} & {id(layer) for layer in other._leaves()}
    other.set_weights(model.get_weights())
    xs = [RNG.normal(size=(2, *tensor.shape[1:])) for tensor in model.inputs]
    wanted, found = (one(xs if len(xs) > 1 else xs[0]) for one in (model, other))
    assert all(np.array_equal(a, b) for a, b in zip(wanted, found, strict=True))
    assert other.get_config() == model.get_config()
    end = other.get_layer(index=len(other.layers) - 2)
    assert Model(other.input, end.output).output_shape == end.output_shape


@pytest.mark.parametrize("made", [branches, residual])
def test_files_keep_every_bit(made, tmp_path):
    model = made()
    model.save(tmp_path / "m.npz")
    for kind in (Model, type(model)):
        other = kind.load(tmp_path / "m.npz")
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
        assert other.get_config() == model.get_config()
    with pytest.raises(ValueError, match="must be a Sequential, got a Functional"):
        Sequential.load(tmp_path / "m.npz")


def test_models_from_the_middle_of_a_network():
    model = residual()
    x = RNG.normal(size=(2, 6, 6, 2)).astype(np.float32)
    first = Model(model.input, model.get_layer("add").output)
    second = Model(model.get_layer("add").output, model.output)
    np.testing.assert_array_equal(second(first(x)), model(x))
    assert [layer.name for layer in second.layers][1:] == ["relu", "mean", "dense"]
    assert second.count_params() == model.get_layer("dense").count_params()
    # The network that it was taken from stays as it was.
    assert [layer.name for layer in model.layers] == ["x", "conv", "norm", "add", "relu", "mean", "dense"]


def test_a_sequential_is_a_line_of_a_graph():
    line = Sequential([Input((6, 6, 2)), Conv2D(3, 3, name="c"), Flatten(), Dense(2, name="d")])
    assert [layer.name for layer in line.layers][0::2] == ["c", "d"]
    part = Model(line.input, line.get_layer("c").output)
    x = RNG.normal(size=(2, 6, 6, 2)).astype(np.float32)
    np.testing.assert_array_equal(part(x), line.layers[0](x))
    head = Model(line.input, Dense(5)(line.layers[-2].output))
    assert head.output_shape == (None, 5)
    line.pop()
    assert line.output_shape == (None, 48)
    line.add(Dense(4))
    assert line(x).shape == (2, 4)
    late = Sequential([Conv2D(3, 3)])
    with pytest.raises(AttributeError, match="has no output yet"):
        _ = late.layers[0].output
    late(x)
    assert late.layers[0].output.shape == (None, 4, 4, 3)


def test_a_baked_mode_goes_before_that_of_the_call():
    x = Input((4,))
    base = Sequential([BatchNormalization(), Dropout(0.5)], name="base")
    model = Model(x, base(x, training=False))
    assert np.array_equal(model(X, training=True), model(X))
    out = model.forward(X)
    # What predicts rounds the factors of a normalization.
    np.testing.assert_allclose(out, model(X), rtol=1e-6)
    assert model.backward(np.ones_like(out)).shape == X.shape
    assert model.gradients[0] is not None


class Scale(Layer):
    """A layer of a user's with two inputs and a note of its last call."""

    def build(self, shapes):
        self.factor = self.add_weight((), "ones")

    def compute_output_shape(self, shapes):
        return shapes[0]

    def call(self, xs):
        self._noted = xs
        return xs[0] * xs[1] * self.factor

    def backward(self, grad_out):
        a, b = self._noted
        return [grad_out * b * self.factor, grad_out * a * self.factor], {"weight_0": (grad_out * a * b).sum()}


def test_a_layer_of_the_users_with_two_inputs_and_two_calls():
    a, b = Input((2,)), Input((2,))
    layer = Scale(dtype="float64")
    model = Model([a, b], layer([layer([a, b]), b]))
    one, two = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
    np.testing.assert_allclose(model.forward([one, two]), one * two * two)
    grads = model.backward(np.ones((1, 2)))
    np.testing.assert_allclose(grads[0], two * two)
    np.testing.assert_allclose(grads[1], 2 * one * two)
    np.testing.assert_allclose(model.gradients[0], 2 * (one * two * two).sum())


def test_operators():
    a, b = Input((4,)), Input((4,))
    model = Model([a, b], [a + b, a - b, a * b])
    for found, wanted in zip(model([X, 2 * X]), [3 * X, -X, 2 * X * X], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_deep_networks():
    x = y = Input((1,))
    for _ in range(1500):
        y = Activation("linear")(y)
    model = Model(x, y)
    assert model(np.ones((1, 1))).item() == 1
    assert pickle.loads(pickle.dumps(model))(np.ones((1, 1))).item() == 1
    assert len(Model.from_config(model.get_config()).layers) == 1501


def test_threads_predict_at_once():
    model = residual()
    x = RNG.normal(size=(4, 6, 6, 2))
    wanted, found = model(x), []
    threads = [threading.Thread(target=lambda: found.append(model(x))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(one, wanted) for one in found)


def test_frozen_layers_take_no_gradient():
    model = residual()
    x = RNG.normal(size=(2, 6, 6, 2))
    model.get_layer("conv").trainable = False
    model.forward(x)
    model.backward(np.ones((2, 3)))
    assert [grad is None for grad in model.gradients] == [True, False, False, True, True, False, False]
    model.trainable = False
    assert model.trainable_weights == []
    model.forward(x)
    assert model.backward(np.ones((2, 3))).shape == x.shape


def test_settings_that_change_between_the_ways():
    model = residual()
    model.forward(np.ones((1, 6, 6, 2)))
    model.get_layer("relu").activation = "tanh"
    with pytest.raises(ValueError, match="Activation 'relu': backward needs a forward"):
        model.backward(np.ones((1, 3)))


def test_summary_and_explanations():
    lines = []
    residual().summary(print_fn=lines.append)
    assert "add (Add)" in lines[0]
    assert "x, norm" in lines[0]
    assert "Total: 53 parameters, 49 trainable, 4 not trainable" in lines[0]
    said = residual().explain()
    assert said.count("\n\n") == 5
    assert "add: Add turns (None, 6, 6, 2) and (None, 6, 6, 2) into (None, 6, 6, 2)" in said


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x: Model(x, np.ones(3)), "outputs must be tensors"),
        (lambda x: Model([], x), "inputs must be tensors"),
        (lambda x: Model(Input((4,)), Dense(1)(x)), "inputs must lead to all outputs, but <KerasTensor 'x'"),
        (lambda x: Model(x, Dense(1, name="d")(Dense(1, name="d")(x))), "several 'd'"),
        (lambda x: Model([x, x], Dense(1)(x)), "different tensors"),
        (lambda x: Model(x, Dense(1)(x))(np.ones((2, 5))), r"x must have shape \(None, 4\), got \(2, 5\)"),
        (lambda x: Model(x, Dense(1)(x))({"y": X}), "x is missing|keys x, got y"),
        (lambda x: Model([x, Input((4,))], Dense(1)(x))(X), "inputs must be 2 arrays"),
        (lambda x: np.exp(x), "numbers|KerasTensor"),
        (lambda x: np.asarray(x), "has no numbers"),
        (lambda x: bool(x), "no condition"),
        (lambda x: Dense(1)(x) + "1", "unsupported|KerasTensor"),
        (lambda x: Model(x, Dense(1)(x)).get_layer("dens"), "did you mean|there are"),
        (lambda x: Model(x, Dense(1)(x)).get_layer(), "a name or an index"),
        (lambda x: Model(x, Dense(1)(x)).get_layer(index=9), "index must be below 2"),
        (lambda x: Input(), "one of shape and batch_shape"),
        (lambda x: Input((4,), dtype="text"), "dtype must be one of numbers"),
        (lambda x: Input(4), "shape must be a tuple"),
        (lambda x: model_from_json("[]"), "must have a class_name and a config"),
        (lambda x: model_from_json("{"), "json_string is not valid JSON"),
        (lambda x: clone_model(Dense(1)), "model must be a Model"),
        (lambda x: Sequential([Dense(1), Input((4,))]), "an Input must come before all layers"),
    ],
)
def test_what_is_refused(make, said):
    with pytest.raises((TypeError, ValueError), match=said):
        make(Input((4,), name="x"))


def test_configurations_with_a_circle_or_a_hole():
    config = residual().get_config()
    entry = next(one for one in config["layers"] if one["name"] == "conv")
    tensor = entry["inbound_nodes"][0]["args"][0]["config"]
    for place in (["relu", 0, 0], ["nobody", 0, 0], ["x", 5, 0], ["x", 0, 7], ["x", -1, 0], "x"):
        tensor["keras_history"] = place
        with pytest.raises(ValueError, match=r"wait for each other|a tensor in config"):
            Model.from_config(copy.deepcopy(config))
    del tensor["keras_history"]
    with pytest.raises(ValueError, match=r"a tensor in config must have the keys"):
        Model.from_config(copy.deepcopy(config))
    entry["inbound_nodes"][0] = {}
    with pytest.raises(ValueError, match=r"inbound_nodes in config must have the keys"):
        Model.from_config(config)


def test_names_at_the_top():
    assert nc.Model is Model
    assert nc.Sequential is Sequential
    assert nc.Input is Input

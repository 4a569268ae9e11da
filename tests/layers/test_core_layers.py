"""Dense, Flatten, Activation and Dropout: values, gradients, configurations, files and what they refuse."""

import inspect
import json

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv import activations, config
from numbaconv.layers import Activation, Conv2D, Dense, Dropout, Flatten
from numbaconv.models import Sequential

# A layer of each kind, none of its settings the default.
MADE = {
    "dense": lambda **k: Dense(4, "tanh", False, "he_normal", "ones", "l2", kernel_constraint="non_neg", **k),
    "dense with bias": lambda **k: Dense(
        3, bias_initializer="ones", bias_regularizer="l1", activity_regularizer="l2", bias_constraint="max_norm", **k
    ),
    "flatten": lambda **k: Flatten("channels_first", **k),
    "activation": lambda **k: Activation("relu", **k),
    "dropout": lambda **k: Dropout(0.25, [None, 1, 5], 7, **k),
}
every_layer = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


# -- Dense -------------------------------------------------------------------------------------------------------------


def test_dense_by_hand():
    layer = Dense(2, weights=[[[1, 2], [3, 4], [5, 6]], [10, 20]])
    np.testing.assert_array_equal(layer([[1, 0, 2], [0, -1, 1]]), [[21, 34], [12, 22]])
    layer.forward([[1, 0, 2], [0, -1, 1]])
    np.testing.assert_array_equal(layer.backward([[1, 0], [2, 3]]), [[1, 3, 5], [8, 18, 28]])
    kernel, bias = layer.gradients
    np.testing.assert_array_equal(kernel, [[1, 0], [-2, -3], [4, 3]])
    np.testing.assert_array_equal(bias, [3, 3])


@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 3), (2, 4, 1, 5, 3), (0, 3), (2, 0, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dense_acts_on_the_last_axis(shape, dtype):
    layer = Dense(4, bias_initializer="he_normal", dtype=dtype)
    x = normal(*shape)
    out = layer(x)
    assert out.shape == layer.compute_output_shape(shape) == (*shape[:-1], 4)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *shape[1:-1], 4)
    np.testing.assert_allclose(out, np.einsum("...i,io->...o", x, layer.kernel) + layer.bias, rtol=1e-5, atol=1e-5)
    assert layer.backward(layer.forward(x)).shape == shape
    assert [grad.shape for grad in layer.gradients] == [(3, 4), (4,)]
    assert {grad.dtype for grad in layer.gradients} == {np.dtype(dtype)}


@pytest.mark.parametrize("activation", ["linear", "relu", "softmax", "sigmoid", "mish"])
@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 2)])
def test_gradients_of_dense(activation, shape):
    penalties = {"kernel_regularizer": "l2", "bias_regularizer": "l1", "activity_regularizer": "l2"}
    assert_gradients(Dense(3, activation, bias_initializer="he_normal", dtype=float, **penalties), normal(*shape))
    assert_gradients(Dense(2, activation, use_bias=False, dtype=float), normal(*shape))


def test_bias_gradient_keeps_the_digits_of_many_rows():
    grad_out = np.full((100_000, 1), 0.1, np.float32)
    layer = Dense(1)
    layer.forward(np.zeros((100_000, 1)))
    layer.backward(grad_out)
    assert layer.gradients[1] == np.float32(100_000 * grad_out[0, 0].astype(float))


@pytest.mark.parametrize("shape", [(1, 100), (32, 100), (300, 784)])
def test_dense_gives_the_same_bits_wherever_its_arrays_lie(shape):
    x, results = normal(*shape, dtype=np.float32), set()
    layer = Dense(10, "relu", kernel_initializer="ones")
    for shift in range(8):
        memory = np.empty(x.size + 8, np.float32)[shift : shift + x.size].reshape(shape)
        memory[...] = x
        out = layer.forward(memory)
        results.add((out.tobytes(), layer.backward(out).tobytes(), layer.gradients[0].tobytes()))
    assert len(results) == 1


def test_frozen_dense_still_hands_gradients_down():
    layer = Dense(2, trainable=False, kernel_regularizer="l2", weights=[[[1, 2]], [0, 0]])
    layer.forward([[1]])
    np.testing.assert_array_equal(layer.backward([[1, 1]]), [[3]])
    assert layer.gradients == [None, None]


def test_infinities_pass_without_warnings():
    layer = Dense(1, weights=[[[1], [-1]], [3e38]])
    np.testing.assert_array_equal(layer([[np.inf, 0], [np.inf, np.inf], [3e38, 0]])[:, 0], [np.inf, np.nan, np.inf])
    layer.forward([[3e38, np.inf]])
    np.testing.assert_array_equal(layer.backward([[-np.inf]]), [[-np.inf, np.inf]])


# -- Flatten -----------------------------------------------------------------------------------------------------------


def test_flatten_by_hand():
    x = np.arange(12.0).reshape(1, 2, 3, 2)
    np.testing.assert_array_equal(Flatten()(x), [np.arange(12)])
    wanted = [[0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]]
    np.testing.assert_array_equal(Flatten("channels_first")(x), wanted)
    layer = Flatten("channels_first")
    layer.forward(x)
    np.testing.assert_array_equal(layer.backward(np.array(wanted)), x)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (1, 40, 30, 20), (2, 2, 1, 3, 2, 2), (0, 2, 3), (2, 0, 3)])
def test_both_formats_flatten_to_the_same(shape):
    x = normal(*shape, dtype=np.float32)
    last, first = Flatten(), Flatten("channels_first")
    moved = np.moveaxis(x, -1, 1)
    out = last(x)
    assert out.shape == last.compute_output_shape(shape) == (shape[0], int(np.prod(shape[1:])))
    np.testing.assert_array_equal(first(moved), out)
    last.forward(x), first.forward(moved)
    np.testing.assert_array_equal(last.backward(out), x)
    np.testing.assert_array_equal(first.backward(out), moved)


def test_unknown_sizes_stay_unknown():
    assert Flatten().compute_output_shape((None, 3, 4)) == (None, 12)
    assert Flatten().compute_output_shape((5, None, 4)) == (5, None)


def test_flatten_follows_the_configuration():
    assert Flatten().data_format == "channels_last"
    config.set_image_data_format("channels_first")
    try:
        assert Flatten().data_format == "channels_first"
    finally:
        config.set_image_data_format("channels_last")


# -- Activation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear", "relu", "softmax", "tanh", "gelu"])
def test_activation(name):
    x = normal(2, 3, 4)
    np.testing.assert_array_equal(Activation(name, dtype=float)(x), activations.get(name)(x))
    assert_gradients(Activation(name, dtype=float), x)


def test_functions_of_the_users():
    def double(x):
        return 2 * x.astype(np.float64)

    with pytest.raises(ValueError, match="activation must have an attribute 'gradient'"):
        layer = Activation(double)
        layer.backward(layer.forward([[1.0]]))
    double.gradient = lambda grad_out, y: 2 * grad_out.astype(np.float64)
    for layer in (Activation(double), Dense(1, double, weights=[[[1]], [0]])):
        out = layer.forward([[1], [3]])
        assert (out.dtype, layer([[1]]).dtype) == (np.float32, np.float32)
        np.testing.assert_array_equal(out, [[2], [6]])
        grad_x = layer.backward(out)
        assert grad_x.dtype == np.float32
        np.testing.assert_array_equal(grad_x, [[4], [12]])


# -- all of them -------------------------------------------------------------------------------------------------------


@every_layer
def test_results_are_new_contiguous_and_of_the_layers_dtype(make):
    for dtype in ("float32", "float64"):
        layer = make(dtype=dtype)
        for x in (normal(2, 3, 5, dtype=dtype), np.asfortranarray(normal(2, 3, 5)), normal(2, 3, 10)[..., ::2] > 0):
            before = x.copy()
            out = layer(x)
            assert not np.may_share_memory(out, x)
            for result in (out, layer.forward(x)):
                assert result.flags.c_contiguous
                assert (result.dtype, result.shape) == (np.dtype(dtype), layer.compute_output_shape(x.shape))
            assert layer.backward(np.asfortranarray(out)).dtype == np.dtype(dtype)
            np.testing.assert_array_equal(x, before)


def test_training_copies_no_more_than_needed():
    x = normal(2, 3, dtype=np.float32)
    for layer in (Flatten(), Activation("linear"), Dropout(0)):
        assert np.shares_memory(layer.forward(x), x)
        assert not np.shares_memory(layer(x), x)
    for layer, kept in ((Dense(2), (x, None)), (Flatten(), (2, 3))):
        layer.forward(x)
        assert layer._kept[1] == kept
    dense = Dense(2, "relu")
    out = dense.forward(x)
    assert dense._kept[1][0] is x
    assert dense._kept[1][1] is out
    dropout = Dropout(0.5, (None, 1))
    dropout.forward(x)
    assert (dropout._kept[1].dtype, dropout._kept[1].shape) == (bool, (2, 1))


@every_layer
def test_training_forward_is_the_call_but_for_dropout(make):
    layer, x = make(), normal(2, 3, 5)
    same = layer.forward(x).tobytes() == layer(x).tobytes()
    assert same != isinstance(layer, Dropout)


@every_layer
def test_configuration_round_trip(make):
    layer = make(trainable=False, dtype="float64", batch_input_shape=(None, 3, 5))
    settings = layer.get_config()
    text = json.dumps(settings)
    twin = type(layer).from_config(json.loads(text))
    assert json.dumps(twin.get_config()) == text
    arguments = [p for p in inspect.signature(type(layer)).parameters if p != "kwargs"]
    assert set(settings) == {"name", "trainable", "dtype", "batch_input_shape", *arguments}
    x = normal(2, 3, 5)
    layer(x), twin(x)
    twin.set_weights(layer.get_weights())
    assert twin.forward(x).tobytes() == layer.forward(x).tobytes()


def test_a_model_of_them_is_saved_and_explained(tmp_path):
    model = Sequential(
        [Conv2D(3, 2, input_shape=(6, 5, 2)), Activation("tanh"), Flatten(), Dropout(0.5), Dense(4, "softmax")]
    )
    x = normal(3, 6, 5, 2)
    model.save(tmp_path / "model")
    again = Sequential.load(tmp_path / "model")
    assert again(x).tobytes() == model(x).tobytes()
    assert again.get_config() == model.get_config()
    paragraphs = model.explain().split("\n\n")
    assert paragraphs[1:] == [
        "Activation turns (None, 5, 4, 3) into (None, 5, 4, 3).\nevery value keeps its place.",
        "Flatten turns (None, 5, 4, 3) into (None, 60).\nvalues of an example: 5 * 4 * 3 = 60.",
        "Dropout turns (None, 60) into (None, 60).\nevery value keeps its place.",
        "Dense turns (None, 60) into (None, 4).\nfeatures: 60 in, 4 units, so 4 out; all other axes: unchanged.",
    ]
    assert Flatten("channels_first").explain((2, None, 4)).endswith("unknown * 4 = unknown, channels last.")


def built(layer, shape=(None, 3)):
    layer.build(shape)
    return layer


def spent():
    layer = Dense(2)
    layer.backward(layer.forward(np.ones((1, 3))))
    return layer


# What is called, the error, and what its message must hold: argument, what came, what would be right.
REFUSED = {
    "units zero": (lambda: Dense(0), ValueError, ("units", "positive", "got 0")),
    "units float": (lambda: Dense(2.0), ValueError, ("units", "integer", "got 2.0")),
    "use_bias": (lambda: Dense(2, use_bias=1), TypeError, ("use_bias", "True or False", "got 1")),
    "activation of Dense": (lambda: Dense(2, "rely"), ValueError, ("activation", "relu", "'rely'")),
    "activation": (lambda: Activation("rely"), ValueError, ("activation", "relu", "'rely'")),
    "unknown argument": (lambda: Dense(2, unit=3), TypeError, ("unknown argument unit", "units")),
    "data_format": (lambda: Flatten("first"), ValueError, ("data_format", "channels_first", "'first'")),
    "rate below 0": (lambda: Dropout(-0.1), ValueError, ("rate", ">= 0", "-0.1")),
    "rate above 1": (lambda: Dropout(1.1), ValueError, ("rate", "<= 1", "1.1")),
    "rate no number": (lambda: Dropout("half"), TypeError, ("rate", "number", "'half'")),
    "seed": (lambda: Dropout(0.5, seed=0.5), TypeError, ("seed", "integer", "0.5")),
    "noise_shape": (lambda: Dropout(0.5, 3), TypeError, ("noise_shape", "tuple", "got 3")),
    "sizes in noise_shape": (
        lambda: Dropout(0.5, (None, 0)),
        ValueError,
        ("sizes in noise_shape", "positive", "got 0"),
    ),
    "input of another noise_shape": (
        lambda: Dropout(0.5, (4, 1)).forward(np.ones((3, 5))),
        ValueError,
        ("x", "noise_shape (4, 1)", "(3, 5)"),
    ),
    "input of fewer axes than noise_shape": (
        lambda: Dropout(0.5, (1, 3, 5)).forward(np.ones((3, 5))),
        ValueError,
        ("noise_shape (1, 3, 5)", "(3, 5)"),
    ),
    "unknown features": (lambda: built(Dense(2), (4, None)), ValueError, ("features", "known", "None")),
    "no features": (lambda: Dense(2)(np.ones((4, 0))), ValueError, ("features", "positive", "got 0")),
    "other features": (lambda: built(Dense(2))(np.ones((4, 5))), ValueError, ("x", "3 channels", "(4, 5)")),
    "one axis": (lambda: Dense(2)(np.ones(3)), ValueError, ("x", "at least 2 axes", "(3,)")),
    "no axis, built": (lambda: built(Dense(2))(1.0), ValueError, ("x", "at least 2 axes", "()")),
    "one axis, built": (lambda: built(Flatten())(np.ones(3)), ValueError, ("x", "at least 2 axes", "(3,)")),
    "one size": (lambda: Dropout(0.5).compute_output_shape((3,)), ValueError, ("input_shape", "at least 2", "(3,)")),
    "activation changes the shape": (
        lambda: Dense(2, lambda a: a[:, :1])(np.ones((4, 3))),
        ValueError,
        ("activation", "(4, 2)", "(4, 1)"),
    ),
    "backward first": (lambda: Dense(2).backward([[1, 1]]), ValueError, ("backward", "forward")),
    "backward again": (lambda: spent().backward(np.ones((1, 2))), ValueError, ("backward", "forward")),
    "gradient of another shape": (
        lambda: (layer := Flatten(), layer.forward(np.ones((2, 3, 4))), layer.backward(np.ones((2, 3, 4)))),
        ValueError,
        ("grad_out", "(2, 12)", "(2, 3, 4)"),
    ),
}


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert message.split()[0].strip(":") in ("Dense", "Flatten", "Activation", "Dropout")
    assert all(part in message for part in said), message


def test_gradient_of_an_activation_must_keep_the_shape():
    def odd(x):
        return x

    odd.gradient = lambda grad_out, y: grad_out[:1]
    layer = Activation(odd)
    out = layer.forward(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"activation's gradient must have shape \(2, 3\), got \(1, 3\)"):
        layer.backward(out)

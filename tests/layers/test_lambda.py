"""Lambda: a function of the user's as a layer: shapes, gradients, several inputs, and what it refuses."""

import pickle

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv import Input, Model
from numbaconv.layers import Dense, Lambda
from numbaconv.models import Sequential


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def scaled(x, factor=2.0):
    return x * factor


def back(grad_out, x, factor=2.0):
    return grad_out * factor


def test_values_by_hand():
    np.testing.assert_array_equal(Lambda(scaled)([[1, 2]]), [[2, 4]])
    layer = Lambda(scaled, arguments={"factor": -3}, gradient=back)
    out = layer.forward([[1, 2]])
    np.testing.assert_array_equal(out, [[-3, -6]])
    np.testing.assert_array_equal(layer.backward([[1, 10]]), [[-3, -30]])
    layer.arguments = {"factor": 5}
    assert layer([[1, 2]]).tolist() == [[5, 10]]
    with pytest.raises(ValueError, match="backward needs a forward"):
        layer.backward([[1, 10]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "function",
    [lambda x: x, lambda x: x[:, 1:], lambda x: x.swapaxes(1, 2), lambda x: x > 0, lambda x: x.astype("f8").sum(1)],
)
def test_results_are_new_contiguous_and_of_the_layers_dtype(function, dtype):
    x = normal(2, 3, 4, dtype=dtype)
    layer, before = Lambda(function, dtype=dtype), x.copy()
    for out in (layer(x), layer.forward(x), layer(x, training=True)):
        assert out.flags.c_contiguous and out.flags.writeable
        assert out.dtype == dtype
        assert not np.may_share_memory(out, x)
        np.testing.assert_allclose(out, function(before), rtol=1e-6)
        out[...] = 7
    np.testing.assert_array_equal(x, before)


def test_gradients():
    x = normal(3, 4)
    layer = Lambda(np.sin, gradient=lambda grad_out, x: grad_out * np.cos(x), activity_regularizer="l2", dtype=float)
    assert_gradients(layer, x)


@pytest.mark.parametrize(
    ("function", "before", "after"),
    [
        (np.abs, (None, 3, 4), (None, 3, 4)),
        (lambda x: x[:, ::2], (None, None, 4), (None, None, 4)),
        (lambda x: x[:, ::3, :2], (None, None, 4), (None, None, 2)),
        (lambda x: x[:, :5], (None, None, 4), (None, 5, 4)),
        (lambda x: x.mean(axis=1), (5, None, 4), (5, 4)),
        (lambda x: x.reshape(-1, 2), (None, 6), (None, 2)),
        (lambda x: 1 / x, (2, 3), (2, 3)),
    ],
)
def test_shapes_are_found_out(function, before, after):
    layer = Lambda(function)
    assert layer.compute_output_shape(before) == after
    assert layer.explain(before).startswith(f"Lambda turns {before} into {after}.\nit is what ")
    # Nothing has been built, and a call says the same.
    assert not layer.built
    known = tuple(6 if n is None else n for n in before)
    with np.errstate(all="ignore"):
        assert layer(np.ones(known)).shape == layer.compute_output_shape(known)


def test_shapes_that_are_given():
    asked = []

    def function(x):
        asked.append(x.shape)
        return x[:, :2]

    layer = Lambda(function, output_shape=(2, None))
    assert layer.compute_output_shape((None, 5, 4)) == (None, 2, None)
    own = Lambda(function, output_shape=lambda shape: (shape[0], 2, *shape[2:]))
    assert own.compute_output_shape((None, None, 4)) == (None, 2, 4)
    assert asked == []
    assert layer(np.ones((3, 5, 4))).shape == own(np.ones((3, 5, 4))).shape == (3, 2, 4)
    layer.name = "other"
    with pytest.raises(AttributeError, match="output_shape"):
        layer.output_shape = (3,)
    assert layer.compute_output_shape((None, 5, 4)) == (None, 2, None)
    with pytest.raises(ValueError, match=r"Lambda .*function must return an array of shape \(3, 4\), as output_shape"):
        Lambda(np.abs, output_shape=(4,))(np.ones((3, 5)))


def test_training_and_mask_are_handed_on():
    def function(x, training, mask=None):
        return x * (10 if training else 1) + (0 if mask is None else mask[..., None])

    layer = Lambda(function, gradient=back)
    x, mask = np.ones((1, 2, 1)), np.array([[True, False]])
    assert layer(x).ravel().tolist() == [1, 1]
    assert layer(x, training=True).ravel().tolist() == layer.forward(x).ravel().tolist() == [10, 10]
    assert layer(x, mask=mask).ravel().tolist() == [2, 1]
    assert layer(x, training=True, mask=mask).ravel().tolist() == [11, 10]
    assert layer.compute_mask(x, mask) is None
    assert Lambda(np.abs, mask=mask).compute_mask(x) is mask
    assert Lambda(np.abs, mask=lambda inputs, mask: ~mask).compute_mask(x, mask).tolist() == [[False, True]]


def test_several_inputs():
    """The layer of a variational autoencoder that draws."""
    noise = normal(3, 2)

    def sample(inputs):
        mean, log_variance = inputs
        return mean + np.exp(log_variance / 2) * noise[: len(mean)]

    def gradient(grad_out, inputs):
        return grad_out, grad_out * np.exp(inputs[1] / 2) * noise / 2

    layer = Lambda(sample, (2,), gradient=gradient, dtype=float)
    mean, log_variance = normal(3, 2), normal(3, 2) / 2
    out = layer.forward([mean, log_variance])
    np.testing.assert_allclose(out, layer([mean, log_variance]))
    np.testing.assert_allclose(out, sample([mean, log_variance]))
    grads = layer.backward(np.ones((3, 2)))
    np.testing.assert_allclose(grads[1], np.exp(log_variance / 2) * noise / 2)
    assert Lambda(lambda xs: np.concatenate(xs, axis=-1)).compute_output_shape([(None, 2), (None, 3)]) == (None, 5)
    with pytest.raises(ValueError, match="gradient must return a list of 2 arrays"):
        layer = Lambda(sample, (2,), gradient=lambda grad_out, x: grad_out)
        layer.backward(layer.forward([mean, log_variance]))


def test_in_networks():
    """A preprocessing function needs no gradient; one in the middle does, and then trains."""
    x, y = normal(8, 3), normal(8, 1)

    def trained(**keywords):
        inner = Lambda(scaled, **keywords)
        model = Sequential([Lambda(np.abs), Dense(4), inner, Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=1, verbose=0, seed=0)
        return model

    model = trained(gradient=back)
    assert model.output_shape == (None, 1)
    with pytest.raises(ValueError, match=r"Lambda 'lambda.*': gradient must be given to train through a Lambda"):
        trained()
    inputs = Input((3,)), Input((3,))
    joined = Lambda(lambda xs: xs[0] * xs[1], gradient=lambda grad_out, xs: [grad_out * xs[1], grad_out * xs[0]])
    graph = Model(list(inputs), Dense(1)(joined(list(inputs))))
    out = graph.forward([x, x])
    np.testing.assert_allclose(out, graph([x, x]))
    grads = graph.backward(np.ones((8, 1)))
    np.testing.assert_allclose(grads[0], np.ones((8, 1)) @ graph.layers[-1].kernel.T * x, rtol=1e-5)


def test_no_file_holds_a_function(tmp_path):
    layer = Lambda(scaled, name="mine")
    with pytest.raises(TypeError, match="Lambda 'mine': no configuration and no file can hold a function"):
        layer.get_config()
    model = Sequential([layer, Dense(2)])
    model.build((None, 3))
    with pytest.raises(TypeError, match="Lambda 'mine'"):
        model.save(tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []
    # What is pickled finds its function by name.
    assert pickle.loads(pickle.dumps(layer))([[3]]).tolist() == [[6]]


def changing(x):
    x += 1
    return x


REFUSED = {
    "function": (lambda: Lambda("abs"), TypeError, "function must be a function, got 'abs'"),
    "no function": (lambda: Lambda(None), TypeError, "function must be a function, got None"),
    "gradient": (lambda: Lambda(np.abs, gradient=3), TypeError, "gradient must be a function, got 3"),
    "arguments": (lambda: Lambda(np.abs, arguments=[1]), TypeError, "arguments must be a dict"),
    "output_shape": (lambda: Lambda(np.abs, 3), TypeError, "output_shape must be a tuple"),
    "sizes": (lambda: Lambda(np.abs, (-3,)), ValueError, "output_shape must be a tuple of sizes"),
    "an argument too many": (lambda: Lambda(np.abs, output_shap=(3,)), TypeError, "did you mean 'output_shape'"),
    "the input is changed": (lambda: Lambda(changing, (2,))(np.ones((1, 2))), ValueError, "read-only"),
    "no batch": (lambda: Lambda(np.sum, (2,))(np.ones((1, 2))), ValueError, r"function must return an array"),
    "no array": (lambda: Lambda(lambda x: None, (2,))(np.ones((1, 2))), TypeError, "what function returns must"),
    "complex": (lambda: Lambda(lambda x: x * 1j, (2,))(np.ones((1, 2))), TypeError, "what function returns must"),
    "fails on zeros": (
        lambda: Lambda(lambda x: x @ np.ones((7, 2)))(np.ones((1, 2))),
        ValueError,
        r"output_shape must be given, as the function fails on zeros of shape \(1, 2\): ValueError",
    ),
    "other axes": (
        lambda: Lambda(lambda x: x if x.shape[1] > 40 else x[:, 0]).compute_output_shape((None, None)),
        ValueError,
        "output_shape must be given, as the function's axes depend on unknown sizes",
    ),
    "gradient of another shape": (
        lambda: (layer := Lambda(np.abs, gradient=lambda g, x: g[:1])).backward(layer.forward(np.ones((2, 2)))),
        ValueError,
        r"gradient must return the shape of the input, \(2, 2\), got \(1, 2\)",
    ),
}


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error, match=rf"Lambda.*{said}"):
        call()

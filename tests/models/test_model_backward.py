"""`forward` and `backward` of a whole model, which training consists of, by hand."""

import numpy as np
import pytest
from training_cases import Linear, same

from numbaconv import Input
from numbaconv.calls import layouts
from numbaconv.layers import (
    Add,
    BatchNormalization,
    Conv1D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Identity,
    ReLU,
)
from numbaconv.models import Model, Sequential, program

RNG = np.random.default_rng(0)
X, TOWARDS = RNG.normal(size=(4, 6, 2)), RNG.normal(size=(4, 3))


def network():
    layers = [
        Conv1D(4, 3, activation="tanh", kernel_regularizer="l2", dtype="float64", name="conv"),
        BatchNormalization(name="norm"),
        Flatten(name="flatten"),
        Dense(3, activation="softplus", activity_regularizer="l2", name="dense"),
    ]
    model = Sequential(layers, name="m")
    model.build((None, 6, 2))
    model.set_weights([RNG.uniform(0.2, 1, w.shape) for w in model.weights])
    return model


def value(model, x):
    return (TOWARDS * model(x, training=True)).sum() + sum(model.losses)


def slopes(function, array, step=1e-6):
    """What ``function`` gains by each value of an array, from differences."""
    found = np.empty(array.shape)
    for place in np.ndindex(array.shape):
        more, less = array.copy(), array.copy()
        more[place] += step
        less[place] -= step
        found[place] = (function(more) - function(less)) / (2 * step)
    return found


@pytest.mark.double
def test_gradients_are_those_of_small_changes():
    model = network()
    weights = model.get_weights()
    model.forward(X)
    grad_x = model.backward(TOWARDS)
    np.testing.assert_allclose(grad_x, slopes(lambda x: value(model, x), X), rtol=1e-5, atol=1e-7)

    def with_weight(i, w):
        model.set_weights([*weights[:i], w, *weights[i + 1 :]])
        return value(model, X)

    found = model.gradients
    assert len(found) == len(weights)
    for i, (gradient, weight) in enumerate(zip(found, weights, strict=True)):
        if i in (4, 5):
            # Moving mean and variance.
            assert gradient is None
        else:
            wanted = slopes(lambda w, i=i: with_weight(i, w), weight)
            np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-7)


def test_forward_is_what_training_computes():
    model = network()
    before = model.get_weights()
    out = model.forward(X)
    after = model.get_weights()
    model.set_weights(before)
    assert same([out], [model(X, training=True)])
    assert same(after, model.weights)
    assert not same(before, after)
    assert same([model.forward(X, training=False)], [model(X)])
    assert [layer._kept for layer in model.layers] == [None] * 4


def test_a_step_by_hand_is_that_of_training():
    def made():
        model = Sequential([Dense(3, name="a"), Dropout(0.5, seed=1), Dense(2, name="b")])
        model.build((None, 2))
        model.set_weights([np.full(w.shape, 0.5) for w in model.weights])
        model.compile("sgd", "mse")
        return model

    x, y = X[:, 0].astype(np.float32), TOWARDS[:, :2].astype(np.float32)
    trained, by_hand = made(), made()
    trained.train_on_batch(x, y)
    _, gradient = by_hand.loss.value_and_gradient(y, by_hand.forward(x))
    assert by_hand.backward(gradient, input_grad=False) is None
    by_hand.set_weights(by_hand.optimizer.step(by_hand.weights, by_hand.gradients))
    assert same(trained.weights, by_hand.weights)


def test_the_way_back_ends_at_the_first_layer_that_is_trained():
    layers = [Linear(2, name=name) for name in "abc"]
    layers[0].trainable = False
    model = Sequential(layers)
    x = np.ones((1, 2), np.float32)
    for input_grad, asked in ((False, [[], ["without"], ["with"]]), (True, [["with"], ["with"], ["with"]])):
        for layer in layers:
            layer.asked.clear()
        model.forward(x)
        grad_x = model.backward(x, input_grad)
        assert [[one.split()[1] for one in layer.asked if "backward" in one] for layer in layers] == asked
        assert (grad_x is not None) == input_grad
        assert [gradient is None for gradient in model.gradients] == [True, False, False]
        assert [layer._kept for layer in layers] == [None] * 3


def test_errors_name_model_and_layer():
    model = network()
    with pytest.raises(ValueError, match=r"^Sequential 'm': backward needs a forward"):
        model.backward(TOWARDS)
    model.forward(X)
    with pytest.raises(ValueError, match=r"^Sequential 'm': Dense 'dense': grad_out must have shape"):
        model.backward(TOWARDS[:, :2])
    with pytest.raises(ValueError, match=r"^Sequential 'm': Conv1D 'conv': x must have 3 axes"):
        model.forward(X[0])
    for use in (Sequential().forward, Sequential().backward):
        with pytest.raises(ValueError, match="the model has no layers"):
            use(X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 70, 67)])
def test_relu_is_joined_to_what_comes_before_it(shape, axis, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    x, grad = rng.normal(1, 2, (2, *shape)).astype(dtype)
    # Values that are NaN, infinite or 0 after the normalization; a channel that is all NaN.
    x[0, :2, :2] = grad[0, 0, 0] = np.nan
    norms = [BatchNormalization(axis, dtype=dtype) for _ in range(2)]
    image = Input(shape[1:], dtype=dtype)
    # Which runs between the normalization and its relu.
    other = Identity(dtype=dtype)(image)
    model = Model(image, ReLU(dtype=dtype)(Add(dtype=dtype)([other, ReLU(dtype=dtype)(norms[0](image))])))
    assert [type(step.operation) for step in model._program().steps[:3]] == [BatchNormalization, Identity, ReLU]
    weights = list(rng.normal(size=(4, shape[axis])) ** 2 - np.array([[1], [1], [0], [0]]))
    for norm in norms:
        norm.build(x.shape)
        norm.set_weights(weights)
    first, total, last = ReLU(dtype=dtype), Add(dtype=dtype), ReLU(dtype=dtype)
    out = last.forward(total.forward([x, first.forward(norms[1].forward(x))]))
    direct, through = total.backward(last.backward(grad))
    grad_x = direct + norms[1].backward(first.backward(through))

    monkeypatch.delattr(ReLU.__base__, "_forward")
    np.testing.assert_array_equal(model.forward(x), out)
    np.testing.assert_array_equal(model.backward(grad), grad_x)
    for found, right in zip(norms[0].gradients + norms[0].weights, norms[1].gradients + norms[1].weights, strict=True):
        np.testing.assert_array_equal(found, right)


# Around the sum of a normalization, n, and what came before it, b.
SUMMED = {
    "n + b": lambda n, b: ReLU()(Add()([n, b])),
    "b + n": lambda n, b: ReLU()(Add()([b, n])),
    "another shape": lambda n, b: ReLU()(Add()([n, GlobalAveragePooling2D(keepdims=True)(b)])),
    "three": lambda n, b: ReLU()(Add()([n, b, b])),
    "no relu": lambda n, b: Add()([n, b]),
    "twice": lambda n, b: Add()([ReLU()(Add()([n, b])), n]),
    "itself": lambda n, b: ReLU()(Add()([n, n])),
}


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("name", SUMMED)
def test_sums_are_joined_to_the_normalization_before_them(name, axis, monkeypatch):
    joins = name in ("n + b", "b + n")
    rng = np.random.default_rng(0)
    x, grad = rng.normal(1, 2, (2, 3, 66, 65, 5)).astype(np.float32)
    x[0, :2, :2] = grad[0, 0, 0] = np.nan
    image = Input(x.shape[1:])
    before = ReLU()(BatchNormalization(axis)(image))
    model = Model(image, SUMMED[name](BatchNormalization(axis)(before), before))
    taken = []
    usual = BatchNormalization._normalized
    monkeypatch.setattr(BatchNormalization, "_normalized", lambda *args: taken.append(args[-1]) or usual(*args))
    results = []
    for _ in range(2):
        model.set_weights([np.full(w.shape, 1 + i, np.float32) for i, w in enumerate(model.get_weights())])
        out = model.forward(x)
        results.append([out, model.backward(grad[..., : out.shape[-1]]), *model.gradients, *model.get_weights()])
        assert [one is not None for one in taken] == [False, joins and not len(results) > 1]
        taken.clear()
        monkeypatch.setattr(BatchNormalization, "_takes_sum", lambda *args: False)
    for found, right in zip(*results, strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("readers", [2, 3])
def test_gradients_of_a_sum_with_relu_are_added_where_they_pass(readers, dtype, monkeypatch):
    x, grad = np.random.default_rng(0).normal(size=(2, 2, 67, 65, 5)).astype(dtype)
    x[0, 0, 0, 0] = grad[0, 0, 1] = np.nan
    image = Input(x.shape[1:], dtype=dtype)
    total = ReLU(dtype=dtype)(Add(dtype=dtype)([image, BatchNormalization(dtype=dtype)(image)]))
    norms = [BatchNormalization(dtype=dtype)(total) for _ in range(readers - 1)]
    model = Model(image, Add(dtype=dtype)([*norms, total]))
    passed, usual = [], layouts.Pair.passed
    monkeypatch.setattr(layouts.Pair, "passed", lambda *args: passed.append(None) or usual(*args))
    results = []
    for _ in range(2):
        model.forward(x)
        results.append([model.backward(grad), *(one for one in model.gradients if one is not None)])
        monkeypatch.setattr(program, "paired", layouts.added)
    assert len(passed) == (readers == 2)
    for found, right in zip(*results, strict=True):
        np.testing.assert_array_equal(found, right)

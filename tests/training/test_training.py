"""Training: steps by hand, what is measured, and what is shown meanwhile."""

import numpy as np
import pytest
from training_cases import Counted, Linear, classes, classifier, one_weight, same, weight_of

from numbaconv.layers import Conv2D
from numbaconv.losses import SparseCategoricalCrossentropy
from numbaconv.metrics import MeanSquaredError
from numbaconv.models import Sequential
from numbaconv.optimizers import SGD, Adam

QUIET = {"verbose": 0}


# -- steps -------------------------------------------------------------------------------------------------------------


def test_steps_by_hand():
    model = one_weight()
    model.compile(SGD(0.125), "mse")
    x, y = [[2.0], [0.0], [1.0]], [[0.0], [1.0], [3.0]]
    history = model.fit(x, y, batch_size=2, shuffle=False, **QUIET)
    # Losses (4 + 1) / 2 and, with 1 - 0.125 * 4 of the weight left, 2.5 ** 2; counted twice and once.
    assert history.history == {"loss": [(2 * 2.5 + 6.25) / 3]}
    assert weight_of(model) == 0.5 + 0.125 * 5
    assert model.optimizer.iterations == 2
    assert model.history is history


def test_penalties_by_hand():
    model = one_weight(2.0, kernel_regularizer="l2", activity_regularizer="l1")
    model.compile(SGD(0.5), "mse")
    history = model.fit([[1.0], [3.0]], [[2.0], [6.0]], **QUIET)
    # No error; 0.01 * 2 ** 2 on the weight and 0.01 * (2 + 6) / 2 on the outputs.
    assert history.history["loss"] == pytest.approx([0.04 + 0.04], rel=1e-12)
    assert weight_of(model) == pytest.approx(2 - 0.5 * (0.04 + 0.02), rel=1e-12)
    expected = 2 * (weight_of(model) - 2) ** 2 * 2.5 + 0.01 * weight_of(model) ** 2 + 0.02 * weight_of(model)
    assert model.evaluate([[1.0], [3.0]], [[2.0], [6.0]], **QUIET) == pytest.approx(expected, rel=1e-9)


def test_penalties_of_outputs_alone():
    model = one_weight(activity_regularizer="l1")
    model.compile(SGD(1), "mse")
    assert model.train_on_batch([[2.0]], [[2.0]]) == pytest.approx(0.02, rel=1e-12)
    assert weight_of(model) == pytest.approx(1 - 0.02, rel=1e-12)


def test_frozen_weights_have_no_penalty():
    model = Sequential([Linear(1, weights=[[[3.0]]], kernel_regularizer="l2", trainable=False), Linear(1)])
    model.compile("sgd", "mse")
    assert model.evaluate([[0.0]], [[0.0]], **QUIET) == 0
    assert model.train_on_batch([[0.0]], [[0.0]]) == 0


def test_constraints_hold_after_every_step():
    model = one_weight(kernel_constraint="non_neg")
    model.compile(SGD(1), "mse")
    model.fit([[1.0]], [[-9.0]], **QUIET)
    assert weight_of(model) == 0


def test_only_layers_with_constraints_are_asked_for_them(monkeypatch):
    model = classifier(kernel_constraint="unit_norm")
    monkeypatch.setattr(model.layers[1], "apply_constraints", None)
    model.fit(*classes(), **QUIET)
    np.testing.assert_allclose(np.linalg.norm(model.weights[0], axis=0), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("frozen", "asked"),
    [
        ((), ["without", "with", "with"]),
        ((0,), [None, "without", "with"]),
        ((0, 1), [None, None, "without"]),
        ((1,), ["without", "with", "with"]),
        ((2,), ["without", "with", "with"]),
        ((1, 2), ["without", "with", "with"]),
    ],
)
def test_gradients_are_taken_no_further_than_needed(frozen, asked):
    layers = [Linear(3), Linear(4), Linear(2)]
    for i in frozen:
        layers[i].trainable = False
    model = Sequential(layers)
    model.compile("sgd", "mse")
    model.build((None, 2))
    before = model.get_weights()
    model.fit(np.ones((4, 2)), np.ones((4, 2)), **QUIET)
    for i, (layer, answer) in enumerate(zip(layers, asked, strict=True)):
        assert layer.asked == ["forward"] + ([] if answer is None else [f"backward {answer} input"])
        assert np.array_equal(model.weights[i], before[i]) is (i in frozen)
        assert layer._kept is None


def test_gradients_are_those_of_the_loss():
    x, y = classes(6)
    model = Sequential(
        [
            Linear(3, kernel_regularizer="l1_l2", activity_regularizer="l2", dtype="float64"),
            Linear(2, kernel_regularizer="l2", activity_regularizer="l1", dtype="float64"),
        ]
    )
    model.compile(SGD(1), SparseCategoricalCrossentropy(from_logits=True))
    model.build(x.shape)
    before, step = model.get_weights(), 1e-6
    slopes = []
    for i, weight in enumerate(before):
        for index in np.ndindex(weight.shape):
            values = []
            for sign in (1, -1):
                moved = [w.copy() for w in before]
                moved[i][index] += sign * step
                model.set_weights(moved)
                values.append(model.test_on_batch(x, y))
            slopes.append((values[0] - values[1]) / (2 * step))
    model.set_weights(before)
    model.train_on_batch(x, y)
    moves = [(old - new).ravel() for old, new in zip(before, model.weights, strict=True)]
    np.testing.assert_allclose(np.concatenate(moves), slopes, atol=1e-8)


def test_convolutions_learn_a_filter():
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 1))
    edges = Conv2D(1, 3, weights=[np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]).reshape(3, 3, 1, 1) / 4, [0.5]])
    model = Sequential([Conv2D(1, 3)])
    model.compile(Adam(0.05), "mse")
    history = model.fit(x, edges(x), batch_size=4, epochs=60, seed=0, **QUIET)
    assert history.history["loss"][-1] < 1e-5 < history.history["loss"][0]
    np.testing.assert_allclose(model.weights[0], edges.kernel, atol=0.01)


def test_statistics_are_left_to_the_layer():
    model = Sequential([Counted(), Linear(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((6, 1)), np.ones((6, 1)), batch_size=2, epochs=2, validation_split=0.4, **QUIET)
    assert model.weights[0] == [4]


def test_examples_are_never_changed():
    x, y = classes()
    x.flags.writeable = y.flags.writeable = False
    model = classifier()
    model.fit(x, y, **QUIET)
    model.evaluate(x, y, **QUIET)


@pytest.mark.parametrize("convert", [np.ndarray.tolist, np.asfortranarray, lambda a: np.repeat(a, 2, 0)[::2]])
def test_examples_of_any_kind(convert):
    (x, y), expected, model = classes(), classifier(), classifier()
    expected.fit(x, y, seed=0, **QUIET)
    model.fit(convert(x), convert(y), seed=0, **QUIET)
    assert same(model.weights, expected.weights)


# -- what is measured --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "y", "name"),
    [
        (SparseCategoricalCrossentropy(from_logits=True), [0, 1, 1], "SparseCategoricalAccuracy"),
        ("mse", [[1, 0], [0, 1], [0, 1]], "CategoricalAccuracy"),
    ],
)
def test_accuracy_is_decided_by_the_loss(loss, y, name):
    model = Sequential([Linear(2, weights=[np.eye(2)])])
    model.compile("sgd", loss, ["acc"])
    results = model.evaluate([[2, 0], [0, 2], [2, 0]], y, return_dict=True, **QUIET)
    assert results["acc"] == pytest.approx(2 / 3)
    assert [type(metric).__name__ for metric in model.metrics] == [name]


def test_results_of_evaluation():
    model, (x, y) = classifier(metrics=["accuracy", "sparse_top_k_categorical_accuracy"]), classes(7)
    out = model(x)
    before = model.get_weights()
    expected = [model.loss(y, out), (out.argmax(axis=1) == y).mean(), 1.0]
    for batch_size in (1, 3, 7, 100):
        assert model.evaluate(x, y, batch_size, **QUIET) == pytest.approx(expected, rel=1e-6)
    assert model.test_on_batch(x, y) == pytest.approx(expected, rel=1e-6)
    results = model.evaluate(x, y, return_dict=True, **QUIET)
    assert list(results) == ["loss", "accuracy", "sparse_top_k_categorical_accuracy"]
    assert model.test_on_batch(x, y, return_dict=True) == pytest.approx(results, rel=1e-6)
    assert all(isinstance(value, float) for value in results.values())
    assert same(model.weights, before)


def test_without_metrics_the_result_is_a_number():
    model, (x, y) = classifier(metrics=[]), classes(4)
    assert isinstance(model.evaluate(x, y, **QUIET), float)
    assert isinstance(model.test_on_batch(x, y), float)
    assert isinstance(model.train_on_batch(x, y), float)


def test_a_batch_is_a_fit_of_one_batch():
    (x, y), model, expected = classes(), classifier(optimizer="adam"), classifier(optimizer="adam")
    weights = np.arange(20) / 10
    for _ in range(3):
        results = model.train_on_batch(x, y, weights, {0: 2.0}, return_dict=True)
        history = expected.fit(
            x, y, batch_size=20, sample_weight=weights, class_weight={0: 2.0}, shuffle=False, **QUIET
        ).history
        assert {name: [value] for name, value in results.items()} == history
        assert same(model.weights, expected.weights)


def test_means_begin_anew_every_epoch():
    (x, y), model, again = classes(), classifier(), classifier()
    at_once = model.fit(x, y, epochs=3, shuffle=False, validation_data=(x, y), **QUIET).history
    apart = [again.fit(x, y, shuffle=False, validation_data=(x, y), **QUIET).history for _ in range(3)]
    assert at_once == {name: [history[name][0] for history in apart] for name in at_once}
    assert len(set(at_once["loss"])) == 3


def test_the_users_own_metric_and_loss():
    class Largest:
        """The largest prediction so far."""

        name = "largest"

        def __call__(self):
            return self.value

        result = __call__

        def reset_state(self):
            self.value = -np.inf

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.value = max(self.value, y_pred.max())

    class Sum:
        """The sum of the predictions."""

        def __call__(self, y_true, y_pred, sample_weight=None):
            return y_pred.sum()

        def value_and_gradient(self, y_true, y_pred, sample_weight=None):
            return y_pred.sum(), np.ones_like(y_pred)

    model = one_weight()
    model.compile(SGD(0.25), Sum(), [Largest()])
    history = model.fit([[1.0], [3.0], [2.0]], [0, 0, 0], batch_size=2, shuffle=False, **QUIET).history
    assert history == {"loss": [(2 * 4 + 1 * 0.0) / 3], "largest": [3.0]}
    assert model.evaluate([[2.0]], [0], return_dict=True, **QUIET) == {"loss": -1.0, "largest": -1.0}


# -- progress ----------------------------------------------------------------------------------------------------------


def test_bars(capsys):
    model, (x, y) = classifier(), classes()
    for verbose in ("auto", 1):
        model.fit(x, y, batch_size=6, epochs=2, validation_split=0.1, verbose=verbose)
        out, err = capsys.readouterr()
        assert out == ""
        last = err.split("\r")[-1]
        assert "Epoch 2/2: 100%" in last
        assert "3/3" in last
        history = model.history.history
        assert all(f"{name}: {values[-1]:.4g}" in last for name, values in history.items())
        assert len(history) == 4


def test_lines(capsys):
    model, (x, y) = classifier(), classes()
    model.fit(x, y, epochs=3, initial_epoch=1, verbose=2)
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 2/3", "Epoch 3/3"]
    assert lines[1].endswith(", ".join(f"{name}: {v[-1]:.4g}" for name, v in model.history.history.items()))


def test_silence(capsys):
    model, (x, y) = classifier(), classes()
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.evaluate(x, y)
    assert capsys.readouterr() == ("", "")
    model.evaluate(x, y, verbose=1)
    assert "20/20" in capsys.readouterr().err


def test_a_metric_that_keeps_its_object():
    metric = MeanSquaredError(name="error")
    model = one_weight()
    model.compile("sgd", "mse", [metric])
    model.evaluate([[1.0]], [[3.0]], **QUIET)
    assert model.metrics == [metric]
    assert metric.result() == 4

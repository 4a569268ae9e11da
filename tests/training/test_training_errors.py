"""What training refuses, and that errors in the middle of a step leave the weights as they were."""

import signal
from itertools import pairwise

import numpy as np
import pytest
from training_cases import Counted, Linear, classes, classifier, one_weight, same, weight_of

from numbaconv.callbacks import Callback, LambdaCallback
from numbaconv.models import Sequential
from numbaconv.optimizers import SGD, Adam

X, Y = classes(6)
NAN = np.where(np.arange(6) == 4, np.nan, 1)

# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"optimizer": "fastest"}, ValueError, "optimizer must be one of .*, got 'fastest'"),
        ({"optimizer": None}, TypeError, "optimizer must be a name, .*, got None"),
        ({"optimizer": 3}, TypeError, "optimizer must be a name, .*, got 3"),
        ({"loss": "least"}, ValueError, "loss must be one of .*, got 'least'"),
        ({"loss": 3}, TypeError, "loss must be a name, a class, a config or a callable, got 3"),
        ({"metrics": 3}, TypeError, "metrics must be a list of metrics, got 3"),
        ({"loss_weights": [2.0, 1.0]}, ValueError, "loss_weights must have 1 parts, .*, got 2"),
        ({"weighted_metrics": 3}, TypeError, "weighted_metrics must be a list of metrics, got 3"),
        ({"metrics": {"a": "mse"}}, ValueError, "metrics must have names of outputs as keys, b, got a"),
        ({"loss": ["mse", "mse"]}, ValueError, "loss must have 1 parts, one for each of b, got 2"),
        (
            {"steps_per_execution": 8},
            ValueError,
            "steps_per_execution must be 1 .*, because steps are taken one",
        ),
        ({"jit_compile": "fast"}, ValueError, "jit_compile must be 'auto' or True .*, got 'fast'"),
        ({"run_eagerly": 1}, ValueError, "run_eagerly must be False or True .*, got 1"),
        ({"auto_scale_loss": None}, ValueError, "auto_scale_loss must be True or False.*, got None"),
        ({"metrics": ["best"]}, ValueError, "metric must be one of .*, got 'best'"),
        ({"metrics": [None]}, ValueError, "metrics must have names of their own"),
        (
            {"metrics": ["mse", "mse"]},
            ValueError,
            "metrics must have names of their own, none of them 'loss', got .*'mse', 'mse'",
        ),
        (
            {"metrics": [{"class_name": "MSE", "config": {"name": "loss"}}]},
            ValueError,
            "metrics must .* none of them 'loss'",
        ),
    ],
)
def test_compile_refuses(arguments, kind, said):
    model = classifier()
    before = model.optimizer, model.loss, model.get_compile_config()
    with pytest.raises(kind, match=rf"^Sequential 'm': {said}"):
        model.compile(**arguments)
    assert (model.optimizer, model.loss, model.get_compile_config()) == before


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"x": np.zeros((0, 2)), "y": []}, ValueError, r"x must hold at least one example, got shape \(0, 2\)"),
        ({"x": 3.0}, ValueError, r"x must have a batch axis, got the single number 3\.0"),
        ({"x": "photos"}, TypeError, "x must hold real numbers"),
        ({"x": X[:, :1]}, ValueError, r".*x must have 2 channels .*, got 1 in shape \(6, 1\)"),
        ({"x": X[:, 0]}, ValueError, r".*x must have at least 2 axes, batch first, got shape \(6,\)"),
        ({"x": len}, TypeError, "x must (be an array or yield batches, got the function <.*>; call it|hold real)"),
        ({"y": None}, TypeError, "y must be an array of numbers, got None"),
        ({"y": Y[:5]}, ValueError, "x, y must be of the same length, got 6, 5"),
        ({"y": Y + 1}, ValueError, "y_true must hold integers from 0 to 1, got 2"),
        ({"y": np.eye(6)}, ValueError, "y_true must hold a label per position"),
        ({"batch_size": 0}, ValueError, "batch_size must be .*, got 0"),
        ({"batch_size": 2.0}, ValueError, "batch_size must be"),
        ({"sample_weight": np.ones(5)}, ValueError, "x, y, sample_weight must be of the same length, got 6, 6, 5"),
        ({"sample_weight": np.ones((6, 2))}, ValueError, r"sample_weight must have the shape \(6,\)"),
        ({"sample_weight": NAN}, ValueError, "sample_weight must be finite, got nan at index .*4"),
        ({"verbose": 3}, ValueError, "verbose must be 0, 1, 2 or 'auto', got 3"),
        ({"verbose": "yes"}, ValueError, "verbose must be"),
    ],
)
@pytest.mark.parametrize("use", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_examples_refused(use, arguments, kind, said):
    model = classifier()
    model.build((None, 2))
    before = model.get_weights()
    wanted = {"shuffle": False, "verbose": 0} if use == "fit" else {"verbose": 0} if use == "evaluate" else {}
    if use.endswith("batch") and set(arguments) & {"batch_size", "verbose"}:
        kind, said = TypeError, "unexpected keyword"
    with pytest.raises(kind, match=said) as caught:
        getattr(model, use)(**{"x": X, "y": Y, **wanted, **arguments})
    assert said == "unexpected keyword" or str(caught.value).startswith("Sequential 'm': ")
    assert same(model.weights, before)


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"epochs": 0}, ValueError, "epochs must be .*, got 0"),
        ({"epochs": 1.5}, ValueError, r"epochs must be .*, got 1\.5"),
        ({"initial_epoch": -1}, ValueError, "initial_epoch must be .*, got -1"),
        ({"callbacks": "stop"}, TypeError, "callbacks must be a list of .*Callback, got 'stop'"),
        ({"callbacks": [Callback(), print]}, TypeError, "callbacks must be a list of .*print"),
        ({"validation_split": 1}, ValueError, "validation_split must be .* >= 0 and < 1, got 1"),
        ({"validation_split": -0.1}, ValueError, r"validation_split must be .*, got -0\.1"),
        ({"validation_split": "half"}, TypeError, "validation_split must be .*, got 'half'"),
        ({"validation_split": 0.9}, ValueError, r"validation_split must leave examples on both sides, got 0\.9 of 6"),
        ({"validation_data": X}, TypeError, "validation_data must be a tuple"),
        ({"validation_data": (X,)}, TypeError, "validation_data must be a tuple .*, got 1 values"),
        (
            {"validation_data": (X, Y[:2])},
            ValueError,
            "x of validation_data, y of validation_data must be of the same length, got 6, 2",
        ),
        ({"validation_data": (X[:0], Y[:0])}, ValueError, "x of validation_data must hold at least one example"),
        ({"validation_data": (X, None)}, TypeError, "y of validation_data must be an array"),
        ({"validation_freq": 0}, ValueError, "validation_freq must be .*, got 0"),
        ({"validation_freq": [1, 0]}, ValueError, "epochs in validation_freq must be .*, got 0"),
        ({"shuffle": "batch"}, TypeError, "shuffle must be True or False, got 'batch'"),
        ({"seed": -1}, ValueError, "seed must be .*, got -1"),
        ({"seed": "x"}, ValueError, "seed must be .*, got 'x'"),
        ({"class_weight": [1, 2]}, TypeError, r"class_weight must be a dict .*, got \[1, 2\]"),
        ({"class_weight": {2: 1.0}}, ValueError, "class_weight must have classes from 0 to 1 as keys, got 2"),
        ({"class_weight": {-1: 1.0}}, ValueError, "class_weight must have classes from 0 to 1 as keys, got -1"),
        ({"class_weight": {"a": 1.0}}, ValueError, "class_weight must have classes .*, got 'a'"),
        ({"class_weight": {True: 1.0}}, ValueError, "class_weight must have classes .*, got True"),
        ({"class_weight": {0: np.inf}}, ValueError, r"class_weight\[0\] must be a finite number, got inf"),
        ({"class_weight": {0: "a"}}, TypeError, r"class_weight\[0\] must be a finite number, got 'a'"),
        ({"class_weight": {0: 1}, "y": Y + 0.5}, ValueError, r"y must hold classes from 0 to 1 where .*, got [01]\.5"),
        ({"class_weight": {0: 1}, "y": NAN}, ValueError, "y must hold classes from 0 to 1 where .*, got nan"),
        ({"class_weight": {0: 1}, "y": Y + 5}, ValueError, "y must hold classes from 0 to 1 where .*, got [56]"),
    ],
)
def test_fit_refuses(arguments, kind, said):
    model = classifier()
    model.build((None, 2))
    before = model.get_weights()
    with pytest.raises(kind, match=rf"^Sequential 'm': {said}"):
        model.fit(**{"x": X, "y": Y, "verbose": 0, **arguments})
    assert same(model.weights, before)
    assert model.history is None


@pytest.mark.parametrize("use", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_what_must_come_first(use):
    model = Sequential([Linear(2)], name="m")
    with pytest.raises(ValueError, match=rf"^Sequential 'm': {use} needs a compiled model: call compile"):
        getattr(model, use)(X, Y)
    model.compile("sgd")
    with pytest.raises(ValueError, match=rf"^Sequential 'm': {use} needs a loss"):
        getattr(model, use)(X, Y)
    model = Sequential(name="m")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="the model has no layers"):
        getattr(model, use)(X, Y)


def test_something_must_be_trainable():
    model = classifier(trainable=False)
    model.layers[1].trainable = False
    for use in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=r"^Sequential 'm': training needs a layer that is trainable"):
            use(X, Y)


def test_other_weights_need_another_optimizer():
    model = classifier(optimizer="adam")
    model.layers[0].trainable = False
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = True
    for use in (model.fit, model.train_on_batch):
        with pytest.raises(
            ValueError, match=r"^Sequential 'm': .* began with, b/kernel; .* to train a/kernel, b/kernel"
        ):
            use(X, Y)
    model.compile(model.optimizer, model.loss)
    with pytest.raises(ValueError, match="call compile with a new one"):
        model.fit(X, Y)
    model.compile("adam", model.loss)
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    assert not any(map(np.array_equal, model.weights, before))


class Then(Callback):
    """Does something before the second epoch."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.act(self.model)


@pytest.mark.parametrize("first", [True, False])
def test_layers_that_change_during_training_need_another_optimizer_too(first):
    def turn(model):
        model.layers[0].trainable = not first

    def turn_and_compile(model):
        turn(model)
        model.compile("adam", model.loss, ["accuracy"])

    model = classifier(optimizer="adam")
    model.layers[0].trainable = first
    with pytest.raises(ValueError, match=r"^Sequential 'm': the optimizer must go on .*; call compile with a new one"):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=Then(turn))
    before, epochs = model.get_weights(), []
    model.layers[0].trainable = first
    callbacks = [Then(turn_and_compile), LambdaCallback(on_epoch_end=lambda *_: epochs.append(model.get_weights()))]
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks)
    first_kernels, second_kernels = zip(before, *epochs, strict=True)
    changed = [not same([a], [b]) for a, b in pairwise(first_kernels)]
    assert changed == ([True, False, False] if first else [False, True, True])
    assert not any(same([a], [b]) for a, b in pairwise(second_kernels))
    # What the model was compiled with is measured from then on.
    assert len(history.history["accuracy"]) >= 2


@pytest.mark.parametrize("i", [0, 1])
def test_layers_do_not_change_within_an_epoch(i):
    def freeze(batch, logs):
        model.layers[i].trainable = False

    model = classifier()
    with pytest.raises(ValueError, match=r"^Sequential 'm': .* trainable must not change within an epoch"):
        model.fit(X, Y, batch_size=2, verbose=0, callbacks=LambdaCallback(on_train_batch_end=freeze))


# -- layers and losses that fail ---------------------------------------------------------------------------------------


class Wrong(Linear):
    """A layer whose gradients are what they should not be."""

    def __init__(self, *arguments, gradients, **keywords):
        super().__init__(*arguments, **keywords)
        self._wrong = gradients

    def _backward(self, x, grad_out, input_grad):
        return grad_out, self._wrong

    def backward(self, grad_out, input_grad=True):
        grad_x = super().backward(grad_out, input_grad)
        if isinstance(self._wrong, list):
            self.gradients = self._wrong
        return grad_x


@pytest.mark.parametrize(
    ("gradients", "said"),
    [
        ({}, r"backward must return gradients of \['kernel'\], got those of \[\]"),
        ({"kernel": np.zeros((2, 3))}, r"the gradient of kernel must be an array of shape \(2, 2\), got \(2, 3\)"),
        ({"kernel": None}, r"the gradient of kernel must be an array of shape \(2, 2\), got None"),
    ],
)
def test_wrong_gradients(gradients, said):
    model = Sequential([Linear(2), Wrong(2, gradients=gradients, name="w")], name="m")
    model.compile("sgd", "mse")
    model.build((None, 2))
    before = model.get_weights()
    with pytest.raises(ValueError, match=rf"^Sequential 'm': Wrong 'w': {said}"):
        model.train_on_batch(X, X)
    assert same(model.weights, before)


class Forgetful(Linear):
    """A layer whose whole ``backward`` sets no gradients."""

    def backward(self, grad_out, input_grad=True):
        return grad_out @ self._weights["kernel"].T


def test_too_few_gradients():
    model = Sequential([Linear(4), Forgetful(2, name="b")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="Forgetful 'b': gradients must be a list of 1 arrays, got 0"):
        model.train_on_batch(X, Y)


def test_a_step_that_fails_at_its_end_changes_nothing():
    def failing(weight):
        raise ArithmeticError("no")

    model = Sequential([Counted(), Linear(2), Linear(2, kernel_constraint=failing)])
    model.compile("sgd", "mse")
    model.build((None, 2))
    before = model.get_weights()
    with pytest.raises(ArithmeticError, match="no"):
        model.fit(X, X, verbose=0)
    assert same(model.weights, before)
    assert [layer._kept for layer in model.layers] == [None] * 3


@pytest.mark.parametrize(
    ("x", "y", "value", "found"),
    [
        (X, np.where(np.arange(6) == 4, np.nan, 1.0), "nan", "NaN or infinities are in y"),
        (np.where(np.arange(6) == 5, np.inf, 1)[:, None] * np.ones(2), np.ones(6), "inf", "NaN or infinities are in x"),
        (np.where(np.arange(6) == 5, 1e200, 1)[:, None] * np.ones(2), np.ones(6), "inf", "all that came in is finite"),
    ],
)
def test_a_loss_that_is_not_finite_stops_before_the_step(x, y, value, found):
    start = [np.zeros(1), np.ones((2, 1))]
    model = Sequential([Counted(dtype="float64"), Linear(1, dtype="float64")], name="m")
    model.compile(SGD(1e-3), "mse")
    model.build((None, 2))
    model.set_weights(start)
    model.fit(x[:4], y[:4], batch_size=2, shuffle=False, verbose=0)
    after_two = model.get_weights()
    assert after_two[0] == 2
    model.set_weights(start)
    message = rf"^Sequential 'm': the loss is {value} in batch 3 of epoch 2; {found}\. A smaller learning rate"
    with pytest.raises(FloatingPointError, match=message), np.errstate(over="ignore"):
        model.fit(x, y, batch_size=2, shuffle=False, verbose=0, initial_epoch=1, epochs=3)
    assert same(model.weights, after_two)
    assert model.history.epoch == []


def test_weights_that_are_not_finite():
    model = one_weight(np.inf)
    model.compile("sgd", "mse")
    with pytest.raises(FloatingPointError, match="the loss is inf in train_on_batch; NaN or infinities are in weights"):
        model.train_on_batch([[1.0]], [[0.0]])
    assert model.evaluate([[1.0]], [[0.0]], verbose=0) == np.inf


def test_errors_of_callbacks_are_passed_on_as_they_are(capsys):
    class MineError(ValueError):
        """An error of the user's."""

    def fail(batch, logs):
        raise MineError("mine")

    with pytest.raises(MineError, match=r"^mine$"):
        classifier(optimizer=Adam()).fit(X, Y, callbacks=LambdaCallback(on_train_batch_end=fail))
    assert capsys.readouterr().err.endswith("\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_steps_by_hand_go_on_after_an_error():
    model = one_weight()
    model.compile(SGD(0.125), "mse")
    with pytest.raises(ValueError, match="y_true"):
        model.fit([[2.0]], [[0.0, 1.0]], verbose=0)
    assert weight_of(model) == 1
    model.fit([[2.0]], [[0.0]], verbose=0)
    assert weight_of(model) == 0

"""Attributes that nobody has are refused on the library's own instances, and on those alone."""

import copy
import pickle

import numpy as np
import pytest

from numbaconv import callbacks, constraints, initializers, layers, losses, metrics, optimizers, regularizers, schedules
from numbaconv.history import History
from numbaconv.layers import Input
from numbaconv.models import Model, Sequential


@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        (lambda: layers.Conv2D(2, 3, name="c"), "trainabel", r"Conv2D 'c' has no attribute .*mean 'trainable'\?"),
        (lambda: layers.Dense(2), "activatoin", "did you mean 'activation'"),
        (lambda: layers.Dropout(0.5), "rates", "did you mean 'rate'"),
        (lambda: layers.MaxPooling2D(), "batch_size", "it has .*pool_size"),
        (lambda: Sequential(name="m"), "optimiser", r"Sequential 'm' has no attribute .*did you mean 'optimizer'\?"),
        (lambda: Sequential(), "trainabel", "did you mean 'trainable'"),
        (lambda: optimizers.SGD(), "lr", r"SGD has no attribute 'lr'; did you mean 'learning_rate'\?"),
        (lambda: optimizers.Adam(), "beta1", "did you mean 'beta_1'"),
        (lambda: callbacks.EarlyStopping(), "patiens", "EarlyStopping has no attribute .*'patience'"),
        (lambda: callbacks.EarlyStopping(), "stop_training", "it has .*best_epoch"),
        (lambda: callbacks.LambdaCallback(), "on_epoch_ends", "did you mean 'on_epoch_end'"),
        (lambda: callbacks.Callback(), "modle", "did you mean 'model'"),
        (lambda: History(), "epochs", "did you mean 'epoch'"),
        (lambda: losses.MeanSquaredError(), "reducton", "did you mean 'reduction'"),
        (lambda: metrics.TopKCategoricalAccuracy(), "kk", "it has .*k, name"),
        (lambda: regularizers.L2(), "l1", "L2 has no attribute 'l1'; it has l2"),
        (lambda: constraints.MaxNorm(), "max_vale", "did you mean 'max_value'"),
        (lambda: initializers.RandomNormal(), "sede", "did you mean 'seed'"),
        (lambda: schedules.ExponentialDecay(0.1, 1, 0.5), "decay_step", "did you mean 'decay_steps'"),
    ],
)
def test_attributes_that_nobody_has_are_refused(make, name, said):
    instance = make()
    for one in (instance, copy.copy(instance), copy.deepcopy(instance), pickle.loads(pickle.dumps(instance))):
        with pytest.raises(AttributeError, match=said):
            setattr(one, name, 1)
        assert name not in vars(one)


@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        (lambda: Sequential(name="m"), "optimiser", r"Sequential 'm' has no attribute .*did you mean 'optimizer'\?$"),
        (lambda: Sequential(), "fit_generator", "; fit takes generators$"),
        (lambda: Sequential(), "compute_loss", "; Keras has it, this library has not$"),
        (lambda: Model(one := Input((2,)), one), "export", "; Keras has it, this library has not$"),
        (lambda: Sequential(), "xyzzy", "; it has built, .*weights$"),
        (lambda: optimizers.Adam(), "lr", r"Adam has no attribute 'lr'; did you mean 'learning_rate'\?$"),
        (lambda: optimizers.SGD(), "apply_gradients", r"SGD has no attribute .*; step\(values, gradients\) returns"),
        (lambda: callbacks.EarlyStopping(), "patiens", "did you mean 'patience'"),
        (lambda: History(), "epochs", "did you mean 'epoch'"),
        (lambda: losses.Huber(), "call", "Keras has it, this library has not"),
        (lambda: metrics.AUC(), "reset_states", "did you mean 'reset_state'"),
        (lambda: schedules.ExponentialDecay(0.1, 1, 0.5), "decay_step", "did you mean 'decay_steps'"),
    ],
)
def test_attributes_that_nobody_has_are_answered(make, name, said):
    instance = make()
    for one in (instance, copy.copy(instance), copy.deepcopy(instance), pickle.loads(pickle.dumps(instance))):
        assert not hasattr(one, name)
        assert getattr(one, name, 3) == 3
        with pytest.raises(AttributeError, match=said):
            getattr(one, name)
        with pytest.raises(AttributeError, match=f"^'{type(one).__name__}' object has no attribute '__array__'$"):
            one.__array__  # noqa: B018


@pytest.mark.parametrize("cls", [Sequential, optimizers.SGD, metrics.AUC, callbacks.EarlyStopping])
def test_what_is_not_made_yet_is_answered_too(cls):
    with pytest.raises(AttributeError, match="has no attribute 'name'; "):
        cls.__new__(cls).name  # noqa: B018


def test_errors_within_attributes_are_not_covered():
    with pytest.raises(AttributeError, match="'int' object has no attribute 'missing'"):
        optimizers.SGD(lambda step: step.missing).learning_rate  # noqa: B018


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: optimizers.Adam(lr=0.1), r"^Adam takes learning_rate, .*, got lr; did you mean 'learning_rate'\?$"),
        (
            lambda: optimizers.get({"class_name": "SGD", "config": {"lr": 1}}),
            "SGD takes .*did you mean 'learning_rate'",
        ),
        (lambda: losses.Huber(dleta=2), "Huber takes delta, reduction, name, got dleta; did you mean 'delta'"),
        (lambda: metrics.AUC(num_threshold=3), "did you mean 'num_thresholds'"),
        (lambda: callbacks.EarlyStopping(patiens=3), "EarlyStopping takes monitor, .*did you mean 'patience'"),
        (lambda: initializers.RandomNormal(std=1), "RandomNormal takes mean, stddev, seed, got std"),
        (lambda: regularizers.L2(l=1), "L2 takes l2, got l; did you mean 'l2'"),
        (lambda: constraints.MaxNorm(max=1), "MaxNorm takes max_value, axis, got max"),
        (lambda: schedules.ExponentialDecay(0.1, 1, decay=1), "did you mean 'decay_rate'"),
        (lambda: layers.Conv2D(2, 3, stride=2), "Conv2D: unknown argument stride; did you mean 'strides'"),
        (lambda: layers.Conv2D(2, 3, xyzzy=2), "Conv2D: unknown argument xyzzy; known are filters, "),
        (lambda: Sequential(layer=[]), "Sequential takes layers, name, trainable, got layer; did you mean 'layers'"),
        (lambda: Rate(rat=2), "Rate takes rate, got rat; did you mean 'rate'"),
    ],
)
def test_arguments_that_nobody_has_are_answered(call, said):
    with pytest.raises(TypeError, match=said):
        call()


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: layers.Conv2D(2, 3, activation="rellu"), "relu"),
        (lambda: layers.Conv2D(2, 3, activation="ReLU"), "relu"),
        (lambda: layers.Dense(2, kernel_initializer="glorot_unifrm"), "glorot_uniform"),
        (lambda: losses.get("mean_square_error"), "mean_squared_error"),
        (lambda: metrics.get("presicion"), "precision"),
        (lambda: optimizers.get("addam"), "adam"),
        (lambda: regularizers.get("L2_"), "l2"),
    ],
)
def test_names_that_nobody_has_are_answered(call, near):
    with pytest.raises(ValueError, match=rf"must be one of .*; did you mean '{near}'\?$"):
        call()


class Rate(optimizers.SGD):
    def __init__(self, rate=0.1):
        super().__init__(rate)


def test_arguments_of_keras_that_ask_for_nothing():
    neutral = {"use_ema": False, "ema_momentum": 0.99, "loss_scale_factor": None, "name": "adam"}
    assert optimizers.Adam(0.5, **neutral).get_config() == optimizers.Adam(0.5).get_config()
    assert losses.Huber(2, dtype=None) == losses.Huber(2)
    assert metrics.AUC(3, name="a", dtype="float32") == metrics.AUC(3, name="a")
    with pytest.raises(ValueError, match="use_ema of SGD must be False or None, because weights are not averaged"):
        optimizers.SGD(use_ema=True)


@pytest.mark.parametrize(
    ("make", "name", "wrong", "right"),
    [
        (optimizers.Adam, "beta_1", 7, 0.5),
        (optimizers.SGD, "clipnorm", "x", 2),
        (optimizers.SGD, "nesterov", 1, True),
        (losses.MeanSquaredError, "reduction", "summ", "sum"),
        (losses.Huber, "delta", -1, 2),
        (metrics.Precision, "thresholds", 2, [0.25, 0.5]),
        (metrics.AUC, "thresholds", [2], [0.5, 0.25]),
        (regularizers.L2, "l2", "x", 0.5),
        (constraints.MaxNorm, "max_value", -1, 3),
        (initializers.RandomNormal, "stddev", -1, 3),
        (lambda: schedules.ExponentialDecay(0.1, 1, 0.5), "decay_steps", 0, 3),
    ],
)
def test_arguments_that_are_changed_are_checked(make, name, wrong, right):
    for one in (make(), copy.deepcopy(make()), pickle.loads(pickle.dumps(make()))):
        before = one.get_config()
        with pytest.raises((ValueError, TypeError), match=name):
            setattr(one, name, wrong)
        assert one.get_config() == before
        setattr(one, name, right)
        assert one.get_config() == type(one)(**{**before, name: right}).get_config()
        assert one.get_config() != before


def test_an_optimizer_that_has_begun_keeps_its_arrays():
    one, w = optimizers.SGD(0.5), np.ones(2)
    one.momentum = 0.5
    one.step([w], [w])
    with pytest.raises(ValueError, match=r"momentum of SGD cannot be set to 0\.0 after the first step"):
        one.momentum = 0
    one.momentum = 0.25
    assert one.momentum == 0.25


def test_attributes_that_are_there_can_be_set():
    optimizer, callback, model = optimizers.SGD(), callbacks.EarlyStopping(), Sequential()
    optimizer.learning_rate, callback.patience, callback.wait, model.stop_training = 0.5, 3, 1, True
    assert (optimizer.learning_rate, callback.patience, callback.wait, model.stop_training) == (0.5, 3, 1, True)


class Mine(layers.Conv2D):
    pass


class Counting(callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.batches = 0


class OwnModel(Sequential):
    pass


def test_a_users_class_is_free():
    layer, callback, model = Mine(2, 3), Counting(), OwnModel()
    layer.anything = model.anything = callback.anything = 1
    callback.on_train_begin()
    assert pickle.loads(pickle.dumps(layer)).anything == model.anything + callback.batches == 1

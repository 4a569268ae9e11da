"""Attributes that nobody has are refused on the library's own instances, and on those alone."""

import copy
import pickle

import pytest

from numbaconv import callbacks, constraints, initializers, layers, losses, metrics, optimizers, regularizers, schedules
from numbaconv.history import History
from numbaconv.models import Sequential


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

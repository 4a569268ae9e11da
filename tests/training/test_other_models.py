"""Models that are no stack of layers go through the same training: two branches that are added, and bare arrays."""

import numpy as np
import pytest
from training_cases import one_weight, same

from numbaconv.callbacks import EarlyStopping, LambdaCallback
from numbaconv.layers import BatchNormalization, Dense
from numbaconv.losses import MeanSquaredError
from numbaconv.models import Sequential
from numbaconv.models.layered import Layered
from numbaconv.optimizers import SGD
from numbaconv.training.trainee import TrainedWeights
from numbaconv.training.trainer import Trainer

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 2))
QUIET = {"verbose": 0, "seed": 0, "batch_size": 6}


class Branches(Trainer, Layered):
    """``first(x) + second(x)``: what a graph of layers has to define."""

    def __init__(self, first, second, name=None):
        super().__init__(name)
        self._layers = [first, second]

    @property
    def built(self):
        return all(layer.built for layer in self._layers)

    def __call__(self, x, training=None):
        x = self._ready(x)
        return sum(layer(x, training) for layer in self._layers)

    def forward(self, x, training=True):
        return sum(layer.forward(x, training) for layer in self._layers)

    def backward(self, grad_out, input_grad=True):
        gradients = [layer.backward(grad_out, input_grad) for layer in self._layers]
        return sum(gradients) if input_grad else None

    def _ready(self, x):
        x = np.asarray(x)
        for layer in self._layers:
            layer.build(x.shape)
        return x

    def _shape_for(self, x):
        return self._layers[0].compute_output_shape(x.shape)

    @property
    def _result_dtype(self):
        return self._layers[0].dtype


def dense(value, name, **settings):
    return Dense(2, use_bias=False, weights=[np.full((3, 2), value)], name=name, **settings)


def compiled(model, optimizer=None, metrics=()):
    model.compile(SGD(0.1) if optimizer is None else optimizer, "mse", list(metrics))
    return model


def test_branches_learn_as_one_layer_with_the_sum_of_their_weights():
    branches = compiled(Branches(dense(0.5, "a"), dense(-0.25, "b")), metrics=["mae"])
    # Each of the two weights takes the step that the sum takes, which so is twice as long.
    one = compiled(Sequential([dense(0.25, "c")]), SGD(0.2), ["mae"])
    validated = {"validation_split": 0.2, "epochs": 3, **QUIET}
    found, wanted = branches.fit(X, Y, **validated).history, one.fit(X, Y, **validated).history
    assert list(found) == list(wanted) == ["loss", "mae", "val_loss", "val_mae"]
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4)
    np.testing.assert_allclose(sum(branches.weights), one.weights[0], rtol=1e-4)
    np.testing.assert_allclose(branches.predict(X, verbose=0), one.predict(X, verbose=0), rtol=1e-4)
    np.testing.assert_allclose(branches.evaluate(X, Y, verbose=0), one.evaluate(X, Y, verbose=0), rtol=1e-4)


def test_penalties_constraints_and_frozen_branches():
    a = dense(0.5, "a", kernel_regularizer="l2", kernel_constraint="non_neg")
    model = compiled(Branches(a, dense(1.0, "b", trainable=False)))
    loss = model.train_on_batch(X, Y)
    assert loss == pytest.approx(MeanSquaredError()(Y, X @ np.full((3, 2), 1.5)) + 0.01 * 6 * 0.25)
    assert (a.kernel >= 0).all()
    assert same([model.weights[1]], [np.ones((3, 2), np.float32)])
    model.layers[1].trainable = True
    with pytest.raises(ValueError, match=r"^Branches .*began with, a/kernel; .* to train a/kernel, b/kernel"):
        model.fit(X, Y, **QUIET)


def test_a_step_of_branches_is_all_or_none():
    spoiling = []

    def constraint(weight):
        return weight * (np.nan if spoiling else 0.5)

    branches = BatchNormalization(name="n"), Dense(3, kernel_constraint=constraint, name="a")
    model = compiled(Branches(*branches), SGD(0.1, momentum=0.5))
    model.fit(X, X, **QUIET)
    before = [*model.get_weights(), *model.optimizer.get_state().values()]
    spoiling.append(True)
    for y, said in ((X * np.nan, "the loss is nan in train_on_batch; .* in y"), (X, "a/kernel would not be finite")):
        with pytest.raises(FloatingPointError, match=f"^Branches '.*': {said}"):
            model.train_on_batch(X, y)
        assert same([*model.get_weights(), *model.optimizer.get_state().values()], before)
        assert [layer._kept for layer in branches] == [None, None]


def test_callbacks_see_branches():
    model = compiled(Branches(dense(0.5, "a"), dense(0.5, "b")))
    seen = []
    note = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    history = model.fit(X, Y, callbacks=[note, EarlyStopping("loss", 1e9, patience=1)], epochs=9, **QUIET)
    assert len(history.epoch) == 2
    assert len(seen) == 2 * 4


class Bare(Trainer):
    """``x * scale``, without any layer."""

    def __init__(self):
        super().__init__(None)
        self.scale = np.ones(1)
        self.kept = self.gradient = None

    @property
    def weights(self):
        return [self.scale]

    losses = ()

    def __call__(self, x, training=None):
        return x * self.scale

    def forward(self, x, training=True):
        self.kept = x
        return x * self.scale

    def backward(self, grad_out, input_grad=True):
        assert not input_grad
        self.gradient = (self.kept * grad_out).sum(keepdims=True)[0]

    def _ready(self, x):
        return np.asarray(x)

    def _shape_for(self, x):
        return x.shape

    _result_dtype = "float64"

    def _trained_weights(self):
        return Scale(self)


class Scale(TrainedWeights):
    names = ("scale",)

    def __init__(self, model):
        self.model = model

    def values(self):
        return [self.model.scale]

    def gradients(self):
        return [self.model.gradient]

    def assign(self, values):
        (self.model.scale,) = values

    def constrain(self):
        pass

    def penalty(self):
        return 0.0

    def snapshot(self):
        return self.model.scale

    def restore(self, snapshot):
        self.model.scale = snapshot

    def spoilt(self, snapshot):
        return [] if np.isfinite(self.model.scale).all() else ["scale"]

    def let_go(self):
        self.model.kept = None


def test_a_model_without_layers_learns_the_same():
    x, y = np.arange(1.0, 8)[:, None], np.arange(7.0)[:, None]
    bare, model = compiled(Bare(), SGD(0.01, momentum=0.9)), compiled(one_weight(), SGD(0.01, momentum=0.9))
    found, wanted = (one.fit(x, y, epochs=3, verbose=0, batch_size=3, seed=0).history for one in (bare, model))
    assert found == wanted
    assert bare.scale == model.get_weights()[0]
    assert same([bare.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    assert bare.kept is None
    with pytest.raises(FloatingPointError, match=r"^Bare 'bare': the loss is inf in train_on_batch; all that"):
        bare.train_on_batch(x * 1e200, y)
    assert bare.scale == model.get_weights()[0]

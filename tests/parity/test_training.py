"""Whole trainings beside Keras's: the same weights at first, the same history and weights in the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_cases import Linear

from numbaconv import callbacks, layers, metrics
from numbaconv.models import Sequential

from .keras_oracle import keras, quiet

pytestmark = pytest.mark.usefixtures("eager")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(22, 6, 5, 2)).astype(np.float32)
LABELS = (IMAGES.sum(axis=-1) > 0).astype(int)[:, 1:-1, 1:-1]
TARGETS = np.stack([IMAGES[:, 1:-1, 1:-1].sum(axis=-1), IMAGES[:, 2:, 2:, 0]], axis=-1)


def networks(**settings: Any) -> tuple[Sequential, Any]:
    """Ours and Keras's."""
    arguments: list[dict[str, Any]] = [
        {"filters": 4, "kernel_size": 3, "activation": "tanh", **settings},
        {"filters": 2, "kernel_size": 1},
    ]
    theirs = keras.Sequential([keras.Input(IMAGES.shape[1:]), *(keras.layers.Conv2D(**a) for a in arguments)])
    ours = Sequential([layers.Conv2D(**a) for a in arguments])
    ours.build(IMAGES.shape)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=w.shape) / 3 for w in ours.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


SPARSE = ("SparseCategoricalCrossentropy", {"from_logits": True})
MSE = ("MeanSquaredError", {})
# As Keras needs them: with the axes of the positions.
WEIGHTS = np.linspace(0, 2, 22).reshape(-1, 1, 1)
CASES: dict[str, tuple[dict[str, Any], tuple[str, dict[str, Any]], dict[str, Any], dict[str, Any]]] = {
    "labels": ({}, SPARSE, {"metrics": ["accuracy"]}, {}),
    "targets": ({}, MSE, {"metrics": ["mae", "accuracy"]}, {"batch_size": 22}),
    "Adam": ({}, SPARSE, {"optimizer": "adam"}, {}),
    "RMSprop": ({}, MSE, {"optimizer": "rmsprop"}, {"batch_size": 3}),
    "penalties": (
        {"kernel_regularizer": "l2", "bias_regularizer": "l1", "activity_regularizer": "l2"},
        SPARSE,
        {"metrics": ["accuracy"]},
        {"validation_split": 0.3},
    ),
    "constraints": ({"kernel_constraint": "unit_norm", "bias_constraint": "non_neg"}, MSE, {}, {}),
    "frozen": ({"trainable": False, "kernel_regularizer": "l2"}, MSE, {}, {"validation_split": 0.1}),
    "validation": ({}, MSE, {"metrics": ["mse"]}, {"validation_data": (IMAGES[:5], TARGETS[:5]), "validation_freq": 2}),
    "validation with weights": (
        {},
        SPARSE,
        {"metrics": ["accuracy"]},
        {"validation_data": (IMAGES[:5], LABELS[:5], WEIGHTS[2:7]), "validation_freq": [1, 3]},
    ),
    "sample weights": ({}, SPARSE, {"metrics": ["accuracy"]}, {"sample_weight": WEIGHTS, "validation_split": 0.25}),
}


@pytest.mark.parametrize(("settings", "loss", "compiled", "fitted"), CASES.values(), ids=CASES)
def test_trainings(
    settings: dict[str, Any], loss: tuple[str, dict[str, Any]], compiled: dict[str, Any], fitted: dict[str, Any]
) -> None:
    name, arguments = loss
    y = LABELS if loss is SPARSE else TARGETS
    ours, theirs = networks(**settings)
    fit = {"batch_size": 8, "epochs": 4, "shuffle": False, "verbose": 0, **fitted}
    ours.compile(**{"optimizer": "sgd", **compiled}, loss={"class_name": name, "config": arguments})
    theirs.compile(**{"optimizer": "sgd", **compiled}, loss=getattr(keras.losses, name)(**arguments))
    history = ours.fit(IMAGES, y, **fit)
    with quiet():
        expected = theirs.fit(IMAGES, y, **fit)
    assert set(history.history) == set(expected.history)
    for quantity, values in expected.history.items():
        np.testing.assert_allclose(history.history[quantity], values, rtol=1e-5, atol=1e-6, err_msg=quantity)
    assert history.epoch == expected.epoch
    assert expected.params.items() <= history.params.items()
    for weight, other in zip(ours.weights, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-4, atol=1e-5)
    more = {"sample_weight": WEIGHTS, "return_dict": True}
    with quiet():
        results = theirs.evaluate(IMAGES, y, batch_size=5, verbose=0, **more)
        on_batch = theirs.test_on_batch(IMAGES, y, **more)
        trained = theirs.train_on_batch(IMAGES, y, **more)
    assert ours.evaluate(IMAGES, y, batch_size=5, verbose=0, **more) == pytest.approx(results, rel=1e-5, abs=1e-6)
    assert ours.test_on_batch(IMAGES, y, **more) == pytest.approx(on_batch, rel=1e-5, abs=1e-6)
    assert ours.train_on_batch(IMAGES, y, **more) == pytest.approx(trained, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [("huber", "nadam"), ("kl_divergence", "adagrad"), ("squared_hinge", "nadam"), ("dice", "adagrad")],
)
def test_counts_over_batches(optimizer: str, loss: str) -> None:
    ours, theirs = networks(activation="swish")
    outputs = {"activation": "sigmoid", "filters": 2, "kernel_size": 1}
    ours.add(layers.Conv2D(**outputs))
    theirs.add(keras.layers.Conv2D(**outputs))
    ours.build(IMAGES.shape)
    theirs.set_weights(ours.get_weights())
    y = (TARGETS > 0).astype("float32")
    fit = {"batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0, "validation_split": 0.25}
    for model, family in ((ours, metrics), (theirs, keras.metrics)):
        own = [family.AUC(curve="PR", name="area"), family.Recall(thresholds=[0.4, 0.6], name="found")]
        model.compile(optimizer, loss, metrics=["precision", "auc", "mae", *own])
    with quiet():
        expected = theirs.fit(IMAGES, y, **fit).history
        results = theirs.evaluate(IMAGES, y, batch_size=5, verbose=0, return_dict=True)
    history = ours.fit(IMAGES, y, **fit).history
    assert set(history) == set(expected)
    found = ours.evaluate(IMAGES, y, batch_size=5, verbose=0, return_dict=True)
    for values, others in ((history, expected), (found, results)):
        for quantity, right in others.items():
            # Of 200 thresholds one may lie between a prediction and Keras's.
            atol = 1e-3 if quantity.endswith(("auc", "area")) else 1e-6
            np.testing.assert_allclose(values[quantity], right, rtol=1e-4, atol=atol, err_msg=quantity)


def test_a_network_of_small_layers() -> None:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("Conv2D", {"filters": 6, "kernel_size": 3, "padding": "same", "activation": "gelu"}),
        ("BatchNormalization", {"momentum": 0.9}),
        ("Activation", {"activation": "mish"}),
        ("MaxPooling2D", {}),
        ("SeparableConv2D", {"filters": 5, "kernel_size": 2, "activation": "swish"}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax", "kernel_regularizer": "l2"}),
    ]
    ours = Sequential([getattr(layers, kind)(**arguments) for kind, arguments in kinds])
    theirs = keras.Sequential(
        [keras.Input(IMAGES.shape[1:]), *(getattr(keras.layers, kind)(**arguments) for kind, arguments in kinds)]
    )
    ours.build(IMAGES.shape)
    theirs.set_weights(ours.get_weights())
    y = np.eye(3)[np.arange(len(IMAGES)) % 3]
    fit = {"batch_size": 8, "epochs": 4, "shuffle": False, "verbose": 0, "validation_split": 0.25}
    for model in (ours, theirs):
        model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    with quiet():
        expected = theirs.fit(IMAGES, y, **fit).history
    history = ours.fit(IMAGES, y, **fit).history
    for quantity, values in expected.items():
        np.testing.assert_allclose(history[quantity], values, rtol=1e-5, atol=1e-6, err_msg=quantity)
    for weight, other in zip(ours.weights, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", [SPARSE, ("CategoricalCrossentropy", {"from_logits": True})], ids=lambda loss: loss[0])
@pytest.mark.parametrize("weights", [{"class_weight": {0: 0.25, 2: 3.0}}, {"sample_weight": WEIGHTS[:, 0, 0]}])
def test_weights_of_classes(loss: tuple[str, dict[str, Any]], weights: dict[str, Any]) -> None:
    name, arguments = loss
    x = IMAGES[:, 0, 0]
    y = np.arange(len(x)) % 3
    y = y if loss is SPARSE else np.eye(3)[y]
    ours = Sequential([Linear(4), Linear(3)])
    ours.build(x.shape)
    theirs = keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.Dense(4, use_bias=False), keras.layers.Dense(3, use_bias=False)]
    )
    theirs.set_weights(ours.get_weights())
    ours.compile("sgd", {"class_name": name, "config": arguments}, ["accuracy"])
    theirs.compile("sgd", getattr(keras.losses, name)(**arguments), metrics=["accuracy"])
    fit = {"batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0, "validation_data": (x, y), **weights}
    with quiet():
        expected = theirs.fit(x, y, **fit).history
        trained = theirs.train_on_batch(x, y, **weights)
    history = ours.fit(x, y, **fit).history
    assert set(history) == set(expected)
    for quantity, values in expected.items():
        np.testing.assert_allclose(history[quantity], values, rtol=1e-5, err_msg=quantity)
    assert ours.train_on_batch(x, y, **weights) == pytest.approx(trained, rel=1e-5)


# -- callbacks, with made-up results -----------------------------------------------------------------------------------


class Model:
    """What callbacks need of a model."""

    _measures = ()

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.stop_training = False
        self.epoch = 0
        self._directions = {"loss": "down"}

    @property
    def weights(self) -> int:
        return self.epoch

    def get_weights(self) -> int:
        return self.epoch

    def set_weights(self, epoch: int) -> None:
        self.epoch = epoch


class Optimizer:
    """What callbacks need of an optimizer."""

    learning_rate = 1.0


def course(callback: Any, values: list[float]) -> tuple[list[float], int]:
    """The learning rates of the epochs until training ends, and the epoch whose weights remain."""
    model = Model(Optimizer())
    callback.set_model(model)
    callback.on_train_begin({})
    rates = []
    for model.epoch, value in enumerate(values):
        logs = {"loss": value}
        callback.on_epoch_end(model.epoch, logs)
        rates.append(model.optimizer.learning_rate)
        if model.stop_training:
            break
    callback.on_train_end({})
    return rates, model.epoch


@pytest.mark.parametrize("seed", range(200))
def test_callbacks_that_watch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.integers(0, 12, size=15) / 4).tolist()
    mode = str(rng.choice(["auto", "min", "max"]))
    stopping = {
        "min_delta": float(rng.choice([0, 0.25, -0.5])),
        "patience": int(rng.integers(4)),
        "baseline": [None, 1.0, 2.0][rng.integers(3)],
        "start_from_epoch": int(rng.integers(3)),
        "restore_best_weights": bool(rng.integers(2)),
    }
    lowering = {
        "factor": 0.5,
        "patience": int(rng.integers(4)),
        "cooldown": int(rng.integers(4)),
        "min_lr": float(rng.choice([0, 0.2])),
        "min_delta": float(rng.choice([0, 1e-4, 0.5])),
    }
    for name, arguments in (("EarlyStopping", stopping), ("ReduceLROnPlateau", lowering)):
        ours, theirs = (
            getattr(module, name)("loss", mode=mode, **arguments) for module in (callbacks, keras.callbacks)
        )
        assert course(ours, values) == course(theirs, values), (name, arguments)

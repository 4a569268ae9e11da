"""Networks with branches trained beside Keras's: from the same weights the same losses, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numbaconv

from .keras_oracle import keras, quiet

RNG = np.random.default_rng(8)
STEPS = 20
BATCH = 4
PICTURES = RNG.normal(size=(STEPS * BATCH, 16, 16, 2)).astype(np.float32)
BRIGHT = (PICTURES[..., :1] + 0.5 * np.roll(PICTURES[..., 1:], 1, axis=1) > 0).astype(np.float32)
CLASSES = (PICTURES[:, 4:12, 4:12, 0].mean(axis=(1, 2)) > 0).astype(int) + (PICTURES[:, 0, 0, 1] > 1)
AMOUNTS = PICTURES.mean(axis=(1, 2))

Network = Any


def block(lib: Any, x: Any, filters: int) -> Any:
    for _ in range(2):
        x = lib.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = lib.layers.BatchNormalization(momentum=0.9)(x)
        x = lib.layers.Activation("relu")(x)
    return x


def unet(lib: Any) -> Network:
    """Down twice, up twice, with skips."""
    x = inputs = lib.Input((16, 16, 2))
    skips = []
    for filters in (4, 6):
        x = block(lib, x, filters)
        skips.append(x)
        x = lib.layers.MaxPooling2D()(x)
    x = lib.layers.Dropout(0.0)(block(lib, x, 8))
    for filters in (6, 4):
        x = lib.layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = lib.layers.Concatenate()([skips.pop(), x])
        x = block(lib, x, filters)
    return lib.Model(inputs, lib.layers.Conv2D(1, 1, activation="sigmoid")(x), name="unet")


def resnet(lib: Any) -> Network:
    """Three blocks, whose shortcuts are the input itself or a convolution of it."""
    inputs = lib.Input((16, 16, 2))
    x = lib.layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2")(inputs)
    for filters, stride in ((4, 1), (6, 2), (8, 2)):
        shortcut = x if stride == 1 else lib.layers.Conv2D(filters, 1, strides=stride)(x)
        x = lib.layers.Conv2D(filters, 3, strides=stride, padding="same")(x)
        x = lib.layers.Activation("relu")(lib.layers.BatchNormalization(momentum=0.9)(x))
        x = lib.layers.Conv2D(filters, 3, padding="same")(x)
        x = lib.layers.Activation("relu")(lib.layers.Add()([x, shortcut]))
    x = lib.layers.GlobalAveragePooling2D()(x)
    return lib.Model(inputs, lib.layers.Dense(3, activation="softmax")(x), name="resnet")


def two_headed(lib: Any) -> Network:
    """A class and an amount from one trunk."""
    inputs = lib.Input((16, 16, 2), name="picture")
    x = lib.layers.MaxPooling2D()(lib.layers.Conv2D(4, 3, activation="tanh")(inputs))
    x = lib.layers.Flatten()(x)
    kind = lib.layers.Dense(3, activation="softmax", name="kind")(x)
    amount = lib.layers.Dense(2, name="amount")(lib.layers.Dense(5, activation="tanh")(x))
    return lib.Model(inputs, {"kind": kind, "amount": amount}, name="two_headed")


def siamese(lib: Any) -> Network:
    """How alike two pictures are, seen by one encoder."""
    encoder = lib.Sequential(
        [
            lib.Input((16, 16, 2)),
            lib.layers.Conv2D(4, 3, strides=2, activation="relu"),
            lib.layers.BatchNormalization(momentum=0.9),
            lib.layers.Flatten(),
            lib.layers.Dense(6),
        ],
        name="encoder",
    )
    left, right = lib.Input((16, 16, 2), name="left"), lib.Input((16, 16, 2), name="right")
    a, b = encoder(left), encoder(right)
    far = lib.layers.Subtract()([a, b])
    like = lib.layers.Dot(axes=1, normalize=True)([a, b])
    x = lib.layers.Concatenate()([lib.layers.Multiply()([far, far]), like])
    return lib.Model([left, right], lib.layers.Dense(1, activation="sigmoid")(x), name="siamese")


def pair(make: Any) -> tuple[Network, Network]:
    """The same network in both libraries, with the same weights."""
    keras.utils.set_random_seed(5)
    ours, theirs = make(numbaconv), make(keras)
    rng = np.random.default_rng(2)
    weights = [
        w if w.ndim == 1 and (w == 1).all() else w + rng.normal(0, 0.05, w.shape).astype(np.float32)
        for w in theirs.get_weights()
    ]
    for model in (ours, theirs):
        model.set_weights(weights)
    return ours, theirs


def step_by_step(model: Network, x: Any, y: Any, **weights: Any) -> list[dict[str, float]]:
    """The losses and metrics of each of the batches, one after the other."""
    found = []
    for first in range(0, len(PICTURES), BATCH):
        if hasattr(model, "reset_metrics"):
            # Keras goes on counting.
            model.reset_metrics()
        batch = [part(values, first) for values in (x, y)]
        found.append(model.train_on_batch(*batch, **weights, return_dict=True))
    return found


def part(values: Any, first: int) -> Any:
    if isinstance(values, dict):
        return {name: part(one, first) for name, one in values.items()}
    return [part(one, first) for one in values] if isinstance(values, list) else values[first : first + BATCH]


def same_course(ours: list[dict[str, float]], theirs: list[dict[str, float]], rtol: float) -> None:
    for step, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        assert set(own) == set(other)
        for quantity, value in other.items():
            assert own[quantity] == pytest.approx(float(value), rel=rtol, abs=1e-6), f"{quantity} in step {step}"


def same_weights(ours: Network, theirs: Network, before: list[np.ndarray], tolerance: float) -> None:
    """The way that each weight has gone is the same, up to so much of the longest."""
    for own, other, start in zip(ours.get_weights(), theirs.get_weights(), before, strict=True):
        assert np.abs(own - other).max() <= tolerance * max(np.abs(other - start).max(), 1e-3)


OPTIMIZERS = {
    "SGD": {"learning_rate": 0.05, "momentum": 0.9},
    # Where a gradient is near zero, Adam makes of rounding errors steps of full length, unless epsilon is large.
    "Adam": {"learning_rate": 0.01, "epsilon": 1e-3},
}


@pytest.mark.parametrize(
    ("make", "loss", "y", "optimizer"),
    [(unet, "binary_crossentropy", BRIGHT, "Adam"), (resnet, "sparse_categorical_crossentropy", CLASSES, "SGD")],
    ids=["unet", "resnet"],
)
def test_losses_of_twenty_steps(make: Any, loss: str, y: np.ndarray, optimizer: str) -> None:
    ours, theirs = pair(make)
    before = ours.get_weights()
    for model, lib in ((ours, numbaconv), (theirs, keras)):
        model.compile(getattr(lib.optimizers, optimizer)(**OPTIMIZERS[optimizer]), loss, metrics=["accuracy"])
    with quiet():
        expected = step_by_step(theirs, PICTURES, y)
    found = step_by_step(ours, PICTURES, y)
    assert expected[-1]["loss"] < expected[0]["loss"]
    same_course(found, expected, 1e-4)
    same_weights(ours, theirs, before, 2e-3)


TARGETS = {"kind": CLASSES, "amount": AMOUNTS}
LOSSES = {"kind": "sparse_categorical_crossentropy", "amount": "mse"}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "compiled",
    [
        {"loss": LOSSES},
        {"loss": LOSSES, "loss_weights": {"kind": 0.3, "amount": 2.0}},
        {"loss": LOSSES, "loss_weights": {"kind": 0.3, "amount": 2.0}, "metrics": {"kind": ["accuracy"]}},
        {"loss": LOSSES, "metrics": {"kind": ["accuracy"], "amount": ["mae", "mse"]}},
    ],
    ids=["losses", "weights", "metrics of one", "metrics"],
)
def test_two_losses(compiled: dict[str, Any]) -> None:
    ours, theirs = pair(two_headed)
    for model in (ours, theirs):
        model.compile("sgd", **compiled)
    # Batches of equal size: of the losses of single outputs Keras takes the mean over batches, not over examples.
    fit = {"batch_size": 10, "epochs": 3, "shuffle": False, "verbose": 0, "validation_split": 0.25}
    with quiet():
        expected = theirs.fit(PICTURES, TARGETS, **fit).history
        evaluated = theirs.evaluate(PICTURES, TARGETS, batch_size=20, verbose=0, return_dict=True)
        predicted = theirs.predict(PICTURES, verbose=0)
    history = ours.fit(PICTURES, TARGETS, **fit).history
    assert set(history) == set(expected)
    for quantity, values in expected.items():
        np.testing.assert_allclose(history[quantity], values, rtol=1e-4, err_msg=quantity)
    results = ours.evaluate(PICTURES, TARGETS, batch_size=20, verbose=0, return_dict=True)
    assert results == pytest.approx(evaluated, rel=1e-4)
    for name, values in ours.predict(PICTURES, verbose=0).items():
        np.testing.assert_allclose(values, predicted[name], rtol=1e-3, atol=1e-5)


def test_losses_in_a_list() -> None:
    found = []
    for lib in (numbaconv, keras):
        x = lib.Input((2,))
        hidden = lib.layers.Dense(3, activation="tanh", name="hidden")(x)
        outputs = [lib.layers.Dense(2, name="first")(hidden), lib.layers.Dense(1, name="second")(hidden)]
        model = lib.Model(x, outputs)
        rng = np.random.default_rng(4)
        model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
        model.compile("sgd", ["mse", "mae"], metrics=[["mae"], ["mse"]], loss_weights=[0.5, 1.5])
        y = [AMOUNTS, AMOUNTS[:, :1]]
        with quiet():
            model.fit(AMOUNTS, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
            found.append((model.evaluate(AMOUNTS, y, batch_size=20, verbose=0), model.get_weights()))
    (ours, our_weights), (theirs, their_weights) = found
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for own, other in zip(our_weights, their_weights, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("named", [False, True], ids=["list", "dict"])
def test_a_shared_encoder(named: bool) -> None:
    ours, theirs = pair(siamese)
    before = ours.get_weights()
    x: Any = [PICTURES, np.roll(PICTURES, 1, axis=0)]
    if named:
        x = {"right": x[1], "left": x[0]}
    y = (np.roll(CLASSES, 1) == CLASSES).astype(np.float32)[:, None]
    for model, lib in ((ours, numbaconv), (theirs, keras)):
        model.compile(lib.optimizers.SGD(0.02), "mse")
    with quiet():
        expected = step_by_step(theirs, x, y)
    same_course(step_by_step(ours, x, y), expected, 1e-4)
    same_weights(ours, theirs, before, 2e-3)
    assert len(ours.trainable_weights) == len(theirs.trainable_weights) == 8


def test_a_frozen_part_stays_as_it_is() -> None:
    ours, theirs = pair(siamese)
    y = (CLASSES == 1).astype(np.float32)[:, None]
    x = [PICTURES, PICTURES[::-1].copy()]
    for model in (ours, theirs):
        model.get_layer("encoder").trainable = False
        model.compile("adam", "mse")
    before = ours.get_layer("encoder").get_weights()
    with quiet():
        expected = step_by_step(theirs, x, y)
    same_course(step_by_step(ours, x, y), expected, 1e-4)
    for own, start, other in zip(
        ours.get_layer("encoder").get_weights(), before, theirs.get_layer("encoder").get_weights(), strict=True
    ):
        assert np.array_equal(own, start)
        np.testing.assert_allclose(own, other)

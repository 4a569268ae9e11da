"""What training sees: order of examples, validation, weights of examples and classes, arrays larger than the memory."""

import itertools
import tracemalloc

import numpy as np
import pytest
from training_cases import Linear, classes, classifier, one_weight, same

from numbaconv.callbacks import LambdaCallback
from numbaconv.layers import Conv2D
from numbaconv.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from numbaconv.models import Sequential
from numbaconv.optimizers import SGD

QUIET = {"verbose": 0}


# -- the order of examples ---------------------------------------------------------------------------------------------


def orders(n=7, epochs=3, batch_size=3, **arguments):
    """The numbers of the examples, epoch by epoch and batch by batch, as the layer sees them."""
    model, epochs_seen = Sequential([Linear(1, weights=[[[0.0]]])]), []
    layer = model.layers[0]
    forward = layer._forward
    layer._forward = lambda x: (epochs_seen[-1].append(x[:, 0].astype(int).tolist()), forward(x))[1]
    model.compile("sgd", "mse")
    begin = LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs_seen.append([]))
    model.fit(np.arange(n)[:, None], np.zeros(n), batch_size, epochs, callbacks=[begin], **QUIET, **arguments)
    return epochs_seen


def order(batches):
    return list(itertools.chain.from_iterable(batches))


def test_without_shuffling_the_order_stays():
    assert orders(shuffle=False) == [[[0, 1, 2], [3, 4, 5], [6]]] * 3
    assert orders(6, shuffle=False) == [[[0, 1, 2], [3, 4, 5]]] * 3


def test_every_epoch_has_an_order_of_its_own():
    found = [order(batches) for batches in orders(20, seed=3)]
    assert [sorted(numbers) for numbers in found] == [list(range(20))] * 3
    assert len({tuple(numbers) for numbers in [*found, range(20)]}) == 4


def test_the_seed_determines_the_order():
    assert orders(20, seed=3) == orders(20, seed=np.int64(3))
    assert list(map(order, orders(20, seed=3))) == list(map(order, orders(20, seed=3, batch_size=6)))
    assert orders(20, seed=3) != orders(20, seed=4)
    assert orders(20, epochs=5, initial_epoch=2, seed=3) == orders(20, epochs=5, seed=3)[2:]
    assert orders(20) != orders(20)


def test_a_generator_as_seed():
    generator = np.random.default_rng(1)
    first, second = orders(20, seed=generator), orders(20, seed=generator)
    assert first != second
    assert orders(20, seed=np.random.default_rng(1)) == first


def test_targets_and_weights_go_with_their_inputs():
    model = one_weight(0.0)
    model.compile(SGD(0.0), "mse", ["mae"])
    seen = []
    model.loss.value_and_gradient = lambda y, out, weight: (seen.append((y, weight)), (0.0, np.zeros_like(out)))[1]
    layer = model.layers[0]
    forward = layer._forward
    layer._forward = lambda x: (seen.append(x), forward(x))[1]
    n = np.arange(10.0)
    model.fit(n[:, None], 10 * n[:, None], sample_weight=n / 10, batch_size=4, seed=0, **QUIET)
    for x, (y, weight) in zip(seen[::2], seen[1::2], strict=True):
        assert np.array_equal(y, 10 * x)
        assert np.array_equal(weight, x[:, 0] / 10)


def test_the_same_seed_gives_the_same_bits():
    models = [classifier(optimizer="adam") for _ in range(2)]
    histories = [model.fit(*classes(50), epochs=3, seed=1, **QUIET).history for model in models]
    assert histories[0] == histories[1]
    assert same(models[0].weights, models[1].weights)


# -- validation --------------------------------------------------------------------------------------------------------


def test_the_last_part_is_for_validation():
    (x, y), model, expected = classes(), classifier(), classifier()
    weights = np.linspace(0.5, 2, 20)
    history = model.fit(x, y, validation_split=0.25, sample_weight=weights, epochs=2, seed=0, **QUIET).history
    other = expected.fit(
        x[:15],
        y[:15],
        sample_weight=weights[:15],
        validation_data=(x[15:], y[15:], weights[15:]),
        epochs=2,
        seed=0,
        **QUIET,
    ).history
    assert history == other
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert same(model.weights, expected.weights)
    found = model.evaluate(x[15:], y[15:], sample_weight=weights[15:], **QUIET)
    assert [history["val_loss"][-1], history["val_accuracy"][-1]] == found


def test_validation_does_not_change_the_training():
    (x, y), model, expected = classes(), classifier(), classifier()
    history = model.fit(x, y, validation_data=[x[:3], y[:3]], validation_split=0.5, epochs=3, seed=0, **QUIET).history
    assert history["loss"] == expected.fit(x, y, epochs=3, seed=0, **QUIET).history["loss"]
    assert same(model.weights, expected.weights)


@pytest.mark.parametrize(("n", "share", "left"), [(10, 0.2, 8), (10, 0.25, 7), (3, 0.5, 1), (100, 0.01, 99)])
def test_how_many_are_left(n, share, left):
    (batches,) = orders(n, epochs=1, validation_split=share)
    assert sorted(order(batches)) == list(range(left))


@pytest.mark.parametrize(
    ("frequency", "epochs"),
    [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), (9, []), ([1, 4], [0, 3]), ((), []), (np.int64(5), [4])],
)
def test_epochs_with_validation(frequency, epochs):
    (x, y), model, seen = classes(), classifier(), []
    note = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append("val_loss" in logs and "val_accuracy" in logs))
    history = model.fit(
        x, y, epochs=5, validation_split=0.2, validation_freq=frequency, callbacks=note, **QUIET
    ).history
    assert [epoch for epoch, validated in enumerate(seen) if validated] == epochs
    assert len(history["loss"]) == 5
    assert len(history.get("val_loss", [])) == len(epochs)


# -- weights of examples -----------------------------------------------------------------------------------------------


def test_sample_weights_count_in_the_loss_alone():
    model, (x, y) = classifier(), classes(4)
    out, weights = model(x), np.array([1.0, 0, 3, 0.5])
    found = model.evaluate(x, y, sample_weight=weights, **QUIET)
    assert found == pytest.approx([model.loss(y, out, weights), (out.argmax(axis=1) == y).mean()], rel=1e-6)
    assert found[0] != pytest.approx(model.loss(y, out), rel=1e-3)


CLASS_WEIGHTS = {0: 2.0, 2: 0.5}
# Loss, targets for 4 predictions of 3 classes, and what weights they should have.
LABELLED = {
    "labels": (SparseCategoricalCrossentropy(True), [0, 1, 2, 2], [2, 1, 0.5, 0.5]),
    "column of labels": (SparseCategoricalCrossentropy(True), [[0], [1], [2], [2]], [2, 1, 0.5, 0.5]),
    "float labels": (SparseCategoricalCrossentropy(True), [0.0, 1.0, 2.0, 2.0], [2, 1, 0.5, 0.5]),
    "one-hot": ("mse", np.eye(3)[[0, 1, 2, 2]], [2, 1, 0.5, 0.5]),
    "shares": ("mse", [[0.6, 0.4, 0], [0, 0.7, 0.3], [0, 0, 1], [0.1, 0.1, 0.8]], [2, 1, 0.5, 0.5]),
    "ignored": (SparseCategoricalCrossentropy(True, ignore_class=-1), [0, -1, 2, -1], [2, 1, 0.5, 1]),
}


@pytest.mark.parametrize(("loss", "y", "weights"), LABELLED.values(), ids=LABELLED)
@pytest.mark.parametrize("sample_weight", [None, [1.0, 2, 3, 0], [[1.0], [2], [3], [0]]])
def test_class_weights(loss, y, weights, sample_weight):
    x = np.random.default_rng(0).normal(size=(4, 3))
    layer = Linear(3, dtype="float64")
    model = Sequential([layer])
    model.compile(SGD(0.0), loss)
    model.build((None, 3))
    total = np.array(weights) * (1 if sample_weight is None else np.ravel(sample_weight))
    expected = model.train_on_batch(x, y, sample_weight=total)
    given = {"class_weight": CLASS_WEIGHTS, "sample_weight": sample_weight}
    assert model.train_on_batch(x, y, **given) == pytest.approx(expected, rel=1e-12)
    history = model.fit(x, y, **given, **QUIET).history
    assert history["loss"] == pytest.approx([expected], rel=1e-12)
    unweighted = model.test_on_batch(x, y)
    assert unweighted != pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("y", [[0, 1, 1], [[0], [1], [1]], [False, True, True]])
def test_class_weights_of_a_single_output(y):
    model = Sequential([Linear(1)])
    model.compile(SGD(0.0), BinaryCrossentropy(from_logits=True))
    x = np.random.default_rng(0).normal(size=(3, 2))
    model.build(x.shape)
    expected = model.train_on_batch(x, y, sample_weight=[1, 5, 5])
    assert model.train_on_batch(x, y, class_weight={1: 5}) == expected


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 1)])
def test_class_weights_of_positions(shape):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4, 5)), rng.integers(3, size=shape)
    model = Sequential([Conv2D(3, 1)])
    model.compile(SGD(0.0), SparseCategoricalCrossentropy(from_logits=True))
    model.build(x.shape)
    weights = np.array([1, 1, 4])[y.reshape(2, 3, 4)]
    assert model.train_on_batch(x, y, class_weight={2: 4}) == model.train_on_batch(x, y, sample_weight=weights)
    both = model.train_on_batch(x, y, sample_weight=[2, 0], class_weight={2: 4})
    assert both == model.train_on_batch(x, y, sample_weight=weights * np.array([2, 0]).reshape(2, 1, 1))


@pytest.mark.parametrize("loss", [SparseCategoricalCrossentropy, CategoricalCrossentropy])
def test_class_weights_of_another_axis(loss):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 3, 4)), rng.integers(3, size=(2, 1, 3, 4))
    model = Sequential([Conv2D(3, 1, data_format="channels_first")])
    model.compile(SGD(0.0), loss(from_logits=True, axis=1))
    model.build(x.shape)
    weights = np.array([1, 1, 4])[y[:, 0]]
    if loss is CategoricalCrossentropy:
        y = (y == np.arange(3).reshape(1, 3, 1, 1)).astype(int)
    assert model.train_on_batch(x, y, class_weight={2: 4}) == model.train_on_batch(x, y, sample_weight=weights)


def test_class_weights_do_not_count_in_validation():
    (x, y), model = classes(), classifier()
    history = model.fit(x, y, class_weight={1: 9.0}, validation_data=(x, y), **QUIET).history
    assert history["val_loss"] == [model.evaluate(x, y, return_dict=True, **QUIET)["loss"]]


# -- arrays that are larger than the memory ----------------------------------------------------------------------------

ROWS, COLUMNS = 4000, 500


def wide(shape=(ROWS, COLUMNS), path=None):
    return np.memmap(path, np.float32, "w+", shape=shape)


@pytest.mark.parametrize("use", ["fit", "split", "validation", "class_weight", "evaluate", "predict"])
def test_memory_maps_stay_maps(tmp_path, use, all_memory_is_traced):
    x, y = wide(path=tmp_path / "x"), wide((ROWS,), tmp_path / "y")
    model = Sequential([Linear(1)])
    model.compile("sgd", "mse")
    model.fit(x[:8], y[:8], **QUIET)
    calls = {
        "fit": lambda: model.fit(x, y, 16, **QUIET),
        "split": lambda: model.fit(x, y, 16, validation_split=0.5, **QUIET),
        "validation": lambda: model.fit(x[:32], y[:32], 16, validation_data=(x, y), **QUIET),
        "class_weight": lambda: model.fit(x, y, 16, class_weight={0: 2.0}, **QUIET),
        "evaluate": lambda: model.evaluate(x, y, 16, **QUIET),
        "predict": lambda: model.predict(x, 16, **QUIET),
    }
    tracemalloc.start()
    try:
        calls[use]()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 10


class Watched(np.ndarray):
    """An array that remembers the most rows that were taken at once."""

    most = 0

    def __getitem__(self, index):
        part = super().__getitem__(index)
        Watched.most = max(Watched.most, len(part))
        return part


def test_subclasses_of_arrays_are_arrays():
    x = np.ones((6, 1)).view(Watched)
    model = one_weight()
    model.compile("sgd", "mse")
    model.fit(x, np.ones(6), 2, **QUIET)
    model.predict(x, 2, **QUIET)
    assert Watched.most <= 2

"""Metrics: definitions, averages over batches, names, configurations and errors."""

import json
import math

import numpy as np
import pytest

from numbaconv import losses, metrics
from numbaconv.metrics import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)

INF, NAN = math.inf, math.nan
SCORES = [[0.1, 0.6, 0.3], [0.4, 0.2, 0.4], [0.5, 0.3, 0.2]]


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "sample_weight", "expected"),
    [
        (Accuracy(), [1, 2, 3, 4], [0, 2, 3, 4], None, 3 / 4),
        (Accuracy(), [1, 2, 3, 4], [0, 2, 3, 4], [3, 1, 1, 1], 1 / 2),
        (Accuracy(), [[1], [2]], [1, 3], None, 1 / 2),
        (Accuracy(), [[1, 2], [3, 4]], [[1, 2], [3, 5]], [1, 3], 5 / 8),
        (Accuracy(), [[1, 2], [3, 4]], [[1, 2], [3, 5]], [[1, 1], [0, 3]], 2 / 5),
        (Accuracy(), [2**24 + 1], [2**24], None, 0),
        (Accuracy(), [1.5], [1], None, 0),
        (Accuracy(), np.array([0.1, 0.2]), np.array([0.1, 0.3], "float32"), None, 1 / 2),
        (BinaryAccuracy(), [1, 0, 1, 0], [0.5, 0.5, 0.6, 0.6], None, 1 / 2),
        (BinaryAccuracy(), [0, 0], [0.5, 0.6], None, 1 / 2),
        (BinaryAccuracy(threshold=0.1), [1, 0, 1], [0.1, 0.1, 0.2], None, 2 / 3),
        (BinaryAccuracy(), [[True], [False]], [0.7, 0.7], [3, 1], 3 / 4),
        (BinaryAccuracy(threshold=0), [0.5, 1], [1, 1], None, 1 / 2),
        (CategoricalAccuracy(), np.eye(3), SCORES, None, 0),
        (CategoricalAccuracy(), [[0, 1, 0], [1, 0, 0], [0, 1, 1]], SCORES, None, 2 / 3),
        (CategoricalAccuracy(), [[0, 1, 1], [0, 0, 1], [1, 0, 1]], SCORES, [1, 2, 1], 1 / 2),
        (SparseCategoricalAccuracy(), [1, 0, 2], SCORES, None, 2 / 3),
        (SparseCategoricalAccuracy(), [[1], [2], [2]], SCORES, [[3], [1], [2]], 1 / 2),
        (SparseCategoricalAccuracy(), [[1, 0, 2]], [SCORES], [[1, 1, 2]], 1 / 2),
        (TopKCategoricalAccuracy(2), [[0, 0, 1], [0, 1, 0], [0, 1, 0]], SCORES, None, 2 / 3),
        (SparseTopKCategoricalAccuracy(1), [1, 2, 0], SCORES, None, 1),
        (SparseTopKCategoricalAccuracy(2), [0, 1, 1], SCORES, None, 1 / 3),
        (SparseTopKCategoricalAccuracy(), [0, 1, 1], SCORES, None, 1),
        (SparseTopKCategoricalAccuracy(), [0, 0], [[0, NAN], [NAN, 0]], None, 0),
        (SparseTopKCategoricalAccuracy(1), [0, 1, 0], [[0, -INF], [0, -INF], [INF, 0]], None, 2 / 3),
        (MeanSquaredError(), [[0, 1], [2, 0]], [[1, 1], [0, 3]], None, 7 / 2),
        (MeanSquaredError(), [[0, 1], [2, 0]], [[1, 1], [0, 3]], [3, 1], 2),
        (MeanSquaredError(), [0, 2], [[1], [0]], [3, 1], 7 / 4),
        (MeanSquaredError(), [0, 2], np.array([3e30, 2], "float32"), None, 4.5e60),
        (MeanAbsoluteError(), [[0, 1], [2, 0]], [[1, 1], [0, 3]], None, 3 / 2),
        (MeanAbsoluteError(), [[0, 1], [2, 0]], [[1, 1], [0, 3]], [3, 1], 1),
        (RootMeanSquaredError(), [[0, 1], [2, 0]], [[1, 1], [0, 3]], None, math.sqrt(7 / 2)),
        (RootMeanSquaredError(), [[0, 1], [2, 0]], [[1, 1], [0, 3]], [[0, 0], [3, 1]], math.sqrt(21 / 4)),
        (RootMeanSquaredError(), [[0], [2]], [[1], [0]], [3, -2], NAN),
        (RootMeanSquaredError(), [0], [NAN], None, NAN),
        (MeanSquaredError(), [INF], [INF], None, NAN),
    ],
)
def test_metric_by_hand(metric, y_true, y_pred, sample_weight, expected):
    metric.reset_state()
    y_true, y_pred = np.array(y_true), np.array(y_pred)
    before = y_true.copy(), y_pred.copy()
    assert metric.update_state(y_true, y_pred, sample_weight) is None
    assert type(metric.result()) is float
    assert metric.result() == pytest.approx(expected, rel=1e-6, nan_ok=True)
    np.testing.assert_array_equal(y_true, before[0])
    np.testing.assert_array_equal(y_pred, before[1])


def test_batches_are_averaged_by_sample():
    metric = SparseCategoricalAccuracy()
    assert metric.result() == 0
    assert metric([1, 0, 2], SCORES) == pytest.approx(2 / 3)
    assert metric([1], SCORES[:1]) == pytest.approx(3 / 4)
    assert metric([2], SCORES[:1], [4]) == pytest.approx(3 / 8)
    assert metric(np.zeros(0), np.zeros((0, 3))) == metric.result() == pytest.approx(3 / 8)
    metric.reset_state()
    assert metric.result() == 0
    assert metric([2], SCORES[:1], [0]) == 0


def test_samples_count_alike_however_many_positions_they_have():
    metric = Accuracy()
    metric.update_state(np.ones((1, 4)), np.ones((1, 4)))
    metric.update_state(np.ones((3, 2)), np.zeros((3, 2)))
    assert metric.result() == 1 / 4
    metric = BinaryAccuracy()
    metric.update_state(np.ones((1, 4)), np.ones((1, 4)), np.full((1, 4), 3))
    metric.update_state(np.ones((3, 2)), np.zeros((3, 2)), np.ones((3, 1)))
    assert metric.result() == 1 / 2


def test_a_root_is_taken_of_the_average_over_batches():
    metric = RootMeanSquaredError()
    metric.update_state([0], [1])
    metric.update_state([0], [7])
    assert metric.result() == 5


def test_many_batches_are_counted_in_float64():
    metric = Accuracy()
    metric._total = metric._count = 2.0**24
    metric.update_state([1], [0])
    assert metric.result() == 2**24 / (2**24 + 1)


# Those that count decisions are in test_metrics_counts.py.
ALL = [cls for cls in metrics._REGISTRY.classes.values() if cls._values is not metrics.Metric._values]
CLASSES = [cls for cls in ALL if "Categorical" in cls.__name__ and "Hinge" not in cls.__name__]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("shape", [(0, 3), (0, 2, 3)])
def test_empty_batches_count_nothing(cls, shape):
    metric = cls()
    y_true = np.zeros(shape[:-1] if cls.__name__.startswith("Sparse") else shape)
    assert metric(y_true, np.zeros(shape)) == metric(y_true, np.zeros(shape), np.zeros(0)) == 0
    assert metric._count == 0


# --- names


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_names(cls):
    name = cls().name
    assert name == metrics.get({"class_name": name}).name == metrics.get(cls).name
    assert metrics.get({"class_name": cls.__name__}) == metrics.get(cls) == cls()
    if cls is not Accuracy:
        for alias in (name, cls.__name__):
            assert metrics.get(alias) == cls(name=alias)


@pytest.mark.parametrize(
    ("name", "cls"), [("mse", MeanSquaredError), ("MSE", MeanSquaredError), ("mae", MeanAbsoluteError)]
)
def test_aliases(name, cls):
    assert metrics.get(name) == cls(name=name)


@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy"])
@pytest.mark.parametrize(
    ("loss", "output_shape", "cls"),
    [
        ("binary_crossentropy", None, BinaryAccuracy),
        ("binary_crossentropy", (None, 1), BinaryAccuracy),
        ("binary_crossentropy", (None, 5), CategoricalAccuracy),
        (losses.CategoricalCrossentropy, None, CategoricalAccuracy),
        (losses.CategoricalCrossentropy(), (None, 5), CategoricalAccuracy),
        (losses.SparseCategoricalCrossentropy(True), None, SparseCategoricalAccuracy),
        ("sparse_categorical_crossentropy", [8, 4, 5], SparseCategoricalAccuracy),
        ("mse", (None, 1), BinaryAccuracy),
        ("mse", (None, 5), CategoricalAccuracy),
        (None, (None, 5), CategoricalAccuracy),
    ],
)
def test_accuracy_by_loss_and_shape(name, loss, output_shape, cls):
    assert metrics.get(name, loss, output_shape) == cls(name=name)


@pytest.mark.parametrize("loss", [None, "mse"])
def test_accuracy_of_neither(loss):
    with pytest.raises(ValueError, match=r"'accuracy' must come with the output_shape .*, got loss=.*None"):
        metrics.get("accuracy", loss)


@pytest.mark.parametrize(
    "metric",
    [
        Accuracy("right"),
        BinaryAccuracy(threshold=np.float64(0.25)),
        TopKCategoricalAccuracy(3, "top"),
        SparseTopKCategoricalAccuracy(np.int64(2)),
        RootMeanSquaredError(),
    ],
)
def test_config_round_trip(metric):
    serialized = metrics.serialize(metric)
    assert json.loads(json.dumps(serialized)) == serialized
    again = metrics.get(serialized)
    assert again == metric
    assert hash(again) == hash(metric)
    assert eval(repr(metric), vars(metrics)) == metric
    assert again != type(metric)(name="other")


def test_identifiers():
    class Own:
        def update_state(self, y_true, y_pred, sample_weight=None): ...

        def __call__(self, y_true, y_pred): ...

    own, used = Own(), Accuracy()
    used.update_state([1], [1])
    assert metrics.get(own) is own
    assert metrics.get(used) is used
    assert used.result() == 1
    assert metrics.get(None) is None
    assert metrics.serialize(None) is None
    with pytest.raises(TypeError, match=r"metric must be a name, a class, a config or a callable, got 3"):
        metrics.get(3)
    with pytest.raises(TypeError, match=r"metric must be one of Accuracy, .* to be put in a config, got <"):
        metrics.serialize(own)
    with pytest.raises(ValueError, match=r"metric must be one of .*binary_accuracy.*, got 'auk'"):
        metrics.get("auk")
    with pytest.raises(TypeError, match="config of Accuracy must be a dict, got 3"):
        Accuracy.from_config(3)
    with pytest.raises(TypeError, match="Accuracy takes name, got k"):
        Accuracy.from_config({"k": 1})
    with pytest.raises(NotImplementedError, match="Metric must define update_state, result and"):
        metrics.Metric("metric").update_state([1], [1])


# --- errors


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Accuracy()(1, 1), ValueError, "y_pred must have a batch axis, got the single number 1"),
        (lambda: Accuracy()([1, 2], [1]), ValueError, r"y_true must have the shape of y_pred, \(1,\), got \(2,\)"),
        (lambda: BinaryAccuracy()([1, 2], [[1, 2]]), ValueError, r"y_true must .*, \(1, 2\), got \(2,\)"),
        (lambda: MeanSquaredError()([[1, 2]], [1, 2]), ValueError, r"y_true must .*, \(2,\), got \(1, 2\)"),
        (
            lambda: MeanAbsoluteError()(np.ones((2, 0)), np.ones((2, 0))),
            ValueError,
            "y_pred must have 1 or more",
        ),
        (lambda: RootMeanSquaredError()([1], ["a"]), TypeError, "y_pred must hold real numbers"),
        (
            lambda: CategoricalAccuracy()([0, 1, 0], SCORES),
            ValueError,
            r"got \(3,\); integer labels need .* Sparse",
        ),
        (lambda: TopKCategoricalAccuracy()(np.eye(2), SCORES), ValueError, r"y_true must .*, \(3, 3\), got \(2, 2\)"),
        (lambda: SparseCategoricalAccuracy()(SCORES, SCORES), ValueError, "one-hot targets need .* without Sparse"),
        (lambda: SparseCategoricalAccuracy()([0, 3, 1], SCORES), ValueError, r"0 to 2, got 3 at index \(1,\)"),
        (lambda: SparseTopKCategoricalAccuracy()([0, 0.5, 1], SCORES), ValueError, r"got 0\.5 at index \(1,\)"),
        (lambda: Accuracy()([1, 2], [1, 2], [1] * 3), ValueError, r"sample_weight must have the shape \(2,\)"),
        (lambda: MeanSquaredError()(SCORES, SCORES, SCORES), ValueError, r"sample_weight must .*\(3,\) .*got \(3, 3\)"),
        (
            lambda: Accuracy()([1, 2], [1, 2], [1, NAN]),
            ValueError,
            r"sample_weight must be finite, got nan at .*1,",
        ),
        (lambda: TopKCategoricalAccuracy(0), ValueError, "k must be at least 1, got 0"),
        (lambda: SparseTopKCategoricalAccuracy(2.0), TypeError, r"k must be an integer, got 2\.0"),
        (lambda: BinaryAccuracy(threshold="0"), TypeError, "threshold must be a finite number, got '0'"),
        (lambda: Accuracy(3), TypeError, "name must be a non-empty string, got 3"),
    ],
)
def test_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_single_class_is_refused(cls, shape):
    with pytest.raises(ValueError, match=r"must have 2 or more values on axis -1, .*; for one output take the binary"):
        cls()(np.zeros(shape), np.zeros(shape))


def test_a_refused_batch_counts_nothing():
    metric = Accuracy()
    with pytest.raises(ValueError, match="sample_weight"):
        metric.update_state([1, 1], [1, 1], [INF, 1])
    assert metric.result() == metric._count == 0

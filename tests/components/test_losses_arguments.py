"""Names, configurations and errors of losses."""

import json
import math

import numpy as np
import pytest

from numbaconv import losses
from numbaconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("names", "cls"),
    [
        ("mse MSE mean_squared_error MeanSquaredError", MeanSquaredError),
        ("mae MAE mean_absolute_error MeanAbsoluteError", MeanAbsoluteError),
        ("bce BCE binary_crossentropy BinaryCrossentropy", BinaryCrossentropy),
        ("categorical_crossentropy CategoricalCrossentropy", CategoricalCrossentropy),
        ("sparse_categorical_crossentropy SparseCategoricalCrossentropy", SparseCategoricalCrossentropy),
        ("logcosh log_cosh LogCosh", LogCosh),
        ("kld KLD kullback_leibler_divergence kl_divergence KLDivergence", KLDivergence),
        ("cosine_similarity CosineSimilarity", CosineSimilarity),
        ("hinge Hinge", Hinge),
        ("squared_hinge SquaredHinge", SquaredHinge),
        ("categorical_hinge CategoricalHinge", CategoricalHinge),
        ("dice Dice", Dice),
    ],
)
def test_names(names, cls):
    for name in names.split():
        assert losses.get(name) == losses.get({"class_name": name}) == losses.get(cls) == cls()
    assert cls().name == names.split()[-2]


def test_the_name_of_huber_is_another_one():
    assert losses.get("huber") == losses.get("Huber") == Huber()
    assert Huber().name == "huber_loss"


@pytest.mark.parametrize(
    "loss",
    [
        MeanSquaredError("sum", "error"),
        MeanAbsoluteError(),
        BinaryCrossentropy(True, np.float32(0.5), 1),
        CategoricalCrossentropy(np.True_, 1, -2, "mean_with_sample_weight"),
        SparseCategoricalCrossentropy(False, np.int64(255), "mean", 1, "pixels"),
        Huber(np.float32(0.5)),
        CosineSimilarity(1),
        Dice(axis=[1, np.int64(2)]),
        Dice(axis=1),
    ],
)
def test_config_round_trip(loss):
    serialized = losses.serialize(loss)
    assert json.loads(json.dumps(serialized)) == serialized
    again = losses.get(serialized)
    assert again == loss
    assert hash(again) == hash(loss)
    assert eval(repr(loss), vars(losses)) == loss
    assert again != type(loss)(name="other")


def test_identifiers():
    class Custom:
        def __call__(self, y_true, y_pred, sample_weight=None):
            return 0.0

    class Trainable(Custom):
        def value_and_gradient(self, y_true, y_pred, sample_weight=None):
            return 0.0, y_pred * 0

    own = Trainable()
    assert losses.get(own) is own
    assert losses.get(None) is None
    assert losses.serialize(None) is None
    for function in (Custom, Custom(), np.sum):
        loss = losses.get(function)
        assert (type(loss), loss.name) == (losses.FunctionLoss, "sum" if function is np.sum else "Custom")
    for wrong in (3, [np.sum]):
        with pytest.raises(TypeError, match="loss must be a name, a class, a config or a callable, got "):
            losses.get(wrong)
    with pytest.raises(TypeError, match=r"loss must be one of BinaryCrossentropy, .* to be put in a config, got <"):
        losses.serialize(own)
    with pytest.raises(ValueError, match=r"loss must be one of BCE, .*mse.*, got 'hinges'"):
        losses.get("hinges")
    with pytest.raises(TypeError, match=r"MeanSquaredError takes reduction, name, got axis"):
        losses.get({"class_name": "mse", "config": {"axis": 1}})
    with pytest.raises(NotImplementedError, match="Loss must define value_and_gradient"):
        losses.Loss("sum", "loss")([1], [1])


MSE, BINARY, CATEGORICAL = MeanSquaredError(), BinaryCrossentropy(), CategoricalCrossentropy()
SPARSE = SparseCategoricalCrossentropy(from_logits=True)
P = np.full((4, 3), 1 / 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MSE([1], 1.0), ValueError, r"y_pred must have a batch axis, got the single number 1\.0"),
        (lambda: MSE([1], ["a"]), TypeError, "y_pred must hold real numbers"),
        (lambda: MSE(["a"], [1]), TypeError, "y_true must hold real numbers"),
        (
            lambda: MSE([1], np.ones((1, 0))),
            ValueError,
            r"y_pred must have 1 or more values on axis -1, got .*\(1, 0\)",
        ),
        (lambda: MSE(np.ones(4), P), ValueError, r"y_true must have the shape of y_pred, \(4, 3\), got \(4,\)$"),
        (lambda: MSE(np.ones((4, 1)), P), ValueError, r"y_true must .* \(4, 3\), got \(4, 1\)$"),
        (lambda: MSE(np.ones((3, 1)), np.ones(4)), ValueError, r"y_true must .* \(4,\), got \(3, 1\)"),
        (lambda: BINARY([[0.5, -0.25]], [[0.5, 0.5]]), ValueError, r"0 and 1, got -0\.25 at index \(0, 1\)"),
        (lambda: BINARY([[0, 1], [2, 3]], np.ones((2, 2))), ValueError, r"0 and 1, got 2 at index \(1, 0\)"),
        (lambda: BINARY([NAN], [0.5]), ValueError, r"between 0 and 1, got nan at index \(0,\)"),
        (lambda: CATEGORICAL([0, 1, 2, 0], P), ValueError, r"\(4, 3\), got \(4,\); integer labels need .* Sparse"),
        (lambda: CATEGORICAL([[0], [1], [2], [0]], P), ValueError, r"got \(4, 1\); integer labels need .* Sparse"),
        (lambda: CATEGORICAL(np.full(4, 0.5), P), ValueError, r"y_true must .* \(4, 3\), got \(4,\)$"),
        (lambda: CATEGORICAL(np.eye(4), P), ValueError, r"y_true must .* \(4, 3\), got \(4, 4\)$"),
        (lambda: CATEGORICAL([[1]], [[1]]), ValueError, r"y_pred must have 2 or more .* got shape \(1, 1\); .*binary"),
        (lambda: SPARSE([0], [[1]]), ValueError, r"y_pred must have 2 or more .* got shape \(1, 1\); .*binary"),
        (lambda: SPARSE([0], [1]), ValueError, r"y_pred must have 2 or more values .* got shape \(1,\); .*binary"),
        (lambda: SPARSE([0, 1], P), ValueError, r"y_true must hold a label per position, shape \(4,\), got \(2,\)$"),
        (lambda: SPARSE(P, P), ValueError, r"shape \(4,\), got \(4, 3\); one-hot targets need .* without Sparse"),
        (lambda: SPARSE([0, 1, 3, 0], P), ValueError, r"integers from 0 to 2, got 3 at index \(2,\)"),
        (lambda: SPARSE([[0], [1], [2], [-1]], P), ValueError, r"integers from 0 to 2, got -1 at index \(3, 0\)"),
        (lambda: SPARSE([0, 1.5, 3, 0], P), ValueError, r"integers from 0 to 2, got 1\.5 at index \(1,\)"),
        (lambda: SPARSE([0, 1, NAN, 0], P), ValueError, r"integers from 0 to 2, got nan at index \(2,\)"),
        (lambda: SPARSE([0, 1, 1e300, 0], P), ValueError, r"integers from 0 to 2, got 1e\+300 at index \(2,\)"),
        (lambda: SPARSE(np.array([0, 1, 2, 2**63], "u8"), P), ValueError, r"got 9223372036854775808 at index \(3,\)"),
        (
            lambda: SparseCategoricalCrossentropy(ignore_class=-1)([0, -1, -2, 0], P),
            ValueError,
            r"integers from 0 to 2, got -2 at index \(2,\)",
        ),
        (
            lambda: SPARSE([0, 1, 2, 0], P, np.ones(3)),
            ValueError,
            r"sample_weight must have the shape \(4,\) .*got \(3,\)",
        ),
        (lambda: SPARSE([0, 1, 2, 0], P, np.ones((4, 3))), ValueError, r"sample_weight must .*got \(4, 3\)"),
        (lambda: MSE(np.ones((4, 3, 2)), np.ones((4, 3, 2)), np.ones(3)), ValueError, r"\(4, 3\) or .*got \(3,\)"),
        (lambda: MSE(P, P, [1, 2, INF, 4]), ValueError, r"sample_weight must be finite, got inf at index \(2,\)"),
        (lambda: MSE(P, P, ["a"] * 4), TypeError, "sample_weight must hold real numbers"),
        (lambda: BinaryCrossentropy(axis=0)(P, P), ValueError, r"axis must be an axis of y_pred after .* got 0 for"),
        (lambda: BinaryCrossentropy(axis=-2)(P, P), ValueError, r"axis must be .*, got -2 for shape \(4, 3\)"),
        (lambda: BinaryCrossentropy(axis=2)(P, P), ValueError, r"axis must be .*, got 2 for shape \(4, 3\)"),
        (lambda: BinaryCrossentropy(from_logits=1), TypeError, "from_logits must be True or False, got 1"),
        (lambda: BinaryCrossentropy(label_smoothing=2), ValueError, "label_smoothing must be .* <= 1, got 2"),
        (lambda: CategoricalCrossentropy(label_smoothing=-1), ValueError, "label_smoothing must be .* >= 0 .*, got -1"),
        (lambda: CategoricalCrossentropy(axis=1.0), TypeError, r"axis must be an integer, got 1\.0"),
        (
            lambda: SparseCategoricalCrossentropy(ignore_class="a"),
            TypeError,
            "ignore_class must be an integer, got 'a'",
        ),
        (lambda: MeanSquaredError("none"), ValueError, "reduction must be one of sum_over_batch_size, .*, got 'none'"),
        (lambda: MeanSquaredError(None), ValueError, "reduction must be one of sum_over_batch_size, .*, got None"),
        (lambda: Huber(0), ValueError, "delta must be a finite number > 0, got 0"),
        (lambda: CosineSimilarity(axis=0)(P, P), ValueError, r"axis must be an axis of y_pred after .* got 0 for"),
        (lambda: MeanSquaredError(name=""), TypeError, "name must be a non-empty string, got ''"),
    ],
)
def test_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()

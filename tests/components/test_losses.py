"""Losses: definitions, gradients, extremes, shapes and types."""

import math

import numpy as np
import pytest

from numbaconv import activations, config, losses
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
LOG2, LOG3, LOG5 = math.log(2), math.log(3), math.log(5)
# Logits 0, log 2, log 5 are probabilities 1/8, 1/4, 5/8.
LOGITS = [[0, LOG2, LOG5], [LOG5, 0, LOG2]]
SHARES = [[1, 2, 5], [5, 1, 2]]


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "sample_weight", "value", "gradient"),
    [
        (MeanSquaredError(), [[0, 1], [2, 0]], [[1, 1], [0, 3]], None, 3.5, [[0.5, 0], [-1, 1.5]]),
        (MeanSquaredError(), [[0, 1], [2, 0]], [[1, 1], [0, 3]], [4, -1], -2.25, [[2, 0], [1, -1.5]]),
        (MeanSquaredError("sum"), [[0, 1], [2, 0]], [[1, 1], [0, 3]], None, 7, [[1, 0], [-2, 3]]),
        (MeanSquaredError("sum"), [[0, 1], [2, 0]], [[1, 1], [0, 3]], [2, 4], 27, [[2, 0], [-8, 12]]),
        (
            MeanSquaredError("mean_with_sample_weight"),
            [[0, 1], [2, 0]],
            [[1, 1], [0, 3]],
            [1, 3],
            5,
            [[0.25, 0], [-1.5, 2.25]],
        ),
        (MeanSquaredError(), [0, 1], [2, 3], [1, 2], 6, [2, 4]),
        (MeanAbsoluteError(), [[0, 1], [2, 0]], [[1, 1], [0, 3]], None, 1.5, [[0.25, 0], [-0.25, 0.25]]),
        (BinaryCrossentropy(), [[1], [0]], [[0.5], [0.75]], None, LOG2 * 1.5, [[-1], [2]]),
        (BinaryCrossentropy(True), [[1], [0]], [[0], [LOG3]], None, LOG2 * 1.5, [[-0.25], [0.375]]),
        (BinaryCrossentropy(True, 0.5), [[1]], [[LOG3]], None, math.log(4) - 0.75 * LOG3, [[0]]),
        (BinaryCrossentropy(), [[1, 0]], [[0.5, 0.5]], [3], 3 * LOG2, [[-3, 3]]),
        (CategoricalCrossentropy(), [[0, 1, 0]], [[0.25, 0.5, 0.25]], None, LOG2, [[1, -1, 1]]),
        (CategoricalCrossentropy(), [[0, 1, 0]], [[1, 2, 1]], None, LOG2, [[0.25, -0.25, 0.25]]),
        (
            CategoricalCrossentropy(from_logits=True),
            [[0, 0, 1], [0, 1, 0]],
            LOGITS,
            None,
            (math.log(8 / 5) + math.log(8)) / 2,
            [[1 / 16, 1 / 8, -3 / 16], [5 / 16, -7 / 16, 1 / 8]],
        ),
        (CategoricalCrossentropy(True, 0.75), [[0, 0, 1]], [[0, 0, 0]], None, LOG3, [[1 / 12, 1 / 12, -1 / 6]]),
        (SparseCategoricalCrossentropy(), [1], [[0.25, 0.5, 0.25]], None, LOG2, [[1, -1, 1]]),
        (SparseCategoricalCrossentropy(), [1], [[0.25, 0.25, 0.25]], None, LOG3, [[4 / 3, -8 / 3, 4 / 3]]),
        (
            SparseCategoricalCrossentropy(from_logits=True),
            [2, 1],
            LOGITS,
            [2, 4],
            math.log(8 / 5) + 2 * math.log(8),
            [[1 / 8, 1 / 4, -3 / 8], [5 / 4, -7 / 4, 1 / 2]],
        ),
        (
            SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
            [2, -1],
            LOGITS,
            [2, 4],
            2 * math.log(8 / 5),
            [[1 / 4, 1 / 2, -3 / 4], [0, 0, 0]],
        ),
        (Huber(), [[0, 0], [0, 0]], [[1, 0.5], [-3, 2]], None, (0.625 + 4) / 4, [[0.25, 0.125], [-0.25, 0.25]]),
        (Huber(0.5, "sum"), [[0, 1]], [[0.25, -1]], [2], 1 / 32 + 7 / 8, [[0.25, -0.5]]),
        (LogCosh(), [[0, 0]], [[LOG2, -LOG2]], None, math.log(5 / 4), [[0.3, -0.3]]),
        (KLDivergence(), [[0.5, 0.5]], [[0.25, 0.125]], None, LOG2 * 1.5, [[-2, -4]]),
        (CosineSimilarity(), [[0, 2], [3, 4]], [[4, 3], [5, 0]], None, -0.6, [[0.048, -0.064], [0, -0.08]]),
        (CosineSimilarity(), [[0, 2]], [[0, 0]], None, 0, [[0, 0]]),
        (Hinge(), [[0, 1], [1, 1]], [[0.5, 0.5], [2, -1]], None, (1.5 + 0.5 + 0 + 2) / 4, [[0.25, -0.25], [0, -0.25]]),
        (Hinge(), [[-1, 1]], [[-1, 3]], [4], 0, [[2, 0]]),
        (SquaredHinge(), [[-1, 1]], [[0.5, 0.5]], None, 1.25, [[1.5, -0.5]]),
        (CategoricalHinge(), [[0, 1, 0], [1, 0, 0]], [[3, 1, 2], [4, 3, 0]], [2, 1], 3, [[1, -1, 0], [-0.5, 0.5, 0]]),
        (CategoricalHinge(), [[1, 0]], [[4, 2]], None, 0, [[0, 0]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loss_by_hand(loss, y_true, y_pred, sample_weight, value, gradient, dtype):
    y_pred = np.array(y_pred, dtype)
    inputs = [y_pred, np.array(y_true), None if sample_weight is None else np.array(sample_weight)]
    before = [None if array is None else array.copy() for array in inputs]
    found, slope = loss.value_and_gradient(inputs[1], y_pred, inputs[2])
    for array, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert type(found) is float
    assert loss(*inputs[1::-1], inputs[2]) == found == pytest.approx(value, rel=1e-6 if dtype == "float32" else 1e-14)
    assert slope.shape == y_pred.shape
    assert slope.dtype == dtype
    assert not np.shares_memory(slope, y_pred)
    np.testing.assert_allclose(slope, gradient, rtol=1e-6, atol=1e-6 if dtype == "float32" else 1e-14)


# --- gradients


def labels(rng, shape):
    return rng.integers(0, shape[-1], shape[:-1])


def normal(rng, shape):
    return rng.normal(size=shape)


def shares(rng, shape):
    # Neither 0 nor 1, where the slope would differ on both sides.
    return rng.uniform(0.05, 0.95, shape)


@pytest.mark.parametrize(
    ("loss", "draw_true", "draw_pred"),
    [
        (MeanSquaredError(), normal, normal),
        (MeanAbsoluteError(), normal, normal),
        (BinaryCrossentropy(), shares, shares),
        (BinaryCrossentropy(label_smoothing=0.2), shares, shares),
        (BinaryCrossentropy(from_logits=True, label_smoothing=0.2), shares, normal),
        (CategoricalCrossentropy(), shares, shares),
        (CategoricalCrossentropy(label_smoothing=0.2), shares, shares),
        (CategoricalCrossentropy(from_logits=True, label_smoothing=0.2), shares, normal),
        (SparseCategoricalCrossentropy(), labels, shares),
        (SparseCategoricalCrossentropy(from_logits=True), labels, normal),
        (SparseCategoricalCrossentropy(from_logits=True, ignore_class=1), labels, normal),
        (SparseCategoricalCrossentropy(ignore_class=1, reduction="mean_with_sample_weight"), labels, shares),
        (MeanSquaredError("sum"), normal, normal),
        (CategoricalCrossentropy(True, reduction="mean_with_sample_weight"), shares, normal),
        (Huber(0.7), normal, normal),
        (LogCosh("sum"), normal, normal),
        (KLDivergence(), shares, shares),
        (CosineSimilarity(), normal, normal),
        (Hinge(), normal, normal),
        (SquaredHinge(reduction="mean_with_sample_weight"), normal, normal),
        (CategoricalHinge(), shares, normal),
        (Dice(axis=-1), shares, shares),
    ],
)
@pytest.mark.parametrize("shape", [(4, 3), (3, 2, 4), (2, 2, 3, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_is_the_slope(loss, draw_true, draw_pred, shape, weighted):
    rng = np.random.default_rng(3)
    y_true, y_pred = draw_true(rng, shape), draw_pred(rng, shape)
    sample_weight = rng.normal(size=shape[:-1]) if weighted else None
    value, gradient = loss.value_and_gradient(y_true, y_pred, sample_weight)
    assert np.abs(gradient).max() > 1e-3
    for index in np.ndindex(shape):
        up, down = y_pred.copy(), y_pred.copy()
        up[index] += 1e-6
        down[index] -= 1e-6
        slope = (loss(y_true, up, sample_weight) - loss(y_true, down, sample_weight)) / 2e-6
        assert gradient[index] == pytest.approx(slope, rel=1e-5, abs=1e-7)
    single, rough = loss.value_and_gradient(y_true, y_pred.astype("float32"), sample_weight)
    assert single == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(rough, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("from_logits", [False, True])
def test_sparse_is_categorical_of_one_hot(from_logits):
    rng = np.random.default_rng(0)
    y_true, logits = rng.integers(0, 5, (6, 2)), rng.normal(size=(6, 2, 5))
    y_pred = logits if from_logits else activations.softmax(logits)
    weights = rng.normal(size=(6, 2))
    sparse, gradient = SparseCategoricalCrossentropy(from_logits).value_and_gradient(y_true, y_pred, weights)
    dense, expected = CategoricalCrossentropy(from_logits).value_and_gradient(np.eye(5)[y_true], y_pred, weights)
    assert sparse == pytest.approx(dense, rel=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "loss", [BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy], ids=lambda loss: loss.__name__
)
@pytest.mark.parametrize("axis", [1, -2, 3, -1])
def test_axis(loss, axis):
    rng = np.random.default_rng(1)
    y_pred = rng.normal(size=(2, 3, 4, 5))
    last = np.moveaxis(y_pred, axis, -1)
    y_true = labels(rng, last.shape) if loss is SparseCategoricalCrossentropy else shares(rng, last.shape)
    weights = rng.normal(size=last.shape[:-1])
    arguments = {} if loss is SparseCategoricalCrossentropy else {"label_smoothing": 0.1}
    value, gradient = loss(from_logits=True, **arguments).value_and_gradient(y_true, last, weights)
    moved = np.expand_dims(y_true, axis) if loss is SparseCategoricalCrossentropy else np.moveaxis(y_true, -1, axis)
    found, slopes = loss(from_logits=True, axis=axis, **arguments).value_and_gradient(moved, y_pred, weights)
    assert found == pytest.approx(value, rel=1e-13)
    assert slopes.shape == y_pred.shape
    np.testing.assert_allclose(np.moveaxis(slopes, axis, -1), gradient, rtol=1e-12)


# --- extremes


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "value", "gradient"),
    [
        (MeanSquaredError(), [[0]], [[1e30]], 1e60, [[2e30]]),
        (BinaryCrossentropy(True), [[1, 1, 0, 0]], [[1e4, -1e4, 1e4, -1e4]], 5e3, [[0, -0.25, 0.25, 0]]),
        (BinaryCrossentropy(True), [[1]], [[30]], math.exp(-30), [[0]]),
        (CategoricalCrossentropy(True), [[1, 0]], [[-1e4, 1e4]], 2e4, [[-1, 1]]),
        (CategoricalCrossentropy(True), [[0, 1, 0]], [[-INF, 0, LOG3]], 2 * LOG2, [[0, -0.75, 0.75]]),
        (SparseCategoricalCrossentropy(True), [0], [[-1e4, 1e4]], 2e4, [[-1, 1]]),
        (SparseCategoricalCrossentropy(True), [1], [[-INF, 0, LOG3]], 2 * LOG2, [[0, -0.75, 0.75]]),
        (SparseCategoricalCrossentropy(True), [0], [[NAN, 0]], NAN, [[NAN, NAN]]),
        (
            SparseCategoricalCrossentropy(True, ignore_class=9),
            [9, 0],
            [[NAN, INF], [0, 0]],
            LOG2,
            [[0, 0], [-0.5, 0.5]],
        ),
        (SparseCategoricalCrossentropy(True, ignore_class=9), [9, 9], [[NAN, 1], [1, 1]], 0, [[0, 0], [0, 0]]),
        (SparseCategoricalCrossentropy(), [0], [[3, -1, 0.25]], math.log(1.25), [[0, 0, 0.8]]),
        (BinaryCrossentropy(), [[0.5]], [[NAN]], NAN, [[NAN]]),
        (Huber(), [[0.0, 0.0]], [[1e30, -INF]], INF, [[0.5, -0.5]]),
        (LogCosh(), [[0.0, 0.0]], [[1e4, -1e30]], 5e29, [[0.5, -0.5]]),
        (Hinge(), [[1, -1]], [[INF, -INF]], 0, [[0, 0]]),
        (KLDivergence(), [[0.0, 1.0]], [[0.0, 2.0]], 0, [[0, 0]]),
        (CategoricalCrossentropy(), [[0, 1]], [[0, 0]], NAN, [[NAN, NAN]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extremes(loss, y_true, y_pred, value, gradient, dtype):
    found, slope = loss.value_and_gradient(y_true, np.array(y_pred, dtype))
    assert found == pytest.approx(value, rel=1e-6, nan_ok=True)
    np.testing.assert_allclose(slope, gradient, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_are_cut_off_at_epsilon_and_have_no_slope_beyond(dtype):
    low, high = np.dtype(dtype).type(1e-7), np.dtype(dtype).type(1 - 1e-7)
    beyond = [0, 1, -3, 4, np.nextafter(low, low - 1), np.nextafter(high, high + 1)]
    y_pred = np.array([[low], [high], *([p] for p in beyond)], dtype)
    value, slope = BinaryCrossentropy(reduction="sum").value_and_gradient(np.full((8, 1), 0.5), y_pred)
    assert (slope[:2] != 0).all()
    assert (slope[2:] == 0).all()
    assert value == pytest.approx(-4 * (math.log(low) + math.log1p(-float(low))), rel=1e-2)
    # The share of the sum is cut off: 1e-9 of 1, not of 10.
    for loss, y_true in [(CategoricalCrossentropy(), [[1.0, 0.0]]), (SparseCategoricalCrossentropy(), [0])]:
        value, slope = loss.value_and_gradient(y_true, np.array([[1e-9, 1]], dtype))
        assert value == pytest.approx(7 * math.log(10), rel=1e-6)
        np.testing.assert_array_equal(slope, [[0, 0]])
    assert CategoricalCrossentropy()([[1.0, 0.0]], np.array([[1e-6, 99]], dtype)) == pytest.approx(7 * math.log(10))
    config.set_epsilon(1e-3)
    try:
        for wrong in (0, 1):
            value = BinaryCrossentropy()([1 - wrong], np.array([wrong], dtype))
            assert value == pytest.approx(3 * math.log(10), rel=1e-4)
    finally:
        config.set_epsilon(1e-7)


def test_many_losses_are_added_up_in_float64():
    y_pred = np.full((3_000_000, 1), 0.1, "float32")
    expected = float(y_pred[0, 0])
    assert MeanAbsoluteError()(np.zeros(3_000_000), y_pred) == pytest.approx(expected, rel=1e-12)
    value = SparseCategoricalCrossentropy(from_logits=True)(np.zeros(300_001), np.zeros((300_001, 3), "float32"))
    assert value == pytest.approx(float(np.float32(LOG3)), rel=1e-12)
    assert MeanSquaredError("sum")(np.zeros(3_000_000), y_pred) == pytest.approx(3e6 * expected**2, rel=1e-12)


# --- shapes and types


@pytest.mark.parametrize("loss", [MeanSquaredError(), MeanAbsoluteError(), BinaryCrossentropy(from_logits=True)])
@pytest.mark.parametrize(
    ("true_shape", "pred_shape"),
    [((4,), (4, 1)), ((4, 1), (4,)), ((4,), (4,)), ((4, 3), (4, 3, 1)), ((4, 3, 1), (4, 3))],
)
def test_a_last_axis_of_one_more_or_less(loss, true_shape, pred_shape):
    rng = np.random.default_rng(5)
    y_true, y_pred = rng.uniform(size=true_shape), rng.normal(size=pred_shape)
    weights = rng.uniform(size=4)
    value, gradient = loss.value_and_gradient(y_true, y_pred, weights)
    expected, slope = loss.value_and_gradient(y_true.reshape(4, -1), y_pred.reshape(4, -1), weights)
    assert value == pytest.approx(expected, rel=1e-13)
    assert gradient.shape == pred_shape
    np.testing.assert_allclose(gradient.reshape(4, -1), slope.reshape(4, -1), rtol=1e-12)


@pytest.mark.parametrize("kind", ["int8", "uint64", "float32", "bool"])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1)])
def test_labels_of_any_type(kind, shape):
    rng = np.random.default_rng(6)
    y_true, y_pred = rng.integers(0, 2, (4, 3)), rng.normal(size=(4, 3, 5))
    loss = SparseCategoricalCrossentropy(from_logits=True)
    assert loss(y_true.reshape(shape).astype(kind), y_pred) == loss(y_true, y_pred)


@pytest.mark.parametrize(
    ("shape", "like"),
    [
        ((), (1, 1)),
        ((4,), (4, 1)),
        ((4, 1), (4, 1)),
        ((1, 3), (1, 3)),
        ((1,), (1, 1)),
        ((4, 3), (4, 3)),
        ((4, 3, 1), (4, 3)),
    ],
)
def test_sample_weights_count_from_the_batch_on(shape, like):
    rng = np.random.default_rng(7)
    y_true, y_pred = rng.integers(0, 5, (4, 3)), rng.normal(size=(4, 3, 5))
    weights = rng.normal(size=shape)
    full = np.broadcast_to(weights.reshape(like), (4, 3))
    loss = SparseCategoricalCrossentropy(from_logits=True)
    values = [[loss([y_true[n, t]], y_pred[n, t][None]) for t in range(3)] for n in range(4)]
    value, gradient = loss.value_and_gradient(y_true, y_pred, weights)
    assert value == pytest.approx((values * full).sum() / 12, rel=1e-12)
    _, plain = loss.value_and_gradient(y_true, y_pred)
    np.testing.assert_allclose(gradient, plain * full[..., None], rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [([[0.5, 0.5]], "float64"), (np.array([[1, 0]]), "float32"), (np.ones((1, 2), ">f8"), "float64")],
)
def test_any_numbers_are_predictions(given, dtype):
    value, gradient = MeanSquaredError().value_and_gradient([[1, 1]], given)
    assert value == np.square(np.asarray(given) - 1).mean()
    assert gradient.dtype == dtype


def test_views_are_read_as_they_are():
    rng = np.random.default_rng(8)
    y_true, y_pred = rng.integers(0, 3, (4, 2)).T, rng.normal(size=(3, 4, 2)).T
    loss = SparseCategoricalCrossentropy(from_logits=True)
    assert loss(y_true, y_pred) == pytest.approx(loss(y_true.copy("C"), y_pred.copy("C")), rel=1e-13)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("loss", losses._REGISTRY.classes.values(), ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("shape", [(0, 3), (0, 4, 3)])
def test_an_empty_batch_has_no_loss(loss, shape, reduction):
    true_shape = shape[:-1] if loss is SparseCategoricalCrossentropy else shape
    # One value for the whole batch has no weights.
    for sample_weight in (None, *([] if loss is Dice else [np.zeros(0)])):
        value, gradient = loss(reduction=reduction).value_and_gradient(
            np.zeros(true_shape), np.zeros(shape, "float32"), sample_weight
        )
        assert type(value) is float
        assert value == 0
        assert gradient.shape == shape
        assert gradient.dtype == "float32"


def test_weights_of_nothing():
    assert MeanSquaredError()([[1.0]], [[3.0]], [0]) == 0
    value, gradient = MeanSquaredError("mean_with_sample_weight").value_and_gradient(
        [[1.0], [1.0]], [[3.0], [2.0]], [2, -2]
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0], [0]])

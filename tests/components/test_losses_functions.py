"""Functions of the user's as losses, and losses of more axes than the last."""

import numpy as np
import pytest
from training_cases import one_weight, same, weight_of

from numbaconv import losses
from numbaconv.layers import Dense
from numbaconv.losses import Dice, MeanSquaredError
from numbaconv.models import Sequential

RNG = np.random.default_rng(0)
Y_TRUE, Y_PRED = RNG.uniform(size=(4, 3, 2)), RNG.normal(size=(4, 3, 2))


def squares(y_true, y_pred):
    return np.square(y_pred - y_true).mean(axis=-1)


def slopes(y_true, y_pred):
    return 2 * (y_pred - y_true) / y_pred.shape[-1]


def trainable():
    def error(y_true, y_pred):
        return squares(y_true, y_pred)

    error.gradient = slopes
    return error


# --- functions


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weights", [None, [1, 2, 0, -1], RNG.uniform(size=(4, 3))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_function_is_a_loss_like_others(reduction, weights, dtype):
    loss = losses.FunctionLoss(trainable(), reduction)
    value, gradient = loss.value_and_gradient(Y_TRUE, Y_PRED.astype(dtype), weights)
    expected, slope = MeanSquaredError(reduction).value_and_gradient(Y_TRUE, Y_PRED.astype(dtype), weights)
    assert type(value) is float
    assert value == pytest.approx(expected, rel=1e-6)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7)
    assert loss(Y_TRUE, Y_PRED.astype(dtype), weights) == value


def test_a_function_may_return_one_number_or_one_per_value():
    def total(y_true, y_pred):
        return np.square(y_pred - y_true).sum()

    def each(y_true, y_pred):
        return np.square(y_pred - y_true)

    total.gradient = each.gradient = lambda y_true, y_pred: 2 * (y_pred - y_true)
    value, gradient = losses.get(total).value_and_gradient(Y_TRUE, Y_PRED)
    assert value == pytest.approx(np.square(Y_PRED - Y_TRUE).sum())
    np.testing.assert_allclose(gradient, 2 * (Y_PRED - Y_TRUE))
    value, gradient = losses.get(each).value_and_gradient(Y_TRUE, Y_PRED, [1, 0, 0, 3])
    expected, slope = MeanSquaredError().value_and_gradient(Y_TRUE, Y_PRED, [1, 0, 0, 3])
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(gradient, slope)
    with pytest.raises(ValueError, match=r"sample_weight must be None where one value stands for the whole batch"):
        losses.get(total)(Y_TRUE, Y_PRED, [1, 0, 0, 3])


@pytest.mark.parametrize(("true_shape", "pred_shape"), [((4,), (4, 1)), ((4, 1), (4,)), ((4, 3), (4, 3, 1))])
def test_targets_are_not_broadcast_against_predictions(true_shape, pred_shape):
    y_true, y_pred = RNG.normal(size=true_shape), RNG.normal(size=pred_shape)
    loss = losses.get(lambda y_true, y_pred: np.abs(y_pred - y_true))
    assert loss(y_true, y_pred) == pytest.approx(np.abs(y_true.ravel() - y_pred.ravel()).mean())


def test_the_gradient_that_a_function_returns_stays_as_it_is():
    kept = np.ones((2, 1))

    def total(y_true, y_pred):
        return y_pred

    total.gradient = lambda y_true, y_pred: kept
    losses.get(total).value_and_gradient(np.zeros((2, 1)), np.ones((2, 1)))
    np.testing.assert_array_equal(kept, 1)


def test_training_with_a_function():
    x, y = np.array([[1.0], [2.0], [3.0]]), np.array([2.0, 4.0, 6.0])
    histories = []
    for loss in (trainable(), "mse"):
        model = one_weight(0.0)
        model.compile("sgd", loss)
        history = model.fit(x, y, epochs=3, validation_data=(x, y), verbose=0, shuffle=False).history
        histories.append([weight_of(model), *history["loss"], *history["val_loss"]])
    np.testing.assert_allclose(*histories, rtol=1e-12)


def test_without_a_gradient_only_training_is_refused():
    x, y = np.ones((3, 1)), np.ones(3)
    model = one_weight(3.0)
    model.compile("sgd", squares)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(4)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"'m': .*the loss must have an attribute 'gradient', .*<function squares"):
        model.fit(x, y, verbose=0)
    assert same(model.get_weights(), before)


def test_what_a_function_returns_must_fit():
    for wrong in (np.ones(3), np.ones((4, 2)), np.ones((1, 4))):
        loss = losses.get(lambda y_true, y_pred, wrong=wrong: wrong)
        with pytest.raises(ValueError, match=r"the value of <lambda> must have the first axes of y_pred, \(4, 3, 2\)"):
            loss(Y_TRUE, Y_PRED)
    with pytest.raises(TypeError, match="the value of <lambda> must "):
        losses.get(lambda y_true, y_pred: None)(Y_TRUE, Y_PRED)
    loss = trainable()
    loss.gradient = lambda y_true, y_pred: y_pred[0]
    with pytest.raises(ValueError, match=r"the gradient of error must have the shape .*\(4, 3, 2\), got \(3, 2\)"):
        losses.get(loss).value_and_gradient(Y_TRUE, Y_PRED)


def test_a_function_cannot_be_saved(tmp_path):
    model = Sequential([Dense(1)])
    model.compile("sgd", squares)
    model.build((None, 2))
    with pytest.raises(TypeError, match=r"loss must be one of .* to be put in a config, got .*<function squares"):
        model.save(tmp_path / "m.npz")


# --- Dice


@pytest.mark.parametrize("axis", [None, 2, (1, 2), [-1, 1], (0, 1)])
def test_dice_over_any_axes(axis):
    y_true, y_pred = RNG.uniform(size=(2, 4, 3, 2))
    loss = Dice(axis=axis)
    places = (0, 1, 2) if axis is None else tuple(np.atleast_1d(axis) % 3)
    overlap, total = (y_true * y_pred).sum(axis=places), (y_true + y_pred).sum(axis=places)
    value, gradient = loss.value_and_gradient(y_true, y_pred)
    assert value == pytest.approx(np.mean(1 - 2 * overlap / total), rel=1e-6)
    assert gradient.shape == y_pred.shape
    for index in np.ndindex(y_pred.shape):
        up, down = y_pred.copy(), y_pred.copy()
        up[index] += 1e-6
        down[index] -= 1e-6
        assert gradient[index] == pytest.approx((loss(y_true, up) - loss(y_true, down)) / 2e-6, rel=1e-5, abs=1e-8)


def test_dice_of_each_example_is_weighted():
    y_true, y_pred = RNG.uniform(size=(2, 4, 3, 2))
    loss = Dice("sum", axis=(1, 2))
    single = [loss(y_true[i : i + 1], y_pred[i : i + 1]) for i in range(4)]
    assert loss(y_true, y_pred, [1, 2, 0, -1]) == pytest.approx(single @ np.array([1, 2, 0, -1]))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dice(axis=3)(Y_TRUE, Y_PRED), ValueError, r"axis must hold axes of y_pred, got \(3,\)"),
        (lambda: Dice(axis=(1, -2))(Y_TRUE, Y_PRED), ValueError, r"axis must hold every axis once, got \(1, -2\)"),
        (lambda: Dice(axis=())(Y_TRUE, Y_PRED), ValueError, r"axis must hold axes of y_pred, got \(\)"),
        (lambda: Dice(axis="last"), TypeError, "axis must be an integer, got 'last'"),
        (lambda: Dice()(Y_TRUE, Y_PRED, [1, 1, 1, 1]), ValueError, "one value stands for the whole batch"),
        (lambda: Dice()(Y_TRUE[0], Y_PRED), ValueError, "y_true must have the shape of y_pred"),
    ],
)
def test_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()

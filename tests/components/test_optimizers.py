"""Steps of optimizers: formulas by hand, clipping, arrays of every kind, learning rates and schedules."""

import json
import math

import numpy as np
import pytest
from optimizer_cases import EVERY, ONE, SHAPES, TWO, arrays, assert_same, run

from numbaconv.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Lion, Nadam, RMSprop, schedules
from numbaconv.optimizers import base as _optimizer
from numbaconv.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay

INF, NAN = math.inf, math.nan
# Nadam's weights of the first two steps with a beta_1 of a half.
U1, U2 = 0.5 * (1 - 0.48), 0.5 * (1 - 0.4608)


# --- formulas


# A weight of 1, the gradients of the first steps and what the weight is after each.
@pytest.mark.parametrize(
    ("optimizer", "gradients", "expected"),
    [
        (SGD(0.1), [0.5, -1], [0.95, 1.05]),
        (SGD(0.1, weight_decay=0.5), [0.5, 0.5], [0.9, 0.805]),
        (SGD(0.1, momentum=0.5), [0.5, 0.5], [0.95, 0.875]),
        (SGD(0.1, momentum=0.5, nesterov=True), [0.5, 0.5], [0.925, 0.8375]),
        (SGD(0.1, momentum=0, nesterov=True), [0.5], [0.95]),
        (RMSprop(0.1, rho=0.75, epsilon=0), [0.5, 0.5], [0.8, 0.8 - 0.1 / math.sqrt(0.4375)]),
        (RMSprop(0.1, rho=0.75, epsilon=0.75), [1, 1], [0.9, 0.9 - 0.1 / math.sqrt(1.1875)]),
        (RMSprop(0.1, rho=0.75, epsilon=0, momentum=0.5), [2, 2], [0.8, 0.7 - 0.1 / math.sqrt(0.4375)]),
        (RMSprop(0.1, rho=0.75, epsilon=0, centered=True), [-2], [1 + 0.1 / math.sqrt(0.1875)]),
        (RMSprop(0.1, rho=0.75, epsilon=0, centered=True, weight_decay=1), [0.5], [0.9 - 0.1 / math.sqrt(0.1875)]),
        (Adam(0.1, epsilon=0), [0.5, 0.5], [0.9, 0.8]),
        (Adam(0.1, 0.5, 0.75, 0.25), [0.5], [0.95]),
        (
            Adam(0.1, 0.5, 0.75, 0),
            [0.5, -1],
            [0.9, 0.9 + 0.1 * math.sqrt(0.4375) / 0.75 * 0.375 / math.sqrt(0.296875)],
        ),
        (Adam(0.1, 0.5, 0.75, 0, amsgrad=True), [1, 0], [0.9, 0.9 - 0.1 * math.sqrt(0.4375) / 0.75 * 0.25 / 0.5]),
        (AdamW(0.1, 0.5, epsilon=0), [3], [0.85]),
        (Adagrad(0.1, 0.75, 0.25), [1, 1], [1 - 0.1 / math.sqrt(2), 1 - 0.1 / math.sqrt(2) - 0.1 / math.sqrt(3)]),
        (Adadelta(1, 0.75, 0.25), [1, 0], [1 - 0.5 / math.sqrt(0.5)] * 2),
        (Adamax(0.1, 0.5, 0.75, 0.5), [1, -0.5], [1 - 0.1 / 1.5, 1 - 0.1 / 1.5]),
        (Lion(0.1, 0.5, 0.75), [4, -0.5, -0.125], [0.9, 0.8, 0.7]),
        (Nadam(0.1, 0.5, 0, 0), [2], [1 - 0.1 * (U2 / 2 / (1 - U1 * U2) + (1 - U1) / (1 - U1))]),
        (AdamW(epsilon=0), [3], [1 - 0.001 - 0.001 * 0.004]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_first_steps_by_hand(optimizer, gradients, expected, dtype):
    optimizer = type(optimizer).from_config(optimizer.get_config())
    value = np.ones((2, 1), dtype)
    for i, (gradient, after) in enumerate(zip(gradients, expected, strict=True)):
        assert optimizer.iterations == i
        (value,) = optimizer.step([value], [np.full((2, 1), gradient, dtype)])
        assert value.dtype == dtype
        np.testing.assert_allclose(value, np.full((2, 1), after), rtol=1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize(
    ("clipping", "clipped"),
    [
        ({}, [[6, -8], [0, 24]]),
        ({"clipnorm": 5}, [[3, -4], [0, 5]]),
        ({"clipnorm": 10}, [[6, -8], [0, 10]]),
        ({"clipvalue": 7}, [[6, -7], [0, 7]]),
        ({"global_clipnorm": 13}, [[3, -4], [0, 12]]),
        ({"global_clipnorm": 26.5}, [[6, -8], [0, 24]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1, 1e30])
def test_clipping_by_hand(clipping, clipped, dtype, scale):
    # The square of 1e30 is beyond float32.
    optimizer = SGD(1, **{name: scale * bound for name, bound in clipping.items()})
    gradients = [np.array([6, -8], dtype) * scale, np.array([[0, 24]], dtype) * scale]
    new = optimizer.step([np.zeros(2, dtype), np.zeros((1, 2), dtype)], gradients)
    for value, expected in zip(new, clipped, strict=True):
        np.testing.assert_allclose(value.ravel(), -scale * np.array(expected), rtol=1e-6)


def test_gradients_that_are_not_finite_propagate():
    values = [np.ones(2, "float32"), np.ones(2, "float32")]
    for optimizer in (SGD(0.5, momentum=0.5), RMSprop(centered=True), Adam(amsgrad=True), AdamW(clipvalue=3)):
        broken, whole = optimizer.step(values, [np.array([NAN, 1], "float32"), np.ones(2, "float32")])
        np.testing.assert_array_equal(np.isnan(broken), [True, False])
        assert np.isfinite(whole).all()
    gradients = [np.array([INF, 1], "float32"), np.array([1, 2], "float32")]
    for optimizer, expected in [
        (SGD(0.5), [[-INF, 0.5], [0.5, 0]]),
        (SGD(0.5, clipvalue=1), [[0.5, 0.5], [0.5, 0.5]]),
        (SGD(0.5, clipnorm=3), [[NAN, 1], [0.5, 0]]),
        (SGD(0.5, global_clipnorm=3), [[NAN, NAN], [NAN, NAN]]),
    ]:
        np.testing.assert_array_equal(optimizer.step(values, gradients), expected)


def test_rounding_does_not_make_a_variance_negative():
    optimizer, value = RMSprop(centered=True), np.zeros(1, "float32")
    gradient = np.array([123.4], "float32")
    for _ in range(300):
        (value,) = optimizer.step([value], [gradient])
    assert np.isfinite(value).all()


# --- arrays


@pytest.mark.parametrize("make", EVERY)
def test_arguments_are_never_changed(make):
    optimizer, values, gradients = make(), arrays(0), arrays(1)
    for array in (*values, *gradients):
        array.flags.writeable = False
    first = optimizer.step(values, gradients)
    kept = [value.copy() for value in first]
    optimizer.step(first, gradients)
    assert_same(first, kept)
    assert all(type(value) is np.ndarray and value.flags.c_contiguous and value.flags.writeable for value in first)
    assert_same(values, arrays(0))
    assert_same(gradients, arrays(1))


@pytest.mark.parametrize("make", EVERY)
def test_cutting_into_blocks_changes_nothing(make, monkeypatch):
    expected = run(make(), arrays(0), range(1, 4))
    monkeypatch.setattr(_optimizer, "BLOCK", 5)
    assert_same(run(make(), arrays(0), range(1, 4)), expected)


def test_an_array_of_several_blocks():
    size = 2 * _optimizer.BLOCK + 1
    (value,) = SGD(1, weight_decay=1).step([np.zeros(size)], [np.arange(size)])
    np.testing.assert_array_equal(value, -np.arange(size))


def test_memory_order_and_gradients_of_another_dtype():
    value, gradient = np.zeros((2, 3), "float32"), np.arange(6).reshape(2, 3)
    for other in (gradient, np.asfortranarray(gradient), gradient.astype(">f8")):
        (new,) = SGD(1).step([np.asfortranarray(value)], [other])
        assert new.dtype == "float32"
        np.testing.assert_array_equal(new, -gradient)


def test_float32_and_float64_together():
    mixed = ["float64", "float32", "float32", "float64", "float64"]
    together = run(Adam(0.1), arrays(0, mixed), range(1, 4))
    alone = run(Adam(0.1), arrays(0, ["float64"] * len(SHAPES)), range(1, 4))
    assert [value.dtype for value in together] == mixed
    for value, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5)


def test_without_weights_no_step_is_counted():
    optimizer = Adam()
    assert optimizer.step([], []) == []
    assert optimizer.iterations == 0


@pytest.mark.parametrize(
    ("values", "gradients", "error", "message"),
    [
        ([ONE], [ONE, ONE], ValueError, "gradients must be 1 arrays, as many as values, got 2"),
        ([ONE, TWO], [ONE, TWO.T[:1]], ValueError, r"gradients\[1\] must have shape \(2, 2\).*, got \(1, 2\)"),
        ([ONE], [ONE], ValueError, r"values must have .* as before, .*\(2, 2\)\].*, got .*\[\(3,\)\]"),
        ([ONE, TWO.ravel()], [ONE, TWO.ravel()], ValueError, r"got .*\(4,\)"),
        ([], [], ValueError, "as before"),
        ([ONE.astype("float64"), TWO], [ONE, TWO], ValueError, "float64"),
        ([ONE.astype("float16"), TWO], [ONE, TWO], TypeError, r"values\[0\] must be an ndarray of float32 or float64"),
        ([ONE, TWO.tolist()], [ONE, TWO], TypeError, r"values\[1\] must be an ndarray .*, got \[\[1.0"),
        ([ONE, TWO], [None, TWO], TypeError, r"gradients\[0\] must be an ndarray of real numbers, got None"),
        ([ONE, TWO], [ONE, 1j * TWO], TypeError, r"gradients\[1\]"),
    ],
)
def test_steps_refused(values, gradients, error, message):
    optimizer = Adam()
    first = optimizer.step([ONE, TWO], [ONE, TWO])
    state = optimizer.get_state()
    with pytest.raises(error, match=message):
        optimizer.step(values, gradients)
    assert_same(optimizer.get_state().values(), state.values())
    assert len(optimizer.step(first, [ONE, TWO])) == 2


# --- learning rates


def test_learning_rate_changes_between_steps():
    optimizer = SGD(0.5)
    assert optimizer.step([ONE], [ONE])[0][0] == 0.5
    optimizer.learning_rate = np.float32(0.25)
    assert type(optimizer.learning_rate) is float
    assert optimizer.step([ONE], [ONE])[0][0] == 0.75
    optimizer.learning_rate = lambda step: step / 16
    assert optimizer.learning_rate == 0.125
    assert optimizer.step([ONE], [ONE])[0][0] == 0.875
    assert optimizer.learning_rate == 0.1875
    optimizer.learning_rate = 0
    assert optimizer.step([ONE], [ONE])[0][0] == 1
    for wrong, error in ((-1, ValueError), (NAN, ValueError), ("fast", TypeError), (True, TypeError)):
        with pytest.raises(error, match="learning_rate must be a finite number >= 0, got"):
            optimizer.learning_rate = wrong
    assert optimizer.learning_rate == 0


def test_a_schedule_of_bad_rates_changes_nothing():
    optimizer = Adam(lambda step: -0.5)
    with pytest.raises(ValueError, match=r"learning_rate must be a finite number >= 0, got -0\.5"):
        optimizer.step([ONE], [ONE])
    assert list(optimizer.get_state()) == ["iterations"]


def test_the_rate_of_a_schedule_scales_weight_decay_too():
    optimizer = SGD(PiecewiseConstantDecay([0], [0.5, 0.25]), weight_decay=0.5)
    (first,) = optimizer.step([ONE], [0 * ONE])
    (second,) = optimizer.step([ONE], [0 * ONE])
    assert (first[0], second[0]) == (0.75, 0.875)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (ExponentialDecay(0.5, 4, 0.25), {0: 0.5, 2: 0.25, 4: 0.125, 8: 0.03125}),
        (ExponentialDecay(0.5, 4, 0.25, staircase=True), {0: 0.5, 3: 0.5, 4: 0.125, 7: 0.125, 8: 0.03125}),
        (ExponentialDecay(0.5, 4, 0), {0: 0.5, 1: 0}),
        (CosineDecay(0.5, 6), {0: 0.5, 2: 0.375, 3: 0.25, 4: 0.125, 6: 0, 7: 0}),
        (CosineDecay(0.5, 6, alpha=0.5), {0: 0.5, 3: 0.375, 6: 0.25, 100: 0.25}),
        (CosineDecay(0.1, 6, 0, "x", 0.5, 4), {0: 0.1, 1: 0.2, 3: 0.4, 4: 0.5, 6: 0.375, 7: 0.25, 10: 0, 11: 0}),
        (CosineDecay(0.1, 6, warmup_target=0.5), {0: 0.5, 3: 0.25}),
        (CosineDecay(0.5, 6, warmup_steps=4), {0: 0.5, 3: 0.25}),
        (PiecewiseConstantDecay([2, 4.5], [0.5, 0.25, 0.125]), {0: 0.5, 2: 0.5, 3: 0.25, 4: 0.25, 5: 0.125, 9: 0.125}),
        (PiecewiseConstantDecay([], [0.5]), {0: 0.5, 9: 0.5}),
    ],
)
def test_schedule_by_hand(schedule, rates):
    assert [schedule(step) for step in rates] == pytest.approx(list(rates.values()), rel=1e-14, abs=1e-16)
    assert {type(schedule(step)) for step in rates} == {float}
    serialized = schedules.serialize(schedule)
    assert json.loads(json.dumps(serialized)) == serialized
    assert schedules.get(serialized) == schedule
    assert schedules.get(schedule) is schedule

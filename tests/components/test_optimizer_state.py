"""State, names and configurations of optimizers, and the errors of their arguments."""

import copy
import io
import json
import math
import pickle

import numpy as np
import pytest
from optimizer_cases import EVERY, ONE, SHAPES, TWO, arrays, assert_same, run

from numbaconv import optimizers
from numbaconv.optimizers import SGD, Adam, AdamW, RMSprop, schedules
from numbaconv.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay

INF, NAN = math.inf, math.nan


# --- state


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_going_on_is_the_same_as_never_having_stopped(make, dtype):
    start = arrays(0, [dtype] * len(SHAPES))
    expected = run(make(), start, range(1, 7))
    stopped = make()
    values = run(stopped, start, range(1, 4))
    file = io.BytesIO()
    np.savez(file, **stopped.get_state())
    file.seek(0)
    with np.load(file) as state:
        new = optimizers.get(json.loads(json.dumps(optimizers.serialize(stopped))))
        new.set_state(state)
    assert new.iterations == 3
    assert_same(run(new, values, range(4, 7)), expected)
    # Back to the same state, in an optimizer that has gone on.
    stopped_state = {name: array.astype(array.dtype.newbyteorder()) for name, array in stopped.get_state().items()}
    run(stopped, values, range(10, 12))
    stopped.set_state(stopped_state)
    assert_same(run(stopped, values, range(4, 7)), expected)


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_goes_its_own_way(make, clone):
    start = arrays(0)
    expected = run(make(), start, range(1, 7))
    stopped = make()
    values = run(stopped, start, range(1, 4))
    copied = clone(stopped)
    run(copied, values, range(10, 13))
    again = clone(stopped)
    assert_same(run(stopped, values, range(4, 7)), expected)
    assert_same(run(again, values, range(4, 7)), expected)


@pytest.mark.parametrize("make", EVERY)
def test_back_to_the_beginning(make):
    optimizer, beginning = make(), make().get_state()
    assert list(beginning) == ["iterations"]
    run(optimizer, arrays(0), range(1, 4))
    optimizer.set_state(beginning)
    assert optimizer.iterations == 0
    # Even for other shapes than before.
    for value in (ONE, TWO):
        (expected,) = make().step([value], [value])
        optimizer.set_state(beginning)
        assert_same(optimizer.step([value], [value]), [expected])


@pytest.mark.parametrize(
    ("optimizer", "slots"),
    [
        (SGD(), {}),
        (SGD(0.5, 0.5), {"momentum": -0.5}),
        (RMSprop(rho=0.75), {"velocity": 0.25}),
        (
            RMSprop(0.5, 0.75, 0.5, 0, True),
            {"velocity": 0.25, "momentum": 0.5 / math.sqrt(0.1875), "average_gradient": 0.25},
        ),
        (Adam(beta_1=0.5, beta_2=0.75), {"momentum": 0.5, "velocity": 0.25}),
        (AdamW(0.5, 0.1, 0.5, 0.75, amsgrad=True), {"momentum": 0.5, "velocity": 0.25, "velocity_hat": 0.25}),
    ],
)
def test_slots_by_hand(optimizer, slots):
    optimizer.step([ONE, TWO], [ONE, TWO])
    state = optimizer.get_state()
    assert state["iterations"] == 1
    assert list(state) == ["iterations", *(f"{name}/{i}" for name in slots for i in range(2))]
    for name, expected in slots.items():
        for i, like in enumerate((ONE, TWO)):
            slot = state[f"{name}/{i}"]
            assert (slot.shape, slot.dtype) == (like.shape, like.dtype)
            np.testing.assert_allclose(slot, expected * like, rtol=1e-6)
            slot[...] = NAN
            assert np.isfinite(optimizer.get_state()[f"{name}/{i}"]).all()


GOOD = {"iterations": 2, "momentum/0": ONE, "momentum/1": TWO, "velocity/0": ONE, "velocity/1": TWO}


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (None, TypeError, "state must be a dict of arrays, got None"),
        ({"momentum/2": ONE}, ValueError, "got .*momentum/2"),
        ({"momentum/1": None}, ValueError, "must have the entries iterations, momentum/0, .*velocity/1, got"),
        ({"iterations": None}, ValueError, "must have the entries iterations"),
        ({"velocity/0": None, "velocity/1": None}, ValueError, "must have the entries .*velocity/0"),
        ({"velocity_hat/0": ONE, "velocity_hat/1": TWO}, ValueError, "got .*velocity_hat/0"),
        ({"iterations": -1}, ValueError, r"state\['iterations'\] must be an integer >= 0, got -1"),
        ({"iterations": 1.5}, ValueError, r"state\['iterations'\] must be .*, got 1\.5"),
        ({"iterations": [1]}, ValueError, r"state\['iterations'\] must be .*, got \[1\]"),
        ({"iterations": "1"}, TypeError, r"state\['iterations'\] must hold real numbers"),
        ({"iterations": 0}, ValueError, "must have slots from the first step on, got 0 and iterations, momentum/0"),
        ({name: None for name in GOOD if "/" in name}, ValueError, "from the first step on, got 2 and iterations"),
        ({"velocity/1": TWO.ravel()}, ValueError, r"state\['velocity/1'\] must be .* shape \(2, 2\), got .*\(4,\)"),
        ({"velocity/1": TWO.astype("float64")}, ValueError, r"state\['velocity/1'\] must be float32 .*, got float64"),
        ({"momentum/1": TWO.astype("int32")}, ValueError, r"state\['momentum/1'\] must be float32 .*, got int32"),
        ({"momentum/0": ONE.astype("float16")}, ValueError, r"float32.*float16"),
        ({"momentum/0": np.full(3, NAN, "float32")}, ValueError, r"state\['momentum/0'\] must be finite"),
        ({"momentum/0": ["a"]}, TypeError, r"state\['momentum/0'\] must hold real numbers"),
    ],
)
def test_states_refused(change, error, message, fresh):
    optimizer = Adam()
    if not fresh:
        optimizer.step([ONE, TWO], [ONE, TWO])
    before = optimizer.get_state()
    if change is not None:
        change = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(error, match=message):
        optimizer.set_state(change)
    assert list(optimizer.get_state()) == list(before)
    assert_same(optimizer.get_state().values(), before.values())
    optimizer.set_state(GOOD)
    assert optimizer.iterations == 2


def test_a_state_for_other_weights():
    optimizer = Adam()
    optimizer.step([TWO], [TWO])
    with pytest.raises(ValueError, match=r"must have the entries iterations, momentum/0, velocity/0, got"):
        optimizer.set_state(GOOD)
    single = {"iterations": 1, "momentum/0": ONE, "velocity/0": ONE}
    with pytest.raises(ValueError, match=r"state\['momentum/0'\] must be float32 of shape \(2, 2\), got .*\(3,\)"):
        optimizer.set_state(single)
    with pytest.raises(ValueError, match=r"must have the entries iterations, got iterations, momentum/0"):
        SGD().set_state(single)
    fresh = Adam()
    fresh.set_state(single)
    with pytest.raises(ValueError, match=r"values must have dtype and shapes as before, .*\(3,\).*, got .*\(2, 2\)"):
        fresh.step([TWO], [TWO])


# --- names, configs and errors


@pytest.mark.parametrize("make", EVERY)
def test_config_round_trip(make):
    optimizer = make()
    optimizer.step([ONE], [ONE])
    serialized = optimizers.serialize(optimizer)
    assert json.loads(json.dumps(serialized)) == serialized
    again = optimizers.get(serialized)
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    assert again.iterations == 0
    # Equal settings do not make them the same, as each has its own state.
    assert again != optimizer
    assert len({again, optimizer}) == 2


@pytest.mark.parametrize(
    ("names", "cls"),
    [("sgd SGD", SGD), ("rmsprop RMSprop", RMSprop), ("adam Adam", Adam), ("adamw AdamW", AdamW)],
)
def test_names(names, cls):
    for name in names.split():
        assert type(optimizers.get(name)) is cls
        assert type(optimizers.get({"class_name": name, "config": {"learning_rate": 0.5}})) is cls
    assert type(optimizers.get(cls)) is cls


@pytest.mark.parametrize("make", EVERY)
def test_an_optimizer_put_back_takes_the_same_steps_again(make):
    optimizer = make()
    values = run(optimizer, arrays(0), range(3))
    state = optimizer.get_state()
    expected = run(optimizer, values, range(3, 6))
    optimizer.set_state(state)
    assert_same(run(optimizer, values, range(3, 6)), expected)


def test_identifiers():
    adam = Adam()
    assert optimizers.get(adam) is adam
    assert optimizers.get(None) is None
    with pytest.raises(ValueError, match=r"optimizer must be one of Adadelta, Adagrad, Adam, .*, got 'ftrl'"):
        optimizers.get("ftrl")
    with pytest.raises(TypeError, match=r"Adam takes learning_rate, .*, got learning_rat"):
        optimizers.get({"class_name": "Adam", "config": {"learning_rat": 1}})
    for wrong in (3, lambda: None, int, ExponentialDecay(1, 1, 1)):
        with pytest.raises(TypeError, match="optimizer must be a name, a class, a config or an optimizer, got"):
            optimizers.get(wrong)
    with pytest.raises(TypeError, match="optimizer must be one of Adadelta"):
        optimizers.serialize(ExponentialDecay(1, 1, 1))


def test_repr_and_config_of_what_no_config_can_hold():
    def mine(step):
        return 0.5

    assert repr(SGD()) == "<SGD, learning_rate=0.01, iterations=0>"
    assert "mine" in repr(SGD(mine))
    with pytest.raises(TypeError, match=r"learning_rate must be one of CosineDecay, ExponentialDecay, .* got .*mine"):
        SGD(mine).get_config()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD("0.1"), TypeError, "learning_rate must be a finite number >= 0, got '0.1'"),
        (lambda: SGD({"class_name": "Linear"}), ValueError, "learning_rate must be one of .*, got 'Linear'"),
        (lambda: SGD(momentum=1.5), ValueError, r"momentum must be .* >= 0 and <= 1, got 1\.5"),
        (lambda: SGD(nesterov=1), TypeError, "nesterov must be True or False, got 1"),
        (lambda: SGD(weight_decay=-1), ValueError, "weight_decay must be a finite number >= 0, got -1"),
        (lambda: SGD(clipnorm=0), ValueError, "clipnorm must be a finite number > 0, got 0"),
        (lambda: SGD(clipvalue=-1), ValueError, "clipvalue must be a finite number > 0, got -1"),
        (lambda: SGD(global_clipnorm=INF), ValueError, "global_clipnorm must be a finite number > 0, got inf"),
        (lambda: Adam(clipnorm=1, clipvalue=2), ValueError, "only one of clipnorm, .*, got 1, 2 and None"),
        (lambda: RMSprop(rho=-0.5), ValueError, r"rho must be .*, got -0\.5"),
        (lambda: RMSprop(momentum=-1), ValueError, "momentum must be .*, got -1"),
        (lambda: RMSprop(epsilon=-1), ValueError, "epsilon must be a finite number >= 0, got -1"),
        (lambda: RMSprop(centered="no"), TypeError, "centered must be True or False, got 'no'"),
        (lambda: Adam(beta_1=1), ValueError, "beta_1 must be a finite number >= 0 and < 1, got 1"),
        (lambda: Adam(beta_2=-0.1), ValueError, r"beta_2 must be a finite number >= 0 and < 1, got -0\.1"),
        (lambda: Adam(epsilon=NAN), ValueError, "epsilon must be .*, got nan"),
        (lambda: Adam(amsgrad=None), TypeError, "amsgrad must be True or False, got None"),
        (lambda: AdamW(weight_decay=None), TypeError, "weight_decay must be a finite number >= 0, got None"),
        (lambda: optimizers.Optimizer(0.1).step([ONE], [ONE]), NotImplementedError, "Optimizer must define _update"),
        (lambda: schedules.LearningRateSchedule()(0), NotImplementedError, "LearningRateSchedule must define __call__"),
        (lambda: ExponentialDecay(-1, 1, 1), ValueError, "initial_learning_rate must be .* >= 0, got -1"),
        (lambda: ExponentialDecay(1, 0, 1), ValueError, "decay_steps must be a finite number > 0, got 0"),
        (lambda: ExponentialDecay(1, 1, -1), ValueError, "decay_rate must be .* >= 0, got -1"),
        (lambda: ExponentialDecay(1, 1, 1, 1), TypeError, "staircase must be True or False, got 1"),
        (lambda: CosineDecay(1, -1), ValueError, "decay_steps must be a finite number > 0, got -1"),
        (lambda: CosineDecay(1, 1, -1), ValueError, "alpha must be a finite number >= 0, got -1"),
        (lambda: CosineDecay(1, 1, warmup_target=-1), ValueError, "warmup_target must be .*, got -1"),
        (lambda: CosineDecay(1, 1, warmup_steps=-1), ValueError, "warmup_steps must be .*, got -1"),
        (lambda: PiecewiseConstantDecay([1, 1], [1, 2, 3]), ValueError, r"strictly increasing, got \[1, 1\]"),
        (lambda: PiecewiseConstantDecay([1], [1]), ValueError, r"values must be 2 numbers, .*, got \[1\]"),
        (lambda: PiecewiseConstantDecay([1], [1, -1]), ValueError, "values must be .* >= 0, got -1"),
        (lambda: ExponentialDecay(1, 1, 2)(2**31), ValueError, "learning rate must stay finite, got inf after 2.1.*"),
        (lambda: CosineDecay(1e200, 1, 1e200)(2), ValueError, "learning rate must stay finite, got inf after 2 steps"),
        (lambda: PiecewiseConstantDecay([1], [1, 2])(-1), ValueError, "step must be a finite number >= 0, got -1"),
        (lambda: CosineDecay(1, 1)(10**400), ValueError, "step must be a finite number >= 0, got 1000"),
        (lambda: ExponentialDecay(1, 1, 1)("2"), TypeError, "step must be a finite number >= 0, got '2'"),
        (lambda: schedules.get("fast"), ValueError, "learning_rate must be one of .*, got 'fast'"),
    ],
)
def test_arguments_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()

"""Optimizers and schedules beside Keras 3."""

import inspect

import numpy as np
import pytest

from numbaconv import optimizers
from numbaconv.optimizers import schedules

# Each takes TensorFlow 20 ms, and the schedules have halved twice.
STEPS = 10
SHAPES = [(3, 3, 2, 4), (4,), (5, 1), (40,)]
# Short in binary, because Keras rounds settings to float32 on their way to float64 weights. The defaults are not, and
# 1 - beta_2 ** t loses digits in Keras's float32; small rates hide that.
RATE = {"learning_rate": 2**-6}
HALVING = {"initial_learning_rate": 2**-4, "decay_steps": 4, "decay_rate": 0.5, "staircase": True}
DECAY = {"class_name": "ExponentialDecay", "config": HALVING}
EVERY = [
    ("SGD", {}),
    ("SGD", RATE),
    ("SGD", {**RATE, "weight_decay": 0.25}),
    ("SGD", {**RATE, "momentum": 0.875}),
    ("SGD", {**RATE, "momentum": 0.875, "nesterov": True}),
    ("SGD", {**RATE, "momentum": 0.75, "nesterov": True, "weight_decay": 0.25, "clipnorm": 1.5}),
    ("SGD", {**RATE, "clipnorm": 1.5}),
    ("SGD", {**RATE, "clipvalue": 0.5}),
    ("SGD", {**RATE, "global_clipnorm": 4.0}),
    ("SGD", {"learning_rate": DECAY, "momentum": 0.875, "weight_decay": 0.25}),
    ("RMSprop", {}),
    ("RMSprop", {**RATE, "rho": 0.75, "epsilon": 0.01}),
    ("RMSprop", {**RATE, "momentum": 0.5}),
    ("RMSprop", {**RATE, "centered": True, "epsilon": 0.001}),
    ("RMSprop", {**RATE, "centered": True, "momentum": 0.75, "weight_decay": 0.25, "clipvalue": 0.5, "epsilon": 0.01}),
    ("RMSprop", {**RATE, "global_clipnorm": 4.0}),
    ("Adam", {}),
    ("Adam", {**RATE, "beta_1": 0.875, "beta_2": 0.96875}),
    ("Adam", {**RATE, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.25}),
    ("Adam", {**RATE, "amsgrad": True, "beta_1": 0.5, "beta_2": 0.75}),
    ("Adam", {**RATE, "amsgrad": True, "weight_decay": 0.25, "clipnorm": 1.5, "beta_1": 0.75, "beta_2": 0.5}),
    ("Adam", {"learning_rate": DECAY, "beta_1": 0.875, "beta_2": 0.96875}),
    ("AdamW", {}),
    ("AdamW", {**RATE, "weight_decay": 0.25, "amsgrad": True, "global_clipnorm": 4.0, "beta_1": 0.75, "beta_2": 0.5}),
    ("Nadam", {}),
    ("Nadam", {**RATE, "beta_1": 0.875, "beta_2": 0.96875}),
    ("Nadam", {**RATE, "weight_decay": 0.25, "clipnorm": 1.5, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.25}),
    ("Adagrad", {}),
    ("Adagrad", {**RATE, "initial_accumulator_value": 0.0, "epsilon": 0.25}),
    ("Adagrad", {"learning_rate": DECAY, "initial_accumulator_value": 0.5, "weight_decay": 0.25, "clipvalue": 0.5}),
    ("Adadelta", {}),
    ("Adadelta", {"learning_rate": 0.5, "rho": 0.75, "epsilon": 2.0**-20, "weight_decay": 0.25}),
    ("Adamax", {}),
    ("Adamax", {**RATE, "beta_1": 0.75, "beta_2": 0.96875, "global_clipnorm": 4.0}),
    ("Lion", {}),
    ("Lion", {**RATE, "beta_1": 0.75, "beta_2": 0.96875, "weight_decay": 0.25}),
]
CLASSES = ["SGD", "RMSprop", "Adam", "AdamW", "Nadam", "Adagrad", "Adadelta", "Adamax", "Lion"]


def made_by_keras(keras, name, arguments):
    rate = arguments.get("learning_rate")
    if isinstance(rate, dict):
        schedule = getattr(keras.optimizers.schedules, rate["class_name"])(**rate["config"])
        arguments = {**arguments, "learning_rate": schedule}
    return getattr(keras.optimizers, name)(**arguments)


# The formulas are the same for both dtypes, and float64 tells more of them: float32 is tried with every third.
@pytest.mark.parametrize(
    ("name", "arguments", "dtype"),
    [*((*one, "float64") for one in EVERY), *((*one, "float32") for one in EVERY[::3])],
)
def test_several_steps(keras, name, arguments, dtype):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    variables = [keras.Variable(value, dtype=dtype) for value in values]
    ours, theirs = getattr(optimizers, name)(**arguments), made_by_keras(keras, name, arguments)
    for _ in range(STEPS):
        # Some gradients are large enough to be clipped and some are not.
        gradients = [(rng.choice([0.1, 1, 3]) * rng.normal(size=shape)).astype(dtype) for shape in SHAPES]
        values = ours.step(values, gradients)
        theirs.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], variables)
    assert ours.iterations == int(theirs.iterations) == STEPS
    tolerance = 1e-12 if dtype == "float64" and arguments else 1e-6
    if name == "Nadam":
        # Keras takes 0.96 and, in float32, 1 - beta_2 from float32.
        tolerance = 1e-8 if dtype == "float64" and arguments else 2e-5
    for value, variable in zip(values, variables, strict=True):
        np.testing.assert_allclose(value, variable.numpy(), rtol=tolerance, atol=tolerance)
    # Keras keeps its counter and its learning rate among the slots, and ends a slot's name with the kind.
    slots = {key: array for key, array in ours.get_state().items() if key != "iterations"}
    expected = [variable for variable in theirs.variables if len(variable.shape) > 0]
    assert len(slots) == len(expected)
    for key, slot in slots.items():
        kind = key.partition("/")[0]
        (counterpart,) = (v for v in expected if v.path.endswith(f"_{kind}") and v.shape == slot.shape)
        np.testing.assert_allclose(slot, counterpart.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_and_defaults(keras, name):
    def arguments(cls):
        return [(one.name, one.default) for one in inspect.signature(cls).parameters.values()]

    missing = {"use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor"}
    missing |= {"gradient_accumulation_steps", "name", "kwargs"}
    theirs = [one for one in arguments(getattr(keras.optimizers, name)) if one[0] not in missing]
    assert arguments(getattr(optimizers, name)) == theirs


@pytest.mark.parametrize("name", ["ExponentialDecay", "CosineDecay", "PiecewiseConstantDecay"])
def test_schedule_arguments_and_defaults(keras, name):
    ours, theirs = (inspect.signature(getattr(module, name)) for module in (schedules, keras.optimizers.schedules))
    expected = [(one.name, one.default) for one in theirs.parameters.values()]
    assert [(one.name, one.default) for one in ours.parameters.values()] == expected


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ExponentialDecay", [0.3, 7, 0.6]),
        ("ExponentialDecay", [0.3, 7, 0.6, True]),
        ("CosineDecay", [0.3, 20]),
        ("CosineDecay", [0.3, 20, 0.2]),
        ("CosineDecay", [0.1, 20, 0.2, "warm", 0.7, 6]),
        ("PiecewiseConstantDecay", [[3, 10], [0.5, 0.3, 0.1]]),
    ],
)
def test_schedule(keras, name, arguments):
    ours = getattr(schedules, name)(*arguments)
    theirs = getattr(keras.optimizers.schedules, name)(*arguments)
    steps = range(30)
    expected = [float(theirs(step)) for step in steps]
    np.testing.assert_allclose([ours(step) for step in steps], expected, rtol=2e-6, atol=1e-8)
    assert schedules.get(keras.optimizers.schedules.serialize(theirs)) == ours
    assert keras.optimizers.schedules.deserialize(schedules.serialize(ours)).get_config() == theirs.get_config()


@pytest.mark.parametrize("name", CLASSES)
def test_keras_takes_our_configs(keras, name):
    theirs = keras.optimizers.get(optimizers.serialize(getattr(optimizers, name)(0.25, clipnorm=2)))
    assert type(theirs) is getattr(keras.optimizers, name)
    ours = getattr(optimizers, name)(0.25, clipnorm=2).get_config()
    assert {key: theirs.get_config()[key] for key in ours} == pytest.approx(ours)


@pytest.mark.parametrize("name", CLASSES)
def test_we_take_keras_s_configs(keras, name):
    theirs = getattr(keras.optimizers, name)(0.25, clipnorm=2).get_config()
    ours = getattr(optimizers, name).from_config(theirs).get_config()
    assert {key: theirs[key] for key in ours} == pytest.approx(ours)


@pytest.mark.parametrize(
    "clipping", [{}, {"clipnorm": 1.5}, {"clipvalue": 0.5}, {"global_clipnorm": 1.5}], ids=lambda one: str(list(one))
)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_gradients_that_are_not_finite(keras, clipping, bad):
    values, gradients = [np.ones(3, "float32")] * 2, [np.array([bad, 3, 0], "float32"), np.full(3, 2, "float32")]
    variables = [keras.Variable(value) for value in values]
    keras.optimizers.SGD(0.5, **clipping).apply([keras.ops.convert_to_tensor(one) for one in gradients], variables)
    new = optimizers.SGD(0.5, **clipping).step(values, gradients)
    for value, variable in zip(new, variables, strict=True):
        np.testing.assert_allclose(value, variable.numpy(), rtol=1e-6)

"""What a model was trained with: its optimizer goes on from where it was, and what is not here is left out and said."""

import numpy as np
import pytest

pytest.importorskip("h5py")

import h5py
from keras_files import functional, input_layer, layer, legacy, modern

from numbaconv.models import load_model
from numbaconv.optimizers import SGD, Adam

PARTS = [input_layer("x", 3), layer("Dense", "d", "x", units=2), layer("Dense", "e", "d", units=2)]
CONFIG = functional(PARTS, ["x"], ["e"], "Functional")
RNG = np.random.default_rng(0)
WEIGHTS = {
    "d": {"kernel": RNG.random((3, 2)), "bias": RNG.random(2)},
    "e": {"kernel": RNG.random((2, 2)), "bias": [1, 2]},
}
ARRAYS = {
    f"layers/{kind}/vars/{i}": array
    for kind, layer_ in (("dense", "d"), ("dense_1", "e"))
    for i, array in enumerate(WEIGHTS[layer_].values())
}
SHAPES = [np.shape(array) for arrays in WEIGHTS.values() for array in arrays.values()]
MOMENTUM = [np.full(shape, i, "f4") for i, shape in enumerate(SHAPES)]
VELOCITY = [np.full(shape, 10 + i, "f4") for i, shape in enumerate(SHAPES)]
NAMES = ["d/kernel", "d/bias", "e/kernel", "e/bias"]
OPTIMIZER = {
    "class_name": "Adam",
    "config": {"name": "Adam", "lr": 0.25, "decay": 0.0, "beta_1": 0.5, "epsilon": None, "amsgrad": False},
}


def check(model, rate=0.25):
    assert isinstance(model.optimizer, Adam) and model.optimizer.learning_rate == pytest.approx(rate)
    assert model.optimizer.beta_1 == 0.5 and model.optimizer.iterations == 7
    state = model.optimizer.get_state()
    for i in range(4):
        np.testing.assert_array_equal(state[f"momentum/{i}"], MOMENTUM[i])
        np.testing.assert_array_equal(state[f"velocity/{i}"], VELOCITY[i])


def with_states(path, names, arrays):
    with h5py.File(path, "a") as file:
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, array in zip(names, arrays, strict=True):
            group[name] = array
    return path


def test_adam_of_keras_3(tmp_path):
    states = [7, 0.125, *(slot for pair in zip(MOMENTUM, VELOCITY, strict=True) for slot in pair)]
    arrays = {**ARRAYS, **{f"optimizer/vars/{i}": array for i, array in enumerate(states)}}
    training = {
        "optimizer": {"module": "keras.optimizers", **OPTIMIZER, "registered_name": None},
        "loss": {"module": "builtins", "class_name": "function", "config": "mean_squared_error"},
        "metrics": ["mae"],
        "loss_weights": None,
    }
    model = load_model(modern(tmp_path / "m", {**CONFIG, "compile_config": training}, arrays))
    check(model, 0.125)
    assert load_model(tmp_path / "m", compile=False).optimizer is None


def test_weighted_metrics_come_back(tmp_path):
    model = load_model(modern(tmp_path / "m", CONFIG, ARRAYS))
    model.compile("sgd", "mse", ["mae"], weighted_metrics=["mae", "mse"])
    model.save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").get_compile_config() == model.get_compile_config()


@pytest.mark.parametrize("side_by_side", [False, True])
def test_adam_of_older_versions(tmp_path, side_by_side):
    training = {
        "optimizer_config": OPTIMIZER,
        "loss": "mse",
        "metrics": [[{"class_name": "MeanMetricWrapper", "config": {"name": "mae", "fn": "mean_absolute_error"}}]],
        "loss_weights": None,
        "sample_weight_mode": None,
    }
    path = legacy(tmp_path / "m", CONFIG, WEIGHTS, training_config=training)
    if side_by_side:
        names = [f"Adam/{slot}/{name}:0" for name in NAMES for slot in "mv"]
        arrays = [slot for pair in zip(MOMENTUM, VELOCITY, strict=True) for slot in pair]
    else:
        names = [f"Adam/{name}/{slot}:0" for slot in "mv" for name in NAMES]
        arrays = [*MOMENTUM, *VELOCITY]
    check(load_model(with_states(path, ["Adam/iter:0", *names], [7, *arrays])))


@pytest.mark.parametrize("class_name", ["SGD", "RMSprop"])
def test_averages_and_momentum_that_keras_2_keeps_for_nothing(tmp_path, class_name):
    config = {"learning_rate": 0.5, "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": 100}
    training = {"optimizer_config": {"class_name": class_name, "config": {**config, "momentum": 0.0}}, "loss": "mse"}
    path = legacy(tmp_path / "m", CONFIG, WEIGHTS, training_config=training)
    names = ["iteration:0", *(f"{class_name}/m/{name}:0" for name in NAMES)]
    model = load_model(with_states(path, names, [7, *MOMENTUM]))
    assert (model.optimizer.iterations, model.optimizer.learning_rate) == (7, 0.5)


def test_a_state_that_does_not_fit_is_left_out(tmp_path):
    training = {"optimizer_config": OPTIMIZER, "loss": "mse", "metrics": []}
    path = legacy(tmp_path / "m", CONFIG, WEIGHTS, training_config=training)
    with_states(path, ["Adam/iter:0", "Adam/d/kernel/m:0"], [7, MOMENTUM[0]])
    with pytest.warns(UserWarning, match="begins anew, because its state cannot be read: it must have 2 arrays"):
        model = load_model(path)
    assert model.optimizer.iterations == 0 and model.optimizer.beta_1 == 0.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimizer_config": {"class_name": "Ftrl", "config": {}}}, "Ftrl"),
        ({"loss": "my_loss"}, "my_loss"),
        ({"metrics": ["my_metric"]}, "my_metric"),
        ({"optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1, "decay": 0.5}}}, "decay must be 0"),
    ],
)
def test_what_is_not_here_is_said_once(tmp_path, change, said):
    training = {"optimizer_config": OPTIMIZER, "loss": "mse", "metrics": [], **change}
    path = legacy(tmp_path / "m", CONFIG, WEIGHTS, training_config=training)
    with pytest.warns(UserWarning, match=f"the model is not compiled, .*{said}") as warned:
        model = load_model(path)
    assert len(warned) == 1 and warned[0].filename == __file__
    assert model.optimizer is None and model(np.ones((1, 3))).shape == (1, 2)


def test_a_schedule(tmp_path):
    schedule = {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.5, "decay_steps": 10}}
    schedule["config"] |= {"decay_rate": 0.9, "staircase": False, "name": None}
    optimizer = {"class_name": "SGD", "config": {"learning_rate": schedule, "momentum": 0.9, "nesterov": True}}
    path = legacy(tmp_path / "m", CONFIG, WEIGHTS, training_config={"optimizer_config": optimizer, "loss": "mse"})
    model = load_model(path)
    assert isinstance(model.optimizer, SGD) and model.optimizer.momentum == 0.9
    assert model.optimizer.learning_rate == 0.5

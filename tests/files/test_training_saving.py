"""Models in the middle of training as files: going on is the same as never having stopped."""

import json

import numpy as np
import pytest
from optimizer_cases import EVERY
from training_cases import Linear, classes, classifier, same

from numbaconv import losses, metrics
from numbaconv.callbacks import LambdaCallback, LearningRateScheduler, ModelCheckpoint
from numbaconv.layers import BatchNormalization, Conv1D, Conv2D, Dense, Dropout, wrapping
from numbaconv.models import Sequential
from numbaconv.optimizers import SGD, Adam

X, Y = classes(30)


@pytest.fixture(autouse=True)
def saved_like_others(monkeypatch):
    monkeypatch.setitem(wrapping.KINDS, "Linear", Linear)


def noisy(optimizer="adam"):
    """A model with random numbers and statistics of its own, and fixed weights."""
    model = Sequential(
        [Dropout(0.4, seed=1), Dense(4, activation="tanh"), BatchNormalization(), Dropout(0.1, seed=2), Dense(2)]
    )
    model.build((None, 2))
    model.set_weights([np.random.default_rng(i).uniform(0.5, 1, w.shape) for i, w in enumerate(model.weights)])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, ["accuracy", metrics.SparseTopKCategoricalAccuracy(1, "a")])
    return model


# -- going on ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", EVERY)
def test_going_on_from_a_file_is_the_same_as_never_having_stopped(tmp_path, optimizer):
    uninterrupted, stopped = noisy(optimizer()), noisy(optimizer())
    arguments = {"batch_size": 7, "validation_split": 0.2, "verbose": 0, "seed": 3}
    expected = uninterrupted.fit(X, Y, epochs=5, **arguments).history
    first = stopped.fit(X, Y, epochs=2, **arguments).history
    stopped.save(tmp_path / "model")
    resumed = Sequential.load(tmp_path / "model")
    rest = resumed.fit(X, Y, epochs=5, initial_epoch=2, **arguments).history
    assert {name: first[name] + rest[name] for name in first} == expected
    assert same(resumed.weights, uninterrupted.weights)
    assert same(list(resumed.optimizer.get_state().values()), list(uninterrupted.optimizer.get_state().values()))


def test_going_on_from_a_checkpoint(tmp_path):
    model = Sequential([Conv1D(3, 2, activation="relu"), Conv1D(1, 2)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(12, 6, 2))
    y = x.sum(axis=-1, keepdims=True)[:, 1:-1]
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}")
    expected = model.fit(x, y, epochs=4, batch_size=5, callbacks=checkpoint, seed=0, verbose=0).history
    resumed = Sequential.load(tmp_path / "2")
    rest = resumed.fit(x, y, epochs=4, initial_epoch=2, batch_size=5, seed=0, verbose=0).history
    assert rest["loss"] == expected["loss"][2:]
    assert same(resumed.weights, model.weights)


def test_a_learning_rate_that_was_changed(tmp_path):
    model = noisy(SGD(1.0))
    model.fit(X, Y, callbacks=LearningRateScheduler(lambda epoch, rate: rate / 4), verbose=0)
    model.save(tmp_path / "model")
    assert Sequential.load(tmp_path / "model").optimizer.learning_rate == 0.25


# -- what a file holds -------------------------------------------------------------------------------------------------


def test_the_training_comes_back(tmp_path):
    model = noisy(Adam(0.01, clipnorm=2.0))
    model.compile(
        model.optimizer,
        losses.BinaryCrossentropy(label_smoothing=0.1),
        ["mse", "acc", metrics.BinaryAccuracy("b", 0.4)],
    )
    model.save(tmp_path / "model")
    again = Sequential.load(tmp_path / "model")
    config = model.get_compile_config()
    assert again.get_compile_config() == config == json.loads(json.dumps(config))
    assert config["metrics"][1] == "acc"
    assert config["loss"] == losses.serialize(model.loss)
    assert (again.optimizer.iterations, again.loss, again.stop_training) == (0, model.loss, False)
    assert again.layers[3].get_state() == model.layers[3].get_state()


def test_a_model_that_is_not_compiled(tmp_path):
    model = Sequential([Linear(2)])
    model.build((None, 2))
    assert model.get_compile_config() is None
    model.save(tmp_path / "model")
    again = Sequential.load(tmp_path / "model")
    assert (again.optimizer, again.loss) == (None, None)
    with pytest.raises(ValueError, match="fit needs a compiled model"):
        again.fit(X, Y)


def test_compiled_without_a_loss(tmp_path):
    model = Sequential([Linear(2)])
    model.compile("sgd")
    model.build((None, 2))
    model.save(tmp_path / "model")
    again = Sequential.load(tmp_path / "model")
    assert (type(again.optimizer), again.loss) == (SGD, None)


def test_entries_of_the_optimizer(tmp_path):
    model = noisy()
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model")
    slots = [f"optimizer/{name}/{i}" for name in ("momentum", "velocity") for i in range(6)]
    weights = ["1/kernel", "1/bias", *(f"2/{name}" for name in model.layers[2].named_weights), "4/kernel", "4/bias"]
    with np.load(tmp_path / "model", allow_pickle=False) as archive:
        assert archive.files == ["config", *weights, "optimizer/iterations", *slots]


def test_weights_that_are_no_longer_trained(tmp_path):
    model = classifier(optimizer="adam")
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = False
    model.save(tmp_path / "model")
    again = Sequential.load(tmp_path / "model")
    for one in (model, again):
        with pytest.raises(ValueError, match=r"began with, a/kernel, b/kernel; .* to train b/kernel"):
            one.fit(X, Y)


class Mine(losses.MeanSquaredError):
    """A loss that the package does not know."""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"loss": Mine()}, "loss must be one of .* to be put in a config, got Mine"),
        ({"loss": "mse", "metrics": [type("Own", (metrics.Accuracy,), {})()]}, "metric must be one of .* got Own"),
        ({"loss": "mse", "optimizer": SGD(lambda step: 0.1)}, "learning_rate must be one of .* got <function"),
    ],
)
def test_what_a_file_cannot_hold(tmp_path, arguments, said):
    model = noisy()
    model.build((None, 2))
    model.compile(**arguments)
    for use in (model.get_compile_config, lambda: model.save(tmp_path / "model")):
        with pytest.raises(TypeError, match=f"^Sequential '{model.name}': {said}"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_could_not_be_loaded_is_not_saved(tmp_path):
    model = Sequential([Linear(1, weights=[[[1.0]]])], name="m")
    model.compile("adam", "mse")
    model.build((None, 1))
    # By hand, because training takes such a step back.
    model.optimizer.step([np.ones((1, 1), "float32")], [np.full((1, 1), 1e30)])
    message = "^Sequential 'm': the optimizer's state must be finite to be saved, got infinities or NaN in velocity/0"
    with pytest.raises(ValueError, match=message):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# -- files of other kinds ----------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    model = noisy()
    model.fit(X, Y, verbose=0, seed=0)
    model.save(tmp_path / "model")
    return tmp_path / "model"


def rewritten(path, change):
    """The file with its header and its arrays changed in place."""
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays.pop("config").item())
    change(header, arrays)
    with open(path, "wb") as file:
        np.savez(file, config=json.dumps(header), **arrays)


def as_version_1(header, arrays):
    del header["training"]
    header["format_version"] = 1
    for name in [name for name in arrays if name.startswith("optimizer")]:
        del arrays[name]


def test_files_of_the_first_format_are_read(path):
    model = Sequential.load(path)
    rewritten(path, as_version_1)
    again = Sequential.load(path)
    assert same(again.weights, model.weights)
    assert again.optimizer is None
    rewritten(path, lambda header, arrays: arrays.update({"optimizer/iterations": np.array(1)}))
    with pytest.raises(ValueError, match=r"its weights must be .*got .*optimizer/iterations"):
        Sequential.load(path)


def test_a_file_of_the_first_format_as_it_was_written(tmp_path):
    model = Sequential([Conv2D(1, 1, input_shape=(2, 2, 1), weights=[np.full((1, 1, 1, 1), 3.0), [1.0]])], name="old")
    header = {"format_version": 1, "library_version": "0.1.0", "model": model.get_config()}
    with open(tmp_path / "model", "wb") as file:
        np.savez(file, config=json.dumps(header), **{"0/kernel": model.weights[0], "0/bias": model.weights[1]})
    assert Sequential.load(tmp_path / "model")(np.ones((1, 2, 2, 1))).tolist() == [[[[4.0]] * 2] * 2]


def compiled(**changes):
    return lambda header, arrays: header["training"]["compile"].update(changes)


def training(**changes):
    return lambda header, arrays: header["training"].update(changes)


def arrays_with(**changes):
    return lambda header, arrays: arrays.update({f"optimizer/{name}": value for name, value in changes.items()})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda header, arrays: header.pop("training"), "training must be a dict, got None"),
        (training(code="print()"), "training must have the keys compile, stepped, layers, got .*code"),
        (training(compile=[]), r"config must be a dict with the keys optimizer, loss and metrics, got \[\]"),
        (training(compile=None), "its model is not compiled, but it has optimizer/iterations, optimizer/momentum/0"),
        (training(stepped=3), "stepped must be a list of names of weights, got 3"),
        (training(stepped=[3]), r"stepped must be a list of names of weights, got \[3\]"),
        (training(layers={}), "states of layers must have the keys 0, 3, got"),
        (training(layers={"0": {}, "1": {}}), "states of layers must have the keys 0, 3, got 0, 1"),
        (
            training(layers={"0": {"bit_generator": "PCG64"}, "3": {}}),
            "Dropout .*state must be what get_state returned",
        ),
        (compiled(code="print()"), "must be a dict with the keys optimizer, loss and metrics"),
        (compiled(loss="os.system"), "loss must be one of .*'os.system'"),
        (compiled(loss={"class_name": "eval", "config": {}}), "loss must be one of .*'eval'"),
        (compiled(metrics=["exec"]), "metric must be one of .*'exec'"),
        (compiled(metrics=3), "metrics must be a list of metrics, got 3"),
        (compiled(optimizer=None), "optimizer must be a name, a class, a config or an optimizer, got None"),
        (compiled(optimizer={"class_name": "SGD", "config": {}}), "state must have the entries iterations, got"),
        (arrays_with(iterations=np.array(-1)), r"state\['iterations'\] must be an integer >= 0"),
        (arrays_with(more=np.zeros(1)), "state must have the entries"),
        (lambda header, arrays: arrays.pop("optimizer/velocity/1"), "state must have the entries"),
    ],
)
def test_spoiled_files(path, change, said):
    rewritten(path, change)
    with pytest.raises(ValueError, match=f"{path}' cannot be loaded as a model: .*{said}"):
        Sequential.load(path)


def test_the_history_is_not_saved(path):
    assert Sequential.load(path).history is None


def test_saving_does_not_change_the_training(tmp_path):
    models = noisy(), noisy()
    save = LambdaCallback(on_train_batch_end=lambda batch, logs: models[0].save(tmp_path / "model"))
    for model, callbacks in zip(models, ([save], []), strict=True):
        model.fit(X, Y, batch_size=4, callbacks=callbacks, seed=0, verbose=0)
    assert same(models[0].weights, models[1].weights)

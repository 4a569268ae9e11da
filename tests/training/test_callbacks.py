"""What each of the callbacks does."""

import math

import numpy as np
import pytest
from training_cases import Linear, classes, classifier, one_weight, same, scripted, weight_of

from numbaconv.callbacks import (
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from numbaconv.layers import wrapping
from numbaconv.models import Sequential
from numbaconv.optimizers import SGD
from numbaconv.schedules import ExponentialDecay

X, Y = classes(6)
NAN = math.nan


def trained(values, *callbacks, model=None, **arguments):
    """The history of a training in which the quantity q takes these values, and the model."""
    model = model or classifier()
    history = model.fit(
        X, Y, epochs=len(values), callbacks=[scripted(values), *callbacks], seed=0, verbose=0, **arguments
    )
    return history, model


@pytest.fixture(autouse=True)
def saved_like_others(monkeypatch):
    monkeypatch.setitem(wrapping.KINDS, "Linear", Linear)


# -- the record -------------------------------------------------------------------------------------------------------


def test_what_callbacks_add_is_recorded():
    history, _ = trained([3.0, 1.0, 2.0])
    assert isinstance(history, History)
    assert history.history["q"] == [3.0, 1.0, 2.0]
    assert history.epoch == [0, 1, 2]


def test_stopping_in_the_middle_of_an_epoch():
    stop = LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", batch == 1))
    model = classifier()
    history = model.fit(X, Y, 2, 5, 0, stop, validation_data=(X, Y))
    assert model.optimizer.iterations == 2
    assert history.epoch == [0]
    assert "val_loss" in history.history
    model.fit(X, Y, 2, 5, 0)
    assert model.optimizer.iterations == 2 + 15


# -- early stopping ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "arguments", "epochs", "best"),
    [
        ([3, 2, 1, 0], {}, 4, 3),
        ([3, 2, 2, 1], {}, 3, 1),
        ([3, 4, 1], {}, 2, 0),
        # Keras never ends in the first epoch.
        ([NAN, 1, 2, 0], {}, 3, 1),
        ([3, NAN, 1], {}, 2, 0),
        ([3, 4, 2, 3, 3, 1], {"patience": 2}, 5, 2),
        ([3, 4, 5, 2, 3, 1], {"patience": 3}, 6, 5),
        ([3, 2.5, 2, 1.75, 1], {"min_delta": 0.5}, 2, 0),
        ([3, 2.5, 2, 1.75, 1], {"min_delta": -0.25}, 4, 2),
        ([1, 2, 3, 2, 9], {"mode": "max"}, 4, 2),
        ([3, 2, 1, 1, 0], {"baseline": 0.5}, 4, 2),
        ([3, 2, 1, 0.4, 0.4, 0], {"baseline": 0.5, "patience": 2}, 6, 5),
        ([0, 9, 8, 7, 8, 0], {"start_from_epoch": 2}, 5, 3),
    ],
)
@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping(values, arguments, epochs, best, restore):
    kept = []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(keep.model.get_weights()))
    callback = EarlyStopping("q", **{"mode": "min", **arguments}, restore_best_weights=restore)
    history, model = trained(values, keep, callback)
    assert len(history.epoch) == epochs
    assert same(model.weights, kept[best if restore else -1])


def test_early_stopping_begins_anew():
    callback = EarlyStopping("q", patience=1, mode="min")
    for _ in range(2):
        assert len(trained([3, 2, 3, 1], callback)[0].epoch) == 3
    assert len(trained([9, 8, 7], callback)[0].epoch) == 3


def test_what_early_stopping_says(capsys):
    trained([3, 2, 3, 3], EarlyStopping("q", mode="min", patience=1, restore_best_weights=True, verbose=1))
    assert capsys.readouterr().out == "Epoch 3: early stopping\nWeights are those of epoch 2\n"


@pytest.mark.parametrize(
    ("monitor", "rises"),
    [("loss", False), ("val_loss", False), ("val_mse", False), ("accuracy", True), ("val_accuracy", True)],
)
def test_which_way_is_better(monitor, rises):
    model = one_weight()
    model.compile("sgd", "mse", ["mse", "accuracy"])
    for values in ([1, 2, 3], [3, 2, 1]):
        callbacks = [scripted(values, monitor), EarlyStopping(monitor)]
        history = model.fit([[1.0]], [[1.0]], epochs=3, callbacks=callbacks, verbose=0)
        assert len(history.epoch) == (3 if (values[1] > values[0]) is rises else 2)


def test_epochs_without_validation_do_not_count():
    seen = []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs.get("val_loss")))
    stop = EarlyStopping(patience=0, mode="max")
    history = classifier().fit(
        X, Y, epochs=9, callbacks=[look, stop], validation_data=(X, Y), validation_freq=3, verbose=0
    )
    # The loss falls, which is the wrong way here.
    assert history.epoch == [0, 1, 2, 3, 4, 5]
    assert [value is not None for value in seen] == [False, False, True] * 2


# -- checkpoints -------------------------------------------------------------------------------------------------------


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_for_every_epoch(tmp_path, capsys):
    kept = []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(keep.model.get_weights()))
    trained([0.25, 0.5], keep, ModelCheckpoint(tmp_path / "runs" / "{epoch:02d}-{q:.1f}", verbose=1))
    assert files(tmp_path) == ["runs/01-0.2", "runs/02-0.5"]
    for name, weights in zip(files(tmp_path), kept, strict=True):
        assert same(Sequential.load(tmp_path / name).weights, weights)
    folder = tmp_path / "runs"
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch 1: model saved as {folder}/01-0.2",
        f"Epoch 2: model saved as {folder}/02-0.5",
    ]


@pytest.mark.parametrize(
    ("values", "arguments", "saved"),
    [
        ([3, 4, 2, 2, 1], {}, "1 3 5"),
        ([3, NAN, 2], {}, "1 3"),
        ([NAN, 3, 4], {}, "2"),
        ([3, 4, 2, 5], {"mode": "max"}, "1 2 4"),
        ([3, 2, 1], {"initial_value_threshold": 2.0}, "3"),
    ],
)
def test_the_best_only(tmp_path, values, arguments, saved):
    callback = ModelCheckpoint(tmp_path / "{epoch}", "q", save_best_only=True, **{"mode": "min", **arguments})
    trained(values, callback)
    assert files(tmp_path) == saved.split()
    # What was best stays so in the next training.
    trained([5, 5] if callback.best < 5 and callback.mode == "min" else [0], callback)
    assert files(tmp_path) == saved.split()


def test_files_by_batches(tmp_path):
    callback = ModelCheckpoint(tmp_path / "{epoch}-{batch}-{accuracy:.0f}", save_freq=4)
    classifier().fit(X, Y, batch_size=2, epochs=4, callbacks=callback, verbose=0)
    assert [name[:3] for name in files(tmp_path)] == ["2-1", "3-2", "4-3"]
    assert Sequential.load(tmp_path / files(tmp_path)[0]).optimizer.iterations == 4


# -- learning rates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "arguments", "rates"),
    [
        ([3, 3, 3, 3], {"patience": 1}, [1, 1, 0.5, 0.25]),
        ([3, 3, 3, 3, 3, 3], {"patience": 2}, [1, 1, 1, 0.5, 0.5, 0.25]),
        ([3, 3, 2, 2, 1], {"patience": 1}, [1, 1, 0.5, 0.5, 0.25]),
        ([3, 3, 3, 3, 3], {"patience": 1, "cooldown": 1}, [1, 1, 0.5, 0.25, 0.125]),
        ([3, 3, 3, 3, 3], {"patience": 1, "cooldown": 2}, [1, 1, 0.5, 0.5, 0.25]),
        ([3, 3, 3, 3, 3], {"patience": 1, "min_lr": 0.3}, [1, 1, 0.5, 0.3, 0.3]),
        ([3, 2.99995, 2.9999, 2], {"patience": 1}, [1, 1, 0.5, 0.25]),
        ([3, 2.99995, 2.9999, 2], {"patience": 1, "min_delta": 0}, [1, 1, 1, 1]),
        ([1, 2, 2], {"patience": 1, "mode": "max"}, [1, 1, 1]),
    ],
)
def test_a_plateau_lowers_the_rate(values, arguments, rates):
    model = one_weight()
    model.compile(SGD(1.0), "mse")
    callback = ReduceLROnPlateau("q", factor=0.5, **{"mode": "min", **arguments})
    for _ in range(2):
        model.optimizer.learning_rate = 1.0
        history = model.fit([[0.0]], [[0.0]], epochs=len(values), callbacks=[scripted(values), callback], verbose=0)
        assert history.history["learning_rate"] == rates


def test_what_a_plateau_says(capsys):
    trained([1, 1, 1], ReduceLROnPlateau("q", patience=1, mode="min", verbose=1))
    assert (
        capsys.readouterr().out == "Epoch 2: learning rate lowered to 0.001\nEpoch 3: learning rate lowered to 0.0001\n"
    )


def test_a_scheduler(capsys):
    asked = []

    def schedule(epoch, rate):
        asked.append((epoch, rate))
        return rate / 2

    model = one_weight()
    model.compile(SGD(ExponentialDecay(1.0, 1, 0.5)), "mse")
    history = model.fit(
        [[1.0]], [[3.0]], epochs=4, initial_epoch=1, callbacks=LearningRateScheduler(schedule, verbose=1), verbose=0
    )
    assert asked == [(1, 1.0), (2, 0.5), (3, 0.25)]
    assert history.history["learning_rate"] == [0.5, 0.25, 0.125]
    assert weight_of(model) == 3
    assert capsys.readouterr().out.splitlines()[-1] == "Epoch 4: learning rate 0.125"
    for rate, kind in ((-1.0, ValueError), ("fast", TypeError), (None, TypeError)):
        with pytest.raises(kind, match=r"learning.rate must be a finite number"):
            model.fit([[1.0]], [[3.0]], callbacks=LearningRateScheduler(lambda epoch, old, new=rate: new), verbose=0)


def test_rates_of_the_epoch_alone():
    model = one_weight()
    model.compile(SGD(1.0), "mse")

    class Halves:
        """A schedule with a method."""

        def __call__(self, epoch):
            return 0.5**epoch

        def rate(self, epoch, *, base=1.0):
            return base / 2**epoch

    for schedule in (lambda epoch: 0.5**epoch, Halves(), Halves().rate, lambda epoch, rate=None: 0.5**epoch):
        callback = LearningRateScheduler(schedule)
        history = model.fit([[1.0]], [[3.0]], epochs=3, callbacks=callback, verbose=0).history
        assert history["learning_rate"] == [1, 0.5, 0.25]


def test_a_function_that_takes_both_gets_both():
    model = one_weight()
    model.compile(SGD(1.0), "mse")
    for schedule in (lambda epoch, rate=9.0: rate / 2, lambda *given: given[1] / 2, min, math.hypot):
        model.optimizer.learning_rate = 1.0
        history = model.fit([[1.0]], [[3.0]], epochs=2, callbacks=LearningRateScheduler(schedule), verbose=0).history
        expected = {min: [0, 0], math.hypot: [1, math.hypot(1, 1)]}.get(schedule, [0.5, 0.25])
        assert history["learning_rate"] == expected


def test_errors_inside_a_schedule_are_passed_on():
    calls = []

    def schedule(epoch, rate):
        calls.append(epoch)
        return rate + "a"

    with pytest.raises(TypeError, match="unsupported operand"):
        classifier().fit(X, Y, callbacks=LearningRateScheduler(schedule), verbose=0)
    assert calls == [0]


# -- files of results --------------------------------------------------------------------------------------------------


def test_results_as_a_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")
    model = classifier()
    arguments = {"validation_data": (X, Y), "validation_freq": 2, "verbose": 0}
    history = model.fit(X, Y, epochs=2, callbacks=[scripted([7, 8]), CSVLogger(path)], **arguments).history
    more = model.fit(X, Y, epochs=3, initial_epoch=2, callbacks=CSVLogger(path, append=True), **arguments).history
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,accuracy,loss,q,val_accuracy,val_loss"
    assert lines[1] == f"0,{history['accuracy'][0]},{history['loss'][0]},7,NA,NA"
    numbers = [history["accuracy"][1], history["loss"][1], 8, history["val_accuracy"][0], history["val_loss"][0]]
    assert lines[2] == ",".join(map(str, [1, *numbers]))
    assert lines[3] == f"2,{more['accuracy'][0]},{more['loss'][0]},NA,NA"
    assert len(lines) == 4


@pytest.mark.parametrize("append", [False, True])
def test_a_file_that_cannot_be_written_is_told_first(tmp_path, append):
    model = classifier()
    with pytest.raises(FileNotFoundError, match=r"none.log\.csv"):
        model.fit(X, Y, callbacks=CSVLogger(tmp_path / "none" / "log.csv", append=append), verbose=0)
    assert model.optimizer.iterations == 0


def test_another_separator(tmp_path):
    trained([1, 2], CSVLogger(tmp_path / "log", separator="\t"))
    values = np.genfromtxt(tmp_path / "log", delimiter="\t", names=True)
    assert values.dtype.names == ("epoch", "accuracy", "loss", "q")
    assert values["q"].tolist() == [1, 2]


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda: EarlyStopping(3), TypeError, "monitor must be the name of a quantity, got 3"),
        (lambda: EarlyStopping(mode="up"), ValueError, "mode must be 'auto', 'min' or 'max', got 'up'"),
        (lambda: EarlyStopping(min_delta="a"), TypeError, "min_delta must be a finite number, got 'a'"),
        (lambda: EarlyStopping(patience=-1), ValueError, "patience must be .*, got -1"),
        (lambda: EarlyStopping(baseline=NAN), ValueError, "baseline must be a finite number, got nan"),
        (lambda: EarlyStopping(restore_best_weights=1), TypeError, "restore_best_weights must be True or False"),
        (lambda: EarlyStopping(start_from_epoch=0.5), ValueError, r"start_from_epoch must be .*, got 0\.5"),
        (lambda: ModelCheckpoint(3), TypeError, "PathLike"),
        (lambda: ModelCheckpoint("x", save_best_only="yes"), TypeError, "save_best_only must be True or False"),
        (lambda: ModelCheckpoint("x", save_weights_only=True), ValueError, "save_weights_only must be False"),
        (lambda: ModelCheckpoint("x", save_freq="batch"), ValueError, "save_freq must be .*, got 'batch'"),
        (lambda: ModelCheckpoint("x", save_freq=0), ValueError, "save_freq must be .*, got 0"),
        (lambda: ModelCheckpoint("x", initial_value_threshold="a"), TypeError, "initial_value_threshold must be"),
        (lambda: ReduceLROnPlateau(factor=1), ValueError, "factor must be .* >= 0 and < 1, got 1"),
        (lambda: ReduceLROnPlateau(patience=1.0), ValueError, "patience must be"),
        (lambda: ReduceLROnPlateau(cooldown=-1), ValueError, "cooldown must be .*, got -1"),
        (lambda: ReduceLROnPlateau(min_lr=-1), ValueError, "min_lr must be .* >= 0, got -1"),
        (lambda: LearningRateScheduler(0.1), TypeError, r"schedule must be a function .*, got 0\.1"),
        (
            lambda: LearningRateScheduler(lambda: 1),
            TypeError,
            "schedule must be a function of the epoch, .*, got <func",
        ),
        (lambda: LearningRateScheduler(lambda a, b, c: 1), TypeError, "schedule must be a function of the epoch, .*"),
        (
            lambda: LearningRateScheduler(ExponentialDecay(1, 1, 1)),
            TypeError,
            r"counts steps and is given to the optimizer: SGD\(learning_rate=schedule\), got ExponentialDecay",
        ),
        (lambda: CSVLogger(3), TypeError, "PathLike"),
        (lambda: CSVLogger("x", separator="->"), ValueError, "separator must be one character, got '->'"),
        (lambda: CSVLogger("x", append="a"), TypeError, "append must be True or False, got 'a'"),
        (lambda: LambdaCallback(on_epoch_end=3), TypeError, "on_epoch_end must be a function, got 3"),
        (lambda: LambdaCallback(on_test_end=3), TypeError, "on_test_end must be a function, got 3"),
        (lambda: LambdaCallback(on_text_end=print), TypeError, "takes on_train_begin, .*, got on_text_end"),
    ],
)
def test_arguments_refused(make, kind, said):
    with pytest.raises(kind, match=said):
        make()

"""Quantities that callbacks wait for: those that cannot come are told before the first step."""

import numpy as np
import pytest
from training_cases import Linear, classes, classifier, scripted

from numbaconv.callbacks import (
    Callback,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from numbaconv.layers import wrapping
from numbaconv.metrics import F1Score
from numbaconv.models import Sequential

X, Y = classes(6)
VALIDATED = {"validation_data": (X, Y)}


@pytest.fixture(autouse=True)
def saved_like_others(monkeypatch):
    monkeypatch.setitem(wrapping.KINDS, "Linear", Linear)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(callbacks, said, **arguments):
    """Nothing has happened when it is told."""
    model = classifier()
    with pytest.raises(ValueError, match=said):
        model.fit(X, Y, callbacks=callbacks, verbose=0, **arguments)
    assert model.optimizer.iterations == 0
    assert model.history is None


def best(monitor, **arguments):
    return ModelCheckpoint("x", monitor, save_best_only=True, **arguments)


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau, best])
def test_a_quantity_that_is_not_there(kind):
    measured = "loss, accuracy, got 'val_loss'; val_ needs validation_data or validation_split"
    refused(kind(monitor="val_loss"), rf"^Sequential 'm': monitor of \w+ must be one of {measured}$")
    refused([LambdaCallback(), kind(monitor="val_loss")], measured)
    everything = r"loss, accuracy, val_loss, val_accuracy, got 'val_acc'; did you mean 'val_accuracy'\?$"
    refused(kind(monitor="val_acc"), everything, **VALIDATED)
    # What comes later is too late: the callback has looked already.
    refused([kind(monitor="q", mode="min"), scripted([1])], "must be one of loss, accuracy, got 'q'")
    refused([EarlyStopping("loss"), kind(monitor="q", mode="min")], "must be one of loss, accuracy, got 'q'")
    refused(
        [scripted([1]), kind(monitor="q")], "mode of .* must be 'min' or 'max' for a quantity of the user's, got 'auto'"
    )


def test_quantities_of_several_numbers(tmp_path):
    several = "must be a single number, got 'val_f', of which F1Score(.*average=None.*) gives several"
    model = classifier(metrics=(F1Score(name="f"),))
    for callback in (EarlyStopping("val_f"), best("val_f")):
        with pytest.raises(ValueError, match=several):
            model.fit(X, np.eye(2)[Y], validation_split=0.5, verbose=0, callbacks=callback)
    assert model.optimizer.iterations == 0


def test_quantities_that_others_add():
    class Adding(Callback):
        """Adds q, as a user's callback may."""

        def on_epoch_end(self, epoch, logs=None):
            logs["q"] = epoch

    for first in (scripted([3, 4]), Adding()):
        history = classifier().fit(X, Y, epochs=2, callbacks=[first, EarlyStopping("q", mode="min")], verbose=0)
        assert history.epoch == [0, 1]
    refused(
        [LearningRateScheduler(lambda epoch: 1.0), EarlyStopping("rate", mode="min")], "accuracy, learning_rate, got"
    )
    rates = [LearningRateScheduler(lambda epoch: 0.1), EarlyStopping("learning_rate", mode="min")]
    assert classifier().fit(X, Y, epochs=5, callbacks=rates, verbose=0).epoch == [0, 1]
    # That nobody adds it after all is seen when it is missing.
    with pytest.raises(ValueError, match="monitor of EarlyStopping must be one of loss, accuracy, q, got 'r'"):
        classifier().fit(X, Y, callbacks=[scripted([1]), EarlyStopping("r", mode="min")], verbose=0)


def test_a_monitor_that_is_not_asked(tmp_path):
    classifier().fit(X, Y, callbacks=ModelCheckpoint(tmp_path / "m"), verbose=0)
    assert files(tmp_path) == ["m"]


# -- names of files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["{val_loss:.2f}", "{batch}", "{}", "{q}", "{accuracy:.1f}-{acc}"])
def test_a_file_name_that_cannot_be(name):
    refused(ModelCheckpoint(name), r"filepath must have only epoch, loss, accuracy in braces, got .*")


def test_a_file_name_that_nobody_fills(tmp_path):
    with pytest.raises(ValueError, match=r"filepath must have only epoch, loss, accuracy, q in braces, got .*\{r\}"):
        classifier().fit(X, Y, callbacks=[scripted([1]), ModelCheckpoint(tmp_path / "{r}")], verbose=0)
    assert files(tmp_path) == []


def test_epochs_without_validation_are_not_saved(tmp_path):
    every = ModelCheckpoint(tmp_path / "{epoch}-{val_loss:.0f}")
    falling = ModelCheckpoint(tmp_path / "best-{epoch}-{val_loss:.0f}", "loss", save_best_only=True)
    model = classifier()
    history = model.fit(X, Y, epochs=5, callbacks=[every, falling], validation_freq=2, verbose=0, **VALIDATED)
    assert history.epoch == [0, 1, 2, 3, 4]
    assert [name.rpartition("-")[0] for name in files(tmp_path)] == ["2", "4", "best-2", "best-4"]
    # An epoch that was not saved is no best one.
    assert falling.best == history.history["loss"][3]
    assert Sequential.load(tmp_path / files(tmp_path)[0]).optimizer.iterations == 2


def test_between_epochs_there_is_no_validation(tmp_path):
    said = "monitor of ModelCheckpoint must be one of loss, accuracy, got 'val_loss'"
    refused(best("val_loss", save_freq=2), said, **VALIDATED)
    said = "filepath must have only epoch, batch, loss, accuracy in braces"
    refused(ModelCheckpoint("{val_loss}", save_freq=2), said, **VALIDATED)
    refused([scripted([1]), ModelCheckpoint("{q}", save_freq=2)], said, **VALIDATED)
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}-{batch}", "loss", save_best_only=True, save_freq=1)
    classifier().fit(X, Y, batch_size=6, epochs=2, callbacks=checkpoint, verbose=0, **VALIDATED)
    assert files(tmp_path) == ["1-1", "2-1"]


# -- models and files that cannot be saved -----------------------------------------------------------------------------


class Own(Linear):
    """A layer that the package does not know."""


@pytest.mark.parametrize(
    ("layer", "loss", "said"),
    [(Own, "mse", "only layers of numbaconv.layers can be put in a config"), (Linear, None, "loss must be one of")],
)
def test_models_that_cannot_be_saved_are_told_first(tmp_path, layer, loss, said):
    class Mine:
        """A loss of the user's."""

        def __call__(self, y_true, y_pred, sample_weight=None):
            return 0.0

        def value_and_gradient(self, y_true, y_pred, sample_weight=None):
            return 0.0, np.zeros_like(y_pred)

    model = Sequential([layer(1)])
    model.compile("sgd", loss or Mine())
    with pytest.raises(TypeError, match=said):
        model.fit(X, Y, callbacks=ModelCheckpoint(tmp_path / "m"), verbose=0)
    assert model.optimizer.iterations == 0

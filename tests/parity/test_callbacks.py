"""When callbacks are called and with what, beside Keras's: the same recorder on both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from training_cases import Linear

from numbaconv import callbacks
from numbaconv.models import Sequential

from .keras_oracle import keras, quiet

pytestmark = pytest.mark.usefixtures("eager")

Pair = tuple[np.ndarray, np.ndarray]
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(11, 3)).astype("float32"), RNG.normal(size=(11, 2)).astype("float32")
METHODS = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]
# Those that Keras calls from others.
CALLED = [name for name in METHODS if not name.startswith("on_batch")]


def recording(base: Any, old: bool = False) -> Any:
    """A callback of this class that notes its calls; with ``old`` it knows the old names alone."""
    calls: list[tuple[Any, ...]] = []

    def noting(name: str) -> Callable[..., None]:
        def method(self: Any, *arguments: Any, logs: Any = None) -> None:
            *place, logs = arguments if arguments and isinstance(arguments[-1], dict | None) else (*arguments, logs)
            shown = {n: np.shape(v) if n == "outputs" else v for n, v in (logs or {}).items()}
            calls.append((name, *place, shown))

        return method

    names = [name for name in METHODS if name.startswith("on_batch")] if old else CALLED
    callback = type("Recording", (base,), {name: noting(name) for name in names})()
    callback.calls = calls
    return callback


def models() -> tuple[Any, Any]:
    """Ours and Keras's, with the same weights."""
    kernel = np.random.default_rng(1).normal(size=(3, 2))
    ours = Sequential([Linear(2, weights=[kernel])])
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    theirs.set_weights([kernel])
    for model in (ours, theirs):
        model.compile("sgd", "mse", metrics=["mae"])
    return ours, theirs


def batches(count: int) -> Iterator[Pair]:
    for start in range(0, 2 * count, 2):
        yield X[start : start + 2], Y[start : start + 2]


class Data(keras.utils.PyDataset):  # type: ignore[misc]
    """Three batches."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Pair:
        return X[3 * index : 3 * index + 3], Y[3 * index : 3 * index + 3]


FIT = {"shuffle": False, "verbose": 0}
# What is done, for both models alike; generators are made anew for each.
CASES: dict[str, Callable[[Any, Any], Any]] = {
    "fit": lambda model, c: model.fit(X, Y, 4, 2, callbacks=c, **FIT),
    "fit with validation": lambda model, c: model.fit(
        X, Y, 4, 3, callbacks=c, validation_data=(X[:5], Y[:5]), validation_freq=2, **FIT
    ),
    "fit with a split": lambda model, c: model.fit(X, Y, 4, 1, callbacks=c, validation_split=0.3, **FIT),
    "fewer validation steps": lambda model, c: model.fit(
        X, Y, 4, 2, callbacks=c, validation_data=(X, Y), validation_steps=2, validation_batch_size=3, **FIT
    ),
    "steps of a generator": lambda model, c: model.fit(
        batches(5), epochs=2, steps_per_epoch=2, callbacks=c, verbose=0, shuffle=False
    ),
    "steps of arrays": lambda model, c: model.fit(X, Y, 3, 3, callbacks=c, steps_per_epoch=2, **FIT),
    "data with a length": lambda model, c: model.fit(Data(), epochs=2, callbacks=c, validation_data=Data(), **FIT),
    "evaluate": lambda model, c: model.evaluate(X, Y, 4, 0, callbacks=c),
    "evaluate steps": lambda model, c: model.evaluate(X, Y, 4, 0, steps=2, callbacks=c),
    "evaluate data with a length": lambda model, c: model.evaluate(Data(), verbose=0, callbacks=c),
    "evaluate steps of a generator": lambda model, c: model.evaluate(batches(5), verbose=0, steps=2, callbacks=c),
    "predict": lambda model, c: model.predict(X, 4, 0, callbacks=c),
    "predict steps": lambda model, c: model.predict(X, 4, 0, 2, c),
    "predict steps of a generator": lambda model, c: model.predict(batches(5), verbose=0, steps=2, callbacks=c),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_calls(case: str, old: bool) -> None:
    ours, theirs = models()
    here, there = recording(callbacks.Callback, old), recording(keras.callbacks.Callback, old)
    with quiet():
        expected = CASES[case](theirs, [there])
        result = CASES[case](ours, [here])
    assert [call[:-1] for call in here.calls] == [call[:-1] for call in there.calls]
    assert bool(here.calls) or (old and not case.startswith(("fit", "steps", "fewer", "data")))
    for call, other in zip(here.calls, there.calls, strict=True):
        assert list(call[-1]) == list(other[-1])
        assert call[-1] == {
            name: v if name == "outputs" else pytest.approx(v, rel=1e-5) for name, v in other[-1].items()
        }
    if case.startswith("evaluate"):
        assert result == pytest.approx(expected, rel=1e-5)
    elif case.startswith("predict"):
        np.testing.assert_allclose(result, expected, rtol=1e-5)
    else:
        assert result.params["steps"] == expected.params["steps"]
        assert list(result.history) == list(expected.history)
        np.testing.assert_allclose(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-5)


def test_params_of_evaluation_and_prediction() -> None:
    for use, arguments in (("evaluate", (X, Y, 4, 0)), ("predict", (X, 4, 0))):
        ours, theirs = models()
        here, there = recording(callbacks.Callback), recording(keras.callbacks.Callback)
        with quiet():
            getattr(theirs, use)(*arguments, callbacks=[there])
        getattr(ours, use)(*arguments, callbacks=[here])
        assert here.params == there.params


@pytest.mark.parametrize("flag", ["stop_training", "stop_evaluating", "stop_predicting"])
def test_stopping(flag: str) -> None:
    seen = []
    for library, model in zip((callbacks, keras.callbacks), models(), strict=True):
        calls: list[str] = []

        def stop(batch: int, logs: Any, model: Any = model, calls: list[str] = calls) -> None:
            calls.append(f"batch {batch}")
            setattr(model, flag, batch == 1)

        kind = {"stop_training": "train", "stop_evaluating": "test", "stop_predicting": "predict"}[flag]
        callback = library.LambdaCallback(**{f"on_{kind}_batch_end": stop})
        with quiet():
            model.fit(X, Y, 2, 2, validation_data=(X, Y), callbacks=[callback], **FIT)
            model.evaluate(X, Y, 2, 0, callbacks=[callback])
            model.predict(X, 2, 0, callbacks=[callback])
        seen.append(calls)
    assert seen[0] == seen[1]
    assert seen[0]


def test_learning_rates_of_the_epoch_alone() -> None:
    rates = []
    for library, model in zip((callbacks, keras.callbacks), models(), strict=True):
        scheduler = library.LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1))
        with quiet():
            rates.append(model.fit(X, Y, epochs=3, callbacks=[scheduler], verbose=0).history["learning_rate"])
    assert rates[0] == pytest.approx(rates[1], rel=1e-6)

"""The course of `Sequential.fit`: epochs, batches, validation, callbacks and interruptions."""

import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..callbacks.base import Audience, Callback, check_callbacks
from ..callbacks.history import History
from ..common import random as _random
from ..common.arguments import check_bool
from ..objects.tuples import NamedTuple
from ..shapes import normalize_tuple
from .batches import Batches
from .compiling import Compiled
from .examples import Examples
from .progress import Interruption, Progress, check_verbose
from .steps import Tally, test_step, train_step
from .trainee import TrainedWeights

BATCH_SIZE = 32


class Course(NamedTuple):
    """Arguments of `fit` that say how to go through the examples, checked."""

    epochs: range
    verbose: int | str
    callbacks: list[Callback]
    # The order of the examples is drawn from it and the epoch; None leaves them as they are.
    seed: int | None
    # Whether an epoch, counted from 0, ends with validation.
    validated: Callable[[int], bool]


def check_course(
    epochs: Any, verbose: Any, callbacks: Any, shuffle: Any, initial_epoch: Any, validation_freq: Any, seed: Any
) -> Course:
    """The arguments of these names in `fit`."""
    (stop,) = normalize_tuple(epochs, 1, "epochs")
    (start,) = normalize_tuple(initial_epoch, 1, "initial_epoch", allow_zero=True)
    listed = check_callbacks(callbacks)
    if not check_bool(shuffle, "shuffle"):
        number = None
    elif seed is None or isinstance(seed, np.random.Generator):
        number = int((_random.generator() if seed is None else seed).integers(2**63))
    else:
        (number,) = normalize_tuple(seed, 1, "seed", allow_zero=True)
    return Course(range(start, stop), check_verbose(verbose), listed, number, _check_freq(validation_freq))


def check_size(value: Any, name: str = "batch_size") -> int:
    """Examples of a batch; None stands for the number that Keras takes."""
    return BATCH_SIZE if value is None else normalize_tuple(value, 1, name)[0]


def check_steps(value: Any, name: str) -> int | None:
    """A number of batches; None stands for all that there are."""
    return None if value is None else normalize_tuple(value, 1, name)[0]


class Fit:
    """One call of `fit`."""

    _weights: TrainedWeights

    def __init__(self, model: Compiled, course: Course, batches: Batches, validation: Batches | None) -> None:
        self._model, self._course = model, course
        self._batches, self._validation = batches, validation
        self._history, self._progress = History(), Progress()
        names = ["loss", *model._objective.names, *(measure.name for measure in model._measures)]
        self._params: dict[str, Any] = {
            "verbose": course.verbose,
            "epochs": course.epochs.stop,
            "steps": batches.steps,
            "metrics": [*names, *(f"val_{name}" for name in names if validation is not None)],
        }
        # Those of the user first: what they add to an epoch's results is recorded and shown.
        self._audience = Audience([*course.callbacks, self._history, self._progress], model, self._params)

    def run(self) -> History:
        """Train, and return what happened."""
        model, epochs = self._model, self._course.epochs
        with model._named():
            self._audience.check_quantities(self._params["metrics"])
        model.history, model.stop_training = self._history, False
        with Interruption() as interruption:
            try:
                self._run(interruption)
            finally:
                self._progress.close()
        self._history.interrupted = interruption.asked
        if interruption.asked:
            done = len(self._history.epoch)
            print(f"{model._label}: fit was interrupted after {done} of {len(epochs)} epochs", file=sys.stderr)
        return self._history

    def _run(self, interruption: Interruption) -> None:
        logs: dict[str, Any] = {}
        tell = self._audience.tell
        tell("on_train_begin", {})
        for epoch in self._course.epochs:
            first = self._batches.first(epoch)
            if first is None:
                done = len(self._history.epoch)
                warnings.warn(f"{self._model._label}: x ran out after {done} epochs; fit ends", stacklevel=4)
                break
            tell("on_epoch_begin", epoch, {})
            self._follow(first)
            results = self._epoch(epoch, interruption)
            if interruption.asked:
                # They are of a part of the epoch, or lack the validation.
                break
            logs = results
            tell("on_epoch_end", epoch, logs)
            if self._model.stop_training or interruption.asked:
                break
        tell("on_train_end", logs)

    def _follow(self, first: Examples) -> None:
        """Go on with what callbacks have made of the model: other layers trainable, or compiled anew."""
        with self._model._named():
            if not self._model.metrics:
                self._model._prepare(first)
            self._weights = self._model._weights_to_train()

    def _epoch(self, epoch: int, interruption: Interruption) -> dict[str, Any]:
        tally = Tally(self._model)
        for i, batch in enumerate(self._batches.epoch(epoch)):
            self._audience.tell("on_train_batch_begin", i, {})
            train_step(self._model, self._weights, batch, tally, f"batch {i + 1} of epoch {epoch + 1}")
            self._audience.tell("on_train_batch_end", i, tally.results())
            if self._model.stop_training or interruption.asked:
                break
        results = tally.results()
        if self._validation is not None and self._course.validated(epoch) and not interruption.asked:
            self._validation.restart()
            found = test(self._model, self._validation.epoch(), self._audience, lambda: interruption.asked)
            results |= {f"val_{name}": value for name, value in found.items()}
        return results


def test(
    model: Compiled, batches: Iterable[Any], audience: Audience, asked: Callable[[], bool] = lambda: False
) -> dict[str, float]:
    """The results of an evaluation, which ends when it is asked to; nothing if there are no batches."""
    tally = Tally(model)
    logs: dict[str, float] = {}
    model.stop_evaluating = False
    audience.tell("on_test_begin", {})
    for i, batch in enumerate(batches):
        audience.tell("on_test_batch_begin", i, {})
        test_step(model, batch, tally)
        logs = tally.results()
        audience.tell("on_test_batch_end", i, logs)
        if asked() or model.stop_evaluating:
            break
    audience.tell("on_test_end", dict(logs))
    return logs


def _check_freq(value: Any) -> Callable[[int], bool]:
    if isinstance(value, list | tuple):
        epochs = {normalize_tuple(epoch, 1, "epochs in validation_freq")[0] for epoch in value}
        return lambda epoch: epoch + 1 in epochs
    (every,) = normalize_tuple(value, 1, "validation_freq")
    return lambda epoch: (epoch + 1) % every == 0

"""The course of `Sequential.fit`: epochs, batches, validation, callbacks and interruptions."""

import sys
from collections.abc import Callable
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _random
from ..arguments import check_bool
from ..history import History
from ..shapes import normalize_tuple
from .callback import Callback
from .examples import Examples
from .progress import Interruption, Progress, check_verbose
from .steps import Route, Tally, test_step, train_step

if TYPE_CHECKING:
    from ..models import Sequential


class Course(NamedTuple):
    """Arguments of `fit` that say how to go through the examples, checked."""

    size: int
    epochs: range
    verbose: int | str
    callbacks: list[Callback]
    # The order of the examples is drawn from it and the epoch; None leaves them as they are.
    seed: int | None
    # Whether an epoch, counted from 0, ends with validation.
    validated: Callable[[int], bool]


def check_course(
    batch_size: Any,
    epochs: Any,
    verbose: Any,
    callbacks: Any,
    shuffle: Any,
    initial_epoch: Any,
    validation_freq: Any,
    seed: Any,
) -> Course:
    """The arguments of these names in `fit`."""
    (size,) = normalize_tuple(batch_size, 1, "batch_size")
    (stop,) = normalize_tuple(epochs, 1, "epochs")
    (start,) = normalize_tuple(initial_epoch, 1, "initial_epoch", allow_zero=True)
    listed = [] if callbacks is None else [callbacks] if isinstance(callbacks, Callback) else callbacks
    if not isinstance(listed, list | tuple) or not all(isinstance(callback, Callback) for callback in listed):
        raise TypeError(f"callbacks must be a list of numbaconv.callbacks.Callback, got {callbacks!r}")
    if not check_bool(shuffle, "shuffle"):
        number = None
    elif seed is None or isinstance(seed, np.random.Generator):
        number = int((_random.generator() if seed is None else seed).integers(2**63))
    else:
        (number,) = normalize_tuple(seed, 1, "seed", allow_zero=True)
    validated = _check_freq(validation_freq)
    return Course(size, range(start, stop), check_verbose(verbose), list(listed), number, validated)


class Fit:
    """One call of `fit`."""

    def __init__(
        self, model: "Sequential", course: Course, route: Route, examples: Examples, validation: Examples | None
    ) -> None:
        self._model, self._course, self._route = model, course, route
        self._examples, self._validation = examples, validation
        self._history, self._progress = History(), Progress()
        # Those of the user first: what they add to an epoch's results is recorded and shown.
        self._callbacks = [*course.callbacks, self._history, self._progress]

    def run(self) -> History:
        """Train, and return what happened."""
        model, epochs = self._model, self._course.epochs
        names = ["loss", *(metric.name for metric in model.metrics)]
        parameters = {
            "verbose": self._course.verbose,
            "epochs": epochs.stop,
            "steps": -(-len(self._examples) // self._course.size),
            "metrics": [*names, *(f"val_{name}" for name in names if self._validation is not None)],
        }
        for callback in self._callbacks:
            callback.set_params(parameters)
            callback.set_model(model)
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
        self._tell("on_train_begin", {})
        for epoch in self._course.epochs:
            self._tell("on_epoch_begin", epoch, {})
            results = self._epoch(epoch, interruption)
            if interruption.asked:
                # They are of a part of the epoch, or lack the validation.
                break
            logs = results
            self._tell("on_epoch_end", epoch, logs)
            if self._model.stop_training or interruption.asked:
                break
        self._tell("on_train_end", logs)

    def _epoch(self, epoch: int, interruption: Interruption) -> dict[str, Any]:
        seed, size = self._course.seed, self._course.size
        order = None if seed is None else np.random.default_rng([seed, epoch]).permutation(len(self._examples))
        tally = Tally(self._model.metrics)
        for i, batch in enumerate(self._examples.batches(size, order)):
            self._tell("on_train_batch_begin", i, {})
            train_step(self._model, self._route, batch, tally, f"batch {i + 1} of epoch {epoch + 1}")
            self._tell("on_train_batch_end", i, tally.results())
            if self._model.stop_training or interruption.asked:
                break
        results = tally.results()
        if self._validation is not None and self._course.validated(epoch):
            tally = Tally(self._model.metrics)
            for batch in takewhile(lambda _: not interruption.asked, self._validation.batches(size)):
                test_step(self._model, batch, tally)
            results |= {f"val_{name}": value for name, value in tally.results().items()}
        return results

    def _tell(self, event: str, *arguments: Any) -> None:
        for callback in self._callbacks:
            getattr(callback, event)(*arguments)


def _check_freq(value: Any) -> Callable[[int], bool]:
    if isinstance(value, list | tuple):
        epochs = {normalize_tuple(epoch, 1, "epochs in validation_freq")[0] for epoch in value}
        return lambda epoch: epoch + 1 in epochs
    (every,) = normalize_tuple(value, 1, "validation_freq")
    return lambda epoch: (epoch + 1) % every == 0

"""Base of all callbacks, and of those that watch a quantity."""

import math
from collections.abc import Collection, Iterable
from typing import Any, ClassVar

import numpy as np

from ..objects.registry import number
from ..objects.strict import suggestion
from ..objects.telling import Telling

Logs = dict[str, Any] | None


class Callback(Telling):
    """Base of all callbacks; its methods do nothing.

    Attributes
    ----------
    model : Sequential
        The model that is trained, evaluated or predicts. ``model.stop_training = True`` ends training after the batch
        or epoch, ``stop_evaluating`` and ``stop_predicting`` end the other two after the batch.
    params : dict
        As `numbaconv.callbacks.History` has it; in `evaluate` and `predict` without "metrics".
    """

    # Names that on_epoch_end adds to the results.
    adds: ClassVar[tuple[str, ...]] = ()
    model: Any = None

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Take the model; called before all other methods."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the parameters; called before all other methods."""
        self.params = params

    def on_train_begin(self, logs: Logs = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Called after the last epoch, with its results; after an interruption too, but not after an error."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Called before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Called after an epoch, with its results and those of the validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before a batch of training, counted from 0 in each epoch; calls `on_batch_begin`."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after a batch of training, with the means of the epoch so far; calls `on_batch_end`."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Old name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Old name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Called before an evaluation, that of an epoch's validation too."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Called after an evaluation, with its results."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before a batch of an evaluation, counted from 0."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after a batch of an evaluation, with the means so far."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Called before a prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Called after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before a batch of a prediction, counted from 0."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after a batch of a prediction, with what it gave as "outputs"."""


class Watcher(Callback):
    """A callback that needs quantities by name."""

    def check_quantities(self, known: Collection[str], more: bool) -> None:
        """Raise ValueError if a quantity that is needed can never come.

        ``known`` are the names that are measured or added, and with ``more`` callbacks of the user's may add others.
        """


class Monitor(Watcher):
    """A callback that looks whether a quantity gets better.

    Parameters
    ----------
    monitor : str
        Name of the quantity.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" knows the loss and the metrics of `numbaconv.metrics`.
    min_delta : float
        A smaller change does not count as better.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these; before the first step, if there can be no such quantity.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0) -> None:
        super().__init__()
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a quantity, got {monitor!r}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(number(min_delta, "min_delta"))
        self.best: float | None = None

    def check_quantities(self, known: Collection[str], more: bool) -> None:
        """Raise ValueError if the monitored quantity can never come, or it is not known which way is better."""
        if self.monitor not in known and not more:
            raise self._unknown(known)
        self._rises()
        # Whether those of the user's have a result before the first batch is not known.
        for name, metric, *_ in self.model._measures:
            if name == self.monitor.removeprefix("val_") and getattr(metric, "_own", False):
                self._check_single(metric.result(), f"of which {metric!r} gives several")

    def _unknown(self, known: Collection[str]) -> ValueError:
        validated = any(name.startswith("val_") for name in known)
        if self.monitor.startswith("val_") and not validated:
            advice = "; val_ needs validation_data or validation_split"
        else:
            advice = suggestion(self.monitor, known)
        name = type(self).__name__
        return ValueError(f"monitor of {name} must be one of {', '.join(known)}, got {self.monitor!r}{advice}")

    def _check_single(self, value: Any, found: str) -> None:
        if np.ndim(value):
            raise ValueError(f"monitor of {type(self).__name__} must be a single number, got {self.monitor!r}, {found}")

    def _current(self, logs: Logs) -> float | None:
        """The quantity; None in an epoch without validation."""
        current = (logs or {}).get(self.monitor)
        if current is None and self.monitor not in self.params.get("metrics", ()):
            raise self._unknown(logs or {})
        self._check_single(current, f"which is {current}")
        return current

    def _improves(self, current: float, reference: float | None) -> bool:
        """Whether a value is better than another by more than min_delta; any number is better than none."""
        rises = self._rises()
        if reference is None:
            return not math.isnan(current)
        return current - self.min_delta > reference if rises else current + self.min_delta < reference

    def _rises(self) -> bool:
        """Whether more is better."""
        name = self.monitor.removeprefix("val_")
        if self.mode != "auto":
            return self.mode == "max"
        direction = self.model._directions.get(name)
        if direction is not None:
            return bool(direction == "up")
        raise ValueError(
            f"mode of {type(self).__name__} must be 'min' or 'max' for a quantity of the user's, "
            f"got 'auto' for {self.monitor!r}"
        )


class Audience:
    """Callbacks that are told together."""

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: dict[str, Any]) -> None:
        self._callbacks = list(callbacks)
        for callback in self._callbacks:
            callback.set_params(params)
            callback.set_model(model)

    def tell(self, event: str, *arguments: Any) -> None:
        """Call a method of all of them, in order."""
        for callback in self._callbacks:
            getattr(callback, event)(*arguments)

    def check_quantities(self, measured: Iterable[str]) -> None:
        """Raise ValueError if one of them waits for what is neither measured nor added by those before it."""
        known, more = list(measured), False
        for callback in self._callbacks:
            if isinstance(callback, Watcher):
                callback.check_quantities(known, more)
            known += callback.adds
            more = more or _may_add(callback)


def check_callbacks(callbacks: Any) -> list[Callback]:
    """A list of callbacks, from a list, a single one or None."""
    listed = [] if callbacks is None else [callbacks] if isinstance(callbacks, Callback) else callbacks
    if not isinstance(listed, list | tuple) or not all(isinstance(callback, Callback) for callback in listed):
        raise TypeError(f"callbacks must be a list of numbaconv.callbacks.Callback, got {callbacks!r}")
    return list(listed)


def _may_add(callback: Callback) -> bool:
    """Whether code of the user's sees the results of an epoch."""
    ours = type(callback).__module__.partition(".")[0] == __name__.partition(".")[0]
    return not ours or "on_epoch_end" in vars(callback)

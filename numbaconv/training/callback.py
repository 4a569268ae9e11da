"""Base of all callbacks, and of those that watch a quantity."""

import math
from typing import Any

from .. import metrics
from .._registry import number
from .._strict import Strict

Logs = dict[str, Any] | None

_FALLING = (metrics.MeanSquaredError, metrics.MeanAbsoluteError, metrics.RootMeanSquaredError)


class Callback(Strict):
    """Base of all callbacks; its methods do nothing.

    Attributes
    ----------
    model : Sequential
        The model that is trained; ``model.stop_training = True`` ends training after the batch or epoch.
    params : dict
        As `numbaconv.history.History` has it.
    """

    model: Any = None

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Be told the model, before training begins."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Be told the parameters, before training begins."""
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
        """Called before a batch, counted from 0 in each epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after a batch, with the means of the epoch so far."""


class Monitor(Callback):
    """A callback that looks whether a quantity gets better."""

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

    def _current(self, logs: Logs) -> float | None:
        """The quantity; None in an epoch without validation."""
        current = (logs or {}).get(self.monitor)
        if current is None and self.monitor not in self.params.get("metrics", ()):
            raise ValueError(
                f"monitor of {type(self).__name__} must be one of {', '.join(logs or {})}, got {self.monitor!r}"
            )
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
        if name == "loss":
            return False
        for metric in self.model.metrics:
            if metric.name == name and type(metric).__module__ == metrics.__name__:
                return not isinstance(metric, _FALLING)
        raise ValueError(
            f"mode of {type(self).__name__} must be 'min' or 'max' for a quantity of the user's, "
            f"got 'auto' for {self.monitor!r}"
        )

"""The callbacks that set the learning rate."""

import inspect
from collections.abc import Callable
from typing import Any

from ..objects.registry import number
from ..optimizers.schedules import LearningRateSchedule
from ..shapes import normalize_tuple
from .base import Callback, Logs, Monitor


class ReduceLROnPlateau(Monitor):
    """Lowers the learning rate when a quantity has not got better for some epochs; puts the rate into the history.

    Parameters
    ----------
    factor : float
        From 0 to less than 1: what the rate is multiplied by. It is a number from then on, even if it was a schedule.
    patience : int
        Epochs without getting better, after which the rate is lowered.
    verbose : {0, 1}
        Whether to say so.
    cooldown : int
        Epochs that do not count after the rate was lowered.
    min_lr : float
        The rate is not lowered beyond this.
    """

    adds = ("learning_rate",)

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = number(factor, "factor", minimum=0, below=1)
        (self.patience,) = normalize_tuple(patience, 1, "patience", allow_zero=True)
        (self.cooldown,) = normalize_tuple(cooldown, 1, "cooldown", allow_zero=True)
        self.verbose = verbose
        self.min_lr = number(min_lr, "min_lr", minimum=0)

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = self._cooling = 0
        self.best = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        rate = self.model.optimizer.learning_rate
        _note_rate(self.model, logs)
        current = self._current(logs)
        if current is None:
            return
        if self._cooling:
            self._cooling -= 1
            self.wait = 0
        if self._improves(current, self.best):
            self.best = current
            self.wait = 0
        elif not self._cooling:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self._cooling, self.wait = self.cooldown, 0
                if self.verbose:
                    print(f"Epoch {epoch + 1}: learning rate lowered to {self.model.optimizer.learning_rate:g}")


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch; puts the rate into the history.

    Parameters
    ----------
    schedule : callable
        Function of the epoch, counted from 0, and the present learning rate, or of the epoch alone; returns the new
        rate.
    verbose : {0, 1}
        Whether to print it.

    Raises
    ------
    TypeError
        If `schedule` is no such function. Those of `numbaconv.schedules` count steps: they are for an optimizer's
        ``learning_rate``.
    """

    adds = ("learning_rate",)

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if isinstance(schedule, LearningRateSchedule):
            raise TypeError(
                "schedule must be a function of the epoch; one of numbaconv.schedules counts steps and is given to the "
                f"optimizer: SGD(learning_rate=schedule), got {schedule!r}"
            )
        takes = _takes(schedule) if callable(schedule) else 0
        if not takes:
            raise TypeError(
                f"schedule must be a function of the epoch, and of the learning rate if it wants, got {schedule!r}"
            )
        self.schedule = schedule
        self.verbose = verbose
        self._takes = takes

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        given = (epoch, optimizer.learning_rate)[: self._takes]
        optimizer.learning_rate = number(self.schedule(*given), "the schedule's learning rate")
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        _note_rate(self.model, logs)


def _note_rate(model: Any, logs: Logs) -> None:
    if logs is not None:
        logs["learning_rate"] = model.optimizer.learning_rate


def _takes(function: Callable[..., Any]) -> int:
    """How many arguments a function takes by position: 2 or otherwise 1; 0 if neither."""
    try:
        signature = inspect.signature(function)
    # Some functions written in C do not say.
    except ValueError:
        return 2
    for count in (2, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count
    return 0

"""What is done in the course of a training besides training, by Keras's names.

`Sequential.fit` calls the methods of every callback it is given. ``logs`` holds the running means of the epoch by name,
or the results of the epoch; what a callback adds to those in ``on_epoch_end`` gets into the history. How far a callback
has counted is not saved with a model.
"""

import csv
import os
from collections.abc import Callable
from typing import Any

from ._registry import number
from .arguments import check_bool
from .history import History
from .shapes import normalize_tuple
from .training.callback import Callback, Logs, Monitor

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
]


class EarlyStopping(Monitor):
    """Ends training when a quantity has not got better for some epochs.

    Parameters
    ----------
    monitor : str
        Name of the quantity.
    min_delta : float
        What changes by less has not got better.
    patience : int
        Epochs without getting better, after which training ends; not before the second epoch.
    verbose : {0, 1}
        Whether to say so.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" knows the loss and the metrics of `numbaconv.metrics`.
    baseline : float, optional
        What is no better than this does not count as better.
    restore_best_weights : bool
        Whether the model gets back the weights of its best epoch when training ends.
    start_from_epoch : int
        Epochs at the beginning that do not count.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these; in training, if there is no such quantity.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        (self.patience,) = normalize_tuple(patience, 1, "patience", allow_zero=True)
        (self.start_from_epoch,) = normalize_tuple(start_from_epoch, 1, "start_from_epoch", allow_zero=True)
        self.verbose = verbose
        self.baseline = None if baseline is None else number(baseline, "baseline")
        self.restore_best_weights = check_bool(restore_best_weights, "restore_best_weights")

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Any] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        current = self._current(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        better = self._improves(current, self.best)
        if self.restore_best_weights and (better or self.best_weights is None):
            # Weights are read-only, so that it takes no copy to keep them.
            self.best_weights, self.best_epoch = self.model.weights, epoch
        if better:
            self.best = current
            if self.baseline is None or self._improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.verbose and self.stopped_epoch:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Weights are those of epoch {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(Monitor):
    """Saves the model in the course of training, with its optimizer, so that training can go on from the file.

    Parameters
    ----------
    filepath : path-like
        May have ``{epoch}``, counted from 1, and names of quantities in it, ``"{epoch:02d}-{val_loss:.2f}.npz"``, and
        ``{batch}`` if `save_freq` counts batches. Folders that do not exist are made.
    monitor, mode : str
        As for `EarlyStopping`.
    verbose : {0, 1}
        Whether to say what is saved.
    save_best_only : bool
        Whether to save only when the quantity is better than ever before.
    save_weights_only : bool
        Must be False: a file holds a whole model.
    save_freq : "epoch" or int
        Save after every epoch, or after so many batches.
    initial_value_threshold : float, optional
        What the quantity has to be better than at first.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these; in training, if there is no such quantity.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        if not isinstance(self.filepath, str):
            raise TypeError(f"filepath must be a path, not bytes, got {filepath!r}")
        self.verbose = verbose
        self.save_best_only = check_bool(save_best_only, "save_best_only")
        if check_bool(save_weights_only, "save_weights_only"):
            raise ValueError("save_weights_only must be False, because a file holds a whole model, got True")
        self.save_freq = save_freq if save_freq == "epoch" else normalize_tuple(save_freq, 1, "save_freq")[0]
        self.best = (
            None if initial_value_threshold is None else number(initial_value_threshold, "initial_value_threshold")
        )
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if isinstance(self.save_freq, int) and self._batches % self.save_freq == 0:
            self._save({"epoch": self._epoch + 1, "batch": batch + 1}, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save({"epoch": epoch + 1}, logs)

    def _save(self, place: dict[str, int], logs: Logs) -> None:
        if self.save_best_only:
            current = self._current(logs)
            if current is None or not self._improves(current, self.best):
                return
            self.best = current
        names = {**place, **(logs or {})}
        try:
            path = self.filepath.format(**names)
        except (KeyError, IndexError) as error:
            raise ValueError(f"filepath must have only {', '.join(names)} in braces, got {self.filepath!r}") from error
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        self.model.save(path)
        if self.verbose:
            print(f"Epoch {place['epoch']}: model saved as {path}")


class ReduceLROnPlateau(Monitor):
    """Lowers the learning rate when a quantity has not got better for some epochs; puts the rate into the history.

    Parameters
    ----------
    monitor, mode : str
        As for `EarlyStopping`.
    factor : float
        From 0 to less than 1: what the rate is multiplied by. It is a number from then on, even if it was a schedule.
    patience : int
        Epochs without getting better, after which the rate is lowered.
    verbose : {0, 1}
        Whether to say so.
    min_delta : float
        What changes by less has not got better.
    cooldown : int
        Epochs that do not count after the rate was lowered.
    min_lr : float
        The rate is not lowered beyond this.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these; in training, if there is no such quantity.
    """

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
        Function of the epoch, counted from 0, and the present learning rate; returns the new one.
    verbose : {0, 1}
        Whether to print it.

    Raises
    ------
    TypeError
        If `schedule` cannot be called.
    """

    def __init__(self, schedule: Callable[[int, float], float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"schedule must be a function of the epoch and the learning rate, got {schedule!r}")
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        optimizer.learning_rate = number(self.schedule(epoch, optimizer.learning_rate), "the schedule's learning rate")
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        _note_rate(self.model, logs)


class CSVLogger(Callback):
    """Writes a line for every epoch to a text file: the epoch, counted from 0, and its results in order of their names.

    Parameters
    ----------
    filename : path-like
    separator : str
        One character.
    append : bool
        Whether an old file is continued rather than replaced.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"separator must be one character, got {separator!r}")
        self.separator = separator
        self.append = check_bool(append, "append")

    def on_train_begin(self, logs: Logs = None) -> None:
        self._columns: list[str] = []
        if not self.append:
            open(self.filename, "w").close()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not self._columns:
            self._columns = ["epoch", *sorted({*self.params["metrics"], *(logs or {})})]
        # Opened anew every time, so that the file is complete whatever happens later.
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, "NA", "ignore", delimiter=self.separator)
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow({"epoch": epoch, **(logs or {})})


class LambdaCallback(Callback):
    """Calls functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))``.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Functions of the epoch and ``logs``.
    on_train_begin, on_train_end : callable, optional
        Functions of ``logs``.
    on_train_batch_begin, on_train_batch_end : callable, optional
        Functions of the batch and ``logs``.

    Raises
    ------
    TypeError
        If one of them cannot be called.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, function in hooks.items():
            if function is not None:
                if not callable(function):
                    raise TypeError(f"{name} must be a function, got {function!r}")
                setattr(self, name, function)


def _note_rate(model: Any, logs: Logs) -> None:
    if logs is not None:
        logs["learning_rate"] = model.optimizer.learning_rate

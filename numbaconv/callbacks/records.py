"""The callbacks that write down or hand on what happens."""

import csv
import os
from collections.abc import Callable
from typing import Any

from ..common.arguments import check_bool
from .base import Callback, Logs


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
        # Even where nothing is to be replaced: a file that cannot be written is told now and not after an epoch.
        open(self.filename, "a" if self.append else "w").close()

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
    **others : callable, optional
        Any other method of `Callback` whose name begins with ``on_``, such as ``on_test_end``.

    Raises
    ------
    TypeError
        If one of them cannot be called, or `Callback` has no such method.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **others: Callable[..., Any] | None,
    ) -> None:
        super().__init__()
        hooks = {name: value for name, value in locals().items() if name.startswith("on_")} | others
        known = [name for name in vars(Callback) if name.startswith("on_")]
        for name, function in hooks.items():
            if name not in known:
                raise TypeError(f"LambdaCallback takes {', '.join(known)}, got {name}")
            if function is not None:
                if not callable(function):
                    raise TypeError(f"{name} must be a function, got {function!r}")
                setattr(self, name, function)

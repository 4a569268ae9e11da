"""What a long computation shows, and how it is stopped."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from math import inf
from typing import Any

import numpy as np

from ..callbacks.base import Callback, Logs
from ..machine import compiling as _compiling
from ..machine.words import Later

# It takes longer to import than a small network to run.
signal: Any = Later("signal")
# Seconds that predict and evaluate work in silence under verbose="auto".
PATIENCE = 2


def check_verbose(value: Any) -> Any:
    """0, 1, 2 or "auto"; False and True are 0 and 1."""
    if value not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose must be 0, 1, 2 or 'auto', got {value!r}")
    return int(value) if isinstance(value, bool) else value


def _new_bar(**options: Any) -> Any:
    """A bar of text, or a widget in a notebook that can show it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    # Elsewhere tqdm.auto would import asyncio, and warn where there are no widgets.
    widgets = "IPKernelApp" in getattr(shell, "config", {}) and find_spec("ipywidgets")
    bar = import_module("tqdm.auto" if widgets else "tqdm").tqdm(**options)
    bar.compiled = _compiling.seconds
    return bar


def _leave_out_compiling(bar: Any) -> None:
    """Set a bar's clock back by what went into compiling: what is left to do will take none of it."""
    seconds = _compiling.seconds - bar.compiled
    bar.compiled = _compiling.seconds
    if seconds and not bar.disable:
        bar.start_t += seconds
        bar.last_print_t = min(bar.last_print_t + seconds, time.time())


def examples_bar(total: int | None, name: str, verbose: int | str, unit: str = "example") -> Any:
    """A progress bar on standard error that counts examples."""
    options = {"total": total, "desc": name, "unit": unit}
    if verbose in (0, "auto"):
        return _LateBar(PATIENCE if verbose else inf, options)
    return _new_bar(**options)


class _LateBar:
    """A bar that is made once it is seen: tqdm takes longer to import than a small network to run."""

    # As of a bar of tqdm whose clock nobody sets back: it has its own.
    disable = True

    def __init__(self, delay: float, options: dict[str, Any]) -> None:
        self._delay, self._options, self._done = delay, options, 0
        self._start, self.compiled = time.time(), _compiling.seconds
        self._before = self.compiled
        self._bar: Any = None

    def __enter__(self) -> "_LateBar":
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, count: int) -> None:
        """Count examples that are done."""
        if self._bar is not None:
            _leave_out_compiling(self._bar)
            self._bar.update(count)
            return
        self._done += count
        start = self._start + _compiling.seconds - self._before
        if time.time() - start >= self._delay:
            # With a delay, nothing is drawn before the count is right.
            self._bar = _new_bar(**self._options, delay=1e-9)
            self._bar.start_t, self._bar.n = start, self._done
            self._bar.last_print_n = self._done
            self._bar.refresh()


def watched(batches: Iterable[Any], bar: Any) -> Iterator[Any]:
    """The batches; the bar counts the examples of those that are done."""
    for batch in batches:
        yield batch
        _leave_out_compiling(bar)
        bar.update(len(batch))


class Progress(Callback):
    """Shows each epoch of training: a bar on standard error, or one line on standard output with ``verbose=2``."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._title = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._start = time.perf_counter()
        if self.params["verbose"] in (1, "auto"):
            self._bar = _new_bar(total=self.params["steps"], desc=self._title, unit="batch")

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._bar is not None:
            _leave_out_compiling(self._bar)
            # Text is only made as often as the bar is drawn, and before validation, which may take long.
            if self._bar.update() or batch + 1 == self.params["steps"]:
                self._bar.set_postfix_str(_text(logs))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self._bar is not None:
            _leave_out_compiling(self._bar)
            self._bar.set_postfix_str(_text(logs), refresh=False)
            self.close()
        elif self.params["verbose"] == 2:
            print(f"{self._title}: {time.perf_counter() - self._start:.1f} s, {_text(logs)}", flush=True)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Interruption:
    """Context in which the first Ctrl-C only sets ``asked``; the next one raises KeyboardInterrupt.

    It does so in the main thread alone, which gets all signals, and only in place of Python's own handler: whoever has
    set another one keeps it.
    """

    def __enter__(self) -> "Interruption":
        self.asked = False
        main = threading.current_thread() is threading.main_thread()
        self._active = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._active:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self._active:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, *signal_and_frame: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _text(logs: Logs) -> str:
    return ", ".join(f"{name}: {_shown(value)}" for name, value in (logs or {}).items())


def _shown(value: Any) -> str:
    if np.ndim(value) == 0:
        return f"{value:.4g}"
    return f"[{', '.join(f'{one:.4g}' for one in np.ravel(value))}]"

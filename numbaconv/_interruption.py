"""Ctrl-C at a moment that suits the program."""

import signal
import threading


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

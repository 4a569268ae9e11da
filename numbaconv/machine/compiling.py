"""The time that this process spends compiling kernels, and one line that says so to whoever waits for the first call.

``NUMBACONV_NOTICE=0`` does without the line.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator

# Seconds of compiling after which it is said what takes so long.
PATIENCE = 1.0

seconds = 0.0
_noticed = False


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Context in which a kernel is compiled, by one thread of the process at a time."""
    global seconds
    start = time.perf_counter()
    timer = None
    if not _noticed and os.environ.get("NUMBACONV_NOTICE") != "0":
        timer = threading.Timer(max(PATIENCE - seconds, 0), _notice)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # No more threads: too many of them, or the interpreter is about to end.
            timer = None
    try:
        yield
    finally:
        seconds += time.perf_counter() - start
        if timer is not None:
            timer.cancel()
            # A fork that waits for the end of compiling is to find no other thread.
            timer.join()


def _notice() -> None:
    global _noticed
    _noticed = True
    often = "in every process" if os.environ.get("NUMBACONV_CACHE") == "0" else "once on this machine"
    text = f"numbaconv: compiling kernels, {often} ... (python -m numbaconv --compile does it ahead)"
    stream = sys.stderr
    if stream is None or getattr(stream, "closed", False):
        return
    # Bars are drawn anew below the line.
    write = getattr(getattr(sys.modules.get("tqdm"), "tqdm", None), "write", print)
    # Nobody may be there to read.
    with contextlib.suppress(OSError, ValueError):
        write(text, file=stream)
        stream.flush()

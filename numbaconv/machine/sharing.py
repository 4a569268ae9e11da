"""Kernels that a program lacks are compiled by two processes: each leaves to the other what that one has begun.

Numba compiles in one thread at a time. So where a network finds no machine code on disk, another process begins at its
other end, and its machine code is found on disk in turn. Both take next what nobody has begun. Who compiles a kernel
holds a lock on a file meanwhile, which the system takes away from a process that ends. Nothing here is needed: whatever
goes wrong, kernels are compiled by the process that calls them.
"""

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import start, threads

if TYPE_CHECKING:
    import subprocess

# Seconds that a process waits for what the other one compiles, between one look and the next, and in all.
TICK, PATIENCE = 0.01, 60.0
# The other process is told where modules are before it imports any; a folder of the user's may have one called json.
_PROGRAM = (
    "import sys; del sys.path[0]; import json; "
    "told = json.loads(sys.stdin.buffer.readline()); sys.path[:] = told['path']; "
    "from numbaconv.models.fused.beside import compile_from_the_end; compile_from_the_end(told)"
)

_helper: "subprocess.Popen[bytes] | None" = None
# Where a kernel has to be compiled: what is to be told to a helper, and what is run then.
_offered: tuple[Callable[[], dict[str, Any]], Callable[[], None]] | None = None
# Whether this process is one that helps.
_helping = False
_claims: list[tuple[Any, Path]] = []


class _Waiting(threading.local):
    """Whether this thread waits for what another process compiles."""

    usual = True


_waiting = _Waiting()


class ElsewhereError(Exception):
    """Another process compiles the kernel."""


def wanted() -> bool:
    """Whether another process may help this one."""
    usual = sys.executable and "python" in os.path.basename(sys.executable) and not getattr(sys, "frozen", False)
    some = os.environ.get("NUMBACONV_COMPILERS", "2") != "1" and not threads.alone and start.usable()
    return bool(usual and some and len(os.sched_getaffinity(0)) > 1)


@contextlib.contextmanager
def offered(tell: Callable[[], dict[str, Any]], ahead: Callable[[], None]) -> Iterator[None]:
    """Context in which a helper is started as soon as a kernel has to be compiled; it ends with the context.

    Then ``ahead`` is called, in which kernels that the helper compiles raise `ElsewhereError`: rather than wait for one
    of them, this process is to compile others.
    """
    global _offered
    if _offered is not None or _helper is not None:
        # A network within another one, whose helper has its kernels, too.
        yield
        return
    _offered = tell, ahead
    try:
        yield
    finally:
        _offered = None
        _end()


def ask() -> None:
    """Start a helper where that is offered: a kernel has to be compiled."""
    global _offered, _helper
    found, _offered = _offered, None
    if found is None or _helper is not None or not wanted():
        return
    tell, ahead = found
    # Most processes never come here.
    import json
    import subprocess

    with contextlib.suppress(Exception):
        told = tell()
        if not told["model"]:
            return
        text = json.dumps(told | {"path": sys.path}).encode()
        options = ["-O"] * sys.flags.optimize + ["-W", "ignore"]
        _helper = subprocess.Popen(
            [sys.executable, *options, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"NUMBACONV_NOTICE": "0", "NUMBACONV_COMPILERS": "1"},
        )
        atexit.register(_end)
        # It stays open: its end is that of this process.
        assert _helper.stdin is not None
        _helper.stdin.write(text + b"\n")
        _helper.stdin.flush()
        _waiting.usual = False
        try:
            ahead()
        finally:
            _waiting.usual = True


def _end() -> None:
    """End the helper, whatever it is doing."""
    global _helper
    helper, _helper = _helper, None
    release()
    if helper is not None:
        with contextlib.suppress(OSError):
            helper.kill()
            helper.communicate()


def _forget() -> None:
    """In a forked process, the helper is the parent's."""
    global _helper, _offered
    if _helper is not None:
        _helper.returncode = 0
    _helper = _offered = None
    _claims.clear()


def help_from_now_on() -> None:
    """Be the process that helps: leave alone what the other one compiles, and end with it."""
    global _helping
    _helping = True

    def watch() -> None:
        # Past the buffer, on whose lock the end of this process would wait.
        os.read(0, 1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def claim(folder: Path, name: str) -> None:
    """Begin to compile what is kept under this name: wait for the other process, if that has begun.

    A process that helps raises `ElsewhereError` instead, and so does who looks ahead.
    """
    if not _helping and _helper is None:
        return
    import fcntl

    release()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.lock"
        file = path.open("w")
    except OSError:
        return
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _claims.append((file, path))
            return
        except BlockingIOError:
            if _helping or not _waiting.usual:
                file.close()
                raise ElsewhereError(name) from None
            if _helper is None or _helper.poll() is not None or time.monotonic() > end:
                break
        except OSError:
            break
        time.sleep(TICK)
    file.close()


def release() -> None:
    """Let others compile what this process has begun, or find it on disk."""
    while _claims:
        file, path = _claims.pop()
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

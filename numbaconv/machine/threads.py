"""How many threads kernels are spread over, and what forks do to them.

A forked process has none of its parent's worker threads; GNU's OpenMP waits for them for ever, or Numba ends the
process. So its kernels run in one thread. What Numba does with launches is in `launching`.
"""

import contextlib
import ctypes
import functools
import os
import sys
import threading

from .words import setting

# GNU OpenMP has idle threads spin for milliseconds. Where another process takes a core, spinning threads end up waiting
# for each other's time slices; where none does, a thread that sleeps takes longer to wake than a small call. So they
# spin a little longer than waking takes: asv_bench/spinning.py measures both.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# Whether kernels are to run in the thread that calls them.
alone = False


class CompilerLock:
    """The lock under which kernels are loaded and compiled, and with it that of Numba's compiler, once it is there."""

    def __init__(self):
        self._own, self._taken, self.numbas = threading.RLock(), [], None

    def acquire(self):
        self._own.acquire()
        # The one who takes it may be just about to import Numba.
        self._taken.append(self.numbas)
        if self._taken[-1] is not None:
            self._taken[-1].acquire()

    def release(self):
        taken = self._taken.pop()
        if taken is not None:
            taken.release()
        self._own.release()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


compiler_lock = CompilerLock()
# Numba takes a lock that parent and child share whenever the number of threads is asked for. A child made meanwhile
# could never give it back, and both would wait for ever.
asking_lock = threading.RLock()


@functools.cache
def most():
    """Threads that Numba will start."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(setting("NUM_THREADS", cores))


def count():
    """Threads that a kernel called from here is spread over."""
    if alone:
        return 1
    # Once Numba has its threads, what tells their number takes no locks: a tenth of the time.
    told = getattr(sys.modules.get("numba.np.ufunc.parallel"), "_get_num_threads", None)
    if told is not None and (number := told()) > 0:
        return number
    ask = getattr(sys.modules.get("numba"), "get_num_threads", None)
    if ask is None:
        return most()
    with asking_lock:
        return ask()


def spread():
    """`count`, or 0 where kernels are to run in the thread that calls them."""
    return 0 if alone else count()


def remember(maxsize):
    """Decorator like `functools.lru_cache`, for what is made for the number of threads that a kernel is spread over.

    What says of itself that it is ``serial`` serves any number; asking for the number would take a small call's time.
    """

    def decorate(make):
        @functools.lru_cache(maxsize)
        @functools.wraps(make)
        def first(*args):
            return count(), make(*args)

        @functools.lru_cache(maxsize)
        @functools.wraps(make)
        def others(threads, *args):
            return make(*args)

        @functools.wraps(make)
        def made(*args):
            threads, known = first(*args)
            if known.serial or threads == (now := count()):
                return known
            return others(now, *args)

        made.cache_info, made.cache_parameters = first.cache_info, first.cache_parameters
        made.cache_clear = lambda: (first.cache_clear(), others.cache_clear())
        return made

    return decorate


def held_at_fork(lock):
    """`lock`, an RLock, which each fork from now on waits for: in the child, whoever else held it would be gone.

    Locks are taken in the opposite order of the calls of this function: first what is held while others are asked for.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


# A child would have to go on with what its parent's other threads left in the middle of something.
held_at_fork(asking_lock)
held_at_fork(compiler_lock)


def _gomp_loaded():
    try:
        ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD)
    except OSError:
        return False
    return True


def _stay_alone():
    global alone
    numba = sys.modules.get("numba")
    layer = None
    if numba is not None:
        with contextlib.suppress(ValueError, AttributeError):
            layer = numba.threading_layer()
    # Somebody else may have run OpenMP before Numba did.
    alone = alone or layer is not None or _gomp_loaded()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stay_alone)

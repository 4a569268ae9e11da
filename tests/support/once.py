"""Processes that test side by side compile no kernel twice: who comes second waits and finds it on disk.

As a program it compiles ahead for such processes what layers need: ``python once.py FOLDER``, or with
``--double``, in double precision, too.
"""

import fcntl
import sys
from pathlib import Path

from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher

from numbaconv.machine.cache import folders
from numbaconv.selfcheck import layers


def compile_once(folder):
    """Let this process compile only what no other one compiles at the time, by locks on files in ``folder``.

    Returns
    -------
    callable
        Undoes it.
    """
    compile_anyway = Dispatcher.compile

    def compile_alone(self, sig):
        if not folders(self):
            return compile_anyway(self, sig)
        name, _ = self._cache._identity(sig, self.targetctx.codegen())
        # Numba's lock first, as it is taken in any case: a helper is compiled while the lock on its caller is held.
        with global_compiler_lock, Path(folder, name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return compile_anyway(self, sig)

    Dispatcher.compile = compile_alone
    return lambda: setattr(Dispatcher, "compile", compile_anyway)


if __name__ == "__main__":
    compile_once(sys.argv[1])
    if not sys.argv[2:]:
        # Not all kernels of double precision are needed, and the tests compile theirs side by side.
        del layers.TOLERANCE["float64"]
    for _ in layers.check_layers():
        pass
    layers.call_rare_kernels()

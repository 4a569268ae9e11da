"""Which compiled functions the cache keeps on disk."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from situations import environment

from numbaconv import functional
from numbaconv.kernels import pool
from numbaconv.machine import cache as _cache
from numbaconv.machine import compiler
from numbaconv.machine.words import prange


@pytest.mark.parametrize("name", ["max", "average"])
def test_kernels_that_hand_helpers_on_are_kept(name):
    kernel = getattr(pool, f"{name}_pool")
    getattr(functional, f"{name}_pool")(np.ones((1, 4, 4, 16), "float32"), 2)
    (one, *_) = kernel.dispatcher.overloads.values()
    # An address of this process keeps code from the disk.
    assert not one.library.has_dynamic_globals


def test_the_source_of_a_kernel_is_that_of_its_function():
    """Numba asks for it as it keeps a kernel; elsewhere in the file, Python from 3.12 on may find no source at all."""
    dispatcher = pool.max_pool.dispatcher
    assert inspect.getsource(dispatcher.py_func).startswith("@compiled(parallel=True)\ndef max_pool(x, ")


SEPARABLE = """
import numpy as np
from numbaconv import reference
ones, zeros = (1, 1, 1), (0, 0, 0)
weights = np.ones((1, 3, 3, 2, 1)), np.ones((1, 1, 1, 2, 3)), np.zeros(3)
print(reference.separable_conv(np.ones((1, 1, 4, 4, 2)), *weights, ones, ones, zeros, zeros).sum())
"""


@pytest.mark.slow
def test_functions_that_call_others_compile_where_those_are_kept(tmp_path):
    """As where a process was stopped in between: code that is called must be whole on disk."""
    command, env = [sys.executable, "-c", SEPARABLE], environment(NUMBA_CACHE_DIR=tmp_path)
    for gone in ("operations.separable_conv.*", "operations.*conv.*", "operations.[cd]*conv.*"):
        for path in tmp_path.rglob(gone):
            if "_conv_length" not in path.name:
                path.unlink()
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (done.stdout, done.returncode) == ("216.0\n", 0), done.stderr


def test_functions_from_elsewhere_are_not_kept():
    """Only this package's own sources are watched, so that only its functions are kept."""

    @compiler.compiled(parallel=True)
    def twice(a, out):
        for i in prange(1):
            out[i] = 2 * a

    out = np.zeros(1)
    twice(21, out, serial=True)
    assert out == 42
    assert _cache.folders(twice.dispatcher) is None

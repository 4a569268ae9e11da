"""No kernel leaves its arrays: guard pages around those of parallel kernels, checked accesses in serial ones."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="guard pages are made as Linux has them")
bounds = pytest.mark.situation("bounds")


def run_python(*arguments, **environment):
    paths = os.pathsep.join([str(ROOT), str(SUPPORT)])
    environment = {**os.environ, "PYTHONPATH": paths, **environment}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def assert_guarded(side, **environment):
    """The number of cases that ran beside guard pages."""
    done = run_python(str(SUPPORT / "guarded.py"), side, **environment)
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 0, f"{last}: ended with {done.returncode}\n{done.stderr}"
    return int(last)


@bounds
@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("side", ["end", "start"])
def test_arrays_beside_guard_pages(side, record_property):
    record_property("cases beside guard pages", assert_guarded(side))


@bounds
@on_linux
@pytest.mark.nightly
@pytest.mark.parametrize("side", ["end", "start"])
@pytest.mark.parametrize("width", ["16", "32"])
def test_arrays_beside_guard_pages_with_other_vectors(side, width, record_property):
    record_property("cases beside guard pages", assert_guarded(side, NUMBACONV_VECTOR_BYTES=width))


@bounds
@pytest.mark.slow
def test_every_access_of_the_case_tables_is_checked(record_property):
    files = "functional", *(f"kernels/test_{name}.py" for name in ("winograd", "kernels", "channel_sums"))
    files = *files, "layers/test_normalization.py", "components/test_large_activations.py"
    files = *files, "calls/test_epilogues.py", "calls/test_passes.py"
    names = [f"tests/{name}" for name in files]
    done = run_python("-m", "pytest", *names, "-p", "no:cacheprovider", NUMBA_BOUNDSCHECK="1")
    assert done.returncode == 0, done.stdout + done.stderr
    record_property("tests with checked accesses", int(re.search(r"(\d+) passed", done.stdout)[1]))


LEAVING = """
import sys
import numba
import numpy as np
from guarded import GuardedMemory
from numbaconv.machine.memory import clear

memory = GuardedMemory(sys.argv[1])
array = memory.empty(5, np.float32)
numba.njit(lambda array, at, count: clear(array, at, count))(array, *map(int, sys.argv[2:]))
memory.check()
"""


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("arguments", [("end", "0", "6"), ("start", "-1", "2")], ids=["behind", "in front"])
def test_guard_pages_end_a_process_that_touches_them(arguments):
    assert run_python("-c", LEAVING, *arguments).returncode == -signal.SIGSEGV


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("arguments", [("end", "-1", "1"), ("start", "5", "1")], ids=["in front", "behind"])
def test_margins_tell_of_writes(arguments):
    done = run_python("-c", LEAVING, *arguments)
    assert done.returncode == 1
    assert "a kernel wrote beside an array" in done.stderr


# Where a copy into 3 elements from 5 begins, in both, how many it copies, and whether they exist.
COPIES = [
    (0, 0, 3, True),
    (0, 2, 3, True),
    (0, 3, 3, False),
    (1, 0, 3, False),
    (-1, 0, 1, False),
    (0, -1, 1, False),
    (9, -9, 0, True),
    (2, 2, -1, False),
]
CHECKED = f"""
import numba
import numpy as np
from numbaconv.machine.memory import clear, copy

x, out = np.ones(5), np.ones(3)
call = numba.njit(lambda out, at, x, start, count: copy(out, at, x, start, count))
for at, start, count, inside in {COPIES}:
    try:
        call(out, at, x, start, count)
    except IndexError as error:
        assert str(error) == "a tile left its array"
        assert not inside, (at, start, count)
    else:
        assert inside, (at, start, count)
"""


def test_checked_copies():
    done = run_python("-c", CHECKED, NUMBA_BOUNDSCHECK="1")
    assert done.returncode == 0, done.stderr


WRONG_CALL = """
import numpy as np
from numbaconv import functional
from numbaconv.calls import conv as calls
from numbaconv.kernels.pack import aligned_empty

calls.aligned_empty = lambda shape, dtype: aligned_empty((*shape[:-2], shape[-2] - 1, shape[-1]), dtype)
functional.conv(np.ones((1, 8, 8, 3), "f4"), np.ones((3, 3, 3, 4), "f4"))
"""


@pytest.mark.slow
def test_checked_kernels_refuse_an_array_that_is_too_small():
    done = run_python("-c", WRONG_CALL, NUMBA_BOUNDSCHECK="1")
    assert "IndexError: a tile left its array" in done.stderr

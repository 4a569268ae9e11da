"""Processes that find all their machine code on disk, and never import Numba."""

import importlib
import shutil

import numpy as np
import pytest
from situations import run

from numbaconv import activations, functional
from numbaconv.kernels import named
from numbaconv.machine import cache as _cache
from numbaconv.machine import start
from numbaconv.machine.compiler import ParallelKernel, recorded

pytestmark = pytest.mark.skipif(
    start.host() is None, reason="machine code is kept for starts on Linux with x86-64 and Numba's usual settings"
)

# One kernel as a plain loop, and over the cores.
PAD = """
import sys
import numpy as np
from numbaconv import functional
rng = np.random.default_rng(0)
small, large = rng.random((1, 3, 3, 2), "float32"), rng.random((4, 150, 150, 16), "float32")
def check():
    for x in (small, large):
        out = functional.zero_pad(x, ((1, 0), (0, 2)))
        np.testing.assert_array_equal(out, np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))))
"""
WITHOUT = PAD + "check()\nassert not {'numba', 'llvmlite'} & set(sys.modules)"
WITH = PAD + "check()\nassert 'numba' in sys.modules"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with all machine code of `PAD`."""
    folder = tmp_path_factory.mktemp("kept")
    run(WITH, NUMBA_CACHE_DIR=folder)
    return folder


def test_the_second_process_does_without_numba(kept):
    for _ in range(2):
        run(WITHOUT, NUMBA_CACHE_DIR=kept)


def test_what_predicting_does_not_need_is_not_imported(kept):
    needless = {"numpy.random", "tempfile", "html", "hashlib", "dataclasses", "signal", "numbaconv.calls.gradients"}
    needless |= {f"numbaconv.{name}" for name in ("kernels.conv", "kernels.pool", "kernels.blend", "machine.tile")}
    code = f"""
import sys
import numpy
before = set(sys.modules)
import numbaconv.models
assert not {needless} & set(sys.modules) - before
"""
    run(code, NUMBA_CACHE_DIR=kept)


def test_kernels_by_name_are_those_of_their_modules():
    kernels = [kernel for kernel in vars(named).values() if isinstance(kernel, ParallelKernel)]
    assert len(kernels) > 10
    for kernel in kernels:
        assert vars(importlib.import_module(kernel.__module__))[kernel.__name__] is kernel
        assert kernel.__wrapped__.__name__ == kernel.__name__


@pytest.mark.slow
def test_numba_comes_in_later(kept):
    """For a kernel that is not on disk, or for functions of the user's; it finds its own modules and threads."""
    later = """
assert "numba" not in sys.modules
out = functional.upsample(np.ones((1, 4, 4, 3), "float32"), 2)
assert out.shape == (1, 8, 8, 3) and (out == 1).all()
import numba
from numba import prange
@numba.njit(parallel=True)
def total(x):
    sums = 0.0
    for i in prange(x.size):
        sums += x.flat[i]
    return sums
assert total(np.ones((200, 500))) == 100000
numba.set_num_threads(1)
check()
numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
check()
"""
    run(PAD + "check()" + later, NUMBA_CACHE_DIR=kept, NUMBA_NUM_THREADS=2)


@pytest.mark.situation("fork after a kernel ran")
def test_numba_is_there_first(kept, tmp_path):
    """For a kernel that was not on disk; those that are do without it all the same."""
    first = """
functional.zero_pad(small.astype("float64"), ((1, 0), (0, 2)))
assert "numba" in sys.modules
check()
from numbaconv.machine import start
assert not start._broken
"""
    run(PAD + first, NUMBA_CACHE_DIR=shutil.copytree(kept, tmp_path / "kept"))


def test_a_fork(kept):
    """A child has none of its parent's threads; it goes on with the plain loops."""
    forked = """
import os
from numbaconv.machine import threads
check()
child = os.fork()
if not child:
    check()
    os._exit(0 if threads.alone and "numba" not in sys.modules else 1)
assert os.waitpid(child, 0)[1] == 0 and not threads.alone
check()
"""
    run(PAD + forked, NUMBA_CACHE_DIR=kept)


@pytest.mark.situation("8 threads at once")
def test_threads(kept):
    threads = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    for done in [pool.submit(check) for _ in range(32)]:
        done.result()
assert "numba" not in sys.modules
"""
    run(PAD + threads, NUMBA_CACHE_DIR=kept)


@pytest.mark.situation("damaged cache files")
@pytest.mark.parametrize("damage", ["half", "one bit", "gone"])
def test_damaged_code_is_not_run(kept, tmp_path, damage):
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    (file, *_) = tmp_path.rglob("*.nbm")
    content = file.read_bytes()
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    file.write_bytes(content[:middle] if damage == "half" else changed)
    if damage == "gone":
        file.unlink()
    run(WITH, NUMBA_CACHE_DIR=tmp_path)


@pytest.mark.parametrize("variables", [{"NUMBA_BOUNDSCHECK": 1}, {"NUMBA_OPT": 1}, {"NUMBACONV_CACHE": 0}])
@pytest.mark.slow
def test_settings_of_numba_are_heeded(kept, variables):
    run(WITH, NUMBA_CACHE_DIR=kept, **variables)


FAILS = """
from numbaconv.machine import native, private
{change}
check()
assert "numba" in sys.modules
assert len(private.losses) == {losses}
"""


@pytest.mark.parametrize(
    ("change", "losses"),
    [
        ("native.Runtime.address = lambda self, name: native._address('no such function')", 0),
        ("native.mmap.PROT_EXEC = 1 << 20", 0),
        ("native._extension = lambda name: object()", 1),
    ],
)
def test_where_code_cannot_be_placed_numba_runs_it(kept, change, losses):
    """Other names, systems that let nobody write code, and Numba without what is looked for."""
    code = PAD + FAILS.format(change=change, losses=losses)
    _, err = run(code, NUMBA_CACHE_DIR=kept)
    assert err.count("Results are right, but processes that find") == losses


@pytest.mark.slow
def test_code_with_other_relocations_is_kept_for_numba_alone(tmp_path):
    run(f"from numbaconv.machine import native\nnative._ADDRESS = 2\n{PAD}check()", NUMBA_CACHE_DIR=tmp_path)
    assert {file.suffix for file in tmp_path.rglob("*.nb[cm]")} == {".nbc"}


def test_types_are_told_alike_with_and_without_numba():
    """The kinds of arguments of every call, and those of the types that Numba finds for them."""
    import numba

    x = np.ones((2, 5, 5, 3), "float32")
    frozen = x.copy()
    frozen.flags.writeable = False
    values = (x, frozen, x[0, 0, 0], np.zeros(3, np.int32), 3, 2.5, True, None, (1, 2), (x, 1.0), (), np.int64(3))
    assert start.kinds(values) == _cache._kinds([numba.typeof(value) for value in values])
    fits = start.test_of(values)
    assert fits(values)
    for i, other in enumerate((x[0], x, x[0, 0, 0].astype("f8"), x[0, 0, 0], 3.0, 2, 1, 0, (1, 2, 3), (x, 1), None, 3)):
        assert not fits((*values[:i], other, *values[i + 1 :])), i
    assert not fits((x[:, ::-1], *values[1:]))
    assert start.kinds((x[:, ::2],)) is None
    assert start.kinds((np.float32(3),)) is None
    with recorded() as calls:
        functional.zero_pad(x, 1)
        functional.conv(x, np.ones((3, 3, 3, 4), "float32"))
        activations.sigmoid(np.ones((200, 200), "float32"))
    assert calls
    for _, arguments in calls:
        assert start.kinds(arguments) == _cache._kinds([numba.typeof(value) for value in arguments])

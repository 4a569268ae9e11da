"""The cache of machine code: never old, never trusted unseen, and whole when many write to it."""

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from kept_kernels import SUMS, SWAPPED, call_kernel, files
from situations import environment, run

from numbaconv import kernels
from numbaconv.kernels import sums
from numbaconv.machine import cache as _cache
from numbaconv.machine import compiler, sources
from numbaconv.machine.sources import ABANDONED, Sources, write

# -- never old ---------------------------------------------------------------------------------------------------------


def edit(path, old, new):
    """Change a source so that neither its size nor its time tells."""
    assert len(old) == len(new)
    text, stat = path.read_text(), path.stat()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.situation("sources edited or package changed")
@pytest.mark.slow
@pytest.mark.parametrize("bytecode", [False, True])
def test_an_edited_intrinsic_runs_at_once(package, tmp_path, bytecode):
    """An edit in a file that a kernel only calls changes what the kernel does, even if size and time do not tell."""
    variables = {"program": SWAPPED, "PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": None if bytecode else 1}
    square = package / "numbaconv" / "machine" / "square.py"
    assert call_kernel(tmp_path / "cache", **variables)[0] == [1, 0, 1, 0]
    edit(square, "distance, 0)", "distance, 1)")
    if bytecode:
        # Python itself takes the file for unchanged; what it runs now must not be taken for the new code later.
        assert call_kernel(tmp_path / "cache", **variables)[0] == [1, 1, 0, 0]
        shutil.rmtree(square.parent / "__pycache__")
    numbers, _ = call_kernel(tmp_path / "cache", **variables)
    assert numbers[0] == 0
    assert numbers[1:] == [0, 1, 0]
    # The code that is gone does not stay on disk.
    assert len(files(tmp_path / "cache")) == 2


HELPED = """
import numpy as np
from numbaconv import reference
print(int(reference.zero_pad_grad(np.arange(12.0).reshape(1, 1, 1, 4, 3), (0, 0, 1), (0, 0, 1)).sum()))
"""


@pytest.mark.situation("sources edited or package changed")
@pytest.mark.slow
def test_an_edited_helper_of_the_reference_runs_at_once(package, tmp_path):
    """The reference's functions, too, see changes in functions of other files that they call."""
    variables = {"PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": 1, "NUMBA_CACHE_DIR": tmp_path / "cache"}
    before = run(HELPED, **variables)
    source = package / "numbaconv" / "reference" / "operations.py"
    edit(
        source,
        "x[n, od + before[0], oh + before[1], ow + before[2], c]",
        "x[n, od + before[0], oh + before[1], ow + before[1], c]",
    )
    assert run(HELPED, **variables) != before


@pytest.mark.situation("sources edited or package changed")
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_every_source_counts(tmp_path, monkeypatch, every):
    """A change in any file of the kernels' folders makes all kernels new; comments do not."""
    for source in Path(kernels.__file__).parent.rglob("*.py"):
        copy = tmp_path / source.relative_to(Path(kernels.__file__).parent)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(source, copy)
    (tmp_path / "below" / "further").mkdir(parents=True)
    for folder in ("below", "below/further"):
        (tmp_path / folder / "__init__.py").touch()
        (tmp_path / folder / "helper.py").write_text("value = 1")
    # Python knows the packages below it from now on, hence another name each time.
    spec = importlib.util.spec_from_file_location(f"copy_of_kernels_{every}", tmp_path / "__init__.py")
    package = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    first = Sources(package.__name__)
    seen = {first.fingerprint}
    sources = sorted(tmp_path.rglob("*.py"))
    if not every:
        # One of each folder: the last.
        sources = list({source.parent: source for source in sources}.values())
    for source in sources:
        text = source.read_text()
        source.write_text(f"{text}\n# changed\n")
        assert not first.unchanged()
        assert Sources(package.__name__).fingerprint == first.fingerprint
        source.write_text(f"{text}\n_changed = 1\n")
        seen.add(Sources(package.__name__).fingerprint)
        source.write_text(text)
        # The time would tell of the next one, too.
        first = Sources(package.__name__)
    assert len(seen) == 1 + len(sources)


def test_a_module_in_whose_place_another_one_stands_is_read():
    importlib.import_module("numbaconv.optimizers.schedules")
    apart = "from numbaconv.machine.sources import Sources; print(Sources('numbaconv')._fingerprint())"
    assert run(apart)[0].strip() == Sources("numbaconv")._fingerprint()


@pytest.mark.slow
@pytest.mark.situation("sources edited or package changed")
def test_an_edit_while_the_program_runs(package, tmp_path):
    """A process that may run some of the old and some of the new code neither reads nor keeps any."""
    touch = """
import numbaconv.layers, pathlib
(pathlib.Path(numbaconv.__file__).parent / "machine" / "tile.py").touch()
"""
    assert call_kernel(tmp_path / "cache", touch, PYTHONPATH=package)[0] == [1, 0, 1, 0]
    assert files(tmp_path / "cache") == []


@pytest.mark.situation("sources edited or package changed")
@pytest.mark.slow
def test_other_versions_compile_anew(tmp_path):
    """Machine code is never shared between versions of what made it."""
    assert call_kernel(tmp_path)[0] == [1, 0, 1, 0]
    for other in ("numba", "llvmlite", "numpy"):
        assert call_kernel(tmp_path, f"import {other}; {other}.__version__ += '.1'\n")[0] == [1, 0, 1, 0], other
    assert call_kernel(tmp_path)[0] == [1, 1, 0, 0]


FORGETFUL = """
from numba.core.compiler import CompileResult
def forgetful(self, reduce=CompileResult._reduce):
    *data, reloads, environments = reduce(self)
    return *data, [], environments
CompileResult._reduce = forgetful
"""


@pytest.mark.slow
def test_a_kernel_that_does_not_say_that_it_needs_threads(tmp_path):
    """As Numba 0.61 keeps it, which asks only functions that have a parallel loop themselves, not their callers."""
    assert call_kernel(tmp_path, FORGETFUL)[0] == [1, 0, 1, 0]
    assert call_kernel(tmp_path)[0] == [1, 1, 0, 0]


# -- many at once ------------------------------------------------------------------------------------------------------

AT_ONCE = """
import sys
import numba
import numpy as np
from numbaconv.kernels.sums import sum_rows, sum_runs

for dtype, shared in zip(sys.argv[1::2], sys.argv[2::2]):
    x = np.arange(6, dtype=dtype).reshape(3, 2)
    if shared == "True":
        sum_rows(x.reshape(-1), out := np.empty((3, 2)), 1)
        assert (out == x).all()
    else:
        sum_runs(x, out := np.empty(3, dtype), serial=True)
        assert (out == x.sum(1)).all()
print(sum(sum(kernel.dispatcher.stats.cache_misses.values()) for kernel in (sum_rows, sum_runs)))
"""
DTYPES = ("float32", "float64")
JOBS = [(dtype, shared) for dtype in DTYPES for shared in (True, False)]


@pytest.mark.situation("8 processes at once, empty cache")
@pytest.mark.parametrize(
    "rounds", [pytest.param(1, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.nightly)]
)
def test_eight_processes_at_once(tmp_path, rounds):
    """Processes that fill the cache at once get right results and leave it whole."""
    for r in range(rounds):
        cache = tmp_path / str(r)
        started = [
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", AT_ONCE, *map(str, job)],
                env=environment(NUMBA_CACHE_DIR=cache),
            )
            for job in JOBS * 2
        ]
        assert [process.wait(120) for process in started] == [0] * 8
        assert len(files(cache)) == 2 * len(JOBS)
        if r == 0:
            assert run(AT_ONCE, *itertools.chain(*JOBS), NUMBA_CACHE_DIR=cache)[0] == "0\n"


def test_a_file_that_is_being_read_elsewhere(tmp_path, monkeypatch):
    """On Windows a file that somebody reads cannot be replaced, and need not be."""
    target = tmp_path / "file"

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        write(target, b"new")
    target.touch()
    write(target, b"new")
    assert files(tmp_path) == []
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.situation("8 processes at once, empty cache")
@pytest.mark.slow
def test_a_process_killed_while_it_saves(tmp_path):
    """A process that is killed while it writes to the cache stands in nobody's way, and its rest is cleared away."""
    kill = "import os, pathlib\npathlib.Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
    killed = subprocess.run(
        [sys.executable, "-c", kill + SUMS, *DTYPES], env=environment(NUMBA_CACHE_DIR=tmp_path), capture_output=True
    )
    assert killed.returncode == -9
    (rest,) = files(tmp_path)
    assert call_kernel(tmp_path, dtypes=DTYPES)[0] == [1, 0, 2, 0]
    assert rest in files(tmp_path)
    os.utime(rest, (0, time.time() - 2 * ABANDONED))
    next(file for file in files(tmp_path) if file.suffix == ".nbc").unlink()
    assert call_kernel(tmp_path, dtypes=DTYPES)[0] == [1, 1, 1, 0]
    assert len(files(tmp_path)) == 4
    assert rest not in files(tmp_path)


# -- damaged files -----------------------------------------------------------------------------------------------------


def _flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE = {
    "emptied": lambda content: b"",
    "first byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "last byte missing": lambda content: content[:-1],
    "more": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
    "random": lambda content: np.random.default_rng(0).bytes(len(content)),
    "one bit": _flip,
    "not sealed": lambda content: content[32:],
}


@pytest.mark.slow
@pytest.mark.situation("damaged cache files")
def test_damaged_files_are_compiled_anew(tmp_path, monkeypatch):
    """A file that is not what was once written is replaced, whatever it holds; it is never run."""
    monkeypatch.setattr(_cache.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sources, "_sources", Sources)
    # A kernel that compiles in less than half a second.
    x, out = np.arange(1.0, 5), np.empty((1, 2))

    def call():
        kernel = compiler.ParallelKernel(sums.sum_rows.__wrapped__)
        out.fill(np.nan)
        kernel(x, out, 2, serial=True)
        np.testing.assert_array_equal(out, [[4, 6]])
        return sum(kernel.dispatcher.stats.cache_misses.values())

    assert [call(), call()] == [1, 0]
    (file,) = tmp_path.rglob("*.nbc")
    whole = file.read_bytes()
    for name, damage in DAMAGE.items():
        file.write_bytes(damage(whole))
        assert [call(), call()] == [1, 0], name
    # A sound file of other argument types, under this one's name.
    compiler.ParallelKernel(sums.sum_rows.__wrapped__)(x.astype("float32"), out, 2, serial=True)
    (other,) = (path for path in tmp_path.rglob("*.nbc") if path != file)
    shutil.copy(other, file)
    assert [call(), call()] == [1, 0]
    # A folder cannot be replaced.
    file.unlink()
    file.mkdir()
    monkeypatch.setattr(_cache, "_warned", False)
    with pytest.warns(RuntimeWarning, match="cannot keep compiled code on disk"):
        assert call() == 1
    assert call() == 1

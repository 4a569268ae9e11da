"""What is said while kernels are compiled, and compiling them ahead."""

import io
import os
import re
import sys
import types

import numba
import numpy as np
import pytest
from situations import run as run_process
from tqdm import tqdm

from numbaconv.kernels import strip
from numbaconv.kernels.plan.axes import STRIP_DILATION, STRIP_STRIDE, TAPS, H, W
from numbaconv.machine import compiler
from numbaconv.machine import compiling as _compiling
from numbaconv.training.progress import Progress, _new_bar, examples_bar, watched

# Each dtype is a kernel to compile.
SUMMED = """
import io, os, sys
import numpy as np
from numbaconv.kernels.sums import sum_runs
from numbaconv.machine import compiling as _compiling
_compiling.PATIENCE = float(sys.argv[1])
{prelude}
for dtype in {dtypes}:
    sum_runs(np.ones((2, 2), dtype), np.empty(2, dtype), serial=True)
assert _compiling.seconds > 0
print("computed", file=sys.__stdout__)
"""
NOTICE = "numbaconv: compiling kernels, once on this machine ... (python -m numbaconv --compile does it ahead)\n"


def err_of(tmp_path, patience=0, prelude="", dtypes=("float32",), **variables):
    """What a process that compiles writes to standard error."""
    variables = {"NUMBA_CACHE_DIR": tmp_path, "NUMBACONV_NOTICE": None, **variables}
    out, err = run_process(SUMMED.format(prelude=prelude, dtypes=dtypes), patience, **variables)
    assert out == "computed\n"
    return err


def test_compiling_is_said_once_and_only_where_it_happens(tmp_path):
    dtypes = ("float32", "float64")
    assert err_of(tmp_path, dtypes=dtypes) == NOTICE
    with pytest.raises(AssertionError):
        # Nothing is left to compile.
        err_of(tmp_path, dtypes=dtypes)


@pytest.mark.slow
def test_without_a_cache_it_is_not_said_to_be_once(tmp_path):
    assert "in every process" in err_of(tmp_path, NUMBACONV_CACHE=0)


@pytest.mark.parametrize(
    ("patience", "prelude", "variables"),
    [
        pytest.param(1000, "", {}, marks=pytest.mark.slow),
        (0, "", {"NUMBACONV_NOTICE": 0}),
        pytest.param(0, "sys.stderr = None", {}, marks=pytest.mark.slow),
        pytest.param(0, "sys.stderr.close()", {}, marks=pytest.mark.slow),
        (0, "os.close(2)", {}),
        pytest.param(0, "os.dup2(os.open('/dev/full', os.O_WRONLY), 2)", {}, marks=pytest.mark.slow),
        (0, "import threading\ndef refuse(self): raise RuntimeError\nthreading.Thread.start = refuse", {}),
    ],
    ids=["soon done", "switched off", "none", "closed", "closed below Python", "disk full", "no more threads"],
)
def test_compiling_in_silence(tmp_path, patience, prelude, variables):
    if "/dev/full" in prelude and not os.path.exists("/dev/full"):
        pytest.skip("needs the file that is always full")
    assert err_of(tmp_path, patience, prelude, **variables) == ""


def test_bars_are_drawn_below_the_notice(capsys, monkeypatch):
    monkeypatch.setattr(_compiling, "_noticed", False)
    with tqdm(total=2, desc="bar", file=sys.stderr):
        _compiling._notice()
    assert f"\r{NOTICE}\rbar: " in capsys.readouterr().err


# -- bars --------------------------------------------------------------------------------------------------------------


def passed(bar):
    """Seconds that a bar has counted."""
    return bar.format_dict["elapsed"]


@pytest.fixture
def compiled(monkeypatch):
    """Function that lets a bar's last 100 seconds have gone into compiling."""
    monkeypatch.setattr(_compiling, "seconds", _compiling.seconds)

    def pass_by(bar):
        bar.start_t -= 100
        bar.last_print_t -= 100
        _compiling.seconds += 100

    return pass_by


def test_bars_of_examples_leave_out_the_time_of_compiling(compiled):
    with _new_bar(total=4, file=io.StringIO()) as bar:
        for _ in watched([[1, 2], [3, 4]], bar):
            compiled(bar)
        assert passed(bar) < 50
        assert bar.format_dict["rate"] is None or bar.format_dict["rate"] > 1


def test_bars_of_batches_leave_out_the_time_of_compiling(compiled, capsys):
    progress = Progress()
    progress.set_params({"epochs": 1, "steps": 2, "verbose": 1})
    progress.on_epoch_begin(0)
    bar = progress._bar
    for batch in range(2):
        compiled(bar)
        progress.on_train_batch_end(batch, {})
        assert passed(bar) < 50
    # Of the validation.
    compiled(bar)
    progress.on_epoch_end(0, {})
    assert passed(bar) < 50
    assert "00:00<00:00" in capsys.readouterr().err.split("\r")[-1]


def test_compiling_does_not_bring_a_bar_forth(monkeypatch, capsys):
    """Its time is left out of the two seconds of silence, too."""
    monkeypatch.setattr(_compiling, "seconds", _compiling.seconds)
    with examples_bar(4, "model", "auto") as bar:
        bar._start -= 101
        _compiling.seconds += 100
        assert list(watched([[1, 2]], bar)) == [[1, 2]]
        assert capsys.readouterr().err == ""
        bar._start -= 2
        assert list(watched([[3, 4]], bar)) == [[3, 4]]
    assert "model: 100%|" in (drawn := capsys.readouterr().err) and "4/4 [00:03<00:00" in drawn


def test_a_bar_that_nobody_sees_is_not_imported():
    code = """
import sys
import numpy as np
from numbaconv.layers import Flatten
from numbaconv.models import Sequential
for verbose in (0, "auto"):
    Sequential([Flatten()]).predict(np.ones((2, 3)), verbose=verbose)
assert "tqdm" not in sys.modules
"""
    run_process(code)


@pytest.mark.parametrize(
    ("config", "widgets", "module"),
    [(None, True, "tqdm"), ({}, True, "tqdm"), ({"IPKernelApp": 1}, False, "tqdm"), ({"IPKernelApp": 1}, True, "auto")],
    ids=["no IPython", "IPython in a terminal", "a notebook without widgets", "a notebook"],
)
def test_widgets_in_notebooks(monkeypatch, config, widgets, module):
    """tqdm.auto is taken where it shows widgets, and nowhere else: it warns if it cannot."""

    class Widget(tqdm):
        pass

    if config is not None:
        shell = types.SimpleNamespace(config=config)
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Widget))
    monkeypatch.setattr("numbaconv.training.progress.find_spec", lambda name: widgets or None)
    with _new_bar(total=1, file=io.StringIO()) as bar:
        assert type(bar) is (Widget if module == "auto" else tqdm)


def test_no_notebook_is_imported():
    code = """
import sys
import numpy as np
from numbaconv.layers import Flatten
from numbaconv.models import Sequential
Sequential([Flatten()]).predict(np.ones((2, 3)), verbose=1)
print(*sys.modules)
"""
    out, _ = run_process(code)
    assert not {"IPython", "asyncio", "ipywidgets", "tqdm.auto", "tqdm.notebook"} & set(out.split())


# -- ahead -------------------------------------------------------------------------------------------------------------


SELFCHECK = """
from numbaconv.selfcheck.ahead import call_by_numba
from numbaconv.selfcheck.layers import call_rare_kernels, check_layers
from situations import signatures
call_by_numba()
for _, faults in check_layers():
    assert not faults
call_rare_kernels()
for name, found in signatures().items():
    for one in found or [()]:
        print(name, one)
"""

# In a process of its own, for other tests compile what no call without settings of theirs needs.
CASES_CALLED = """
import numpy as np
from backward import gradients
from cases import CASES, FORMATS, operands, output_shape, run, to_format
from situations import signatures
from numbaconv import layers
from numbaconv.selfcheck.ahead import call_by_numba
call_by_numba()
for case in CASES:
    grad_out = np.ones(output_shape(case), np.float32)
    for dtype in ("float32", "float64"):
        for data_format in FORMATS:
            x, *weights = operands(case, dtype)
            arrays = [to_format(x, data_format), *weights]
            run(case, arrays, data_format)
            infinite = [np.full_like(w, np.inf) for w in weights]
            run(case, [arrays[0], *infinite], data_format)
            gradients(case, arrays, to_format(grad_out.astype(dtype), data_format), data_format)
for shape in ((1, 224, 224, 3), (4, 56, 56, 64), (1, 7, 7, 512)):
    for data_format in FORMATS:
        for filters in (8, 64):
            x = to_format(np.ones(shape, np.float32), data_format)
            for layer in (
                layers.Conv2D(filters, 3, data_format=data_format),
                layers.SeparableConv2D(filters, 3, data_format=data_format),
            ):
                layer.backward(layer.forward(x))
            x.flat[-1] = 1e20
            layers.Conv2D(filters, 3, data_format=data_format)(x)
for name, found in signatures().items():
    for one in found:
        if "peak" not in name:
            print(name, one)
"""


@pytest.mark.slow
def test_the_self_check_calls_every_kernel_with_all_argument_types():
    out, _ = run_process(SELFCHECK, timeout=600)
    compiled_ahead = set(out.splitlines())
    never_called = {line for line in compiled_ahead if line.endswith(" ()")}
    assert never_called == set()
    out, _ = run_process(CASES_CALLED, timeout=600)
    assert set(out.splitlines()) - compiled_ahead == set()


AHEAD = """
import sys
from numbaconv.selfcheck import layers as _selfcheck
from numbaconv.__main__ import main
checks = [check for check in _selfcheck._checks() if check.name == "Cropping2D"]
_selfcheck._checks = lambda: checks
_selfcheck.call_rare_kernels = lambda: None
sys.exit(main(["--compile"]))
"""
BOTH_FORMS = """
import numba
import numpy as np
from numbaconv import functional
from numbaconv.kernels.shift import shift
for dtype in ("float32", "float64"):
    for length in (9, 500):
        functional.crop(np.ones((8, length, length, 3), dtype), 1)
print(shift.dispatcher.stats.cache_hits.total(), shift.dispatcher.stats.cache_misses.total())
"""


def test_helpers_are_compiled_once_for_all_numbers_and_bring_what_they_call():
    @numba.njit
    def spans(axes):
        return strip.span(axes, H, 2), strip.span(axes, W, 5)

    axes = np.zeros((4, 32), np.int64)
    axes[:, TAPS], axes[:, STRIP_DILATION], axes[:, STRIP_STRIDE] = 3, 2, 1
    assert spans(axes) == (6, 9)
    assert len([types for types in strip.span.made.signatures if types[0] == numba.typeof(axes)]) == 1


def test_a_helper_that_counts_no_references_returns_no_arrays():
    @compiler.compiled(counted=False)
    def first(arrays):
        return arrays[0]

    @compiler.compiled(counted=False)
    def size(arrays):
        return len(arrays[0])

    numbers = np.ones(3), np.ones(2)
    assert numba.njit(lambda arrays: size(arrays))(numbers) == 3
    with pytest.raises(numba.TypingError, match="first counts no references, so that it cannot return an array"):
        numba.njit(lambda arrays: first(arrays))(numbers)


def test_references_are_counted_without_locked_instructions():
    """Such an instruction waits until all that was stored before has left the core."""

    @compiler.compiled(parallel=True)
    def fill(out):
        for task in numba.prange(len(out)):
            for row in (np.ones(3), np.ones(4)):
                out[task] += row[0]

    out = np.zeros(5)
    fill(out)
    assert (out == 2).all()
    (code,) = fill.dispatcher.inspect_asm().values()
    assert "NRT_decref" in code
    assert "lock" not in code.replace("_lock", "").split()


@pytest.mark.slow
def test_kernels_are_compiled_ahead(tmp_path):
    """Parallel and serial, though the self-check's images are small; the next process compiles nothing."""
    out, err = run_process(AHEAD, NUMBA_CACHE_DIR=tmp_path, NUMBACONV_NOTICE=None)
    count = int(re.search(r"^compiled +(\d+) kernels in .*; 0 were there$", out, re.M)[1])
    assert count == len(list(tmp_path.glob("kernels_*/*.nbc")))
    assert str(tmp_path) in out
    assert NOTICE not in err
    assert run_process(BOTH_FORMS, NUMBA_CACHE_DIR=tmp_path)[0] == "2 0\n"
    again, _ = run_process(AHEAD, NUMBA_CACHE_DIR=tmp_path)
    assert re.search(rf"^compiled +0 kernels in .*; {count} were there$", again, re.M)


@pytest.mark.parametrize(
    "variables",
    [{"NUMBACONV_CACHE": 0}, pytest.param({"NUMBA_CACHE_DIR": "/dev/null/below"}, marks=pytest.mark.slow)],
)
def test_compiling_ahead_for_nobody_is_refused(variables):
    code = "from numbaconv.__main__ import main; assert main(['--compile']) == 1"
    out, _ = run_process(code, **variables)
    assert out.splitlines()[-1].startswith("Something is wrong: compiled kernels cannot be kept")


@pytest.mark.nightly
def test_all_kernels_are_compiled_ahead(tmp_path):
    code = "from numbaconv.__main__ import main; assert main(['--compile']) == 0"
    run_process(code, NUMBA_CACHE_DIR=tmp_path, timeout=1200)
    assert "compiled          0 kernels in " in run_process(code, NUMBA_CACHE_DIR=tmp_path, timeout=600)[0]

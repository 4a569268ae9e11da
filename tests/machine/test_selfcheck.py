"""`python -m numbaconv`: it looks at every layer, sees what is wrong with one, and says so in its last line."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import ALL_LAYERS

from numbaconv import layers
from numbaconv.__main__ import main
from numbaconv.calls import conv as calls
from numbaconv.calls.winograd import WinogradCall
from numbaconv.selfcheck import environment as _environment
from numbaconv.selfcheck import layers as _selfcheck

ROOT = Path(__file__).parents[2]
ROWS = [
    "numbaconv",
    "Python",
    "NumPy",
    "Numba",
    "llvmlite",
    "system",
    "processor",
    "cores",
    "environment",
    "floatx",
    "epsilon",
    "image_data_format",
    "LLVM's processor",
    "vectors",
    "threads",
    "kernel cache",
]
FINE = "This machine is fine: all layers agree with the reference."
# `main` on a layer that takes little compiling.
ONE_LAYER = """
import sys
import warnings
from numbaconv.selfcheck import report as command

if "no cache" in sys.argv:
    warnings.simplefilter("ignore")

def one_layer(report, check_layers=command._check_layers):
    from numbaconv.selfcheck import layers as _selfcheck
    _selfcheck._checks = lambda: [_selfcheck.Check("Cropping1D", (2, 9, 3), {"cropping": 1})]
    del _selfcheck.TOLERANCE["float64"]
    check_layers(report)

command._check_layers = one_layer
sys.exit(command.run(quick=True))
"""
# Below a file, where nobody can make a folder.
NOWHERE = str(Path(__file__) / "cache")


def in_another_process(*arguments, **environment):
    here = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env={**os.environ, "PYTHONPATH": here, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def rows_of(text):
    return [line[:18].rstrip() for line in text.splitlines()[:-1]]


def test_every_layer_is_checked():
    assert {check.name for check in _selfcheck._checks()} == set(ALL_LAYERS)


@pytest.mark.slow
def test_report_ends_in_a_verdict():
    done = in_another_process("-m", "numbaconv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows_of(done.stdout) == [*ROWS, "peak", "self-check"]
    assert done.stdout.splitlines()[-1].startswith(FINE)
    assert f"{len(ALL_LAYERS)} layers" in done.stdout
    assert done.stdout.isascii()
    assert "Checking all layers" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "last"),
    [
        ([], {}, 0, FINE),
        ([], {"NUMBA_NUM_THREADS": "1"}, 0, f"{FINE} But only one thread is used."),
        ([], {"NUMBA_THREADING_LAYER": "workqueue"}, 0, "threading layer is workqueue"),
        pytest.param(
            *(["no cache"], {"NUMBA_CACHE_DIR": NOWHERE}, 0, f"{FINE} But every process compiles the kernels anew"),
            marks=pytest.mark.slow,
        ),
        pytest.param([], {"NUMBACONV_CACHE": "0"}, 0, FINE, marks=pytest.mark.slow),
        ([], {"NUMBA_DISABLE_JIT": "1"}, 1, "Something is wrong: NUMBA_DISABLE_JIT is set"),
        ([], {"NUMBACONV_VECTOR_BYTES": "24"}, 1, "Something is wrong: ValueError: NUMBACONV_VECTOR_BYTES must be"),
    ],
    ids=["as here", "one thread", "workqueue", "no cache", "cache switched off", "interpreted", "impossible width"],
)
def test_what_is_broken_is_said(arguments, environment, status, last):
    code = ONE_LAYER if status == 0 else "import sys; from numbaconv.__main__ import main; sys.exit(main(['--quick']))"
    done = in_another_process("-c", code, *arguments, **environment)
    assert done.returncode == status, done.stdout + done.stderr
    assert last in done.stdout.splitlines()[-1]
    # What is known is told whatever happens after.
    assert rows_of(done.stdout)[:9] == ROWS[:9]
    assert all(f"{name}={value}" in done.stdout for name, value in environment.items())


@pytest.mark.parametrize("system", ["darwin", "linux", "win32", "freebsd14"])
def test_a_machine_without_the_usual_programs_and_tables(monkeypatch, tmp_path, system):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_environment, "_cpuinfo", list)
    assert platform.machine() in _environment.processor()
    assert "logical" in _environment.cores()


def checked(monkeypatch, capsys, *names, dtypes=("float32",)):
    """Exit status and last line of a run over some layers."""
    checks = [check for check in _selfcheck._checks() if check.name in names]
    assert checks
    monkeypatch.setattr(_selfcheck, "_checks", lambda: checks)
    # Kernels of double precision take long to compile.
    monkeypatch.setattr(_selfcheck, "TOLERANCE", {dtype: _selfcheck.TOLERANCE[dtype] for dtype in dtypes})
    status = main(["--quick"])
    return status, capsys.readouterr().out.splitlines()[-1]


def larger(array):
    return array * np.asarray(1.001, array.dtype)


def one_nan(array):
    array.flat[-1] = np.nan
    return array


@pytest.mark.parametrize("damage", [larger, one_nan])
@pytest.mark.parametrize(
    ("owner", "method", "name", "others"),
    [
        (calls.WindowCall, "run", "Conv2D", ["Flatten"]),
        (WinogradCall, "run", "Conv2D", ["Conv1D"]),
        (layers.MaxPooling3D, "call", "MaxPooling3D", ["MaxPooling2D"]),
        (layers.BatchNormalization, "call", "BatchNormalization", ["Dense"]),
    ],
    ids=["direct", "Winograd", "pooling", "inference"],
)
def test_wrong_result_is_named(monkeypatch, capsys, damage, owner, method, name, others):
    right = getattr(owner, method)
    monkeypatch.setattr(owner, method, lambda *args: damage(right(*args)))
    status, last = checked(monkeypatch, capsys, name, *others)
    assert status == 1
    assert last.startswith(f"Something is wrong: {name}(")
    assert "result is off by" in last
    monkeypatch.undo()
    assert checked(monkeypatch, capsys, name, *others) == (0, FINE)


@pytest.mark.slow
def test_wrong_doubles_are_named(monkeypatch, capsys):
    right = calls.WindowCall.run

    def wrong(*args):
        out = right(*args)
        return larger(out) if out.dtype == np.float64 else out

    monkeypatch.setattr(calls.WindowCall, "run", wrong)
    status, last = checked(monkeypatch, capsys, "Conv2D", dtypes=("float32", "float64"))
    assert status == 1
    assert "float64" in last


@pytest.mark.parametrize("name", ["UpSampling2D", "Dropout", "Conv1D", "GlobalMaxPooling1D"])
def test_wrong_gradient_is_named(monkeypatch, capsys, name):
    cls = getattr(layers, name)
    right = cls._backward

    def wrong(*args):
        grad_x, gradients = right(*args)
        if gradients:
            return grad_x, {key: larger(value) for key, value in gradients.items()}
        return larger(grad_x), gradients

    monkeypatch.setattr(cls, "_backward", wrong)
    status, last = checked(monkeypatch, capsys, name)
    assert status == 1
    assert last.startswith(f"Something is wrong: {name}(")
    assert "gradient of" in last


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda layer, x: x[1:], "result has shape"),
        (lambda layer, x: np.zeros((2, 13, 12, 5), np.float16), "result is float16"),
        (lambda layer, x: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_wrong_shape_type_or_an_error_is_named(monkeypatch, capsys, wrong, said):
    monkeypatch.setattr(layers.ZeroPadding2D, "call", wrong)
    status, last = checked(monkeypatch, capsys, "ZeroPadding2D", "Cropping2D")
    assert status == 1
    assert "ZeroPadding2D(" in last
    assert said in last

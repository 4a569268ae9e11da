"""The fixtures reach every module that they are about."""

import functools
import gc
import subprocess
import sys

import numpy as np
import pytest
from cases import CASES, FORMATS, each, operands, run, to_format
from situations import environment

from numbaconv import functional, layers
from numbaconv.calls import separable as separable_calls
from numbaconv.calls.window import window_of
from numbaconv.kernels.plan import plans
from numbaconv.kernels.plan.axes import Axis
from numbaconv.machine import compiler


def separable():
    """A separable convolution that one kernel computes."""
    x, depthwise, pointwise = (np.ones(shape, np.float32) for shape in ((1, 9, 9, 4), (3, 3, 4, 1), (1, 1, 4, 3)))
    return functional.separable_conv(x, depthwise, pointwise)


# What a large run has frozen is not among the objects that the collector tells.
@pytest.mark.usefixtures("thawed")
def test_recut_forgets_all_that_was_planned(recut):
    separable()
    layers.BatchNormalization()(np.ones((2, 3), np.float32))
    assert separable_calls.separable_call.cache_info().currsize
    assert plans.make_separable_plan.cache_info().currsize
    recut({})
    # isinstance would ask stand-ins of modules, which import them.
    caches = [found for found in gc.get_objects() if type(found) is functools._lru_cache_wrapper]
    ours = {
        f"{found.__module__}.{found.__name__}": found for found in caches if found.__module__.startswith("numbaconv")
    }
    assert "numbaconv.calls.separable.separable_call" in ours
    # What rules of activations are for some settings, and of types that are compiled, has nothing to do with plans.
    apart = "numbaconv.activations.", "numbaconv.machine.parts."
    kept = [name for name, found in ours.items() if found.cache_info().currsize and not name.startswith(apart)]
    assert kept == []


def test_recut_changes_the_host_of_plans(recut):
    one = Axis(1, 1, 1, 1, 0, 0)
    assert plans.make_plan((one,) * 4, 1, 1, 4).serial
    recut({"serial_work": 0})
    assert not plans.make_plan((one,) * 4, 1, 1, 4).serial


@pytest.mark.parametrize("knob", ["window_planes", "separable_planes"])
def test_recut_changes_the_host_of_calls(knob, recut):
    arguments = (1, 32, 16, 16), (3, 3, 32, 1), (1, 1, 32, 32), 4, window_of((3, 3), data_format="channels_first")
    call = separable_calls.separable_call(*arguments)
    assert (call.apart("channels_first")[0].to_planes, call.to_planes) == (True, True)
    recut({knob: 0})
    call = separable_calls.separable_call(*arguments)
    assert (call.apart("channels_first")[0].to_planes, call.to_planes) == (
        knob != "window_planes",
        knob != "separable_planes",
    )


@pytest.mark.parametrize("data_format", FORMATS)
@each([case for case in CASES if "smoke" in case.name])
def test_results_that_no_kernel_writes_are_nan(case, data_format, poisoned, monkeypatch):
    monkeypatch.setattr(compiler.ParallelKernel, "__call__", lambda *args, **options: None)
    x, *weights = operands(case, np.float32)
    assert np.isnan(run(case, [to_format(x, data_format), *weights], data_format)).all()


def test_normalized_values_that_no_kernel_writes_are_nan(poisoned, monkeypatch):
    monkeypatch.setattr(compiler.ParallelKernel, "__call__", lambda *args, **options: None)
    assert np.isnan(layers.BatchNormalization()(np.ones((2, 3), np.float32))).all()


def test_smoke_is_a_case_of_every_operation():
    assert {case.operation for case in CASES if "smoke" in case.name} == {case.operation for case in CASES}


@pytest.mark.slow
def test_of_two_processes_one_compiles(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from once import compile_once\n"
        "from numbaconv.kernels.planes import transpose\n"
        "compile_once(sys.argv[1])\n"
        "sys.stdin.read()\n"
        "transpose(np.ones((1, 2, 3)), np.ones((1, 3, 2)), serial=True)\n"
        "print(transpose.dispatcher.stats.cache_misses.total())\n"
    )
    start = functools.partial(
        subprocess.Popen,
        [sys.executable, "-c", code, tmp_path],
        env=environment(NUMBA_CACHE_DIR=tmp_path / "cache"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with start() as one, start() as other:
        one.stdin.close()
        other.stdin.close()
        assert sorted([int(one.stdout.read()), int(other.stdout.read())]) == [0, 1]

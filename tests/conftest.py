"""Fixtures: work cut differently or spread over other numbers of cores, results that begin as NaN, fuzz in bounds."""

import json
import signal

import numba
import numpy as np
import pytest
from fuzzing import limited_memory
from hypothesis import settings
from situations import digests

from numbaconv import calls, config, gradient_calls, layouts, moving_calls, pool_calls
from numbaconv.kernels import plan
from numbaconv.kernels.pack import aligned_empty

pytest_plugins = ["reliability"]

# The same examples on every run, however slow the machine; the nightly profile draws many more, anew each time.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=20_000)
settings.register_profile("anew", deadline=None, max_examples=500, database=None)
settings.load_profile("default")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's job in the background is deaf to Ctrl-C, and so would be the processes that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _forget_plans():
    for module in (plan, calls, gradient_calls, moving_calls, pool_calls):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()


@pytest.fixture
def recut(monkeypatch):
    """Function that sets knobs of `numbaconv.kernels.plan` until the end of the test."""

    def set_knobs(knobs):
        for name, value in knobs.items():
            monkeypatch.setattr(plan, name, value)
        _forget_plans()

    yield set_knobs
    monkeypatch.undo()
    # The plans made meanwhile are nobody else's.
    _forget_plans()


@pytest.fixture
def each_thread_count():
    """Function that yields 1 and, where there are more cores, 2, having set so many threads."""

    def counts():
        for threads in sorted({1, min(2, numba.config.NUMBA_NUM_THREADS)}):
            numba.set_num_threads(threads)
            yield threads

    yield counts
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


@pytest.fixture(scope="session")
def expected_digests():
    """What `situations.digests` returns in this process, as text."""
    return json.dumps(digests())


@pytest.fixture
def poisoned(monkeypatch):
    """Results begin as NaN everywhere, where usually nobody knows as what."""

    def aligned_nan(shape, dtype):
        out = aligned_empty(shape, dtype)
        out.fill(np.nan)
        return out

    for module in (calls, gradient_calls, moving_calls, pool_calls, layouts):
        monkeypatch.setattr(module, "aligned_empty", aligned_nan)


@pytest.fixture(scope="module")
def bounded(tmp_path_factory):
    """Files go to a folder of their own, and nothing may take much memory."""
    with pytest.MonkeyPatch.context() as patch, limited_memory(2**30):
        patch.chdir(tmp_path_factory.mktemp("fuzz"))
        yield


@pytest.fixture
def unchanged_defaults():
    """The package's settings are what they were."""
    yield
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float32", 1e-7, "channels_last")

"""Fixtures: work cut differently or spread over other numbers of cores, results that begin as NaN, fuzz in bounds."""

import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import numba
import numpy as np
import pytest
from fuzzing import limited_memory
from hypothesis import settings
from once import compile_once
from situations import SUPPORT, digests, environment

import numbaconv
from numbaconv import config
from numbaconv.kernels.plan import plans
from numbaconv.machine import recycling
from numbaconv.machine.aligned import aligned_empty

pytest_plugins = ["reliability"]

# The same examples on every run, however slow the machine; the nightly profile draws many more, anew each time.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=20_000)
settings.register_profile("anew", deadline=None, max_examples=500, database=None)
settings.load_profile("default")


# Where the cache is empty, it would come between what tests expect on standard error.
os.environ["NUMBACONV_NOTICE"] = "0"
# Tests count what is compiled, and run side by side.
os.environ["NUMBACONV_COMPILERS"] = "1"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's job in the background is deaf to Ctrl-C, and so would be the processes that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


_SEEN = pytest.StashKey()
# Folders whose tests need few kernels or compile their own: they run while another process compiles all the others.
FIRST = ("components", "files", "machine", "reference", "shapes", "training")
# Tests whose processes need about all kernels and wait for no other process: they run when all have been compiled.
LAST = (
    "test_the_self_check_calls_every_kernel_with_all_argument_types",
    "test_report_ends_in_a_verdict",
    "test_arrays_beside_guard_pages",
)
# From this number of tests on, about all kernels are needed.
MANY = 5000
# Of tests that cross many arguments, one of this many is quick. The others are slow: they reach the same code again.
# Where that is one of `RARE` or more, all but every fourth are the night's.
RARE = 40
ONE_OF = {
    **dict.fromkeys(("test_strip_is_the_padded_image", "test_strip_of_planes_is_the_padded_image"), 40),
    "test_input_is_read_from_the_image_only_where_all_of_it_lies_there": 60,
    "test_every_error_is_small_beside_the_inputs_of_its_own_window": 4,
    "test_what_is_too_large_is_refused_before_anything_is_computed": 3,
    **dict.fromkeys(("test_values_strewn_over_all_operands", "test_infinite_weights_meet_no_padding"), 6),
    "test_gradients_hide_nothing": 3,
    "test_same_bits_for_any_number_of_threads": 9,
    "test_forks": 3,
    "test_compiling_in_silence": 3,
    "test_where_code_cannot_be_placed_numba_runs_it": 4,
    "test_damaged_code_is_not_run": 3,
    "test_eight_threads_from_the_very_first_call": 3,
    "test_ctrl_c_during_compilation": 2,
    "test_plans_of_large_arrays_fit_64_bits": 10,
    **dict.fromkeys(("test_odd_values_everywhere", "test_entries_cut_short_anywhere"), 4),
    **dict.fromkeys(("test_any_number_of_input_shapes", "test_wrong_result_is_named"), 4),
    "test_transforms_along_an_axis_are_those_of_the_matrices": 3,
    "test_what_is_broken_is_said": 5,
    **dict.fromkeys(("test_a_setting_acts_everywhere_or_is_refused", "test_channels_first"), 3),
    "test_blocks_and_threads_do_not_change_a_bit": 3,
    "test_relu_of_each_layer": 3,
    "test_sums_end_as_by_separate_operations": 4,
    "test_a_region_is_computed_from_the_inputs_that_it_names": 3,
    **dict.fromkeys(("test_a_convolution_in_branches", "test_taps_along_depth_are_summed_up"), 4),
    "test_builds": 2,
    "test_special_values_are_those_of_the_plain_network": 4,
    **dict.fromkeys(("test_any_cut_gives_the_gradients", "test_no_number_of_threads_changes_a_bit"), 3),
    "test_each_size_matches_the_reference": 3,
    "test_small_stacks": 3,
}


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item):
    """Mark as slow, or nightly, all but every n-th of the tests that `ONE_OF` names, and set double precision apart.

    Its kernels are the same code for vectors of half as many values, and twice as much would have to be compiled. What
    is slow already is the night's in double precision: it reaches the same code again.
    """
    name = getattr(item, "originalname", None)
    if name in ONE_OF:
        seen = item.parent.stash.setdefault(_SEEN, {})
        seen[name] = seen.get(name, -1) + 1
        if seen[name] % ONE_OF[name]:
            item.add_marker("nightly" if ONE_OF[name] >= RARE and seen[name] % 4 else "slow")
    if "float64" in item.name and item.path.parent.name not in FIRST:
        if item.get_closest_marker("slow"):
            item.add_marker("nightly")
        else:
            # With channels first, each of the two is met with the other's usual kind.
            item.add_marker("slow" if "channels_first" in item.name else "double")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """With ``-n`` alone each process takes whole files, in the order in which they are sorted."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist, config.option.loadscopereorder = "loadfile", False


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """No garbage collection goes through the tests that are found while more of them are looked for."""
    thresholds = gc.get_threshold()
    # Not disabled: what Dask finds when it is imported it restores for ever after.
    gc.set_threshold(0)
    try:
        return (yield)
    finally:
        gc.set_threshold(*thresholds)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """In a large run, tests that need few kernels come first, while another process compiles ahead for the others."""
    if len(items) > MANY:
        items.sort(key=_turn)


def _turn(item):
    return 2 if getattr(item, "originalname", None) in LAST else item.path.parent.name not in FIRST


@pytest.fixture(scope="session", autouse=True)
def compiled_once(request, tmp_path_factory):
    """Processes that test side by side, and one that compiles ahead for them, share the work of compiling."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    own = tmp_path_factory.getbasetemp()
    # Continuous integration has several runs side by side.
    locks = Path(os.environ.get("TESTS_COMPILE_ONCE") or (own.parent if worker else own) / "locks")
    locks.mkdir(exist_ok=True)
    compile_anyway = compile_once(locks)
    ahead, items = None, request.session.items
    # Where no tests come first, these compile what they need themselves, and not what others do.
    if worker in (None, "gw0") and len(items) > MANY and not _turn(items[0]) and (os.cpu_count() or 1) > 1:
        doubles = [name for name in ("--double", "--slow") if request.config.getoption(name)]
        command = [sys.executable, SUPPORT / "once.py", locks, *doubles]
        ahead = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    compile_anyway()
    if ahead:
        ahead.kill()
        ahead.wait()


count_frozen = gc.get_freeze_count


def _freeze():
    gc.freeze()
    # Whoever opens a model asks, and to count all that tests are takes a twentieth of a second.
    gc.get_freeze_count = lambda: 1


def _thaw():
    gc.unfreeze()
    gc.get_freeze_count = count_frozen


@pytest.fixture(scope="session", autouse=True)
def tests_are_no_garbage(request):
    """In a large run, no garbage collection goes through all tests, which takes most of half a second.

    Nor do the ten with which pytest and Python end.
    """
    if len(request.session.items) > MANY:
        _freeze()
    yield
    gc.get_freeze_count = count_frozen


@pytest.fixture(scope="module")
def loaded_is_no_garbage(request):
    """What other tests have loaded is looked through once, not at every collection."""
    gc.collect()
    _freeze()
    yield
    if len(request.session.items) <= MANY:
        _thaw()


@pytest.fixture
def thawed(request):
    """Nothing is frozen."""
    _thaw()
    yield
    _thaw()
    if len(request.session.items) > MANY:
        _freeze()


@cache
def _modules():
    """All of the package."""
    names = (found.name for found in pkgutil.walk_packages(numbaconv.__path__, "numbaconv."))
    return [numbaconv, *map(importlib.import_module, names)]


@cache
def _remembering():
    """All functions that keep what they return."""
    functions = {id(function): function for module in _modules() for function in vars(module).values()}
    # A module would look the name up among what Keras has.
    return [function for function in functions.values() if callable(function) and hasattr(function, "cache_clear")]


@cache
def _allocating():
    """Where functions look up how memory is taken: modules and names."""
    return [(m, name) for m in _modules() for name, value in vars(m).items() if value is aligned_empty]


def _forget_plans():
    for function in _remembering():
        function.cache_clear()


@pytest.fixture
def recut(monkeypatch):
    """Function that changes the `Host` of all plans until the end of the test."""

    def set_knobs(knobs):
        monkeypatch.setattr(plans, "HOST", plans.HOST._replace(**knobs))
        _forget_plans()

    yield set_knobs
    monkeypatch.undo()
    # The plans made meanwhile are nobody else's.
    _forget_plans()


@pytest.fixture
def all_memory_is_traced(monkeypatch):
    """Memory comes from NumPy alone: `tracemalloc` does not see large pages."""
    monkeypatch.setattr(recycling, "PAGE", sys.maxsize)
    recycling.give_back()


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

    for module, name in _allocating():
        monkeypatch.setattr(module, name, aligned_nan)


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

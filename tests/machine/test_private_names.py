"""Private names of Numba's, taken away or changed: results keep their bits, and one warning says what is lost."""

import json

import pytest
from situations import run

PARTS = "compiling takes longer, and Ctrl-C or a fork may break into it"
CACHE = "compiled code is not kept on disk, so that every process compiles for seconds"
LAUNCHES = "over Numba's threading layer workqueue, where it is all there is, kernels run in one thread"
LOCK = "a fork while another thread compiles with Numba can leave the child waiting for ever"
WORDS = "functions of tiles cannot be called from functions of your own"
WHOLE = "compiling takes twice as long"

# Private name -> what is lost without it. "dispatcher" stands for what `numba.njit` returns.
LOSSES = {
    "numba._dynfunc.make_function": PARTS,
    "numba.core.codegen.CPUCodegen": PARTS,
    "numba.core.codegen.JITCodeLibrary": PARTS,
    "numba.core.compiler.Flags": PARTS,
    "numba.core.compiler.compile_extra": PARTS,
    "numba.core.cpu.CPUTargetOptions": PARTS,
    "numba.core.dispatcher._FunctionCompiler": PARTS,
    "numba.core.lowering.Lower": PARTS,
    "numba.core.registry.CPUDispatcher": PARTS,
    "numba.core.runtime.context.NRTContext": PARTS,
    "numba.core.runtime.nrtdynmod": PARTS,
    "numba.core.typed_passes.NativeLowering": PARTS,
    "dispatcher._compiler": PARTS,
    "numba.core.compiler.CompileResult": CACHE,
    "numba.core.runtime._nrt_python": CACHE,
    "numba.core.serialize.dumps": CACHE,
    "dispatcher._cache": CACHE,
    "numba.core.registry.cpu_target": WORDS,
    "numba.core.compiler_lock.global_compiler_lock": LOCK,
    "numba.np.ufunc.parallel._load_threading_functions": LAUNCHES,
    "numba.np.ufunc.parallel._backend_init_thread_lock": LAUNCHES,
    "numba.np.ufunc.parallel": LAUNCHES,
}

EACH = """
import json, sys
from hiding import forget, hidden, one_warning
for name, loss in json.loads(sys.argv[1]).items():
    with hidden([name]), one_warning(name.rpartition(".")[2], loss):
        from numbaconv.kernels.blend import blend
        # Nothing of it is made before it is asked for.
        blend.dispatcher
    forget()
"""


def test_the_warning_names_what_is_missing_and_what_is_lost():
    run(EACH, json.dumps(LOSSES))


DIGESTS = """
import json, sys
from hiding import hidden, one_warning
from situations import digests
expected, names, loss = json.loads(sys.argv[1]), sys.argv[2].split(), sys.argv[3]
with one_warning(loss):
    with hidden(names):
        import numbaconv.machine.dispatching
    assert digests(expected) == expected
from numbaconv.machine import private, threads
assert loss in private.losses
# Where nothing else is lost, or Numba takes launches from any thread, kernels are spread over the cores.
assert threads.alone == (sys.argv[4] == "alone")
"""


@pytest.mark.slow
def test_results_are_the_same_without_any_of_them(tmp_path, expected_digests):
    # One result tells whether a kernel is compiled, called and spread over the cores; at night it is all of them.
    few = json.dumps({"padding": json.loads(expected_digests)["padding"]})
    variables = {"NUMBA_CACHE_DIR": tmp_path, "NUMBA_THREADING_LAYER": "workqueue"}
    run(DIGESTS, few, " ".join(LOSSES), LOCK, "alone", **variables)
    assert list(tmp_path.iterdir()) == []


# How kernels are launched and locked changes no machine code: it may come from the cache. Else all is compiled anew,
# which is left to the night; what is lost there is among what the test above takes away.
AS_KEPT = (LAUNCHES, LOCK)


@pytest.mark.parametrize(
    ("loss", "layer"),
    [
        pytest.param(loss, layer, marks=pytest.mark.slow if cheap else pytest.mark.nightly)
        for loss in dict.fromkeys(LOSSES.values())
        for layer, cheap in (("default", False), ("workqueue", loss in AS_KEPT))
    ],
)
def test_results_of_all_operations_are_the_same(loss, layer, tmp_path, expected_digests):
    names = " ".join(name for name in LOSSES if LOSSES[name] == loss)
    alone = "alone" if layer == "workqueue" and loss == LAUNCHES else ""
    cache = {} if loss in AS_KEPT else {"NUMBA_CACHE_DIR": tmp_path}
    run(DIGESTS, expected_digests, names, loss, alone, NUMBA_THREADING_LAYER=layer, timeout=600, **cache)


CHANGED = """
import json, sys
from unittest.mock import patch
from hiding import changed, hidden, one_warning
from situations import digests
from numba.core.compiler import CompileResult
expected, name, loss = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
owner, _, last = name.rpartition(".")
with hidden([name] if "." in owner else [], **{last: changed}):
    import numbaconv.machine.dispatching
    from numbaconv.machine import launching, threads
with one_warning("it got other arguments than it wants", loss):
    if owner in ("CompileResult", "launching"):
        patch.object(globals()[owner], last, changed).start()
    assert digests(expected) == expected
assert threads.alone == (owner == "launching")
"""
CHANGES = {
    "numba.core.compiler.compile_extra": WHOLE,
    "CompileResult._reduce": CACHE,
    "CompileResult._rebuild": CACHE,
    "launching._guard": LAUNCHES,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_only_a_call_shows(name, tmp_path, expected_digests):
    """Names may stay and mean something else. What is done then is done as without them: one result tells."""
    # Of several helpers, or of few where all that matters is what becomes of a kernel that is compiled.
    kind = "pooling" if CHANGES[name] == WHOLE else "padding"
    expected = json.dumps({kind: json.loads(expected_digests)[kind]})
    # Only what was kept before can be read.
    cache = {} if name in ("CompileResult._rebuild", "launching._guard") else {"NUMBA_CACHE_DIR": tmp_path}
    run(CHANGED, expected, name, CHANGES[name], NUMBA_THREADING_LAYER="workqueue", timeout=600, **cache)

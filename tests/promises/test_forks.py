"""Layers in processes that were forked or spawned from others that use them."""

import os

import pytest
from situations import THREADING_LAYERS, run, run_over

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

FORKED = """
import json, os, sys, threading, time, traceback
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
import numba
from situations import KINDS, digest, digests

expected = json.loads(sys.argv[1])

def fork(work):
    "Run work in a forked child, which must end well within 60 s."
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    for _ in range(600):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            assert status == 0, status
            return
        time.sleep(0.1)
    os.kill(pid, 9)
    raise TimeoutError("the child hangs")

def check():
    wrong = [kind for kind in KINDS if digest(kind) != expected[kind]]
    assert not wrong, wrong

def check_again():
    "In a child's child, where Numba no longer notices the fork."
    check()
    fork(check)

def check_new():
    "With a kernel that the parent has not compiled."
    import numpy as np
    from numbaconv import functional
    out = functional.crop(np.arange(10.0).reshape(1, 10, 1), 2)
    assert (out.ravel() == np.arange(2, 8)).all()
"""

USES = {
    "os.fork": "check()\nfork(check_again)\nfork(check_new)\ncheck()",
    "os.fork before any kernel": "import numbaconv.layers\nfork(check)\ncheck()\nfork(check)",
    "multiprocessing.Pool": """
check()
with multiprocessing.get_context("fork").Pool(2) as pool:
    for result in pool.map_async(digest, KINDS * 3).get(60):
        assert result in expected.values()
    assert pool.apply_async(digests).get(60) == expected
check()
""",
    "ProcessPoolExecutor": """
check()
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    assert list(pool.map(digest, KINDS * 3, timeout=60)) == [expected[kind] for kind in KINDS * 3]
""",
    "spawn from a forked child": """
def spawn():
    import subprocess
    code = "import json, sys; from situations import digests; assert digests() == json.loads(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, sys.argv[1]], check=True, timeout=60)
check()
fork(spawn)
""",
    "os.fork while other threads run kernels": """
over = threading.Event()
def busy():
    while not over.is_set():
        check()
check()
threads = [threading.Thread(target=busy) for _ in range(3)]
[t.start() for t in threads]
for _ in range(5):
    fork(check)
over.set()
[t.join() for t in threads]
check()
""",
    "os.fork from another thread": """
check()
failures = []
def other():
    try:
        fork(check)
    except BaseException as error:
        failures.append(error)
t = threading.Thread(target=other)
t.start()
check()
t.join()
assert not failures, failures
""",
}


QUICK = ("os.fork", "multiprocessing.Pool", "os.fork while other threads run kernels")
ALL = [
    pytest.param(layer, use, marks=[] if layer == "omp" and use in QUICK else [pytest.mark.slow])
    for layer in THREADING_LAYERS
    for use in USES
]


@forking
@pytest.mark.situation("fork after a kernel ran")
@pytest.mark.parametrize(("layer", "use"), ALL)
def test_forks(layer, use, expected_digests):
    """A forked child computes the same bits as its parent, whatever the parent was doing, and never hangs."""
    run_over(layer, FORKED + USES[use], expected_digests)


WRITTEN = """
numba.set_num_threads(min(2, numba.get_num_threads()) if {all} else 1)
import numpy as np
from numbaconv import layers

layer, x = layers.UpSampling2D(2), np.random.default_rng(0).random((1, 64, 64, 8), np.float32)
for _ in range(9):
    out = layer(x)
assert any(map(callable, layer._written[2].values()))

def call():
    assert layer(x).tobytes() == out.tobytes()

fork(lambda: (call(), fork(call)))
call()
"""


@forking
@pytest.mark.situation("fork after a kernel ran")
@pytest.mark.parametrize("all_threads", [False, True])
def test_forks_after_calls_were_written_down(all_threads, expected_digests):
    run_over("omp", FORKED + WRITTEN.format(all=all_threads), expected_digests)


WHILE_COMPILING = """
import numpy as np
from numbaconv import functional, kernels
import numba.core.event as event

def compiling(work):
    "Run work in a thread, and return it once a kernel is being compiled."
    started = threading.Event()
    class Listen(event.Listener):
        def on_start(self, event):
            started.set()
        def on_end(self, event):
            pass
    listener = Listen()
    event.register("numba:compile", listener)
    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(60)
    event.unregister("numba:compile", listener)
    return thread

def upsample():
    x = np.arange(200_000.0).reshape(1, -1, 1)
    assert (functional.upsample(x, 2).ravel() == x.ravel().repeat(2)).all()

thread = compiling(upsample)
fork(upsample)
fork(check_new)
thread.join()
upsample()
"""


@pytest.mark.slow
@forking
@pytest.mark.situation("fork after a kernel ran")
def test_fork_while_another_thread_compiles(expected_digests):
    """A fork waits for the compiler, so that the child finds it whole and not locked."""
    run(FORKED + WHILE_COMPILING, expected_digests, NUMBACONV_CACHE=0)


LOCKS = """
import numpy as np
from numbaconv import layers
from numbaconv.calls import packed
from numbaconv.layers import base

inside = threading.Event()
class Slow(layers.Conv2D):
    def _weight_shapes(self, channels):
        inside.set()
        time.sleep(0.3)
        return super()._weight_shapes(channels)

def slow_pack(*arguments):
    inside.set()
    time.sleep(0.3)
    return pack(*arguments)

x = np.ones((1, 9, 9, 4), "float32")
thread = threading.Thread(target=lambda: Slow(4, 3)(x))
thread.start()
assert inside.wait(60)
fork(lambda: layers.Conv2D(4, 3)(x))
thread.join()

# The same while weights are packed, as they are for more than a few windows.
x = np.ones((1, 30, 30, 4), "float32")
inside.clear()
pack, packed._panels = packed._panels, slow_pack
thread = threading.Thread(target=lambda: layers.Conv2D(4, 3)(x))
thread.start()
assert inside.wait(60)
fork(lambda: layers.Conv2D(4, 3)(x))
thread.join()
"""


@pytest.mark.slow
@forking
@pytest.mark.situation("fork after a kernel ran")
def test_fork_while_another_thread_builds_a_layer(expected_digests):
    """No lock of this package stays locked in a child."""
    run(FORKED + LOCKS, expected_digests)


SPAWNED = """
import json, sys
from multiprocessing import get_context
from situations import KINDS, digest, digests

if __name__ == "__main__":
    expected = json.loads(sys.argv[1])
    assert digests() == expected
    with get_context("spawn").Pool(2) as pool:
        assert pool.map_async(digest, KINDS).get(60) == [expected[kind] for kind in KINDS]
"""


@pytest.mark.slow
@pytest.mark.situation("spawn, nested, dask, joblib")
def test_spawned_processes(expected_digests):
    """Spawned processes compute the same bits."""
    run(SPAWNED, expected_digests)


LOKY = """
import json, sys
from joblib import Parallel, delayed
import numpy as np
from numbaconv import layers
from situations import digest, layer_with_weights, KINDS

expected = json.loads(sys.argv[1])
layer, x = layer_with_weights(lambda: layers.Conv2D(24, 3), (2, 30, 30, 12))
wanted = layer(x)
run = Parallel(n_jobs=2, backend="loky", timeout=100)
assert all((out == wanted).all() for out in run(delayed(layer)(x) for _ in range(4)))
assert run(delayed(digest)(kind) for kind in KINDS) == [expected[kind] for kind in KINDS]
"""


@pytest.mark.slow
@pytest.mark.situation("spawn, nested, dask, joblib")
def test_joblib_loky(expected_digests):
    """Layers can be sent to processes of joblib and called there."""
    pytest.importorskip("joblib")
    run(LOKY, expected_digests)

"""Ctrl-C during calls, compilation and saving; and the compiler switched off."""

import pytest
from situations import run

DURING_PREDICT = """
import os, signal, threading
import numpy as np
from numbaconv.machine.compiler import ParallelKernel
from numbaconv.layers import Conv2D
from numbaconv.models import Sequential

model = Sequential([Conv2D(16, 3, padding="same", algorithm="direct") for _ in range(100)])
x = np.ones((2, 64, 64, 16), "float32")
small = model.predict(x[:, :8, :8])

calls, call = [], ParallelKernel.__call__
def counted(self, *args, **keywords):
    call(self, *args, **keywords)
    calls.append(self)
ParallelKernel.__call__ = counted

def press():
    while len(calls) < 5:
        pass
    at.append(len(calls))
    os.kill(os.getpid(), signal.SIGINT)

at = []
thread = threading.Thread(target=press)
thread.start()
try:
    model.predict(x)
except KeyboardInterrupt:
    pass
else:
    raise AssertionError("not interrupted")
thread.join()
# The call under way, and those that ended before the other thread came to send the signal.
assert len(calls) - at[0] < 20
ParallelKernel.__call__ = call
assert (model.predict(x[:, :8, :8]) == small).all()
"""


@pytest.mark.situation("Ctrl-C")
def test_ctrl_c_during_predict():
    """Ctrl-C ends `predict` within a kernel call or two of many, and the model works on."""
    run(DURING_PREDICT)


COMPILING = """
import signal, sys
import numpy as np
import numba.core.event as event
from numba.core.codegen import JITCodeLibrary
from numbaconv.calls.layouts import swapped
from numbaconv.machine import cache as _cache
from numbaconv.kernels.planes import transpose

x = np.arange(6.0).reshape(1, 2, 3)

presses = [0] * int(sys.argv[2])
def press(*_):
    while presses:
        presses.pop()
        signal.raise_signal(signal.SIGINT)

def before(owner, name):
    original = getattr(owner, name)
    def pressed(*args, **keywords):
        setattr(owner, name, original)
        press()
        return original(*args, **keywords)
    setattr(owner, name, pressed)

class Listener(event.Listener):
    on_start = press
    def on_end(self, event):
        pass

if sys.argv[1] == "start":
    listener = Listener()
    event.register("numba:compile", listener)
elif sys.argv[1] == "LLVM":
    event.register("numba:run_pass", listener := Listener())
elif sys.argv[1] == "saving":
    before(_cache, "write_in")
elif sys.argv[1] == "renaming":
    before(_cache.Path, "replace")
elif sys.argv[1] == "callback":
    original = JITCodeLibrary._object_compiled_hook
    JITCodeLibrary._object_compiled_hook = classmethod(lambda cls, *a: (press(), original(*a)))
    from numba.core.registry import cpu_target
    engine = cpu_target.target_context.codegen()._engine
    engine.set_object_cache(JITCodeLibrary._object_compiled_hook, JITCodeLibrary._object_getbuffer_hook)

try:
    swapped(x)
except KeyboardInterrupt:
    pass
else:
    raise AssertionError("not interrupted")
if "listener" in globals():
    for kind in ("numba:compile", "numba:run_pass"):
        try:
            event.unregister(kind, listener)
        except ValueError:
            pass
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
for dtype in ("float64", "float32"):
    assert (swapped(x.astype(dtype)) == x.mT).all()
print(sum(transpose.dispatcher.stats.cache_misses.values()))
"""


@pytest.mark.situation("Ctrl-C")
@pytest.mark.parametrize(
    ("moment", "presses"),
    [("LLVM", 2), ("saving", 1)]
    + [
        pytest.param(*at, marks=pytest.mark.slow)
        for at in (("start", 1), ("callback", 1), ("callback", 2), ("renaming", 1))
    ],
)
def test_ctrl_c_during_compilation(tmp_path, moment, presses):
    """Ctrl-C while a kernel is compiled or saved takes effect once that is done, and leaves all whole."""
    assert run(COMPILING, moment, presses, NUMBA_CACHE_DIR=tmp_path) == ("2\n", "")
    assert len(list(tmp_path.rglob("*.nbc"))) == 2
    assert not list(tmp_path.rglob("*.tmp"))


WITHOUT_COMPILER = """
import numpy as np
from numbaconv import layers, reference, shapes

layer = layers.Conv2D(2, 3)
assert layer.compute_output_shape((None, 8, 8, 3)) == (None, 6, 6, 2)
try:
    layer(np.ones((1, 8, 8, 3)))
except RuntimeError as error:
    print(error)
x, weights = np.ones((1, 1, 1, 4, 2)), np.ones((1, 1, 3, 2, 5))
out = reference.conv(x, weights, np.zeros(5), (1, 1, 1), (1, 1, 1), (0, 0, 0), (0, 0, 0))
assert out.shape == (1, 1, 1, 2, 5)
assert (out == 6).all()
"""


@pytest.mark.situation("NUMBA_DISABLE_JIT")
def test_without_the_compiler():
    """With ``NUMBA_DISABLE_JIT=1`` layers say what to use instead, and that works."""
    out, err = run(WITHOUT_COMPILER, NUMBA_DISABLE_JIT=1)
    assert out.startswith("NUMBA_DISABLE_JIT=1 is set, but the kernels of numbaconv exist as machine code only.")
    assert "numbaconv.reference" in out
    assert err == ""

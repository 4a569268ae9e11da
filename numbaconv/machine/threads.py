"""What threads and forks do to Numba's parallel loops, and how the kernels get along with it.

Of Numba's three threading layers, "omp" and "tbb" take launches from any number of threads. "workqueue", which Numba
falls back on where it finds no other, aborts the process when a second launch comes before the first has ended, be it
from another thread or from within. Here such a launch runs in its own thread instead, as do those of all programs that
are compiled after the import of this module; where others may have been before it, the kernels do without workqueue.

A forked process has none of its parent's worker threads; GNU's OpenMP waits for them for ever, or Numba ends the
process. So its kernels run in one thread.
"""

import ctypes
import functools
import os
import threading

import numba
from llvmlite import binding, ir
from numba.types import intp

from .private import lose, lost_without

# GNU OpenMP has idle threads spin for milliseconds. Where another process takes a core, spinning threads end up waiting
# for each other's time slices; where none does, a thread that sleeps takes longer to wake than a small call. So they
# spin a little longer than waking takes: asv_bench/spinning.py measures both.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# Whether kernels are to run in the thread that calls them.
alone = False
_UNGUARDED = "over Numba's threading layer workqueue, where it is all there is, kernels run in one thread"

# The lock under which Numba compiles.
compiler_lock = threading.RLock()
with lost_without("a fork while another thread compiles with Numba can leave the child waiting for ever"):
    from numba.core.compiler_lock import global_compiler_lock as compiler_lock

# Numba takes a lock that parent and child share whenever the number of threads is asked for. A child made meanwhile
# could never give it back, and both would wait for ever.
asking_lock = threading.RLock()


def count():
    """Threads that a kernel called from here is spread over."""
    if alone:
        return 1
    with asking_lock:
        return numba.get_num_threads()


def remember(maxsize):
    """Decorator like `functools.lru_cache`, for what is made for the number of threads that a kernel is spread over.

    What says of itself that it is ``serial`` serves any number; asking for the number would take a small call's time.
    """

    def decorate(make):
        @functools.lru_cache(maxsize)
        @functools.wraps(make)
        def first(*args):
            return count(), make(*args)

        @functools.lru_cache(maxsize)
        @functools.wraps(make)
        def others(threads, *args):
            return make(*args)

        @functools.wraps(make)
        def made(*args):
            threads, known = first(*args)
            if known.serial or threads == (now := count()):
                return known
            return others(now, *args)

        made.cache_info, made.cache_parameters = first.cache_info, first.cache_parameters
        made.cache_clear = lambda: (first.cache_clear(), others.cache_clear())
        return made

    return decorate


def _layer():
    """Name of Numba's threading layer; None before the first launch."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None


def _parallel_for_one_at_a_time(address):
    """LLVM module with workqueue's ``parallel_for`` (at `address`), in its own thread while another one is under way.

    It waits for nobody, so that it cannot deadlock, and needs no Python, so that no exception can come in between.
    """
    pointer, size, flag = ir.IntType(8).as_pointer(), ir.IntType(intp.bitwidth), ir.IntType(32)
    launch_type = ir.FunctionType(ir.VoidType(), [pointer] * 5 + [size] * 3)
    loop_type = ir.FunctionType(ir.VoidType(), [pointer] * 4)
    module = ir.Module()
    module.triple = binding.get_default_triple()
    busy = ir.GlobalVariable(module, flag, "busy")
    busy.initializer = flag(0)
    function = ir.Function(module, launch_type, "parallel_for")
    builder = ir.IRBuilder(function.append_basic_block())
    free = builder.extract_value(builder.cmpxchg(busy, flag(0), flag(1), "acquire", "monotonic"), 1)
    with builder.if_else(free) as (launch, run):
        with launch:
            builder.call(builder.inttoptr(size(address), launch_type.as_pointer()), function.args)
            builder.store_atomic(flag(0), busy, "release", 4)
        with run:
            # The loop over all tasks, its arguments as for a launch of one thread.
            loop, *arguments = function.args[:5]
            builder.call(builder.bitcast(loop, loop_type.as_pointer()), arguments)
    builder.ret_void()
    return module


def _guard(layer):
    """Have loops that are linked from now on call the guarded ``parallel_for``, if `layer` needs that."""
    global _engine
    if layer.__name__.endswith("workqueue"):
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        module = binding.parse_assembly(str(_parallel_for_one_at_a_time(layer.parallel_for)))
        # Kept for ever, as its code is.
        _engine = binding.create_mcjit_compiler(module, binding.Target.from_default_triple().create_target_machine())
        _engine.finalize_object()
        binding.add_symbol("numba_parallel_for", _engine.get_function_address("parallel_for"))


def _guard_launches():
    """See to it that no loop is linked before `_guard` was asked."""
    global alone
    from numba.np.ufunc import parallel

    load = parallel._load_threading_functions

    def load_guarded(layer):
        global alone
        load(layer)
        try:
            _guard(layer)
        except Exception as error:
            alone = True
            lose(_UNGUARDED, error)

    with parallel._backend_init_thread_lock:
        parallel._load_threading_functions = load_guarded
        # Where loops may have been linked already, there is no telling when they are launched.
        alone = _layer() == "workqueue"


try:
    _guard_launches()
except Exception as error:
    lose(_UNGUARDED, error)
    # Only the threads themselves tell which layer they belong to.
    numba.get_num_threads()
    alone = _layer() == "workqueue"


def held_at_fork(lock):
    """`lock`, an RLock, which each fork from now on waits for: in the child, whoever else held it would be gone.

    Locks are taken in the opposite order of the calls of this function: first what is held while others are asked for.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


# A child would have to go on with what its parent's other threads left in the middle of something.
held_at_fork(asking_lock)
held_at_fork(compiler_lock)


def _gomp_loaded():
    try:
        ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD)
    except OSError:
        return False
    return True


def _stay_alone():
    global alone
    # Somebody else may have run OpenMP before Numba did.
    alone = alone or _layer() is not None or _gomp_loaded()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stay_alone)

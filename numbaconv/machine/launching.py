"""What threads do to Numba's parallel loops, and how the kernels get along with it.

Of Numba's three threading layers, "omp" and "tbb" take launches from any number of threads. "workqueue", which Numba
falls back on where it finds no other, aborts the process when a second launch comes before the first has ended, be it
from another thread or from within. Here such a launch runs in its own thread instead, as do those of all programs that
are compiled after the import of this module; where others may have been before it, the kernels do without workqueue.
"""

import numba
from llvmlite import binding, ir
from numba.types import intp

from . import threads
from .private import lose, lost_without

_UNGUARDED = "over Numba's threading layer workqueue, where it is all there is, kernels run in one thread"

with lost_without("a fork while another thread compiles with Numba can leave the child waiting for ever"):
    from numba.core.compiler_lock import global_compiler_lock

    threads.compiler_lock.numbas = global_compiler_lock


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
    from numba.np.ufunc import parallel

    load = parallel._load_threading_functions

    def load_guarded(layer):
        load(layer)
        try:
            _guard(layer)
        except Exception as error:
            threads.alone = True
            lose(_UNGUARDED, error)

    with parallel._backend_init_thread_lock:
        parallel._load_threading_functions = load_guarded
        # Where loops may have been linked already, there is no telling when they are launched.
        threads.alone = threads.alone or _layer() == "workqueue"


try:
    _guard_launches()
except Exception as error:
    lose(_UNGUARDED, error)
    # Only the threads themselves tell which layer they belong to.
    numba.get_num_threads()
    threads.alone = threads.alone or _layer() == "workqueue"

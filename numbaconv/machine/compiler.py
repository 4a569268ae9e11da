"""The one decorator through which every loop of this package is compiled."""

import functools
import gc
import signal
import threading
from contextlib import contextmanager

import numba
from numba._dynfunc import make_function
from numba.core import config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import _FunctionCompiler
from numba.core.registry import CPUDispatcher

from . import threads
from .cache import disk_cache
from .compiling import compiling
from .vectors import TILE_ROWS, TILE_VECS, VECTOR_BYTES


class _PartLibrary(JITCodeLibrary):
    """Code that is optimized and translated only as a part of the kernels that call it.

    Numba would do so with every function for itself, and with the body of a parallel loop three times over.
    """

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


class _PartCodegen:
    """Numba's code generator, but that its new libraries are parts."""

    def __init__(self, codegen):
        self._codegen = codegen

    def __getattr__(self, name):
        return getattr(self._codegen, name)

    def create_library(self, name):
        return _PartLibrary(self._codegen, name)


def _part_executable(library, fndesc, env):
    # What Numba makes of a function without a wrapper: an object to know it by, that nobody calls.
    return make_function(fndesc.lookup_module(), fndesc.qualname, "", 0, env, (library,))


@functools.cache
def _part_context(context):
    """Numba's target for the CPU, but that it makes parts."""
    codegen = _PartCodegen(context.codegen())
    return context.subtarget(codegen=lambda: codegen, get_executable=_part_executable)


class _HelperCompiler(_FunctionCompiler):
    """Compiles a function that only other compiled functions call."""

    def _compile_core(self, args, return_type):
        return self._compile_in(_part_context(self.targetdescr.target_context), None, args, return_type)

    def _compile_in(self, context, library, args, return_type):
        flags = Flags()
        self.targetdescr.options.parse_as_flags(flags, self.targetoptions)
        typing = self.targetdescr.typing_context
        return compile_extra(typing, context, self.py_func, args, return_type, flags, self.locals, library)


class _KernelCompiler(_HelperCompiler):
    """Compiles a kernel, which contains all parts that it calls."""

    def _compile_core(self, args, return_type):
        context = self.targetdescr.target_context
        whole = context.codegen().create_library(self.py_func.__qualname__)
        whole.enable_object_caching()

        def get_executable(library, fndesc, env):
            return (context.get_executable if library is whole else _part_executable)(library, fndesc, env)

        # Numba compiles under one lock, so no other function sees this. Further levels double the time of LLVM and gain
        # nothing: the tile's intrinsics are vectorized and unrolled as they are written.
        level = config.OPT
        config.OPT = type(level)(1)
        try:
            parts = _part_context(context).subtarget(get_executable=get_executable)
            with compiling():
                return self._compile_in(parts, whole, args, return_type)
        finally:
            config.OPT = level


class _Helper(CPUDispatcher):
    def __call__(self, *args):
        raise TypeError(f"{self.__name__} exists in compiled code only: call it from a numba.njit function")


@contextmanager
def _uninterrupted():
    """Context at whose end Ctrl-C takes effect.

    Some of the compiler is called by LLVM, where a KeyboardInterrupt would be lost and leave half of a kernel.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        # No handler of Python's will run here.
        yield
        return
    pressed = []
    signal.signal(signal.SIGINT, lambda *_: pressed.append(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        for _ in pressed:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _uncollected():
    """Context without garbage collection: an eighth of the time, for millions of objects that will live on."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Kernel(CPUDispatcher):
    # Under the lock for which forks wait: both import modules, which a child would find locked for ever.
    def typeof_pyval(self, val):
        with global_compiler_lock:
            return super().typeof_pyval(val)

    def _compile_for_args(self, *args, **kwargs):
        with _uninterrupted(), global_compiler_lock, _uncollected():
            return super()._compile_for_args(*args, **kwargs)


def _dispatcher(function, dispatcher_class, compiler_class, **options):
    dispatcher = numba.njit(fastmath={"contract"}, error_model="numpy", nogil=True, no_cfunc_wrapper=True, **options)(
        function
    )
    made = dispatcher._compiler
    dispatcher._compiler = compiler_class(
        function, made.targetdescr, made.targetoptions, made.locals, made.pipeline_class
    )
    dispatcher.__class__ = dispatcher_class
    return dispatcher


def _kernel(function, parallel):
    dispatcher = _dispatcher(function, _Kernel, _KernelCompiler, parallel=parallel)
    dispatcher._cache = disk_cache(function, parallel, VECTOR_BYTES, TILE_ROWS, TILE_VECS)
    return dispatcher


class ParallelKernel:
    """A kernel compiled twice at need: with its ``prange`` loop spread over the cores, and as a plain loop."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.parallel, self.serial = _kernel(function, True), _kernel(function, False)

    def __call__(self, *args, serial=False):
        # Numba drops bounds checks in parallel code.
        (self.serial if serial or threads.alone or config.BOUNDSCHECK else self.parallel)(*args)


def _without_compiler(function):
    """What stands for a kernel where the compiler is switched off."""

    @functools.wraps(function)
    def refuse(*args, **kwargs):
        raise RuntimeError(
            "NUMBA_DISABLE_JIT=1 is set, but the kernels of numbaconv exist as machine code only. Unset it, or use "
            "numbaconv.reference, which computes the same operations in plain Python too"
        )

    return refuse


def compiled(function=None, *, parallel=False, inline=False):
    """Compile loops with the options that hold for the whole package.

    Parameters
    ----------
    function : callable
        Loops over arrays and integers; it checks nothing and never raises.
    parallel : bool
        Whether it is a kernel, called from Python, with a ``prange`` loop over tasks that write to different places.
        ``prange`` may count in unsigned integers: cast to int64 before any subtraction.
    inline : bool
        Whether the code becomes part of its callers however long it is: a call passes every field of every array, which
        counts where little is done between calls.

    Returns
    -------
    ParallelKernel or numba dispatcher
        Compiled at its first call for each set of argument types; kernels are kept on disk where a folder is writable,
        and contain whatever they call. Only kernels can be called from Python.

    Notes
    -----
    Floating-point rules stay strict except that a product and a sum may fuse into one rounding ("contract"): NaN and
    infinities behave as the formula says.
    """
    if function is None:
        return lambda f: compiled(f, parallel=parallel, inline=inline)
    if config.DISABLE_JIT:
        return _without_compiler(function)
    if parallel:
        return ParallelKernel(function)
    return _dispatcher(function, _Helper, _HelperCompiler, no_cpython_wrapper=True, forceinline=inline)

"""Numba's dispatchers and compilers, bent: helpers are parts of their kernels, and neither Ctrl-C nor a fork breaks in.

Without this module, `compiler` takes Numba as it is.
"""

import functools
import gc
import signal
import threading
from contextlib import contextmanager

import numba
from llvmlite.ir import Constant
from numba import config
from numba._dynfunc import make_function
from numba.core.cgutils import voidptr_t
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Flags, compile_extra
from numba.core.cpu import CPUTargetOptions
from numba.core.dispatcher import _FunctionCompiler
from numba.core.registry import CPUDispatcher

from .compiling import compiling
from .private import lose
from .threads import compiler_lock

# LLVM's optimization level. Further ones take longer and gain nothing: the tile's intrinsics are vectorized and
# unrolled as they are written.
LEVEL = 1
_WHOLE = "compiling takes twice as long"
_NOWHERE = Constant(voidptr_t, None)


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

    def add_address(builder, address, info):
        # A helper that is handed on is known by its type. Code with its address could not be kept on disk.
        return _NOWHERE if info == _Helper.__name__ else context.add_dynamic_addr(builder, address, info)

    return context.subtarget(codegen=lambda: codegen, get_executable=_part_executable, add_dynamic_addr=add_address)


class _HelperCompiler(_FunctionCompiler):
    """Compiles a function that only other compiled functions call."""

    in_parts = True

    def _compile_core(self, args, return_type):
        if not _HelperCompiler.in_parts:
            return super()._compile_core(args, return_type)
        try:
            return self._compile_parts(args, return_type)
        except numba.TypingError:
            raise
        except Exception as error:
            failure = error
        _HelperCompiler.in_parts = False
        try:
            result = super()._compile_core(args, return_type)
        except Exception:
            # A mistake in the function itself.
            _HelperCompiler.in_parts = True
            raise
        lose(_WHOLE, failure)
        return result

    def _compile_parts(self, args, return_type):
        return self._compile_in(_part_context(self.targetdescr.target_context), None, args, return_type)

    def _compile_in(self, context, library, args, return_type):
        flags = Flags()
        self.targetdescr.options.parse_as_flags(flags, self.targetoptions)
        typing = self.targetdescr.typing_context
        return compile_extra(typing, context, self.py_func, args, return_type, flags, self.locals, library)


class _KernelCompiler(_HelperCompiler):
    """Compiles a kernel, which contains all parts that it calls."""

    def _compile_parts(self, args, return_type):
        context = self.targetdescr.target_context
        whole = context.codegen().create_library(self.py_func.__qualname__)
        whole.enable_object_caching()

        def get_executable(library, fndesc, env):
            return (context.get_executable if library is whole else _part_executable)(library, fndesc, env)

        # Numba compiles under one lock, so no other function sees this.
        level = config.OPT
        config.OPT = type(level)(LEVEL)
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
        with compiler_lock:
            return super().typeof_pyval(val)

    def _compile_for_args(self, *args, **kwargs):
        with _uninterrupted(), compiler_lock, _uncollected():
            return super()._compile_for_args(*args, **kwargs)


def _bend(dispatcher, dispatcher_class, compiler_class, **options):
    made = dispatcher._compiler
    dispatcher._compiler = compiler_class(
        made.py_func, made.targetdescr, made.targetoptions | options, made.locals, made.pipeline_class
    )
    dispatcher.__class__ = dispatcher_class


def bend_kernel(dispatcher):
    """Have a dispatcher be called from Python, and its code contain all helpers that it calls."""
    _bend(dispatcher, _Kernel, _KernelCompiler, no_cfunc_wrapper=True)


def bend_helper(dispatcher, inline):
    """Have a dispatcher be called from other compiled functions alone; `inline` puts its code into theirs."""
    _bend(dispatcher, _Helper, _HelperCompiler, no_cfunc_wrapper=True, no_cpython_wrapper=True, forceinline=inline)


def _try_out():
    """Raise an error here already, not at the first call, where something that is used above is gone."""
    if config.DISABLE_JIT:
        return
    used = {
        CPUTargetOptions: ("no_cfunc_wrapper", "no_cpython_wrapper", "forceinline"),
        CPUDispatcher: ("typeof_pyval", "_compile_for_args"),
        _FunctionCompiler: ("_compile_core",),
        JITCodeLibrary: ("_optimize_final_module", "_finalize_final_module", "_finalize_dynamic_globals"),
    }
    for owner, names in used.items():
        for name in names:
            getattr(owner, name)
    bend_kernel(numba.njit(lambda: None))


_try_out()

"""Numba's dispatchers and compilers, bent: helpers are parts of their kernels, and neither Ctrl-C nor a fork breaks in.

Without this module, `compiler` takes Numba as it is.
"""

import copy
import functools
import inspect
import signal
import threading
from contextlib import contextmanager

import numba
from llvmlite.ir import Constant, Function, FunctionType, IRBuilder
from numba import config
from numba._dynfunc import make_function
from numba.core.cgutils import voidptr_t
from numba.core.codegen import CPUCodegen, JITCodeLibrary
from numba.core.compiler import Compiler, Flags, compile_extra
from numba.core.cpu import CPUTargetOptions
from numba.core.dispatcher import _FunctionCompiler
from numba.core.lowering import Lower
from numba.core.registry import CPUDispatcher
from numba.core.runtime import nrtdynmod
from numba.core.runtime.context import NRTContext
from numba.core.typed_passes import NativeLowering
from numba.core.types import BaseFunction, unliteral

from ..objects.collecting import uncollected
from .compiling import compiling
from .lowering import PlainLowering
from .private import lose
from .threads import compiler_lock
from .words import Word

# LLVM's optimization level. Further ones take longer and gain nothing: the tile's intrinsics are vectorized and
# unrolled as they are written.
LEVEL = 1
NEEDLESS = {
    *("with_lifting", "inline_closure_likes", "Rewrite dynamic raises", "make_function_op_code_to_jit_function"),
    *("inline_inlinables", "find_literally", "literal_unroll", "LiteralPropagation", "inline_overloads"),
    *("nopython_rewrites", "nopython_supported_feature_validation"),
}
_WHOLE = "compiling takes twice as long"
_NOWHERE = Constant(voidptr_t, None)
# In Numba 0.61 and before, passes belong to a module.
_PASSES_ONCE = len(inspect.signature(CPUCodegen._function_pass_manager).parameters) == 2


class _Library(JITCodeLibrary):
    def _optimize_functions(self, ll_module):
        """As Numba does, which prepares all passes anew for each function, and for those that are merely declared."""
        if not _PASSES_ONCE:
            super()._optimize_functions(ll_module)
            return
        ll_module.data_layout = self._codegen._data_layout
        manager, builder = self._codegen._function_pass_manager()
        for function in ll_module.functions:
            if not function.is_declaration:
                manager.run(function, builder)


class _PartLibrary(_Library):
    """Code that is optimized and translated only as a part of the kernels that call it.

    Numba would do so with every function for itself, and with the body of a parallel loop three times over. It would
    also link what a function calls into that, and both into the next.
    """

    def finalize(self):
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def alone(self):
        return super()._get_module_for_linking()

    def _get_module_for_linking(self):
        # Into code that is not this package's.
        module = self.alone().clone()
        _link_parts(self, module)
        return module


class _WholeLibrary(_Library):
    """Code of a kernel and of all parts that it calls."""

    def finalize(self):
        # What a module has already is not taken from Numba's.
        self._final_module.link_in(_counting(self._codegen)._get_module_for_linking(), preserve=True)
        _link_parts(self, self._final_module)
        for name in ("NRT_incref", "NRT_decref"):
            # Not for code that is not this package's.
            self._final_module.get_function(name).linkage = "internal"
        self._linking_libraries = []
        super().finalize()


def _link_parts(library, module):
    """Link whatever a library calls into a module."""
    found = {}

    def visit(caller):
        for part in caller._linking_libraries:
            if part not in found:
                visit(part)
                found[part] = None

    visit(library)
    # Callers first: LLVM leaves out what nobody has called yet.
    for part in reversed(found):
        # Numba 0.61 and before have none.
        if hasattr(library, "_reload_init"):
            library._reload_init.update(part._reload_init)
        of_part = part.alone() if isinstance(part, _PartLibrary) else part._get_module_for_linking()
        module.link_in(of_part, preserve=True)


@functools.cache
def _counting(codegen):
    """What counts references, by plain additions: atomic ones wait until all that was stored has left the core.

    Threads never count the same ones: to parallel loops Numba hands arrays without, and each call has those of its own.
    """
    library = codegen.create_library("counting")
    module, word = library.create_ir_module("counting"), nrtdynmod._word_type
    for name, define in (("add", nrtdynmod._define_nrt_incref), ("sub", nrtdynmod._define_nrt_decref)):
        function = Function(module, FunctionType(word, [word.as_pointer()]), f"nrt_plain_{name}")
        builder = IRBuilder(function.append_basic_block())
        count = getattr(builder, name)(builder.load(function.args[0]), word(1))
        builder.store(count, function.args[0])
        builder.ret(count)
        function.linkage = "linkonce_odr"
        define(module, function)
    library.add_ir_module(module)
    library.finalize()
    return library


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


class _References(NRTContext):
    """How Numba counts references, but that only what has any is taken out of a tuple or an array."""

    @functools.cached_property
    def counted(self):
        models = self._context.data_model_manager
        return functools.cache(lambda kind: models[kind].contains_nrt_meminfo())

    def get_meminfos(self, builder, ty, val):
        if not self.counted(ty):
            return []
        model = self._context.data_model_manager[ty]
        found = [(ty, model.get_nrt_meminfo(builder, val))] if model.has_nrt_meminfo() else []
        for kind, take in model.traverse(builder):
            if self.counted(kind):
                found += self.get_meminfos(builder, kind, take(val))
        return found


@functools.cache
def _part_context(context):
    """Numba's target for the CPU, but that it makes parts."""
    codegen = _PartCodegen(context.codegen())

    def add_address(builder, address, info):
        # A helper that is handed on is known by its type. Code with its address could not be kept on disk.
        return _NOWHERE if info == Word.__name__ else context.add_dynamic_addr(builder, address, info)

    return context.subtarget(
        codegen=lambda: codegen,
        get_executable=_part_executable,
        add_dynamic_addr=add_address,
        nrt=_References(context, True),
        typing_context=_of_operators(context.typing_context),
        # LLVM reads a module for each answer.
        get_abi_sizeof=functools.cache(context.get_abi_sizeof),
    )


@functools.cache
def _remembering(typing):
    """Numba's typing, but that it finds out only once what a function makes of arguments of some types."""
    found = {}

    def resolve(function, args, kws):
        if kws or not isinstance(function, BaseFunction):
            return typing.resolve_function_type(function, args, kws)
        if (function, args) not in found:
            found[function, args] = typing.resolve_function_type(function, args, kws)
        return found[function, args]

    result = copy.copy(typing)
    result.resolve_function_type = resolve
    return result


@functools.cache
def _of_operators(typing):
    """Numba's typing for lowering, which asks anew what each operator makes of its operands: it is found out once."""

    @functools.cache
    def operator(value):
        known = typing.resolve_value_type(value)

        @functools.cache
        def signature(operands):
            try:
                return known.get_call_type(typing, operands, {}), None
            except numba.TypingError as error:
                return None, error

        def get_call_type(_, operands, named):
            found, error = signature(tuple(operands))
            if error is not None:
                raise error
            return found

        # Python's copy of a type is the type itself.
        result = object.__new__(type(known))
        vars(result).update(vars(known), get_call_type=get_call_type)
        return result

    def resolve(value):
        ours = getattr(value, "__module__", "") == "_operator"
        return operator(value) if ours else typing.resolve_value_type(value)

    result = copy.copy(typing)
    result.resolve_value_type = resolve
    return result


class _PlainCompiler(Compiler):
    """Numba's compiler without the passes over what helpers never contain, such as closures and array expressions."""

    def define_pipelines(self):
        managers = super().define_pipelines()
        for manager in managers:
            steps = [step for step in manager.passes if step[0].name() not in NEEDLESS]
            manager.passes = [(PlainLowering, why) if step is NativeLowering else (step, why) for step, why in steps]
        return managers


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
        typing = _remembering(self.targetdescr.typing_context)
        made = compile_extra(
            typing, context, self.py_func, args, return_type, flags, self.locals, library, _PlainCompiler
        )
        if not flags.nrt and context.data_model_manager[made.signature.return_type].contains_nrt_meminfo():
            raise numba.TypingError(f"{self.py_func.__name__} counts no references, so that it cannot return an array")
        return made


class _KernelCompiler(_HelperCompiler):
    """Compiles a kernel, which contains all parts that it calls."""

    def _compile_parts(self, args, return_type):
        context = self.targetdescr.target_context
        whole = _WholeLibrary(context.codegen(), self.py_func.__qualname__)
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
    def get_call_template(self, args, kws):
        # Numba would compile anew for each number that is written out.
        args, kws = (unliteral(arg) for arg in args), {name: unliteral(arg) for name, arg in kws.items()}
        return super().get_call_template(tuple(args), kws)

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


class _Kernel(CPUDispatcher):
    def _compilation_chain_init_hook(self):
        # Numba looks for extensions of its own among all packages, of which no kernel uses any.
        pass

    # Under the lock for which forks wait: both import modules, which a child would find locked for ever.
    def typeof_pyval(self, val):
        with compiler_lock:
            return super().typeof_pyval(val)

    def _compile_for_args(self, *args, **kwargs):
        with _uninterrupted(), compiler_lock, uncollected():
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


def bend_helper(dispatcher, inline, counted):
    """Have a dispatcher be called from other compiled functions alone; `inline` puts its code into theirs."""
    # What is not said of references, whether they are counted, would be as the caller has it.
    options = {"no_cfunc_wrapper": True, "no_cpython_wrapper": True, "forceinline": inline, "_nrt": counted}
    _bend(dispatcher, _Helper, _HelperCompiler, **options)


def _try_out():
    """Raise an error here already, not at the first call, where something that is used above is gone."""
    if config.DISABLE_JIT:
        return
    used = {
        CPUTargetOptions: ("no_cfunc_wrapper", "no_cpython_wrapper", "forceinline", "_nrt"),
        CPUDispatcher: ("typeof_pyval", "_compile_for_args", "get_call_template"),
        Compiler: ("define_pipelines",),
        _FunctionCompiler: ("_compile_core",),
        JITCodeLibrary: (
            *("finalize", "_get_module_for_linking", "_finalize_dynamic_globals", "_raise_if_finalized"),
            "_optimize_functions",
        ),
        NRTContext: ("get_meminfos",),
        nrtdynmod: ("_define_nrt_incref", "_define_nrt_decref", "_word_type"),
        Lower: (
            *("_find_singly_assigned_variable", "_disable_sroa_like_opt", "_alloca_var", "getvar", "typeof"),
            *("storevar", "delvar"),
        ),
        NativeLowering: ("lowering_class",),
    }
    for owner, names in used.items():
        for name in names:
            getattr(owner, name)
    bend_kernel(numba.njit(lambda: None))


_try_out()

"""Run every case of the tables on arrays that end, or begin, beside memory that nobody may touch.

A program, since a kernel that leaves an array there ends the process: ``python tests/support/guarded.py end``
prints each case before it runs it, and the number of cases last. What lies on the other side
of an array is NaN and has to stay so.
"""

import ctypes
import faulthandler
import mmap
import sys
from math import prod

import backward
import cases
import numpy as np
import pooling_cases
import winograd_cases

from numbaconv.calls import conv as conv_calls
from numbaconv.calls import layouts, normalizing
from numbaconv.calls import moving as moving_calls
from numbaconv.calls import pooling as pool_calls
from numbaconv.calls import transposed as transposed_calls
from numbaconv.kernels import pointwise, rules, shares
from numbaconv.kernels import sums as channel_sums
from numbaconv.kernels.plan import plans
from numbaconv.machine import compiler

PAGE = mmap.PAGESIZE
PROT_NONE = 0
# All bits set: NaN in every float.
POISON = 0xFF
WINOGRAD = [
    winograd_cases.make_case((9, 10), 16, 33),
    winograd_cases.make_case((5, 7), 5, 40, "valid"),
    winograd_cases.make_case((3, 5), 20, 33, batch=5),
    winograd_cases.make_case((9, 11), 17, 33, taps=5),
    winograd_cases.make_case((13, 12), 15, 33, dilation_rate=2),
    winograd_cases.make_case((12, 14), 19, 35, operation="conv_transpose"),
    cases.Case("3d", "conv", (2, 3, 9, 10, 5), (3, 3, 3), 33, settings={"padding": "same"}),
]


class GuardedMemory:
    """Arrays beside pages without access: flush against the one behind ("end") or the one in front ("start")."""

    def __init__(self, side):
        self.side = side
        self.mprotect = ctypes.CDLL(None, use_errno=True).mprotect
        self.mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        self.margins = []

    def empty(self, shape, dtype=np.float64):
        """Like ``numpy.empty``, poisoned."""
        dtype = np.dtype(dtype)
        size = prod(np.atleast_1d(shape).tolist()) * dtype.itemsize
        room = (size // PAGE + 1) * PAGE
        memory = mmap.mmap(-1, room + 2 * PAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for guard in (address, address + PAGE + room):
            if self.mprotect(guard, PAGE, PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")
        inside = np.frombuffer(memory, np.uint8)[PAGE : PAGE + room]
        inside.fill(POISON)
        cut = size if self.side == "start" else room - size
        parts = inside[:cut], inside[cut:]
        data, margin = parts if self.side == "start" else parts[::-1]
        self.margins.append(margin)
        return data.view(dtype).reshape(shape)

    def copy(self, array):
        out = self.empty(array.shape, array.dtype)
        out[...] = array
        return out

    def check(self):
        """No margin has been written to since the last check."""
        margins, self.margins = self.margins, []
        if not all((margin == POISON).all() for margin in margins):
            raise AssertionError("a kernel wrote beside an array")


def use(memory):
    """Take all results and packed weights from there, and run every kernel in its parallel form."""
    for module in list(sys.modules.values()):
        if module.__name__.startswith("numbaconv") and hasattr(module, "aligned_empty"):
            module.aligned_empty = memory.empty
    # Several tasks wherever there can be.
    plans.HOST = plans.HOST._replace(serial_work=0)
    moving_calls.SMALL = pool_calls.SMALL = layouts.SMALL = 0
    compiler.ParallelKernel.__call__ = lambda kernel, *args, serial=False: kernel.dispatcher(False, *args)


def run_case(memory, case, dtype, data_format, **settings):
    """Forward and all gradients of one case, compared with the reference."""
    plain, tolerance = cases.operands(case), winograd_cases.TOLERANCE[dtype] if settings else None
    arrays = [memory.copy(a.astype(dtype)) for a in plain]
    arrays[0] = memory.copy(cases.to_format(arrays[0], data_format))
    out = cases.run(case, arrays, data_format, **settings)
    cases.assert_close(out, cases.to_format(cases.reference_result(case, plain), data_format), tolerance)
    grad = np.random.default_rng(1).standard_normal(cases.output_shape(case))
    wanted = cases.reference_gradients(case, plain, grad)
    wanted["x"] = cases.to_format(wanted["x"], data_format)
    grad = memory.copy(cases.to_format(grad.astype(dtype), data_format))
    for name, found in backward.gradients(case, arrays, grad, data_format).items():
        cases.assert_close(found, wanted[name], 2e-5 if dtype == "float32" else None)


def run_spread(memory, case, dtype, data_format):
    """`run_case` by Winograd's algorithm, the input transformed beforehand."""
    usual, plans.HOST = plans.HOST, plans.HOST._replace(**winograd_cases.SPREAD)
    _forget_calls()
    run_case(memory, case, dtype, data_format, algorithm="winograd")
    plans.HOST = usual
    _forget_calls()


def _forget_calls():
    conv_calls.conv_call.cache_clear()
    transposed_calls.transposed_call.cache_clear()


def run_pooling(memory, case, dtype, data_format):
    arrays = pooling_cases.operands(case, dtype)
    x, grad = (memory.copy(cases.to_format(a, data_format)) for a in arrays)
    for kind in pooling_cases.KINDS:
        out = pooling_cases.run(kind, case, x, data_format)
        cases.assert_close(out, cases.to_format(pooling_cases.expected(kind, case, arrays[0]), data_format))
        found = pooling_cases.run_grad(kind, case, x, grad, data_format)
        cases.assert_close(found, cases.to_format(pooling_cases.expected(kind, case, *arrays), data_format))


def run_sums(memory, shape, dtype):
    """What normalization and the gradients of biases are made of."""
    x = memory.copy(np.random.default_rng(2).standard_normal(shape).astype(dtype))
    weights = np.array([3.0, 0.5, 1.0, 2.0])[:, None] * np.ones(shape[1])
    out, factors = normalizing.normalized(x, weights, 1e-3, 0.75)
    mean, deviation, scale, shift, moving_mean, moving_variance = factors.found
    variance = deviation**2 - 1e-3
    np.testing.assert_allclose(mean, x.mean((0, 2), dtype=float), 1e-6, 1e-6)
    np.testing.assert_allclose(variance, x.var((0, 2), dtype=float), 1e-5, 1e-6)
    np.testing.assert_allclose(moving_mean, 0.75 + 0.25 * mean)
    np.testing.assert_allclose(moving_variance, 1.5 + 0.25 * variance)
    rows = [factor[:, None] for factor in (scale, shift)]
    between = x * rows[0] + rows[1]
    for found in (out, normalizing.scaled(x, scale, shift)):
        np.testing.assert_allclose(found, between, 1e-4, 1e-5)
    for joined in (False, True):
        passed = np.where(between > 0, x, 0) if joined else x
        (gamma, beta), grad_x = normalizing.gradients_of(x, x, factors, joined)
        normal = (x - mean[:, None]) / deviation[:, None]
        np.testing.assert_allclose(gamma, (passed * normal).sum((0, 2), dtype=float), 1e-5, 1e-3)
        np.testing.assert_allclose(beta, passed.sum((0, 2), dtype=float), 1e-5, 1e-4)
        inner = passed - (beta + normal.transpose(0, 2, 1) * gamma).transpose(0, 2, 1) / (x.size / shape[1])
        np.testing.assert_allclose(grad_x, inner * rows[0], 1e-4, 1e-4)
    np.testing.assert_allclose(channel_sums.channel_sums(x), x.sum((0, 1), dtype=float), 1e-5, 1e-4)


def run_activations(memory, shape, dtype):
    """A formula with an exponential and its gradient, and shares along and across rows."""
    x = memory.copy(np.random.default_rng(2).standard_normal(shape).astype(dtype))
    whole = pointwise.applied(rules.Sigmoid(), x)
    np.testing.assert_allclose(whole, 1 / (1 + np.exp(-x)), 1e-5)
    grad = pointwise.applied_back(rules.Sigmoid(), whole, x)
    np.testing.assert_allclose(grad, x * whole * (1 - whole), 1e-5)
    for logarithm in (False, True):
        for axis in (0, 1):
            out = shares.shares(x, axis, logarithm)
            total = (np.exp(out) if logarithm else out).sum(axis)
            np.testing.assert_allclose(total, np.ones_like(total), 1e-4)
            grad = shares.shares_back(x, out, axis, logarithm)
            np.testing.assert_allclose(grad.sum(axis), np.zeros_like(total), atol=1e-2)


def everything():
    """Name, function and arguments of all that is to run."""
    for dtype in ("float32", "float64"):
        for shape in ((2, 3, 77), (40, 19, 1), (3, 64, 400), (5, 30, 7)):
            yield f"sums {shape} {dtype}", run_sums, (shape, dtype), {}
        for shape in ((71, 101), (3, 5003), (1301, 5), (1, 3)):
            yield f"activations {shape} {dtype}", run_activations, (shape, dtype), {}
        for data_format in cases.FORMATS:
            kind = dtype, data_format
            for case in cases.CASES:
                yield f"{case.name} {kind}", run_case, (case, *kind), {}
            for case in pooling_cases.CASES + pooling_cases.LARGE:
                yield f"{case.name} {kind}", run_pooling, (case, *kind), {}
            for case in WINOGRAD:
                yield f"{case.name} {kind}", run_case, (case, *kind), {"algorithm": "winograd"}
                yield f"{case.name} {kind} spread", run_spread, (case, *kind), {}


def main():
    faulthandler.enable()
    memory = GuardedMemory(sys.argv[1])
    use(memory)
    todo = list(everything())
    for name, function, arguments, settings in todo:
        print(name, flush=True)
        function(memory, *arguments, **settings)
        memory.check()
    print(len(todo))


if __name__ == "__main__":
    main()

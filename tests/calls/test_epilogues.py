"""What calls do to a sum before they store it, and where they store it: as separate operations do, to the bit."""

import numpy as np
import pytest
from cases import WEIGHTED, Case, each, operands, pack
from winograd_cases import SMALL_BLOCKS, SPREAD

from numbaconv import activations
from numbaconv.calls.conv import conv_call, depthwise_call
from numbaconv.calls.epilogue import epilogue_of, no_epilogue, pack_bias
from numbaconv.calls.layouts import canonical
from numbaconv.calls.separable import separable_call
from numbaconv.calls.transposed import TransposedCall, transposed_call
from numbaconv.calls.window import window_of
from numbaconv.kernels import rules

by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
# Minimum, maximum, slope, and whether there is a residual.
ENDINGS = [(0.0, 6.0, 1.0, False), (-np.inf, 0.5, 1.0, False), (-np.inf, np.inf, 0.3, False), (0.0, np.inf, 1.0, True)]
ENDINGS += [(-np.inf, np.inf, 1.0, True), (-0.25, 1.5, 0.5, True)]
# Activations that take the place of limits.
FUNCTIONS = [(rules.SIGMOID, activations.sigmoid), (rules.SILU, activations.silu)]
FUNCTIONS += [(rules.HARD_SIGMOID, activations.hard_sigmoid), (rules.HARD_SILU, activations.hard_silu)]
# Several panels, patches at the edges, several parts of channels.
WINOGRAD = [
    Case("winograd", "conv", (2, 9, 13, 17), (3, 3), 45, settings={"padding": "same"}),
    Case("winograd, dilated", "conv", (1, 11, 12, 70), (5, 5), 33, settings={"dilation_rate": 2}),
    Case("winograd over volumes", "conv", (1, 4, 8, 9, 16), (3, 3, 3), 20, settings={"padding": "same"}),
]
CASES = [case for case in WEIGHTED if max(case.shape[1:-1]) < 1000] + WINOGRAD


class Operation:
    """A prepared call of a case, and the arrays that it takes."""

    def __init__(self, case, dtype, pitch=0, spoil=None):
        x, *kernels, bias = operands(case, dtype)
        if spoil:
            spoil(x, kernels[-1])
        settings = {k: v for k, v in case.settings.items() if k != "output_padding"}
        window, shapes = window_of(case.kernel_size, **settings), [k.shape for k in kernels]
        self.packed, self.bias = pack(case, kernels), pack_bias(bias, len(bias), x.dtype)
        self.image = canonical(x, "channels_last")
        if case.operation == "conv_transpose":
            extra = case.setting("output_padding") if case.settings.get("output_padding") is not None else None
            self.call = transposed_call(x.shape, *shapes, x.itemsize, window, extra, "auto")
        elif case.operation == "separable_conv":
            self.call = separable_call(x.shape, *shapes, x.itemsize, window, pitch)
        elif case.operation == "depthwise_conv":
            self.call = depthwise_call(x.shape, *shapes, x.itemsize, window, pitch)
        else:
            algorithm = "auto" if spoil else "winograd" if case in WINOGRAD else "direct"
            self.call = conv_call(x.shape, *shapes, x.itemsize, window, algorithm, pitch)
        self.middle = ()
        if case.operation == "separable_conv":
            self.middle = (no_epilogue(case.channels * case.multiplier, x.dtype),)

    @property
    def shape(self):
        return getattr(self.call, "pointwise", self.call).out_shape

    def __call__(self, out=None, **settings):
        return self.call.run(self.image, *self.packed, *self.middle, epilogue_of(self.bias, **settings), out=out)


def separately(out, minimum, maximum, slope, residual):
    """The same by NumPy."""
    with np.errstate(invalid="ignore", over="ignore"):
        out = out if residual is None else out + residual
        out = out if slope == 1 else np.where(out < 0, out.dtype.type(slope) * out, out)
        return np.minimum(np.maximum(out, minimum), maximum)


def check(operation):
    plain, rng = operation(), np.random.default_rng(1)
    residual = rng.standard_normal(operation.shape, np.float32).astype(plain.dtype)
    for minimum, maximum, slope, adds in ENDINGS:
        added = residual if adds else None
        out = np.full_like(plain, np.nan)
        operation(out, minimum=minimum, maximum=maximum, slope=slope, residual=added)
        same(out, separately(plain, minimum, maximum, slope, added), plain, adds)
    if isinstance(operation.call, TransposedCall):
        return
    eps = np.finfo(plain.dtype).eps
    for number, function in FUNCTIONS:
        out = np.full_like(plain, np.nan)
        operation(out, function=number, residual=residual)
        np.testing.assert_allclose(out, function(plain + residual), rtol=5 * eps, atol=3 * eps)


def same(out, wanted, plain, adds):
    """Equal; but for rounding beside the largest sum where it may begin with what is added to it."""
    if adds:
        largest = np.abs(plain[np.isfinite(plain)]).max(initial=1)
        np.testing.assert_allclose(out, wanted, rtol=0, atol=20 * np.finfo(out.dtype).eps * largest)
    else:
        np.testing.assert_array_equal(out, wanted)


@each(CASES)
@by_dtype
def test_sums_end_as_by_separate_operations(case, dtype):
    check(Operation(case, dtype))


@each([case for case in CASES if case.groups > 1 or case.operation == "depthwise_conv"])
def test_sums_of_positions_end_alike(case, recut):
    recut({"positions_share": 1e12})
    check(Operation(case, "float32"))
    test_pixels_may_lie_apart(case)
    test_a_residual_may_become_the_output(case)


@pytest.mark.parametrize("knobs", [SMALL_BLOCKS, SPREAD])
@each(WINOGRAD)
def test_winograds_sums_end_alike_in_all_blocks(case, knobs, recut, each_thread_count):
    recut(knobs)
    for _ in each_thread_count():
        check(Operation(case, "float32"))


@each([case for case in CASES if case.operation != "conv_transpose"])
def test_pixels_may_lie_apart(case, dtype="float32"):
    plain = Operation(case, dtype)
    wanted, pitch = plain(), plain.shape[-1] + 5
    wide = np.full((*wanted.shape[:-1], pitch), 7, dtype)
    Operation(case, dtype, pitch)(wide.reshape(-1)[2:], maximum=0.5)
    np.testing.assert_array_equal(wide[..., 2:-3], np.minimum(wanted, 0.5))
    assert (wide[..., :2] == 7).all() and (wide[..., -3:] == 7).all()


@each([case for case in CASES if case not in WINOGRAD and case.operation != "conv_transpose"])
def test_a_residual_may_become_the_output(case):
    operation = Operation(case, "float32")
    plain = operation()
    out = np.random.default_rng(1).standard_normal(plain.shape, np.float32)
    wanted = separately(plain, 0.0, 2.0, 1.0, out)
    operation(out, minimum=0.0, maximum=2.0, residual=out)
    same(out, wanted, plain, adds=True)


SPECIAL = [
    Case("direct", "conv", (2, 9, 8, 5), (3, 3), 33, settings={"padding": "same"}),
    Case("few", "conv", (2, 9, 8, 35), (3, 3), 2, settings={"padding": "same"}),
    Case("winograd, chosen", "conv", (3, 12, 12, 17), (3, 3), 33, settings={"padding": "same"}),
    Case("depthwise", "depthwise_conv", (2, 9, 40, 33), (3, 3), settings={"padding": "same"}),
    Case("separable", "separable_conv", (2, 9, 8, 5), (3, 3), 33, settings={"padding": "same"}),
    Case("untouched parts", "conv_transpose", (2, 5, 6, 5), (2, 2), 3, settings={"strides": 4}),
]


@pytest.mark.parametrize("where", ["input", "weights"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
@each(SPECIAL)
def test_special_values(case, value, where):
    def spoil(x, weights):
        target = x if where == "input" else weights
        target.flat[target.size // 2] = value

    check(Operation(case, "float32", spoil=spoil))


@each([case for case in WEIGHTED if case.operation == "separable_conv"])
@by_dtype
def test_the_middle_of_a_separable_convolution_ends_too(case, dtype):
    operation, rng = Operation(case, dtype), np.random.default_rng(2)
    depthwise, pointwise = operation.packed
    channels = case.channels * case.multiplier
    bias = pack_bias(rng.standard_normal(channels, np.float32), channels, depthwise.dtype)
    first, last = operation.call.apart("channels_last")
    for settings in ({"minimum": 0.0, "maximum": 0.75}, {"minimum": 0.0}, {"slope": 0.25, "maximum": 1.0}):
        middle = epilogue_of(bias, **settings)
        between = first.run(operation.image, depthwise, middle)
        operation.middle = (middle,)
        wanted = last.run(between, pointwise, epilogue_of(operation.bias, 0.0))
        np.testing.assert_array_equal(operation(minimum=0.0), wanted)
